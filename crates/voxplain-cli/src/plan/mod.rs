//! [`Plan`]: the steps of a configuration as stages that a batch system or a workflow engine can run.
//!
//! A stage that falls into parts (images, folds, people) is so many tasks that share nothing while they run, and then one task that puts the
//! parts together. Any task may be run again: what is there is not made again.

mod estimate;
mod measure;
mod shell;
mod slurm;
mod snakemake;

pub(crate) use estimate::Estimate;
pub(crate) use measure::{Asked, Measure};
pub(crate) use shell::script as shell;
pub(crate) use slurm::script as slurm;
pub(crate) use snakemake::file as snakemake;

use crate::shell::quoted;
use std::path::PathBuf;
use voxplain::compare::CompareOptions;

/// Several stages, each of which waits for the one before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The file that it was made from, as it was named.
    pub(crate) config: String,
    /// Where the commands run: paths in the configuration are relative to it.
    pub(crate) folder: PathBuf,
    /// What each task gets of which nothing else is known.
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
    /// What each of its tasks gets, where that was measured.
    pub(crate) resources: Option<Resources>,
    /// From where that is known, a sentence each.
    pub(crate) why: Vec<String>,
}

/// Verbs that are told how much memory the network may take.
const TAKE_MEMORY: [&str; 3] = ["train", "explain", "evaluate"];

impl Stage {
    /// The stages of the command lines of a configuration; each verb that falls into parts falls into `shards`, but into no more than the people
    /// that its step is about, where these are known, and training into no more than it has folds.
    pub(crate) fn of(
        steps: &[Vec<String>],
        shards: usize,
        people: &[Option<usize>],
        folds: impl Fn(&[String]) -> usize,
    ) -> Vec<Self> {
        let mut stages: Vec<Self> = Vec::new();
        for (n, words) in steps.iter().enumerate() {
            let verb = words[0].as_str();
            let before = stages.iter().filter(|stage| stage.words[0] == verb).count();
            let name = if before == 0 { verb.to_owned() } else { format!("{verb}{}", before + 1) };
            let people = people.get(n).copied().flatten().unwrap_or(usize::MAX);
            let most = match verb {
                "prepare" | "explain" => people,
                // A table is learnt in moments, in all folds at once.
                "train" if words.last().is_some_and(|operand| is_table(operand)) => 1,
                "train" => folds(words),
                "compare" => permutations(words),
                "evaluate" if has_curves_alone(words) => people,
                _ => 1,
            };
            let parts = shards.min(most);
            let out = || words.iter().find_map(|word| word.strip_prefix("--out=")).map(str::to_owned);
            let merge = match verb {
                // Maps are files of their own.
                "explain" => None,
                // Where the result lies may hang on the maps that there are: the command itself takes what was counted.
                "compare" | "evaluate" => Some(words.clone()),
                // The command itself, too: `merge` also asks for the maps, and of a plan that is submitted again these are not all there yet.
                "train" => Some(words.clone()),
                _ => out().map(|folder| ["merge", "--", &folder].map(str::to_owned).to_vec()),
            };
            let mut why = Vec::new();
            if verb == "evaluate" && shards > 1 && most == 1 {
                why.push("one task; with metric = [\"deletion\", \"insertion\"] it falls into parts".to_owned());
            }
            stages.push(Self {
                name,
                shards: (parts > 1).then_some(parts),
                merge: merge.filter(|_| parts > 1),
                resources: None,
                why,
                words: words.clone(),
            });
        }
        stages
    }

    /// Gives its tasks what was measured, where nobody has said it, and tells the command how much memory there is: then a batch that does not fit is
    /// divided alike on every machine. `given` is what the user said, `general` what a task gets of which nothing is known.
    pub(crate) fn sized(&mut self, estimate: &Estimate, given: (Option<u64>, Option<u64>), general: Resources) {
        let (memory, minutes) = given;
        let resources = Resources {
            memory: memory.or(estimate.memory).unwrap_or(general.memory),
            minutes: minutes.or(estimate.minutes).unwrap_or(general.minutes),
            ..general
        };
        self.resources = (resources != general).then_some(resources);
        self.why.extend(estimate.why.iter().cloned());
        let said = [
            ("--minutes", minutes.filter(|_| estimate.minutes.is_some())),
            ("--memory", memory.filter(|_| estimate.memory.is_some())),
        ];
        self.why
            .extend(said.into_iter().filter_map(|(flag, said)| said.map(|_| format!("{flag} was given, and holds"))));
        let is_said = self.words.iter().any(|word| word.starts_with("--memory="));
        if TAKE_MEMORY.contains(&self.words[0].as_str()) && !is_said {
            // The rest is for volumes and the process itself.
            let words = self.with(&[&format!("--memory={}MiB", resources.memory * 3 / 4)]);
            // The parts are put together with the options that they were made with.
            self.merge = self.merge.take().map(|merge| if merge == self.words { words.clone() } else { merge });
            self.words = words;
        }
    }

    /// The lines of a comment that say what its tasks get, and why.
    fn comment(&self) -> String {
        self.why.iter().map(|why| format!("# {}: {why}\n", self.name)).collect()
    }

    /// Its words with some more.
    fn with(&self, more: &[&str]) -> Vec<String> {
        with(&self.words, more)
    }
}

/// Whether what is learnt is a table, by the ending of its name.
fn is_table(operand: &str) -> bool {
    let ending = operand.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ["csv", "tsv", "txt"].contains(&ending.as_str()))
}

/// How many permutations a comparison counts, by the words of its command line.
fn permutations(words: &[String]) -> usize {
    let said = words.iter().find_map(|word| word.strip_prefix("--permutations="));
    said.and_then(|said| said.parse().ok()).unwrap_or_else(|| CompareOptions::default().permutations)
}

/// Whether an evaluation says that it is of curves: of these each person has some; a localisation takes no share of the people.
fn has_curves_alone(words: &[String]) -> bool {
    let metrics: Vec<&str> =
        words.iter().filter_map(|word| word.strip_prefix("--metric=")).flat_map(|of| of.split(',')).collect();
    !metrics.is_empty() && metrics.iter().all(|metric| ["deletion", "insertion"].contains(metric))
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
            stages: Stage::of(&steps(), 8, &[], |_| 5),
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
                stage("train", Some(5), Some("train --folds=5 --label=sex --out=work/sex -- work/cohort")),
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
        assert!(Stage::of(&steps(), 1, &[], |_| 5).iter().all(|stage| stage.shards.is_none() && stage.merge.is_none()));
    }

    #[test]
    fn there_are_no_more_parts_than_people_and_what_cannot_fall_into_parts_does_not() {
        let parts = |line: &str, people| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let mut stages = Stage::of(&[words], 40, &[people], |_| 5);
            let Stage { shards, merge, why, .. } = stages.remove(0);
            (shards, merge.is_some(), why.len())
        };
        assert_eq!(parts("explain --method=saliency -- r", Some(10)), (Some(10), false, 0));
        assert_eq!(parts("prepare --out=c -- bids", Some(1)), (None, false, 0));
        assert_eq!(parts("prepare --out=c -- bids", None), (Some(40), true, 0));
        assert_eq!(parts("train --label=sex --out=r -- people.TSV", Some(30)), (None, false, 0));
        assert_eq!(parts("train --label=sex --out=r -- c", Some(30)), (Some(5), true, 0));
        assert_eq!(parts("evaluate --metric=deletion --metric=insertion -- r", Some(30)), (Some(30), true, 0));
        assert_eq!(parts("evaluate --metric=localisation,deletion -- r", Some(30)), (None, false, 1));
        assert_eq!(parts("compare --design=sex --permutations=5 -- r", Some(30)), (Some(5), true, 0));
        assert_eq!(parts("evaluate -- r", Some(30)), (None, false, 1));
    }

    #[test]
    fn what_was_measured_is_given_unless_the_user_says_otherwise() {
        let general = plan().resources;
        let estimate =
            Estimate { minutes: Some(12), memory: Some(1024), why: vec!["time: so".into(), "memory: so".into()] };
        let sized = |estimate: &Estimate, given, n: usize| {
            let mut stage = plan().stages.remove(n);
            stage.sized(estimate, given, general);
            stage
        };
        let train = sized(&estimate, (None, None), 1);
        assert_eq!(train.resources, Some(Resources { memory: 1024, minutes: 12, ..general }));
        assert_eq!(train.comment(), "# train: time: so\n# train: memory: so\n");
        assert_eq!(train.words.join(" "), "train --folds=5 --label=sex --out=work/sex --memory=768MiB -- work/cohort");
        assert_eq!(train.merge.as_ref(), Some(&train.words));
        let given = sized(&estimate, (None, Some(90)), 1);
        assert_eq!(given.resources, Some(Resources { memory: 1024, minutes: 90, ..general }));
        assert!(given.why.contains(&"--minutes was given, and holds".to_owned()));
        // Where nothing was measured, the command is still told what there is; one that takes no memory is not.
        let unknown = sized(&Estimate::default(), (None, None), 2);
        assert_eq!(
            (unknown.resources, unknown.words.join(" ").as_str()),
            (None, "explain --method=saliency --memory=6000MiB -- work/sex")
        );
        assert_eq!(sized(&Estimate::default(), (None, None), 3).words, plan().stages[3].words);
        let mut said = plan().stages.remove(1);
        said.words.insert(1, "--memory=3GiB".into());
        let before = said.words.clone();
        said.sized(&estimate, (None, None), general);
        assert_eq!(said.words, before);
    }
}
