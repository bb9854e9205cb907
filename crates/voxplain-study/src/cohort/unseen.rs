//! What a network cannot see of the brains of a cohort.

use super::Cohort;
use voxplain_attribution::Unseen;
use voxplain_core::Result;
use voxplain_nn::Network;

impl Cohort {
    /// What a network cannot see of the field of view, whatever its weights, and of the brains of these subjects together: the
    /// unseen share of all their voxels. None where it sees all.
    ///
    /// # Errors
    /// The masks cannot be read, or the grid of the preparation is none.
    pub fn unseen(&self, network: &Network, subjects: &[usize]) -> Result<Option<Unseen>> {
        let reach = network.input_reach();
        let grid = self.preparation.any_grid()?;
        let Some(mut unseen) = Unseen::of(&reach, Some(&grid), None) else { return Ok(None) };
        let [mut blind, mut all] = [0; 2];
        for subject in subjects {
            let [blind_here, all_here] = Unseen::in_brain(&reach, &self.mask(*subject)?);
            blind += blind_here;
            all += all_here;
        }
        unseen.of_heads = self.preparation.whole_head;
        unseen.share_of_mask = (all > 0).then(|| blind as f64 / all as f64);
        Ok(Some(unseen))
    }
}
