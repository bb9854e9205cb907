//! What did the 3D network see in the brain?
//!
//! voxplain trains 3D convolutional classifiers on T1-weighted volumes and shows, voxel by voxel and in
//! the subject's own space, what they used, with evidence of how far each map can be trusted.

pub use voxplain_attribution as attribution;
pub use voxplain_core::{
    Action, Error, Progress, Remedy, Result, Setting, Silent, Table, ThreadPool, Vocabulary, memory, random,
};
pub use voxplain_nn as nn;
#[cfg(feature = "report")]
pub use voxplain_report::{figure, report};
pub use voxplain_stats as stats;
pub use voxplain_study::{
    atlas, cohort, comparators, doctor, evaluation, explain, folds, group, map, model, prepare, regions, run, simulate,
    train,
};
pub use voxplain_volume as volume;

/// Every [`Setting`] that a [`Remedy`] may name: a front end has a word for each.
pub fn settings() -> impl Iterator<Item = Setting> {
    let parts: &[&[Setting]] = &[
        voxplain_study::setting::ALL,
        #[cfg(feature = "report")]
        voxplain_report::setting::ALL,
    ];
    parts.iter().flat_map(|settings| settings.iter().copied())
}
