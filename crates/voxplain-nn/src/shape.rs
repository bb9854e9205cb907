//! Shapes: what an operation makes of those of its inputs, and those of its weights.

use crate::{Conv3d, Op, Pool3d};

/// More values than any network holds at one node; below it no product of sizes overflows.
const MOST_VALUES: usize = 1 << 40;

/// The number of values of a shape; refused when there are none or absurdly many.
pub(crate) fn count(shape: &[usize]) -> Result<usize, String> {
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    match count {
        Some(0) => Err(format!("a shape of {shape:?} holds nothing; every axis must be at least 1")),
        Some(count) if count <= MOST_VALUES => Ok(count),
        _ => Err(format!("a shape of {shape:?} is too large")),
    }
}

/// One axis of a sliding window: how many positions it takes.
fn positions(length: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> Option<usize> {
    let span = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
    let padded = padding.checked_mul(2)?.checked_add(length)?;
    Some(padded.checked_sub(span)?.checked_div(stride)? + 1)
}

/// All three axes of a sliding window.
fn slide(
    volume: [usize; 3],
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    dilation: [usize; 3],
) -> Result<[usize; 3], String> {
    if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
        return Err(format!(
            "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1 along every axis"
        ));
    }
    let mut out = [0; 3];
    for axis in 0..3 {
        out[axis] =
            positions(volume[axis], kernel[axis], stride[axis], padding[axis], dilation[axis]).ok_or_else(|| {
                format!(
                    "found a volume of {volume:?}, expected one at least as large as the kernel {kernel:?} \
                     (padding {padding:?}, dilation {dilation:?})"
                )
            })?;
    }
    Ok(out)
}

/// A shape that must be a volume.
fn volume(shape: &[usize]) -> Result<[usize; 4], String> {
    <[usize; 4]>::try_from(shape).map_err(|_| format!("found shape {shape:?}, expected a volume [C, i, j, k]"))
}

/// A shape that must be flat.
fn flat(shape: &[usize]) -> Result<usize, String> {
    match shape {
        [features] => Ok(*features),
        _ => Err(format!("found shape {shape:?}, expected [F] (a Flatten or GlobalAvgPool comes first)")),
    }
}

/// One of several fields that must be a share of one.
fn within(name: &str, value: f32, ok: bool, expected: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(format!("found {name} {value}, expected {expected}")) }
}

impl Conv3d {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, i, j, k] = volume(input)?;
        if channels != self.input {
            return Err(format!("found {channels} channels, expected {}", self.input));
        }
        if self.output == 0 {
            return Err("found 0 output channels, expected at least 1".into());
        }
        let [i, j, k] = slide([i, j, k], self.kernel, self.stride, self.padding, self.dilation)?;
        Ok(vec![self.output, i, j, k])
    }
}

impl Pool3d {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, i, j, k] = volume(input)?;
        if self.padding.iter().zip(self.kernel).any(|(&padding, kernel)| padding > kernel / 2) {
            return Err(format!(
                "found padding {:?}, expected at most half of the kernel {:?}",
                self.padding, self.kernel
            ));
        }
        let [i, j, k] = slide([i, j, k], self.kernel, self.stride, self.padding, [1; 3])?;
        Ok(vec![channels, i, j, k])
    }
}

impl Op {
    /// Shape of one sample of the output for those of the inputs; the error says what was found and expected.
    pub(crate) fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let arity = match self {
            Self::Input { .. } => 0..=0,
            Self::Add => 2..=2,
            Self::Concat => 2..=usize::MAX,
            _ => 1..=1,
        };
        if !arity.contains(&inputs.len()) {
            return Err(format!(
                "found {} inputs, expected {}",
                inputs.len(),
                match self {
                    Self::Input { .. } => "none",
                    Self::Add => "2",
                    Self::Concat => "2 or more",
                    _ => "1",
                }
            ));
        }
        let shape = match self {
            Self::Input { shape } => shape.to_vec(),
            Self::Conv3d(conv) => conv.output_shape(inputs[0])?,
            Self::BatchNorm(norm) => {
                if inputs[0].first() != Some(&norm.channels) {
                    return Err(format!("found shape {:?}, expected {} channels", inputs[0], norm.channels));
                }
                within("epsilon", norm.epsilon, norm.epsilon > 0.0 && norm.epsilon.is_finite(), "above 0")?;
                within("momentum", norm.momentum, (0.0..=1.0).contains(&norm.momentum), "0 to 1")?;
                inputs[0].to_vec()
            }
            Self::LeakyRelu { slope } => {
                within("slope", *slope, slope.is_finite(), "a finite number")?;
                inputs[0].to_vec()
            }
            Self::Dropout { p } => {
                within("p", *p, (0.0..1.0).contains(p), "0 to below 1")?;
                inputs[0].to_vec()
            }
            Self::Relu | Self::Elu | Self::Gelu | Self::Sigmoid | Self::Tanh => inputs[0].to_vec(),
            Self::MaxPool3d(pool) | Self::AvgPool3d(pool) => pool.output_shape(inputs[0])?,
            Self::GlobalAvgPool => vec![volume(inputs[0])?[0]],
            Self::Flatten => vec![count(&volume(inputs[0])?)?],
            Self::Linear(linear) => {
                let features = flat(inputs[0])?;
                if features != linear.input {
                    return Err(format!("found {features} features, expected {}", linear.input));
                }
                vec![linear.output]
            }
            Self::Add => {
                if inputs[0] != inputs[1] {
                    return Err(format!("found shapes {:?} and {:?}, expected them equal", inputs[0], inputs[1]));
                }
                inputs[0].to_vec()
            }
            Self::Concat => {
                let mut shape = inputs[0].to_vec();
                for other in &inputs[1..] {
                    if other.len() != shape.len() || other[1..] != shape[1..] {
                        return Err(format!(
                            "found shapes {inputs:?}, expected them equal in all axes but the first (channels)"
                        ));
                    }
                    shape[0] = shape[0].checked_add(other[0]).ok_or("too many channels")?;
                }
                shape
            }
            Self::LogSoftmax => vec![flat(inputs[0])?],
        };
        count(&shape)?;
        Ok(shape)
    }
}
