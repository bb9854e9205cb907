//! [`Initialisation`]: how weights are drawn before training.

/// How the weights of convolutions and linear layers are drawn before training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initialisation {
    /// Weight and bias uniform within `1 / sqrt(fan in)`, as PyTorch's layers do by themselves (Kaiming uniform with
    /// a = sqrt 5).
    #[default]
    PyTorch,
    /// Convolutions normal with variance `2 / fan in` (He et al. 2015, arXiv 1502.01852, equation 10), their biases as
    /// [`Initialisation::PyTorch`]; linear layers too, but with biases of 0.
    HeFanIn,
    /// The same with `2 / fan out`, the channels out times the voxels of the kernel (equation 14).
    HeFanOut,
}

impl Initialisation {
    /// The standard deviation of a normal draw of a tensor; `None` for the uniform draw.
    #[expect(clippy::cast_precision_loss, reason = "fans are far below 2^53")]
    pub(super) fn deviation(self, convolves: bool, shape: &[usize], fan_in: usize) -> Option<f64> {
        let fan = match self {
            Self::PyTorch => return None,
            Self::HeFanIn => fan_in,
            Self::HeFanOut => shape[0] * shape[2.min(shape.len())..].iter().product::<usize>(),
        };
        match (convolves, shape.len()) {
            (true, 5) => Some((2.0 / fan as f64).sqrt()),
            (false, 1) => Some(0.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fans_are_those_of_pytorch() {
        // torch.nn.init._calculate_fan_in_and_fan_out of [16, 8, 3, 3, 3] is (216, 432).
        let of = |how: Initialisation| how.deviation(true, &[16, 8, 3, 3, 3], 216);
        assert_eq!(of(Initialisation::PyTorch), None);
        assert_eq!(of(Initialisation::HeFanIn), Some((2.0f64 / 216.0).sqrt()));
        assert_eq!(of(Initialisation::HeFanOut), Some((2.0f64 / 432.0).sqrt()));
        assert_eq!(Initialisation::HeFanOut.deviation(true, &[16], 216), None);
        assert_eq!(Initialisation::HeFanOut.deviation(false, &[2, 16], 16), None);
        assert_eq!(Initialisation::HeFanIn.deviation(false, &[2], 16), Some(0.0));
    }
}
