//! What the code published with Kan et al. 2020 (arXiv 2006.15969) did, for comparison.
//!
//! Its three methods are reproduced here with their flaws, each named in the record, so that maps of the corrected
//! methods can be set beside those of the paper. Written anew from what that code does; nothing else uses this.

mod grad_cam;
mod guided_backprop;
mod meaningful_perturbation;
mod mersenne_twister;

use crate::Entry;

/// The methods of 2020, under the names of those that correct them.
pub(crate) const METHODS_2020: &[Entry] = &[
    Entry::of::<grad_cam::GradCam2020>(),
    Entry::of::<guided_backprop::GuidedBackprop2020>(),
    Entry::of::<meaningful_perturbation::MeaningfulPerturbation2020>(),
];
