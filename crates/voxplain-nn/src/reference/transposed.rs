//! Transposed convolutions, by their definition: each value of the input adds the kernel to the output.

use crate::ConvTranspose3d;

/// Calls `visit` with the input, the output and the weight of every product, each by its place; `shape` is that of one
/// sample of the input, `output` that of the output.
fn products(
    conv: &ConvTranspose3d,
    [shape, output]: [&[usize]; 2],
    batch: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let (from, to) = ([shape[1], shape[2], shape[3]], [output[1], output[2], output[3]]);
    let [ki, kj, kk] = conv.kernel;
    let taps = ki * kj * kk;
    // The cell of the output that a tap of a cell of the input leads to.
    let leads = |axis: usize, cell: usize, tap: usize| {
        let place = cell * conv.stride[axis] + tap * conv.dilation[axis];
        place.checked_sub(conv.padding[axis]).filter(|&place| place < to[axis])
    };
    let seen = conv.input / conv.groups;
    for x in 0..batch * conv.input * from.iter().product::<usize>() {
        let (k, rest) = (x % from[2], x / from[2]);
        let (j, rest) = (rest % from[1], rest / from[1]);
        let (i, rest) = (rest % from[0], rest / from[0]);
        let (channel, sample) = (rest % conv.input, rest / conv.input);
        for tap in 0..taps {
            let at = (leads(0, i, tap / (kj * kk)), leads(1, j, tap / kk % kj), leads(2, k, tap % kk));
            let (Some(i), Some(j), Some(k)) = at else { continue };
            for of in 0..conv.of_group() {
                let out = channel / seen * conv.of_group() + of;
                let y = (((sample * conv.output + out) * to[0] + i) * to[1] + j) * to[2] + k;
                visit(x, y, (channel * conv.of_group() + of) * taps + tap);
            }
        }
    }
}

pub(super) fn forward(conv: &ConvTranspose3d, shapes: [&[usize]; 2], x: &[f64]) -> Vec<f64> {
    let (of_sample, voxels): (usize, usize) = (shapes[0].iter().product(), shapes[1][1..].iter().product());
    let batch = x.len() / of_sample;
    let bias = |out: usize| conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias.data()[out % conv.output]));
    let mut y: Vec<f64> = (0..batch * conv.output * voxels).map(|at| bias(at / voxels)).collect();
    products(conv, shapes, batch, |from, to, weight| y[to] += f64::from(conv.weight.data()[weight]) * x[from]);
    y
}

/// What reaches the input.
pub(super) fn backward(conv: &ConvTranspose3d, shapes: [&[usize]; 2], r: &[f64]) -> Vec<f64> {
    let [of_input, of_output] = shapes.map(|shape| shape.iter().product::<usize>());
    let batch = r.len() / of_output;
    let mut gradient = vec![0.0; batch * of_input];
    products(conv, shapes, batch, |from, to, weight| gradient[from] += f64::from(conv.weight.data()[weight]) * r[to]);
    gradient
}

/// Gradients of the weight and, if there is one, the bias.
pub(super) fn weight_gradients(conv: &ConvTranspose3d, shapes: [&[usize]; 2], x: &[f64], r: &[f64]) -> Vec<Vec<f64>> {
    let batch = x.len() / shapes[0].iter().product::<usize>();
    let mut weight = vec![0.0; conv.weight.len()];
    products(conv, shapes, batch, |from, to, at| weight[at] += x[from] * r[to]);
    let mut gradients = vec![weight];
    if conv.bias.is_some() {
        let voxels: usize = shapes[1][1..].iter().product();
        let mut bias = vec![0.0; conv.output];
        r.iter().enumerate().for_each(|(at, r)| bias[at / voxels % conv.output] += r);
        gradients.push(bias);
    }
    gradients
}
