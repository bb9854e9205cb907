//! [`Gallery`]: maps of several methods at the same cuts of one brain.

use super::{
    brain::{ColourRange, Cut, DARK, LIGHT, Plane, Underlay, focus},
    paper::{
        Anchor, Figure, GREY, INK, SMALL, Style, Svg, TEXT, TITLE,
        colour::{byte, diverging, over},
        fit, in_tens, pixels, signed, wrap,
    },
};
use voxplain_core::Result;
use voxplain_stats::significant;
use voxplain_volume::Volume;

/// One map of a gallery.
#[derive(Clone, Debug)]
pub struct GalleryPanel<'a> {
    /// Above it: the method.
    pub name: String,
    /// What a value is.
    pub units: String,
    /// The map, in the world of the gallery's brain.
    pub map: &'a Volume,
    /// Its own range of colours.
    pub range: ColourRange,
}

/// Maps side by side, each in the same three cuts and in a range of colours of its own, which is written above it.
#[derive(Clone, Debug)]
pub struct Gallery<'a> {
    /// Above the figure.
    pub title: String,
    /// The brain under all maps.
    pub underlay: &'a Underlay,
    /// The maps, row by row.
    pub panels: &'a [GalleryPanel<'a>],
    /// Where the three cuts meet, mm.
    pub at: [f64; 3],
    /// Width in mm.
    pub width: f64,
    /// What the coordinates are.
    pub space: String,
}

/// The planes of a panel, from left to right.
const PLANES: [Plane; 3] = [Plane::Axial, Plane::Coronal, Plane::Sagittal];
/// Between panels and between the cuts of one, mm.
const GAP: f64 = 3.0;
const BETWEEN: f64 = 0.6;
/// Room for the name and the range.
const WORDS: f64 = 6.4;

impl Gallery<'_> {
    /// Where the maps together say most, mm: the middle of the largest part in which the sum of their |values|, each over
    /// its own range, is highest (its upper 5 %).
    pub fn focus(underlay: &Underlay, panels: &[GalleryPanel<'_>]) -> [f64; 3] {
        let Some(first) = panels.first() else { return [0.0; 3] };
        let shape = first.map.shape();
        let mut sum = first.map.map(|_| 0.0f32);
        for panel in panels.iter().filter(|e| e.range.max > 0.0 && e.map.shape() == shape) {
            let covered = underlay.covered(panel.map);
            for (sum, v) in sum.data_mut().iter_mut().zip(covered.data()) {
                #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
                let part = (f64::from(v.abs()) / panel.range.max).min(1.0) as f32;
                *sum += part;
            }
        }
        focus(&sum, 0.95)
    }

    /// Draws it.
    ///
    /// # Errors
    /// A panel cannot be encoded.
    pub fn draw(&self) -> Result<Figure> {
        let count = self.panels.len();
        let columns = (1..=4).find(|c| c * c >= count).unwrap_or(4);
        let cell = (self.width - GAP * (columns - 1) as f64) / columns as f64;
        let sizes = PLANES.map(|plane| self.underlay.size(plane));
        let scale = (cell - 2.0 * BETWEEN) / sizes.iter().map(|s| s[0]).sum::<f64>();
        let tall = sizes.iter().map(|s| s[1]).fold(0.0, f64::max) * scale;
        // No finer than printers show at that size (300 dpi) or than half a voxel.
        let step = (25.4 / 300.0 / scale).max(self.underlay.finest() / 2.0).clamp(1.0, 4.0);

        let mut svg = Svg::new(self.width);
        svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), &fit(&self.title, TITLE, self.width - 2.0));
        let top = 6.0;
        for (n, panel) in self.panels.iter().enumerate() {
            let left = (n % columns) as f64 * (cell + GAP);
            let up = top + (n / columns) as f64 * (tall + WORDS + GAP);
            svg.text(left, up + 2.2, Style::new(TEXT, Anchor::Start).bold(), &fit(&panel.name, TEXT, cell));
            let range = fit(&panel.range_in_words(), SMALL, cell);
            svg.text(left, up + 5.0, Style::new(SMALL, Anchor::Start).colour(GREY), &range);
            let mut x = left;
            for (plane, size) in PLANES.into_iter().zip(sizes) {
                let [w, h] = size.map(|mm| mm * scale);
                let y = up + WORDS + (tall - h) / 2.0;
                let cut = Cut { plane, at: self.at[plane.axis()] };
                if let Some((pixels, [pw, ph])) = self.underlay.paint(cut, panel.map, panel.range.max, step) {
                    // Pixels are centred on the lattice of the picture, so it reaches half a pixel over the extent.
                    let half = step * scale / 2.0;
                    let drawn = [pw as f64 * step * scale, ph as f64 * step * scale];
                    svg.image([x - half, y - half], drawn, &pixels::rgba(&pixels, [pw, ph])?);
                }
                if plane != Plane::Sagittal {
                    let side = Style::new(SMALL, Anchor::Middle).bold();
                    svg.text(x + 1.0, y + 1.6, side, "L");
                    svg.text(x + w - 1.0, y + 1.6, side, "R");
                }
                x += w + BETWEEN;
            }
        }
        let rows = count.div_ceil(columns);
        let mut y = top + rows as f64 * (tall + WORDS + GAP) + 0.5;
        self.colour_bar(&mut svg, [0.0, y])?;
        y += 6.4;
        let places =
            PLANES.map(|p| format!("{} = {}", ["x", "y", "z"][p.axis()], signed(&significant(self.at[p.axis()], 4))));
        let words = format!(
            "Left is left (neurological convention). Every map has a range of colours of its own, written above it: compare \
             places, not strengths. Cuts at {}. {} {}",
            places.join(", "),
            self.underlay.hatched_in_words().unwrap_or_default(),
            self.space
        );
        for line in wrap(&words, SMALL, self.width) {
            svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
            y += 2.8;
        }
        let names: Vec<&str> = self.panels.iter().map(|e| e.name.as_str()).collect();
        let alt = format!(
            "{}: signed maps by {} over the same image in grey in an axial, a coronal and a sagittal cut; orange is above 0, \
             blue is below 0; left is left",
            self.title,
            names.join(", ")
        );
        Ok(svg.finish(y - 1.2, alt))
    }

    /// The colours from one end of a range to the other, over the brain's middle grey.
    fn colour_bar(&self, svg: &mut Svg, [x, y]: [f64; 2]) -> Result<()> {
        let steps = 128u16;
        let middle = [byte(f64::midpoint(DARK, LIGHT)); 3];
        let mut pixels = Vec::with_capacity(4 * usize::from(steps));
        for n in 0..steps {
            let (colour, opacity) = diverging(2.0 * (f64::from(n) + 0.5) / f64::from(steps) - 1.0);
            pixels.extend(over(colour, 0.92 * opacity, middle));
            pixels.push(255);
        }
        let length = 40.0f64.min(0.4 * self.width);
        svg.image([x + 14.0, y], [length, 2.4], &pixels::rgba(&pixels, [usize::from(steps), 1])?);
        svg.frame([x + 14.0, y], [length, 2.4], INK, 0.1);
        let style = |anchor| Style::new(SMALL, anchor);
        svg.text(x + 13.0, y + 2.0, style(Anchor::End), "\u{2212} range");
        svg.text(x + 15.0 + length, y + 2.0, style(Anchor::Start), "+ range");
        Ok(())
    }
}

impl GalleryPanel<'_> {
    /// `± 3.1 × 10⁻⁴ logit`.
    fn range_in_words(&self) -> String {
        if self.range.max <= 0.0 {
            return "0 in the whole mask".into();
        }
        let (factor, units) = in_tens(self.range.max, &self.units);
        let times = if factor == 1.0 { "" } else { "\u{d7} " };
        format!("\u{b1} {} {times}{units}", significant(self.range.max * factor, 2)).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::{Affine, Grid, Mask};

    #[test]
    fn ranges_are_written() {
        let map = Volume::filled(Grid::new([1, 1, 1], Affine::IDENTITY).unwrap(), 0.0f32);
        let of = |max: f64, units: &str| {
            let range = ColourRange { max, percentile: None };
            GalleryPanel { name: "m".into(), units: units.into(), map: &map, range }.range_in_words()
        };
        assert_eq!(of(0.5, "logit"), "± 0.5 logit");
        assert_eq!(of(0.000_312, "logit"), "± 3.1 × 10⁻⁴ logit");
        assert_eq!((of(2.0, ""), of(0.0, "logit")), ("± 2".into(), "0 in the whole mask".into()));
    }

    #[test]
    fn it_is_cut_where_the_maps_together_say_most() {
        // Ten voxels of 2 mm a side; one map has a large value at (2, 2, 2), two small ones agree on (7, 6, 5).
        let grid = Grid::new([10, 10, 10], Affine::from_spacing_origin([2.0; 3], [0.0; 3])).unwrap();
        let all = Mask::filled(grid, true);
        let underlay = Underlay::new(Volume::filled(grid, 1.0), &all).unwrap();
        let spot = |at: [usize; 3], value: f32| Volume::from_fn(grid, |v| if v == at { value } else { 0.0 });
        let maps = [spot([2, 2, 2], 1000.0), spot([7, 6, 5], -0.1), spot([7, 6, 5], 0.2)];
        let panels: Vec<GalleryPanel<'_>> = maps
            .iter()
            .map(|map| GalleryPanel {
                name: "m".into(),
                units: String::new(),
                map,
                range: ColourRange::percentile(&underlay, map, 100.0),
            })
            .collect();
        assert_eq!(Gallery::focus(&underlay, &panels), [14.0, 12.0, 10.0]);
        assert_eq!(Gallery::focus(&underlay, &[]), [0.0; 3]);
        let gallery = Gallery {
            title: "<all>".into(),
            underlay: &underlay,
            panels: &panels,
            at: [14.0, 12.0, 10.0],
            width: 120.0,
            space: String::new(),
        };
        let figure = gallery.draw().unwrap();
        // Three maps in three cuts and the colour bar.
        assert_eq!(figure.svg.matches("<image").count(), 3 * 3 + 1);
        assert!(figure.svg.contains("z = 10, y = 12, x = 14") && figure.svg.contains("&lt;all&gt;"));
        assert!(Gallery { panels: &[], ..gallery }.draw().is_ok());
    }
}
