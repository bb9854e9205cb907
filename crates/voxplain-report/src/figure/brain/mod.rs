//! A brain to draw on: planes through it, what lies under a map, projections and contours.

mod contour;
mod glass;
mod range;
mod slice;
mod underlay;

pub(super) use contour::{around, contour};
pub(super) use glass::{lattice, onto, projection};
pub use range::ColourRange;
pub use slice::{Cut, Plane, cuts};
pub(super) use slice::{Extent, extent, field_of_view, focus, picture, sample, sampled};
pub use underlay::Underlay;
pub(super) use underlay::{DARK, LIGHT};
