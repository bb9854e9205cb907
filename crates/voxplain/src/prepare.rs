//! From images to a cohort.

pub(crate) mod intensity;
