//! [`simulate`]: cohorts of simulated brains whose classes differ in known regions.
//!
//! Every brain is one mean anatomy, drawn by our own code, deformed by a smooth random displacement, scaled, multiplied by
//! a smooth bias field and covered with Rician noise. Half of the subjects are cases: chosen regions of their brains are
//! larger, smaller, brighter or darker. The ground truth is written beside the cohort, so that maps can be compared with
//! it.

#![allow(
    clippy::cast_possible_truncation,
    reason = "intensities and positions are narrowed to f32; indices and labels are small"
)]

mod anatomy;
mod field;
mod noise;
pub mod region;
mod render;

use crate::{
    cohort::{Begun, Cohort, CohortLayout, Normalize, Placement, Preparation, Stored, Subject, VolumeType, Writer},
    prepare::intensity,
    setting::{GRID, SPACING, SUBJECTS},
};
use anatomy::Template;
use field::Growth;
use rayon::prelude::*;
use render::{Appearance, Rendered, Renderer};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};
use voxplain_core::{Error, Progress, Result, Table, random::Seed, remedy};
use voxplain_volume::{Affine, Grid, Volume, WriteOptions};

/// A relative change of one region in the cases. As text: `right-putamen:+40%`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Name of the region, one of [`region::all`].
    pub region: String,
    /// The relative change: 0.4 for +40 %.
    pub change: f64,
}

impl FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (region, change) = text.split_once(':').ok_or("expected REGION:+12%, as in left-hippocampus:-15%")?;
        if index(region).is_none() {
            return Err(format!("there is no region `{region}`; there are: {}", region_names()));
        }
        Ok(Self { region: region.to_owned(), change: percent(change)? })
    }
}

/// Reads a relative change: `+12%` is 0.12.
///
/// # Errors
/// The text is no percentage, or outside -80 % to +300 %. The error says so in words.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
    let change = number.parse::<f64>().map_err(|_| format!("`{text}` is no percentage; expected +12% or -8%"))? / 100.0;
    if !(-0.8..=3.0).contains(&change) { Err(format!("{text} is outside -80% to +300%")) } else { Ok(change) }
}

/// The atlas index of a region.
fn index(name: &str) -> Option<u8> {
    let at = region::all().iter().position(|r| r.name == name)?;
    u8::try_from(at + 1).ok()
}

/// The names of all regions.
fn region_names() -> String {
    region::all().into_iter().map(|r| r.name).collect::<Vec<_>>().join(", ")
}

/// The cohort to simulate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulateOptions {
    /// Number of subjects; every second one is a case.
    pub subjects: usize,
    /// Shape of the grid, `[i, j, k]` in voxels.
    pub shape: [usize; 3],
    /// Spacing of the grid in mm.
    pub spacing: f64,
    /// Changes of the volume of regions in the cases.
    pub effects: Vec<Effect>,
    /// Changes of the intensity of regions in the cases.
    pub intensity_effects: Vec<Effect>,
    /// Relative change of the volume of the whole brain in the cases: a confound, which is no part of the truth.
    pub size_effect: f64,
    /// The seed of everything random.
    pub seed: u64,
    /// In which precision volumes are kept.
    #[serde(skip_serializing_if = "VolumeType::is_default")]
    pub dtype: VolumeType,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            subjects: 100,
            shape: [40, 48, 40],
            spacing: 4.0,
            effects: vec![Effect { region: "left-lateral-ventricle".into(), change: 0.8 }],
            intensity_effects: Vec::new(),
            size_effect: 0.0,
            seed: 1,
            dtype: VolumeType::default(),
        }
    }
}

/// The mean anatomy on a grid, and where the classes differ.
#[derive(Clone, Debug)]
struct Truth {
    atlas: Volume<u8>,
    differs: Volume<bool>,
}

/// Writes a cohort of simulated brains. Besides the files of every cohort:
///
/// * `atlas.nii.gz` and `atlas.tsv`: the regions of the mean anatomy on the grid of the cohort;
/// * `truth.nii.gz`: 1 where the classes differ, which is in the changed regions, as they are in either class, and in
///   every voxel whose noise-free mean differs between the classes by more than 5 % of white matter. The size of the whole brain, a
///   confound, is left out of this: where nothing else differs, all is 0;
/// * `participants.tsv` with the columns `label` (`control` or `case`), `age` (years; the contrast of grey and white matter
///   falls with it), `brain_volume` and `volume_<region>` (mm³, measured before noise).
///
/// The same options give the same bytes, for any number of threads.
///
/// # Errors
/// The options cannot be simulated, or the directory holds something else (with `force` it is replaced).
pub fn simulate(path: &Path, options: &SimulateOptions, force: bool, progress: &dyn Progress) -> Result<Cohort> {
    check(options)?;
    let made_by = serde_json::json!({ "command": "simulate", "options": options });
    let [ni, nj, nk] = options.shape;
    let stored = Stored { shape: [1, ni, nj, nk], dtype: options.dtype };
    let writer = match Writer::begin(path, &made_by, stored, options.subjects, force, progress)? {
        Begun::Complete(cohort) => return Ok(*cohort),
        Begun::Open(writer) => writer,
    };
    let grid = grid(options)?;
    let renderer = renderer(options, grid);
    let truth = truth(&renderer, options);
    write_truth(writer.layout(), &truth)?;
    progress.begin("simulating", options.subjects);
    let seed = Seed::new(options.seed);
    let rows = (0..options.subjects)
        .into_par_iter()
        .map(|n| {
            progress.go_on()?;
            let person = Person::draw(seed.child("subject").index(n as u64), n, options);
            let id = format!("{:03}", n + 1);
            let rendered = renderer.render(&person.appearance);
            let mut volumes = [rendered.volume];
            intensity::normalize(&mut volumes[0], &rendered.mask, Normalize::Robust)
                .map_err(|what| Error::subject(&id, what, "choose a grid that holds a brain"))?;
            options.dtype.round(&id, &mut volumes)?;
            if writer.done(n).is_none() {
                let subject = Subject::new(id.as_str(), &volumes[0], &rendered.mask);
                writer.put(n, &subject, &volumes, &rendered.mask)?;
            }
            progress.advance(1, "");
            let label = if person.is_case { "case" } else { "control" };
            let mut row = vec![Some(format!("sub-{id}")), Some(label.to_owned()), Some(format!("{:.1}", person.age))];
            row.push(Some(format!("{:.0}", rendered.brain_volume)));
            row.extend(rendered.region_volumes.iter().map(|v| Some(format!("{v:.0}"))));
            Ok(row)
        })
        .collect::<Result<Vec<_>>>()?;
    progress.end();
    let mut columns: Vec<String> = ["participant_id", "label", "age", "brain_volume"].map(Into::into).into();
    columns.extend(region::all().into_iter().map(|r| format!("volume_{}", r.name)));
    let preparation = Preparation {
        shape: options.shape,
        spacing: [options.spacing; 3],
        normalize: Normalize::Robust,
        placement: Placement::Fixed(grid),
        template: None,
        whole_head: false,
        channels: Vec::new(),
    };
    writer.finish(&preparation, &Table { columns, rows })
}

/// Refuses what cannot be simulated.
fn check(options: &SimulateOptions) -> Result<()> {
    if options.subjects < 2 {
        return Err(Error::request("a cohort of two classes needs at least two subjects", remedy!["raise ", SUBJECTS]));
    }
    if !(0.5..=10.0).contains(&options.spacing) {
        let what = format!("a spacing of {} mm cannot be simulated", options.spacing);
        return Err(Error::request(what, "choose 0.5 to 10 mm"));
    }
    let extent = options.shape.map(|n| n as f64 * options.spacing);
    if extent.iter().zip([150.0, 185.0, 150.0]).any(|(e, need)| *e < need) || options.shape.iter().any(|n| *n > 400) {
        let what = format!("a grid of {extent:.0?} mm does not hold the brain");
        let remedy = remedy!["it needs 150 x 185 x 150 mm: ", GRID.to("40x48x40"), " ", SPACING.to(4), ", say"];
        return Err(Error::request(what, remedy));
    }
    let mut effects = options.effects.iter().chain(&options.intensity_effects);
    if let Some(effect) = effects.find(|e| index(&e.region).is_none()) {
        let what = format!("there is no region `{}`", effect.region);
        return Err(Error::request(what, format!("there are: {}", region_names())));
    }
    Ok(())
}

/// The grid, centred on the bounding box of the anatomy.
fn grid(options: &SimulateOptions) -> Result<Grid> {
    let spacing = options.spacing;
    let origin = std::array::from_fn(|a| {
        let centre = anatomy::ORIGIN[a] + (anatomy::SHAPE[a] as f64 - 1.0) / 2.0;
        centre - (options.shape[a] as f64 - 1.0) / 2.0 * spacing
    });
    Ok(Grid::new(options.shape, Affine::from_spacing_origin([spacing; 3], origin))?)
}

/// The renderer of the mean anatomy, with the changes of the cases.
fn renderer(options: &SimulateOptions, grid: Grid) -> Renderer {
    let template = Template::mean();
    let changes: Vec<(u8, f64)> =
        options.effects.iter().filter_map(|e| Some((index(&e.region)?, 1.0 + e.change))).collect();
    let growth = (!changes.is_empty()).then(|| Growth::new(&template.labels, &changes).0);
    let gains = options.intensity_effects.iter().filter_map(|e| Some((index(&e.region)?, 1.0 + e.change))).collect();
    Renderer::new(template, growth, gains, grid)
}

/// The atlas on the grid, and where the classes differ.
fn truth(renderer: &Renderer, options: &SimulateOptions) -> Truth {
    let mean = |is_case| renderer.render(&Appearance::mean(is_case));
    let (control, case) = (mean(false), mean(true));
    let changed: Vec<u8> =
        options.effects.iter().chain(&options.intensity_effects).filter_map(|e| index(&e.region)).collect();
    // An effect that changes nothing (of 0 %, or two that undo each other) is no truth.
    let has_changed = |region: &u8| {
        (0..control.labels.data().len()).any(|n| {
            let labels = [control.labels.data()[n], case.labels.data()[n]];
            labels.contains(region) && (labels[0] != labels[1] || control.volume.data()[n] != case.volume.data()[n])
        })
    };
    let changed: Vec<u8> = changed.into_iter().filter(has_changed).collect();
    let differs = Volume::from_fn(*control.volume.grid(), |[i, j, k]| {
        let is_changed = |rendered: &Rendered| changed.contains(&rendered.labels.at(i, j, k));
        is_changed(&control)
            || is_changed(&case)
            || (control.volume.at(i, j, k) - case.volume.at(i, j, k)).abs() > 0.05 * render::WHITE as f32
    });
    Truth { atlas: control.labels, differs }
}

fn write_truth(files: CohortLayout<'_>, truth: &Truth) -> Result<()> {
    let write = |path: PathBuf, volume: &Volume, description: &str| {
        let options = WriteOptions { form_code: 4, description: description.into(), integer: true };
        voxplain_volume::write(&path, volume, &options)
    };
    write(files.atlas(), &truth.atlas.map(|&l| f32::from(l)), "regions of the mean anatomy, see atlas.tsv")?;
    write(files.truth(), &truth.differs.map(|&d| f32::from(u8::from(d))), "1 where the classes differ")?;
    // Small regions have none on a coarse grid.
    let voxels = |n: usize| truth.atlas.data().iter().filter(|&&label| usize::from(label) == n).count();
    let rows = region::all()
        .into_iter()
        .enumerate()
        .map(|(n, r)| {
            let index = n + 1;
            vec![Some(index.to_string()), Some(r.name), Some(r.hemisphere.to_owned()), Some(voxels(index).to_string())]
        })
        .collect();
    Table { columns: ["index", "name", "hemisphere", "voxels"].map(Into::into).into(), rows }
        .write_tsv(&files.atlas_labels())
}

/// One simulated person.
#[derive(Clone, Debug)]
struct Person {
    is_case: bool,
    /// Years.
    age: f64,
    appearance: Appearance,
}

impl Person {
    fn draw(seed: Seed, n: usize, options: &SimulateOptions) -> Self {
        let is_case = n % 2 == 1;
        let mut random = seed.child("person").random();
        let age = random.range(20.0, 80.0);
        let size = (0.02 * random.normal()).exp() * if is_case { (1.0 + options.size_effect).cbrt() } else { 1.0 };
        Self { is_case, age, appearance: Appearance::draw(seed, is_case, size, age) }
    }
}
