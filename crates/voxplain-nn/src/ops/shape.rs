//! Shapes of single samples: how many values they hold, and how many places a window takes.

/// More values than any network holds at one node; below it no product of sizes overflows.
const MAX_VALUES: usize = 1 << 40;

/// The number of values of a shape; refused when there are none or absurdly many.
pub(crate) fn count(shape: &[usize]) -> Result<usize, String> {
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    match count {
        Some(0) => Err(format!("a shape of {shape:?} holds nothing; every axis must be at least 1")),
        Some(count) if count <= MAX_VALUES => Ok(count),
        Some(_) | None => Err(format!("a shape of {shape:?} is too large")),
    }
}

/// The number of groups of a convolution whose file does not say it.
pub(super) const fn one() -> usize {
    1
}

/// Whether a file need not say the number of groups.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(super) const fn is_one(groups: &usize) -> bool {
    *groups == 1
}

/// A window that slides over a volume, along `(i, j, k)`.
pub(super) struct Sliding {
    pub(super) kernel: [usize; 3],
    pub(super) stride: [usize; 3],
    pub(super) padding: [usize; 3],
    pub(super) dilation: [usize; 3],
}

impl Sliding {
    /// How many positions it takes along each axis of a volume.
    pub(super) fn positions(&self, volume: [usize; 3]) -> Result<[usize; 3], String> {
        let Self { kernel, stride, padding, dilation } = self;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!(
                "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must be at least 1 along every axis"
            ));
        }
        let mut out = [0; 3];
        for axis in 0..3 {
            out[axis] = self.along(axis, volume[axis]).ok_or_else(|| {
                format!(
                    "found a volume of {volume:?}, expected one at least as large as the kernel {kernel:?} \
                     (padding {padding:?}, dilation {dilation:?})"
                )
            })?;
        }
        Ok(out)
    }

    fn along(&self, axis: usize, length: usize) -> Option<usize> {
        let span = self.kernel[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?.checked_add(1)?;
        let padded = self.padding[axis].checked_mul(2)?.checked_add(length)?;
        Some(padded.checked_sub(span)?.checked_div(self.stride[axis])? + 1)
    }
}

/// A shape that must be a volume.
pub(super) fn volume(shape: &[usize]) -> Result<[usize; 4], String> {
    <[usize; 4]>::try_from(shape).map_err(|_| format!("found shape {shape:?}, expected a volume [C, i, j, k]"))
}

/// A shape that must be flat.
pub(super) fn flat(shape: &[usize]) -> Result<usize, String> {
    match shape {
        [features] => Ok(*features),
        _ => Err(format!("found shape {shape:?}, expected [F] (a Flatten or GlobalAvgPool comes first)")),
    }
}

/// A number of an operation that must lie in a range.
pub(super) fn within(name: &str, value: f32, ok: bool, expected: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(format!("found {name} {value}, expected {expected}")) }
}

/// Bounds in files: an infinite one is none, as JSON has no infinity.
pub(super) mod bound {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    fn write<S: Serializer>(bound: f32, to: S) -> Result<S::Ok, S::Error> {
        Some(bound).filter(|bound| bound.is_finite()).serialize(to)
    }

    /// Of what is cut off below.
    pub(in crate::ops) mod low {
        use super::{Deserialize, Deserializer, Serializer};

        #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
        pub(in crate::ops) fn serialize<S: Serializer>(bound: &f32, to: S) -> Result<S::Ok, S::Error> {
            super::write(*bound, to)
        }

        pub(in crate::ops) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
            Ok(Option::deserialize(from)?.unwrap_or(f32::NEG_INFINITY))
        }
    }

    /// Of what is cut off above.
    pub(in crate::ops) mod high {
        use super::{Deserialize, Deserializer, Serializer};

        #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
        pub(in crate::ops) fn serialize<S: Serializer>(bound: &f32, to: S) -> Result<S::Ok, S::Error> {
            super::write(*bound, to)
        }

        pub(in crate::ops) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
            Ok(Option::deserialize(from)?.unwrap_or(f32::INFINITY))
        }
    }
}
