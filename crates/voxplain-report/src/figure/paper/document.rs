//! [`Figure`]: a finished SVG document, and the same as pixels.

use super::{pdf, pixels};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use resvg::{tiny_skia, usvg};
use std::{path::Path, sync::Arc};
use voxplain_core::{Error, Result, atomic_file};

/// The font that texts are placed by.
const REGULAR: &[u8] = include_bytes!("../font/Arimo-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../font/Arimo-Bold.ttf");

/// Rules of CSS that bring the font of figures, so that no text is wider than its place where that font is not installed.
pub(crate) fn font_faces() -> String {
    [face(REGULAR, "normal"), face(BOLD, "bold")].concat()
}

fn face(font: &[u8], weight: &str) -> String {
    format!(
        "@font-face {{ font-family: Arimo; font-weight: {weight}; src: url(\"data:font/ttf;base64,{}\"); }}\n",
        STANDARD.encode(font)
    )
}

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

impl Figure {
    /// The figure as PNG at 300 dpi on white.
    ///
    /// # Errors
    /// The SVG is not one, or too large to be drawn.
    pub fn png(&self) -> Result<Vec<u8>> {
        self.png_at(pixels::DPI)
    }

    /// The figure as PNG on white, with so many pixels to an inch.
    ///
    /// # Errors
    /// The SVG is not one, or too large to be drawn.
    pub fn png_at(&self, dpi: f32) -> Result<Vec<u8>> {
        let (tree, own) = self.tree()?;
        let scale = dpi / own;
        let size =
            tree.size().to_int_size().scale_by(scale).ok_or_else(|| fault(format!("its size is {:?}", tree.size())))?;
        let mut drawn = tiny_skia::Pixmap::new(size.width(), size.height())
            .ok_or_else(|| fault(format!("its size is {size:?}")))?;
        drawn.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut drawn.as_mut());
        let rgb: Vec<u8> = drawn.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
        pixels::png([size.width(), size.height()], png::ColorType::Rgb, &[], &rgb, dpi)
            .map_err(|e| fault(e.to_string()))
    }

    /// The figure as a page of PDF, lines and letters as outlines.
    ///
    /// # Errors
    /// The SVG is not one, or holds what no figure of voxplain does.
    pub fn pdf(&self) -> Result<Vec<u8>> {
        let (tree, dpi) = self.tree()?;
        pdf::pdf(&tree, dpi, &self.alt).map_err(fault)
    }

    /// What the SVG draws, with its font, and units of it to an inch.
    fn tree(&self) -> Result<(usvg::Tree, f32)> {
        let mut options = usvg::Options { font_family: "Arimo".into(), ..usvg::Options::default() };
        let fonts = Arc::make_mut(&mut options.fontdb);
        fonts.load_font_data(REGULAR.to_vec());
        fonts.load_font_data(BOLD.to_vec());
        fonts.set_sans_serif_family("Arimo");
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(|e| fault(e.to_string()))?;
        Ok((tree, options.dpi))
    }

    /// Writes `<stem>.svg` and `<stem>.png`.
    ///
    /// # Errors
    /// [`Figure::png`]; the files cannot be written.
    pub fn write(&self, stem: &Path) -> Result<()> {
        self.write_svg(&stem.with_extension("svg"))?;
        self.write_png(&stem.with_extension("png"))
    }

    /// Writes the SVG, with its font: where a program takes it, texts are as wide as they were measured whatever is installed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_svg(&self, path: &Path) -> Result<()> {
        let bold = if self.svg.contains("font-weight=\"bold\"") { face(BOLD, "bold") } else { String::new() };
        let style = format!("<style>\n{}{bold}</style>\n", face(REGULAR, "normal"));
        let (head, body) = self.svg.split_once('\n').unwrap_or((&self.svg, ""));
        atomic_file::write(path, format!("{head}\n{style}{body}").as_bytes())
    }

    /// Writes the PNG.
    ///
    /// # Errors
    /// [`Figure::png`]; the file cannot be written.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        atomic_file::write(path, &self.png()?)
    }
}

fn fault(what: String) -> Error {
    Error::request(format!("a figure cannot be drawn: {what}"), "this is a fault of voxplain")
}
