//! Volumes of the brain with true geometry: [`Affine`], [`Grid`], [`Volume`], reading and writing
//! NIfTI and MGH, orientation, resampling, filtering, components.
//!
//! # Conventions
//!
//! * Voxel indices are `(i, j, k)`, as NIfTI counts them; arrays are in C order `[i][j][k]`.
//! * World coordinates are RAS+ millimetres: x to the right, y to the front, z up.
//! * An [`Image`] is what a file holds, in the file's own axis order; [`Volume::to_ras`] turns it.

mod affine;
mod alignment;
mod compact;
mod components;
mod dtype;
mod error;
mod filter;
mod findings;
mod grid;
mod header;
mod hemisphere;
mod image;
mod mgh;
mod nifti;
pub mod npy;
mod orientation;
mod resample;
mod source;
mod statistics;
mod volume;

pub use affine::Affine;
pub use alignment::{Alignment, Sizes, align};
pub use compact::{compact, compact_labels, expand};
pub use components::Connectivity;
pub use dtype::Dtype;
pub use error::{Error, Result};
pub use filter::Border;
pub use grid::Grid;
pub use header::Header;
pub use hemisphere::{Hemisphere, SideSource};
pub use image::{Finding, Image, Level, ReadOptions, WriteOptions, read, read_labels, write, write_labels};
pub use orientation::Orientation;
pub use resample::Interpolation;
pub use statistics::{Summary, quantiles};
pub use volume::{Labels, Mask, Volume};
