//! [`Unseen`]: the voxels of a field of view that cannot change what a network says.

use serde::{Deserialize, Serialize};
use std::fmt;
use voxplain_nn::Reach;
use voxplain_volume::{Grid, Mask};

/// What a network does not see of its field of view, whatever its weights: pools and strides that leave a rest at the far
/// edge leave out the voxels that lead there alone ([`Reach`]). Every map that is made from the network's gradient,
/// activations or scores is 0 there, or says nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Unseen {
    /// Voxels that cannot change an output, as a share of all voxels.
    pub share: f64,
    /// Voxels of which some ways to the output are lost, as a share of all voxels: they count for less than others.
    pub partial_share: f64,
    /// Voxels of the brain that cannot change an output, as a share of the brain; absent where no brain mask is known.
    pub share_of_brain: Option<f64>,
    /// Where whole planes of voxels at an edge cannot.
    pub edges: Vec<UnseenEdge>,
}

/// Planes of voxels at one edge of the field of view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UnseenEdge {
    /// Axis of the array, 0 to 2.
    pub axis: usize,
    /// Whether they are the last planes along the axis; otherwise the first.
    pub last: bool,
    /// How many planes.
    pub planes: usize,
    /// The side of the body: `R`, `L`, `A`, `P`, `S` or `I`. Absent where it is not known how the array lies in the world.
    pub side: Option<char>,
    /// Their thickness in mm, likewise.
    pub mm: Option<f64>,
}

impl Unseen {
    /// Of a network whose input has this reach; `grid` says how the array lies in the world, where that is known, and `brain`
    /// is a mask on it. None where the network sees all.
    pub fn of(reach: &Reach, grid: Option<&Grid>, brain: Option<&Mask>) -> Option<Self> {
        BlindVoxels::of(reach).unseen(grid, brain)
    }

    /// Of a brain, how many voxels cannot change an output, and how many there are.
    pub fn in_brain(reach: &Reach, brain: &Mask) -> [usize; 2] {
        let inside = || brain.data().iter().enumerate().filter(|(_, inside)| **inside).map(|(voxel, _)| voxel);
        [inside().filter(|&voxel| reach.is_blind(voxel)).count(), inside().count()]
    }
}

/// What [`Unseen`] needs of a network's reach, counted once: it depends on the network and the shape of its input alone.
#[derive(Debug)]
pub(crate) struct BlindVoxels {
    voxels: usize,
    /// Those that cannot change an output, ascending.
    blind: Vec<usize>,
    /// Number of those of which some ways are lost.
    partial: usize,
    edges: [[usize; 2]; 3],
}

impl BlindVoxels {
    pub(crate) fn of(reach: &Reach) -> Self {
        let voxels = reach.ways.len();
        let blind = (0..voxels).filter(|&voxel| reach.is_blind(voxel)).collect();
        Self { voxels, blind, partial: reach.partial(), edges: reach.blind_edges() }
    }

    /// On a grid, with a brain.
    pub(crate) fn unseen(&self, grid: Option<&Grid>, brain: Option<&Mask>) -> Option<Unseen> {
        let blind = self.blind.len();
        if blind + self.partial == 0 {
            return None;
        }
        let brain = brain.map(|brain| self.in_brain(brain)).filter(|[_, brain]| *brain > 0);
        let mut edges = Vec::new();
        if blind < self.voxels {
            for (axis, planes) in self.edges.into_iter().enumerate() {
                for (planes, last) in planes.into_iter().zip([false, true]).filter(|(planes, _)| *planes > 0) {
                    let side = grid.and_then(|grid| side(grid, axis, last));
                    let mm = grid.map(|grid| planes as f64 * grid.spacing()[axis]);
                    edges.push(UnseenEdge { axis, last, planes, side, mm });
                }
            }
        }
        Some(Unseen {
            share: blind as f64 / self.voxels as f64,
            partial_share: self.partial as f64 / self.voxels as f64,
            share_of_brain: brain.map(|[blind, all]| blind as f64 / all as f64),
            edges,
        })
    }

    fn in_brain(&self, brain: &Mask) -> [usize; 2] {
        [self.blind.iter().filter(|&&voxel| brain.data()[voxel]).count(), brain.count()]
    }
}

/// The side of the body that an end of an axis of a grid is at.
fn side(grid: &Grid, axis: usize, last: bool) -> Option<char> {
    let end = grid.orientation().codes().chars().nth(axis)?;
    let pairs = [('R', 'L'), ('A', 'P'), ('S', 'I')];
    let other = pairs.iter().find_map(|&(a, b)| (end == a).then_some(b).or((end == b).then_some(a)));
    if last { Some(end) } else { other }
}

impl fmt::Display for UnseenEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planes = if self.planes == 1 { "plane" } else { "planes" };
        match (self.side, self.mm) {
            (Some(side), Some(mm)) => {
                let name = match side {
                    'R' => "right",
                    'L' => "left",
                    'A' => "front",
                    'P' => "back",
                    'S' => "top",
                    _ => "bottom",
                };
                write!(f, "{mm:.1} mm at the {name} ({side}, {} {planes})", self.planes)
            }
            _ => {
                let end = if self.last { "last" } else { "first" };
                let axis = ["i", "j", "k"][self.axis.min(2)];
                write!(f, "the {end} {} {planes} along {axis}", self.planes)
            }
        }
    }
}

/// A clause without a subject: `cannot see 12 mm at the right (R, 4 planes): 7 % of the field of view, ...`.
impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| match share {
            0.0 => "0 %".to_owned(),
            ..0.0005 => "less than 0.1 %".to_owned(),
            _ => format!("{:.1} %", 100.0 * share),
        };
        if self.share > 0.0 {
            let edges: Vec<String> = self.edges.iter().map(ToString::to_string).collect();
            let where_ = match edges.split_last() {
                None => String::new(),
                Some((only, [])) => format!("{only}: "),
                Some((last, others)) => format!("{} and {last}: ", others.join(", ")),
            };
            write!(f, "cannot see {where_}{} of the field of view", percent(self.share))?;
            if let Some(share) = self.share_of_brain {
                write!(f, ", {} of the mask", percent(share))?;
            }
            if self.partial_share > 0.0 {
                write!(f, "; {} more it sees in part", percent(self.partial_share))?;
            }
            Ok(())
        } else {
            write!(f, "sees {} of the field of view in part", percent(self.partial_share))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_nn::{Network, NodeId, Op, Pool3d};
    use voxplain_volume::Affine;

    /// 5 x 4 x 7 voxels, pooled by 2: the last planes along i and k are left out.
    fn reach() -> Reach {
        let mut net = Network::new([1, 5, 4, 7]);
        net.then("pool", Op::MaxPool3d(Pool3d::new([2; 3]))).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        net.reach(NodeId(0)).unwrap()
    }

    #[test]
    fn edges_have_the_side_of_the_body_that_the_grid_says() {
        // i runs to the left, k to the back.
        let rows = [[-2.0, 0.0, 0.0, 0.0], [0.0, 0.0, -3.0, 0.0], [0.0, 1.0, 0.0, 0.0]];
        let grid = Grid::new([5, 4, 7], Affine::from_rows(rows)).unwrap();
        let brain = Mask::from_fn(grid, |[i, j, k]| i >= 3 && j == 0 && k == 0);
        let unseen = Unseen::of(&reach(), Some(&grid), Some(&brain)).unwrap();
        let sides: Vec<_> = unseen.edges.iter().map(|e| (e.axis, e.last, e.planes, e.side, e.mm)).collect();
        assert_eq!(sides, [(0, true, 1, Some('L'), Some(2.0)), (2, true, 1, Some('P'), Some(3.0))]);
        let share = 1.0 - (4 * 4 * 6) as f64 / 140.0;
        assert!((unseen.share - share).abs() < 1e-12 && unseen.partial_share == 0.0);
        assert_eq!(unseen.share_of_brain, Some(0.5));
        assert_eq!(
            unseen.to_string(),
            "cannot see 2.0 mm at the left (L, 1 plane) and 3.0 mm at the back (P, 1 plane): 31.4 % of the field of view, \
             50.0 % of the mask"
        );
        assert_eq!(
            [side(&grid, 0, false), side(&grid, 1, true), side(&grid, 2, false)],
            [Some('R'), Some('S'), Some('A')]
        );
    }

    #[test]
    fn without_a_place_in_the_world_axes_are_named() {
        let text = Unseen::of(&reach(), None, None).unwrap().to_string();
        assert!(text.starts_with("cannot see the last 1 plane along i and the last 1 plane along k: 31.4 %"), "{text}");
        let mut net = Network::new([1, 4, 4, 4]);
        net.then("flat", Op::Flatten).unwrap();
        assert_eq!(Unseen::of(&net.reach(NodeId(0)).unwrap(), None, None), None);
    }
}
