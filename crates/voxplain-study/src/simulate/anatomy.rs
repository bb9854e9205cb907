//! The mean anatomy: a brain drawn from ellipsoids, tubes and folds, sampled once at 1 mm.
//!
//! World coordinates in mm, oriented as MNI space (x right, y front, z up, origin at the anterior commissure). Sizes and
//! positions follow textbooks and were set by hand. Nothing here is measured on a person.

use super::{noise::Noise, region};
use rayon::prelude::*;
use std::sync::OnceLock;
use voxplain_core::random::Seed;

/// Shape of the template's lattice.
pub(super) const SHAPE: [usize; 3] = [168, 200, 168];
/// World position of the template's first voxel; its voxels are 1 mm cubes.
pub(super) const ORIGIN: [f64; 3] = [-83.5, -116.5, -75.5];
/// Fluid in sulci and fissures: in the brain mask, in no region.
pub(super) const FLUID: u8 = 255;
/// Cerebral tissue that is not yet sorted into cortex and white matter.
const CEREBRUM: u8 = 254;

/// Labels and intensities of the mean anatomy. Label 0 is outside the brain.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) labels: Vec<u8>,
    /// T1-like: fluid 0.25, grey 0.62, white 1.
    pub(super) intensity: Vec<f32>,
}

/// Index in the template of its voxel `(i, j, k)`.
pub(super) const fn at(i: usize, j: usize, k: usize) -> usize {
    (i * SHAPE[1] + j) * SHAPE[2] + k
}

impl Template {
    /// The mean anatomy, drawn on first use: it is the same for every cohort.
    pub(super) fn mean() -> &'static Self {
        static MEAN: OnceLock<Template> = OnceLock::new();
        MEAN.get_or_init(Self::draw)
    }

    fn draw() -> Self {
        let shapes = Shapes::new();
        let mut labels = vec![0u8; SHAPE.iter().product()];
        labels.par_chunks_mut(SHAPE[1] * SHAPE[2]).enumerate().for_each(|(i, plane)| {
            for (n, label) in plane.iter_mut().enumerate() {
                *label = shapes.label(world(i, n / SHAPE[2], n % SHAPE[2]));
            }
        });
        let depth = distance(&labels, |l| l == 0 || l == FLUID);
        let intensity = labels
            .par_iter_mut()
            .enumerate()
            .map(|(n, label)| {
                let p = world(n / (SHAPE[1] * SHAPE[2]), n / SHAPE[2] % SHAPE[1], n % SHAPE[2]);
                if *label == CEREBRUM {
                    *label = shapes.cerebral(p, depth[n]);
                }
                shapes.intensity(p, *label, depth[n])
            })
            .collect();
        Self { labels, intensity }
    }
}

/// World position of a template voxel.
fn world(i: usize, j: usize, k: usize) -> [f64; 3] {
    [ORIGIN[0] + i as f64, ORIGIN[1] + j as f64, ORIGIN[2] + k as f64]
}

/// Distance in voxels (mm) to the nearest voxel that `is_outside`, at most [`REACH`].
fn distance(labels: &[u8], is_outside: impl Fn(u8) -> bool + Sync) -> Vec<f32> {
    const REACH: usize = 6;
    let [ni, nj, nk] = SHAPE;
    let far = (REACH * REACH) as f32;
    let zero: Vec<f32> = labels.par_iter().map(|&l| if is_outside(l) { 0.0 } else { far }).collect();
    // One axis after the other: the smallest sum of squares is separable.
    let pass = |from: &[f32], length: usize, step: usize, place: &(dyn Fn(usize) -> usize + Sync)| -> Vec<f32> {
        (0..from.len())
            .into_par_iter()
            .map(|n| {
                let here = place(n);
                (here.saturating_sub(REACH)..(here + REACH + 1).min(length))
                    .map(|there| from[n + there * step - here * step] + (there as f32 - here as f32).powi(2))
                    .fold(far, f32::min)
            })
            .collect()
    };
    let k = pass(&zero, nk, 1, &|n| n % nk);
    let j = pass(&k, nj, nk, &|n| n / nk % nj);
    let i = pass(&j, ni, nj * nk, &|n| n / (nj * nk));
    i.into_iter().map(f32::sqrt).collect()
}

/// Approximate signed distance (mm) to an ellipsoid, negative inside.
fn ellipsoid(p: [f64; 3], centre: [f64; 3], radii: [f64; 3]) -> f64 {
    let q: [f64; 3] = std::array::from_fn(|a| (p[a] - centre[a]) / radii[a]);
    let k0 = q.iter().map(|v| v * v).sum::<f64>().sqrt();
    let k1 = (0..3).map(|a| (q[a] / radii[a]).powi(2)).sum::<f64>().sqrt();
    if k1 < 1e-9 { -radii[0].min(radii[1]).min(radii[2]) } else { k0 * (k0 - 1.0) / k1 }
}

/// Signed distance (mm) to a tube through points `[x, y, z, radius]`, negative inside.
fn tube(p: [f64; 3], line: &[[f64; 4]]) -> f64 {
    line.windows(2)
        .map(|w| {
            let (a, b) = (w[0], w[1]);
            let ab: [f64; 3] = std::array::from_fn(|n| b[n] - a[n]);
            let ap: [f64; 3] = std::array::from_fn(|n| p[n] - a[n]);
            let t = (0..3).map(|n| ab[n] * ap[n]).sum::<f64>() / ab.iter().map(|v| v * v).sum::<f64>();
            let t = t.clamp(0.0, 1.0);
            (0..3).map(|n| (ap[n] - t * ab[n]).powi(2)).sum::<f64>().sqrt() - (a[3] + t * (b[3] - a[3]))
        })
        .fold(f64::INFINITY, f64::min)
}

/// The smaller of two distances with the edge between them rounded over `r` mm.
fn union(a: f64, b: f64, r: f64) -> f64 {
    let h = (0.5 + 0.5 * (b - a) / r).clamp(0.0, 1.0);
    b + (a - b) * h - r * h * (1.0 - h)
}

/// Turns `(u, v)` by an angle in degrees.
fn turn(u: f64, v: f64, degrees: f64) -> (f64, f64) {
    let (s, c) = degrees.to_radians().sin_cos();
    (c * u - s * v, s * u + c * v)
}

/// The random fields that shape the brain.
struct Shapes {
    wobble: [Noise; 3],
    folds: [Noise; 3],
    bend: Noise,
    texture: Noise,
}

impl Shapes {
    fn new() -> Self {
        // One brain for all cohorts: a seed of its own, so that atlases of different cohorts agree.
        let seed = Seed::new(2006).child("anatomy");
        let noise = |name: &str, scale: f64| Noise::new(seed.child(name), scale);
        Self {
            wobble: [noise("x", 34.0), noise("y", 34.0), noise("z", 34.0)],
            folds: [noise("first folds", 25.0), noise("second folds", 15.0), noise("third folds", 10.0)],
            bend: noise("bend", 13.0),
            texture: noise("texture", 18.0),
        }
    }

    /// The same position in a brain without random irregularities, whose hemispheres are mirror images. All that makes the
    /// hemispheres differ happens here: right frontal and left occipital lobes reach further and are wider (the petalia
    /// of human brains), which also bends the midline. Gives the position with x as the distance from the midline, and
    /// whether it is in the right hemisphere.
    fn straighten(&self, p: [f64; 3]) -> ([f64; 3], bool) {
        let [x, y, z] = std::array::from_fn(|a| p[a] + 3.0 * self.wobble[a].at(p));
        let front = ((y + 17.0) / 88.0).clamp(-1.2, 1.2);
        let x = x + 2.2 * front * front.abs();
        let right = x > 0.0;
        let side = if right { 1.0 } else { -1.0 };
        let reach = 1.0 + 0.02 * side * front.signum() * smooth(front.abs());
        let wide = 1.0 + 0.025 * side * front;
        ([x.abs() / wide, (y + 17.0) / reach - 17.0, z + 0.8 * side * smooth((-front).max(0.0))], right)
    }

    /// Signed distance to the smooth hull of one hemisphere (x is its distance from the midline).
    fn hull([x, y, z]: [f64; 3]) -> f64 {
        let up = z - 14.0;
        let main = ellipsoid([x, y, z], [0.0, -17.0, 14.0], [66.0, 87.0, if up > 0.0 { 61.0 } else { 37.0 }]);
        let (ty, tz) = turn(y + 12.0, z + 19.0, 10.0);
        let temporal = ellipsoid([x, ty, tz], [45.0, 0.0, 0.0], [21.0, 47.0, 23.0]);
        union(main, temporal, 6.0)
    }

    /// Signed distance (mm) to the lateral (Sylvian) fissure: negative inside its gap.
    fn sylvian([x, y, z]: [f64; 3]) -> f64 {
        let (v, w) = turn(y + 8.0, z - 1.0, 17.0);
        ellipsoid([x, v, w + 1.5], [60.0, 0.0, 0.0], [24.0, 34.0, 2.6])
    }

    /// Whether a position inside the hull is fluid in a sulcus or fissure. `d` is the signed distance to the hull.
    fn fluid(&self, p: [f64; 3], q: [f64; 3], d: f64) -> bool {
        let [x, y, z] = q;
        // Longitudinal fissure: all around the callosum and what lies below it.
        let around = ((y + 8.0) / 44.0).powi(2) + ((z - (if z > 1.0 { 1.0 } else { 3.0 })) / 30.0).powi(2);
        if x < 1.3 && (around > 1.0 || (z < -14.0 && y > -2.0)) {
            return true;
        }
        if Self::sylvian(q) < 0.0 {
            return true;
        }
        if d < -24.0 {
            return false;
        }
        // Sulci: where a fold noise, the same along each line to the surface, changes its sign.
        let c = [x - 18.0, y + 17.0, z - 4.0];
        let r = c.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
        let bend = 7.0 * self.bend.at(p);
        let s: [f64; 3] = std::array::from_fn(|a| {
            (c[a] * (58.0 / r) + 0.25 * c[a] + bend) * if a == 0 && p[0] < 0.0 { -1.0 } else { 1.0 }
        });
        // Shallower near the middle of the base and in the temporal lobe, where they would cut through.
        let depths =
            [20.0, 13.0, 5.5].map(|v| v * ((r - 18.0) / 32.0).clamp(0.3, 1.0) * if z < -8.0 { 0.6 } else { 1.0 });
        self.folds.iter().zip(depths).any(|(fold, depth)| {
            let n = fold.at(s).abs();
            let narrow = 0.046 * (1.0 + d / depth).clamp(0.25, 1.0);
            d > -depth * (1.0 - 2.0 * n) && n < narrow
        })
    }

    /// Region of a position, [`FLUID`], [`CEREBRUM`] or 0.
    fn label(&self, p: [f64; 3]) -> u8 {
        // Far from everything: no need to look closer.
        let [x, y, z] = p;
        let boxed = x.abs() < 78.0 && (-110.0..78.0).contains(&y) && (-72.0..84.0).contains(&z);
        if !boxed || (ellipsoid(p, [0.0, -17.0, 10.0], [70.0, 92.0, 68.0]) > 8.0 && z > -20.0) {
            return 0;
        }
        let (q, right) = self.straighten(p);
        let [x, y, z] = q;
        let d = Self::hull(q);
        if let Some(label) = deep(q, right) {
            return label;
        }
        let stem = tube([x, y, z], &[[0.0, -25.0, -9.0, 12.0], [0.0, -24.0, -27.0, 14.5], [0.0, -38.0, -60.0, 8.0]]);
        let (cy, cz) = turn(y + 64.0, z + 37.0, -12.0);
        let lobe = ellipsoid([x, cy, cz], [23.0, 0.0, 0.0], [28.0, 25.0, 19.0]);
        let vermis = ellipsoid([x, cy, cz], [0.0, -1.0, 4.0], [9.0, 24.0, 18.0]);
        if stem < 0.0 && z < -4.0 {
            return region::single(1);
        }
        if d < 0.0 && !(z < -8.0 && union(lobe, vermis, 4.0) < 2.5 && y < -38.0) {
            return if self.fluid(p, q, d) { FLUID } else { CEREBRUM };
        }
        let cerebellum = union(lobe, vermis, 4.0);
        if cerebellum < 0.0 && d > 1.5 {
            // Folia: thin leaves around the white core, seen as stripes along the way outwards.
            let core = ellipsoid([x, cy, cz], [17.0, 8.0, 0.0], [14.0, 11.0, 7.5]);
            if core < 0.0 {
                return region::paired(14, right);
            }
            let leaf = (cz * 0.55 + 0.16 * (cy * cy + 0.4 * x * x).sqrt() + 2.0 * self.bend.at(p)) * 1.15;
            let open = (leaf / 4.2 - (leaf / 4.2).floor() - 0.5).abs();
            if cerebellum > -7.0 && open < 0.09 * (1.0 + cerebellum / 7.0) {
                return FLUID;
            }
            let is_vermis = x < 7.0 && vermis < 0.0;
            return if is_vermis { region::single(4) } else { region::paired(13, right) };
        }
        // Fluid fills the gaps between cerebrum, cerebellum and stem, as in a mask of the whole brain.
        let gap = union(union(d, cerebellum, 9.0), stem, 9.0);
        if gap < -0.5 { FLUID } else { 0 }
    }

    /// Region of cerebral tissue `depth` mm below the surface (folds included).
    fn cerebral(&self, p: [f64; 3], depth: f32) -> u8 {
        let (q, right) = self.straighten(p);
        let [x, y, z] = q;
        let thick = 2.9 + 1.2 * self.texture.at(p);
        if f64::from(depth) > thick {
            let (v, w) = (y + 6.0, z - 2.0);
            let k = ((v / 35.0).powi(2) + (w / 23.0).powi(2)).sqrt();
            let arc = (k - 1.0).abs() * 28.0 < 3.6 && (w > 0.0 || v > 26.0 && w > -9.0);
            if x < 16.0 && arc {
                return region::single(0);
            }
            let below = z < -2.0 && x < 22.0 && (-34.0..4.0).contains(&y);
            return region::paired(if below { 15 } else { 5 }, right);
        }
        let below_sylvian = z < 3.0 - 0.3 * (y + 8.0) && x > 20.0;
        let insula = (30.0..44.0).contains(&x) && Self::sylvian(q) < 7.0 && (-24.0..24.0).contains(&y);
        let pair = if insula {
            4
        } else if y < -62.0 - 0.18 * z {
            3
        } else if below_sylvian && y < 22.0 {
            2
        } else if y > -27.0 + 0.33 * (68.0 - z) - 14.0 {
            0
        } else {
            1
        };
        region::paired(pair, right)
    }

    /// T1-like intensity.
    fn intensity(&self, p: [f64; 3], label: u8, depth: f32) -> f32 {
        const GREY: f64 = 0.62;
        let base = match label {
            0 => return 0.0,
            FLUID => 0.24,
            _ if label > region::single(0) - 1 => [0.97, 0.9, 0.22, 0.22, 0.64][usize::from(label - region::single(0))],
            _ => match (label - 1) / 2 {
                5 | 15 => 1.0 - if (label - 1) / 2 == 15 { 0.08 } else { 0.0 },
                6 => 0.22,
                7 => 0.66,
                8 => 0.70,
                9 => 0.86,
                10 => 0.79,
                14 => 0.96,
                // Cortex is a little brighter where it meets white matter.
                _ => GREY - 0.04 + 0.022 * f64::from(depth.min(3.0)),
            },
        };
        (base * (1.0 + 0.05 * self.texture.at([p[1], p[2], p[0]]))) as f32
    }
}

/// Ventricles and deep grey matter.
fn deep([x, y, z]: [f64; 3], right: bool) -> Option<u8> {
    if x > 42.0 || !(-75.0..40.0).contains(&y) || !(-45.0..32.0).contains(&z) {
        return None;
    }
    let p = [x, y, z];
    let flat = [x * 1.25, y, z];
    let ventricle = tube(
        flat,
        &[
            [7.0, 29.0, 3.0, 3.0],
            [9.0, 18.0, 12.0, 4.6],
            [10.0, 0.0, 18.5, 4.6],
            [14.0, -20.0, 19.5, 4.4],
            [24.0, -36.0, 15.0, 5.6],
            [30.0, -45.0, 5.0, 6.4],
            [28.0, -68.0, 5.0, 2.2],
        ],
    )
    .min(tube(flat, &[[30.0, -45.0, 5.0, 5.5], [41.0, -30.0, -7.0, 3.4], [40.0, -10.0, -14.0, 2.2]]));
    let third = ellipsoid(p, [0.0, -9.0, -1.0], [2.4, 15.0, 11.0]);
    let fourth = ellipsoid(p, [0.0, -45.0, -32.0], [6.5, 5.5, 9.0]);
    if ventricle < 0.0 && x > 1.2 {
        return Some(region::paired(6, right));
    }
    if third < 0.0 {
        return Some(region::single(2));
    }
    if fourth < 0.0 {
        return Some(region::single(3));
    }
    let (ux, uy) = turn(x - 26.5, y - 2.0, -12.0);
    let (gx, gy) = turn(x - 19.5, y + 4.0, -18.0);
    let (tx, ty) = turn(x - 11.5, y + 18.0, -14.0);
    let nuclei = [
        (7, tube(p, &[[12.5, 14.0, 4.0, 6.6], [15.0, 3.0, 15.0, 4.8], [19.0, -20.0, 19.0, 2.6]])),
        (8, ellipsoid([ux, uy, z], [0.0, 0.0, 1.0], [5.6, 16.5, 10.5])),
        (9, ellipsoid([gx, gy, z], [0.0, 0.0, 0.0], [4.0, 9.0, 6.2])),
        (10, ellipsoid([tx, ty, z], [0.0, 0.0, 7.0], [8.6, 15.5, 9.5])),
        (11, tube(p, &[[25.0, -14.0, -19.0, 6.0], [30.0, -26.0, -12.5, 5.0], [25.0, -37.0, -1.0, 3.6]])),
        (12, ellipsoid(p, [23.0, -2.0, -20.0], [7.5, 6.8, 7.5])),
    ];
    nuclei.iter().find(|(_, d)| *d < 0.0).map(|(pair, _)| region::paired(*pair, right))
}

/// 0 at 0, 1 at 1, flat at both ends.
fn smooth(t: f64) -> f64 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
