//! [`examine`]: a self-test of voxplain on this machine.

use crate::model::mrinet;
use serde::Serialize;
use voxplain_core::{Error, Progress, Result, memory, random::Seed};
use voxplain_nn::{
    Engine, EngineOptions, Network, Plan, PlanOptions, Purpose, Rules,
    reference::{self, Mode},
};
use voxplain_volume::{Affine, Grid, Orientation, ReadOptions, Volume, WriteOptions, read, write};

/// The result of the self-test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Examination {
    /// All checks, in order.
    pub checks: Vec<Check>,
}

/// One check of the self-test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was checked.
    pub what: &'static str,
    /// What was found, in words.
    pub found: String,
    /// Whether the check passed.
    pub fine: bool,
}

impl Examination {
    fn note(&mut self, what: &'static str, found: String, fine: bool) {
        self.checks.push(Check { what, found, fine });
    }
}

/// The largest difference from the reference that rounding explains, relative to the largest value. A pass through the
/// network of the paper sums some thousand products in float32 (each rounded by 6e-8), in Winograd's domain with factors
/// up to 4.
const ROUNDING: f64 = 1e-4;
/// Volumes of the self-test: small, not cubic, as large as the network needs.
const SHAPE: [usize; 3] = [24, 28, 26];

/// Looks at the machine (instructions, threads, memory) and tests the kernels against the scalar reference, that results do
/// not depend on the number of threads, and that left and right are kept in files.
///
/// # Errors
/// A check could not be made at all: no temporary file, no memory.
pub fn examine(engine: &Engine, progress: &dyn Progress) -> Result<Examination> {
    let mut found = Examination { checks: Vec::new() };
    progress.begin("doctor", 4);
    found.note("instructions", format!("{:?}", engine.instruction_set()), true);
    found.note("threads", engine.thread_pool().threads().to_string(), true);
    match memory::available() {
        // A run of the paper's network takes some hundred megabytes.
        Some(bytes) => found.note("memory", format!("{:.1} GB available", bytes as f64 / 1e9), bytes > 500_000_000),
        None => found.note("memory", "this system does not say".into(), true),
    }
    progress.advance(1, "machine");

    let mut network = mrinet(SHAPE, 8, 2)?;
    network.initialize(1);
    let mut random = Seed::new(1).child("doctor").random();
    #[expect(clippy::cast_possible_truncation, reason = "input is float32")]
    let input: Vec<f32> = (0..SHAPE.iter().product()).map(|_| random.normal() as f32).collect();
    let (logits, map) = pass(engine, &network, &input)?;
    let tape = reference::forward(&network, &input, Mode::Evaluate)?;
    let backward = tape.backward(&[1.0f32, 0.0], &Rules::GRADIENT)?;
    for (what, got, wanted) in
        [("kernels, forward", &logits, tape.output()), ("kernels, backward", &map, backward.input())]
    {
        let error = difference(got, wanted);
        let text =
            format!("{error:.1e} of the largest value away from the reference (up to {ROUNDING:.0e} is rounding)");
        found.note(what, text, error <= ROUNDING);
    }
    progress.advance(1, "kernels");

    let alone = Engine::new(EngineOptions { threads: Some(1), instruction_set: Some(engine.instruction_set()) })?;
    let same = pass(&alone, &network, &input)? == (logits, map);
    let text = format!(
        "1 thread and {} give {}",
        engine.thread_pool().threads(),
        if same { "the same bits" } else { "other bits" }
    );
    found.note("threads, results", text, same);
    progress.advance(1, "threads");

    let (right, all) = sides()?;
    found.note("left and right", format!("{right} of {all} axis orders keep the marked side"), right == all);
    progress.advance(1, "left and right");
    progress.end();
    Ok(found)
}

/// Logits, and the gradient of the first at the input.
fn pass(engine: &Engine, network: &Network, input: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
    let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: Vec::new() };
    let mut plan: Plan = engine.plan(network, &options)?;
    let mut tape = plan.forward(input)?;
    let logits = tape.output().to_vec();
    let map = tape.backward(&[1.0, 0.0], &Rules::GRADIENT)?.input.to_vec();
    Ok((logits, map))
}

/// The largest difference over the largest |value| wanted; infinite where a value is no number.
fn difference(got: &[f32], wanted: &[f64]) -> f64 {
    let most = wanted.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let apart = got.iter().zip(wanted).map(|(g, w)| (f64::from(*g) - w).abs());
    let worst = apart.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { d.max(m) });
    if got.len() == wanted.len() { worst / most } else { f64::INFINITY }
}

/// The number of axis orders in which an image marked at x < 0 is still marked there after it was written and read, and the
/// number of all axis orders.
fn sides() -> Result<(usize, usize)> {
    let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let grid = Grid::new([6, 7, 8], Affine::from_spacing_origin([2.0, 3.0, 4.0], [-5.0, -9.0, -14.0]))?;
    let marked = Volume::from_fn(grid, |v| f32::from(u8::from(grid.affine.apply(v.map(|x| x as f64))[0] < 0.0)));
    let path = folder.path().join("marked.nii.gz");
    let (mut right, mut all) = (0, 0);
    for order in Orientation::all() {
        write(&path, &marked.reorient(order), &WriteOptions::default())?;
        let back = read(&path, &ReadOptions::default())?;
        let volume = back.volume.to_ras();
        let kept = volume.data().iter().enumerate().all(|(n, v)| {
            let x = volume.grid().affine.apply(volume.grid().voxel(n).map(|v| v as f64))[0];
            (*v == 1.0) == (x < 0.0)
        });
        all += 1;
        right += usize::from(kept && back.axis_codes == order.codes());
    }
    Ok((right, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::Silent;

    #[test]
    fn this_machine_is_well() {
        let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
        let found = examine(&engine, &Silent).unwrap();
        assert_eq!(found.checks.len(), 7);
        for check in &found.checks {
            assert!(check.fine, "{check:?}");
        }
        assert_eq!(found.checks[6].found, "48 of 48 axis orders keep the marked side");
    }

    #[test]
    fn what_is_wrong_is_seen() {
        // Largest value 2: off by 0.5 is a quarter.
        assert_eq!(difference(&[1.0, -2.5], &[1.0, -2.0]), 0.25);
        assert_eq!(difference(&[f32::NAN], &[1.0]), f64::INFINITY);
        assert_eq!(difference(&[], &[1.0]), f64::INFINITY);
        assert!(difference(&[0.0], &[0.0]) == 0.0);
    }
}
