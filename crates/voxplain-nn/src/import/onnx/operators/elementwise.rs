//! What works value by value: activations, sums, products, and maps by channel.

use super::super::array::{Array, aligned};
use super::super::canonical::{Step, View};
use super::super::{fold, function};
use super::{Meaning, Operator, Reader};
use crate::{Activation, Op, Prelu, Tensor};

impl Reader<'_> {
    /// The sum of two values of one shape, or of one with a shift for each of its channels.
    pub(super) fn sum(&mut self, of: &Operator<'_>, a: &View, b: &View) -> Result<View, String> {
        self.pair(of, Op::Add, a, b)
    }

    /// An operator that works value by value.
    pub(super) fn function(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let mut views = Vec::new();
        let mut inputs = Vec::new();
        for n in 0..of.inputs.len() {
            match &of.inputs[n] {
                Some(Meaning::Known(array)) => inputs.push(array.single().map(Err)),
                Some(Meaning::Value(view)) => {
                    inputs.push(Some(Ok(view.node)));
                    views.push(view.clone());
                }
                Some(Meaning::Reshaped { shape, .. }) => {
                    return Err(format!(
                        "it works on a value in the shape {shape:?}, which is none of volumes or features"
                    ));
                }
                // A bound that is left out bounds nothing.
                None if of.node.operator == "Clip" => {
                    inputs.push(Some(Err(if n == 1 { f64::NEG_INFINITY } else { f64::INFINITY })));
                }
                Some(Meaning::Refused) | None => return Err(format!("its input {n} is missing")),
            }
        }
        let first = views.first().cloned().ok_or("it takes no value of the network")?;
        let mut chain = Vec::new();
        if views.iter().all(|view| self.alike(view, &first))
            && let Some(inputs) = inputs.iter().copied().collect::<Option<Vec<_>>>()
        {
            chain = self.canonical.chain(&inputs, |values| fold::function(of.node, values));
            for (base, samples) in &chain {
                let node = if function::is_identity(samples) {
                    *base
                } else if let Some(activation) = function::activation(samples) {
                    self.canonical.activation(&of.name, activation, *base)?
                } else {
                    continue;
                };
                if node != *base {
                    self.canonical.set_chain(node, chain.clone());
                }
                return Ok(Meaning::Value(View { node, ..first }));
            }
        }
        let view = match self.arithmetic(of, &views) {
            Ok(view) => view,
            Err(_) if !chain.is_empty() => {
                let step = Step::Function(of.node.operator.clone());
                View { node: self.canonical.add_step(&of.name, step, first.node, None), ..first }
            }
            Err(reason) => return Err(reason),
        };
        self.canonical.set_chain(view.node, chain);
        Ok(Meaning::Value(view))
    }

    /// Sums and products of values and constants, and the parts of a normalisation over channels.
    pub(super) fn arithmetic(&mut self, of: &Operator<'_>, views: &[View]) -> Result<View, String> {
        let operator = of.node.operator.as_str();
        match (operator, views) {
            ("Add", [a, b]) => self.sum(of, a, b),
            ("Sub", [a, b])
                if self.canonical.step(b.node) == Some(&Step::Mean)
                    && self.canonical.values[b.node].inputs == [a.node] =>
            {
                self.align(a, b)?;
                Ok(View { node: self.canonical.add_step(&of.name, Step::Centred, a.node, None), ..a.clone() })
            }
            ("Sub", [a, b]) => {
                let channels = self.canonical.channels(b.node);
                let name = format!("{}.negative", of.name);
                let node = self.canonical.affine(&name, b.node, &vec![-1.0; channels], &vec![0.0; channels])?;
                self.sum(of, a, &View { node, ..b.clone() })
            }
            ("Mul", [a, b]) if a.node == b.node && self.canonical.step(a.node) == Some(&Step::Centred) => {
                Ok(View { node: self.canonical.add_step(&of.name, Step::Squared, a.node, None), ..a.clone() })
            }
            ("Mul", [a, b]) => self.product(of, a, b),
            ("Pow", [a]) if self.canonical.step(a.node) == Some(&Step::Centred) && self.number(of, 1)? == [2.0] => {
                Ok(View { node: self.canonical.add_step(&of.name, Step::Squared, a.node, None), ..a.clone() })
            }
            ("Add", [a]) if self.canonical.step(a.node) == Some(&Step::Variance) => {
                let constant = of.constant().and_then(|array| array.single()).ok_or("it adds more than one number")?;
                #[expect(clippy::cast_possible_truncation, reason = "an epsilon is single precision")]
                let step = Step::Shifted(constant as f32);
                Ok(View { node: self.canonical.add_step(&of.name, step, a.node, None), ..a.clone() })
            }
            ("Sqrt", [a]) => match self.canonical.step(a.node) {
                Some(&Step::Shifted(epsilon)) => Ok(View {
                    node: self.canonical.add_step(&of.name, Step::Deviation(epsilon), a.node, None),
                    ..a.clone()
                }),
                _ => Err("it is no activation of the engine".into()),
            },
            ("Div", [a, b]) => self.normalised(of, a, b),
            ("Add" | "Sub" | "Mul" | "Div" | "Neg", [a]) => self.affine(of, a),
            ("PRelu", [a]) => self.prelu(of, a),
            _ => Err(match views.len() {
                1 => "it is no activation that the engine has, nor a part of one".into(),
                _ => "it joins values of the network by something else than a sum or a product".into(),
            }),
        }
    }

    pub(super) fn number(&self, of: &Operator<'_>, n: usize) -> Result<Vec<f64>, String> {
        let array = of.known(n)?.ok_or("its exponent is no constant")?;
        Ok((0..array.len()).map(|at| array.at(at)).collect())
    }

    /// The product of two values of one shape, or of one with a factor for each of its channels.
    pub(super) fn product(&mut self, of: &Operator<'_>, a: &View, b: &View) -> Result<View, String> {
        self.pair(of, Op::Multiply, a, b)
    }

    /// Two values of one shape, or one with a value for each of its channels, brought together.
    fn pair(&mut self, of: &Operator<'_>, op: Op, a: &View, b: &View) -> Result<View, String> {
        if self.alike(a, b) {
            let node = self.canonical.add(&of.name, op, &[a.node, b.node])?;
            return Ok(View { node, ..a.clone() });
        }
        let values = |view: &View| self.canonical.values[view.node].shape.iter().product::<usize>();
        let (signal, other) = if values(a) >= values(b) { (a, b) } else { (b, a) };
        let pairs = self.align(signal, other)?;
        let channels = self.canonical.channels(signal.node);
        let by_channel = self.canonical.channels(other.node) == channels
            && values(other) == channels
            && pairs.iter().all(|[of_signal, of_other]| *of_signal != Some(0) || *of_other == Some(0) || channels == 1);
        if !by_channel {
            let [a, b] = [a, b].map(|view| self.canonical.dims(view));
            let what = if op == Op::Add { "adds" } else { "multiplies" };
            return Err(format!(
                "it {what} values of shapes {a:?} and {b:?}, expected one shape or a value by channel"
            ));
        }
        let by_channel = self.canonical.flatten(other.node)?;
        let node = self.canonical.add(&of.name, op, &[signal.node, by_channel])?;
        Ok(View { node, axes: pairs.into_iter().map(|[of_signal, _]| of_signal).collect() })
    }

    pub(super) fn prelu(&mut self, of: &Operator<'_>, view: &View) -> Result<View, String> {
        let constant = of.constant().ok_or("its slopes are no constant")?;
        let slopes = self.per_channel(&constant, view)?;
        let channels = slopes.len();
        let node = match slopes.first() {
            Some(&slope) if slopes.iter().all(|&other| other == slope) => {
                self.canonical.activation(&of.name, Activation::LeakyRelu { slope }, view.node)?
            }
            _ => {
                let prelu = Prelu { weight: Tensor::new([channels], slopes), ..Prelu::new(channels) };
                self.canonical.add(&of.name, prelu, &[view.node])?
            }
        };
        Ok(View { node, ..view.clone() })
    }

    /// A value with constants added to it or multiplied with it, channel by channel.
    pub(super) fn affine(&mut self, of: &Operator<'_>, view: &View) -> Result<View, String> {
        let channels = self.canonical.channels(view.node);
        let constant = match of.constant() {
            Some(constant) => self.per_channel(&constant, view)?,
            None => vec![0.0; channels],
        };
        let first_is_constant = matches!(of.inputs.first(), Some(Some(Meaning::Known(_))));
        let (one, zero) = (vec![1.0; channels], vec![0.0; channels]);
        let negative = |values: &[f32]| values.iter().map(|value| -value).collect::<Vec<_>>();
        let (scale, shift) = match of.node.operator.as_str() {
            "Add" => (one, constant),
            "Sub" if first_is_constant => (negative(&one), constant),
            "Sub" => (one, negative(&constant)),
            "Neg" => (negative(&one), zero),
            "Mul" => (constant, zero),
            _ if first_is_constant => return Err("it divides a constant by a value of the network".into()),
            _ if constant.contains(&0.0) => return Err("it divides by 0".into()),
            _ => (constant.iter().map(|value| 1.0 / value).collect(), zero),
        };
        let node = self.canonical.affine(&of.name, view.node, &scale, &shift)?;
        Ok(View { node, ..view.clone() })
    }

    /// The value of a constant at each channel of a value beside it; refused where it differs from voxel to voxel.
    pub(super) fn per_channel(&self, array: &Array, view: &View) -> Result<Vec<f32>, String> {
        let (dims, channels) = (self.canonical.dims(view), self.canonical.channels(view.node));
        let values = array.real()?;
        let extra = array.shape.len().saturating_sub(dims.len());
        if array.shape[..extra].iter().any(|&length| length != 1) {
            return Err(format!("its constant has the shape {:?} beside a value of {dims:?}", array.shape));
        }
        let own = &array.shape[extra..];
        let mut varies = false;
        let mut strides = vec![0; dims.len()];
        let mut stride = 1;
        for at in (0..dims.len()).rev() {
            let length = aligned(own, dims.len(), at);
            if length != 1 && length != dims[at] {
                return Err(format!("its constant has the shape {:?} beside a value of {dims:?}", array.shape));
            }
            varies |= length != 1 && view.axes[at] != Some(0);
            strides[at] = if length == 1 { 0 } else { stride };
            stride *= length;
        }
        let step = (0..dims.len()).find(|&at| view.axes[at] == Some(0)).map_or(0, |at| strides[at]);
        let found: Vec<f32> = (0..channels).map(|channel| values[channel * step]).collect();
        if varies {
            let channel_of = |place: usize| (place / step.max(1)) % channels;
            if values
                .iter()
                .enumerate()
                .any(|(place, &value)| value != found[if step == 0 { 0 } else { channel_of(place) }])
            {
                return Err(format!(
                    "its constant has the shape {:?} of a value of the network and differs from voxel to voxel, for which there is no \
                     operation here. It may be a part of the network: weights of a LayerNorm over voxels, an embedding of positions, a \
                     mask. Or it may be what the network held for the example image, which TorchScript leaves in the file where values are \
                     taken out of the graph (`.data`, `.detach()`), as in MONAI's ResNet with shortcut_type='A': every other image then \
                     gets wrong results. Export a network without it (LayerNorm with elementwise_affine=False or GroupNorm(1, C), \
                     shortcut_type='B')",
                    array.shape
                ));
            }
        }
        Ok(found)
    }
}
