//! [`Shard`]: a part of work that several processes share, on one machine or on many; [`Share`]: how a user asks for it.
//!
//! Work is divided into units (folds, people), which are counted from 0 in a fixed order: that of their numbers, or of their sorted ids.
//! Unit `u` belongs to shard `1 + u mod N`, whoever asks and whatever is done already: so the processes need not speak with each other.
//!
//! Schedulers number the tasks of an array and tell each task its number in variables of its environment; [`Shard::of_task`] reads them.

use crate::{
    listed::{and, counted, does, listed},
    setting::SHARD,
};
use std::{fmt, fmt::Write as _, str::FromStr};
use voxplain_core::{Error, Result, remedy};

/// One of several parts of some work: `2/8` is the second of eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// From 1.
    number: usize,
    of: usize,
}

/// More parts than this are a mistake in a script.
const MOST: usize = 1_000_000;

impl Shard {
    /// The shard of this number, counted from 1, of so many.
    ///
    /// # Errors
    /// There is no such shard.
    pub fn new(number: usize, of: usize) -> Result<Self> {
        if of == 0 || of > MOST {
            return Err(Error::request(
                format!("{of} shards"),
                remedy![format!("divide the work into 1 to {MOST} shards, as in "), SHARD.to("1/8")],
            ));
        }
        if number == 0 || number > of {
            return Err(Error::request(
                format!("there is no shard {number} of {of}: shards are counted from 1 to {of}"),
                remedy!["for the tasks of an array number them from 1, or give ", SHARD.to("auto")],
            ));
        }
        Ok(Self { number, of })
    }

    /// Its number, from 1.
    pub const fn number(self) -> usize {
        self.number
    }

    /// How many shards there are.
    pub const fn of(self) -> usize {
        self.of
    }

    /// Whether a unit, counted from 0, belongs to it.
    pub const fn has(self, unit: usize) -> bool {
        unit % self.of == self.number - 1
    }

    /// Its units, of so many, ascending.
    pub fn units(self, all: usize) -> impl Iterator<Item = usize> {
        (self.number - 1..all).step_by(self.of)
    }

    /// The positions, ascending, of those among these ids who belong to it: units are the ids in sorted order, whatever the order here.
    pub fn positions(self, ids: &[&str]) -> Vec<usize> {
        let mut sorted: Vec<usize> = (0..ids.len()).collect();
        sorted.sort_by_key(|&n| ids[n]);
        let mut own: Vec<usize> = self.units(ids.len()).map(|unit| sorted[unit]).collect();
        own.sort_unstable();
        own
    }

    /// Which part of the work it is, in words: `shard 2 of 4 has 3 of 10 folds: 1, 5, 9`; `names` are those of its units.
    pub fn describe(self, names: &[impl fmt::Display], all: usize, noun: &str) -> String {
        /// Units that are named.
        const NAMED: usize = 12;
        let Self { number, of } = self;
        let mut text = format!("shard {number} of {of} has {} of {}", names.len(), counted(all, noun));
        if !names.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {}", listed(names, NAMED));
        }
        text
    }

    /// That these shards are not there, in words: `shards 1, 3 and 4 are missing of 4`.
    pub(crate) fn missing_in_words(missing: &[Self]) -> String {
        let numbers: Vec<String> = missing.iter().map(|shard| shard.number.to_string()).collect();
        let (count, of) = (missing.len(), missing.first().map_or(0, |shard| shard.of));
        format!("{} {} {} missing of {of}", does(count, "shard", "shards"), and(&numbers), does(count, "is", "are"))
    }

    /// The shard of the task of an array that this process is, by the variables of SLURM, SGE or PBS; `variable` gives the value of one.
    ///
    /// SLURM says the number of the task, of the first and of the last, how many there are and the step; SGE the same but how many. PBS says
    /// the number alone.
    ///
    /// # Errors
    /// It is no task of an array; its scheduler does not say of how many; the tasks are not evenly spaced (`--array=1,3,7`).
    pub fn of_task(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        // SGE says `undefined` to who is no task of an array.
        let text = |name: &str| variable(name).filter(|text| !text.trim().is_empty() && text.trim() != "undefined");
        let found: Vec<&str> = TASKS.into_iter().filter(|name| text(name).is_some()).collect();
        match found[..] {
            [] => Err(Error::request(
                format!(
                    "this is no task of an array: none of {} is set",
                    TASKS.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
                ),
                remedy!["say which part of the work it is: ", SHARD.to("1/8")],
            )),
            [SLURM] => {
                let of = Array {
                    task: SLURM,
                    first: "SLURM_ARRAY_TASK_MIN",
                    last: "SLURM_ARRAY_TASK_MAX",
                    step: "SLURM_ARRAY_TASK_STEP",
                    count: Some("SLURM_ARRAY_TASK_COUNT"),
                };
                of.shard(&text)
            }
            [SGE] => {
                let of = Array {
                    task: SGE,
                    first: "SGE_TASK_FIRST",
                    last: "SGE_TASK_LAST",
                    step: "SGE_TASK_STEPSIZE",
                    count: None,
                };
                of.shard(&text)
            }
            [only] => Err(Error::request(
                format!("${only} is set, and PBS does not say of how many tasks this is one"),
                remedy!["number the tasks from 1, and say how many there are, as in ", SHARD.to(format!("${only}/8"))],
            )),
            _ => Err(Error::request(
                format!(
                    "the variables of several schedulers are set: {}",
                    found.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
                ),
                remedy!["say which part of the work it is: ", SHARD.to("1/8")],
            )),
        }
    }
}

/// A shard as a user asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    /// This one, `2/8`.
    This(Shard),
    /// That of the task of an array, `auto`.
    OfTask,
}

impl Share {
    /// The shard; `variable` gives the value of a variable of the environment.
    ///
    /// # Errors
    /// Those of [`Shard::of_task`].
    pub fn shard(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        match self {
            Self::This(shard) => Ok(shard),
            Self::OfTask => Shard::of_task(variable),
        }
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "auto" { Ok(Self::OfTask) } else { text.parse().map(Self::This) }
    }
}

const SLURM: &str = "SLURM_ARRAY_TASK_ID";
const SGE: &str = "SGE_TASK_ID";
/// Variables that have the number of a task; the last two are those of PBS Professional and of Torque.
pub const TASKS: [&str; 4] = [SLURM, SGE, "PBS_ARRAY_INDEX", "PBS_ARRAYID"];

/// The variables by which a scheduler describes an array.
struct Array {
    task: &'static str,
    first: &'static str,
    last: &'static str,
    step: &'static str,
    count: Option<&'static str>,
}

impl Array {
    fn shard(&self, text: &dyn Fn(&str) -> Option<String>) -> Result<Shard> {
        let example = || remedy!["say which part of the work it is: ", SHARD.to(format!("${}/8", self.task))];
        let wrong = |what: String| Error::request(what, example());
        let number = |name: &str| -> Result<usize> {
            let said = text(name).ok_or_else(|| {
                wrong(format!("${} is set and ${name} is not: of how many tasks this is one is not known", self.task))
            })?;
            said.trim().parse().map_err(|_| wrong(format!("${name} is `{said}`, and no number")))
        };
        let (task, first, last) = (number(self.task)?, number(self.first)?, number(self.last)?);
        // Without it every number from the first to the last is a task.
        let step = if text(self.step).is_some() { number(self.step)? } else { 1 };
        let even = step > 0 && (first..=last).contains(&task) && (task - first) % step == 0;
        let count = if even { (last - first) / step + 1 } else { 0 };
        let said = self.count.map(number).transpose()?;
        if !even || said.is_some_and(|said| said != count) {
            return Err(wrong(format!(
                "task {task} is of an array whose numbers are not evenly spaced (from {first} to {last} in steps of {step}{}): which part of \
                 the work is whose is not known",
                said.map_or_else(String::new, |said| format!(", {} in all", counted(said, "task")))
            )));
        }
        Shard::new((task - first) / step + 1, count)
    }
}

/// `2/8`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').map(|(number, of)| (number.trim().parse(), of.trim().parse()));
        match parts {
            Some((Ok(number), Ok(of))) => Self::new(number, of),
            _ => Err(Error::request(
                format!("`{text}` is no shard"),
                remedy!["write its number, from 1, and how many there are, as in ", SHARD.to("2/8")],
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task(variables: &[(&str, &str)]) -> Result<Shard> {
        Shard::of_task(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
    }

    fn words(found: Result<Shard>) -> String {
        let error = found.unwrap_err();
        format!("{error}; {}", error.remedy().unwrap())
    }

    #[test]
    fn shards_are_written_and_read() {
        let shard: Shard = " 2 / 8".parse().unwrap();
        assert_eq!((shard.number(), shard.of(), shard.to_string().as_str()), (2, 8, "2/8"));
        assert_eq!("1/1".parse::<Share>().unwrap().shard(|_| None).unwrap(), Shard::new(1, 1).unwrap());
        assert_eq!("auto".parse::<Share>().unwrap(), Share::OfTask);
        for (text, what) in [
            ("0/4", "there is no shard 0 of 4: shards are counted from 1 to 4"),
            ("5/4", "there is no shard 5 of 4"),
            ("1/0", "0 shards"),
            ("2", "`2` is no shard; write its number, from 1"),
            ("/", "`/` is no shard"),
            ("a/b", "`a/b` is no shard"),
            ("-1/4", "`-1/4` is no shard"),
            ("1/2/3", "`1/2/3` is no shard"),
            ("1/9999999", "9999999 shards"),
        ] {
            let said = words(text.parse());
            assert!(said.contains(what), "{text}: {said}");
        }
        assert_eq!(
            Shard::new(2, 4).unwrap().describe(&[1, 5, 9], 10, "fold"),
            "shard 2 of 4 has 3 of 10 folds: 1, 5, 9"
        );
        assert_eq!(Shard::new(4, 4).unwrap().describe(&[0; 0], 3, "fold"), "shard 4 of 4 has 0 of 3 folds");
    }

    #[test]
    fn schedulers_say_which_task_it_is() {
        let slurm = |task: &'static str, first, last, count, step| {
            [
                ("SLURM_ARRAY_TASK_ID", task),
                ("SLURM_ARRAY_TASK_MIN", first),
                ("SLURM_ARRAY_TASK_MAX", last),
                ("SLURM_ARRAY_TASK_COUNT", count),
                ("SLURM_ARRAY_TASK_STEP", step),
            ]
        };
        let new = |number, of| Shard::new(number, of).unwrap();
        // --array=0-7, --array=1-8, --array=10-30:10.
        assert_eq!(task(&slurm("0", "0", "7", "8", "1")).unwrap(), new(1, 8));
        assert_eq!(task(&slurm("8", "1", "8", "8", "1")).unwrap(), new(8, 8));
        assert_eq!(task(&slurm("20", "10", "30", "3", "10")).unwrap(), new(2, 3));
        // --array=1,3,7, or with half of what is said.
        let said = words(task(&slurm("3", "1", "7", "3", "1")));
        assert!(said.contains("not evenly spaced (from 1 to 7 in steps of 1, 3 tasks in all)"), "{said}");
        assert!(said.contains("`shard` = $SLURM_ARRAY_TASK_ID/8"), "{said}");
        let said = words(task(&slurm("3", "1", "7", "3", "1")[..2]));
        assert!(said.contains("$SLURM_ARRAY_TASK_MAX is not"), "{said}");
        let said = words(task(&slurm("x", "1", "7", "7", "1")));
        assert!(said.contains("$SLURM_ARRAY_TASK_ID is `x`, and no number"), "{said}");
        assert!(task(&slurm("9", "1", "8", "8", "1")).is_err() && task(&slurm("1", "1", "1", "1", "0")).is_err());

        let sge = |task: &'static str, first, last, step| {
            [("SGE_TASK_ID", task), ("SGE_TASK_FIRST", first), ("SGE_TASK_LAST", last), ("SGE_TASK_STEPSIZE", step)]
        };
        assert_eq!(task(&sge("4", "2", "6", "2")).unwrap(), new(2, 3));
        // -t 2-7:2 has the tasks 2, 4 and 6.
        assert_eq!(task(&sge("6", "2", "7", "2")).unwrap(), new(3, 3));
        let none = words(task(&sge("undefined", "undefined", "undefined", "undefined")));
        assert!(none.contains("this is no task of an array: none of $SLURM_ARRAY_TASK_ID, $SGE_TASK_ID"), "{none}");

        let said = words(task(&[("PBS_ARRAY_INDEX", "3")]));
        assert!(said.contains("PBS does not say of how many") && said.contains("$PBS_ARRAY_INDEX/8"), "{said}");
        let both = words(task(&[("PBS_ARRAY_INDEX", "3"), ("SGE_TASK_ID", "3")]));
        assert!(both.contains("several schedulers are set: $SGE_TASK_ID, $PBS_ARRAY_INDEX"), "{both}");
    }

    proptest! {
        #[test]
        fn every_unit_is_of_one_shard(all in 0usize..200, of in 1usize..20) {
            let shards: Vec<Shard> = (1..=of).map(|number| Shard::new(number, of).unwrap()).collect();
            for unit in 0..all {
                prop_assert_eq!(shards.iter().filter(|shard| shard.has(unit)).count(), 1);
            }
            let sizes: Vec<usize> = shards.iter().map(|shard| shard.units(all).count()).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), all);
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            // By id, whatever the order.
            let names: Vec<String> = (0..all).map(|n| format!("p{}", (n * 7919) % 1000)).collect();
            let ids: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut backwards = ids.clone();
            backwards.reverse();
            for shard in shards {
                let of = |ids: &[&str]| {
                    let mut own: Vec<String> = shard.positions(ids).iter().map(|&n| ids[n].to_owned()).collect();
                    own.sort();
                    own
                };
                prop_assert_eq!(of(&ids), of(&backwards));
                prop_assert_eq!(of(&ids).len(), shard.units(all).count());
                prop_assert!(shard.units(all).all(|unit| shard.has(unit)));
                prop_assert_eq!(shard.to_string().parse::<Share>().unwrap(), Share::This(shard));
            }
        }

        #[test]
        fn tasks_of_an_array_are_its_shards(first in 0usize..50, count in 1usize..40, step in 1usize..5) {
            let last = first + (count - 1) * step;
            for number in 0..count {
                let said = |name: &str| Some(match name {
                    "SLURM_ARRAY_TASK_ID" => first + number * step,
                    "SLURM_ARRAY_TASK_MIN" => first,
                    "SLURM_ARRAY_TASK_MAX" => last,
                    "SLURM_ARRAY_TASK_COUNT" => count,
                    "SLURM_ARRAY_TASK_STEP" => step,
                    _ => return None,
                }.to_string());
                prop_assert_eq!(Share::OfTask.shard(said).unwrap(), Shard::new(number + 1, count).unwrap());
            }
        }
    }
}
