//! Pooling over windows.

use crate::Pool3d;

/// Calls `visit` with each window of each channel of each sample: its position in the output, and the positions in
/// the input that lie inside the volume, in C order.
pub(crate) fn windows(pool: &Pool3d, shape: &[usize], len: usize, mut visit: impl FnMut(usize, &[usize])) {
    let size = [shape[1], shape[2], shape[3]];
    let out = pool.positions(size).expect("a network's pools fit their volumes");
    let voxels: usize = size.iter().product();
    // The positions of one window along one axis.
    let along = |axis: usize, at: usize| {
        let start = at * pool.stride[axis];
        (0..pool.kernel[axis])
            .filter_map(move |tap| (start + tap * pool.dilation[axis]).checked_sub(pool.padding[axis]))
            .filter(move |&position| position < size[axis])
    };
    let mut window = Vec::new();
    for at in 0..len / voxels * out.iter().product::<usize>() {
        let (rest, k) = (at / out[2], at % out[2]);
        let (rest, j) = (rest / out[1], rest % out[1]);
        let (channel, i) = (rest / out[0], rest % out[0]);
        window.clear();
        for i in along(0, i) {
            for j in along(1, j) {
                window.extend(along(2, k).map(|k| ((channel * size[0] + i) * size[1] + j) * size[2] + k));
            }
        }
        visit(at, &window);
    }
}

/// Where the largest value of a window is: the first of equals; NaN is larger than anything, as in PyTorch.
fn largest(window: &[usize], x: &[f64]) -> usize {
    let mut best = window[0];
    for &at in &window[1..] {
        if x[at] > x[best] || (x[at].is_nan() && !x[best].is_nan()) {
            best = at;
        }
    }
    best
}

pub(super) fn max(pool: &Pool3d, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    windows(pool, shape, x.len(), |_, window| y.push(x[largest(window, x)]));
    y
}

pub(super) fn max_backward(pool: &Pool3d, shape: &[usize], x: &[f64], r: &[f64]) -> Vec<f64> {
    let mut gradient = vec![0.0; x.len()];
    windows(pool, shape, x.len(), |at, window| gradient[largest(window, x)] += r[at]);
    gradient
}

/// What the sum of each window of a volume is divided by.
fn divisors(pool: &Pool3d, shape: &[usize]) -> Vec<f64> {
    let size = [shape[1], shape[2], shape[3]];
    let [i, j, k] = pool.positions(size).expect("a network's pools fit their volumes");
    (0..i * j * k).map(|at| pool.divisor(size, [at / (j * k), at / k % j, at % k]) as f64).collect()
}

pub(super) fn mean(pool: &Pool3d, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let divisors = divisors(pool, shape);
    let mut y = Vec::new();
    windows(pool, shape, x.len(), |at, window| {
        y.push(window.iter().map(|&at| x[at]).sum::<f64>() / divisors[at % divisors.len()]);
    });
    y
}

pub(super) fn mean_backward(pool: &Pool3d, shape: &[usize], r: &[f64], len: usize) -> Vec<f64> {
    let divisors = divisors(pool, shape);
    let mut gradient = vec![0.0; len];
    windows(pool, shape, len, |at, window| {
        window.iter().for_each(|&voxel| gradient[voxel] += r[at] / divisors[at % divisors.len()]);
    });
    gradient
}
