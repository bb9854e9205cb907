//! Tables of participants, and tables of measures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_core::Table;
use voxplain_fuzz::{seeds, with_file};
use voxplain_study::morphometry::Morphometry;

fuzz_target!(init: seeds::write_of("table"), |data: &[u8]| {
    with_file("a.csv", data, |path| {
        match Table::read(path) {
            Ok(table) => assert!(table.rows.iter().all(|row| row.len() == table.columns.len())),
            Err(error) => assert!(error.remedy().is_some_and(|remedy| !remedy.to_string().is_empty()), "{error}"),
        }
        let _ = Morphometry::read(path);
    });
});
