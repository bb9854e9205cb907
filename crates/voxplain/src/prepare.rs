//! From images to a cohort.

mod image;
pub(crate) mod intensity;

pub use image::{Prepared, prepare_image};
