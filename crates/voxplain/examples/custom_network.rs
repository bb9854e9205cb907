//! A network built by hand: its graph, a forward pass, and the gradient of a class at every voxel.
//!
//! `cargo run -p voxplain --example custom_network`

#![allow(clippy::print_stdout, reason = "an example says what it found")]

use voxplain::nn::{
    BatchNorm, Conv3d, Engine, EngineOptions, Linear, Network, Op, PlanOptions, Pool3d, Purpose, Result, Rules,
};

/// A convolution, a residual block around two more, and a head of two classes on the mean of each channel.
fn residual_network() -> Result<Network> {
    let mut network = Network::new([1, 24, 28, 24]);
    network.then("stem.conv", Conv3d::new(1, 8, [3; 3]).with_padding([1; 3]).without_bias())?;
    network.then("stem.norm", BatchNorm::new(8))?;
    network.then("stem.relu", Op::Relu)?;
    let before = network.then("stem.pool", Op::MaxPool3d(Pool3d::new([2; 3])))?;

    // Every operation takes what was added last, unless its inputs are named.
    network.then("block.conv1", Conv3d::new(8, 8, [3; 3]).with_padding([1; 3]))?;
    network.then("block.relu1", Op::Relu)?;
    let branch = network.then("block.conv2", Conv3d::new(8, 8, [3; 3]).with_padding([1; 3]))?;
    network.add("block.sum", Op::Add, &[before, branch])?;
    network.then("block.relu2", Op::Relu)?;

    network.then("mean", Op::GlobalAvgPool)?;
    network.then("linear", Linear::new(8, 2))?;
    Ok(network)
}

fn main() -> Result<()> {
    let mut network = residual_network()?;
    // Weights as PyTorch draws them. `load_state` would set trained ones, `voxplain::nn::import` reads them from files.
    network.initialize(1);
    for (node, shape) in network.nodes().iter().zip(network.shapes()) {
        println!("{:<12} {shape:?}", node.name);
    }

    // A volume with a bright ball off its centre.
    let [_, ni, nj, nk] = network.input_shape();
    let mut volume = Vec::with_capacity(ni * nj * nk);
    for i in 0..ni {
        for j in 0..nj {
            for k in 0..nk {
                let away = (i as f32 - 8.0).powi(2) + (j as f32 - 16.0).powi(2) + (k as f32 - 12.0).powi(2);
                volume.push(if away < 25.0 { 1.0 } else { 0.0 });
            }
        }
    }

    let engine = Engine::new(EngineOptions::default())?;
    let last = network.node("block.relu2")?;
    let options = PlanOptions { purpose: Purpose::InputGradient, batch: 1, keep: vec![last] };
    let mut plan = engine.plan(&network, &options)?;
    let mut tape = plan.forward(&volume)?;
    println!("logits {:.4?}", tape.output());
    println!("last feature maps {:?}", tape.value(last)?.shape());

    // The backward pass starts from the gradient of the outputs: here that of the second class's logit.
    let back = tape.backward(&[0.0, 1.0], &Rules::GRADIENT)?;
    let steepness = |voxel: &usize| back.input[*voxel].abs();
    let most = (0..volume.len()).max_by(|a, b| steepness(a).total_cmp(&steepness(b))).unwrap_or(0);
    let voxel = [most / (nj * nk), most / nk % nj, most % nk];
    println!("steepest at voxel {voxel:?}: {:.2e} per unit of intensity", back.input[most]);

    // The same pass by guided backpropagation, and where the cells of the last feature maps lie in the volume.
    let guided = tape.backward(&[0.0, 1.0], &Rules::GUIDED)?;
    println!("guided: {} of {} ReLUs", guided.applied.relu, guided.applied.relu_total);
    let field = network.receptive_field(last)?;
    println!("a cell of the last feature maps sees {:?} voxels, one every {:?}", field.size, field.stride);
    Ok(())
}
