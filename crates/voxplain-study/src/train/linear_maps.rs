//! Maps of the linear models on the voxels: the weights of each, and its activation pattern (Haufe et al. 2014).

use super::dataset::Dataset;
use crate::{comparators::LinearFold, folds::Split, map::channel_word, run::Run};
use rayon::prelude::*;
use serde::Serialize;
use voxplain_core::{Error, Progress, Result, seal};
use voxplain_volume::{Volume, WriteOptions, write};

/// A linear model on the voxels, fold by fold.
pub(super) struct LinearModel {
    /// The comparator: `logistic-voxels`.
    pub(super) name: &'static str,
    /// What it predicts more of where its decision value is larger: `M`, `age`.
    pub(super) towards: String,
    /// The unit of the decision value.
    pub(super) unit: String,
    pub(super) folds: Vec<LinearFold>,
}

/// What a map holds, and from what it was made: the record beside it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sidecar<'a> {
    description: String,
    comparator: &'a str,
    kind: &'a str,
    /// From 0; absent for the mean over folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    fold: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    towards: &'a str,
    sign: String,
    units: String,
    trained_on: usize,
    /// BLAKE3 over the volumes of the cohort.
    cohort: &'a str,
    sources: Vec<&'a str>,
    voxplain: &'static str,
}

const HAUFE: &str = "Haufe et al. 2014, NeuroImage 87:96-110, doi:10.1016/j.neuroimage.2013.10.067";

/// The two kinds of maps: their word in names, what they are, and what each volume counts in them.
type Kind = (&'static str, &'static str, fn(&LinearFold) -> &[f64]);
const KINDS: [Kind; 2] = [
    (
        "weight",
        "weights: the decision value of a volume is the sum over voxels of weight times intensity, plus a constant. A weight may stand where \
         there is no signal, to cancel what other voxels share",
        |of| &of.weights,
    ),
    (
        "pattern",
        "activation pattern: how intensity changes with the decision value over the people trained on, covariance divided by the variance of \
         the decision value",
        |of| &of.pattern,
    ),
];

/// Writes the maps of every model, of each fold and their mean, with a record beside each; and the mean volume and the common mask to look
/// at them on. Volumes are added up in the order of the subjects, in double precision.
///
/// # Errors
/// A volume cannot be read, a file cannot be written, or the work was interrupted.
pub(super) fn write_all(
    run: &Run,
    dataset: &Dataset<'_>,
    splits: &[Split],
    models: &[LinearModel],
    progress: &dyn Progress,
) -> Result<()> {
    let models: Vec<&LinearModel> = models.iter().filter(|model| model.folds.len() == splits.len()).collect();
    if models.is_empty() {
        return Ok(());
    }
    let size: usize = dataset.input_shape().iter().product();
    let folder = run.layout().linear().folder().to_owned();
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    progress.begin("maps of linear baselines", splits.len());
    let mut means = vec![vec![0.0f64; size]; 2 * models.len()];
    for (fold, split) in splits.iter().enumerate() {
        let mut sums = vec![vec![0.0f64; size]; 2 * models.len()];
        for (at, &subject) in split.train.iter().enumerate() {
            progress.go_on()?;
            dataset.with(subject, |values| {
                sums.par_iter_mut().enumerate().for_each(|(n, sum)| {
                    let counts = (KINDS[n % 2].2)(&models[n / 2].folds[fold])[at];
                    if counts != 0.0 {
                        sum.iter_mut().zip(values).for_each(|(sum, v)| *sum += counts * f64::from(*v));
                    }
                });
            })?;
        }
        for (n, (sum, mean)) in sums.iter().zip(&mut means).enumerate() {
            // A model that learnt little says nearly the same of all, and its pattern per unit of that is huge: folds are put together per
            // standard deviation.
            let scale = if KINDS[n % 2].0 == "pattern" { models[n / 2].folds[fold].spread } else { 1.0 };
            mean.iter_mut().zip(sum).for_each(|(mean, v)| *mean += scale * v / splits.len() as f64);
            put(run, dataset, models[n / 2], KINDS[n % 2], (Some(fold), split.train.len()), sum)?;
        }
        progress.advance(1, "");
    }
    progress.end();
    for (n, mean) in means.iter().enumerate() {
        put(run, dataset, models[n / 2], KINDS[n % 2], (None, dataset.len()), mean)?;
    }
    background(run, dataset, progress)
}

/// Writes one map, of each channel, with its record.
#[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
fn put(
    run: &Run,
    dataset: &Dataset<'_>,
    model: &LinearModel,
    (kind, what, _): Kind,
    (fold, trained_on): (Option<usize>, usize),
    values: &[f64],
) -> Result<()> {
    let layout = run.layout().linear();
    let grid = dataset.cohort.grid();
    let channels = &dataset.cohort.preparation.channels;
    for (n, of_channel) in values.chunks_exact(grid.len()).enumerate() {
        let channel = channels.get(n).filter(|_| channels.len() > 1);
        let word = channel.map(|name| channel_word(name));
        let path = layout.map(fold, kind, model.name, word.as_deref());
        let volume = Volume::new(grid, of_channel.iter().map(|v| *v as f32).collect())?;
        write(&path, &volume, &WriteOptions { form_code: 2, ..WriteOptions::default() })?;
        let units = match kind {
            "weight" => format!("{} per unit of intensity", model.unit),
            _ if fold.is_none() => format!(
                "intensity per standard deviation of the decision value over the people trained on ({})",
                model.unit
            ),
            _ => format!("intensity per {}", model.unit),
        };
        let of = fold.map_or_else(|| "Mean over folds of".to_owned(), |fold| format!("Of fold {fold}:"));
        let sidecar = Sidecar {
            description: format!("{of} {what}"),
            comparator: model.name,
            kind,
            fold,
            channel: channel.map(String::as_str),
            towards: &model.towards,
            sign: match kind {
                "weight" => format!("positive: more intensity here, all else the same, speaks for {}", model.towards),
                _ => format!("positive: more intensity here goes with {}", model.towards),
            },
            units,
            trained_on,
            cohort: &run.manifest.cohort_hash,
            sources: if kind == "pattern" { vec![HAUFE] } else { Vec::new() },
            voxplain: env!("CARGO_PKG_VERSION"),
        };
        seal::write(&crate::map::record_path(&path), &sidecar)?;
    }
    Ok(())
}

/// The mean volume of all, of the first channel, and the voxels that at least half of the masks hold.
#[expect(clippy::cast_possible_truncation, reason = "volumes are float32")]
fn background(run: &Run, dataset: &Dataset<'_>, progress: &dyn Progress) -> Result<()> {
    let (layout, grid) = (run.layout().linear(), dataset.cohort.grid());
    let (mut mean, mut votes) = (vec![0.0f64; grid.len()], vec![0usize; grid.len()]);
    for n in 0..dataset.len() {
        progress.go_on()?;
        dataset.with(n, |values| mean.iter_mut().zip(values).for_each(|(mean, v)| *mean += f64::from(*v)))?;
        let mask = dataset.cohort.mask(dataset.subjects[n])?;
        votes.iter_mut().zip(mask.data()).for_each(|(votes, inside)| *votes += usize::from(*inside));
    }
    let count = dataset.len();
    let options = WriteOptions { form_code: 2, ..WriteOptions::default() };
    let mean = mean.iter().map(|v| (*v / count as f64) as f32).collect();
    write(&layout.mean_brain(), &Volume::new(grid, mean)?, &options)?;
    let mask = votes.iter().map(|v| f32::from(u8::from(2 * v >= count))).collect();
    Ok(write(&layout.brain_mask(), &Volume::new(grid, mask)?, &options)?)
}
