//! [`Tree`]: a regression tree of few levels, for [`boosting`](super::boosting).

use nalgebra::DMatrix;

/// Values of a standardised column that are nearer to each other than this are one.
const SAME: f64 = 1e-7;

/// What a split must gain, as a share of the squares that all trees could explain: what differs by rounding is no choice.
const GAIN: f64 = 1e-9;

/// How a tree grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Levels of splits.
    pub(super) depth: usize,
    /// Rows on each side of a split, at least.
    pub(super) least: usize,
}

/// Rows of a training part, column by column in rising order: sorted once for all trees.
#[derive(Debug)]
pub(super) struct Sorted {
    rows: usize,
    /// For each column its values, each with its row.
    columns: Vec<Vec<(f64, usize)>>,
}

/// What a tree is fitted to, a number for each row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets<'a> {
    /// What is left to be said: minus the slope of the loss.
    pub(super) left: &'a [f64],
    /// The curvature of the loss.
    pub(super) curvature: &'a [f64],
    /// The weight of the row.
    pub(super) weights: &'a [f64],
}

/// A node by its position in the tree.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    /// Rows of at most this value go to the first position, others to the second.
    Split { column: usize, threshold: f64, to: [usize; 2] },
    /// What is said.
    Leaf(f64),
}

/// A regression tree with exact splits: each is, of all columns and all thresholds between two values, the one that leaves the least sum of
/// weighted squares about the means of both sides (Breiman et al. 1984); of equals the first column and the lowest threshold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// The best split of a node so far.
#[derive(Clone, Copy)]
struct Best {
    gain: f64,
    column: usize,
    threshold: f64,
}

/// Rows, their weight, and the weighted sum of what is left to be said.
#[derive(Clone, Copy, Default)]
struct Sum {
    rows: usize,
    weight: f64,
    left: f64,
}

impl Sum {
    /// Squares that a mean explains.
    fn explained(self) -> f64 {
        if self.weight > 0.0 { self.left * self.left / self.weight } else { 0.0 }
    }

    fn without(self, other: Self) -> Self {
        Self { rows: self.rows - other.rows, weight: self.weight - other.weight, left: self.left - other.left }
    }
}

impl Sorted {
    pub(super) fn new(rows: &DMatrix<f64>) -> Self {
        let of = |column: nalgebra::DVectorView<'_, f64>| {
            let mut values: Vec<(f64, usize)> = column.iter().copied().zip(0..).collect();
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            values
        };
        Self { rows: rows.nrows(), columns: rows.column_iter().map(|column| of(column.as_view())).collect() }
    }
}

impl Tree {
    /// A tree on these rows, with the leaf that each row falls into. A leaf says `sum of weight * left / sum of weight * curvature`, a
    /// step of Newton's method.
    pub(super) fn fit(sorted: &Sorted, targets: Targets<'_>, shape: Shape) -> (Self, Vec<usize>) {
        let mut nodes = vec![Node::Leaf(0.0)];
        let mut node_of = vec![0; sorted.rows];
        let squares = |n: usize| targets.weights[n] * targets.left[n] * targets.left[n];
        let rounding = GAIN * (0..sorted.rows).map(squares).sum::<f64>();
        let mut open = vec![0];
        for _ in 0..shape.depth {
            let best = best_splits(sorted, targets, (&node_of, &open), shape.least, rounding);
            let mut next = Vec::new();
            for (&node, best) in open.iter().zip(best) {
                let Some(Best { column, threshold, .. }) = best else { continue };
                let to = [nodes.len(), nodes.len() + 1];
                nodes.extend([Node::Leaf(0.0); 2]);
                nodes[node] = Node::Split { column, threshold, to };
                for &(value, row) in &sorted.columns[column] {
                    if node_of[row] == node {
                        node_of[row] = to[usize::from(value > threshold)];
                    }
                }
                next.extend(to);
            }
            open = next;
        }
        let mut sums = vec![(0.0, 0.0); nodes.len()];
        for (row, &node) in node_of.iter().enumerate() {
            sums[node].0 += targets.weights[row] * targets.left[row];
            sums[node].1 += targets.weights[row] * targets.curvature[row];
        }
        for (node, (left, curvature)) in nodes.iter_mut().zip(sums) {
            if let Node::Leaf(says) = node {
                // Where all is said already, there is no curvature left.
                *says = if curvature > 1e-150 { left / curvature } else { 0.0 };
            }
        }
        (Self { nodes }, node_of)
    }

    /// What the leaf at this position says.
    pub(super) fn leaf(&self, at: usize) -> f64 {
        match self.nodes[at] {
            Node::Leaf(says) => says,
            Node::Split { .. } => 0.0,
        }
    }

    /// The leaf that a row falls into.
    pub(super) fn find(&self, rows: &DMatrix<f64>, row: usize) -> usize {
        let mut at = 0;
        while let Node::Split { column, threshold, to } = self.nodes[at] {
            at = to[usize::from(rows[(row, column)] > threshold)];
        }
        at
    }
}

/// The best split of each open node, in one walk through each column; none where nothing is gained.
fn best_splits(
    sorted: &Sorted,
    targets: Targets<'_>,
    (node_of, open): (&[usize], &[usize]),
    least: usize,
    rounding: f64,
) -> Vec<Option<Best>> {
    let place = |row: usize| open.iter().position(|&node| node == node_of[row]);
    let places: Vec<Option<usize>> = (0..sorted.rows).map(place).collect();
    let mut all = vec![Sum::default(); open.len()];
    let add = |sum: &mut Sum, row: usize| {
        sum.rows += 1;
        sum.weight += targets.weights[row];
        sum.left += targets.weights[row] * targets.left[row];
    };
    for (row, place) in places.iter().enumerate() {
        place.iter().for_each(|&place| add(&mut all[place], row));
    }
    let mut best: Vec<Option<Best>> = vec![None; open.len()];
    for (column, values) in sorted.columns.iter().enumerate() {
        let mut below = vec![(Sum::default(), f64::NEG_INFINITY); open.len()];
        for &(value, row) in values {
            let Some(place) = places[row] else { continue };
            let (sum, last) = &mut below[place];
            let rest = all[place].without(*sum);
            if sum.rows >= least && rest.rows >= least && value > *last + SAME {
                let gain = sum.explained() + rest.explained() - all[place].explained();
                if gain > best[place].map_or(0.0, |best| best.gain) + rounding {
                    best[place] = Some(Best { gain, column, threshold: f64::midpoint(*last, value) });
                }
            }
            add(sum, row);
            *last = value;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fit(rows: &DMatrix<f64>, left: &[f64], weights: &[f64], shape: Shape) -> (Tree, Vec<usize>) {
        let curvature = vec![1.0; left.len()];
        Tree::fit(&Sorted::new(rows), Targets { left, curvature: &curvature, weights }, shape)
    }

    /// Of -3, -2, 1, 4 the first two against the others: 25/2 + 25/2 is more than 9 + 9/3 and 16/3 + 16.
    #[test]
    fn one_split_by_hand() {
        let rows = DMatrix::from_column_slice(4, 1, &[0.1, 0.2, 0.3, 0.5]);
        let (tree, leaves) = fit(&rows, &[-3.0, -2.0, 1.0, 4.0], &[1.0; 4], Shape { depth: 1, least: 1 });
        assert_eq!(tree.nodes[0], Node::Split { column: 0, threshold: 0.25, to: [1, 2] });
        assert_eq!((tree.leaf(1), tree.leaf(2), leaves), (-2.5, 2.5, vec![1, 1, 2, 2]));
        // Three rows on each side are more than there are.
        let (tree, _) = fit(&rows, &[-3.0, -2.0, 1.0, 4.0], &[1.0; 4], Shape { depth: 1, least: 3 });
        assert_eq!(tree.nodes, [Node::Leaf(0.0)]);
        // Nothing to be told apart by, and nothing to tell.
        let same = DMatrix::from_element(4, 2, 1.0);
        assert_eq!(fit(&same, &[-1.0, 1.0, 1.0, -1.0], &[1.0; 4], Shape { depth: 3, least: 1 }).0.nodes.len(), 1);
        assert_eq!(fit(&rows, &[0.0; 4], &[1.0; 4], Shape { depth: 3, least: 1 }).0.nodes.len(), 1);
    }

    proptest! {
        /// The first split leaves no more squares than any other, found the slow way; every row is found where it was trained.
        #[test]
        fn no_split_is_better(
            cells in prop::collection::vec(-3i8..4, 36),
            left in prop::collection::vec(-5.0f64..5.0, 12),
            weights in prop::collection::vec(0.5f64..2.0, 12),
            least in 1usize..4,
        ) {
            let rows = DMatrix::from_fn(12, 3, |n, c| f64::from(cells[3 * n + c]));
            let squares = |of: &dyn Fn(usize) -> bool| {
                let of: Vec<usize> = (0..12).filter(|&n| of(n)).collect();
                let weight: f64 = of.iter().map(|&n| weights[n]).sum();
                let mean = of.iter().map(|&n| weights[n] * left[n]).sum::<f64>() / weight;
                of.iter().map(|&n| weights[n] * (left[n] - mean).powi(2)).sum::<f64>()
            };
            let mut slow = squares(&|_| true);
            for column in 0..3 {
                for threshold in -3i8..3 {
                    let is_low = |n: usize| rows[(n, column)] <= f64::from(threshold);
                    let low = (0..12).filter(|&n| is_low(n)).count();
                    if low >= least && 12 - low >= least {
                        slow = slow.min(squares(&is_low) + squares(&|n| !is_low(n)));
                    }
                }
            }
            let (tree, leaves) = fit(&rows, &left, &weights, Shape { depth: 1, least });
            let found: f64 = (0..tree.nodes.len())
                .filter(|&node| leaves.contains(&node))
                .map(|node| squares(&|n| leaves[n] == node))
                .sum();
            prop_assert!((found - slow).abs() < 1e-6, "{found} {slow}");
            let (tree, leaves) = fit(&rows, &left, &weights, Shape { depth: 3, least });
            for n in 0..12 {
                prop_assert_eq!(tree.find(&rows, n), leaves[n]);
                prop_assert!(leaves.iter().filter(|&&leaf| leaf == leaves[n]).count() >= least);
            }
        }
    }
}
