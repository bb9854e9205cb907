//! [`Dtype`]: the number types that files store, and how their bytes become numbers.

use serde::{Deserialize, Serialize};

/// A type of real numbers in a file, by NumPy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// `bool`: one byte, zero or not.
    Bool,
    /// `uint8`.
    Uint8,
    /// `int8`.
    Int8,
    /// `uint16`.
    Uint16,
    /// `int16`.
    Int16,
    /// `uint32`.
    Uint32,
    /// `int32`.
    Int32,
    /// `uint64`.
    Uint64,
    /// `int64`.
    Int64,
    /// `float16`, IEEE 754 binary16.
    Float16,
    /// `float32`.
    Float32,
    /// `float64`.
    Float64,
}

impl Dtype {
    /// Bytes of one value.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 | Self::Float16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 => 8,
        }
    }

    /// NumPy's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
            Self::Uint32 => "uint32",
            Self::Int32 => "int32",
            Self::Uint64 => "uint64",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// Whether the type holds fractions.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Float16 | Self::Float32 | Self::Float64)
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A number type in one byte order. Every type but the 64-bit integers is held by `f64` exactly.
pub(super) trait Sample {
    /// Bytes of one value.
    const SIZE: usize;

    /// The value in the first [`Sample::SIZE`] bytes; the caller passes at least as many.
    fn get(bytes: &[u8]) -> f64;
}

pub(super) struct Little<T>(std::marker::PhantomData<T>);
pub(super) struct Big<T>(std::marker::PhantomData<T>);

/// A byte that is zero or not.
pub(super) struct BoolByte;

/// IEEE 754 binary16.
pub(super) struct Half;

impl Sample for BoolByte {
    const SIZE: usize = 1;

    fn get(bytes: &[u8]) -> f64 {
        f64::from(u8::from(bytes[0] != 0))
    }
}

macro_rules! samples {
    ($($t:ty),*) => { $(
        impl Sample for Little<$t> {
            const SIZE: usize = size_of::<$t>();

            #[inline]
            fn get(bytes: &[u8]) -> f64 {
                let mut raw = [0u8; size_of::<$t>()];
                raw.copy_from_slice(&bytes[..size_of::<$t>()]);
                <$t>::from_le_bytes(raw) as f64
            }
        }
        impl Sample for Big<$t> {
            const SIZE: usize = size_of::<$t>();

            #[inline]
            fn get(bytes: &[u8]) -> f64 {
                let mut raw = [0u8; size_of::<$t>()];
                raw.copy_from_slice(&bytes[..size_of::<$t>()]);
                <$t>::from_be_bytes(raw) as f64
            }
        }
    )* };
}
samples!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

impl Sample for Little<Half> {
    const SIZE: usize = 2;

    fn get(bytes: &[u8]) -> f64 {
        half_to_f64(u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}

impl Sample for Big<Half> {
    const SIZE: usize = 2;

    fn get(bytes: &[u8]) -> f64 {
        half_to_f64(u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

/// Runs `$body` with `$S` bound to the [`Sample`] of a [`Dtype`] in a byte order.
macro_rules! with_sample {
    ($dtype:expr, $big:expr, $S:ident => $body:expr) => {{
        use $crate::format::dtype::{Big, BoolByte, Dtype, Half, Little};
        macro_rules! arm {
            ($t:ty) => {
                if $big {
                    type $S = Big<$t>;
                    $body
                } else {
                    type $S = Little<$t>;
                    $body
                }
            };
        }
        match $dtype {
            Dtype::Bool => {
                type $S = BoolByte;
                $body
            }
            Dtype::Uint8 => arm!(u8),
            Dtype::Int8 => arm!(i8),
            Dtype::Uint16 => arm!(u16),
            Dtype::Int16 => arm!(i16),
            Dtype::Uint32 => arm!(u32),
            Dtype::Int32 => arm!(i32),
            Dtype::Uint64 => arm!(u64),
            Dtype::Int64 => arm!(i64),
            Dtype::Float16 => arm!(Half),
            Dtype::Float32 => arm!(f32),
            Dtype::Float64 => arm!(f64),
        }
    }};
}
pub(super) use with_sample;

/// The value of a binary16 pattern, exactly.
fn half_to_f64(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1.0 + fraction / 1024.0) * 2f64.powi(e - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The same in single precision, exactly, without a branch on what the pattern holds.
pub(super) fn half_to_f32(bits: u16) -> f32 {
    /// 2^112: what lies between the two ways of counting exponents, in which small numbers without a leading one are right too.
    const SHIFT: f32 = f32::from_bits(0x7780_0000);
    let size = u32::from(bits & 0x7fff);
    let value = f32::from_bits(size << 13) * SHIFT;
    // Infinite and no number keep the largest exponent.
    let rest = if size >= 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(value.to_bits() | rest | u32::from(bits >> 15) << 31)
}

/// The nearest binary16 pattern, ties to even; what is too large becomes infinite.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the fields of a 16-bit pattern")]
pub(super) fn f32_to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    if value.is_nan() {
        return sign | 0x7e00;
    }
    // Counted in units of the smallest step at this size, the pattern is a whole number: rounding it
    // to even there, carries into the exponent included, is rounding the value.
    let size = f64::from(value.abs());
    let exponent = ((bits >> 23 & 0xff) as i32 - 127).max(-14);
    if exponent > 15 {
        return sign | 0x7c00;
    }
    let steps = (size * 2f64.powi(10 - exponent)).round_ties_even() as u16;
    sign | (((exponent + 14) as u16) << 10).wrapping_add(steps).min(0x7c00)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;

    #[test]
    fn half_by_hand() {
        for (bits, value) in [
            (0x0000u16, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x7bff, 65504.0),
            (0x0001, 2f64.powi(-24)),
            (0x0400, 2f64.powi(-14)),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half_to_f64(bits), value, "{bits:04x}");
        }
        assert!(half_to_f64(0x7e00).is_nan());
        assert_eq!(f32_to_half(65520.0), 0x7c00);
        assert_eq!(f32_to_half(65519.0), 0x7bff);
        assert_eq!(f32_to_half(1.0 + 1.0 / 2048.0), 0x3c00, "a tie goes to even");
        assert_eq!(f32_to_half(1.0 + 3.0 / 2048.0), 0x3c02, "a tie goes to even");
        assert_eq!(f32_to_half(1e-10), 0);
        assert_eq!(f32_to_half(f32::NEG_INFINITY), 0xfc00);
    }

    #[test]
    fn every_half_comes_back() {
        for bits in 0..=u16::MAX {
            let value = half_to_f64(bits);
            let single = half_to_f32(bits);
            assert!(f64::from(single).to_bits() == value.to_bits() || value.is_nan() && single.is_nan(), "{bits:04x}");
            if !value.is_nan() {
                assert_eq!(f32_to_half(value as f32), bits, "{value}");
            }
        }
    }

    #[test]
    fn byte_orders() {
        assert_eq!(Little::<i16>::get(&[0x34, 0x12]), f64::from(0x1234));
        assert_eq!(Big::<i16>::get(&[0xff, 0xfe]), -2.0);
        assert_eq!(with_sample!(Dtype::Float32, true, S => S::get(&1.5f32.to_be_bytes())), 1.5);
    }
}
