//! 95 % intervals of numbers about a classifier, over subjects or over groups of subjects.
//!
//! Where subjects come in groups (families, sites), what is independent are the groups: variances are those of sums over
//! groups, quantiles those of Student's t with one degree of freedom less than there are groups, and score intervals take
//! as many subjects as would give the same variance if all were independent (their effective number). Groups of different
//! sizes count as `n² / Σ n_g²` of one size (Carter, Schnepel and Steigerwald 2017), and fewer than [`MIN_GROUPS`] of these give no
//! interval: with so few, none is known that holds what it says.

use super::influence::Influence;
use crate::estimate::{Estimate, Z, newcombe, wilson};
use crate::{FoldPrediction, student_t};
use std::collections::BTreeMap;

/// Groups below which no interval over groups is given.
pub const MIN_GROUPS: usize = 10;

/// What is independent among subjects: each by itself, or groups.
#[derive(Clone, Debug)]
pub(crate) struct Clusters {
    /// The cluster of each subject.
    of: Vec<usize>,
    pub(crate) count: usize,
    /// As how many of one size they count.
    pub(crate) effective: f64,
    pub(crate) grouped: bool,
}

impl Clusters {
    pub(super) fn of(predictions: &[FoldPrediction]) -> Self {
        Self::of_groups(&predictions.iter().map(|p| p.group).collect::<Vec<_>>())
    }

    /// Of the group of each subject.
    pub(crate) fn of_groups(groups: &[Option<usize>]) -> Self {
        let grouped = groups.iter().any(Option::is_some);
        if !grouped {
            return Self::alone(groups.len());
        }
        let mut numbers = BTreeMap::new();
        let of: Vec<usize> = groups
            .iter()
            .enumerate()
            .map(|(n, group)| {
                let next = numbers.len();
                // Whoever has no group is alone.
                *numbers.entry(group.map_or((1, n), |g| (0, g))).or_insert(next)
            })
            .collect();
        let mut sizes = vec![0usize; numbers.len()];
        of.iter().for_each(|cluster| sizes[*cluster] += 1);
        let effective = (of.len() * of.len()) as f64 / sizes.iter().map(|size| size * size).sum::<usize>() as f64;
        Self { of, count: numbers.len(), effective, grouped }
    }

    /// Each subject by itself.
    fn alone(count: usize) -> Self {
        Self { of: (0..count).collect(), count, effective: count as f64, grouped: false }
    }

    /// Why no interval can be given, where none can.
    pub(super) fn too_few(&self) -> Option<String> {
        self.grouped.then(|| self.few_groups()).flatten()
    }

    /// Why these groups, or subjects, are too few.
    pub(crate) fn few_groups(&self) -> Option<String> {
        let noun = if self.grouped { "group" } else { "subject" };
        let are = if self.count == 1 { format!("{noun} is") } else { format!("{noun}s are") };
        if self.count < MIN_GROUPS {
            return Some(format!("none: {} {are} too few, at least {MIN_GROUPS} are needed", self.count));
        }
        (self.effective < MIN_GROUPS as f64 - 0.05).then(|| {
            format!(
                "none: {} {are} of so different sizes that they count as {:.1}, and at least {MIN_GROUPS} are needed",
                self.count, self.effective
            )
        })
    }

    /// The quantile that half an interval is a multiple of.
    fn quantile(&self) -> f64 {
        if self.grouped { student_t(0.975, self.effective - 1.0) } else { Z }
    }

    /// Sums of values over the subjects of each cluster that `which` takes, and how many clusters have such a subject.
    fn sums(&self, values: &[f64], which: impl Fn(usize) -> bool) -> (Vec<f64>, f64) {
        let (mut sums, mut met) = (vec![0.0; self.count], vec![false; self.count]);
        for (n, (&cluster, value)) in self.of.iter().zip(values).enumerate() {
            if which(n) {
                sums[cluster] += value;
                met[cluster] = true;
            }
        }
        (sums, met.iter().filter(|&&m| m).count() as f64)
    }

    /// How many clusters have a subject that `which` takes.
    fn meeting(&self, which: impl Fn(usize) -> bool) -> f64 {
        self.sums(&vec![0.0; self.of.len()], which).1
    }

    /// Covariance of two numbers of the same subjects: of the sums over clusters, each with the correction for their
    /// number.
    pub(crate) fn covariance(&self, a: &Influence, b: &Influence) -> f64 {
        let ((a, _), (b, _)) = (self.sums(&a.of, |_| true), self.sums(&b.of, |_| true));
        dot(&a, &b) * corrected(self.count as f64)
    }

    /// The same for areas under a curve of two classes, as DeLong et al. 1988 have it for independent subjects and
    /// Obuchowski 1997 (Biometrics 53:567) for groups: positives and negatives are corrected each by the number of groups that have
    /// some.
    fn area_covariance(&self, a: &Influence, b: &Influence, positive: &[bool]) -> f64 {
        let split = |i: &Influence| (self.sums(&i.of, |n| positive[n]), self.sums(&i.of, |n| !positive[n]));
        let (((a_up, ups), (a_down, downs)), ((b_up, _), (b_down, _))) = (split(a), split(b));
        dot(&a_up, &b_up) * corrected(ups)
            + dot(&a_down, &b_down) * corrected(downs)
            + (dot(&a_up, &b_down) + dot(&a_down, &b_up)) * corrected(self.count as f64)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `n / (n - 1)`; 0 for fewer than two, whose spread is not known.
fn corrected(n: f64) -> f64 {
    if n > 1.0 { n / (n - 1.0) } else { 0.0 }
}

fn estimate(value: f64, (low, high): (f64, f64), interval: &str) -> Estimate {
    Estimate { value, low: Some(low), high: Some(high), interval: interval.into() }
}

/// Intervals of numbers on the same subjects.
#[derive(Clone, Debug)]
pub(super) struct Intervals<'a> {
    predictions: &'a [FoldPrediction],
    clusters: Clusters,
}

impl<'a> Intervals<'a> {
    pub(super) fn over(predictions: &'a [FoldPrediction]) -> Self {
        Self { predictions, clusters: Clusters::of(predictions) }
    }

    fn size(&self, class: usize) -> usize {
        self.predictions.iter().filter(|p| p.truth == class).count()
    }

    fn or_none(&self, value: f64, interval: impl FnOnce() -> Estimate) -> Estimate {
        match self.clusters.too_few() {
            Some(why) => Estimate { value, low: None, high: None, interval: why },
            None => interval(),
        }
    }

    /// The share of right answers among the subjects that `which` takes.
    pub(super) fn share(&self, share: &Influence, which: impl Fn(&FoldPrediction) -> bool) -> Estimate {
        let among = self.predictions.iter().filter(|p| which(p)).count() as f64;
        self.or_none(share.value, || {
            let z = self.clusters.quantile();
            if !self.clusters.grouped {
                return estimate(share.value, wilson(share.value, among, z), "wilson");
            }
            let met = self.clusters.meeting(|n| which(&self.predictions[n]));
            let n = self.effective(share, among, met);
            estimate(share.value, wilson(share.value, n, z), "clustered-wilson")
        })
    }

    /// How many independent subjects would give the variance that the clusters give, at most as many as there are. Where all
    /// are right or all wrong the variance tells nothing: then each cluster counts as one.
    fn effective(&self, number: &Influence, subjects: f64, clusters: f64) -> f64 {
        let (p, variance) = (number.value, self.clusters.covariance(number, number));
        let n = if variance > 0.0 && p > 0.0 && p < 1.0 { p * (1.0 - p) / variance } else { clusters };
        n.clamp(1.0, subjects)
    }

    /// The mean of the classes' recalls. Over subjects the intervals of the recalls are put together by the method of variance
    /// estimates recovery (Zou and Donner 2008, Stat Med 27:1693).
    pub(super) fn balanced_accuracy(&self, number: &Influence, recalls: &[Option<Influence>]) -> Estimate {
        self.or_none(number.value, || {
            let z = self.clusters.quantile();
            let there: Vec<_> = recalls.iter().enumerate().filter_map(|(c, r)| Some((c, r.as_ref()?))).collect();
            if self.clusters.grouped {
                let n = self.effective(number, self.predictions.len() as f64, self.clusters.count as f64);
                return estimate(number.value, wilson(number.value, n, z), "clustered-wilson");
            }
            let (mut below, mut above) = (0.0, 0.0);
            for (class, recall) in &there {
                let (low, high) = wilson(recall.value, self.size(*class) as f64, z);
                below += (recall.value - low).powi(2);
                above += (high - recall.value).powi(2);
            }
            let count = there.len() as f64;
            let ends = (number.value - below.sqrt() / count, number.value + above.sqrt() / count);
            estimate(number.value, (ends.0.max(0.0), ends.1.min(1.0)), "mover")
        })
    }

    /// An area under the curve; of two classes where `positive` is given.
    pub(super) fn area(&self, area: &Influence, positive: Option<usize>) -> Estimate {
        self.or_none(area.value, || {
            let (ends, name) = self.area_ends(area, positive);
            estimate(area.value, ends, name)
        })
    }

    fn area_ends(&self, area: &Influence, positive: Option<usize>) -> ((f64, f64), &'static str) {
        let z = self.clusters.quantile();
        let Some(class) = positive else {
            // No closed variance is known for the mean over pairs: a score interval with the effective number.
            let n = self.effective(area, self.predictions.len() as f64, self.clusters.count as f64);
            let name = if self.clusters.grouped { "clustered-wilson" } else { "delong-wilson" };
            return (wilson(area.value, n, z), name);
        };
        let ups = self.positives(class);
        let (m, n) = (self.size(class) as f64, (self.predictions.len() - self.size(class)) as f64);
        if !self.clusters.grouped {
            return (newcombe(area.value, m, n, z), "newcombe");
        }
        let alone = Clusters::alone(ups.len());
        let (of_groups, of_subjects) =
            (self.clusters.area_covariance(area, area, &ups), alone.area_covariance(area, area, &ups));
        let (m, n) = if of_subjects > 0.0 && of_groups > 0.0 {
            let inflation = (of_groups / of_subjects).max(1.0);
            (m / inflation, n / inflation)
        } else {
            (self.clusters.meeting(|n| ups[n]), self.clusters.meeting(|n| !ups[n]))
        };
        (newcombe(area.value, m.max(1.0), n.max(1.0), z), "clustered-newcombe")
    }

    /// The mean of the areas of all classes, each against the rest.
    pub(super) fn mean_area(&self, areas: &[Influence], mean: &Influence) -> Estimate {
        self.or_none(mean.value, || estimate(mean.value, self.mean_area_ends(areas, mean), self.recovered()))
    }

    /// The intervals of the areas put together (Zou and Donner 2008) with the correlations of DeLong's components: one that is not
    /// known, since an area has no fault, is taken as 1, by which the interval is the wider.
    fn mean_area_ends(&self, areas: &[Influence], mean: &Influence) -> (f64, f64) {
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for (class, area) in areas.iter().enumerate() {
            let ((low, high), _) = self.area_ends(area, Some(class));
            below.push(area.value - low);
            above.push(high - area.value);
        }
        let variances: Vec<f64> = areas.iter().map(|area| self.clusters.covariance(area, area)).collect();
        let (mut low, mut high) = (0.0, 0.0);
        for (a, one) in areas.iter().enumerate() {
            for (b, other) in areas.iter().enumerate() {
                let spread = (variances[a] * variances[b]).sqrt();
                let known = a != b && spread > 0.0;
                let r = if known { (self.clusters.covariance(one, other) / spread).clamp(-1.0, 1.0) } else { 1.0 };
                low += r * below[a] * below[b];
                high += r * above[a] * above[b];
            }
        }
        let half = |square: f64| square.max(0.0).sqrt() / areas.len() as f64;
        ((mean.value - half(low)).max(0.0), (mean.value + half(high)).min(1.0))
    }

    /// The name of intervals that are put together.
    fn recovered(&self) -> &'static str {
        if self.clusters.grouped { "clustered-mover" } else { "mover" }
    }

    fn positives(&self, class: usize) -> Vec<bool> {
        self.predictions.iter().map(|p| p.truth == class).collect()
    }

    /// A mean of bounded values, by Student's t.
    pub(super) fn mean(&self, number: &Influence, (least, most): (f64, f64)) -> Estimate {
        self.or_none(number.value, || {
            let t = if self.clusters.count > 1 { student_t(0.975, self.clusters.effective - 1.0) } else { f64::MAX };
            let half = t * self.clusters.covariance(number, number).max(0.0).sqrt();
            let name = if self.clusters.grouped { "clustered-t" } else { "t" };
            let half = if self.clusters.count > 1 { half } else { most - least };
            estimate(number.value, ((number.value - half).max(least), (number.value + half).min(most)), name)
        })
    }

    /// One area under the curve minus another on the same subjects: the intervals of both put together with their correlation
    /// (Zou 2007, Psychol Methods 12:399), which is that of DeLong's components.
    pub(super) fn area_difference(&self, one: &Influence, other: &Influence, positive: Option<usize>) -> Estimate {
        let covariance = |a: &Influence, b: &Influence| match positive {
            Some(class) => self.clusters.area_covariance(a, b, &self.positives(class)),
            None => self.clusters.covariance(a, b),
        };
        self.difference((one, other), |n| self.area_ends([one, other][n], positive).0, covariance)
    }

    /// The same of the means over classes, each against the rest.
    pub(super) fn mean_area_difference(
        &self,
        (ones, one): (&[Influence], &Influence),
        (others, other): (&[Influence], &Influence),
    ) -> Estimate {
        let ends = |n: usize| if n == 0 { self.mean_area_ends(ones, one) } else { self.mean_area_ends(others, other) };
        self.difference((one, other), ends, |a, b| self.clusters.covariance(a, b))
    }

    /// One number minus another, by the ends of both.
    fn difference(
        &self,
        (one, other): (&Influence, &Influence),
        ends: impl Fn(usize) -> (f64, f64),
        covariance: impl Fn(&Influence, &Influence) -> f64,
    ) -> Estimate {
        let value = one.value - other.value;
        self.or_none(value, || {
            let spread = (covariance(one, one) * covariance(other, other)).sqrt();
            // The same order of subjects, unless it is one without a fault: two of those are alike here and need not be elsewhere.
            if one.value == other.value && one.of == other.of && spread > 0.0 {
                return estimate(value, (0.0, 0.0), self.recovered());
            }
            let r = if spread > 0.0 { (covariance(one, other) / spread).clamp(-1.0, 1.0) } else { 0.0 };
            let ((one_low, one_high), (other_low, other_high)) = (ends(0), ends(1));
            let half = |a: f64, b: f64| (a * a + b * b - 2.0 * r * a * b).max(0.0).sqrt();
            let low = value - half(one.value - one_low, other_high - other.value);
            let high = value + half(one_high - one.value, other.value - other_low);
            estimate(value, (low.max(-1.0), high.min(1.0)), self.recovered())
        })
    }

    /// One accuracy minus another on the same subjects: the adjusted Wald interval of Bonett and Price 2012 (J Educ Behav Stat 37:479),
    /// over groups not narrower than Student's t of the groups.
    pub(super) fn accuracy_difference(
        &self,
        one: &Influence,
        others: &[FoldPrediction],
        other: &Influence,
    ) -> Estimate {
        let value = one.value - other.value;
        self.or_none(value, || {
            let right = |p: &FoldPrediction| p.predicted == p.truth;
            let both = self.predictions.iter().zip(others);
            let (won, lost) = both.fold((0.0, 0.0), |(won, lost), (a, b)| match (right(a), right(b)) {
                (true, false) => (won + 1.0, lost),
                (false, true) => (won, lost + 1.0),
                _ => (won, lost),
            });
            let n = self.predictions.len() as f64 + 2.0;
            let (won, lost) = ((won + 1.0) / n, (lost + 1.0) / n);
            let (centre, half) = (won - lost, Z * ((won + lost - (won - lost).powi(2)) / n).sqrt());
            let (mut low, mut high) = ((centre - half).min(value), (centre + half).max(value));
            let mut name = "bonett-price";
            if self.clusters.grouped {
                let of = one.of.iter().zip(&other.of).map(|(a, b)| a - b).collect();
                let difference = Influence { value, of };
                let half = self.clusters.quantile() * self.clusters.covariance(&difference, &difference).sqrt();
                (low, high) = (low.min(value - half), high.max(value + half));
                name = "clustered-t";
            }
            estimate(value, (low.max(-1.0), high.min(1.0)), name)
        })
    }
}
