//! [`Plot`]: one map over one brain for a paper or a look, with the names and habits of nilearn's `plot_stat_map` and
//! `plot_glass_brain`.

mod scene;

use self::scene::{Scene, percent};
use super::{
    brain::{Cut, Plane, around, contour, cuts, focus, lattice, onto, picture, projection, sample, sampled},
    paper::{
        Anchor, Figure, GREY, INK, SMALL, Style, Svg, TITLE,
        colour::{ARMS, LINES, Rgb, along, byte, over},
        fit, in_tens, pixels, signed, width_of, wrap,
    },
};
use crate::setting::{CUTS, DISPLAY_MODE};
use voxplain_core::{Error, Result, remedy};
use voxplain_stats::significant;
use voxplain_volume::{Grid, Interpolation, Mask, Volume, quantiles};

/// The ink of words on black.
const PALE: &str = "#f0f0f0";

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
    /// Where what is drawn of the map is: see [`super::cuts`]; for [`Display::Ortho`] the voxel nearest to the middle (of |value|)
    /// of the largest connected part of the values from their 80th percentile on, nearly as nilearn's `find_xyz_cut_coords`.
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
    /// The map. NaN is taken as 0, in all images.
    pub map: &'a Volume,
    /// Where the map is shown, on its grid; everywhere without one.
    pub mask: Option<&'a Mask>,
    /// What it is drawn over, on any grid of the same world. Where its ground is 0, specks of noise and ringing around the body are not drawn.
    pub background: Option<&'a Volume>,
    /// Names and maps whose contours are drawn on top, around the voxels whose |value| reaches the threshold, above 0 and below it; without a threshold,
    /// and for masks (0 and one other value), half of their largest |value|.
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
    /// The bar of colours.
    pub colour_bar: bool,
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
    /// The part of the map's |value| that lies outside the mask, where there is one, and is not drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_mask: Option<f64>,
    /// What a reader of the picture should know: NaN, values that are not drawn, cuts without anything in them.
    pub notes: Vec<String>,
}

/// Grey of the background, between these so that colours stand out on it.
const DARK: f64 = 20.0;
const LIGHT: f64 = 235.0;
/// Length of the colour bar's end, mm on paper, that has colours whatever the threshold.
const END: f64 = 0.6;
/// Cuts in a row where nothing else is said.
const COUNT: usize = 7;
/// Pixels along the longest side of a panel.
const MOST_PIXELS: f64 = 1500.0;
/// Voxels of the lattice that a glass brain is projected from: 1 GB of them.
const MOST_VOXELS: f64 = 2.5e8;
/// A value that falls this far (relatively) below the threshold by arithmetic alone is still shown.
const ROUNDING: f64 = 1e-6;

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
    /// Pixels with a colour of the map, and with a value of the background.
    coloured: usize,
    under: usize,
}

/// A line in a panel.
struct Outline {
    colour: &'static str,
    /// On paper, mm.
    width: f64,
    /// In pixels.
    segments: Vec<[[f64; 2]; 2]>,
    /// Which contour it is; none for the edge of a glass brain.
    contour: Option<usize>,
}

/// How many times the 99.9th percentile the largest value is from which on it is said that it takes all colours.
const SPIKE: f64 = 20.0;

impl Plot<'_> {
    /// Draws it, and says what was drawn.
    ///
    /// # Errors
    /// Infinite values, or nothing but NaN; a threshold or range that makes no sense, or that nothing of the map reaches; a
    /// cut where neither map nor background is; a background or contour that lies elsewhere.
    pub fn draw(&self) -> Result<(Figure, Plotted)> {
        let mut scene = Scene::new(self)?;
        let places = self.places(&scene)?;
        let grids = [Some(&scene.map), scene.background.as_ref()].into_iter().flatten().map(|v| v.grid().spacing());
        let finest = grids.flatten().fold(f64::INFINITY, f64::min);
        let longest = scene.extent.iter().map(|e| e[1] - e[0]).fold(0.0, f64::max);
        let mut step = (finest / 2.0).clamp(0.25, 1.5).max(longest / MOST_PIXELS);
        if self.display == Display::Glass {
            // Projections are of a volume on this lattice.
            let volume: f64 = scene.extent.iter().map(|e| (e[1] - e[0]).max(step)).product();
            step = step.max((volume / MOST_VOXELS).cbrt());
        }
        let ink = Ink { plot: self, window: window(scene.background.as_deref()), scene: &scene };
        let rows = places
            .iter()
            .map(|row| row.iter().map(|cut| ink.panel(*cut, step)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        let (notes, foot) = self.what_is_missing(&scene, &rows);
        scene.notes.extend(notes);
        let plotted = Plotted {
            cuts: if self.display == Display::Glass {
                Vec::new()
            } else {
                places.iter().flatten().map(|c| (axis(c.plane).to_owned(), c.at)).collect()
            },
            threshold: scene.threshold,
            vmax: scene.max,
            outside_mask: scene.outside_mask,
            notes: scene.notes.clone(),
        };
        Ok((self.compose(&rows, &places, &scene, foot.as_deref())?, plotted))
    }

    /// Notes about what a picture does not show though it was asked for, and the one that stands below the picture itself.
    fn what_is_missing(&self, scene: &Scene<'_>, rows: &[Vec<Panel>]) -> (Vec<String>, Option<String>) {
        let (mut notes, mut foot) = (Vec::new(), None);
        let panels = || rows.iter().flatten();
        let glass = self.display == Display::Glass;
        if scene.largest == 0.0 {
            foot = self.contours.is_empty().then(|| "The map is 0 everywhere.".to_owned());
        } else if panels().all(|p| p.coloured == 0) {
            let from = scene.where_shown();
            let most = scene.map.data().iter().position(|v| f64::from(v.abs()) >= scene.largest).unwrap_or(0);
            let grid = scene.map.grid();
            let [x, y, z] = grid.affine.apply(grid.voxel(most).map(|v| v as f64)).map(|x| significant(x, 4));
            let largest = significant(scene.largest, 4);
            notes.push(format!(
                "no value of the map{from} lies in these cuts: its largest |value|, {largest}, is at {x},{y},{z} mm"
            ));
            foot = Some(format!("No value of the map{from} lies in these cuts."));
        }
        // A single voxel that is far above all others leaves them without colour.
        let mut sizes: Vec<f32> = scene.map.data().iter().map(|v| v.abs()).filter(|v| *v > 0.0).collect();
        if self.vmax.is_none() && sizes.len() > 1 {
            let [usual] = quantiles(&mut sizes, [0.999]);
            if scene.largest > SPIKE * usual {
                let (largest, usual) = (significant(scene.largest, 4), significant(usual, 4));
                notes.push(format!(
                    "colours end at the largest |value|, {largest}, and 99.9 % of the values that are not 0 are at most {usual}: what is \
                     smaller is hardly seen; choose where they end to see it"
                ));
            }
        }
        let empty: Vec<String> = panels()
            .filter(|p| !glass && p.coloured == 0 && p.under == 0 && p.outlines.iter().all(|o| o.segments.is_empty()))
            .map(|p| format!("{} = {}", axis(p.cut.plane), significant(p.cut.at, 4)))
            .collect();
        // Where all are empty it is said already.
        if !empty.is_empty() && empty.len() < panels().count() {
            notes.push(format!("nothing is there to be drawn at {} mm", empty.join(", ")));
        }
        for (n, contour) in scene.contours.iter().enumerate() {
            let met = panels().flat_map(|p| &p.outlines).any(|o| o.contour == Some(n) && !o.segments.is_empty());
            if !met {
                let level = significant(contour.level, 4);
                notes.push(format!("the outline of {} (|value| {level}) meets none of the cuts", contour.name));
            }
        }
        (notes, foot)
    }

    /// The cuts, row by row; for the glass brain only which way.
    fn places(&self, scene: &Scene<'_>) -> Result<Vec<Vec<Cut>>> {
        let rows = |count: usize| {
            let (shown, within) = scene.drawn();
            cuts(&shown, &within, count, 6.0)
        };
        let order = [Plane::Coronal, Plane::Sagittal, Plane::Axial];
        let given = |plane: Plane, at: f64| {
            let axis = plane.axis();
            let [low, high] = scene.field[axis];
            // Written coordinates and affines are rounded.
            if at >= low - 1e-3 && at <= high + 1e-3 {
                return Ok(Cut { plane, at: at.clamp(low, high) });
            }
            let name = ["x", "y", "z"][axis];
            let [low, high] = [low, high].map(|x| significant((x * 10.0).round() / 10.0, 6));
            let of = if scene.background.is_some() { "map and background" } else { "the map" };
            Err(Error::request(
                format!(
                    "there is nothing at {name} = {at} mm: the field of view of {of} has {name} from {low} to {high} mm"
                ),
                remedy!["give places in that range (", CUTS, "), or none to cut where the map's values are"],
            ))
        };
        let one = |plane: Plane| {
            let auto = |count: usize| {
                let [z, y, x] = rows(count);
                [x, y, z][plane.axis()].clone()
            };
            match &self.cuts {
                Cuts::At(places) => places.iter().map(|at| given(plane, *at)).collect::<Result<Vec<_>>>(),
                Cuts::Count(n) => Ok(auto((*n).clamp(1, 20))),
                Cuts::Auto => Ok(auto(COUNT)),
            }
        };
        if let Cuts::At(places) = &self.cuts {
            if let Some(odd) = places.iter().find(|p| !p.is_finite()) {
                return Err(Error::request(format!("there is no cut at {odd} mm"), "give coordinates in mm"));
            }
            if places.is_empty() && self.display != Display::Glass {
                return Err(Error::request(
                    "no place to cut is given",
                    remedy!["give places in mm (", CUTS, "), or none"],
                ));
            }
        }
        Ok(match self.display {
            Display::X => vec![one(Plane::Sagittal)?],
            Display::Y => vec![one(Plane::Coronal)?],
            Display::Z => vec![one(Plane::Axial)?],
            Display::Mosaic => match &self.cuts {
                Cuts::At(_) => {
                    return Err(Error::request(
                        "a mosaic's cuts are along three axes, so that one list of places does not say where",
                        remedy!["give how many (", CUTS.to("n=5"), "), or choose ", DISPLAY_MODE.to("x"), ", y or z"],
                    ));
                }
                Cuts::Count(n) => rows((*n).clamp(1, 20)).to_vec(),
                Cuts::Auto => rows(COUNT).to_vec(),
            },
            Display::Glass => match &self.cuts {
                Cuts::Auto => vec![order.map(|plane| Cut { plane, at: 0.0 }).to_vec()],
                Cuts::At(_) | Cuts::Count(_) => {
                    return Err(Error::request(
                        "a glass brain is a projection of the whole brain and has no cuts",
                        remedy!["leave out ", CUTS, ", or choose another ", DISPLAY_MODE],
                    ));
                }
            },
            Display::Ortho => {
                let at = match &self.cuts {
                    Cuts::At(at) => <[f64; 3]>::try_from(at.clone()).map_err(|at| {
                        let many = if at.len() == 1 { "coordinate" } else { "coordinates" };
                        Error::request(
                            format!("{} {many} for three cuts", at.len()),
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
                    // Of a map of zeros, the middle of what is drawn.
                    Cuts::Auto if scene.largest == 0.0 => scene.extent.map(|[low, high]| {
                        let middle = f64::midpoint(low, high);
                        Some(middle.round()).filter(|at| (low..=high).contains(at)).unwrap_or(middle)
                    }),
                    Cuts::Auto => focus(&scene.drawn().0, 0.8),
                };
                let cuts: Result<Vec<_>> = order.map(|plane| given(plane, at[plane.axis()])).into_iter().collect();
                vec![cuts?]
            }
        })
    }

    fn compose(
        &self,
        rows: &[Vec<Panel>],
        places: &[Vec<Cut>],
        scene: &Scene<'_>,
        foot: Option<&str>,
    ) -> Result<Figure> {
        let max = scene.max;
        let ink = if self.black_bg { PALE } else { INK };
        let soft = if self.black_bg { "#b5b5b5" } else { GREY };
        // The bar, with room for numbers such as −0.0051.
        let (bar, gap) = (if max > 0.0 && self.colour_bar { 17.0 } else { 0.0 }, 1.0);
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
                for Outline { colour, width, segments, .. } in &panel.outlines {
                    let place = |p: &[f64; 2]| [left + (p[0] + 0.5) * pixel[0], up + (p[1] + 0.5) * pixel[1]];
                    let lines: Vec<_> = segments.iter().map(|s| [place(&s[0]), place(&s[1])]).collect();
                    svg.segments(&lines, colour, *width);
                }
                if self.draw_cross && self.display == Display::Ortho {
                    cross(&mut svg, panel, &places[0], ([left, up], scale), (scene, self.black_bg));
                }
                if self.annotate {
                    self.words(&mut svg, panel, [left, up, w, h], ink);
                }
                x += w + gap;
            }
            y += tall + if self.annotate { 3.6 } else { 1.0 };
        }
        if bar > 0.0 {
            self.bar(&mut svg, [self.width - bar + 4.0, top + 1.0, (y - top - 5.0).clamp(8.0, 45.0)], scene, ink)?;
        }
        for (n, (name, _)) in self.contours.iter().enumerate() {
            svg.line([1.0, y + 1.2], [5.0, y + 1.2], self.line_colour(n), 0.5);
            svg.text(6.0, y + 2.0, Style::new(SMALL, Anchor::Start).colour(ink), &fit(name, SMALL, self.width - 8.0));
            y += 3.0;
        }
        if self.annotate {
            let masked = scene.outside_mask.map_or_else(String::new, |share| {
                format!("Shown inside a mask alone: {} of |value| lies outside it. ", percent(share))
            });
            let words = format!("Left is left. Coordinates in mm. {masked}{}", foot.unwrap_or_default());
            for line in wrap(words.trim_end(), SMALL, self.width - 2.0) {
                svg.text(1.0, y + 2.0, Style::new(SMALL, Anchor::Start).colour(soft), &line);
                y += 3.2;
            }
        }
        let what = match self.display {
            Display::Glass => "projections of the value furthest from 0 onto a glass brain".to_owned(),
            _ => format!(
                "cuts at {}",
                places
                    .iter()
                    .flatten()
                    .map(|c| format!("{} = {}", axis(c.plane), significant(c.at, 4)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        let named = if self.title.is_empty() { "A signed map" } else { &self.title };
        let figure =
            svg.finish_on(y + 0.6, format!("{named}: {what}; left is left"), self.black_bg.then_some("#000000"));
        Ok(figure)
    }

    /// The colour of a contour. One by itself has that of the words, which no map has.
    fn line_colour(&self, n: usize) -> &'static str {
        match self.contours {
            [_] if self.black_bg => PALE,
            [_] => INK,
            _ => LINES[n % LINES.len()],
        }
    }

    fn words(&self, svg: &mut Svg, panel: &Panel, [left, up, w, h]: [f64; 4], ink: &'static str) {
        let bold = Style::new(SMALL, Anchor::Middle).bold().colour(ink);
        if panel.cut.plane != Plane::Sagittal {
            svg.text(left + 1.4, up + h + 2.6, bold, "L");
            svg.text(left + w - 1.4, up + h + 2.6, bold, "R");
        }
        if self.display != Display::Glass {
            let room = if panel.cut.plane == Plane::Sagittal { w } else { w - 5.6 };
            let text = place_in(panel.cut.plane, panel.cut.at, room);
            svg.text(left + w / 2.0, up + h + 2.6, Style::new(SMALL, Anchor::Middle).colour(ink), &text);
        }
    }

    fn bar(&self, svg: &mut Svg, [x, y, height]: [f64; 3], scene: &Scene<'_>, ink: &'static str) -> Result<()> {
        let steps = 160u16;
        let (threshold, max) = (scene.threshold, scene.max);
        let low = if scene.map.data().iter().any(|v| *v < 0.0) { -max } else { 0.0 };
        let mut pixels = Vec::with_capacity(4 * usize::from(steps));
        let step = (max - low) / f64::from(steps);
        // A threshold at the end of the range, or near it, leaves colours that are drawn: so much of the bar's end shows them.
        let least = max - (END / height).min(0.5) * (max - low) - step / 2.0;
        for n in 0..steps {
            let value = max - step * (f64::from(n) + 0.5);
            let colour = if value.abs() >= threshold.min(least) { self.colours.at(value / max) } else { [128; 3] };
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

/// Lines at the other two cuts.
fn cross(
    svg: &mut Svg,
    panel: &Panel,
    cuts: &[Cut],
    ([left, up], scale): ([f64; 2], f64),
    (scene, black): (&Scene<'_>, bool),
) {
    let [w, h] = panel.size.map(|s| s * scale);
    let colour = if black { "#f0f0f0" } else { "#3a3a3a" };
    // The lower left corner of the panel, mm along its axes.
    let pixel = panel.size[0] / panel.shape[0] as f64;
    let across = panel.cut.plane.across();
    let origin = across.map(|a| scene.extent[a][0] - pixel / 2.0);
    for other in cuts.iter().filter(|c| c.plane != panel.cut.plane) {
        let axis = other.plane.axis();
        if axis == across[0] {
            let x = left + (other.at - origin[0]) * scale;
            if (left..=left + w).contains(&x) {
                svg.line([x, up], [x, up + h], colour, 0.15);
            }
        } else if axis == across[1] {
            let y = up + h - (other.at - origin[1]) * scale;
            if (up..=up + h).contains(&y) {
                svg.line([left, y], [left + w, y], colour, 0.15);
            }
        }
    }
}

/// Intensities of the background shown as darkest and lightest: the 1st and 99.5th percentile of those other than 0.
fn window(background: Option<&Volume>) -> [f64; 2] {
    let Some(background) = background else { return [0.0, 1.0] };
    let mut values: Vec<f32> = background.data().iter().copied().filter(|v| *v != 0.0).collect();
    let [low, high] = quantiles(&mut values, [0.01, 0.995]);
    // A background of one value is light.
    if high > low {
        [low, high]
    } else if low.is_finite() {
        [low - 1.0, low]
    } else {
        [0.0, 1.0]
    }
}

/// How panels are painted.
struct Ink<'a> {
    plot: &'a Plot<'a>,
    scene: &'a Scene<'a>,
    window: [f64; 2],
}

impl Ink<'_> {
    fn panel(&self, cut: Cut, step: f64) -> Result<Panel> {
        let small = || Error::request("a panel without pixels", "give a background with values other than 0");
        let (plot, scene) = (self.plot, self.scene);
        let background = scene.background.as_deref();
        let glass = plot.display == Display::Glass;
        let grid = picture(cut, &scene.extent, step).ok_or_else(small)?;
        let whole = if glass { Some(lattice(&scene.extent, step).ok_or_else(small)?) } else { None };
        let seen_of = |volume: &Volume| match &whole {
            Some(whole) => projection(&onto(volume, whole), cut.plane).0,
            None => sample(volume, &grid, 0.0),
        };
        let shape = [grid.shape[0], grid.shape[1]];
        let size = shape.map(|n| n as f64 * step);
        let mut outlines = Vec::new();
        let mut under = 0;
        let black = if plot.black_bg { [0; 3] } else { [255; 3] };
        let greys: Vec<Rgb> = if glass {
            let body = background.unwrap_or(&scene.map).map(|v| if *v != 0.0 { 1.0 } else { 0.0 });
            let colour = if plot.black_bg { "#9a9a9a" } else { "#606060" };
            let segments = contour(&seen_of(&body), shape[0], 0.5);
            outlines.push(Outline { colour, width: 0.25, segments, contour: None });
            // Inside it, where the brain ends in the middle of the box.
            let [low, high] = scene.extent[cut.plane.axis()];
            let middle = picture(Cut { at: f64::midpoint(low, high), ..cut }, &scene.extent, step).ok_or_else(small)?;
            let segments = contour(&sample(&body, &middle, 0.0), shape[0], 0.5);
            outlines.push(Outline { colour, width: 0.1, segments, contour: None });
            vec![black; shape[0] * shape[1]]
        } else {
            let values = background.map_or_else(|| vec![0.0; shape[0] * shape[1]], |b| sample(b, &grid, 0.0));
            under = values.iter().filter(|b| **b != 0.0).count();
            let grey = |b: f32| {
                let t = (f64::from(b) - self.window[0]) / (self.window[1] - self.window[0]);
                if b == 0.0 { black } else { [byte(DARK + (LIGHT - DARK) * t.clamp(0.0, 1.0)); 3] }
            };
            values.into_iter().map(grey).collect()
        };
        let values = self.values(cut, &grid, whole.as_ref());
        let mut pixels = Vec::with_capacity(4 * values.len());
        let mut coloured = 0;
        for (value, grey) in values.iter().zip(greys) {
            let value = f64::from(*value);
            let seen = scene.max > 0.0 && value != 0.0 && value.abs() >= scene.threshold * (1.0 - ROUNDING);
            let t = if scene.max > 0.0 { value / scene.max } else { 0.0 };
            // Without a threshold colours fade towards 0, so that the background is seen.
            let opacity = if scene.threshold > 0.0 { 0.95 } else { (t.abs() / 0.5).min(1.0).powf(0.8) };
            pixels.extend(if seen { over(plot.colours.at(t), opacity, grey) } else { grey });
            pixels.push(255);
            coloured += usize::from(seen);
        }
        for (n, of) in scene.contours.iter().enumerate() {
            // Above 0 and below it: a threshold is one of |value|.
            let values = seen_of(&of.map);
            // As the map itself: a voxel that reaches the threshold does so in all of its box.
            let nearest = of.by_voxels.then(|| match &whole {
                Some(whole) => projection(&of.map.resample(whole, Interpolation::Nearest, 0.0), cut.plane).0,
                None => sampled(&of.map, &grid, Interpolation::Nearest),
            });
            let mut segments = Vec::new();
            for sign in [1.0f32, -1.0] {
                let values: Vec<f32> = values.iter().map(|v| sign * v).collect();
                segments.extend(match &nearest {
                    Some(nearest) => {
                        let inside: Vec<bool> = nearest.iter().map(|v| f64::from(sign * v) >= of.level).collect();
                        around(&values, &inside, shape[0], of.level)
                    }
                    None => contour(&values, shape[0], of.level),
                });
            }
            outlines.push(Outline { colour: self.plot.line_colour(n), width: 0.4, segments, contour: Some(n) });
        }
        Ok(Panel { cut, size, pixels, shape, outlines, coloured, under })
    }

    /// The map in a panel, between voxels linearly. With a threshold, a voxel that reaches it is shown in all of its box: between
    /// it and lower ones the values fall below the threshold, and a voxel by itself would be hidden.
    fn values(&self, cut: Cut, grid: &Grid, whole: Option<&Grid>) -> Vec<f32> {
        let map = &self.scene.map;
        let [linear, nearest] = [Interpolation::Linear, Interpolation::Nearest].map(|how| {
            if how == Interpolation::Nearest && self.scene.threshold == 0.0 {
                return Vec::new();
            }
            match whole {
                Some(whole) => projection(&map.resample(whole, how, 0.0), cut.plane).0,
                None => sampled(map, grid, how),
            }
        });
        let mut values = linear;
        for (value, nearest) in values.iter_mut().zip(nearest) {
            let reaches = |v: f32| f64::from(v.abs()) >= self.scene.threshold;
            if !reaches(*value) && reaches(nearest) {
                *value = nearest;
            }
        }
        values
    }
}

/// Where a cut lies, to a tenth of a millimetre, as long as `room` mm of paper allow: `z = 12.5`, `z 12.5`, `z 13`, `13`.
fn place_in(plane: Plane, at: f64, room: f64) -> String {
    let number = |digits: usize| {
        let text = format!("{at:.digits$}");
        let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        signed(if text == "-0" { "0" } else { text })
    };
    let (name, tenths, whole) = (axis(plane), number(1), number(0));
    let forms = [format!("{name} = {tenths}"), format!("{name} {tenths}"), format!("{name} {whole}")];
    forms.into_iter().find(|text| width_of(text, SMALL) <= room).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_long_as_the_panel_is_wide() {
        let text = |at, room| place_in(Plane::Axial, at, room);
        assert_eq!(text(-52.191, 50.0), "z = \u{2212}52.2");
        assert_eq!(text(12.0, 50.0), "z = 12");
        assert_eq!(text(-0.04, 50.0), "z = 0");
        let mut last = usize::MAX;
        for room in (0..=50).rev().map(|n| f64::from(n) * 0.5) {
            let found = text(-52.191, room);
            assert!(found.chars().count() <= last);
            assert!(width_of(&found, SMALL) <= room || found == "\u{2212}52", "{found} in {room}");
            last = found.chars().count();
        }
        assert_eq!(last, 3);
    }
}
