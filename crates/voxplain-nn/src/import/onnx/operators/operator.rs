//! One operator with what it takes.

use super::super::array::Array;
use super::super::canonical::View;
use super::super::fold;
use super::super::proto::Node;
use super::Meaning;
use super::windows::{Window, three};
use std::rc::Rc;

/// One operator with what it takes.
pub(super) struct Operator<'a> {
    pub(super) node: &'a Node,
    pub(super) inputs: &'a [Option<Meaning>],
    /// The name of what it gives in the network.
    pub(super) name: String,
}

impl Operator<'_> {
    pub(super) fn first(&self) -> Result<Meaning, String> {
        self.inputs.first().cloned().flatten().ok_or_else(|| "its input is missing".into())
    }

    /// A value of the network that it takes.
    pub(super) fn value(&self, n: usize) -> Result<View, String> {
        match self.inputs.get(n) {
            Some(Some(Meaning::Value(view))) => Ok(view.clone()),
            Some(Some(Meaning::Reshaped { shape, .. })) => {
                Err(format!("it takes a value in the shape {shape:?}, which is none of volumes or features"))
            }
            Some(Some(Meaning::Known(_))) => Err("it takes a constant where a value of the network is expected".into()),
            Some(Some(Meaning::Refused) | None) | None => Err(format!("its input {n} is missing")),
        }
    }

    /// A constant that it takes; none where it is left out.
    pub(super) fn known(&self, n: usize) -> Result<Option<Rc<Array>>, String> {
        match self.inputs.get(n) {
            Some(Some(Meaning::Known(array))) => Ok(Some(array.clone())),
            Some(Some(_)) | Some(None) | None => Ok(None),
        }
    }

    /// The constant among its inputs.
    pub(super) fn constant(&self) -> Option<Rc<Array>> {
        self.inputs.iter().find_map(|input| match input {
            Some(Meaning::Known(array)) => Some(array.clone()),
            _ => None,
        })
    }

    /// Axes, which are an attribute in older versions and an input in newer ones.
    pub(super) fn axes(&self, since: i64, opset: i64) -> Result<Option<Vec<i64>>, String> {
        if opset < since {
            return Ok(self.node.ints("axes")?.map(<[i64]>::to_vec));
        }
        match self.known(1)? {
            Some(array) => Ok(Some(array.whole()?.to_vec())),
            None if self.inputs.get(1).is_some_and(Option::is_some) => Err("its axes are no constant".into()),
            None => Ok(None),
        }
    }

    /// Zeros before and after along each axis of a volume of a size.
    pub(super) fn paddings(&self, window: &Window, size: [usize; 3]) -> Result<[[usize; 2]; 3], String> {
        let Window { kernel, stride, dilation } = window;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err("it has a window, steps or dilations of 0".into());
        }
        match self.node.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => {
                let Some(pads) = self.node.ints("pads")? else { return Ok([[0; 2]; 3]) };
                let pads = <[usize; 6]>::try_from(fold::lengths(pads)?).map_err(|_| "it has no six paddings")?;
                Ok(std::array::from_fn(|axis| [pads[axis], pads[axis + 3]]))
            }
            "VALID" => Ok([[0; 2]; 3]),
            same @ ("SAME_UPPER" | "SAME_LOWER") => Ok(std::array::from_fn(|axis| {
                let span = (kernel[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1);
                let steps = size[axis].div_ceil(stride[axis]) - 1;
                let total = steps.saturating_mul(stride[axis]).saturating_add(span).saturating_sub(size[axis]);
                let (less, more) = (total / 2, total - total / 2);
                if same == "SAME_UPPER" { [less, more] } else { [more, less] }
            })),
            other => Err(format!("it has the padding {other}, which is none of ONNX")),
        }
    }

    /// Of a transposed convolution of a volume of a size: what is cut off at the start, and how much less of it at the end.
    pub(super) fn cuts(&self, window: &Window, size: [usize; 3]) -> Result<([usize; 3], [isize; 3]), String> {
        let Window { kernel, stride, dilation } = window;
        let more = three(self.node.ints("output_padding")?, 0)?;
        let auto = self.node.text("auto_pad", "NOTSET")?;
        let wanted = match self.node.ints("output_shape")? {
            // Some files give all five axes.
            Some(shape) => Some(three(Some(&shape[shape.len().saturating_sub(3)..]), 1)?),
            None if auto.starts_with("SAME") => Some([0, 1, 2].map(|axis| size[axis].saturating_mul(stride[axis]))),
            None => None,
        };
        let (mut cut, mut less) = ([0; 3], [0; 3]);
        let given = if wanted.is_none() { self.paddings(window, size)? } else { [[0; 2]; 3] };
        for axis in 0..3 {
            let [start, end] = match wanted {
                None => given[axis],
                Some(wanted) => {
                    let span = kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]).saturating_add(1);
                    let steps = size[axis].saturating_sub(1).saturating_mul(stride[axis]);
                    let all = steps.saturating_add(span).saturating_add(more[axis]);
                    let total = all.checked_sub(wanted[axis]).ok_or_else(|| {
                        format!("it gives {all} voxels along an axis and is to give {}", wanted[axis])
                    })?;
                    let (smaller, larger) = (total / 2, total - total / 2);
                    if auto == "SAME_UPPER" { [smaller, larger] } else { [larger, smaller] }
                }
            };
            cut[axis] = start;
            let whole = |n: usize| isize::try_from(n).map_err(|_| "its paddings are too large");
            less[axis] = whole(more[axis])?.saturating_add(whole(start)?).saturating_sub(whole(end)?);
        }
        Ok((cut, less))
    }
}
