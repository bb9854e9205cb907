//! [`Tensor`]: a shape and values.

use serde::{Deserialize, Serialize};

/// Values of a given shape, in C order (the last axis fastest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

/// A tensor as it is written: its shape and values may disagree.
#[derive(Deserialize)]
struct Unchecked {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl TryFrom<Unchecked> for Tensor {
    type Error = String;

    fn try_from(tensor: Unchecked) -> Result<Self, String> {
        let Unchecked { shape, data } = tensor;
        if shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length)) != Some(data.len()) {
            return Err(format!("found {} values for a tensor of shape {shape:?}", data.len()));
        }
        Ok(Self { shape, data })
    }
}

impl Default for Tensor {
    /// A tensor without values, of shape `[0]`.
    fn default() -> Self {
        Self { shape: vec![0], data: Vec::new() }
    }
}

impl Tensor {
    /// Values of a shape; panics when their number is not the shape's product.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), data.len(), "values for a tensor of shape {shape:?}");
        Self { shape, data }
    }

    /// The same value everywhere.
    pub fn full(shape: impl Into<Vec<usize>>, value: f32) -> Self {
        let shape = shape.into();
        let data = vec![value; shape.iter().product()];
        Self { shape, data }
    }

    /// Zeros.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        Self::full(shape, 0.0)
    }

    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values, to change in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}
