//! Normalisations, by running statistics or a sample's own.

use super::super::array::axis;
use super::super::canonical::{Step, View};
use super::{Meaning, Operator, Reader};
use crate::{BatchNorm, NormOver, Op, SampleNorm, Tensor};
use std::collections::BTreeSet;

impl Reader<'_> {
    pub(super) fn batch_norm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        if of.node.int("training_mode", 0)? != 0 {
            return Err("it takes the statistics of the batch; export after model.eval()".into());
        }
        let view = of.value(0)?;
        self.channels_second(&view)?;
        let channels = self.canonical.channels(view.node);
        let given = |n: usize| of.known(n)?.ok_or("its statistics are not constant")?.tensor(&[channels]);
        let norm = BatchNorm {
            weight: given(1)?,
            bias: given(2)?,
            running_mean: given(3)?,
            running_var: given(4)?,
            epsilon: of.node.float("epsilon", 1e-5)?,
            // ONNX counts the share that stays, PyTorch the share that is new.
            momentum: (1.0 - of.node.float("momentum", 0.9)?).clamp(0.0, 1.0),
            ..BatchNorm::new(channels)
        };
        if let Some(variance) = norm.running_var.data().iter().find(|variance| **variance < 0.0) {
            return Err(format!("it has the variance {variance}, expected none below 0"));
        }
        self.norms += 1;
        let node = self.canonical.add(&of.name, norm, &[view.node])?;
        Ok(Meaning::Value(View { node, ..view }))
    }

    /// Refuses a value whose second axis is not that of its channels.
    pub(super) fn channels_second(&self, view: &View) -> Result<(), String> {
        let channels = self.canonical.channels(view.node);
        match view.axes.get(1) {
            Some(Some(0)) => Ok(()),
            Some(None) if channels == 1 => Ok(()),
            _ => Err(format!("it takes a value of shape {:?}, expected channels second", self.canonical.dims(view))),
        }
    }

    /// The quotient that ends a normalisation over channels.
    pub(super) fn normalised(&mut self, of: &Operator<'_>, a: &View, b: &View) -> Result<View, String> {
        let before = |node: usize| self.canonical.values[node].inputs.first().copied();
        if let (Some(Step::Centred), Some(&Step::Deviation(epsilon))) =
            (self.canonical.step(a.node), self.canonical.step(b.node))
        {
            // Shifted, the variance, the squares, and what is squared.
            let squared = before(b.node).and_then(before).and_then(before).and_then(before);
            if let (true, Some(input)) = (squared == Some(a.node), before(a.node)) {
                let norm =
                    SampleNorm { epsilon, ..SampleNorm::new(self.canonical.channels(input), NormOver::Channels) };
                return Ok(View { node: self.canonical.add(&of.name, whole(norm), &[input])?, ..a.clone() });
            }
        }
        Err("it divides one value of the network by another".into())
    }

    /// Normalisation of each channel over its voxels; or of groups of channels, which are channels of another shape then.
    pub(super) fn instance_norm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let (node, shape) = match of.first()? {
            Meaning::Value(view) => match self.canonical.op(view.node) {
                // One group: flattened on the way.
                Some(Op::Flatten) => (self.canonical.values[view.node].inputs[0], Some(self.canonical.dims(&view))),
                _ => (self.volume(&view)?, None),
            },
            Meaning::Reshaped { view, shape } => (self.volume(&view)?, Some(shape)),
            Meaning::Known(_) | Meaning::Refused => return Err("its input is no value of the network".into()),
        };
        let channels = self.canonical.channels(node);
        let groups = shape.as_ref().map_or(channels, |shape| shape.get(1).copied().unwrap_or(0));
        if groups == 0 || !channels.is_multiple_of(groups) || shape.as_ref().is_some_and(|shape| shape[0] != 1) {
            return Err(format!("it takes a value in the shape {shape:?}, expected [1, groups, the rest]"));
        }
        let node = self.group_norm(of, node, groups, groups)?;
        let view = self.volume_view(node);
        Ok(shape.map_or_else(|| Meaning::Value(view.clone()), |shape| Meaning::Reshaped { view: view.clone(), shape }))
    }

    /// Normalisation of groups of channels, with `given` scales and shifts.
    pub(super) fn group_norm(
        &mut self,
        of: &Operator<'_>,
        node: usize,
        groups: usize,
        given: usize,
    ) -> Result<usize, String> {
        let channels = self.canonical.channels(node);
        let values = |n: usize| -> Result<Tensor, String> {
            let values = of.known(n)?.ok_or("its scale or shift is no constant")?.tensor(&[given])?;
            let spread = values.data().iter().flat_map(|&value| std::iter::repeat_n(value, channels / given)).collect();
            Ok(Tensor::new([channels], spread))
        };
        let norm = SampleNorm {
            weight: values(1)?,
            bias: values(2)?,
            epsilon: of.node.float("epsilon", 1e-5)?,
            ..SampleNorm::new(channels, NormOver::Groups(groups))
        };
        self.canonical.add(&of.name, norm, &[node])
    }

    pub(super) fn layer_norm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let view = of.value(0)?;
        let from = axis(of.node.int("axis", -1)?, view.axes.len())?;
        let shape = &self.canonical.values[view.node].shape;
        let over: BTreeSet<usize> =
            view.axes[from..].iter().copied().flatten().filter(|&axis| shape[axis] != 1).collect();
        let all: BTreeSet<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        let over = match () {
            () if over == [0].into() => NormOver::Channels,
            () if over == all => NormOver::Groups(1),
            () => return Err(format!("it is over axes from {from} on of {:?}", self.canonical.dims(&view))),
        };
        let channels = self.canonical.channels(view.node);
        let scale = of.known(1)?.ok_or("its scale is no constant")?;
        let scale = self.per_channel(&scale, &view)?;
        let shift = of.known(2)?.map(|shift| self.per_channel(&shift, &view)).transpose()?;
        let norm = SampleNorm {
            weight: Tensor::new([channels], scale),
            bias: shift.map_or_else(|| Tensor::zeros([channels]), |shift| Tensor::new([channels], shift)),
            epsilon: of.node.float("epsilon", 1e-5)?,
            ..SampleNorm::new(channels, over)
        };
        let node = self.canonical.add(&of.name, norm, &[view.node])?;
        Ok(Meaning::Value(View { node, ..view }))
    }
}

/// A normalisation with its weights as they begin.
fn whole(mut norm: SampleNorm) -> SampleNorm {
    norm.weight = Tensor::full([norm.channels], 1.0);
    norm.bias = Tensor::zeros([norm.channels]);
    norm
}
