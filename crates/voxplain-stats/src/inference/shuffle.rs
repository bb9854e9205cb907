//! [`Shuffles`]: the ways in which subjects are exchanged, all of them where they are few.

use super::{
    design::Design,
    exchange::{Blocks, Exchange, Shuffling, Units},
};
use std::collections::BTreeMap;
use voxplain_core::{Error, Result, random::Seed};

/// One way: subject `n` takes the residual of subject `order[n]`, times `signs[n]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shuffle {
    /// Whose residual each subject takes.
    pub order: Vec<usize>,
    /// 1 or -1.
    pub signs: Vec<f64>,
}

impl Shuffle {
    /// The one that changes nothing.
    pub fn identity(subjects: usize) -> Self {
        Self { order: (0..subjects).collect(), signs: vec![1.0; subjects] }
    }
}

/// The shuffles of an analysis beside the data as they are.
#[derive(Clone, Debug)]
pub struct Shuffles {
    subjects: usize,
    units: Units,
    shuffling: Shuffling,
    seed: Seed,
    /// All but the one that changes nothing, where these are not more than were asked for.
    all: Option<Vec<Shuffle>>,
    count: usize,
    possible: f64,
}

impl Shuffles {
    /// As many as wanted, drawn at random by the seed; all that differ for this design, where they are not more. Two shuffles are the
    /// same where they hand each residual to subjects with one same row of the design.
    ///
    /// # Errors
    /// Subjects cannot be exchanged in any way that differs.
    pub fn new(design: &Design, exchange: &Exchange, wanted: usize, seed: Seed) -> Result<Self> {
        let subjects = design.subjects();
        let units = exchange.units(subjects)?;
        let kinds = kinds(design, &units);
        let possible = possible(&units, &kinds, exchange.shuffling);
        if possible < 1.5 {
            let remedy = match &exchange.blocks {
                Blocks::None => "use a design in which subjects differ",
                Blocks::Within(_) => "use larger blocks, or other ones",
                Blocks::Whole(_) => {
                    "whole blocks are exchanged with others of as many subjects: use blocks of one size"
                }
            };
            let under = if exchange.blocks == Blocks::None { "" } else { "under these blocks " };
            return Err(Error::request(
                format!("{under}no two subjects can be exchanged in a way that changes the design"),
                remedy,
            ));
        }
        let mut result =
            Self { subjects, units, shuffling: exchange.shuffling, seed, all: None, count: wanted, possible };
        if possible - 1.0 <= wanted as f64 {
            let all = result.every(&kinds);
            result.count = all.len();
            result.all = Some(all);
        }
        Ok(result)
    }

    /// How many subjects no shuffle moves, or flips: they are alone in what they may be exchanged within.
    pub fn fixed(&self) -> usize {
        if self.shuffling != Shuffling::Permute {
            return 0;
        }
        let alone = self.units.sets.iter().filter(|set| set.len() == 1);
        alone.flat_map(|set| set.iter().map(|&unit| self.units.members[unit].len())).sum()
    }

    /// How many there are, without the data as they are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether they are all that there are.
    pub fn are_all(&self) -> bool {
        self.all.is_some()
    }

    /// How many differ, with the data as they are.
    pub fn possible(&self) -> f64 {
        self.possible
    }

    /// The shuffle of this number, from 0.
    pub fn get(&self, number: usize) -> Shuffle {
        if let Some(all) = &self.all {
            return all[number].clone();
        }
        let mut random = self.seed.index(number as u64).random();
        let mut shuffle = Shuffle::identity(self.subjects);
        if self.shuffling != Shuffling::Flip {
            for set in &self.units.sets {
                let order = random.permutation(set.len());
                self.place(&mut shuffle, set, &order);
            }
        }
        if self.shuffling != Shuffling::Permute {
            for members in &self.units.members {
                let sign = if random.chance(0.5) { -1.0 } else { 1.0 };
                members.iter().for_each(|&n| shuffle.signs[n] = sign);
            }
        }
        shuffle
    }

    /// Lets the units of a set take the residuals of each other.
    fn place(&self, shuffle: &mut Shuffle, set: &[usize], order: &[usize]) {
        for (unit, from) in order.iter().enumerate() {
            let (to, from) = (&self.units.members[set[unit]], &self.units.members[set[*from]]);
            to.iter().zip(from).for_each(|(&to, &from)| shuffle.order[to] = from);
        }
    }

    /// All that differ, without the data as they are.
    fn every(&self, kinds: &[usize]) -> Vec<Shuffle> {
        let mut all = vec![Shuffle::identity(self.subjects)];
        if self.shuffling != Shuffling::Flip {
            for set in &self.units.sets {
                let kinds: Vec<usize> = set.iter().map(|unit| kinds[*unit]).collect();
                let orders = arrangements(&kinds);
                all = (all.iter())
                    .flat_map(|shuffle| {
                        orders.iter().map(|order| {
                            let mut shuffle = shuffle.clone();
                            self.place(&mut shuffle, set, order);
                            shuffle
                        })
                    })
                    .collect();
            }
        }
        if self.shuffling != Shuffling::Permute {
            for members in &self.units.members {
                let flipped: Vec<Shuffle> = (all.iter())
                    .map(|shuffle| {
                        let mut shuffle = shuffle.clone();
                        members.iter().for_each(|&n| shuffle.signs[n] = -1.0);
                        shuffle
                    })
                    .collect();
                all.extend(flipped);
            }
        }
        all.remove(0);
        all
    }
}

/// A number for each unit: the same where the rows of the design are.
fn kinds(design: &Design, units: &Units) -> Vec<usize> {
    let mut seen = BTreeMap::<Vec<u64>, usize>::new();
    let key = |members: &Vec<usize>| -> Vec<u64> {
        members
            .iter()
            .flat_map(|&n| design.matrix().row(n).iter().map(|v| (v + 0.0).to_bits()).collect::<Vec<_>>())
            .collect()
    };
    units
        .members
        .iter()
        .map(|members| {
            let next = seen.len();
            *seen.entry(key(members)).or_insert(next)
        })
        .collect()
}

/// How many shuffles differ.
fn possible(units: &Units, kinds: &[usize], shuffling: Shuffling) -> f64 {
    let mut all = 1.0f64;
    if shuffling != Shuffling::Flip {
        for set in &units.sets {
            let mut of_kind = BTreeMap::<usize, usize>::new();
            for (n, unit) in set.iter().enumerate() {
                let count = of_kind.entry(kinds[*unit]).or_default();
                *count += 1;
                // n! over the product of the kinds' own, step by step.
                all *= (n + 1) as f64 / *count as f64;
            }
        }
    }
    if shuffling != Shuffling::Permute {
        all *= 2f64.powi(i32::try_from(units.members.len()).unwrap_or(i32::MAX));
    }
    all
}

/// Every arrangement of units of these kinds that differs: whose residual each unit takes. The first changes nothing.
fn arrangements(kinds: &[usize]) -> Vec<Vec<usize>> {
    // Residual by residual: to which kind of unit it goes. The units of a kind take theirs in ascending order.
    let count = kinds.iter().max().map_or(0, |most| most + 1);
    let mut left = vec![0usize; count];
    kinds.iter().for_each(|kind| left[*kind] += 1);
    let mut all = Vec::new();
    fill(&mut Vec::with_capacity(kinds.len()), &mut left, kinds, &mut all);
    // The one by which each residual stays.
    let own = all.iter().position(|given: &Vec<usize>| given == kinds).unwrap_or(0);
    all.swap(0, own);
    all.iter()
        .map(|given| {
            let mut order = vec![0; kinds.len()];
            for kind in 0..count {
                let units = (0..kinds.len()).filter(|n| kinds[*n] == kind);
                let residuals = (0..kinds.len()).filter(|n| given[*n] == kind);
                units.zip(residuals).for_each(|(unit, residual)| order[unit] = residual);
            }
            order
        })
        .collect()
}

fn fill(given: &mut Vec<usize>, left: &mut [usize], kinds: &[usize], all: &mut Vec<Vec<usize>>) {
    if given.len() == kinds.len() {
        all.push(given.clone());
        return;
    }
    for kind in 0..left.len() {
        if left[kind] > 0 {
            left[kind] -= 1;
            given.push(kind);
            fill(given, left, kinds, all);
            given.pop();
            left[kind] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn design(columns: &[&[f64]]) -> Design {
        Design::new(columns.iter().enumerate().map(|(n, c)| (n.to_string(), c.to_vec())).collect()).unwrap()
    }

    fn shuffles(design: &Design, shuffling: Shuffling, blocks: Blocks, wanted: usize) -> Shuffles {
        Shuffles::new(design, &Exchange { shuffling, blocks }, wanted, Seed::new(3)).unwrap()
    }

    #[test]
    fn who_never_moves_is_counted() {
        let groups = design(&[&[0.0, 1.0, 1.0, 0.0, 0.0, 1.0]]);
        let fixed = |shuffling, blocks| shuffles(&groups, shuffling, blocks, 100).fixed();
        assert_eq!(fixed(Shuffling::Permute, Blocks::None), 0);
        assert_eq!(fixed(Shuffling::Permute, Blocks::Within(vec![0, 1, 2, 2, 2, 2])), 2);
        // A block of three and three of one: the three never move.
        assert_eq!(fixed(Shuffling::Permute, Blocks::Whole(vec![0, 0, 0, 1, 2, 3])), 3);
        assert_eq!(fixed(Shuffling::Flip, Blocks::Within(vec![0, 1, 2, 2, 2, 2])), 0);
    }

    #[test]
    fn who_cannot_be_exchanged_is_told_why() {
        let groups = design(&[&[0.0, 1.0, 1.0, 0.0, 0.0, 0.0]]);
        let said = |blocks: Blocks| {
            let exchange = Exchange { shuffling: Shuffling::Permute, blocks };
            let error = Shuffles::new(&groups, &exchange, 100, Seed::new(3)).unwrap_err();
            format!("{error}; {}", error.remedy().unwrap())
        };
        let whole = said(Blocks::Whole(vec![0, 1, 1, 2, 2, 2]));
        assert!(
            whole.starts_with("under these blocks no two subjects") && whole.ends_with("use blocks of one size"),
            "{whole}"
        );
        assert!(said(Blocks::Within(vec![0, 1, 1, 2, 2, 2])).ends_with("use larger blocks, or other ones"));
        let alike = design(&[&[1.0; 6]]);
        let exchange = Exchange { shuffling: Shuffling::Permute, blocks: Blocks::None };
        let error = Shuffles::new(&alike, &exchange, 100, Seed::new(3)).unwrap_err();
        assert!(!error.to_string().contains("blocks"), "{error}");
    }

    /// What a shuffle does to the design: the row that each residual meets.
    fn met(design: &Design, shuffle: &Shuffle) -> Vec<Vec<u64>> {
        let mut rows = vec![Vec::new(); shuffle.order.len()];
        for (n, from) in shuffle.order.iter().enumerate() {
            rows[*from] = design.matrix().row(n).iter().map(|v| (v * shuffle.signs[n]).to_bits()).collect();
        }
        rows
    }

    #[test]
    fn all_that_differ_by_hand() {
        let ones = [1.0; 5];
        let groups = design(&[&ones, &[1.0, 0.0, 1.0, 0.0, 0.0]]);
        for (shuffling, blocks, count) in [
            // 5! / (2! 3!)
            (Shuffling::Permute, Blocks::None, 10),
            // Two of 2 in the first block, one of 3 in the second: 2 * 3 with the rows of that block.
            (Shuffling::Permute, Blocks::Within(vec![0, 0, 1, 1, 1]), 6),
            (Shuffling::Flip, Blocks::None, 32),
            (Shuffling::Flip, Blocks::Whole(vec![7, 7, 1, 1, 1]), 4),
            (Shuffling::Both, Blocks::None, 320),
        ] {
            let all = shuffles(&groups, shuffling, blocks.clone(), 1000);
            assert!(all.are_all());
            assert_eq!((all.possible(), all.len() + 1), (f64::from(count), count as usize), "{shuffling:?} {blocks:?}");
            let mut seen: BTreeSet<_> = (0..all.len()).map(|n| met(&groups, &all.get(n))).collect();
            seen.insert(met(&groups, &Shuffle::identity(5)));
            assert_eq!(seen.len(), count as usize, "{shuffling:?} {blocks:?}");
        }
        // Two families of two, one with the group and one without, may change places; the single subject has nobody of its size.
        let families = design(&[&ones, &[1.0, 1.0, 0.0, 0.0, 0.0]]);
        let all = shuffles(&families, Shuffling::Permute, Blocks::Whole(vec![0, 0, 1, 1, 2]), 1000);
        assert_eq!((all.len(), all.get(0).order), (1, vec![2, 3, 0, 1, 4]));
    }

    #[test]
    fn at_random_within_what_is_allowed() {
        let covariate: Vec<f64> = (0..12).map(f64::from).collect();
        let design = design(&[&[1.0; 12], &covariate]);
        let of: Vec<usize> = (0..12).map(|n| n / 4).collect();
        let within = shuffles(&design, Shuffling::Permute, Blocks::Within(of.clone()), 50);
        let whole = shuffles(&design, Shuffling::Both, Blocks::Whole(of.clone()), 20);
        assert!(!within.are_all() && !whole.are_all());
        for n in 0..50 {
            let shuffle = within.get(n);
            assert!(shuffle.order.iter().enumerate().all(|(to, from)| of[to] == of[*from]));
            assert_eq!(shuffle, within.get(n));
            assert!(shuffle.signs.iter().all(|s| *s == 1.0));
        }
        for n in 0..20 {
            let shuffle = whole.get(n);
            for block in 0..3 {
                assert_eq!(shuffle.order[4 * block + 1], shuffle.order[4 * block] + 1);
                assert!((1..4).all(|m| shuffle.signs[4 * block] == shuffle.signs[4 * block + m]));
            }
        }
        assert_ne!(within.get(0), within.get(1));
    }

    #[test]
    fn nothing_to_exchange() {
        let mean = design(&[&[1.0; 4]]);
        let none = Shuffles::new(&mean, &Exchange::default(), 10, Seed::new(0)).unwrap_err();
        assert!(none.to_string().contains("no two subjects can be exchanged"), "{none}");
        assert_eq!(shuffles(&mean, Shuffling::Flip, Blocks::None, 100).possible(), 16.0);
    }
}
