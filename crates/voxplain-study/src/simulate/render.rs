//! [`Renderer`]: from the mean anatomy to the image of one person on a grid.

use super::{
    anatomy::{self, FLUID, Template},
    field::{Growth, Waves},
    region,
};
use voxplain_core::random::{Random, Seed};
use voxplain_volume::{Grid, Mask, Volume};

/// Intensity of white matter before the person's own scale.
pub(super) const WHITE: f64 = 100.0;

/// How the image of one person differs from the mean anatomy.
#[derive(Clone, Debug)]
pub(super) struct Appearance {
    is_case: bool,
    /// Linear scale of the whole brain.
    size: f64,
    /// Radians about x, y, z, then mm along x, y, z.
    pose: [f64; 6],
    /// Smooth displacements, coarse and fine.
    bend: Option<[Waves; 2]>,
    /// Exponent of the intensities: below 1, grey matter is closer to white matter.
    contrast: f64,
    /// Factor of all intensities.
    gain: f64,
    /// Logarithm of the bias field, its first component.
    bias: Option<Waves>,
    /// Standard deviation of the noise, and its seed.
    noise: Option<(f64, Seed)>,
}

impl Appearance {
    /// The mean of a class: nothing random, no noise.
    pub(super) fn mean(is_case: bool) -> Self {
        let (size, pose, contrast, gain) = (1.0, [0.0; 6], 1.0, 1.0);
        Self { is_case, size, pose, bend: None, contrast, gain, bias: None, noise: None }
    }

    /// The appearance of one person: `size` is the linear scale of the brain, `age` in years.
    pub(super) fn draw(seed: Seed, is_case: bool, size: f64, age: f64) -> Self {
        let mut random = seed.child("look").random();
        let pose = std::array::from_fn(|n| if n < 3 { 0.01 * random.normal() } else { 0.5 * random.normal() });
        let bend = [
            Waves::new(seed.child("coarse bend"), 14, [70.0, 140.0], 1.5),
            Waves::new(seed.child("fine bend"), 20, [28.0, 60.0], 0.7),
        ];
        Self {
            is_case,
            size,
            pose,
            bend: Some(bend),
            contrast: 1.0 - 0.002 * (age - 50.0) + 0.02 * random.normal(),
            gain: (0.2 * random.normal()).exp(),
            bias: Some(Waves::new(seed.child("bias"), 6, [150.0, 400.0], 0.04)),
            noise: Some((0.03 * WHITE, seed.child("noise"))),
        }
    }

    /// Position (mm) in the mean anatomy of the class of a point (mm) of this person's brain.
    fn to_anatomy(&self, p: [f64; 3]) -> [f64; 3] {
        const CENTRE: [f64; 3] = [0.0, -17.0, 8.0];
        let [a, b, c, ..] = self.pose;
        let mut q: [f64; 3] = std::array::from_fn(|n| (p[n] - self.pose[n + 3] - CENTRE[n]) / self.size);
        for (u, v, angle) in [(1, 2, a), (2, 0, b), (0, 1, c)] {
            let (s, t) = angle.sin_cos();
            (q[u], q[v]) = (t * q[u] - s * q[v], s * q[u] + t * q[v]);
        }
        let mut q: [f64; 3] = std::array::from_fn(|n| q[n] + CENTRE[n]);
        for waves in self.bend.iter().flatten() {
            let d = waves.at(q);
            q = std::array::from_fn(|n| q[n] + d[n]);
        }
        q
    }
}

/// The image of one person, with its ground truth.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    /// Intensities, 0 outside the mask.
    pub(super) volume: Volume,
    pub(super) mask: Mask,
    /// Atlas index of the region that fills most of each voxel; 0 where fluid or background does.
    pub(super) labels: Volume<u8>,
    /// Volume of each region in mm³, in the order of [`region::all`].
    pub(super) region_volumes: Vec<f64>,
    /// Volume of the mask in mm³, with the fluid in the sulci.
    pub(super) brain_volume: f64,
}

/// Renders people on one grid.
#[derive(Debug)]
pub(super) struct Renderer {
    template: &'static Template,
    /// Intensities of the cases, where they differ from the template's.
    case_intensity: Option<Vec<f32>>,
    growth: Option<Growth>,
    grid: Grid,
}

impl Renderer {
    /// In the cases, `gains` multiply the intensities of regions and `growth` changes their volumes.
    pub(super) fn new(template: &'static Template, growth: Option<Growth>, gains: Vec<(u8, f64)>, grid: Grid) -> Self {
        let gain = |label: u8| gains.iter().find(|(l, _)| *l == label).map_or(1.0, |(_, f)| *f) as f32;
        let case_intensity = (!gains.is_empty())
            .then(|| template.intensity.iter().zip(&template.labels).map(|(v, &l)| v * gain(l)).collect());
        Self { template, case_intensity, growth, grid }
    }

    /// Renders one person. A voxel is the mean of points in it that are at most 1.4 mm apart: this gives partial volumes.
    pub(super) fn render(&self, appearance: &Appearance) -> Rendered {
        let grid = self.grid;
        let spacing = grid.spacing();
        let fine = spacing.map(|s| (s / 1.4).ceil().max(1.0) as usize);
        let positions = self.positions(appearance);
        let intensity =
            if appearance.is_case { self.case_intensity.as_ref() } else { None }.unwrap_or(&self.template.intensity);
        let growth = self.growth.as_ref().filter(|_| appearance.is_case);
        let count = fine.iter().product::<usize>();
        let point_volume = grid.voxel_volume() / count as f64;
        let regions = region::all().len();
        let mut volumes = vec![0.0; regions + 1];
        let mut values = vec![0f32; grid.len()];
        let mut inside = vec![false; grid.len()];
        let mut labels = vec![0u8; grid.len()];
        let noise = appearance.noise.map(|(sd, seed)| (sd, seed.value()));
        for n in 0..grid.len() {
            let voxel = grid.voxel(n);
            let mut votes = [0usize; 256];
            let (mut sum, mut hits) = (0.0, 0);
            for c in 0..count {
                let part = [c / (fine[1] * fine[2]), c / fine[2] % fine[1], c % fine[2]];
                let offset = std::array::from_fn(|a| (part[a] as f64 + 0.5) / fine[a] as f64 - 0.5);
                let mut q = positions.at(voxel, offset);
                // Growth bends within a few millimetres, so that it is looked up for every point.
                if let Some(growth) = growth {
                    let p = growth.at(std::array::from_fn(|a| f64::from(q[a]) + anatomy::ORIGIN[a]));
                    q = std::array::from_fn(|a| (p[a] - anatomy::ORIGIN[a]) as f32);
                }
                let Some(at) = nearest(q) else { continue };
                let label = self.template.labels[at];
                sum += trilinear(intensity, q);
                votes[usize::from(label)] += 1;
                hits += usize::from(label != 0);
            }
            for (region, volume) in volumes.iter_mut().enumerate().skip(1) {
                *volume += votes[region] as f64 * point_volume;
            }
            if hits * 2 < count {
                continue;
            }
            inside[n] = true;
            votes[0] += count - hits;
            votes[0] += std::mem::take(&mut votes[usize::from(FLUID)]);
            let most = (0..=regions).max_by_key(|l| (votes[*l], regions - l)).unwrap_or(0);
            labels[n] = most as u8;
            let mut value = WHITE * (sum / count as f64).max(0.0).powf(appearance.contrast) * appearance.gain;
            if let Some(bias) = &appearance.bias {
                value *= bias.at(grid.affine.apply(voxel.map(|v| v as f64)))[0].exp();
            }
            if let Some((sd, seed)) = noise {
                // Magnitude of a complex signal with noise in both parts; a stream per voxel, so order is free.
                let mut random = Random::at(seed, n as u64, 0);
                let sd = sd * appearance.gain;
                value = (value + sd * random.normal()).hypot(sd * random.normal());
            }
            values[n] = value as f32;
        }
        let count = inside.iter().filter(|&&m| m).count();
        let on_grid = "as many values as voxels";
        Rendered {
            volume: Volume::new(grid, values).expect(on_grid),
            mask: Volume::new(grid, inside).expect(on_grid),
            labels: Volume::new(grid, labels).expect(on_grid),
            region_volumes: volumes.split_off(1),
            brain_volume: count as f64 * grid.voxel_volume(),
        }
    }

    /// Positions in the template of the centres of the voxels, and of a border one voxel wide.
    fn positions(&self, appearance: &Appearance) -> Positions {
        let shape = self.grid.shape.map(|n| n + 2);
        let mut to = Vec::with_capacity(shape.iter().product());
        for i in 0..shape[0] {
            for j in 0..shape[1] {
                for k in 0..shape[2] {
                    let p = self.grid.affine.apply([i, j, k].map(|v| v as f64 - 1.0));
                    let q = appearance.to_anatomy(p);
                    to.push(std::array::from_fn(|a| (q[a] - anatomy::ORIGIN[a]) as f32));
                }
            }
        }
        Positions { shape, to }
    }
}

/// Positions in the template (in its voxels) of the voxels of the padded grid.
struct Positions {
    shape: [usize; 3],
    to: Vec<[f32; 3]>,
}

impl Positions {
    /// Position in the template of a point `offset` voxels (each within half a voxel) from a voxel's centre.
    fn at(&self, voxel: [usize; 3], offset: [f64; 3]) -> [f32; 3] {
        let low: [usize; 3] = std::array::from_fn(|a| voxel[a] + usize::from(offset[a] >= 0.0));
        let t = offset.map(|o| (if o < 0.0 { o + 1.0 } else { o }) as f32);
        let mut q = [0f32; 3];
        for c in 0..8 {
            let bit: [usize; 3] = std::array::from_fn(|a| c >> a & 1);
            let w: f32 = (0..3).map(|a| if bit[a] == 1 { t[a] } else { 1.0 - t[a] }).product();
            let at = &self.to[((low[0] + bit[0]) * self.shape[1] + low[1] + bit[1]) * self.shape[2] + low[2] + bit[2]];
            for a in 0..3 {
                q[a] += w * at[a];
            }
        }
        q
    }
}

/// The template voxel nearest to a position in its voxels, if there is one.
fn nearest(q: [f32; 3]) -> Option<usize> {
    let r = q.map(f32::round);
    let inside = (0..3).all(|a| r[a] >= 0.0 && r[a] < anatomy::SHAPE[a] as f32);
    inside.then(|| anatomy::at(r[0] as usize, r[1] as usize, r[2] as usize))
}

/// Template values between its voxels; the edge goes on outside.
fn trilinear(values: &[f32], q: [f32; 3]) -> f64 {
    let low: [usize; 3] = std::array::from_fn(|a| (q[a].max(0.0) as usize).min(anatomy::SHAPE[a] - 2));
    let t: [f32; 3] = std::array::from_fn(|a| (q[a] - low[a] as f32).clamp(0.0, 1.0));
    let mut sum = 0f32;
    for c in 0..8 {
        let bit: [usize; 3] = std::array::from_fn(|a| c >> a & 1);
        let w: f32 = (0..3).map(|a| if bit[a] == 1 { t[a] } else { 1.0 - t[a] }).product();
        sum += w * values[anatomy::at(low[0] + bit[0], low[1] + bit[1], low[2] + bit[2])];
    }
    f64::from(sum)
}
