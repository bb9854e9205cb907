//! What may have leaked from those who are judged into what judges them: a row for each kind that published checklists name.

use crate::report::element::TextTable;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use voxplain_core::{
    lookalike::look,
    plural::{counted, does},
    seal,
};
use voxplain_study::{
    alike::Copies,
    cohort::{Cohort, PERSON},
    run::{NearDuplicates, Run, RunMaps},
};

/// Names that are listed.
const LISTED: usize = 8;

/// The section.
#[derive(Debug, Serialize)]
pub(in crate::report) struct Leakage {
    /// A row for each kind of leak: what was done or checked, what was found, and what cannot be known from here.
    pub(in crate::report) table: TextTable,
    /// About the test set, a sentence each; none where there is none.
    pub(in crate::report) test_set: Vec<String>,
}

/// One kind of leak.
struct Row {
    kind: &'static str,
    checked: String,
    found: String,
    unknown: &'static str,
}

/// The table of a run. `cohort` is its own, where it can be read.
pub(in crate::report) fn of_run(run: &Run, cohort: Option<&Cohort>, maps: &RunMaps) -> Leakage {
    let rows = [
        separation(run),
        test_set(run),
        preprocessing(cohort),
        selection(),
        shared_images(run, cohort),
        near_duplicates(run.manifest.near_duplicates.as_ref()),
        repeated(run, cohort),
        families(run),
        covariates(run),
        tuning(run),
        initial(run),
        time(),
    ];
    let table = TextTable {
        head: ["Kind of leak", "What was done or checked", "What was found", "What cannot be known from here"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.into_iter().map(|row| vec![row.kind.to_owned(), row.checked, row.found, row.unknown.to_owned()]).collect(),
        note: "Kinds after Kapoor and Narayanan 2023 (Patterns 4:100804) and Rosenblatt et al. 2024 (Nature Communications 15:1829). \
               A row without a finding is no proof: it is about what this program could see."
            .to_owned(),
    };
    Leakage { table, test_set: about_test_set(run, maps) }
}

/// The option of that name, where it was given.
fn option<'a>(run: &'a Run, name: &str) -> Option<&'a Value> {
    run.manifest.options.get(name).filter(|value| !value.is_null())
}

fn word<'a>(run: &'a Run, name: &str) -> Option<&'a str> {
    option(run, name)?.as_str()
}

fn separation(run: &Run) -> Row {
    let checked = match run.manifest.folds {
        1 => "One part of the people was held out; the model never saw it.".to_owned(),
        folds => format!("{folds} folds; each person is judged by the model that was not trained on the person."),
    };
    Row {
        kind: "No separate test data",
        checked,
        found: "The numbers of this page are of people held out.".to_owned(),
        unknown: "Whether the people stand for those of whom the result is told.",
    }
}

fn test_set(run: &Run) -> Row {
    let (checked, found) = match &run.manifest.test {
        None => (
            "No test set was set apart.".to_owned(),
            "Whatever was chosen after a look at held-out people was chosen by them.".to_owned(),
        ),
        Some(test) => {
            let times = run.test_set_asked();
            let found = match times.len() {
                0 => "It has not been asked about by `predict`.".to_owned(),
                1 => format!("It was asked about once, on {}.", times[0]),
                n => format!(
                    "It was asked about {n} times ({}): what was changed in between may have been chosen by it.",
                    times.join("; ")
                ),
            };
            (format!("{} ({}) in no fold.", test.set, counted(test.subjects.len(), "subject")), found)
        }
    };
    Row {
        kind: "Test set used for choices",
        checked,
        found,
        unknown: "Other runs on the same people, and looks at them by other programs.",
    }
}

fn preprocessing(cohort: Option<&Cohort>) -> Row {
    let checked = match cohort {
        None => "The cohort cannot be read here.".to_owned(),
        Some(cohort) if cohort.made_by["command"] == "prepare" => {
            let template = cohort.preparation.template.is_some();
            format!(
                "The intensities of each image were prepared by that image alone{}.",
                if template { ", and each was aligned to a template" } else { "" }
            )
        }
        Some(cohort) if cohort.made_by["command"] == "simulate" => "The volumes are simulated.".to_owned(),
        Some(_) => "The volumes were not prepared by this program.".to_owned(),
    };
    Row {
        kind: "Preparation fitted on everybody",
        checked,
        found: "Scales of values and baselines are fitted inside each fold.".to_owned(),
        unknown: "What was done to the images before: harmonisation over all sites (ComBat), a template made of these people.",
    }
}

fn selection() -> Row {
    Row {
        kind: "Features chosen on everybody",
        checked: "The network takes every voxel of the prepared volume; none is chosen by the label.".to_owned(),
        found: "Nothing to find.".to_owned(),
        unknown: "Whether the region, the mask or the column was chosen after results on these people.",
    }
}

fn shared_images(run: &Run, cohort: Option<&Cohort>) -> Row {
    let (checked, found) = match cohort.map(|cohort| run.shared_images(cohort)) {
        None => ("Not checked: the cohort cannot be read here.".to_owned(), "Not known.".to_owned()),
        Some(Err(error)) => (format!("Not checked: {error}."), "Not known.".to_owned()),
        Some(Ok(pairs)) => {
            let names: Vec<String> =
                pairs.iter().take(LISTED).map(|(one, other)| format!("{one} and {other}")).collect();
            let found = match pairs.len() {
                0 => "None on both sides of a split.".to_owned(),
                n => format!("{} on both sides: {}{}.", counted(n, "pair"), names.join(", "), more(n)),
            };
            ("Files and prepared volumes, by their hash.".to_owned(), found)
        }
    };
    Row {
        kind: "Duplicates",
        checked,
        found,
        unknown: "A copy that was saved anew has another hash: see the next row.",
    }
}

fn more(count: usize) -> String {
    if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() }
}

fn near_duplicates(record: Option<&NearDuplicates>) -> Row {
    let (checked, found) = match record {
        None => ("Not recorded: the version that trained this run did not look.".to_owned(), "Not known.".to_owned()),
        Some(record) if record.asked == Copies::Off => {
            ("Not looked for, as was asked (`near-duplicates off`).".to_owned(), "Not known.".to_owned())
        }
        Some(NearDuplicates { limit: None, people, .. }) => (
            format!(
                "{} could not be compared: too few have a pattern of their own inside the mask.",
                counted(*people, "brain")
            ),
            "Not known.".to_owned(),
        ),
        Some(record @ NearDuplicates { limit: Some(limit), .. }) => {
            let without = match record.without.len() {
                0 => String::new(),
                n => format!("; {n} could not be compared"),
            };
            let checked = format!(
                "The pattern of the folds of {}, moved and mirrored; from a likeness of {limit:.2} on two may be one person{without}.",
                counted(record.people, "brain")
            );
            let of = if record.pairs.is_empty() { "The most alike" } else { "The next" };
            let next = record.next.as_ref().map_or_else(String::new, |next| format!(" {of} are {next}."));
            let found = match record.pairs.len() {
                0 => format!("None on both sides of a split.{next}"),
                n => {
                    let names: Vec<String> = record.pairs.iter().take(LISTED).map(ToString::to_string).collect();
                    format!(
                        "{} on both sides, trained on knowingly: {}{}.{next}",
                        counted(n, "pair"),
                        names.join(", "),
                        more(n)
                    )
                }
            };
            (checked, found)
        }
    };
    Row {
        kind: "Near duplicates",
        checked,
        found,
        unknown: "Whether two who are alike are one person, twins or a copy; a scan of a much turned head is not found.",
    }
}

fn repeated(run: &Run, cohort: Option<&Cohort>) -> Row {
    let (checked, found) = match cohort {
        None => ("The cohort cannot be read here.".to_owned(), "Not known.".to_owned()),
        Some(cohort) if !cohort.participants.columns.iter().any(|column| look(column) == PERSON) => (
            format!("The table has no column `{PERSON}`: every row is taken for another person."),
            "Not known, but by the rows on duplicates.".to_owned(),
        ),
        Some(cohort) => {
            let found =
                match run.members().and_then(|members| cohort.headcount(&members.into_iter().collect::<Vec<_>>())) {
                    Ok(heads) => format!("{heads} in the folds."),
                    Err(error) => format!("Not known: {error}."),
                };
            (format!("Scans of one person (column `{PERSON}`) stay on one side of every split."), found)
        }
    };
    Row {
        kind: "Repeated scans",
        checked,
        found,
        unknown: "People under two names, beyond what the rows on duplicates find.",
    }
}

fn families(run: &Run) -> Row {
    let (checked, found) = match word(run, "group") {
        Some(column) => (
            format!("Those with one value in the column {column} stay on one side of every split."),
            format!("Intervals are over the groups of {column}."),
        ),
        None => (
            "No groups were named (`group`).".to_owned(),
            "Relatives, and people of one site, may be on both sides.".to_owned(),
        ),
    };
    Row { kind: "Families and sites", checked, found, unknown: "Who is related to whom, but for what the table says." }
}

fn covariates(run: &Run) -> Row {
    let columns: Vec<&str> =
        option(run, "stratify").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let balanced = match columns.as_slice() {
        [] => "Folds are balanced by the label alone.".to_owned(),
        columns => format!("Folds are balanced by the label and by {}.", columns.join(", ")),
    };
    let matched: Vec<&str> =
        option(run, "match").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let matched = match matched.as_slice() {
        [] => String::new(),
        columns => format!(
            " Each fold trains on people who are matched on {}, by its training part alone (matching.json).",
            columns.join(", ")
        ),
    };
    Row {
        kind: "Covariates",
        checked: format!(
            "Nothing is regressed out of the volumes in training, so that nothing is fitted on everybody. {balanced}{matched}"
        ),
        found:
            "What goes with the label in this cohort (size, age, site) may be what the network uses: see the baselines."
                .to_owned(),
        unknown: "What was regressed out of the images before.",
    }
}

fn tuning(run: &Run) -> Row {
    let checked = match option(run, "early-stop") {
        Some(_) => "The epoch is chosen by a part of the training people, set aside in each fold.",
        None => "The number of epochs was given; nothing is chosen by those held out.",
    };
    Row {
        kind: "Options chosen by results",
        checked: checked.to_owned(),
        found: "Nothing to find in one run.".to_owned(),
        unknown: "How many runs with other options were looked at before this one.",
    }
}

fn initial(run: &Run) -> Row {
    let (checked, found) = match word(run, "init") {
        None => ("Weights were drawn at random.".to_owned(), "Nothing to find.".to_owned()),
        Some(path) => {
            let hash =
                word(run, "init-hash").map_or_else(|| "hash not recorded".to_owned(), |hash| format!("BLAKE3 {hash}"));
            (
                format!("Training began from {path} ({hash})."),
                "A model that says it was trained on people of this cohort, or began from one that was, is refused."
                    .to_owned(),
            )
        }
    };
    Row { kind: "Ancestors of the model", checked, found, unknown: "Whom a model that does not say so was trained on." }
}

fn time() -> Row {
    Row {
        kind: "Time",
        checked: "Not checked: dates of scans are not known.".to_owned(),
        found: "Not known.".to_owned(),
        unknown: "Whether people were scanned after what is predicted had happened.",
    }
}

/// Who is in the test set, when it was asked about and what came out, and who of it was explained by hand.
fn about_test_set(run: &Run, maps: &RunMaps) -> Vec<String> {
    let Some(test) = &run.manifest.test else { return Vec::new() };
    let mut said = vec![format!(
        "{} with {} {} a test set: in no fold, and in none of the numbers on accuracy and maps of this page.",
        counted(test.subjects.len(), "subject"),
        test.set,
        does(test.subjects.len(), "is", "are")
    )];
    let times = run.test_set_asked();
    said.push(match times.len() {
        0 => "It has not been asked about yet.".to_owned(),
        1 => format!("It was asked about once, on {}.", times[0]),
        n => format!("It was asked about {n} times: {}.", times.join("; ")),
    });
    let file = run.layout().test_metrics();
    if file.is_file() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = seal::read_with_files::<Value>(&file, "give back the files that were written");
        let first = |found: &Value| Some(found["metrics"]["summary"].as_array()?.first()?.as_str()?.to_owned());
        said.push(match found.as_ref().map(first) {
            Ok(Some(first)) => format!("What came out: {first} The rest stands in {name}."),
            Ok(None) => format!("How good the answers were, {name} does not say."),
            Err(error) => format!("What came out cannot be read: {error}."),
        });
    }
    let methods = maps.methods();
    let explained: BTreeSet<&str> = methods
        .iter()
        .flat_map(|method| maps.subjects(method))
        .filter(|id| run.manifest.is_kept_for_test(id))
        .collect();
    if !explained.is_empty() {
        let names: Vec<&str> = explained.iter().take(LISTED).copied().collect();
        said.push(format!(
            "{} of it {} explained by name ({}{}): their maps are not among those of people held out.",
            counted(explained.len(), "subject"),
            does(explained.len(), "was", "were"),
            names.join(", "),
            more(explained.len())
        ));
    }
    said
}
