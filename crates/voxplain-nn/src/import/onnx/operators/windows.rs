//! What slides a window over a volume, and what is put around it.

use super::super::array::axis;
use super::super::fold;
use super::{Meaning, Operator, Reader};
use crate::{Conv3d, Linear, Op, Pad3d, Pool3d, Tensor};

impl Reader<'_> {
    pub(super) fn convolution(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let weight = of.known(1)?.ok_or("its weights are not constant")?;
        let bias = of.known(2)?;
        let &[outputs, per_group, ki, kj, kk] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected those of a 3D convolution", weight.shape));
        };
        let kernel = [ki, kj, kk];
        let mut node = self.volume(&of.value(0)?)?;
        let groups = usize::try_from(of.node.int("group", 1)?).ok().filter(|&groups| groups > 0);
        let groups = groups.ok_or("it has no groups of channels")?;
        let inputs = per_group.checked_mul(groups).ok_or("it has too many channels")?;
        let stride = three(of.node.ints("strides")?, 1)?;
        let dilation = three(of.node.ints("dilations")?, 1)?;
        let window = Window { kernel, stride, dilation };
        let bias = bias.map(|bias| bias.tensor(&[outputs])).transpose()?;
        if self.is_flat(node) {
            if kernel != [1; 3] || of.paddings(&window, [1; 3])? != [[0; 2]; 3] {
                return Err("it slides a window over single values".into());
            }
            if groups > outputs || !outputs.is_multiple_of(groups) {
                return Err(format!("it has {groups} groups of {outputs} channels"));
            }
            let mut full = Tensor::zeros([outputs, inputs]);
            let rows = full.data_mut().chunks_exact_mut(inputs).zip(weight.real()?.chunks_exact(per_group));
            for (out, (row, own)) in rows.enumerate() {
                row[out / (outputs / groups) * per_group..][..per_group].copy_from_slice(own);
            }
            let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs]));
            let linear = Linear { weight: full, bias, ..Linear::new(inputs, outputs) };
            node = self.canonical.add(&of.name, linear, &[node])?;
            return Ok(Meaning::Value(self.volume_view(node)));
        }
        let shape = &self.canonical.values[node].shape;
        let paddings = of.paddings(&window, [shape[1], shape[2], shape[3]])?;
        let mut padding = paddings.map(|[before, _]| before);
        if paddings.iter().any(|[before, after]| before != after) {
            let pad = Pad3d::new(padding, paddings.map(|[_, after]| after));
            node = self.canonical.add(&format!("{}.pad", of.name), Op::Pad3d(pad), &[node])?;
            padding = [0; 3];
        }
        let conv = Conv3d::new(inputs, outputs, kernel).with_stride(stride).with_padding(padding);
        let conv = Conv3d {
            weight: weight.tensor(&[outputs, per_group, ki, kj, kk])?,
            has_bias: bias.is_some(),
            bias,
            ..conv.with_dilation(dilation).with_groups(groups)
        };
        node = self.canonical.add(&of.name, conv, &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }

    pub(super) fn pool(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let max = of.node.operator == "MaxPool";
        let mut node = self.volume(&of.value(0)?)?;
        let kernel = of.node.ints("kernel_shape")?.ok_or("its window is missing")?;
        let kernel = three(Some(kernel), 1)?;
        let stride = three(of.node.ints("strides")?, 1)?;
        let dilation = three(of.node.ints("dilations")?, 1)?;
        if self.is_flat(node) {
            if kernel != [1; 3] {
                return Err("it slides a window over single values".into());
            }
            return Ok(Meaning::Value(self.volume_view(node)));
        }
        let shape = &self.canonical.values[node].shape;
        let size = [shape[1], shape[2], shape[3]];
        let window = Window { kernel, stride, dilation };
        let paddings = of.paddings(&window, size)?;
        let [padding, end] = [0, 1].map(|side| paddings.map(|of| of[side]));
        if !max && kernel == size && padding == [0; 3] && end == [0; 3] && dilation == [1; 3] {
            node = self.canonical.add(&of.name, Op::GlobalAvgPool, &[node])?;
            return Ok(Meaning::Value(self.volume_view(node)));
        }
        let mut pool = Pool3d {
            padding_end: (end != padding).then_some(end),
            dilation,
            ceil: of.node.int("ceil_mode", 0)? != 0,
            ..Pool3d::new(kernel).with_stride(stride).with_padding(padding)
        };
        // What changes nothing is left out.
        let floor = Pool3d { ceil: false, ..pool };
        if pool.ceil && floor.positions(size).is_ok_and(|positions| pool.positions(size) == Ok(positions)) {
            pool = floor;
        }
        let counts = of.node.int("count_include_pad", 0)? != 0 || (padding == [0; 3] && end == [0; 3]);
        pool.inside = !max && !counts;
        node = self.canonical.add(&of.name, if max { Op::MaxPool3d(pool) } else { Op::AvgPool3d(pool) }, &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }

    pub(super) fn pad(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let mode = of.node.text("mode", "constant")?;
        if mode != "constant" {
            return Err(format!("it pads by {mode}, expected a constant"));
        }
        let pads = of.known(1)?.ok_or("its paddings are no constant")?;
        let value = match of.known(2)? {
            Some(value) => value.single().ok_or("it pads with more than one value")?,
            None if of.inputs.get(2).is_some_and(Option::is_some) => {
                return Err("it pads with a value of the network".into());
            }
            None => 0.0,
        };
        let view = of.value(0)?;
        let rank = view.axes.len();
        let axes: Vec<usize> = match of.known(3)? {
            Some(axes) => axes.whole()?.iter().map(|&of| axis(of, rank)).collect::<Result<_, _>>()?,
            None => (0..rank).collect(),
        };
        let pads = pads.whole()?;
        if pads.len() != 2 * axes.len() {
            return Err(format!("it has {} paddings for {} axes", pads.len(), axes.len()));
        }
        let mut sides = vec![[0; 2]; rank];
        for (n, &at) in axes.iter().enumerate() {
            sides[at] = [pads[n], pads[n + axes.len()]];
        }
        if sides.iter().flatten().all(|&side| side == 0) {
            return Ok(Meaning::Value(view));
        }
        let node = self.volume(&view)?;
        if self.is_flat(node) || sides[..2].iter().flatten().any(|&side| side != 0) {
            return Err("it pads other axes than those of the volume".into());
        }
        let length = |side: i64| usize::try_from(side).map_err(|_| "it cuts the volume");
        let mut pad = Pad3d::new([0; 3], [0; 3]);
        for (at, [before, after]) in sides[2..].iter().enumerate() {
            (pad.before[at], pad.after[at]) = (length(*before)?, length(*after)?);
        }
        #[expect(clippy::cast_possible_truncation, reason = "values are single precision")]
        let value = value as f32;
        let node = self.canonical.add(&of.name, Op::Pad3d(Pad3d { value, ..pad }), &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }
}

/// Three numbers along `(i, j, k)`.
fn three(values: Option<&[i64]>, default: usize) -> Result<[usize; 3], String> {
    let Some(values) = values else { return Ok([default; 3]) };
    let lengths = fold::lengths(values)?;
    <[usize; 3]>::try_from(lengths)
        .map_err(|found| format!("found {} numbers for a window, expected three", found.len()))
}

/// The window of a convolution or pool.
pub(super) struct Window {
    pub(super) kernel: [usize; 3],
    pub(super) stride: [usize; 3],
    pub(super) dilation: [usize; 3],
}
