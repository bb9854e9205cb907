//! [`measure_regions`]: the region table of many map files.

mod record;

pub use record::{RegionRecord, check_name};

use crate::{
    atlas::{Atlas, LabelTable, MapName, Person, RegionTable},
    cohort::Cohort,
    listed::{counted, listed},
    map::{Variant, channel_word, files_of, maps_below, read_image, read_record_beside, target},
    run::{Models, Outcome, Run, RunLayout, digest},
    setting::{CHANNEL, MASK},
};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use voxplain_attribution::{ChannelMap, ChannelRecord};
use voxplain_core::{Action, Error, Progress, Remedy, Result, remedy};
use voxplain_volume::{Finding, Grid, Labels, Level, Mask, MaskOptions, odd_brain_volume, read_mask};

/// Which atlas, and how strictly it is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionOptions {
    /// The label image. `{id}` in its path stands for the subject's id: every subject then has labels of its own.
    pub atlas: String,
    /// The table of its labels.
    pub labels: PathBuf,
    /// Brain mask on the maps' grid; `{id}` as above. Where nothing is said, those of the cohort are taken.
    pub mask: Option<String>,
    /// The value above which a voxel of that mask is in the brain; where nothing is said, it must be a mask beyond doubt
    /// ([`read_mask`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_threshold: Option<f64>,
    /// The cohort whose brain masks are taken, where no mask is given; where nothing is said, that of a run, as its manifest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<PathBuf>,
    /// Take the maps of this channel, where methods tell the channels of a network's input apart; where nothing is said, their sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Go on when image and table do not match.
    pub allow_mismatch: bool,
}

/// Measures every map file in every region, and the group of them.
///
/// A directory among `maps` stands for all maps in it ([`maps_below`]). Of a run those count that its models made; the others are
/// left out, and a finding says so. Subject and method are taken from a map's record and, without one, from its name
/// (`sub-<id>_..._desc-<method>_...`). The brains of a run's subjects are those of its cohort, unless a mask is given; maps of
/// nobody in a cohort are measured where they or the labels are not 0. Of a run's people the table also has the true class and what
/// the model that made the map said of them. A single map in a run, or the folder of a subject, is one of that run too.
///
/// # Errors
/// [`Atlas::open`], [`RegionTable::measure`], files that cannot be read, no map at all, a run whose cohort is not found.
pub fn measure_regions(maps: &[PathBuf], what: &RegionOptions, progress: &dyn Progress) -> Result<RegionTable> {
    let mut table = RegionTable::default();
    let Sources { files, cohorts } = Sources::find(maps, what, &mut table)?;
    let mut atlas: Option<(String, Atlas)> = None;
    // Maps of one grid share the labels on it.
    let mut placed: Option<(Grid, Labels)> = None;
    let mut models = BTreeSet::new();
    let mut without_brain = Vec::new();
    let heads = files.iter().find_map(|file| file.whole_heads.as_deref());
    let heads = heads.or_else(|| cohorts.iter().find_map(|cohort| cohort.preparation.whole_heads()));
    if let Some(heads) = heads {
        table.note(Finding {
            id: "whole-heads",
            level: Level::Warning,
            what: heads.trim_end_matches('.').to_owned(),
            remedy: "nothing to do if that is meant; otherwise prepare the cohort with brain masks".into(),
        });
    }
    progress.begin("regions", files.len());
    let done: Result<()> = files.iter().try_for_each(|MapFile { path, name, model, made_from, .. }| {
        progress.go_on()?;
        let image = what.image(name, path)?;
        let atlas = match &mut atlas {
            Some((path, atlas)) if *path == image => atlas,
            slot => {
                placed = None;
                &mut slot.insert((image.clone(), Atlas::open(Path::new(&image), &what.labels, what.allow_mismatch)?)).1
            }
        };
        let map = read_image(path)?;
        let mask = match &what.mask {
            Some(pattern) => {
                let options = MaskOptions::brain(what.mask_threshold);
                let file = fill(pattern, name, path)?;
                let mask = read_mask(Path::new(&file), &options)?;
                table.note_all(mask.warnings());
                if let Some(what) = odd_brain_volume(mask.volume()) {
                    table.note(Finding {
                        id: "mask-volume",
                        level: Level::Warning,
                        what: format!("{file}: {what}"),
                        remedy: "nothing to do if it is meant to be so; otherwise give the mask of the brain".into(),
                    });
                }
                Some(mask.on(map.grid())?)
            }
            None => brain_of(&cohorts, name, map.grid())?,
        };
        if mask.is_none() && !cohorts.is_empty() {
            without_brain.push(path);
        }
        let labels = match &placed {
            Some((grid, labels)) if grid == map.grid() => labels,
            _ => &placed.insert((*map.grid(), atlas.on_grid(map.grid())?)).1,
        };
        table.measure_on(name, &map, (atlas, labels), mask.as_ref())?;
        models.extend(model.clone());
        if let (Some(subject), Some((method, digest))) = (&name.subject, made_from) {
            table.made_from.add(subject, method, digest.clone());
        }
        progress.advance(1, &name.map);
        Ok(())
    });
    progress.end();
    done?;
    if let Some(first) = without_brain.first() {
        table.note(Finding {
            id: "no-brain-mask",
            level: Level::Warning,
            what: format!(
                "{}: the cohort has no brain mask on the grid of this map{}",
                first.display(),
                and_more(without_brain.len())
            ),
            remedy: "all voxels with a label or a value other than 0 are taken for brain, so numbers are not those of the others".into(),
        });
    }
    let unknown: BTreeSet<&str> = table
        .rows
        .iter()
        .filter_map(|row| {
            let key = (row.map.subject.clone()?, row.map.model.clone()?);
            (!table.people.is_empty() && !table.people.contains_key(&key)).then_some(row.map.map.as_str())
        })
        .collect();
    if let Some(first) = unknown.first() {
        let what = format!(
            "{first}: the model that made this map is not the one that judged the person{}",
            and_more(unknown.len())
        );
        let remedy = "nothing to do: class, prediction and outcome are missing in its rows".into();
        table.note(Finding { id: "map-of-nobody-held-out", level: Level::Note, what, remedy });
    }
    let seen: Vec<&MapFile> = files.iter().filter(|file| file.in_sample).collect();
    if let Some(first) = seen.first() {
        table.note(Finding {
            id: "map-in-sample",
            level: Level::Warning,
            what: format!(
                "{}: the model that made this map was trained on the subject{}",
                first.path.display(),
                and_more(seen.len())
            ),
            remedy: "nothing to do if that is meant; of new people such a model may use other regions".into(),
        });
    }
    let mut targets = BTreeMap::<&str, BTreeMap<&str, usize>>::new();
    for file in &files {
        if let (Some(method), Some(target)) = (&file.name.method, &file.target) {
            *targets.entry(method).or_default().entry(target).or_default() += 1;
        }
    }
    for (method, of) in targets.iter().filter(|(_, of)| of.len() > 1) {
        let words: Vec<String> =
            of.iter().map(|(target, maps)| format!("{target} ({})", counted(*maps, "map"))).collect();
        table.note(Finding {
            id: "map-targets-differ",
            level: Level::Warning,
            what: format!("{method}: the maps do not explain the same: {}", listed(&words, 6)),
            remedy: "make them alike, or measure those of each kind by themselves: their means are of different things"
                .into(),
        });
    }
    table.models = models.into_iter().collect();
    let measured: BTreeSet<&str> = table.rows.iter().filter_map(|row| row.map.subject.as_deref()).collect();
    let mut persons_of = BTreeMap::new();
    for cohort in &cohorts {
        let of: Vec<usize> =
            (0..cohort.subjects.len()).filter(|&n| measured.contains(cohort.subjects[n].id.as_str())).collect();
        let Some(persons) = cohort.persons(&of)? else { continue };
        for (subject, person) in of.into_iter().zip(persons.of) {
            persons_of.insert(cohort.subjects[subject].id.clone(), persons.names[person].clone());
        }
    }
    table.persons = persons_of;
    table.summarise();
    Ok(table)
}

/// A map to be measured.
struct MapFile {
    path: PathBuf,
    name: MapName,
    /// BLAKE3 of the model that made it, where its record says so.
    model: Option<String>,
    /// The method of the map that a run knows it by, and what that is, by its record.
    made_from: Option<(String, String)>,
    /// The channels of what was explained, where there are several.
    channels: Option<ChannelRecord>,
    /// That its image was taken as a whole head, in a sentence.
    whole_heads: Option<String>,
    /// Whether the model that made it was trained on the subject.
    in_sample: bool,
    /// What was asked to be explained.
    target: Option<String>,
}

/// What is to be measured, and whose brains are known.
#[derive(Default)]
struct Sources {
    files: Vec<MapFile>,
    cohorts: Vec<Cohort>,
}

impl Sources {
    fn find(maps: &[PathBuf], what: &RegionOptions, table: &mut RegionTable) -> Result<Self> {
        let mut sources = Self::default();
        if let (Some(path), None) = (&what.cohort, &what.mask) {
            sources.cohorts.push(Cohort::open(path)?);
        }
        let mut runs = BTreeSet::new();
        for path in maps {
            if RunLayout::at(path).manifest().is_file() {
                sources.of_run(path, what, table)?;
                continue;
            }
            if path.is_dir() {
                let found = maps_below(path)?;
                if found.is_empty() {
                    return Err(no_maps(path, "holds no map (*_attribution.nii.gz)"));
                }
                for file in found {
                    sources.files.push(MapFile::new(file)?);
                }
            } else {
                sources.files.push(MapFile::new(path.clone())?);
            }
            runs.extend(run_above(path));
        }
        for run in runs {
            sources.of_part(&run, what, table)?;
        }
        sources.count_once(table)?;
        if let Some(channel) = &what.channel {
            sources.take_channel(channel, table)?;
        }
        Ok(sources)
    }

    /// Puts the map of a channel in the place of each map that is a sum over channels. Where a method makes one map for all channels, it
    /// is left out, with a word.
    fn take_channel(&mut self, channel: &str, table: &mut RegionTable) -> Result<()> {
        let mut together = Vec::new();
        for file in std::mem::take(&mut self.files) {
            let remedy = || remedy!["leave out ", CHANNEL];
            let Some(of) = &file.channels else {
                return Err(Error::file(file.path, "is of one channel, or its record names none", remedy()));
            };
            let Some(at) = of.names.iter().position(|name| name == channel) else {
                let what = format!("is of the channels {}, and of no {channel}", of.names.join(", "));
                return Err(Error::file(file.path, what, remedy!["name one of these with ", CHANNEL]));
            };
            match of.map {
                ChannelMap::Channel(own) if own == at => self.files.push(file),
                ChannelMap::Channel(_) => {
                    let what = format!("is the map of another channel than {channel}");
                    return Err(Error::file(file.path, what, remedy()));
                }
                ChannelMap::Together => together.push(file.path),
                ChannelMap::Sum => {
                    let Some(files) = files_of(&file.path) else {
                        return Err(Error::file(file.path, "is not called as maps are", "give it its own name again"));
                    };
                    let of_channel = MapFile::new(files.image(Variant::Channel(channel)))?;
                    self.files.push(MapFile { made_from: file.made_from, ..of_channel });
                }
            }
        }
        let Some(first) = together.first() else { return Ok(()) };
        let what =
            format!("{}: its method makes one map for all channels{}", first.display(), and_more(together.len()));
        if self.files.is_empty() {
            return Err(Error::request(
                what,
                remedy!["take methods that tell channels apart, such as saliency, or leave out ", CHANNEL],
            ));
        }
        let remedy = "nothing to do: it is left out".into();
        table.note(Finding { id: "one-map-for-all-channels", level: Level::Note, what, remedy });
        Ok(())
    }

    /// Keeps each file once, whatever names and links it was given by: a person would count twice in the means.
    fn count_once(&mut self, table: &mut RegionTable) -> Result<()> {
        let (mut seen, mut again) = (BTreeSet::new(), Vec::new());
        for file in std::mem::take(&mut self.files) {
            let real = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
            if seen.insert(real) { self.files.push(file) } else { again.push(file.path) }
        }
        if let Some(first) = again.first() {
            table.note(Finding {
                id: "map-named-twice",
                level: Level::Note,
                what: format!("{}: named more than once{}", first.display(), and_more(again.len())),
                remedy: "nothing to do: every map is measured and counted once".into(),
            });
        }
        Ok(())
    }

    /// The people, and the brains where they are found, of a run of which some maps are measured.
    fn of_part(&mut self, path: &Path, what: &RegionOptions, table: &mut RegionTable) -> Result<()> {
        let run = Run::open(path)?.with_cohort(what.cohort.as_deref());
        if what.mask.is_none() && what.cohort.is_none() {
            match run.cohort() {
                Ok(cohort) => self.cohorts.push(cohort),
                Err(error) => table.note(Finding {
                    id: "no-cohort",
                    level: Level::Warning,
                    what: format!("the brains of this run's people are not known: {error}"),
                    remedy:
                        "all voxels with a label or a value other than 0 are taken for brain; say where the cohort is, \
                             or give a mask"
                            .into(),
                }),
            }
        }
        people_of(&run, &run.models()?, table)
    }

    /// The maps that the models of a run made, and the brains of its subjects.
    fn of_run(&mut self, path: &Path, what: &RegionOptions, table: &mut RegionTable) -> Result<()> {
        let run = Run::open(path)?.with_cohort(what.cohort.as_deref());
        if what.mask.is_none() {
            let cohort = run.cohort().map_err(|error| match error {
                Error::File { path, what, remedy } => {
                    let or = remedy![", or where the brain is with ", MASK];
                    Error::file(path, what, Remedy::new(remedy.parts().iter().chain(or.parts()).cloned()))
                }
                other => other,
            })?;
            if what.cohort.is_none() {
                self.cohorts.push(cohort);
            }
        }
        let (models, mut stale, mut seen, before) = (run.models()?, Vec::new(), Vec::new(), self.files.len());
        let mut of_test_set = Vec::new();
        for file in maps_below(path)? {
            let file = MapFile::new(file)?;
            // Without a record, a map of the run is not finished; one in another folder is somebody's.
            let of_subject = file.path.parent().and_then(Path::parent) == Some(path);
            let counts = file.model.as_ref().map_or(!of_subject, |model| models.have(model));
            match (counts, file.in_sample) {
                (false, _) => stale.push(file.path),
                // As group and evaluate do: what a model says of people that it learnt from is not what it says of new ones.
                (true, true) => seen.push(file.path),
                (true, false) if file.name.subject.as_ref().is_some_and(|id| run.manifest.is_kept_for_test(id)) => {
                    of_test_set.push(file.path);
                }
                (true, false) => self.files.push(file),
            }
        }
        if let Some(first) = seen.first() {
            table.note(Finding {
                id: "map-in-sample",
                level: Level::Warning,
                what: format!(
                    "{}: left out, since the model that made this map was trained on the subject{}",
                    first.display(),
                    and_more(seen.len())
                ),
                remedy: "to measure such maps too, name their files and not the run".into(),
            });
        }
        if let Some(first) = of_test_set.first() {
            table.note(Finding {
                id: "map-of-test-set",
                level: Level::Note,
                what: format!(
                    "{}: left out, since the person is in the test set, which is in no fold{}",
                    first.display(),
                    and_more(of_test_set.len())
                ),
                remedy: "to measure such maps too, name their files and not the run".into(),
            });
        }
        if self.files.len() == before {
            let what = if stale.is_empty() && seen.is_empty() {
                "holds no map (*_attribution.nii.gz)"
            } else if stale.is_empty() {
                "holds no map (*_attribution.nii.gz) of subjects that the model was not trained on"
            } else {
                "holds no map (*_attribution.nii.gz) of the models that it has now"
            };
            return Err(no_maps(path, what));
        }
        if let Some(first) = stale.first() {
            table.note(Finding {
                id: "map-of-another-model",
                level: Level::Warning,
                what: format!(
                    "{}: left out, since no model that the run has now made this map, or it was not finished{}",
                    first.display(),
                    and_more(stale.len())
                ),
                remedy: "explain the run again by this method, or remove the map".into(),
            });
        }
        self.missing(&run, before, table)?;
        people_of(&run, &models, table)
    }

    /// Says which subjects that were held out have no map of a method of which others have one.
    fn missing(&self, run: &Run, before: usize, table: &mut RegionTable) -> Result<()> {
        if !run.layout().predictions().is_file() {
            return Ok(());
        }
        let held_out: Vec<String> = match run.manifest.task.value() {
            Some(_) => run.value_predictions()?.into_iter().map(|p| p.participant_id).collect(),
            None => run.predictions()?.into_iter().map(|p| p.participant_id).collect(),
        };
        let mut of = BTreeMap::<&str, BTreeSet<&str>>::new();
        for file in &self.files[before..] {
            if let (Some(method), Some(subject)) = (&file.name.method, &file.name.subject) {
                of.entry(method).or_default().insert(subject);
            }
        }
        for (method, there) in of {
            let lack: Vec<&String> = held_out.iter().filter(|id| !there.contains(id.as_str())).collect();
            if !lack.is_empty() {
                table.note(Finding {
                    id: "map-missing",
                    level: Level::Warning,
                    what: format!(
                        "{}: no map by {method} of {} of {} held-out subjects: {}",
                        run.path.display(),
                        lack.len(),
                        held_out.len(),
                        listed(&lack, 8)
                    ),
                    remedy: "the means are over the others; explain the run by this method to have all".into(),
                });
            }
        }
        Ok(())
    }
}

/// The run that a map of a subject, or the folder of one, lies in.
fn run_above(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    let folder = if real.is_dir() { &real } else { real.parent()? };
    let of_subject = folder.file_name()?.to_string_lossy().starts_with("sub-");
    folder.parent().filter(|run| of_subject && RunLayout::at(run).manifest().is_file()).map(Path::to_path_buf)
}

/// The people of a run, each with the model in whose fold they were held out.
fn people_of(run: &Run, models: &Models, table: &mut RegionTable) -> Result<()> {
    if !run.layout().predictions().is_file() {
        table.note(Finding {
            id: "no-predictions",
            level: Level::Warning,
            what: format!("{}: has no predictions yet, so that classes and outcomes are missing", run.path.display()),
            remedy: "train it to its end, and make the table again".into(),
        });
        return Ok(());
    }
    if run.manifest.task.value().is_some() {
        for prediction in run.value_predictions()? {
            let Some(model) = models.of_fold(prediction.fold) else { continue };
            let person = Person {
                fold: prediction.fold,
                label: prediction.truth.to_string(),
                predicted: prediction.predicted.to_string(),
                outcome: match prediction.error().total_cmp(&0.0) {
                    Ordering::Greater => "over",
                    Ordering::Less => "under",
                    Ordering::Equal => "exact",
                }
                .into(),
                probabilities: Vec::new(),
                error: Some(prediction.error()),
            };
            table.people.insert((prediction.participant_id, model.to_owned()), person);
        }
        return Ok(());
    }
    let positive = run.metrics()?.map(|metrics| metrics.positive);
    let classes = run.manifest.task.classes();
    for prediction in run.predictions()? {
        let Some(model) = models.of_fold(prediction.fold) else { continue };
        let outcome = Outcome::of(&prediction, classes, positive.as_deref()).word().to_owned();
        let person = Person {
            fold: prediction.fold,
            label: prediction.truth,
            predicted: prediction.predicted,
            outcome,
            probabilities: classes.iter().cloned().zip(prediction.probabilities).collect(),
            error: None,
        };
        table.people.insert((prediction.participant_id, model.to_owned()), person);
    }
    Ok(())
}

fn no_maps(path: &Path, what: &str) -> Error {
    Error::file(path, what, remedy!["make maps with `", Action::new("explain"), "`"])
}

fn and_more(count: usize) -> String {
    if count > 1 { format!(" (and {} more like this)", count - 1) } else { String::new() }
}

impl MapFile {
    /// Subject and method are taken from the record and, without one, from the name. A session is part of the subject
    /// there: `sub-01_ses-2_...` is of 01_ses-2.
    fn new(path: PathBuf) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let entity = |key: &str| name.split('_').find_map(|part| part.strip_prefix(key)).map(str::to_owned);
        let named = || match (entity("sub-"), entity("ses-")) {
            (Some(subject), Some(session)) => Some(format!("{subject}_ses-{session}")),
            (subject, _) => subject,
        };
        let record = read_record_beside(&path)?;
        let whole_heads = record.as_ref().and_then(|record| record.whole_heads.clone());
        let in_sample = record.as_ref().is_some_and(|record| record.in_sample == Some(true));
        let target = record.as_ref().map(target);
        let channels = record.as_ref().and_then(|record| record.channels.clone());
        let mut made_from = record.as_ref().map(|record| (record.method.clone(), digest(record)));
        let (subject, method, model) = match record {
            // The record of an image that is nobody's of a cohort has the stem of its name there.
            Some(record) if name.starts_with(&format!("sub-{}_", record.subject)) => {
                (Some(record.subject), Some(record.method), Some(record.model))
            }
            Some(record) => (named(), Some(record.method), Some(record.model)),
            None => (named(), entity("desc-"), None),
        };
        let mut method = method;
        if let Some(ChannelRecord { names, map: ChannelMap::Channel(n), .. }) = &channels
            && let (Some(channel), Some(of)) = (names.get(*n), &mut method)
        {
            of.push('-');
            of.push_str(&channel_word(channel));
            // A run knows the sum alone.
            made_from = None;
        }
        Ok(Self {
            path,
            name: MapName { subject, method, map: name, model: model.clone() },
            model,
            made_from,
            channels,
            whole_heads,
            in_sample,
            target,
        })
    }
}

/// The brain of a map's subject, where one of the cohorts holds it on the map's grid.
fn brain_of(cohorts: &[Cohort], name: &MapName, grid: &Grid) -> Result<Option<Mask>> {
    for cohort in cohorts {
        let subject = cohort.subjects.iter().position(|s| Some(&s.id) == name.subject.as_ref());
        if let Some(mask) = subject.map(|n| cohort.mask(n)).transpose()?
            && mask.grid().same_space(grid, 1e-3)
        {
            return Ok(Some(mask));
        }
    }
    Ok(None)
}

impl RegionOptions {
    /// Refuses files that could not be measured in, whatever the maps: those of one atlas for all, the table of labels, one mask for all.
    ///
    /// # Errors
    /// [`Atlas::open`]; a file that cannot be read.
    pub fn check(&self) -> Result<()> {
        let of_each = |pattern: &str| pattern.contains("{id}");
        match of_each(&self.atlas) {
            true => LabelTable::read(&self.labels).map(|_| ())?,
            false => Atlas::open(Path::new(&self.atlas), &self.labels, self.allow_mismatch).map(|_| ())?,
        }
        if let Some(mask) = self.mask.as_deref().filter(|mask| !of_each(mask)) {
            read_mask(Path::new(mask), &MaskOptions::brain(self.mask_threshold))?;
        }
        Ok(())
    }

    /// The label image for a map's subject.
    ///
    /// # Errors
    /// The path asks for a subject, and the map's name has none.
    pub fn image(&self, name: &MapName, file: &Path) -> Result<String> {
        fill(&self.atlas, name, file)
    }
}

fn fill(pattern: &str, name: &MapName, file: &Path) -> Result<String> {
    if !pattern.contains("{id}") {
        return Ok(pattern.to_owned());
    }
    let id = name.subject.as_ref().ok_or_else(|| {
        Error::file(file, "has no subject in its name (sub-<id>_...)", "without one, give an atlas path without {id}")
    })?;
    Ok(pattern.replace("{id}", id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels and brain masks are looked up by the subject of a map: with half an id, none would be found.
    #[test]
    fn a_session_belongs_to_the_subject() {
        let subject = |name: &str| MapFile::new(name.into()).unwrap().name.subject;
        assert_eq!(subject("sub-01_desc-gradcam_attribution.nii.gz").as_deref(), Some("01"));
        assert_eq!(subject("sub-01_ses-2_desc-gradcam_attribution.nii.gz").as_deref(), Some("01_ses-2"));
        assert_eq!(subject("sub-01_ses-2_space-MNI_desc-gradcam_attribution.nii.gz").as_deref(), Some("01_ses-2"));
        assert_eq!(subject("mean_attribution.nii.gz"), None);
    }
}
