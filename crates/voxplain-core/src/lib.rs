//! What every crate of voxplain stands on: [`Error`] with a [`Remedy`], [`Progress`], files that appear whole
//! ([`atomic_file`]), [`Table`]s of text, and [`random`] numbers that are a function of a seed.
//!
//! Knows nothing of images, networks or people.

mod argmax;
pub mod atomic_file;
mod error;
mod hash;
pub mod memory;
mod progress;
pub mod random;
mod remedy;
mod table;

pub use argmax::argmax;
pub use error::{Error, PartError, Result};
pub use hash::hash_values;
pub use progress::{Progress, Silent};
pub use remedy::{Action, Library, Part, Remedy, Setting, Vocabulary};
pub use table::Table;
