//! Maps of the linear baselines on the voxels.

use crate::{
    figure::{ColourRange, Mosaic, Underlay},
    report::element::{PAGE, PERCENTILE, Placed, read_map},
};
use voxplain_core::Result;
use voxplain_study::{
    comparators::{LOGISTIC_VOXELS, RIDGE_VOXELS, SVM_VOXELS},
    run::{Run, figure_name},
};
use voxplain_volume::{MaskOptions, read_mask};

/// Cuts of each axis.
const CUTS: usize = 7;

/// The mean activation pattern of each linear baseline that the run has, over the mean volume; of several channels none.
pub(in crate::report) fn of_run(run: &Run) -> Result<Vec<Placed>> {
    let files = run.layout().linear();
    if !files.mean_brain().is_file() {
        return Ok(Vec::new());
    }
    [files.mean_brain(), files.brain_mask()].iter().try_for_each(|file| run.check(file))?;
    let brain = read_map(&files.mean_brain())?;
    let mask = read_mask(&files.brain_mask(), &MaskOptions::anywhere())?.on(brain.grid())?;
    let underlay = Underlay::new(brain, &mask)?;
    let mut figures = Vec::new();
    for name in [LOGISTIC_VOXELS, SVM_VOXELS, RIDGE_VOXELS] {
        let path = files.map(None, "pattern", name, None);
        if !path.is_file() {
            continue;
        }
        let beside = voxplain_study::map::record_path(&path);
        [&path, &beside].into_iter().try_for_each(|file| run.check(file))?;
        let record: serde_json::Value = run.read(&beside)?;
        let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let map = read_map(&path)?;
        let figure = Mosaic {
            title: format!("{name}: activation pattern, mean over folds"),
            units: word("Units"),
            underlay: &underlay,
            map: &map,
            range: ColourRange::percentile(&underlay, &map, PERCENTILE),
            rows: underlay.cuts(&map, CUTS, 6.0),
            width: PAGE,
            space: String::new(),
        }
        .draw()?;
        let caption = format!(
            "Where intensity rises (orange) or falls (blue) with the decision value of the linear model, which speaks for {} (Haufe et al. 2014). \
             Weights, and the maps of each fold, are in the folder linear of the run.",
            word("Towards")
        );
        figures.push(Placed::new(figure_name::linear(name), figure, &caption));
    }
    Ok(figures)
}
