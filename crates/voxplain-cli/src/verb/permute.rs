//! `voxplain permute`.

use super::compare::BlockChoice;
use crate::{
    argument,
    session::{Outcome, Session},
};
use clap::Args;
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    plural,
    run::{PermutationTest, Run},
    shard::Share,
    stats::{p_in_words, significant},
    train::{PermuteOptions, permute, permute_shard},
};

/// Test a classifier of a run: train it anew on labels that are dealt out at random.
///
/// Labels are permuted, folds are drawn and the classifier is trained anew, as often as --permutations says, with the options and seeds
/// of the run. p is the share of all arrangements, the true one among them, that do at least as well out of fold. For the network each
/// permutation takes as long as its training; linear-voxels takes seconds. Ctrl-C keeps what is counted, and the same command goes on.
#[derive(Debug, Args)]
#[command(after_help = "\
Images of one person and groups of the run keep their labels together: groups of one size exchange theirs (--block-kind). With 100 permutations the least
p is 0.0099. The test says whether labels and images hang together, not why: a confound, such as the size of the head, counts too.

Examples:
  voxplain permute run --classifier linear-voxels --permutations 1000
  voxplain permute run --permutations 100
  voxplain permute run --permutations 100 --shard 1/20    then 2/20 and so on elsewhere, at last without
  voxplain permute run --blocks site")]
pub(crate) struct Permute {
    /// A run.
    run: PathBuf,
    /// What is tested: the network, cnn, or a baseline that is fitted (linear-voxels, logistic-voxels, svm-voxels, mask-volume; of a value
    /// ridge-voxels, mask-volume).
    #[arg(long, value_name = "NAME", default_value = "cnn")]
    classifier: String,
    /// Number of permutations; where fewer differ, all of these.
    #[arg(long, value_name = "N", default_value_t = 100)]
    permutations: usize,
    /// A column within whose values labels are permuted, such as sites.
    #[arg(long, value_name = "C")]
    blocks: Option<String>,
    /// How those of a block, or of a group of the run, exchange labels: with each other, or as a whole with blocks of their size [default:
    /// within --blocks; groups as a whole, but within them where each has several labels].
    #[arg(long, value_enum, value_name = "KIND")]
    block_kind: Option<BlockChoice>,
    /// Where chance comes from.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Count the I-th of N shares of the permutations alone, or auto: as the variables of SLURM or SGE say of a task of an array. The same command
    /// without --shard then takes what was counted, and makes the test.
    #[arg(long, value_name = "I/N|auto", value_parser = argument::share, conflicts_with = "force")]
    shard: Option<Share>,
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
    /// Replace a test that is there.
    #[arg(long)]
    force: bool,
}

impl Permute {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let options = PermuteOptions {
            classifier: self.classifier.clone(),
            permutations: self.permutations,
            blocks: self.blocks.clone(),
            block_kind: self.block_kind.map(Into::into),
            seed: self.seed,
            force: self.force,
        };
        let run = Run::open(&self.run)?.with_cohort(self.cohort.as_deref());
        if let Some(shard) = argument::shard(self.shard)? {
            let counted = permute_shard(&run, &options, shard, &session.engine()?, session.progress())?;
            let there = format!(
                "{} counted, {} of them now",
                plural::counted(counted.permutations, "permutation"),
                counted.now
            );
            session.result(&counted, &there)?;
            return Ok(Outcome::Done);
        }
        let test = permute(&run, &options, &session.engine()?, session.progress())?;
        session.result(&test, &in_words(&test))?;
        session.say(&format!("all numbers in {}", run.layout().permutation_test(&test.classifier).display()));
        Ok(Outcome::Done)
    }
}

fn in_words(test: &PermutationTest) -> String {
    let mut text = test.summary.join("\n");
    let _ = writeln!(text, "\n\n{:<20} {:>12} {:>24} {:>12}", "", "out of fold", "permuted, 2.5 to 97.5 %", "p");
    for number in &test.numbers {
        let [low, high] = number.middle();
        let range = format!("{} to {}", significant(low, 3), significant(high, 3));
        let observed = significant(number.observed, 3);
        let p = p_in_words(number.p);
        let _ = writeln!(text, "{:<20} {observed:>12} {range:>24} {p:>12}", number.name);
    }
    text
}
