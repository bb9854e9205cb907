//! Controls: maps that know nothing of the network, for every table of methods.
//!
//! A method whose maps agree with one of these, or do no better in an evaluation, has shown nothing about the network
//! (Adebayo et al. 2018, arXiv 1810.03292, on edge detectors).

mod input_magnitude;
mod map;
mod random;
mod sobel;

pub use input_magnitude::InputMagnitude;
pub use random::Random;
pub use sobel::Sobel;
