//! [`Affine`]: from voxel indices to world millimetres.

use serde::{Deserialize, Serialize};

/// A map from voxel index `(i, j, k)` to RAS+ world millimetres `(x, y, z)`.
///
/// Stored as the upper three rows of the 4 x 4 matrix that NIfTI and nibabel use, so that
/// `world = M * (i, j, k, 1)`; the centre of voxel `(0, 0, 0)` is the last column.
/// Composition follows matrices: `(a * b).apply(v) == a.apply(b.apply(v))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Affine([[f64; 4]; 3]);

impl Affine {
    /// Voxel index equals millimetres.
    pub const IDENTITY: Self = Self([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);

    /// From the upper three rows of the 4 x 4 matrix.
    pub const fn from_rows(rows: [[f64; 4]; 3]) -> Self {
        Self(rows)
    }

    /// Axes along the world's, `spacing` millimetres a voxel, voxel `(0, 0, 0)` at `origin`.
    pub const fn from_spacing_origin(spacing: [f64; 3], origin: [f64; 3]) -> Self {
        Self([[spacing[0], 0.0, 0.0, origin[0]], [0.0, spacing[1], 0.0, origin[1]], [0.0, 0.0, spacing[2], origin[2]]])
    }

    /// The upper three rows of the 4 x 4 matrix.
    pub const fn rows(&self) -> &[[f64; 4]; 3] {
        &self.0
    }

    /// World position (mm) of a voxel index, which need not be whole.
    pub fn apply(&self, v: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| {
            let m = &self.0[r];
            m[0] * v[0] + m[1] * v[1] + m[2] * v[2] + m[3]
        })
    }

    /// World displacement (mm) of a displacement in voxels: the linear part alone.
    pub fn apply_linear(&self, v: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| {
            let m = &self.0[r];
            m[0] * v[0] + m[1] * v[1] + m[2] * v[2]
        })
    }

    /// World position of voxel `(0, 0, 0)`, in mm.
    pub const fn origin(&self) -> [f64; 3] {
        [self.0[0][3], self.0[1][3], self.0[2][3]]
    }

    /// Distance in mm between neighbouring voxels along each array axis.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|c| (0..3).map(|r| self.0[r][c].powi(2)).sum::<f64>().sqrt())
    }

    /// Determinant of the linear part: signed volume of one voxel in mm³ (negative: left-handed axes).
    pub fn determinant(&self) -> f64 {
        let m = &self.0;
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    }

    /// World mm to voxel index; `None` where the matrix is singular or not finite.
    pub fn inverse(&self) -> Option<Self> {
        let m = &self.0;
        let det = self.determinant();
        let scale: f64 = self.spacing().iter().product();
        if !self.is_finite() || !det.is_finite() || !scale.is_finite() || det.abs() <= scale * 1e-12 {
            return None;
        }
        let minor = |r0: usize, c0: usize, r1: usize, c1: usize| m[r0][c0] * m[r1][c1] - m[r0][c1] * m[r1][c0];
        let lin = [
            [minor(1, 1, 2, 2) / det, -minor(0, 1, 2, 2) / det, minor(0, 1, 1, 2) / det],
            [-minor(1, 0, 2, 2) / det, minor(0, 0, 2, 2) / det, -minor(0, 0, 1, 2) / det],
            [minor(1, 0, 2, 1) / det, -minor(0, 0, 2, 1) / det, minor(0, 0, 1, 1) / det],
        ];
        Some(Self(std::array::from_fn(|r| {
            let l = lin[r];
            let shift = -(0..3).map(|c| l[c] * m[c][3]).sum::<f64>();
            [l[0], l[1], l[2], shift]
        })))
    }

    /// Whether every entry is within `tolerance` (in the entry's own unit) of `other`'s.
    pub fn approx_eq(&self, other: &Self, tolerance: f64) -> bool {
        self.0.iter().flatten().zip(other.0.iter().flatten()).all(|(a, b)| (a - b).abs() <= tolerance)
    }

    /// Whether every entry is a finite number.
    pub fn is_finite(&self) -> bool {
        self.0.iter().flatten().all(|v| v.is_finite())
    }
}

impl std::ops::Mul for Affine {
    type Output = Self;

    fn mul(self, b: Self) -> Self {
        Self(std::array::from_fn(|r| {
            std::array::from_fn(|c| {
                let last = if c == 3 { self.0[r][3] } else { 0.0 };
                (0..3).map(|k| self.0[r][k] * b.0[k][c]).sum::<f64>() + last
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inverse_by_hand() {
        let a = Affine::from_spacing_origin([2.0, 4.0, -8.0], [10.0, 20.0, 40.0]);
        let inv = a.inverse().unwrap();
        assert_eq!(inv, Affine::from_spacing_origin([0.5, 0.25, -0.125], [-5.0, -5.0, 5.0]));
        assert_eq!(a.apply([1.0, 2.0, 3.0]), [12.0, 28.0, 16.0]);
        assert_eq!(a.determinant(), -64.0);
        assert!(Affine::from_spacing_origin([1.0, 0.0, 1.0], [0.0; 3]).inverse().is_none());
    }

    fn affine() -> impl Strategy<Value = Affine> {
        prop::array::uniform3(prop::array::uniform4(-5.0f64..5.0)).prop_map(Affine::from_rows)
    }

    proptest! {
        #[test]
        fn inverse_undoes(a in affine(), v in prop::array::uniform3(-100.0f64..100.0)) {
            if a.determinant().abs() > 0.1 {
                let back = a.inverse().unwrap().apply(a.apply(v));
                for (b, v) in back.iter().zip(v) {
                    prop_assert!((b - v).abs() < 1e-6, "{b} {v}");
                }
            }
        }

        #[test]
        fn product_applies_right_first(a in affine(), b in affine(), v in prop::array::uniform3(-10.0f64..10.0)) {
            let (one, two) = ((a * b).apply(v), a.apply(b.apply(v)));
            for (x, y) in one.iter().zip(two) {
                prop_assert!((x - y).abs() < 1e-8);
            }
        }
    }
}
