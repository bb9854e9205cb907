//! [`deletion_curves`]: deletion and insertion curves of methods, beside random orders.

use super::paper::{
    Anchor, Axes, Figure, GREY, INK, SMALL, Style, Svg, TEXT, TITLE, colour::LINES, fit, width_of, wrap,
};
use voxplain_stats::{Interval, significant};

/// One method in one panel.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletionCurve {
    /// The method.
    pub method: String,
    /// The probability at equal steps from none of the brain to all of it.
    pub curve: Vec<Interval>,
    /// That of the random orders which it is compared with.
    pub random: Vec<Interval>,
    /// Area under the curve less that of the random orders.
    pub difference: Interval,
}

/// One panel: a metric with a substrate.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletionPanel {
    /// Above it: `Deletion (lower is better), blur`.
    pub title: String,
    /// Below it: `brain replaced, %`.
    pub axis: String,
    /// The methods; the first six are drawn.
    pub methods: Vec<DeletionCurve>,
}

/// Mean curves with pointwise 95 % intervals, two panels a row; random orders grey and dashed. A method has one colour in all panels.
pub fn deletion_curves(panels: &[DeletionPanel], words: &str, note: &str, width: f64) -> Figure {
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), &fit(words, TITLE, width));
    let mut drawn: Vec<&str> = panels.iter().flat_map(|p| &p.methods).map(|m| m.method.as_str()).collect();
    let mut seen = std::collections::BTreeSet::new();
    drawn.retain(|m| seen.insert(*m));
    let left_out = drawn.len().saturating_sub(LINES.len());
    drawn.truncate(LINES.len());
    let top = legend(&mut svg, &drawn, width) + 2.0;
    let columns = panels.len().clamp(1, 2);
    let side = ((width - 13.0 * columns as f64 - 3.0) / columns as f64).min(80.0);
    let height = side * 0.72;
    let row = height + 15.0;
    let fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    let hundred = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0];
    for (n, panel) in panels.iter().enumerate() {
        let at = [12.0 + (n % columns) as f64 * (side + 14.0), top + (n / columns) as f64 * row + 4.0];
        let axes = Axes { at, size: [side, height], x: [0.0, 100.0], y: [0.0, 1.0] };
        svg.text(at[0], at[1] - 1.6, Style::new(TEXT, Anchor::Start).bold(), &fit(&panel.title, TEXT, side));
        axes.draw(&mut svg, [&panel.axis, "probability of the class"], [&hundred, &fifths]);
        let shown = |m: &&DeletionCurve| drawn.contains(&m.method.as_str());
        let place = |curve: &[Interval], pick: fn(&Interval) -> f64| -> Vec<[f64; 2]> {
            let steps = curve.len().saturating_sub(1).max(1) as f64;
            curve
                .iter()
                .enumerate()
                .map(|(s, i)| axes.place(100.0 * s as f64 / steps, pick(i).clamp(0.0, 1.0)))
                .collect()
        };
        let low = |i: &Interval| i.low.unwrap_or(i.mean);
        let high = |i: &Interval| i.high.unwrap_or(i.mean);
        let colour = |m: &DeletionCurve| LINES[drawn.iter().position(|d| *d == m.method).unwrap_or(0)];
        for method in panel.methods.iter().filter(shown) {
            let mut outline = place(&method.curve, low);
            outline.extend(place(&method.curve, high).into_iter().rev());
            svg.area(&outline, colour(method), 0.14);
        }
        for method in panel.methods.iter().filter(shown) {
            svg.dashed_path(&place(&method.random, |i| i.mean), GREY, 0.28);
        }
        for method in panel.methods.iter().filter(shown) {
            svg.path(&place(&method.curve, |i| i.mean), colour(method), 0.5, 1.0);
        }
        if panel.methods.is_empty() {
            axes.note(&mut svg, "no maps");
        }
    }
    let mut y = top + panels.len().div_ceil(columns) as f64 * row + 1.5;
    let more = if left_out > 0 { format!(" {left_out} more methods are in the table.") } else { String::new() };
    for line in wrap(&format!("{note}{more}"), SMALL, width) {
        svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
        y += 2.7;
    }
    let spoken: Vec<String> = panels
        .iter()
        .map(|p| {
            let of: Vec<String> = p
                .methods
                .iter()
                .filter(shown_in(&drawn))
                .map(|m| format!("{} {}", m.method, significant(m.difference.mean, 2)))
                .collect();
            format!("{}: area less that of random orders: {}", p.title, of.join(", "))
        })
        .collect();
    svg.finish(y - 1.2, format!("{words}. {}", spoken.join("; ")))
}

fn shown_in<'a>(drawn: &'a [&'a str]) -> impl Fn(&&DeletionCurve) -> bool + 'a {
    |m| drawn.contains(&m.method.as_str())
}

/// Names of lines in as many rows as they need; gives where it ends.
fn legend(svg: &mut Svg, methods: &[&str], width: f64) -> f64 {
    let (mut x, mut y) = (0.0, 7.0);
    let mut entry = |svg: &mut Svg, words: &str, colour: Option<&str>| {
        let needed = 6.0 + width_of(words, SMALL) + 3.0;
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + 3.1);
        }
        match colour {
            Some(colour) => svg.line([x, y - 0.8], [x + 5.0, y - 0.8], colour, 0.5),
            None => svg.dashed([x, y - 0.8], [x + 5.0, y - 0.8], GREY, 0.28),
        }
        svg.text(x + 6.0, y, Style::new(SMALL, Anchor::Start).colour(INK), &fit(words, SMALL, width - 6.0));
        x += needed;
        y
    };
    for (method, colour) in methods.iter().zip(LINES) {
        entry(svg, method, Some(colour));
    }
    entry(svg, "random order, as smooth as each map", None)
}
