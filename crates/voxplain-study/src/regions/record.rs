//! [`RegionRecord`]: how a table of regions was made.

use super::RegionOptions;
use crate::atlas::RegionTable;
use crate::run::place::{relative, resolved};
use crate::run::{MadeFrom, Models, Run, RunLayout};
use crate::setting::{ALLOW_MISMATCH, CHANNEL, COHORT, MASK, OUT};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use voxplain_attribution::setting::{ATLAS, LABELS};
use voxplain_core::{
    Action, Error, Result, Silent, Table, hash_file, remedy,
    seal::{self, Checksums},
};
use voxplain_volume::setting::MASK_THRESHOLD;

/// What is written beside a region table, `<table>.json`: how it was made and what to know about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegionRecord {
    /// The atlas and how it was taken, with absolute paths: who reads it need not be in the same working directory.
    pub survey: RegionOptions,
    /// The paths that lie in one folder with the table, from its own folder: files that are moved together stay known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_here: Option<Paths>,
    /// What the files held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashes: Option<Hashes>,
    /// BLAKE3 of the models that made the maps, as their records say; absent in files of older versions.
    pub models: Option<Vec<String>>,
    /// The maps, by what their records said when the table was made.
    #[serde(default, skip_serializing_if = "MadeFrom::is_empty")]
    pub made_from: MadeFrom,
    /// What the reader should know: objects of `id`, `level`, `what` and `remedy`.
    pub findings: Vec<serde_json::Value>,
    /// How the intervals were found, what they are conditional on, which are absent; none without means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<String>,
    /// What the columns of the table hold.
    pub columns: String,
    /// What the columns of the means hold, where there are means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns_of_means: Option<String>,
    /// Version of voxplain.
    pub version: String,
}

/// Paths from the folder of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Paths {
    atlas: Option<String>,
    labels: Option<PathBuf>,
    mask: Option<String>,
}

/// BLAKE3 of the bytes of the files; absent for a path that stands for many.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Hashes {
    atlas: Option<String>,
    labels: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<String>,
}

/// What to do about a table that does not count, where nothing is known of how it was made.
const AGAIN: &str = "make the table again with `regions`";

/// The words of [`RegionRecord::columns`].
const COLUMNS: &str = "a row for each map and region; fold, label, predicted, outcome, p_<class>: of the person, as the model judged them \
that made the map and never saw them (label: the true class; outcome: tp, tn, fp, fn of two classes, correct or incorrect of more; \
p_<class>: probability), n/a where that is not known; region: label in the atlas that fills most of each of its voxels, 0 for the brain that no label covers; \
sum, mean: of the map's values in the region; share_positive, share_negative: part of the map's positive (negative) relevance that lies there; \
enrichment: part of |relevance| over part of voxels (1: chance); density_per_mm3: sum over volume; peak: value furthest from \
0 and its voxel's centre in RAS+ mm; hemisphere_from: table (name or column) or geometry (position of the labels); note: why there is \
no voxel";

/// The words of [`RegionRecord::columns_of_means`].
const COLUMNS_OF_MEANS: &str = "a row for each method and region: means over maps, with 95 % intervals by model (_low, _high); maps: of the \
method; n: those that have a voxel in the region, over which the means are; people: whose maps these are, where people have several scans; models: that made them; voxels: their mean number; \
intraclass_mean, intraclass_enrichment: intraclass correlation of the maps' values by model; other columns as in the table of maps";

/// Refuses a name that a table of regions cannot have.
///
/// # Errors
/// It does not end with `.tsv`, or it is that of a table of means.
pub fn check_name(table: &Path) -> Result<()> {
    if table.extension().is_none_or(|e| e != "tsv") {
        let what = "the table of regions is written with tabs (TSV), and its record beside it as .json";
        return Err(Error::file(table, what, "give a name that ends with .tsv"));
    }
    if RunLayout::table_of_means(table).is_some() {
        let what = "names that end with _means.tsv are those of the means that belong to a table";
        return Err(Error::file(table, what, "give the table another name; its means then lie beside it"));
    }
    Ok(())
}

impl RegionTable {
    /// Writes the table as TSV, a row for each map and region; beside it the means over maps, where there are several
    /// ([`RunLayout::region_means`]), and the record of both, `<path without .tsv>.json`.
    ///
    /// # Errors
    /// [`check_name`]; the files cannot be written.
    pub fn write(&self, path: &Path, options: &RegionOptions) -> Result<()> {
        check_name(path)?;
        let _claim = Run::claim_around(path, "regions", &Silent)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let means = RunLayout::region_means(path);
        if self.group.is_empty() {
            // Those of an earlier table of this name are not of this one.
            match std::fs::remove_file(&means) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&means)(e)),
                _ => {}
            }
        } else {
            self.means_table().write_tsv(&means)?;
        }
        let (columns, rows) = self.people_rows();
        Table::write_rows(path, &columns, rows)?;
        let survey = options.absolute()?;
        let findings = self.findings.iter().map(serde_json::to_value).collect::<serde_json::Result<_>>();
        let record = RegionRecord {
            from_here: Some(Paths::new(path, &survey)?),
            hashes: Some(Hashes {
                atlas: hash(Path::new(&survey.atlas))?,
                labels: hash(&survey.labels)?,
                mask: survey.mask.as_deref().map(|mask| hash(Path::new(mask))).transpose()?.flatten(),
            }),
            survey,
            models: Some(self.models.clone()),
            made_from: self.made_from.clone(),
            findings: findings.map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))?,
            intervals: self.about_intervals(),
            columns: COLUMNS.into(),
            columns_of_means: (!self.group.is_empty()).then(|| COLUMNS_OF_MEANS.into()),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let made = [path.to_owned(), means].into_iter().filter(|file| file.is_file());
        seal::vouch(&RegionRecord::path(path), &record, made)
    }
}

impl RegionRecord {
    /// Where the record of a table lies.
    pub fn path(table: &Path) -> PathBuf {
        table.with_extension("json")
    }

    /// Reads the record of a table; `None` where there is none.
    ///
    /// # Errors
    /// It is damaged.
    pub fn read(table: &Path) -> Result<Option<Self>> {
        let path = Self::path(table);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = voxplain_core::input::read(&path).map_err(Error::io(&path))?;
        seal::open(&bytes)
            .map(Some)
            .map_err(|e| Error::file(&path, format!("no record of a table of regions: {e}"), AGAIN))
    }

    /// Refuses a table of other models or maps than those that a run has now; `own` are its models. Of a table without a record, or of maps without records, as of other
    /// programs, nothing is known.
    ///
    /// # Errors
    /// The table is of others; its record is damaged.
    pub fn check(run: &Run, own: &Models, table: &Path) -> Result<()> {
        let Some(record) = Self::read(table)? else { return Ok(()) };
        record.check_all(run, own, table).map_err(|error| match error {
            // What is wrong with a map has its own remedy.
            Error::File { path, what, .. } if path.parent() == table.parent() => {
                let step = record.said(Action::new("regions").on(&run.path), table, &run.path);
                Error::file(path, what, step.map_or_else(|_| AGAIN.into(), |step| remedy!["make it again: ", step]))
            }
            other => other,
        })
    }

    fn check_all(&self, run: &Run, own: &Models, table: &Path) -> Result<()> {
        Checksums::read(&Self::path(table), AGAIN)?.check_all(AGAIN)?;
        match &self.models {
            Some(made_by) if made_by.is_empty() => Ok(()),
            made_by => {
                own.check(table, made_by.as_deref().unwrap_or_default(), AGAIN)?;
                self.made_from.check(run, table, AGAIN)
            }
        }
    }

    /// A step with the options that made the table; `folder` is as for [`RegionRecord::options`].
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn said(&self, step: Action, table: &Path, folder: &Path) -> Result<Action> {
        let survey = self.options(table, folder)?;
        // Without the way through the table's folder, where the file is there.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string();
        let mut step = step.with(ATLAS, real(Path::new(&survey.atlas))).with(LABELS, real(&survey.labels));
        if let Some(mask) = &survey.mask {
            step = step.with(MASK, mask);
        }
        if let Some(threshold) = survey.mask_threshold {
            step = step.with(MASK_THRESHOLD, threshold);
        }
        if let Some(cohort) = &survey.cohort {
            step = step.with(COHORT, cohort.display());
        }
        if let Some(channel) = &survey.channel {
            step = step.with(CHANNEL, channel);
        }
        if survey.allow_mismatch {
            step = step.switch(ALLOW_MISMATCH);
        }
        Ok(step.with(OUT, table.display()))
    }

    /// The options, with each path where its file is found now: from the table's folder, where it was, or, as older records have
    /// paths as they were typed, from `folder`. A file that is another one by its hash is not taken for it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn options(&self, table: &Path, folder: &Path) -> Result<RegionOptions> {
        let here = table.parent().unwrap_or(Path::new(""));
        let (paths, hashes) = (self.from_here.as_ref(), self.hashes.as_ref());
        let find = |from_here: Option<&Path>, was: &Path, expected: Option<&String>| -> Result<PathBuf> {
            for place in
                [from_here.map(|p| here.join(p)), Some(was.to_owned()), Some(folder.join(was))].into_iter().flatten()
            {
                let same = expected.is_none() || hash(&place)?.as_ref() == expected;
                if is_there(&place) && same {
                    return Ok(place);
                }
            }
            Ok(was.to_owned())
        };
        let pattern = |from_here: Option<&String>, was: &str, expected: Option<&String>| {
            Ok::<_, Error>(find(from_here.map(Path::new), Path::new(was), expected)?.to_string_lossy().into_owned())
        };
        let was = &self.survey;
        Ok(RegionOptions {
            atlas: pattern(paths.and_then(|p| p.atlas.as_ref()), &was.atlas, hashes.and_then(|h| h.atlas.as_ref()))?,
            labels: find(paths.and_then(|p| p.labels.as_deref()), &was.labels, hashes.and_then(|h| h.labels.as_ref()))?,
            mask: was
                .mask
                .as_ref()
                .map(|mask| {
                    let expected = hashes.and_then(|h| h.mask.as_ref());
                    pattern(paths.and_then(|p| p.mask.as_ref()), mask, expected)
                })
                .transpose()?,
            mask_threshold: was.mask_threshold,
            cohort: was.cohort.clone(),
            channel: was.channel.clone(),
            allow_mismatch: was.allow_mismatch,
        })
    }
}

impl RegionOptions {
    /// The same with absolute paths.
    fn absolute(&self) -> Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io(path));
        let pattern = |path: &String| Ok::<_, Error>(absolute(Path::new(path))?.to_string_lossy().into_owned());
        Ok(Self {
            atlas: pattern(&self.atlas)?,
            labels: absolute(&self.labels)?,
            mask: self.mask.as_ref().map(pattern).transpose()?,
            mask_threshold: self.mask_threshold,
            cohort: self.cohort.as_deref().map(absolute).transpose()?,
            channel: self.channel.clone(),
            allow_mismatch: self.allow_mismatch,
        })
    }
}

impl Paths {
    fn new(table: &Path, options: &RegionOptions) -> Result<Self> {
        let here = resolved(table.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        let way = |path: &Path| Ok::<_, Error>(relative(&here, &resolved(path)?));
        let pattern = |path: &str| Ok::<_, Error>(way(Path::new(path))?.map(|p| p.to_string_lossy().into_owned()));
        Ok(Self {
            atlas: pattern(&options.atlas)?,
            labels: way(&options.labels)?,
            mask: options.mask.as_deref().map(pattern).transpose()?.flatten(),
        })
    }
}

/// BLAKE3 of a file; `None` where there is none, as for a path that stands for many.
fn hash(path: &Path) -> Result<Option<String>> {
    path.is_file().then(|| hash_file(path)).transpose()
}

/// Whether a file is there or, of a path that stands for many, the folders above the subject's id.
fn is_there(path: &Path) -> bool {
    let fixed = path.ancestors().find(|p| !p.to_string_lossy().contains("{id}")).unwrap_or(path);
    fixed == Path::new("") || fixed.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(atlas: &str, labels: &str) -> RegionOptions {
        RegionOptions {
            atlas: atlas.into(),
            labels: labels.into(),
            mask: None,
            mask_threshold: None,
            cohort: None,
            channel: None,
            allow_mismatch: false,
        }
    }

    #[test]
    fn records_hold_paths_that_mean_the_same_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        let what =
            RegionOptions { mask: Some("masks/{id}.nii.gz".into()), ..survey("atlases/a.nii.gz", "atlases/a.tsv") };
        let table = folder.path().join("regions/a.tsv");
        RegionTable::default().write(&table, &what).unwrap();
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(table.with_extension("json")).unwrap()).unwrap();
        let here = std::env::current_dir().unwrap();
        for (key, path) in [("atlas", "atlases/a.nii.gz"), ("labels", "atlases/a.tsv"), ("mask", "masks/{id}.nii.gz")] {
            assert_eq!(record["survey"][key], here.join(path).to_str().unwrap());
        }
    }

    #[test]
    fn paths_as_typed_are_looked_for_below_a_folder_too() {
        let folder = tempfile::tempdir().unwrap();
        let below = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
        std::fs::create_dir(below("atlas-of-a-test")).unwrap();
        std::fs::write(below("atlas-of-a-test/a.tsv"), "").unwrap();
        let found = |survey: RegionOptions| {
            let record = serde_json::json!({"survey": survey, "findings": [], "columns": "", "version": "0"});
            let record: RegionRecord = serde_json::from_value(record).unwrap();
            record.options(Path::new("/no/such/table.tsv"), folder.path()).unwrap()
        };
        assert_eq!(
            found(survey("atlas-of-a-test/{id}/a.nii.gz", "atlas-of-a-test/a.tsv")),
            survey(&below("atlas-of-a-test/{id}/a.nii.gz"), &below("atlas-of-a-test/a.tsv"))
        );
        // What is there as it is, what is absolute, and what is nowhere, stay.
        for path in ["Cargo.toml", "/no/such/folder/a.nii.gz", "no-such-folder/a.nii.gz"] {
            let what = survey(path, path);
            assert_eq!(found(what.clone()), what);
        }
    }

    #[test]
    fn files_that_move_with_the_table_are_found_and_others_are_not_taken_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/cohort")).unwrap();
        let (atlas, labels) = (root.join("a/cohort/atlas.nii.gz"), root.join("a/cohort/atlas.tsv"));
        std::fs::write(&atlas, "labels").unwrap();
        std::fs::write(&labels, "names").unwrap();
        let what = survey(atlas.to_str().unwrap(), labels.to_str().unwrap());
        let table = root.join("a/run/regions/t.tsv");
        RegionTable::default().write(&table, &what).unwrap();
        let found = |table: &Path| RegionRecord::read(table).unwrap().unwrap().options(table, Path::new("")).unwrap();
        let real = |path: &str| Path::new(path).canonicalize().unwrap();
        assert_eq!(real(&found(&table).atlas), atlas);
        std::fs::rename(root.join("a"), root.join("b")).unwrap();
        let moved = found(&root.join("b/run/regions/t.tsv"));
        assert_eq!(real(&moved.atlas), root.join("b/cohort/atlas.nii.gz"));
        // Another file of that name is not the atlas.
        std::fs::write(root.join("b/cohort/atlas.nii.gz"), "other labels").unwrap();
        assert_eq!(found(&root.join("b/run/regions/t.tsv")).atlas, what.atlas);
        assert!(RegionRecord::read(&root.join("none.tsv")).unwrap().is_none());
    }
}
