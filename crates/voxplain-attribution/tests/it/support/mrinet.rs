//! The paper's network, for tests and benchmarks.

use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d};

/// The network of Kan et al. 2020 (arXiv 2006.15969) with logits, its nodes named as in the published checkpoint: three
/// blocks of convolution, batch normalisation, ReLU and max-pooling, and one linear layer.
pub(crate) fn mrinet(shape: [usize; 3], width: usize, classes: usize) -> Network {
    let mut net = Network::new([1, shape[0], shape[1], shape[2]]);
    let mut channels = 1;
    for stage in 0..3 {
        let name = |part: usize| format!("features.{}", 4 * stage + part);
        let out = width << stage;
        net.then(&name(0), Conv3d::new(channels, out, [3; 3])).unwrap();
        net.then(&name(1), BatchNorm::new(out)).unwrap();
        net.then(&name(2), Op::Relu).unwrap();
        let pool = if stage < 2 { name(3) } else { "classifier.0".into() };
        net.then(&pool, Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
        channels = out;
    }
    net.then("classifier.1", Op::Flatten).unwrap();
    net.then("classifier.2", Op::Dropout { p: 0.5 }).unwrap();
    net.then("classifier.3", Linear::new(net.outputs(), classes)).unwrap();
    net
}
