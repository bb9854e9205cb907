//! [`Estimate`]: what a task is reckoned to take, from what was measured of a small part of it. Each number comes with a sentence that says from where.

use std::fmt::Write as _;
use voxplain::plural::{counted, does};

/// A task takes at most so many times what was measured: machines differ, and are shared.
const SAFETY: f64 = 2.0;
/// Minutes to begin and to end: a task is told two minutes before its time is up.
const AROUND: f64 = 5.0;
/// Memory is so many times what was measured.
const ROOM: f64 = 1.25;
/// Memory of the process itself, MiB; sizes are rounded up to it.
const BASE: u64 = 256;
/// Volumes that a training keeps in memory are at most so many bytes.
const KEPT: f64 = 2_147_483_648.0;
const MIB: f64 = 1_048_576.0;

/// What a task is given, as far as it could be measured, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) minutes: Option<u64>,
    /// MiB.
    pub(crate) memory: Option<u64>,
    pub(crate) why: Vec<String>,
}

/// Images that are to be prepared, of which one was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Images {
    pub(crate) images: usize,
    /// Seconds to look at the source.
    pub(crate) listing: f64,
    /// Seconds of an image.
    pub(crate) seconds: f64,
    /// Memory of an image, bytes.
    pub(crate) bytes: Option<u64>,
}

/// A training of which some steps were made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Training {
    pub(crate) people: usize,
    pub(crate) folds: usize,
    /// The share of people who are held out in a fold.
    pub(crate) held_out: f64,
    pub(crate) epochs: usize,
    pub(crate) early_stop: bool,
    pub(crate) batch: usize,
    /// Seconds of a batch.
    pub(crate) step: f64,
    pub(crate) timed: usize,
    /// What the network holds for a batch, bytes.
    pub(crate) bytes: u64,
    /// Bytes of a volume.
    pub(crate) volume: u64,
}

/// Maps of which one by each method was made.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    /// People who are explained.
    pub(crate) people: usize,
    /// Each method, and the seconds of a map or why there is none.
    pub(crate) methods: Vec<(String, Result<f64, String>)>,
    /// The most memory that the process held, bytes.
    pub(crate) bytes: Option<u64>,
}

impl Estimate {
    /// Nothing could be measured.
    pub(crate) fn none(why: impl Into<String>) -> Self {
        Self { why: vec![format!("not measured: {}", one_line(&why.into()))], ..Self::default() }
    }

    /// A task prepares every so many-th image, as many at once as it has processors; its time is reckoned as if one came after the other.
    pub(crate) fn of_images(of: &Images, shards: usize, cpus: u16) -> Self {
        let each = of.images.div_ceil(shards.max(1));
        let minutes = minutes(of.listing + each as f64 * of.seconds);
        let mut why = vec![format!(
            "time: {each} of {} at {} (one was prepared here), one after the other, and {} to look at the source; {}",
            counted(of.images, "image"),
            seconds(of.seconds),
            seconds(of.listing),
            rounding(minutes)
        )];
        let memory = of.bytes.map(|bytes| {
            let memory = mebibytes(bytes as f64 * f64::from(cpus));
            why.push(format!(
                "memory: {:.0} MiB for an image, {cpus} at once; {}",
                bytes as f64 / MIB,
                memory_rounding(memory)
            ));
            memory
        });
        Self { minutes: Some(minutes), memory, why }
    }

    /// A task trains its folds one after the other.
    pub(crate) fn of_training(of: &Training, shards: usize) -> Self {
        let folds = of.folds.div_ceil(shards.max(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of people")]
        let train = of.people - ((of.people as f64 * of.held_out).floor() as usize).min(of.people);
        let batches = train.div_ceil(of.batch);
        let asked = of.people.div_ceil(of.batch);
        let minutes = minutes(folds as f64 * (of.epochs * batches + asked) as f64 * of.step);
        let most = if of.early_stop { " at most (early stopping may end it before)" } else { "" };
        let time = format!(
            "time: {} of {}{most}, each of up to {batches} {} of {} at {} (the longest of {} that were made here), and a last look at \
             all {} people; {}",
            counted(folds, "fold"),
            counted(of.epochs, "epoch"),
            does(batches, "batch", "batches"),
            of.batch,
            seconds(of.step),
            of.timed,
            of.people,
            rounding(minutes)
        );
        let all = (of.people as u64 * of.volume) as f64;
        // A mask has a byte where a volume has four. Training keeps all or none.
        let (volumes, words) = if all > KEPT {
            (
                0.0,
                "no volumes (they are more than 2 GiB, and read again for each batch, which was not timed)".to_owned(),
            )
        } else {
            (1.25 * all, format!("{:.0} MiB of volumes and masks", 1.25 * all / MIB))
        };
        let memory = mebibytes(of.bytes as f64 + volumes);
        let room = format!(
            "memory: {:.0} MiB for a batch, as the network is compiled, and {words}; {}",
            of.bytes as f64 / MIB,
            memory_rounding(memory)
        );
        Self { minutes: Some(minutes), memory: Some(memory), why: vec![time, room] }
    }

    /// A task makes all maps of its people.
    pub(crate) fn of_maps(of: &Maps, shards: usize) -> Self {
        let people = of.people.div_ceil(shards.max(1));
        let failed: Vec<String> = (of.methods.iter())
            .filter_map(|(method, made)| Some(format!("{method} ({})", one_line(made.as_ref().err()?))))
            .collect();
        let mut timed = String::new();
        for (n, (method, time)) in of.methods.iter().filter_map(|(m, made)| Some((m, made.as_ref().ok()?))).enumerate()
        {
            // Writing to a string cannot fail.
            let _ = write!(timed, "{}{method} {}", if n == 0 { "" } else { ", " }, seconds(*time));
        }
        let mut why = Vec::new();
        let minutes = failed.is_empty().then(|| {
            let each: f64 = of.methods.iter().filter_map(|(_, made)| made.as_ref().ok()).sum();
            minutes(people as f64 * each)
        });
        match minutes {
            Some(minutes) => why.push(format!(
                "time: {people} of {} people, for each {timed} (one map of each was made here, by a network that was trained for a moment); {}",
                of.people,
                rounding(minutes)
            )),
            None => why.push(format!("time not measured, since here no map could be made by {}", failed.join("; "))),
        }
        let memory = of.bytes.filter(|_| minutes.is_some()).map(|bytes| {
            let memory = mebibytes(bytes as f64);
            why.push(format!(
                "memory: {:.0} MiB that the process held at most while it measured; {}",
                bytes as f64 / MIB,
                memory_rounding(memory)
            ));
            memory
        });
        Self { minutes, memory, why }
    }
}

/// What a task is given for work of so many seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of minutes above 0")]
fn minutes(seconds: f64) -> u64 {
    (SAFETY * seconds / 60.0 + AROUND).ceil() as u64
}

/// What a task is given for so many bytes, MiB.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size above 0")]
fn mebibytes(bytes: f64) -> u64 {
    ((ROOM * bytes / MIB).ceil() as u64 + BASE).next_multiple_of(BASE)
}

fn rounding(minutes: u64) -> String {
    format!("twice that and {AROUND} minutes are {minutes} minutes")
}

fn memory_rounding(memory: u64) -> String {
    format!("a quarter more and {BASE} MiB, rounded up, are {memory} MiB")
}

/// `0.068 s`, `12 s`.
fn seconds(of: f64) -> String {
    format!("{} s", voxplain::stats::significant(of, 2))
}

/// A text in a comment: on one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_by_hand() {
        let of = Images { images: 100, listing: 10.0, seconds: 3.0, bytes: Some(100 << 20) };
        let found = Estimate::of_images(&of, 8, 4);
        // 13 images: 49 s, twice that 98 s and 5 min: 6.6 min. 4 * 100 MiB * 1.25 + 256 = 756.
        assert_eq!((found.minutes, found.memory), (Some(7), Some(768)));
        assert!(found.why[0].starts_with("time: 13 of 100 images at 3 s (one was prepared here)"), "{:?}", found.why);
        let unknown = Estimate::of_images(&Images { bytes: None, ..of }, 1, 4);
        assert_eq!((unknown.minutes, unknown.memory, unknown.why.len()), (Some(16), None, 1));
    }

    #[test]
    fn trainings_by_hand() {
        let of = Training {
            people: 100,
            folds: 5,
            held_out: 0.2,
            epochs: 30,
            early_stop: true,
            batch: 4,
            step: 0.5,
            timed: 3,
            bytes: 400 << 20,
            volume: 1 << 20,
        };
        // 80 people in 20 batches: 600 steps, and 25 batches of all: 312.5 s, twice 625 s and 5 min: 15.4 min.
        // (400 + 125) * 1.25 + 256 = 912.
        let alone = Estimate::of_training(&of, 5);
        assert_eq!((alone.minutes, alone.memory), (Some(16), Some(1024)));
        assert!(
            alone.why[0].contains("1 fold of 30 epochs at most (early stopping may end it before)"),
            "{:?}",
            alone.why
        );
        // Two folds in a task, and more volumes than are kept.
        let two = Estimate::of_training(&Training { early_stop: false, volume: 1 << 30, ..of }, 3);
        // 400 * 1.25 + 256 = 756.
        assert_eq!((two.minutes, two.memory), (Some(26), Some(768)));
        assert!(
            two.why[0].contains("2 folds of 30 epochs, each of up to 20 batches") && two.why[1].contains("read again")
        );
    }

    #[test]
    fn maps_by_hand() {
        let of = Maps {
            people: 50,
            methods: vec![("saliency".into(), Ok(0.5)), ("rise".into(), Ok(20.0))],
            bytes: Some(200 << 20),
        };
        let found = Estimate::of_maps(&of, 8);
        // 7 people: 143.5 s, twice 287 s and 5 min: 9.8 min. 200 * 1.25 + 256 = 506.
        assert_eq!((found.minutes, found.memory), (Some(10), Some(512)));
        assert!(found.why[0].contains("7 of 50 people, for each saliency 0.5 s, rise 20 s"), "{:?}", found.why);
        let failed = Maps { methods: vec![("saliency".into(), Ok(0.5)), ("lrp".into(), Err("no\nway".into()))], ..of };
        let found = Estimate::of_maps(&failed, 8);
        assert_eq!((found.minutes, found.memory), (None, None));
        assert_eq!(found.why, ["time not measured, since here no map could be made by lrp (no way)"]);
    }
}
