//! The network of the published checkpoints.

use super::witness::witness;
use voxplain_nn::import::pytorch;
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d};

/// The paper's network with the names of convolution, normalisation, ReLU and pool in each of its stages, dropout left out. It ends
/// in logits.
fn network(stages: [[&str; 4]; 3], head: &str) -> Network {
    let mut net = Network::new([1, 58, 70, 58]);
    for ([conv, norm, relu, pool], (input, output)) in stages.into_iter().zip([(1, 32), (32, 64), (64, 128)]) {
        net.then(conv, Conv3d::new(input, output, [3; 3])).unwrap();
        net.then(norm, BatchNorm::new(output)).unwrap();
        net.then(relu, Op::Relu).unwrap();
        net.then(pool, Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
    }
    net.then("flatten", Op::Flatten).unwrap();
    net.then(head, Linear::new(22400, 2)).unwrap();
    net
}

/// `best_model_all_grad`, which ends in logits.
pub(crate) fn grad_net() -> Option<Network> {
    let stages = [
        ["features.0", "features.1", "features.2", "features.3"],
        ["features.4", "features.5", "features.6", "features.7"],
        ["features.8", "features.9", "features.10", "classifier.0"],
    ];
    let mut net = network(stages, "classifier.3");
    net.load_state(pytorch::read(&witness("reference/best_model_all_grad")?).unwrap()).unwrap();
    Some(net)
}

/// `best_model_all`, which ends in log-probabilities.
pub(crate) fn log_net() -> Option<Network> {
    let stages = [
        ["hidden1.0", "hidden1.1", "hidden1.2", "hidden1.3"],
        ["hidden2.0", "hidden2.1", "hidden2.2", "hidden2.3"],
        ["hidden3.0", "hidden3.1", "hidden3.2", "hidden3.3"],
    ];
    let mut net = network(stages, "linear");
    net.then("log-softmax", Op::LogSoftmax).unwrap();
    net.load_state(pytorch::read(&witness("reference/best_model_all")?).unwrap()).unwrap();
    Some(net)
}
