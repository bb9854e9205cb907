//! [`Optimizer`]: what a gradient does to the weights.

use crate::adam::{AdamOptions, AdamStep};
use crate::{Error, Network, Result, Tensor};
use serde::{Deserialize, Serialize};

/// How weights follow their gradients. Arithmetic and defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum OptimizerKind {
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the last step that is kept; 0 for none.
        momentum: f32,
        /// Whether to look ahead along the momentum (Nesterov).
        nesterov: bool,
        /// Added to the gradient, times the weight (L2).
        weight_decay: f32,
    },
    /// Adam (Kingma and Ba 2015); weight decay goes into the gradient (L2).
    Adam(AdamOptions),
    /// Adam with weight decay beside the gradient (Loshchilov and Hutter 2019).
    AdamW(AdamOptions),
}

/// Running means of the gradients of one tensor; those that its kind does not need are empty.
#[derive(Clone, Debug, Default)]
struct Moments {
    /// Mean, or momentum.
    first: Vec<f32>,
    /// Mean square.
    second: Vec<f32>,
    /// Largest mean square so far.
    largest: Vec<f32>,
}

/// All that an [`Optimizer`] remembers, to be stored with a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OptimizerState {
    /// Steps taken.
    pub step: u64,
    /// `<number of the parameter>.first`, `.second`, `.largest`.
    pub tensors: Vec<(String, Tensor)>,
}

/// Changes weights by their gradients, and remembers what it needs from step to step.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    step: u64,
    moments: Vec<Moments>,
    /// The largest norm of the gradients of all parameters together.
    max_norm: Option<f64>,
    /// Which parameters do not change; none where it is empty.
    frozen: Vec<bool>,
}

impl Optimizer {
    /// An optimiser that has taken no step.
    pub fn new(kind: OptimizerKind) -> Self {
        Self { kind, step: 0, moments: Vec::new(), max_norm: None, frozen: Vec::new() }
    }

    /// The same with gradients clipped: where the norm of the gradients of all parameters together is larger than this, all are scaled
    /// down to it (Pascanu et al. 2013; PyTorch's `clip_grad_norm_`).
    #[must_use]
    pub fn with_max_norm(self, max_norm: Option<f64>) -> Self {
        Self { max_norm, ..self }
    }

    /// The same with some parameters of the network, in the order of [`Network::parameters`], that never change and whose gradients
    /// do not count for the norm.
    #[must_use]
    pub fn with_frozen(self, frozen: Vec<bool>) -> Self {
        Self { frozen, ..self }
    }

    /// How it follows gradients.
    pub fn kind(&self) -> &OptimizerKind {
        &self.kind
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// One step of a network by the gradients of [`Network::parameters`], in their order. Allocates in the first
    /// step only.
    pub fn step<G: AsRef<[f32]>>(&mut self, network: &mut Network, gradients: &[G], rate: f64) -> Result<()> {
        let mut sizes = gradients.iter().map(|gradient| gradient.as_ref().len());
        let (mut count, mut fit) = (0, true);
        network.visit_parameters(|tensor| {
            count += 1;
            fit &= sizes.next() == Some(tensor.len());
        });
        if !fit || count != gradients.len() {
            return Err(Error::Request(format!(
                "optimiser: found {} gradients, expected one for each of the {count} parameters and of its size",
                gradients.len()
            )));
        }
        if !self.frozen.is_empty() && self.frozen.len() != count {
            return Err(Error::Request(format!(
                "optimiser: {} parameters are said to be frozen or not, but there are {count}",
                self.frozen.len()
            )));
        }
        self.begin(gradients.iter().map(|gradient| gradient.as_ref().len()))?;
        let frozen = |index: usize| self.frozen.get(index).copied().unwrap_or(false);
        let trained = gradients.iter().enumerate().filter(|(index, _)| !frozen(*index));
        let scale = clip(self.max_norm, trained.map(|(_, gradient)| gradient.as_ref()));
        let mut index = 0;
        network.visit_parameters_mut(|tensor| {
            if !frozen(index) {
                let (values, gradient) = (tensor.data_mut(), gradients[index].as_ref());
                self.kind.update(self.step, &mut self.moments[index], values, (gradient, scale), rate);
            }
            index += 1;
        });
        Ok(())
    }

    /// One step of a single array (a mask that is optimised, say) by its gradient.
    pub fn step_values(&mut self, values: &mut [f32], gradient: &[f32], rate: f64) -> Result<()> {
        if values.len() != gradient.len() {
            return Err(Error::Request(format!(
                "optimiser: found {} gradients for {} values, expected as many",
                gradient.len(),
                values.len()
            )));
        }
        self.begin(std::iter::once(values.len()))?;
        let scale = clip(self.max_norm, std::iter::once(gradient));
        self.kind.update(self.step, &mut self.moments[0], values, (gradient, scale), rate);
        Ok(())
    }

    /// Counts a step; in the first, makes room for the means.
    fn begin(&mut self, sizes: impl Iterator<Item = usize> + Clone) -> Result<()> {
        let (first, second, largest) = match &self.kind {
            OptimizerKind::Sgd { momentum, .. } => (*momentum != 0.0, false, false),
            OptimizerKind::Adam(adam) | OptimizerKind::AdamW(adam) => (true, true, adam.amsgrad),
        };
        if self.moments.is_empty() {
            let room = |wanted: bool, size: usize| if wanted { vec![0.0; size] } else { Vec::new() };
            let moments =
                |size| Moments { first: room(first, size), second: room(second, size), largest: room(largest, size) };
            self.moments = sizes.clone().map(moments).collect();
        }
        let fits = |held: &[f32], wanted: bool, size: usize| held.len() == if wanted { size } else { 0 };
        let all_fit = sizes.clone().count() == self.moments.len()
            && self.moments.iter().zip(sizes).all(|(moments, size)| {
                fits(&moments.first, first, size)
                    && fits(&moments.second, second, size)
                    && fits(&moments.largest, largest, size)
            });
        if !all_fit {
            return Err(Error::Request(
                "optimiser: what it remembers is of another network or method; start it anew".into(),
            ));
        }
        self.step += 1;
        Ok(())
    }

    /// All that it remembers.
    pub fn state(&self) -> OptimizerState {
        let mut tensors = Vec::new();
        for (index, moments) in self.moments.iter().enumerate() {
            for (name, values) in
                [("first", &moments.first), ("second", &moments.second), ("largest", &moments.largest)]
            {
                if !values.is_empty() {
                    tensors.push((format!("{index}.{name}"), Tensor::new([values.len()], values.clone())));
                }
            }
        }
        OptimizerState { step: self.step, tensors }
    }

    /// An optimiser that goes on from a state; one that does not fit the network is refused in the next step.
    pub fn restore(kind: OptimizerKind, state: OptimizerState) -> Result<Self> {
        let mut moments: Vec<Moments> = Vec::new();
        let most = state.tensors.len();
        for (name, tensor) in state.tensors {
            let place = name.split_once('.').and_then(|(index, kind)| Some((index.parse::<usize>().ok()?, kind)));
            let Some((index, kind)) = place.filter(|(index, _)| *index < most) else {
                return Err(Error::Request(format!("optimiser: found {name}, expected <parameter>.<mean>")));
            };
            if moments.len() <= index {
                moments.resize(index + 1, Moments::default());
            }
            let values = match kind {
                "first" => &mut moments[index].first,
                "second" => &mut moments[index].second,
                "largest" => &mut moments[index].largest,
                _ => {
                    return Err(Error::Request(format!("optimiser: found {name}, expected first, second or largest")));
                }
            };
            *values = tensor.data().to_vec();
        }
        Ok(Self { step: state.step, moments, ..Self::new(kind) })
    }
}

/// What gradients are multiplied with, so that their norm together is at most that. 1 changes no bit.
#[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
fn clip<'a>(max_norm: Option<f64>, gradients: impl Iterator<Item = &'a [f32]>) -> f32 {
    let Some(max_norm) = max_norm else { return 1.0 };
    let norm = gradients.map(square).sum::<f64>().sqrt();
    // PyTorch's guard against a norm of zero. A norm that is no number is left to whoever looks at the loss.
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 { scale as f32 } else { 1.0 }
}

/// The sum of squares, in double precision; eight sums side by side, always the same way.
fn square(values: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>()
}

impl OptimizerKind {
    /// One pass over a tensor: step number `step`, counted from 1. Gradients come with what they are multiplied with.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32, and so is PyTorch's arithmetic")]
    fn update(&self, step: u64, moments: &mut Moments, values: &mut [f32], gradient: (&[f32], f32), rate: f64) {
        let (gradient, scale) = gradient;
        match self {
            &Self::Sgd { momentum, nesterov, weight_decay } => {
                let rate = rate as f32;
                if momentum == 0.0 {
                    for (value, gradient) in values.iter_mut().zip(gradient) {
                        *value -= rate * (scale * gradient + weight_decay * *value);
                    }
                    return;
                }
                for ((value, gradient), kept) in values.iter_mut().zip(gradient).zip(&mut moments.first) {
                    let gradient = scale * gradient + weight_decay * *value;
                    *kept = momentum * *kept + gradient;
                    *value -= rate * if nesterov { gradient + momentum * *kept } else { *kept };
                }
            }
            Self::Adam(options) => {
                let step = AdamStep::new(options, step, rate);
                adam(options, step, moments, values, gradient, |value, gradient| {
                    (value, scale * gradient + options.weight_decay * value)
                });
            }
            Self::AdamW(options) => {
                let step = AdamStep::new(options, step, rate);
                let shrink = (1.0 - rate * f64::from(options.weight_decay)) as f32;
                adam(options, step, moments, values, gradient, |value, gradient| (value * shrink, scale * gradient));
            }
        }
    }
}

/// One pass of Adam over a tensor. `decay` gives the value and gradient to go on with.
fn adam(
    options: &AdamOptions,
    step: AdamStep<f32>,
    moments: &mut Moments,
    values: &mut [f32],
    gradient: &[f32],
    decay: impl Fn(f32, f32) -> (f32, f32),
) {
    let means = moments.first.iter_mut().zip(&mut moments.second);
    let all = values.iter_mut().zip(gradient).zip(means);
    if options.amsgrad {
        for (((value, &gradient), (first, second)), largest) in all.zip(&mut moments.largest) {
            let (decayed, gradient) = decay(*value, gradient);
            *value = step.advance(decayed, gradient, first, second, Some(largest));
        }
    } else {
        for ((value, &gradient), (first, second)) in all {
            let (decayed, gradient) = decay(*value, gradient);
            *value = step.advance(decayed, gradient, first, second, None);
        }
    }
}
