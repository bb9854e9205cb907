//! Volumes of the brain with true geometry: [`Affine`], [`Grid`], [`Volume`], reading and writing
//! NIfTI and MGH, orientation, resampling, filtering, components.
//!
//! # Conventions
//!
//! * Voxel indices are `(i, j, k)`, as NIfTI counts them; arrays are in C order `[i][j][k]`.
//! * World coordinates are RAS+ millimetres: x to the right, y to the front, z up.
//! * An [`Image`] is what a file holds, in the file's own axis order; [`Volume::to_ras`] turns it.

mod affine;
mod error;
mod finding;
mod format;
mod grid;
mod hemisphere;
mod mask;
mod orientation;
mod spatial;
mod volume;

pub use affine::Affine;
pub use error::{Error, Result};
pub use finding::{Finding, Level};
pub use format::npy;
pub use format::{
    Dtype, Header, IMAGE_ENDINGS, Image, ReadOptions, WriteOptions, compact, compact_labels, expand, image_stem, read,
    read_labels, write, write_labels,
};
pub use grid::Grid;
pub use hemisphere::{Hemisphere, SideSource};
pub use mask::{MaskFile, read_mask};
pub use orientation::Orientation;
pub use spatial::{Alignment, Border, Connectivity, Interpolation, Sizes, Summary, align, quantiles};
pub use volume::{Labels, Mask, Volume};
