//! Axes and shapes, and what goes over whole axes: means, maxima, values side by side.

use super::super::array::axis;
use super::super::canonical::{Step, View};
use super::{Meaning, Operator, Reader};
use crate::{Op, Pool3d};
use std::collections::BTreeSet;

impl Reader<'_> {
    /// The length of each axis of the first input.
    pub(super) fn shape_of(&self, of: &Operator<'_>) -> Result<Vec<usize>, String> {
        match of.first()? {
            Meaning::Known(array) => Ok(array.shape.clone()),
            Meaning::Value(view) => Ok(self.canonical.dims(&view)),
            Meaning::Reshaped { shape, .. } => Ok(shape),
            Meaning::Refused => Err("its input was refused".into()),
        }
    }

    /// The first input in another shape: the same value where only axes of length one differ; flattened; or waiting for what
    /// comes next.
    pub(super) fn reshape(&mut self, of: &Operator<'_>, shape: &[usize]) -> Result<Meaning, String> {
        let view = match of.first()? {
            Meaning::Value(view) | Meaning::Reshaped { view, .. } => view,
            Meaning::Known(_) | Meaning::Refused => return Err("its input is no value of the network".into()),
        };
        let own: Vec<usize> = view
            .axes
            .iter()
            .copied()
            .flatten()
            .filter(|&axis| self.canonical.values[view.node].shape[axis] != 1)
            .collect();
        let lengths: Vec<usize> = own.iter().map(|&axis| self.canonical.values[view.node].shape[axis]).collect();
        let wanted: Vec<usize> = shape.iter().copied().filter(|&length| length != 1).collect();
        if lengths == wanted {
            let mut own = own.into_iter();
            let mut axes: Vec<Option<usize>> =
                shape.iter().map(|&length| if length == 1 { None } else { own.next() }).collect();
            // A single channel is the second axis, as everywhere.
            if !axes.contains(&Some(0)) && axes.len() > 1 && axes[1].is_none() {
                axes[1] = Some(0);
            }
            return Ok(Meaning::Value(View { node: view.node, axes }));
        }
        let ordered = own.is_sorted();
        if let ([_], true) = (wanted.as_slice(), ordered) {
            let node = self.canonical.flatten(view.node)?;
            let axes = shape.iter().map(|&length| (length != 1).then_some(0)).collect();
            return Ok(Meaning::Value(View { node, axes }));
        }
        if !ordered {
            return Err(format!("it brings a value whose axes were exchanged to the shape {shape:?}"));
        }
        Ok(Meaning::Reshaped { view, shape: shape.to_vec() })
    }

    /// A volume `[1, C, i, j, k]` in the order of the engine, or features as `[1, F, 1, 1, 1]`.
    pub(super) fn volume(&self, view: &View) -> Result<usize, String> {
        let (dims, shape) = (self.canonical.dims(view), &self.canonical.values[view.node].shape);
        let mut wanted = vec![1; 5];
        wanted[1..=shape.len()].copy_from_slice(shape);
        let long: Vec<usize> = view.axes.iter().copied().flatten().filter(|&axis| shape[axis] != 1).collect();
        if dims != wanted || !long.is_sorted() {
            let what = if dims.len() == 4 { "images of two axes" } else { "another order of axes" };
            return Err(format!("it works on a value of shape {dims:?} ({what}), expected volumes [1, C, i, j, k]"));
        }
        Ok(view.node)
    }

    pub(super) fn is_flat(&self, node: usize) -> bool {
        self.canonical.values[node].shape.len() == 1
    }

    /// The axes of a volume or of features of rank five.
    pub(super) fn volume_view(&self, node: usize) -> View {
        let own = if self.is_flat(node) { 1 } else { 4 };
        View { node, axes: (0..5).map(|at| (1..=own).contains(&at).then(|| at - 1)).collect() }
    }

    /// The mean or the largest value over axes.
    pub(super) fn reduce(
        &mut self,
        of: &Operator<'_>,
        view: &View,
        over: &BTreeSet<usize>,
        keep: bool,
        max: bool,
    ) -> Result<Meaning, String> {
        let shape = self.canonical.values[view.node].shape.clone();
        let long = |axis: &usize| shape[*axis] != 1;
        let own: BTreeSet<usize> = over.iter().filter_map(|&at| view.axes[at]).filter(long).collect();
        let axes = |node_axes: &dyn Fn(usize) -> Option<usize>| -> Vec<Option<usize>> {
            let axes = view.axes.iter().enumerate().filter(|(at, _)| keep || !over.contains(at));
            axes.map(|(at, axis)| if over.contains(&at) { None } else { axis.and_then(node_axes) }).collect()
        };
        if own.is_empty() {
            return Ok(Meaning::Value(View { node: view.node, axes: axes(&Some) }));
        }
        if own.contains(&0) {
            if own.len() > 1 || max {
                return Err("it is over channels and voxels together".into());
            }
            return self.mean_over_channels(of, view, axes(&Some));
        }
        let rest = (1..4).filter(|axis| !own.contains(axis)).any(|axis| long(&axis));
        let mut node = view.node;
        if !rest && !max {
            node = self.canonical.add(&of.name, Op::GlobalAvgPool, &[node])?;
            return Ok(Meaning::Value(View { node, axes: axes(&|axis| (axis == 0).then_some(0)) }));
        }
        // A maximum along one axis after the other, the last first: of equals it is the first in C order, as at once.
        let steps: Vec<[usize; 3]> = if max {
            let along = |axis: usize| std::array::from_fn(|at| if at + 1 == axis { shape[axis] } else { 1 });
            own.iter().rev().map(|&axis| along(axis)).collect()
        } else {
            vec![std::array::from_fn(|at| if own.contains(&(at + 1)) { shape[at + 1] } else { 1 })]
        };
        for (n, kernel) in steps.iter().enumerate() {
            let pool = Pool3d::new(*kernel);
            let name = if n == 0 { of.name.clone() } else { format!("{}.{n}", of.name) };
            node = self.canonical.add(&name, if max { Op::MaxPool3d(pool) } else { Op::AvgPool3d(pool) }, &[node])?;
        }
        Ok(Meaning::Value(View { node, axes: axes(&Some) }))
    }

    /// The mean over channels: a part of a normalisation.
    pub(super) fn mean_over_channels(
        &mut self,
        of: &Operator<'_>,
        view: &View,
        axes: Vec<Option<usize>>,
    ) -> Result<Meaning, String> {
        let mut shape = self.canonical.values[view.node].shape.clone();
        shape[0] = 1;
        let step = if self.canonical.step(view.node) == Some(&Step::Squared) { Step::Variance } else { Step::Mean };
        let node = self.canonical.add_step(&of.name, step, view.node, Some(shape));
        Ok(Meaning::Value(View { node, axes }))
    }

    pub(super) fn concat(&mut self, of: &Operator<'_>) -> Result<Meaning, String> {
        let views = (0..of.inputs.len()).map(|n| of.value(n)).collect::<Result<Vec<_>, _>>()?;
        let first = &views[0];
        let at = axis(of.node.int("axis", 0)?, first.axes.len())?;
        let channels_at = |view: &View| {
            view.axes.len() == first.axes.len()
                && (view.axes[at] == Some(0) || (view.axes[at].is_none() && self.canonical.channels(view.node) == 1))
        };
        if !views.iter().all(channels_at) {
            return Err("it joins values along another axis than channels".into());
        }
        let mut axes = first.axes.clone();
        axes[at] = Some(0);
        let fits =
            |view: &View| (0..axes.len()).all(|n| n == at || view.axes[n] == axes[n] || self.both_one(view, first, n));
        if !views.iter().all(fits) {
            return Err("it joins values whose axes are not in one order".into());
        }
        let nodes: Vec<usize> = views.iter().map(|view| view.node).collect();
        let nodes = if nodes.iter().any(|&node| self.is_flat(node)) {
            nodes.into_iter().map(|node| self.canonical.flatten(node)).collect::<Result<_, _>>()?
        } else {
            nodes
        };
        let node = if nodes.len() == 1 { nodes[0] } else { self.canonical.add(&of.name, Op::Concat, &nodes)? };
        Ok(Meaning::Value(View { node, axes }))
    }

    pub(super) fn both_one(&self, a: &View, b: &View, at: usize) -> bool {
        [a, b].iter().all(|view| self.canonical.dims(view)[at] == 1)
    }

    /// Two values brought to one rank, axis by axis; refused where these are not the same or of length one.
    pub(super) fn align(&self, a: &View, b: &View) -> Result<Vec<[Option<usize>; 2]>, String> {
        let rank = a.axes.len().max(b.axes.len());
        let of = |view: &View, at: usize| (at + view.axes.len()).checked_sub(rank).and_then(|own| view.axes[own]);
        let length =
            |view: &View, axis: Option<usize>| axis.map_or(1, |axis| self.canonical.values[view.node].shape[axis]);
        (0..rank)
            .map(|at| {
                let pair = [of(a, at), of(b, at)];
                let (one, other) = (length(a, pair[0]) == 1, length(b, pair[1]) == 1);
                if pair[0] == pair[1] || one || other {
                    Ok(pair)
                } else {
                    let (a, b) = (self.canonical.dims(a), self.canonical.dims(b));
                    Err(format!("it joins values of shapes {a:?} and {b:?} whose axes are not in one order"))
                }
            })
            .collect()
    }

    /// Whether two values have the same shape and their axes in the same order.
    pub(super) fn alike(&self, a: &View, b: &View) -> bool {
        self.canonical.values[a.node].shape == self.canonical.values[b.node].shape
            && self.canonical.dims(a) == self.canonical.dims(b)
            && self.align(a, b).is_ok_and(|pairs| {
                let long = |axis: Option<usize>| axis.filter(|&axis| self.canonical.values[a.node].shape[axis] != 1);
                pairs.iter().all(|[a, b]| long(*a) == long(*b))
            })
    }
}
