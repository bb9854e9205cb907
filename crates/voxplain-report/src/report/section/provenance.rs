//! What went in and what came out, by its hash.

use crate::report::element::TextTable;
use std::path::Path;
use voxplain_core::Result;
use voxplain_study::{cohort::Cohort, run::Run};

/// The cohort (where it lies now), the template and the models, each with its BLAKE3.
pub(in crate::report) fn table(run: &Run, cohort: Option<&Cohort>, place: &Path) -> Result<TextTable> {
    let manifest = &run.manifest;
    let mut rows =
        vec![vec!["Volumes of the cohort".to_owned(), place.display().to_string(), manifest.cohort_hash.clone()]];
    if let Some(template) = cohort.and_then(|c| c.preparation.template.as_ref()) {
        rows.push(vec!["Template".into(), template.path.display().to_string(), template.hash.clone()]);
    }
    let models = run.models()?;
    for fold in 0..manifest.folds {
        if let Some(hash) = models.of_fold(fold) {
            let file = run.layout().fold(fold).model();
            let place = file.strip_prefix(&run.path).unwrap_or(&file).display().to_string();
            rows.push(vec![format!("Model of fold {fold}"), place, hash.to_owned()]);
        }
    }
    Ok(TextTable {
        head: ["What", "Where", "BLAKE3"].map(str::to_owned).to_vec(),
        rows,
        note: "The hash of the cohort is over the hashes of its volumes, as kept in manifest.json.".into(),
    })
}
