//! Networks of others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_fuzz::{seeds, with_file};
use voxplain_nn::import::onnx;

fuzz_target!(init: seeds::write_of("onnx"), |data: &[u8]| {
    with_file("a.onnx", data, |path| {
        if let Ok(imported) = onnx::read(path, Some([8, 9, 8])) {
            let network = &imported.network;
            assert_eq!(network.nodes().len(), network.shapes().len());
            let _ = network.receptive_field(network.output());
        }
    });
});
