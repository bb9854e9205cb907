//! Volumes on other grids.

use crate::Resize3d;
use crate::ops::Taken;

/// Calls `visit` with every cell of the output, each cell of the input that it takes and how much of it; of `channels`
/// channels of volumes of a shape.
fn cells(resize: &Resize3d, shape: &[usize], channels: usize, mut visit: impl FnMut(usize, usize, f64)) {
    let along: [Vec<Taken>; 3] = std::array::from_fn(|axis| resize.taken(axis, shape[axis + 1]).collect());
    let [ni, nj, nk] = resize.size;
    for to in 0..channels * ni * nj * nk {
        let (k, rest) = (to % nk, to / nk);
        let (j, rest) = (rest % nj, rest / nj);
        let (i, channel) = (rest % ni, rest / ni);
        let of = [along[0][i], along[1][j], along[2][k]];
        for corner in 0..8 {
            let [a, b, c] = [corner / 4, corner / 2 % 2, corner % 2];
            let from = ((channel * shape[1] + of[0].at[a]) * shape[2] + of[1].at[b]) * shape[3] + of[2].at[c];
            visit(to, from, of[0].weight[a] * of[1].weight[b] * of[2].weight[c]);
        }
    }
}

pub(super) fn forward(resize: &Resize3d, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let channels = x.len() / shape[1..].iter().product::<usize>();
    let mut y = vec![0.0; channels * resize.size.iter().product::<usize>()];
    // A weight of zero takes nothing, whatever is there.
    cells(resize, shape, channels, |to, from, weight| y[to] += if weight == 0.0 { 0.0 } else { weight * x[from] });
    y
}

/// What reaches the input.
pub(super) fn backward(resize: &Resize3d, shape: &[usize], r: &[f64]) -> Vec<f64> {
    let channels = r.len() / resize.size.iter().product::<usize>();
    let mut gradient = vec![0.0; channels * shape[1..].iter().product::<usize>()];
    cells(resize, shape, channels, |to, from, weight| gradient[from] += weight * r[to]);
    gradient
}
