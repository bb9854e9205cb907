//! [`Filling`]: a baseline made ready to fill holes in one image.

use super::Harmonic;
use std::sync::Arc;

/// A baseline made ready for one image: what stands where a part of it is taken out.
#[derive(Clone, Debug)]
pub enum Filling {
    /// The same whatever the hole is.
    Values {
        /// `[channels][i][j][k]`.
        values: Arc<[f32]>,
        /// Voxels of one channel.
        voxels: usize,
    },
    /// Made for each hole of what surrounds it.
    Harmonic(Box<Harmonic>),
}

impl Filling {
    /// Replaces the voxels of `hole`, each named once, in every channel of a copy of the image, `[channels][i][j][k]`.
    pub fn fill(&mut self, image: &mut [f32], hole: &[usize]) {
        match self {
            Self::Values { values, voxels } => {
                for (image, values) in image.chunks_mut(*voxels).zip(values.chunks(*voxels)) {
                    hole.iter().for_each(|&n| image[n] = values[n]);
                }
            }
            Self::Harmonic(harmonic) => {
                image.chunks_mut(harmonic.voxels()).for_each(|channel| harmonic.fill(channel, hole));
            }
        }
    }
}
