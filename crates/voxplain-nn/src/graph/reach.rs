//! [`Reach`]: which cells of a feature map can reach the output at all.

use super::{Network, NodeId};
use crate::ops::activations;
use crate::{NormOver, Op, Result, SampleNorm};

/// How many ways lead from each cell of a feature map to the output, and how many end before it.
///
/// A way goes from a cell to a cell of the next operation whose window holds it, and so on. It ends before the output at
/// a cell that no window holds: where the last window of a pool or of a convolution with a stride leaves a rest at the
/// far edge, or where a stride is longer than its window. What the weights are does not matter, nor what an activation
/// or a maximum lets through: a cell without a way to the output has none in any network of this graph. All channels of
/// a node have the same ways; a connection between two channels counts once.
///
/// Values without place (`[F]`) are one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// Cells along `(i, j, k)`.
    pub shape: [usize; 3],
    /// Ways from each cell to the output, `[i][j][k]`; exact up to 2^53.
    pub ways: Vec<f64>,
    /// Ways from each cell that end before it.
    pub lost: Vec<f64>,
}

impl Reach {
    fn new(shape: &[usize]) -> Self {
        let shape = match *shape {
            [_, i, j, k] => [i, j, k],
            _ => [1; 3],
        };
        let cells = shape.iter().product();
        Self { shape, ways: vec![0.0; cells], lost: vec![0.0; cells] }
    }

    /// Whether a cell cannot change the output.
    pub fn is_blind(&self, cell: usize) -> bool {
        self.ways[cell] == 0.0
    }

    /// Whether a cell reaches the output on some of its ways only.
    pub fn is_partial(&self, cell: usize) -> bool {
        self.ways[cell] > 0.0 && self.lost[cell] > 0.0
    }

    /// How many cells cannot change the output.
    pub fn blind(&self) -> usize {
        (0..self.ways.len()).filter(|&cell| self.is_blind(cell)).count()
    }

    /// How many cells reach the output on some of their ways only.
    pub fn partial(&self) -> usize {
        (0..self.ways.len()).filter(|&cell| self.is_partial(cell)).count()
    }

    /// Along each axis, how many whole planes of cells at its start and at its end cannot change the output. All planes
    /// where none can.
    pub fn blind_edges(&self) -> [[usize; 2]; 3] {
        let [_, nj, nk] = self.shape;
        let of = |cell: usize| [cell / (nj * nk), cell / nk % nj, cell % nk];
        let mut seen = self.shape.map(|n| [n, n]);
        for cell in (0..self.ways.len()).filter(|&cell| !self.is_blind(cell)) {
            for (axis, at) in of(cell).into_iter().enumerate() {
                seen[axis][0] = seen[axis][0].min(at);
                seen[axis][1] = seen[axis][1].min(self.shape[axis] - 1 - at);
            }
        }
        seen
    }

    fn add(&mut self, ways: &[f64], lost: &[f64]) {
        self.ways.iter_mut().zip(ways).for_each(|(sum, more)| *sum += more);
        self.lost.iter_mut().zip(lost).for_each(|(sum, more)| *sum += more);
    }

    /// Adds what a single value after it gives to each cell.
    fn add_everywhere(&mut self, after: &Self) {
        self.ways.iter_mut().for_each(|sum| *sum += after.ways[0]);
        self.lost.iter_mut().for_each(|sum| *sum += after.lost[0]);
    }

    /// Adds what cells after it give to every cell that they take.
    fn add_taken(&mut self, taken: &Taken, after: &Self) {
        let [ways, mut lost, held] = [&after.ways, &after.lost, &vec![1.0; after.ways.len()]]
            .map(|values| hand_along(taken, values, after.shape, self.shape));
        lost.iter_mut().zip(held).filter(|(_, held)| *held == 0.0).for_each(|(lost, _)| *lost += 1.0);
        self.add(&ways, &lost);
    }
}

/// Along each axis, the cells after an operation each with a cell before it that it takes.
type Taken = [Vec<(usize, usize)>; 3];

/// Those of a window that slides over a volume.
fn windows(
    [kernel, stride, padding, dilation]: [[usize; 3]; 4],
    after: [usize; 3],
    before: [usize; 3],
) -> [Vec<(usize, usize)>; 3] {
    std::array::from_fn(|axis| {
        let taps = (0..after[axis]).flat_map(|window| (0..kernel[axis]).map(move |tap| (window, tap)));
        taps.filter_map(|(window, tap)| {
            let padded = window * stride[axis] + tap * dilation[axis];
            let cell = padded.checked_sub(padding[axis]).filter(|&cell| cell < before[axis])?;
            Some((window, cell))
        })
        .collect()
    })
}

/// For each cell the sum of the values of all cells after it that take it, one axis after the other.
fn hand_along(taken: &Taken, values: &[f64], after: [usize; 3], before: [usize; 3]) -> Vec<f64> {
    let mut shape = after;
    let mut values = values.to_vec();
    for axis in 0..3 {
        let inner: usize = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        let mut out = vec![0.0; outer * before[axis] * inner];
        for &(window, cell) in &taken[axis] {
            for o in 0..outer {
                let from = &values[(o * shape[axis] + window) * inner..][..inner];
                let to = &mut out[(o * before[axis] + cell) * inner..][..inner];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
        shape[axis] = before[axis];
        values = out;
    }
    values
}

impl Network {
    /// Which cells of a node can reach the output.
    ///
    /// # Errors
    /// There is no such node.
    pub fn reach(&self, node: NodeId) -> Result<Reach> {
        self.shape(node)?;
        Ok(self.reach_of(node))
    }

    /// Which voxels of the input can reach the output.
    pub fn input_reach(&self) -> Reach {
        self.reach_of(NodeId(0))
    }

    /// The reach of a node that is there; of one that the output does not depend on, no way.
    fn reach_of(&self, node: NodeId) -> Reach {
        let mut found = Reach::new(&self.shape_list()[node.0]);
        self.visit_reach(|at, reach| {
            if at == node {
                found.clone_from(reach);
            }
        });
        found
    }

    /// Calls `visit` with each node that the output depends on, from the output to the input, and which of its cells can
    /// reach the output.
    pub fn visit_reach(&self, mut visit: impl FnMut(NodeId, &Reach)) {
        let shapes = self.shape_list();
        let needed = self.ancestors(self.output());
        let mut reaches: Vec<Option<Reach>> = vec![None; shapes.len()];
        for n in (0..shapes.len()).rev().filter(|&n| needed[n]) {
            let mut reach = reaches[n].take().unwrap_or_else(|| Reach::new(&shapes[n]));
            if NodeId(n) == self.output() {
                reach.ways.fill(1.0);
            }
            visit(NodeId(n), &reach);
            let node = &self.nodes[n];
            for input in &node.inputs {
                let before = reaches[input.0].get_or_insert_with(|| Reach::new(&shapes[input.0]));
                hand_back(&node.op, &reach, before);
            }
        }
    }
}

/// Adds to the cells of an operation's input what its output's cells have.
fn hand_back(op: &Op, after: &Reach, before: &mut Reach) {
    match op {
        Op::Conv3d(conv) => {
            let taken = windows([conv.kernel, conv.stride, conv.padding, conv.dilation], after.shape, before.shape);
            before.add_taken(&taken, after);
        }
        // What the convolution takes the other way round.
        Op::ConvTranspose3d(conv) => {
            let window = [conv.kernel, conv.stride, conv.padding, conv.dilation];
            let taken = windows(window, before.shape, after.shape)
                .map(|pairs| pairs.into_iter().map(|(before, after)| (after, before)).collect());
            before.add_taken(&taken, after);
        }
        Op::Resize3d(resize) => {
            let shape = before.shape;
            let taken = std::array::from_fn(|axis| {
                let cells = resize.taken(axis, shape[axis]).enumerate();
                let parts = cells.flat_map(|(cell, of)| [0, 1].map(|n| (cell, of.at[n], of.weight[n])));
                let mut pairs: Vec<(usize, usize)> =
                    parts.filter(|(.., weight)| *weight != 0.0).map(|(cell, at, _)| (cell, at)).collect();
                // Two neighbours beyond the edge are one.
                pairs.dedup();
                pairs
            });
            before.add_taken(&taken, after);
        }
        Op::MaxPool3d(pool) | Op::AvgPool3d(pool) => {
            let taken = windows([pool.kernel, pool.stride, pool.padding, pool.dilation], after.shape, before.shape);
            before.add_taken(&taken, after);
        }
        Op::Pad3d(pad) => {
            let taken = windows([[1; 3], [1; 3], pad.before, [1; 3]], after.shape, before.shape);
            before.add_taken(&taken, after);
        }
        // The statistics of a cell's channel are those of all cells.
        Op::SampleNorm(SampleNorm { over: NormOver::Groups(_), .. }) => {
            let (ways, lost): (f64, f64) = (after.ways.iter().sum(), after.lost.iter().sum());
            before.ways.iter_mut().for_each(|sum| *sum += ways);
            before.lost.iter_mut().for_each(|sum| *sum += lost);
        }
        // One value for each channel meets all cells of it.
        Op::Add | Op::Multiply if before.shape != after.shape => {
            let (ways, lost) = (after.ways.iter().sum::<f64>(), after.lost.iter().sum::<f64>());
            before.add(&[ways], &[lost]);
        }
        Op::GlobalAvgPool | Op::Flatten => before.add_everywhere(after),
        Op::Input { .. }
        | activations!()
        | Op::BatchNorm(_)
        | Op::SampleNorm(SampleNorm { over: NormOver::Channels, .. })
        | Op::Prelu(_)
        | Op::Multiply
        | Op::Dropout { .. }
        | Op::Linear(_)
        | Op::Add
        | Op::Concat
        | Op::Softmax
        | Op::LogSoftmax => before.add(&after.ways, &after.lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv3d, Linear, Pool3d};

    /// Three blocks of convolution 3 and pool 2, as in the paper.
    fn papers(shape: [usize; 3]) -> Network {
        let mut net = Network::new([1, shape[0], shape[1], shape[2]]);
        for (block, (channels, width)) in [(1, 2), (2, 2), (2, 3)].into_iter().enumerate() {
            net.then(&format!("conv{block}"), Conv3d::new(channels, width, [3; 3])).unwrap();
            net.then(&format!("norm{block}"), BatchNorm::new(width)).unwrap();
            net.then(&format!("relu{block}"), Op::Relu).unwrap();
            net.then(&format!("pool{block}"), Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
        }
        net.then("flat", Op::Flatten).unwrap();
        let features = net.outputs();
        net.then("head", Linear::new(features, 2)).unwrap();
        net
    }

    /// By hand: 58 voxels are 56 cells, pooled 28, 26, 13, 11, of which the last pool leaves the eleventh. The other ten
    /// take cells 0 to 11 of the second pool, these 0 to 23 of its convolution, these 0 to 25 of the first pool, these 0 to 51
    /// of its convolution, and these voxels 0 to 53: four of 58 are not seen. 70 voxels are 68, 34, 32, 16, 14, 7.
    #[test]
    fn the_papers_network_does_not_see_four_planes_of_two_axes() {
        let net = papers([58, 70, 58]);
        let input = net.reach(NodeId(0)).unwrap();
        assert_eq!(input.blind_edges(), [[0, 4], [0, 0], [0, 4]]);
        assert_eq!(input.blind(), 58 * 70 * 58 - 54 * 70 * 54);
        let last = net.reach(net.node("relu2").unwrap()).unwrap();
        assert_eq!(last.shape, [11, 14, 11]);
        assert_eq!((last.blind_edges(), last.blind()), ([[0, 1], [0, 0], [0, 1]], 11 * 14 * 11 - 10 * 14 * 10));
        assert_eq!((last.ways[0], last.lost[0], last.partial()), (1.0, 0.0, 0));
        // A voxel in the middle: three taps of three convolutions on each axis, none lost.
        let middle = (29 * 70 + 35) * 58 + 29;
        assert_eq!((input.ways[middle], input.lost[middle]), (27f64.powi(3), 0.0));
        // A grid of 54 along these axes loses nothing.
        let whole = papers([54, 70, 54]).reach(NodeId(0)).unwrap();
        assert_eq!((whole.blind(), whole.partial()), (0, 0));
    }

    /// On one axis: seven voxels, pooled by two. The last is left out.
    #[test]
    fn a_rest_is_lost_and_what_leads_to_it_is_partial() {
        let mut net = Network::new([1, 1, 1, 9]);
        let conv = net.then("conv", Conv3d::new(1, 1, [1, 1, 3])).unwrap();
        net.then("pool", Op::MaxPool3d(Pool3d::new([1, 1, 2]))).unwrap();
        net.then("mean", Op::GlobalAvgPool).unwrap();
        let cells = net.reach(conv).unwrap();
        assert_eq!(cells.ways, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!(cells.lost, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let voxels = net.reach(NodeId(0)).unwrap();
        assert_eq!(voxels.ways, [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(voxels.lost, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!((voxels.blind(), voxels.partial(), voxels.blind_edges()[2]), (1, 2, [0, 1]));
        // Every second voxel: those between are seen by nobody, and no edge is blind but the last.
        let mut net = Network::new([1, 1, 1, 6]);
        net.then("conv", Conv3d::new(1, 1, [1; 3]).with_stride([1, 1, 2])).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        let voxels = net.reach(NodeId(0)).unwrap();
        assert_eq!(voxels.ways, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!((voxels.blind(), voxels.blind_edges()[2]), (3, [0, 1]));
    }

    /// One branch sees all, the other leaves the last out; a branch that nobody reads counts for nothing.
    #[test]
    fn branches_add_their_ways() {
        let mut net = Network::new([1, 1, 1, 5]);
        let mean = net.add("mean", Op::AvgPool3d(Pool3d::new([1, 1, 2])), &[NodeId(0)]).unwrap();
        let every = net.add("every", Conv3d::new(1, 2, [1; 3]).with_stride([1, 1, 3]), &[NodeId(0)]).unwrap();
        net.add("unread", Op::Relu, &[NodeId(0)]).unwrap();
        net.add("both", Op::Concat, &[mean, every]).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        let voxels = net.reach(NodeId(0)).unwrap();
        assert_eq!(voxels.ways, [2.0, 1.0, 1.0, 2.0, 0.0]);
        assert_eq!(voxels.lost, [0.0, 1.0, 1.0, 0.0, 2.0]);
        assert_eq!(net.reach(net.node("unread").unwrap()).unwrap().blind(), 5);
        assert!(net.reach(NodeId(99)).is_err());
    }
}
