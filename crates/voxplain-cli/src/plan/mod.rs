//! [`Plan`]: the steps of a configuration as stages that a batch system or a workflow engine can run.
//!
//! A stage that falls into parts (images, folds, people) is so many tasks that share nothing while they run, and then one task that puts the
//! parts together. Any task may be run again: what is there is not made again.

mod shell;
mod slurm;
mod snakemake;

pub(crate) use shell::script as shell;
pub(crate) use slurm::script as slurm;
pub(crate) use snakemake::file as snakemake;

use crate::shell::quoted;
use std::path::PathBuf;

/// Several stages, each of which waits for the one before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The file that it was made from, as it was named.
    pub(crate) config: String,
    /// Where the commands run: paths in the configuration are relative to it.
    pub(crate) folder: PathBuf,
    /// What each task gets.
    pub(crate) resources: Resources,
    /// In the order of the work.
    pub(crate) stages: Vec<Stage>,
}

/// What a task gets from a batch system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Processors.
    pub(crate) cpus: u16,
    /// MiB of memory.
    pub(crate) memory: u64,
    /// Minutes.
    pub(crate) minutes: u64,
}

/// What is done by one command: at once, or in parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// A name of its own: the verb, with a number where it comes several times.
    pub(crate) name: String,
    /// The words of the command, without `voxplain`.
    pub(crate) words: Vec<String>,
    /// Into how many parts it falls; `None` where it is one task.
    pub(crate) shards: Option<usize>,
    /// The words of the command that puts its parts together afterwards.
    pub(crate) merge: Option<Vec<String>>,
}

/// Verbs that fall into parts.
const IN_PARTS: [&str; 4] = ["prepare", "train", "explain", "compare"];

impl Stage {
    /// The stages of the command lines of a configuration; each verb that falls into parts falls into `shards`, but training into no more than
    /// it has folds.
    pub(crate) fn of(steps: &[Vec<String>], shards: usize, folds: impl Fn(&[String]) -> usize) -> Vec<Self> {
        let mut stages: Vec<Self> = Vec::new();
        for words in steps {
            let verb = words[0].as_str();
            let before = stages.iter().filter(|stage| stage.words[0] == verb).count();
            let name = if before == 0 { verb.to_owned() } else { format!("{verb}{}", before + 1) };
            let parts = match verb {
                "train" => shards.min(folds(words)),
                _ => shards,
            };
            let in_parts = IN_PARTS.contains(&verb) && parts > 1;
            let out = || words.iter().find_map(|word| word.strip_prefix("--out=")).map(str::to_owned);
            let merge = match verb {
                // Maps are files of their own.
                "explain" => None,
                // Where the result lies may hang on the maps that there are: the command itself takes what was counted.
                "compare" => Some(words.clone()),
                _ => out().map(|folder| ["merge", "--", &folder].map(str::to_owned).to_vec()),
            };
            stages.push(Self {
                name,
                shards: in_parts.then_some(parts),
                merge: merge.filter(|_| in_parts),
                words: words.clone(),
            });
        }
        stages
    }

    /// Its words with some more.
    fn with(&self, more: &[&str]) -> Vec<String> {
        with(&self.words, more)
    }
}

/// The words of a command with some more, before what ends the flags.
fn with(words: &[String], more: &[&str]) -> Vec<String> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (flags, rest) = words.split_at(end);
    flags.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).chain(rest.iter().cloned()).collect()
}

/// Words as a shell takes them, behind the name of the program.
fn line<'a>(program: &str, words: impl IntoIterator<Item = &'a String>) -> String {
    words.into_iter().fold(program.to_owned(), |line, word| format!("{line} {}", quoted(word)))
}

/// What a file begins with, behind `#`: where it comes from.
fn made_from(plan: &Plan, what: &str) -> String {
    format!("# {what}, made by voxplain {} from {}.", env!("CARGO_PKG_VERSION"), plan.config)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn steps() -> Vec<Vec<String>> {
        let lines = [
            "prepare --mask=_mask.nii.gz --out=work/cohort -- bids",
            "train --folds=5 --label=sex --out=work/sex -- work/cohort",
            "explain --method=saliency -- work/sex",
            "group -- work/sex",
            "compare --design=label -- work/sex",
            "regions --atlas=sub/{id}.nii.gz --out=a.tsv -- work/sex",
            "regions --atlas=b.nii.gz --out=b.tsv -- work/sex",
        ];
        lines.map(|line| line.split(' ').map(str::to_owned).collect()).to_vec()
    }

    pub(crate) fn plan() -> Plan {
        Plan {
            config: "project.toml".to_owned(),
            folder: "/data/it's here".into(),
            resources: Resources { cpus: 4, memory: 8000, minutes: 90 },
            stages: Stage::of(&steps(), 8, |_| 5),
        }
    }

    #[test]
    fn stages_fall_into_parts_and_are_put_together() {
        let found: Vec<(String, Option<usize>, Option<String>)> =
            plan().stages.into_iter().map(|s| (s.name, s.shards, s.merge.map(|words| words.join(" ")))).collect();
        let stage = |name: &str, shards, merge: Option<&str>| (name.to_owned(), shards, merge.map(str::to_owned));
        assert_eq!(
            found,
            [
                stage("prepare", Some(8), Some("merge -- work/cohort")),
                stage("train", Some(5), Some("merge -- work/sex")),
                stage("explain", Some(8), None),
                stage("group", None, None),
                stage("compare", Some(8), Some("compare --design=label -- work/sex")),
                stage("regions", None, None),
                stage("regions2", None, None),
            ]
        );
        assert_eq!(
            plan().stages[0].with(&["--shard=2/8"]).join(" "),
            "prepare --mask=_mask.nii.gz --out=work/cohort --shard=2/8 -- bids"
        );
        assert!(Stage::of(&steps(), 1, |_| 5).iter().all(|stage| stage.shards.is_none() && stage.merge.is_none()));
    }
}
