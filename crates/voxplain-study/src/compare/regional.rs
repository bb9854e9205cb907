//! What is compared in the regions of an atlas in place of voxels.

use super::values::Images;
use crate::{
    atlas::{Atlas, Hemisphere},
    setting::REGIONS,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use voxplain_attribution::setting::ATLAS;
use voxplain_core::{Error, Progress, Result, Table, remedy};
use voxplain_stats::{cell, inference::EffectSize, inference::InMemory};
use voxplain_volume::{Labels, Mask};

/// What is taken of each region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionMeasure {
    /// The mean of the signed values of its voxels: the density of relevance, in maps by LRP (Böhle 2019).
    Mean,
    /// The mean of their sizes.
    Absolute,
    /// The mean of a region on the left less that of its partner on the right.
    Asymmetry,
}

impl RegionMeasure {
    /// `mean`, `absolute`, `asymmetry`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Absolute => "absolute",
            Self::Asymmetry => "asymmetry",
        }
    }

    /// What it is, in words that follow "of".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Mean => "the mean in each region",
            Self::Absolute => "the mean size in each region",
            Self::Asymmetry => "the mean in each region on the left less that of its partner on the right",
        }
    }
}

/// A region, or a pair of partners, whose values are compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) id: u32,
    /// The partner on the right, with its voxels in the mask.
    pub(super) other: Option<(u32, usize)>,
    pub(super) name: String,
    pub(super) side: Option<Hemisphere>,
    /// Voxels that are in the mask.
    pub(super) voxels: usize,
}

/// The regions of an atlas that have voxels in a mask, and names of those that have none, or no partner.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) all: Vec<Place>,
    pub(super) not_tested: Vec<String>,
    pub(super) measure: RegionMeasure,
}

impl Places {
    pub(super) fn of(atlas: &Atlas, labels: &Labels, mask: &Mask, measure: RegionMeasure) -> Result<Self> {
        let mut counts = BTreeMap::<u32, usize>::new();
        for (label, _) in labels.data().iter().zip(mask.data()).filter(|(_, inside)| **inside) {
            *counts.entry(*label).or_default() += 1;
        }
        let (mut all, mut not_tested) = (Vec::new(), Vec::new());
        for id in atlas.ids() {
            match counts.get(&id) {
                Some(&voxels) => {
                    let (name, side) = (atlas.name(id), atlas.side(id).0);
                    all.push(Place { id, other: None, name, side, voxels });
                }
                None => not_tested.push(format!("{} (no voxel)", atlas.name(id))),
            }
        }
        if measure == RegionMeasure::Asymmetry {
            let (left, rest): (Vec<Place>, Vec<Place>) =
                all.into_iter().partition(|place| place.side == Some(Hemisphere::Left));
            let (mut right, middle): (Vec<Place>, Vec<Place>) =
                rest.into_iter().partition(|place| place.side == Some(Hemisphere::Right));
            all = Vec::new();
            for place in left {
                // Names with their side in them, or one name and a column of sides.
                let name = mirrored(&place.name).unwrap_or_else(|| place.name.clone());
                let Some(partner) = right.iter().position(|r| r.name == name).map(|at| right.remove(at)) else {
                    not_tested.push(format!("{} (no partner)", place.name));
                    continue;
                };
                all.push(Place { other: Some((partner.id, partner.voxels)), ..place });
            }
            not_tested.extend(right.into_iter().map(|place| format!("{} (no partner)", place.name)));
            not_tested.extend(middle.into_iter().map(|place| format!("{} (on no side)", place.name)));
        }
        if all.is_empty() {
            return Err(Error::file(
                &atlas.path,
                match measure {
                    RegionMeasure::Asymmetry => {
                        "has no region on the left with a partner on the right of the same name"
                    }
                    RegionMeasure::Mean | RegionMeasure::Absolute => {
                        "has no region with a voxel in the mask that is tested"
                    }
                },
                remedy!["give another ", ATLAS, ", or measure something else with ", REGIONS],
            ));
        }
        Ok(Self { all, not_tested, measure })
    }

    /// The values of all subjects: a row for each, a column for each region. Voxels count that are in the mask.
    pub(super) fn gather(
        &self,
        (images, factors): (&Images<'_>, &[f64]),
        labels: &Labels,
        mask: &Mask,
        progress: &dyn Progress,
    ) -> Result<InMemory> {
        // Which place a label adds to, and what a voxel of it weighs in the mean.
        let mut of = BTreeMap::<u32, (usize, f64)>::new();
        for (n, place) in self.all.iter().enumerate() {
            of.insert(place.id, (n, 1.0 / place.voxels as f64));
            of.extend(place.other.map(|(id, voxels)| (id, (n, -1.0 / voxels as f64))));
        }
        let inside: Vec<(usize, usize, f64)> = (labels.data().iter().enumerate())
            .filter(|(at, _)| mask.data()[*at])
            .filter_map(|(at, label)| of.get(label).map(|(place, weight)| (at, *place, *weight)))
            .collect();
        let mut values = Vec::with_capacity(factors.len() * self.all.len());
        progress.begin("reading", factors.len());
        for (subject, factor) in factors.iter().enumerate() {
            progress.go_on()?;
            let image = images.image(subject, *factor)?;
            let mut sums = vec![0.0f64; self.all.len()];
            for &(at, place, weight) in &inside {
                let value = images.checked(subject, image.data()[at])?;
                let value = if self.measure == RegionMeasure::Absolute { value.abs() } else { value };
                sums[place] += weight * f64::from(value);
            }
            #[expect(clippy::cast_possible_truncation, reason = "values are single precision")]
            values.extend(sums.iter().map(|sum| *sum as f32));
            progress.advance(1, images.id(subject));
        }
        progress.end();
        InMemory::new(factors.len(), values)
    }
}

/// The name of a region with its side exchanged: `SFG_L_7_1` and `SFG_R_7_1`, `Left-Hippocampus`, `ctx-lh-insula`. `None` where it names no
/// side.
fn mirrored(name: &str) -> Option<String> {
    let other = |word: &str| {
        Some(match word {
            "L" => "R",
            "R" => "L",
            "l" => "r",
            "r" => "l",
            "lh" => "rh",
            "rh" => "lh",
            "LH" => "RH",
            "RH" => "LH",
            "Left" => "Right",
            "Right" => "Left",
            "left" => "right",
            "right" => "left",
            "LEFT" => "RIGHT",
            "RIGHT" => "LEFT",
            _ => return None,
        })
    };
    let (mut result, mut word, mut changed) = (String::new(), String::new(), false);
    // A sign after the last word closes it.
    for c in name.chars().chain(['\n']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        let exchanged = other(&word);
        changed |= exchanged.is_some();
        result.push_str(exchanged.unwrap_or(&word));
        word.clear();
        if c != '\n' {
            result.push(c);
        }
    }
    changed.then_some(result)
}

/// A region that was tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionTest {
    /// Its label.
    pub id: u32,
    /// The label of the partner on the right, of an asymmetry.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its side.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub side: Option<Hemisphere>,
    /// Its voxels in the mask.
    pub voxels: usize,
    /// The mean over the subjects of each level of the factor that is tested, in the order of its levels; else over all.
    pub means: Vec<f64>,
    /// Of two levels, the mean of the second over that of the first (gain, Böhle 2019); absent unless both are above 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gain: Option<f64>,
    /// The effect in the units of the values, other terms held constant; absent for F.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<f64>,
    /// Lower and upper end of its 95 % interval; absent where there is none ([`RegionTests::interval`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ends: Option<[f64; 2]>,
    /// Student's t, or F.
    pub statistic: f64,
    /// Hedges' g or the partial correlation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<EffectSize>,
    /// p of the region by itself.
    pub p: f64,
    /// p corrected for the number of regions (family-wise).
    pub p_fwe: f64,
    /// The false discovery rate.
    pub fdr: f64,
}

/// The regions of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionTests {
    /// File of the label image.
    pub atlas: String,
    /// What was compared of each region.
    pub measure: RegionMeasure,
    /// The levels that means are of; empty where they are over all.
    pub levels: Vec<String>,
    /// The regions, in the order of the labels.
    pub tests: Vec<RegionTest>,
    /// Regions that were not tested, with the reason.
    pub not_tested: Vec<String>,
    /// What the intervals are, or why there are none.
    pub interval: String,
}

/// `regions.tsv`: a row for each region.
pub(super) fn write(path: &Path, of: &RegionTests) -> Result<()> {
    let mut columns: Vec<String> = ["region", "other", "name", "hemisphere", "voxels"].map(str::to_owned).to_vec();
    if of.levels.is_empty() {
        columns.push("mean".into());
    } else {
        columns.extend(of.levels.iter().map(|level| format!("mean_{level}")));
    }
    let rest = [
        "gain",
        "effect",
        "effect_low",
        "effect_high",
        "statistic",
        "size",
        "size_low",
        "size_high",
        "p",
        "p_fwe",
        "fdr",
    ];
    columns.extend(rest.map(str::to_owned));
    let number = |value: Option<f64>| value.map(cell);
    let row = |test: &RegionTest| {
        let mut cells = vec![
            Some(test.id.to_string()),
            test.other.map(|id| id.to_string()),
            Some(test.name.clone()),
            test.side.map(|side| side.to_string()),
            Some(test.voxels.to_string()),
        ];
        cells.extend(test.means.iter().map(|mean| Some(cell(*mean))));
        cells.extend([
            number(test.gain),
            number(test.effect),
            number(test.ends.map(|ends| ends[0])),
            number(test.ends.map(|ends| ends[1])),
            Some(cell(test.statistic)),
            number(test.size.map(|size| size.value)),
            number(test.size.map(|size| size.low)),
            number(test.size.map(|size| size.high)),
            Some(cell(test.p)),
            Some(cell(test.p_fwe)),
            Some(cell(test.fdr)),
        ]);
        cells
    };
    Table { columns, rows: of.tests.iter().map(row).collect() }.write_tsv(path)
}

#[cfg(test)]
mod tests {
    use super::mirrored;

    #[test]
    fn names_of_partners() {
        for (name, other) in [
            ("SFG_L_7_1", Some("SFG_R_7_1")),
            ("Superior corona radiata L", Some("Superior corona radiata R")),
            ("Left-Hippocampus", Some("Right-Hippocampus")),
            ("ctx-rh-insula", Some("ctx-lh-insula")),
            ("Fornix", None),
            ("Lingual", None),
            ("", None),
        ] {
            assert_eq!(mirrored(name).as_deref(), other);
            // Twice is the name itself.
            if let Some(other) = other {
                assert_eq!(mirrored(other).as_deref(), Some(name));
            }
        }
    }
}
