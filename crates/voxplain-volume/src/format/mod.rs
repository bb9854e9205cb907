//! Files: what is read, what is written, and what is odd about them.
//!
//! From the bottom up: [`ending`] (names), [`compression`] (gzip), [`dtype`] (numbers), [`header`] (what every format
//! says about itself); [`nifti`] (with Analyze), [`mgh`] and [`npy`], each a format; [`recognise`], the one place that
//! knows them all and tells them apart by content; [`check`] (what is odd); [`image`] and [`write`], which the rest of
//! the world calls; [`compact`] for pages. A file imports from those before it alone.

mod check;
mod compact;
mod compression;
mod dtype;
mod ending;
mod header;
mod image;
mod mgh;
mod nifti;
pub mod npy;
mod recognise;
mod write;

pub use compact::{compact, compact_labels, expand};
pub use dtype::Dtype;
pub use ending::{IMAGE_ENDINGS, image_stem};
pub use header::Header;
pub use image::{Image, ReadOptions, read, read_labels};
pub use write::{WriteOptions, write, write_labels};
