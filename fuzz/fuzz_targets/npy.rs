//! Arrays of numpy: `.npy` as a whole and by item, `.npz`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_fuzz::{chosen, seeds, with_file};
use voxplain_volume::npy;

fuzz_target!(init: seeds::write_of("npy"), |data: &[u8]| {
    let (which, data) = chosen(data, 2);
    if which == 1 {
        with_file("a.npz", data, |path| {
            if let Ok(arrays) = npy::read_npz(path) {
                for (_, array) in arrays {
                    assert_eq!(array.data.len(), array.shape.iter().product::<usize>());
                }
            }
        });
        return;
    }
    with_file("a.npy", data, |path| {
        if let Ok(array) = npy::read(path) {
            assert_eq!(array.data.len(), array.shape.iter().product::<usize>());
        }
        if let Ok(items) = npy::Reader::open(path) {
            let _ = items.read_item(0);
            let _ = items.read_item(usize::MAX);
        }
    });
});
