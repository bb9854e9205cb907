//! Methods that take parts out of the image and look what the score loses.

mod criterion;
mod extremal_perturbation;
mod hinge_loss;
mod meaningful_perturbation;
mod occlusion;
mod optimized_score;
mod region_occlusion;
mod rise;
mod shift;

pub use criterion::RegionCriterion;
pub use extremal_perturbation::{Areas, ExtremalPerturbation};
pub use meaningful_perturbation::{LossTerms, MaskSearch, MeaningfulPerturbation};
pub use occlusion::Occlusion;
pub use optimized_score::OptimizedScore;
pub use region_occlusion::RegionOcclusion;
pub use rise::Rise;
