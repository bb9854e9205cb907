//! Figures: built as SVG, text as text and images embedded, and rasterised to PNG with a font of our own, so that
//! both agree and look the same on every machine.
//!
//! One user unit is one millimetre on paper; type is 7 pt and not smaller than 6 pt at that size. Colours are chosen
//! to be told apart by the colour-blind and, where sign matters, in grey print.

mod bars;
mod chart;
mod colour;
mod contour;
mod curves;
mod faithfulness;
mod gallery;
mod glass;
mod matrix;
mod mosaic;
mod outlined;
mod plot;
mod receiver;
mod reliability;
mod slice;
mod svg;

pub use bars::{Bar, bars};
pub(crate) use colour::ARMS;
pub use colour::{diverging, sequential};
pub use curves::{Curve, learning_curves};
pub use faithfulness::{Fading, FadingPanel, fading_curves};
pub use gallery::{Exhibit, Gallery};
pub use matrix::{Cell, matrix};
pub use mosaic::{Layer, Mosaic, Scale, thumbnail};
pub use outlined::Outlined;
pub use plot::{Colours, Cuts, Display, Plot, Plotted, Threshold};
pub use receiver::{Receiver, receiver};
pub use reliability::{Reliability, reliability};
pub use slice::{Cut, Plane, cuts};

use crate::{Error, Result, atomic_file};
use resvg::{tiny_skia, usvg};
use std::{path::Path, sync::Arc};

/// A finished figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// A whole SVG document, without an XML declaration so that it can also stand in a page.
    pub svg: String,
    /// What it shows, for those who cannot see it.
    pub alt: String,
    /// Width on paper in mm.
    pub width: f64,
}

/// Pixels per inch of PNG files.
const DPI: f32 = 300.0;

impl Figure {
    /// The figure as PNG at 300 dpi on white.
    ///
    /// # Errors
    /// The SVG is not one, or too large to be drawn.
    pub fn png(&self) -> Result<Vec<u8>> {
        let fault =
            |what: String| Error::request(format!("a figure cannot be drawn: {what}"), "this is a fault of voxplain");
        let mut options = usvg::Options { font_family: "Arimo".into(), ..usvg::Options::default() };
        let fonts = Arc::make_mut(&mut options.fontdb);
        fonts.load_font_data(include_bytes!("font/Arimo-Regular.ttf").to_vec());
        fonts.load_font_data(include_bytes!("font/Arimo-Bold.ttf").to_vec());
        fonts.set_sans_serif_family("Arimo");
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(|e| fault(e.to_string()))?;
        let scale = DPI / options.dpi;
        let size =
            tree.size().to_int_size().scale_by(scale).ok_or_else(|| fault(format!("its size is {:?}", tree.size())))?;
        let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
            .ok_or_else(|| fault(format!("its size is {size:?}")))?;
        pixels.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
        let rgb: Vec<u8> = pixels.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        encode(size.width(), size.height(), png::ColorType::Rgb, &rgb).map_err(|e| fault(e.to_string()))
    }

    /// Writes `<stem>.svg` and `<stem>.png`.
    ///
    /// # Errors
    /// [`Figure::png`]; the files cannot be written.
    pub fn write(&self, stem: &Path) -> Result<()> {
        self.write_svg(&stem.with_extension("svg"))?;
        self.write_png(&stem.with_extension("png"))
    }

    /// Writes the SVG.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_svg(&self, path: &Path) -> Result<()> {
        atomic_file::write(path, self.svg.as_bytes())
    }

    /// Writes the PNG.
    ///
    /// # Errors
    /// [`Figure::png`]; the file cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        atomic_file::write(path, &self.png()?)
    }
}

/// PNG bytes of 8-bit pixels, with the resolution of [`DPI`].
fn encode(width: u32, height: u32, colour: png::ColorType, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    encode_with([width, height], colour, &[], pixels)
}

/// [`encode`] with a palette, for [`png::ColorType::Indexed`].
fn encode_with(
    [width, height]: [u32; 2],
    colour: png::ColorType,
    palette: &[u8],
    pixels: &[u8],
) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    if !palette.is_empty() {
        encoder.set_palette(palette);
    }
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    // 300 dpi in pixels per metre.
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: 11_811, yppu: 11_811, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
