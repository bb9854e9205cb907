//! What slides a window over a volume, and what is put around it.

use super::super::array::axis;
use super::super::fold;
use super::{Meaning, Operator, Reader};
use crate::{Alignment, Conv3d, ConvTranspose3d, Interpolation, Linear, Op, Pad3d, Pool3d, Resize3d, Tensor};

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
            // On a volume of one voxel it weighs that voxel by the one of its weights that meets it.
            let Some(tap) = window.of_one_voxel(&of.paddings(&window, [1; 3])?) else {
                return Err("it makes a volume of single values, which the engine does not".into());
            };
            if groups > outputs || !outputs.is_multiple_of(groups) {
                return Err(format!("it has {groups} groups of {outputs} channels"));
            }
            let mut full = Tensor::zeros([outputs, inputs]);
            let voxels = kernel.iter().product::<usize>();
            let all = weight.real()?;
            for (out, row) in full.data_mut().chunks_exact_mut(inputs).enumerate() {
                let first = out / (outputs / groups) * per_group;
                for (own, value) in row[first..first + per_group].iter_mut().enumerate() {
                    *value = tap.map_or(0.0, |tap| all[(out * per_group + own) * voxels + tap]);
                }
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

    pub(super) fn transposed(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let weight = of.known(1)?.ok_or("its weights are not constant")?;
        let bias = of.known(2)?;
        let &[inputs, per_group, ki, kj, kk] = weight.shape.as_slice() else {
            return Err(format!("its weights have the shape {:?}, expected those of a 3D convolution", weight.shape));
        };
        let kernel = [ki, kj, kk];
        let node = self.volume(&of.value(0)?)?;
        if self.is_flat(node) {
            return Err("it makes a volume of single values, which the engine does not".into());
        }
        let groups = usize::try_from(of.node.int("group", 1)?).ok().filter(|&groups| groups > 0);
        let groups = groups.ok_or("it has no groups of channels")?;
        let outputs = per_group.checked_mul(groups).ok_or("it has too many channels")?;
        let window = Window {
            kernel,
            stride: three(of.node.ints("strides")?, 1)?,
            dilation: three(of.node.ints("dilations")?, 1)?,
        };
        let shape = &self.canonical.values[node].shape;
        let (cut, more) = of.cuts(&window, [shape[1], shape[2], shape[3]])?;
        let bias = bias.map(|bias| bias.tensor(&[outputs])).transpose()?;
        let conv = ConvTranspose3d::new(inputs, outputs, kernel).with_stride(window.stride).with_padding(cut);
        let conv = ConvTranspose3d {
            weight: weight.tensor(&[inputs, per_group, ki, kj, kk])?,
            has_bias: bias.is_some(),
            bias,
            ..conv.with_output_padding(more).with_dilation(window.dilation).with_groups(groups)
        };
        let node = self.canonical.add(&of.name, conv, &[node])?;
        Ok(Meaning::Value(self.volume_view(node)))
    }

    /// A volume on another grid.
    pub(super) fn resize(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let view = of.value(0)?;
        let (rank, dims) = (view.axes.len(), self.canonical.dims(&view));
        if of.node.int("antialias", 0)? != 0 {
            return Err("it smooths what it makes smaller (antialias), which the engine does not".into());
        }
        let policy = of.node.text("keep_aspect_ratio_policy", "stretch")?;
        if policy != "stretch" {
            return Err(format!("it keeps the ratio of its axes ({policy}), expected its size"));
        }
        let axes = match of.node.ints("axes")? {
            Some(axes) => axes.iter().map(|&of| axis(of, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..rank).collect(),
        };
        let (mut size, mut scale) = (dims.clone(), vec![1.0; rank]);
        let given = |n: usize| Ok::<_, String>(of.known(n)?.filter(|array| array.len() > 0));
        match (given(2)?, given(3)?) {
            (None, Some(sizes)) if sizes.len() == axes.len() => {
                for (&at, length) in axes.iter().zip(fold::lengths(sizes.whole()?)?) {
                    (size[at], scale[at]) = (length, length as f64 / dims[at] as f64);
                }
            }
            (Some(scales), None) if scales.len() == axes.len() => {
                for (n, &at) in axes.iter().enumerate() {
                    let wanted = scales.at(n);
                    let length = (dims[at] as f64 * wanted).floor();
                    if !(1.0..=1e6).contains(&length) {
                        return Err(format!("it makes an axis of {} voxels {wanted} times as large", dims[at]));
                    }
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e6")]
                    let length = length as usize;
                    (size[at], scale[at]) = (length, wanted);
                }
            }
            _ => return Err("its sizes or scales are no constant, or not one for each axis".into()),
        }
        if size == dims && scale.iter().all(|&scale| scale == 1.0) {
            return Ok(Meaning::Value(view));
        }
        let node = self.volume(&view)?;
        if self.is_flat(node) || size[..2] != dims[..2] {
            return Err("it resizes other axes than those of a volume".into());
        }
        let interpolation =
            match (of.node.text("mode", "nearest")?, of.node.text("nearest_mode", "round_prefer_floor")?) {
                ("linear", _) => Interpolation::Linear,
                ("nearest", "floor") => Interpolation::Before,
                ("nearest", "ceil") => Interpolation::Behind,
                ("nearest", "round_prefer_floor") => Interpolation::NearestBefore,
                ("nearest", "round_prefer_ceil") => Interpolation::NearestBehind,
                (mode, nearest) => {
                    return Err(format!("it interpolates by {mode} ({nearest}), expected linear or nearest"));
                }
            };
        let alignment = match of.node.text("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => Alignment::Centres,
            "pytorch_half_pixel" => Alignment::CentresOrFirst,
            "align_corners" => Alignment::Corners,
            "asymmetric" => Alignment::Starts,
            other => return Err(format!("it places voxels by {other}, which the engine does not")),
        };
        // A scale in single precision that is the ratio of the sizes is that ratio.
        let ratio = |at: usize| (scale[at] * dims[at] as f64 - size[at] as f64).abs() <= 1e-6 * size[at] as f64;
        let resize = Resize3d {
            size: [size[2], size[3], size[4]],
            interpolation,
            alignment,
            scale: (!(2..5).all(ratio)).then(|| [scale[2], scale[3], scale[4]]),
        };
        let node = self.canonical.add(&of.name, Op::Resize3d(resize), &[node])?;
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
            // The only voxel is the largest of each window, and the mean of those inside.
            let window = Window { kernel, stride, dilation };
            let paddings = of.paddings(&window, [1; 3])?;
            let padded = paddings.iter().flatten().any(|voxels| *voxels > 0);
            let zeros_count = !max && padded && of.node.int("count_include_pad", 0)? != 0;
            if window.of_one_voxel(&paddings).flatten().is_none() || zeros_count {
                return Err("it makes other values of a volume of one voxel than that voxel".into());
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
        // Rounding up may be written as more padding at the end, which never counts.
        let spans: [usize; 3] = std::array::from_fn(|axis| (kernel[axis] - 1).saturating_mul(dilation[axis]) + 1);
        if (max || pool.inside) && (0..3).any(|axis| end[axis] > spans[axis] / 2) {
            let rounded = Pool3d { padding_end: None, ceil: true, ..pool };
            let floor = |axis: usize| {
                let room = (size[axis] + padding[axis] + end[axis]).checked_sub(spans[axis]);
                room.map_or(0, |room| room / stride[axis] + 1)
            };
            if rounded.positions(size) == Ok(std::array::from_fn(floor)) {
                pool = rounded;
            }
        }
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
pub(super) fn three(values: Option<&[i64]>, default: usize) -> Result<[usize; 3], String> {
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

impl Window {
    /// On a padded volume of one voxel, which of the kernel's places meets it, in C order; none where all lie beside it. `None`
    /// where there is not one window in each direction.
    fn of_one_voxel(&self, paddings: &[[usize; 2]; 3]) -> Option<Option<usize>> {
        let mut place = Some(0);
        for (axis, &[before, after]) in paddings.iter().enumerate() {
            let span = (self.kernel[axis] - 1).checked_mul(self.dilation[axis])?;
            // As long as the window, or one step would not fit.
            if (1 + before + after).checked_sub(span + 1)? >= self.stride[axis] {
                return None;
            }
            let meets = before.is_multiple_of(self.dilation[axis]) && before / self.dilation[axis] < self.kernel[axis];
            place = place.filter(|_| meets).map(|place| place * self.kernel[axis] + before / self.dilation[axis]);
        }
        Some(place)
    }
}
