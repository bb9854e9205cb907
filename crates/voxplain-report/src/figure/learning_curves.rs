//! [`learning_curves`]: loss and accuracy over epochs, fold by fold.

use voxplain_core::plural::counted;

use super::paper::{Anchor, Axes, Figure, GREY, SMALL, Style, Svg, TITLE, colour::LINES, ticks, width_of};

/// One fold's values per epoch, the first epoch first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearningCurve {
    /// Loss in training.
    pub loss: Vec<f64>,
    /// Share told right in training; of values the mean absolute error.
    pub accuracy: Vec<f64>,
    /// Loss on subjects set aside for early stopping; empty without.
    pub validation_loss: Vec<f64>,
    /// Share of them told right, or their mean absolute error.
    pub validation_accuracy: Vec<f64>,
}

/// Two panels, loss and accuracy: every fold thin, the mean of the folds (up to the shortest) thick; training in blue,
/// the part set aside in orange.
pub fn learning_curves(curves: &[LearningCurve], width: f64) -> Figure {
    draw(curves, width, None)
}

/// [`learning_curves`] of a value, with the mean absolute error (in `unit`, in words) in place of accuracy; `loss` says what the loss is.
pub fn value_learning_curves(curves: &[LearningCurve], (loss, unit): (&str, &str), width: f64) -> Figure {
    draw(curves, width, Some((loss, unit)))
}

fn draw(curves: &[LearningCurve], width: f64, of_value: Option<(&str, &str)>) -> Figure {
    let unit = of_value.map(|(_, unit)| unit);
    let mut svg = Svg::new(width);
    let panel = (width - 12.0 - 14.0 - 2.0) / 2.0;
    let height = (panel * 0.72).clamp(24.0, 46.0);
    let epochs = curves.iter().map(|c| c.loss.len()).max().unwrap_or(0);
    let x = [1.0, (epochs as f64).max(2.0)];
    let epoch_ticks: Vec<f64> = ticks(x[0], x[1]).into_iter().filter(|t| t.fract() == 0.0).collect();
    let all_losses =
        || curves.iter().flat_map(|c| c.loss.iter().chain(&c.validation_loss)).copied().filter(|v| v.is_finite());
    let max = all_losses().fold(0.0, f64::max);
    // A wild first epoch should not flatten all that follows: the axis ends at 1.5 times the 95 % quantile.
    let mut sorted: Vec<f64> = all_losses().collect();
    sorted.sort_by(f64::total_cmp);
    let high = sorted.get(sorted.len().saturating_sub(1) * 95 / 100).map_or(1.0, |q| max.min(1.5 * q)).max(1e-6);
    let any_validation = curves.iter().any(|c| !c.validation_loss.is_empty());
    svg.text(0.0, 3.0, Style::new(TITLE, Anchor::Start).bold(), "Learning curves");
    let mut legend = vec![(LINES[0], "training (augmented, with dropout)")];
    if any_validation {
        legend.push((LINES[1], "set aside for early stopping"));
    }
    let mut at = 12.0;
    for (colour, words) in legend {
        svg.line([at, 6.2], [at + 4.0, 6.2], colour, 0.5);
        svg.text(at + 5.0, 7.0, Style::new(SMALL, Anchor::Start), words);
        at += 8.0 + width_of(words, SMALL);
    }
    let largest = curves.iter().flat_map(|c| c.accuracy.iter().chain(&c.validation_accuracy)).copied();
    let largest = largest.filter(|v| v.is_finite()).fold(1e-9, f64::max);
    let error = unit.map_or_else(String::new, |unit| format!("mean absolute error{unit}"));
    type Pick = fn(&LearningCurve) -> &Vec<f64>;
    let panels: [(&str, [f64; 2], Pick, Pick); 2] = [
        (of_value.map_or("cross-entropy (nats)", |(loss, _)| loss), [0.0, high], |c| &c.loss, |c| &c.validation_loss),
        (
            if unit.is_some() { &error } else { "share told right" },
            [0.0, if unit.is_some() { largest } else { 1.0 }],
            |c| &c.accuracy,
            |c| &c.validation_accuracy,
        ),
    ];
    for (n, (words, y, train, aside)) in panels.into_iter().enumerate() {
        let axes = Axes { at: [12.0 + n as f64 * (panel + 14.0), 9.5], size: [panel, height], x, y };
        axes.draw(&mut svg, ["epoch", words], [&epoch_ticks, &ticks(y[0], y[1])]);
        if epochs == 0 {
            axes.note(&mut svg, "no epochs yet");
        }
        for (colour, pick) in [(LINES[0], train), (LINES[1], aside)] {
            let lines: Vec<&Vec<f64>> = curves.iter().map(pick).filter(|l| !l.is_empty()).collect();
            let points = |line: &[f64]| -> Vec<[f64; 2]> {
                let inside = |v: f64| v.clamp(y[0], y[1]);
                line.iter()
                    .enumerate()
                    .filter(|(_, v)| v.is_finite())
                    .map(|(e, v)| axes.place((e + 1) as f64, inside(*v)))
                    .collect()
            };
            for line in &lines {
                svg.path(&points(line), colour, 0.18, 0.45);
            }
            if lines.len() > 1 {
                let shortest = lines.iter().map(|l| l.len()).min().unwrap_or(0);
                let mean: Vec<f64> =
                    (0..shortest).map(|e| lines.iter().map(|l| l[e]).sum::<f64>() / lines.len() as f64).collect();
                svg.path(&points(&mean), colour, 0.6, 1.0);
            }
        }
    }
    let bottom = 9.5 + height + 9.8;
    let what = if unit.is_some() { "error" } else { "accuracy" };
    svg.text(
        0.0,
        bottom,
        Style::new(SMALL, Anchor::Start).colour(GREY),
        &format!(
            "{}. Training {what} is not {what} on new people.",
            if curves.len() == 1 {
                "1 fold".to_owned()
            } else {
                format!("{} folds (thin) and their mean (thick)", curves.len())
            }
        ),
    );
    svg.finish(
        bottom + 1.5,
        format!("Loss and {what} over {epochs} epochs of training for {}", counted(curves.len(), "fold")),
    )
}
