//! [`permutations`]: what a classifier reaches on permuted labels, and where it stands by the true ones.

use super::paper::{Anchor, Axes, Figure, GREY, INK, SMALL, Style, Svg, TITLE, colour::LINES, fit, ticks, wrap};
use voxplain_stats::significant;

/// Bars of the histogram, at most.
const BARS: usize = 24;

/// A histogram of a number over permutations, with a line where the number is by the labels as they are.
pub fn permutations(title: &str, name: &str, (observed, permuted): (f64, &[f64]), note: &str, width: f64) -> Figure {
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), &fit(title, TITLE, width));
    let ends = permuted.iter().copied().chain([observed]);
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let margin = 0.04 * (high - low).max(1e-9);
    let (low, high) = (low - margin, high + margin);
    // As many bars as the square root of what is counted, so that few permutations are no ruins.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bars")]
    let bars = ((permuted.len() as f64).sqrt().ceil() as usize * 2).clamp(4, BARS);
    let step = (high - low) / bars as f64;
    let mut counts = vec![0usize; bars];
    for value in permuted {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar")]
        let bar = ((value - low) / step).floor().max(0.0) as usize;
        counts[bar.min(bars - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let axes = Axes { at: [12.0, 6.0], size: [width - 15.0, 38.0], x: [low, high], y: [0.0, 1.06 * most] };
    let up: Vec<f64> = ticks(0.0, most).into_iter().filter(|tick| tick.fract() == 0.0).collect();
    axes.draw(&mut svg, [name, "permutations"], [&ticks(low, high), &up]);
    for (n, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let from = low + n as f64 * step;
        let [top, foot] = [axes.place(from, *count as f64), axes.place(from + step, 0.0)];
        svg.rect([top[0] + 0.1, top[1]], [foot[0] - top[0] - 0.2, foot[1] - top[1]], "#b9c1cc");
    }
    svg.line(axes.place(observed, 0.0), axes.place(observed, 1.06 * most), LINES[1], 0.6);
    let at = axes.place(observed, 1.06 * most);
    let (anchor, beside) = if observed > f64::midpoint(low, high) { (Anchor::End, -1.0) } else { (Anchor::Start, 1.0) };
    svg.text(
        at[0] + beside,
        at[1] + 2.6,
        Style::new(SMALL, anchor).colour(INK),
        &format!("true labels: {}", significant(observed, 3)),
    );
    let mut y = 6.0 + 38.0 + 10.4;
    for line in wrap(note, SMALL, width) {
        svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
        y += 2.7;
    }
    let reach = permuted.iter().filter(|v| **v >= observed).count();
    let alt = format!(
        "{title}: {name} is {} by the true labels; of {} permutations {reach} are not below it",
        significant(observed, 3),
        permuted.len()
    );
    svg.finish(y - 1.2, alt)
}
