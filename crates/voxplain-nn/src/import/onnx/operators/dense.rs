//! Matrices at features, or at the channels of each voxel.

use super::super::array::Array;
use super::super::canonical::View;
use super::super::fold;
use super::{Meaning, Operator, Reader};
use crate::{Conv3d, Linear, Tensor};

impl Reader<'_> {
    pub(super) fn gemm(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let (alpha, beta) = (of.node.float("alpha", 1.0)?, of.node.float("beta", 1.0)?);
        if of.node.int("transA", 0)? != 0 {
            return Err("it takes its input transposed".into());
        }
        let weight = of.known(1)?.ok_or("it multiplies two values of the network")?;
        let view = of.value(0)?;
        let &[rows, columns] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected a matrix", weight.shape));
        };
        let transposed = of.node.int("transB", 0)? != 0;
        let weight = if transposed { weight.as_ref().clone() } else { fold::transpose(&weight, &[1, 0]) };
        let (outputs, inputs) = if transposed { (rows, columns) } else { (columns, rows) };
        let mut bias = vec![0.0; outputs];
        if let Some(given) = of.known(2)? {
            let values = given.real()?;
            let fits = values.len() == outputs || values.len() == 1;
            if !fits || given.shape.iter().rev().skip(1).any(|&length| length != 1) {
                return Err(format!("its bias has the shape {:?}, expected {outputs} values", given.shape));
            }
            bias.iter_mut().enumerate().for_each(|(n, bias)| *bias = beta * values[n % values.len()]);
        } else if of.inputs.len() > 2 && of.inputs[2].is_some() {
            return Err("its bias is no constant".into());
        }
        let dims = self.canonical.dims(&view);
        if dims.len() != 2 || dims[0] != 1 || dims[1] != inputs {
            return Err(format!("it takes a value of shape {dims:?}, expected [1, {inputs}]"));
        }
        let mut weight = weight.tensor(&[outputs, inputs])?;
        weight.data_mut().iter_mut().for_each(|w| *w *= alpha);
        let linear = Linear { weight, bias: Tensor::new([outputs], bias), ..Linear::new(inputs, outputs) };
        let node = self.canonical.flatten(view.node)?;
        let node = self.canonical.add(&of.name, linear, &[node])?;
        Ok(Meaning::Value(View { node, axes: vec![None, Some(0)] }))
    }

    /// A matrix at the channels of each voxel, or at features.
    pub(super) fn matmul(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let Some(weight) = of.known(1)? else {
            return Err("it multiplies two values of the network, as attention does; transformers are not taken".into());
        };
        let view = of.value(0)?;
        let &[inputs, outputs] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected a matrix", weight.shape));
        };
        let dims = self.canonical.dims(&view);
        let shape = self.canonical.values[view.node].shape.clone();
        let last_is_channels =
            view.axes.last().is_some_and(|axis| *axis == Some(0) || (axis.is_none() && shape[0] == 1));
        if dims.last() != Some(&inputs) || !last_is_channels {
            return Err(format!(
                "it takes the last axis of a value of shape {dims:?}, expected {inputs} channels there"
            ));
        }
        let weight = fold::transpose(&weight, &[1, 0]);
        let mut axes = view.axes.clone();
        axes.pop();
        axes.push(Some(0));
        let node = if shape.len() == 1 {
            let linear = Linear {
                weight: weight.tensor(&[outputs, inputs])?,
                bias: Tensor::zeros([outputs]),
                ..Linear::new(inputs, outputs)
            };
            self.canonical.add(&of.name, linear, &[view.node])?
        } else {
            let weight = of_shape(&weight, &[outputs, inputs, 1, 1, 1])?;
            let conv = Conv3d { weight, ..Conv3d::new(inputs, outputs, [1; 3]).without_bias() };
            self.canonical.add(&of.name, conv, &[view.node])?
        };
        Ok(Meaning::Value(View { node, axes }))
    }
}

/// The same values in another shape.
fn of_shape(array: &Array, shape: &[usize]) -> Result<Tensor, String> {
    let values = array.real()?;
    if shape.iter().product::<usize>() != values.len() {
        return Err(format!("its weights have the shape {:?}, expected {shape:?}", array.shape));
    }
    Ok(Tensor::new(shape, values.to_vec()))
}
