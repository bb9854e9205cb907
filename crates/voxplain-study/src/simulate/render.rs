//! [`Renderer`]: from the mean anatomy to one person's volume on a grid.

use super::{
    anatomy::{self, FLUID, Template},
    field::{Growth, Waves},
    region,
};
use voxplain_core::random::Seed;
use voxplain_volume::{Grid, Mask, Volume};

/// Intensity of white matter before the person's own scale.
pub(super) const WHITE: f64 = 100.0;

/// What makes one person's image differ from the mean.
#[derive(Clone, Debug)]
pub(super) struct Look {
    is_case: bool,
    /// Linear scale of the whole brain.
    size: f64,
    /// Radians about x, y, z, then mm along x, y, z.
    pose: [f64; 6],
    bend: Option<[Waves; 2]>,
    /// Exponent of intensities: below 1 grey is closer to white.
    contrast: f64,
    gain: f64,
    bias: Option<Waves>,
    /// Standard deviation of the noise, and where it comes from.
    noise: Option<(f64, Seed)>,
}

impl Look {
    /// The mean of a class: no chance, no noise.
    pub(super) fn mean(is_case: bool) -> Self {
        let (size, pose, contrast, gain) = (1.0, [0.0; 6], 1.0, 1.0);
        Self { is_case, size, pose, bend: None, contrast, gain, bias: None, noise: None }
    }

    /// One person's.
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

    /// Where a point (mm) of this person's brain lies in the mean anatomy of the class.
    fn back(&self, p: [f64; 3]) -> [f64; 3] {
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

/// One person's image with what is true of it.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    /// Intensities, 0 outside the mask.
    pub(super) volume: Volume,
    pub(super) mask: Mask,
    /// The region that fills most of each voxel; 0 where fluid or background does.
    pub(super) labels: Volume<u8>,
    /// mm³ of each region, in the order of [`region::all`].
    pub(super) region_volumes: Vec<f64>,
    /// mm³ of the mask, fluid in sulci included.
    pub(super) brain_volume: f64,
}

/// Draws people on one grid.
#[derive(Debug)]
pub(super) struct Renderer {
    template: &'static Template,
    /// Intensities of the cases where they differ.
    tinted: Option<Vec<f32>>,
    growth: Option<Growth>,
    grid: Grid,
}

impl Renderer {
    /// `tints` multiply intensities of regions in cases; `growth` moves them.
    pub(super) fn new(template: &'static Template, growth: Option<Growth>, tints: Vec<(u8, f64)>, grid: Grid) -> Self {
        let tint = |label: u8| tints.iter().find(|(l, _)| *l == label).map_or(1.0, |(_, f)| *f) as f32;
        let tinted = (!tints.is_empty())
            .then(|| template.intensity.iter().zip(&template.labels).map(|(v, &l)| v * tint(l)).collect());
        Self { template, tinted, growth, grid }
    }

    /// Draws one person. A voxel is the mean of points inside it no more than 1.4 mm apart: partial volumes.
    pub(super) fn render(&self, look: &Look) -> Drawn {
        let grid = self.grid;
        let spacing = grid.spacing();
        let fine = spacing.map(|s| (s / 1.4).ceil().max(1.0) as usize);
        let map = self.map(look);
        let intensity = if look.is_case { self.tinted.as_ref() } else { None }.unwrap_or(&self.template.intensity);
        let growth = self.growth.as_ref().filter(|_| look.is_case);
        let count = fine.iter().product::<usize>();
        let point_volume = grid.voxel_volume() / count as f64;
        let regions = region::all().len();
        let mut volumes = vec![0.0; regions + 1];
        let mut values = vec![0f32; grid.len()];
        let mut inside = vec![false; grid.len()];
        let mut labels = vec![0u8; grid.len()];
        let noise = look.noise.map(|(sd, seed)| (sd, seed.value()));
        for n in 0..grid.len() {
            let voxel = grid.voxel(n);
            let mut votes = [0usize; 256];
            let (mut sum, mut hits) = (0.0, 0);
            for c in 0..count {
                let part = [c / (fine[1] * fine[2]), c / fine[2] % fine[1], c % fine[2]];
                let offset = std::array::from_fn(|a| (part[a] as f64 + 0.5) / fine[a] as f64 - 0.5);
                let mut q = map.at(voxel, offset);
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
            let mut value = WHITE * (sum / count as f64).max(0.0).powf(look.contrast) * look.gain;
            if let Some(bias) = &look.bias {
                value *= bias.at(grid.affine.apply(voxel.map(|v| v as f64)))[0].exp();
            }
            if let Some((sd, seed)) = noise {
                // Magnitude of a complex signal with noise in both parts; a stream per voxel, so order is free.
                let mut random = voxplain_core::random::Random::at(seed, n as u64, 0);
                let sd = sd * look.gain;
                value = (value + sd * random.normal()).hypot(sd * random.normal());
            }
            values[n] = value as f32;
        }
        let whole = inside.iter().filter(|&&m| m).count();
        let on_grid = "as many values as voxels";
        Drawn {
            volume: Volume::new(grid, values).expect(on_grid),
            mask: Volume::new(grid, inside).expect(on_grid),
            labels: Volume::new(grid, labels).expect(on_grid),
            region_volumes: volumes.split_off(1),
            brain_volume: whole as f64 * grid.voxel_volume(),
        }
    }

    /// Where the voxels' centres, and those of a border one voxel wide, lie in the template (in its voxels).
    fn map(&self, look: &Look) -> Map {
        let shape = self.grid.shape.map(|n| n + 2);
        let mut to = Vec::with_capacity(shape.iter().product());
        for i in 0..shape[0] {
            for j in 0..shape[1] {
                for k in 0..shape[2] {
                    let p = self.grid.affine.apply([i, j, k].map(|v| v as f64 - 1.0));
                    let q = look.back(p);
                    to.push(std::array::from_fn(|a| (q[a] - anatomy::ORIGIN[a]) as f32));
                }
            }
        }
        Map { shape, to }
    }
}

/// Positions in the template on the padded grid.
struct Map {
    shape: [usize; 3],
    to: Vec<[f32; 3]>,
}

impl Map {
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
