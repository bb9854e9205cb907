//! [`Unseen`]: the voxels of a field of view that cannot change what a network says.

use serde::{Deserialize, Serialize};
use std::fmt;
use voxplain_nn::Reach;
use voxplain_volume::{Grid, Mask};

/// What a network does not see of its field of view, whatever its weights: pools and strides that leave a rest at the far
/// edge leave out the voxels that lead there alone ([`Reach`]), and strides longer than the kernel, or with a dilated one, leave out
/// voxels between others. Every map that is made from the network's gradient,
/// activations or scores is 0 there, or says nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Unseen {
    /// Voxels that cannot change an output, as a share of all voxels.
    pub share: f64,
    /// Voxels of which some ways to the output are lost, as a share of all voxels: they count for less than others.
    pub partial_share: f64,
    /// Voxels of the mask that cannot change an output, as a share of the mask; absent where none is known. Files of older versions
    /// say `ShareOfBrain`.
    #[serde(alias = "ShareOfBrain")]
    pub share_of_mask: Option<f64>,
    /// Whether the masks are those of whole heads, of which no mask was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_heads: bool,
    /// Voxels that cannot change an output and lie among those that can, beside whole planes at the edges, as a share of all voxels.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub share_among_seen: f64,
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

/// A share of the brain that a network cannot see that is no rim any more.
const MUCH: f64 = 0.05;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl Unseen {
    /// Whether much of the brain is not seen: more than 5 % of it, or, where no brain mask is known, of what lies among the voxels
    /// that are seen. A rim, as pools leave on most grids, is less.
    pub fn is_much(&self) -> bool {
        self.share_of_mask.unwrap_or(self.share_among_seen) > MUCH
    }

    /// What [`Unseen::share_of_mask`] is a share of.
    const fn whose(&self) -> &'static str {
        if self.of_heads { "the head" } else { "the mask" }
    }

    /// A sentence for the reader of a map, where much is not seen ([`Unseen::is_much`]). It is the same for all brains on one grid: how
    /// much of each is [`Unseen::share_of_mask`].
    pub fn warning(&self) -> Option<String> {
        let of_brain = self
            .share_of_mask
            .map_or_else(String::new, |_| format!(", which is more than {} % of {}", 100.0 * MUCH, self.whose()));
        let place = Self { share_of_mask: None, ..self.clone() };
        self.is_much().then(|| format!("The network {place}. The map says nothing there{of_brain}."))
    }

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
    shape: [usize; 3],
    edges: [[usize; 2]; 3],
}

impl BlindVoxels {
    pub(crate) fn of(reach: &Reach) -> Self {
        let voxels = reach.ways.len();
        let blind = (0..voxels).filter(|&voxel| reach.is_blind(voxel)).collect();
        Self { voxels, blind, partial: reach.partial(), shape: reach.shape, edges: reach.blind_edges() }
    }

    /// On a grid, with a brain.
    pub(crate) fn unseen(&self, grid: Option<&Grid>, brain: Option<&Mask>) -> Option<Unseen> {
        let blind = self.blind.len();
        if blind + self.partial == 0 {
            return None;
        }
        let brain = brain.map(|brain| self.in_brain(brain)).filter(|[_, brain]| *brain > 0);
        let (mut edges, mut among) = (Vec::new(), 0);
        if blind < self.voxels {
            // Of the box that edges leave.
            let kept = self.shape.iter().zip(self.edges).map(|(n, [first, last])| n - first - last).product::<usize>();
            among = blind - (self.voxels - kept);
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
            share_of_mask: brain.map(|[blind, all]| blind as f64 / all as f64),
            of_heads: false,
            share_among_seen: among as f64 / self.voxels as f64,
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

/// A clause without a subject: `cannot see 12 mm at the right (R, 4 planes): 7 % of the field of view, ...`. Where it leaves out
/// voxels between others: `cannot see ...: 7 % of the field of view, nor 78 % of it among the voxels that it sees: 85 % in all, ...`.
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
            let among = self.share_among_seen;
            match &edges[..] {
                _ if among == 0.0 => write!(f, "cannot see {where_}{} of the field of view", percent(self.share))?,
                [] => write!(f, "cannot see {} of the field of view, among the voxels that it sees", percent(among))?,
                _ => write!(
                    f,
                    "cannot see {where_}{} of the field of view, nor {} of it among the voxels that it sees: {} in all",
                    percent(self.share - among),
                    percent(among),
                    percent(self.share)
                )?,
            }
            if let Some(share) = self.share_of_mask {
                write!(f, ", {} of {}", percent(share), self.whose())?;
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
    use voxplain_nn::{Conv3d, Network, NodeId, Op, Pool3d};
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
        assert_eq!(unseen.share_of_mask, Some(0.5));
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

    /// A convolution that is shorter than its stride, or that a stride takes apart, leaves out voxels between others.
    #[test]
    fn voxels_between_others_are_told_apart_from_those_at_the_edges() {
        let strided = |shape: [usize; 3], kernel: usize, stride: usize, dilation: usize| {
            let [i, j, k] = shape;
            let mut net = Network::new([1, i, j, k]);
            let conv = Conv3d { stride: [stride; 3], dilation: [dilation; 3], ..Conv3d::new(1, 1, [kernel; 3]) };
            net.then("conv", Op::Conv3d(conv)).unwrap();
            net.then("mean", Op::GlobalAvgPool).unwrap();
            net.reach(NodeId(0)).unwrap()
        };
        // Every second voxel of 4 x 4 x 4, from the first on: the last plane of each axis is at an edge. 8 of 64 are seen, within 27.
        let reach = strided([4; 3], 1, 2, 1);
        let grid = Grid::new([4; 3], Affine::from_spacing_origin([2.0; 3], [0.0; 3])).unwrap();
        let unseen = Unseen::of(&reach, Some(&grid), None).unwrap();
        assert_eq!((unseen.share, unseen.share_among_seen), (56.0 / 64.0, 19.0 / 64.0));
        assert!(unseen.is_much());
        let one = Unseen::of(&reach, Some(&grid), Some(&Mask::filled(grid, true))).unwrap().warning().unwrap();
        let seen = Mask::from_fn(grid, |v| v[0] % 2 == 0 && v[1] % 2 == 0 && (v[2] < 3));
        let other = Unseen::of(&reach, Some(&grid), Some(&seen)).unwrap();
        assert_eq!(other.share_of_mask, Some(4.0 / 12.0));
        assert_eq!(other.warning().as_ref(), Some(&one));
        assert!(
            one.ends_with("87.5 % in all. The map says nothing there, which is more than 5 % of the mask."),
            "{one}"
        );
        let text = unseen.to_string();
        assert!(
            text.starts_with("cannot see 2.0 mm at the right (R, 1 plane), 2.0 mm at the front (A, 1 plane) and")
                && text.ends_with(
                    "57.8 % of the field of view, nor 29.7 % of it among the voxels that it sees: 87.5 % in all"
                ),
            "{text}"
        );
        // No edge is left out of 5 x 5 x 5.
        let all = Unseen::of(&strided([5; 3], 1, 2, 1), None, None).unwrap();
        assert!((all.share - 98.0 / 125.0).abs() < 1e-12 && all.edges.is_empty());
        assert_eq!(all.to_string(), "cannot see 78.4 % of the field of view, among the voxels that it sees");
        // Taps at 0, 2, 4, ... of a dilated kernel whose stride is even never meet the odd ones.
        assert_eq!(Unseen::of(&strided([7; 3], 3, 2, 2), None, None).unwrap().share_among_seen, (343.0 - 64.0) / 343.0);
        // A rim alone.
        let rim = Unseen::of(&self::reach(), None, None).unwrap();
        assert!(rim.share_among_seen == 0.0 && !rim.is_much());
        assert!(!serde_json::to_string(&rim).unwrap().contains("Among"));
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
