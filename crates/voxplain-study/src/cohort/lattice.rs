//! The lattice that stands for all subjects of a cohort.

use super::{Cohort, Placement};
use voxplain_volume::{Affine, Grid};

impl Cohort {
    /// The lattice that stands for all subjects, and in words what its world is.
    ///
    /// With one fixed grid it is that grid. With a grid on each subject's brain-mask centre, voxel `(i, j, k)` of one subject
    /// answers to that of another only as well as two heads put on one centre do; the lattice then has its own world: mm from
    /// the mask centre.
    pub fn common_grid(&self) -> (Grid, String) {
        let grid = self.grid();
        if let Placement::Fixed(_) = self.preparation.placement {
            return (
                grid,
                "mm in the world of the cohort's one grid, to which every subject's volume was resampled".into(),
            );
        }
        let mut rows = *grid.affine.rows();
        let middle = grid.affine.apply_linear(grid.shape.map(|n| (n as f64 - 1.0) / 2.0));
        for (row, middle) in rows.iter_mut().zip(middle) {
            row[3] = -middle;
        }
        let centred = if self.preparation.whole_head { "what differs from the background" } else { "the brain mask" };
        let space = format!(
            "mm from the centre of {centred} of each subject; no subject is registered to another, so group maps are as sharp \
             as heads put on one centre"
        );
        (Grid { affine: Affine::from_rows(rows), ..grid }, space)
    }
}
