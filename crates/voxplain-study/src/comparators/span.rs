//! [`Span`]: volumes of a fold in the space that landmarks of its training part span.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Coordinates of the volumes of a fold in an orthonormal basis of the span of its landmarks, a row each, less their mean over the training
/// part: what of a volume is outside the span is left out. Only landmarks that are trained on count, so that no held-out volume has a say.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) train: DMatrix<f64>,
    pub(super) test: DMatrix<f64>,
    /// What each landmark counts in each axis of the basis.
    pub(super) roots: DMatrix<f64>,
    /// Positions of the landmarks in the training part.
    pub(super) landmarks: Vec<usize>,
}

impl Span {
    /// What each volume of the training part counts in a direction of the space.
    pub(super) fn counts(&self, direction: &DVector<f64>) -> Vec<f64> {
        let mut counts = vec![0.0; self.train.nrows()];
        let of_landmarks = &self.roots * direction;
        self.landmarks.iter().zip(of_landmarks.iter()).for_each(|(&at, &count)| counts[at] = count);
        counts
    }

    /// See [`Gram::principal_components`](super::Gram::principal_components).
    pub(super) fn principal_components(&self, max: usize) -> (DMatrix<f64>, DMatrix<f64>) {
        let eigen = SymmetricEigen::new(self.train.transpose() * &self.train);
        let mut order: Vec<usize> = (0..self.train.ncols()).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let largest = order.first().map_or(0.0, |&c| eigen.eigenvalues[c].max(0.0));
        order.retain(|&c| eigen.eigenvalues[c] > largest * 1e-10);
        order.truncate(max);
        let root = (self.train.nrows() as f64).sqrt();
        let axes = DMatrix::from_fn(self.train.ncols(), order.len(), |a, c| {
            eigen.eigenvectors[(a, order[c])] * root / eigen.eigenvalues[order[c]].sqrt()
        });
        (&self.train * &axes, &self.test * &axes)
    }

    /// What is left of the coordinates when the columns of a table (a row for each of the training part and of the held-out) are regressed
    /// out, by the fit of the training part, with an intercept. `None` where it cannot be found.
    pub(super) fn residuals(&self, of_train: &DMatrix<f64>, of_test: &DMatrix<f64>) -> Option<[DMatrix<f64>; 2]> {
        let design = of_train.clone().insert_column(0, 1.0);
        let others = of_test.clone().insert_column(0, 1.0);
        // Classes and an intercept are dependent: the fit is the same by the pseudo-inverse.
        let fit = design.clone().pseudo_inverse(1e-9).ok()? * &self.train;
        Some([&self.train - design * &fit, &self.test - others * fit])
    }
}
