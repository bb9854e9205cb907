//! [`OutputCheck`]: whether an imported network gives what its own framework gave.

use super::kind::start;
use crate::{
    cohort::Normalize,
    listed::{capital, listed},
    setting::CHECK,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use voxplain_core::{Error, Remedy, Result, hash_file, log_sum_exp, remedy, softmax};
use voxplain_nn::import::onnx::{Head, Imported};
use voxplain_nn::{Engine, PlanOptions, Purpose};
use voxplain_stats::significant;
use voxplain_volume::npy;

/// How outputs compare with those of another framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputCheck {
    /// Number of pairs.
    pub pairs: usize,
    /// The name of their file.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// The largest difference of an output.
    pub difference: f64,
    /// The largest of the outputs given.
    pub largest: f64,
    /// The most that an output given differs between two pairs.
    pub spread: f64,
    /// Least and largest value of the inputs given.
    pub inputs: [f64; 2],
    /// The median of their values that are not 0; absent where all are 0.
    pub median: Option<f64>,
}

impl OutputCheck {
    /// What was compared, in a sentence.
    pub fn words(&self) -> String {
        let Self { pairs, difference, largest, spread, .. } = self;
        format!(
            "Outputs of {pairs} pairs differ by at most {difference:.1e} from those given; these are up to {largest:.3} and differ by \
             up to {spread:.2e} from pair to pair."
        )
    }

    /// The values of the inputs that were given, beside those of images that are prepared as was said.
    pub fn inputs_words(&self, normalize: Normalize) -> String {
        let [least, most] = self.inputs.map(|v| significant(v, 3));
        let median = self
            .median
            .map_or_else(String::new, |m| format!(", the median of those that are not 0 is {}", significant(m, 3)));
        let of_images = match normalize {
            Normalize::None => "the values of an image are those of its file, inside the mask",
            Normalize::Robust => "the median of a brain is 0, half of it lies below, and what is outside of it is 0",
            Normalize::Zscore => {
                "the mean of a brain is 0, so that part of it lies below, and what is outside of it is 0"
            }
            Normalize::BrainMedian => "the median of a brain is 1, and what is outside of it is 0",
            Normalize::WhiteMatter => "the white matter of a brain is 1, and what is outside of it is 0",
        };
        format!("Their inputs run from {least} to {most}{median}; with `{normalize}` {of_images}.")
    }
}

/// Pairs that agree, and what they say beside that.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) check: OutputCheck,
    /// The least value of each input.
    least: Vec<f64>,
    /// The median of the sizes of the inputs' values that are not 0; `None` where all are 0.
    size: Option<f64>,
    /// Least and largest output.
    outputs: [f64; 2],
}

impl Compared {
    /// Why the inputs are not images as they are said to be prepared, in a sentence, where they cannot be.
    pub(super) fn other_intensities(&self, normalize: Normalize) -> Option<String> {
        let [least, most] = self.check.inputs;
        // Interpolation can leave a little.
        let below = least < -0.01 * most.abs();
        let never_below = self.least.iter().position(|&least| least >= 0.0).filter(|_| most > 0.0);
        let far = self.check.median.filter(|median| !(0.2..5.0).contains(median));
        let why = match (normalize, never_below, far) {
            (Normalize::None, ..) if below => {
                "none leaves the values of a file as they are, and images of MRI have none below 0".to_owned()
            }
            (Normalize::BrainMedian | Normalize::WhiteMatter, ..) if below => {
                format!("{normalize} divides the values of a file, and images of MRI have none below 0")
            }
            (Normalize::BrainMedian | Normalize::WhiteMatter, _, Some(median)) => {
                format!(
                    "with {normalize} the median of a brain is near 1, and that of their values that are not 0 is {}",
                    significant(median, 3)
                )
            }
            (Normalize::Robust | Normalize::Zscore, Some(pair), _) => {
                format!("with {normalize} part of every brain is below 0, and of pair {} nothing is", pair + 1)
            }
            // Of a bell curve it is 0.5 and 0.67.
            (Normalize::Robust | Normalize::Zscore, ..) => {
                let size = self.size.filter(|size| !(0.05..5.0).contains(size))?;
                format!(
                    "with {normalize} the values of a brain lie around 0, half of them within about 0.6 of it, and of theirs that are not 0 \
                     half lie within {} of it",
                    significant(size, 3)
                )
            }
            _ => return None,
        };
        let [least, most] = [least, most].map(|v| significant(v, 3));
        Some(format!(
            "the inputs of the pairs run from {least} to {most}: {why}. If they are images as the network takes them, their intensities were \
             prepared otherwise, and images would be given to the network on another scale"
        ))
    }

    /// Why its one output is no logit, in a sentence, where it makes one class as good as certain for every pair.
    pub(super) fn no_logit(&self, second: &str) -> Option<String> {
        let [low, high] = self.outputs;
        let (certain, class) = if low > CERTAIN { (true, second) } else { (high < -CERTAIN, "the first class") };
        certain.then(|| {
            format!(
                "its one output lies between {} and {} for the pairs: as a logit that is certainty of {class} for every image. If it is a \
                 value, such as an age, it is no score of classes",
                significant(low, 3),
                significant(high, 3)
            )
        })
    }
}

/// A logit from which on a probability is 1 within 5e-5.
const CERTAIN: f64 = 10.0;

/// Outputs that differ by more than this share of the largest, or of what they differ by from pair to pair, are another
/// network's.
const DIFFERENT: f64 = 1e-3;

/// What half precision leaves at most, as a share of the largest output: its step is 1 / 1024 of a value, and a network adds some up.
const HALF: f64 = 0.01;

/// Differences of which the largest is this many times the least, of pair and pair, are no longer of about one size.
const ALIKE: f64 = 30.0;

/// More than this share of what outputs differ by from pair to pair is no rounding: the inputs are others, mirrored say.
const FEW: f64 = 0.1;

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

/// Outputs that differ by more than rounding from those given.
#[derive(Debug)]
struct Disagreement {
    /// How, in words.
    what: String,
    /// Why it may be.
    cause: Option<Cause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Numbers of half precision.
    Half,
    /// Some images give what they should, to the last digit that can be told: the file is right for them alone.
    BakedIn,
}

/// Whether outputs differ by more than rounding from those given. Of each pair the difference of each output; of each output what it
/// differs by from pair to pair; of all the largest value; and the pairs by name.
fn disagreement(
    differences: &[Vec<f64>],
    spreads: &[f64],
    largest: f64,
    arrays: [(&str, &[f32]); 2],
) -> Option<Disagreement> {
    // What an output differs by from pair to pair decides, where single precision can tell.
    let noise = RESOLUTION * largest;
    let taken = |output: usize| (DIFFERENT * largest).min(noise.max(DIFFERENT * spreads[output]));
    let worst = |output: usize| differences.iter().map(|of| of[output]).fold(0.0, f64::max);
    let excess = |output: usize| worst(output) / taken(output);
    let wrong = (0..spreads.len()).filter(|&output| worst(output) > taken(output));
    let output = wrong.max_by(|&a, &b| excess(a).total_cmp(&excess(b)))?;
    let difference = worst(output);
    let of = if spreads.len() == 1 { String::new() } else { format!(" in output {}", output + 1) };
    let mut what = format!(
        "its outputs differ by up to {difference:.2e} from what the imported network gives{of}, where at most {:.2e} is taken for \
         rounding (outputs are up to {largest:.2e}; this one differs by up to {:.2e} from pair to pair)",
        taken(output),
        spreads[output]
    );
    let of_pairs = |agrees: &dyn Fn(&[f64]) -> bool| -> Vec<usize> {
        (0..differences.len()).filter(|&pair| agrees(&differences[pair])).map(|pair| pair + 1).collect()
    };
    let within = |of: &[f64]| of.iter().enumerate().all(|(output, &difference)| difference <= taken(output));
    let (agree, differ) = (of_pairs(&within), of_pairs(&|of| !within(of)));
    let exact = of_pairs(&|of| of.iter().all(|&difference| difference <= noise));
    what += &match agree.as_slice() {
        [] => ". No pair agrees".to_owned(),
        _ => format!(
            ". {} {}, {} {} not",
            capital(&pairs_words(&agree)),
            if agree.len() == 1 { "agrees" } else { "agree" },
            pairs_words(&differ),
            if differ.len() == 1 { "does" } else { "do" }
        ),
    };
    let half: Vec<&str> = arrays.iter().filter(|(_, values)| are_half(values)).map(|(name, _)| *name).collect();
    if !exact.is_empty() && !half.contains(&"y") {
        what += ": something of the example image may be in the file, which is then right for that image alone";
        return Some(Disagreement { what, cause: Some(Cause::BakedIn) });
    }
    // What half precision leaves is of about one size in all pairs, and small.
    let sizes = || differences.iter().map(|of| of.iter().copied().fold(0.0, f64::max));
    let (least, most) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    let spread = spreads.iter().copied().fold(0.0, f64::max);
    let may_be_half = most <= HALF * largest && least * ALIKE >= most && most <= FEW * spread;
    if !half.is_empty() && most <= HALF * largest {
        what += &format!(". The values of {} are those of half precision (float16)", half.join(" and "));
    } else if may_be_half {
        what += ". Half precision leaves differences of this size";
    }
    Some(Disagreement {
        what,
        cause: (may_be_half || !half.is_empty() && most <= HALF * largest).then_some(Cause::Half),
    })
}

/// `pair 1`, `pairs 2, 3 and 5`.
fn pairs_words(pairs: &[usize]) -> String {
    let names: Vec<String> = pairs.iter().map(usize::to_string).collect();
    match names.as_slice() {
        [one] => format!("pair {one}"),
        [all @ .., last] if all.len() < 8 => format!("pairs {} and {last}", all.join(", ")),
        all => format!("pairs {}", listed(all, 8)),
    }
}

/// Compares the outputs for given inputs with given ones.
pub(super) fn compare(engine: &Engine, imported: &Imported, file: &Path) -> Result<Compared> {
    refuse_single_array(file)?;
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
    let mut differences = Vec::with_capacity(pairs);
    for (n, (x, y)) in x.data.chunks_exact(x.data.len() / pairs).zip(y.data.chunks_exact(outputs)).enumerate() {
        let found = after(imported.head, plan.forward(x)?.output());
        if let Some(found) = found.iter().find(|found| !found.is_finite()) {
            return Err(Error::file(
                file,
                format!("the imported network gives {found} for pair {} of {pairs}, expected {y:?}", n + 1),
                "check that x is what the network takes: its values may be too large for single precision",
            ));
        }
        differences.push(found.iter().zip(y).map(|(found, &y)| (found - f64::from(y)).abs()).collect::<Vec<f64>>());
    }
    let spread = |output: usize| {
        let values = || y.data.iter().skip(output).step_by(outputs).map(|&value| f64::from(value));
        values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    let check = OutputCheck {
        pairs,
        file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        hash: hash_file(file)?,
        difference: differences.iter().flatten().copied().fold(0.0, f64::max),
        largest: y.data.iter().map(|&value| f64::from(value).abs()).fold(0.0, f64::max),
        spread: (0..outputs).map(spread).fold(0.0, f64::max),
        inputs: ends(&x.data),
        median: median(x.data.iter().copied().filter(|v| *v != 0.0).collect()),
    };
    let noise = RESOLUTION * check.largest;
    let spreads: Vec<f64> = (0..outputs).map(spread).collect();
    if let Some(Disagreement { what, cause }) =
        disagreement(&differences, &spreads, check.largest, [("x", &x.data), ("y", &y.data)])
    {
        let again = " with the same network, after model.eval(), from the inputs that it takes";
        let remedy = match cause {
            Some(Cause::BakedIn) => Remedy::from(
                "let all that depends on the image stay in the graph (no `.data`, `.detach()`, `.item()` or NumPy in forward) and export the \
                 network again",
            ),
            Some(Cause::Half) => {
                remedy![
                    "write the pairs of ",
                    CHECK,
                    again,
                    "; network and inputs in single precision (float32), without autocast"
                ]
            }
            None => remedy!["write the pairs of ", CHECK, again],
        };
        return Err(Error::file(file, what, remedy));
    }
    let worst = |output: usize| differences.iter().map(|of| of[output]).fold(0.0, f64::max);
    let tells = |output: usize| spread(output) > noise && worst(output) <= DIFFERENT * spread(output);
    if !(0..outputs).any(tells) {
        return Err(Error::file(
            file,
            format!(
                "these pairs differ by {:.2e} only (outputs of up to {:.2e}), so the check says little",
                check.spread, check.largest
            ),
            "give inputs whose outputs differ more: images of other people",
        ));
    }
    let least = x.data.chunks_exact(x.data.len() / pairs).map(|x| ends(x)[0]).collect();
    let size = median(x.data.iter().filter(|v| **v != 0.0).map(|v| v.abs()).collect());
    Ok(Compared { check, least, size, outputs: ends(&y.data) })
}

/// Least and largest value.
fn ends(values: &[f32]) -> [f64; 2] {
    let (low, high) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    [low, high].map(f64::from)
}

/// The median; none of no values.
fn median(mut values: Vec<f32>) -> Option<f64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| f64::from(*values.select_nth_unstable_by(middle, f32::total_cmp).1))
}

/// Refuses one array where a file of two is asked for.
fn refuse_single_array(file: &Path) -> Result<()> {
    if !start(file)?.starts_with(b"\x93NUMPY") {
        return Ok(());
    }
    let what = "holds one array of NumPy (.npy), expected two, x and y, in one file (.npz)";
    Err(Error::file(file, what, "write both by numpy.savez(file, x=inputs, y=outputs)"))
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

    fn refused(expected: &[f64], found: &[f32], x: &[f32], spread: f64) -> (String, Option<Cause>) {
        let off = |(found, expected): (&f32, &f64)| vec![(f64::from(*found) - expected).abs()];
        let differences: Vec<Vec<f64>> = found.iter().zip(expected).map(off).collect();
        let largest = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        let Disagreement { what, cause } =
            disagreement(&differences, &[spread], largest, [("x", x), ("y", found)]).unwrap();
        (what, cause)
    }

    /// Pairs of one output that should be 0.3, 0.6 and 0.9.
    #[test]
    fn refused_pairs_say_the_tolerance_and_half_precision() {
        let of = |found: [f32; 3], x: [f32; 3]| refused(&[0.3, 0.6, 0.9], &found, &x, 0.6);
        let (what, cause) = of([0.301, 0.602, 0.903], [0.1, 0.2, 0.3]);
        assert!(what.contains("by up to 3.00e-3") && what.contains("at most 6.00e-4 is taken for rounding"), "{what}");
        assert!(what.ends_with("No pair agrees. Half precision leaves differences of this size"), "{what}");
        assert_eq!(cause, Some(Cause::Half));
        let (what, cause) = of([0.30078125, 0.6015625, 0.90234375], [0.1, 0.2, 0.3]);
        assert!(what.ends_with("The values of y are those of half precision (float16)"), "{what}");
        assert_eq!(cause, Some(Cause::Half));
        let (what, cause) = of([0.35, 1.0, 0.95], [0.5, 0.25, 0.125]);
        assert!(!what.contains("alf precision") && cause.is_none(), "{what}");
    }

    /// What is right for the first image and wrong for the others is in the file, and no rounding; nor is what differs by very unlike
    /// amounts.
    #[test]
    fn refused_pairs_say_which_agree() {
        let expected = [0.3, 0.6, 0.9];
        let of = |found: [f32; 3]| refused(&expected, &found, &[0.1, 0.2, 0.3], 0.6);
        let (what, cause) = of([0.3, 0.605, 0.907]);
        assert!(
            what.ends_with(
                "Pair 1 agrees, pairs 2 and 3 do not: something of the example image may be in the file, which is then right for that \
                 image alone"
            ),
            "{what}"
        );
        assert_eq!(cause, Some(Cause::BakedIn));
        let (what, cause) = of([0.3, 0.6, 0.907]);
        assert!(what.contains("Pairs 1 and 2 agree, pair 3 does not: something") && cause == Some(Cause::BakedIn));
        // Within what is taken, and more than rounding: both may be.
        let (what, cause) = of([0.3001, 0.6, 0.9075]);
        assert!(what.contains("Pairs 1 and 2 agree, pair 3 does not") && cause == Some(Cause::BakedIn), "{what}");
        let (what, cause) = of([0.3001, 0.6001, 0.9075]);
        assert!(what.ends_with("Pairs 1 and 2 agree, pair 3 does not") && cause.is_none(), "{what}");
        let (what, cause) = of([0.3005, 0.6001, 0.9009]);
        assert!(
            what.ends_with("Half precision leaves differences of this size") && cause == Some(Cause::Half),
            "{what}"
        );
        assert_eq!(pairs_words(&[4]), "pair 4");
    }

    fn compared(inputs: [f64; 2], median: f64, least: Vec<f64>, outputs: [f64; 2]) -> Compared {
        let check = OutputCheck {
            pairs: least.len(),
            file: "pairs.npz".into(),
            hash: String::new(),
            difference: 0.0,
            largest: 1.0,
            spread: 1.0,
            inputs,
            median: Some(median),
        };
        Compared { check, least, size: Some(inputs[1] / 7.0), outputs }
    }

    /// Images of each kind are taken as what they are, and told where they cannot be what they are said to be.
    #[test]
    fn intensities_that_cannot_be_are_told() {
        use Normalize::{BrainMedian, None, Robust, WhiteMatter, Zscore};
        let scaled = compared([-2.1, 4.3], 0.02, vec![-2.1, -1.9], [0.0, 1.0]);
        let raw = compared([0.0, 812.0], 430.0, vec![0.0, 0.0], [0.0, 1.0]);
        let divided = compared([0.0, 1.7], 0.98, vec![0.0, 0.0], [0.0, 1.0]);
        for (pairs, can_be) in
            [(&scaled, &[Robust, Zscore][..]), (&raw, &[None]), (&divided, &[None, BrainMedian, WhiteMatter])]
        {
            for normalize in Normalize::ALL {
                let told = pairs.other_intensities(normalize);
                assert_eq!(told.is_none(), can_be.contains(&normalize), "{normalize} {told:?}");
            }
        }
        // Of one scale too many, or too few.
        for most in [4300.0, 0.0043] {
            let told = compared([-most / 2.0, most], 0.02, vec![-most / 2.0; 2], [0.0, 1.0]).other_intensities(Robust);
            assert!(told.as_deref().is_some_and(|told| told.contains("half of them within about 0.6")), "{told:?}");
        }
        let told = scaled.other_intensities(None).unwrap();
        assert!(told.starts_with("the inputs of the pairs run from -2.1 to 4.3: none leaves"), "{told}");
        assert_eq!(
            scaled.check.inputs_words(Robust),
            "Their inputs run from -2.1 to 4.3, the median of those that are not 0 is 0.02; with `robust` the median of a brain is 0, half of \
             it lies below, and what is outside of it is 0."
        );
    }

    #[test]
    fn an_output_near_49_is_no_logit() {
        let of = |outputs| compared([0.0, 1.0], 0.5, vec![0.0], outputs).no_logit("b");
        assert!(
            of([48.2, 49.9])
                .unwrap()
                .contains("between 48.2 and 49.9 for the pairs: as a logit that is certainty of b")
        );
        assert!(of([-20.0, -11.0]).unwrap().contains("certainty of the first class"));
        assert_eq!((of([-3.0, 49.0]), of([9.0, 20.0])), (None, None));
    }
}
