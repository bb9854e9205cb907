//! [`RegionTable`]: what maps do in each region of an atlas.

use super::{Atlas, Hemisphere, SideSource, list};
use crate::listed::{counted, does};
use crate::run::MadeFrom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use voxplain_core::{Error, Result};
use voxplain_stats::Interval;
use voxplain_volume::{Finding, Labels, Level, Mask, Volume};

/// Which map a row is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MapName {
    /// The file's name, or another name of the map.
    pub map: String,
    /// The subject's id, if known.
    pub subject: Option<String>,
    /// The method of attribution, if known.
    pub method: Option<String>,
    /// BLAKE3 of the model that made the map, if known.
    pub model: Option<String>,
}

/// A person as the model judged it that made the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The fold of that model, in which the person was held out.
    pub fold: usize,
    /// The true class, or the true value.
    pub label: String,
    /// What was predicted.
    pub predicted: String,
    /// How the two compare: `tp`, `tn`, `fp`, `fn` of two classes, `correct`, `incorrect` of more; `over`, `under`, `exact` of a value.
    pub outcome: String,
    /// The probability of each class.
    pub probabilities: Vec<(String, f64)>,
    /// Predicted minus true value, where a value is predicted.
    pub error: Option<f64>,
}

/// One map in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionRow {
    /// The map; its rows share the name.
    pub map: Arc<MapName>,
    /// The label; `None` for the brain that no label covers.
    pub id: Option<u32>,
    /// The region's name, which the rows of all maps share.
    pub name: Arc<str>,
    /// Its side.
    pub hemisphere: Option<Hemisphere>,
    /// Where the side is known from.
    pub side_source: SideSource,
    /// Number of the map's voxels in the region.
    pub voxels: usize,
    /// Their volume in mm³.
    pub volume: f64,
    /// Sum of the map.
    pub sum: f64,
    /// Mean of the map; absent without voxels.
    pub mean: Option<f64>,
    /// Part of all positive relevance of the map that lies here; absent if the map has none.
    pub share_positive: Option<f64>,
    /// Part of all negative relevance of the map that lies here; absent if the map has none.
    pub share_negative: Option<f64>,
    /// Part of all |relevance| here over part of all voxels here: 1 is what chance gives.
    pub enrichment: Option<f64>,
    /// Sum per mm³ (Böhle et al. 2019 divide by the number of voxels).
    pub density: Option<f64>,
    /// The value furthest from 0, and where its voxel's centre is, in RAS+ mm; absent where the map is 0 throughout.
    pub peak: Option<(f32, [f64; 3])>,
    /// Why there is no voxel, if so.
    pub note: Option<&'static str>,
}

/// One region over the subjects of one method: means with 95 % intervals by model ([`Interval::by_model`]).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRow {
    /// The method, if known.
    pub method: Option<String>,
    /// The label; `None` for the brain that no label covers.
    pub id: Option<u32>,
    /// The region's name.
    pub name: String,
    /// Its side.
    pub hemisphere: Option<Hemisphere>,
    /// Where the side is known from.
    pub side_source: SideSource,
    /// Number of the method's maps. The means are over those that have a voxel in the region.
    pub maps: usize,
    /// Number of people whose maps have a voxel in the region, where maps are of scans and people may have several.
    pub people: Option<usize>,
    /// Of the subjects' means.
    pub mean: Option<Interval>,
    /// Of the subjects' sums.
    pub sum: Option<Interval>,
    /// Of the subjects' shares of positive relevance.
    pub share_positive: Option<Interval>,
    /// Of the subjects' shares of negative relevance.
    pub share_negative: Option<Interval>,
    /// Of the subjects' enrichments.
    pub enrichment: Option<Interval>,
    /// Of the subjects' numbers of voxels.
    pub voxels: Option<Interval>,
}

/// What maps do in each region of an atlas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionTable {
    /// Every map in every region, in the order given.
    pub rows: Vec<RegionRow>,
    /// Means over subjects; filled by [`RegionTable::summarise`].
    pub group: Vec<GroupRow>,
    /// The people that are known, by the subject's id and the model of the map.
    pub people: BTreeMap<(String, String), Person>,
    /// The person of each subject, by the subject's id, where subjects are scans and people may have several; else empty.
    pub persons: BTreeMap<String, String>,
    /// What the reader should know, once each.
    pub findings: Vec<Finding>,
    /// BLAKE3 of the models that made the maps, where it is known, sorted.
    pub models: Vec<String>,
    /// The maps, by their records, where they have one.
    pub made_from: MadeFrom,
    /// Names of regions that rows share.
    names: BTreeMap<Option<u32>, Arc<str>>,
}

#[derive(Default)]
struct Sums {
    voxels: usize,
    sum: f64,
    positive: f64,
    negative: f64,
    peak: Option<(f32, usize)>,
}

impl RegionTable {
    /// Measures a map in every region of an atlas.
    ///
    /// Labels are looked up at the map's voxels by the affines ([`Atlas::on_grid`]). `mask` says which voxels are
    /// brain; without it these are the labelled ones and those where the map is not 0. The last row is the brain that
    /// no label covers, so that the shares of one map sum to 1.
    ///
    /// # Errors
    /// A map with values that are no numbers, a mask on another grid, an atlas that cannot be placed.
    pub fn measure(&mut self, name: &MapName, map: &Volume, atlas: &Atlas, mask: Option<&Mask>) -> Result<()> {
        self.measure_on(name, map, (atlas, &atlas.on_grid(map.grid())?), mask)
    }

    /// [`RegionTable::measure`] with the atlas's labels on the map's grid at hand.
    pub(crate) fn measure_on(
        &mut self,
        name: &MapName,
        map: &Volume,
        (atlas, labels): (&Atlas, &Labels),
        mask: Option<&Mask>,
    ) -> Result<()> {
        let grid = map.grid();
        let odd = map.data().iter().filter(|x| !x.is_finite()).count();
        if odd > 0 {
            return Err(Error::request(
                format!(
                    "{}: {} {} not numbers (NaN or infinite)",
                    name.map,
                    counted(odd, "value"),
                    does(odd, "is", "are")
                ),
                "make the map again; a map never holds such values",
            ));
        }
        if let Some(mask) = mask
            && !mask.grid().same_space(grid, 1e-3)
        {
            return Err(Error::request(
                format!("{}: the mask lies on another grid than the map", name.map),
                "give a mask with the map's shape and affine",
            ));
        }
        self.note_all(&atlas.findings);
        let mut sums: BTreeMap<Option<u32>, Sums> = BTreeMap::new();
        let (mut labelled, mut inside) = (0usize, 0usize);
        // Neighbours mostly have one label.
        let (mut present, mut last) = (BTreeSet::new(), None);
        for (n, (&label, &value)) in labels.data().iter().zip(map.data()).enumerate() {
            if last != Some(label) {
                present.insert(label);
                last = Some(label);
            }
            let region = (!atlas.table.nameless.contains(&label)).then_some(label);
            let brain = mask.map_or(value != 0.0, |m| m.data()[n]);
            // Labels without a name are labelled too: they tell where the atlas lies.
            labelled += usize::from(label > 0);
            inside += usize::from(region.is_some() && brain);
            if (mask.is_some() || region.is_none()) && !brain {
                continue;
            }
            let sums = sums.entry(region).or_default();
            sums.voxels += 1;
            sums.sum += f64::from(value);
            sums.positive += f64::from(value.max(0.0));
            sums.negative += f64::from((-value).max(0.0));
            if value.abs() > sums.peak.map_or(0.0, |(peak, _)| peak.abs()) {
                sums.peak = Some((value, n));
            }
        }
        // Without a mask nothing says where the brain is: a sparse map is zero in most of it.
        self.check_overlap(name, atlas, grid.voxel_volume(), labelled, mask.map(|_| inside));

        let total = |f: fn(&Sums) -> f64| sums.values().map(f).sum::<f64>();
        let (positive, negative) = (total(|s| s.positive), total(|s| s.negative));
        let voxels: usize = sums.values().map(|s| s.voxels).sum();
        let share = |part: f64, all: f64| (all > 0.0).then(|| part / all);
        let none = Sums::default();
        if let Some(lost) = atlas.lost(&present) {
            self.note(Finding {
                id: "region-without-voxel",
                level: Level::Note,
                what: format!("regions without a voxel on a map's grid: {lost}"),
                remedy: "they are smaller than the map's voxels, or outside its field of view".into(),
            });
        }
        let map = Arc::new(name.clone());
        for id in atlas.ids().map(Some).chain([None]) {
            let s = sums.get(&id).unwrap_or(&none);
            let volume = s.voxels as f64 * grid.voxel_volume();
            let (hemisphere, side_source) = id.map_or((None, SideSource::Unknown), |id| atlas.side(id));
            let relevance = share(s.positive + s.negative, positive + negative);
            let note = match id {
                _ if s.voxels > 0 => None,
                None => Some("all of the brain has a label"),
                Some(id) if !atlas.has_voxels(id) => Some("no voxel in the label image"),
                Some(id) if !present.contains(&id) => Some("no voxel on the grid of the map"),
                Some(_) => Some("no voxel in the brain mask"),
            };
            self.rows.push(RegionRow {
                map: Arc::clone(&map),
                id,
                name: shared(&mut self.names, id, id.map_or_else(|| "unlabelled".to_owned(), |id| atlas.name(id))),
                hemisphere,
                side_source,
                voxels: s.voxels,
                volume,
                sum: s.sum,
                mean: (s.voxels > 0).then(|| s.sum / s.voxels as f64),
                share_positive: share(s.positive, positive),
                share_negative: share(s.negative, negative),
                enrichment: relevance.filter(|_| s.voxels > 0).map(|r| r / (s.voxels as f64 / voxels as f64)),
                density: (s.voxels > 0).then(|| s.sum / volume),
                peak: s.peak.map(|(value, n)| (value, grid.affine.apply(grid.voxel(n).map(|v| v as f64)))),
                note,
            });
        }
        Ok(())
    }

    fn check_overlap(&mut self, name: &MapName, atlas: &Atlas, voxel: f64, labelled: usize, inside: Option<usize>) {
        self.note(Finding {
            id: "same-world",
            level: Level::Note,
            what: "atlas and maps are taken to lie in one world: labels are looked up by the affines, nothing is registered".into(),
            remedy: "bring the atlas to the subject's space first if it is not there".into(),
        });
        let whole =
            atlas.labels.data().iter().filter(|&&id| id > 0).count() as f64 * atlas.labels.grid().voxel_volume();
        let seen = labelled as f64 * voxel / whole;
        if seen < 0.9 {
            self.note(Finding {
                id: "atlas-cut",
                level: Level::Warning,
                what: format!(
                    "{}: only {:.0} % of the atlas's labelled volume lies in the map's field of view",
                    name.map,
                    seen * 100.0
                ),
                remedy: "check that atlas and map lie in one space; regions at the edge are incomplete".into(),
            });
        }
        let met = inside.map_or(1.0, |inside| inside as f64 / labelled.max(1) as f64);
        // A small brain that was turned to a template, not scaled, fills little more than half of it.
        if met < 0.5 {
            self.note(Finding {
                id: "poor-overlap",
                level: Level::Warning,
                what: format!("{}: only {:.0} % of the labelled voxels lie in the brain mask", name.map, met * 100.0),
                remedy: "the atlas is probably not in the map's space, or of another head: overlay both before using the table".into(),
            });
        }
    }

    /// Adds a finding, unless it is there.
    pub(crate) fn note(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(crate) fn note_all<'a>(&mut self, findings: impl IntoIterator<Item = &'a Finding>) {
        for finding in findings {
            self.note(finding.clone());
        }
    }

    /// Fills [`RegionTable::group`]: for every method with maps of at least two subjects, each region's mean over
    /// maps. Regions without a voxel in some map are averaged over the maps that have them.
    pub fn summarise(&mut self) {
        self.group.clear();
        let methods: BTreeSet<&Option<String>> = self.rows.iter().map(|r| &r.map.method).collect();
        for method in methods.into_iter().cloned().collect::<Vec<_>>() {
            let rows = self.rows.iter().filter(|r| r.map.method == method);
            let mut regions: BTreeMap<(bool, Option<u32>), Vec<&RegionRow>> = BTreeMap::new();
            for row in rows {
                regions.entry((row.id.is_none(), row.id)).or_default().push(row);
            }
            if regions.values().all(|r| r.len() < 2) {
                continue;
            }
            for ((_, id), rows) in regions {
                let of = |f: &dyn Fn(&RegionRow) -> Option<f64>| {
                    let there = rows.iter().filter(|r| r.voxels > 0);
                    Interval::of_maps(
                        there.filter_map(|r| Some((f(r)?, r.map.model.as_deref(), self.person_of(&r.map)))),
                    )
                };
                let bounded = |i: Option<Interval>, most: f64| i.map(|i| i.within(0.0, most));
                self.group.push(GroupRow {
                    method: method.clone(),
                    id,
                    name: rows[0].name.to_string(),
                    hemisphere: rows[0].hemisphere,
                    side_source: rows[0].side_source,
                    maps: rows.len(),
                    people: self.people_of(&rows),
                    mean: of(&|r| r.mean),
                    sum: of(&|r| Some(r.sum)),
                    share_positive: bounded(of(&|r| r.share_positive), 1.0),
                    share_negative: bounded(of(&|r| r.share_negative), 1.0),
                    enrichment: bounded(of(&|r| r.enrichment), f64::INFINITY),
                    voxels: of(&|r| Some(r.voxels as f64)),
                });
            }
        }
    }

    /// Whose map it is, as far as is known: the person, else the subject, else the map by itself.
    fn person_of<'a>(&'a self, map: &'a MapName) -> &'a str {
        let subject = map.subject.as_ref();
        subject.map_or(&map.map, |subject| self.persons.get(subject).unwrap_or(subject))
    }

    /// Number of people whose rows these are, of those with a voxel; `None` where subjects are people, or one of them is not known.
    fn people_of(&self, rows: &[&RegionRow]) -> Option<usize> {
        let there = rows.iter().filter(|row| row.voxels > 0);
        let person = |row: &&RegionRow| self.persons.get(row.map.subject.as_ref()?);
        let people: Option<BTreeSet<&String>> = there.map(person).collect();
        people.filter(|_| !self.persons.is_empty()).map(|people| people.len())
    }

    /// How the intervals of the means were found, what they are conditional on and which are absent, in sentences; `None` without means.
    pub fn about_intervals(&self) -> Option<String> {
        let of = |g: &GroupRow| {
            [g.mean, g.share_positive, g.share_negative, g.enrichment].into_iter().flatten().collect::<Vec<_>>()
        };
        Interval::explain(&self.group.iter().flat_map(of).collect::<Vec<_>>())
    }
}

/// The name of a region, once for all rows that have it.
fn shared(names: &mut BTreeMap<Option<u32>, Arc<str>>, id: Option<u32>, name: String) -> Arc<str> {
    match names.get(&id) {
        Some(known) if **known == *name => Arc::clone(known),
        _ => Arc::clone(names.entry(id).insert_entry(name.into()).get()),
    }
}

impl Atlas {
    /// The labels that the image holds and that stand for a region, and those of small regions that its coarse grid lost, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.sides.keys().copied().filter(|id| !self.table.nameless.contains(id))
    }

    /// The region's name, or what stands for it where the table has none.
    pub fn name(&self, id: u32) -> String {
        self.table.get(id).map_or_else(|| format!("label {id} (not in the table)"), |r| r.name.clone())
    }

    /// Regions of [`Atlas::ids`] that are not among the labels that are there, in words; `None` if there is none.
    fn lost(&self, there: &BTreeSet<u32>) -> Option<String> {
        let lost: Vec<String> =
            self.ids().filter(|id| !there.contains(id)).map(|id| format!("{id} {:?}", self.name(id))).collect();
        (!lost.is_empty()).then(|| list(&lost))
    }
}
