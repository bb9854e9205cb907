//! [`thumbnail`]: one cut of a map over a brain, small.

use super::{
    brain::{ColourRange, Cut, Underlay},
    paper::pixels,
};
use voxplain_core::{Error, Result};
use voxplain_volume::Volume;

/// One cut as a small PNG, `step` mm a pixel, to stand in a page among many.
///
/// # Errors
/// It cannot be encoded.
pub fn thumbnail(underlay: &Underlay, map: &Volume, cut: Cut, range: ColourRange, step: f64) -> Result<Vec<u8>> {
    let (pixels, size) = underlay
        .paint(cut, map, range.max, step)
        .ok_or_else(|| Error::request("a picture without pixels", "use a smaller step"))?;
    pixels::rgba(&pixels, size)
}
