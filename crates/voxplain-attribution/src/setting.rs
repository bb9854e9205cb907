//! The settings that remedies of this crate name. Each is known by this name to every front end; the command
//! tests that it has a flag for each setting in [`ALL`].

use voxplain_core::Setting;

/// The label image of an atlas.
pub const ATLAS: Setting = Setting::new("atlas");
/// An older behaviour that is reproduced.
pub const COMPAT: Setting = Setting::new("compat");
/// The table of an atlas's regions.
pub const LABELS: Setting = Setting::new("labels");
/// How much memory compiled plans may take.
pub const MEMORY: Setting = Setting::new("memory");
/// On which scale a class is explained.
pub const SCORE: Setting = Setting::new("score");
/// An option of a method, `method.key=value`.
pub const SET: Setting = Setting::new("set");
/// Which output is explained.
pub const TARGET: Setting = Setting::new("target");

/// Every setting of this file.
pub const ALL: &[Setting] = &[ATLAS, COMPAT, LABELS, MEMORY, SCORE, SET, TARGET];
