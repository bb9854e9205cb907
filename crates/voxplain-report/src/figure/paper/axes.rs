//! [`Axes`]: a rectangle with scales, ticks and labels.

use super::{
    number::signed,
    svg::{Anchor, FAINT, GREY, INK, SMALL, Style, Svg, TEXT},
};
use voxplain_stats::significant;

/// Data to paper.
#[derive(Clone, Copy, Debug)]
pub(in crate::figure) struct Axes {
    /// Upper left corner and size on paper, mm.
    pub(in crate::figure) at: [f64; 2],
    pub(in crate::figure) size: [f64; 2],
    /// What the left and right ends show, and the lower and upper.
    pub(in crate::figure) x: [f64; 2],
    pub(in crate::figure) y: [f64; 2],
}

impl Axes {
    pub(in crate::figure) fn place(&self, x: f64, y: f64) -> [f64; 2] {
        let part = |v: f64, [low, high]: [f64; 2]| if high > low { (v - low) / (high - low) } else { 0.5 };
        [self.at[0] + part(x, self.x) * self.size[0], self.at[1] + (1.0 - part(y, self.y)) * self.size[1]]
    }

    /// Lines below and to the left, ticks with numbers, faint lines across, words.
    pub(in crate::figure) fn draw(&self, svg: &mut Svg, words: [&str; 2], ticks: [&[f64]; 2]) {
        let [left, top] = self.at;
        let (right, bottom) = (left + self.size[0], top + self.size[1]);
        let small = |anchor| Style::new(SMALL, anchor).colour(INK);
        for &tick in ticks[1] {
            let y = self.place(self.x[0], tick)[1];
            svg.line([left, y], [right, y], FAINT, 0.12);
            svg.text(left - 0.9, y + 0.75, small(Anchor::End), &signed(&significant(tick, 3)));
        }
        for &tick in ticks[0] {
            let x = self.place(tick, self.y[0])[0];
            svg.line([x, bottom], [x, bottom + 0.8], INK, 0.2);
            svg.text(x, bottom + 3.1, small(Anchor::Middle), &signed(&significant(tick, 3)));
        }
        svg.line([left, bottom], [right, bottom], INK, 0.2);
        svg.line([left, top], [left, bottom], INK, 0.2);
        svg.text(left + self.size[0] / 2.0, bottom + 6.2, Style::new(TEXT, Anchor::Middle), words[0]);
        svg.text(left - 7.6, top + self.size[1] / 2.0, Style::new(TEXT, Anchor::Middle).upright(), words[1]);
    }

    pub(in crate::figure) fn note(&self, svg: &mut Svg, text: &str) {
        let [x, y] = [self.at[0] + self.size[0] / 2.0, self.at[1] + self.size[1] / 2.0];
        svg.text(x, y, Style::new(TEXT, Anchor::Middle).colour(GREY), text);
    }
}

/// About five round numbers (1, 2, 5 times a power of ten apart) from `low` to `high`.
pub(in crate::figure) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![low];
    }
    let power = 10f64.powf((span / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| span / s <= 6.0).unwrap_or(power);
    let first = (low / step - 1e-9).ceil();
    let mut ticks = Vec::new();
    for n in 0..20 {
        let tick = (first + f64::from(n)) * step;
        if tick > high + 1e-9 * span {
            break;
        }
        ticks.push(if tick.abs() < 1e-9 * step { 0.0 } else { tick });
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(-3.0, 47.0), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(ticks(2.0, 2.0), [2.0]);
        assert!(ticks(f64::NAN, 1.0).len() == 1);
    }

    #[test]
    fn corners() {
        let axes = Axes { at: [10.0, 5.0], size: [40.0, 20.0], x: [0.0, 1.0], y: [-1.0, 1.0] };
        assert_eq!(axes.place(0.0, -1.0), [10.0, 25.0]);
        assert_eq!(axes.place(1.0, 1.0), [50.0, 5.0]);
        assert_eq!(Axes { x: [2.0, 2.0], ..axes }.place(2.0, 0.0), [30.0, 15.0]);
    }
}
