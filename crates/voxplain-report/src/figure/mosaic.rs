//! [`Mosaic`]: a signed map over the image in grey, in axial, coronal and sagittal cuts.

use super::{
    brain::{ColourRange, Cut, DARK, LIGHT, Plane, Underlay},
    paper::{
        Anchor, Figure, GREY, INK, SMALL, Style, Svg, TITLE,
        colour::{byte, diverging, over},
        fit, in_tens, pixels, signed, wrap,
    },
};
use voxplain_core::Result;
use voxplain_stats::significant;
use voxplain_volume::Volume;

/// A figure of one map over a brain.
#[derive(Clone, Debug)]
pub struct Mosaic<'a> {
    /// Above the figure.
    pub title: String,
    /// What a value is, beside the colour bar.
    pub units: String,
    /// The brain under it.
    pub underlay: &'a Underlay,
    /// The map.
    pub map: &'a Volume,
    /// Its colours.
    pub range: ColourRange,
    /// Cuts, a row each.
    pub rows: [Vec<Cut>; 3],
    /// Width in mm.
    pub width: f64,
    /// What the coordinates are.
    pub space: String,
}

impl Mosaic<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// A panel cannot be encoded.
    pub fn draw(&self) -> Result<Figure> {
        // Fine enough for print, and no finer than half a voxel: it adds bytes and no detail.
        let step = (self.underlay.finest() / 2.0).clamp(1.0, 2.0);
        let (bar, gap, label) = (16.5, 0.8, 3.4);
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        // Every row is set at one scale, so the widest panel of all decides.
        let size = |plane: Plane| self.underlay.size(plane);
        let widest =
            [Plane::Axial, Plane::Coronal, Plane::Sagittal].map(|p| size(p)[0]).into_iter().fold(1.0, f64::max);
        let cell = (self.width - bar - gap * (columns - 1) as f64) / columns as f64;
        let scale = cell / widest;

        let mut svg = Svg::new(self.width);
        svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), &fit(&self.title, TITLE, self.width - 2.0));
        let mut y = 5.0;
        let top = y;
        for row in &self.rows {
            let Some(first) = row.first() else { continue };
            let [w, h] = size(first.plane).map(|mm| mm * scale);
            for (n, cut) in row.iter().enumerate() {
                let x = n as f64 * (cell + gap) + (cell - w) / 2.0;
                let middle = x + w / 2.0;
                let axis = ["x", "y", "z"][cut.plane.axis()];
                svg.text(
                    middle,
                    y + 2.4,
                    Style::new(SMALL, Anchor::Middle).colour(GREY),
                    &format!("{axis} = {}", signed(&significant(cut.at, 4))),
                );
                if let Some((pixels, [pw, ph])) = self.underlay.paint(*cut, self.map, self.range.max, step) {
                    let bytes = pixels::rgba(&pixels, [pw, ph])?;
                    // Pixels are centred on the lattice of the picture, so it reaches half a pixel over the extent.
                    let half = step * scale / 2.0;
                    let drawn = [pw as f64 * step * scale, ph as f64 * step * scale];
                    svg.image([x - half, y + label - half], drawn, &bytes);
                }
                if cut.plane != Plane::Sagittal {
                    let side = Style::new(SMALL, Anchor::Middle).bold();
                    svg.text(x + 1.2, y + label + 1.9, side, "L");
                    svg.text(x + w - 1.2, y + label + 1.9, side, "R");
                }
            }
            y += h + label + 0.6;
        }
        self.colour_bar(&mut svg, self.width - bar + 3.0, top + label, (y - top - label - 4.0).min(60.0))?;
        y += 2.0;
        let outside = self.underlay.outside(self.map);
        let mut words =
            vec!["Left is left (neurological convention).".to_owned(), format!("{}.", capital(&self.range.words()))];
        if outside >= 0.005 {
            words.push(format!(
                "{} % of |relevance| lies outside the mask and is not drawn.",
                significant(100.0 * outside, 2)
            ));
        }
        words.extend(self.underlay.hatched_in_words());
        for line in wrap(&format!("{} {}", words.join(" "), self.space), SMALL, self.width) {
            svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
            y += 2.8;
        }
        let alt = format!(
            "{}: signed map over the image in grey in {} cuts; orange is above 0, blue is below 0; left is left",
            self.title,
            self.rows.iter().map(Vec::len).sum::<usize>()
        );
        Ok(svg.finish(y - 1.2, alt))
    }

    /// Drawn over the brain's middle grey, as the map is, so that colours can be compared.
    fn colour_bar(&self, svg: &mut Svg, x: f64, y: f64, height: f64) -> Result<()> {
        if self.range.max <= 0.0 {
            return Ok(());
        }
        let (width, steps) = (3.0, 128u16);
        let middle = [byte(f64::midpoint(DARK, LIGHT)); 3];
        let mut pixels = Vec::with_capacity(4 * usize::from(steps));
        for n in 0..steps {
            let (colour, opacity) = diverging(1.0 - 2.0 * (f64::from(n) + 0.5) / f64::from(steps));
            pixels.extend(over(colour, 0.92 * opacity, middle));
            pixels.push(255);
        }
        svg.image([x, y], [width, height], &pixels::rgba(&pixels, [1, usize::from(steps)])?);
        svg.frame([x, y], [width, height], INK, 0.1);
        let (factor, units) = in_tens(self.range.max, &self.units);
        for at in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let place = y + at * height;
            svg.line([x + width, place], [x + width + 0.7, place], INK, 0.15);
            let text = signed(&significant(self.range.max * factor * (1.0 - 2.0 * at), 2));
            svg.text(x + width + 1.1, place + 0.75, Style::new(SMALL, Anchor::Start), &text);
        }
        let middle = y + height / 2.0;
        svg.text(x - 1.1, middle, Style::new(SMALL, Anchor::Middle).upright(), &fit(&units, SMALL, height));
        Ok(())
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
