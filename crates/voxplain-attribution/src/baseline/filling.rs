//! [`Filling`]: a baseline made ready to fill holes in one image.

use super::Harmonic;

/// A baseline made ready for one image: fills what is taken out of it.
#[derive(Clone, Debug)]
pub struct Filling(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// The same whatever the hole is: values of all channels, and how many voxels each has.
    Values(Vec<f32>, usize),
    /// Made for each hole of what surrounds it.
    Harmonic(Harmonic),
}

impl Filling {
    /// Takes the values in a hole from this image, `[channels][i][j][k]`, of so many voxels in a channel.
    pub fn by_values(values: Vec<f32>, voxels: usize) -> Self {
        Self(Kind::Values(values, voxels))
    }

    /// Continues what surrounds a hole.
    pub fn harmonic(harmonic: Harmonic) -> Self {
        Self(Kind::Harmonic(harmonic))
    }

    /// Replaces the voxels of `hole`, each named once, in every channel of a copy of the image, `[channels][i][j][k]`.
    pub fn fill(&mut self, image: &mut [f32], hole: &[usize]) {
        match &mut self.0 {
            Kind::Values(values, voxels) => {
                for (image, values) in image.chunks_mut(*voxels).zip(values.chunks(*voxels)) {
                    hole.iter().for_each(|&n| image[n] = values[n]);
                }
            }
            Kind::Harmonic(harmonic) => {
                image.chunks_mut(harmonic.voxels()).for_each(|channel| harmonic.fill(channel, hole));
            }
        }
    }
}
