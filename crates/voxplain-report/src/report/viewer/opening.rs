//! [`Opening`]: the method that the viewer shows first, and why.

use voxplain_attribution::{ExtremalPerturbation, HiresCam, MeaningfulPerturbation, Method as _, method_named};
use voxplain_study::evaluation::faithfulness::{Metric, Summary, Verdict};

/// A method and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Opening {
    pub(in crate::report) method: String,
    /// `Opens with saliency: the least deletion area of the methods compared.`
    pub(in crate::report) why: String,
}

/// Methods that look for the voxels whose replacement changes the score most: curves of deletion and insertion do not judge them.
const PLAY_DELETION: [&str; 2] = [MeaningfulPerturbation::NAME, ExtremalPerturbation::NAME];

impl Opening {
    /// Of the methods that are there to be shown, in their order: that which curves of deletion (without them, of insertion) prefer
    /// among those told to be better than random orders, with every substrate; else HiRes-CAM; else the first. Controls come last.
    /// Nothing where there is no method.
    pub(in crate::report) fn of(methods: &[String], measured: &[Summary]) -> Option<Self> {
        let preferred = [Metric::Deletion, Metric::Insertion]
            .into_iter()
            .find_map(|metric| preferred(methods, measured.iter().find(|summary| summary.metric == metric)?));
        preferred.or_else(|| {
            let is_control = |name: &str| method_named(name).is_some_and(|m| m.control.is_some());
            let found = || measured.iter().flat_map(|summary| &summary.found);
            let none = if measured.is_empty() {
                "curves of deletion and insertion were not measured"
            } else if found().any(|f| f.verdict == Verdict::Better) {
                "deletion and insertion tell no method from random orders that was not made for this, with all that stood in for voxels"
            } else {
                "deletion and insertion tell no method from random orders"
            };
            if methods.iter().any(|method| method == HiresCam::NAME) {
                let why = format!("Opens with {}, as it does by default: {none}.", HiresCam::NAME);
                return Some(Self { method: HiresCam::NAME.into(), why });
            }
            let method = methods.iter().find(|method| !is_control(method)).or(methods.first())?.clone();
            let why = format!("Opens with {method}, the first of the methods here: {none}.");
            Some(Self { method, why })
        })
    }
}

/// The best of the methods that a metric tells from random orders; `None` where there is none.
fn preferred(methods: &[String], of: &Summary) -> Option<Opening> {
    let compared: Vec<&String> = methods.iter().filter(|m| of.found.iter().any(|f| f.method == **m)).collect();
    let area = |method: &str| {
        let found: Vec<_> = of.found.iter().filter(|f| f.method == method).collect();
        let whole = found.len() == of.settings.substrates.len();
        let better = whole && found.iter().all(|f| f.verdict == Verdict::Better);
        better.then(|| found.iter().map(|f| f.auc.mean).sum::<f64>() / found.len() as f64)
    };
    let plays = |method: &str| PLAY_DELETION.contains(&method);
    let may_win = |method: &&String| !plays(method) && method_named(method).is_none_or(|m| m.control.is_none());
    let candidates = compared.iter().copied().filter(may_win).filter_map(|m| Some((m, area(m)?)));
    // The first of equals.
    let (method, _) = match of.metric {
        Metric::Deletion => candidates.reduce(|best, next| if next.1 < best.1 { next } else { best }),
        Metric::Insertion => candidates.reduce(|best, next| if next.1 > best.1 { next } else { best }),
    }?;
    let (extreme, word) = match of.metric {
        Metric::Deletion => ("least", "deletion"),
        Metric::Insertion => ("largest", "insertion"),
    };
    let told = compared.iter().any(|m| area(m).is_none() && may_win(m));
    let told = if told { " that are told from random orders" } else { "" };
    let left: Vec<&str> = compared.iter().map(|m| m.as_str()).filter(|m| plays(m)).collect();
    let left = if left.is_empty() {
        String::new()
    } else {
        format!(", without {}, which look{} for it", left.join(" and "), if left.len() == 1 { "s" } else { "" })
    };
    let means = if of.settings.substrates.len() > 1 { ", on average over what stands in place of voxels" } else { "" };
    let why = format!("Opens with {method}: the {extreme} {word} area of the methods compared{told}{left}{means}.");
    Some(Opening { method: method.clone(), why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_stats::Interval;
    use voxplain_study::{
        evaluation::faithfulness::{MethodCurves, Ranking, Settings, Substrate},
        run::MadeFrom,
    };

    fn summary(metric: Metric, found: &[(&str, f64, Verdict)]) -> Summary {
        let of = |(method, mean, verdict): &(&str, f64, Verdict)| MethodCurves {
            method: (*method).into(),
            substrate: Substrate::Blur,
            ranking: Ranking::Signed,
            maps: 3,
            auc: Interval { mean: *mean, ..Interval::default() },
            random: Interval::default(),
            difference: Interval::default(),
            wins: 1.0,
            verdict: *verdict,
            curve: vec![],
            random_curve: vec![],
        };
        Summary {
            metric,
            better: "lower".into(),
            settings: Settings { substrates: vec![Substrate::Blur], ..Settings::default() },
            block_voxels: [1; 3],
            models: vec![],
            made_from: MadeFrom::default(),
            whole_heads: None,
            channels: vec![],
            found: found.iter().map(of).collect(),
            version: "0".into(),
        }
    }

    #[test]
    fn what_evaluation_prefers_comes_first() {
        use Verdict::{Better, NotGiven, Undecided};
        let methods = ["grad-cam", "hires-cam", "meaningful-perturbation", "random", "saliency"].map(str::to_owned);
        let of = |measured: &[Summary]| {
            let opening = Opening::of(&methods, measured).unwrap();
            (opening.method, opening.why)
        };
        let (first, why) = of(&[]);
        assert_eq!(first, "hires-cam");
        assert!(why.ends_with("by default: curves of deletion and insertion were not measured."), "{why}");
        // The least area of all is not told from random, the next by a method that looks for it.
        let deletion = summary(
            Metric::Deletion,
            &[
                ("grad-cam", 0.1, Undecided),
                ("meaningful-perturbation", 0.2, Better),
                ("saliency", 0.3, Better),
                ("hires-cam", 0.4, Better),
            ],
        );
        let (first, why) = of(std::slice::from_ref(&deletion));
        assert_eq!(first, "saliency");
        assert_eq!(
            why,
            "Opens with saliency: the least deletion area of the methods compared that are told from random orders, without \
             meaningful-perturbation, which looks for it."
        );
        let plain = summary(Metric::Deletion, &[("grad-cam", 0.1, Better), ("saliency", 0.3, Better)]);
        assert_eq!(of(&[plain]).1, "Opens with grad-cam: the least deletion area of the methods compared.");
        // Where deletion tells none, insertion may; where none does, nothing is preferred.
        let none = summary(Metric::Deletion, &[("saliency", 0.3, NotGiven), ("hires-cam", 0.4, Undecided)]);
        let insertion = summary(Metric::Insertion, &[("saliency", 0.3, Better), ("grad-cam", 0.9, Better)]);
        assert_eq!(of(&[none.clone(), insertion]).0, "grad-cam");
        let (first, why) = of(&[none]);
        assert_eq!(first, "hires-cam");
        assert!(why.ends_with("deletion and insertion tell no method from random orders."), "{why}");
        // Without HiRes-CAM the first that is no control.
        let opening = Opening::of(&["random".to_owned(), "saliency".to_owned()], &[]).unwrap();
        assert_eq!(opening.method, "saliency");
        assert_eq!(Opening::of(&[], &[]), None);
    }
}
