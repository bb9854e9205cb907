//! Random numbers that are a function of a seed and a position: [`Seed`], [`Random`], [`dropout_mask`].
//!
//! The generator is Philox 4x32-10 (Salmon et al. 2011, *Parallel random numbers: as easy as 1, 2, 3*): a block of
//! four 32-bit numbers is a keyed bijection of a 128-bit counter. There is no hidden state, so that any number can be
//! drawn by any thread at any time, and the same seed gives the same bytes on every machine.
//!
//! One seed in the manifest is enough: everything else draws from children of it by name.
//!
//! ```
//! use voxplain_core::random::Seed;
//! let seed = Seed::new(7);
//! let mut folds = seed.child("folds").random();
//! let mut weights = seed.child("fold-0").child("weights").random();
//! assert_ne!(folds.next_u64(), weights.next_u64());
//! ```

use serde::{Deserialize, Serialize};

/// Where random numbers start. Printed and stored as the number it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// The seed of that value.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Its value.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The seed of a part of the work, by name: unrelated to its parent and to the children of other names.
    pub fn child(self, name: &str) -> Self {
        // FNV-1a of the name, then a finaliser to spread it over all bits.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(spread(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ spread(hash)))
    }

    /// The seed of a part of the work, by number.
    pub fn index(self, number: u64) -> Self {
        Self(spread(spread(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ spread(number.wrapping_add(1))))
    }

    /// The numbers that follow from this seed.
    pub fn random(self) -> Random {
        Random::new(self.0)
    }
}

/// The finaliser of `SplitMix64` (Steele et al. 2014): a bijection that spreads every bit over all.
fn spread(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// High and low half of a product.
#[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
const fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = a as u64 * b as u64;
    ((product >> 32) as u32, product as u32)
}

/// Philox 4x32-10: four random numbers for a counter and a key.
pub const fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    let mut round = 0;
    while round < 10 {
        let (high0, low0) = multiply(0xd251_1f53, c[0]);
        let (high1, low1) = multiply(0xcd9e_8d57, c[2]);
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0];
        k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
        round += 1;
    }
    c
}

/// Low and high half.
#[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
const fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    key: [u32; 2],
    counter: u64,
    stream: u64,
    block: [u32; 4],
    /// How many of the block have been drawn.
    used: usize,
}

impl Random {
    /// The numbers of a seed, from the first.
    pub fn new(seed: u64) -> Self {
        Self::at(seed, 0, 0)
    }

    /// The numbers of a seed in one of its 2^64 streams, from the block of that number (four numbers of 32 bits each).
    pub fn at(seed: u64, stream: u64, block: u64) -> Self {
        Self { key: halves(seed), counter: block, stream, block: [0; 4], used: 4 }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let ([a, b], [c, d]) = (halves(self.counter), halves(self.stream));
            self.block = philox([a, b, c, d], self.key);
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform on `[0, 1)`, in steps of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform on `[low, high)`.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number in `0..n`, each equally likely (Lemire 2019, with rejection); 0 when `n` is 0.
    #[expect(clippy::cast_possible_truncation, reason = "the high half of a product is below n")]
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            return 0;
        }
        let n = n as u64;
        let reject_below = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_below {
                return (product >> 64) as usize;
            }
        }
    }

    /// Whether something of probability `p` happens.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal (Box and Muller 1958; one of the pair, so that each draw stands alone).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts a slice in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The numbers `0..n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

/// The dropout mask of one sample at one node: 0 with probability `p`, else `1 / (1 - p)`.
///
/// A function of seed, step, node (its position), sample (its position in the batch) and unit (its position in
/// `mask`) alone, so that any part of it can be computed anywhere. `p` is in `[0, 1)`.
pub fn dropout_mask(seed: u64, step: u64, node: usize, sample: usize, p: f32, mask: &mut [f32]) {
    let key = halves(Seed::new(seed).index(step).value());
    let (node, sample) = (halves(node as u64)[0], halves(sample as u64)[0]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "p is a probability")]
    let drop_below = (f64::from(p) * 2f64.powi(32)).round() as u64;
    let kept = 1.0 / (1.0 - p);
    for (block, values) in mask.chunks_mut(4).enumerate() {
        let [low, high] = halves(block as u64);
        let draws = philox([low, high, sample, node], key);
        for (value, draw) in values.iter_mut().zip(draws) {
            *value = if u64::from(draw) < drop_below { 0.0 } else { kept };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors published with Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Seed::new(3).child("moments").random();
        let n = 200_000;
        let (mut uniform, mut normal, mut square) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            uniform += random.uniform();
            let x = random.normal();
            normal += x;
            square += x * x;
        }
        let n = f64::from(n);
        // Five standard errors.
        assert!((uniform / n - 0.5).abs() < 5.0 * (1.0 / 12.0 / n).sqrt());
        assert!((normal / n).abs() < 5.0 / n.sqrt());
        assert!((square / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }

    #[test]
    fn below_is_even_and_permutations_are_complete() {
        let mut random = Random::new(11);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[random.below(6)] += 1;
        }
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 500), "{counts:?}");
        let mut order = random.permutation(97);
        assert_ne!(order, (0..97).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..97).collect::<Vec<_>>());
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn children_differ_by_name_and_parent_and_do_not_change() {
        let seed = Seed::new(1);
        assert_ne!(seed.child("fold-0"), seed.child("fold-1"));
        assert_ne!(seed.child("fold-0"), Seed::new(2).child("fold-0"));
        assert_ne!(seed.child("a").child("b"), seed.child("b").child("a"));
        assert_ne!(seed.index(0), seed.index(1));
        assert_eq!(seed.child("fold-0"), seed.child("fold-0"));
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let mut mask = vec![0.0; 100_001];
        dropout_mask(5, 2, 7, 1, 0.3, &mut mask);
        let dropped = mask.iter().filter(|&&value| value == 0.0).count() as f64 / 100_001.0;
        assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
        assert!(mask.iter().all(|&value| value == 0.0 || value == 1.0 / 0.7));
        let mut part = vec![0.0; 17];
        dropout_mask(5, 2, 7, 1, 0.3, &mut part);
        assert_eq!(part, mask[..17], "a mask does not depend on how much of it is asked for");
        dropout_mask(5, 3, 7, 1, 0.3, &mut part);
        assert_ne!(part, mask[..17]);
    }
}
