//! What sections of a page are made of.

mod map_file;
mod not_seen;
mod person;
mod placed;
mod style;
mod text_table;
mod warning;

pub(super) use map_file::{file_name, read_map};
pub(super) use not_seen::NotSeen;
pub(super) use person::Person;
pub(super) use placed::Placed;
pub(super) use style::{COLUMN, PAGE, PERCENTILE};
pub(super) use text_table::TextTable;
pub(super) use warning::Warning;
