//! FreeSurfer's MGH as it is after decompression, as images and as labels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_fuzz::{seeds, with_file};
use voxplain_volume::{ReadOptions, read, read_labels};

fuzz_target!(init: seeds::write_of("mgh"), |data: &[u8]| {
    with_file("a.mgh", data, |path| {
        match read(path, &ReadOptions { volume: Some(0), ..ReadOptions::default() }) {
            Ok(image) => {
                assert_eq!(image.volume.data().len(), image.volume.grid().len());
                assert!(image.volume.grid().affine.is_finite());
            }
            Err(error) => assert!(error.remedy().is_some_and(|remedy| !remedy.to_string().is_empty()), "{error}"),
        }
        if let Ok((labels, _)) = read_labels(path) {
            assert_eq!(labels.data().len(), labels.grid().len());
        }
    });
});
