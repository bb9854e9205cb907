//! [`Resize3d`]: a volume on another grid, by its nearest values or by trilinear interpolation.

use super::shape;
use serde::{Deserialize, Serialize};

/// A volume read at other places: `[C, i, j, k]` to `[C, size]`, channel by channel.
///
/// Along each axis, cell `o` of the output is at a place `x` of the input, by [`Alignment`]; it takes the value next to
/// it, or of two neighbours the more the nearer one is ([`Interpolation`]). Places outside the volume take its edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize3d {
    /// Voxels along `(i, j, k)` afterwards.
    pub size: [usize; 3],
    /// What is taken of the values around a place.
    pub interpolation: Interpolation,
    /// Where the cells are.
    pub alignment: Alignment,
    /// How many times as large it becomes, where that is not the ratio of the two sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 3]>,
}

/// What is taken of the values around a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The value at or before the place.
    Before,
    /// The value at or behind the place.
    Behind,
    /// The nearest value, of two as near the one before.
    NearestBefore,
    /// The nearest value, of two as near the one behind.
    NearestBehind,
    /// The straight line between the values before and behind, along each axis.
    Linear,
}

/// At which place `x` of the input cell `o` of the output is, `s` times as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alignment {
    /// Voxels are boxes that begin and end together: `x = (o + 1/2) / s - 1/2`.
    Centres,
    /// The same; but a single cell is the first.
    CentresOrFirst,
    /// The first and the last cells are at the same places: `x = o (n - 1) / (n' - 1)`.
    Corners,
    /// The first cells are at the same place: `x = o / s`.
    Starts,
}

/// What one cell of the output takes along one axis: two cells of the input and how much of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) at: [usize; 2],
    pub(crate) weight: [f64; 2],
}

impl Resize3d {
    /// Trilinear interpolation as `torch.nn.functional.interpolate` with `mode="trilinear"`.
    pub fn linear(size: [usize; 3]) -> Self {
        Self { size, interpolation: Interpolation::Linear, alignment: Alignment::Centres, scale: None }
    }

    /// Nearest values as `torch.nn.functional.interpolate` with `mode="nearest"`.
    pub fn nearest(size: [usize; 3]) -> Self {
        Self { size, interpolation: Interpolation::Before, alignment: Alignment::Starts, scale: None }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, ..] = shape::volume(input)?;
        if let Some(scale) = self.scale.filter(|scale| !scale.iter().all(|s| s.is_finite() && *s > 0.0)) {
            return Err(format!("found scales {scale:?}, expected finite numbers above 0"));
        }
        let [i, j, k] = self.size;
        Ok(vec![channels, i, j, k])
    }

    /// The place of a cell along an axis, in cells of the input, of which there are `from`.
    fn place(&self, axis: usize, cell: usize, from: usize) -> f64 {
        let (count, all) = (self.size[axis], from as f64);
        // Multiplied before it is divided: the places of whole cells are then whole numbers.
        let shrunk = |x: f64| self.scale.map_or(x * all / count as f64, |scale| x / scale[axis]);
        match self.alignment {
            Alignment::CentresOrFirst if count == 1 => 0.0,
            Alignment::Centres | Alignment::CentresOrFirst => shrunk(cell as f64 + 0.5) - 0.5,
            Alignment::Corners if count == 1 => 0.0,
            Alignment::Corners => cell as f64 * (all - 1.0) / (count as f64 - 1.0),
            Alignment::Starts => shrunk(cell as f64),
        }
    }

    /// What each cell takes along an axis of `from` cells.
    pub(crate) fn taken(&self, axis: usize, from: usize) -> impl Iterator<Item = Taken> {
        let of = *self;
        (0..of.size[axis]).map(move |cell| {
            let x = of.place(axis, cell, from);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "inside the volume")]
            let inside = |x: f64| x.clamp(0.0, (from - 1) as f64) as usize;
            let nearest = |x: f64| Taken { at: [inside(x); 2], weight: [1.0, 0.0] };
            match of.interpolation {
                Interpolation::Before => nearest(x.floor()),
                Interpolation::Behind => nearest(x.ceil()),
                Interpolation::NearestBefore => nearest((x - 0.5).ceil()),
                Interpolation::NearestBehind => nearest((x + 0.5).floor()),
                Interpolation::Linear => {
                    let (before, part) = (x.floor(), x - x.floor());
                    Taken { at: [inside(before), inside(before + 1.0)], weight: [1.0 - part, part] }
                }
            }
        })
    }

    /// Of a volume, the distance of two cells in cells of the input, and the place of the first cell; cells that take a
    /// nearest value are where their boxes are.
    pub(crate) fn cells(&self, from: [usize; 3]) -> ([f64; 3], [f64; 3]) {
        let boxes = match (self.interpolation, self.alignment) {
            (Interpolation::Before, Alignment::Starts) => Self { alignment: Alignment::Centres, ..*self },
            _ => *self,
        };
        let step = |axis: usize| match (self.alignment, self.scale) {
            (Alignment::Corners, _) if self.size[axis] > 1 => boxes.place(axis, 1, from[axis]),
            (Alignment::Corners, _) | (_, None) => from[axis] as f64 / self.size[axis] as f64,
            (_, Some(scale)) => 1.0 / scale[axis],
        };
        (std::array::from_fn(step), std::array::from_fn(|axis| boxes.place(axis, 0, from[axis])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(of: Resize3d, from: usize) -> Vec<(usize, usize, f64)> {
        of.taken(2, from).map(|taken| (taken.at[0], taken.at[1], taken.weight[1])).collect()
    }

    /// By hand: 3 cells to 6 and back.
    #[test]
    fn cells_take_what_they_take_by_hand() {
        let (twice, half) = ([1, 1, 6], [1, 1, 3]);
        let near = |size| Resize3d::nearest(size);
        assert_eq!(places(near(twice), 3).iter().map(|p| p.0).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(places(near(half), 6).iter().map(|p| p.0).collect::<Vec<_>>(), [0, 2, 4]);
        let linear = Resize3d::linear(twice);
        let expected = [(0, 0, 0.75), (0, 1, 0.25), (0, 1, 0.75), (1, 2, 0.25), (1, 2, 0.75), (2, 2, 0.25)];
        assert_eq!(places(linear, 3), expected);
        let corners = Resize3d { alignment: Alignment::Corners, ..Resize3d::linear([1, 1, 5]) };
        assert_eq!(places(corners, 3), [(0, 1, 0.0), (0, 1, 0.5), (1, 2, 0.0), (1, 2, 0.5), (2, 2, 0.0)]);
        let rounded = |interpolation| Resize3d { interpolation, alignment: Alignment::Centres, ..near(half) };
        let first = |of| places(of, 6).iter().map(|p| p.0).collect::<Vec<_>>();
        // Places 0.5, 2.5, 4.5.
        assert_eq!(first(rounded(Interpolation::NearestBefore)), [0, 2, 4]);
        assert_eq!(first(rounded(Interpolation::NearestBehind)), [1, 3, 5]);
        assert_eq!(first(rounded(Interpolation::Behind)), [1, 3, 5]);
        // Where the scale is not the ratio of the sizes: 3 cells at 0, 2.5 and 5.
        let scaled = Resize3d { scale: Some([1.0, 1.0, 0.4]), ..near(half) };
        assert_eq!(first(scaled), [0, 2, 5]);
        assert!(Resize3d { scale: Some([0.0; 3]), ..near(half) }.output_shape(&[1, 2, 2, 2]).is_err());
    }

    /// Every cell's weights sum to one, and cells of boxes lie evenly from the first to the last.
    #[test]
    fn cells_lie_where_their_boxes_are() {
        let (step, first) = Resize3d::nearest([4, 6, 1]).cells([2, 3, 5]);
        assert_eq!((step, first), ([0.5, 0.5, 5.0], [-0.25, -0.25, 2.0]));
        let corners = Resize3d { alignment: Alignment::Corners, ..Resize3d::linear([3, 5, 2]) };
        assert_eq!(corners.cells([5, 3, 2]), ([2.0, 0.5, 1.0], [0.0; 3]));
    }
}
