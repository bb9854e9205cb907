//! [`Baseline`], what stands for "nothing there": in place of a part of the image that is taken out, or of the whole image
//! that the explained one is compared with. [`BaselineOptions`] makes it for a case.

mod filling;
mod harmonic;
mod kind;
mod options;
mod renamed;

pub use filling::Filling;
pub use harmonic::Harmonic;
pub use kind::Baseline;
pub use options::BaselineOptions;
pub(crate) use options::blurred;
pub(crate) use renamed::{rename_in, renamed};
