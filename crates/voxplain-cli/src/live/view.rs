//! [`View`]: a training run as lines of text of a given size, with its curves.
//!
//! Curves are drawn in Braille patterns, eight dots a cell (Unicode 2800 to 28FF), those of the part set aside for early
//! stopping as circles, so that they can be told apart without colours.

use crate::terminal::duration;
use std::{collections::BTreeMap, time::Duration};
use voxplain::{
    run::Epoch,
    stats::{FoldError, FoldScore},
    visible,
};

/// What is known of a training run.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) title: String,
    /// Steps under way, outermost first: what, parts done, parts in all.
    pub(crate) steps: Vec<(String, usize, usize)>,
    /// Learning curves of folds.
    pub(crate) curves: BTreeMap<usize, Vec<Epoch>>,
    /// Folds that are trained.
    pub(crate) finished: Vec<FoldScore>,
    /// The same where a value is learnt.
    pub(crate) finished_values: Vec<FoldError>,
    /// The last warning.
    pub(crate) warning: Option<String>,
    /// Epochs that were there when the first batch of this session began.
    pub(crate) before: Option<f64>,
    /// Whether it has been asked to stop.
    pub(crate) stopping: bool,
}

/// How a piece of text is to look; without colours all are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Soft,
    Strong,
    /// What is trained on.
    Training,
    /// What is set aside.
    Aside,
}

/// A line, piece by piece.
pub(crate) type Line = Vec<(String, Ink)>;

/// Least size that curves are drawn in.
const LEAST: (usize, usize) = (44, 14);
/// Marks of the curves.
const TRAINED: &str = "\u{2812}";
const ASIDE: &str = "\u{25cb}";
/// Columns left of a curve, for its numbers.
const MARGIN: usize = 7;

impl View {
    /// At most `height` lines of at most `width` columns.
    pub(crate) fn lines(&self, width: usize, height: usize, elapsed: Duration) -> Vec<Line> {
        let mut head =
            vec![vec![(self.title.clone(), Ink::Strong)], vec![(self.place(), Ink::Plain)], self.bar(width, elapsed)];
        let mut foot = vec![vec![(self.foot().to_owned(), Ink::Soft)]];
        if let Some(warning) = &self.warning {
            foot.insert(0, vec![(format!("warning: {warning}"), Ink::Strong)]);
        }
        let mut lines = Vec::new();
        if width >= LEAST.0 && height >= LEAST.1 && !self.steps.is_empty() {
            lines.append(&mut head);
            lines.push(self.key());
            // The curves take what the finished folds leave, and never less than half.
            let room = height - lines.len() - foot.len();
            let folds = (self.finished.len() + self.finished_values.len() + 1).min(room / 2);
            lines.extend(self.curves(width, room - folds));
            lines.extend(self.folds(folds));
        } else {
            lines.append(&mut head);
            lines.extend(self.latest());
        }
        lines.truncate(height.saturating_sub(foot.len()));
        lines.append(&mut foot);
        lines.truncate(height);
        lines.into_iter().map(|line| cut(line, width)).collect()
    }

    /// The curve of the fold that is trained.
    fn fold(&self) -> &[Epoch] {
        self.curves.last_key_value().map_or(&[], |(_, curve)| curve)
    }

    fn place(&self) -> String {
        let part = |(what, done, total): &(String, usize, usize)| format!("{what} {done}/{total}");
        if self.steps.is_empty() {
            "preparing".into()
        } else {
            self.steps.iter().map(part).collect::<Vec<_>>().join(" \u{b7} ")
        }
    }

    /// Epochs done and to be done in all folds, if none stops early.
    pub(crate) fn epochs(&self) -> Option<(f64, f64)> {
        let step = |n: usize| self.steps.get(n).map(|(_, done, total)| (*done as f64, (*total).max(1) as f64));
        let ((folds, all), (epochs, of)) = (step(0)?, step(1)?);
        let part = step(2).map_or(0.0, |(done, total)| done / total);
        Some((folds * of + (epochs + part).min(of), all * of))
    }

    fn bar(&self, width: usize, elapsed: Duration) -> Line {
        let Some((done, all)) = self.epochs() else { return Vec::new() };
        let share = (done / all).clamp(0.0, 1.0);
        let now = done - self.before.unwrap_or(done);
        let rate = now / elapsed.as_secs_f64().max(1e-3);
        let mut words = format!(" {:3.0} %  {} so far", 100.0 * share, duration(elapsed));
        if rate > 0.0 && now > 0.5 {
            let left = Duration::try_from_secs_f64((all - done).max(0.0) / rate).unwrap_or(Duration::MAX);
            words.push_str(&format!("  {:.1} epochs/min  {} left", 60.0 * rate, duration(left)));
        }
        let cells = width.saturating_sub(words.chars().count()).min(30);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the number of cells")]
        let full = (share * cells as f64).round() as usize;
        vec![
            ("\u{2588}".repeat(full), Ink::Training),
            ("\u{2591}".repeat(cells - full), Ink::Soft),
            (words, Ink::Plain),
        ]
    }

    fn foot(&self) -> &'static str {
        if self.stopping {
            "stopping after this batch; the same command goes on from there (again: at once)"
        } else {
            "q or Ctrl-C stops it; the same command goes on from there"
        }
    }

    /// What the marks of the curves stand for.
    fn key(&self) -> Line {
        let aside = self.fold().iter().any(|e| e.validation_loss.is_some());
        let words = |mark: &str, words: &str| format!("{mark} {words}  ");
        let mut key = vec![(words(TRAINED, "on those trained on"), Ink::Training)];
        if aside {
            key.push((words(ASIDE, "on those set aside"), Ink::Aside));
        }
        key
    }

    /// The last epoch in a line.
    fn latest(&self) -> Option<Line> {
        let last = self.fold().last()?;
        let mut text = format!("loss {:.3}", last.loss);
        if let Some(accuracy) = last.accuracy {
            text.push_str(&format!("  accuracy {accuracy:.2}"));
        }
        if let Some(error) = last.error {
            text.push_str(&format!("  error {}", significant(error)));
        }
        Some(vec![(text, Ink::Plain)])
    }

    /// Loss and accuracy (of a value: mean absolute error) of the fold that is trained, side by side.
    fn curves(&self, width: usize, height: usize) -> Vec<Line> {
        let curve = self.fold();
        let last = |value: Option<f64>| value.map_or_else(|| "-".into(), |v| format!("{v:.3}"));
        let half = (width - 2) / 2;
        let span = self.steps.get(1).map_or(curve.len(), |(_, _, total)| *total).max(curve.len()).max(2);
        let losses: Vec<f64> = curve.iter().map(|e| e.loss).collect();
        let aside: Vec<f64> = curve.iter().filter_map(|e| e.validation_loss).collect();
        let highest = losses.iter().chain(&aside).copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
        let of_values = curve.iter().any(|e| e.error.is_some());
        let pick = |accuracy: Option<f64>, error: Option<f64>| if of_values { error } else { accuracy };
        let judged: Vec<f64> = curve.iter().filter_map(|e| pick(e.accuracy, e.error)).collect();
        let aside_judged: Vec<f64> =
            curve.iter().filter_map(|e| pick(e.validation_accuracy, e.validation_error)).collect();
        let (name, most) = if of_values {
            ("error", judged.iter().chain(&aside_judged).copied().filter(|v| v.is_finite()).fold(1e-9, f64::max))
        } else {
            ("accuracy", 1.0)
        };
        let title = |name: &str, trained: Option<&f64>, aside: Option<&f64>| -> Line {
            let mut line = vec![
                (format!("{:MARGIN$}{name} ", ""), Ink::Plain),
                (format!(" {TRAINED} {}", last(trained.copied())), Ink::Training),
            ];
            if aside.is_some() {
                line.push((format!("  {ASIDE} {}", last(aside.copied())), Ink::Aside));
            }
            line
        };
        let panel = |title: Line, training: &[f64], aside: &[f64], most: f64| {
            let mut lines = vec![title];
            lines.extend(plot(training, aside, span, most, (half, height.saturating_sub(2))));
            lines.push(vec![(
                format!(
                    "{:MARGIN$}epoch 1{:>3$}{}",
                    "",
                    "",
                    span,
                    half.saturating_sub(MARGIN + 7 + span.to_string().len())
                ),
                Ink::Soft,
            )]);
            lines
        };
        let left = panel(
            title("loss", losses.last(), aside.last()),
            &losses,
            &aside,
            if highest > 0.0 { highest } else { 1.0 },
        );
        let right = panel(title(name, judged.last(), aside_judged.last()), &judged, &aside_judged, most);
        left.into_iter().zip(right).map(|(l, r)| [filled(l, half + 2), r].concat()).take(height).collect()
    }

    /// The folds that are trained, the last ones where there is no room for all.
    fn folds(&self, height: usize) -> Vec<Line> {
        if height == 0 {
            return Vec::new();
        }
        if !self.finished_values.is_empty() {
            let mut lines = vec![vec![("held out     subjects  mean absolute error".to_owned(), Ink::Soft)]];
            for error in self.finished_values.iter().skip(self.finished_values.len().saturating_sub(height - 1)) {
                let text = format!("fold {:<8}{:>8}  {:>19}", error.fold, error.subjects, significant(error.mae));
                lines.push(vec![(text, Ink::Plain)]);
            }
            return lines;
        }
        let mut lines = vec![vec![("held out     subjects  accuracy       AUC".to_owned(), Ink::Soft)]];
        for score in self.finished.iter().skip(self.finished.len().saturating_sub(height - 1)) {
            let auc = score.auc.map_or_else(|| "-".to_owned(), |a| format!("{a:.3}"));
            let text = format!("fold {:<8}{:>8}{:>10.3}{auc:>10}", score.fold, score.subjects, score.accuracy);
            lines.push(vec![(text, Ink::Plain)]);
        }
        lines
    }
}

/// Two curves over `span` epochs, from 0 to `most`, with numbers at the left: as many lines as asked for.
fn plot(training: &[f64], aside: &[f64], span: usize, most: f64, (width, height): (usize, usize)) -> Vec<Line> {
    let (columns, dots) = (width.saturating_sub(MARGIN), 4 * height);
    if columns == 0 || height == 0 {
        return vec![Vec::new(); height];
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the panel")]
    let place = |n: f64, value: f64| {
        let x = n / (span - 1) as f64 * (2 * columns - 1) as f64;
        let y = (1.0 - (value / most).clamp(0.0, 1.0)) * (dots - 1) as f64;
        ((x.round() as usize).min(2 * columns - 1), y.round() as usize)
    };
    let mut cells = vec![vec![(0u8, false); columns]; height];
    for (n, &value) in training.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        // From the epoch before, dot by dot.
        let (x1, y1) = place(n as f64, value);
        let (x0, y0) = match n.checked_sub(1).map(|b| training[b]).filter(|v| v.is_finite()) {
            Some(before) => place((n - 1) as f64, before),
            None => (x1, y1),
        };
        let steps = x1.abs_diff(x0).max(y1.abs_diff(y0)).max(1);
        for step in 0..=steps {
            let between = |a: usize, b: usize| (a * (steps - step) + b * step + steps / 2) / steps;
            let (x, y) = (between(x0, x1), between(y0, y1));
            // The bits of a pattern count down the left column, then down the right one, the lowest row last.
            let bit = [[0, 3], [1, 4], [2, 5], [6, 7]][y % 4][x % 2];
            cells[y / 4][x / 2].0 |= 1 << bit;
        }
    }
    for (n, &value) in aside.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        let (x, y) = place(n as f64, value);
        cells[y / 4][x / 2].1 = true;
    }
    let number = |row: usize| match row {
        0 => format!("{:>5} ", significant(most)),
        row if row + 1 == height => format!("{:>5} ", "0"),
        _ => " ".repeat(MARGIN - 1),
    };
    cells
        .into_iter()
        .enumerate()
        .map(|(row, cells)| {
            let mut line = vec![(format!("{}\u{2502}", number(row)), Ink::Soft)];
            for (bits, circle) in cells {
                line.push(match (bits, circle) {
                    (_, true) => (ASIDE.into(), Ink::Aside),
                    (0, _) => (" ".into(), Ink::Plain),
                    (bits, _) => (char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ').to_string(), Ink::Training),
                });
            }
            line
        })
        .collect()
}

/// Three digits, in at most five columns for what losses are.
fn significant(x: f64) -> String {
    voxplain::stats::significant(x, 3)
}

/// A line of at most `width` columns. Every character used here takes one.
fn cut(line: Line, width: usize) -> Line {
    let mut room = width;
    let mut kept = Vec::with_capacity(line.len());
    for (text, ink) in line {
        let text: String = visible(&text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(room).collect();
        room -= text.chars().count();
        kept.push((text, ink));
    }
    kept
}

/// A line of exactly `width` columns.
fn filled(line: Line, width: usize) -> Line {
    let mut line = cut(line, width);
    let there: usize = line.iter().map(|(text, _)| text.chars().count()).sum();
    line.push((" ".repeat(width - there), Ink::Plain));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epoch(n: usize, aside: bool) -> Epoch {
        let loss = 0.7 * (-0.1 * n as f64).exp();
        Epoch {
            epoch: n + 1,
            learning_rate: 1e-3,
            loss,
            accuracy: Some(1.0 - loss / 1.4),
            error: None,
            validation_loss: aside.then_some(loss + 0.1),
            validation_accuracy: aside.then_some(0.9 - loss / 1.4),
            validation_error: None,
        }
    }

    fn view(epochs: usize, aside: bool) -> View {
        View {
            title: "voxplain train cohort > run".into(),
            steps: vec![("folds".into(), 2, 5), ("fold 2".into(), epochs, 30), ("epoch 19".into(), 3, 9)],
            curves: BTreeMap::from([(2, (0..epochs).map(|n| epoch(n, aside)).collect())]),
            finished: (0..2)
                .map(|fold| FoldScore { fold, subjects: 21, accuracy: 0.81, auc: (fold == 0).then_some(0.9) })
                .collect(),
            before: Some(20.0),
            ..View::default()
        }
    }

    fn text(view: &View, width: usize, height: usize) -> String {
        let lines = view.lines(width, height, Duration::from_secs(754));
        lines
            .iter()
            .map(|line| line.iter().map(|(t, _)| t.as_str()).collect::<String>().trim_end().to_owned() + "\n")
            .collect()
    }

    #[test]
    fn a_frame_looks_as_it_did() {
        for (name, view, width, height) in [
            ("80x24", view(18, true), 80, 24),
            ("60x16-without-aside", view(18, false), 60, 16),
            ("30x6", view(18, true), 30, 6),
            ("80x24-begun", View { title: "voxplain train cohort > run".into(), ..View::default() }, 80, 24),
        ] {
            let path =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/live-{name}.txt"));
            let now = text(&view, width, height);
            if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
                std::fs::write(&path, &now).unwrap();
            }
            assert!(std::fs::read_to_string(&path).unwrap() == now, "{name} has changed; now it is\n{now}");
        }
    }

    #[test]
    fn a_curve_lies_where_its_numbers_are() {
        // From the top at the first epoch to 0 at the last, in 4 columns and 2 rows: dots down the diagonal of 8 by 8.
        let lines = plot(&[1.0, 0.0], &[], 2, 1.0, (MARGIN + 4, 2));
        let rows: Vec<String> = lines.iter().map(|l| l[1..].iter().map(|(t, _)| t.as_str()).collect()).collect();
        assert_eq!(rows, ["\u{2811}\u{2884}\u{20}\u{20}", "\u{20}\u{20}\u{2811}\u{2884}"]);
        assert_eq!((lines[0][0].0.as_str(), lines[1][0].0.as_str()), ("    1 \u{2502}", "    0 \u{2502}"));
        // One that stays: dots in one row, half way between 1 and 0 in 4 rows of dots.
        let flat = plot(&[0.5, 0.5], &[0.0, 1.0], 2, 1.0, (MARGIN + 3, 1));
        let cells: Vec<&str> = flat[0][1..].iter().map(|(t, _)| t.as_str()).collect();
        assert_eq!(cells, ["\u{25cb}", "\u{2824}", "\u{25cb}"]);
    }

    proptest! {
        #[test]
        fn whatever_the_size_it_fits(
            (width, height) in (0usize..200, 0usize..70),
            epochs in 0usize..40,
            aside: bool,
            bad in prop::option::of(prop::sample::select(vec![f64::NAN, f64::INFINITY, -1.0, 1e300])),
            warned: bool,
            steps in 0usize..4,
        ) {
            let mut view = view(epochs, aside);
            view.steps.truncate(steps);
            view.warning = warned.then(|| "a\n\u{1b}[31mlong\u{202e} one ".repeat(20));
            if let (Some(bad), Some(curve)) = (bad, view.curves.get_mut(&2)) {
                curve.iter_mut().step_by(3).for_each(|e| e.loss = bad);
            }
            let lines = view.lines(width, height, Duration::from_secs(10));
            prop_assert!(lines.len() <= height);
            for line in lines {
                let line: String = line.into_iter().map(|(text, _)| text).collect();
                let obeyed = line.contains(['\u{1b}', '\n', '\u{202e}']);
                prop_assert!(line.chars().count() <= width && !obeyed);
            }
        }
    }
}
