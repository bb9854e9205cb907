//! Matrices: agreement of methods, confusion of classes.

use super::paper::{
    Anchor, Figure, GREY, INK, SMALL, Style, Svg, TEXT, TITLE,
    colour::{hex, sequential},
    fit, width_of, wrap,
};

/// One cell: how dark (0 to 1; `None` is left white), and the words in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// How dark.
    pub shade: Option<f64>,
    /// The number.
    pub words: String,
    /// Smaller, below it: an interval, a share.
    pub below: String,
}

/// A name in as many lines as it needs, broken at hyphens too.
fn head(name: &str, width: f64) -> Vec<String> {
    if width_of(name, TEXT) <= width {
        return vec![name.to_owned()];
    }
    wrap(&name.replace('-', "- "), TEXT, width)
}

/// A square matrix with names on both sides. `axes` says what rows and columns are, where that is not the same.
pub fn matrix(
    title: &str,
    names: &[String],
    cells: &[Vec<Cell>],
    axes: Option<[&str; 2]>,
    note: &str,
    width: f64,
) -> Figure {
    let count = names.len().max(1) as f64;
    let longest = names.iter().map(|n| width_of(n, TEXT)).fold(8.0, f64::max).min(width * 0.34);
    let side_words = if axes.is_some() { 4.0 } else { 0.0 };
    let left = side_words + longest + 1.5;
    let cell = ((width - left) / count).min(26.0);
    let tall = (cell * 0.62).clamp(7.0, 14.0);
    let mut svg = Svg::new(width);
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), &fit(title, TITLE, width));
    let mut y = 6.0;
    if let Some([_, columns]) = axes {
        svg.text(left + cell * count / 2.0, y + 2.0, Style::new(TEXT, Anchor::Middle).colour(GREY), columns);
        y += 3.6;
    }
    // Column names in as many lines as they need, set on the cells.
    let heads: Vec<Vec<String>> = names.iter().map(|n| head(n, cell - 1.0)).collect();
    let lines = heads.iter().map(Vec::len).max().unwrap_or(1);
    for (n, head) in heads.iter().enumerate() {
        for (line, words) in head.iter().enumerate() {
            let down = (lines - head.len() + line + 1) as f64 * 2.8;
            let middle = left + (n as f64 + 0.5) * cell;
            svg.text(middle, y + down, Style::new(TEXT, Anchor::Middle), &fit(words, TEXT, cell - 0.4));
        }
    }
    y += lines as f64 * 2.8 + 1.2;
    if let Some([rows, _]) = axes {
        let middle = y + tall * count / 2.0;
        svg.text(2.4, middle, Style::new(TEXT, Anchor::Middle).colour(GREY).upright(), rows);
    }
    for (r, row) in cells.iter().enumerate() {
        let top = y + r as f64 * tall;
        let name = fit(names.get(r).map_or("", String::as_str), TEXT, longest);
        svg.text(left - 1.5, top + tall / 2.0 + 0.9, Style::new(TEXT, Anchor::End), &name);
        for (c, content) in row.iter().enumerate() {
            let x = left + c as f64 * cell;
            let shade = content.shade.map(sequential);
            if let Some(shade) = shade {
                svg.rect([x, top], [cell, tall], &hex(shade));
            }
            svg.frame([x, top], [cell, tall], "#ffffff", 0.4);
            let dark = shade.is_some_and(|s| s.iter().map(|v| u32::from(*v)).sum::<u32>() < 420);
            let colour = if dark { "#ffffff" } else { INK };
            let up = if content.below.is_empty() { 0.9 } else { -0.2 };
            svg.text(
                x + cell / 2.0,
                top + tall / 2.0 + up,
                Style::new(TEXT, Anchor::Middle).colour(colour),
                &content.words,
            );
            let below = fit(&content.below, SMALL, cell);
            svg.text(x + cell / 2.0, top + tall / 2.0 + 2.5, Style::new(SMALL, Anchor::Middle).colour(colour), &below);
        }
    }
    svg.frame([left, y], [cell * count, tall * cells.len() as f64], GREY, 0.15);
    y += tall * cells.len() as f64 + 3.2;
    for line in wrap(note, SMALL, width) {
        svg.text(0.0, y, Style::new(SMALL, Anchor::Start).colour(GREY), &line);
        y += 2.7;
    }
    let spoken: Vec<String> = cells
        .iter()
        .zip(names)
        .map(|(row, name)| format!("{name}: {}", row.iter().map(|c| c.words.as_str()).collect::<Vec<_>>().join(", ")))
        .collect();
    svg.finish(y - 1.2, format!("{title}. {}", spoken.join("; ")))
}
