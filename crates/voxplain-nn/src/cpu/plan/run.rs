//! Running a plan's steps, forward and back, on groups of samples.

use super::memory::{Memory, RegionId};
use super::step::{Before, ConvAlgorithm, ConvBackward, ConvWork, FirstBlock, NormWork, Step, TransposedWork, Work};
use super::{CpuPlan, DropoutSeed};
use crate::cpu::kernels::{
    Conv, Cpu, Isa, LANES, Layout, Scratch, Volume, direct, elementwise, first, linear, nested, norm, norm_pool,
    patches, pointwise, pool, rearrange, sparse, strided, winograd, winograd_gradient,
};
use crate::{Activation, Purpose, Rules};
use voxplain_core::random::dropout_mask;

/// Samples that are worked on together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The first.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
}

impl CpuPlan {
    fn region(&self, value: usize) -> RegionId {
        self.values[value].region.expect("a step reads and writes only values that have memory")
    }

    fn value(&self, value: usize, group: Group) -> &[f32] {
        self.memory.read(self.region(value), group.first, group.count)
    }

    /// Where the backward pass finds a value.
    fn recorded(&self, value: usize) -> RegionId {
        self.values[value].again.unwrap_or_else(|| self.region(value))
    }

    /// Steps, lent out so that the rest of the plan can be used beside one; with those before it.
    fn each_step(&mut self, backward: bool, mut work: impl FnMut(&mut Self, &[Step], &mut Step)) {
        let mut steps = std::mem::take(&mut self.steps);
        let count = steps.len();
        for n in 0..count {
            let (before, rest) = steps.split_at_mut(if backward { count - 1 - n } else { n });
            work(self, before, &mut rest[0]);
        }
        self.steps = steps;
    }

    /// Runs all steps on a group of samples, given as the network's users give them.
    pub(crate) fn run_forward(&mut self, group: Group, input: &[f32]) {
        let volume = self.values[0].volume;
        let values = self.input;
        let region = self.region(0);
        self.memory.write(region, group.first, group.count, |_, x| {
            rearrange::samples(&volume, group.count, x, |sample, x| {
                rearrange::from_plain(&volume, &input[sample * values..][..values], x);
            });
        });
        self.each_step(false, |plan, _, step| plan.step_forward(group, step));
        let last = self.last;
        let volume = self.values[last].volume;
        let mut output = std::mem::take(&mut self.output);
        let y = self.value(last, group);
        for (sample, out) in output.chunks_exact_mut(self.outputs).skip(group.first).take(group.count).enumerate() {
            rearrange::to_plain(&volume, &y[sample * volume.len()..][..volume.len()], out);
        }
        self.output = output;
    }

    fn step_forward(&mut self, group: Group, step: &mut Step) {
        let isa = self.isa;
        let Group { first, count } = group;
        let (input, output) = (step.inputs.first().copied().unwrap_or(0), step.output);
        let (from, to) = (self.values[input].volume, self.values[output].volume);
        let (region, dropout) = (self.region(output), self.dropout);
        let mut memory = std::mem::take(&mut self.memory);
        let source = self.region(input);
        if let Work::Conv(work) = &step.work
            && let Some(padded) = work.padded
        {
            memory.write(padded, first, count, |memory, out| {
                rearrange::pad(&from, work.conv.window.padding, count, memory.read(source, first, count), out);
            });
        }
        if let Work::Transposed(work) = &step.work
            && let Some(spread) = work.spread
        {
            memory.write(spread, first, count, |memory, out| {
                let x = memory.read(source, first, count);
                if work.is_strided() {
                    let volumes = (&work.conv.output, &work.spread_input());
                    rearrange::surround(volumes, strided::before(&work.conv), 0.0, count, x, out);
                } else {
                    rearrange::spread(&work.conv, count, x, out);
                }
            });
        }
        if let Work::Dropout { node, p, mask } = &step.work {
            let draw = (dropout, *node, *p);
            memory.write(*mask, first, count, |_, mask| draw_mask(&self.scratch, &from, count, draw, mask));
        }
        if let Work::Concat(runs) = &step.work {
            for run in runs {
                memory.write(run.into, first, count, |memory, out| {
                    if !run.volume.channels.is_multiple_of(LANES) {
                        rearrange::fill(out, 0.0);
                    }
                    let mut at = 0;
                    for &input in &step.inputs[run.inputs.clone()] {
                        let part = &self.values[input].volume;
                        let x = memory.read(self.region(input), first, count);
                        rearrange::copy_channels((part, x, 0), (&run.volume, out, at), part.channels, count);
                        at += part.channels;
                    }
                });
            }
            self.memory = memory;
            return;
        }
        memory.write(region, first, count, |memory, out| {
            let x = memory.read(source, first, count);
            match &mut step.work {
                Work::Conv(work) => {
                    let x = work.padded.map_or(x, |padded| memory.read(padded, first, count));
                    conv_forward(Cpu { isa, scratch: &self.scratch }, work, group, to.len(), x, out);
                }
                Work::Affine { scale, shift, relu, .. } => {
                    norm::affine(isa, (&from, count), x, (scale, shift), *relu, out);
                }
                Work::BatchNorm(work) => batch_norm(isa, work, &from, count, x, out),
                Work::FirstBlock(work) => {
                    first_block_forward(Cpu { isa, scratch: &self.scratch }, work, count, x, out);
                }
                Work::Activation(activation) => elementwise::activate(isa, *activation, x, out),
                Work::MaxPool { window, taps } => {
                    pool::max_forward(isa, window, (&from, &to), count, x, out, (taps, first * to.len()));
                }
                Work::Grouped(work) => work.grouped.forward(count, x, &work.weights, &work.bias, out),
                Work::Transposed(work) => {
                    let (weights, bias) = (&work.weights, &work.bias);
                    if let Some(grouped) = &work.grouped {
                        grouped.backward(count, x, weights, out);
                        elementwise::add_bias(&to, bias, out);
                    } else {
                        let x = work.spread.map_or(x, |spread| memory.read(spread, first, count));
                        if work.is_strided() {
                            strided::backward(isa, &work.conv, count, x, weights, bias, out);
                        } else {
                            direct::forward(isa, &work.conv.backward(), count, x, weights, bias, out);
                        }
                    }
                }
                Work::Resize(resampling) => resampling.forward(count, x, out),
                Work::SampleNorm(work) => work.norm.forward((first, count), x, out),
                Work::Prelu { slope, .. } => elementwise::prelu(&from, slope, x, out),
                Work::Pad(pad) => rearrange::surround((&from, &to), pad.before, pad.value, count, x, out),
                Work::Multiply => {
                    let factor = memory.read(self.region(step.inputs[1]), first, count);
                    if self.values[step.inputs[1]].volume == from {
                        rearrange::copy(x, out);
                        elementwise::multiply(factor, out);
                    } else {
                        elementwise::multiply_channels(&from, factor, x, out);
                    }
                }
                Work::AvgPool { means, before } => {
                    let before = before.as_ref().map(Before::affine);
                    pool::mean_forward(isa, means, (&from, &to), count, x, before, out);
                }
                Work::GlobalAvgPool => pool::global_mean(&from, count, x, out),
                Work::Convert => rearrange::convert(&from, &to, count, x, out),
                Work::Linear(work) => linear::forward(isa, &work.sizes, x, &work.weights, &work.bias, count, out),
                Work::Dropout { mask, .. } => {
                    rearrange::copy(x, out);
                    elementwise::multiply(memory.read(*mask, first, count), out);
                }
                Work::Add { relu, .. } => {
                    let other = memory.read(self.region(step.inputs[1]), first, count);
                    if self.values[step.inputs[1]].volume == from {
                        elementwise::sum(isa, (x, other), *relu, out);
                    } else {
                        rearrange::copy(x, out);
                        elementwise::add_channels(&from, other, out);
                        if *relu {
                            elementwise::relu(isa, out);
                        }
                    }
                }
                Work::Concat(_) => {}
                Work::Softmax => linear::softmax(from.channels, count, x, out),
                Work::LogSoftmax => linear::log_softmax(from.channels, count, x, out),
            }
        });
        self.memory = memory;
    }

    /// Runs all steps backwards on a group of samples, from the gradient of its outputs as the network's users give it.
    pub(crate) fn run_backward(&mut self, group: Group, output_gradient: &[f32], rules: &Rules) {
        let Some(region) = self.output_gradient else { return };
        let last = self.last;
        let (volume, outputs) = (self.values[last].volume, self.outputs);
        self.memory.write(region, group.first, group.count, |_, g| {
            rearrange::samples(&volume, group.count, g, |sample, g| {
                rearrange::from_plain(&volume, &output_gradient[sample * outputs..][..outputs], g);
            });
        });
        for &region in &self.unreached {
            self.memory.write(region, group.first, group.count, |_, g| g.fill(0.0));
        }
        self.each_step(true, |plan, before, step| {
            if step.reached {
                if let Some(maker) = step.again {
                    plan.compute_again(group, &before[maker]);
                }
                plan.step_backward(group, step, rules);
            }
        });
        if self.purpose == Purpose::InputGradient {
            let mut out = std::mem::take(&mut self.input_gradient);
            if let Some(region) = self.values[0].gradient {
                let volume = self.values[0].volume;
                let g = self.memory.read(region, group.first, group.count);
                for (sample, out) in out.chunks_exact_mut(self.input).skip(group.first).take(group.count).enumerate() {
                    rearrange::to_plain(&volume, &g[sample * volume.len()..][..volume.len()], out);
                }
            }
            self.input_gradient = out;
        }
    }

    /// The output of a batch normalisation, as the forward pass had it.
    fn compute_again(&mut self, group: Group, step: &Step) {
        let (Work::BatchNorm(work), Some(again)) = (&step.work, self.values[step.output].again) else { return };
        let Group { first, count } = group;
        let (isa, source, volume) = (self.isa, self.region(step.inputs[0]), self.values[step.inputs[0]].volume);
        self.memory.write(again, first, count, |memory, out| {
            let x = memory.read(source, first, count);
            norm::affine(isa, (&volume, count), x, (&work.scale, &work.shift), work.relu, out);
        });
    }

    fn step_backward(&mut self, group: Group, step: &mut Step, rules: &Rules) {
        let isa = self.isa;
        let Group { first, count } = group;
        let to = self.values[step.output].volume;
        let reaching = self.values[step.output].gradient.expect("a step that is reached has a gradient");
        let mut memory = std::mem::take(&mut self.memory);
        // What belongs to the step as a whole comes first.
        let mut gradient = reaching;
        match &mut step.work {
            Work::Conv(work) => {
                if let Some(masked) = work.masked {
                    let y = self.region(step.output);
                    memory.write(masked, first, count, |memory, out| {
                        rearrange::copy(memory.read(reaching, first, count), out);
                        elementwise::relu_gradient(isa, rules.relu, memory.read(y, first, count), out);
                    });
                    gradient = masked;
                }
                self.conv_weights(group, work, step.inputs[0], gradient, &mut memory);
            }
            Work::BatchNorm(work) => {
                let from = self.values[step.inputs[0]].volume;
                let x = memory.read(self.region(step.inputs[0]), first, count);
                let (y, gradient) =
                    (memory.read(self.recorded(step.output), first, count), memory.read(reaching, first, count));
                let (scale, shift) = self.gradients.split_at_mut(work.gradient + 1);
                let (scale, shift) = (&mut scale[work.gradient], &mut shift[0]);
                if let Some((pooling, taps)) = &work.pool {
                    let passed = sparse::Pooled { gradient, y, taps };
                    let input = |argmax: norm_pool::Argmax| f64::from(x[argmax.offset(&from)]);
                    let weights = (work.weight.as_slice(), work.bias.as_slice());
                    let moments = &mut work.moments;
                    let shape = (&from, pooling, count);
                    norm_pool::weight_gradients(isa, shape, passed, &input, moments, weights, (scale, shift));
                } else {
                    let y = work.relu.then_some(y);
                    work.moments.weight_gradients(isa, (&from, count), (x, gradient, y), (scale, shift));
                }
                work.backward.set(&work.moments, &work.weight, scale, shift, count * from.voxels());
            }
            Work::Add { masked: Some(masked), .. } => {
                let y = self.region(step.output);
                memory.write(*masked, first, count, |memory, out| {
                    rearrange::copy(memory.read(reaching, first, count), out);
                    elementwise::relu_gradient(isa, rules.relu, memory.read(y, first, count), out);
                });
                gradient = *masked;
            }
            Work::FirstBlock(work) => {
                let cpu = Cpu { isa, scratch: &self.scratch };
                let regions = [step.inputs[0], step.output].map(|value| self.region(value));
                first_block_weights(
                    cpu,
                    work,
                    (group, self.batch),
                    (reaching, regions),
                    &mut self.gradients,
                    &mut memory,
                );
            }
            Work::Linear(work) if self.purpose == Purpose::Train => {
                let (x, g) =
                    (memory.read(self.region(step.inputs[0]), first, count), memory.read(reaching, first, count));
                let (weight, bias) = self.gradients.split_at_mut(work.gradient + 1);
                linear::weight_gradient(&work.sizes, x, g, count, &mut weight[work.gradient], &mut bias[0]);
            }
            Work::Grouped(work) if self.purpose == Purpose::Train => {
                let (x, g) =
                    (memory.read(self.region(step.inputs[0]), first, count), memory.read(reaching, first, count));
                let (weight, bias) = self.gradients.split_at_mut(work.gradient + 1);
                let bias = if work.has_bias { bias.first_mut() } else { None };
                let weight = &mut weight[work.gradient];
                work.grouped.weight_gradient(count, x, g, weight, bias.map(Vec::as_mut_slice));
            }
            Work::Transposed(work) => {
                if let Some(padded) = work.padded {
                    memory.write(padded, first, count, |memory, out| {
                        let g = memory.read(reaching, first, count);
                        rearrange::pad(&to, work.conv.window.padding, count, g, out);
                    });
                    gradient = padded;
                }
                if self.purpose == Purpose::Train {
                    self.transposed_weights(group, work, step.inputs[0], (reaching, gradient), &mut memory);
                }
            }
            Work::SampleNorm(work) if self.purpose == Purpose::Train => {
                let (x, g) =
                    (memory.read(self.region(step.inputs[0]), first, count), memory.read(reaching, first, count));
                let (scale, shift) = self.gradients.split_at_mut(work.gradient + 1);
                work.norm.weight_gradients(count, (x, g), (&mut scale[work.gradient], &mut shift[0]));
            }
            Work::Prelu { gradient, .. } if self.purpose == Purpose::Train => {
                let (x, g) =
                    (memory.read(self.region(step.inputs[0]), first, count), memory.read(reaching, first, count));
                let from = self.values[step.inputs[0]].volume;
                elementwise::slope_gradient(&from, count, x, g, &mut self.gradients[*gradient]);
            }
            Work::Grouped(_)
            | Work::SampleNorm(_)
            | Work::Prelu { .. }
            | Work::Pad(_)
            | Work::Resize(_)
            | Work::Multiply
            | Work::Linear(_)
            | Work::Affine { .. }
            | Work::Activation(_)
            | Work::MaxPool { .. }
            | Work::AvgPool { .. }
            | Work::GlobalAvgPool
            | Work::Convert
            | Work::Dropout { .. }
            | Work::Add { .. }
            | Work::Concat(_)
            | Work::Softmax
            | Work::LogSoftmax => {}
        }
        let mut channel = 0;
        for (index, &input) in step.inputs.iter().enumerate() {
            let from = self.values[input].volume;
            let Some(sink) = step.sinks[index] else {
                channel += from.channels;
                continue;
            };
            if sink.joined {
                channel += from.channels;
                continue;
            }
            if let Work::Conv(work) = &step.work {
                let y = self.region(step.output);
                let cpu = Cpu { isa, scratch: &self.scratch };
                conv_backward(cpu, work, group, (gradient, y), sink.target(), rules, &mut memory);
            } else {
                memory.write(sink.target(), first, count, |memory, out| {
                    let g = memory.read(gradient, first, count);
                    match &mut step.work {
                        Work::Conv(_) | Work::FirstBlock(_) => {}
                        Work::Affine { scale, relu, .. } => {
                            let y = relu.then(|| memory.read(self.region(step.output), first, count));
                            norm::scale(isa, (&from, count), g, y.map(|y| (rules.relu, y)), scale, out);
                        }
                        Work::BatchNorm(work) => {
                            // The input may lie where its gradient goes.
                            let source = self.region(input);
                            let x = (source != sink.target()).then(|| memory.read(source, first, count));
                            if let Some((pooling, taps)) = &work.pool {
                                let y = memory.read(self.region(step.output), first, count);
                                let passed = sparse::Pooled { y, taps, gradient: g };
                                norm_pool::backward(isa, (&from, pooling), count, (x, passed), &work.backward, out);
                            } else {
                                let y = work.relu.then(|| memory.read(self.recorded(step.output), first, count));
                                norm::backward(isa, (&from, count), (x, g, y), &work.backward, out);
                            }
                        }
                        Work::Activation(Activation::Relu) => {
                            rearrange::copy(g, out);
                            elementwise::relu_gradient(
                                isa,
                                rules.relu,
                                memory.read(self.region(step.output), first, count),
                                out,
                            );
                        }
                        Work::Activation(activation) => {
                            rearrange::copy(g, out);
                            elementwise::activation_gradient(
                                *activation,
                                memory.read(self.region(input), first, count),
                                out,
                            );
                        }
                        Work::MaxPool { window, taps } => {
                            pool::max_backward(isa, window, (&from, &to), count, g, (taps, first * to.len()), out);
                        }
                        Work::Grouped(work) => work.grouped.backward(count, g, &work.weights, out),
                        Work::Transposed(work) => match &work.grouped {
                            Some(grouped) => grouped.forward(count, g, &work.weights, &work.zeros, out),
                            None => {
                                let conv = work.conv.on_padded();
                                direct::forward(isa, &conv, count, g, &work.backward, &work.zeros, out);
                            }
                        },
                        Work::Resize(resampling) => resampling.backward(count, g, out),
                        Work::SampleNorm(work) => {
                            let x = memory.read(self.region(input), first, count);
                            work.norm.backward((first, count), x, g, out);
                        }
                        Work::Prelu { slope, .. } => {
                            rearrange::copy(g, out);
                            elementwise::prelu_gradient(
                                &from,
                                slope,
                                memory.read(self.region(input), first, count),
                                out,
                            );
                        }
                        Work::Pad(pad) => rearrange::cut((&from, &to), pad.before, count, g, out),
                        Work::Multiply => {
                            let other = memory.read(self.region(step.inputs[1 - index]), first, count);
                            if self.values[step.inputs[1]].volume == to {
                                rearrange::copy(g, out);
                                elementwise::multiply(other, out);
                            } else if index == 0 {
                                elementwise::multiply_channels(&to, other, g, out);
                            } else {
                                elementwise::factor_gradient(&to, other, g, out);
                            }
                        }
                        Work::AvgPool { means, .. } => pool::mean_backward(means, (&from, &to), count, g, out),
                        Work::GlobalAvgPool => pool::global_mean_backward(&from, count, g, out),
                        Work::Convert => rearrange::convert(&to, &from, count, g, out),
                        Work::Linear(work) => linear::backward(isa, &work.sizes, g, &work.weights, count, out),
                        Work::Dropout { mask, .. } => {
                            rearrange::copy(g, out);
                            elementwise::multiply(memory.read(*mask, first, count), out);
                        }
                        Work::Add { .. } if from == to => rearrange::copy(g, out),
                        Work::Add { .. } => elementwise::shift_gradient(&to, g, out),
                        Work::Concat(_) => {
                            if !from.channels.is_multiple_of(LANES) {
                                rearrange::fill(out, 0.0);
                            }
                            rearrange::copy_channels((&to, g, channel), (&from, out, 0), from.channels, count);
                        }
                        Work::Softmax => {
                            let y = memory.read(self.region(step.output), first, count);
                            linear::softmax_backward(from.channels, count, y, g, out);
                        }
                        Work::LogSoftmax => {
                            let y = memory.read(self.region(step.output), first, count);
                            linear::log_softmax_backward(from.channels, count, y, g, out);
                        }
                    }
                });
            }
            channel += from.channels;
            if let Some(beside) = sink.beside {
                memory.write(sink.region, first, count, |memory, sum| {
                    elementwise::add(isa, memory.read(beside, first, count), sum);
                });
            }
        }
        self.memory = memory;
    }

    /// Gradients of a transposed convolution's weights and bias, in training, from the gradient of its output, with and without
    /// what was cut off around it.
    fn transposed_weights(
        &mut self,
        group: Group,
        work: &TransposedWork,
        input: usize,
        (reaching, padded): (RegionId, RegionId),
        memory: &mut Memory,
    ) {
        let Group { first, count } = group;
        let (isa, source) = (self.isa, self.region(input));
        let weights = &mut self.gradients[work.gradient];
        if let Some(grouped) = &work.grouped {
            let (x, g) = (memory.read(source, first, count), memory.read(reaching, first, count));
            grouped.weight_gradient(count, g, x, weights, None);
        }
        if let Some(scratch) = work.scratch {
            memory.write(scratch, 0, self.batch, |memory, scratch| {
                let (x, g) = (memory.read(source, first, count), memory.read(padded, first, count));
                direct::weight_gradient(isa, &work.conv.on_padded(), count, g, x, scratch, weights);
            });
        }
        if work.has_bias {
            let (g, conv) = (memory.read(reaching, first, count), Conv { output: work.conv.input, ..work.conv });
            direct::bias_gradient(isa, &conv, count, g, &mut self.gradients[work.gradient + 1]);
        }
    }

    /// Gradients of a convolution's weights and bias, in training.
    fn conv_weights(
        &mut self,
        group: Group,
        work: &mut ConvWork,
        input: usize,
        gradient: RegionId,
        memory: &mut Memory,
    ) {
        let Group { first, count } = group;
        let Some(train) = &mut work.train else { return };
        let mut x = self.recorded(input);
        if let Some(padded) = train.padded {
            memory.write(padded, first, count, |memory, out| {
                rearrange::pad(&work.conv.input, work.conv.window.padding, count, memory.read(x, first, count), out);
            });
            x = padded;
        }
        let Some(scratch) = train.scratch else { return };
        let isa = self.isa;
        let cpu = Cpu { isa, scratch: &self.scratch };
        let weights = &mut self.gradients[train.gradient];
        memory.write(scratch, 0, self.batch, |memory, scratch| {
            let (x, g) = (memory.read(x, first, count), memory.read(gradient, first, count));
            match work.algorithm {
                ConvAlgorithm::Winograd => {
                    winograd_gradient::weight_gradient(cpu, &work.conv, count, x, g, scratch, weights);
                }
                ConvAlgorithm::Direct | ConvAlgorithm::Pointwise | ConvAlgorithm::Nested => {
                    direct::weight_gradient(isa, &work.conv.on_padded(), count, x, g, scratch, weights);
                }
            }
        });
        if train.bias {
            let g = memory.read(gradient, first, count);
            direct::bias_gradient(isa, &work.conv, count, g, &mut self.gradients[train.gradient + 1]);
        }
    }
}

/// A convolution and what is fused with it.
fn conv_forward(cpu: Cpu<'_>, work: &mut ConvWork, group: Group, of_sample: usize, x: &[f32], out: &mut [f32]) {
    let Group { first, count } = group;
    let weights = (&*work.weights, &*work.bias);
    let pool = work.pool.as_mut().map(|taps| if taps.is_empty() { None } else { Some(&mut taps[first * of_sample..]) });
    match (work.algorithm, pool) {
        (ConvAlgorithm::Winograd, Some(taps)) => {
            winograd::forward(cpu, &work.conv, count, x, weights, winograd::Finish::Pool { taps }, out);
        }
        (ConvAlgorithm::Winograd, None) => {
            let finish = winograd::Finish::Store { relu: work.relu };
            winograd::forward(cpu, &work.conv, count, x, weights, finish, out);
        }
        (ConvAlgorithm::Direct, Some(taps)) => {
            first::forward(cpu, &work.conv.on_padded(), count, x, weights, taps, out);
        }
        (ConvAlgorithm::Pointwise, _) => {
            let around = (work.before.as_ref().map(Before::affine), work.relu);
            pointwise::forward(cpu, &work.conv, count, x, weights, around, out);
        }
        (ConvAlgorithm::Nested, _) => nested::forward(cpu, &work.conv, count, x, weights, work.relu, out),
        (ConvAlgorithm::Direct, None) => {
            direct::forward(cpu.isa, &work.conv.on_padded(), count, x, weights.0, weights.1, out);
            if work.relu {
                elementwise::relu(cpu.isa, out);
            }
        }
    }
}

/// The gradient of a convolution's input, from that of its output (and its output itself).
fn conv_backward(
    cpu: Cpu<'_>,
    work: &ConvWork,
    group: Group,
    (gradient, y): (RegionId, RegionId),
    target: RegionId,
    rules: &Rules,
    memory: &mut Memory,
) {
    let Group { first, count } = group;
    let Some((algorithm, weights)) = &work.backward else { return };
    match (algorithm, &work.pool) {
        (ConvBackward::Sparse, Some(taps)) => memory.write(target, first, count, |memory, out| {
            let (gradient, y) = (memory.read(gradient, first, count), memory.read(y, first, count));
            let of_sample = y.len() / count;
            let pooled = sparse::Pooled { gradient, y, taps: &taps[first * of_sample..] };
            sparse::backward(cpu.isa, &work.conv, count, pooled, weights, rules.relu, out);
        }),
        (ConvBackward::Winograd, _) => memory.write(target, first, count, |memory, out| {
            let g = memory.read(gradient, first, count);
            let finish = winograd::Finish::Store { relu: false };
            winograd::forward(cpu, &winograd::backward(&work.conv), count, g, (weights, &work.zeros), finish, out);
        }),
        (ConvBackward::Pointwise, _) => memory.write(target, first, count, |memory, out| {
            let g = memory.read(gradient, first, count);
            let weights = (&**weights, &*work.zeros);
            pointwise::forward(cpu, &work.conv.backward(), count, g, weights, (None, false), out);
        }),
        (way @ (ConvBackward::Direct | ConvBackward::Strided | ConvBackward::Narrow), _) => {
            conv_backward_by_taps(cpu.isa, (work, *way), group, gradient, target, memory);
        }
        (ConvBackward::Sparse, None) => {
            unreachable!("only a convolution fused with its pool has gradients at few positions")
        }
    }
}

/// The same, tap by tap.
fn conv_backward_by_taps(
    isa: Isa,
    (work, way): (&ConvWork, ConvBackward),
    group: Group,
    gradient: RegionId,
    target: RegionId,
    memory: &mut Memory,
) {
    let Group { first, count } = group;
    let (Some(spread), Some((_, weights))) = (work.spread, &work.backward) else { return };
    let conv = &work.conv;
    memory.write(spread, first, count, |memory, out| {
        let g = memory.read(gradient, first, count);
        if way == ConvBackward::Direct {
            rearrange::spread(conv, count, g, out);
        } else {
            let (to, before) = (strided::surrounded(conv), strided::before(conv));
            rearrange::surround((&conv.output, &to), before, 0.0, count, g, out);
        }
    });
    memory.write(target, first, count, |memory, out| {
        let g = memory.read(spread, first, count);
        match way {
            ConvBackward::Narrow => strided::narrow(isa, conv, count, g, weights, out),
            ConvBackward::Strided => strided::backward(isa, conv, count, g, weights, &work.zeros, out),
            ConvBackward::Direct | ConvBackward::Pointwise | ConvBackward::Winograd | ConvBackward::Sparse => {
                direct::forward(isa, &conv.backward(), count, g, weights, &work.zeros, out);
            }
        }
    });
}

/// Batch normalisation by the batch's own statistics.
fn batch_norm(isa: Isa, work: &mut NormWork, volume: &Volume, batch: usize, x: &[f32], out: &mut [f32]) {
    work.moments.measure(isa, volume, batch, x, work.epsilon);
    for (channel, (weight, bias)) in work.weight.iter().zip(&work.bias).enumerate() {
        let scale = weight * work.moments.inverse[channel];
        work.scale[channel] = scale;
        work.shift[channel] = bias - work.moments.mean[channel] * scale;
    }
    match &mut work.pool {
        None => norm::affine(isa, (volume, batch), x, (&work.scale, &work.shift), work.relu, out),
        Some((pooling, taps)) => {
            norm_pool::forward(isa, (volume, pooling), batch, x, (&work.scale, &work.shift), (out, taps));
        }
    }
}

/// The first block in training: statistics from the patches, then one pass with the normalisation folded in.
#[allow(clippy::cast_possible_truncation, reason = "statistics and weights are f32")]
fn first_block_forward(cpu: Cpu<'_>, work: &mut FirstBlock, batch: usize, x: &[f32], out: &mut [f32]) {
    let FirstBlock { conv, kernel, norm, patches, .. } = work;
    patches.measure(cpu, conv, batch, x);
    for (channel, kernel) in kernel.chunks_exact(patches::TAPS).enumerate() {
        let (mean, variance) = (patches.mean_of(kernel), patches.variance_of(kernel));
        let inverse = 1.0 / (variance + f64::from(norm.epsilon)).sqrt();
        let scale = f64::from(norm.weight[channel]) * inverse;
        norm.moments.mean[channel] = (mean + f64::from(work.offset.get(channel).copied().unwrap_or(0.0))) as f32;
        norm.moments.variance[channel] = variance as f32;
        norm.moments.inverse[channel] = inverse as f32;
        norm.scale[channel] = scale as f32;
        work.bias[channel] = (f64::from(norm.bias[channel]) - mean * scale) as f32;
    }
    direct::pack(conv, kernel, Some(&norm.scale), &mut work.weights);
    let taps = norm.pool.as_mut().map(|(_, taps)| taps.as_mut_slice());
    first::forward(cpu, conv, batch, x, (&work.weights, &work.bias), taps, out);
}

/// Its gradients: of the normalisation's weights, then of the convolution's (whose bias has none).
#[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
fn first_block_weights(
    cpu: Cpu<'_>,
    work: &mut FirstBlock,
    (group, batch): (Group, usize),
    (gradient, [x, y]): (RegionId, [RegionId; 2]),
    gradients: &mut [Vec<f32>],
    memory: &mut Memory,
) {
    let FirstBlock { conv, kernel, norm, patches, .. } = work;
    let (Some(sums), Some((pooling, taps))) = (work.sums, &norm.pool) else { return };
    let Group { first, count } = group;
    memory.write(sums, 0, batch, |memory, sums| {
        let [x, y, gradient] = [x, y, gradient].map(|region| memory.read(region, first, count));
        let passed = sparse::Pooled { gradient, y, taps };
        let input = |argmax: norm_pool::Argmax| {
            let x = &x[argmax.sample * conv.input.len()..][..conv.input.len()];
            let kernel = &kernel[argmax.channel * patches::TAPS..][..patches::TAPS];
            let bias = work.offset.get(argmax.channel).copied().unwrap_or(0.0);
            patches::value(conv, x, kernel, bias, argmax.at)
        };
        let mut of_kernel = std::mem::take(&mut gradients[work.gradient]);
        let (scale, shift) = gradients.split_at_mut(norm.gradient + 1);
        let (scale, shift) = (&mut scale[norm.gradient], &mut shift[0]);
        let weights = (norm.weight.as_slice(), norm.bias.as_slice());
        let moments = &mut norm.moments;
        let shape = (&conv.output, pooling, count);
        norm_pool::weight_gradients(cpu.isa, shape, passed, &input, moments, weights, (scale, shift));
        patches.correlate(cpu, conv, (count, x), passed, sums, |channel, of_maxima| {
            let at = channel * patches::TAPS..(channel + 1) * patches::TAPS;
            let with = patches.covariance_with(&kernel[at.clone()]);
            let inverse = f64::from(norm.moments.inverse[channel]);
            let gain = f64::from(norm.weight[channel]) * inverse;
            let (scale, shift) = (f64::from(scale[channel]), f64::from(shift[channel]));
            for (tap, out) in of_kernel[at].iter_mut().enumerate() {
                let dense = shift * patches.mean()[tap] + scale * inverse * with[tap];
                *out = (gain * (of_maxima[tap] - dense)) as f32;
            }
        });
        gradients[work.gradient] = of_kernel;
    });
}

/// Dropout masks of a batch in the values' layout, drawn by unit in C order.
fn draw_mask(
    scratch: &Scratch,
    volume: &Volume,
    batch: usize,
    (DropoutSeed { seed, step }, node, p): (DropoutSeed, usize, f32),
    mask: &mut [f32],
) {
    for (sample, mask) in mask.chunks_exact_mut(volume.len()).take(batch).enumerate() {
        if volume.layout == Layout::Blocked {
            scratch.lend(volume.values(), |plain| {
                dropout_mask(seed, step, node, sample, p, plain);
                rearrange::from_plain(volume, plain, mask);
            });
        } else {
            let (values, rest) = mask.split_at_mut(volume.values());
            dropout_mask(seed, step, node, sample, p, values);
            rest.fill(0.0);
        }
    }
}
