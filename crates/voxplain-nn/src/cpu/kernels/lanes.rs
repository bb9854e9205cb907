//! Sixteen float lanes, whatever the machine has for them, and the one place where kernels are dispatched.

use crate::{Error, InstructionSet, Result};

/// Sixteen `f32`, one channel block of one voxel.
///
/// # Safety
///
/// Every function may use the instructions its type stands for: call them only below [`dispatch`].
/// Pointers must be valid for sixteen floats (or bytes); no alignment is needed.
pub(crate) trait Lanes: Copy {
    /// Result of a comparison.
    type Mask: Copy;
    /// Output blocks in a register tile.
    const BLOCKS: usize;
    /// Positions in a register tile of [`Self::BLOCKS`] output blocks.
    const ROWS: usize;
    /// The same value in every lane.
    unsafe fn splat(value: f32) -> Self;
    /// Sixteen floats from memory.
    unsafe fn load(from: *const f32) -> Self;
    /// Sixteen floats to memory.
    unsafe fn store(self, to: *mut f32);
    /// Lane-wise sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane-wise difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane-wise product.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + term`.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The larger; `other` where either is not a number.
    unsafe fn max(self, other: Self) -> Self;
    /// `self > other`.
    unsafe fn greater(self, other: Self) -> Self::Mask;
    /// Lane by lane `yes` where the mask is set, else `no`.
    unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// The mask as bits, lane 0 lowest.
    unsafe fn bits(mask: Self::Mask) -> u32;
    /// Where the bytes at `from` equal `value`.
    unsafe fn bytes_equal(from: *const u8, value: u8) -> Self::Mask;
    /// Both masks.
    unsafe fn both(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Stores whole numbers of 0 to 255 as bytes.
    unsafe fn store_bytes(self, to: *mut u8);
}

/// Asks for the cache line at `at` ahead of its use, into the second-level cache, where the machine can be asked. Any address
/// will do.
#[inline(always)]
pub(super) fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it faults on no address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Work that is written once for any [`Lanes`].
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// Does the work. Implementations must be `#[inline(always)]`, so that they take on the instructions of the
    /// function that [`dispatch`] calls.
    ///
    /// # Safety
    ///
    /// The machine has the instructions of `V`.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

/// An instruction set that this machine is known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Isa(InstructionSet);

impl Isa {
    /// The one asked for, else the one `VOXPLAIN_ISA` names, else the best there is. Refuses what the machine lacks.
    pub(crate) fn choose(asked: Option<InstructionSet>) -> Result<Self> {
        let asked = match (asked, std::env::var("VOXPLAIN_ISA")) {
            (Some(set), _) => Some(set),
            (None, Ok(name)) if !name.is_empty() => Some(match name.as_str() {
                "portable" => InstructionSet::Portable,
                "avx2" => InstructionSet::Avx2,
                "avx512" => InstructionSet::Avx512,
                _ => {
                    return Err(Error::Request(format!(
                        "VOXPLAIN_ISA is {name:?}; it can be portable, avx2 or avx512"
                    )));
                }
            }),
            _ => None,
        };
        match asked {
            None => Ok(Self(Self::best())),
            Some(set) if Self::has(set) => Ok(Self(set)),
            Some(set) => Err(Error::Request(format!(
                "this machine lacks the {set:?} instructions; the best it has are {:?}",
                Self::best()
            ))),
        }
    }

    /// Which it is.
    pub(crate) fn set(self) -> InstructionSet {
        self.0
    }

    fn best() -> InstructionSet {
        [InstructionSet::Avx512, InstructionSet::Avx2]
            .into_iter()
            .find(|s| Self::has(*s))
            .unwrap_or(InstructionSet::Portable)
    }

    #[cfg(target_arch = "x86_64")]
    fn has(set: InstructionSet) -> bool {
        match set {
            InstructionSet::Portable => true,
            InstructionSet::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            InstructionSet::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn has(set: InstructionSet) -> bool {
        set == InstructionSet::Portable
    }
}

/// Runs a kernel with the given instructions.
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.0 {
        // SAFETY: an `Isa` exists only for instructions that the machine has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { x86::avx512(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { x86::avx2(kernel) },
        // SAFETY: the portable lanes use no instructions beyond the target's.
        _ => unsafe { kernel.run::<Portable>() },
    }
}

/// The sum of sixteen lanes, as a fixed tree.
///
/// # Safety
///
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn total<V: Lanes>(lanes: V) -> f32 {
    let mut v = [0f32; 16];
    // SAFETY: the array holds sixteen floats; the caller vouches for the instructions.
    unsafe { lanes.store(v.as_mut_ptr()) };
    let mut half = 8;
    while half > 0 {
        for i in 0..half {
            v[i] += v[i + half];
        }
        half /= 2;
    }
    v[0]
}

/// Sixteen floats in an array: runs anywhere, and is what the compiler makes of it.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 16]);

macro_rules! lanewise {
    ($i:ident => $value:expr) => {{
        let mut out = [0f32; 16];
        let mut $i = 0;
        while $i < 16 {
            out[$i] = $value;
            $i += 1;
        }
        Portable(out)
    }};
}

// The bodies are safe code but for the pointers.
impl Lanes for Portable {
    type Mask = [bool; 16];
    const BLOCKS: usize = 1;
    const ROWS: usize = 2;
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives sixteen readable floats.
        Self(unsafe { from.cast::<[f32; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives room for sixteen floats.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        lanewise!(i => self.0[i] + other.0[i])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        lanewise!(i => self.0[i] - other.0[i])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        lanewise!(i => self.0[i] * other.0[i])
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        lanewise!(i => self.0[i] * factor.0[i] + term.0[i])
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        lanewise!(i => if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] })
    }
    #[inline(always)]
    unsafe fn greater(self, other: Self) -> Self::Mask {
        let mut mask = [false; 16];
        for (i, m) in mask.iter_mut().enumerate() {
            *m = self.0[i] > other.0[i];
        }
        mask
    }
    #[inline(always)]
    unsafe fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        lanewise!(i => if mask[i] { yes.0[i] } else { no.0[i] })
    }
    #[inline(always)]
    unsafe fn bits(mask: Self::Mask) -> u32 {
        let mut bits = 0;
        for (i, m) in mask.iter().enumerate() {
            bits |= u32::from(*m) << i;
        }
        bits
    }
    #[inline(always)]
    unsafe fn bytes_equal(from: *const u8, value: u8) -> Self::Mask {
        // SAFETY: the caller gives sixteen readable bytes.
        let bytes = unsafe { from.cast::<[u8; 16]>().read_unaligned() };
        let mut mask = [false; 16];
        for (m, b) in mask.iter_mut().zip(bytes) {
            *m = b == value;
        }
        mask
    }
    #[inline(always)]
    unsafe fn both(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        let mut mask = a;
        for (m, b) in mask.iter_mut().zip(b) {
            *m &= b;
        }
        mask
    }
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "whole numbers below 256 by contract")]
    unsafe fn store_bytes(self, to: *mut u8) {
        let mut bytes = [0u8; 16];
        for (b, v) in bytes.iter_mut().zip(self.0) {
            *b = v as u8;
        }
        // SAFETY: the caller gives room for sixteen bytes.
        unsafe { to.cast::<[u8; 16]>().write_unaligned(bytes) };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The two x86 widths. Intrinsics are only reached below `avx512` and `avx2`, which dispatch calls on machines
    //! that have them; loads and stores are unaligned, so any valid pointer will do. That is the reason for every
    //! `unsafe` block of this module.
    use super::{Kernel, Lanes};
    use std::arch::x86_64::*;

    /// # Safety
    ///
    /// The machine has AVX-512 F, BW, VL and DQ.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
    pub(super) unsafe fn avx512<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the instructions are there.
        unsafe { kernel.run::<__m512>() }
    }

    /// # Safety
    ///
    /// The machine has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the instructions are there.
        unsafe { kernel.run::<Avx2>() }
    }

    /// Two registers of eight.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256, __m256);

    macro_rules! intrinsics {
        ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $body:block)*) => {
            $(#[inline(always)]
            #[allow(unused_unsafe, reason = "some intrinsics are safe")]
            unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: see the module.
                unsafe { $body }
            })*
        };
    }

    impl Lanes for __m512 {
        type Mask = __mmask16;
        const BLOCKS: usize = 2;
        const ROWS: usize = 14;
        intrinsics! {
            fn splat(value: f32) -> Self { _mm512_set1_ps(value) }
            fn load(from: *const f32) -> Self { _mm512_loadu_ps(from) }
            fn store(self: Self, to: *mut f32) { _mm512_storeu_ps(to, self) }
            fn add(self: Self, other: Self) -> Self { _mm512_add_ps(self, other) }
            fn sub(self: Self, other: Self) -> Self { _mm512_sub_ps(self, other) }
            fn mul(self: Self, other: Self) -> Self { _mm512_mul_ps(self, other) }
            fn mul_add(self: Self, factor: Self, term: Self) -> Self { _mm512_fmadd_ps(self, factor, term) }
            fn max(self: Self, other: Self) -> Self { _mm512_max_ps(self, other) }
            fn greater(self: Self, other: Self) -> __mmask16 { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self, other) }
            fn select(mask: __mmask16, yes: Self, no: Self) -> Self { _mm512_mask_mov_ps(no, mask, yes) }
            fn bits(mask: __mmask16) -> u32 { u32::from(mask) }
            fn bytes_equal(from: *const u8, value: u8) -> __mmask16 {
                _mm_cmpeq_epi8_mask(_mm_loadu_si128(from.cast()), _mm_set1_epi8(value.cast_signed()))
            }
            fn both(a: __mmask16, b: __mmask16) -> __mmask16 { a & b }
            fn store_bytes(self: Self, to: *mut u8) {
                _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self)));
            }
        }
    }

    impl Lanes for Avx2 {
        type Mask = (__m256, __m256);
        const BLOCKS: usize = 1;
        const ROWS: usize = 6;
        intrinsics! {
            fn splat(value: f32) -> Self { let v = _mm256_set1_ps(value); Self(v, v) }
            fn load(from: *const f32) -> Self { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
            fn store(self: Self, to: *mut f32) { _mm256_storeu_ps(to, self.0); _mm256_storeu_ps(to.add(8), self.1) }
            fn add(self: Self, other: Self) -> Self { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
            fn sub(self: Self, other: Self) -> Self { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
            fn mul(self: Self, other: Self) -> Self { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
            fn mul_add(self: Self, factor: Self, term: Self) -> Self {
                Self(_mm256_fmadd_ps(self.0, factor.0, term.0), _mm256_fmadd_ps(self.1, factor.1, term.1))
            }
            fn max(self: Self, other: Self) -> Self { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
            fn greater(self: Self, other: Self) -> (__m256, __m256) {
                (_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0), _mm256_cmp_ps::<_CMP_GT_OQ>(self.1, other.1))
            }
            fn select(mask: (__m256, __m256), yes: Self, no: Self) -> Self {
                Self(_mm256_blendv_ps(no.0, yes.0, mask.0), _mm256_blendv_ps(no.1, yes.1, mask.1))
            }
            fn bits(mask: (__m256, __m256)) -> u32 {
                _mm256_movemask_ps(mask.0).cast_unsigned() | (_mm256_movemask_ps(mask.1).cast_unsigned() << 8)
            }
            fn bytes_equal(from: *const u8, value: u8) -> (__m256, __m256) {
                let equal = _mm_cmpeq_epi8(_mm_loadu_si128(from.cast()), _mm_set1_epi8(value.cast_signed()));
                (
                    _mm256_castsi256_ps(_mm256_cvtepi8_epi32(equal)),
                    _mm256_castsi256_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(equal))),
                )
            }
            fn both(a: (__m256, __m256), b: (__m256, __m256)) -> (__m256, __m256) {
                (_mm256_and_ps(a.0, b.0), _mm256_and_ps(a.1, b.1))
            }
            fn store_bytes(self: Self, to: *mut u8) {
                let words = _mm256_packs_epi32(_mm256_cvtps_epi32(self.0), _mm256_cvtps_epi32(self.1));
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
                let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(to.cast(), bytes);
            }
        }
    }
}
