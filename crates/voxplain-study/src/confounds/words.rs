//! What confounds explain, in sentences.

use super::{Arm, Confounds, Shuffled};
use crate::listed::listed;
use voxplain_stats::Estimate;

impl Confounds {
    /// The result in sentences; `noun` is what one of the held-out is called.
    pub(super) fn sentences(&self, noun: &str) -> Vec<String> {
        let called = |model: &str| if model == "cnn" { "The CNN" } else { "Logistic regression on the voxels" };
        let mut lines = Vec::new();
        for arm in &self.arms {
            let who = called(&arm.model);
            let Some(difference) = &arm.difference else {
                let above = arm.area.ends().map(|(low, _)| low > 0.5);
                let says = match above {
                    Some(true) => "orders people better than chance",
                    Some(false) => {
                        "is not shown to order people better than chance, so that there is nothing for a confound to explain"
                    }
                    None => "has no interval, so that nothing can be said of confounds",
                };
                lines.push(format!("{who}, {}, {says}: {} {}.", arm.arm, self.measure, text(&arm.area)));
                continue;
            };
            let says = match difference.ends() {
                Some((_, high)) if high < 0.0 => "is worse than as it is",
                Some((low, _)) if low > 0.0 => "is better than as it is",
                Some(_) => "is not shown to differ from as it is",
                None => "differs, without an interval, from as it is",
            };
            let gone = match (arm.trained_otherwise.as_slice(), &arm.shuffled) {
                ([], Some(Shuffled { shuffles, as_much, .. })) if *as_much > 0 => format!(
                    "; but dealt out among people at random, the same values took as much away in {as_much} of {shuffles} tries: of so few people any \
                     values may, and nothing is laid to these"
                ),
                ([], _) => gone(arm),
                (unlike, _) => format!(", but it was trained otherwise too ({}), which may be why", listed(unlike, 8)),
            };
            lines.push(format!(
                "{who}, {}, {says}: {} {}, difference {}{gone}.",
                arm.arm,
                self.measure,
                text(&arm.area),
                text(difference)
            ));
        }
        if let Some(matched) = &self.matched {
            lines.push(format!("{}.", matched.about(noun).trim_end_matches('.')));
            let over = if matched.are_alike() { "people who are alike" } else { "matched people, who still differ," };
            lines.extend(matched.arms.iter().map(|arm| self.over_matched(arm, called(&arm.model), over)));
        }
        if let Some(maps) = &self.maps {
            lines.extend(maps.sentences());
        }
        for reverse in &self.reverse {
            let tells = match reverse.r.ends() {
                Some((low, _)) if low > 0.0 => "tell",
                _ => "are not shown to tell",
            };
            lines.push(format!(
                "The same volumes {tells} {} by ridge regression: r {} among the held-out.",
                reverse.of,
                text(&reverse.r)
            ));
        }
        lines
    }

    /// An arm over matched people.
    fn over_matched(&self, arm: &Arm, who: &str, over: &str) -> String {
        let orders = match arm.area.ends() {
            Some((low, _)) if low > 0.5 => "orders them better than chance",
            Some((_, high)) if high < 0.5 => "orders them worse than chance",
            Some(_) => "is not shown to order them better than chance",
            None => "has no interval",
        };
        let beside = arm.difference.as_ref().map_or_else(String::new, |difference| {
            let says = match difference.ends() {
                Some((_, high)) if high < 0.0 => "worse than over all people",
                Some((low, _)) if low > 0.0 => "better than over all people",
                Some(_) => "not shown to differ from over all people",
                None => "beside all people, without an interval",
            };
            format!("; {says}, difference {}{}", text(difference), gone(arm))
        });
        format!("{who}, {}, over {over} {orders}: {} {}{beside}.", arm.arm, self.measure, text(&arm.area))
    }
}

fn text(e: &Estimate) -> String {
    match e.ends() {
        Some((low, high)) => format!("{:.2} ({low:.2} to {high:.2})", e.value),
        None => format!("{:.2} ({})", e.value, e.interval.replacen("none", "no interval", 1)),
    }
}

/// In whole per cent; what is rounded to nothing has no sign.
fn percent(share: f64) -> f64 {
    (100.0 * share).round() + 0.0
}

/// The share that is gone, where the difference is shown to be a loss: of what may be none nothing is said to be gone.
fn gone(arm: &Arm) -> String {
    let Some(e) = arm.explained.as_ref().filter(|_| arm.is_worse()) else { return String::new() };
    let share = match e.ends() {
        Some((low, high)) => format!("{} % ({} to {})", percent(e.value), percent(low), percent(high)),
        None => format!("{} % ({})", percent(e.value), e.interval.replacen("none", "no interval", 1)),
    };
    let beyond = arm.shuffled.as_ref().map_or_else(String::new, |of| {
        format!(
            " (in none of {} tries did the same values, dealt out among people at random, take as much)",
            of.shuffles
        )
    });
    format!("; of what it has above chance, {share} is gone{beyond}")
}
