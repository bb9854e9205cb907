//! The most multiplications and additions that a thread can do: what kernels are measured against.

use super::lanes::{Isa, Kernel, Lanes, dispatch};
use std::hint::black_box;

/// Does `rounds` rounds of independent `x * a + b` in registers; gives how many floating-point operations that were.
pub(crate) fn multiply_add(isa: Isa, rounds: usize) -> f64 {
    dispatch(isa, Registers { rounds })
}

struct Registers {
    rounds: usize,
}

impl Registers {
    /// `N` sums, enough to hide how long one takes.
    #[inline(always)]
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    unsafe fn sums<V: Lanes, const N: usize>(&self) -> f64 {
        // SAFETY: the caller vouches for the instructions; the array holds sixteen floats.
        unsafe {
            let (factor, term) = (V::splat(black_box(0.999)), V::splat(black_box(0.001)));
            let mut sums = [term; N];
            for _ in 0..self.rounds {
                for n in 0..N {
                    sums[n] = sums[n].mul_add(factor, term);
                }
            }
            let mut out = [0f32; 16];
            for n in 0..N {
                sums[n].store(out.as_mut_ptr());
                black_box(&out);
            }
        }
        (self.rounds * N * 16 * 2) as f64
    }
}

impl Kernel for Registers {
    type Output = f64;
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f64 {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            match (V::BLOCKS, V::ROWS) {
                (2, _) => self.sums::<V, 24>(),
                (_, 2) => self.sums::<V, 3>(),
                _ => self.sums::<V, 5>(),
            }
        }
    }
}
