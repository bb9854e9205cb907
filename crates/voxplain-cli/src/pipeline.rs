//! [`Pipeline`]: several verbs in a row, from a configuration file.
//!
//! A section of the file is a verb, a key is a flag of it without the dashes: what `voxplain VERB --help` says holds here too.

mod needs;

pub(crate) use needs::{Makes, Maps, Needs};

use crate::{
    session::{Outcome, Session},
    shell::command_line,
};
use anyhow::{Context as _, bail};
use std::{collections::BTreeSet, path::Path};
use toml::{Table, Value};

/// Verbs in the order in which they are run, with the key of what they take without a flag.
pub(crate) const ORDER: [(&str, &str); 10] = [
    ("simulate", ""),
    ("prepare", "source"),
    ("train", "cohort"),
    ("explain", "run"),
    ("group", "run"),
    ("regions", "maps"),
    ("evaluate", "run"),
    ("compare", "source"),
    ("report", "run"),
    ("inspect", "files"),
];

/// What a command line asks for, ready to be done.
pub(crate) type Work = Box<dyn FnOnce(&Session) -> anyhow::Result<Outcome>>;

/// How the words of a command line are read.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    /// What they ask for.
    pub(crate) work: fn(&[String]) -> anyhow::Result<Work>,
    /// What that takes and makes.
    pub(crate) needs: fn(&[String]) -> anyhow::Result<Needs>,
    /// Refuses what cannot work, before it is begun.
    pub(crate) check: fn(&[String], &Session) -> anyhow::Result<()>,
}

/// Several verbs in a row: their command lines.
#[derive(Debug, PartialEq)]
pub(crate) struct Pipeline {
    /// The file that says so; none of one that is made here.
    file: Option<String>,
    steps: Vec<Vec<String>>,
}

impl Pipeline {
    /// From the text of a configuration file.
    ///
    /// `cohort` and `run` at the top say where the cohort and the run are or will be, or else `out` of the one section that makes it; sections are
    /// verbs. A verb that is to run several times (`regions`, say) is an array of tables.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut config: Table = text.parse::<Table>()?;
        let place = |config: &mut Table, key: &str, made_by: &[&str]| -> anyhow::Result<String> {
            let said = match config.remove(key) {
                Some(Value::String(path)) => Some(path),
                Some(other) => bail!("`{key}` is to be a path, not {other}"),
                None => None,
            };
            // Of several that are made none is the one.
            let mut made = made_by.iter().filter_map(|verb| Some((verb, config.get(*verb)?.get("out")?.as_str()?)));
            let made = made.next().filter(|_| made.next().is_none());
            match (said, made) {
                (Some(said), Some((verb, out))) if said != out => {
                    bail!("`{key}` is {said}, and `out` in [{verb}] is {out}: what is it? leave one of them out")
                }
                (said, made) => Ok(said.or_else(|| Some(made?.1.to_owned())).unwrap_or_else(|| key.to_owned())),
            }
        };
        let cohort = place(&mut config, "cohort", &["simulate", "prepare"])?;
        let run = place(&mut config, "run", &["train"])?;

        let known: BTreeSet<&str> = ORDER.iter().map(|(verb, _)| *verb).collect();
        if let Some(unknown) = config.keys().find(|key| !known.contains(key.as_str())) {
            bail!(
                "`{unknown}` is unknown; there are: cohort, run, {}",
                ORDER.map(|(verb, _)| format!("[{verb}]")).join(", ")
            );
        }
        let mut steps = Vec::new();
        for (verb, operand) in ORDER {
            let sections = match config.remove(verb) {
                None => continue,
                Some(Value::Table(section)) => vec![section],
                Some(Value::Array(sections)) => sections
                    .into_iter()
                    .map(|s| s.try_into::<Table>().with_context(|| format!("[[{verb}]] is to be a section")))
                    .collect::<Result<_, _>>()?,
                Some(other) => bail!("[{verb}] is to be a section, not {other}"),
            };
            for mut section in sections {
                let default = match verb {
                    "simulate" | "prepare" => ("out", &cohort),
                    "train" => {
                        section.entry("out").or_insert_with(|| Value::String(run.clone()));
                        (operand, &cohort)
                    }
                    _ => (operand, &run),
                };
                section.entry(default.0).or_insert_with(|| Value::String(default.1.clone()));
                // Tables of a run are kept in it, where the report finds them.
                if verb == "regions"
                    && !section.contains_key("out")
                    && section.get(operand) == Some(&Value::String(run.clone()))
                {
                    let out = Path::new(&run).join("regions").join(format!("{}.tsv", named_after_atlas(&section)));
                    section.insert("out".to_owned(), Value::String(out.display().to_string()));
                }
                steps.push(words(verb, operand, section)?);
            }
        }
        if steps.is_empty() {
            bail!("no section says what to do; there are: {}", ORDER.map(|(verb, _)| format!("[{verb}]")).join(", "));
        }
        Ok(Self { file: None, steps })
    }

    /// The command lines.
    pub(crate) fn steps(&self) -> &[Vec<String>] {
        &self.steps
    }

    /// The command lines.
    #[cfg(test)]
    pub(crate) fn into_steps(self) -> Vec<Vec<String>> {
        self.steps
    }

    /// The words of its one step.
    #[cfg(test)]
    pub(crate) fn only_step(mut self) -> Vec<String> {
        assert_eq!(self.steps.len(), 1);
        self.steps.remove(0)
    }

    /// From a file; paths in it are relative to the file, so that a project can be moved.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = voxplain::input::read_to_string(path).map_err(voxplain::Error::io(path))?;
        let place = || path.display().to_string();
        let pipeline = Self { file: Some(place()), ..Self::parse(&text).with_context(place)? };
        let unfilled = unfilled(&text.parse().with_context(place)?);
        if !unfilled.is_empty() {
            bail!("{}: what stands in <> is to be filled in first: {}", place(), unfilled.join(", "));
        }
        Self::enter(path)?;
        Ok(pipeline)
    }

    /// Goes to the folder of a configuration file, which paths in it are relative to.
    pub(crate) fn enter(file: &Path) -> anyhow::Result<()> {
        match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => std::env::set_current_dir(folder).with_context(|| format!("{}", folder.display())),
            None => Ok(()),
        }
    }

    /// The work of each step; refuses what cannot be understood.
    pub(crate) fn work(&self, work: fn(&[String]) -> anyhow::Result<Work>) -> anyhow::Result<Vec<Work>> {
        let of = |step: &Vec<String>| work(step).with_context(|| format!("[{}]", step[0]));
        self.in_file(self.steps.iter().map(of).collect::<anyhow::Result<_>>())
    }

    /// Looks up what the steps need, and has those refused whose files are there and cannot work; how many people each is about, where that is
    /// known.
    pub(crate) fn look_up(&self, session: &Session, read: Reader) -> anyhow::Result<Vec<Option<usize>>> {
        self.in_file(self.look_up_steps(session, read))
    }

    fn look_up_steps(&self, session: &Session, read: Reader) -> anyhow::Result<Vec<Option<usize>>> {
        let mut needs = Vec::new();
        let mut ready = Vec::new();
        for step in &self.steps {
            let of = (read.needs)(step)?;
            if of.files.iter().all(|(_, file)| file.exists()) {
                ready.push(step);
            }
            needs.push((step[0].as_str(), of));
        }
        let people = needs::look_up(needs)?;
        for step in ready {
            (read.check)(step, session).with_context(|| format!("[{}]", step[0]))?;
        }
        Ok(people)
    }

    /// An error with the file in front.
    fn in_file<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        match &self.file {
            Some(file) => result.with_context(|| file.clone()),
            None => result,
        }
    }

    /// Runs the verbs; the first that fails ends it. What is there already is
    /// not made again.
    pub(crate) fn run(&self, session: &Session, read: Reader) -> anyhow::Result<Outcome> {
        // All are parsed before the first runs: a misspelt key should not show after hours of training.
        let all = self.work(read.work)?;
        self.look_up(session, read)?;
        let mut outcome = Outcome::Done;
        for (work, step) in all.into_iter().zip(&self.steps) {
            session.say(&format!("\n$ {}", command_line(step)));
            match work(session).with_context(|| format!("[{}]", step[0]))? {
                Outcome::Done => {}
                Outcome::Incomplete => outcome = Outcome::Incomplete,
                Outcome::Stopped => return Ok(Outcome::Stopped),
            }
        }
        Ok(outcome)
    }
}

/// What a table of regions is called, where nothing says it: after its atlas, and its channel where it is of one.
pub(crate) fn named_after_atlas(section: &Table) -> String {
    let text = |key: &str| section.get(key).and_then(Value::as_str);
    let stem = voxplain::explain::stem(Path::new(text("atlas").unwrap_or("atlas")));
    let name = text("channel").map_or(stem.clone(), |channel| format!("{stem}_{channel}"));
    name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// The keys whose value is still that of the file that `run --init` writes, `<COLUMN>`: `[train] label = "<COLUMN>"`.
fn unfilled(config: &Table) -> Vec<String> {
    let is_placeholder = |value: &Value| {
        let inner = value.as_str().and_then(|text| text.strip_prefix('<')?.strip_suffix('>'));
        inner.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    let mut keys = Vec::new();
    for (verb, section) in ORDER.iter().filter_map(|(verb, _)| Some((verb, config.get(*verb)?))) {
        let sections = match section {
            Value::Array(sections) => sections.iter().collect(),
            one => vec![one],
        };
        for (key, value) in sections.iter().filter_map(|of| of.as_table()).flatten() {
            let one = std::slice::from_ref(value);
            let values = value.as_array().map_or(one, |values| values.as_slice());
            if values.iter().any(is_placeholder) {
                keys.push(format!("[{verb}] {key} = {value}"));
            }
        }
    }
    keys
}

/// A section as the words of a command line.
pub(crate) fn words(verb: &str, operand: &str, section: Table) -> anyhow::Result<Vec<String>> {
    let mut line = vec![verb.to_owned()];
    let mut operands = Vec::new();
    for (key, value) in section {
        let values = match value {
            Value::Array(values) => values,
            single => vec![single],
        };
        for value in values {
            let text = match value {
                Value::Boolean(true) => {
                    line.push(format!("--{}", key.replace('_', "-")));
                    continue;
                }
                Value::Boolean(false) => continue,
                Value::String(text) => text,
                Value::Integer(n) => n.to_string(),
                Value::Float(x) => x.to_string(),
                other => {
                    bail!("[{verb}] {key}: expected text, a number, true or false, or a list of them; found {other}")
                }
            };
            if key == operand {
                operands.push(text);
            } else {
                line.push(format!("--{}={text}", key.replace('_', "-")));
            }
        }
    }
    if !operands.is_empty() {
        line.push("--".to_owned());
        line.extend(operands);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_become_command_lines_in_the_order_of_the_work() {
        let text = r#"
            cohort = "c"
            run = "r"
            [report]
            [explain]
            method = ["saliency", "grad-cam"]
            set = ["grad-cam.rectify=true"]
            [[regions]]
            atlas = "a.nii.gz"
            labels = "a.csv"
            allow_mismatch = true
            [[regions]]
            atlas = "b.nii.gz"
            labels = "b.csv"
            allow_mismatch = false
            [train]
            label = "Sex"
            folds = 5
            lr = 1e-3
            [simulate]
            effect = ["left-putamen:-20%"]
        "#;
        let steps: Vec<String> = Pipeline::parse(text).unwrap().steps.iter().map(|s| s.join(" ")).collect();
        assert_eq!(
            steps,
            [
                "simulate --effect=left-putamen:-20% --out=c",
                "train --folds=5 --label=Sex --lr=0.001 --out=r -- c",
                "explain --method=saliency --method=grad-cam --set=grad-cam.rectify=true -- r",
                "regions --allow-mismatch --atlas=a.nii.gz --labels=a.csv --out=r/regions/a.tsv -- r",
                "regions --atlas=b.nii.gz --labels=b.csv --out=r/regions/b.tsv -- r",
                "report -- r",
            ]
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let error = |text: &str| format!("{:#}", Pipeline::parse(text).unwrap_err());
        assert!(error("[trian]\nlabel = 'Sex'").contains("`trian` is unknown"));
        assert!(error("run = 3").contains("`run` is to be a path"));
        let two = error("run = 'a'\n[train]\nout = 'b'");
        assert!(two.contains("`run` is a, and `out` in [train] is b"), "{two}");
        assert!(error("").contains("no section says what to do"));
        assert!(error("[train]\nlabel = { a = 1 }").contains("[train] label"));
        assert!(error("run = ").contains("TOML"));
        // As `run --init` writes it; a name in <> of somebody's own is none of these.
        let unfilled = |text: &str| unfilled(&text.parse().unwrap()).join(", ");
        assert_eq!(
            unfilled(
                "[prepare]\nsource = '<SOURCE>'\n[train]\nlabel = '<COLUMN>'\nfolds = 3\n[[regions]]\natlas = ['<ATLAS>']"
            ),
            "[prepare] source = \"<SOURCE>\", [train] label = \"<COLUMN>\", [regions] atlas = [\"<ATLAS>\"]"
        );
        assert_eq!(unfilled("cohort = 'c'\n[train]\nlabel = '<5 years>'\nfolds = 5"), "");
    }
}
