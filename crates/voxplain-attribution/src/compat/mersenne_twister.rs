//! The random numbers of NumPy's `numpy.random.seed` and `randint`, which the 2020 code drew its jitter from.

/// MT19937 (Matsumoto and Nishimura 1998), seeded by one number.
#[derive(Clone, Debug)]
pub(super) struct MersenneTwister {
    state: [u32; N],
    next: usize,
}

const N: usize = 624;
const M: usize = 397;

impl MersenneTwister {
    /// As `numpy.random.seed(seed)`.
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        let mut last = seed;
        for (n, word) in (0u32..).zip(&mut state).skip(1) {
            last = 1_812_433_253u32.wrapping_mul(last ^ last >> 30).wrapping_add(n);
            *word = last;
        }
        Self { state, next: N }
    }

    /// As `numpy.random.randint(below)`: numbers of as many bits as `below - 1` has are drawn until one is below.
    pub(super) fn below(&mut self, below: u32) -> u32 {
        let most = below.saturating_sub(1);
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let value = self.draw() & mask;
            if value <= most {
                return value;
            }
        }
    }

    fn draw(&mut self) -> u32 {
        if self.next == N {
            for n in 0..N {
                let y = self.state[n] & 0x8000_0000 | self.state[(n + 1) % N] & 0x7fff_ffff;
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[n] = self.state[(n + M) % N] ^ y >> 1 ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= y << 7 & 0x9d2c_5680;
        y ^= y << 15 & 0xefc6_0000;
        y ^ y >> 18
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.seed(0); [numpy.random.randint(5) for _ in range(16)]`, NumPy 2.4.6.
    #[test]
    fn numbers_of_numpy() {
        let mut random = MersenneTwister::new(0);
        let drawn: Vec<_> = (0..16).map(|_| random.below(5)).collect();
        assert_eq!(drawn, RANDINT);
        assert_eq!(random.below(1), 0);
    }

    const RANDINT: [u32; 16] = [4, 0, 3, 3, 3, 1, 3, 2, 4, 0, 0, 4, 2, 1, 0, 1];

    /// The generator's own reference: the first output for seed 5489 is known from the authors' code.
    #[test]
    fn first_number_of_the_reference() {
        assert_eq!(MersenneTwister::new(5489).draw(), 3_499_211_612);
    }
}
