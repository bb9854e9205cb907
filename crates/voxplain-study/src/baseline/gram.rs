//! Inner products between volumes, and the principal components they hold.

use crate::Result;
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// Inner products between all volumes: enough for any linear model with a quadratic penalty, however many voxels
/// there are. Subtracting the training mean is a change of these numbers alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram(DMatrix<f64>);

/// Volumes held in memory at once, twice over.
const BLOCK: usize = 64;

/// Inner products between `count` volumes that `read` gives; at most 128 are in memory at once. Sums are in double
/// precision and in a fixed order, so that they do not depend on the number of threads.
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

/// How many volumes [`inner_products`] of `count` reads: those of every block with each later one.
pub(crate) fn reads(count: usize) -> usize {
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
    /// Scores of the first `most` principal components of the volumes in `train`, for these and for those in `test`;
    /// centred and scaled to variance 1 over `train`. Components without variance are left out.
    pub fn principal_components(&self, train: &[usize], test: &[usize], most: usize) -> (DMatrix<f64>, DMatrix<f64>) {
        let (n, gram) = (train.len(), &self.0);
        // Row sums of the training part give the products with the training mean.
        let with_mean = |s: usize| train.iter().map(|&t| gram[(s, t)]).sum::<f64>() / n as f64;
        let means: Vec<f64> = train.iter().map(|&s| with_mean(s)).collect();
        let mean_square = means.iter().sum::<f64>() / n as f64;
        let centred = |of: &[usize]| {
            let own: Vec<f64> = of.iter().map(|&s| with_mean(s)).collect();
            DMatrix::from_fn(of.len(), n, |a, b| gram[(of[a], train[b])] - own[a] - means[b] + mean_square)
        };
        let eigen = SymmetricEigen::new(centred(train));
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let largest = eigen.eigenvalues[order[0]].max(0.0);
        order.retain(|&c| eigen.eigenvalues[c] > largest * 1e-10);
        order.truncate(most);
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
