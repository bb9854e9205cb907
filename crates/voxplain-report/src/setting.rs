//! What remedies and next steps of this crate ask the caller for, by name.

use voxplain_core::Setting;

/// The label image of an atlas.
pub const ATLAS: Setting = Setting::new("atlas");
/// Where a figure cuts, or how often.
pub const CUTS: Setting = Setting::new("cuts");
/// What a figure shows: cuts along one axis or more, or projections.
pub const DISPLAY_MODE: Setting = Setting::new("display-mode");
/// Images that belong to no cohort.
pub const INPUT: Setting = Setting::new("input");
/// The column of the participants table that a network learns.
pub const LABEL: Setting = Setting::new("label");
/// The table of an atlas's labels.
pub const LABELS: Setting = Setting::new("labels");
/// Methods of attribution.
pub const METHOD: Setting = Setting::new("method");
/// What is measured of maps.
pub const METRIC: Setting = Setting::new("metric");
/// Where results go.
pub const OUT: Setting = Setting::new("out");

/// All of them.
pub const ALL: &[Setting] = &[ATLAS, CUTS, DISPLAY_MODE, INPUT, LABEL, LABELS, METHOD, METRIC, OUT];
