//! What every figure is drawn with: an SVG document in millimetres, axes, colours, numbers and pixels.

mod axes;
pub(super) mod colour;
mod document;
mod number;
mod pdf;
pub(super) mod pixels;
mod svg;

pub(super) use axes::{Axes, ticks};
pub use document::Figure;
pub(crate) use document::font_faces;
pub(super) use number::{in_tens, signed};
pub(super) use svg::{Anchor, FAINT, GREY, INK, SMALL, Style, Svg, TEXT, TITLE, fit, width_of, wrap};
