//! The paper's network, small.

use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d};

/// Three blocks of convolution, normalisation, ReLU and pool on a volume of `[24, 26, 22]`; with `branches` the second
/// has a way around a padded convolution, and dropout of its volume.
pub(crate) fn paper_net(branches: bool) -> Network {
    let mut net = Network::new([1, 24, 26, 22]);
    for (layer, [input, output]) in [[1, 16], [16, 32], [32, 48]].into_iter().enumerate() {
        net.then(&format!("conv{layer}"), Conv3d::new(input, output, [3; 3])).unwrap();
        net.then(&format!("norm{layer}"), BatchNorm::new(output)).unwrap();
        let relu = net.then(&format!("relu{layer}"), Op::Relu).unwrap();
        if branches && layer == 1 {
            let conv = Conv3d::new(output, output, [3; 3]).with_padding([1; 3]);
            let side = net.then("side", conv).unwrap();
            net.add("sum", Op::Add, &[side, relu]).unwrap();
            net.then("dropout", Op::Dropout { p: 0.2 }).unwrap();
        }
        if layer < 2 {
            net.then(&format!("pool{layer}"), Op::MaxPool3d(Pool3d::new([2; 3]).with_stride([2; 3]))).unwrap();
        }
    }
    net.then("flat", Op::Flatten).unwrap();
    net.then("drop", Op::Dropout { p: 0.5 }).unwrap();
    let features = net.outputs();
    net.then("linear", Linear::new(features, 2)).unwrap();
    net.initialize(0);
    net
}
