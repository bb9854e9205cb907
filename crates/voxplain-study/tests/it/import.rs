//! The published checkpoints, read and run, give what PyTorch gave.
use crate::support::witness;
use std::path::{Path, PathBuf};
use voxplain_nn::{Engine, EngineOptions, PlanOptions, Purpose};
use voxplain_study::{
    cohort::{Normalize, Placement},
    model::{Align, Architecture, ImportOptions, Model, OnnxModel, OnnxOptions, import, import_onnx},
};
use voxplain_volume::{Affine, Grid, Sizes, Volume, WriteOptions, write};

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

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../voxplain-nn/tests/fixtures/onnx").join(name)
}

/// What the network of `decoder-pooled` does not say.
fn decoder() -> OnnxOptions {
    OnnxOptions {
        spacing: Some([2.0; 3]),
        normalize: Some(Normalize::None),
        orientation: Some("RAS".into()),
        align: Some(Align::Nothing),
        classes: ["a", "b", "c"].map(String::from).to_vec(),
        ..OnnxOptions::default()
    }
}

fn imported(options: &OnnxOptions) -> voxplain_core::Result<OnnxModel> {
    let engine = Engine::new(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
    import_onnx(&engine, &fixture("decoder-pooled.torchscript.onnx"), options)
}

fn text(error: &voxplain_core::Error) -> String {
    format!("{error}; {}", error.remedy().unwrap())
}

/// Where heads lie is asked for like the size of voxels, and the model file keeps what was said: on each mask, on one grid, turned to a
/// template as `prepare` would turn them.
#[test]
fn where_heads_lie_is_asked_for_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let refused = text(&imported(&OnnxOptions { align: None, ..decoder() }).unwrap_err());
    assert!(refused.contains("does not say whether heads are turned to a template for it, and no guess"), "{refused}");
    assert!(
        refused.ends_with("say it: `align` = TEMPLATE|none, or that it is as with a run of voxplain: `like` = RUN"),
        "{refused}"
    );
    let written = folder.path().join("model.safetensors");
    let placed = |align: Align, origin| {
        let model = imported(&OnnxOptions { align: Some(align), origin, ..decoder() }).unwrap().model;
        model.write(&written).unwrap();
        assert_eq!(model.card.training["placement_said"], true);
        let preparation = Model::read(&written).unwrap().card.preparation;
        (preparation.placement, preparation.template)
    };
    let shape = imported(&decoder()).unwrap().model.card.preparation.shape;
    let fixed = |origin| Placement::Fixed(Grid::new(shape, Affine::from_spacing_origin([2.0; 3], origin)).unwrap());
    assert_eq!(placed(Align::Nothing, None), (Placement::MaskCentre, None));
    assert_eq!(placed(Align::Nothing, Some([-9.0, 4.0, 3.0])), (fixed([-9.0, 4.0, 3.0]), None));
    // A brain from (-4, 2, 0) to (5, 8, 6) mm, whose middle is that of the grid.
    let grid = Grid::new([16; 3], Affine::from_spacing_origin([1.0; 3], [-8.0, -2.0, -4.0])).unwrap();
    let brain = Volume::from_fn(grid, |[i, j, k]| {
        let inside = (4..14).contains(&i) && (4..11).contains(&j) && (4..11).contains(&k);
        if inside { 50.0 + (i * j + k) as f32 } else { 0.0 }
    });
    let path = folder.path().join("brain.nii.gz");
    write(&path, &brain, &WriteOptions::default()).unwrap();
    let align = Align::Template { path: path.clone(), sizes: Sizes::Remove };
    let middle = [0.5, 5.0, 3.0];
    let origin = std::array::from_fn(|a| middle[a] - (shape[a] as f64 - 1.0));
    let (placement, template) = placed(align.clone(), None);
    assert_eq!(placement, fixed(origin));
    let template = template.unwrap();
    assert_eq!((template.name().as_str(), template.sizes), ("brain.nii.gz", Sizes::Remove));
    assert_eq!(template.hash, voxplain_core::hash_file(&path).unwrap());
    assert_eq!(placed(align, Some([1.0; 3])).0, fixed([1.0; 3]));
    // What is no template, as in `prepare`.
    write(&path, &brain.map(|v| f32::from(u8::from(*v > 0.0))), &WriteOptions::default()).unwrap();
    let align = Some(Align::Template { path, sizes: Sizes::Keep });
    let refused = text(&imported(&OnnxOptions { align, ..decoder() }).unwrap_err());
    assert!(refused.contains("a mask, not an image"), "{refused}");
    // Taken from a model that says it.
    let like = OnnxOptions { like: Some(written), classes: decoder().classes, ..OnnxOptions::default() };
    assert_eq!(imported(&like).unwrap().model.card.preparation.placement, fixed([1.0; 3]));
}

/// A network that makes volumes larger on its way is a model like others; one whose output is an image is refused with what to
/// export instead.
#[test]
fn networks_whose_output_is_an_image_are_refused() {
    let file = |name: &str| fixture(&format!("{name}.onnx"));
    let options = decoder();
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
