//! [`Matching`]: pairs of people of two classes who are alike in covariates, and [`standardised_difference`], how far classes differ in one.

use rayon::prelude::*;
use std::collections::BTreeMap;
use voxplain_core::random::Seed;

/// One of those who are matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The name by which chance knows them, so that it does not know the order of rows: one name each.
    pub name: &'a str,
    /// Whether they are of the second of the two classes.
    pub second: bool,
    /// Covariates that are numbers.
    pub numbers: Vec<f64>,
    /// Covariates that are words: both of a pair have the same ones.
    pub words: Vec<&'a str>,
}

/// People of two classes, and who of the one is alike whom of the other: the same words, and in no number further apart than the caliper
/// times its standard deviation. That is the root of the mean of the two classes' variances (of n - 1), so that a caliper of 0.2 is that of
/// Cochran and Rubin (1973, Sankhya A 35:417). A number that is the same for all of each class must be equal.
///
/// Pairs are made by nearest neighbours without replacement (Rubin 1973, Biometrics 29:159): those of the smaller class, in random order,
/// take each the nearest who is still free, by the Euclidean distance of numbers over their standard deviations; of several who are as near,
/// one by chance. Who has nobody alike stays alone.
#[derive(Clone, Debug)]
pub struct Matching {
    second: Vec<bool>,
    /// The place of each among all, by name.
    place: Vec<usize>,
    /// For each person those of the other class who are alike, with their distance: the nearest first, then by name.
    alike: Vec<Vec<(usize, f64)>>,
}

impl Matching {
    /// Who is alike whom; the people are known by their position from here on. `caliper` is above 0, in standard deviations.
    pub fn of(people: &[Candidate<'_>], caliper: f64) -> Self {
        let second: Vec<bool> = people.iter().map(|p| p.second).collect();
        let mut by_name: Vec<usize> = (0..people.len()).collect();
        by_name.sort_by(|&a, &b| people[a].name.cmp(people[b].name));
        let mut place = vec![0; people.len()];
        by_name.iter().enumerate().for_each(|(at, &n)| place[n] = at);
        // Summed in the order of names, so that rows in another order give the same to the last bit.
        let of_names: Vec<bool> = by_name.iter().map(|&n| second[n]).collect();
        let covariates = people.first().map_or(0, |p| p.numbers.len());
        let deviations: Vec<f64> = (0..covariates)
            .map(|c| deviation(&by_name.iter().map(|&n| people[n].numbers[c]).collect::<Vec<_>>(), &of_names))
            .collect();
        // The first number, within the words: who is too far in it is not looked at.
        let lead = |n: usize| people[n].numbers.first().copied().unwrap_or(0.0);
        let reach = deviations.first().map_or(0.0, |d| caliper * d);
        let mut others = BTreeMap::<(bool, &[&str]), Vec<usize>>::new();
        by_name.iter().for_each(|&n| others.entry((second[n], &people[n].words)).or_default().push(n));
        others.values_mut().for_each(|of| of.sort_by(|&a, &b| lead(a).total_cmp(&lead(b))));
        let of = |n: usize| {
            let own = &people[n];
            let Some(there) = others.get(&(!own.second, own.words.as_slice())) else { return Vec::new() };
            // A little further than it reaches, so that rounding leaves nobody out who is looked at below.
            let slack = 1e-9 * (reach + lead(n).abs());
            let first = there.partition_point(|&m| lead(m) < lead(n) - reach - slack);
            let near = there[first..].iter().take_while(|&&m| lead(m) <= lead(n) + reach + slack);
            let mut alike: Vec<(usize, f64)> = near
                .filter_map(|&m| {
                    let mut squares = 0.0;
                    for (c, deviation) in deviations.iter().enumerate() {
                        let apart = (own.numbers[c] - people[m].numbers[c]).abs();
                        if apart > caliper * deviation {
                            return None;
                        }
                        if *deviation > 0.0 {
                            squares += (apart / deviation).powi(2);
                        }
                    }
                    Some((m, squares.sqrt()))
                })
                .collect();
            alike.sort_by(|a, b| a.1.total_cmp(&b.1).then(place[a.0].cmp(&place[b.0])));
            alike
        };
        let alike = (0..people.len()).into_par_iter().map(of).collect();
        Self { second, place, alike }
    }

    /// Number of people.
    pub fn len(&self) -> usize {
        self.second.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.second.is_empty()
    }

    /// Whether somebody of the other class is alike.
    pub fn has_alike(&self, person: usize) -> bool {
        !self.alike[person].is_empty()
    }

    /// Pairs of these people, by their positions: `[of the first class, of the second]`, in the order of the names. Who is named several times,
    /// as a resample does, is as many people. The same people and seed give the same pairs, in whatever order they are named.
    pub fn pairs(&self, taken: &[usize], seed: Seed) -> Vec<[usize; 2]> {
        let mut free = vec![0usize; self.len()];
        taken.iter().for_each(|&n| free[n] += 1);
        let seconds = taken.iter().filter(|&&n| self.second[n]).count();
        let fewer = 2 * seconds <= taken.len();
        let mut anchors: Vec<usize> = taken.iter().copied().filter(|&n| self.second[n] == fewer).collect();
        anchors.sort_by_key(|&n| self.place[n]);
        let mut random = seed.random();
        random.shuffle(&mut anchors);
        let mut pairs = Vec::new();
        for anchor in anchors {
            let near = self.alike[anchor].chunk_by(|a, b| a.1 == b.1);
            let mut as_near = near.map(|of| of.iter().map(|(n, _)| *n).filter(|&n| free[n] > 0).collect::<Vec<_>>());
            if let Some(as_near) = as_near.find(|of| !of.is_empty()) {
                let other = as_near[random.below(as_near.len())];
                free[other] -= 1;
                pairs.push(if fewer { [other, anchor] } else { [anchor, other] });
            }
        }
        pairs.sort_by_key(|pair| pair.map(|n| self.place[n]));
        pairs
    }

    /// Of so many random orders the pairs that are the most; of as many, those of the least distances in sum; of those the first.
    pub fn most_pairs(&self, taken: &[usize], orders: usize, seed: Seed) -> Vec<[usize; 2]> {
        let of = |order: usize| self.pairs(taken, seed.index(order as u64));
        let all: Vec<Vec<[usize; 2]>> = (0..orders).into_par_iter().map(of).collect();
        let apart = |pairs: &[[usize; 2]]| pairs.iter().map(|pair| self.distance(*pair)).sum::<f64>();
        all.into_iter()
            .reduce(|best, next| {
                let better = next.len() > best.len() || (next.len() == best.len() && apart(&next) < apart(&best));
                if better { next } else { best }
            })
            .unwrap_or_default()
    }

    /// The distance of a pair; infinite where the two are not alike.
    pub fn distance(&self, [one, other]: [usize; 2]) -> f64 {
        self.alike[one].iter().find(|(n, _)| *n == other).map_or(f64::INFINITY, |(_, distance)| *distance)
    }
}

/// The root of the mean of the two classes' variances, each of n - 1; 0 where neither class has two people.
fn deviation(values: &[f64], second: &[bool]) -> f64 {
    let variance = |class: bool| {
        let of: Vec<f64> = values.iter().zip(second).filter(|(_, s)| **s == class).map(|(v, _)| *v).collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        // Of equal numbers the mean may be another one by rounding.
        let same = of.iter().all(|v| *v == of[0]);
        (of.len() > 1 && !same).then(|| of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64)
    };
    f64::midpoint(variance(false).unwrap_or(0.0), variance(true).unwrap_or(0.0)).sqrt()
}

/// How far the means of two classes differ in a covariate, of the second less the first, in standard deviations: those of all people (the root
/// of the mean of both classes' variances), also where the means are of `taken` alone, so that a difference does not grow because a part has
/// less spread (Stuart 2010, Statistical Science 25:1). `None` where a class is not among `taken`, or where nothing varies within the classes.
pub fn standardised_difference(values: &[f64], second: &[bool], taken: &[usize]) -> Option<f64> {
    let mean = |class: bool| {
        let of: Vec<f64> = taken.iter().filter(|&&n| second[n] == class).map(|&n| values[n]).collect();
        (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
    };
    let difference = mean(true)? - mean(false)?;
    Some(deviation(values, second)).filter(|d| *d > 0.0).map(|deviation| difference / deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn person(name: &str, second: bool, number: f64) -> Candidate<'_> {
        Candidate { name, second, numbers: vec![number], words: Vec::new() }
    }

    /// Women of 1, 2, 3, 10 and men of 2.5, 9, 30. Variances are 16.67 and 206.58, their mean 111.63, its root 10.57: a caliper of 0.1 is 1.057.
    /// Alike are 2 and 2.5, 3 and 2.5, 10 and 9. The man of 2.5 is as near to 2 as to 3.
    #[test]
    fn pairs_by_hand() {
        let people = [
            person("a", false, 1.0),
            person("b", false, 2.0),
            person("c", false, 3.0),
            person("d", false, 10.0),
            person("x", true, 2.5),
            person("y", true, 9.0),
            person("z", true, 30.0),
        ];
        let second: Vec<bool> = people.iter().map(|p| p.second).collect();
        let values: Vec<f64> = people.iter().map(|p| p.numbers[0]).collect();
        let by_hand = ((50.0 / 3.0 + 413.166_666_666_666_7 / 2.0) / 2.0f64).sqrt();
        assert!((deviation(&values, &second) - by_hand).abs() < 1e-12, "{}", deviation(&values, &second));
        let matching = Matching::of(&people, 0.1);
        let all: Vec<usize> = (0..7).collect();
        let mut found = BTreeSet::new();
        for order in 0..40 {
            found.insert(matching.pairs(&all, Seed::new(order)));
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [vec![[1, 4], [3, 5]], vec![[2, 4], [3, 5]]]);
        assert_eq!([0, 6].map(|n| matching.has_alike(n)), [false, false]);
        assert!((matching.distance([3, 5]) - 1.0 / by_hand).abs() < 1e-12);
        assert_eq!(matching.distance([0, 6]), f64::INFINITY);
        // Means of 4 and 13.83; of the pairs 2 and 10, 2.5 and 9: 6 and 5.75, by the deviation of all.
        let difference = |taken: &[usize]| standardised_difference(&values, &second, taken).unwrap();
        assert!((difference(&all) - (41.5 / 3.0 - 4.0) / by_hand).abs() < 1e-12);
        assert!((difference(&[1, 3, 4, 5]) + 0.25 / by_hand).abs() < 1e-12);
        assert_eq!(standardised_difference(&values, &second, &[0, 1]), None);
        // Somebody who was drawn twice may have two partners.
        assert_eq!(matching.pairs(&[1, 2, 4, 4], Seed::new(0)), [[1, 4], [2, 4]]);
        assert!(matching.pairs(&[], Seed::new(0)).is_empty() && Matching::of(&[], 1.0).is_empty());
    }

    /// Where the man of 2.1 is the first, he takes the woman of 2.4, who is nearer than that of 1.6, and the man of 2.9 has nobody. The other order
    /// makes two pairs.
    #[test]
    fn the_most_pairs() {
        let people = [person("a", false, 1.6), person("b", false, 2.4), person("x", true, 2.1), person("y", true, 2.9)];
        // Both variances are 0.32: the deviation is 0.566, the caliper 0.566 too.
        let matching = Matching::of(&people, 1.0);
        let sizes: BTreeSet<usize> =
            (0..40).map(|order| matching.pairs(&[0, 1, 2, 3], Seed::new(order)).len()).collect();
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(matching.most_pairs(&[0, 1, 2, 3], 40, Seed::new(0)), [[0, 2], [1, 3]]);
    }

    #[test]
    fn words_are_equal_and_constants_too() {
        let person = |name, second, numbers: [f64; 2], site| Candidate {
            name,
            second,
            numbers: numbers.to_vec(),
            words: vec![site],
        };
        let people = [
            person("a", false, [1.0, 5.0], "A"),
            person("b", false, [2.0, 5.0], "B"),
            person("c", true, [1.0, 5.0], "B"),
            person("d", true, [2.5, 5.0], "B"),
        ];
        // Whatever the caliper, the site is the same.
        assert_eq!(Matching::of(&people, 100.0).pairs(&[0, 1, 2, 3], Seed::new(1)).len(), 1);
        assert_eq!(Matching::of(&people, 100.0).pairs(&[0, 2, 3], Seed::new(1)), [[0; 2]; 0]);
        let apart = [people[1].clone(), Candidate { numbers: vec![2.0, 6.0], ..people[3].clone() }];
        assert!(!Matching::of(&apart, 1000.0).has_alike(0), "5 and 6, which do not vary within a class");
    }

    /// Names, class, two numbers and a word.
    fn people() -> impl Strategy<Value = Vec<(u32, bool, [f64; 2], usize)>> {
        let number = prop_oneof![(-20i32..20).prop_map(f64::from), -3.0f64..3.0];
        let one = (any::<u32>(), any::<bool>(), [number.clone(), number], 0usize..2);
        prop::collection::vec(one, 2..60).prop_map(|mut all| {
            all.sort_by_key(|p| p.0.to_string());
            all.dedup_by_key(|p| p.0);
            all
        })
    }

    proptest! {
        /// Nobody is in two pairs, each pair has one of each class, the same words and no number further apart than the caliper; no two who are
        /// left could be paired. The order of rows changes nothing, nor does the order in which people are named.
        #[test]
        fn pairs_are_alike(all in people(), caliper in 0.05f64..2.0, seed: u64, turned in 0usize..60) {
            let names: Vec<String> = all.iter().map(|p| p.0.to_string()).collect();
            let words = ["A", "B"];
            let of = |order: &[usize]| {
                let people: Vec<Candidate<'_>> = order.iter().map(|&n| Candidate {
                    name: &names[n], second: all[n].1, numbers: all[n].2.to_vec(), words: vec![words[all[n].3]],
                }).collect();
                Matching::of(&people, caliper)
            };
            let rows: Vec<usize> = (0..all.len()).collect();
            let matching = of(&rows);
            let pairs = matching.pairs(&rows, Seed::new(seed));
            let used: BTreeSet<usize> = pairs.iter().flatten().copied().collect();
            prop_assert_eq!(used.len(), 2 * pairs.len());
            let second: Vec<bool> = all.iter().map(|p| p.1).collect();
            let alike = |a: usize, b: usize| {
                let numbers = (0..2).all(|c| {
                    let values: Vec<f64> = all.iter().map(|p| p.2[c]).collect();
                    (values[a] - values[b]).abs() <= caliper * deviation(&values, &second)
                });
                numbers && all[a].3 == all[b].3
            };
            for &[one, other] in &pairs {
                prop_assert!(!second[one] && second[other] && alike(one, other));
            }
            let left: Vec<usize> = rows.iter().copied().filter(|n| !used.contains(n)).collect();
            for &a in left.iter().filter(|&&n| !second[n]) {
                prop_assert!(left.iter().filter(|&&n| second[n]).all(|&b| !alike(a, b)), "{a} has a partner");
            }
            // Rows in another order.
            let mut order = rows.clone();
            order.rotate_left(turned % rows.len());
            order.reverse();
            let again = of(&order).pairs(&rows, Seed::new(seed));
            let named: Vec<[usize; 2]> = again.iter().map(|pair| pair.map(|n| order[n])).collect();
            prop_assert_eq!(&named, &pairs);
            prop_assert_eq!(matching.pairs(&order, Seed::new(seed)), pairs);
        }

        /// Any number of threads gives the same; and no order has more pairs than the best of them.
        #[test]
        fn threads_change_nothing(all in people(), seed: u64) {
            let names: Vec<String> = all.iter().map(|p| p.0.to_string()).collect();
            let people: Vec<Candidate<'_>> = all.iter().zip(&names).map(|(p, name)| Candidate {
                name, second: p.1, numbers: p.2.to_vec(), words: Vec::new(),
            }).collect();
            let rows: Vec<usize> = (0..all.len()).collect();
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| Matching::of(&people, 0.5).most_pairs(&rows, 20, Seed::new(seed)))
            };
            let best = on(1);
            prop_assert_eq!(&on(3), &best);
            let matching = Matching::of(&people, 0.5);
            let each = (0..20).map(|order| matching.pairs(&rows, Seed::new(seed).index(order)).len());
            prop_assert_eq!(each.max(), Some(best.len()));
        }
    }
}
