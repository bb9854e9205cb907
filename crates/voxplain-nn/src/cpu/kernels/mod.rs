//! The kernels of the CPU backend.
//!
//! # Layout
//!
//! Channels lie in blocks of sixteen, innermost: `[n][c / 16][i][j][k][16]`, the last block padded with zero weights.
//! One voxel of one block is a cache line and one AVX-512 register, two of AVX2, four of SSE; every kernel works on
//! sixteen channels at once and never gathers. The network's input stays as it comes, `[n][c][i][j][k]`, when it has
//! few channels; flat values are `[n][f]` padded to sixteen.
//!
//! # Tile
//!
//! Convolutions are sums of outer products: a column of positions (one value each, broadcast) by a row of output
//! channels (one or two registers of weights). On AVX-512 a tile is 13 or 14 positions by 32 channels, 28 of 32
//! registers; on AVX2 6 by 16, 12 of 16. [`direct`] takes the positions along `k`, [`winograd`] along its tiles.
//!
//! ```text
//!                 weights   w[c][0..16]   w[c][16..32]
//!                           +-----------+ +-----------+
//!   x[p0][c] broadcast  x   | sum[0][0] | | sum[1][0] |    += for every input channel c
//!   x[p1][c]            x   | sum[0][1] | | sum[1][1] |       (and tap, or once per point of Winograd's 64)
//!    ...                    |    ...    | |    ...    |
//!   x[p13][c]           x   | sum[0][13]| | sum[1][13]|
//!                           +-----------+ +-----------+
//! ```
//!
//! # Data flow of the paper's network
//!
//! Evaluation; batch-norm is folded into the weights, and a block is one kernel:
//!
//! ```text
//! input [58 70 58]
//!   | first: direct, 4 rows at a time, pooled in the first-level cache
//! y1 [2][28 34 28][16] + which of 8 (u8)
//!   | winograd: 26 tiles at a time through 64 points; a tile is a pooling window
//! y2 [4][13 16 13][16] + which of 8
//!   | winograd
//! y3 [8][5 7 5][16] + which of 8
//!   | flatten, linear
//! logits -output gradient-> linear^T -> g3 -> sparse -> g2 -> sparse -> g1 -> sparse -> map [58 70 58]
//! ```
//!
//! [`sparse`] goes backwards through pool, ReLU and convolution at once: only the maximum of each window, where the
//! ReLU lets it through, scatters its 27 taps.
//!
//! Training, with a batch's own statistics. The first block's convolution is never stored: what is needed of it follows
//! from the [`patches`] of the input. The others keep their output, measure the batch ([`norm`]), normalise, cut off and
//! pool in one pass, and back in one ([`norm_pool`]); weight gradients are summed in Winograd's domain, a slice of its
//! points at a time ([`winograd_gradient`]):
//!
//! ```text
//! input --patches--> mean, covariance [27][27] --> statistics of the first block
//!   | first, normalisation folded in
//! y1 --winograd--> x2 --norm--> statistics --norm_pool--> y2 --winograd--> x3 ... logits, loss, dlogits
//!
//! dw1 <-patches-- g1 <--winograd-- dx2 <--norm_pool-- g2 <--winograd-- dx3 <--norm_pool-- g3 <-- dlogits
//!                  dw2 <--winograd_gradient--'          dw3 <--winograd_gradient--'
//! ```
//!
//! Networks of others: a stem of seven taps is [`nested`]; a batch normalisation, a ReLU and a max-pool of any window are one
//! step in training ([`norm_pool`]); what a normalisation gives to convolutions alone is computed once more in the backward
//! pass, and the gradient of what it reads takes its place. A convolution of one tap is [`pointwise`], does in inference what a
//! normalisation in front of it does, and runs behind a mean-pool that followed it. Channels that are joined are written where
//! they are joined (`plan/joining.rs`).
//!
//! # What is fast, and what is not
//!
//! * A closure in a kernel does not take on the kernel's instructions: vectors in it are passed through memory, at a
//!   tenth of the speed. Kernels have functions that are `inline(always)` and constants as generic parameters.
//! * Arrays of registers that are filled after they were zeroed cost a pass over memory: transforms are written so that
//!   what is on the way fits in registers.
//! * What is read next is asked for while products are computed, one line at a time between them; in bursts it holds
//!   them up for as long as it takes to come.
//! * Points of Winograd's domain lie a cache line more than a power of two apart, lest they fall on the same sets.
//!
//! # Soundness and sameness
//!
//! * `unsafe` is allowed here and nowhere else. Kernels are entered by safe functions that check every size; each
//!   block says what it relies on. Instructions are chosen once, in [`lanes`], from what the machine is found to have.
//! * A kernel is written once, generic over [`lanes::Lanes`], and has a test against the double-precision reference
//!   (`tests/engine_reference.rs`).
//! * Work is split by shape, and sums have a fixed order: results have the same bits on any number of threads. They
//!   differ between instruction sets by rounding.
#![allow(unsafe_code, reason = "the one place where it is allowed: every block says why it is sound")]
#![allow(
    clippy::needless_range_loop,
    reason = "loops over registers, with constant bounds that the compiler unrolls, read best by index"
)]

mod buffer;
pub(crate) mod direct;
pub(crate) mod elementwise;
pub(crate) mod first;
pub(crate) mod grouped;
mod lanes;
pub(crate) mod linear;
pub(crate) mod nested;
pub(crate) mod norm;
pub(crate) mod norm_pool;
pub(crate) mod patches;
pub(crate) mod peak;
pub(crate) mod pointwise;
pub(crate) mod pool;
pub(crate) mod rearrange;
pub(crate) mod resize;
pub(crate) mod sample_norm;
mod scratch;
mod shape;
pub(crate) mod sparse;
pub(crate) mod strided;
pub(crate) mod winograd;
pub(crate) mod winograd_gradient;

pub(crate) use buffer::Buffer;
pub(crate) use lanes::Isa;
pub(crate) use scratch::{Cpu, Scratch};
pub(crate) use shape::{Conv, LANES, Layout, Volume, Window};
