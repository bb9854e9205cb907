//! [`OutputCheck`]: whether an imported network gives what its own framework gave.

use crate::{listed::listed, setting::CHECK};
use serde::Serialize;
use std::path::Path;
use voxplain_core::{Error, Result, log_sum_exp, remedy, softmax};
use voxplain_nn::import::onnx::{Head, Imported};
use voxplain_nn::{Engine, PlanOptions, Purpose};
use voxplain_volume::npy;

/// How outputs compare with those of another framework.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutputCheck {
    /// Number of pairs.
    pub pairs: usize,
    /// The largest difference of an output.
    pub difference: f64,
    /// The largest of the outputs given.
    pub largest: f64,
    /// The most that an output given differs between two pairs.
    pub spread: f64,
}

/// Outputs that differ by more than this share of the largest, or of what they differ by from pair to pair, are another
/// network's.
const DIFFERENT: f64 = 1e-3;

/// What half precision leaves at most, as a share of the largest output: its step is 1 / 1024 of a value, and a network adds some up.
const HALF: f64 = 0.01;

/// What single precision leaves undecided, as a share of the largest output: ten times what the reference networks show.
const RESOLUTION: f64 = 1e-5;

/// Outputs as the file gives them, from scores.
fn after(head: Head, scores: &[f32]) -> Vec<f64> {
    match head {
        Head::Scores => scores.iter().map(|&s| f64::from(s)).collect(),
        Head::Softmax => softmax(scores),
        Head::LogSoftmax => {
            let all = log_sum_exp(scores);
            scores.iter().map(|&s| f64::from(s) - all).collect()
        }
        Head::Sigmoid => scores.iter().map(|&s| 1.0 / (1.0 + (-f64::from(s)).exp())).collect(),
    }
}

/// Whether all values are those of half precision, as in an array of float16 or one made of it: 11 binary digits, and from 2^-14 to
/// 65504, or less than that by steps of 2^-24.
fn are_half(values: &[f32]) -> bool {
    values.iter().all(|v| {
        let step = f32::from_bits(v.abs().to_bits() & 0x7f80_0000) / 1024.0;
        v.abs() <= 65504.0 && v % step.max(2.0f32.powi(-24)) == 0.0
    })
}

/// Whether outputs differ by more than rounding from those given, in words, and whether half precision may be the reason. Of each
/// output the largest difference and what it differs by from pair to pair; of all the largest value; and the pairs by name.
fn disagreement(
    differences: &[f64],
    spreads: &[f64],
    largest: f64,
    pairs: [(&str, &[f32]); 2],
) -> Option<(String, bool)> {
    // What an output differs by from pair to pair decides, where single precision can tell.
    let taken = |output: usize| (DIFFERENT * largest).min((RESOLUTION * largest).max(DIFFERENT * spreads[output]));
    let excess = |output: usize| differences[output] / taken(output);
    let wrong = (0..differences.len()).filter(|&output| differences[output] > taken(output));
    let output = wrong.max_by(|&a, &b| excess(a).total_cmp(&excess(b)))?;
    let difference = differences[output];
    let of = if differences.len() == 1 { String::new() } else { format!(" in output {}", output + 1) };
    let mut what = format!(
        "its outputs differ by up to {difference:.2e} from what the imported network gives{of}, where at most {:.2e} is taken for \
         rounding (outputs are up to {largest:.2e}; this one differs by up to {:.2e} from pair to pair)",
        taken(output),
        spreads[output]
    );
    // Beyond what half precision leaves it explains nothing.
    let may_be_half = difference <= HALF * largest;
    let half: Vec<&str> = pairs.iter().filter(|(_, values)| are_half(values)).map(|(name, _)| *name).collect();
    if may_be_half && !half.is_empty() {
        what += &format!(". The values of {} are those of half precision (float16)", half.join(" and "));
    } else if may_be_half {
        what += ". Half precision leaves differences of this size";
    }
    Some((what, may_be_half))
}

/// Compares the outputs for given inputs with given ones.
pub(super) fn compare(engine: &Engine, imported: &Imported, file: &Path) -> Result<OutputCheck> {
    let arrays = npy::read_npz(file)?;
    let array = |name: &str| {
        arrays.iter().find(|(there, _)| there == name).map(|(_, array)| array).ok_or_else(|| {
            let there = listed(arrays.iter().map(|(name, _)| name), 8);
            let remedy = "write it by numpy.savez(file, x=inputs, y=outputs)";
            Error::file(file, format!("holds no array {name}, found: {there}"), remedy)
        })
    };
    let (x, y) = (array("x")?, array("y")?);
    let (input, outputs) = (imported.network.input_shape(), imported.network.outputs());
    let pairs = x.shape.first().copied().unwrap_or(0);
    let fits = x.shape[1.min(x.shape.len())..].iter().filter(|&&n| n != 1).eq(input.iter().filter(|&&n| n != 1));
    if !fits || y.shape.first() != Some(&pairs) || y.data.len() != pairs * outputs {
        return Err(Error::file(
            file,
            format!("holds x of {:?} and y of {:?}, expected [n, {input:?}] and [n, {outputs}]", x.shape, y.shape),
            "write the inputs and outputs of the network that was exported, one image after the other",
        ));
    }
    if pairs < 2 {
        return Err(Error::file(
            file,
            format!("holds {pairs} pair(s), expected at least two"),
            "add inputs that are not the example of the export: what an exporter bakes in is right for that one alone",
        ));
    }
    let options = PlanOptions { purpose: Purpose::Infer, batch: 1, keep: Vec::new() };
    let mut plan = engine.plan(&imported.network, &options)?;
    for (name, array) in [("x", x), ("y", y)] {
        if let Some(n) = array.data.iter().position(|value| !value.is_finite()) {
            return Err(Error::file(
                file,
                format!("holds {} in {name}, in pair {} of {pairs}", array.data[n], 1 + n / (array.data.len() / pairs)),
                "write pairs of inputs and outputs that are numbers",
            ));
        }
    }
    let mut differences = vec![0.0f64; outputs];
    for (n, (x, y)) in x.data.chunks_exact(x.data.len() / pairs).zip(y.data.chunks_exact(outputs)).enumerate() {
        let found = after(imported.head, plan.forward(x)?.output());
        if let Some(found) = found.iter().find(|found| !found.is_finite()) {
            return Err(Error::file(
                file,
                format!("the imported network gives {found} for pair {} of {pairs}, expected {y:?}", n + 1),
                "check that x is what the network takes: its values may be too large for single precision",
            ));
        }
        for ((found, &expected), largest) in found.into_iter().zip(y).zip(&mut differences) {
            *largest = largest.max((found - f64::from(expected)).abs());
        }
    }
    let spread = |output: usize| {
        let values = || y.data.iter().skip(output).step_by(outputs).map(|&value| f64::from(value));
        values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    let check = OutputCheck {
        pairs,
        difference: differences.iter().copied().fold(0.0, f64::max),
        largest: y.data.iter().map(|&value| f64::from(value).abs()).fold(0.0, f64::max),
        spread: (0..outputs).map(spread).fold(0.0, f64::max),
    };
    let noise = RESOLUTION * check.largest;
    let spreads: Vec<f64> = (0..outputs).map(spread).collect();
    if let Some((what, half)) = disagreement(&differences, &spreads, check.largest, [("x", &x.data), ("y", &y.data)]) {
        let again = " with the same network, after model.eval(), from the inputs that it takes";
        let single = "; network and inputs in single precision (float32), without autocast";
        let remedy = remedy!["write the pairs of ", CHECK, again, if half { single } else { "" }];
        return Err(Error::file(file, what, remedy));
    }
    let tells = |output: usize| spread(output) > noise && differences[output] <= DIFFERENT * spread(output);
    if !(0..outputs).any(tells) {
        return Err(Error::file(
            file,
            format!(
                "these pairs differ by {:.2e} only (outputs of up to {:.2e}), so the check says little",
                check.spread, check.largest
            ),
            "give inputs whose outputs differ more: images of other people, or noise",
        ));
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_half_precision() {
        assert!(are_half(&[0.0, -1.0, 1.0 + 1.0 / 1024.0, 65504.0, 2.0f32.powi(-24), 3.0 * 2.0f32.powi(-20)]));
        for other in [1.0 + 1.0 / 2048.0, 65505.0, 0.1, 2.0f32.powi(-25)] {
            assert!(!are_half(&[other]), "{other}");
        }
    }

    /// Pairs of one output that should be 0.3, 0.6 and 0.9.
    #[test]
    fn refused_pairs_say_the_tolerance_and_half_precision() {
        let expected = [0.3f64, 0.6, 0.9];
        let refused = |found: [f32; 3], x: [f32; 3]| {
            let off = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs());
            let difference = off.fold(0.0, f64::max);
            let refusal = disagreement(&[difference], &[0.6], 0.9, [("x", &x), ("y", &found)]).unwrap();
            (format!("{difference:.2e}"), refusal)
        };
        let (difference, (what, hint)) = refused([0.3, 0.602, 0.9], [0.1, 0.2, 0.3]);
        assert!(what.contains(&difference) && what.contains("at most 6.00e-4 is taken for rounding"), "{what}");
        assert!(what.contains("Half precision leaves differences of this size") && hint, "{what}");
        let (_, (what, _)) = refused([0.30078125, 0.6015625, 0.90234375], [0.1, 0.2, 0.3]);
        assert!(what.ends_with("The values of y are those of half precision (float16)"), "{what}");
        let (_, (what, hint)) = refused([0.3, 1.0, 0.9], [0.5, 0.25, 0.125]);
        assert!(!what.contains("alf precision") && !hint, "{what}");
    }
}
