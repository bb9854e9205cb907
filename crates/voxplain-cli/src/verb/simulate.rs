//! `voxplain simulate`.

use crate::{
    argument::{self, Precision},
    pipeline::{Makes, Needs},
    plan::Asked,
    session::{Outcome, Session},
};
use clap::Args;
use std::path::PathBuf;
use voxplain::{
    evaluation::truth,
    simulate::{self, Effect, SimulateOptions},
};

/// Make a cohort of simulated brains with a known difference.
///
/// Writes the cohort, the label atlas of the mean anatomy (atlas.nii.gz, atlas.tsv) and the ground truth: where the
/// classes `control` and `case` differ (truth.nii.gz).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain simulate --out cohort
  voxplain simulate --out cohort --subjects 200 --effect left-putamen:-20% --seed 7")]
pub(crate) struct Simulate {
    /// Directory to make.
    #[arg(long, value_name = "COHORT")]
    out: PathBuf,
    /// Number of people; every second one is a case.
    #[arg(long, value_name = "N", default_value_t = SimulateOptions::default().subjects)]
    subjects: usize,
    /// Local change of volume in the cases, `left-hippocampus:-15%`; may be given several times. Without any effect:
    /// `left-lateral-ventricle:+80%`.
    #[arg(long, value_name = "REGION:+12%", allow_hyphen_values = true)]
    effect: Vec<Effect>,
    /// Local change of intensity in the cases, `right-thalamus:-10%`; may be given several times.
    #[arg(long, value_name = "REGION:-10%", allow_hyphen_values = true)]
    intensity_effect: Vec<Effect>,
    /// Change of the whole brain's volume in the cases: the confound.
    #[arg(long, value_name = "+8%", value_parser = simulate::percent, default_value = "0%", allow_hyphen_values = true)]
    size_effect: f64,
    /// No local difference between the classes.
    #[arg(long, conflicts_with_all = ["effect", "intensity_effect"])]
    no_effect: bool,
    /// Shape of the grid.
    #[arg(long, value_name = "IxJxK", value_parser = argument::shape, default_value = "40x48x40")]
    grid: [usize; 3],
    /// Spacing of the grid in mm.
    #[arg(long, value_name = "MM", default_value_t = SimulateOptions::default().spacing)]
    spacing: f64,
    /// Where all chance comes from.
    #[arg(long, value_name = "S", default_value_t = SimulateOptions::default().seed)]
    seed: u64,
    /// How volumes are kept: float16 takes half of the disk, and changes each value by 1 part in 2048 at most.
    #[arg(long, value_enum, default_value_t = Precision::Float32)]
    dtype: Precision,
    /// Start over, replacing a cohort that is there.
    #[arg(long)]
    force: bool,
}

impl Simulate {
    /// What is asked for, for who measures it.
    pub(crate) fn asked(&self) -> Asked {
        Asked::Simulate(self.out.clone(), self.options())
    }

    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        Needs { makes: Makes::Simulated(self.out.clone()), ..Needs::default() }
    }

    fn options(&self) -> SimulateOptions {
        let is_default = self.effect.is_empty() && self.intensity_effect.is_empty() && self.size_effect == 0.0;
        let effects = match is_default && !self.no_effect {
            true => SimulateOptions::default().effects,
            false => self.effect.clone(),
        };
        SimulateOptions {
            subjects: self.subjects,
            shape: self.grid,
            spacing: self.spacing,
            effects,
            intensity_effects: self.intensity_effect.clone(),
            size_effect: self.size_effect,
            seed: self.seed,
            dtype: self.dtype.into(),
        }
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let options = self.options();
        let cohort = simulate::simulate(&self.out, &options, self.force, session.progress())?;
        let document = serde_json::json!({
            "cohort": cohort.path, "subjects": cohort.subjects.len(), "options": options,
            "atlas": cohort.layout().atlas(), "truth": cohort.layout().truth(),
        });
        let truth = match (truth::plants_nothing(&cohort)?, self.size_effect == 0.0) {
            (false, true) => "truth.nii.gz says where the classes differ",
            (false, false) => {
                "truth.nii.gz says where the classes differ, but for the size of the whole brain, a confound"
            }
            (true, true) => "the classes do not differ, and truth.nii.gz is 0",
            (true, false) => {
                "the classes differ in the size of the whole brain alone, and truth.nii.gz, which is without it, is 0"
            }
        };
        let text =
            format!("{} subjects in {} (label column: label; {truth})", cohort.subjects.len(), cohort.path.display());
        session.result(&document, &text)?;
        session.next(["train", &cohort.path.display().to_string(), "--label", "label", "--out", "RUN"]);
        Ok(Outcome::Done)
    }
}
