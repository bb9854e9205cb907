//! Figures of maps on brains ([`figure`]), and one page with everything that a run made ([`report`]).

pub mod figure;
pub mod report;
pub mod setting;
