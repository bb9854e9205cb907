//! Model files: safetensors with the graph and the card of a model in its header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxplain_fuzz::{seeds, with_file};
use voxplain_nn::import::safetensors;
use voxplain_study::model::Model;

fuzz_target!(init: seeds::write_of("model"), |data: &[u8]| {
    if let Ok((tensors, _)) = safetensors::decode(data) {
        for (_, tensor) in tensors {
            assert_eq!(tensor.data().len(), tensor.shape().iter().product::<usize>());
        }
    }
    with_file("a.safetensors", data, |path| {
        if let Ok(model) = Model::read(path) {
            // What was read can be asked about.
            let _ = model.network.receptive_field(model.network.output());
            let _ = model.unseen();
            assert_eq!(model.hash().len(), 64);
        }
    });
});
