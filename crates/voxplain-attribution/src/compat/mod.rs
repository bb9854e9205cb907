//! What the code published with Kan et al. 2020 (arXiv 2006.15969) did, for comparison.
//!
//! Its three methods are reproduced here with their flaws, each named in the record, so that maps of the corrected
//! methods can be set beside those of the paper. Written anew from what that code does; nothing else uses this.

pub(crate) mod grad_cam;
pub(crate) mod guided_backprop;
pub(crate) mod meaningful_perturbation;
mod mersenne_twister;
