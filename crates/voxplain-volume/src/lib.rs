//! Volumes of the brain with true geometry: [`Affine`], [`Grid`], [`Volume`], reading and writing
//! NIfTI and MGH, orientation, resampling, filtering, components.
//!
//! # Conventions
//!
//! * Voxel indices are `(i, j, k)`, as NIfTI counts them; arrays are in C order `[i][j][k]`.
//! * World coordinates are RAS+ millimetres: x to the right, y to the front, z up.
//! * An [`Image`] is what a file holds, in the file's own axis order; [`Volume::to_ras`] turns it.

mod affine;
mod dtype;
mod error;
mod grid;
mod image;
pub mod npy;
mod source;
mod volume;

pub use affine::Affine;
pub use dtype::Dtype;
pub use error::{Error, Result};
pub use grid::Grid;
pub use image::{Finding, Image, Level, ReadOptions, WriteOptions, read, read_labels, write};
pub use volume::{Labels, Mask, Volume};

// INTERIM CONTRACT (owner: volume): signatures others build on; bodies to be written.
/// How values between voxels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The nearest voxel.
    Nearest,
    /// Trilinear.
    Linear,
    /// Cubic B-spline-free (Catmull-Rom or B-spline: state which).
    Cubic,
}

impl Volume<f32> {
    /// Axes flipped and swapped so that the affine is closest to RAS+; no value is interpolated.
    pub fn to_ras(&self) -> Self {
        todo!()
    }

    /// Values at the voxel centres of `grid`; `outside` where `grid` leaves this volume.
    pub fn resample(&self, _grid: &Grid, _interpolation: Interpolation, _outside: f32) -> Self {
        todo!()
    }

    /// The same, after a Gaussian that suppresses what the coarser grid cannot hold (no-op when not coarser).
    pub fn resample_antialiased(&self, _grid: &Grid, _interpolation: Interpolation, _outside: f32) -> Self {
        todo!()
    }

    /// Gaussian smoothing, standard deviation in mm, separable, per-axis by spacing; border rule stated.
    pub fn smooth(&self, _sigma_mm: f64, _border: Border) -> Self {
        todo!()
    }
}

/// What a filter sees outside the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// The kernel is cut off and renormalised, so that a constant stays constant.
    Renormalize,
    /// Zeros.
    Zero,
    /// The edge value goes on.
    Replicate,
}
