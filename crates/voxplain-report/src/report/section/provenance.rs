//! What went in and what came out, by its hash.

use crate::report::element::TextTable;
use voxplain_core::{Result, hash_file};
use voxplain_study::{cohort::Cohort, run::Run};

/// The cohort, the template and the models, each with its BLAKE3.
pub(in crate::report) fn table(run: &Run, cohort: Option<&Cohort>) -> Result<TextTable> {
    let manifest = &run.manifest;
    let mut rows = vec![vec![
        "Volumes of the cohort".to_owned(),
        manifest.cohort.display().to_string(),
        manifest.cohort_hash.clone(),
    ]];
    if let Some(template) = cohort.and_then(|c| c.preparation.template.as_ref()) {
        rows.push(vec!["Template".into(), template.path.display().to_string(), template.hash.clone()]);
    }
    for fold in 0..manifest.folds {
        let path = run.model_path(fold);
        if path.is_file() {
            let hash = hash_file(&path)?;
            rows.push(vec![format!("Model of fold {fold}"), format!("folds/fold-{fold}/model.safetensors"), hash]);
        }
    }
    Ok(TextTable {
        head: ["What", "Where", "BLAKE3"].map(str::to_owned).to_vec(),
        rows,
        note: "The hash of the cohort is over the hashes of its volumes, as kept in manifest.json.".into(),
    })
}
