//! [`Tape`]: a recorded forward pass, and what its backward pass gives.

use super::{Backward, Executable, Plan, Purpose, ReluRule, Rules, RulesApplied};
use crate::{Error, NodeId, Result, Tensor};

/// One recorded forward pass.
#[derive(Debug)]
pub struct Tape<'a> {
    pub(super) plan: &'a mut Plan,
}

impl Tape<'_> {
    /// Number of samples.
    #[allow(
        clippy::misnamed_getters,
        reason = "the plan's batch is the most it takes; the tape's is what it was given"
    )]
    pub fn batch(&self) -> usize {
        self.plan.samples
    }

    /// Output of the last node, `[n, classes]`.
    pub fn output(&self) -> &[f32] {
        self.plan.executable.output()
    }

    /// Value of a kept node, `[n, ...]` in C order.
    ///
    /// # Errors
    /// The node is not among [`super::PlanOptions::keep`].
    pub fn value(&self, node: NodeId) -> Result<Tensor> {
        self.kept(node, |executable, into| executable.value(node, into))
    }

    /// Backward pass from the gradient of the outputs (`[n, classes]`) to the input, by `rules`.
    ///
    /// For [`Purpose::Train`] it gives weight gradients instead of the input's, whose slice is then empty, and a tape
    /// takes one backward pass.
    ///
    /// # Errors
    /// The plan is for inference, the tape of a training pass was used already, or the size is another.
    pub fn backward(&mut self, output_gradient: &[f32], rules: &Rules) -> Result<Backward<'_>> {
        let plan = &mut *self.plan;
        let (samples, outputs) = (plan.samples, plan.outputs());
        match plan.purpose {
            Purpose::Infer => {
                return Err(Error::Request(
                    "a plan for inference records nothing for a backward pass; plan for the input gradient".into(),
                ));
            }
            Purpose::Train if plan.backward_done => {
                return Err(Error::Request(
                    "this training pass has had its backward pass already; run it forward again".into(),
                ));
            }
            Purpose::Train | Purpose::InputGradient => {}
        }
        if output_gradient.len() != samples * outputs {
            return Err(Error::Request(format!(
                "found an output gradient of {} values, expected {} ({samples} samples of {outputs})",
                output_gradient.len(),
                samples * outputs
            )));
        }
        plan.backward_done = true;
        plan.on_threads(|executable| executable.backward(output_gradient, rules));
        let [reached, relu_total] = plan.relus;
        let relu = if rules.relu == ReluRule::Gradient { 0 } else { reached };
        Ok(Backward { input: plan.executable.input_gradient(), applied: RulesApplied { relu, relu_total } })
    }

    /// What reached a kept node's output in the last backward pass, `[n, ...]` in C order.
    ///
    /// # Errors
    /// There was no backward pass yet, or the node is not among [`super::PlanOptions::keep`].
    pub fn gradient(&self, node: NodeId) -> Result<Tensor> {
        if !self.plan.backward_done {
            return Err(Error::Request("this tape has had no backward pass yet".into()));
        }
        self.kept(node, |executable, into| executable.gradient(node, into))
    }

    fn kept(&self, node: NodeId, read: impl Fn(&dyn Executable, &mut [f32])) -> Result<Tensor> {
        let plan = &*self.plan;
        let name = |index: usize| plan.nodes.get(index).map_or_else(|| index.to_string(), |node| node.name.clone());
        if !plan.keep.contains(&node) {
            let kept: Vec<_> = (0..plan.nodes.len()).filter(|&n| plan.keep.contains(&NodeId(n))).map(name).collect();
            return Err(Error::Unknown {
                what: "kept node",
                name: name(node.0),
                known: if kept.is_empty() { "none (PlanOptions::keep is empty)".into() } else { kept.join(", ") },
            });
        }
        let mut tensor = Tensor::zeros([&[plan.samples], plan.shapes[node.0].as_slice()].concat());
        read(plan.executable.as_ref(), tensor.data_mut());
        Ok(tensor)
    }

    /// Gradients of [`crate::Network::parameters`], in their order, summed over the batch as the output gradient
    /// weighs it.
    ///
    /// # Errors
    /// The plan is not for training, or there was no backward pass yet.
    pub fn weight_gradients(&self) -> Result<&[Vec<f32>]> {
        if self.plan.purpose != Purpose::Train || !self.plan.backward_done {
            return Err(Error::Request("weight gradients need a plan for training and a backward pass".into()));
        }
        Ok(self.plan.executable.weight_gradients())
    }
}
