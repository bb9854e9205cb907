//! Methods that take parts out of the image and look what the score loses.

pub(crate) mod extremal_perturbation;
pub(crate) mod meaningful_perturbation;
pub(crate) mod occlusion;
pub(crate) mod probe;
pub(crate) mod region_occlusion;
pub(crate) mod rise;
