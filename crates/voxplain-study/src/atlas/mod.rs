//! Atlases: label images with their tables, and what a map does in each region.
//!
//! A label image lies in some world, and so does a map. They are brought together by their affines alone: every
//! label is looked up where the map's voxel *is*, never by index or by stretching one array onto the other. That
//! both worlds are the same (the subject's scanner space, or one template's) is an assumption that no program can
//! check; it is stated in the findings, and a poor overlap is warned of.

mod columns;
mod regions;
mod table;

pub use regions::{GroupRow, MapName, Person, RegionRow, RegionTable};
pub use table::{LabelTable, Region};
pub use voxplain_volume::{Hemisphere, SideSource};

use crate::listed::{counted, does, have, listed};
use crate::setting::ALLOW_MISMATCH;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};
use voxplain_attribution::Regions;
use voxplain_core::{Error, Result, remedy};
use voxplain_volume::{Finding, Grid, Labels, Level, read_labels};

/// A label image with its table, checked against each other.
#[derive(Clone, Debug)]
pub struct Atlas {
    /// The image's file.
    pub path: PathBuf,
    /// The labels on their own grid.
    pub labels: Labels,
    /// What the numbers mean.
    pub table: LabelTable,
    /// What is odd about image and table.
    pub findings: Vec<Finding>,
    sides: BTreeMap<u32, (Option<Hemisphere>, SideSource)>,
    /// Labels of small regions that the image has no voxel of.
    lost: BTreeSet<u32>,
}

/// Where the voxels of one label lie along x.
#[derive(Clone, Copy, Debug, Default)]
struct Lateral {
    voxels: usize,
    sum_x: f64,
}

/// Share of the voxels that must lie on one side for a region to be called left or right by geometry.
/// Our choice: medial regions of one hemisphere reach over x = 0 by a voxel or two (0.75 to 0.9 in common atlases).
const ONE_SIDED: f64 = 0.7;

/// Volume of a voxel in mm³ from which on the last region may have been lost too. Our choice: 4 mm.
const COARSE: f64 = 64.0;

impl Atlas {
    /// Reads a label image and its table and checks that they belong together.
    ///
    /// `allow_mismatch` turns the refusals of [`Atlas::new`] into findings.
    ///
    /// # Errors
    /// Unreadable files; an image that is not of whole numbers; [`Atlas::new`].
    pub fn open(image: &Path, table: &Path, allow_mismatch: bool) -> Result<Self> {
        let table = LabelTable::read(table)?;
        let (labels, findings) = read_labels(image)?;
        Self::new(image, labels, table, findings, allow_mismatch)
    }

    /// An atlas from its parts. `path` names the image in messages, `findings` are those of reading it.
    ///
    /// # Errors
    /// Unless `allow_mismatch`: labels without a row; rows without voxels, where they tell of another image; regions whose voxels lie on
    /// the other side than their name says. And always: no label at all.
    ///
    /// Of rows without voxels the table itself may say so, in a column `voxels`: they are regions that a coarse grid lost, rows with 0
    /// voxels. Else, a table with gaps in its numbers is a register, of which an image may use any part. A table that numbers its rows without a
    /// gap lists the labels of one image. Where up to a tenth of its rows (or one) have no voxel, and their numbers are below the
    /// image's largest label (with voxels of 4 mm or more, the last number may be lost too, unless the table has names only), small regions were lost to a coarse grid: they are
    /// rows with 0 voxels, and said. Else the image has fewer labels than the table, which then is that of another image.
    pub fn new(
        path: &Path,
        labels: Labels,
        table: LabelTable,
        mut findings: Vec<Finding>,
        allow_mismatch: bool,
    ) -> Result<Self> {
        findings.extend(table.findings.iter().cloned());
        let places = lateral(&labels);
        if places.is_empty() {
            return Err(Error::file(path, "holds no label: every voxel is 0", "give the label image of the atlas"));
        }
        let mut refusals: Vec<String> = Vec::new();

        let unnamed: Vec<u32> =
            places.keys().copied().filter(|id| table.get(*id).is_none() && !table.nameless.contains(id)).collect();
        if !unnamed.is_empty() {
            refusals.push(format!("{} of its {} labels have no row: {}", unnamed.len(), places.len(), list(&unnamed)));
        }
        let nameless: Vec<u32> = table.nameless.iter().copied().filter(|id| places.contains_key(id)).collect();
        if !nameless.is_empty() {
            findings.push(Finding {
                id: "labels-without-name",
                level: Level::Note,
                what: format!("the table gives no name to labels {}", list(&nameless)),
                remedy: "their voxels are counted as unlabelled".into(),
            });
        }
        // Those of which the table itself says so, and those that are judged.
        let (mut lost, silent): (Vec<&Region>, Vec<&Region>) =
            table.regions.iter().filter(|r| !places.contains_key(&r.id)).partition(|r| table.empty.contains(&r.id));
        let words = |of: &[&Region]| list(&of.iter().map(|r| format!("{} {:?}", r.id, r.name)).collect::<Vec<_>>());
        if !lost.is_empty() {
            findings.push(Finding {
                id: "regions-lost",
                level: Level::Note,
                what: format!("regions without a voxel, as the table itself says: {}", words(&lost)),
                remedy: "they are rows with 0 voxels".into(),
            });
        }
        if !silent.is_empty() {
            let mut what = format!(
                "{} of the table's {} {} no voxel: {}",
                silent.len(),
                counted(table.regions.len(), "row"),
                have(silent.len()),
                words(&silent)
            );
            let largest = places.keys().next_back().copied().unwrap_or(0);
            let beyond = silent.iter().filter(|r| r.id > largest).count();
            // Of names that are counted, one too many is more likely a header than a region that was lost.
            let coarse = labels.grid().voxel_volume() >= COARSE && table.first_of_names.is_none();
            if let Some(first) = table.first_of_names.as_ref().filter(|_| beyond > 0) {
                let _ = write!(
                    what,
                    " (the table has no ids, and its names are counted from {first:?} on: if that is a header, leave it out)"
                );
            }
            // A general table of many more labels than any image has (FreeSurfer's).
            let register = !table.is_consecutive() || table.regions.len() > 256.max(10 * places.len());
            let few = silent.len() <= (table.regions.len() / 10).max(1);
            if !register && few && (beyond == 0 || beyond == 1 && coarse) {
                lost.extend(silent);
                findings.push(Finding {
                    id: "regions-lost",
                    level: Level::Note,
                    what,
                    remedy: "small regions get lost on coarse grids: they are rows with 0 voxels".into(),
                });
            } else if !register {
                refusals.push(what);
            } else {
                findings.push(Finding {
                    id: "rows-without-voxels",
                    level: Level::Note,
                    what,
                    remedy:
                        "the table's numbers have gaps, or are many more than the image's, so it is taken as a register of which \
                         this image uses a part"
                            .into(),
                });
            }
        }
        let absent =
            table.nameless.iter().filter(|id| **id > 0 && !places.contains_key(id)).copied().collect::<Vec<_>>();
        if !absent.is_empty() {
            findings.push(Finding {
                id: "null-row",
                level: Level::Note,
                what: format!("the table lists {} without a name, and no voxel holds it", list(&absent)),
                remedy: "nothing to do: the label is not used".into(),
            });
        }
        let (mut sides, wrong, astride) = sides(&places, &table, &labels);
        for region in &lost {
            let source = region.hemisphere.map_or(SideSource::Unknown, |_| SideSource::Table);
            sides.insert(region.id, (region.hemisphere, source));
        }
        if !wrong.is_empty() {
            let named = table.regions.iter().filter(|r| is_lateral(r.hemisphere) && places.contains_key(&r.id)).count();
            refusals.push(format!(
                "{} of {} named left or right {} on the other side: {}",
                wrong.len(),
                counted(named, "region"),
                does(wrong.len(), "lies", "lie"),
                list(&wrong)
            ));
        }
        if !astride.is_empty() {
            findings.push(Finding {
                id: "side-not-seen",
                level: Level::Warning,
                what: format!(
                    "{} named left or right {} as much on the other side: {}",
                    counted(astride.len(), "region"),
                    does(astride.len(), "lies", "lie"),
                    list(&astride)
                ),
                remedy: "the table may be of another version of the atlas; check it".into(),
            });
        }
        if !refusals.is_empty() && !allow_mismatch {
            return Err(Error::file(
                path,
                format!("the label image and its table do not match: {}", refusals.join("; ")),
                remedy![
                    "use the table that belongs to this image; ",
                    ALLOW_MISMATCH,
                    " goes on with a warning, names may then be wrong"
                ],
            ));
        }
        findings.extend(refusals.into_iter().map(|what| Finding {
            id: "table-mismatch",
            level: Level::Warning,
            what,
            remedy: "names may be wrong: use the table that belongs to this image".into(),
        }));
        let lost = lost.iter().map(|region| region.id).collect();
        Ok(Self { path: path.to_owned(), labels, table, findings, sides, lost })
    }

    /// The side of a region and where it is known from.
    pub fn side(&self, id: u32) -> (Option<Hemisphere>, SideSource) {
        self.sides.get(&id).copied().unwrap_or((None, SideSource::Unknown))
    }

    /// Whether the image has a voxel of a region, or it is one of those that its coarse grid lost.
    fn has_voxels(&self, id: u32) -> bool {
        !self.lost.contains(&id)
    }

    /// The regions as methods of attribution take them, on the grid of an image ([`Atlas::on_grid`]).
    ///
    /// # Errors
    /// Those of [`Atlas::on_grid`].
    pub fn regions(&self, grid: &Grid) -> Result<Regions> {
        let names = self.ids().map(|id| (id, (self.name(id), self.side(id).0))).collect();
        Ok(Regions::new(self.on_grid(grid)?, names, self.path.display().to_string()))
    }

    /// The labels at the voxels of a map's grid, looked up by the affines of both, the majority in each voxel
    /// (`resample_majority`); exactly the labels themselves on the same grid.
    ///
    /// # Errors
    /// The atlas has its corner at the world's origin, which is what files without a place look like, and the map's
    /// grid is not the same; or its field of view does not meet the map's.
    pub fn on_grid(&self, grid: &Grid) -> Result<Labels> {
        let own = self.labels.grid();
        if own.same_space(grid, 1e-3) {
            return Ok(self.labels.clone());
        }
        if own.affine.origin().iter().all(|x| x.abs() < 1e-6) {
            return Err(Error::file(
                &self.path,
                "its affine puts voxel (0, 0, 0) at 0, 0, 0 mm: the image says where nothing is, so its labels cannot \
                 be placed on the map",
                "give the atlas with the affine of its template (the true origin of MNI images is near ±90, -126, -72 mm)",
            ));
        }
        if !overlaps(own, grid) {
            let (a, b) = (own.center(), grid.center());
            return Err(Error::file(
                &self.path,
                format!(
                    "its field of view, centred on {:.0}, {:.0}, {:.0} mm, does not meet the map's, centred on {:.0}, {:.0}, \
                     {:.0} mm",
                    a[0], a[1], a[2], b[0], b[1], b[2]
                ),
                "atlas and map must lie in one space: bring the atlas to the subject's space, or the subjects to the atlas's",
            ));
        }
        Ok(self.labels.resample_majority(grid, 0))
    }
}

fn is_lateral(side: Option<Hemisphere>) -> bool {
    matches!(side, Some(Hemisphere::Left | Hemisphere::Right))
}

/// At most eight, then how many more.
fn list<T: std::fmt::Display>(items: &[T]) -> String {
    listed(items, 8)
}

fn lateral(labels: &Labels) -> BTreeMap<u32, Lateral> {
    let grid = labels.grid();
    let mut places: BTreeMap<u32, Lateral> = BTreeMap::new();
    for (n, &id) in labels.data().iter().enumerate() {
        if id > 0 {
            let place = places.entry(id).or_default();
            place.voxels += 1;
            place.sum_x += grid.affine.apply(grid.voxel(n).map(|v| v as f64))[0];
        }
    }
    places
}

type Sides = BTreeMap<u32, (Option<Hemisphere>, SideSource)>;

/// The side of every label, those whose voxels lie on the other side than the table says, and those that lie astride.
///
/// The midline is half way between the centroids of all that is named left and all that is named right, so that it is
/// found in a subject's own space too. Without such names it is x = 0, and only if the labels as a whole are centred
/// there within 5 mm; otherwise geometry says nothing.
fn sides(places: &BTreeMap<u32, Lateral>, table: &LabelTable, labels: &Labels) -> (Sides, Vec<String>, Vec<String>) {
    let mean = |wanted: Option<Hemisphere>| {
        let (mut voxels, mut sum) = (0usize, 0.0);
        for (id, place) in places {
            if wanted.is_none() || table.get(*id).and_then(|r| r.hemisphere) == wanted {
                voxels += place.voxels;
                sum += place.sum_x;
            }
        }
        (voxels > 0).then(|| sum / voxels as f64)
    };
    let midline = match (mean(Some(Hemisphere::Left)), mean(Some(Hemisphere::Right))) {
        (Some(l), Some(r)) => Some(f64::midpoint(l, r)),
        _ => mean(None).filter(|x| x.abs() < 5.0).map(|_| 0.0),
    };
    let mut left: BTreeMap<u32, [usize; 2]> = BTreeMap::new();
    if let Some(midline) = midline {
        let grid = labels.grid();
        for (n, &id) in labels.data().iter().enumerate().filter(|(_, id)| **id > 0) {
            let x = grid.affine.apply(grid.voxel(n).map(|v| v as f64))[0] - midline;
            let counts = left.entry(id).or_default();
            counts[0] += usize::from(x < -1e-6);
            counts[1] += usize::from(x > 1e-6);
        }
    }
    let (mut sides, mut wrong, mut astride) = (Sides::new(), Vec::new(), Vec::new());
    for id in places.keys() {
        let region = table.get(*id);
        let named = region.and_then(|r| r.hemisphere);
        let seen = left.get(id).filter(|[l, r]| l + r > 0).map(|&[l, r]| {
            let share = l as f64 / (l + r) as f64;
            match share {
                s if s >= ONE_SIDED => Hemisphere::Left,
                s if s <= 1.0 - ONE_SIDED => Hemisphere::Right,
                _ => Hemisphere::Both,
            }
        });
        let side = match (named, seen) {
            (Some(Hemisphere::Left), Some(Hemisphere::Right)) | (Some(Hemisphere::Right), Some(Hemisphere::Left)) => {
                wrong.push(format!("{id} {:?}", region.map_or("", |r| &r.name)));
                (seen, SideSource::Geometry)
            }
            (Some(Hemisphere::Left | Hemisphere::Right), Some(Hemisphere::Both)) => {
                astride.push(format!("{id} {:?}", region.map_or("", |r| &r.name)));
                (named, SideSource::Table)
            }
            (Some(_), _) => (named, SideSource::Table),
            (None, Some(_)) => (seen, SideSource::Geometry),
            (None, None) => (None, SideSource::Unknown),
        };
        sides.insert(*id, side);
    }
    (sides, wrong, astride)
}

/// Whether the boxes of two grids meet in the world (judged by their axis-aligned hulls).
fn overlaps(a: &Grid, b: &Grid) -> bool {
    let hull = |g: &Grid| {
        let mut hull = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
        for corner in 0..8 {
            let at = std::array::from_fn(|r| if corner >> r & 1 == 1 { g.shape[r] as f64 - 0.5 } else { -0.5 });
            for (side, x) in hull.iter_mut().zip(g.affine.apply(at)) {
                *side = [side[0].min(x), side[1].max(x)];
            }
        }
        hull
    };
    hull(a).iter().zip(hull(b)).all(|(p, q)| p[0] < q[1] && q[0] < p[1])
}
