//! [`Gram`]: the inner products of volumes, and principal components from them.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use voxplain_core::Result;

/// The Gram matrix of volumes: the inner product of each pair. A linear model with a quadratic penalty needs no more,
/// however many voxels there are (the kernel trick). Centring the volumes on the mean of the training subjects changes
/// these numbers alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram(DMatrix<f64>);

/// Number of volumes in a block; two blocks are in memory at once.
const BLOCK: usize = 64;

/// The Gram matrix of `count` volumes. `read` gives the values of a volume by its position; at most 128 volumes are in
/// memory at once. Sums are in double precision and in a fixed order: they do not depend on the number of threads.
///
/// # Errors
/// Those of `read`.
pub fn inner_products(count: usize, read: impl Fn(usize) -> Result<Vec<f32>>) -> Result<Gram> {
    let mut gram = DMatrix::zeros(count, count);
    let block = |start: usize| (start..count.min(start + BLOCK)).map(&read).collect::<Result<Vec<_>>>();
    for first in (0..count).step_by(BLOCK) {
        let rows = block(first)?;
        for second in (first..count).step_by(BLOCK) {
            let others;
            let columns = if second == first {
                &rows
            } else {
                others = block(second)?;
                &others
            };
            let pairs: Vec<(usize, usize)> = (0..rows.len())
                .flat_map(|a| (0..columns.len()).map(move |b| (a, b)))
                .filter(|(a, b)| first + a <= second + b)
                .collect();
            let products: Vec<f64> = pairs.par_iter().map(|&(a, b)| dot(&rows[a], &columns[b])).collect();
            for ((a, b), product) in pairs.into_iter().zip(products) {
                gram[(first + a, second + b)] = product;
                gram[(second + b, first + a)] = product;
            }
        }
    }
    Ok(Gram(gram))
}

/// How often [`inner_products`] of `count` volumes reads a volume: each block is read with every later one.
pub(super) fn reads(count: usize) -> usize {
    (0..count).step_by(BLOCK).map(|first| count - first).sum()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            lanes[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    lanes.iter().sum::<f64>() + rest
}

impl Gram {
    /// Inner products of the volumes in `of` (rows) with those in `train` (columns), all less the mean of `train`.
    pub(super) fn centred(&self, train: &[usize], of: &[usize]) -> DMatrix<f64> {
        let (n, gram) = (train.len(), &self.0);
        // Row sums of the training part give the products with the training mean.
        let with_mean = |s: usize| train.iter().map(|&t| gram[(s, t)]).sum::<f64>() / n as f64;
        let means: Vec<f64> = train.iter().map(|&s| with_mean(s)).collect();
        let mean_square = means.iter().sum::<f64>() / n as f64;
        let own: Vec<f64> = of.iter().map(|&s| with_mean(s)).collect();
        DMatrix::from_fn(of.len(), n, |a, b| gram[(of[a], train[b])] - own[a] - means[b] + mean_square)
    }

    /// Coordinates of all volumes, a row each, whose inner products are those of the volumes less their common mean.
    pub(super) fn embedding(&self) -> DMatrix<f64> {
        let n = self.0.nrows();
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

    /// Scores on the first `max` principal components of the volumes in `train`, for the volumes in `train` and in
    /// `test`: a row for each volume, a column for each component. Scores have mean 0 and variance 1 over `train`.
    /// Components without variance are left out.
    pub fn principal_components(&self, train: &[usize], test: &[usize], max: usize) -> (DMatrix<f64>, DMatrix<f64>) {
        let n = train.len();
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
