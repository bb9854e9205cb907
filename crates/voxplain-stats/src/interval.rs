//! [`Interval`]: a mean over subjects with its 95 % confidence interval, over independent subjects or by model.

use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

/// The fewest people that a mean of maps gets an interval for.
pub const MIN_PEOPLE: usize = 5;

/// The fewest models that a mean of maps gets an interval for. Between two, Student's t has one degree of freedom: the interval would
/// be six times as wide as the two are apart, and holds the true value only where they are normally distributed.
pub const MIN_MODELS: usize = 3;

/// A mean over subjects with its 95 % interval.
///
/// `low` and `high` are absent where no interval can be given ([`Interval::why_none`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Number of values.
    pub n: usize,
    /// Number of models that made the maps; `None` for independent values, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<usize>,
    /// Number of people whose maps these are, where some have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
    /// Intraclass correlation of the values by model; `None` where there is none ([`intraclass_correlation`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intraclass: Option<f64>,
}

impl Interval {
    /// Of independent finite values, by Student's t: mean ± t(0.975, n - 1) · s / √n. `None` for no value; no ends for one.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (mean, n) = (mean(values)?, values.len());
        if n == 1 {
            return Some(Self { mean, n, ..Self::default() });
        }
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let half = student_t(0.975, (n - 1) as f64) * (variance / n as f64).sqrt();
        Some(Self { mean, low: Some(mean - half), high: Some(mean + half), n, ..Self::default() })
    }

    /// Of finite values of maps, one for each person, with the model that made each map. Maps by one model are alike, so that the
    /// model is the cluster: the variance is the jackknife over models, `(G - 1) / G · Σ (mean without model g - mean)²` (`CV3` of
    /// `MacKinnon`, Nielsen, Webb 2023, J Econometrics 232:272), and the ends are mean ± t(0.975, E - 1) · √variance. `E` is the
    /// effective number of models, `n² / Σ n_g²` (Carter, Schnepel, Steigerwald 2017, Rev Econ Stat 99:698, for maps of one model that
    /// are the same). Where all models made as many maps, `E` is `G`, and this is Student's t of their means: exact if these are normal.
    ///
    /// A mixed model would be narrower, and too narrow where few models leave its variance between models at 0.
    ///
    /// No ends below [`MIN_PEOPLE`] values or [`MIN_MODELS`] models, where nearly all maps are of one model (`E` below 2), where a
    /// model is not known, and where the models do not differ at all. `None` for no value.
    ///
    /// ```
    /// use voxplain_stats::Interval;
    ///
    /// // Six maps, two by each of three models, whose means are 1, 2 and 6: mean 3, and t(0.975, 2) √(7 / 3) to either side.
    /// let interval = Interval::by_model(&[1.0, 1.0, 1.5, 2.5, 5.0, 7.0], &[Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), Some("c")]).unwrap();
    /// assert_eq!(interval.mean, 3.0);
    /// assert!((interval.high.unwrap() - 3.0 - 4.302_653 * (7.0f64 / 3.0).sqrt()).abs() < 1e-5);
    /// ```
    pub fn by_model<M: Ord>(values: &[f64], models: &[Option<M>]) -> Option<Self> {
        let (mean, n) = (mean(values)?, values.len());
        let without = Self { mean, n, ..Self::default() };
        let Some(clusters) = clusters(values, models) else { return Some(without) };
        let count = clusters.len();
        let without = Self { models: Some(count), intraclass: intraclass_of(&clusters), ..without };
        let effective = (n * n) as f64 / clusters.iter().map(|of| of.len() * of.len()).sum::<usize>() as f64;
        if n < MIN_PEOPLE || count < MIN_MODELS || effective < 2.0 {
            return Some(without);
        }
        let total: f64 = values.iter().sum();
        let squares = clusters.iter().map(|of| {
            let rest = (total - of.iter().sum::<f64>()) / (n - of.len()) as f64;
            (rest - mean).powi(2)
        });
        let variance = (count - 1) as f64 / count as f64 * squares.sum::<f64>();
        // What is left of equal values is round-off.
        let size = values.iter().map(|x| x.abs()).fold(0.0, f64::max);
        if variance.sqrt() <= 1e-12 * size || !variance.is_finite() {
            return Some(without);
        }
        let half = student_t(0.975, effective - 1.0) * variance.sqrt();
        Some(Self { low: Some(mean - half), high: Some(mean + half), ..without })
    }

    /// The interval of a quantity that lies between these bounds, which its ends then do, too.
    #[must_use]
    pub fn within(self, least: f64, most: f64) -> Self {
        Self { low: self.low.map(|x| x.clamp(least, most)), high: self.high.map(|x| x.clamp(least, most)), ..self }
    }

    /// Of values of maps, each with the model that made it and whose map it is: [`Interval::by_model`], with the people counted
    /// ([`Interval::of_people`]).
    pub fn of_maps<M: Ord, P: Ord>(maps: impl IntoIterator<Item = (f64, Option<M>, P)>) -> Option<Self> {
        let (mut values, mut models, mut people) = (Vec::new(), Vec::new(), std::collections::BTreeSet::new());
        for (value, model, person) in maps {
            values.push(value);
            models.push(model);
            people.insert(person);
        }
        Self::by_model(&values, &models).map(|interval| interval.of_people(people.len()))
    }

    /// The mean of maps of so many people, where that is fewer than there are maps: no ends below [`MIN_PEOPLE`] of them.
    #[must_use]
    pub fn of_people(self, people: usize) -> Self {
        let ends = self.ends().filter(|_| people >= MIN_PEOPLE);
        let [low, high] = [ends.map(|e| e.0), ends.map(|e| e.1)];
        Self { low, high, people: (people < self.n).then_some(people), ..self }
    }

    /// Both ends, where there are any.
    pub fn ends(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }

    /// Why a mean by model has no interval, in words; `None` where it has one.
    pub fn why_none(&self) -> Option<String> {
        if self.ends().is_some() {
            return None;
        }
        Some(match self.models {
            _ if self.people.unwrap_or(self.n) < MIN_PEOPLE => format!("none for fewer than {MIN_PEOPLE} people"),
            None => "none where it is not known which models made the maps".to_owned(),
            Some(1) => "none for maps of one model: how far another model would differ is not known".to_owned(),
            Some(n) if n < MIN_MODELS => format!("none for maps of fewer than {MIN_MODELS} models ({n} here)"),
            Some(_) => "none where all models give one value, or one model made nearly all maps".to_owned(),
        })
    }

    /// What the reader of means by model must know, in sentences: how their intervals were found, what they are conditional on, and
    /// why some are absent. `None` for no mean.
    pub fn explain<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<String> {
        let (mut models, mut why, mut there) = (0, Vec::new(), false);
        for interval in all {
            there = true;
            models = models.max(interval.ends().and(interval.models).unwrap_or(0));
            if let Some(reason) = interval.why_none().filter(|reason| !why.contains(reason)) {
                why.push(reason);
            }
        }
        if !there {
            return None;
        }
        let mut text = String::new();
        if models > 0 {
            text.push_str(&format!(
                "Intervals are 95 %, with the model as the unit (jackknife over the {models} models, Student's t with {} degrees of \
                 freedom, fewer where they made different numbers of maps), since maps by one model are alike. They are conditional on these networks: \
                 they are about other people explained by networks like these. Networks trained anew may differ by more, since the \
                 models of one run share training subjects.",
                models - 1
            ));
        }
        if !why.is_empty() {
            text.push_str(if models > 0 { " Some intervals are absent: " } else { "No intervals: " });
            text.push_str(&why.join("; "));
            text.push('.');
        }
        Some(text)
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The values model by model; `None` where a model is not known.
fn clusters<M: Ord>(values: &[f64], models: &[Option<M>]) -> Option<Vec<Vec<f64>>> {
    let mut of = std::collections::BTreeMap::<&M, Vec<f64>>::new();
    for (&value, model) in values.iter().zip(models) {
        of.entry(model.as_ref()?).or_default().push(value);
    }
    Some(of.into_values().collect())
}

/// The intraclass correlation of values by model: the part of their variance that lies between models, by the one-way analysis of
/// variance (Donner 1986, Int Stat Rev 54:67). 0 where maps of one model are no more alike than others, below 0 where they are
/// less, 1 where they are the same.
///
/// `None` for fewer than two models, where no model made two maps, where a model is not known, and where all values are equal.
pub fn intraclass_correlation<M: Ord>(values: &[f64], models: &[Option<M>]) -> Option<f64> {
    intraclass_of(&clusters(values, models)?)
}

fn intraclass_of(clusters: &[Vec<f64>]) -> Option<f64> {
    let (groups, n) = (clusters.len() as f64, clusters.iter().map(Vec::len).sum::<usize>() as f64);
    if clusters.len() < 2 || n <= groups {
        return None;
    }
    let of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mean = clusters.iter().flatten().sum::<f64>() / n;
    let between = clusters.iter().map(|c| c.len() as f64 * (of(c) - mean).powi(2)).sum::<f64>() / (groups - 1.0);
    let within =
        clusters.iter().map(|c| c.iter().map(|x| (x - of(c)).powi(2)).sum::<f64>()).sum::<f64>() / (n - groups);
    let size = (n - clusters.iter().map(|c| (c.len() * c.len()) as f64).sum::<f64>() / n) / (groups - 1.0);
    let all = between + (size - 1.0) * within;
    (all > 0.0).then(|| (between - within) / all)
}

/// The quantile of Student's t distribution: `t` with `P(T <= t) = p`, for `p` in [0.5, 1); infinity where there is no degree of freedom.
pub fn student_t(p: f64, freedom: f64) -> f64 {
    if freedom <= 0.0 {
        return f64::INFINITY;
    }
    // P(|T| >= t) = I_x(freedom / 2, 1 / 2) for x = freedom / (freedom + t^2) (Abramowitz & Stegun 26.7.1 and 26.5.27), which falls as t
    // rises: by bisection, as an inverse by series has fewer digits.
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided_p(high, freedom) > 2.0 * (1.0 - p) && high < 1e300 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if two_sided_p(middle, freedom) > 2.0 * (1.0 - p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Probability that Student's t with so many degrees of freedom is at least as far from 0 as `t`, on either side; not a number where there is no
/// degree of freedom.
pub fn two_sided_p(t: f64, freedom: f64) -> f64 {
    checked_beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t)).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles as printed in tables of the t distribution (e.g. Abramowitz & Stegun, table 26.10).
    #[test]
    fn quantiles_of_the_printed_tables() {
        for (freedom, t) in [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (9.0, 2.262), (30.0, 2.042), (120.0, 1.980)] {
            assert!((student_t(0.975, freedom) - t).abs() < 5e-4, "{freedom}: {}", student_t(0.975, freedom));
        }
        // With one degree of freedom the quantile is tan(pi (p - 1/2)).
        let cauchy = (std::f64::consts::PI * 0.475).tan();
        assert!((student_t(0.975, 1.0) / cauchy - 1.0).abs() < 1e-12);
        // With two, it is (2p - 1) sqrt(2 / (1 - (2p - 1)^2)).
        let two = 0.95 * (2.0 / (1.0 - 0.95f64.powi(2))).sqrt();
        assert!((student_t(0.975, 2.0) / two - 1.0).abs() < 1e-12);
    }

    #[test]
    fn p_is_the_inverse_of_the_quantile() {
        for freedom in [1.0, 2.0, 4.0, 9.0, 30.0, 120.0] {
            for p in [0.6, 0.9, 0.975, 0.999] {
                let t = student_t(p, freedom);
                assert!((two_sided_p(t, freedom) - 2.0 * (1.0 - p)).abs() < 1e-9, "{freedom} {p}");
                assert_eq!(two_sided_p(-t, freedom), two_sided_p(t, freedom));
            }
        }
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
    }

    #[test]
    fn interval_by_hand() {
        // Mean 2, s = 1, n = 3: 2 ± 4.30265 / sqrt(3).
        let i = Interval::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!((i.mean - 2.0).abs() < 1e-15 && (i.high.unwrap() - 2.0 - 2.484_138).abs() < 1e-5, "{i:?}");
        assert_eq!(Interval::of(&[5.0]).unwrap().low, None);
        assert_eq!(Interval::of(&[]), None);
    }

    #[test]
    fn the_model_is_the_unit() {
        // Three models with one value each, two people a model: 6 values, but the interval of three.
        let (values, models) = ([1.0, 1.0, 2.0, 2.0, 6.0, 6.0], [1, 1, 2, 2, 3, 3].map(Some));
        let by_model = Interval::by_model(&values, &models).unwrap();
        let alone = Interval::of(&[1.0, 2.0, 6.0]).unwrap();
        assert!((by_model.low.unwrap() - alone.low.unwrap()).abs() < 1e-12, "{by_model:?} {alone:?}");
        assert_eq!((by_model.mean, by_model.n, by_model.models, by_model.intraclass), (3.0, 6, Some(3), Some(1.0)));
        // As many models as people: Student's t over people.
        let each = Interval::by_model(&values, &[1, 2, 3, 4, 5, 6].map(Some)).unwrap();
        assert!((each.high.unwrap() - Interval::of(&values).unwrap().high.unwrap()).abs() < 1e-12);
        assert_eq!(each.intraclass, None);
    }

    /// The jackknife, model by model.
    #[test]
    fn models_of_different_sizes() {
        let (values, models) = ([1.0, 2.0, 3.0, 4.0, 8.0], ["a", "a", "a", "b", "c"].map(Some));
        let without = [6.0, 14.0 / 4.0, 10.0 / 4.0]; // mean 3.6
        let variance = 2.0 / 3.0 * without.iter().map(|m: &f64| (m - 3.6).powi(2)).sum::<f64>();
        let found = Interval::by_model(&values, &models).unwrap();
        assert!((found.high.unwrap() - 3.6 - student_t(0.975, 25.0 / 11.0 - 1.0) * variance.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn no_interval_and_why() {
        let why = |values: &[f64], models: &[Option<u8>]| {
            let found = Interval::by_model(values, models).unwrap();
            assert_eq!(found.ends(), None);
            found.why_none().unwrap()
        };
        assert!(why(&[1.0, 2.0, 3.0, 4.0], &[1, 2, 3, 4].map(Some)).contains("fewer than 5 people"));
        assert!(why(&[1.0, 2.0, 3.0, 4.0, 5.0], &[Some(1); 5]).contains("one model"));
        assert!(why(&[1.0, 2.0, 3.0, 4.0, 5.0], &[1, 1, 2, 2, 2].map(Some)).contains("fewer than 3 models (2 here)"));
        assert!(why(&[1.0, 2.0, 3.0, 4.0, 5.0], &[Some(1), Some(2), Some(3), Some(4), None]).contains("not known"));
        assert!(why(&[0.1; 6], &[1, 1, 2, 2, 3, 3].map(Some)).contains("one value"));
        assert_eq!(Interval::by_model(&[], &[] as &[Option<u8>]), None);
        let text = Interval::explain([&Interval::by_model(&[1.0, 2.0], &[Some(1), Some(2)]).unwrap()]).unwrap();
        assert_eq!(text, "No intervals: none for fewer than 5 people.");
    }

    #[test]
    fn scans_are_not_people() {
        let six = Interval::by_model(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 1, 2, 2, 3, 3].map(Some)).unwrap();
        assert_eq!(six.of_people(6), six);
        assert!(six.of_people(5).ends().is_some());
        let three = six.of_people(3);
        assert_eq!((three.ends(), three.n, three.people), (None, 6, Some(3)));
        assert!(three.why_none().unwrap().contains("fewer than 5 people"));
    }

    #[test]
    fn ends_stay_within_bounds() {
        let found = Interval::by_model(&[0.9, 1.0, 0.9, 1.0, 0.2, 1.0], &[1, 1, 2, 2, 3, 3].map(Some)).unwrap();
        assert!(found.high.unwrap() > 1.0);
        assert_eq!(found.within(0.0, 1.0).high, Some(1.0));
    }

    /// Table by hand: two models, means 2 and 6, MSB = 2 * (4 + 4) = 16 and MSW = 4 / 2 = 2; n0 = 2: (16 - 2) / (16 + 2).
    #[test]
    fn intraclass_by_hand() {
        let found = intraclass_correlation(&[1.0, 3.0, 5.0, 7.0], &[1, 1, 2, 2].map(Some)).unwrap();
        assert!((found - 14.0 / 18.0).abs() < 1e-12);
        // Nothing between models: (0 - 2) / (0 + 2).
        assert_eq!(intraclass_correlation(&[1.0, 3.0, 1.0, 3.0], &[1, 1, 2, 2].map(Some)), Some(-1.0));
        assert_eq!(intraclass_correlation(&[1.0, 3.0], &[1, 2].map(Some)), None);
        assert_eq!(intraclass_correlation(&[1.0; 4], &[1, 1, 2, 2].map(Some)), None);
    }
}
