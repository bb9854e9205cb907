//! [`VolumeType`]: in which precision a cohort keeps its volumes.

use crate::setting::{DTYPE, NORMALIZE};
use serde::{Deserialize, Serialize};
use voxplain_core::{Error, Result, remedy};
use voxplain_volume::{Dtype, Volume, npy};

/// The type of the values in `volumes.npy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeType {
    /// Single precision, 4 bytes a voxel.
    #[default]
    Float32,
    /// Half precision, 2 bytes a voxel (IEEE 754 binary16): each value to within 1 part in 2048, or 3e-8 of what is smaller than 6e-5.
    Float16,
}

impl VolumeType {
    /// The largest value that half precision holds.
    const LARGEST: f32 = 65504.0;

    pub(super) const fn dtype(self) -> Dtype {
        match self {
            Self::Float32 => Dtype::Float32,
            Self::Float16 => Dtype::Float16,
        }
    }

    /// Whether it is the one that is used unless another is asked for.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What it means for the values, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Float32 => "single precision",
            Self::Float16 => "half precision, each value to within 1 part in 2048",
        }
    }

    /// Makes the values of a subject's volumes those that the file gives back, so that what is hashed is what is read.
    ///
    /// # Errors
    /// A value is larger than half precision holds.
    pub(crate) fn round(self, id: &str, volumes: &mut [Volume]) -> Result<()> {
        if self == Self::Float32 {
            return Ok(());
        }
        for volume in volumes {
            let largest = volume.data().iter().fold(0.0f32, |most, v| most.max(v.abs()));
            if largest > Self::LARGEST {
                return Err(Error::subject(
                    id,
                    format!(
                        "the prepared volume has values up to {largest}, and half precision holds {} at most",
                        Self::LARGEST
                    ),
                    remedy![
                        "normalise the intensities (",
                        NORMALIZE,
                        "), or keep them in single precision with ",
                        DTYPE.to("float32")
                    ],
                ));
            }
            npy::as_stored(self.dtype(), volume.data_mut());
        }
        Ok(())
    }
}

/// How a writer keeps the volumes of a cohort: their shape, `[channels, i, j, k]`, and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of the volumes of one subject, `[channels, i, j, k]`.
    pub shape: [usize; 4],
    /// The type of their values.
    pub dtype: VolumeType,
}

impl From<[usize; 4]> for Stored {
    fn from(shape: [usize; 4]) -> Self {
        Self { shape, dtype: VolumeType::default() }
    }
}
