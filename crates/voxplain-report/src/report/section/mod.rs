//! The sections of a page, one a file: what each shows, made from what a run holds. None knows the page.

pub(super) mod accuracy;
pub(super) mod agreement;
pub(super) mod cohort;
pub(super) mod faithfulness;
pub(super) mod imbalance;
mod known_images;
pub(super) mod leakage;
pub(super) mod learning;
pub(super) mod linear;
pub(super) mod maps;
pub(super) mod methods_text;
pub(super) mod provenance;
pub(super) mod quality;
pub(super) mod regions;
pub(super) mod significance;
pub(super) mod subjects;
pub(super) mod truth;
pub(super) mod value_errors;
