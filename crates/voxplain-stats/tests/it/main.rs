//! Tests against numbers of other programs.

mod inference;
