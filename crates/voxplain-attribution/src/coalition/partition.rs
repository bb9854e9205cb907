//! [`Partition`]: the parts that the brain of a case falls into by the regions of an atlas.

use crate::baseline::Filling;
use crate::case::Case;
use crate::regions::Regions;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use voxplain_core::Result;
use voxplain_volume::Hemisphere;

/// A region in the brain of one subject, or the brain that no region covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The label; none for the rest of the brain.
    pub(crate) id: Option<u32>,
    pub(crate) name: String,
    pub(crate) hemisphere: Option<Hemisphere>,
    /// Its voxels, in their order.
    pub(crate) voxels: Vec<usize>,
}

/// The parts that a brain falls into: every region that has a voxel in it, in order of the labels, then the rest; and what is
/// worth saying about them.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) parts: Vec<Part>,
    /// What counts as brain.
    pub(crate) brain_is: &'static str,
    /// Regions without a voxel in this brain.
    pub(crate) absent: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl Partition {
    /// The brain of a case, for a method that is named in messages.
    pub(crate) fn of(case: &Case<'_>, method: &str) -> Result<Self> {
        let regions = case.regions.ok_or_else(|| Regions::missing(method))?;
        if regions.labels.shape() != case.image.shape() {
            return Err(case.refuse(
                format!("found regions of {:?} for a volume of {:?}", regions.labels.shape(), case.image.shape()),
                "the regions must lie on the grid of the image",
            ));
        }
        let (brain, brain_is) = case.brain();
        let (mut voxels, mut rest) = (BTreeMap::<u32, Vec<usize>>::new(), Vec::new());
        let mut labelled = 0usize;
        for (n, (label, &inside)) in regions.labels.data().iter().zip(brain.data()).enumerate() {
            let is_region = regions.names.contains_key(label);
            labelled += usize::from(is_region);
            match (inside, is_region) {
                (true, true) => voxels.entry(*label).or_default().push(n),
                (true, false) => rest.push(n),
                (false, _) => {}
            }
        }
        let met = voxels.values().map(Vec::len).sum::<usize>();
        if met == 0 {
            return Err(case.refuse(
                format!("no region of {} has a voxel in {brain_is}", regions.atlas.image),
                "atlas and image must lie in one space: overlay both",
            ));
        }
        let mut warnings = Vec::new();
        if (met as f64) < 0.75 * labelled as f64 {
            warnings.push(format!(
                "Only {:.0} % of the atlas's voxels lie in {brain_is}: atlas and image are perhaps not in one space.",
                100.0 * met as f64 / labelled as f64
            ));
        }
        let name = |id: &u32| format!("{id} {:?}", regions.names[id].0);
        let absent = regions.names.keys().filter(|id| !voxels.contains_key(id)).map(name).collect();
        let part = |(id, voxels)| {
            let (name, hemisphere) = regions.names[&id].clone();
            Part { id: Some(id), name, hemisphere, voxels }
        };
        let mut parts: Vec<Part> = voxels.into_iter().map(part).collect();
        if !rest.is_empty() {
            parts.push(Part { id: None, name: format!("rest of {brain_is}"), hemisphere: None, voxels: rest });
        }
        Ok(Self { parts, brain_is, absent, warnings })
    }

    /// Takes out of an image every part that is not in `present`.
    pub(crate) fn keep(&self, present: &[bool], filling: &mut Filling, image: &mut [f32]) {
        let gone = self.parts.iter().zip(present).filter(|(_, present)| !**present);
        let mut hole: Vec<usize> = gone.flat_map(|(part, _)| &part.voxels).copied().collect();
        // One order for one hole: what is filled in must not depend on how the parts are numbered.
        hole.sort_unstable();
        filling.fill(image, &hole);
    }

    /// A map that has each part's value at all of its voxels, and 0 outside the brain.
    #[expect(clippy::cast_possible_truncation, reason = "maps are float32")]
    pub(crate) fn paint(&self, values: &[f64], voxels: usize) -> Vec<f32> {
        let mut map = vec![0.0; voxels];
        for (part, &value) in self.parts.iter().zip(values) {
            part.voxels.iter().for_each(|&n| map[n] = value as f32);
        }
        map
    }

    /// A map that shares each part's value out evenly among its voxels, and has 0 outside the brain: it sums to the sum of the values.
    pub(crate) fn share_out(&self, values: &[f64], voxels: usize) -> Vec<f32> {
        let sizes = self.parts.iter().map(|part| part.voxels.len() as f64);
        let each: Vec<f64> = values.iter().zip(sizes).map(|(value, size)| value / size).collect();
        self.paint(&each, voxels)
    }

    /// The table of the parts for a record: who they are, and columns of numbers.
    pub(crate) fn table(&self, columns: &[(&str, &[f64])]) -> Value {
        let row = |(n, part): (usize, &Part)| {
            let mut row = json!({
                "Id": part.id, "Name": part.name, "Hemisphere": part.hemisphere, "Voxels": part.voxels.len(),
            });
            columns.iter().for_each(|(name, values)| row[*name] = json!(values[n]));
            row
        };
        self.parts.iter().enumerate().map(row).collect()
    }
}
