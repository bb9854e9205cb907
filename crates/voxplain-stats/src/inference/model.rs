//! [`Model`]: a design and a contrast, ready to be fitted at many voxels and under many shuffles.

use super::{
    design::{Contrast, Design},
    shuffle::Shuffle,
};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result};

/// What is taken for the variance of the errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variance {
    /// The same for all subjects.
    #[default]
    Equal,
    /// Each subject's own, by the estimator HC3 (`MacKinnon` and White 1985; Long and Ervin 2000). For t alone.
    Robust,
}

/// A model `y = M b + e` of which a contrast is tested, by Freedman and Lane's procedure: what the other terms explain is taken away, what is
/// left is shuffled, and the full model is fitted to it.
#[derive(Clone, Debug)]
pub struct Model {
    /// An orthonormal basis of what is tested, subjects by rank; for t its one column has the sign of the effect.
    tested: DMatrix<f64>,
    /// One of the other terms, orthogonal to it.
    others: DMatrix<f64>,
    /// Subjects less columns of the design.
    freedom: usize,
    /// What the projection on `tested` is multiplied by to be the effect: `c' b`. 1 for F.
    scale: f64,
    variance: Variance,
    /// Of each subject, `1 / (1 - leverage)^2` times the square of `tested`, for [`Variance::Robust`].
    robust: Vec<f64>,
}

/// What is fitted at a voxel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    /// Student's t, or F; 0 where the values do not vary.
    pub statistic: Vec<f32>,
    /// The effect `c' b`, in the units of the values; the square root of the sum of squares that is explained, for F.
    pub effect: Vec<f32>,
    /// Its standard error; 0 for F.
    pub error: Vec<f32>,
}

/// Voxels whose values vary less than this, beside their size, are constant.
const CONSTANT: f64 = 1e-12;

impl Model {
    /// Of a design and a contrast, which are divided into what is tested and the rest as Beckmann (2001) and Winkler (2014, appendix A) do.
    ///
    /// # Errors
    /// The contrast does not fit the design; a robust variance for F, or where a subject has a term of its own.
    pub fn new(design: &Design, contrast: &Contrast, variance: Variance) -> Result<Self> {
        let m = design.matrix();
        let c = contrast.matrix(design)?.transpose();
        // With M = Q R, the combination c' b is w' y for w = Q R^-T c.
        let (q, r) = m.clone().qr().unpack();
        let dual = r.transpose().lu().solve(&c);
        let w = q.clone()
            * dual.ok_or_else(|| {
                Error::request("the design cannot be inverted", "use fewer terms, or terms that differ more")
            })?;
        let (tested, scale) = if c.ncols() == 1 {
            let size = w.norm();
            (w / size, size)
        } else {
            (w.qr().q(), 1.0)
        };
        let others = rest_of(q, &tested);
        let mut robust = Vec::new();
        if variance == Variance::Robust {
            if c.ncols() > 1 {
                return Err(Error::request(
                    "a robust variance is for t, not for F",
                    "test the differences one by one: a column of the design, such as one level of a factor, at a time",
                ));
            }
            for n in 0..m.nrows() {
                let leverage = tested.row(n).norm_squared() + others.row(n).norm_squared();
                let own = 1.0 - leverage;
                if own < 1e-9 {
                    return Err(Error::request(
                        format!(
                            "the subject {} has a term of the design to itself: its error has no variance of its own",
                            design.row(n)
                        ),
                        "leave the subject out, or take one variance for all",
                    ));
                }
                robust.push(tested[(n, 0)].powi(2) / (own * own));
            }
        }
        Ok(Self { tested, others, freedom: m.nrows() - m.ncols(), scale, variance, robust })
    }

    /// Number of subjects.
    pub fn subjects(&self) -> usize {
        self.tested.nrows()
    }

    /// Number of combinations that are tested at once: 1 for t.
    pub fn rank(&self) -> usize {
        self.tested.ncols()
    }

    /// Whether the terms that are not tested take the mean of the values away. Where they do, residuals may be permuted; where they do not, the mean is
    /// among what is tested, and signs must be flipped.
    pub fn explains_mean(&self) -> bool {
        let n = self.subjects() as f64;
        let explained: f64 = self.others.column_iter().map(|column| column.sum().powi(2)).sum();
        // Squared length of the projection of a column of ones.
        explained > n * (1.0 - 1e-9)
    }

    /// Degrees of freedom of the errors.
    pub fn freedom(&self) -> usize {
        self.freedom
    }

    /// The columns of both bases, what is tested first, subject by subject, as residual `j` meets them under a shuffle.
    fn columns(&self, shuffle: &Shuffle) -> Vec<f64> {
        let (tested, all) = (self.rank(), self.rank() + self.others.ncols());
        let mut columns = vec![0.0; all * self.subjects()];
        for (n, (from, sign)) in shuffle.order.iter().zip(&shuffle.signs).enumerate() {
            let row = &mut columns[from * all..][..all];
            (0..tested).for_each(|k| row[k] = sign * self.tested[(n, k)]);
            (tested..all).for_each(|k| row[k] = sign * self.others[(n, k - tested)]);
        }
        columns
    }

    /// A shuffle, ready for [`Block::fit`].
    pub(super) fn shuffled(&self, shuffle: &Shuffle) -> Shuffled {
        let mut robust = self.robust.clone();
        if self.variance == Variance::Robust {
            shuffle.order.iter().enumerate().for_each(|(n, from)| robust[*from] = self.robust[n]);
        }
        Shuffled { columns: self.columns(shuffle), robust }
    }

    /// The values of all subjects at some voxels, subject by subject, with what the other terms explain taken away.
    pub(super) fn block<'a>(&'a self, values: &[f32], count: usize) -> Block<'a> {
        let mut residuals: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        let squares = |of: &[f64]| {
            let mut sum = vec![0.0; count];
            for row in of.chunks_exact(count) {
                sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += v * v);
            }
            sum
        };
        let before = squares(&residuals);
        // Twice, so that a large mean leaves no round-off.
        for _ in 0..2 {
            for q in self.others.column_iter() {
                let mut dot = vec![0.0; count];
                for (row, q) in residuals.chunks_exact(count).zip(q.iter()) {
                    dot.iter_mut().zip(row).for_each(|(dot, v)| *dot += q * v);
                }
                for (row, q) in residuals.chunks_exact_mut(count).zip(q.iter()) {
                    row.iter_mut().zip(&dot).for_each(|(v, dot)| *v -= q * dot);
                }
            }
        }
        let total = squares(&residuals);
        let constant = total.iter().zip(&before).map(|(t, b)| *t <= CONSTANT * CONSTANT * b).collect();
        Block { model: self, residuals, total, constant, count, sums: Vec::new() }
    }
}

/// The bases as residuals meet them under a shuffle.
#[derive(Clone, Debug)]
pub(super) struct Shuffled {
    columns: Vec<f64>,
    robust: Vec<f64>,
}

/// Some voxels, without what the terms that are not tested explain.
#[derive(Debug)]
pub(super) struct Block<'a> {
    model: &'a Model,
    residuals: Vec<f64>,
    total: Vec<f64>,
    constant: Vec<bool>,
    count: usize,
    /// Sums of residuals times columns, column by column; kept from shuffle to shuffle.
    sums: Vec<f64>,
}

impl Block<'_> {
    /// The statistic at each voxel under a shuffle.
    pub(super) fn fit(&mut self, shuffled: &Shuffled, into: &mut [f32]) {
        self.add_up(shuffled);
        for (n, into) in into.iter_mut().enumerate() {
            let (explained, error) = self.squares(shuffled, n);
            *into = self.statistic(n, explained, error);
        }
    }

    /// Statistic, effect and standard error of the data as they are.
    pub(super) fn fit_all(&mut self, shuffled: &Shuffled) -> Fit {
        self.add_up(shuffled);
        let mut fit = Fit::default();
        for n in 0..self.count {
            let (explained, error) = self.squares(shuffled, n);
            fit.statistic.push(self.statistic(n, explained, error));
            let scale = self.model.scale;
            let effect = if self.model.rank() == 1 { self.sums[n] * scale } else { explained.sqrt() };
            let error = if self.model.rank() == 1 { error.sqrt() * scale } else { 0.0 };
            fit.effect.push(single(effect));
            fit.error.push(single(error));
        }
        fit
    }

    fn add_up(&mut self, shuffled: &Shuffled) {
        let (count, all) = (self.count, self.model.rank() + self.model.others.ncols());
        self.sums.clear();
        self.sums.resize(all * count, 0.0);
        for (row, columns) in self.residuals.chunks_exact(count).zip(shuffled.columns.chunks_exact(all)) {
            for (sums, q) in self.sums.chunks_exact_mut(count).zip(columns) {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += q * v);
            }
        }
    }

    /// The sum of squares that is explained, and the variance of the projection on what is tested.
    fn squares(&self, shuffled: &Shuffled, n: usize) -> (f64, f64) {
        let (count, tested) = (self.count, self.model.rank());
        let of = |k: usize| self.sums[k * count + n];
        let explained: f64 = (0..tested).map(|k| of(k) * of(k)).sum();
        if self.model.variance == Variance::Robust {
            let all = self.model.rank() + self.model.others.ncols();
            let rows = self.residuals.chunks_exact(count).zip(shuffled.columns.chunks_exact(all));
            let variance = rows
                .zip(&shuffled.robust)
                .map(|((row, columns), weight)| {
                    let fitted: f64 = columns.iter().enumerate().map(|(k, q)| q * of(k)).sum();
                    weight * (row[n] - fitted).powi(2)
                })
                .sum();
            return (explained, variance);
        }
        let nuisance: f64 = (tested..tested + self.model.others.ncols()).map(|k| of(k) * of(k)).sum();
        let left = self.total[n] - nuisance - explained;
        // A perfect fit leaves round-off alone.
        (explained, left.max(1e-15 * self.total[n]) / self.model.freedom as f64)
    }

    fn statistic(&self, n: usize, explained: f64, error: f64) -> f32 {
        if self.constant[n] || error <= 0.0 {
            return 0.0;
        }
        let rank = self.model.rank();
        single(if rank == 1 { self.sums[n] / error.sqrt() } else { explained / rank as f64 / error })
    }
}

/// An orthonormal basis of what the columns of `q` span beside the columns of `tested`, which lie in it: by Gram and Schmidt, the
/// longest column that is left first.
fn rest_of(mut q: DMatrix<f64>, tested: &DMatrix<f64>) -> DMatrix<f64> {
    let mut basis: Vec<DVector<f64>> = tested.column_iter().map(|column| column.into_owned()).collect();
    let from = basis.len();
    while basis.len() < q.ncols() {
        // Twice, so that round-off of the first time is taken out too.
        for b in basis.iter().chain(&basis) {
            for mut column in q.column_iter_mut() {
                let dot = b.dot(&column);
                column.axpy(-dot, b, 1.0);
            }
        }
        let longest = (0..q.ncols()).max_by(|a, b| q.column(*a).norm().total_cmp(&q.column(*b).norm())).unwrap_or(0);
        basis.push(q.column(longest).normalize());
    }
    DMatrix::from_fn(q.nrows(), basis.len() - from, |r, c| basis[from + c][r])
}

#[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
mod tests {
    use super::*;
    use crate::inference::Shuffle;
    use proptest::prelude::*;

    fn design(columns: &[&[f64]]) -> Design {
        Design::new(columns.iter().enumerate().map(|(n, c)| (n.to_string(), c.to_vec())).collect()).unwrap()
    }

    fn fit(design: &Design, contrast: &Contrast, variance: Variance, values: &[f32], shuffle: &Shuffle) -> Fit {
        let model = Model::new(design, contrast, variance).unwrap();
        let shuffled = model.shuffled(shuffle);
        model.block(values, values.len() / model.subjects()).fit_all(&shuffled)
    }

    #[test]
    fn whether_the_mean_is_taken_away() {
        let (ones, group) = ([1.0; 4], [1.0, 1.0, 0.0, 0.0]);
        let other = group.map(|v| 1.0 - v);
        let explains = |columns: &[&[f64]], weights: &[f64]| {
            Model::new(&design(columns), &Contrast::t("c", weights.to_vec()), Variance::Equal).unwrap().explains_mean()
        };
        assert!(explains(&[&ones, &group], &[0.0, 1.0]));
        assert!(!explains(&[&ones, &group], &[1.0, 0.5]));
        // A column for each group: their difference, their mean, and one of them.
        assert!(explains(&[&group, &other], &[1.0, -1.0]));
        assert!(!explains(&[&group, &other], &[0.5, 0.5]));
        assert!(!explains(&[&group, &other], &[1.0, 0.0]));
        assert!(!explains(&[&ones], &[1.0]));
    }

    #[test]
    fn two_samples_by_hand() {
        // 1, 3 against 2, 4, 9: means 2 and 5, sums of squares 2 and 26, variance 28 / 3; t = -3 / sqrt(28/3 * 5/6).
        let design = design(&[&[1.0; 5], &[1.0, 1.0, 0.0, 0.0, 0.0]]);
        let contrast = Contrast::t("group", vec![0.0, 1.0]);
        let values = [1.0, 3.0, 2.0, 4.0, 9.0];
        let found = fit(&design, &contrast, Variance::Equal, &values, &Shuffle::identity(5));
        let error = (28.0f64 / 3.0 * 5.0 / 6.0).sqrt();
        assert!((f64::from(found.statistic[0]) + 3.0 / error).abs() < 1e-6, "{found:?}");
        assert!((f64::from(found.effect[0]) + 3.0).abs() < 1e-6 && (f64::from(found.error[0]) - error).abs() < 1e-6);
        // F of the same is its square.
        let f = fit(&design, &Contrast::f("f", vec![vec![0.0, 1.0]]), Variance::Equal, &values, &Shuffle::identity(5));
        assert!((f.statistic[0].abs() - found.statistic[0].abs()).abs() < 1e-6);
        // HC3 of two groups: the sum over groups of the squared errors over (n - 1)^2.
        let robust = fit(&design, &contrast, Variance::Robust, &values, &Shuffle::identity(5));
        let error = (2.0f64 / 1.0 + 26.0 / 4.0).sqrt();
        assert!((f64::from(robust.statistic[0]) + 3.0 / error).abs() < 1e-6, "{robust:?} {}", -3.0 / error);
    }

    #[test]
    fn values_that_do_not_vary() {
        let design = design(&[&[1.0; 5], &[1.0, 1.0, 0.0, 0.0, 0.0]]);
        for value in [0.0, 7.25, 1e20] {
            let found =
                fit(&design, &Contrast::t("g", vec![0.0, 1.0]), Variance::Equal, &[value; 5], &Shuffle::identity(5));
            assert_eq!(found.statistic, [0.0], "{value}");
        }
    }

    /// Ordinary least squares by the normal equations, with the residuals of the reduced model shuffled and added again.
    fn slowly(m: &DMatrix<f64>, contrast: &DMatrix<f64>, y: &DVector<f64>, shuffle: &Shuffle) -> f64 {
        let n = m.nrows();
        // The reduced model: all b with c' b = 0, by the null space of the contrast.
        let k = m.ncols();
        let projector = DMatrix::identity(k, k)
            - contrast.transpose() * (contrast * contrast.transpose()).try_inverse().unwrap() * contrast;
        let eigen = nalgebra::SymmetricEigen::new(projector);
        let null: Vec<_> =
            (0..k).filter(|i| eigen.eigenvalues[*i] > 0.5).map(|i| eigen.eigenvectors.column(i).into_owned()).collect();
        let mut fitted = DVector::zeros(n);
        if !null.is_empty() {
            let z = m * DMatrix::from_columns(&null);
            fitted = &z * z.clone().pseudo_inverse(1e-12).unwrap() * y;
        }
        let residual = y - &fitted;
        let shuffled = DVector::from_fn(n, |i, _| shuffle.signs[i] * residual[shuffle.order[i]]) + fitted;
        let inverse = m.clone().pseudo_inverse(1e-12).unwrap();
        let d = &inverse * inverse.transpose();
        let b = &inverse * &shuffled;
        let error = (&shuffled - m * &b).norm_squared() / (n - k) as f64;
        let effect = contrast * &b;
        let inner = (contrast * &d * contrast.transpose()).try_inverse().unwrap();
        let f = (effect.transpose() * inner * &effect)[(0, 0)] / contrast.nrows() as f64 / error;
        if contrast.nrows() == 1 { f.sqrt().copysign(effect[0]) } else { f }
    }

    proptest! {
        #[test]
        fn as_freedman_and_lane_step_by_step(
            seed in 0u64..1000, several in prop::bool::ANY, flips in prop::bool::ANY, plain in prop::bool::ANY,
        ) {
            let mut random = voxplain_core::random::Random::new(seed);
            let n = 12;
            let mut columns: Vec<Vec<f64>> = vec![vec![1.0; n]];
            for k in 0..3 {
                columns.push((0..n).map(|_| random.normal() * 10f64.powi(k) + 3.0).collect());
            }
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let design = design(&columns);
            let rows = match (several, plain) {
                (true, _) => vec![vec![0.0, 1.0, 0.0, 0.0], vec![0.0, 0.0, 1.0, -0.5]],
                (false, true) => vec![vec![0.0, 1.0, 0.0, 0.0]],
                (false, false) => vec![vec![0.3, 1.0, -2.0, 0.1]],
            };
            let contrast = Contrast::f("c", rows.clone());
            let c = DMatrix::from_fn(rows.len(), 4, |r, k| rows[r][k]);
            let mut shuffle = Shuffle { order: random.permutation(n), signs: vec![1.0; n] };
            if flips {
                shuffle.signs.iter_mut().for_each(|s| *s = if random.chance(0.5) { -1.0 } else { 1.0 });
            }
            let voxels = 3;
            let values: Vec<f32> = (0..n * voxels).map(|_| random.normal() as f32 + 100.0).collect();
            let found = fit(&design, &contrast, Variance::Equal, &values, &shuffle);
            for voxel in 0..voxels {
                let y = DVector::from_fn(n, |i, _| f64::from(values[i * voxels + voxel]));
                let slow = slowly(design.matrix(), &c, &y, &shuffle);
                prop_assert!((f64::from(found.statistic[voxel]) - slow).abs() < 1e-4 * (1.0 + slow.abs()), "{} {slow}", found.statistic[voxel]);
            }
        }

        #[test]
        fn robust_as_the_sandwich(seed in 0u64..1000) {
            let mut random = voxplain_core::random::Random::new(seed);
            let n = 14;
            let age: Vec<f64> = (0..n).map(|_| 40.0 + 10.0 * random.normal()).collect();
            let group: Vec<f64> = (0..n).map(|i| f64::from(i % 3 == 0)).collect();
            let design = design(&[&vec![1.0; n], &age, &group]);
            let values: Vec<f32> = (0..n).map(|_| random.normal() as f32).collect();
            let found = fit(&design, &Contrast::t("age", vec![0.0, 1.0, 0.0]), Variance::Robust, &values, &Shuffle::identity(n));
            let m = design.matrix();
            let y = DVector::from_fn(n, |i, _| f64::from(values[i]));
            let d = (m.transpose() * m).try_inverse().unwrap();
            let b = &d * m.transpose() * &y;
            let e = &y - m * &b;
            let hat = m * &d * m.transpose();
            let omega = DMatrix::from_diagonal(&DVector::from_fn(n, |i, _| (e[i] / (1.0 - hat[(i, i)])).powi(2)));
            let variance = &d * m.transpose() * omega * m * &d;
            let slow = b[1] / variance[(1, 1)].sqrt();
            prop_assert!((f64::from(found.statistic[0]) - slow).abs() < 1e-4 * (1.0 + slow.abs()), "{} {slow}", found.statistic[0]);
        }
    }
}
