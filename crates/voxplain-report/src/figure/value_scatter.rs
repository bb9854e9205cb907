//! [`value_scatter`] and [`bland_altman`]: predicted beside true values.

use super::paper::{Anchor, Axes, Figure, GREY, SMALL, Style, Svg, TITLE, colour::LINES, ticks, wrap};
use voxplain_stats::significant;

/// A little more than the range of these numbers.
fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let margin = 0.04 * (high - low).max(1e-9 * high.abs()).max(1e-12);
    if low <= high { [low - margin, high + margin] } else { [0.0, 1.0] }
}

/// The predicted value of each held-out subject over the true one, `[true, predicted]`, with the line where both are the same.
/// `name` is the value with its unit.
pub fn value_scatter(points: &[[f64; 2]], name: &str, width: f64) -> Figure {
    let side = (width - 16.0).min(62.0);
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), "Predicted against true, held-out subjects");
    let both = range(points.iter().flatten().copied());
    let axes = Axes { at: [12.0, 6.0], size: [side, side], x: both, y: both };
    let marks = ticks(both[0], both[1]);
    axes.draw(&mut svg, [&format!("true {name}"), &format!("predicted {name}")], [&marks, &marks]);
    svg.dashed(axes.place(both[0], both[0]), axes.place(both[1], both[1]), GREY, 0.2);
    points.iter().for_each(|p| svg.dot(axes.place(p[0], p[1]), 0.6, LINES[0]));
    let y = 6.0 + side + 10.2;
    svg.text(
        0.0,
        y,
        Style::new(SMALL, Anchor::Start).colour(GREY),
        "Dashed: where predicted and true value are the same.",
    );
    svg.finish(y + 1.5, format!("Predicted over true {name} of {} images", points.len()))
}

/// The error (predicted minus true) over the mean of both, with the mean error and 1.96 standard deviations to either side (Bland
/// and Altman 1986).
pub fn bland_altman(points: &[[f64; 2]], name: &str, width: f64) -> Figure {
    let side = (width - 16.0).min(62.0);
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), "Error, held-out subjects (Bland-Altman)");
    let at: Vec<[f64; 2]> = points.iter().map(|[t, p]| [f64::midpoint(*t, *p), p - t]).collect();
    let n = at.len() as f64;
    let mean = at.iter().map(|p| p[1]).sum::<f64>() / n.max(1.0);
    let deviation = (at.iter().map(|p| (p[1] - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let limits = [mean - 1.96 * deviation, mean + 1.96 * deviation];
    let x = range(at.iter().map(|p| p[0]));
    let y = range(at.iter().map(|p| p[1]).chain(limits).chain([0.0]));
    let axes = Axes { at: [12.0, 6.0], size: [side, side], x, y };
    let words = [format!("mean of true and predicted {name}"), "predicted minus true".to_owned()];
    axes.draw(&mut svg, [&words[0], &words[1]], [&ticks(x[0], x[1]), &ticks(y[0], y[1])]);
    svg.line(axes.place(x[0], mean), axes.place(x[1], mean), LINES[1], 0.3);
    limits.iter().for_each(|l| svg.dashed(axes.place(x[0], *l), axes.place(x[1], *l), LINES[1], 0.2));
    at.iter().for_each(|p| svg.dot(axes.place(p[0], p[1]), 0.6, LINES[0]));
    let mut line = 6.0 + side + 10.2;
    let text = format!(
        "Line: mean error {}; dashed: 1.96 standard deviations to either side ({} to {}).",
        significant(mean, 3),
        significant(limits[0], 3),
        significant(limits[1], 3)
    );
    for words in wrap(&text, SMALL, width) {
        svg.text(0.0, line, Style::new(SMALL, Anchor::Start).colour(GREY), &words);
        line += 2.7;
    }
    svg.finish(
        line - 1.0,
        format!("Error over the mean of true and predicted {name} of {} images. {text}", points.len()),
    )
}
