//! The rows of a prediction as a table.

use super::Predictions;
use voxplain_core::Table;

/// A row for each person: `participant_id`, `truth`, `predicted`, of classes `p_<class>` and `sd_<class>` (over the models), of a value
/// `sd`; `in_sample` (n/a where it is not known).
pub(super) fn of(predictions: &Predictions) -> Table {
    let classes = predictions.task.classes();
    let several = predictions.models.len() > 1;
    let has_files = predictions.people.iter().any(|answer| answer.file.is_some());
    let mut columns: Vec<String> = vec!["participant_id".into()];
    columns.extend(has_files.then(|| "file".to_owned()));
    columns.extend(["truth", "predicted"].map(String::from));
    columns.extend(classes.iter().map(|c| format!("p_{c}")));
    if several {
        match classes {
            [] => columns.push("sd".into()),
            _ => columns.extend(classes.iter().map(|c| format!("sd_{c}"))),
        }
    }
    columns.push("in_sample".into());
    let rows = predictions
        .people
        .iter()
        .map(|answer| {
            let id = match &answer.file {
                Some(_) => answer.participant_id.clone(),
                None => format!("sub-{}", answer.participant_id),
            };
            let mut row = vec![Some(id)];
            if has_files {
                row.push(answer.file.as_ref().map(|file| file.display().to_string()));
            }
            row.extend([answer.truth.clone(), Some(answer.predicted.clone())]);
            if !classes.is_empty() {
                row.extend(answer.mean.iter().map(|p| Some(p.to_string())));
            }
            if several {
                row.extend(answer.spread.iter().map(|s| Some(s.to_string())));
            }
            row.push(answer.in_sample.map(|seen| seen.to_string()));
            row
        })
        .collect();
    Table { columns, rows }
}
