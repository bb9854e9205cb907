//! What can reach the output is what has a gradient, on networks in which no gradient is 0 by chance.

use crate::support::random_net::random_net;
use proptest::prelude::*;
use voxplain_core::random::Random;
use voxplain_nn::reference::{Mode, forward};
use voxplain_nn::{Network, NodeId, Op, OpClass, Rules, Tensor};

/// The same graph with positive weights, activations that pass everything and means for maxima: every way counts.
fn open(net: &Network) -> Network {
    let [c, i, j, k] = net.input_shape();
    let mut open = Network::new([c, i, j, k]);
    for node in &net.nodes()[1..] {
        let op = match (&node.op, node.op.class()) {
            // A mean that is taken away may take all away.
            (_, OpClass::Activation(_) | OpClass::SampleNorm(_)) => Op::LeakyRelu { slope: 0.5 },
            (Op::MaxPool3d(pool), _) => Op::AvgPool3d(*pool),
            (op, _) => op.clone(),
        };
        open.add(&node.name, op, &node.inputs).unwrap();
    }
    let state = open.state().into_iter().map(|p| {
        let values = p.tensor.data().iter().map(|w| w.abs()).collect();
        (p.name.clone(), Tensor::new(p.tensor.shape(), values))
    });
    let state = state.collect();
    open.load_state(state).unwrap();
    open
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reach_is_the_support_of_the_gradient(seed: u64) {
        let net = random_net(&mut Random::new(seed)).without_log_softmax();
        let open = open(&net);
        let [channels, shape @ ..] = net.input_shape();
        let voxels: usize = shape.iter().product();
        let x = vec![0.5; channels * voxels];
        let tape = forward(&open, &x, Mode::Evaluate).unwrap();
        let gradient = tape.backward(&[1.0, 1.0], &Rules::GRADIENT).unwrap();
        for node in 0..net.nodes().len() {
            let reach = net.reach(NodeId(node)).unwrap();
            let values = gradient.at(NodeId(node)).unwrap();
            let cells = reach.ways.len();
            // Values without place are one cell.
            let of = |n: usize| if net.shapes()[node].len() == 4 { n % cells } else { 0 };
            for (n, gradient) in values.iter().enumerate() {
                prop_assert_eq!(*gradient != 0.0, !reach.is_blind(of(n)), "{} {}", net.nodes()[node].name, n);
            }
        }
    }

    /// A voxel is partial where it changes a cell that cannot reach the output.
    #[test]
    fn a_way_is_lost_where_a_voxel_changes_a_blind_cell(seed: u64) {
        let net = random_net(&mut Random::new(seed)).without_log_softmax();
        let open = open(&net);
        let [channels, shape @ ..] = net.input_shape();
        let voxels: usize = shape.iter().product();
        let reaches: Vec<_> = (0..net.nodes().len()).map(|n| net.reach(NodeId(n)).unwrap()).collect();
        let run = |voxel: Option<usize>| {
            let mut x = vec![0.0; channels * voxels];
            voxel.into_iter().for_each(|voxel| x[voxel] = 0.5);
            forward(&open, &x, Mode::Evaluate).unwrap()
        };
        let zero = run(None);
        for voxel in 0..voxels {
            let tape = run(Some(voxel));
            let lost = (0..reaches.len()).any(|node| {
                let (one, zero) = (tape.value(NodeId(node)).unwrap(), zero.value(NodeId(node)).unwrap());
                let cells = reaches[node].ways.len();
                net.shapes()[node].len() == 4
                    && one.iter().zip(zero).enumerate().any(|(n, (a, b))| a != b && reaches[node].is_blind(n % cells))
            });
            prop_assert_eq!(reaches[0].lost[voxel] > 0.0, lost, "voxel {}", voxel);
        }
    }
}
