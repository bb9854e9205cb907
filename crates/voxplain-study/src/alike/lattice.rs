//! [`Lattice`]: every brain at a few hundred points, so that all pairs can be looked at in no time. It finds who may be alike; whether
//! they are is found by [`Alignment`].

use super::{
    alignment::{Alignment, Mean},
    texture::{Blocks, Texture},
};
use voxplain_volume::{Affine, Border, Grid, Volume};

/// Blocks from point to point.
const STEP: usize = 4;
/// Standard deviation (blocks) of the smoothing before points are read, so that a place between two shifts that are tried is not lost.
const SMOOTHING: f64 = 1.3;

/// Points of the grid that most brains hold.
#[derive(Debug)]
pub(super) struct Lattice {
    blocks: Blocks,
    points: Vec<[i32; 3]>,
    /// What brains have in common, at each point.
    mean: Vec<f32>,
    /// Shifts that are tried.
    shifts: Vec<[i32; 3]>,
}

/// One brain at the points: less the mean, and of length 1.
#[derive(Debug)]
pub(super) struct Readings {
    straight: Vec<f32>,
    mirrored: Vec<f32>,
}

impl Lattice {
    pub(super) fn of(mean: &Mean, blocks: Blocks) -> Self {
        let [ni, nj, nk] = blocks.shape;
        let line = |n: usize| ((n / 2) % STEP..n).step_by(STEP);
        let points = line(ni)
            .flat_map(|i| line(nj).flat_map(move |j| line(nk).map(move |k| [i, j, k])))
            .filter(|&[i, j, k]| mean.is_there((i * nj + j) * nk + k))
            .map(|p| p.map(|n| i32::try_from(n).unwrap_or_default()))
            .collect();
        let mut lattice = Self { blocks, points, mean: Vec::new(), shifts: shifts() };
        lattice.mean = lattice.read(&smoothed(mean.spread(), &blocks), Alignment::NONE);
        lattice
    }

    /// The brain at the points.
    pub(super) fn readings(&self, texture: &Texture) -> Readings {
        let smooth = smoothed(texture.spread(&self.blocks), &self.blocks);
        let at = |mirrored| self.unit(self.read(&smooth, Alignment { mirrored, shift: [0; 3] }));
        Readings { straight: at(false), mirrored: at(true) }
    }

    /// The brain at the points for every shift that is tried.
    pub(super) fn moved(&self, texture: &Texture) -> Vec<Vec<f32>> {
        let smooth = smoothed(texture.spread(&self.blocks), &self.blocks);
        self.shifts.iter().map(|&shift| self.unit(self.read(&smooth, Alignment { mirrored: false, shift }))).collect()
    }

    /// How `one` lies best on the `moved` other, mirrored and not, and how alike they are then at the points.
    pub(super) fn best(&self, one: &Readings, moved: &[Vec<f32>]) -> [(Alignment, f32); 2] {
        [false, true].map(|mirrored| {
            let of = if mirrored { &one.mirrored } else { &one.straight };
            // Here the one is mirrored, in an alignment the other: what moves it to the right then moves it to the left.
            let place = |[i, j, k]: [i32; 3]| Alignment { mirrored, shift: [if mirrored { -i } else { i }, j, k] };
            let each = moved.iter().zip(&self.shifts).map(|(other, &shift)| (place(shift), dot(of, other)));
            each.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Alignment::NONE, 0.0))
        })
    }

    fn read(&self, smooth: &[f32], alignment: Alignment) -> Vec<f32> {
        let shape = self.blocks.shape.map(|n| i32::try_from(n).unwrap_or_default());
        let value = |p: &[i32; 3]| {
            let mut q: [i32; 3] = std::array::from_fn(|a| p[a] - alignment.shift[a]);
            if alignment.mirrored {
                q[0] = shape[0] - 1 - q[0];
            }
            let inside = (0..3).all(|a| (0..shape[a]).contains(&q[a]));
            let at = (q[0] * shape[1] + q[1]) * shape[2] + q[2];
            if inside { usize::try_from(at).map_or(0.0, |at| smooth[at]) } else { 0.0 }
        };
        self.points.iter().map(value).collect()
    }

    /// Less the mean, and of length 1.
    fn unit(&self, mut of: Vec<f32>) -> Vec<f32> {
        of.iter_mut().zip(&self.mean).for_each(|(v, mean)| *v -= mean);
        let length = of.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        of.iter_mut().for_each(|v| *v /= length);
        of
    }
}

/// Of up to two blocks along each axis, and half of that along all three: none is further than 1.7 blocks from one of them.
fn shifts() -> Vec<[i32; 3]> {
    let cube = |d: &[i32]| -> Vec<[i32; 3]> {
        d.iter().flat_map(|&i| d.iter().flat_map(move |&j| d.iter().map(move |&k| [i, j, k]))).collect()
    };
    cube(&[-2, 0, 2]).into_iter().chain(cube(&[-1, 1])).collect()
}

fn smoothed(values: Vec<f32>, blocks: &Blocks) -> Vec<f32> {
    let grid = Grid::new(blocks.shape, Affine::IDENTITY);
    let volume = grid.and_then(|grid| Volume::new(grid, values.clone()));
    // The grid is that of the cohort, and has as many values.
    volume.map_or(values, |volume| volume.smooth_voxels([SMOOTHING; 3], Border::Zero).into_data())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
