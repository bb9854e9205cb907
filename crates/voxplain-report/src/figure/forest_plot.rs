//! [`forest_plot`]: values with their intervals, one a line.

use super::paper::{
    Anchor, FAINT, Figure, GREY, INK, SMALL, Style, Svg, TEXT, TITLE, colour::LINES, fit, signed, ticks, wrap,
};
use voxplain_stats::{Interval, significant};

/// One line of a forest plot.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestRow {
    /// The region.
    pub name: String,
    /// `L`, `R` or nothing.
    pub side: String,
    /// The value with its interval.
    pub value: Interval,
}

/// A forest plot: points with intervals, in the order given; `reference` is marked by a line (0, or 1 for ratios).
pub fn forest_plot(title: &str, rows: &[ForestRow], axis: &str, reference: f64, note: &str, width: f64) -> Figure {
    let mut svg = Svg::new(width);
    let (names, line) = (width * 0.42, 3.3);
    let ends = rows
        .iter()
        .flat_map(|b| [b.value.mean, b.value.low.unwrap_or(b.value.mean), b.value.high.unwrap_or(b.value.mean)]);
    let (low, high) =
        ends.chain([reference]).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let margin = 0.05 * (high - low).max(1e-12);
    let (low, high) = (low - margin, high + margin);
    let (left, right) = (names + 5.0, width - 2.0);
    let x = |v: f64| left + (v - low) / (high - low) * (right - left);
    let mut top = 6.0;
    for (n, text) in wrap(title, TITLE, width).iter().enumerate() {
        svg.text(0.0, 3.0 + 3.6 * n as f64, Style::new(TITLE, Anchor::Start).bold(), text);
        top = 6.0 + 3.6 * n as f64;
    }
    let bottom = top + line * rows.len() as f64 + 1.0;
    for tick in ticks(low, high) {
        svg.line([x(tick), top], [x(tick), bottom], FAINT, 0.12);
        svg.text(x(tick), bottom + 2.8, Style::new(SMALL, Anchor::Middle), &signed(&significant(tick, 3)));
    }
    svg.line([left, bottom], [right, bottom], INK, 0.2);
    svg.line([x(reference), top], [x(reference), bottom], GREY, 0.25);
    for (n, row) in rows.iter().enumerate() {
        let y = top + (n as f64 + 0.5) * line + 0.4;
        svg.text(names, y + 0.8, Style::new(TEXT, Anchor::End), &fit(&row.name, TEXT, names));
        svg.text(names + 2.6, y + 0.8, Style::new(TEXT, Anchor::Middle).bold(), &row.side);
        let colour = if row.value.mean < reference { LINES[0] } else { LINES[1] };
        if let (Some(l), Some(h)) = (row.value.low, row.value.high) {
            svg.line([x(l), y], [x(h), y], colour, 0.35);
        }
        svg.dot([x(row.value.mean), y], 0.75, colour);
    }
    svg.text(f64::midpoint(left, right), bottom + 5.9, Style::new(TEXT, Anchor::Middle), axis);
    let mut y = bottom + 9.4;
    for text in wrap(note, SMALL, width) {
        svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &text);
        y += 2.7;
    }
    let spoken: Vec<String> =
        rows.iter().take(5).map(|b| format!("{} {}", b.name, significant(b.value.mean, 3))).collect();
    svg.finish(y - 1.2, format!("{title}: {}", spoken.join("; ")))
}
