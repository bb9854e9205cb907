//! The published checkpoints, read and run, give what PyTorch gave.
use crate::support::witness;
use std::path::Path;
use voxplain_nn::{Engine, EngineOptions, PlanOptions, Purpose};
use voxplain_study::{
    cohort::Normalize,
    model::{Architecture, ImportOptions, Model, OnnxOptions, import, import_onnx},
};

fn values(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn check(checkpoint: &str, architecture: Architecture, outputs: &str) {
    let all = [checkpoint.to_owned(), "arrays/inputs.npy".into(), format!("arrays/{outputs}.npy")];
    let paths: Option<Vec<_>> = all.iter().map(|name| witness(&format!("reference/{name}"))).collect();
    let Some(paths) = paths else { return };
    let options = ImportOptions { architecture, classes: Vec::new(), shape: None, normalize: Normalize::None };
    let model = import(&paths[0], &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    model.write(&file).unwrap();
    let model = Model::read(&file).unwrap();

    let engine = Engine::new(EngineOptions::default()).unwrap();
    let options = PlanOptions { purpose: Purpose::Infer, batch: 3, keep: Vec::new() };
    let mut plan = engine.plan(&model.network, &options).unwrap();
    let tape = plan.forward(&values(&paths[1])).unwrap();
    let expected = values(&paths[2]);
    assert_eq!(tape.output().len(), expected.len());
    for (got, expected) in tape.output().iter().zip(&expected) {
        // What the arithmetic supports: see the reference's README.
        assert!((got - expected).abs() <= 1e-4, "{:?} {expected:?}", tape.output());
    }
}

#[test]
fn the_network_that_ends_in_logits() {
    check("best_model_all_grad", Architecture::MrinetGrad, "grad_logits");
}

#[test]
fn the_network_that_ends_in_log_softmax() {
    check("best_model_all", Architecture::Mrinet, "logprob_outputs");
}

/// A network that makes volumes larger on its way is a model like others; one whose output is an image is refused with what to
/// export instead.
#[test]
fn networks_whose_output_is_an_image_are_refused() {
    let file = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../voxplain-nn/tests/fixtures/onnx").join(format!("{name}.onnx"))
    };
    let options = OnnxOptions {
        spacing: Some([2.0; 3]),
        normalize: Some(Normalize::None),
        orientation: Some("RAS".into()),
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        ..OnnxOptions::default()
    };
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for export in ["dynamo", "torchscript"] {
        let error = import_onnx(&engine, &file(&format!("decoder.{export}")), &options).unwrap_err();
        assert!(
            error.to_string().contains("gives an image of 3 channel(s), 5 x 8 x 12, as a segmentation does"),
            "{error}"
        );
        let model = import_onnx(&engine, &file(&format!("decoder-pooled.{export}")), &options).unwrap().model;
        let written = folder.path().join(format!("{export}.safetensors"));
        model.write(&written).unwrap();
        assert_eq!(Model::read(&written).unwrap().network, model.network);
    }
}
