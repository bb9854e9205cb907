//! PyTorch's state dicts. The bytes are the pickle in the archive, so that the checksums of zip hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Write as _};
use voxplain_fuzz::{seeds, with_file};
use voxplain_nn::import::pytorch;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fuzz_target!(init: seeds::write_of("pickle"), |data: &[u8]| {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let parts: [(&str, &[u8]); 3] = [("a/data.pkl", data), ("a/byteorder", b"little"), ("a/data/0", &[0; 64])];
    for (name, bytes) in parts {
        zip.start_file(name, options).expect("a zip in memory");
        zip.write_all(bytes).expect("a zip in memory");
    }
    let bytes = zip.finish().expect("a zip in memory").into_inner();
    with_file("a.pt", &bytes, |path| {
        if let Ok(tensors) = pytorch::read(path) {
            for (_, tensor) in tensors {
                assert_eq!(tensor.data().len(), tensor.shape().iter().product::<usize>());
            }
        }
    });
});
