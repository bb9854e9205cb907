//! The table of clusters of a comparison.

use crate::atlas::Atlas;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use voxplain_core::{Result, Table};
use voxplain_stats::{
    inference::{Cluster, Lattice},
    significant,
};
use voxplain_volume::{Grid, Labels};

/// A cluster: voxels that hang together and are significant, or beyond the threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterRow {
    /// Its number, from 1, the largest first.
    pub number: usize,
    /// `tfce`: voxels whose corrected p of the enhanced statistic is below 0.05; `threshold`: voxels beyond the threshold.
    pub of: String,
    /// Whether the effect is below 0.
    pub below: bool,
    /// Number of voxels.
    pub voxels: usize,
    /// Their volume in mm³.
    pub volume: f64,
    /// The least corrected p in it, for `tfce`; the corrected p of its extent, for `threshold`.
    pub p: f64,
    /// The corrected p of its mass, for `threshold`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p_mass: Option<f64>,
    /// Its peaks, at least 8 mm apart, the largest first; three at most.
    pub peaks: Vec<PeakRow>,
    /// The regions that it lies in, with the share of its voxels, the largest first; empty without an atlas.
    pub regions: Vec<(String, f64)>,
}

/// A peak of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakRow {
    /// Where it is, mm.
    pub at: [f64; 3],
    /// The statistic there.
    pub statistic: f64,
}

/// How far peaks of a cluster are apart at least, mm.
const APART: f64 = 8.0;
/// How many peaks of a cluster are listed.
const PEAKS: usize = 3;

impl ClusterRow {
    pub(super) fn of(
        (number, of): (usize, &str),
        cluster: &Cluster,
        (lattice, grid): (&Lattice, &Grid),
        statistic: &[f32],
        (p, p_mass): (f64, Option<f64>),
        labels: Option<(&Atlas, &Labels)>,
    ) -> Self {
        let at = |voxel: usize| grid.affine.apply(lattice.voxel(voxel).map(|v| v as f64));
        let distance = |a: usize, b: usize| {
            let (a, b) = (at(a), at(b));
            (0..3).map(|n| (a[n] - b[n]).powi(2)).sum::<f64>().sqrt()
        };
        let peaks = cluster.peaks(lattice, statistic, &distance, APART, PEAKS);
        let mut regions = BTreeMap::<u32, usize>::new();
        if let Some((_, labels)) = labels {
            cluster.voxels.iter().for_each(|v| *regions.entry(labels.data()[lattice.voxels()[*v]]).or_default() += 1);
        }
        let mut regions: Vec<(u32, usize)> = regions.into_iter().collect();
        regions.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let named = |(id, count): (u32, usize)| {
            let unnamed = labels.is_none_or(|(atlas, _)| atlas.table.get(id).is_none());
            let name = if unnamed {
                "no label".to_owned()
            } else {
                labels.map_or_else(String::new, |(atlas, _)| atlas.name(id))
            };
            (name, count as f64 / cluster.extent() as f64)
        };
        Self {
            number,
            of: of.to_owned(),
            below: cluster.below,
            voxels: cluster.extent(),
            volume: cluster.extent() as f64 * grid.voxel_volume(),
            p,
            p_mass,
            peaks: peaks.iter().map(|peak| PeakRow { at: at(peak.voxel), statistic: f64::from(peak.value) }).collect(),
            regions: regions.into_iter().map(named).collect(),
        }
    }

    /// The regions in words, those with the largest shares.
    pub fn regions_in_words(&self, most: usize) -> String {
        let word = |(name, share): &(String, f64)| format!("{name} {:.0} %", 100.0 * share);
        self.regions.iter().take(most).map(word).collect::<Vec<_>>().join(", ")
    }
}

/// `clusters.tsv`: a row for each peak.
pub(super) fn write(path: &Path, rows: &[ClusterRow]) -> Result<()> {
    let columns =
        ["cluster", "of", "side", "voxels", "volume_mm3", "p", "p_mass", "x", "y", "z", "statistic", "regions"];
    let mut cells = Vec::new();
    for row in rows {
        for (n, peak) in row.peaks.iter().enumerate() {
            let first = |text: String| (n == 0).then_some(text);
            cells.push(vec![
                Some(row.number.to_string()),
                Some(row.of.clone()),
                Some(if row.below { "below" } else { "above" }.to_owned()),
                first(row.voxels.to_string()),
                first(significant(row.volume, 6)),
                first(significant(row.p, 4)),
                row.p_mass.map(|p| significant(p, 4)).filter(|_| n == 0),
                Some(significant(peak.at[0], 5)),
                Some(significant(peak.at[1], 5)),
                Some(significant(peak.at[2], 5)),
                Some(significant(peak.statistic, 5)),
                first(row.regions_in_words(8)).filter(|text| !text.is_empty()),
            ]);
        }
    }
    Table { columns: columns.map(String::from).to_vec(), rows: cells }.write_tsv(path)
}
