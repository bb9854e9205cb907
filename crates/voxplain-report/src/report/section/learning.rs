//! How training went, fold by fold.

use crate::{
    figure::{LearningCurve, learning_curves, value_learning_curves},
    report::element::Placed,
};
use voxplain_core::Result;
use voxplain_study::run::{Run, figure_name};

/// The learning curves of the folds that have some.
pub(in crate::report) fn of_run(run: &Run) -> Result<Option<Placed>> {
    let mut curves = Vec::new();
    for fold in 0..run.manifest.folds {
        if !run.layout().fold(fold).history().is_file() {
            continue;
        }
        let history = run.history(fold)?;
        curves.push(LearningCurve {
            loss: history.iter().map(|e| e.loss).collect(),
            accuracy: history.iter().filter_map(|e| e.accuracy.or(e.error)).collect(),
            validation_loss: history.iter().filter_map(|e| e.validation_loss).collect(),
            validation_accuracy: history.iter().filter_map(|e| e.validation_accuracy.or(e.validation_error)).collect(),
        });
    }
    if curves.is_empty() {
        return Ok(None);
    }
    let caption = format!("{} of {} folds.", curves.len(), run.manifest.folds);
    let figure = match run.manifest.task.value() {
        None => learning_curves(&curves, 130.0),
        Some(value) => {
            value_learning_curves(&curves, &value.unit.as_ref().map_or_else(String::new, |u| format!(" ({u})")), 130.0)
        }
    };
    Ok(Some(Placed::new(figure_name::LEARNING_CURVES, figure, caption)))
}
