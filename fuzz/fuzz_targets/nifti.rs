//! NIfTI-1 and -2 as they are after decompression, as images and as labels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_fuzz::{seeds, with_file};
use voxplain_volume::{ReadOptions, read, read_labels};

fuzz_target!(init: seeds::write_of("nifti"), |data: &[u8]| {
    with_file("a.nii", data, |path| {
        match read(path, &ReadOptions { volume: Some(0), ..ReadOptions::default() }) {
            Ok(image) => {
                let volume = &image.volume;
                assert_eq!(volume.data().len(), volume.grid().len());
                assert!(volume.grid().affine.is_finite());
                let back =
                    volume.to_ras().reorient_like(volume.grid()).expect("an image can be turned and turned back");
                assert_eq!(back.shape(), volume.shape());
            }
            Err(error) => assert!(error.remedy().is_some_and(|remedy| !remedy.to_string().is_empty()), "{error}"),
        }
        if let Ok((labels, _)) = read_labels(path) {
            assert_eq!(labels.data().len(), labels.grid().len());
        }
    });
});
