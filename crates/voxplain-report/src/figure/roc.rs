//! [`roc_curves`]: ROC curves of classifiers on the same subjects, with an interval band.

use super::paper::{Anchor, Axes, Figure, GREY, INK, SMALL, Style, Svg, TITLE, colour::LINES, fit};
use voxplain_stats::roc;

/// One classifier: each subject's probability of the positive class and whether the subject is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    /// Beside the line: `CNN, AUC 0.91 [0.84, 0.95]`.
    pub words: String,
    /// Probability of the positive class, and truth.
    pub scores: Vec<(f64, bool)>,
}

/// Sensitivity against false alarms; the first classifier with its band.
pub fn roc_curves(classifiers: &[RocCurve], positive: &str, seed: u64, width: f64) -> Figure {
    let side = (width - 16.0).min(62.0);
    let legend = 3.1 * classifiers.len() as f64;
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), "ROC, held-out subjects");
    let axes = Axes { at: [12.0, 6.0], size: [side, side], x: [0.0, 1.0], y: [0.0, 1.0] };
    let fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    axes.draw(&mut svg, ["1 \u{2212} specificity", &format!("sensitivity ({positive})")], [&fifths, &fifths]);
    svg.dashed(axes.place(0.0, 0.0), axes.place(1.0, 1.0), GREY, 0.2);
    if let Some(first) = classifiers.first() {
        let band = roc::band(&first.scores, seed);
        let outline: Vec<[f64; 2]> = band
            .iter()
            .map(|[x, low, _]| axes.place(*x, *low))
            .chain(band.iter().rev().map(|[x, _, high]| axes.place(*x, *high)))
            .collect();
        if !outline.is_empty() {
            svg.area(&outline, LINES[0], 0.16);
        }
    }
    for (n, classifier) in classifiers.iter().enumerate().rev() {
        let points: Vec<[f64; 2]> = roc::curve(&classifier.scores).iter().map(|p| axes.place(p[0], p[1])).collect();
        svg.path(&points, LINES[n % LINES.len()], if n == 0 { 0.6 } else { 0.35 }, 1.0);
    }
    let mut y = 6.0 + side + 9.6;
    for (n, classifier) in classifiers.iter().enumerate() {
        svg.line([12.0, y - 0.8], [16.0, y - 0.8], LINES[n % LINES.len()], if n == 0 { 0.6 } else { 0.35 });
        svg.text(17.0, y, Style::new(SMALL, Anchor::Start).colour(INK), &fit(&classifier.words, SMALL, width - 18.0));
        y += 3.1;
    }
    svg.text(
        0.0,
        y,
        Style::new(SMALL, Anchor::Start).colour(GREY),
        "Band: pointwise 95 %, bootstrap over subjects within classes.",
    );
    let alt = format!("ROC curves of {}", classifiers.iter().map(|c| c.words.as_str()).collect::<Vec<_>>().join("; "));
    svg.finish(6.0 + side + 9.6 + legend + 1.5, alt)
}
