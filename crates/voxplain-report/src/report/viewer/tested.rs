//! [`TestedMaps`]: a comparison at every voxel as a scene of the viewer.

use super::index::{Caption, Encoded, MapValues};
use crate::{figure::Underlay, report::element::read_map};
use std::path::{Path, PathBuf};
use voxplain_core::Result;
use voxplain_stats::LEVEL;
use voxplain_study::compare::CompareSummary;
use voxplain_volume::Labels;

/// The statistic of a comparison: at every voxel, where it is significant, and 1 - p, whose threshold is one of corrected p.
#[derive(Clone, Debug)]
pub(in crate::report) struct TestedMaps {
    folder: PathBuf,
    summary: CompareSummary,
}

impl TestedMaps {
    /// Of a comparison of voxels; none of one of regions.
    pub(in crate::report) fn new(folder: &Path, summary: &CompareSummary) -> Option<Self> {
        summary.regions.is_none().then(|| Self { folder: folder.to_owned(), summary: summary.clone() })
    }

    /// What its scene is known by.
    pub(in crate::report) fn key(name: &str) -> String {
        format!("test-{name}")
    }

    /// The name of its folder: two comparisons of one term differ in it.
    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn is_f(&self) -> bool {
        self.summary.statistic.starts_with('F')
    }

    /// Names of the maps: as the viewer lists them, in place of methods.
    fn names(&self) -> [String; 3] {
        let (name, letter) = (self.name(), if self.is_f() { "F" } else { "t" });
        [
            format!("{name}: {letter} where p < 0.05, corrected"),
            format!("{name}: {letter} at every voxel"),
            format!("{name}: 1 - p, corrected"),
        ]
    }

    /// Files of the statistic and of 1 - p.
    fn both(&self) -> [PathBuf; 2] {
        let stat = if self.is_f() { "fstat1" } else { "tstat1" };
        ["", "tfce_corrp_"].map(|what| self.folder.join(format!("{}_{what}{stat}.nii.gz", self.summary.name)))
    }

    /// Whether a voxel is significant.
    fn any(&self) -> bool {
        self.summary.found.iter().any(|found| found.by == "tfce" && found.below_005 > 0)
    }

    /// The file that each map of the scene comes from.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let [statistic, corrected] = self.both();
        let thresholded = self.any().then(|| statistic.clone());
        thresholded.into_iter().chain([statistic, corrected]).collect()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (String, MapValues)> + use<> {
        let of = |units: &str, sign: &str| MapValues { units: units.into(), sign: sign.into() };
        let effect = &self.summary.effect;
        let said = [
            of(&self.summary.statistic, effect),
            of(&self.summary.statistic, effect),
            of("1 - p, family-wise corrected, after threshold-free cluster enhancement", "above 0.95: p < 0.05"),
        ];
        self.names().into_iter().zip(said)
    }

    pub(super) fn caption(&self) -> Caption {
        let tested = if self.summary.tested == "1" { "the mean" } else { &self.summary.tested };
        let of = self.summary.method.as_deref().unwrap_or("volumes");
        Caption {
            key: Self::key(&self.name()),
            title: format!("test of {tested}, {of} (n = {})", self.summary.subjects.len()),
            about: self.summary.summary.iter().take(2).cloned().collect::<Vec<_>>().join(" "),
            group: true,
            space: self.summary.space.clone(),
        }
    }

    /// The scene; nothing where the mean brain lies on another grid.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub(super) fn scene(&self, underlay: &Underlay, labels: &[Option<Labels>]) -> Result<Option<Encoded>> {
        let [statistic, corrected] = self.both().map(|file| read_map(&file));
        let (statistic, corrected) = (statistic?, corrected?);
        if !underlay.grid().same_space(statistic.grid(), 1e-3) {
            return Ok(None);
        }
        let mut shown = statistic.clone();
        for (value, p) in shown.data_mut().iter_mut().zip(corrected.data()) {
            if f64::from(*p) <= 1.0 - LEVEL {
                *value = 0.0;
            }
        }
        let [significant, all, one_less] = self.names();
        // What is significant comes first, where something is.
        let maps = if self.any() {
            vec![(significant, shown), (all, statistic), (one_less, corrected)]
        } else {
            vec![(all, statistic), (one_less, corrected)]
        };
        Encoded::new(self.caption(), underlay, &maps, labels).map(Some)
    }
}
