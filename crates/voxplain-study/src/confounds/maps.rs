//! [`MapChanges`]: how alike the maps of an arm and of the run are, beside how alike the run's own folds are.

use crate::{
    cohort::{Cohort, Placement},
    group::{Scale, map_size, read_map},
    listed::{and, counted},
    map::{read_record, target},
    run::{MadeFrom, Models, Prediction, Run, digest},
    setting::METHOD,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use voxplain_attribution::Record;
use voxplain_core::{Action, Progress, Result, remedy};
use voxplain_stats::spearman;
use voxplain_volume::{Grid, Volume};

/// How alike maps are, all by Spearman's correlation of mean maps over the voxels that are in the mask of half of the people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MapChanges {
    /// The maps of the run that were read.
    #[serde(default)]
    pub made_from: MadeFrom,
    /// A row for each arm, method and group.
    pub rows: Vec<MapChange>,
    /// Arms whose maps were not compared, and why, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// What else voxels of an arm are than those of the run, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The maps of one method, of the run and of an arm, of the same people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapChange {
    /// The arm.
    pub arm: String,
    /// The method.
    pub method: String,
    /// A class, or absent of all people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// People, or images.
    pub subjects: usize,
    /// The mean map of the run with that of the arm, over all of them; maps of each model scaled as `group` does.
    pub means: f64,
    /// The mean map of those held out in one fold of the run with that of another fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<Alike>,
    /// The same of the arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds_of_arm: Option<Alike>,
    /// The mean map of one fold of the run with that of another fold of the arm: as [`MapChange::folds`], of other people and by another model, but
    /// of the arm. Absent where the folds of the arm hold out others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<Alike>,
}

/// Correlations of pairs of folds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alike {
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Pairs of folds.
    pub pairs: usize,
}

/// Maps of the run and of the arms, by the methods that both have.
pub(super) fn changes(
    run: &Run,
    cohort: &Cohort,
    own: &[Prediction],
    classes: &[String],
    arms: &[(String, Run)],
    progress: &dyn Progress,
) -> Result<MapChanges> {
    let mut found = MapChanges::default();
    if arms.is_empty() {
        return Ok(found);
    }
    let (there, models) = (run.maps()?, run.models()?);
    for (name, other) in arms {
        let theirs = other.maps()?;
        let (mine, common) = (there.methods(), theirs.methods());
        let common: Vec<&String> = mine.iter().filter(|method| common.contains(method)).collect();
        if common.is_empty() {
            let lacks = match (mine.is_empty(), theirs.methods().is_empty()) {
                (true, true) => "neither it nor the run has any".to_owned(),
                (true, false) => "the run has none".to_owned(),
                (false, true) => "it has none".to_owned(),
                (false, false) => format!(
                    "they have no method in common ({} of the run, {} of the arm)",
                    and(&mine),
                    and(&theirs.methods())
                ),
            };
            let what = format!("How the maps of the arm {name} differ cannot be said: {lacks}.");
            let methods = mine.first().map_or("hires-cam", String::as_str);
            let both = [run, other].map(|of| Action::new("explain").on(&of.path).with(METHOD, methods));
            let [one, two] = both;
            let make = if mine.is_empty() {
                remedy!["make maps of both: ", one, ", ", two, ", and ask again"]
            } else {
                remedy!["make them: ", two, ", and ask again"]
            };
            progress.advise(what.trim_end_matches('.'), &make);
            found.not_compared.push(what);
            continue;
        }
        let theirs_cohort = match other.cohort() {
            Ok(cohort) => cohort,
            Err(e) => {
                found.not_compared.push(format!("The maps of the arm {name} are not compared: {e}."));
                continue;
            }
        };
        if let Some(why) = on_other_grid(cohort, &theirs_cohort) {
            found.not_compared.push(format!("The maps of the arm {name} are not compared: {why}."));
            continue;
        }
        let placed = |cohort: &Cohort| cohort.preparation.template.as_ref().map(|of| (of.hash.clone(), of.sizes));
        if placed(cohort) != placed(&theirs_cohort) {
            found.notes.push(format!(
                "The brains of the arm {name} were brought to the grid in another way than those of the run (their size, or the template): a voxel of both is \
                 one place of the grid, and need not be one place of the brain."
            ));
        }
        let (said, their_models) = (other.predictions()?, other.models()?);
        let fold_there: BTreeMap<&str, usize> = said.iter().map(|p| (p.participant_id.as_str(), p.fold)).collect();
        for method in common {
            let mut both: Vec<Person<'_>> = Vec::new();
            for p in own {
                let id = p.participant_id.as_str();
                let at = cohort.find(id).zip(theirs_cohort.find(id));
                let class = classes.iter().position(|c| *c == p.truth);
                let (Some(at), Some(class), Some(&fold)) = (at, class, fold_there.get(id)) else { continue };
                if there.have(id, method)
                    && theirs.have(id, method)
                    && held_out((run, &models), id, method, p.fold)?
                    && held_out((other, &their_models), id, method, fold)?
                {
                    both.push(Person { id, at, class, folds: (p.fold, fold) });
                }
            }
            if both.is_empty() {
                let what = format!("nobody has a map of {method}, by the model that never saw them, in both");
                found.not_compared.push(format!("The maps of the arm {name} are not compared: {what}."));
                continue;
            }
            match compare(&(run, cohort), &(other, &theirs_cohort), method, &both, classes, progress)? {
                Ok((rows, made_from, unlike)) => {
                    if unlike > 0 {
                        found.notes.push(format!(
                            "The {method} maps of {unlike} of {} explain another class in the arm {name} than in the run, each that which its own \
                             network predicted: maps of opposite evidence are unlike for that alone. Maps of one class, made by `explain` with a \
                             target, would be of one thing.",
                            counted(both.len(), cohort.noun())
                        ));
                    }
                    found.rows.extend(rows.into_iter().map(|row| MapChange { arm: name.clone(), ..row }));
                    made_from.into_iter().for_each(|(id, digest)| found.made_from.add(&id, method, digest));
                }
                Err(why) => {
                    found.not_compared.push(format!("The {method} maps of the arm {name} are not compared: {why}."));
                }
            }
        }
    }
    Ok(found)
}

/// Somebody with a map in the run and in the arm.
struct Person<'a> {
    id: &'a str,
    /// The position in both cohorts.
    at: (usize, usize),
    class: usize,
    /// The fold in both.
    folds: (usize, usize),
}

/// Whether the model of the fold in which somebody is held out made their map.
fn held_out((run, models): (&Run, &Models), id: &str, method: &str, fold: usize) -> Result<bool> {
    let record = read_record(&run.layout().map(id, method).path())?;
    Ok(models.of_fold(fold) == Some(record.model.as_str()))
}

/// Why voxels of two cohorts do not answer to each other, in words; `None` where they do.
fn on_other_grid(one: &Cohort, other: &Cohort) -> Option<String> {
    let grids = (one.common_grid().0, other.common_grid().0);
    let words = |cohort: &Cohort, grid: &Grid| {
        let [i, j, k] = grid.shape;
        let [x, y, z] =
            grid.spacing().map(|mm| format!("{mm:.3}").trim_end_matches('0').trim_end_matches('.').to_owned());
        let placed = match cohort.preparation.placement {
            Placement::Fixed(_) => "on a template",
            Placement::MaskCentre => "about the centre of each mask",
        };
        format!("{i}x{j}x{k} voxels of {x} x {y} x {z} mm {placed}")
    };
    let placed = |cohort: &Cohort| matches!(cohort.preparation.placement, Placement::Fixed(_));
    if placed(one) == placed(other) && grids.0.same_space(&grids.1, 0.1) {
        return None;
    }
    Some(format!(
        "its grid is another one ({}) than that of the run ({}), so that a voxel of the one is no voxel of the other",
        words(other, &grids.1),
        words(one, &grids.0)
    ))
}

/// Sums of maps inside the mask, by fold and class.
struct Sums {
    maps: Vec<Vec<Vec<f64>>>,
    people: Vec<Vec<usize>>,
    /// The mean size of the maps of each fold.
    sizes: Vec<f64>,
    described: BTreeSet<String>,
    digests: Vec<(String, String)>,
    /// The class that each person's map explains.
    explained: Vec<usize>,
}

/// The rows of one method, with the digests of the run's maps, and of how many people the maps explain different classes; or why there are
/// none.
type Compared = std::result::Result<(Vec<MapChange>, Vec<(String, String)>, usize), String>;

fn compare(
    (run, cohort): &(&Run, &Cohort),
    (other, theirs): &(&Run, &Cohort),
    method: &str,
    people: &[Person<'_>],
    classes: &[String],
    progress: &dyn Progress,
) -> Result<Compared> {
    let mut votes = vec![0usize; cohort.grid().len()];
    for person in people {
        for mask in [cohort.mask(person.at.0)?, theirs.mask(person.at.1)?] {
            votes.iter_mut().zip(mask.data()).for_each(|(n, &inside)| *n += usize::from(inside));
        }
    }
    // In the mask of half of the people, of both.
    let inside: Vec<usize> = (0..votes.len()).filter(|&v| votes[v] >= people.len()).collect();
    progress.begin(&format!("maps of {method}"), 2 * people.len());
    let sums = |run: &Run, cohort: &Cohort, of: fn(&Person<'_>) -> (usize, usize)| -> Result<Sums> {
        let folds = 1 + people.iter().map(|p| of(p).1).max().unwrap_or(0);
        let mut sums = Sums {
            maps: vec![vec![Vec::new(); classes.len()]; folds],
            people: vec![vec![0; classes.len()]; folds],
            sizes: vec![0.0; folds],
            described: BTreeSet::new(),
            digests: Vec::new(),
            explained: Vec::new(),
        };
        for person in people {
            progress.go_on()?;
            let (at, fold) = of(person);
            let file = run.layout().map(person.id, method).path();
            let record: Record = read_record(&file)?;
            sums.described.insert(format!("{}, {}", target(&record), record.parameters));
            sums.digests.push((person.id.to_owned(), digest(&record)));
            sums.explained.push(record.class);
            let map: Volume = read_map(cohort, at, &file)?;
            let sum = &mut sums.maps[fold][person.class];
            if sum.is_empty() {
                *sum = vec![0.0; inside.len()];
            }
            sum.iter_mut().zip(&inside).for_each(|(sum, &v)| *sum += f64::from(map.data()[v]));
            sums.sizes[fold] += map_size(cohort, at, &map)?;
            sums.people[fold][person.class] += 1;
            progress.advance(1, person.id);
        }
        let of_fold = |fold: usize| sums.people[fold].iter().sum::<usize>().max(1) as f64;
        sums.sizes = (0..folds).map(|fold| sums.sizes[fold] / of_fold(fold)).collect();
        Ok(sums)
    };
    let both = sums(run, cohort, |p| (p.at.0, p.folds.0)).and_then(|one| {
        let two = sums(other, theirs, |p| (p.at.1, p.folds.1))?;
        Ok((one, two))
    });
    progress.end();
    let (one, two) = both?;
    if one.described.len() > 1 || one.described != two.described {
        let named = |of: &BTreeSet<String>| of.iter().cloned().collect::<Vec<_>>().join("; ");
        return Ok(Err(format!(
            "they explain another target, or were made with other options ({} of the run, {} of the arm)",
            named(&one.described),
            named(&two.described)
        )));
    }
    let same_folds = people.iter().all(|p| p.folds.0 == p.folds.1);
    let mut rows = Vec::new();
    for class in std::iter::once(None).chain((0..classes.len()).map(Some)) {
        let subjects = people.iter().filter(|p| class.is_none_or(|class| p.class == class)).count();
        if subjects == 0 {
            continue;
        }
        let Some(means) = spearman(&one.mean(class), &two.mean(class))? else { continue };
        let (mine, their) = (one.by_fold(class), two.by_fold(class));
        let pairs = |a: &[Option<Vec<f32>>], b: &[Option<Vec<f32>>], twice: bool| -> Result<Option<Alike>> {
            let mut found = Vec::new();
            for (i, x) in a.iter().enumerate() {
                for (j, y) in b.iter().enumerate() {
                    if let (Some(x), Some(y)) = (x, y)
                        && (i < j || (twice && i > j))
                    {
                        found.extend(spearman(x, y)?);
                    }
                }
            }
            Ok(Alike::of(&found))
        };
        rows.push(MapChange {
            arm: String::new(),
            method: method.to_owned(),
            class: class.map(|class| classes[class].clone()),
            subjects,
            means,
            folds: pairs(&mine, &mine, false)?,
            folds_of_arm: pairs(&their, &their, false)?,
            across: if same_folds { pairs(&mine, &their, true)? } else { None },
        });
    }
    if rows.is_empty() {
        return Ok(Err("the mean map of the run, or that of the arm, is the same everywhere".into()));
    }
    let unlike = one.explained.iter().zip(&two.explained).filter(|(a, b)| a != b).count();
    Ok(Ok((rows, one.digests, unlike)))
}

impl Sums {
    /// The classes that count.
    fn classes(&self, class: Option<usize>) -> Vec<usize> {
        class.map_or_else(|| (0..self.people[0].len()).collect(), |class| vec![class])
    }

    /// The mean map, the maps of each fold scaled so that no model speaks louder than another.
    #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
    fn mean(&self, class: Option<usize>) -> Vec<f32> {
        let names: Vec<String> = (0..self.sizes.len()).map(|fold| fold.to_string()).collect();
        let maps: Vec<(f64, &str)> =
            self.sizes.iter().copied().zip(names.iter().map(String::as_str)).filter(|(size, _)| *size > 0.0).collect();
        let (factors, _) = Scale::Model.factors(&maps);
        let factor: BTreeMap<&str, f64> = maps.iter().map(|(_, name)| *name).zip(factors).collect();
        let mut sum = Vec::new();
        for (fold, name) in names.iter().enumerate() {
            for class in self.classes(class) {
                let map = &self.maps[fold][class];
                sum.resize(sum.len().max(map.len()), 0.0);
                let factor = factor.get(name.as_str()).copied().unwrap_or(1.0);
                sum.iter_mut().zip(map).for_each(|(sum, v)| *sum += factor * v);
            }
        }
        sum.into_iter().map(|v| v as f32).collect()
    }

    /// The mean map of each fold; `None` where nobody is in it.
    #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
    fn by_fold(&self, class: Option<usize>) -> Vec<Option<Vec<f32>>> {
        (0..self.maps.len())
            .map(|fold| {
                let there: Vec<usize> =
                    self.classes(class).into_iter().filter(|&class| self.people[fold][class] > 0).collect();
                let people = there.iter().map(|&class| self.people[fold][class]).sum::<usize>();
                let first = self.maps[fold].get(*there.first()?)?;
                let mean = |v: usize| there.iter().map(|&class| self.maps[fold][class][v]).sum::<f64>() / people as f64;
                Some((0..first.len()).map(|v| mean(v) as f32).collect())
            })
            .collect()
    }
}

impl Alike {
    fn of(found: &[f64]) -> Option<Self> {
        (!found.is_empty()).then(|| Self {
            mean: found.iter().sum::<f64>() / found.len() as f64,
            least: found.iter().copied().fold(f64::INFINITY, f64::min),
            most: found.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            pairs: found.len(),
        })
    }

    /// `0.44 (0.31 to 0.55 over 10 pairs)`.
    fn in_words(&self) -> String {
        match self.pairs {
            1 => format!("{:.2} (1 pair)", self.mean),
            n => format!("{:.2} ({:.2} to {:.2} over {n} pairs)", self.mean, self.least, self.most),
        }
    }
}

impl MapChanges {
    /// A sentence for each arm and method, of all people together, and what was not compared.
    pub fn sentences(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.rows.iter().filter(|row| row.class.is_none()).map(MapChange::sentence).collect();
        lines.extend(self.notes.iter().chain(&self.not_compared).cloned());
        lines
    }
}

impl MapChange {
    /// How the mean map of all changes, and whether by more than from fold to fold.
    fn sentence(&self) -> String {
        let Self { arm, method, subjects, means, folds, across, .. } = self;
        let first = format!(
            "The mean {method} maps of the run and of the arm {arm} correlate by {means:.2} (Spearman, over {} in both)",
            counted(*subjects, "subject")
        );
        match (folds, across) {
            (None, _) => format!("{first}; there are no two folds of the run to set that beside."),
            (Some(folds), None) => format!(
                "{first}, those of two folds of the run by {}; the arm has other folds, so that whether it changes maps more than another fold does is \
                 not said.",
                folds.in_words()
            ),
            (Some(folds), Some(across)) => {
                let verdict = if folds.least <= 0.0 {
                    "folds of the run are not all alike to begin with, so that a change could not be seen in this way"
                } else if across.mean < folds.least {
                    "less than any two folds of the run do, so that the arm changes maps more than another fold does"
                } else if across.mean > folds.most {
                    "more than any two folds of the run do"
                } else {
                    "within what two folds of the run do, so that the arm is not shown to change maps more than another fold does"
                };
                format!(
                    "{first}. The mean maps of one fold correlate with those of another fold of the run by {}, and with those of another fold of the arm \
                     by {}, in the mean: {verdict}.",
                    folds.in_words(),
                    across.in_words()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(folds: Option<Alike>, across: Option<Alike>) -> String {
        let row = MapChange {
            arm: "small".into(),
            method: "hires-cam".into(),
            class: None,
            subjects: 20,
            means: 0.7,
            folds,
            folds_of_arm: None,
            across,
        };
        row.sentence()
    }

    /// What is said follows from where the mean of the pairs lies among the run's own.
    #[test]
    fn words_of_maps() {
        let own = Alike::of(&[0.25, 0.75, 0.5]);
        assert_eq!(own.unwrap(), Alike { mean: 0.5, least: 0.25, most: 0.75, pairs: 3 });
        assert!(row(own, Alike::of(&[0.1, 0.2])).ends_with("the arm changes maps more than another fold does."));
        assert!(row(own, Alike::of(&[0.3, 0.5])).contains("is not shown to change maps more"));
        assert!(row(own, Alike::of(&[0.9])).ends_with("more than any two folds of the run do."));
        let unlike = Alike::of(&[-0.1, 0.2]);
        assert!(row(unlike, unlike).ends_with("a change could not be seen in this way."));
        assert!(row(own, None).contains("the arm has other folds"));
        assert!(row(None, None).ends_with("there are no two folds of the run to set that beside."));
        assert_eq!(Alike::of(&[]), None);
    }

    /// Two folds of two classes, one voxel each, by hand. Sizes 1 and 3: factors 2 and 2/3.
    #[test]
    fn means_by_hand() {
        let sums = Sums {
            maps: vec![vec![vec![1.0], vec![3.0]], vec![vec![6.0], Vec::new()]],
            people: vec![vec![1, 2], vec![3, 0]],
            sizes: vec![1.0, 3.0],
            described: BTreeSet::new(),
            digests: Vec::new(),
            explained: Vec::new(),
        };
        assert_eq!(sums.mean(None), [2.0 * 4.0 + 2.0 / 3.0 * 6.0]);
        assert_eq!(sums.mean(Some(1)), [6.0]);
        assert_eq!(sums.by_fold(None), [Some(vec![4.0 / 3.0]), Some(vec![2.0])]);
        assert_eq!(sums.by_fold(Some(1)), [Some(vec![1.5]), None]);
    }
}
