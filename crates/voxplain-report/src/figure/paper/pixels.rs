//! PNG files of 8-bit pixels.

use voxplain_core::{Error, Result};

/// Pixels per inch of PNG files.
pub(in crate::figure) const DPI: f32 = 300.0;

/// PNG bytes of pixels, row by row from the top, so many to an inch. `palette` (red, green, blue of each place) belongs to
/// [`png::ColorType::Indexed`] and is empty otherwise.
pub(in crate::figure) fn png(
    [width, height]: [u32; 2],
    colour: png::ColorType,
    palette: &[u8],
    pixels: &[u8],
    dpi: f32,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    if !palette.is_empty() {
        encoder.set_palette(palette);
    }
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "above 0, and a float rounds to what fits"
    )]
    let a_metre = (f64::from(dpi) / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: a_metre, yppu: a_metre, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// PNG bytes of a picture of `width` by `height` pixels: red, green, blue and opacity of each, row by row from the top.
pub(in crate::figure) fn rgba(pixels: &[u8], [width, height]: [usize; 2]) -> Result<Vec<u8>> {
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    png([side(width), side(height)], png::ColorType::Rgba, &[], pixels, DPI).map_err(not_encoded)
}

/// PNG bytes of a picture whose pixels are places in a palette.
pub(in crate::figure) fn indexed(pixels: &[u8], palette: &[u8], [width, height]: [usize; 2]) -> Result<Vec<u8>> {
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    png([side(width), side(height)], png::ColorType::Indexed, palette, pixels, DPI).map_err(not_encoded)
}

fn not_encoded(error: png::EncodingError) -> Error {
    Error::request(format!("a picture cannot be encoded: {error}"), "this is a fault of voxplain")
}
