//! What is written by hand or kept beside results: design formulae, records of maps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_fuzz::{chosen, seeds, with_file};
use voxplain_study::{compare::Formula, map};

fuzz_target!(init: seeds::write_of("settings"), |data: &[u8]| {
    let (which, data) = chosen(data, 2);
    if which == 0 {
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = Formula::parse(text);
        }
    } else {
        with_file("a.json", data, |path| {
            let _ = map::read_record(path);
        });
    }
});
