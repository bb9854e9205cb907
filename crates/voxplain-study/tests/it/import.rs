//! The published checkpoints, read and run, give what PyTorch gave.
use crate::support::{small_run, witness};
use std::path::{Path, PathBuf};
use voxplain_nn::{Engine, EngineOptions, PlanOptions, Purpose};
use voxplain_study::{
    cohort::{Normalize, Placement},
    model::{Align, Architecture, ImportOptions, Model, OnnxModel, OnnxOptions, import, import_onnx},
};
use voxplain_volume::{Affine, Grid, Sizes, Volume, WriteOptions, npy, write};

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
    // A grid that does not hold the middle of space holds no head, mostly; one that does is not warned of.
    let warned = |origin| {
        let warnings = imported(&OnnxOptions { origin: Some(origin), ..decoder() }).unwrap().warnings;
        warnings.iter().any(|(w, _)| w.contains("does not hold the point (0, 0, 0)"))
    };
    assert!(warned([400.0, 4.0, 3.0]) && !warned(shape.map(|n| 1.0 - n as f64)));
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

/// Pairs of the network of `decoder-pooled`, with an input changed and an output moved, as an `.npz` file.
fn pairs(folder: &Path, x: impl Fn(f32) -> f32, y: impl Fn(usize, f32) -> f32) -> PathBuf {
    let arrays = npy::read_npz(fixture("decoder-pooled.npz")).unwrap();
    let of = |name: &str| arrays.iter().find(|(there, _)| there == name).unwrap().1.clone();
    let (mut inputs, mut outputs) = (of("x"), of("y"));
    inputs.data.iter_mut().for_each(|v| *v = x(*v));
    let each = outputs.data.len() / outputs.shape[0];
    outputs.data.iter_mut().enumerate().for_each(|(n, v)| *v = y(n / each, *v));
    let file = folder.join("pairs.npz");
    std::fs::write(&file, stored([("x.npy", &inputs), ("y.npy", &outputs)])).unwrap();
    file
}

/// A zip archive of arrays that are stored as they are.
fn stored(arrays: [(&str, &npy::NpyArray); 2]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, array) in arrays {
        let shape: Vec<String> = array.shape.iter().map(|n| format!("{n},")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}\n", shape.concat());
        let mut content = b"\x93NUMPY\x01\x00".to_vec();
        content.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        content.extend(header.as_bytes());
        content.extend(array.data.iter().flat_map(|v| v.to_le_bytes()));
        let (at, size) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(content.len()).unwrap());
        // Time 0, then the sum of the content, its size twice, the length of its name and of what comes after that.
        let about: Vec<u8> = [0u32, crc(&content), size, size, u32::try_from(name.len()).unwrap()]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        bytes.extend(b"PK\x03\x04\x14\x00\x00\x00\x00\x00".iter().chain(&about).chain(name.as_bytes()).chain(&content));
        directory.extend(b"PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00".iter().chain(&about).chain(&[0; 10]));
        directory.extend(at.to_le_bytes().iter().chain(name.as_bytes()));
    }
    let ends = [u32::try_from(directory.len()).unwrap(), u32::try_from(bytes.len()).unwrap()];
    bytes.extend(&directory);
    bytes.extend(
        b"PK\x05\x06\x00\x00\x00\x00\x02\x00\x02\x00"
            .iter()
            .copied()
            .chain(ends.map(u32::to_le_bytes).concat())
            .chain([0; 2]),
    );
    bytes
}

/// The cyclic redundancy check of zip files, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

fn checked(check: PathBuf) -> OnnxOptions {
    OnnxOptions { check: Some(check), normalize: Some(Normalize::Robust), ..decoder() }
}

/// What was compared is in the model file; of a network that nothing was compared with the file says so, and of one of an older version that
/// it is not known.
#[test]
fn what_was_compared_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("model.safetensors");
    let kept = |model: &Model| {
        model.write(&written).unwrap();
        Model::read(&written).unwrap().card
    };
    let file = pairs(folder.path(), |x| x, |_, y| y);
    let checked = imported(&checked(file.clone())).unwrap();
    let card = kept(&checked.model);
    let check = card.output_check().unwrap();
    assert_eq!(Some(&check), checked.check.as_ref());
    assert_eq!((check.file.as_str(), check.hash), ("pairs.npz", voxplain_core::hash_file(&file).unwrap()));
    let words = card.imported_words().unwrap();
    assert!(
        words.starts_with("The network was imported from decoder-pooled.torchscript.onnx; its outputs for"),
        "{words}"
    );
    assert!(words.contains("pairs (pairs.npz) differ by at most"), "{words}");
    let mut bare = imported(&decoder()).unwrap().model;
    let card = kept(&bare);
    assert_eq!(card.output_check(), None);
    assert!(
        card.imported_words().unwrap().contains("were not compared with those of its own framework: nothing shows")
    );
    bare.card.training.as_object_mut().unwrap().remove("check");
    assert!(kept(&bare).imported_words().unwrap().contains("by an older version, which did not write down"));
    bare.card.training = serde_json::Value::Null;
    assert_eq!(kept(&bare).imported_words(), None);
}

/// Pairs that agree for the first image alone, single arrays, and inputs that are no images as was said.
#[test]
fn pairs_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let baked = checked(pairs(folder.path(), |x| x, |pair, y| if pair == 0 { y } else { y * 1.5 + 0.1 }));
    let refused = text(&imported(&baked).unwrap_err());
    assert!(
        refused.contains(". Pair 1 agrees, pair") && refused.contains("of the example image may be in the file"),
        "{refused}"
    );
    assert!(!refused.contains("alf precision") && refused.contains("stay in the graph"), "{refused}");
    let alone = folder.path().join("x.npy");
    std::fs::write(&alone, b"\x93NUMPY\x01\x00").unwrap();
    let refused = text(&imported(&checked(alone)).unwrap_err());
    assert!(refused.contains("one array of NumPy (.npy), expected two, x and y"), "{refused}");
    let images = || pairs(folder.path(), |x| x, |_, y| y);
    assert!(imported(&checked(images())).unwrap().warnings.is_empty());
    let plain = OnnxOptions { normalize: Some(Normalize::None), ..checked(images()) };
    let doubted = imported(&plain).unwrap();
    // What was doubted stays with the model.
    let words = doubted.model.card.imported_words().unwrap();
    let [(warning, remedy)] = <[_; 1]>::try_from(doubted.warnings).unwrap();
    assert!(words.ends_with(&format!(" A doubt when it was imported: {warning}.")), "{words}");
    assert!(warning.contains("none leaves the values of a file as they are"), "{warning}");
    assert!(remedy.to_string().starts_with("choose `normalize`"), "{remedy}");
}

/// A model that was exported comes back without a word about it, and what is said beside must be the same.
#[test]
fn what_was_exported_needs_no_options() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let engine = Engine::new(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
    let brain =
        Volume::from_fn(Grid::new([12; 3], Affine::from_spacing_origin([1.0; 3], [-6.0; 3])).unwrap(), |[i, j, k]| {
            if [i, j, k].iter().all(|n| (2..10).contains(n)) { 50.0 + (i * j + k) as f32 } else { 0.0 }
        });
    write(&at("brain.nii.gz"), &brain, &WriteOptions::default()).unwrap();
    let align = Align::Template { path: at("brain.nii.gz"), sizes: Sizes::Remove };
    let first = OnnxOptions { align: Some(align.clone()), normalize: Some(Normalize::Zscore), ..decoder() };
    let mut model = imported(&first).unwrap().model;
    model.card.label = "group".into();
    model.write_onnx(&at("back.onnx")).unwrap();
    let again = |options: OnnxOptions| import_onnx(&engine, &at("back.onnx"), &options);
    let back = again(OnnxOptions::default()).unwrap().model;
    assert_eq!(back.card.preparation, model.card.preparation);
    assert_eq!((&back.card.task, &back.card.label), (&model.card.task, &model.card.label));
    assert!(again(OnnxOptions { channels: Vec::new(), ..first.clone() }).is_ok(), "the same words");
    let other = |options: OnnxOptions, told: &str, setting: &str| {
        let refused = text(&again(options).unwrap_err());
        assert!(refused.contains(told) && refused.contains("(voxplain exported it)"), "{refused}");
        assert!(refused.ends_with(&format!("leave out `{setting}`: the file says it")), "{refused}");
    };
    let none = OnnxOptions::default;
    other(OnnxOptions { spacing: Some([3.0; 3]), ..none() }, "says voxels of 2 x 2 x 2 mm", "spacing");
    other(OnnxOptions { normalize: Some(Normalize::Robust), ..none() }, "prepared by `zscore`", "normalize");
    other(OnnxOptions { orientation: Some("LPS".into()), ..none() }, "axes in the order RAS", "orientation");
    other(
        OnnxOptions { align: Some(Align::Nothing), ..none() },
        "says heads turned to the template brain.nii.gz",
        "align",
    );
    other(OnnxOptions { align: Some(align), origin: Some([0.0; 3]), ..none() }, "brain.nii.gz", "origin");
    other(OnnxOptions { whole_head: true, ..none() }, "brains inside masks", "whole-head");
    other(
        OnnxOptions { classes: vec!["a".into(), "c".into(), "b".into()], ..none() },
        "the classes a, b, c",
        "classes",
    );
    // Where nobody was asked where heads lie, it still is to be said.
    let mut old = imported(&decoder()).unwrap().model;
    old.card.training.as_object_mut().unwrap().remove("placement_said");
    old.write_onnx(&at("back.onnx")).unwrap();
    let refused = text(&again(none()).unwrap_err());
    assert!(refused.contains("whoever imported the network first was not asked"), "{refused}");
    let said = again(OnnxOptions { align: Some(Align::Nothing), origin: Some([1.0; 3]), ..none() }).unwrap().model;
    assert!(matches!(said.card.preparation.placement, Placement::Fixed(_)));
}

/// What is given in place of a model is named for what it is.
#[test]
fn what_is_no_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = text(&Model::read(&fixture("decoder-pooled.dynamo.onnx")).unwrap_err());
    assert!(error.contains("is an ONNX file, and no model file of voxplain; import it first: import "), "{error}");
    let run = small_run(folder.path());
    let error = text(&Model::read(&run.path).unwrap_err());
    assert!(error.contains("is a run, and one model is asked for; give the model of one of its folds"), "{error}");
    assert!(error.ends_with("fold-0/model.safetensors"), "{error}");
    let cohort = folder.path().join("cohort");
    assert!(Model::read(&cohort).unwrap_err().to_string().ends_with("is a cohort, expected a model file"));
    assert!(Model::read(folder.path()).unwrap_err().to_string().ends_with("is a folder, expected a model file"));
    let like = OnnxOptions { like: Some(cohort), classes: decoder().classes, ..OnnxOptions::default() };
    let error = text(&imported(&like).unwrap_err());
    assert!(error.contains("is a cohort: it holds images, and no network that takes them"), "{error}");
}
