//! [`Mosaic`]: a signed map over a grey brain, in axial, coronal and sagittal cuts.

use super::{
    Figure, Plane, colour,
    colour::{byte, over},
    encode,
    slice::{Cut, Extent, extent, picture, sample},
    svg::{Anchor, GREY, INK, SMALL, Style, Svg, TITLE, fit, signed},
};
use crate::{Error, Result, stats::significant};
use voxplain_volume::{Mask, Volume, quantiles};

/// The brain under a map.
#[derive(Clone, Debug)]
pub struct Layer {
    brain: Volume,
    cover: Volume,
    extent: Extent,
    /// Intensities shown as darkest and lightest.
    window: [f64; 2],
}

/// The value shown in the strongest colour, the same for both signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The value.
    pub most: f64,
    /// The percentile of |value| inside the brain that it is, if it was found so.
    pub percentile: Option<f64>,
}

/// A figure of one map over a brain.
#[derive(Clone, Debug)]
pub struct Mosaic<'a> {
    /// Above the figure.
    pub title: String,
    /// What a value is, beside the colour bar.
    pub units: String,
    /// The brain.
    pub layer: &'a Layer,
    /// The map.
    pub map: &'a Volume,
    /// Its colours.
    pub scale: Scale,
    /// Cuts, a row each.
    pub rows: [Vec<Cut>; 3],
    /// Width in mm.
    pub width: f64,
    /// What the coordinates are.
    pub space: String,
}

/// Grey of the brain: between these, so that colours stand out on it.
pub(super) const DARK: f64 = 35.0;
pub(super) const LIGHT: f64 = 225.0;

impl Layer {
    /// A brain (the intensities of a prepared volume or a mean of many) with its mask, on one grid.
    ///
    /// # Errors
    /// Different grids; an empty mask.
    pub fn new(brain: Volume, mask: &Mask) -> Result<Self> {
        if !brain.grid().same_space(mask.grid(), 1e-3) {
            return Err(Error::request("brain and mask lie on different grids", "give the mask of this volume"));
        }
        let Some(mut extent) = extent(mask, |m| *m) else {
            return Err(Error::request("the brain mask is empty", "look at the mask with voxplain inspect"));
        };
        let margin = brain.grid().spacing().into_iter().fold(0.0, f64::max);
        extent.iter_mut().for_each(|e| *e = [e[0] - margin, e[1] + margin]);
        let mut values: Vec<f32> = brain.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(v, _)| *v).collect();
        let [low, high] = quantiles(&mut values, [0.01, 0.995]);
        let cover = mask.map(|&m| f32::from(u8::from(m)));
        Ok(Self { brain, cover, extent, window: [low, if high > low { high } else { low + 1.0 }] })
    }

    /// With those intensities as darkest and lightest.
    pub(crate) fn with_window(self, window: [f64; 2]) -> Self {
        Self { window, ..self }
    }

    /// The values of a map inside the brain.
    fn inside(&self, map: &Volume) -> Vec<f32> {
        map.data().iter().zip(self.cover.data()).filter(|(_, c)| **c > 0.5).map(|(v, _)| *v).collect()
    }

    /// How large the brain is seen along a plane, to the right and up, mm.
    pub(super) fn size(&self, plane: Plane) -> [f64; 2] {
        plane.across().map(|axis| self.extent[axis][1] - self.extent[axis][0])
    }

    /// The smallest spacing of its voxels, mm.
    pub(super) fn finest(&self) -> f64 {
        self.brain.grid().spacing().into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Cuts where the map's relevance is inside the brain: see [`super::cuts`].
    pub fn cuts(&self, map: &Volume, count: usize, apart: f64) -> [Vec<Cut>; 3] {
        super::cuts(map, &self.cover, count, apart)
    }

    /// Part of the map's |relevance| that lies outside the brain mask, where figures do not show it.
    pub fn outside(&self, map: &Volume) -> f64 {
        let total: f64 = map.data().iter().map(|v| f64::from(v.abs())).sum();
        let inside: f64 = self.inside(map).iter().map(|v| f64::from(v.abs())).sum();
        if total > 0.0 { (1.0 - inside / total).max(0.0) } else { 0.0 }
    }

    /// The map inside the brain, 0 outside.
    pub(crate) fn covered(&self, map: &Volume) -> Volume {
        let inside = self.cover.data();
        let mut covered = map.clone();
        covered.data_mut().iter_mut().zip(inside).filter(|(_, c)| **c <= 0.5).for_each(|(v, _)| *v = 0.0);
        covered
    }

    /// Whole numbers from 1 to `levels` in the brain, as figures show it from dark to light, and 0 outside.
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of a few digits")]
    pub(crate) fn grey(&self, levels: f32) -> Volume {
        let [low, high] = self.window;
        let mut grey = self.brain.clone();
        for (v, c) in grey.data_mut().iter_mut().zip(self.cover.data()) {
            let t = ((f64::from(*v) - low) / (high - low)).clamp(0.0, 1.0);
            *v = if *c > 0.5 { 1.0 + (t * f64::from(levels - 1.0)).round() as f32 } else { 0.0 };
        }
        grey
    }

    /// Pixels of a cut: the brain in grey, the map over it; red, green, blue and opacity, row by row from the top.
    pub(super) fn paint(&self, cut: Cut, map: &Volume, most: f64, step: f64) -> Option<(Vec<u8>, [usize; 2])> {
        let grid = picture(cut, &self.extent, step)?;
        let (brain, cover) = (sample(&self.brain, &grid, 0.0), sample(&self.cover, &grid, 0.0));
        let values = sample(map, &grid, 0.0);
        let mut pixels = Vec::with_capacity(4 * grid.len());
        for ((b, c), v) in brain.iter().zip(cover).zip(values) {
            let t = ((f64::from(*b) - self.window[0]) / (self.window[1] - self.window[0])).clamp(0.0, 1.0);
            let grey = [byte(DARK + (LIGHT - DARK) * t); 3];
            let (colour, opacity) = if most > 0.0 { colour::diverging(f64::from(v) / most) } else { ([0; 3], 0.0) };
            pixels.extend(over(colour, 0.92 * opacity, grey));
            // A soft edge where the mask ends.
            pixels.push(byte(255.0 * ((f64::from(c) - 0.35) / 0.3).clamp(0.0, 1.0)));
        }
        Some((pixels, [grid.shape[0], grid.shape[1]]))
    }
}

impl Scale {
    /// A range that ends at a percentile of |value| inside the brain, so that a few voxels do not darken all others.
    pub fn percentile(layer: &Layer, map: &Volume, percentile: f64) -> Self {
        let mut values: Vec<f32> = layer.inside(map).iter().map(|v| v.abs()).collect();
        let [at, most] = if values.is_empty() { [0.0; 2] } else { quantiles(&mut values, [percentile / 100.0, 1.0]) };
        // A map that is 0 nearly everywhere has a percentile of 0: its largest value then.
        if at > 0.0 { Self { most: at, percentile: Some(percentile) } } else { Self { most, percentile: Some(100.0) } }
    }

    fn words(self) -> String {
        match self.percentile {
            _ if self.most <= 0.0 => "the map is 0 in the whole brain".into(),
            Some(p) if p >= 100.0 => "range: ± largest |value| in the brain".into(),
            Some(p) => format!("range: ± {} percentile of |value| in the brain", ordinal(p)),
            None => format!("range: ± {}", significant(self.most, 3)),
        }
    }
}

fn ordinal(p: f64) -> String {
    format!("{}th", significant(p, 4))
}

/// A whole number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(super) fn whole(x: f64) -> usize {
    x.clamp(0.0, 1e6) as usize
}

impl Mosaic<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// A panel cannot be encoded.
    pub fn draw(&self) -> Result<Figure> {
        // Fine enough for print, and no finer than half a voxel: it adds bytes and no detail.
        let step = (self.layer.finest() / 2.0).clamp(1.0, 2.0);
        let (bar, gap, label) = (16.5, 0.8, 3.4);
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        // Every row is set at one scale, so the widest panel of all decides.
        let size = |plane: Plane| self.layer.size(plane);
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
                if let Some((pixels, [pw, ph])) = self.layer.paint(*cut, self.map, self.scale.most, step) {
                    let bytes = panel(&pixels, [pw, ph])?;
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
        let outside = self.layer.outside(self.map);
        let mut words =
            vec!["Left is left (neurological convention).".to_owned(), format!("{}.", capital(&self.scale.words()))];
        if outside >= 0.005 {
            words.push(format!(
                "{} % of |relevance| lies outside the brain and is not drawn.",
                significant(100.0 * outside, 2)
            ));
        }
        for line in wrap(&format!("{} {}", words.join(" "), self.space), SMALL, self.width) {
            svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
            y += 2.8;
        }
        let alt = format!(
            "{}: signed map over a grey brain in {} cuts; orange is positive, blue is negative; left is left",
            self.title,
            self.rows.iter().map(Vec::len).sum::<usize>()
        );
        Ok(svg.finish(y - 1.2, alt))
    }

    /// Drawn over the brain's middle grey, as the map is, so that colours can be compared.
    fn colour_bar(&self, svg: &mut Svg, x: f64, y: f64, height: f64) -> Result<()> {
        if self.scale.most <= 0.0 {
            return Ok(());
        }
        let (width, steps) = (3.0, 128u16);
        let middle = [byte(f64::midpoint(DARK, LIGHT)); 3];
        let mut pixels = Vec::with_capacity(4 * usize::from(steps));
        for n in 0..steps {
            let (colour, opacity) = colour::diverging(1.0 - 2.0 * (f64::from(n) + 0.5) / f64::from(steps));
            pixels.extend(over(colour, 0.92 * opacity, middle));
            pixels.push(255);
        }
        svg.image([x, y], [width, height], &panel(&pixels, [1, usize::from(steps)])?);
        svg.frame([x, y], [width, height], INK, 0.1);
        let (factor, units) = in_tens(self.scale.most, &self.units);
        for at in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let place = y + at * height;
            svg.line([x + width, place], [x + width + 0.7, place], INK, 0.15);
            let text = signed(&significant(self.scale.most * factor * (1.0 - 2.0 * at), 2));
            svg.text(x + width + 1.1, place + 0.75, Style::new(SMALL, Anchor::Start), &text);
        }
        let middle = y + height / 2.0;
        svg.text(x - 1.1, middle, Style::new(SMALL, Anchor::Middle).upright(), &fit(&units, SMALL, height));
        Ok(())
    }
}

/// For small and large numbers a factor that makes them readable, and the units with the power of ten that undoes it.
pub(super) fn in_tens(most: f64, units: &str) -> (f64, String) {
    let exponent = most.log10().floor();
    if (-2.0..4.0).contains(&exponent) {
        (1.0, units.to_owned())
    } else {
        (10f64.powf(-exponent), format!("10{} {units}", raised(exponent)).trim_end().to_owned())
    }
}

/// A whole number as superscript.
fn raised(number: f64) -> String {
    format!("{number:.0}")
        .chars()
        .map(|c| match c {
            '-' => '\u{207b}',
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
        })
        .collect()
}

pub(super) fn panel(pixels: &[u8], [width, height]: [usize; 2]) -> Result<Vec<u8>> {
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    encode(side(width), side(height), png::ColorType::Rgba, pixels)
        .map_err(|e| Error::request(format!("a picture cannot be encoded: {e}"), "this is a fault of voxplain"))
}

/// One cut as a small PNG, `step` mm a pixel, to stand in a page among many.
///
/// # Errors
/// It cannot be encoded.
pub fn thumbnail(layer: &Layer, map: &Volume, cut: Cut, scale: Scale, step: f64) -> Result<Vec<u8>> {
    let (pixels, size) = layer
        .paint(cut, map, scale.most, step)
        .ok_or_else(|| Error::request("a picture without pixels", "use a smaller step"))?;
    panel(&pixels, size)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Lines no wider than that.
pub(super) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if super::svg::width_of(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
