//! [`Derivatives`]: a dataset of BIDS derivatives, as a BIDS App writes it.
//!
//! Files that BIDS has names for, prepared images and brain masks, are named so, each with its JSON beside it. What it has none for, maps of attribution
//! among them, is listed in `.bidsignore`, so that a validator knows what it need not know.

use crate::{
    cohort::Cohort,
    folder::{entries, name_of},
    listed::{counted, does, listed},
    map::{PreparedFiles, maps_below, read_record},
    model::Model,
    prepare::{ParticipantLevel, Unit},
    setting::METHOD,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Result, atomic_file, remedy};
use voxplain_volume::{Volume, WriteOptions, write};

/// The version of BIDS that is written.
const BIDS: &str = "1.10.0";

/// What BIDS has no names for, as patterns of `.bidsignore`.
const IGNORED: &str = "\
# What BIDS has no names for: maps and what networks said, and the working parts of voxplain.
*_attribution.*
*_predictions.*
predictions.*
prepared
cohort
cohort.partial
run
regions
figures
report*
methods*
references*
";

/// A dataset of derivatives. Every path in it is made here:
///
/// ```text
/// dataset_description.json  .bidsignore  README.md
/// sub-<label>/[ses-<label>/]anat/   prepared images, masks, maps, predictions
/// prepared/sub-<id>/                the cohort of each participant
/// cohort/  run/                     what is of all of them
/// predictions.tsv  regions/  report.html
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Derivatives<'a> {
    root: &'a Path,
}

impl<'a> Derivatives<'a> {
    /// The files of a dataset in this directory, whether it is there or not.
    pub const fn at(root: &'a Path) -> Self {
        Self { root }
    }

    /// `prepared`: the cohorts of participants.
    pub fn prepared(self) -> PathBuf {
        self.root.join("prepared")
    }

    /// `prepared/sub-<id>`: the cohort of one unit.
    pub fn unit(self, unit: &Unit) -> PathBuf {
        self.prepared().join(format!("sub-{}", unit.id()))
    }

    /// `sub-<label>/[ses-<label>/]anat`.
    pub fn folder(self, unit: &Unit) -> PathBuf {
        self.root.join(unit.folder())
    }

    /// `sub-<label>/[ses-<label>/]anat/sub-<id>_predictions.tsv`: what a model said of a unit.
    pub fn predictions(self, unit: &Unit) -> PathBuf {
        self.folder(unit).join(format!("sub-{}_predictions.tsv", unit.id()))
    }

    /// `cohort`: all participants together.
    pub fn cohort(self) -> PathBuf {
        self.root.join("cohort")
    }

    /// `run`: the training.
    pub fn run(self) -> PathBuf {
        self.root.join("run")
    }

    /// `predictions.tsv`: what a model said of all participants.
    pub fn all_predictions(self) -> PathBuf {
        self.root.join("predictions.tsv")
    }

    /// `regions/<name>.tsv`: a table of regions of the maps by a model.
    pub fn regions(self, name: &str) -> PathBuf {
        self.root.join("regions").join(format!("{name}.tsv"))
    }

    /// `report.html`: the page of the maps by a model.
    pub fn report(self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Refuses people whose maps another model made than this file: nothing of both is put together; and a dataset that has none by it yet. `dataset` is what the derivatives are of.
    ///
    /// # Errors
    /// There are such people; the model, a folder or a record that cannot be read.
    pub fn refuse_other_models(self, model: &Path, dataset: &Path) -> Result<()> {
        let hash = Model::read_with_hash(model)?.1;
        let (mut others, mut methods, mut own) = (Vec::new(), BTreeSet::new(), 0);
        let people = if self.root.is_dir() { entries(self.root)? } else { Vec::new() };
        for folder in people.iter().filter(|at| name_of(at).starts_with("sub-") && at.is_dir()) {
            let mut by_others = false;
            for map in maps_below(folder)? {
                let record = read_record(&map)?;
                if record.model == hash {
                    own += 1;
                } else {
                    by_others = true;
                    methods.insert(record.method);
                }
            }
            if by_others {
                others.push(name_of(folder));
            }
        }
        let level = ParticipantLevel { dataset, out: self.root, model: Some(model) };
        let again = level.like_those_in(level.command(), &self.prepared())?;
        if others.is_empty() && own == 0 {
            let what = "holds no maps by the model that is given";
            return Err(Error::file(self.root, what, remedy!["begin with the participants: ", again]));
        }
        if others.is_empty() {
            return Ok(());
        }
        let again = again.with(METHOD, methods.into_iter().collect::<Vec<_>>().join(","));
        let (count, have) = (counted(others.len(), "participant"), does(others.len(), "has", "have"));
        Err(Error::file(
            self.root,
            format!("{count} {have} maps by another model than the one that is given: {}", listed(others, 8)),
            remedy!["give the model that made them, or ask this one about everybody: ", again],
        ))
    }

    /// Writes what says that this is a dataset of derivatives, and of which: `dataset_description.json`, `.bidsignore` and `README.md`. Everybody
    /// who works on it writes the same. A README of somebody else stays.
    ///
    /// # Errors
    /// The dataset holds, or is, its own source; the description of the source cannot be read; a file that cannot be written.
    pub fn describe(self, source: &Path) -> Result<()> {
        let [of, at] = [source, self.root].map(|path| std::path::absolute(path).map_err(Error::io(path)));
        let (of, at) = (of?, at?);
        if of == at {
            let what = "is the dataset itself, and what is made of it goes elsewhere";
            return Err(Error::file(self.root, what, "give another folder, such as DATASET/derivatives/voxplain"));
        }
        let own = source.join("dataset_description.json");
        let said: Value = match voxplain_core::input::read(&own) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => json!({}),
            Err(e) => return Err(Error::io(&own)(e)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| Error::file(&own, format!("is no JSON: {e}"), "mend it: a BIDS dataset has one"))?,
        };
        let name = said["Name"].as_str().filter(|name| !name.trim().is_empty());
        let name = name.map_or_else(|| "voxplain".to_owned(), |name| format!("voxplain of {name}"));
        let mut dataset = json!({ "URL": file_url(&of) });
        if let Some(doi) = said["DatasetDOI"].as_str() {
            dataset["DOI"] = doi.into();
        }
        let description = json!({
            "Name": name,
            "BIDSVersion": BIDS,
            "DatasetType": "derivative",
            "GeneratedBy": [{ "Name": "voxplain", "Version": env!("CARGO_PKG_VERSION") }],
            "SourceDatasets": [dataset],
            "DatasetLinks": { RAW: file_url(&of) },
        });
        std::fs::create_dir_all(self.root).map_err(Error::io(self.root))?;
        atomic_file::write_json_if_other(&self.root.join("dataset_description.json"), &description)?;
        atomic_file::write_if_other(&self.root.join(".bidsignore"), IGNORED.as_bytes())?;
        let readme = self.root.join("README.md");
        if !readme.exists() {
            atomic_file::write_if_other(&readme, README.as_bytes())?;
        }
        Ok(())
    }

    /// Writes the prepared image of a unit, each channel, and its brain mask, as BIDS derivatives, and says where they are.
    ///
    /// # Errors
    /// The cohort is damaged, or is not of one person; a file that cannot be written.
    pub fn write_prepared(self, unit: &Unit, cohort: &Cohort, source: &Path) -> Result<Vec<PathBuf>> {
        let [subject] = cohort.subjects.as_slice() else {
            return Err(Error::file(
                &cohort.path,
                "is not the cohort of one person",
                remedy!["prepare the participant again"],
            ));
        };
        let preparation = &cohort.preparation;
        let folder = self.folder(unit);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        // What one left half written that was killed here.
        atomic_file::sweep(&folder)?;
        let files = PreparedFiles::new(folder, &unit.id(), preparation);
        let ([i, j, k], spacing) = (preparation.shape, preparation.spacing.map(|mm| mm.to_string()).join(" x "));
        let mut about = json!({
            "Resolution": format!("{i} x {j} x {k} voxels of {spacing} mm, the grid that a network of voxplain takes"),
        });
        if let Some(template) = &preparation.template {
            about["SpatialReference"] = file_url(&template.path).into();
        }
        let mut written = Vec::new();
        let mut put = |path: PathBuf, volume: &Volume, integer: bool, own: Value| -> Result<()> {
            write(&path, volume, &WriteOptions { form_code: 2, integer, ..WriteOptions::default() })?;
            let mut record = about.clone();
            own.as_object().into_iter().flatten().for_each(|(key, value)| record[key] = value.clone());
            atomic_file::write_json_if_other(&crate::map::record_path(&path), &record)?;
            written.push(path);
            Ok(())
        };
        let sources: Vec<Option<&PathBuf>> = match subject.channels.as_slice() {
            [] => vec![subject.source.as_ref()],
            channels => channels.iter().map(|channel| channel.source.as_ref()).collect(),
        };
        let names = if preparation.channels.is_empty() { vec!["T1w".to_owned()] } else { preparation.channels.clone() };
        let uri = |path: &Path| bids_uri(path, source);
        for ((volume, name), image) in cohort.channels(0)?.iter().zip(&names).zip(&sources) {
            let own = json!({
                "Description": format!(
                    "The image as a network takes it: intensities {}, 0 is {}",
                    preparation.normalize.words(),
                    preparation.normalize.zero()
                ),
                "SkullStripped": !preparation.whole_head,
                "Sources": image.iter().map(|path| uri(path)).collect::<Vec<_>>(),
            });
            put(files.image(name), volume, false, own)?;
        }
        let mask = subject.mask.as_ref().map(|mask| uri(Path::new(&mask.file)));
        let of_mask = mask.into_iter().collect::<Vec<_>>();
        let from =
            if of_mask.is_empty() { sources.iter().take(1).flatten().map(|path| uri(path)).collect() } else { of_mask };
        let own = json!({
            "Description": format!("Where the {} is in the prepared image", preparation.organ()),
            "Type": if preparation.whole_head { "Head" } else { "Brain" },
            "Sources": from,
        });
        put(files.mask(), &cohort.mask(0)?.map(|&inside| f32::from(u8::from(inside))), true, own)?;
        Ok(written)
    }
}

/// What the source dataset is called in BIDS URIs.
const RAW: &str = "raw";

/// The BIDS URI of a file of the source dataset; of another its path as a URL.
fn bids_uri(file: &Path, source: &Path) -> String {
    let (Ok(file), Ok(source)) = (std::path::absolute(file), std::path::absolute(source)) else {
        return file_url(file);
    };
    match file.strip_prefix(&source) {
        Ok(below) => format!("bids:{RAW}:{}", below.to_string_lossy().replace('\\', "/")),
        Err(_) => file_url(&file),
    }
}

/// An absolute path as a URL, other bytes than letters, digits and `-._~/` escaped (RFC 3986, RFC 8089).
fn file_url(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let mut url = String::from(if text.starts_with('/') { "file://" } else { "file:///" });
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~/".contains(&b) => url.push(char::from(b)),
            b => url.push_str(&format!("%{b:02X}")),
        }
    }
    url
}

const README: &str = "\
# Derivatives of voxplain

Made by `voxplain bids-app`. `dataset_description.json` names the version and the dataset that it was made from.

| files | what they are |
|---|---|
| `sub-*/**/*_res-voxplain_desc-preproc_T1w.nii.gz` | the image as a network takes it, on its grid |
| `sub-*/**/*_res-voxplain_desc-brain_mask.nii.gz` | its brain mask on the same grid |
| `sub-*/**/*_desc-*_attribution.nii.gz` | what a network used, voxel by voxel: signed, positive speaks for the explained score; the record beside it says how it was made |
| `sub-*/**/*_space-native_desc-*_attribution.nii.gz` | the same in the space of the person's own image |
| `sub-*/**/*_res-native_desc-*_attribution.nii.gz` | a class activation map at its own resolution, that of the layer it was read from |
| `sub-*/**/*_predictions.tsv` | what the network said of this person |
| `prepared/` | what the group level puts together |
| `cohort/`, `run/` | all participants together; networks, out-of-fold predictions, maps, group maps and the report (`run/report.html`) |
| `predictions.tsv`, `regions/`, `report.html` | of a network that was given: what it said of everybody, maps in regions, the page |

Files that BIDS has no names for are listed in `.bidsignore`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_urls_and_those_of_the_source_bids_uris() {
        assert_eq!(file_url(Path::new("/a b/ü#1.nii")), "file:///a%20b/%C3%BC%231.nii");
        assert_eq!(bids_uri(Path::new("/data/sub-01/anat/x.nii"), Path::new("/data")), "bids:raw:sub-01/anat/x.nii");
        assert_eq!(bids_uri(Path::new("/masks/x.nii"), Path::new("/data")), "file:///masks/x.nii");
    }

    #[test]
    fn a_dataset_describes_itself_and_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let (raw, out) = (dir.path().join("raw"), dir.path().join("out"));
        std::fs::create_dir(&raw).unwrap();
        let text = r#"{"Name":"Heads","BIDSVersion":"1.8.0","DatasetDOI":"doi:10.1/x"}"#;
        std::fs::write(raw.join("dataset_description.json"), text).unwrap();
        let derivatives = Derivatives::at(&out);
        derivatives.describe(&raw).unwrap();
        let said: Value =
            serde_json::from_slice(&std::fs::read(out.join("dataset_description.json")).unwrap()).unwrap();
        assert_eq!(said["Name"], "voxplain of Heads");
        assert_eq!(said["DatasetType"], "derivative");
        assert_eq!(said["GeneratedBy"][0]["Version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(said["SourceDatasets"][0]["DOI"], "doi:10.1/x");
        assert!(said["SourceDatasets"][0]["URL"].as_str().unwrap().ends_with("/raw"));
        // Somebody's own README stays.
        std::fs::write(out.join("README.md"), "mine").unwrap();
        derivatives.describe(&raw).unwrap();
        assert_eq!(std::fs::read_to_string(out.join("README.md")).unwrap(), "mine");
        assert!(Derivatives::at(&raw).describe(&raw).unwrap_err().to_string().contains("is the dataset itself"));
    }
}
