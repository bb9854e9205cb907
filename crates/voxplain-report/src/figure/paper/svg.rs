//! [`Svg`]: an SVG document being written. One unit is a millimetre.

use super::document::Figure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt::Write as _;
use voxplain_core::visible;

/// Type sizes in mm: 7 pt for text, 6 pt for numbers on axes, 8 pt for titles.
pub(in crate::figure) const TEXT: f64 = 2.47;
pub(in crate::figure) const SMALL: f64 = 2.12;
pub(in crate::figure) const TITLE: f64 = 2.82;
/// Black as it is printed; lines and second thoughts in grey.
pub(in crate::figure) const INK: &str = "#1a1a1a";
pub(in crate::figure) const GREY: &str = "#6b6b6b";
pub(in crate::figure) const FAINT: &str = "#d9d9d9";

/// Where a text is held.
#[derive(Clone, Copy, Debug)]
pub(in crate::figure) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(in crate::figure) struct Style {
    pub(in crate::figure) size: f64,
    pub(in crate::figure) bold: bool,
    pub(in crate::figure) colour: &'static str,
    pub(in crate::figure) anchor: Anchor,
    /// Turned a quarter to the left.
    pub(in crate::figure) upright: bool,
}

impl Style {
    pub(in crate::figure) const fn new(size: f64, anchor: Anchor) -> Self {
        Self { size, bold: false, colour: INK, anchor, upright: false }
    }

    pub(in crate::figure) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(in crate::figure) const fn colour(self, colour: &'static str) -> Self {
        Self { colour, ..self }
    }

    pub(in crate::figure) const fn upright(self) -> Self {
        Self { upright: true, ..self }
    }
}

/// Fonts whose letters are as wide as those of Arimo, by which texts are placed: of these one is nearly everywhere. The last two are
/// about as wide.
const FONTS: &str = "Arimo, 'Liberation Sans', Arial, Helvetica, 'Nimbus Sans', 'Nimbus Sans L', 'TeX Gyre Heros', FreeSans, Roboto, \
                     sans-serif";

pub(in crate::figure) struct Svg {
    width: f64,
    body: String,
}

/// A length with two decimals and no `-0`.
fn n(x: f64) -> String {
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" || text.is_empty() { "0".into() } else { text.into() }
}

/// Text that means itself, in an element or an attribute, all characters of it visible. Those that XML forbids besides become U+FFFD.
pub(in crate::figure) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Svg {
    pub(in crate::figure) const fn new(width: f64) -> Self {
        Self { width, body: String::new() }
    }

    pub(in crate::figure) fn text(&mut self, x: f64, y: f64, style: Style, text: &str) {
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
        let turn = if style.upright { format!(" transform=\"rotate(-90 {} {})\"", n(x), n(y)) } else { String::new() };
        let _ = writeln!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{anchor}\"{weight}{turn}>{}</text>",
            n(x),
            n(y),
            n(style.size),
            style.colour,
            escape(text)
        );
    }

    pub(in crate::figure) fn line(&mut self, from: [f64; 2], to: [f64; 2], colour: &str, width: f64) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"{}\"/>",
            n(from[0]),
            n(from[1]),
            n(to[0]),
            n(to[1]),
            n(width)
        );
    }

    pub(in crate::figure) fn dashed(&mut self, from: [f64; 2], to: [f64; 2], colour: &str, width: f64) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-dasharray=\"0.8 0.8\"/>",
            n(from[0]),
            n(from[1]),
            n(to[0]),
            n(to[1]),
            n(width)
        );
    }

    pub(in crate::figure) fn path(&mut self, points: &[[f64; 2]], colour: &str, width: f64, opacity: f64) {
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-opacity=\"{}\" \
             stroke-linejoin=\"round\"/>",
            list(points),
            n(width),
            n(opacity)
        );
    }

    pub(in crate::figure) fn dashed_path(&mut self, points: &[[f64; 2]], colour: &str, width: f64) {
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-dasharray=\"0.8 0.8\" \
             stroke-linejoin=\"round\"/>",
            list(points),
            n(width)
        );
    }

    pub(in crate::figure) fn area(&mut self, points: &[[f64; 2]], colour: &str, opacity: f64) {
        let _ = writeln!(
            self.body,
            "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"{}\"/>",
            list(points),
            n(opacity)
        );
    }

    pub(in crate::figure) fn rect(&mut self, at: [f64; 2], size: [f64; 2], fill: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
            n(at[0]),
            n(at[1]),
            n(size[0]),
            n(size[1])
        );
    }

    pub(in crate::figure) fn frame(&mut self, at: [f64; 2], size: [f64; 2], colour: &str, width: f64) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\"/>",
            n(at[0]),
            n(at[1]),
            n(size[0]),
            n(size[1]),
            n(width)
        );
    }

    pub(in crate::figure) fn dot(&mut self, at: [f64; 2], radius: f64, fill: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"/>",
            n(at[0]),
            n(at[1]),
            n(radius)
        );
    }

    /// An image, stretched to the rectangle.
    pub(in crate::figure) fn image(&mut self, at: [f64; 2], size: [f64; 2], png: &[u8]) {
        let _ = writeln!(
            self.body,
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{}\"/>",
            n(at[0]),
            n(at[1]),
            n(size[0]),
            n(size[1]),
            STANDARD.encode(png)
        );
    }

    /// Many lines that need not meet.
    pub(in crate::figure) fn segments(&mut self, lines: &[[[f64; 2]; 2]], colour: &str, width: f64) {
        let path: String =
            lines.iter().map(|[a, b]| format!("M{} {}L{} {}", n(a[0]), n(a[1]), n(b[0]), n(b[1]))).collect();
        let _ = writeln!(
            self.body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-linecap=\"round\"/>",
            n(width)
        );
    }

    /// The document, as high as given.
    pub(in crate::figure) fn finish(self, height: f64, alt: String) -> Figure {
        self.finish_on(height, alt, None)
    }

    /// The document on a colour.
    pub(in crate::figure) fn finish_on(self, height: f64, alt: String, paper: Option<&str>) -> Figure {
        let (w, h) = (n(self.width), n(height));
        let paper = paper.map_or_else(String::new, |colour| {
            format!("<rect x=\"0\" y=\"0\" width=\"{w}\" height=\"{h}\" fill=\"{colour}\"/>\n")
        });
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}mm\" height=\"{h}mm\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"{FONTS}\">\n{paper}{}</svg>\n",
            escape(&alt),
            self.body
        );
        Figure { svg, alt, width: self.width }
    }
}

fn list(points: &[[f64; 2]]) -> String {
    points.iter().map(|p| format!("{},{}", n(p[0]), n(p[1]))).collect::<Vec<_>>().join(" ")
}

/// About how wide a text is set in Arimo: mean advances of its classes of letters.
pub(in crate::figure) fn width_of(text: &str, size: f64) -> f64 {
    let em: f64 =
        text.chars()
            .map(|c| match c {
                'i' | 'j' | 'l' | '.' | ',' | '\'' | '|' | ':' | ';' | ' ' | '!' | 'I' | 't' | 'f' | '/' | '['
                | ']' => 0.28,
                'm' | 'w' | 'M' | 'W' | '%' | '@' | '\u{2212}' => 0.8,
                c if c.is_ascii_uppercase() => 0.69,
                _ => 0.556,
            })
            .sum();
    em * size
}

/// The text, cut with an ellipsis where it would be wider than allowed.
pub(in crate::figure) fn fit(text: &str, size: f64, width: f64) -> String {
    if width_of(text, size) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if width_of(&cut, size) + size > width {
            break;
        }
    }
    format!("{}\u{2026}", cut.trim_end())
}

/// Lines no wider than that.
pub(in crate::figure) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width_of(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
