//! Names of atlas regions, in all the forms that they come in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use voxplain_fuzz::seeds;
use voxplain_study::atlas::LabelTable;

fuzz_target!(init: seeds::write_of("labels"), |data: &[u8]| {
    match LabelTable::parse(data, Path::new("labels.txt")) {
        Ok(_) => {}
        Err(error) => assert!(error.remedy().is_some_and(|remedy| !remedy.to_string().is_empty()), "{error}"),
    }
});
