//! Where the brain of a case is.

use crate::Case;
use voxplain_volume::Mask;

impl Case<'_> {
    /// The voxels that count as brain, and what they are in words: the mask given, else the voxels other than 0 in any channel, else all.
    pub fn brain(&self) -> (Mask, &'static str) {
        if let Some(mask) = self.mask.filter(|mask| mask.data().contains(&true)) {
            return (mask.clone(), "the brain mask");
        }
        let mut inside = self.image.map(|&v| v != 0.0);
        for channel in self.others {
            inside.data_mut().iter_mut().zip(channel.data()).for_each(|(inside, &v)| *inside |= v != 0.0);
        }
        if inside.data().contains(&true) {
            (inside, "voxels other than 0")
        } else {
            (self.image.map(|_| true), "all voxels")
        }
    }
}
