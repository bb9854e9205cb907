//! [`Noise`]: smooth noise in space. Its value is a function of the seed and the position alone.

use voxplain_core::random::Seed;

/// Gradient noise (Perlin 1985, with the quintic fade of Perlin 2002): smooth, about -0.7 to 0.7, 0 at lattice points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    seed: u64,
    /// Lattice spacing in mm.
    scale: f64,
}

impl Noise {
    pub(super) fn new(seed: Seed, scale: f64) -> Self {
        Self { seed: seed.value(), scale }
    }

    /// The noise at a position in mm.
    pub(super) fn at(&self, p: [f64; 3]) -> f64 {
        let q = p.map(|v| v / self.scale);
        let cell = q.map(f64::floor);
        let f: [f64; 3] = std::array::from_fn(|a| q[a] - cell[a]);
        let fade = f.map(|t| t * t * t * (t * (t * 6.0 - 15.0) + 10.0));
        let mut sum = 0.0;
        for corner in 0..8 {
            let bit = |a: usize| f64::from(corner >> a & 1);
            let weight: f64 = (0..3).map(|a| if bit(a) > 0.5 { fade[a] } else { 1.0 - fade[a] }).product();
            let g = self.gradient([cell[0] + bit(0), cell[1] + bit(1), cell[2] + bit(2)]);
            sum += weight * (0..3).map(|a| g[a] * (f[a] - bit(a))).sum::<f64>();
        }
        sum
    }

    /// One of the twelve directions to the middles of a cube's edges.
    fn gradient(&self, lattice: [f64; 3]) -> [f64; 3] {
        let mut h = self.seed;
        for c in lattice {
            // The finaliser of SplitMix64 (Steele et al. 2014).
            h = (h ^ (c as i64 as u64)).wrapping_add(0x9e37_79b9_7f4a_7c15);
            h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            h ^= h >> 31;
        }
        let sign = |bit: u32| if h >> bit & 1 == 1 { 1.0 } else { -1.0 };
        let mut g = [sign(40), sign(41), sign(42)];
        g[(h % 3) as usize] = 0.0;
        g
    }
}
