//! [`Scale`]: how maps of different size are brought to one scale before they are combined.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How maps are scaled before they are combined voxel by voxel. The size of a map is its mean absolute value in the subject's mask.
///
/// Networks of different folds give maps of different size, for no reason that lies in the subjects. In a plain mean, a fold whose
/// maps are six times larger speaks six times louder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// As they are.
    None,
    /// All maps of a model by one factor, so that the mean size of the maps is the same for every model: that of the mean over models.
    /// Within a model, a subject with a larger map still counts for more. Units stay.
    #[default]
    Model,
    /// Each map by its own factor, so that its size is 1: every subject counts the same. Values are then multiples of the map's mean
    /// absolute value.
    Map,
}

/// How the maps of a method were scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaleRecord {
    /// What was chosen.
    pub scale: Scale,
    /// By model (BLAKE3): the mean size of its maps as they were.
    pub sizes: BTreeMap<String, f64>,
    /// The largest of these sizes over the smallest that is not 0.
    pub ratio: Option<f64>,
}

impl Scale {
    /// For file names, flags and records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Model => "model",
            Self::Map => "map",
        }
    }

    /// In words: what was done with the maps.
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "maps are combined as they are: a model with larger maps counts for more",
            Self::Model => {
                "the maps of each model are scaled so that all models have maps of the same mean size: none counts for more"
            }
            Self::Map => "each map is divided by its mean absolute value in the mask: every subject counts the same",
        }
    }

    /// The factor of each map, from the sizes of the maps and the models that made them. A map that is 0 throughout stays so.
    pub(crate) fn factors(self, maps: &[(f64, &str)]) -> (Vec<f64>, ScaleRecord) {
        let mut of = BTreeMap::<&str, Vec<f64>>::new();
        for (size, model) in maps {
            of.entry(model).or_default().push(*size);
        }
        let mean = |sizes: &[f64]| sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
        let sizes: BTreeMap<&str, f64> = of.iter().map(|(model, sizes)| (*model, mean(sizes))).collect();
        let there: Vec<f64> = sizes.values().copied().filter(|&size| size > 0.0).collect();
        let common = mean(&there);
        let factor = |(size, model): &(f64, &str)| match self {
            Self::Model if sizes[model] > 0.0 => common / sizes[model],
            Self::Map if *size > 0.0 => 1.0 / size,
            _ => 1.0,
        };
        let factors = maps.iter().map(factor).collect();
        let ratio = (there.len() > 1)
            .then(|| there.iter().copied().fold(0.0, f64::max) / there.iter().copied().fold(f64::INFINITY, f64::min));
        let sizes = sizes.into_iter().map(|(model, size)| (model.to_owned(), size)).collect();
        (factors, ScaleRecord { scale: self, sizes, ratio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_model_speaks_louder_than_another() {
        // Model b has maps six times as large as model a.
        let maps = [(1.0, "a"), (3.0, "a"), (6.0, "b"), (18.0, "b"), (0.0, "c")];
        let (factors, record) = Scale::Model.factors(&maps);
        let size = |n: usize| factors[n] * maps[n].0;
        assert_eq!((size(0) + size(1), size(0) * 3.0), (size(2) + size(3), size(1)));
        assert_eq!((size(0) + size(1)) / 2.0, 7.0, "the mean of the models' sizes, 2 and 12");
        assert_eq!((record.ratio, record.sizes["b"], factors[4]), (Some(6.0), 12.0, 1.0));
        let (factors, _) = Scale::Map.factors(&maps);
        assert_eq!(factors[..2], [1.0, 1.0 / 3.0]);
        assert_eq!(Scale::None.factors(&maps).0, [1.0; 5]);
        // One model: nothing changes, to the bit.
        assert_eq!(Scale::Model.factors(&maps[..2]).0, [1.0; 2]);
    }
}
