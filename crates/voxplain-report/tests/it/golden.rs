//! Every kind of figure beside a picture of it that was looked at (`tests/golden`), so that no change of a figure goes
//! unseen. With `VOXPLAIN_BLESS=1` the pictures are written anew: look at them before they are committed.
//!
//! Pictures are a quarter as fine as figures are (75 instead of 300 dpi), each pixel the mean of 16. Fonts are embedded and
//! drawing is in software, so that on one machine a figure has the same bytes each time. Between machines, functions such
//! as the exponential may differ in the last bit, which can move a colour by one of 255 levels here and there, but no line
//! and no letter. Two pictures are therefore the same if
//!
//! * colours differ by no more than 0.1 levels on average: a tenth of a change of every pixel by one level, and
//! * no more than 1 of 10 000 pixels, and 2 in any case, differ by more than 16 levels: one digit that is set otherwise changes some ten.

use crate::support::{decode, phantom};
use std::path::{Path, PathBuf};
use voxplain_report::figure::{
    Cell, ColourRange, Colours, Cut, Cuts, DeletionCurve, DeletionPanel, Display, Figure, ForestRow, Gallery,
    GalleryPanel, LearningCurve, MaskOutlines, Mosaic, Plane, Plot, Reliability, RocCurve, Threshold, Underlay,
    deletion_curves, forest_plot, learning_curves, matrix, reliability, roc_curves, thumbnail,
};
use voxplain_stats::{Calibration, Interval};
use voxplain_volume::{Mask, Volume};

const MEAN: f64 = 0.1;
const FAR: u8 = 16;
const SHARE: f64 = 1e-4;
const FEW: usize = 2;
/// Pixels of a figure along one of a picture.
const COARSER: usize = 4;

/// A picture: columns, rows, and red, green and blue row by row.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn new(png: &[u8]) -> Self {
        let (width, height, pixels) = decode(png);
        Self { width, height, pixels }
    }

    /// Means of squares of pixels; what is left over at the right and below is cut off.
    fn coarser(&self, by: usize) -> Self {
        let (width, height) = (self.width / by, self.height / by);
        let mean = |x: usize, y: usize, c: usize| {
            let sum: usize = (0..by * by)
                .map(|n| usize::from(self.pixels[(y * by + n / by) * self.width + x * by + n % by][c]))
                .sum();
            ((sum + by * by / 2) / (by * by)) as u8
        };
        let pixels = (0..width * height).map(|n| [0, 1, 2].map(|c| mean(n % width, n / width, c))).collect();
        Self { width, height, pixels }
    }

    fn write(&self, path: &Path) {
        let mut encoder =
            png::Encoder::new(std::fs::File::create(path).unwrap(), self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        encoder.write_header().unwrap().write_image_data(self.pixels.as_flattened()).unwrap();
    }

    /// Why another picture is not the same, and where.
    fn differs(&self, other: &Self) -> Option<(String, Self)> {
        if (self.width, self.height) != (other.width, other.height) {
            let what = format!(
                "it has {} x {} pixels where {} x {} are expected",
                self.width, self.height, other.width, other.height
            );
            return Some((what, self.clone()));
        }
        let pairs = || self.pixels.iter().zip(&other.pixels);
        let sum: u64 = pairs().flat_map(|(a, b)| [0, 1, 2].map(|c| u64::from(a[c].abs_diff(b[c])))).sum();
        let mean = sum as f64 / (3 * self.pixels.len()) as f64;
        let far = |(a, b): (&[u8; 3], &[u8; 3])| (0..3).any(|c| a[c].abs_diff(b[c]) > FAR);
        let count = pairs().filter(|p| far(*p)).count();
        let allowed = FEW.max((SHARE * self.pixels.len() as f64) as usize);
        (mean > MEAN || count > allowed).then(|| {
            let what = format!(
                "colours differ by {mean:.3} levels on average ({MEAN} allowed), {count} pixels by more than {FAR} ({allowed} allowed)"
            );
            // Red where it differs, the expected picture faintly below.
            let seen = |(a, b): (&[u8; 3], &[u8; 3])| if a == b { b.map(|v| 170 + v / 3) } else { [220, 0, 0] };
            (what, Self { pixels: pairs().map(seen).collect(), ..*self })
        })
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.png"))
}

/// Compares all pictures, so that one run tells all that have changed.
fn compare(pictures: &[(&str, Picture)]) {
    let bless = std::env::var_os("VOXPLAIN_BLESS").is_some_and(|v| v == "1");
    // Below target/, which git ignores.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    std::fs::create_dir_all(&folder).unwrap();
    let mut changed = Vec::new();
    for (name, picture) in pictures {
        let path = golden(name);
        if bless {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            picture.write(&path);
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else {
            changed.push(format!("{name}: there is no {}", path.display()));
            continue;
        };
        if let Some((what, difference)) = picture.differs(&Picture::new(&bytes)) {
            let (now, where_) = (folder.join(format!("{name}.png")), folder.join(format!("{name}-difference.png")));
            picture.write(&now);
            difference.write(&where_);
            changed.push(format!("{name}: {what}\n  now {}\n  where {}", now.display(), where_.display()));
        }
    }
    assert!(
        changed.is_empty(),
        "figures have changed; if they should, look at them and run this test with VOXPLAIN_BLESS=1\n{}",
        changed.join("\n")
    );
}

fn coarse(figure: &Figure) -> Picture {
    Picture::new(&figure.png().unwrap()).coarser(COARSER)
}

/// The cuts are given: where they are found from a map, rounding to whole mm could jump.
fn rows() -> [Vec<Cut>; 3] {
    let cuts = |plane: Plane, places: [f64; 3]| places.map(|at| Cut { plane, at }).to_vec();
    [
        cuts(Plane::Axial, [-8.0, 8.0, 20.0]),
        cuts(Plane::Coronal, [-70.0, -20.0, 10.0]),
        cuts(Plane::Sagittal, [-36.0, 0.0, 30.0]),
    ]
}

fn plot<'a>(brain: &'a Volume, map: &'a Volume, display: Display, cuts: Cuts) -> Plot<'a> {
    Plot {
        mask: None,
        colour_bar: true,
        map,
        background: Some(brain),
        contours: &[],
        display,
        cuts,
        threshold: Threshold::Value(0.002),
        vmax: Some(0.012),
        colours: Colours::OrangeBlue,
        annotate: true,
        draw_cross: true,
        black_bg: false,
        title: "A map".into(),
        units: "logit".into(),
        width: 86.0,
    }
}

#[test]
fn maps_over_brains() {
    let (brain, mask, map) = phantom(false);
    let underlay = Underlay::new(brain.clone(), &mask).unwrap();
    let range = ColourRange { max: 0.012, percentile: None };
    let mosaic = Mosaic {
        title: "Mean map".into(),
        units: "logit per voxel".into(),
        underlay: &underlay,
        map: &map,
        range,
        rows: rows(),
        width: 86.0,
        space: "Coordinates: mm.".into(),
    };
    let minus = map.map(|v| -0.2 * v);
    let panels =
        [("grad-cam", &map, 0.012), ("guided-backprop", &minus, 0.002), ("lrp", &map, 0.006), ("random", &minus, 0.0)]
            .map(|(name, map, most)| GalleryPanel {
                name: name.into(),
                units: "logit".into(),
                map,
                range: ColourRange { max: most, percentile: None },
            });
    let gallery = Gallery {
        title: "All methods".into(),
        underlay: &underlay,
        panels: &panels,
        at: [-36.0, 10.0, 20.0],
        width: 120.0,
        space: "Coordinates: mm.".into(),
    };
    let point = || Cuts::At(vec![-36.0, 10.0, 20.0]);
    let others = [("grad-cam".to_owned(), map.clone()), ("lrp".to_owned(), map.map(|v| -v))];
    let draw = |plot: Plot<'_>| coarse(&plot.draw().unwrap().0);
    let shifted = Mask::from_fn(*mask.grid(), |[i, j, k]| i > 0 && mask.at(i - 1, j, k));
    let outlines = MaskOutlines::new(&mask, &mask, vec![rows()[0][2], rows()[2][0]], 2.5).unwrap();
    compare(&[
        ("mosaic", coarse(&mosaic.draw().unwrap())),
        ("gallery", coarse(&gallery.draw().unwrap())),
        ("thumbnail", Picture::new(&thumbnail(&underlay, &map, rows()[0][2], range, 2.5).unwrap())),
        ("outlined", Picture::new(&outlines.draw(&brain, &shifted, [0.5, 0.9]).unwrap())),
        ("plot-ortho", draw(plot(&brain, &map, Display::Ortho, point()))),
        ("plot-ortho-black", draw(Plot { black_bg: true, ..plot(&brain, &map, Display::Ortho, point()) })),
        ("plot-glass", draw(plot(&brain, &map, Display::Glass, Cuts::Auto))),
        (
            "plot-contours",
            draw(Plot {
                contours: &others,
                colours: Colours::ColdHot,
                ..plot(&brain, &map, Display::Z, Cuts::At(vec![0.0, 20.0]))
            }),
        ),
    ]);
}

/// A matrix with those words in its first cell.
fn confusion(first: &str) -> Figure {
    let mut cells = [[45, 11], [6, 45]].map(|row: [u8; 2]| {
        row.map(|n| Cell { shade: Some(f64::from(n) / 56.0), words: n.to_string(), below: format!("[0.{n}, 0.8]") })
            .to_vec()
    });
    cells[0][0].words = first.into();
    matrix("Confusion", &["female".into(), "male".into()], &cells, Some(["truth", "said"]), "Held-out subjects.", 60.0)
}

#[test]
fn charts() {
    let curves: Vec<LearningCurve> = (0..3)
        .map(|n| {
            let fall = |from: f64| (0..20).map(|e| from / (1.0 + 0.2 * f64::from(e + n))).collect::<Vec<_>>();
            LearningCurve {
                loss: fall(0.7),
                accuracy: fall(0.3).into_iter().map(|v| 1.0 - v).collect(),
                validation_loss: fall(0.9),
                validation_accuracy: fall(0.5).into_iter().map(|v| 1.0 - v).collect(),
            }
        })
        .collect();
    // Every second is positive; the higher `lift`, the better they are told apart.
    let scores = |lift: f64| -> Vec<(f64, bool)> {
        (0..100).map(|n| (f64::from(n * 37 % 100) / 200.0 + if n % 2 == 0 { lift } else { 0.0 }, n % 2 == 0)).collect()
    };
    let roc = [("cnn, AUC 0.91 [0.84, 0.95]", 0.4), ("linear-voxels, AUC 0.86 [0.78, 0.92]", 0.25)]
        .map(|(words, lift)| RocCurve { words: words.into(), scores: scores(lift) });
    let reliabilities =
        [("cnn, calibration error 0.08", 0.4), ("linear-voxels, calibration error 0.12", 0.25)].map(|(words, lift)| {
            Reliability { words: words.into(), calibration: Calibration::of(&scores(lift), 10).unwrap() }
        });
    let items: Vec<ForestRow> = (0..6)
        .map(|n| {
            let mean = 2.0 - 0.3 * f64::from(n);
            ForestRow {
                name: format!("Superior frontal gyrus, part {n}"),
                side: ["L", "R"][n as usize % 2].into(),
                value: Interval { mean, low: Some(mean - 0.4), high: Some(mean + 0.4), n: 107, ..Interval::default() },
            }
        })
        .collect();
    // Straight falls from 0.9, the method's faster than the random order's.
    let fall = |slope: f64| -> Vec<Interval> {
        let at = |step: u32| Interval {
            mean: 0.9 - slope * f64::from(step) / 20.0,
            low: Some(0.85 - slope * f64::from(step) / 20.0),
            high: Some(0.95 - slope * f64::from(step) / 20.0),
            n: 22,
            ..Interval::default()
        };
        (0..=20).map(at).collect()
    };
    let curve_of = |method: &str, slope: f64| DeletionCurve {
        method: method.into(),
        curve: fall(slope),
        random: fall(0.4),
        difference: Interval {
            mean: (0.4 - slope) / 2.0,
            low: Some(-0.2),
            high: Some(0.1),
            n: 22,
            ..Interval::default()
        },
    };
    let panels = [DeletionPanel {
        title: "Deletion (lower is better), blur".into(),
        axis: "brain replaced, %".into(),
        methods: vec![curve_of("hires-cam", 0.8), curve_of("grad-cam", 0.3)],
    }];
    compare(&[
        ("deletion-insertion", coarse(&deletion_curves(&panels, "Deletion", "Bands: 95 % intervals.", 86.0))),
        ("learning-curves", coarse(&learning_curves(&curves, 100.0))),
        ("receiver", coarse(&roc_curves(&roc, "male", 7, 70.0))),
        ("reliability", coarse(&reliability(&reliabilities, "male", 70.0))),
        ("confusion", coarse(&confusion("45"))),
        (
            "regions",
            coarse(&forest_plot("Regions", &items, "enrichment (1: chance)", 1.0, "Mean over 107 maps.", 86.0)),
        ),
    ]);
}

#[test]
fn what_has_changed_is_seen() {
    let picture = coarse(&confusion("45"));
    assert!(picture.differs(&picture).is_none());
    // One digit in the figure.
    let (what, _) = coarse(&confusion("46")).differs(&picture).unwrap();
    assert!(what.contains("pixels by more than"), "{what}");
    let changed = |change: &dyn Fn(usize, [u8; 3]) -> [u8; 3]| Picture {
        pixels: picture.pixels.iter().enumerate().map(|(n, p)| change(n, *p)).collect(),
        ..picture
    };
    let by = |p: [u8; 3], levels: u8| p.map(|v| if v > 127 { v - levels } else { v + levels });
    // All colours by one level; everything by one pixel; one corner of ten pixels.
    assert!(changed(&|_, p| by(p, 1)).differs(&picture).is_some());
    assert!(changed(&|n, _| picture.pixels[n.saturating_sub(1)]).differs(&picture).is_some());
    assert!(changed(&|n, p| if n < 10 { by(p, 20) } else { p }).differs(&picture).is_some());
    // Another size, by one column that is cut off.
    let narrow = Picture { width: picture.width - 1, height: 1, pixels: picture.pixels[1..picture.width].to_vec() };
    assert!(narrow.differs(&picture).unwrap().0.contains("pixels where"));
    // What rounding on another machine may do: one level in one pixel of twenty, and two pixels anywhere.
    let rounded = changed(&|n, p| {
        if n < 2 {
            by(p, 60)
        } else if n % 20 == 0 {
            by(p, 1)
        } else {
            p
        }
    });
    assert!(rounded.differs(&picture).is_none(), "{:?}", rounded.differs(&picture).map(|d| d.0));
    // Red marks where.
    let (_, difference) = changed(&|n, p| if n < 10 { by(p, 20) } else { p }).differs(&picture).unwrap();
    assert_eq!(difference.pixels.iter().filter(|p| **p == [220, 0, 0]).count(), 10);
}

#[test]
fn a_coarser_picture_is_the_mean() {
    let pixels = [0u8, 10, 20, 30, 40, 50, 60, 70, 80, 90].map(|v| [v, 0, 255 - v]).to_vec();
    let coarse = Picture { width: 5, height: 2, pixels }.coarser(2);
    // Squares of 0, 10, 50, 60 and 20, 30, 70, 80; the fifth column is cut off.
    assert_eq!(coarse, Picture { width: 2, height: 1, pixels: vec![[30, 0, 225], [50, 0, 205]] });
}
