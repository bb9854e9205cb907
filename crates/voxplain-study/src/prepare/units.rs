//! Units: each session of each person of a BIDS dataset, prepared by itself by whoever comes ([`prepare_unit`]), and the cohort that is made of
//! them ([`gather_units`]).
//!
//! A unit is a cohort of one. It depends on the person's own files and the options alone: neither on who else is in the dataset, nor on the
//! table of people, which is read when units are put together. So each may be prepared on a machine that has the files of nobody else.

use super::{
    EntityFilter, Failure, MaskRule, PrepareOptions, PrepareSummary, Site, Space, channels,
    entities::Entities,
    findings, left_out_of_source, lost_on_the_grid,
    matching::few,
    plan::Plan,
    prepare_sites, same_images, sessions,
    source::{FoundImages, Source, absolute, name},
    stripped,
};
use crate::{
    cohort::{Begun, Cohort, CohortLayout, LeftOut, Stored, Subject, Writer, bare},
    folder::{entries, name_of},
    listed::{counted, does, have, listed},
    setting::{FORCE, KEEP_GOING, PARTICIPANT_LABEL},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Action, Error, Progress, Result, hash_bytes, remedy};

/// One person of a BIDS dataset, in one session where there are sessions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unit {
    /// `01` of `sub-01`.
    pub label: String,
    /// `1` of `ses-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl Unit {
    /// From the id that a cohort has for it, `01` or `01_ses-1`.
    pub fn of_id(id: &str) -> Self {
        let label = sessions::person_of(id);
        let session = id.strip_prefix(label).and_then(|rest| rest.strip_prefix("_ses-"));
        Self { label: label.to_owned(), session: session.map(str::to_owned) }
    }

    /// The id that a cohort has for it.
    pub fn id(&self) -> String {
        sessions::scan_id(&self.label, self.session.as_deref())
    }

    /// The folder of its derivatives: `sub-01/anat` or `sub-01/ses-1/anat`.
    pub fn folder(&self) -> PathBuf {
        let person = Path::new(&format!("sub-{}", self.label)).to_owned();
        match &self.session {
            Some(session) => person.join(format!("ses-{session}")).join("anat"),
            None => person.join("anat"),
        }
    }
}

/// What there is to prepare in a BIDS dataset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Units {
    /// By label and session.
    pub units: Vec<Unit>,
    /// People without an image that is asked for.
    pub lacking: Vec<Failure>,
}

/// The units of a BIDS dataset: those of [`PrepareOptions::labels`] where people are named, in the sessions that are asked for.
///
/// # Errors
/// It is no BIDS dataset; it has nobody of such a label; a folder that cannot be read.
pub fn units(dataset: &Path, options: &PrepareOptions) -> Result<Units> {
    let source = Source::of(dataset)?.of_labels(options.labels.as_deref())?;
    let Source::Bids(root, _) = &source else {
        let what = "is no BIDS dataset: no folder sub-* in it has a folder anat";
        return Err(Error::file(dataset, what, "give the folder that holds sub-01, sub-02 and so on"));
    };
    let suffix = channels::first(options);
    let FoundImages { images, odd, lacking } = source.images(suffix)?;
    let of = |image: &Path| {
        let entities = Entities::of_path(image.strip_prefix(root).unwrap_or(image));
        let label = entities.get("sub").unwrap_or_default().to_owned();
        Unit { label, session: entities.get("ses").map(str::to_owned) }
    };
    let mut people: BTreeMap<String, (BTreeSet<Unit>, Vec<&Path>)> = BTreeMap::new();
    for image in &images {
        let below = image.strip_prefix(root).unwrap_or(image);
        let unit = of(image);
        let (units, aside) = people.entry(unit.label.clone()).or_default();
        if options.takes(below) {
            units.insert(unit);
        } else {
            aside.push(below);
        }
    }
    let left = |left: LeftOut| {
        let place = Path::new(&left.what);
        let of_person = place.strip_prefix(root).ok().and_then(|below| below.iter().next()).and_then(|of| of.to_str());
        match of_person.filter(|person| place.ends_with(person)) {
            Some(person) => Failure { subject: bare(person).to_owned(), what: left.why, remedy: None },
            None => Failure {
                subject: of_person.map_or_else(|| left.what.clone(), |person| bare(person).to_owned()),
                what: format!("{}: {}", left.what, left.why),
                remedy: None,
            },
        }
    };
    let mut found = Units { units: Vec::new(), lacking: lacking.into_iter().chain(odd).map(left).collect() };
    for (label, (units, aside)) in people {
        if units.is_empty() {
            let what = format!(
                "none of its {} is chosen: {}",
                counted(aside.len(), "image"),
                few(aside.iter().map(|i| i.display()))
            );
            found.lacking.push(Failure { subject: label, what, remedy: None });
        }
        found.units.extend(units);
    }
    Ok(found)
}

/// The options by which one unit is prepared. Paths are absolute, so that it is known again from wherever it is asked for.
fn of_unit(unit: &Unit, options: &PrepareOptions) -> Result<PrepareOptions> {
    let others = options.entities.iter().filter(|filter| filter.entity != "ses").cloned();
    let session = EntityFilter::new("ses", unit.session.as_deref().unwrap_or("none"));
    Ok(PrepareOptions {
        labels: Some(vec![unit.label.clone()]),
        without_table: true,
        each_session: true,
        entities: others.chain([session]).collect(),
        mask: match &options.mask {
            MaskRule::File(file) => MaskRule::File(absolute(file)?),
            MaskRule::Folder(folder, pattern) => MaskRule::Folder(absolute(folder)?, pattern.clone()),
            other => other.clone(),
        },
        align: options.align.as_deref().map(absolute).transpose()?,
        keep_going: false,
        ..options.clone()
    })
}

/// Prepares one unit into the cohort `out`, which nobody else is in.
///
/// # Errors
/// Those of [`prepare_sites`]; there are several images of this person in this session.
pub fn prepare_unit(
    dataset: &Path,
    unit: &Unit,
    out: &Path,
    options: &PrepareOptions,
    progress: &dyn Progress,
) -> Result<PrepareSummary> {
    let site = Site { path: absolute(dataset)?, ..Site::default() };
    prepare_sites(&[site], out, &of_unit(unit, options)?, progress)
}

/// Which units are put together, and how.
#[derive(Clone, Debug, Default)]
pub struct GatherOptions {
    /// Only these people, by their labels.
    pub labels: Option<Vec<String>>,
    /// Only these sessions.
    pub session: Option<EntityFilter>,
    /// The table of labels and covariates; `participants.tsv` of the dataset, if there is one, when `None`.
    pub participants: Option<PathBuf>,
    /// Leave out images that have no row, rows that have no image, and who is not prepared.
    pub keep_going: bool,
    /// Replace a cohort that is there.
    pub force: bool,
}

/// The unit in a folder of units: its cohort, and the options that it was prepared by, without what is of it alone.
struct Prepared {
    cohort: Cohort,
    options: PrepareOptions,
}

impl Prepared {
    fn read(folder: &Path) -> Result<Self> {
        let again = "remove it and prepare this participant again";
        let cohort = Cohort::open(folder)?;
        let id = name_of(folder);
        let [subject] = cohort.subjects.as_slice() else {
            let what = format!("has {}, and not one", counted(cohort.subjects.len(), "person"));
            return Err(Error::file(folder, what, again));
        };
        if subject.id != bare(&id) {
            return Err(Error::file(folder, format!("holds {}, and is named otherwise", subject.id), again));
        }
        let options: PrepareOptions = serde_json::from_value(cohort.made_by["options"].clone())
            .map_err(|e| Error::file(folder, format!("its options cannot be understood: {e}"), again))?;
        let entities = options.entities.into_iter().filter(|filter| filter.entity != "ses").collect();
        let options = PrepareOptions { labels: None, without_table: false, entities, ..options };
        Ok(Self { cohort, options })
    }

    /// What is to be the same of all: not where the dataset, the masks and the template lay, which may differ from machine to machine.
    fn manner(&self) -> serde_json::Value {
        let mask = match &self.options.mask {
            MaskRule::File(file) => MaskRule::File(file.file_name().unwrap_or_default().into()),
            MaskRule::Folder(_, pattern) => MaskRule::Folder(PathBuf::new(), pattern.clone()),
            other => other.clone(),
        };
        let mut preparation = self.cohort.preparation.clone();
        // It is known by its hash.
        preparation.template.iter_mut().for_each(|template| template.path = PathBuf::new());
        let mut manner = serde_json::json!(PrepareOptions { mask, align: None, ..self.options.clone() });
        manner["preparation"] = serde_json::json!(preparation);
        manner
    }

    /// That two were prepared in different ways, and in what.
    fn same_as(&self, first: &Self) -> Result<()> {
        let (ours, theirs) = (self.manner(), first.manner());
        if ours == theirs {
            return Ok(());
        }
        let keys = [&ours, &theirs].into_iter().filter_map(|of| of.as_object()).flat_map(|of| of.keys());
        let differ: BTreeSet<&String> = keys.filter(|key| ours[*key] != theirs[*key]).collect();
        // What the options come to is said where they say nothing alone.
        let options: Vec<&&String> = differ.iter().filter(|key| **key != "preparation").collect();
        let differ = if options.is_empty() { "their template".to_owned() } else { listed(options, 8) };
        Err(Error::file(
            &self.cohort.path,
            format!("was prepared otherwise than {}: they differ in {differ}", name_of(&first.cohort.path)),
            remedy!["prepare all participants with the same options; ", FORCE, " prepares one anew"],
        ))
    }
}

/// Makes the cohort `out` of the units in a folder: everybody of the dataset in the order of its table, with its labels and covariates. No image
/// is read. The volumes, masks and table are the same, byte for byte, as those of the cohort that
/// [`prepare_sites`] makes of the dataset with each session as a row.
///
/// # Errors
/// Somebody of the dataset is not prepared, unless that is to be left out; units were prepared in different ways; images and rows do not belong
/// together one to one; another cohort is there.
pub fn gather_units(
    dataset: &Path,
    folder: &Path,
    out: &Path,
    options: &GatherOptions,
    progress: &dyn Progress,
) -> Result<PrepareSummary> {
    let there: BTreeSet<PathBuf> = match folder.is_dir() {
        true => entries(folder)?.into_iter().filter(|at| CohortLayout::at(at).document().is_file()).collect(),
        false => BTreeSet::new(),
    };
    let make = || Action::new("bids-app").on(dataset).on(folder.parent().unwrap_or(folder)).on("participant");
    let Some(first) = there.first().map(|at| Prepared::read(at)).transpose()? else {
        return Err(Error::file(
            folder,
            "no participant is prepared",
            remedy!["begin with the participants: ", make()],
        ));
    };
    let all = names(dataset, &first.options, options)?;
    all.notes.iter().for_each(|note| progress.warn(note));
    all.advice.iter().for_each(|(note, remedy)| progress.advise(note, remedy));

    let missing: Vec<&str> =
        all.items.iter().map(|item| item.id.as_str()).filter(|id| !there.contains(&place(folder, id))).collect();
    if !missing.is_empty() && (!options.keep_going || missing.len() == all.items.len()) {
        let (count, of) = (missing.len(), all.items.len());
        let what = format!("{count} of {of} {} not prepared: {}", does(count, "is", "are"), few(&missing));
        let people: BTreeSet<String> = missing.iter().map(|id| Unit::of_id(id).label).collect();
        // Of many, everybody: who is prepared is not prepared again.
        let named = people.iter().filter(|_| people.len() <= NAMED);
        let make = named.fold(make(), |make, label| make.with(PARTICIPANT_LABEL, label));
        return Err(Error::file(
            folder,
            what,
            remedy!["prepare them: ", make, "; or leave them out with ", KEEP_GOING],
        ));
    }
    let mut units: Vec<Option<Prepared>> = Vec::with_capacity(all.items.len());
    let mut inputs = String::new();
    for item in &all.items {
        let at = place(folder, &item.id);
        let unit = there.contains(&at).then(|| Prepared::read(&at)).transpose()?;
        if let Some(unit) = &unit {
            unit.same_as(&first)?;
            inputs.push_str(&format!(
                "{} {}\n",
                item.id,
                unit.cohort.subjects[0].marks().collect::<Vec<_>>().join(" ")
            ));
        }
        units.push(unit);
    }
    others(&there, folder, &all, options, progress);

    let table = all.participants.to_tsv()?;
    let made_by = serde_json::json!({
        "command": "prepare",
        "source": absolute(dataset)?,
        "options": first.options,
        "inputs": hash_bytes(format!("{inputs}{table}").as_bytes()),
    });
    let preparation = &first.cohort.preparation;
    let mut summary = PrepareSummary {
        cohort: None,
        prepared: 0,
        resumed: 0,
        failed: Vec::new(),
        without_row: all.without_row.clone(),
        without_image: all.without_image.clone(),
        findings: Vec::new(),
        lost_on_the_grid: lost_on_the_grid(preparation)?,
        inclusion: all.inclusion.clone(),
    };
    let stored = Stored { shape: preparation.input_shape(), dtype: first.cohort.dtype };
    let cohort = match Writer::begin(out, &made_by, stored, units.len(), options.force, progress)? {
        Begun::Complete(cohort) => *cohort,
        Begun::Open(writer) => {
            let ready = put(&writer, &units, &all, &mut summary, progress)?;
            if let Some(stripped) = stripped(&ready) {
                progress.warn(&stripped);
            }
            if let Some((same, remedy)) = same_images(&ready) {
                progress.advise(&same, &remedy);
            }
            summary.inclusion.used = ready.len();
            writer.finish_with(preparation, &all.participants, Some(summary.inclusion.clone()))?
        }
    };
    if let Some(inclusion) = &cohort.inclusion {
        summary.inclusion = inclusion.clone();
    }
    summary.prepared = cohort.subjects.len();
    summary.findings = findings(&cohort.subjects);
    summary.cohort = Some(cohort);
    Ok(summary)
}

/// People who are named in the command that prepares them.
const NAMED: usize = 20;

/// The folder of a unit among the others.
fn place(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("sub-{id}"))
}

/// Who is in the dataset, with their rows, as a preparation would find them: by names alone. Masks and templates are of no concern any more.
fn names(dataset: &Path, prepared: &PrepareOptions, options: &GatherOptions) -> Result<Plan> {
    let asked = PrepareOptions {
        participants: options.participants.clone(),
        labels: options.labels.clone(),
        each_session: true,
        entities: prepared.entities.iter().cloned().chain(options.session.clone()).collect(),
        mask: MaskRule::Unstated,
        mask_threshold: None,
        whole_head: false,
        align: None,
        space: Space::Mask,
        keep_going: options.keep_going,
        ..prepared.clone()
    };
    let source = Source::of(dataset)?.of_labels(options.labels.as_deref())?;
    let Source::Bids(..) = source else {
        let what = "is no BIDS dataset: no folder sub-* in it has a folder anat";
        return Err(Error::file(dataset, what, "give the dataset that the participants were prepared from"));
    };
    Plan::new(&[Site { path: dataset.to_owned(), ..Site::default() }], &asked)
}

/// Names units of whom the dataset, or its table, does not know.
fn others(there: &BTreeSet<PathBuf>, folder: &Path, all: &Plan, options: &GatherOptions, progress: &dyn Progress) {
    if options.labels.is_some() || options.session.is_some() {
        return;
    }
    let known: BTreeSet<PathBuf> = all.items.iter().map(|item| place(folder, &item.id)).collect();
    let others: Vec<&str> = there.iter().filter(|at| !known.contains(*at)).map(|at| name(at)).collect();
    if !others.is_empty() {
        progress.warn(&format!(
            "{} {} prepared and {} no place in the cohort, as the dataset or its table does not have them: {}",
            counted(others.len(), "participant"),
            does(others.len(), "is", "are"),
            have(others.len()),
            few(&others)
        ));
    }
}

/// Copies everybody to their place; who is not prepared is counted as left out.
fn put(
    writer: &Writer,
    units: &[Option<Prepared>],
    all: &Plan,
    summary: &mut PrepareSummary,
    progress: &dyn Progress,
) -> Result<Vec<Subject>> {
    let mut ready = Vec::with_capacity(units.len());
    progress.begin("gathering", units.len());
    let mut copy = || -> Result<()> {
        for (n, (item, unit)) in all.items.iter().zip(units).enumerate() {
            progress.go_on()?;
            match unit {
                Some(Prepared { cohort, .. }) => {
                    let subject = &cohort.subjects[0];
                    if writer.done(n).is_none_or(|done| done != *subject) {
                        writer.put(n, subject, &cohort.channels(0)?, &cohort.mask(0)?)?;
                    }
                    ready.push(subject.clone());
                }
                None => {
                    let why = "the participant was not prepared";
                    left_out_of_source(&mut summary.inclusion, &all.source_of, n);
                    summary.failed.push(Failure { subject: item.id.clone(), what: why.into(), remedy: None });
                    summary.inclusion.left_out.push(LeftOut::new(item.id.as_str(), why));
                }
            }
            progress.advance(1, &item.id);
        }
        Ok(())
    };
    let copied = copy();
    progress.end();
    copied.map(|()| ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tree::tree;

    #[test]
    fn units_are_sessions_of_people_and_nobody_is_lost() {
        let dir = tree([
            "sub-01/anat/sub-01_T1w.nii",
            "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii",
            "sub-02/ses-1/anat/sub-02_ses-1_acq-fast_T1w.nii",
            "sub-02/ses-2/anat/sub-02_ses-2_T1w.nii",
            "sub-03/func/sub-03_task-rest_bold.nii",
            "sub-04/anat/sub-05_T1w.nii",
        ]);
        let found = |options: PrepareOptions| {
            let found = units(dir.path(), &options).unwrap();
            let ids: Vec<String> = found.units.iter().map(Unit::id).collect();
            let lacking: Vec<String> = found.lacking.into_iter().map(|f| f.subject).collect();
            (ids.join(" "), lacking.join(" "))
        };
        let all = found(PrepareOptions::default());
        assert_eq!(all, ("01 02_ses-1 02_ses-2".to_owned(), "03 04".to_owned()));
        let session = PrepareOptions { entities: vec![EntityFilter::new("ses", "2")], ..PrepareOptions::default() };
        assert_eq!(found(session), ("02_ses-2".to_owned(), "03 04 01".to_owned()));
        let one = PrepareOptions { labels: Some(vec!["03".into()]), ..PrepareOptions::default() };
        assert_eq!(found(one), (String::new(), "03".to_owned()));
        let error = units(
            dir.path(),
            &PrepareOptions { labels: Some(vec!["01".into(), "9".into()]), ..PrepareOptions::default() },
        );
        let error = error.unwrap_err();
        assert!(error.to_string().ends_with("it has no sub-9"), "{error}");
        assert_eq!(error.remedy().unwrap().to_string(), "there are sub-01, sub-02, sub-03, sub-04");
        // Whoever is asked for by name does not fail for others.
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/nowhere", dir.path().join("sub-06")).unwrap();
            assert_eq!(found(PrepareOptions::default()).1, "03 06 04");
            let one = PrepareOptions { labels: Some(vec!["01".into()]), ..PrepareOptions::default() };
            assert_eq!(found(one), ("01".to_owned(), String::new()));
        }
        let other = tree(["a.nii", "b.nii"]);
        assert!(
            units(other.path(), &PrepareOptions::default()).unwrap_err().to_string().contains("is no BIDS dataset")
        );
    }

    #[test]
    fn ids_say_the_unit_and_its_folder() {
        for (id, label, session, folder) in
            [("01", "01", None, "sub-01/anat"), ("A2_ses-x1", "A2", Some("x1"), "sub-A2/ses-x1/anat")]
        {
            let unit = Unit::of_id(id);
            assert_eq!((unit.label.as_str(), unit.session.as_deref()), (label, session));
            assert_eq!((unit.id().as_str(), unit.folder()), (id, PathBuf::from(folder)));
        }
    }
}
