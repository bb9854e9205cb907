//! Images of the brain with true geometry: what a file holds, where it lies, and what can be done with it in space.
//!
//! * [`Volume`]: values on a [`Grid`], which is a shape with an [`Affine`] from voxel indices to world millimetres.
//!   [`Mask`] and [`Labels`] are volumes of `bool` and of `u32`.
//! * [`read`] gives an [`Image`] of a NIfTI, Analyze or MGH file, recognised by content, with [`Finding`]s about what is
//!   odd; [`write()`] writes NIfTI. [`read_labels`] and [`read_mask`] refuse what is no atlas and no mask. [`npy`] reads
//!   and writes NumPy's arrays.
//! * In space: [`Volume::to_ras`], [`Volume::resample`], [`Volume::smooth`], [`Mask::components`], [`align`].
//!
//! # Conventions
//!
//! * Voxel indices are `(i, j, k)`, as NIfTI counts them; arrays are in C order `[i][j][k]`, so that `k` runs fastest.
//! * World coordinates are RAS+ millimetres: x to the right, y to the front, z up.
//! * An [`Image`] is what a file holds, in the file's own axis order; [`Volume::to_ras`] turns it.
//!
//! ```
//! use voxplain_volume::*;
//!
//! // A ball of 40 mm, brighter on the right, stored from right to left as many scanners do.
//! let grid = Grid::new([30, 30, 30], Affine::from_spacing_origin([-4.0, 4.0, 4.0], [58.0, -58.0, -58.0]))?;
//! let ball = Volume::from_fn(grid, |voxel| {
//!     let [x, y, z] = grid.affine.apply(voxel.map(|n| n as f64));
//!     if x * x + y * y + z * z < 1600.0 { if x > 0.0 { 2.0 } else { 1.0 } } else { 0.0 }
//! });
//! let folder = tempfile::tempdir()?;
//! let (file, mask) = (folder.path().join("ball.nii.gz"), folder.path().join("mask.nii.gz"));
//! write(&file, &ball, &WriteOptions::default())?;
//! write(&mask, &ball.map(|v| if *v > 0.0 { 1.0 } else { 0.0 }), &WriteOptions::default())?;
//!
//! let image = read(&file, &ReadOptions::default())?;
//! assert_eq!(image.axis_codes, "LAS");
//! let mask = read_mask(&mask, &MaskOptions::default())?.on(image.volume.grid())?;
//! assert_eq!(image.volume.summary(Some(&mask))?.max, 2.0);
//!
//! // Wherever it is brought, right stays right.
//! let coarse = Grid::new([20, 20, 20], Affine::from_spacing_origin([6.0; 3], [-57.0; 3]))?;
//! let there = image.volume.to_ras().resample(&coarse, Interpolation::Linear, 0.0);
//! let at = coarse.affine.inverse().unwrap().apply([21.0, 3.0, 3.0]).map(|v| v as usize);
//! assert_eq!(there.at(at[0], at[1], at[2]), 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! Files import downwards: the types here at the root; `spatial/`, which knows no files; `format/`, which knows files (its
//! `recognise.rs` is the one place that tells formats apart); and above both the reader of masks.

mod affine;
mod contents;
mod error;
mod finding;
mod format;
mod grid;
mod hemisphere;
mod mask;
mod orientation;
pub mod setting;
mod spatial;
mod volume;

pub use affine::Affine;
pub use contents::{BRAIN_ML, Contents, ContentsKind, is_brain_volume, odd_brain_volume};
pub use error::{Error, Result};
pub use finding::{Finding, Level};
pub use format::npy;
pub use format::{
    Dtype, Header, IMAGE_ENDINGS, Image, ReadOptions, WriteOptions, compact, compact_labels, expand, image_stem, read,
    read_labels, write, write_labels,
};
pub use grid::Grid;
pub use hemisphere::{Hemisphere, SideSource};
pub use mask::{MAX_LEVELS, MaskContent, MaskExtent, MaskFile, MaskOptions, read_mask, read_mask_by_either};
pub use orientation::Orientation;
pub use spatial::{Alignment, Border, Connectivity, Interpolation, Sizes, Summary, align, quantiles};
pub use volume::{Labels, Mask, Volume};
