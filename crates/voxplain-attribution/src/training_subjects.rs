//! [`TrainingSubjects`]: the people that a model was trained on, as material for explaining others.

use crate::case::Case;
use std::collections::BTreeMap;
use std::sync::Arc;
use voxplain_core::{Error, Result, hash_values, random::Seed};
use voxplain_volume::Volume;

/// The people that a model was trained on, by class: their means, and draws among them.
///
/// Methods that compare an input with other inputs take them from here, so that nothing of the people who are
/// explained leaks into an explanation. The case itself is never among them: it is known by its values
/// ([`voxplain_core::hash_values`]) and left out of means and draws, for a case explained in sample. Volumes are
/// read when they are needed; means are streamed, and what was drawn is kept.
///
/// Values are voxel by voxel on the lattice that the network takes, whatever each subject's own grid.
#[derive(Debug)]
pub struct TrainingSubjects {
    subjects: Vec<TrainingSubject>,
    source: Box<dyn VolumeSource>,
    classes: usize,
    /// Sum over the people of each class, in their order, once a mean has been asked for.
    sums: Option<Vec<Vec<f64>>>,
    /// Least and largest value of each of the people, once asked for.
    ranges: Option<Vec<(f64, f64)>>,
    /// Volumes that were drawn before.
    drawn: BTreeMap<usize, Arc<[f32]>>,
}

/// One of the training subjects: who it is, and where its volume is found.
#[derive(Clone, Debug)]
pub struct TrainingSubject {
    /// The subject's id.
    pub id: String,
    /// [`voxplain_core::hash_values`] of the volume.
    pub hash: String,
    /// The true class.
    pub class: usize,
    /// By which number the volume is asked for.
    pub number: usize,
}

/// Where volumes of people come from: a cohort on disk, or memory.
pub trait VolumeSource: std::fmt::Debug + Send + Sync {
    /// The values of volume `number` as the network takes them, `[channels][i][j][k]`.
    ///
    /// # Errors
    /// The volume cannot be read.
    fn volume(&self, number: usize) -> Result<Arc<[f32]>>;
}

/// Volumes in memory.
#[derive(Debug)]
struct Memory(Vec<Arc<[f32]>>);

impl VolumeSource for Memory {
    fn volume(&self, number: usize) -> Result<Arc<[f32]>> {
        Ok(Arc::clone(&self.0[number]))
    }
}

/// A training subject that was drawn, with its volume.
#[derive(Clone, Debug)]
pub struct DrawnSubject {
    /// The subject's id.
    pub id: String,
    /// The true class.
    pub class: usize,
    /// The values as the network takes them, `[channels][i][j][k]`.
    pub values: Arc<[f32]>,
}

impl TrainingSubjects {
    /// People in memory: id, class and volume, or one volume for each channel of the network.
    pub fn of_volumes<V: AsRef<[Volume]>>(
        people: impl IntoIterator<Item = (String, usize, V)>,
        classes: usize,
    ) -> Self {
        let (mut list, mut all) = (Vec::new(), Vec::new());
        for (number, (id, class, channels)) in people.into_iter().enumerate() {
            let values: Arc<[f32]> = channels.as_ref().iter().flat_map(Volume::data).copied().collect();
            list.push(TrainingSubject { id, hash: hash_values(&values), class, number });
            all.push(values);
        }
        Self::new(list, Box::new(Memory(all)), classes)
    }

    /// People whose volumes are read from `source` when they are needed.
    pub fn new(subjects: Vec<TrainingSubject>, source: Box<dyn VolumeSource>, classes: usize) -> Self {
        Self { subjects, source, classes, sums: None, ranges: None, drawn: BTreeMap::new() }
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub const fn len(&self) -> usize {
        self.subjects.len()
    }

    /// The values of one of them, by number, `[channels][i][j][k]`; read anew each time.
    ///
    /// # Errors
    /// The volume cannot be read.
    pub fn values(&self, number: usize) -> Result<Arc<[f32]>> {
        self.source.volume(self.subjects[number].number)
    }

    /// How many there are of a class.
    pub fn count(&self, class: usize) -> usize {
        self.subjects.iter().filter(|p| p.class == class).count()
    }

    /// Number of classes of the model.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// The mean of everyone in these classes but the case itself, `[channels][i][j][k]`.
    ///
    /// # Errors
    /// Where nobody is left, or a volume cannot be read.
    #[expect(clippy::cast_possible_truncation, reason = "volumes are float32")]
    pub fn mean(&mut self, classes: &[usize], case: &Case<'_>) -> Result<Vec<f32>> {
        if self.sums.is_none() {
            self.sums = Some(self.sum()?);
        }
        let own_values = case.values();
        let mut sum = vec![0.0; own_values.len()];
        for class in self.sums.iter().flatten().enumerate().filter(|(c, _)| classes.contains(c)).map(|(_, s)| s) {
            sum.iter_mut().zip(class).for_each(|(a, b)| *a += b);
        }
        let mut count = self.subjects.iter().filter(|p| classes.contains(&p.class)).count();
        let own = self.own(case);
        if own.is_some_and(|n| classes.contains(&self.subjects[n].class)) {
            count -= 1;
            sum.iter_mut().zip(own_values.iter()).for_each(|(a, &x)| *a -= f64::from(x));
        }
        if count == 0 {
            return Err(case.refuse(
                format!(
                    "the people that the model was trained on hold nobody else of class {classes:?} to take a mean of"
                ),
                "where the method takes a baseline, choose one that needs nobody, such as zero or blur; else another method",
            ));
        }
        Ok(sum.into_iter().map(|v| (v / count as f64) as f32).collect())
    }

    /// `count` of the people (all, where there are fewer), never the case itself: the classes in turn, and within a class by
    /// chance. The same seed draws the same people, but for the case.
    ///
    /// # Errors
    /// Where nobody is left, or a volume cannot be read.
    pub fn draw(&mut self, count: usize, seed: Seed, case: &Case<'_>) -> Result<Vec<DrawnSubject>> {
        let own = self.own(case);
        let mut by_class: Vec<Vec<usize>> = (0..self.classes)
            .map(|class| {
                let mut of: Vec<usize> =
                    (0..self.subjects.len()).filter(|&n| self.subjects[n].class == class).collect();
                seed.child("donors").child(&class.to_string()).random().shuffle(&mut of);
                // Taken from the end.
                of.retain(|&n| Some(n) != own);
                of
            })
            .collect();
        let mut chosen = Vec::new();
        while chosen.len() < count && by_class.iter().any(|of| !of.is_empty()) {
            let turn: Vec<usize> = by_class.iter_mut().filter_map(Vec::pop).collect();
            chosen.extend(turn.into_iter().take(count - chosen.len()));
        }
        if chosen.is_empty() {
            return Err(case.refuse(
                "the model was trained on nobody else to draw from",
                "choose a method or baseline that needs nobody",
            ));
        }
        let drawn = |n: usize| {
            let values = match self.drawn.get(&n) {
                Some(values) => Arc::clone(values),
                None => {
                    let values = self.source.volume(self.subjects[n].number)?;
                    self.drawn.insert(n, Arc::clone(&values));
                    values
                }
            };
            Ok(DrawnSubject { id: self.subjects[n].id.clone(), class: self.subjects[n].class, values })
        };
        chosen.into_iter().map(drawn).collect()
    }

    /// The least and the largest value of everyone but the case itself.
    ///
    /// # Errors
    /// Where nobody is left, or a volume cannot be read.
    pub fn range(&mut self, case: &Case<'_>) -> Result<(f64, f64)> {
        let own = self.own(case);
        let ranges = match &mut self.ranges {
            Some(ranges) => ranges,
            none => {
                let of = |subject: &TrainingSubject| {
                    let values = self.source.volume(subject.number)?;
                    let values = values.iter().map(|&v| f64::from(v));
                    Ok(values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v))))
                };
                none.insert(self.subjects.iter().map(of).collect::<Result<_>>()?)
            }
        };
        let others = ranges.iter().enumerate().filter(|&(n, _)| Some(n) != own).map(|(_, range)| *range);
        others.reduce(|(l, h), (low, high)| (l.min(low), h.max(high))).ok_or_else(|| {
            case.refuse(
                "the model was trained on nobody else to take the range of",
                "give the range, or take that of the image",
            )
        })
    }

    /// The case, where it is one of the people.
    fn own(&self, case: &Case<'_>) -> Option<usize> {
        let hash = case.hash();
        self.subjects.iter().position(|p| p.hash == hash)
    }

    /// The sum of each class, one volume in memory at a time.
    fn sum(&self) -> Result<Vec<Vec<f64>>> {
        let mut sums: Vec<Vec<f64>> = vec![Vec::new(); self.classes];
        for subject in &self.subjects {
            let values = self.source.volume(subject.number)?;
            let sum = &mut sums[subject.class];
            sum.resize(values.len(), 0.0);
            if let Some(n) = values.iter().position(|v| !v.is_finite()) {
                return Err(Error::Subject {
                    subject: subject.id.clone(),
                    what: format!("found the value {} at place {n} of its prepared volume", values[n]),
                    remedy: "this subject was trained on; prepare the cohort again".into(),
                });
            }
            sum.iter_mut().zip(values.iter()).for_each(|(s, &v)| *s += f64::from(v));
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::{Affine, Grid};

    fn volume(value: f32) -> Volume {
        let grid = Grid::new([1, 1, 3], Affine::IDENTITY).unwrap();
        Volume::new(grid, vec![value, 2.0 * value, -1.0]).unwrap()
    }

    /// Class 0: 1, 2, 6. Class 1: 10, 30.
    fn subjects() -> TrainingSubjects {
        let people = [(0, 1.0), (1, 10.0), (0, 2.0), (1, 30.0), (0, 6.0)];
        TrainingSubjects::of_volumes(people.iter().map(|&(class, v)| (format!("s{v}"), class, [volume(v)])), 2)
    }

    #[test]
    fn means_by_hand_and_without_the_case() {
        let mut subjects = subjects();
        let stranger = volume(5.0);
        let case = Case::new("x", &stranger);
        assert_eq!(subjects.mean(&[0], &case).unwrap(), [3.0, 6.0, -1.0]);
        assert_eq!(subjects.mean(&[1], &case).unwrap(), [20.0, 40.0, -1.0]);
        assert_eq!(subjects.mean(&[0, 1], &case).unwrap(), [9.8, 19.6, -1.0]);
        let member = volume(30.0);
        let case = Case::new("whatever", &member);
        assert_eq!(subjects.mean(&[1], &case).unwrap(), [10.0, 20.0, -1.0]);
        assert_eq!(subjects.mean(&[0], &case).unwrap(), [3.0, 6.0, -1.0]);
        assert_eq!(subjects.range(&case).unwrap(), (-1.0, 20.0));
        assert_eq!(subjects.range(&Case::new("x", &stranger)).unwrap(), (-1.0, 60.0));
        let mut alone = TrainingSubjects::of_volumes([("s".into(), 1, [volume(30.0)])], 2);
        assert!(alone.mean(&[1], &case).unwrap_err().to_string().contains("nobody else"));
        assert!(alone.draw(3, Seed::new(0), &case).is_err());
    }

    #[test]
    fn draws_take_the_classes_in_turn_and_never_the_case() {
        let mut subjects = subjects();
        let stranger = volume(5.0);
        let case = Case::new("x", &stranger);
        let ids = |d: Vec<DrawnSubject>| d.into_iter().map(|d| d.id).collect::<Vec<_>>();
        let four = subjects.draw(4, Seed::new(1), &case).unwrap();
        assert_eq!(four.iter().map(|d| d.class).collect::<Vec<_>>(), [0, 1, 0, 1]);
        let four = ids(four);
        assert_eq!(ids(subjects.draw(4, Seed::new(1), &case).unwrap()), four);
        assert_eq!(
            ids(subjects.draw(2, Seed::new(1), &case).unwrap()),
            four[..2],
            "a smaller draw is part of a larger"
        );
        let all = subjects.draw(99, Seed::new(1), &case).unwrap();
        assert_eq!(all.len(), 5);
        let orders: std::collections::BTreeSet<_> =
            (0..20).map(|s| ids(subjects.draw(5, Seed::new(s), &case).unwrap())).collect();
        assert!(orders.len() > 3, "other seeds draw others");
        let member = volume(10.0);
        for seed in 0..20 {
            let drawn = ids(subjects.draw(5, Seed::new(seed), &Case::new("x", &member)).unwrap());
            assert!(drawn.len() == 4 && !drawn.contains(&"s10".to_owned()), "{drawn:?}");
        }
    }
}
