//! What single precision does to a result.
//!
//! The sum of n products in single precision is the exact sum of products that are each off by a relative error of at
//! most `n u`, `u = 2^-24` (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1), and by about
//! `sqrt(n) u` since roundings hardly depend on each other (Higham and Mary 2019, SIAM J. Sci. Comput. 41). Winograd's
//! F(2, 3) sums over channels alone, 27 times fewer, numbers that its transforms make: along each axis an input's
//! variance is doubled, a weight's at most kept, and three products are added up. That is a factor of
//! `sqrt(2^3 * 3^3 / 27^2) = 0.54` on all three axes: it rounds no worse than the plain sum.
//!
//! What an engine gives is thus what exact arithmetic makes of weights and inputs that are off by about `sqrt(n) u`. How
//! far that moves a result depends on the network: where terms cancel, or where a ReLU or a maximum changes over, much
//! further than any fixed share of the result. So it is measured, with networks that are disturbed that much.

use voxplain_core::random::{Random, Seed};
use voxplain_nn::{Network, Op, Tensor};

/// Disturbed networks that are tried. A ReLU that the engine's rounding turns over is as near to 0 as that, and is
/// turned over by every second of them: that none does has a chance of `2^-24`.
const TRIALS: u64 = 24;

/// Standard deviation of a disturbance, relative to what is disturbed: four times the `sqrt(n) u` of the longest sum of
/// the network, forward, back, or over a batch and its volume.
pub(crate) fn spread(net: &Network, batch: usize) -> f64 {
    let shapes = net.shapes();
    let longest = net.nodes().iter().zip(&shapes).map(|(node, shape)| {
        match &node.op {
            Op::Conv3d(conv) => conv.kernel.iter().product::<usize>() * conv.input.max(conv.output),
            Op::Linear(linear) => linear.input.max(linear.output),
            _ => 1,
        }
        .max(batch * shape[1..].iter().product::<usize>())
    });
    4.0 * (longest.max().unwrap_or(1) as f64).sqrt() * 2f64.powi(-24)
}

/// A network and its input, every number of them off by a random share of itself.
fn disturbed(net: &Network, x: &[f32], spread: f64, random: &mut Random) -> (Network, Vec<f64>) {
    let off = |value: f32, random: &mut Random| f64::from(value) * (1.0 + spread * random.normal());
    let state = net.state().into_iter().map(|parameter| {
        let values = parameter.tensor.data().iter().map(|w| off(*w, random) as f32).collect();
        (parameter.name.clone(), Tensor::new(parameter.tensor.shape(), values))
    });
    let state = state.collect();
    let mut net = net.clone();
    net.load_state(state).unwrap();
    (net, x.iter().map(|x| off(*x, random)).collect())
}

/// The first value that is further from what is expected than `tolerance`, and than rounding can make it: no disturbed
/// network moves that very value as far. `again` computes what is expected of another network and input; it may draw more from
/// the generator.
pub(crate) fn beyond(
    (found, expected, tolerance): (&[f32], &[f64], f64),
    (net, x, batch): (&Network, &[f32], usize),
    again: impl Fn(&Network, &[f64], &mut Random) -> Vec<f64>,
) -> Option<String> {
    assert_eq!(found.len(), expected.len());
    // What is no number is within nothing.
    let within = |at: usize, bound: f64| (f64::from(found[at]) - expected[at]).abs() <= bound;
    let mut off: Vec<usize> = (0..found.len()).filter(|at| !within(*at, tolerance)).collect();
    let spread = spread(net, batch);
    for trial in 0..TRIALS {
        if off.is_empty() {
            return None;
        }
        let mut random = Seed::new(trial).child("rounding").random();
        let (net, x) = disturbed(net, x, spread, &mut random);
        let moved = again(&net, &x, &mut random);
        off.retain(|at| !within(*at, (moved[*at] - expected[*at]).abs()));
    }
    let at = *off.first()?;
    let n = off.len();
    Some(format!("value {at} is {} for {}, and {n} are off by more than {tolerance:.1e}", found[at], expected[at]))
}
