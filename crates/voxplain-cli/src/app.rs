//! [`App`]: the two levels of a BIDS App, made of the verbs.
//!
//! The participant level prepares each person by itself, and has a model predict and explain them where one is given. The group level puts them
//! together, and trains, explains and reports as a configuration says, or reads off what a model said.

mod words;

pub(crate) use words::AppWords;

use crate::{
    pipeline::{Pipeline, Reader, named_after_atlas, words},
    session::{Outcome, Session},
    shell::{Shell, command_line},
    verb::prepare,
};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use voxplain::{
    Error,
    derivative::Derivatives,
    plural::counted,
    prepare::{Failure, GatherOptions, PrepareOptions, Unit, gather_units, prepare_unit, units},
};

/// What a BIDS App was asked for.
#[derive(Debug)]
pub(crate) struct App {
    /// The BIDS dataset.
    pub(crate) dataset: PathBuf,
    /// The dataset of derivatives.
    pub(crate) out: PathBuf,
    /// How people are prepared, and which.
    pub(crate) prepare: PrepareOptions,
    /// The model that predicts and explains them.
    pub(crate) model: Option<PathBuf>,
    /// How everybody is put together.
    pub(crate) gather: GatherOptions,
    /// Sections of a configuration, with the flags in them.
    pub(crate) sections: Table,
    /// What networks may take, as `--memory` has it.
    pub(crate) memory: Option<String>,
}

/// Sections that a configuration may have, in the order of the work; those of a training, and those of a model that is given.
pub(crate) const OF_TRAINING: [&str; 6] = ["train", "explain", "group", "regions", "evaluate", "report"];
pub(crate) const OF_MODEL: [&str; 4] = ["predict", "explain", "regions", "report"];

/// Keys by which verbs are told where things lie.
const OF_APP: [&str; 7] = ["cohort", "out", "run", "what", "maps", "directory", "bids"];

/// Methods that explain where none is named.
const METHODS: [&str; 2] = ["guided-backprop", "hires-cam"];

impl App {
    /// The sections of a configuration file; paths in it are relative to it, and the process goes to its folder.
    pub(crate) fn sections(file: &Path) -> anyhow::Result<Table> {
        let text = voxplain::input::read_to_string(file).map_err(Error::io(file))?;
        let config: Table = text.parse().with_context(|| file.display().to_string())?;
        let known: Vec<&str> = OF_MODEL.iter().chain(&OF_TRAINING).copied().collect();
        if let Some(other) = config.keys().find(|key| !known.contains(&key.as_str())) {
            let why = match other.as_str() {
                "prepare" | "simulate" => ": the participant level prepares, as the flags of bids-app say",
                "cohort" | "run" => ": cohort and run lie in OUT",
                _ => "",
            };
            bail!(
                "{}: `{other}` is no part of a BIDS App{why}; there are: [train], [explain], [group], [[regions]], [evaluate], [report], and [predict] with --model",
                file.display()
            );
        }
        // Where things lie is said by OUT; what is set aside in silence would be looked for elsewhere.
        for (verb, section) in &config {
            let one = std::slice::from_ref(section);
            let sections = section.as_array().map_or(one, Vec::as_slice).iter().filter_map(Value::as_table);
            let own =
                |key: &&String| OF_APP.contains(&key.as_str()) && (verb.as_str(), key.as_str()) != ("regions", "out");
            if let Some(key) = sections.flat_map(Table::keys).find(own) {
                bail!("{}: [{verb}] {key}: a BIDS App says itself where things lie: leave it out", file.display());
            }
        }
        Pipeline::enter(file)?;
        Ok(config)
    }

    /// Refuses sections that nothing is done with at the group level.
    fn refuse_unused(&self) -> anyhow::Result<()> {
        let (used, why): (&[&str], _) = match &self.model {
            Some(_) => (&OF_MODEL, "a model is given, and none is trained"),
            None if self.sections.contains_key("train") => (&OF_TRAINING, "no model is given"),
            None => (&[], "nothing is trained and no model is given: say what to learn with --label, or give --model"),
        };
        match self.sections.keys().find(|verb| !used.contains(&verb.as_str())) {
            Some(verb) => bail!("[{verb}] of the configuration is not for this: {why}"),
            None => Ok(()),
        }
    }

    fn derivatives(&self) -> Derivatives<'_> {
        Derivatives::at(&self.out)
    }

    /// The participant level.
    pub(crate) fn participants(&self, session: &Session, read: Reader) -> anyhow::Result<Outcome> {
        self.check(session, read)?;
        let found = units(&self.dataset, &self.prepare)?;
        self.derivatives().describe(&self.dataset)?;
        let (mut failed, mut incomplete) = (found.lacking, Vec::new());
        let (mut done, mut busy) = (Vec::new(), None);
        for unit in &found.units {
            session.progress().go_on()?;
            session.say(&format!("\nsub-{}", unit.id()));
            match self.participant(unit, session, read) {
                Ok(Outcome::Done) => done.push(unit),
                Ok(Outcome::Incomplete) => incomplete.push(unit.id()),
                Ok(Outcome::Stopped) => return Ok(Outcome::Stopped),
                Err(error) => match error.downcast::<Error>() {
                    Ok(error) if !error.is_of_machine() && !matches!(error, Error::Interrupted) => {
                        session.say(&format!("sub-{}: {error}", unit.id()));
                        failed.push(Failure { subject: unit.id(), what: error.to_string(), remedy: error.remedy() });
                        busy = busy.or(Some(error).filter(Error::is_transient));
                    }
                    Ok(error) => return Err(error.into()),
                    Err(other) => return Err(other),
                },
            }
        }
        let all = failed.len() + incomplete.len() + done.len();
        // Each session of a person is prepared by itself.
        let has_sessions = found.units.iter().any(|unit| unit.session.is_some());
        let all = counted(all, if has_sessions { "session" } else { "participant" });
        let mut lines = vec![format!("{} of {all} done", done.len())];
        for Failure { subject, what, remedy } in &failed {
            let remedy = remedy.as_ref().map(|remedy| format!(" ({})", remedy.render(&Shell))).unwrap_or_default();
            lines.push(format!("  sub-{subject}: {what}{remedy}"));
        }
        lines.extend(
            incomplete.iter().map(|id| format!("  sub-{id}: not all of it could be made; it is said above what")),
        );
        let hints = failed.iter().map(|f| json!({ "participant": f.subject, "what": f.what, "hint": f.remedy.as_ref().map(|r| r.render(&Shell)) }));
        let document =
            json!({ "done": done, "failed": hints.collect::<Vec<_>>(), "incomplete": incomplete, "out": self.out });
        session.result(&document, &lines.join("\n"))?;
        // Trying again may help: the exit status says so.
        if let Some(busy) = busy {
            return Err(busy.into());
        }
        let whole = failed.is_empty() && incomplete.is_empty();
        Ok(if whole || self.gather.keep_going { Outcome::Done } else { Outcome::Incomplete })
    }

    /// Prepares one, writes the derivatives, and asks the model.
    fn participant(&self, unit: &Unit, session: &Session, read: Reader) -> anyhow::Result<Outcome> {
        let derivatives = self.derivatives();
        let place = derivatives.unit(unit);
        let mut made = prepare_unit(&self.dataset, unit, &place, &self.prepare, session.progress())?;
        let Some(cohort) = &made.cohort else {
            return Err(match made.failed.pop() {
                Some(Failure { what, remedy, .. }) => Error::Subject {
                    subject: unit.id(),
                    what,
                    remedy: remedy.unwrap_or_else(|| "check the image".into()),
                },
                None => Error::subject(unit.id(), "could not be prepared", "check the image"),
            }
            .into());
        };
        derivatives.write_prepared(unit, cohort, &self.dataset)?;
        follow(self.person_steps(&place, &derivatives.predictions(unit))?, session, read)
    }

    /// What the model is asked about the cohort of one: the command lines. None where there is no model.
    fn person_steps(&self, cohort: &Path, predictions: &Path) -> anyhow::Result<Vec<Vec<String>>> {
        let Some(model) = &self.model else { return Ok(Vec::new()) };
        let mut predict = self.section("predict")?;
        set(&mut predict, "cohort", cohort);
        set(&mut predict, "out", predictions);
        predict.insert("force".into(), true.into());
        // Whether it is right is said of all together.
        predict.remove("label");
        let mut explain = self.section("explain")?;
        set(&mut explain, "cohort", cohort);
        set(&mut explain, "out", &self.out);
        explain.insert("bids".into(), true.into());
        if self.prepare.force {
            explain.insert("force".into(), true.into());
        }
        let steps = [("predict", "what", predict), ("explain", "what", explain)].map(|(verb, operand, mut section)| {
            set(&mut section, operand, model);
            words(verb, operand, section)
        });
        steps.into_iter().collect()
    }

    /// Refuses what cannot be understood, or cannot work whoever it is done with, before the first is done.
    fn check(&self, session: &Session, read: Reader) -> anyhow::Result<()> {
        let mut steps = self.group_steps(Path::new("maps"))?;
        steps.extend(self.person_steps(Path::new("cohort"), Path::new("predictions.tsv"))?);
        // Of what is for later it is known now that it cannot work.
        for (verb, operand) in [("explain", "what"), ("regions", "maps"), ("evaluate", "run")] {
            if self.sections.contains_key(verb) && !steps.iter().any(|step| step[0] == verb) {
                for mut section in self.several(verb)? {
                    set(&mut section, operand, Path::new("run"));
                    steps.push(words(verb, operand, section)?);
                }
            }
        }
        for step in &steps {
            AppWords::at(step.first().map(String::as_str));
            let _ = (read.work)(step).with_context(|| format!("[{}]", step[0]))?;
            (read.check)(step, session).with_context(|| format!("[{}]", step[0]))?;
        }
        AppWords::at(None);
        Ok(())
    }

    /// The group level.
    pub(crate) fn group(&self, session: &Session, read: Reader) -> anyhow::Result<Outcome> {
        let derivatives = self.derivatives();
        self.check(session, read)?;
        self.refuse_unused()?;
        derivatives.describe(&self.dataset)?;
        if let Some(model) = &self.model {
            derivatives.refuse_other_models(model, &self.dataset)?;
        }
        let place = derivatives.cohort();
        let made = gather_units(&self.dataset, &derivatives.prepared(), &place, &self.needed()?, session.progress())?;
        session.result(&prepare::document(&made), &prepare::text(&made))?;
        let steps = self.group_steps(&self.out)?;
        if steps.is_empty() {
            session.next([
                "train",
                &place.display().to_string(),
                "--label",
                "COLUMN",
                "--out",
                &derivatives.run().display().to_string(),
            ]);
        }
        match follow(steps, session, read)? {
            // Whoever is left out is named, and was to be.
            Outcome::Incomplete if self.gather.keep_going => Ok(Outcome::Done),
            outcome => Ok(outcome),
        }
    }

    /// How everybody is put together: with the columns that what follows needs.
    fn needed(&self) -> anyhow::Result<GatherOptions> {
        let (verb, keys): (_, &[&str]) = match self.model {
            Some(_) => ("predict", &["label"]),
            None => ("train", &["label", "group", "stratify", "match", "covariates"]),
        };
        let section = if self.sections.contains_key(verb) { self.section(verb)? } else { Table::new() };
        let named = keys.iter().filter_map(|key| section.get(*key)).flat_map(|value| match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        });
        let names = named.filter_map(Value::as_str).flat_map(|names| names.split(',')).map(str::trim);
        // `factor(site)` is a column as classes; volumes of masks are not in the table.
        let bare = |name: &str| {
            name.strip_prefix("factor(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(name).to_owned()
        };
        let columns = names.map(bare).filter(|name| name != "mask_volume").collect();
        Ok(GatherOptions { columns, ..self.gather.clone() })
    }

    /// What follows on the cohort: the command lines. `maps` is where maps by a given model lie.
    fn group_steps(&self, maps: &Path) -> anyhow::Result<Vec<Vec<String>>> {
        let derivatives = self.derivatives();
        let mut steps = Vec::new();
        if let Some(model) = &self.model {
            for verb in OF_MODEL.into_iter().filter(|verb| *verb != "explain") {
                for mut section in self.several(verb)? {
                    let operand = match verb {
                        "predict" => {
                            set(&mut section, "what", model);
                            set(&mut section, "cohort", &derivatives.cohort());
                            set(&mut section, "out", &derivatives.all_predictions());
                            section.insert("force".into(), true.into());
                            "what"
                        }
                        "regions" => {
                            let table = derivatives.regions(&named_after_atlas(&section));
                            section.entry("out").or_insert_with(|| text(&table));
                            set(&mut section, "maps", maps);
                            set(&mut section, "cohort", &derivatives.cohort());
                            "maps"
                        }
                        _ => {
                            set(&mut section, "directory", maps);
                            set(&mut section, "out", &derivatives.report());
                            "directory"
                        }
                    };
                    steps.push(words(verb, operand, section)?);
                }
            }
            return Ok(steps);
        }
        if !self.sections.contains_key("train") {
            return Ok(steps);
        }
        let run = derivatives.run();
        for verb in OF_TRAINING {
            for mut section in self.several(verb)? {
                let operand = match verb {
                    "train" => {
                        set(&mut section, "cohort", &derivatives.cohort());
                        set(&mut section, "out", &run);
                        if self.gather.force {
                            section.insert("force".into(), true.into());
                        }
                        "cohort"
                    }
                    "regions" => {
                        let table = run.join("regions").join(format!("{}.tsv", named_after_atlas(&section)));
                        section.entry("out").or_insert_with(|| text(&table));
                        set(&mut section, "maps", &run);
                        "maps"
                    }
                    _ => {
                        set(&mut section, "run", &run);
                        "run"
                    }
                };
                steps.push(words(verb, operand, section)?);
            }
        }
        Ok(steps)
    }

    /// The sections of a verb: as many as the configuration has; one of each that goes without saying, else none.
    fn several(&self, verb: &str) -> anyhow::Result<Vec<Table>> {
        match self.sections.get(verb) {
            Some(Value::Array(sections)) => sections
                .iter()
                .map(|section| section.as_table().map(|of| self.with_defaults(verb, of.clone())))
                .collect::<Option<_>>()
                .with_context(|| format!("[[{verb}]] is to be a section")),
            None if ["regions", "evaluate"].contains(&verb) => Ok(Vec::new()),
            // A build without pages makes none, unless one is asked for.
            None if verb == "report" && cfg!(not(feature = "report")) => Ok(Vec::new()),
            _ => Ok(vec![self.section(verb)?]),
        }
    }

    /// The section of a verb, with what goes without saying.
    fn section(&self, verb: &str) -> anyhow::Result<Table> {
        let section = match self.sections.get(verb) {
            None => Table::new(),
            Some(Value::Table(section)) => section.clone(),
            Some(other) => bail!("[{verb}] is to be one section, not {other}"),
        };
        Ok(self.with_defaults(verb, section))
    }

    fn with_defaults(&self, verb: &str, mut section: Table) -> Table {
        // What is made of all together is told of each once.
        if self.gather.keep_going && ["train", "group"].contains(&verb) {
            section.entry("keep_going").or_insert(Value::Boolean(true));
        }
        if self.gather.force && verb == "report" {
            section.entry("force").or_insert(Value::Boolean(true));
        }
        if verb == "explain" {
            section
                .entry("method")
                .or_insert_with(|| METHODS.map(|name| Value::String(name.to_owned())).to_vec().into());
        }
        if let Some(memory) = self.memory.as_ref().filter(|_| ["train", "explain"].contains(&verb)) {
            section.entry("memory").or_insert_with(|| memory.clone().into());
        }
        section
    }
}

fn text(path: &Path) -> Value {
    Value::String(path.display().to_string())
}

fn set(section: &mut Table, key: &str, path: &Path) {
    section.insert(key.to_owned(), text(path));
}

/// Does one step after another; the first that fails ends it.
fn follow(steps: Vec<Vec<String>>, session: &Session, read: Reader) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    for step in steps {
        session.say(&format!("\n$ {}", command_line(&step)));
        AppWords::at(step.first().map(String::as_str));
        match (read.work)(&step)?(session)? {
            Outcome::Done => {}
            Outcome::Incomplete => outcome = Outcome::Incomplete,
            Outcome::Stopped => return Ok(Outcome::Stopped),
        }
    }
    AppWords::at(None);
    Ok(outcome)
}
