//! What stands where a part of the image was taken out, and what an image is compared with.

pub(crate) mod harmonic;
pub(crate) mod infill;
pub(crate) mod reference;
