//! The verbs, one file each: flags, one call into the library, the result in words.

mod bench;
mod demo;
mod evaluate;
mod explain;
mod group;
mod import;
mod inspect;
mod prepare;
mod regions;
mod report;
mod run;
mod simulate;
mod train;

use crate::session::{Outcome, Session};
use clap::Subcommand;

/// What can be done. A verb is a module here, a variant, and a line in [`Verb::run`].
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Inspect(inspect::Inspect),
    Prepare(prepare::Prepare),
    Simulate(simulate::Simulate),
    Train(train::Train),
    Explain(explain::Explain),
    Group(group::Group),
    Regions(regions::Regions),
    Evaluate(evaluate::Evaluate),
    Report(report::Report),
    Import(import::Import),
    Bench(bench::Bench),
    Demo(demo::Demo),
    Run(run::Run),
}

impl Verb {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        match self {
            Self::Inspect(verb) => verb.run(session),
            Self::Prepare(verb) => verb.run(session),
            Self::Simulate(verb) => verb.run(session),
            Self::Train(verb) => verb.run(session),
            Self::Explain(verb) => verb.run(session),
            Self::Group(verb) => verb.run(session),
            Self::Regions(verb) => verb.run(session),
            Self::Evaluate(verb) => verb.run(session),
            Self::Report(verb) => verb.run(session),
            Self::Import(verb) => verb.run(session),
            Self::Bench(verb) => verb.run(session),
            Self::Demo(verb) => verb.run(session),
            Self::Run(verb) => verb.run(session),
        }
    }
}

/// For clap: a grid's shape from `58x70x58`.
fn shape(text: &str) -> Result<[usize; 3], String> {
    let parts: Option<Vec<usize>> =
        text.split(['x', 'X', ',']).map(|n| n.trim().parse().ok().filter(|n| *n > 0)).collect();
    parts.and_then(|p| p.try_into().ok()).ok_or_else(|| "expected three positive numbers, as in 58x70x58".into())
}
