//! What remedies and next steps of this crate ask the caller for, beside the settings of
//! [a study](voxplain_study::setting).

use voxplain_core::Setting;

/// The label image of an atlas.
pub const ATLAS: Setting = Setting::new("atlas");
/// Where a figure cuts, or how often.
pub const CUTS: Setting = Setting::new("cuts");
/// What a figure shows: cuts along one axis or more, or projections.
pub const DISPLAY_MODE: Setting = Setting::new("display-mode");
/// The table of an atlas's labels.
pub const LABELS: Setting = Setting::new("labels");

/// All of them.
pub const ALL: &[Setting] = &[ATLAS, CUTS, DISPLAY_MODE, LABELS];
