//! `voxplain plot`.

use crate::{
    argument,
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use voxplain::{
    Error, atomic_file,
    figure::{Colours, Cuts, Display, Plot as Drawing, Threshold},
    map::background_of,
    stats::significant,
    volume::{MaskOptions, ReadOptions, Volume, read, read_mask},
};

/// Draw one map over one brain, for a paper or a look.
///
/// The names and habits are those of nilearn's plot_stat_map and plot_glass_brain. Map and background may lie on different
/// grids of one world: they are brought together by their affines. PNG is written at 300 dpi (--dpi), SVG with text as text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain plot map.nii.gz --background T1.nii.gz --out map.png                 three cuts where relevance is
  voxplain plot map.nii.gz --background T1.nii.gz --cuts 24,-20,10 --threshold 95% --out map.svg
  voxplain plot map.nii.gz --background T1.nii.gz --display-mode z --cuts -20,0,20,40 --black-bg --out z.png
  voxplain plot map.nii.gz --mask brain_mask.nii.gz --width column --dpi 600 --out fig1.png
  voxplain plot map.nii.gz --background T1.nii.gz --display-mode glass --threshold 95% --out glass.png
  voxplain plot a.nii.gz --background T1.nii.gz --contour b.nii.gz c.nii.gz --threshold 95% --out overlay.png")]
pub(crate) struct Plot {
    /// The map.
    #[arg(value_name = "MAP")]
    map: PathBuf,
    /// The image to draw it over, or `none` [default: what lies beside a map of a run: the mean brain of its groups, the image of a
    /// person].
    #[arg(long, visible_alias = "bg-img", value_name = "IMG|none")]
    background: Option<PathBuf>,
    /// Show the map inside this mask alone.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// A voxel belongs to the mask where its value is above this [default: the file must hold 0 and one other value].
    #[arg(long, value_name = "VALUE", value_parser = argument::threshold, allow_hyphen_values = true, requires = "mask")]
    mask_threshold: Option<f64>,
    /// Maps whose outlines are drawn on top, where |value| reaches the threshold.
    #[arg(long, value_name = "MAP", num_args = 1..)]
    contour: Vec<PathBuf>,
    /// What is drawn.
    #[arg(long, value_enum, default_value_t = Mode::Ortho)]
    display_mode: Mode,
    /// Where: x,y,z in mm for ortho, places in mm or `n=5` for x, y, z, `n=5` for mosaic [default: where relevance is].
    #[arg(long, visible_alias = "cut-coords", value_name = "MM,...|n=N", value_parser = cuts, allow_hyphen_values = true)]
    cuts: Option<Cuts>,
    /// Show |value| from here on: a number, a percentile of values other than 0 (95%), auto (80%) [default: all but 0].
    #[arg(long, value_name = "V|P%|auto", value_parser = threshold)]
    threshold: Option<Threshold>,
    /// The value at the end of the range of colours [default: the largest |value|].
    #[arg(long, value_name = "V")]
    vmax: Option<f64>,
    /// Colours.
    #[arg(long, value_enum, default_value_t = Map::OrangeBlue)]
    cmap: Map,
    /// On black.
    #[arg(long)]
    black_bg: bool,
    /// No coordinates, no L and R.
    #[arg(long)]
    no_annotate: bool,
    /// No cross at the point of ortho.
    #[arg(long)]
    no_draw_cross: bool,
    /// Above the figure.
    #[arg(long, default_value = "")]
    title: String,
    /// What a value is, beside the colour bar.
    #[arg(long, default_value = "")]
    units: String,
    /// Width on paper: `column` (86 mm, of most journals), `page` (180 mm), or mm.
    #[arg(long, value_name = "MM|column|page", default_value = "130", value_parser = width)]
    width: f64,
    /// Pixels to an inch of a PNG; journals ask for 300 to 600.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u16).range(72..=1200))]
    dpi: u16,
    /// The figure, .png, .svg or .pdf (letters as outlines).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Three cuts through one point.
    Ortho,
    /// Sagittal cuts.
    X,
    /// Coronal cuts.
    Y,
    /// Axial cuts.
    Z,
    /// Rows of axial, coronal and sagittal cuts.
    Mosaic,
    /// Projections: along every line the value furthest from 0.
    Glass,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Map {
    /// Blue below 0, orange above; for the colour-blind and for grey print.
    OrangeBlue,
    /// nilearn's cold_hot in kind.
    #[value(alias = "cold_hot")]
    ColdHot,
}

/// For clap: cuts as typed.
fn cuts(text: &str) -> Result<Cuts, String> {
    let count = text.strip_prefix("n=").map(|n| n.parse::<usize>().ok().filter(|n| (1..=20).contains(n)));
    match count {
        Some(Some(n)) => Ok(Cuts::Count(n)),
        Some(None) => Err("expected a number of cuts from 1 to 20, as in n=5".into()),
        None => {
            let places: Result<Vec<f64>, _> = text.split(',').map(|p| p.trim().parse::<f64>()).collect();
            places.map(Cuts::At).map_err(|_| "expected mm, as in 24,-20,10, or a number of cuts, as in n=5".into())
        }
    }
}

/// For clap: a threshold as typed.
fn threshold(text: &str) -> Result<Threshold, String> {
    let number = |t: &str| t.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
    match (text, text.strip_suffix('%').map(number)) {
        ("auto", _) => Ok(Threshold::Percentile(80.0)),
        (_, Some(Some(p))) if p <= 100.0 => Ok(Threshold::Percentile(p)),
        (_, Some(_)) => Err("a percentile lies from 0% to 100%".into()),
        _ => number(text)
            .map(Threshold::Value)
            .ok_or_else(|| "expected a number from 0, a percentile (95%), or auto".into()),
    }
}

fn width(text: &str) -> Result<f64, String> {
    match text {
        "column" => Ok(86.0),
        "page" => Ok(180.0),
        mm => {
            let mm = mm.parse().ok().filter(|w| (40.0..=400.0).contains(w));
            mm.ok_or_else(|| "expected column, page, or mm from 40 to 400".into())
        }
    }
}

/// As what a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Png,
    Svg,
    Pdf,
}

impl Plot {
    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let kind = match self.out.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("png") => Kind::Png,
            Some("svg") => Kind::Svg,
            Some("pdf") => Kind::Pdf,
            _ => {
                let what = "a figure is written as PNG, SVG or PDF, and the name says none of them";
                return Err(Error::file(&self.out, what, "let it end in .png, .svg or .pdf").into());
            }
        };
        let volume = |path: &Path| -> anyhow::Result<Volume> { Ok(read(path, &ReadOptions::default())?.volume) };
        let map = volume(&self.map)?.to_ras();
        let mask = match &self.mask {
            Some(path) => {
                let file = read_mask(path, &MaskOptions { threshold: self.mask_threshold, ..MaskOptions::anywhere() })?;
                let (mask, findings) = file.onto(map.grid(), &self.map)?;
                for finding in file.warnings().chain(&findings) {
                    session.progress().warn(&finding.what);
                }
                Some(mask)
            }
            None => None,
        };
        let background = match self.background.as_deref() {
            Some(none) if none == Path::new("none") => None,
            Some(path) => Some(volume(path)?),
            None => {
                let beside = background_of(&self.map);
                if let Some(path) = &beside {
                    session.say(&format!("drawn over {} (--background none: over nothing)", path.display()));
                }
                beside.as_deref().map(volume).transpose()?
            }
        };
        let contours = self
            .contour
            .iter()
            .map(|path| Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), volume(path)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (figure, plotted) = Drawing {
            map: &map,
            mask: mask.as_ref(),
            background: background.as_ref(),
            contours: &contours,
            display: match self.display_mode {
                Mode::Ortho => Display::Ortho,
                Mode::X => Display::X,
                Mode::Y => Display::Y,
                Mode::Z => Display::Z,
                Mode::Mosaic => Display::Mosaic,
                Mode::Glass => Display::Glass,
            },
            cuts: self.cuts.clone().unwrap_or_default(),
            threshold: self.threshold.unwrap_or_default(),
            vmax: self.vmax,
            colours: match self.cmap {
                Map::OrangeBlue => Colours::OrangeBlue,
                Map::ColdHot => Colours::ColdHot,
            },
            annotate: !self.no_annotate,
            draw_cross: !self.no_draw_cross,
            colour_bar: true,
            black_bg: self.black_bg,
            title: self.title.clone(),
            units: self.units.clone(),
            width: self.width,
        }
        .draw()?;
        for note in &plotted.notes {
            session.progress().warn(note);
        }
        match kind {
            Kind::Png => atomic_file::write(&self.out, &figure.png_at(f32::from(self.dpi))?)?,
            Kind::Svg => figure.write_svg(&self.out)?,
            Kind::Pdf => atomic_file::write(&self.out, &figure.pdf()?)?,
        }
        let cuts: Vec<String> =
            plotted.cuts.iter().map(|(axis, at)| format!("{axis} = {}", significant(*at, 4))).collect();
        let where_ = if cuts.is_empty() { String::new() } else { format!("cuts at {} mm; ", cuts.join(", ")) };
        let masked = plotted.outside_mask.map_or_else(String::new, |share| {
            format!("; {} % of |value| lies outside the mask and is not shown", significant(100.0 * share, 3))
        });
        let text = format!(
            "{}\n{where_}|value| from {:.4e} on, colours to {:.4e}{masked}",
            self.out.display(),
            plotted.threshold,
            plotted.vmax
        );
        session.result(&serde_json::json!({ "figure": self.out, "plotted": plotted }), &text)?;
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood_or_refused() {
        assert_eq!(cuts("24,-20, 10.5"), Ok(Cuts::At(vec![24.0, -20.0, 10.5])));
        assert_eq!(cuts("n=5"), Ok(Cuts::Count(5)));
        for bad in ["", "a", "n=0", "n=21", "1,,2", "n=x"] {
            assert!(cuts(bad).is_err(), "{bad}");
        }
        assert_eq!(threshold("auto"), Ok(Threshold::Percentile(80.0)));
        assert_eq!(threshold("95%"), Ok(Threshold::Percentile(95.0)));
        assert_eq!(threshold("0.02"), Ok(Threshold::Value(0.02)));
        for bad in ["101%", "-1", "NaN", "inf", "%", "much"] {
            assert!(threshold(bad).is_err(), "{bad}");
        }
        assert_eq!(["column", "page", "90"].map(|text| width(text).unwrap()), [86.0, 180.0, 90.0]);
        assert!(width("39").is_err() && width("wide").is_err());
    }
}
