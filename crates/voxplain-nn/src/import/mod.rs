//! Weights in files: our own ([`safetensors`]) and what others trained ([`pytorch`]); whole networks of others ([`onnx`]).
//!
//! Reading never runs anything that a file says, and whatever a file holds, the outcome is a value or an error.

#![allow(clippy::wildcard_enum_match_arm, reason = "whatever else a file holds is refused")]

pub mod onnx;
mod pickle;
pub mod pytorch;
pub mod safetensors;

use crate::{Error, Tensor};
use std::path::Path;

/// More values than the tensors of a file may hold together (1 GiB as f32).
const MAX_VALUES: usize = 1 << 28;

/// A type of number in a file; little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Number {
    /// Bytes of one number.
    const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The number in `bytes`, of [`Number::size`], rounded to the nearest f32.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "weights are f32; counters that do not fit are of no use here"
    )]
    fn read(self, bytes: &[u8]) -> f32 {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let [a, b, c, d, ..] = word;
        match self {
            Self::F64 => f64::from_le_bytes(word) as f32,
            Self::F32 => f32::from_le_bytes([a, b, c, d]),
            Self::F16 => half(u16::from_le_bytes([a, b])),
            Self::Bf16 => f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
            Self::I64 => i64::from_le_bytes(word) as f32,
            Self::I32 => i32::from_le_bytes([a, b, c, d]) as f32,
            Self::I16 => f32::from(i16::from_le_bytes([a, b])),
            Self::I8 => f32::from(i8::from_le_bytes([a])),
            Self::U8 => f32::from(a),
            Self::Bool => f32::from(u8::from(a != 0)),
        }
    }

    /// The whole number in `bytes`, of [`Number::size`]; floating-point numbers lose what is behind the point.
    #[expect(clippy::cast_possible_truncation, reason = "no floating-point number is asked for as a whole one")]
    fn read_whole(self, bytes: &[u8]) -> i64 {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let [a, b, c, d, ..] = word;
        match self {
            Self::F64 | Self::F32 | Self::F16 | Self::Bf16 => self.read(bytes) as i64,
            Self::I64 => i64::from_le_bytes(word),
            Self::I32 => i64::from(i32::from_le_bytes([a, b, c, d])),
            Self::I16 => i64::from(i16::from_le_bytes([a, b])),
            Self::I8 => i64::from(i8::from_le_bytes([a])),
            Self::U8 => i64::from(a),
            Self::Bool => i64::from(a != 0),
        }
    }
}

/// An IEEE 754 half.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 0x1f, f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if sign == 0 { size } else { -size }
}

/// An error about a file.
fn refused(path: &Path, what: impl Into<String>, remedy: &str) -> Error {
    Error::File { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
}

/// What the system said about a file.
fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

/// Tensors by name, in the order of their file.
pub type Tensors = Vec<(String, Tensor)>;

#[cfg(test)]
mod tests {
    use super::*;

    /// IEEE 754-2019: 1, -2, the largest, the smallest subnormal, 1/3 rounded, infinity.
    #[test]
    fn halves_are_those_of_the_standard() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f32.powi(-24)),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(Number::Bf16.read(&[0x80, 0x3f]), 1.0);
        assert_eq!(Number::I8.read(&[0xfd]), -3.0);
    }
}
