//! Group maps, and the similarity of methods.
//!
//! The maps of a group of subjects are combined voxel by voxel: mean, median, standard deviation and sign consistency. There are
//! groups by true class and by outcome, so that "evidence for men" is not averaged over women. Methods are compared inside the
//! brain, subject by subject and on the group means.
//!
//! Voxels of different subjects are matched on the common lattice of the cohort ([`Cohort::common_grid`]).

mod members;
mod scale;
mod similarity;

pub use members::{Group, groups, value_groups};
pub use scale::{Scale, ScaleRecord};
pub use similarity::{Level, SimilarityRow};

use crate::listed::{counted, does, listed};
use crate::{
    cohort::Cohort,
    map::{read_image, read_record, record_path, target},
    run::{GroupLayout, MadeFrom, Run, RunMaps, digest},
    scratch::{OnDisk, Scratch},
    setting::{KEEP_GOING, METHOD},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain_attribution::Record;
use voxplain_core::{Action, Error, Progress, Result, remedy, seal};
use voxplain_stats::{Interval, Statistic, inference::Rows as _};
use voxplain_volume::{Grid, Mask, Volume, WriteOptions, write};

/// Which maps are combined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOptions {
    /// Names of the methods; all that the run has maps of, if empty.
    pub methods: Vec<String>,
    /// Subjects without a map are left out with a warning. Otherwise a missing map is an error.
    pub keep_going: bool,
    /// How maps are scaled before they are combined.
    pub scale: Scale,
}

/// Groups, methods, files and similarities: `group/summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// Version of voxplain.
    pub version: String,
    /// BLAKE3 of the models that made the maps, fold by fold; none in files of older versions.
    #[serde(default)]
    pub models: Vec<String>,
    /// The maps of subjects, by what their records said when they were combined; none in files of older versions.
    #[serde(default)]
    pub made_from: MadeFrom,
    /// The world of the group maps, in words.
    pub space: String,
    /// That the images were taken as whole heads, in a sentence; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_heads: Option<String>,
    /// The groups, all subjects first.
    pub groups: Vec<Group>,
    /// The methods.
    pub methods: Vec<MethodSummary>,
    /// The files.
    pub maps: Vec<GroupMap>,
    /// Number of voxels of the group's brain mask: brain in at least half of the subjects.
    #[serde(alias = "brain_voxels", alias = "BrainVoxels")]
    pub mask_voxels: usize,
    /// Similarity of every two methods.
    pub similarity: Vec<SimilarityRow>,
    /// Warnings: maps that are missing or not comparable.
    pub warnings: Vec<String>,
    /// Methods that there are maps of, but not of everybody: they were not asked for by name, and are not in this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// One method in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSummary {
    /// `grad-cam`, ...
    pub method: String,
    /// Subjects with a map.
    pub subjects: usize,
    /// Ids of subjects without a map.
    pub missing: Vec<String>,
    /// The target and scale that were asked for: `predicted, logit`.
    pub target: String,
    /// What a value of the group maps is.
    pub units: String,
    /// What the sign means.
    pub sign: String,
    /// The method's options.
    pub parameters: serde_json::Value,
    /// Operations that the method's rule was applied to, of all of their kind: `[3, 3]`; `None` for a method without a rule.
    pub rules_applied: Option<[usize; 2]>,
    /// The older behaviour that was asked for, if any.
    pub compat: Option<String>,
    /// Number of maps by a model that was trained on the subject.
    pub in_sample: usize,
    /// How its maps were scaled before they were combined; `None` in files of older versions, which did not scale.
    #[serde(default)]
    pub scale: Option<ScaleRecord>,
    /// Warnings in the records of the maps, and the number of maps that have them.
    pub warnings: Vec<(String, usize)>,
}

/// One file of `group/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupMap {
    /// The method.
    pub method: String,
    /// The group's name.
    pub group: String,
    /// `mean`, `median`, `sd`, `sign`.
    pub statistic: String,
    /// Number of subjects.
    pub subjects: usize,
    /// Name of the file in `group/`.
    pub file: String,
}

/// A subject with maps.
#[derive(Clone, Debug)]
struct Member {
    id: String,
    /// Position in the cohort.
    index: usize,
    /// One file per method.
    maps: Vec<PathBuf>,
    /// BLAKE3 of the model that made them; `None` where they are of different models.
    model: Option<String>,
}

/// Memory that maps may take at once while they are put together.
const BUDGET_BYTES: usize = 256 << 20;

/// Maps that are read beside each other at most.
const MAPS_AT_ONCE: usize = 64;

/// Makes `group/`: maps of groups, `mean_brain.nii.gz`, `brain_mask.nii.gz`, `similarity.tsv`, `summary.json`.
///
/// A map is called `<group>_stat-<statistic>_desc-<method>_attribution.nii.gz`, with `<group>` one of `group-all`,
/// `label-<class>`, `outcome-<tp, tn, fp, fn>` (two classes) or `label-<class>_outcome-<correct, incorrect>` (more); of a value
/// `label-<low, middle, high>` and `outcome-<over, under>`.
///
/// # Errors
/// No maps; maps of some subjects missing by methods that were named, or by all, unless [`GroupOptions::keep_going`]; maps on another grid than the
/// subject's; values that are no numbers.
pub fn group(run: &Run, options: &GroupOptions, progress: &dyn Progress) -> Result<GroupSummary> {
    let cohort = run.cohort()?;
    run.warn_of_changed_labels(&cohort, progress);
    if let Some(what) = cohort.unchecked() {
        progress.note(&what);
    }
    let (predictions, values) = match run.manifest.task.value() {
        None => (run.predictions()?, Vec::new()),
        Some(_) => (Vec::new(), run.value_predictions()?),
    };
    let of_classes = predictions.iter().map(|p| &p.participant_id);
    let held_out: Vec<&String> = of_classes.chain(values.iter().map(|p| &p.participant_id)).collect();
    let there = run.maps()?;
    let mut methods = there.chosen(Some(&options.methods[..]).filter(|methods| !methods.is_empty()), progress);
    if methods.is_empty() {
        return Err(there.none("hires-cam,guided-backprop"));
    }
    there.warn_of_others(&held_out.iter().map(|id| id.as_str()).collect(), &methods, progress);
    let (mut warnings, mut left_out) = (Vec::new(), Vec::new());
    if options.methods.is_empty() && !options.keep_going {
        let lacks = |method: &String| held_out.iter().filter(|id| !there.have(id, method)).count();
        let (whole, part): (Vec<String>, Vec<String>) = methods.iter().cloned().partition(|method| lacks(method) == 0);
        // Where none is complete, it is said below what each lacks.
        if !whole.is_empty() {
            for method in part {
                let (lack, all) = (lacks(&method), held_out.len());
                let what = format!("{method} is left out: there is no map of {lack} of {all} subjects");
                let make = Action::new("explain").on(&run.path).with(METHOD, &method);
                let remedy = remedy!["make them: ", make, "; or ", KEEP_GOING, " to leave these subjects out"];
                progress.advise(&what, &remedy);
                warnings.push(format!("{what}."));
                left_out.push(method);
            }
            methods = whole;
        }
    }
    let (mut members, mut missing) = (Vec::new(), vec![Vec::new(); methods.len()]);
    for &id in &held_out {
        let index = cohort.find(id).ok_or_else(|| Error::Subject {
            subject: id.clone(),
            what: format!("is in predictions.tsv but not in {}", cohort.path.display()),
            remedy: "train again on this cohort".into(),
        })?;
        let mut complete = true;
        for (_, missing) in methods.iter().zip(&mut missing).filter(|(method, _)| !there.have(id, method)) {
            missing.push(id.clone());
            complete = false;
        }
        if complete {
            let maps = methods.iter().map(|method| run.layout().map(id, method).path()).collect();
            members.push(Member { id: id.clone(), index, maps, model: None });
        }
    }
    for (method, missing) in methods.iter().zip(&missing).filter(|(_, m)| !m.is_empty()) {
        let named = listed(missing, 8);
        let why = there.why_missing(missing, method);
        let what = format!("{method}: no map of {} of {} subjects: {named}{why}", missing.len(), held_out.len());
        if !options.keep_going || missing.len() == held_out.len() {
            return Err(Error::file(
                &run.path,
                what,
                remedy![
                    "make them: ",
                    Action::new("explain").on(&run.path).with(METHOD, method),
                    "; or ",
                    KEEP_GOING,
                    " to leave these subjects out"
                ],
            ));
        }
        progress.warn(&what);
        warnings.push(format!("{what}; they are left out of every group."));
    }
    if members.is_empty() {
        return Err(Error::file(
            &run.path,
            "no subject has maps of all methods",
            remedy!["name fewer methods with ", METHOD],
        ));
    }

    let _claim = run.claim("group", progress)?;
    let layout = run.layout().group();
    std::fs::create_dir_all(layout.folder()).map_err(Error::io(layout.folder()))?;
    let (grid, space) = cohort.common_grid();
    let records = members
        .iter()
        .map(|m| m.maps.iter().map(|p| read_record(p)).collect::<Result<Vec<Record>>>())
        .collect::<Result<Vec<_>>>()?;
    for (member, records) in members.iter_mut().zip(&records) {
        member.model = Some(records[0].model.clone()).filter(|model| records.iter().all(|r| r.model == *model));
    }
    warnings.extend(differences(&members, &methods, &records));

    // Of a process that is killed nothing looks finished that is not.
    let done = layout.summary();
    if done.is_file() {
        std::fs::remove_file(&done).map_err(Error::io(&done))?;
    }
    let brain = mean_brain(&cohort, &members, &grid, &layout, progress)?;
    let positive = run.metrics()?.map(|m| m.positive);
    let models = run.models()?;
    let models = models.among(records.iter().flatten().map(|record| record.model.as_str()));
    let ids: Vec<&str> = members.iter().map(|m| m.id.as_str()).collect();
    let mut groups = match run.manifest.task.value() {
        None => groups(&predictions, &ids, run.manifest.task.classes(), positive.as_deref()),
        Some(value) => value_groups(value, &values, &ids),
    };
    let everyone: Vec<usize> = members.iter().map(|m| m.index).collect();
    let any_has_several = cohort.persons(&everyone)?.is_some();
    groups.iter_mut().try_for_each(|group| group.count_people(&cohort, any_has_several))?;
    if let Some(all) = groups.first_mut().filter(|_| any_has_several) {
        all.title = "all scans".into();
    }
    let mut made_from = MadeFrom::default();
    for (member, records) in members.iter().zip(&records) {
        methods.iter().zip(records).for_each(|(method, record)| made_from.add(&member.id, method, digest(record)));
    }
    let (mut maps, mut scales) = (Vec::new(), Vec::with_capacity(methods.len()));
    let mut means: BTreeMap<(String, String), Vec<f32>> = BTreeMap::new();
    progress.begin("group maps", methods.len());
    for (n, method) in methods.iter().enumerate() {
        progress.go_on()?;
        let files: Vec<(&Member, &Path)> = members.iter().map(|m| (m, m.maps[n].as_path())).collect();
        let models_of: Vec<&str> = records.iter().map(|r| r[n].model.as_str()).collect();
        let (volumes, scale) = statistics(
            &cohort,
            &files,
            (options.scale, &models_of),
            &groups,
            (&grid, &layout.values(), BUDGET_BYTES),
            progress,
        )?;
        for (group, statistic, volume) in volumes {
            let file = GroupLayout::map_name(&group.name, statistic.word(), method);
            let mut record = serde_json::json!({
                "Method": method,
                "Group": group.title,
                "Statistic": statistic.word(),
                "Subjects": group.subjects,
                "People": group.people,
                "Space": space,
                "Target": target(&records[0][n]),
                "Sign": records[0][n].sign,
                "Units": match statistic {
                    Statistic::Sign => "(above 0 - below 0) / maps",
                    _ => units(options.scale, &records[0][n]),
                },
                "Scale": scale,
                "ScaleMeans": options.scale.words(),
                "Models": models,
                "Version": env!("CARGO_PKG_VERSION"),
            });
            if let Some(heads) = cohort.preparation.whole_heads() {
                record["WholeHeads"] = heads.into();
            }
            let path = layout.map(&file);
            write_volume(&path, &volume)?;
            seal::write(&record_path(&path), &record)?;
            maps.push(GroupMap {
                method: method.clone(),
                group: group.name.clone(),
                statistic: statistic.word().into(),
                subjects: group.subjects.len(),
                file,
            });
            if statistic == Statistic::Mean {
                means.insert((group.name.clone(), method.clone()), inside(&volume, &brain));
            }
        }
        scales.push(scale);
        progress.advance(1, method);
    }
    progress.end();

    let similarity = similarity::compare(&cohort, &members, &methods, &groups, &means, progress)?;
    similarity::write_tsv(&layout.similarity(), &similarity)?;
    let summary = GroupSummary {
        version: env!("CARGO_PKG_VERSION").into(),
        models,
        made_from,
        space,
        whole_heads: cohort.preparation.whole_heads().map(str::to_owned),
        groups,
        methods: methods
            .iter()
            .enumerate()
            .zip(scales)
            .map(|((n, method), scale)| {
                let of: Vec<&Record> = records.iter().map(|records| &records[n]).collect();
                describe(method, &of, std::mem::take(&mut missing[n]), Some(scale))
            })
            .collect(),
        maps,
        mask_voxels: brain.data().iter().filter(|b| **b).count(),
        similarity,
        warnings,
        left_out,
    };
    let made = summary.maps.iter().flat_map(|map| [layout.map(&map.file), record_path(&layout.map(&map.file))]);
    let made = made.chain([layout.similarity(), layout.mean_brain(), layout.brain_mask()]);
    seal::vouch(&layout.summary(), &summary, made)?;
    Ok(summary)
}

impl GroupSummary {
    /// What one whose map is combined is called: a `scan` where people have several, else a `subject`.
    pub fn noun(&self) -> &'static str {
        self.groups.first().map_or("subject", |all| all.headcount().noun())
    }

    /// How the intervals of the similarities were found, what they are conditional on and which are absent, in sentences; `None` where
    /// nothing was compared.
    pub fn about_intervals(&self) -> Option<String> {
        let of_subjects = self.similarity.iter().filter(|row| row.level == Level::Subjects && row.group == "group-all");
        Interval::explain(&of_subjects.filter_map(|row| row.value).collect::<Vec<_>>())
    }

    /// How the maps of each method were scaled before they were combined, in sentences.
    pub fn about_scale(&self) -> Option<String> {
        let scaled = || self.methods.iter().filter_map(|method| Some((method, method.scale.as_ref()?)));
        let (_, first) = scaled().next()?;
        let mut text = format!("Before they are combined, {}.", first.scale.words());
        let ratios: Vec<String> =
            scaled().filter_map(|(method, scale)| Some(format!("{} {:.1}", method.method, scale.ratio?))).collect();
        if !ratios.is_empty() {
            text.push_str(&format!(
                " Mean size of the maps as they were, the model with the largest over that with the smallest: {}.",
                ratios.join(", ")
            ));
        }
        Some(text)
    }

    /// Reads `group/summary.json` of a run; `None` where there is none yet.
    ///
    /// # Errors
    /// It is damaged, or of other models or maps than those that the run has now.
    pub fn read(run: &Run) -> Result<Option<Self>> {
        let path = run.layout().group().summary();
        if !path.is_file() {
            return Ok(None);
        }
        let again = || remedy!["make it again: ", Action::new("group").on(&run.path)];
        let summary: Self = seal::read_with_files(&path, again())?;
        run.models_there()?.0.check(&path, &summary.models, again())?;
        summary.made_from.check(run, &path, again())?;
        Ok(Some(summary))
    }
}

pub(crate) fn write_volume(path: &Path, volume: &Volume) -> Result<()> {
    Ok(write(path, volume, &WriteOptions { form_code: 2, ..WriteOptions::default() })?)
}

/// The values inside the brain, in the order of the voxels.
fn inside(volume: &Volume, brain: &Mask) -> Vec<f32> {
    volume.data().iter().zip(brain.data()).filter(|(_, b)| **b).map(|(v, _)| *v).collect()
}

/// Reads a map onto the subject's lattice: RAS+ axes, the subject's grid, finite values.
pub(crate) fn read_map(cohort: &Cohort, subject: usize, file: &Path) -> Result<Volume> {
    let map = read_image(file)?.to_ras();
    let grid = &cohort.subjects[subject].grid;
    if !map.grid().same_space(grid, 0.1) {
        return Err(Error::file(
            file,
            format!("lies on a grid of {:?}, not on the subject's of {:?}", map.shape(), grid.shape),
            remedy!["make the map again with ", Action::new("explain"), " on this cohort"],
        ));
    }
    if let Some(value) = map.data().iter().find(|v| !v.is_finite()) {
        return Err(Error::file(
            file,
            format!("holds the value {value}"),
            "make the map again: a map holds numbers only",
        ));
    }
    Ok(map)
}

/// The size of a map: its mean absolute value in the subject's brain.
pub(crate) fn map_size(cohort: &Cohort, subject: usize, map: &Volume) -> Result<f64> {
    let values = inside(map, &cohort.mask(subject)?);
    Ok(values.iter().map(|v| f64::from(v.abs())).sum::<f64>() / values.len().max(1) as f64)
}

/// Writes `mean_brain.nii.gz` and `brain_mask.nii.gz` and returns the mask.
fn mean_brain(
    cohort: &Cohort,
    members: &[Member],
    grid: &Grid,
    layout: &GroupLayout,
    progress: &dyn Progress,
) -> Result<Mask> {
    progress.begin("mean brain", members.len());
    let (mut sum, mut votes) = (vec![0.0f64; grid.len()], vec![0usize; grid.len()]);
    for member in members {
        progress.go_on()?;
        let (volume, mask) = (cohort.volume(member.index)?, cohort.mask(member.index)?);
        for (n, (&v, &m)) in volume.data().iter().zip(mask.data()).enumerate() {
            sum[n] += f64::from(v);
            votes[n] += usize::from(m);
        }
        progress.advance(1, &member.id);
    }
    progress.end();
    let n = members.len();
    #[expect(clippy::cast_possible_truncation, reason = "volumes are float32")]
    let mean = Volume::new(*grid, sum.into_iter().map(|s| (s / n as f64) as f32).collect())?;
    let mask = Mask::new(*grid, votes.into_iter().map(|v| 2 * v >= n).collect())?;
    write_volume(&layout.mean_brain(), &mean)?;
    write_volume(&layout.brain_mask(), &mask.map(|&m| f32::from(u8::from(m))))?;
    Ok(mask)
}

/// One statistic of the maps of a group.
type OfGroup<'a> = (&'a Group, Statistic, Volume);

/// All statistics of all groups for one method. Each map is read once; where memory does not hold all of them their values are kept in a file at
/// `scratch` meanwhile, and taken from there as many voxels at a time as memory allows. `models` made the maps, which are scaled by their sizes.
fn statistics<'a>(
    cohort: &Cohort,
    files: &[(&Member, &Path)],
    (scale, models): (Scale, &[&str]),
    groups: &'a [Group],
    (grid, scratch, budget): (&Grid, &Path, usize),
    progress: &dyn Progress,
) -> Result<(Vec<OfGroup<'a>>, ScaleRecord)> {
    let (count, voxels) = (files.len(), grid.len());
    let at_once = (budget / (4 * count.max(1))).clamp(1, voxels);
    let wanted: Vec<(&Group, Statistic, Vec<usize>)> = groups
        .iter()
        .flat_map(|group| {
            let rows = group.positions(files.iter().map(|(member, _)| member.id.as_str()));
            Statistic::ALL
                .into_iter()
                .filter(move |s| *s != Statistic::Deviation || group.subjects.len() > 1)
                .map(move |s| (group, s, rows.clone()))
        })
        .collect();
    let (mut sizes, mut values) = (Vec::with_capacity(count), Vec::new());
    let mut file = if at_once < voxels { Some(Scratch::create(scratch)?) } else { None };
    for part in files.chunks((budget / (4 * voxels.max(1))).clamp(1, MAPS_AT_ONCE)) {
        progress.go_on()?;
        let read = part.par_iter().map(|(member, file)| {
            let map = read_map(cohort, member.index, file)?;
            Ok((map_size(cohort, member.index, &map)?, map.into_data()))
        });
        for (size, of_map) in read.collect::<Result<Vec<(f64, Vec<f32>)>>>()? {
            sizes.push(size);
            match &mut file {
                Some(file) => file.append(&of_map)?,
                None => values.extend(of_map),
            }
        }
    }
    let maps: Vec<(f64, &str)> = sizes.into_iter().zip(models.iter().copied()).collect();
    let (factors, record) = scale.factors(&maps);
    let rows = file.map(|file| OnDisk::new(file, count, voxels));
    let mut results: Vec<Vec<f32>> = vec![Vec::with_capacity(voxels); wanted.len()];
    for first in (0..voxels).step_by(at_once) {
        progress.go_on()?;
        let length = at_once.min(voxels - first);
        if let Some(rows) = &rows {
            values.resize(count * length, 0.0);
            rows.read(first, &mut values)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
        values.par_chunks_exact_mut(length).zip(&factors).for_each(|(map, &factor)| {
            map.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
        });
        for ((_, statistic, rows), result) in wanted.iter().zip(&mut results) {
            let part: Vec<f32> = (0..length)
                .into_par_iter()
                .map_init(Vec::new, |at_voxel, v| {
                    at_voxel.clear();
                    at_voxel.extend(rows.iter().map(|&n| values[n * length + v]));
                    statistic.of(at_voxel)
                })
                .collect();
            result.extend(part);
        }
    }
    let volumes = wanted
        .into_iter()
        .zip(results)
        .map(|((g, s, _), data)| Ok((g, s, Volume::new(*grid, data)?)))
        .collect::<Result<_>>()?;
    Ok((volumes, record))
}

/// What would make the maps of subjects or methods not comparable.
fn differences(members: &[Member], methods: &[String], records: &[Vec<Record>]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (n, method) in methods.iter().enumerate() {
        let mut settings: Vec<(String, String)> =
            records.iter().map(|r| (target(&r[n]), r[n].parameters.to_string())).collect();
        settings.sort();
        settings.dedup();
        if settings.len() > 1 {
            warnings.push(format!(
                "{method}: the subjects' maps were not made alike: {} different targets or options, such as {} and {}.",
                settings.len(),
                settings[0].0,
                settings[1].0
            ));
        }
        let seen = records.iter().filter(|r| r[n].in_sample == Some(true)).count();
        if seen > 0 {
            let maps = counted(seen, "map");
            let come = does(seen, "comes", "come");
            warnings.push(format!("{method}: {maps} {come} from a model that was trained on the subject (in sample)."));
        }
    }
    let other_target = records.iter().filter(|r| r.iter().any(|m| target(m) != target(&r[0]))).count();
    if other_target > 0 {
        warnings.push(format!(
            "For {} the methods explain different targets, so that they are not comparable.",
            counted(other_target, "subject")
        ));
    }
    let other_model: Vec<&str> = members
        .iter()
        .zip(records)
        .filter(|(_, r)| r.iter().any(|m| m.model != r[0].model))
        .map(|(m, _)| m.id.as_str())
        .collect();
    if !other_model.is_empty() {
        warnings.push(format!(
            "For {} the methods explain different models ({}).",
            counted(other_model.len(), "subject"),
            listed(&other_model, 1)
        ));
    }
    warnings
}

/// What a value of a combined map is.
fn units(scale: Scale, record: &Record) -> &str {
    match scale {
        Scale::Map => "multiples of the map's mean absolute value in the mask",
        Scale::None | Scale::Model => &record.units,
    }
}

/// What the current maps of these methods are, by their records: one entry for all of a method that were made alike. They are not
/// scaled.
///
/// # Errors
/// A record that cannot be read.
pub fn describe_maps(run: &Run, maps: &RunMaps, methods: &[&str]) -> Result<Vec<MethodSummary>> {
    let mut all = Vec::new();
    for &method in methods {
        let mut alike = BTreeMap::<(String, String, Option<String>), Vec<Record>>::new();
        // Of the test set are maps that were asked for by name: they are not of those who were held out.
        for subject in maps.subjects(method).filter(|id| !run.manifest.is_kept_for_test(id)) {
            let record = read_record(&run.layout().map(subject, method).path())?;
            let key = (target(&record), record.parameters.to_string(), record.compat.clone());
            alike.entry(key).or_default().push(record);
        }
        all.extend(alike.values().map(|of| describe(method, &of.iter().collect::<Vec<_>>(), Vec::new(), None)));
    }
    Ok(all)
}

/// `records` are those of all maps of the method, at least one.
fn describe(method: &str, records: &[&Record], missing: Vec<String>, scale: Option<ScaleRecord>) -> MethodSummary {
    let first = records[0];
    let mut warnings: BTreeMap<&str, usize> = BTreeMap::new();
    for warning in records.iter().flat_map(|r| &r.warnings) {
        *warnings.entry(warning).or_default() += 1;
    }
    MethodSummary {
        method: method.to_owned(),
        subjects: records.len(),
        missing,
        target: target(first),
        units: units(scale.as_ref().map_or(Scale::None, |record| record.scale), first).to_owned(),
        sign: first.sign.clone(),
        parameters: first.parameters.clone(),
        rules_applied: first.rules_applied,
        compat: first.compat.clone(),
        in_sample: records.iter().filter(|r| r.in_sample == Some(true)).count(),
        scale,
        warnings: warnings.into_iter().map(|(w, n)| (w.to_owned(), n)).collect(),
    }
}

#[cfg(test)]
mod tests;
