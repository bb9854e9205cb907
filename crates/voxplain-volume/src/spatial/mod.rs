//! What is done with the values of a volume in space: other orders of the axes, other grids, smoothing, connected parts,
//! alignment with a template, numbers about the values. Knows nothing of files.

mod alignment;
mod components;
mod filter;
mod reorient;
mod resample;
mod share;
mod statistics;

pub use alignment::{Alignment, Sizes, align};
pub use components::Connectivity;
pub use filter::Border;
pub(crate) use reorient::{Line, gather};
pub use resample::Interpolation;
pub use statistics::{Summary, quantiles};
