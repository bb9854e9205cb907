//! A [`RegionTable`] as two tables for files: a row for each person, and a row for each mean.

use super::{Hemisphere, Person, RegionTable, SideSource};
use voxplain_core::Table;
use voxplain_stats::{Interval, cell};

/// What `region` holds for the brain that no label covers: the label of background.
const UNLABELLED: u32 = 0;

/// The region's label, name and side, and where the side is known from.
fn region(id: Option<u32>, name: &str, side: Option<Hemisphere>, from: SideSource) -> [Option<String>; 4] {
    [
        Some(id.unwrap_or(UNLABELLED).to_string()),
        Some(name.to_owned()),
        side.map(|h| h.to_string()),
        Some(from.to_string()),
    ]
}

impl RegionTable {
    /// One row for each map and region, with what is known of its person. Cells are missing where that is nothing, and where a region
    /// has no voxel, which the note then says.
    pub fn people_table(&self) -> Table {
        let (columns, rows) = self.people_rows();
        Table { columns, rows: rows.collect() }
    }

    /// [`RegionTable::people_table`], row by row: all at once would take ten times the memory of what is measured.
    pub(crate) fn people_rows(&self) -> (Vec<String>, impl Iterator<Item = Vec<Option<String>>>) {
        let mut classes: Vec<&str> = Vec::new();
        for (class, _) in self.people.values().flat_map(|person| &person.probabilities) {
            if !classes.contains(&class.as_str()) {
                classes.push(class);
            }
        }
        let mut columns: Vec<String> =
            ["participant_id", "fold", "label", "predicted", "outcome"].map(Into::into).into();
        columns.extend(classes.iter().map(|class| format!("p_{class}")));
        let of_values = self.people.values().any(|person| person.error.is_some());
        columns.extend(of_values.then(|| "error".to_owned()));
        columns.extend(
            ["method", "map", "region", "name", "hemisphere", "hemisphere_from", "voxels", "volume_mm3"]
                .map(str::to_owned),
        );
        columns.extend(["mean", "sum", "share_positive", "share_negative", "enrichment"].map(str::to_owned));
        columns.extend(["density_per_mm3", "peak", "peak_x_mm", "peak_y_mm", "peak_z_mm", "note"].map(str::to_owned));
        let row = move |r: &super::RegionRow| {
            let known = r.map.subject.clone().zip(r.map.model.clone()).and_then(|key| self.people.get(&key));
            let of = |f: fn(&Person) -> String| known.map(f);
            let mut row = vec![
                r.map.subject.as_ref().map(|id| format!("sub-{id}")),
                of(|p| p.fold.to_string()),
                of(|p| p.label.clone()),
                of(|p| p.predicted.clone()),
                of(|p| p.outcome.clone()),
            ];
            row.extend(classes.iter().map(|class| {
                let (_, p) = known?.probabilities.iter().find(|(name, _)| name == class)?;
                Some(p.to_string())
            }));
            if of_values {
                row.push(known.and_then(|p| p.error).map(|e| e.to_string()));
            }
            row.extend([r.map.method.clone(), Some(r.map.map.clone())]);
            row.extend(region(r.id, &r.name, r.hemisphere, r.side_source));
            row.extend([Some(r.voxels.to_string()), Some(cell(r.volume))]);
            let values = [r.mean, Some(r.sum), r.share_positive, r.share_negative, r.enrichment, r.density];
            row.extend(values.map(|value| value.map(cell)));
            row.push(r.peak.map(|(value, _)| cell(f64::from(value))));
            row.extend((0..3).map(|a| r.peak.map(|(_, at)| cell(at[a]))));
            row.push(r.note.map(str::to_owned));
            row
        };
        (columns, self.rows.iter().map(row))
    }

    /// One row for each method and region: means over maps with their intervals, and how many maps and models there are. No row
    /// where a method has one map. Where maps are of scans, a column has the number of people.
    pub fn means_table(&self) -> Table {
        let mut columns: Vec<String> =
            ["method", "region", "name", "hemisphere", "hemisphere_from", "maps", "n", "models", "voxels"]
                .map(Into::into)
                .into();
        let scans = !self.persons.is_empty();
        if scans {
            columns.insert(columns.len() - 2, "people".to_owned());
        }
        for value in ["mean", "sum", "share_positive", "share_negative", "enrichment"] {
            columns.extend([value.to_owned(), format!("{value}_low"), format!("{value}_high")]);
        }
        columns.extend(["intraclass_mean", "intraclass_enrichment", "note"].map(str::to_owned));
        let row = |g: &super::GroupRow| {
            let n = g.mean.map_or(0, |i| i.n);
            let mut row = vec![g.method.clone()];
            row.extend(region(g.id, &g.name, g.hemisphere, g.side_source));
            row.extend([Some(g.maps.to_string()), Some(n.to_string())]);
            if scans {
                row.push(g.people.map(|n| n.to_string()));
            }
            row.push(g.mean.and_then(|i| i.models).map(|n| n.to_string()));
            row.push(Some(g.voxels.map_or_else(|| "0".to_owned(), |i| cell(i.mean))));
            for interval in [g.mean, g.sum, g.share_positive, g.share_negative, g.enrichment] {
                row.extend([
                    interval.map(|i| cell(i.mean)),
                    interval.and_then(|i| i.low).map(cell),
                    interval.and_then(|i| i.high).map(cell),
                ]);
            }
            let intraclass = |i: Option<Interval>| i.and_then(|i| i.intraclass).map(cell);
            row.extend([intraclass(g.mean), intraclass(g.enrichment)]);
            row.push(match n {
                0 => Some("no voxel in any map".to_owned()),
                n if n < g.maps => Some(format!("no voxel in {} of {} maps, which do not count", g.maps - n, g.maps)),
                _ => None,
            });
            row
        };
        Table { columns, rows: self.group.iter().map(row).collect() }
    }
}
