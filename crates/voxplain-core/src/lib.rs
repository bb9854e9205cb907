//! What every crate of voxplain stands on. It knows nothing of images, networks or people.
//!
//! * [`Error`]: what went wrong, where, and what to do about it. What to do is a [`Remedy`], a sentence that the command
//!   renders with its flags and another front end in its own words.
//! * [`Progress`]: how long work says how far it is, and asks whether it should stop.
//! * [`Table`]: a CSV or TSV file as text under named columns. [`lookalike`]: words in it that differ and look the same.
//!   [`visible`]: text as it may be shown.
//! * [`random::Seed`]: random numbers that are a function of a seed and a name, whatever the order or the threads.
//! * [`ThreadPool`]: threads that share out work. [`Allotted`]: what a batch system gave to this job.
//! * [`atomic_file`]: files that are there with all their bytes or not at all. [`Claim`]: a folder that one process writes into at a
//!   time. [`input`]: files that are read, and nothing that is none. [`Fault`]: what the system means when it refuses one.
//! * [`hash_file`] and its like: what files and values are known by. [`seal`]: documents of JSON that hold a checksum of
//!   themselves.
//!
//! ```
//! use voxplain_core::{Error, Result, Setting, Table, atomic_file, random::Seed, remedy};
//!
//! const LABEL: Setting = Setting::new("label");
//!
//! /// How many people of a table have a label.
//! fn labelled(path: &std::path::Path, label: &str) -> Result<usize> {
//!     let table = Table::read(path)?;
//!     let column = table.column(label)?;
//!     match table.cells(column).flatten().count() {
//!         0 => Err(Error::file(path, "nobody has a label", remedy!["name another column with ", LABEL])),
//!         people => Ok(people),
//!     }
//! }
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("participants.tsv");
//! atomic_file::write(&path, b"participant_id\tsex\tgroup\nsub-1\tF\tn/a\nsub-2\tM\tn/a\n")?;
//! assert_eq!(labelled(&path, "sex")?, 2);
//! let error = labelled(&path, "group").unwrap_err();
//! assert_eq!(error.remedy().unwrap().to_string(), "name another column with `label`");
//!
//! // The same seed gives the same order, on every machine.
//! let order = Seed::new(7).child("folds").random().permutation(5);
//! assert_eq!(order, Seed::new(7).child("folds").random().permutation(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod argmax;
pub mod atomic_file;
mod citation;
mod claim;
mod error;
pub mod fault;
mod hash;
pub mod input;
mod job;
pub mod lookalike;
pub mod memory;
pub mod plural;
mod progress;
pub mod random;
mod remedy;
pub mod seal;
mod softmax;
mod table;
mod threads;
mod visible;

pub use argmax::argmax;
pub use citation::Citation;
pub use claim::{Claim, Occupied, Worker};
pub use error::{Error, PartError, Result};
pub use fault::Fault;
pub use hash::{hash_bytes, hash_file, hash_values};
pub use job::Allotted;
pub use progress::{Progress, Silent};
pub use remedy::{Action, Library, Phrase, Remedy, Setting, Vocabulary};
pub use softmax::{log_sum_exp, softmax};
pub use table::Table;
pub use threads::ThreadPool;
pub use visible::{visible, visible_json, visible_toml};
