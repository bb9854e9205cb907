//! Units: each session of each person of a BIDS dataset, prepared by itself by whoever comes ([`prepare_unit`]), and the cohort that is made of
//! them ([`gather_units`]).
//!
//! A unit is a cohort of one. It depends on the person's own files and the options alone: neither on who else is in the dataset, nor on the
//! table of people, which is read when units are put together. So each may be prepared on a machine that has the files of nobody else.

use super::{
    EntityFilter, Failure, MaskRule, PrepareOptions, PrepareSummary, Site, Space, channels,
    choice::none_chosen,
    entities::{Entities, choices},
    findings, left_out_of_source,
    level::ParticipantLevel,
    lost_on_the_grid,
    matching::few,
    plan::Plan,
    prepare_sites,
    prepared::{Prepared, as_before, commonest, prepared_in},
    same_images, sessions,
    source::{FoundImages, Source, absolute, name},
    stripped,
};
use crate::{
    cohort::{Begun, LeftOut, Stored, Subject, Writer, bare},
    listed::{counted, does, have},
    setting::{KEEP_GOING, PARTICIPANT_LABEL, PARTICIPANTS, SESSION_LABEL},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Phrase, Progress, Remedy, Result, hash_bytes, remedy};

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

    /// Of which an image is, by its path below a BIDS dataset.
    pub(super) fn of_image(below: &Path) -> Self {
        let entities = Entities::of_path(below);
        let label = entities.get("sub").unwrap_or_default().to_owned();
        Self { label, session: entities.get("ses").map(str::to_owned) }
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
    let mut people: BTreeMap<String, (BTreeSet<Unit>, Vec<&Path>)> = BTreeMap::new();
    for image in &images {
        let below = image.strip_prefix(root).unwrap_or(image);
        let unit = Unit::of_image(below);
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
    let of_nobody = people.values().all(|(units, _)| units.is_empty());
    if of_nobody && options.labels.is_none() && !people.is_empty() {
        let all: Vec<&Path> = people.values().flat_map(|(_, aside)| aside.iter().copied()).collect();
        return Err(none_chosen(root, &all, options));
    }
    for (label, (units, aside)) in people {
        if units.is_empty() {
            let error = none_chosen(root, &aside, options);
            let remedy = error.remedy();
            let what = match error {
                Error::File { what, .. } => what,
                other => other.to_string(),
            };
            found.lacking.push(Failure { subject: label, what, remedy });
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

/// Prepares one unit into the cohort `out`, which nobody else is in. One that is there stays as it is, where these options come to the same as
/// those that it was prepared by; and so does one of several images that was chosen before, where these options take it too.
///
/// # Errors
/// Those of [`prepare_sites`]; it is there, and was prepared otherwise; there are several images of this person in this session.
pub fn prepare_unit(
    dataset: &Path,
    unit: &Unit,
    out: &Path,
    options: &PrepareOptions,
    progress: &dyn Progress,
) -> Result<PrepareSummary> {
    let site = Site { path: absolute(dataset)?, ..Site::default() };
    let options = as_before(of_unit(unit, options)?, out, progress)?;
    prepare_sites(&[site], out, &options, progress)
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
    /// Columns that the table must have: what is to be done with the cohort needs them.
    pub columns: Vec<String>,
    /// The model that people are asked to be prepared for, where some are not.
    pub model: Option<PathBuf>,
}

/// Makes the cohort `out` of the units in a folder: everybody of the dataset in the order of its table, with its labels and covariates. Of several
/// images of a unit the one is taken that it was prepared from; where the rest would choose another, that is said. No image is read. The volumes, masks and table are the same, byte for byte, as those of the cohort that
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
    let there = prepared_in(folder)?;
    let out_of_all = folder.parent().unwrap_or(folder);
    let level = ParticipantLevel { dataset, out: out_of_all, model: options.model.as_deref() };
    let is_asked_for = |at: &&PathBuf| {
        let unit = Unit::of_id(bare(name(at)));
        options.labels.as_ref().is_none_or(|labels| labels.contains(&unit.label))
            && options.session.as_ref().is_none_or(|filter| filter.takes(&unit.folder()))
    };
    let prepared: BTreeMap<&PathBuf, Prepared> =
        there.iter().filter(is_asked_for).map(|at| Ok((at, Prepared::read(at)?))).collect::<Result<_>>()?;
    let Some(first) = commonest(prepared.values()) else {
        return Err(Error::file(
            folder,
            "no participant is prepared",
            remedy!["begin with the participants: ", level.for_all_of(options)],
        ));
    };
    let Named { plan: all, several } = names(dataset, &prepared, first, options, progress)?;
    all.notes.iter().for_each(|note| progress.warn(note));
    all.advice.iter().for_each(|(note, remedy)| progress.advise(note, remedy));

    let missing: Vec<&str> =
        all.items.iter().map(|item| item.id.as_str()).filter(|id| !there.contains(&place(folder, id))).collect();
    if !missing.is_empty() && (!options.keep_going || missing.len() == all.items.len()) {
        let (count, of) = (missing.len(), all.items.len());
        let what = format!("{count} of {of} {} not prepared: {}", does(count, "is", "are"), few(&missing));
        let people: BTreeSet<String> = missing.iter().map(|id| Unit::of_id(id).label).collect();
        // Of many, everybody: who is prepared is not prepared again.
        let make = if people.len() <= NAMED {
            people.iter().fold(level.command(), |make, label| make.with(PARTICIPANT_LABEL, label))
        } else {
            level.for_all_of(&GatherOptions { session: None, ..options.clone() })
        };
        let make = options.session.iter().fold(make, |make, filter| make.with(SESSION_LABEL, filter));
        let make = remedy!["prepare them: ", level.like(make, &first.options), "; or leave them out with ", KEEP_GOING];
        return Err(Error::file(folder, what, Remedy::new(make.parts().iter().cloned().chain(several))));
    }
    for column in &options.columns {
        all.participants.column(column).map_err(|error| {
            let table = options.participants.clone().unwrap_or_else(|| dataset.join("participants.tsv"));
            if !table.exists() {
                let what = format!("is not there, and the column `{column}` is asked for");
                return Error::file(table, what, remedy!["write it, or name the table of people with ", PARTICIPANTS]);
            }
            let remedy = error.remedy().unwrap_or_else(|| "name one that is there".into());
            Error::file(table, format!("there is no column `{column}`"), remedy)
        })?;
    }
    let mut units: Vec<Option<&Prepared>> = Vec::with_capacity(all.items.len());
    let mut inputs = String::new();
    for item in &all.items {
        let unit = prepared.get(&place(folder, &item.id));
        if let Some(unit) = unit {
            unit.same_as(first)?;
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

/// Who is in the dataset.
struct Named {
    plan: Plan,
    /// What chooses among the images of those who are not prepared and have several, to be said behind what makes them.
    several: Vec<Phrase>,
}

/// Who is in the dataset, with their rows, as a preparation would find them: by names alone. Of who is prepared that image is taken, and of others
/// those that the rest was chosen by. Masks and templates are of no concern any more.
fn names(
    dataset: &Path,
    prepared: &BTreeMap<&PathBuf, Prepared>,
    first: &Prepared,
    options: &GatherOptions,
    progress: &dyn Progress,
) -> Result<Named> {
    let source = Source::of(dataset)?.of_labels(options.labels.as_deref())?;
    let Source::Bids(root, _) = &source else {
        let what = "is no BIDS dataset: no folder sub-* in it has a folder anat";
        return Err(Error::file(dataset, what, "give the dataset that the participants were prepared from"));
    };
    let mut asked = PrepareOptions {
        participants: options.participants.clone(),
        labels: options.labels.clone(),
        each_session: true,
        entities: first.options.entities.iter().cloned().chain(options.session.clone()).collect(),
        mask: MaskRule::Unstated,
        mask_threshold: None,
        whole_head: false,
        align: None,
        space: Space::Mask,
        keep_going: options.keep_going,
        ..first.options.clone()
    };
    let of_unit: BTreeMap<Unit, &Prepared> =
        prepared.iter().map(|(at, unit)| (Unit::of_id(bare(name(at))), unit)).collect();
    let images = source.images(channels::first(&first.options))?.images;
    let mut of = BTreeMap::<Unit, Vec<PathBuf>>::new();
    for image in &images {
        let below = image.strip_prefix(root).unwrap_or(image);
        of.entry(Unit::of_image(below)).or_default().push(below.to_owned());
    }
    let (mut otherwise, mut gone, mut several) = (Vec::new(), Vec::new(), Vec::new());
    for (unit, images) in of {
        let by_rest: Vec<&PathBuf> = images.iter().filter(|image| asked.takes(image)).collect();
        match of_unit.get(&unit) {
            Some(Prepared { image: Some(image), .. }) if images.contains(image) => {
                if by_rest != [image] {
                    otherwise.push(format!("{} ({})", unit.id(), image.display()));
                }
                asked.taken.insert(unit, image.clone());
            }
            Some(Prepared { image: Some(image), .. }) => gone.push(format!("{} ({})", unit.id(), image.display())),
            None if by_rest.len() > 1 => {
                if let Some(choices) =
                    choices(&by_rest, std::iter::once(by_rest.as_slice())).filter(|_| several.is_empty())
                {
                    several.push("; of the images of ".into());
                    several.push(format!("{} choose with ", unit.id()).into());
                    several.extend(choices);
                }
                asked.taken.insert(unit, by_rest[0].clone());
            }
            _ => {}
        }
    }
    if !otherwise.is_empty() {
        let what = "was chosen by other options than those of the rest, and is taken as it was prepared";
        progress.warn(&format!("the image of {} {what}: {}", counted(otherwise.len(), "participant"), few(&otherwise)));
    }
    if !gone.is_empty() {
        let what = "is not in the dataset any more";
        let who = counted(gone.len(), "participant");
        progress.warn(&format!("the image that was prepared of {who} {what}: {}", few(&gone)));
    }
    let plan = Plan::new(&[Site { path: dataset.to_owned(), ..Site::default() }], &asked)?;
    Ok(Named { plan, several })
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
    units: &[Option<&Prepared>],
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
