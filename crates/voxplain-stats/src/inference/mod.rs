//! Inference on many voxels at once, by permutation.
//!
//! A general linear model is fitted at every voxel of a mask: `y = M b + e`, with one row of the [`Design`] for each subject. A
//! [`Contrast`] asks for a combination of its coefficients, with Student's t, or for several at once, with F. How large the
//! statistic is by chance is found by shuffling: the residuals of the model without the effect are permuted, have their signs flipped,
//! or both (Freedman and Lane 1983; Winkler 2014, `NeuroImage` 92:381), as far as [`Exchange`] says that subjects may be exchanged.
//! The largest statistic of each shuffle corrects for the number of voxels: for single voxels, for threshold-free cluster
//! enhancement ([`Tfce`]), and for the extent and the mass of clusters.
//!
//! Numbers are the same for any number of threads: each voxel is computed by itself, in one order.

mod cluster;
mod correction;
mod design;
mod effect;
mod exchange;
mod lattice;
mod model;
mod permutation;
mod rows;
mod shuffle;
mod tail;
mod tfce;

pub use cluster::{Cluster, Clusters, Peak};
pub use correction::{false_discovery_rate, p_of_maximum};
pub use design::{Contrast, Design};
pub use effect::{EffectSize, hedges_g, partial_r};
pub use exchange::{Blocks, Exchange, Shuffling};
pub use lattice::{Lattice, Neighbours};
pub use model::{Fit, Model, Variance};
pub use permutation::{Counts, Family, Permutation, Sides};
pub use rows::{InMemory, Rows};
pub use shuffle::{Shuffle, Shuffles};
pub use tail::ParetoTail;
pub use tfce::{Tfce, TfceScratch};
