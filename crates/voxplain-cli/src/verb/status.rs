//! `voxplain status`.

use crate::{
    session::{Outcome, Session},
    shell::Shell,
};
use clap::Args;
use serde::Serialize;
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    Occupied, Remedy, Vocabulary as _,
    model::Task,
    plural::counted,
    status::{
        CohortStatus, Damaged, Made, MethodStatus, RunStatus, Size, Status, TableStatus, UnfinishedCohort,
        bytes_in_words, status, status_of_all,
    },
};

/// What is there of a run or a cohort, and what comes next.
///
/// Of a run: which folds are trained, the result out of fold, of which people there are maps by which method, what was made of them, what does
/// not count any more, and what is missing. Of a cohort: who is in it and who was left out; of one that is being built, how far it is. It says
/// who is at work there, what the parts take on the disk, and the next command. What is damaged is named, and ends
/// with the exit status 1. Nothing is written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain status run
  voxplain status cohort
  voxplain status run --check
  voxplain status run --json")]
pub(crate) struct StatusOf {
    /// A run, a training on a table, or a cohort.
    #[arg(value_name = "RUN|COHORT")]
    folder: PathBuf,
    /// Read every volume, mask and map too, and compare it with its checksum (takes as long as reading them does)
    #[arg(long)]
    check: bool,
}

/// The status as JSON, with the commands as they are typed.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// What is missing, each with the command that makes it.
    missing: Vec<Missing<'a>>,
    /// The command that comes next.
    next: Option<String>,
}

#[derive(Serialize)]
struct Missing<'a> {
    what: &'a str,
    command: String,
}

impl StatusOf {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let status = match self.check {
            true => status_of_all(&self.folder, session.progress())?,
            false => status(&self.folder)?,
        };
        let next = status.next().map(|step| Shell.action(step));
        let missing: Vec<Missing<'_>> =
            status.lacks().iter().map(|lack| Missing { what: &lack.what, command: Shell.action(&lack.step) }).collect();
        let mut text = match &status {
            Status::Run(run) => of_run(run),
            Status::Table(table) => of_table(table),
            Status::Cohort(cohort) => of_cohort(cohort),
            Status::UnfinishedCohort(cohort) => of_unfinished(cohort),
        };
        if !matches!(status, Status::Cohort(_)) {
            for lack in &missing {
                line(&mut text, "missing", lack.what);
            }
        }
        if *status.at_work() != Occupied::Nobody {
            line(&mut text, "at work", &status.at_work().to_string());
        }
        match &next {
            Some(command) => line(&mut text, "next", command),
            None if missing.is_empty() && !matches!(status, Status::UnfinishedCohort(_)) && !has_damage(&status) => {
                line(&mut text, "next", "nothing is missing");
            }
            None => {}
        }
        session.result(&Document { status: &status, missing, next }, &text)?;
        Ok(if has_damage(&status) { Outcome::Incomplete } else { Outcome::Done })
    }
}

/// Whether anything is not as it was written.
fn has_damage(status: &Status) -> bool {
    match status {
        Status::Run(run) => run.is_damaged(),
        Status::Cohort(cohort) => !cohort.damaged.is_empty(),
        Status::Table(_) | Status::UnfinishedCohort(_) => false,
    }
}

/// What is damaged, with what to do about it.
fn damaged(text: &mut String, of: &[Damaged]) {
    for Damaged { what, remedy, .. } in of {
        line(text, "damaged", what);
        remedied(text, remedy.as_ref());
    }
}

fn remedied(text: &mut String, remedy: Option<&Remedy>) {
    if let Some(remedy) = remedy {
        line(text, "", &remedy.render(&Shell));
    }
}

/// A line with what it is about in front.
fn line(text: &mut String, about: &str, what: &str) {
    let _ = writeln!(text, "{about:<14} {what}");
}

/// What is made of a run, by name, those that do not count with the reason below.
fn all(text: &mut String, about: &str, made: &[Made]) {
    if made.is_empty() {
        return line(text, about, "none");
    }
    let there: Vec<&str> = made.iter().filter(|made| made.counts()).map(|made| made.name.as_str()).collect();
    if !there.is_empty() {
        line(text, about, &there.join(", "));
    }
    for made in made {
        if let Some(problem) = &made.problem {
            line(text, about, &format!("does not count: {problem}"));
            remedied(text, made.remedy.as_ref());
        }
    }
}

fn one(text: &mut String, about: &str, made: Option<&Made>) {
    match made {
        None => line(text, about, "none"),
        Some(Made { problem: None, file, .. }) => line(text, about, &file.display().to_string()),
        Some(Made { problem: Some(problem), remedy, .. }) => {
            line(text, about, problem);
            remedied(text, remedy.as_ref());
        }
    }
}

fn sizes(text: &mut String, sizes: &[Size]) {
    let all: u64 = sizes.iter().map(|size| size.bytes).sum();
    let parts: Vec<String> = sizes.iter().map(|size| format!("{} {}", size.part, bytes_in_words(size.bytes))).collect();
    line(text, "on the disk", &format!("{}: {}", bytes_in_words(all), parts.join(", ")));
}

fn of_run(run: &RunStatus) -> String {
    let mut text = String::new();
    line(&mut text, "run", &format!("{} (voxplain {})", run.path.display(), run.version));
    let task = match &run.task {
        Task::Classes { .. } => format!("{}: {}", run.label, run.task),
        Task::Value { value } => format!("{value}, a value"),
    };
    line(&mut text, "predicts", &task);
    match (&run.cohort, &run.cohort_problem) {
        (Some(cohort), _) => line(&mut text, "cohort", &cohort.display().to_string()),
        (None, problem) => line(&mut text, "cohort", problem.as_deref().unwrap_or("not found")),
    }
    line(&mut text, "folds", &format!("{} of {} trained", run.trained, run.folds));
    for of in &run.in_training {
        let most = of.of.map_or_else(String::new, |most| format!(" of {most}"));
        line(&mut text, "", &format!("fold {}: {}{most} done", of.fold, counted(of.epochs, "epoch")));
    }
    damaged(&mut text, &run.damaged);
    for map in &run.damaged_maps {
        line(&mut text, "damaged", &format!("{}: the map, or what lies beside it of the same subject", map.display()));
    }
    if let Some(changed) = &run.changed_labels {
        line(&mut text, "changed", changed);
    }
    if let Some(Made { problem: Some(problem), remedy, .. }) = &run.metrics {
        line(&mut text, "out of fold", &format!("does not count: {problem}"));
        remedied(&mut text, remedy.as_ref());
    } else {
        line(&mut text, "out of fold", run.headline.first().map_or("not yet known", String::as_str));
    }
    if run.methods.is_empty() {
        line(&mut text, "maps", "none");
    }
    for method in &run.methods {
        line(&mut text, "maps", &of_method(method, run.held_out));
    }
    one(&mut text, "group maps", run.group.as_ref());
    all(&mut text, "evaluations", &run.evaluations);
    all(&mut text, "regions", &run.regions);
    all(&mut text, "comparisons", &run.comparisons);
    all(&mut text, "permutations", &run.permutations);
    if run.confounds.is_some() {
        one(&mut text, "confounds", run.confounds.as_ref());
    }
    for file in &run.unfinished {
        line(&mut text, "unfinished", &format!("{} (the command that began it goes on with it)", file.display()));
    }
    one(&mut text, "report", run.report.as_ref());
    if run.all_read {
        line(&mut text, "checked", "every model, map and table that has a checksum was read");
    }
    sizes(&mut text, &run.sizes);
    text
}

/// `grad-cam: 20 of 20 people; in group maps; deletion, insertion; compared in grad-cam_age`.
fn of_method(method: &MethodStatus, held_out: Option<usize>) -> String {
    let of = held_out.map_or_else(String::new, |all| format!(" of {all} who were held out"));
    let mut text = format!("{}: of {}{of}", method.method, method.maps);
    if method.unfinished > 0 {
        let _ = write!(text, "; {} not finished", method.unfinished);
    }
    if method.damaged > 0 {
        let _ = write!(text, "; {} damaged", method.damaged);
    }
    if method.by_other_models > 0 {
        let _ = write!(text, "; {} by other models than those there now", method.by_other_models);
    }
    if method.in_group {
        text.push_str("; in group maps");
    }
    if !method.evaluated.is_empty() {
        let _ = write!(text, "; {}", method.evaluated.join(", "));
    }
    if !method.compared.is_empty() {
        let _ = write!(text, "; compared in {}", method.compared.join(", "));
    }
    text
}

fn of_table(table: &TableStatus) -> String {
    let mut text = String::new();
    line(&mut text, "table training", &format!("{} (voxplain {})", table.path.display(), table.version));
    let problem = table.table_problem.as_ref().map_or_else(String::new, |problem| format!(": {problem}"));
    line(&mut text, "table", &format!("{}{problem}", table.table.display()));
    if let Some(label) = &table.label {
        line(&mut text, "predicts", &format!("{label}, from {}", counted(table.columns, "column")));
    }
    line(&mut text, "left out", &counted(table.left_out, "row"));
    let headline = match &table.metrics {
        Some(Made { problem: Some(problem), .. }) => format!("does not count: {problem}"),
        _ => table.headline.first().cloned().unwrap_or_else(|| "not yet known".to_owned()),
    };
    line(&mut text, "out of fold", &headline);
    sizes(&mut text, &table.sizes);
    text
}

fn of_cohort(cohort: &CohortStatus) -> String {
    let mut text = String::new();
    let by = cohort.made_by.as_ref().map_or_else(String::new, |by| format!(" (by {by})"));
    line(&mut text, "cohort", &format!("{}{by}", cohort.path.display()));
    let people = cohort.people.map_or_else(String::new, |people| format!(" of {}", heads(people)));
    line(&mut text, "prepared", &format!("{}{people}", counted(cohort.subjects, "image")));
    match cohort.left_out {
        None => line(&mut text, "left out", "not noted"),
        Some(n) => line(&mut text, "left out", &if n == 0 { "nothing".to_owned() } else { n.to_string() }),
    }
    for reason in &cohort.reasons {
        line(&mut text, "", reason);
    }
    let grid = format!("{} voxels of {} mm", by_axis(&cohort.shape), by_axis(&cohort.spacing));
    line(&mut text, "grid", &grid);
    if !cohort.channels.is_empty() {
        line(&mut text, "channels", &cohort.channels.join(", "));
    }
    let columns = if cohort.columns.is_empty() { "none".to_owned() } else { cohort.columns.join(", ") };
    line(&mut text, "columns", &columns);
    damaged(&mut text, &cohort.damaged);
    if cohort.all_read {
        line(&mut text, "checked", "every volume and mask that has a checksum was read");
    }
    sizes(&mut text, &cohort.sizes);
    if let Some(other) = &cohort.replaced_by {
        text.push_str("\nIn its place another one is being built, or was begun:\n");
        text.push_str(&of_unfinished(other));
        text.push('\n');
    }
    text
}

fn heads(people: usize) -> String {
    if people == 1 { "1 person".to_owned() } else { format!("{people} people") }
}

fn by_axis(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}

fn of_unfinished(cohort: &UnfinishedCohort) -> String {
    let mut text = String::new();
    line(&mut text, "cohort", &format!("{} is not finished", cohort.path.display()));
    match cohort.planned {
        Some(planned) => line(&mut text, "prepared", &format!("{} of {planned}", cohort.prepared)),
        None => line(&mut text, "prepared", "nobody yet"),
    }
    if let Some(shape) = &cohort.shape {
        line(&mut text, "grid", &format!("{} voxels", by_axis(shape)));
    }
    match &cohort.begun_with {
        Some(with) => line(&mut text, "begun with", &with.to_string()),
        None => line(&mut text, "begun with", "not known: what was written of it is damaged"),
    }
    sizes(&mut text, &cohort.sizes);
    if matches!(cohort.at_work, Occupied::Nobody | Occupied::Gone(_)) {
        let command = cohort.command().map_or_else(String::new, |verb| format!(" (voxplain {verb})"));
        line(&mut text, "to go on", &format!("run the command that began it once more{command}"));
    }
    text
}
