//! [`Gram`]: the inner products of volumes, and principal components from them.

use super::{centred, span::Span};
use crate::folds::Split;
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use std::collections::BTreeMap;
use voxplain_core::Result;

/// The Gram matrix of volumes: the inner product of each pair. A linear model with a quadratic penalty needs no more,
/// however many voxels there are (the kernel trick). Centring the volumes on the mean of the training subjects changes
/// these numbers alone.
///
/// Its size grows with the square of the number of volumes, and what is found from it with the cube. Of more than [`EXACT`] volumes only the
/// products with [`LANDMARKS`] of them are held, and linear models work in the space that the landmarks of the training part span (the
/// subset of regressors, or Nyström's method: Williams and Seeger 2001; Rasmussen and Williams 2006, section 8.3.1). Landmarks are evenly
/// taken in the order of the volumes, whatever their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    /// `[volume, landmark]`.
    pub(super) products: DMatrix<f64>,
    /// Positions of the landmarks, rising; all where all products are held.
    pub(super) landmarks: Vec<usize>,
    /// The share of the variance of all volumes that lies in the span of the landmarks.
    kept: f64,
}

/// Volumes of which all inner products are held at most: 32 MB, and eigenvectors of a training part in about a minute.
pub const EXACT: usize = 2000;

/// Landmarks of more volumes.
pub const LANDMARKS: usize = 1000;

/// Number of volumes in a block; two blocks are in memory at once.
const BLOCK: usize = 64;

/// Voxels that are multiplied at once: two blocks of them are 4 MB in double precision.
const RUN: usize = 4096;

/// The Gram matrix of `count` volumes of the same size. `read` gives the values of a volume by its position; at most 128 volumes are in
/// memory at once. Sums are in double precision and in a fixed order: they do not depend on the number of threads.
///
/// # Errors
/// Those of `read`.
pub fn inner_products(count: usize, read: impl Fn(usize) -> Result<Vec<f32>> + Sync) -> Result<Gram> {
    products_with(count, landmarks(count), read)
}

/// The landmarks of so many volumes.
fn landmarks(count: usize) -> Vec<usize> {
    if count <= EXACT { (0..count).collect() } else { (0..LANDMARKS).map(|l| l * count / LANDMARKS).collect() }
}

/// The same with these landmarks.
pub(super) fn products_with(
    count: usize,
    landmarks: Vec<usize>,
    read: impl Fn(usize) -> Result<Vec<f32>> + Sync,
) -> Result<Gram> {
    let is_exact = landmarks.len() == count;
    let mut products = DMatrix::zeros(count, landmarks.len());
    let block = |of: &[usize]| {
        let read: Vec<Result<Vec<f32>>> = of.par_iter().map(|&n| read(n)).collect();
        // One after another, so that of several errors it is always the first.
        read.into_iter().collect::<Result<Vec<_>>>()
    };
    let all: Vec<usize> = (0..count).collect();
    let (mut sum, mut squares) = (Vec::<f64>::new(), 0.0);
    for (first, of) in landmarks.chunks(BLOCK).enumerate() {
        let columns = block(of)?;
        for (second, members) in all.chunks(BLOCK).enumerate().skip(if is_exact { first } else { 0 }) {
            let read;
            let rows = if is_exact && second == first {
                &columns
            } else {
                read = block(members)?;
                &read
            };
            let found = block_products(rows, &columns);
            for (row, &of_row) in members.iter().enumerate() {
                for column in 0..of.len() {
                    let landmark = first * BLOCK + column;
                    products[(of_row, landmark)] = found[(row, column)];
                    if is_exact {
                        products[(landmark, of_row)] = found[(row, column)];
                    }
                }
            }
            if !is_exact && first == 0 {
                for row in rows {
                    sum.resize(row.len(), 0.0);
                    sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
                    squares += row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
                }
            }
        }
    }
    let mut gram = Gram { products, landmarks, kept: 1.0 };
    if !is_exact {
        let mean_square = sum.iter().map(|s| (s / count as f64).powi(2)).sum::<f64>();
        gram.kept = gram.share_of(squares - count as f64 * mean_square);
    }
    Ok(gram)
}

/// How often [`inner_products`] of `count` volumes reads a volume: each block is read with every later one, or with all that there are.
pub(super) fn reads(count: usize) -> usize {
    let landmarks = landmarks(count).len();
    if landmarks == count {
        (0..count).step_by(BLOCK).map(|first| count - first).sum()
    } else {
        landmarks + landmarks.div_ceil(BLOCK) * count
    }
}

/// Inner products of each of `rows` with each of `columns`. Runs of voxels are multiplied beside each other and added up in their order.
fn block_products(rows: &[Vec<f32>], columns: &[Vec<f32>]) -> DMatrix<f64> {
    let size = rows.first().map_or(0, Vec::len);
    let starts: Vec<usize> = (0..size).step_by(RUN).collect();
    let of_run = |&start: &usize| {
        let voxels = start..size.min(start + RUN);
        let rows = DMatrix::from_fn(rows.len(), voxels.len(), |n, v| f64::from(rows[n][start + v]));
        let columns = DMatrix::from_fn(voxels.len(), columns.len(), |v, n| f64::from(columns[n][start + v]));
        rows * columns
    };
    let found: Vec<DMatrix<f64>> = starts.par_iter().map(of_run).collect();
    found.into_iter().fold(DMatrix::zeros(rows.len(), columns.len()), |sum, run| sum + run)
}

impl Gram {
    /// Whether all products are held.
    pub fn is_exact(&self) -> bool {
        self.landmarks.len() == self.products.nrows()
    }

    /// What is said of a linear model of so many volumes that it works in the span of landmarks; nothing where it does not.
    pub fn in_words(&self) -> String {
        if self.is_exact() {
            return String::new();
        }
        format!(
            "; as they are more than {EXACT}, in the span of those of {} landmark volumes that are trained on, all of which hold {:.1} % of the \
             variance",
            self.landmarks.len(),
            100.0 * self.kept
        )
    }

    /// The share of the variance of all volumes, whose sum of squares around their mean is given, that the span of the landmarks holds.
    fn share_of(&self, squares: f64) -> f64 {
        let mean = self.products.row_mean();
        let mut rows = self.products.clone();
        rows.row_iter_mut().for_each(|mut row| row -= &mean);
        let (roots, _) = self.roots(&(0..self.landmarks.len()).collect::<Vec<_>>());
        let held = (rows * roots).norm_squared();
        if squares > 0.0 { (held / squares).min(1.0) } else { 1.0 }
    }

    /// `V L^-1/2` of the products of some landmarks (by position among them) with each other, which are `V L V'`: products with these
    /// landmarks times this are coordinates in their span. And the positions of the landmarks.
    fn roots(&self, of: &[usize]) -> (DMatrix<f64>, Vec<usize>) {
        let at: Vec<usize> = of.iter().map(|&l| self.landmarks[l]).collect();
        let own = DMatrix::from_fn(of.len(), of.len(), |a, b| self.products[(at[a], of[b])]);
        let eigen = SymmetricEigen::new(own);
        let largest = eigen.eigenvalues.iter().copied().fold(0.0, f64::max);
        let kept: Vec<usize> = (0..of.len()).filter(|&c| eigen.eigenvalues[c] > largest * 1e-10).collect();
        let roots = DMatrix::from_fn(of.len(), kept.len(), |l, c| {
            eigen.eigenvectors[(l, kept[c])] / eigen.eigenvalues[kept[c]].sqrt()
        });
        (roots, at)
    }

    /// Coordinates of the volumes of a fold in the span of the landmarks that it trains on, less their mean over the training part.
    pub(super) fn span(&self, split: &Split) -> Span {
        let positions: BTreeMap<usize, usize> = split.train.iter().enumerate().map(|(at, &n)| (n, at)).collect();
        let of: Vec<usize> =
            (0..self.landmarks.len()).filter(|&l| positions.contains_key(&self.landmarks[l])).collect();
        let (roots, at) = self.roots(&of);
        let rows = |members: &[usize]| {
            DMatrix::from_fn(members.len(), of.len(), |n, l| self.products[(members[n], of[l])]) * &roots
        };
        let [train, test] = centred(&rows(&split.train), &rows(&split.test));
        Span { train, test, roots, landmarks: at.iter().map(|n| positions[n]).collect() }
    }

    /// Inner products of the volumes in `of` (rows) with those in `train` (columns), all less the mean of `train`.
    pub(super) fn centred(&self, train: &[usize], of: &[usize]) -> DMatrix<f64> {
        let (n, gram) = (train.len(), &self.products);
        // Row sums of the training part give the products with the training mean.
        let with_mean = |s: usize| train.iter().map(|&t| gram[(s, t)]).sum::<f64>() / n as f64;
        let means: Vec<f64> = train.iter().map(|&s| with_mean(s)).collect();
        let mean_square = means.iter().sum::<f64>() / n as f64;
        let own: Vec<f64> = of.iter().map(|&s| with_mean(s)).collect();
        DMatrix::from_fn(of.len(), n, |a, b| gram[(of[a], train[b])] - own[a] - means[b] + mean_square)
    }

    /// Coordinates of all volumes, a row each, whose inner products are those of the volumes less their common mean.
    pub(super) fn embedding(&self) -> DMatrix<f64> {
        let n = self.products.nrows();
        let all: Vec<usize> = (0..n).collect();
        let eigen = SymmetricEigen::new(self.centred(&all, &all));
        let largest = eigen.eigenvalues.max().max(0.0);
        let kept: Vec<usize> = (0..n).filter(|&c| eigen.eigenvalues[c] > largest * 1e-12).collect();
        DMatrix::from_fn(n, kept.len(), |s, c| eigen.eigenvectors[(s, kept[c])] * eigen.eigenvalues[kept[c]].sqrt())
    }

    /// Inner products of what is left of the volumes when the columns of a table (a row for each of `train` and `test`) are regressed out: of
    /// the training part, and of `test` (rows) with it (columns). The fit, with an intercept, is that of the training part. `None` where it
    /// cannot be found.
    pub(super) fn residuals(
        &self,
        (train, test): (&[usize], &[usize]),
        (of_train, of_test): (&DMatrix<f64>, &DMatrix<f64>),
    ) -> Option<[DMatrix<f64>; 2]> {
        let design = of_train.clone().insert_column(0, 1.0);
        let others = of_test.clone().insert_column(0, 1.0);
        // Classes and an intercept are dependent: the fit is the same by the pseudo-inverse.
        let inverse = design.clone().pseudo_inverse(1e-9).ok()?;
        let left = DMatrix::identity(train.len(), train.len()) - &design * &inverse;
        let products = self.centred(train, train);
        let own = &left * &products * &left;
        let held = (self.centred(train, test) - others * inverse * products) * left;
        Some([own, held])
    }

    /// Scores on the first `max` principal components of the volumes of a training part, for these and those that are
    /// held out: a row for each volume, a column for each component. Scores have mean 0 and variance 1 over the training part.
    /// Components without variance are left out.
    pub fn principal_components(&self, split: &Split, max: usize) -> (DMatrix<f64>, DMatrix<f64>) {
        if !self.is_exact() {
            return self.span(split).principal_components(max);
        }
        let (train, test, n) = (&split.train, &split.test, split.train.len());
        let centred = |of: &[usize]| self.centred(train, of);
        let eigen = SymmetricEigen::new(centred(train));
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let largest = eigen.eigenvalues[order[0]].max(0.0);
        order.retain(|&c| eigen.eigenvalues[c] > largest * 1e-10);
        order.truncate(max);
        // K = V L V': scores are V sqrt(L), of variance L / n; those of others are k V / sqrt(L).
        let root = (n as f64).sqrt();
        let of_train = DMatrix::from_fn(n, order.len(), |s, c| eigen.eigenvectors[(s, order[c])] * root);
        let products = centred(test) * &eigen.eigenvectors;
        let of_test = DMatrix::from_fn(test.len(), order.len(), |s, c| {
            products[(s, order[c])] * root / eigen.eigenvalues[order[c]]
        });
        (of_train, of_test)
    }
}
