//! What remedies and next steps of this crate ask the caller for, beside the settings of
//! [attribution](voxplain_attribution::setting) and of [a study](voxplain_study::setting).

use voxplain_core::Setting;

/// Where a figure cuts, or how often.
pub const CUTS: Setting = Setting::new("cuts");
/// What a figure shows: cuts along one axis or more, or projections.
pub const DISPLAY_MODE: Setting = Setting::new("display-mode");

/// All of them.
pub const ALL: &[Setting] = &[CUTS, DISPLAY_MODE];
