//! [`MatchedAreas`]: the area under the curve over people of two classes who are alike in covariates, beside that over all.

use crate::{Estimate, Matching, roc::area_under_curve};
use rayon::prelude::*;
use std::collections::BTreeMap;
use voxplain_core::random::Seed;

/// Random orders of matching over which the number is a mean.
pub const MATCHES: usize = 200;
/// Resamples of people, each matched anew, for the intervals.
pub const RESAMPLES: usize = 2000;

/// The area under the curve over people who are alike, and what it is less than over all.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedArea {
    /// The mean over [`MATCHES`] random orders of matching.
    pub area: Estimate,
    /// Less the area over all people.
    pub difference: Estimate,
    /// The share of what the area over all people has above 0.5 that is gone; `None` where that is not above 0.5.
    pub explained: Option<Estimate>,
}

/// People of whom scores are judged, of all and of those who are matched.
///
/// A match has pairs of people who are alike ([`Matching::pairs`]); the area is over all its people, as if nothing were known of pairs.
/// Intervals are percentiles over resamples of people, or of whole groups, each matched anew in an order of its own: they hold over people
/// and matches, for the models as they are.
#[derive(Clone, Debug)]
pub struct MatchedAreas<'a> {
    matching: &'a Matching,
    /// Of each person the position in the matching; `None` of those who are not matched (without a value, a further image).
    place: Vec<Option<usize>>,
    /// The person at each position of the matching.
    person: Vec<usize>,
    /// Who is drawn together.
    units: Vec<Vec<usize>>,
    /// The pairs of each random order.
    matches: Vec<Vec<[usize; 2]>>,
    seed: Seed,
}

impl<'a> MatchedAreas<'a> {
    /// For people of these names, by position, of whom `candidates` are those of the matching, in its order. `groups` are drawn whole.
    pub fn new(
        matching: &'a Matching,
        candidates: &[usize],
        names: &[&str],
        groups: Option<&[usize]>,
        seed: Seed,
    ) -> Self {
        let mut place = vec![None; names.len()];
        candidates.iter().enumerate().for_each(|(at, &n)| place[n] = Some(at));
        // By names, so that the order of rows is not known.
        let mut by_name: Vec<usize> = (0..names.len()).collect();
        by_name.sort_by(|&a, &b| names[a].cmp(names[b]));
        let mut first = BTreeMap::<usize, usize>::new();
        let mut units: Vec<Vec<usize>> = Vec::new();
        for n in by_name {
            let at = *first.entry(groups.map_or(n, |groups| groups[n])).or_insert(units.len());
            if at == units.len() {
                units.push(Vec::new());
            }
            units[at].push(n);
        }
        let mut areas = Self { matching, place, person: candidates.to_vec(), units, matches: Vec::new(), seed };
        let all: Vec<usize> = (0..candidates.len()).collect();
        let orders = seed.child("matches");
        let of = |order: usize| areas.named(&matching.pairs(&all, orders.index(order as u64)));
        areas.matches = (0..MATCHES).into_par_iter().map(of).collect();
        areas
    }

    /// The pairs of each of [`MATCHES`] random orders, by the positions of the people.
    pub fn matches(&self) -> &[Vec<[usize; 2]>] {
        &self.matches
    }

    fn named(&self, pairs: &[[usize; 2]]) -> Vec<[usize; 2]> {
        pairs.iter().map(|pair| pair.map(|at| self.person[at])).collect()
    }

    /// People of a resample, and the pairs among them.
    fn resample(&self, number: usize) -> (Vec<usize>, Vec<[usize; 2]>) {
        let seed = self.seed.child("resamples").index(number as u64);
        let mut random = seed.random();
        let drawn = |_| self.units[random.below(self.units.len())].iter().copied();
        let taken: Vec<usize> = (0..self.units.len()).flat_map(drawn).collect();
        let candidates: Vec<usize> = taken.iter().filter_map(|&n| self.place[n]).collect();
        let pairs = self.matching.pairs(&candidates, seed.child("order"));
        (taken, self.named(&pairs))
    }

    /// The areas of scores, one for each person, larger for those of the second class; `second` says who is. `None` where a class is missing,
    /// or where a match has no pair.
    pub fn of(&self, scores: &[f64], second: &[bool]) -> Option<MatchedArea> {
        let area = |people: &mut dyn Iterator<Item = usize>| {
            let (mut high, mut low) = (Vec::new(), Vec::new());
            people.for_each(|n| if second[n] { high.push(scores[n]) } else { low.push(scores[n]) });
            area_under_curve(&high, &low)
        };
        let of_pairs = |pairs: &[[usize; 2]]| area(&mut pairs.iter().flatten().copied());
        let all = area(&mut (0..scores.len()))?;
        let each: Vec<f64> = self.matches.iter().map(|pairs| of_pairs(pairs)).collect::<Option<_>>()?;
        let value = each.iter().sum::<f64>() / each.len() as f64;
        let resampled = |number: usize| {
            let (taken, pairs) = self.resample(number);
            Some((area(&mut taken.into_iter())?, of_pairs(&pairs)?))
        };
        let drawn: Vec<(f64, f64)> = (0..RESAMPLES).into_par_iter().filter_map(resampled).collect();
        let enough = drawn.len() * 100 >= RESAMPLES * 99 && self.units.len() >= crate::MIN_GROUPS;
        let estimate = |value: f64, of: &dyn Fn(&(f64, f64)) -> f64| {
            if !enough {
                return none(value, "too few people, or too few who are alike, in resamples");
            }
            Estimate::percentiles(value, drawn.iter().map(of).collect(), RESAMPLES)
        };
        // Without a fault in all resamples: it is not known how often there would be one.
        let faultless = enough && drawn.iter().all(|d| d.1 == drawn[0].1);
        let no_spread = |value: f64| none(value, "all resamples of those who are matched have the same area");
        let share = |(all, matched): &(f64, f64)| 1.0 - (matched - 0.5) / (all - 0.5);
        let above: Vec<f64> = drawn.iter().filter(|d| d.0 > 0.5).map(share).collect();
        let explained = (all > 0.5).then(|| {
            let value = share(&(all, value));
            if faultless {
                no_spread(value)
            } else if enough && above.len() * 100 >= RESAMPLES * 99 {
                Estimate::percentiles(value, above, RESAMPLES)
            } else {
                none(value, "the area is too near to chance for a share of it")
            }
        });
        Some(MatchedArea {
            area: if faultless { no_spread(value) } else { estimate(value, &|d| d.1) },
            difference: if faultless { no_spread(value - all) } else { estimate(value - all, &|d| d.1 - d.0) },
            explained,
        })
    }
}

fn none(value: f64, why: &str) -> Estimate {
    Estimate { value, low: None, high: None, interval: format!("none: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Candidate;

    fn areas(numbers: &[f64], second: &[bool], scores: &[f64], caliper: f64) -> Option<MatchedArea> {
        let names: Vec<String> = (0..numbers.len()).map(|n| format!("p{n:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let people: Vec<Candidate<'_>> = names
            .iter()
            .zip(numbers.iter().zip(second))
            .map(|(name, (number, second))| Candidate {
                name,
                second: *second,
                numbers: vec![*number],
                words: Vec::new(),
            })
            .collect();
        let matching = Matching::of(&people, caliper);
        let all: Vec<usize> = (0..numbers.len()).collect();
        MatchedAreas::new(&matching, &all, &names, None, Seed::new(3)).of(scores, second)
    }

    /// Two of the four pairs of each class are alike, whatever the order: 5 and 5, 6 and 6. Over all the score orders 3 of 4 of the first with
    /// each of the second, by hand.
    #[test]
    fn by_hand() {
        let numbers = [1.0, 2.0, 5.0, 6.0, 5.0, 6.0, 9.0, 10.0];
        let second = [false, false, false, false, true, true, true, true];
        let scores = [0.1, 0.2, 0.4, 0.6, 0.3, 0.5, 0.8, 0.9];
        let found = areas(&numbers, &second, &scores, 0.1).unwrap();
        // All: 0.3 is above 0.1 and 0.2; 0.5 above those and 0.4; 0.8 and 0.9 above all: 2 + 3 + 4 + 4 of 16.
        // Alike: 0.3 above neither of 0.4 and 0.6, 0.5 above 0.4: 1 of 4.
        assert!((found.area.value - 0.25).abs() < 1e-12, "{found:?}");
        assert!((found.difference.value - (0.25 - 13.0 / 16.0)).abs() < 1e-12);
        let explained = found.explained.unwrap();
        assert!((explained.value - (1.0 - (0.25 - 0.5) / (13.0 / 16.0 - 0.5))).abs() < 1e-12);
        assert!(explained.interval.starts_with("none: "), "eight people: {explained:?}");
        // Nobody is alike.
        assert_eq!(areas(&[1.0, 2.0, 30.0, 31.0], &[false, false, true, true], &[0.1, 0.2, 0.3, 0.4], 0.1), None);
    }

    /// Of 200 people, scores that are size and noise: above chance over all, chance over those who are alike. Scores by class: they stay.
    #[test]
    fn size_goes_and_the_rest_stays() {
        let mut random = Seed::new(4).random();
        let second: Vec<bool> = (0..200).map(|n| n % 2 == 1).collect();
        let sizes: Vec<f64> = second.iter().map(|&s| random.normal() + if s { 1.2 } else { 0.0 }).collect();
        let of_size: Vec<f64> = sizes.iter().map(|s| s + 0.5 * random.normal()).collect();
        let of_class: Vec<f64> = second.iter().map(|&s| random.normal() + if s { 1.2 } else { 0.0 }).collect();
        let size = areas(&sizes, &second, &of_size, 0.2).unwrap();
        let (low, high) = size.area.ends().unwrap();
        assert!(low < 0.5 && 0.5 < high && high - low < 0.3, "{size:?}");
        assert!(size.difference.ends().unwrap().1 < -0.05, "{size:?}");
        assert!(size.explained.as_ref().unwrap().ends().unwrap().0 > 0.4, "{size:?}");
        let class = areas(&sizes, &second, &of_class, 0.2).unwrap();
        assert!(class.area.ends().unwrap().0 > 0.6, "{class:?}");
        let (low, high) = class.difference.ends().unwrap();
        assert!(low < 0.0 && 0.0 < high, "{class:?}");
        // The same with any number of threads.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| areas(&sizes, &second, &of_class, 0.2)), Some(class));
    }

    /// A perfect order has no interval: it is not known how often it would fail.
    #[test]
    fn without_a_fault() {
        let second: Vec<bool> = (0..60).map(|n| n % 2 == 1).collect();
        let sizes: Vec<f64> = (0..60).map(|n| f64::from(n / 2)).collect();
        let scores: Vec<f64> = second.iter().map(|&s| f64::from(u8::from(s))).collect();
        let found = areas(&sizes, &second, &scores, 0.2).unwrap();
        assert_eq!((found.area.value, found.area.ends()), (1.0, None));
        assert!(found.area.interval.starts_with("none: all resamples"), "{found:?}");
    }
}
