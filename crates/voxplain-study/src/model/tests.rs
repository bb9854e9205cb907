use super::*;
use crate::cohort::{Normalize, Placement};
use proptest::prelude::*;
use std::sync::LazyLock;
use voxplain_nn::Op;

fn model() -> Model {
    let mut network = mrinet([22, 24, 23], 1, 2).unwrap();
    network.initialize(7);
    Model {
        network,
        card: Card {
            architecture: "mrinet".into(),
            task: Task::classes_named(["F".into(), "M".into()]),
            label: "Sex".into(),
            preparation: Preparation {
                shape: [22, 24, 23],
                spacing: [8.0; 3],
                normalize: Normalize::Robust,
                placement: Placement::MaskCentre,
                template: None,
                whole_head: false,
                channels: Vec::new(),
            },
            grid_unknown: false,
            sealed: true,
            trained_on: ["a".to_owned(), "b".to_owned()].into(),
            training: serde_json::json!({ "seed": 7, "lr": 3e-4 }),
        },
    }
}

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| model().to_bytes());

#[test]
fn a_model_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = model();
    model.write(&path).unwrap();
    let back = Model::read(&path).unwrap();
    assert_eq!(back, model);
    assert_eq!(back.hash(), model.hash());
    assert_eq!(model.hash(), blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string());
    assert!(back.has_seen("a") && !back.has_seen("c"));
    // The last weight.
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = Model::read(&path).unwrap_err();
    assert!(error.to_string().contains("model.safetensors: is not the model that was written"), "{error}");
    assert!(error.remedy().unwrap().to_string().starts_with("copy it again from where it was made"));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let refused = |change: fn(&mut Model)| {
        let mut model = model();
        change(&mut model);
        Model::from_bytes(&model.to_bytes()).unwrap_err()
    };
    assert!(
        refused(|m| m.card.task = Task::classes_named(["F".into(), "M".into(), "X".into()]))
            .contains("3 classes for 2 outputs")
    );
    assert!(refused(|m| m.card.task = Task::classes_named(["F".into(), "F".into()])).contains("not all different"));
    assert!(refused(|m| m.card.preparation.shape[0] = 30).contains("[30, 24, 23]"));
    assert!(refused(|m| m.network.parameters_mut()[0].data_mut()[0] = f32::NAN).contains("features.0.weight"));
    let other = tensors::to_bytes("other", "{}", std::iter::empty());
    assert!(Model::from_bytes(&other).unwrap_err().contains("no `voxplain`"));
    let newer = tensors::to_bytes(KEY, r#"{"format": 99}"#, std::iter::empty());
    assert!(Model::from_bytes(&newer).unwrap_err().contains("format is 99"));
}

#[test]
fn the_graph_is_the_papers() {
    let net = mrinet([58, 70, 58], 32, 2).unwrap();
    let shapes = net.shapes();
    let at = |name: &str| shapes[net.node(name).unwrap().0].clone();
    assert_eq!(at("features.10"), [128, 11, 14, 11]);
    assert_eq!(at("classifier.1"), [22400]);
    assert_eq!(net.outputs(), 2);
    // 32 (27 + 1 + 2), 64 (32 27 + 1 + 2), 128 (64 27 + 1 + 2), 2 (22400 + 1).
    let weights: usize = net.parameters().iter().map(|p| p.tensor.len()).sum();
    assert_eq!(weights, 960 + 64 * 867 + 128 * 1731 + 44802);
}

#[test]
fn too_small_a_shape_is_refused_with_the_least() {
    assert_eq!(min_shape(), [22; 3]);
    assert_eq!(mrinet([22; 3], 1, 2).unwrap().shapes()[12], [4, 1, 1, 1]);
    let error = mrinet([58, 21, 58], 8, 2).unwrap_err();
    assert!(error.to_string().contains("22 x 22 x 22"), "{error}");
    assert!(mrinet([58; 3], 0, 2).is_err() && mrinet([58; 3], 8, 0).is_err());
    assert!(matches!(mrinet([22; 3], 1, 2).unwrap().nodes()[12].op, Op::MaxPool3d(_)));
}

proptest! {
    #[test]
    fn broken_files_are_errors_not_panics(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        // The header is where it can go wrong in interesting ways.
        let mut bytes = BYTES.clone();
        let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let position = at.index(header);
        let same = bytes[position] == byte;
        bytes[position] = byte;
        if let Ok(model) = Model::from_bytes(&bytes) {
            prop_assert!(same || model.check().is_ok());
        }
        prop_assert!(Model::from_bytes(&BYTES[..cut.index(BYTES.len())]).is_err());
    }
}

#[test]
fn models_of_older_versions_keep_their_bytes() {
    let mut old = model();
    old.card.sealed = false;
    let bytes = old.to_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("checksum"));
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read, old);
    assert_eq!(read.hash(), voxplain_core::hash_bytes(&bytes));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), bit in 0u8..8, in_header: bool) {
        let mut bytes = BYTES.clone();
        let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        bytes[at.index(if in_header { header } else { BYTES.len() })] ^= 1 << bit;
        if let Ok(mut read) = Model::from_bytes(&bytes) {
            // The name of the checksum is gone: then it is read as an older one.
            prop_assert!(!read.card.sealed);
            read.card.sealed = true;
            prop_assert_eq!(read, model());
        }
    }
}

/// Each block leaves a rest where it has an odd number of cells: none is left of `8 m + 14` voxels.
#[test]
fn the_nearest_grid_without_loss() {
    assert_eq!(whole_shape([58, 70, 58]), [62, 70, 62]);
    assert_eq!(whole_shape([57, 71, 10]), [54, 70, 22]);
    let unseen = |shape| {
        let reach = mrinet(shape, 1, 2).unwrap().input_reach();
        Unseen::of(&reach, None, None)
    };
    assert_eq!(unseen([54, 70, 62]), None);
    assert!(
        unseen([58, 70, 58])
            .unwrap()
            .to_string()
            .starts_with("cannot see the last 4 planes along i and the last 4 planes along k: 13.3 %")
    );
}
