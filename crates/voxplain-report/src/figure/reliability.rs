//! Calibration curves of classifiers on the same subjects: predicted probability beside what was there.

use super::paper::{Anchor, Axes, Figure, GREY, INK, SMALL, Style, Svg, TITLE, colour::LINES, fit, wrap};
use voxplain_stats::{Calibration, significant};

/// One classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// Beside the line: `cnn, calibration error 0.08`.
    pub words: String,
    /// Its bins.
    pub calibration: Calibration,
}

/// Observed share of the positive class against the mean predicted probability, bin by bin; the first classifier with
/// its intervals; below, how many subjects each bin holds.
pub fn reliability(classifiers: &[Reliability], positive: &str, width: f64) -> Figure {
    let side = (width - 16.0).min(62.0);
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), "Calibration, held-out subjects");
    let axes = Axes { at: [12.0, 6.0], size: [side, side], x: [0.0, 1.0], y: [0.0, 1.0] };
    let fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    axes.draw(
        &mut svg,
        [&format!("predicted probability ({positive})"), &format!("observed share ({positive})")],
        [&fifths, &fifths],
    );
    svg.dashed(axes.place(0.0, 0.0), axes.place(1.0, 1.0), GREY, 0.2);
    let look = |n: usize| (LINES[n % LINES.len()], if n == 0 { 0.6 } else { 0.35 });
    for (n, classifier) in classifiers.iter().enumerate().rev() {
        let (colour, thick) = look(n);
        let bins = &classifier.calibration.bins;
        if n == 0 {
            for b in bins {
                let Some((low, high)) = b.observed.ends() else { continue };
                let [low, high] = [low, high].map(|y| axes.place(b.predicted, y));
                svg.line(low, high, colour, 0.3);
                for [x, y] in [low, high] {
                    svg.line([x - 0.7, y], [x + 0.7, y], colour, 0.3);
                }
            }
        }
        let points: Vec<[f64; 2]> = bins.iter().map(|b| axes.place(b.predicted, b.observed.value)).collect();
        svg.path(&points, colour, thick, 1.0);
        points.iter().for_each(|p| svg.dot(*p, if n == 0 { 0.9 } else { 0.6 }, colour));
    }
    let mut y = 6.0 + side + 10.2;
    for (n, classifier) in classifiers.iter().enumerate() {
        svg.text(10.0, y, Style::new(SMALL, Anchor::End).colour(GREY), "n");
        for b in &classifier.calibration.bins {
            let x = axes.place(f64::midpoint(b.range[0], b.range[1]), 0.0)[0];
            svg.text(x, y, Style::new(SMALL, Anchor::Middle).colour(look(n).0), &b.subjects.to_string());
        }
        y += 2.8;
    }
    y += 0.6;
    for (n, classifier) in classifiers.iter().enumerate() {
        let (colour, thick) = look(n);
        svg.line([12.0, y - 0.8], [16.0, y - 0.8], colour, thick);
        svg.text(17.0, y, Style::new(SMALL, Anchor::Start).colour(INK), &fit(&classifier.words, SMALL, width - 18.0));
        y += 3.1;
    }
    for line in wrap(
        "n: subjects of each bin, above in the order of the lines. Bars: 95 %, Wilson's interval, subjects taken as \
         independent.",
        SMALL,
        width,
    ) {
        svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
        y += 2.7;
    }
    let spoken = classifiers.iter().map(|c| {
        let bins = c.calibration.bins.iter().map(|b| {
            format!(
                "{} of {} where {} was said",
                significant(b.observed.value, 2),
                b.subjects,
                significant(b.predicted, 2)
            )
        });
        format!("{}: {}", c.words, bins.collect::<Vec<_>>().join(", "))
    });
    let alt = format!("Calibration of the probability of {positive}. {}", spoken.collect::<Vec<_>>().join("; "));
    svg.finish(y - 1.0, alt)
}
