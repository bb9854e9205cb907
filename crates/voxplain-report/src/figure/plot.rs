//! [`Plot`]: one map over one brain for a paper or a look, with the names and habits of nilearn's `plot_stat_map` and
//! `plot_glass_brain`.

use super::{
    brain::{Cut, Extent, Plane, contour, cuts, extent, focus, lattice, onto, picture, projection, sample},
    paper::{
        Anchor, Figure, GREY, INK, SMALL, Style, Svg, TITLE,
        colour::{ARMS, LINES, Rgb, along, byte, over},
        fit, in_tens, pixels, signed,
    },
};
use crate::setting::{CUTS, DISPLAY_MODE};
use voxplain_core::{Error, Result, remedy};
use voxplain_stats::significant;
use voxplain_volume::{Volume, quantiles};

/// What is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Display {
    /// Three cuts through one point.
    #[default]
    Ortho,
    /// Sagittal cuts in a row.
    X,
    /// Coronal cuts in a row.
    Y,
    /// Axial cuts in a row.
    Z,
    /// Rows of axial, coronal and sagittal cuts.
    Mosaic,
    /// Projections of the whole brain: along every line the value furthest from 0.
    Glass,
}

/// Where to cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cuts {
    /// Where relevance is: see [`super::cuts`]; for [`Display::Ortho`] the middle (of |value|) of the largest connected part
    /// of the values from their 80th percentile on, as nilearn's `find_xyz_cut_coords` does.
    #[default]
    Auto,
    /// So many, where relevance is.
    Count(usize),
    /// At these mm: `x, y, z` for [`Display::Ortho`], places along the axis otherwise.
    At(Vec<f64>),
}

/// From which |value| on a map is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Threshold {
    /// Everything but 0, nilearn's default.
    #[default]
    None,
    /// That value.
    Value(f64),
    /// A percentile of |value|, over values other than 0. nilearn's `auto` is the 80th.
    Percentile(f64),
}

/// Colours of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// Blue below 0, orange above: told apart by the colour-blind and in grey print.
    #[default]
    OrangeBlue,
    /// From dark blue over cyan to white below 0, from dark red over yellow to white above: nilearn's `cold_hot` in kind.
    ColdHot,
}

/// One map over one brain.
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    /// The map.
    pub map: &'a Volume,
    /// What it is drawn over, on any grid of the same world.
    pub background: Option<&'a Volume>,
    /// Names and maps whose contours at the threshold (without one, at half of their largest value) are drawn on top, for
    /// values above 0.
    pub contours: &'a [(String, Volume)],
    /// What is drawn.
    pub display: Display,
    /// Where to cut.
    pub cuts: Cuts,
    /// From which |value| on.
    pub threshold: Threshold,
    /// The value at the end of the range of colours; without one the largest |value|.
    pub vmax: Option<f64>,
    /// Colours.
    pub colours: Colours,
    /// Coordinates, L and R.
    pub annotate: bool,
    /// A cross at the point of [`Display::Ortho`].
    pub draw_cross: bool,
    /// On black.
    pub black_bg: bool,
    /// Above the figure.
    pub title: String,
    /// Beside the colour bar.
    pub units: String,
    /// Width on paper, mm.
    pub width: f64,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Plotted {
    /// Cuts, mm: `x`, `y` or `z` and where.
    pub cuts: Vec<(String, f64)>,
    /// From which |value| on.
    pub threshold: f64,
    /// The value at the end of the range of colours.
    pub vmax: f64,
}

/// Grey of the background, between these so that colours stand out on it.
const DARK: f64 = 20.0;
const LIGHT: f64 = 235.0;
/// Cuts in a row where nothing else is said.
const COUNT: usize = 7;

impl Colours {
    /// The colour at `t` from -1 to 1.
    fn at(self, t: f64) -> Rgb {
        const COLD: [Rgb; 4] = [[0, 0, 60], [0, 60, 255], [0, 220, 255], [240, 255, 255]];
        const HOT: [Rgb; 4] = [[60, 0, 0], [255, 40, 0], [255, 210, 0], [255, 255, 240]];
        let side = usize::from(t >= 0.0);
        match self {
            Self::OrangeBlue => along(&ARMS[side], t.abs().min(1.0)),
            Self::ColdHot => along([&COLD, &HOT][side], t.abs().min(1.0)),
        }
    }
}

/// One panel: what is seen, and how large, in mm of the brain.
struct Panel {
    cut: Cut,
    size: [f64; 2],
    pixels: Vec<u8>,
    shape: [usize; 2],
    outlines: Vec<Outline>,
}

/// A line in a panel.
struct Outline {
    colour: &'static str,
    /// On paper, mm.
    width: f64,
    /// In pixels.
    segments: Vec<[[f64; 2]; 2]>,
}

impl Plot<'_> {
    /// Draws it, and says what was drawn.
    ///
    /// # Errors
    /// Values that are no numbers; a threshold, range or place that makes no sense; nothing to draw on.
    pub fn draw(&self) -> Result<(Figure, Plotted)> {
        for (name, volume) in [("the map", Some(self.map)), ("the background", self.background)]
            .into_iter()
            .chain(self.contours.iter().map(|(n, v)| (n.as_str(), Some(v))))
        {
            if let Some(value) = volume.and_then(|v| v.data().iter().find(|x| !x.is_finite())) {
                return Err(Error::request(format!("{name} holds the value {value}"), "give an image of numbers only"));
            }
        }
        let largest = self.map.data().iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        let max = self.vmax.unwrap_or(largest);
        if !(max >= 0.0 && max.is_finite()) {
            return Err(Error::request(format!("colours cannot end at {max}"), "give a value above 0"));
        }
        let threshold = self.level(self.map)?;
        let there = |v: &f32| *v != 0.0;
        let extent =
            self.background.and_then(|b| extent(b, there)).or_else(|| extent(self.map, |_| true)).ok_or_else(|| {
                Error::request("there is nothing to draw on", "give a background with values other than 0")
            })?;
        let places = self.places(threshold)?;
        let finest = self.background.unwrap_or(self.map).grid().spacing().into_iter().fold(f64::INFINITY, f64::min);
        let step = (finest / 2.0).clamp(0.5, 1.5);
        let ink = Ink { map: self, threshold, max, window: self.window() };
        let rows = places
            .iter()
            .map(|row| row.iter().map(|cut| ink.panel(*cut, &extent, step)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        let plotted = Plotted {
            cuts: if self.display == Display::Glass {
                Vec::new()
            } else {
                places.iter().flatten().map(|c| (axis(c.plane).to_owned(), c.at)).collect()
            },
            threshold,
            vmax: max,
        };
        Ok((self.compose(&rows, &places, threshold, max)?, plotted))
    }

    /// The |value| from which on a map is shown.
    fn level(&self, map: &Volume) -> Result<f64> {
        let bad = |what: String| Error::request(what, "give a |value|, or a percentile from 0 to 100 such as 95%");
        match self.threshold {
            Threshold::None => Ok(0.0),
            Threshold::Value(v) if v >= 0.0 && v.is_finite() => Ok(v),
            Threshold::Value(v) => Err(bad(format!("a map cannot be shown from |value| {v} on"))),
            Threshold::Percentile(p) if (0.0..=100.0).contains(&p) => {
                let mut sizes: Vec<f32> = map.data().iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
                let [at] = quantiles(&mut sizes, [p / 100.0]);
                Ok(if at.is_finite() { at } else { 0.0 })
            }
            Threshold::Percentile(p) => Err(bad(format!("there is no {p}th percentile"))),
        }
    }

    /// Intensities of the background shown as darkest and lightest: the 1st and 99.5th percentile of those other than 0.
    fn window(&self) -> [f64; 2] {
        let Some(background) = self.background else { return [0.0, 1.0] };
        let mut values: Vec<f32> = background.data().iter().copied().filter(|v| *v != 0.0).collect();
        let [low, high] = quantiles(&mut values, [0.01, 0.995]);
        if high > low { [low, high] } else { [0.0, 1.0] }
    }

    /// The cuts, row by row; for the glass brain only which way.
    fn places(&self, threshold: f64) -> Result<Vec<Vec<Cut>>> {
        let rows = |count: usize| {
            let within = self.map.map(|v| if v.abs() as f64 >= threshold { 1.0 } else { 0.0 });
            cuts(self.map, &within, count, 6.0)
        };
        let order = [Plane::Coronal, Plane::Sagittal, Plane::Axial];
        let one = |plane: Plane| {
            let [z, y, x] = match self.cuts {
                Cuts::At(_) => Default::default(),
                Cuts::Count(n) => rows(n.clamp(1, 20)),
                Cuts::Auto => rows(COUNT),
            };
            match &self.cuts {
                Cuts::At(places) => places.iter().map(|at| Cut { plane, at: *at }).collect(),
                _ => [x, y, z][plane.axis()].clone(),
            }
        };
        if let Cuts::At(places) = &self.cuts
            && let Some(odd) = places.iter().find(|p| !p.is_finite())
        {
            return Err(Error::request(format!("there is no cut at {odd} mm"), "give coordinates in mm"));
        }
        Ok(match self.display {
            Display::X => vec![one(Plane::Sagittal)],
            Display::Y => vec![one(Plane::Coronal)],
            Display::Z => vec![one(Plane::Axial)],
            Display::Mosaic => match &self.cuts {
                Cuts::At(_) => {
                    return Err(Error::request(
                        "a mosaic's cuts are along three axes, so that one list of places does not say where",
                        remedy!["give how many (", CUTS.to(5), "), or choose ", DISPLAY_MODE.to("x"), ", y or z"],
                    ));
                }
                Cuts::Count(n) => rows((*n).clamp(1, 20)).to_vec(),
                Cuts::Auto => rows(COUNT).to_vec(),
            },
            Display::Glass => vec![order.map(|plane| Cut { plane, at: 0.0 }).to_vec()],
            Display::Ortho => {
                let at = match &self.cuts {
                    Cuts::At(at) => <[f64; 3]>::try_from(at.clone()).map_err(|at| {
                        Error::request(
                            format!("{} coordinates for three cuts", at.len()),
                            remedy!["give x,y,z in mm: ", CUTS.to("24,-20,10")],
                        )
                    })?,
                    Cuts::Count(_) => {
                        return Err(Error::request(
                            "three cuts through one point are always three",
                            remedy![
                                "give the point (",
                                CUTS.to("24,-20,10"),
                                "), or choose ",
                                DISPLAY_MODE.to("x"),
                                ", y, z or mosaic"
                            ],
                        ));
                    }
                    Cuts::Auto => focus(self.map, 0.8),
                };
                vec![order.map(|plane| Cut { plane, at: at[plane.axis()] }).to_vec()]
            }
        })
    }

    fn compose(&self, rows: &[Vec<Panel>], places: &[Vec<Cut>], threshold: f64, max: f64) -> Result<Figure> {
        let ink = if self.black_bg { "#f0f0f0" } else { INK };
        let soft = if self.black_bg { "#b5b5b5" } else { GREY };
        // The bar, with room for numbers such as −0.0051.
        let (bar, gap) = (if max > 0.0 { 17.0 } else { 0.0 }, 1.0);
        let widest = rows.iter().map(|r| r.iter().map(|p| p.size[0]).sum::<f64>()).fold(1.0, f64::max);
        let most_panels = rows.iter().map(Vec::len).max().unwrap_or(1);
        // Mm of paper for a mm of brain, the same in all panels.
        let scale = ((self.width - bar - 2.0 - gap * (most_panels.max(1) - 1) as f64) / widest).min(1.2);
        let mut svg = Svg::new(self.width);
        let mut y = 1.0;
        if !self.title.is_empty() {
            let style = Style::new(TITLE, Anchor::Start).bold().colour(ink);
            svg.text(1.0, 3.4, style, &fit(&self.title, TITLE, self.width - 2.0));
            y = 5.2;
        }
        let top = y;
        for row in rows {
            let tall = row.iter().map(|p| p.size[1]).fold(0.0, f64::max) * scale;
            let mut x = 1.0;
            for panel in row {
                let [w, h] = panel.size.map(|s| s * scale);
                let (left, up) = (x, y + (tall - h) / 2.0);
                let pixel = [w / panel.shape[0] as f64, h / panel.shape[1] as f64];
                svg.image([left, up], [w, h], &pixels::rgba(&panel.pixels, panel.shape)?);
                for Outline { colour, width, segments } in &panel.outlines {
                    let place = |p: &[f64; 2]| [left + (p[0] + 0.5) * pixel[0], up + (p[1] + 0.5) * pixel[1]];
                    let lines: Vec<_> = segments.iter().map(|s| [place(&s[0]), place(&s[1])]).collect();
                    svg.segments(&lines, colour, *width);
                }
                if self.draw_cross && self.display == Display::Ortho {
                    self.cross(&mut svg, panel, &places[0], ([left, up], scale));
                }
                if self.annotate {
                    self.words(&mut svg, panel, [left, up, w, h], ink);
                }
                x += w + gap;
            }
            y += tall + if self.annotate { 3.6 } else { 1.0 };
        }
        if max > 0.0 {
            self.bar(
                &mut svg,
                [self.width - bar + 4.0, top + 1.0, (y - top - 5.0).clamp(8.0, 45.0)],
                (threshold, max),
                ink,
            )?;
        }
        for (n, (name, _)) in self.contours.iter().enumerate() {
            svg.line([1.0, y + 1.2], [5.0, y + 1.2], LINES[n % LINES.len()], 0.5);
            svg.text(6.0, y + 2.0, Style::new(SMALL, Anchor::Start).colour(ink), &fit(name, SMALL, self.width - 8.0));
            y += 3.0;
        }
        if self.annotate {
            svg.text(1.0, y + 2.0, Style::new(SMALL, Anchor::Start).colour(soft), "Left is left. Coordinates in mm.");
            y += 3.2;
        }
        let what = match self.display {
            Display::Glass => "projections of the value furthest from 0 onto a glass brain".to_owned(),
            _ => format!(
                "cuts at {}",
                places.iter().flatten().map(|c| format!("{} = {}", axis(c.plane), c.at)).collect::<Vec<_>>().join(", ")
            ),
        };
        let named = if self.title.is_empty() { "A signed map" } else { &self.title };
        let figure =
            svg.finish_on(y + 0.6, format!("{named}: {what}; left is left"), self.black_bg.then_some("#000000"));
        Ok(figure)
    }

    /// Lines at the other two cuts.
    fn cross(&self, svg: &mut Svg, panel: &Panel, cuts: &[Cut], ([left, up], scale): ([f64; 2], f64)) {
        let [w, h] = panel.size.map(|s| s * scale);
        let colour = if self.black_bg { "#f0f0f0" } else { "#3a3a3a" };
        for other in cuts.iter().filter(|c| c.plane != panel.cut.plane) {
            let [right, top] = panel.cut.plane.across();
            let axis = other.plane.axis();
            if axis == right {
                let x = left + (other.at - self.origin(panel)[0]) * scale;
                if (left..=left + w).contains(&x) {
                    svg.line([x, up], [x, up + h], colour, 0.15);
                }
            } else if axis == top {
                let y = up + h - (other.at - self.origin(panel)[1]) * scale;
                if (up..=up + h).contains(&y) {
                    svg.line([left, y], [left + w, y], colour, 0.15);
                }
            }
        }
    }

    /// Where the lower left corner of a panel is, mm along its axes.
    fn origin(&self, panel: &Panel) -> [f64; 2] {
        let there = |v: &f32| *v != 0.0;
        let all = self.background.and_then(|b| extent(b, there)).or_else(|| extent(self.map, |_| true));
        let pixel = panel.size[0] / panel.shape[0] as f64;
        panel.cut.plane.across().map(|a| all.map_or(0.0, |e| e[a][0]) - pixel / 2.0)
    }

    fn words(&self, svg: &mut Svg, panel: &Panel, [left, up, w, h]: [f64; 4], ink: &'static str) {
        let bold = Style::new(SMALL, Anchor::Middle).bold().colour(ink);
        if panel.cut.plane != Plane::Sagittal {
            svg.text(left + 1.4, up + h + 2.6, bold, "L");
            svg.text(left + w - 1.4, up + h + 2.6, bold, "R");
        }
        if self.display != Display::Glass {
            let text = format!("{} = {}", axis(panel.cut.plane), signed(&significant(panel.cut.at, 4)));
            svg.text(left + w / 2.0, up + h + 2.6, Style::new(SMALL, Anchor::Middle).colour(ink), &text);
        }
    }

    fn bar(
        &self,
        svg: &mut Svg,
        [x, y, height]: [f64; 3],
        (threshold, max): (f64, f64),
        ink: &'static str,
    ) -> Result<()> {
        let steps = 160u16;
        let low = if self.map.data().iter().any(|v| *v < 0.0) { -max } else { 0.0 };
        let mut pixels = Vec::with_capacity(4 * usize::from(steps));
        for n in 0..steps {
            let value = max - (max - low) * (f64::from(n) + 0.5) / f64::from(steps);
            let colour = if value.abs() >= threshold { self.colours.at(value / max) } else { [128; 3] };
            pixels.extend(colour);
            pixels.push(255);
        }
        svg.image([x, y], [2.6, height], &pixels::rgba(&pixels, [1, usize::from(steps)])?);
        svg.frame([x, y], [2.6, height], ink, 0.1);
        let mut ticks = vec![max, low];
        if threshold > 0.0 && threshold < 0.92 * max {
            ticks.push(threshold);
            if low < 0.0 {
                ticks.push(-threshold);
            }
        } else if low < 0.0 {
            ticks.push(0.0);
        }
        let (factor, units) = in_tens(max, &self.units);
        for tick in ticks {
            let at = y + (max - tick) / (max - low) * height;
            svg.line([x + 2.6, at], [x + 3.3, at], ink, 0.15);
            svg.text(
                x + 3.7,
                at + 0.75,
                Style::new(SMALL, Anchor::Start).colour(ink),
                &signed(&significant(tick * factor, 2)),
            );
        }
        let middle = Style::new(SMALL, Anchor::Middle).colour(ink).upright();
        svg.text(x - 1.0, y + height / 2.0, middle, &fit(&units, SMALL, height));
        Ok(())
    }
}

fn axis(plane: Plane) -> &'static str {
    ["x", "y", "z"][plane.axis()]
}

/// How panels are painted.
struct Ink<'a> {
    map: &'a Plot<'a>,
    threshold: f64,
    max: f64,
    window: [f64; 2],
}

impl Ink<'_> {
    fn panel(&self, cut: Cut, extent: &Extent, step: f64) -> Result<Panel> {
        let small = || Error::request("a panel without pixels", "give a background with values other than 0");
        let plot = self.map;
        let glass = plot.display == Display::Glass;
        let grid = picture(cut, extent, step).ok_or_else(small)?;
        let shape = [grid.shape[0], grid.shape[1]];
        let size = shape.map(|n| n as f64 * step);
        let mut outlines = Vec::new();
        let black = if plot.black_bg { [0; 3] } else { [255; 3] };
        let (values, under): (Vec<f32>, Vec<Rgb>) = if glass {
            let whole = lattice(extent, step).ok_or_else(small)?;
            let body = plot.background.unwrap_or(plot.map).map(|v| if *v != 0.0 { 1.0 } else { 0.0 });
            let (outline, width) = projection(&onto(&body, &whole), cut.plane);
            let colour = if plot.black_bg { "#9a9a9a" } else { "#606060" };
            outlines.push(Outline { colour, width: 0.25, segments: contour(&outline, width, 0.5) });
            // Inside it, where the brain ends in the middle of the box.
            let at = f64::midpoint(extent[cut.plane.axis()][0], extent[cut.plane.axis()][1]);
            let middle = picture(Cut { at, ..cut }, extent, step).ok_or_else(small)?;
            let segments = contour(&sample(&body, &middle, 0.0), shape[0], 0.5);
            outlines.push(Outline { colour, width: 0.1, segments });
            (projection(&onto(plot.map, &whole), cut.plane).0, vec![black; shape[0] * shape[1]])
        } else {
            let under = match plot.background {
                Some(background) => sample(background, &grid, 0.0)
                    .into_iter()
                    .map(|b| {
                        let t = (f64::from(b) - self.window[0]) / (self.window[1] - self.window[0]);
                        if b == 0.0 { black } else { [byte(DARK + (LIGHT - DARK) * t.clamp(0.0, 1.0)); 3] }
                    })
                    .collect(),
                None => vec![black; shape[0] * shape[1]],
            };
            (sample(plot.map, &grid, 0.0), under)
        };
        let mut pixels = Vec::with_capacity(4 * values.len());
        for (value, grey) in values.iter().zip(under) {
            let value = f64::from(*value);
            let seen = self.max > 0.0 && value != 0.0 && value.abs() >= self.threshold;
            let t = if self.max > 0.0 { value / self.max } else { 0.0 };
            // Without a threshold colours fade towards 0, so that the background is seen.
            let opacity = if self.threshold > 0.0 { 0.95 } else { (t.abs() / 0.5).min(1.0).powf(0.8) };
            pixels.extend(if seen { over(plot.colours.at(t), opacity, grey) } else { grey });
            pixels.push(255);
        }
        for (n, (_, map)) in plot.contours.iter().enumerate() {
            let level = match plot.level(map)? {
                level if level > 0.0 => level,
                _ => 0.5 * map.data().iter().fold(0.0f64, |m, v| m.max(f64::from(*v))),
            };
            let seen = if glass {
                let whole = lattice(extent, step).ok_or_else(small)?;
                projection(&onto(map, &whole), cut.plane).0
            } else {
                sample(map, &grid, 0.0)
            };
            if level > 0.0 {
                let colour = LINES[n % LINES.len()];
                outlines.push(Outline { colour, width: 0.4, segments: contour(&seen, shape[0], level) });
            }
        }
        Ok(Panel { cut, size, pixels, shape, outlines })
    }
}
