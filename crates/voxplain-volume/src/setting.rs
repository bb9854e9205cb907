//! The settings that remedies of this crate name. The command tests that it has a flag for each in [`ALL`].

use voxplain_core::Setting;

/// The value above which a voxel of a mask belongs.
pub const MASK_THRESHOLD: Setting = Setting::new("mask-threshold");

/// Every setting of this file.
pub const ALL: &[Setting] = &[MASK_THRESHOLD];
