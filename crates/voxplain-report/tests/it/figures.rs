//! Figures: left stays left, the same bytes each time, text means itself. With `VOXPLAIN_GALLERY=<folder>` the
//! figures drawn here are written there to be looked at.

use crate::support::{decode, phantom};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use voxplain_report::figure::{
    Cell, ColourRange, Colours, Cut, Cuts, DeletionCurve, DeletionPanel, Display, Figure, ForestRow, LearningCurve,
    Mosaic, Plane, Plot, RocCurve, Threshold, Underlay, deletion_curves, forest_plot, learning_curves, matrix,
    roc_curves, thumbnail,
};
use voxplain_stats::Interval;
use voxplain_volume::{Affine, Grid, Mask, Volume};

fn mosaic(x_to_the_left: bool, width: f64, count: usize) -> Figure {
    let (brain, mask, map) = phantom(x_to_the_left);
    let underlay = Underlay::new(brain.clone(), &mask).unwrap();
    let range = ColourRange::percentile(&underlay, &map, 99.5);
    let rows = underlay.cuts(&map, count, 6.0);
    let space = "Coordinates: mm from the centre of the brain mask.".to_owned();
    Mosaic {
        title: "HiRes-CAM, mean of true class male (n = 51)".into(),
        units: "logit per voxel".into(),
        underlay: &underlay,
        map: &map,
        range,
        rows,
        width,
        space,
    }
    .draw()
    .unwrap()
}

fn look(name: &str, figure: &Figure) -> Vec<u8> {
    let png = figure.png().unwrap();
    if let Some(folder) = std::env::var_os("VOXPLAIN_GALLERY") {
        let stem = std::path::Path::new(&folder).join(name);
        figure.write(&stem).unwrap();
        std::fs::write(stem.with_extension("pdf"), figure.pdf().unwrap()).unwrap();
    }
    assert!(figure.pdf().unwrap().starts_with(b"%PDF-"), "{name}: what it is made of can be written as PDF");
    assert_eq!(figure.png().unwrap(), png, "{name}: other bytes the second time");
    png
}

#[test]
fn left_is_left_however_the_array_runs() {
    let (warm, cold) = (
        |p: &[u8; 3]| p[0] > 180 && i32::from(p[0]) - i32::from(p[2]) > 80,
        |p: &[u8; 3]| i32::from(p[2]) - i32::from(p[0]) > 50,
    );
    for flipped in [false, true] {
        let (brain, mask, map) = phantom(flipped);
        let underlay = Underlay::new(brain, &mask).unwrap();
        let range = ColourRange { max: 0.012, percentile: None };
        for cut in [Cut { plane: Plane::Axial, at: 20.0 }, Cut { plane: Plane::Coronal, at: 10.0 }] {
            let (width, _, pixels) = decode(&thumbnail(&underlay, &map, cut, range, 2.0).unwrap());
            let columns: Vec<usize> = (0..pixels.len()).filter(|n| warm(&pixels[*n])).map(|n| n % width).collect();
            assert!(columns.len() > 20, "{cut:?}: {} warm pixels", columns.len());
            assert!(
                columns.iter().all(|c| *c < width / 2),
                "{cut:?}, flipped {flipped}: the left ball is drawn on the right"
            );
        }
        // The cold ball is right and behind: to the right of an axial cut and in its lower half.
        let (width, height, pixels) =
            decode(&thumbnail(&underlay, &map, Cut { plane: Plane::Axial, at: 0.0 }, range, 2.0).unwrap());
        let cells: Vec<usize> = (0..pixels.len()).filter(|n| cold(&pixels[*n])).collect();
        assert!(cells.len() > 20 && cells.iter().all(|n| n % width > width / 2 && n / width > height / 2));
        // From the side the nose is to the right: the warm ball is right of the middle (y = 10 of -100..68), upper half.
        let (width, height, pixels) =
            decode(&thumbnail(&underlay, &map, Cut { plane: Plane::Sagittal, at: -36.0 }, range, 2.0).unwrap());
        let cells: Vec<usize> = (0..pixels.len()).filter(|n| warm(&pixels[*n])).collect();
        let mean = cells.iter().map(|n| n % width).sum::<usize>() / cells.len();
        assert!(mean > width / 2 && cells.iter().all(|n| n / width < height * 6 / 10), "{mean} of {width}");
    }
    // The same picture from both arrays.
    assert_eq!(mosaic(false, 86.0, 4).svg.len(), mosaic(true, 86.0, 4).svg.len());
}

#[test]
fn a_mosaic_says_its_sides_and_its_numbers() {
    let figure = mosaic(false, 180.0, 7);
    assert_eq!(figure.svg.matches(">L</text>").count(), 14);
    assert_eq!(figure.svg.matches(">R</text>").count(), 14);
    assert!(figure.svg.contains("Left is left (neurological convention)") && figure.svg.contains("99.5th percentile"));
    assert_eq!(figure.svg.matches("<image").count(), 22);
    // The panels are drawn: the first row's leftmost panel has brain, and the warm ball only in its left half.
    let (width, height, pixels) = decode(&look("mosaic-180", &figure));
    let warm = |p: &[u8; 3]| p[0] > 180 && i32::from(p[0]) - i32::from(p[2]) > 80;
    let panel = width * 165 / 180 / 7;
    for column in 0..7 {
        let at = |half: usize| {
            let from = column * panel + half * panel / 2;
            (0..height * 3 / 10)
                .flat_map(|y| (from..from + panel / 2).map(move |x| y * width + x))
                .filter(|n| warm(&pixels[*n]))
                .count()
        };
        assert!(at(1) * 20 <= at(0), "column {column}: {} warm pixels left, {} right", at(0), at(1));
        assert!(column < 2 || at(0) > 200, "column {column}: {}", at(0));
    }
    look("mosaic-86", &mosaic(false, 86.0, 4));
}

/// Voxels of the right half from 20 mm on are not seen: hatched there and nowhere else, whichever way the array runs, and said.
#[test]
fn what_is_not_seen_is_hatched_on_its_side() {
    for flipped in [false, true] {
        let (brain, mask, map) = phantom(flipped);
        let grid = *mask.grid();
        let unseen = Mask::from_fn(grid, |v| grid.affine.apply(v.map(|x| x as f64))[0] > 20.0);
        let plain = Underlay::new(brain, &mask).unwrap();
        let range = ColourRange::percentile(&plain, &map, 99.5);
        let black = |underlay: &Underlay, plane: Plane| {
            let png = thumbnail(underlay, &map, Cut { plane, at: 10.0 }, range, 2.0).unwrap();
            let (width, _, pixels) = decode(&png);
            let columns = (0..pixels.len()).filter(|n| pixels[*n] == [0; 3]).map(|n| n % width).collect::<Vec<_>>();
            (columns, width)
        };
        let hatched = plain.clone().with_unseen(&unseen).unwrap();
        for plane in [Plane::Axial, Plane::Coronal] {
            assert!(black(&plain, plane).0.is_empty());
            let (columns, width) = black(&hatched, plane);
            assert!(columns.len() > 20 && columns.iter().all(|c| *c > width / 2), "{plane:?}, flipped {flipped}");
        }
        let draw = |underlay: &Underlay| {
            let (title, units, space) = Default::default();
            let rows = underlay.cuts(&map, 3, 6.0);
            Mosaic { title, units, underlay, map: &map, range, rows, width: 130.0, space }.draw().unwrap()
        };
        let inside = mask.data().iter().filter(|m| **m).count();
        let both = mask.data().iter().zip(unseen.data()).filter(|(m, u)| **m && **u).count();
        let percent = 100.0 * both as f64 / inside as f64;
        let figure = draw(&hatched);
        assert!(figure.svg.contains(&format!("cannot change the output of the network ({percent:.0} %")), "{percent}");
        look("mosaic-hatched", &figure);
        // Nothing of the brain is unseen: nothing is hatched, and nothing said.
        let outside = plain.clone().with_unseen(&mask.map(|m| !m)).unwrap();
        assert_eq!(draw(&outside).svg, draw(&plain).svg);
        let small = Mask::filled(Grid::new([2; 3], Affine::IDENTITY).unwrap(), true);
        assert!(plain.with_unseen(&small).unwrap_err().to_string().contains("2 x 2 x 2 voxels"));
    }
}

#[test]
fn a_map_of_zeros_is_drawn_and_said() {
    let (brain, mask, map) = phantom(false);
    let underlay = Underlay::new(brain.clone(), &mask).unwrap();
    let zero = map.map(|_| 0.0);
    let range = ColourRange::percentile(&underlay, &zero, 99.5);
    let figure = Mosaic {
        title: "zero".into(),
        units: String::new(),
        underlay: &underlay,
        map: &zero,
        range,
        rows: underlay.cuts(&zero, 3, 6.0),
        width: 86.0,
        space: String::new(),
    }
    .draw()
    .unwrap();
    assert!(figure.svg.contains("map is 0 in the whole mask") && !figure.svg.contains("NaN"));
    look("mosaic-zero", &figure);
    assert!(Underlay::new(map.clone(), &mask.map(|_| false)).is_err());
    assert_eq!(underlay.outside(&zero), 0.0);
}

#[test]
fn charts_are_drawn() {
    let curve = |n: usize| LearningCurve {
        loss: (0..40)
            .map(|e| 0.7 * (-(e as f64) / (8.0 + n as f64)).exp() + 0.02 * ((e * 7 + n * 13) % 11) as f64)
            .collect(),
        accuracy: (0..40).map(|e| 1.0 - 0.5 * (-(e as f64) / (9.0 + n as f64)).exp()).collect(),
        validation_loss: (0..40)
            .map(|e| 0.55 + 0.15 * (-(e as f64) / 5.0).exp() + 0.02 * ((e * 5 + n) % 7) as f64)
            .collect(),
        validation_accuracy: (0..40).map(|e| 0.8 - 0.25 * (-(e as f64) / 6.0).exp()).collect(),
    };
    for width in [86.0, 130.0] {
        look(&format!("curves-{width}"), &learning_curves(&(0..10).map(curve).collect::<Vec<_>>(), width));
    }
    look("curves-none", &learning_curves(&[], 86.0));

    let scores = |spread: f64| -> Vec<(f64, bool)> {
        (0..107).map(|n| ((f64::from(n) * 0.618).fract() + if n % 2 == 0 { spread } else { 0.0 }, n % 2 == 0)).collect()
    };
    let roc = [
        ("CNN, AUC 0.91 [0.84, 0.95]", 0.6),
        ("linear voxels, AUC 0.86 [0.78, 0.92]", 0.45),
        ("brain volume, AUC 0.85 [0.76, 0.91]", 0.4),
    ]
    .map(|(words, spread)| RocCurve { words: words.into(), scores: scores(spread) });
    look("roc", &roc_curves(&roc, "male", 7, 86.0));

    let names = ["grad-cam", "guided-backprop", "meaningful-perturbation"].map(str::to_owned).to_vec();
    let cells: Vec<Vec<Cell>> = (0..3)
        .map(|r: usize| {
            (0..3)
                .map(|c: usize| {
                    let value = if r == c { 1.0 } else { 0.9 - 0.35 * (r + c) as f64 };
                    let below = if r == c { String::new() } else { "[0.12, 0.34]".into() };
                    Cell { shade: Some(value), words: format!("{value:.2}").replace('-', "\u{2212}"), below }
                })
                .collect()
        })
        .collect();
    look(
        "similarity",
        &matrix(
            "Agreement of methods",
            &names,
            &cells,
            None,
            "Spearman's correlation inside the brain; mean over 107 subjects with 95 % interval.",
            86.0,
        ),
    );
    let confusion = [[45, 11], [6, 45]];
    let cells = confusion.map(|row: [usize; 2]| {
        row.map(|n| Cell {
            shade: Some(n as f64 / row.iter().sum::<usize>() as f64),
            words: n.to_string(),
            below: format!("{} %", 100 * n / row.iter().sum::<usize>()),
        })
        .to_vec()
    });
    look(
        "confusion",
        &matrix(
            "Confusion",
            &["female".into(), "male".into()],
            &cells,
            Some(["truth", "said"]),
            "Counts of held-out subjects; per cent of each row.",
            60.0,
        ),
    );

    let items: Vec<ForestRow> = (0..16)
        .map(|n| {
            let mean = 3.2 - 0.17 * f64::from(n);
            ForestRow {
                name: format!("Superior frontal gyrus, part {n}"),
                side: ["L", "R"][n as usize % 2].into(),
                value: Interval { mean, low: Some(mean - 0.4), high: Some(mean + 0.4), n: 107, ..Interval::default() },
            }
        })
        .collect();
    look(
        "regions",
        &forest_plot(
            "Regions with most relevance, guided-backprop",
            &items,
            "enrichment (1: chance)",
            1.0,
            "Mean over 107 subjects with 95 % interval; Brainnetome atlas.",
            86.0,
        ),
    );
}

/// Points of the lines and bands of a colour.
fn points(svg: &str, element: &str, colour: &str) -> Vec<Vec<[f64; 2]>> {
    svg.lines()
        .filter(|l| l.starts_with(&format!("<{element} ")) && l.contains(colour))
        .map(|l| {
            let (_, rest) = l.split_once("points=\"").unwrap();
            let pair = |p: &str| {
                let (x, y) = p.split_once(',').unwrap();
                [x.parse().unwrap(), y.parse().unwrap()]
            };
            rest.split('"').next().unwrap().split(' ').map(pair).collect()
        })
        .collect()
}

#[test]
fn deletion_and_insertion_are_drawn() {
    let around = |mean: f64, half: f64| Interval {
        mean,
        low: Some(mean - half),
        high: Some(mean + half),
        n: 107,
        ..Interval::default()
    };
    let curve_of = |method: &str, steps: usize, speed: f64| {
        let part = |s: usize| s as f64 / steps as f64;
        let fall = |speed: f64| move |s: usize| around(0.1 + 0.9 * (1.0 - part(s)).powf(speed), 0.06);
        DeletionCurve {
            method: method.into(),
            curve: (0..=steps).map(fall(speed)).collect(),
            random: (0..=steps).map(fall(0.7)).collect(),
            difference: around(-0.2, 0.1),
        }
    };
    let names =
        ["guided-backprop", "grad-cam", "hires-cam", "meaningful-perturbation", "lrp", "saliency", "rise", "cam"];
    let panel = |title: &str, count: usize| DeletionPanel {
        title: title.into(),
        axis: "brain replaced, %".into(),
        methods: names[..count].iter().enumerate().map(|(n, name)| curve_of(name, 50, 1.0 + n as f64)).collect(),
    };
    let note = "Means over 107 subjects.";
    let four = ["Deletion, blur", "Insertion, blur", "Deletion, harmonic", "Insertion, harmonic"];
    let panels: Vec<DeletionPanel> = four.iter().map(|t| panel(t, 4)).collect();
    let figure = deletion_curves(&panels, "Deletion and insertion", note, 180.0);
    look("deletion-insertion", &figure);
    assert!(figure.alt.contains("Insertion, harmonic: area less that of random orders: guided-backprop -0.2"));
    // Of each panel: four lines, their bands and their random orders; more methods than colours are named, not drawn.
    let count = |f: &Figure, what: &str| f.svg.matches(what).count();
    assert_eq!((count(&figure, "<polygon"), count(&figure, "stroke-dasharray=\"0.8 0.8\" stroke-linejoin")), (16, 16));
    let many = deletion_curves(&[panel("Deletion, blur", 8)], "Deletion", note, 86.0);
    look("deletion-many", &many);
    assert_eq!(count(&many, "<polygon"), 6);
    assert!(many.svg.contains("2 more methods are in the table."));
    assert!(!many.svg.contains(">rise<") && many.svg.contains(">saliency<"));
    // A curve from 1 to 0.25: between the axis's ends and three quarters of its height apart; the band around it, within the axes.
    let line = vec![around(1.0, 0.1), around(0.25, 0.1)];
    let one = DeletionCurve { method: "m".into(), curve: line.clone(), random: line, difference: around(0.0, 0.1) };
    let one = DeletionPanel { title: "t".into(), axis: "x".into(), methods: vec![one] };
    let figure = deletion_curves(&[one], "Deletion", note, 86.0);
    let drawn = points(&figure.svg, "polyline", "#0072b2");
    let band = points(&figure.svg, "polygon", "#0072b2");
    let [[left, top], [right, bottom]]: [[f64; 2]; 2] = drawn[0][..].try_into().unwrap();
    let [a, b, c, d]: [[f64; 2]; 4] = band[0][..].try_into().unwrap();
    let tenth = (bottom - top) / 7.5;
    let near = |a: f64, b: f64| (a - b).abs() < 0.02;
    assert!(near(a[0], left) && near(a[1], top + tenth) && near(b[0], right) && near(b[1], bottom + tenth));
    assert!(near(c[1], bottom - tenth) && near(d[1], top), "no probability above 1: {d:?}");
    // One subject has no interval, a run may have no maps: all the same a figure.
    let alone = Interval { mean: 0.5, low: None, high: None, n: 1, ..Interval::default() };
    let lone = DeletionCurve { method: "m".into(), curve: vec![alone; 3], random: vec![alone; 3], difference: alone };
    let none = DeletionPanel { title: "t".into(), axis: "x".into(), methods: Vec::new() };
    for panels in [vec![], vec![none.clone()], vec![DeletionPanel { methods: vec![lone], ..none }]] {
        let figure = deletion_curves(&panels, "<b>", note, 86.0);
        assert!(!figure.svg.contains("NaN") && !figure.svg.contains("<b>"));
        figure.png().unwrap();
    }
}

#[test]
fn text_means_itself() {
    let name = "<script>alert('x')</script> & \"quotes\" \u{1}";
    let cells = vec![vec![Cell { shade: Some(f64::NAN), words: name.into(), below: name.into() }]];
    let figure = matrix(name, &[name.into()], &cells, None, name, 86.0);
    assert!(!figure.svg.contains("<script>") && figure.svg.contains("&lt;scr"));
    figure.png().unwrap();
}

/// The phantom's map drawn in one way.
fn plot<'a>(brain: &'a Volume, map: &'a Volume, display: Display) -> Plot<'a> {
    Plot {
        mask: None,
        colour_bar: true,
        map,
        background: Some(brain),
        contours: &[],
        display,
        cuts: Cuts::Auto,
        threshold: Threshold::None,
        vmax: None,
        colours: Colours::OrangeBlue,
        annotate: true,
        draw_cross: true,
        black_bg: false,
        title: String::new(),
        units: "logit".into(),
        width: 130.0,
    }
}

/// The panels of a figure: where each lies on paper (x, y, width, height in mm), its width in pixels, and the pixels.
fn panels(svg: &str) -> Vec<([f64; 4], usize, Vec<[u8; 3]>)> {
    let attribute = |element: &str, name: &str| -> f64 {
        let (_, rest) = element.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    svg.split("<image")
        .skip(1)
        .map(|element| {
            let png = element.split("base64,").nth(1).unwrap().split('"').next().unwrap();
            let (width, _, pixels) = decode(&STANDARD.decode(png).unwrap());
            (["x", "y", "width", "height"].map(|a| attribute(element, a)), width, pixels)
        })
        .collect()
}

fn is_warm(p: &[u8; 3]) -> bool {
    p[0] > 180 && i32::from(p[0]) - i32::from(p[2]) > 80
}

#[test]
fn plots_keep_left_left_in_every_way_of_drawing() {
    for flipped in [false, true] {
        let (brain, _, map) = phantom(flipped);
        for display in [Display::Ortho, Display::Y, Display::Z, Display::Mosaic, Display::Glass] {
            let mut plot = plot(&brain, &map, display);
            plot.threshold = Threshold::Value(0.002);
            if display == Display::Ortho {
                plot.cuts = Cuts::At(vec![-36.0, 10.0, 20.0]);
            }
            let (figure, _) = plot.draw().unwrap();
            let mut seen = 0;
            let mut panels = panels(&figure.svg);
            panels.pop(); // the colour bar
            for (n, (_, width, pixels)) in panels.iter().enumerate() {
                let sagittal = match display {
                    Display::Ortho | Display::Glass => n == 1,
                    Display::Mosaic => n >= 14,
                    _ => false,
                };
                let warm: Vec<usize> = (0..pixels.len()).filter(|n| is_warm(&pixels[*n])).map(|n| n % width).collect();
                assert!(sagittal || warm.iter().all(|c| *c < width / 2), "{display:?} {n}, flipped {flipped}");
                seen += warm.len();
            }
            assert!(seen > 50, "{display:?}: {seen}");
            look(&format!("plot-{display:?}"), &figure);
        }
    }
}

#[test]
fn the_cross_is_where_the_cut_is() {
    // One voxel of relevance at 24, -20, 12 mm.
    let grid = Grid::new([31, 41, 31], Affine::from_spacing_origin([4.0; 3], [-60.0, -80.0, -60.0])).unwrap();
    let brain = Volume::filled(grid, 1.0f32);
    let at = [21, 15, 18];
    assert_eq!(grid.affine.apply(at.map(|v| v as f64)), [24.0, -20.0, 12.0]);
    let map = Volume::from_fn(grid, |v| if v == at { 2.0f32 } else { 0.0 });
    let (figure, plotted) = plot(&brain, &map, Display::Ortho).draw().unwrap();
    assert_eq!(plotted.cuts, [("y".to_owned(), -20.0), ("x".to_owned(), 24.0), ("z".to_owned(), 12.0)]);
    assert_eq!((plotted.vmax, plotted.threshold), (2.0, 0.0));
    let lines: Vec<[f64; 4]> = figure
        .svg
        .split("<line")
        .skip(1)
        .filter(|l| l.contains("#3a3a3a"))
        .map(|l| {
            ["x1", "y1", "x2", "y2"].map(|a| {
                let (_, rest) = l.split_once(&format!(" {a}=\"")).unwrap();
                rest.split('"').next().unwrap().parse().unwrap()
            })
        })
        .collect();
    assert_eq!(lines.len(), 6);
    for (place, width, pixels) in panels(&figure.svg).into_iter().take(3) {
        let warm: Vec<usize> = (0..pixels.len()).filter(|n| is_warm(&pixels[*n])).collect();
        let height = pixels.len() / width;
        let mean =
            |of: &dyn Fn(usize) -> usize| warm.iter().map(|n| of(*n) as f64 + 0.5).sum::<f64>() / warm.len() as f64;
        let x = place[0] + place[2] * mean(&|n| n % width) / width as f64;
        let y = place[1] + place[3] * mean(&|n| n / width) / height as f64;
        let near = |a: f64, b: f64| (a - b).abs() < 0.1;
        assert!(lines.iter().any(|l| near(l[0], x) && near(l[2], x)), "x = {x}: {lines:?}");
        assert!(lines.iter().any(|l| near(l[1], y) && near(l[3], y)), "y = {y}: {lines:?}");
    }
}

#[test]
fn what_is_below_the_threshold_is_not_drawn() {
    let (brain, mask, map) = phantom(false);
    let coloured = |plot: &Plot<'_>| -> usize {
        let (figure, _) = plot.draw().unwrap();
        let mut panels = panels(&figure.svg);
        panels.pop();
        let far = |p: &&[u8; 3]| (i32::from(p[0]) - i32::from(p[2])).abs() > 25;
        panels.iter().map(|(_, _, pixels)| pixels.iter().filter(far).count()).sum()
    };
    let at = |threshold: Threshold| {
        let mut plot = plot(&brain, &map, Display::Glass);
        plot.threshold = threshold;
        coloured(&plot)
    };
    let (all, half) = (at(Threshold::Value(1e-9)), at(Threshold::Percentile(90.0)));
    assert!(all > half && half > 0, "{all}, {half}");
    // The contour of another map is drawn in the ink of the words and named; on black the paper is black.
    let other = [("the other map <b>".to_owned(), map.clone())];
    let drawn = Plot { contours: &other, black_bg: true, ..plot(&brain, &map, Display::Z) };
    let (figure, _) = drawn.draw().unwrap();
    assert!(figure.svg.contains("the other map &lt;b&gt;") && figure.svg.contains("stroke=\"#f0f0f0\""));
    let (_, _, pixels) = decode(&look("plot-black", &figure));
    assert_eq!(pixels[0], [0; 3]);
    // Without a background the grid of the map is drawn on; a map of zeros is nothing but that.
    let zero = map.map(|_| 0.0);
    let alone = Plot { background: None, ..plot(&brain, &zero, Display::Ortho) };
    let (figure, plotted) = alone.draw().unwrap();
    assert!(!figure.svg.contains("NaN") && figure.svg.contains("The map is 0 everywhere."));
    assert_eq!(plotted.notes, ["the map is 0 everywhere: nothing of it is drawn"]);
    let error = |plot: Plot<'_>| plot.draw().unwrap_err().to_string();
    let one = |display| plot(&brain, &map, display);
    assert!(error(Plot { cuts: Cuts::At(vec![1.0, 2.0]), ..one(Display::Ortho) }).contains("2 coordinates"));
    assert!(error(Plot { cuts: Cuts::At(vec![1.0]), ..one(Display::Mosaic) }).contains("three axes"));
    assert!(error(Plot { cuts: Cuts::At(vec![f64::NAN]), ..one(Display::X) }).contains("NaN"));
    assert!(error(Plot { threshold: Threshold::Percentile(101.0), ..one(Display::X) }).contains("101"));
    for vmax in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = error(Plot { vmax: Some(vmax), ..one(Display::X) });
        assert!(error.contains(&format!("cannot end at {vmax}")), "{error}");
    }
    // A grid of no body is named, and takes no memory.
    let far = Volume::filled(Grid::new([2; 3], Affine::from_spacing_origin([1e30; 3], [0.0; 3])).unwrap(), 1.0);
    for display in [Display::Glass, Display::Ortho, Display::Mosaic] {
        let error = error(Plot { background: None, ..plot(&brain, &far, display) });
        assert!(error.starts_with("the map lies on a grid of 2 x 2 x 2 voxels of 1.000e30 x"), "{error}");
    }
    assert!(error(Plot { background: Some(&far), ..one(Display::X) }).starts_with("the background lies on a grid"));
    let above = Plot { threshold: Threshold::Value(0.004), vmax: Some(0.003), ..one(Display::X) };
    assert!(error(above).contains("would end at 0.003, below the threshold 0.004"));
    let pale = Plot { vmax: Some(1.0), ..one(Display::X) }.draw().unwrap().1;
    assert!(pale.notes[0].contains("hardly anything"), "{:?}", pale.notes);
    let empty = mask.map(|_| 0.0f32);
    let (_, plotted) = Plot { background: Some(&empty), ..one(Display::X) }.draw().unwrap();
    assert_eq!(
        plotted.notes,
        ["the background is 0 everywhere: the map is drawn without it"],
        "the map's own grid then"
    );
}

/// A brain of 1 in a box of 2 mm voxels from -40 to 40 mm, and a map in it that is 3 in one voxel and -1 in a few others.
fn boxes() -> (Volume, Volume) {
    let grid = Grid::new([51; 3], Affine::from_spacing_origin([2.0; 3], [-50.0; 3])).unwrap();
    let brain = Volume::from_fn(grid, |v| if v.iter().all(|x| (5..=45).contains(x)) { 1.0 } else { 0.0 });
    let map = Volume::from_fn(grid, |v| match v {
        [10, 20, 30] => 3.0,
        [40, 40, k] if k < 20 && k > 9 => -1.0,
        _ => 0.0,
    });
    (brain, map)
}

/// A volume whose voxels lie elsewhere by so many mm.
fn moved(volume: &Volume, by: [f64; 3]) -> Volume {
    let mut rows = *volume.grid().affine.rows();
    rows.iter_mut().zip(by).for_each(|(row, by)| row[3] += by);
    Volume::new(Grid::new(volume.shape(), Affine::from_rows(rows)).unwrap(), volume.data().to_vec()).unwrap()
}

#[test]
fn nan_is_background_and_said_and_infinite_values_are_refused() {
    let (brain, map) = boxes();
    let hole = |v: &Volume| Volume::from_fn(*v.grid(), |[i, j, k]| if i == 3 { f32::NAN } else { v.at(i, j, k) });
    let (with, without) = (hole(&map), plot(&brain, &map, Display::Ortho).draw().unwrap());
    let contours = [("outline".to_owned(), hole(&map))];
    let under = hole(&brain);
    let plain = [("outline".to_owned(), map.clone())];
    let peak = || Cuts::At(vec![-30.0, -10.0, 10.0]);
    let one = |map| Plot { cuts: peak(), ..plot(&brain, map, Display::Ortho) };
    let (figure, plotted) = Plot { contours: &contours, background: Some(&under), ..one(&with) }.draw().unwrap();
    let expected = Plot { contours: &plain, ..one(&map) }.draw().unwrap().0;
    assert_eq!(figure.svg, expected.svg, "as if NaN were 0");
    let of = 51 * 51;
    let all = 51 * of;
    let said = ["the map", "the background", "outline"]
        .map(|n| format!("{of} of {all} values of {n} are NaN and are taken as 0"));
    assert_eq!(plotted.notes, said);
    assert!(without.1.notes.is_empty(), "{:?}", without.1.notes);
    let error = |map: &Volume| plot(&brain, map, Display::X).draw().unwrap_err().to_string();
    let mut odd = map.clone();
    odd.data_mut()[2] = f32::NEG_INFINITY;
    assert!(error(&odd).contains("the map holds 1 infinite value, at voxel 0,0,2"));
    assert!(error(&map.map(|_| f32::NAN)).contains("all its values are NaN"));
    let contours = [("odd.nii".to_owned(), odd)];
    let drawn = Plot { contours: &contours, ..plot(&brain, &map, Display::X) };
    assert!(drawn.draw().unwrap_err().to_string().contains("odd.nii holds 1 infinite"));
}

#[test]
fn an_empty_picture_is_refused_or_said() {
    let (brain, map) = boxes();
    let one = |display| plot(&brain, &map, display);
    let error = |plot: Plot<'_>| plot.draw().unwrap_err().to_string();
    let notes = |plot: Plot<'_>| plot.draw().unwrap().1.notes;
    // By hand: the largest |value| is 3; the field of view goes from -50 to 50 mm.
    let high = error(Plot { threshold: Threshold::Value(3.1), ..one(Display::Glass) });
    assert!(high.contains("its largest |value| is 3, below the threshold 3.1"), "{high}");
    assert!(notes(Plot { threshold: Threshold::Value(3.0), ..one(Display::Ortho) }).is_empty());
    assert!(notes(Plot { threshold: Threshold::Percentile(100.0), ..one(Display::Mosaic) }).is_empty());
    for (display, at) in
        [(Display::Z, vec![0.0, 51.0]), (Display::X, vec![-51.0]), (Display::Ortho, vec![0.0, 0.0, 900.0])]
    {
        let cut = error(Plot { cuts: Cuts::At(at), ..one(display) });
        assert!(cut.contains("from -50 to 50 mm") && cut.contains("field of view of map and background"), "{cut}");
    }
    assert!(notes(Plot { cuts: Cuts::At(vec![10.0, 8.0]), ..one(Display::Z) }).is_empty());
    assert_eq!(
        notes(Plot { cuts: Cuts::At(vec![20.0]), ..one(Display::Z) }),
        ["no value of the map lies in these cuts: its largest |value|, 3, is at -30,-10,10 mm"]
    );
    let (figure, plotted) = Plot { cuts: Cuts::At(vec![10.0, 48.0]), ..one(Display::Z) }.draw().unwrap();
    assert_eq!(plotted.notes, ["nothing is there to be drawn at z = 48 mm"]);
    assert!(!figure.svg.contains("No value"));
    assert!(error(Plot { cuts: Cuts::At(vec![]), ..one(Display::Z) }).contains("no place"));
    assert!(error(Plot { cuts: Cuts::At(vec![1.0, 2.0, 3.0]), ..one(Display::Glass) }).contains("has no cuts"));
}

#[test]
fn a_background_elsewhere_is_refused_and_a_part_is_said() {
    let (brain, map) = boxes();
    let with = |background: &Volume| plot(background, &map, Display::Ortho).draw().map(|(_, plotted)| plotted.notes);
    assert!(with(&brain).unwrap().is_empty());
    let far = with(&moved(&brain, [200.0, 0.0, 0.0])).unwrap_err().to_string();
    assert!(far.contains("do not meet") && far.contains("x -50 to 50,") && far.contains("x 150 to 250,"), "{far}");
    // By 60 mm the fields of view meet from 10 to 50 mm in x: of eleven values, the one at -30 mm lies outside, and of the
    // background (20 to 100 mm) the planes from 52 mm on are bare: 25 of 41.
    let part = with(&moved(&brain, [60.0, 0.0, 0.0])).unwrap();
    assert!(part[0].starts_with("9.09 % of the map's values lie outside the background's field of view (x 10 to 110,"));
    assert!(
        part[1].starts_with("61 % of the background lies outside the map's field of view (x -50 to 50,"),
        "{part:?}"
    );
    // The fields of view meet, but no value of the map lies where the background is: 3 at y = -10 and -1 at 30 mm, background from 40 mm.
    let beside = with(&moved(&brain, [0.0, 80.0, 0.0])).unwrap_err().to_string();
    assert!(beside.contains("lie beside the background") && beside.contains("y 40 to 120"), "{beside}");
    // A larger background hides nothing.
    let grid = Grid::new([101; 3], Affine::from_spacing_origin([2.0; 3], [-100.0; 3])).unwrap();
    let large = Volume::from_fn(grid, |v| if v.iter().all(|x| (30..=70).contains(x)) { 1.0 } else { 0.0 });
    assert!(with(&large).unwrap().is_empty());
}

#[test]
fn contours_are_looked_at_as_maps_are() {
    let (brain, map) = boxes();
    let draw = |contour: Volume, threshold: Threshold| {
        let contours = [("other.nii".to_owned(), contour)];
        let cuts = Cuts::At(vec![-30.0, -10.0, 10.0]);
        let plot = Plot { contours: &contours, threshold, cuts, ..plot(&brain, &map, Display::Ortho) };
        plot.draw().map(|(_, plotted)| plotted.notes).map_err(|e| e.to_string())
    };
    let ball = |value: f32| {
        Volume::from_fn(*map.grid(), |[i, j, k]| {
            let away = [i as f64 - 10.0, j as f64 - 20.0, k as f64 - 30.0];
            if away.iter().map(|x| x * x).sum::<f64>() < 16.0 { value } else { 0.0 }
        })
    };
    // A mask is outlined at its half, whatever the threshold.
    assert_eq!(draw(ball(1.0), Threshold::Value(2.0)), Ok(vec![]));
    assert_eq!(draw(ball(-1.0), Threshold::None), Ok(vec![]));
    assert!(draw(ball(0.0), Threshold::None).unwrap_err().contains("other.nii is 0 everywhere"));
    let low = map.map(|v| 0.1 * v);
    assert!(draw(low.clone(), Threshold::Value(2.0)).unwrap_err().contains("threshold 2: its largest |value| is 0.3"));
    assert!(
        draw(moved(&ball(1.0), [300.0, 0.0, 0.0]), Threshold::None).unwrap_err().contains("lies beside what is drawn")
    );
    let elsewhere = draw(moved(&ball(1.0), [20.0, 20.0, -30.0]), Threshold::None).unwrap();
    assert_eq!(elsewhere, ["the outline of other.nii (|value| 0.5) meets none of the cuts"]);
    let mask = ball(1.0);
    let atlas = Volume::from_fn(*map.grid(), |[i, j, k]| mask.at(i, j, k) * (1.0 + (i % 3) as f32));
    assert!(draw(atlas, Threshold::None).unwrap()[0].contains("holds whole numbers"));
}

/// A blob of one value, with the threshold at it: the outline is as wide as the blob, and a voxel's as wide as the voxel.
#[test]
fn contours_at_a_value_run_around_its_voxels() {
    let (brain, map) = boxes();
    let grid = *map.grid();
    let widths = |voxels: usize, sign: f32, display: Display| {
        // The second value makes it a map, which a mask is not.
        let contour = Volume::from_fn(grid, |[i, j, k]| match [i, j, k].map(|x| x.wrapping_sub(20) < voxels) {
            [true, true, true] => sign,
            _ if [i, j, k] == [40; 3] => 0.1,
            _ => 0.0,
        });
        let contours = [("other.nii".to_owned(), contour)];
        let cuts = if display == Display::Glass { Cuts::Auto } else { Cuts::At(vec![-10.0]) };
        let threshold = Threshold::Value(1.0);
        let drawn = Plot { contours: &contours, threshold, cuts, ..plot(&brain, &map, display) };
        let svg = drawn.draw().unwrap().0.svg;
        // Mm of paper for a mm of brain.
        let (place, pixels, _) = panels(&svg).remove(0);
        let scale = place[2] / pixels as f64;
        let (_, path) = svg.split_once("<path d=\"M").unwrap();
        let line = svg
            .split("<path d=\"")
            .find(|path| path.split_once("stroke=").is_some_and(|(_, rest)| rest.starts_with("\"#1a1a1a\"")))
            .unwrap_or(path);
        let numbers = |text: &str| -> Vec<f64> { text.split(' ').map(|x| x.parse().unwrap()).collect() };
        let ends: Vec<Vec<f64>> =
            line.split('"').next().unwrap().split(['M', 'L']).filter(|x| !x.is_empty()).map(numbers).collect();
        [0, 1].map(|axis| {
            let along = || ends.iter().map(|end| end[axis]);
            (along().fold(f64::MIN, f64::max) - along().fold(f64::MAX, f64::min)) / scale
        })
    };
    // Voxels of 2 mm, pixels of 1 mm.
    for display in [Display::Z, Display::Glass] {
        for (voxels, sign) in [(1, 1.0), (4, 1.0), (4, -1.0), (1, -1.0)] {
            for width in widths(voxels, sign, display) {
                let expected = 2.0 * voxels as f64;
                assert!((width - expected).abs() <= 0.1, "{display:?}, {voxels} voxels of {sign}: {width} mm");
            }
        }
    }
}

/// What is drawn has a colour that the bar has, with a threshold at the end of the range too.
#[test]
fn the_bar_has_the_colours_that_are_drawn() {
    let (brain, map) = boxes();
    let negative = map.map(|v| -v);
    let constant = map.map(|_| 0.3);
    for (map, threshold) in [
        (&map, Threshold::Percentile(100.0)),
        (&negative, Threshold::Percentile(100.0)),
        (&constant, Threshold::Percentile(95.0)),
        (&map, Threshold::Value(2.999)),
        (&map, Threshold::Value(3.0)),
    ] {
        let (figure, plotted) = Plot { threshold, ..plot(&brain, map, Display::Ortho) }.draw().unwrap();
        let mut panels = panels(&figure.svg);
        let (place, _, bar) = panels.pop().unwrap();
        let drawn = panels.iter().flat_map(|(_, _, pixels)| pixels).find(|p| p[0].abs_diff(p[2]) > 40).unwrap();
        let of_bar: Vec<&[u8; 3]> = bar.iter().filter(|p| **p != [128; 3]).collect();
        // Drawn at 95 % over grey.
        let near = |p: &[u8; 3]| (0..3).all(|c| p[c].abs_diff(drawn[c]) < 16);
        assert!(of_bar.iter().any(|p| near(p)), "{threshold:?}: {drawn:?} is not of {of_bar:?}");
        // Wide enough to be seen, and no wider.
        let long = place[3] * of_bar.len() as f64 / bar.len() as f64;
        assert!((0.5..3.0).contains(&long), "{threshold:?}: {long} mm, from {}", plotted.threshold);
    }
}

/// A threshold is one of |value|: what speaks against a class is outlined as what speaks for it.
#[test]
fn contours_run_around_both_signs() {
    let (brain, map) = boxes();
    let cube = |[i, j, k]: [usize; 3], sign: f32| {
        let at = [(i, 30), (j, 30), (k, 30)];
        if at.iter().all(|(x, c)| x.abs_diff(*c) < 3) { sign * (2.0 + i as f32 / 100.0) } else { 0.0 }
    };
    let (above, below) =
        (Volume::from_fn(*map.grid(), |v| cube(v, 1.0)), Volume::from_fn(*map.grid(), |v| cube(v, -1.0)));
    let svg = |contour: Volume| {
        let contours = [("other.nii".to_owned(), contour)];
        let cuts = Cuts::At(vec![0.0, 0.0, 0.0]);
        let drawn =
            Plot { contours: &contours, threshold: Threshold::Value(1.0), cuts, ..plot(&brain, &map, Display::Ortho) };
        drawn.draw().unwrap().0.svg
    };
    assert_eq!(svg(above), svg(below));
}

/// Voxels of 0.7 mm over a brain of 2 mm, one of them with a value: every way of cutting shows it, with and without a threshold.
#[test]
fn a_single_fine_voxel_is_seen() {
    let (brain, _) = boxes();
    let grid = Grid::new([51; 3], Affine::from_spacing_origin([0.7; 3], [-13.37, -9.21, 4.55])).unwrap();
    let map = Volume::from_fn(grid, |v| if v == [7, 33, 41] { 2.0 } else { 0.0 });
    for display in [Display::Ortho, Display::X, Display::Y, Display::Z, Display::Mosaic, Display::Glass] {
        for threshold in [Threshold::None, Threshold::Value(1.9), Threshold::Percentile(100.0)] {
            let (figure, plotted) = Plot { threshold, ..plot(&brain, &map, display) }.draw().unwrap();
            assert!(
                !plotted.notes.iter().any(|n| n.contains("no value")),
                "{display:?}, {threshold:?}: {:?}",
                plotted.notes
            );
            let mut panels = panels(&figure.svg);
            panels.pop();
            let seen = panels.iter().filter(|(_, _, pixels)| pixels.iter().any(is_warm)).count();
            assert!(seen >= if matches!(display, Display::Ortho | Display::Glass | Display::Mosaic) { 3 } else { 1 });
        }
    }
}

/// A picture of a background with noise and ringing on a ground of 0 is that of the same background without; what is dark inside the brain
/// stays, and so do the labels of an atlas and values of both signs.
#[test]
fn specks_on_a_ground_of_zero_are_not_drawn() {
    let (brain, mask, map) = phantom(false);
    let grid = *brain.grid();
    let middle = |[i, j, k]: [usize; 3]| (18..22).contains(&i) && (22..26).contains(&j) && (18..22).contains(&k);
    // Dark fluid in the middle, hardly brighter than air.
    let clean = Volume::from_fn(grid, |v @ [i, j, k]| if middle(v) { 0.01 } else { 1000.0 * brain.at(i, j, k) });
    let touches = |v: [usize; 3]| {
        (0..3).any(|axis| {
            (-2..=2i32).any(|by| {
                let mut at = v;
                let moved = usize::try_from(i32::try_from(v[axis]).unwrap() + by).ok();
                moved.filter(|n| *n < grid.shape[axis]).is_some_and(|n| {
                    at[axis] = n;
                    mask.at(at[0], at[1], at[2])
                })
            })
        })
    };
    let specks = Volume::from_fn(grid, |v @ [i, j, k]| match (mask.at(i, j, k), touches(v)) {
        (true, _) => clean.at(i, j, k),
        // An interpolation rings about edges, on both sides of 0.
        (false, true) => {
            if (i + j) % 2 == 0 {
                9.0
            } else {
                -7.5
            }
        }
        // Dots of noise, as bright as tissue.
        (false, false) if (i * 7 + j * 5 + k * 3) % 41 == 0 => 500.0,
        _ => 0.0,
    });
    for display in [Display::Ortho, Display::Z, Display::Glass] {
        let of = |background: &Volume| plot(background, &map, display).draw().unwrap().0.svg;
        assert!(of(&specks) == of(&clean), "{display:?}");
    }
    let differ = |of: &Volume, what: &Volume| {
        plot(of, &map, Display::Ortho).draw().unwrap().0.svg != plot(what, &map, Display::Ortho).draw().unwrap().0.svg
    };
    // A region of number 1 of an atlas of numbers up to 200 is no air.
    let atlas = Volume::from_fn(grid, |[i, j, k]| match (mask.at(i, j, k), i < 20) {
        (false, _) => 0.0,
        (true, true) => 1.0,
        (true, false) => 200.0,
    });
    assert!(differ(&atlas, &atlas.map(|v| if *v == 1.0 { 0.0 } else { *v })));
    // After normalisation the brain has values below 0 and about it.
    let normal = Volume::from_fn(grid, |[i, j, k]| if mask.at(i, j, k) { brain.at(i, j, k) - 0.8 } else { 0.0 });
    assert!(differ(&normal, &normal.map(|v| v.max(0.0))));
}

/// Outside a mask a map is not drawn, and the record and the picture say how much lies there.
#[test]
fn a_mask_cuts_the_map_and_says_so() {
    let (brain, _, map) = phantom(false);
    let left = Mask::from_fn(*map.grid(), |[i, ..]| i < 20);
    let masked = Plot { mask: Some(&left), ..plot(&brain, &map, Display::Ortho) };
    let (figure, plotted) = masked.draw().unwrap();
    let cut = Volume::from_fn(*map.grid(), |[i, j, k]| if i < 20 { map.at(i, j, k) } else { 0.0 });
    let (plain, of_cut) = plot(&brain, &cut, Display::Ortho).draw().unwrap();
    assert_eq!(panels(&figure.svg), panels(&plain.svg));
    assert_eq!((plotted.cuts, plotted.vmax, of_cut.outside_mask), (of_cut.cuts, of_cut.vmax, None));
    let size = |v: &Volume| v.data().iter().map(|x| f64::from(x.abs())).sum::<f64>();
    let share = 1.0 - size(&cut) / size(&map);
    assert!((plotted.outside_mask.unwrap() - share).abs() < 1e-6 && share > 0.1, "{share}");
    assert!(figure.svg.contains("Shown inside a mask alone: ") && !plain.svg.contains("inside a mask"));
    // A mask of another shape, and one that holds nothing of the map.
    let other = Mask::from_fn(Grid::new([2, 2, 2], Affine::IDENTITY).unwrap(), |_| true);
    let refused =
        |mask: &Mask| Plot { mask: Some(mask), ..plot(&brain, &map, Display::Ortho) }.draw().unwrap_err().to_string();
    assert!(refused(&other).contains("the mask has the shape [2, 2, 2]"), "{}", refused(&other));
    let nothing = Mask::from_fn(*map.grid(), |_| false);
    assert!(refused(&nothing).contains("lie outside the mask"), "{}", refused(&nothing));
}
