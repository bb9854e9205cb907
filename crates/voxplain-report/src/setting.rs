//! What remedies and next steps of this crate ask the caller for, beside the settings of
//! [attribution](voxplain_attribution::setting) and of [a study](voxplain_study::setting).

use voxplain_core::Setting;

/// The image that a map is drawn over.
pub const BACKGROUND: Setting = Setting::new("background");
/// Maps whose outlines are drawn on top.
pub const CONTOUR: Setting = Setting::new("contour");
/// Where a figure cuts, or how often.
pub const CUTS: Setting = Setting::new("cuts");
/// What a figure shows: cuts along one axis or more, or projections.
pub const DISPLAY_MODE: Setting = Setting::new("display-mode");
/// From which |value| on a map is drawn.
pub const THRESHOLD: Setting = Setting::new("threshold");
/// The value at the end of the range of colours.
pub const VMAX: Setting = Setting::new("vmax");

/// All of them.
pub const ALL: &[Setting] = &[BACKGROUND, CONTOUR, CUTS, DISPLAY_MODE, THRESHOLD, VMAX];
