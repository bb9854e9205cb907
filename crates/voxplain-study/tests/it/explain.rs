//! Explaining images: left stays left in every axis order and space, what is there is not made again, and what fails is named.

use std::path::{Path, PathBuf};
use voxplain_attribution::{Prepared, Record, Score, choose};
use voxplain_core::{Silent, Table};
use voxplain_nn::{Conv3d, Engine, EngineOptions, Linear, Network, Op, Tensor};
use voxplain_study::{
    cohort::{Cohort, Normalize, Placement, Preparation, Subject},
    explain::{AtlasFiles, ExplainOptions, ExplainSummary, Images, Inputs, explain},
    model::{Card, Model, Task},
    prepare::{MaskRule, PrepareOptions, Space},
    run::{Manifest, Run, cohort_hash},
};
use voxplain_volume::{Affine, Grid, Interpolation, Orientation, ReadOptions, Volume, WriteOptions, read, write};

const SHAPE: [usize; 3] = [10, 12, 8];

/// 6 mm, the middle of the brain at x = 0.
fn grid() -> Grid {
    Grid::new(SHAPE, Affine::from_spacing_origin([6.0; 3], [-27.0, -40.0, -20.0])).unwrap()
}

/// Looks at the left hemisphere alone: logit 1 is the mean intensity at x < 0.
fn left_model(normalize: Normalize) -> Model {
    let left = |n: usize| f32::from(u8::from(grid().affine.apply(grid().voxel(n).map(|v| v as f64))[0] < 0.0));
    let mut weights = vec![0.0; grid().len()];
    weights.extend((0..grid().len()).map(left));
    let mut network = Network::new([1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    network.then("flat", Op::Flatten).unwrap();
    let mut last = Linear::new(grid().len(), 2);
    last.weight = Tensor::new([2, grid().len()], weights);
    last.bias = Tensor::new([2], vec![0.0; 2]);
    network.then("linear", last).unwrap();
    let card = Card {
        architecture: "linear".into(),
        task: Task::classes_named(["right".into(), "left".into()]),
        label: "side".into(),
        preparation: Preparation {
            template: None,
            whole_head: false,
            channels: Vec::new(),
            shape: SHAPE,
            spacing: [6.0; 3],
            normalize,
            placement: Placement::Fixed(grid()),
        },
        grid_unknown: false,
        sealed: true,
        trained_on: Default::default(),
        training: serde_json::Value::Null,
    };
    Model { network, card }
}

/// A brain of two unequal halves: 2 on the left, 1 on the right, with a gradient so that no axis looks like another.
fn phantom(grid: &Grid) -> Volume {
    Volume::from_fn(*grid, |voxel| {
        let [x, y, z] = grid.affine.apply(voxel.map(|v| v as f64));
        let inside = (x / 25.0).powi(2) + (y / 35.0).powi(2) + (z / 20.0).powi(2) < 1.0;
        #[expect(clippy::cast_possible_truncation, reason = "a phantom in float32")]
        let value = (if x < 0.0 { 2.0 } else { 1.0 }) + 0.002 * (y + 2.0 * z) as f32;
        if inside { value } else { 0.0 }
    })
}

fn request(out: &Path, method: &str, settings: &[&str]) -> ExplainOptions {
    ExplainOptions {
        methods: choose(&method.split(',').collect::<Vec<_>>(), settings, None).unwrap(),
        target: Some("class:left".into()),
        score: Score::Logit,
        compat: None,
        atlas: None,
        out: Some(out.to_owned()),
        bids: false,
        subjects: None,
        shard: None,
        in_sample: false,
        force: false,
        where_possible: false,
        memory: None,
        no_native: false,
    }
}

fn run(model: &Model, files: &[PathBuf], request: &ExplainOptions) -> ExplainSummary {
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let images = Images { files: files.to_vec(), ..Images::default() };
    explain(&engine, Inputs::Images(model, &images), request, &Silent).unwrap()
}

fn save(folder: &Path, name: &str, volume: &Volume) -> PathBuf {
    let path = folder.join(name);
    write(&path, volume, &WriteOptions { form_code: 1, ..WriteOptions::default() }).unwrap();
    path
}

/// Relevance at x < 0 and elsewhere.
fn sides(map: &Volume) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (n, &v) in map.data().iter().enumerate() {
        let x = map.grid().affine.apply(map.grid().voxel(n).map(|v| v as f64))[0];
        sums[usize::from(x >= 0.0)] += f64::from(v.abs());
    }
    sums
}

#[test]
fn left_stays_left_in_all_axis_orders() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let ras = phantom(&grid());
    let files: Vec<_> = Orientation::all()
        .map(|to| save(folder.path(), &format!("sub-{}_T1w.nii.gz", to.codes()), &ras.reorient(to)))
        .collect();
    assert_eq!(files.len(), 48);
    let out = folder.path().join("maps");
    let made = run(&model, &files, &request(&out, "input-x-gradient", &[]));
    assert!(made.failures.is_empty(), "{:?}", made.failures);
    let mut first: Option<Volume> = None;
    for (file, made) in files.iter().zip(&made.maps) {
        let map = read(&made.map, &ReadOptions::default()).unwrap();
        let image = read(file, &ReadOptions::default()).unwrap();
        assert_eq!(map.axis_codes, image.axis_codes);
        assert!(map.volume.grid().same_space(image.volume.grid(), 1e-4));
        assert_eq!(map.form_codes, image.form_codes);
        let [left, right] = sides(&map.volume);
        assert!(left > 100.0 && right == 0.0, "{}: {left} {right}", file.display());
        let ras = map.volume.to_ras();
        assert_eq!(ras.data(), first.get_or_insert(ras.clone()).data(), "{}", file.display());
    }
}

#[test]
fn maps_of_prepared_images_lie_on_the_image_in_its_own_space() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::Robust);
    // 3 mm, turned by 10 degrees about z and shifted, in an order that is not RAS.
    let (sin, cos) = 10f64.to_radians().sin_cos();
    let turned = Affine::from_rows([
        [-3.0 * cos, 3.0 * sin, 0.0, 33.0 - 8.0],
        [-3.0 * sin, -3.0 * cos, 0.0, 60.0],
        [0.0, 0.0, 3.0, -28.0],
    ]);
    let native = Grid::new([22, 34, 20], turned).unwrap();
    let file = save(folder.path(), "head.nii.gz", &phantom(&native));
    let out = folder.path().join("maps");
    let made = run(&model, std::slice::from_ref(&file), &request(&out, "saliency", &[]));
    let made = &made.maps[0];
    assert_eq!(made.map, out.join("head_desc-saliency_attribution.nii.gz"));
    assert_eq!(made.native_space.as_deref(), Some(&*out.join("head_space-native_desc-saliency_attribution.nii.gz")));
    let on_model = read(&made.map, &ReadOptions::default()).unwrap().volume;
    assert!(on_model.grid().same_space(&grid(), 1e-4));
    // Beside it the image as the model took it, scaled, with its brain: the brighter half is on the left there too.
    let image = read(&out.join("head_desc-input_image.nii.gz"), &ReadOptions::default()).unwrap().volume;
    let brain = read(&out.join("head_desc-brain_mask.nii.gz"), &ReadOptions::default()).unwrap().volume;
    assert!(image.grid().same_space(&grid(), 1e-4) && brain.grid().same_space(&grid(), 1e-4));
    assert_eq!(brain.summary(None).unwrap().max, 1.0);
    for (n, (v, inside)) in image.data().iter().zip(brain.data()).enumerate() {
        let x = grid().affine.apply(grid().voxel(n).map(|v| v as f64))[0];
        assert!(if *inside < 0.5 { *v == 0.0 } else { x.abs() < 5.0 || (*v > 0.0) == (x < 0.0) }, "{x}: {v}");
    }
    let in_space = read(made.native_space.as_ref().unwrap(), &ReadOptions::default()).unwrap();
    assert!(in_space.volume.grid().same_space(&native, 1e-3));
    assert_eq!(in_space.axis_codes, "LPS");
    assert_eq!(in_space.form_codes, [1, 1]);
    // Right of the last voxel on the left nothing is left, and well inside the left half all is.
    for (n, &v) in in_space.volume.data().iter().enumerate() {
        let [x, y, z] = native.affine.apply(native.voxel(n).map(|v| v as f64));
        let within = (-40.0..=26.0).contains(&y) && (-20.0..=22.0).contains(&z);
        if x > 3.0 + 1e-3 {
            assert_eq!(v, 0.0, "{x}");
        } else if within && (-27.0..-3.0 - 1e-3).contains(&x) {
            assert!((v - 1.0).abs() < 1e-5, "{x} {y} {z}: {v}");
        }
    }
    // There and back again: resampled to the model's grid, the interior is what it was.
    let back = in_space.volume.resample(&grid(), Interpolation::Linear, 0.0);
    assert!((back.at(2, 6, 4) - on_model.at(2, 6, 4)).abs() < 1e-5);
}

#[test]
fn finished_maps_are_kept_and_others_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let file = save(folder.path(), "a.nii.gz", &phantom(&grid()));
    let out = folder.path().join("maps");
    let signed = request(&out, "saliency,input-x-gradient", &[]);
    let reused = |made: &ExplainSummary| made.maps.iter().map(|m| m.reused).collect::<Vec<_>>();
    assert_eq!(reused(&run(&model, std::slice::from_ref(&file), &signed)), [false, false]);
    let bytes = std::fs::read(out.join("a_desc-saliency_attribution.nii.gz")).unwrap();
    assert_eq!(reused(&run(&model, std::slice::from_ref(&file), &signed)), [true, true]);
    let absolute = request(&out, "saliency,input-x-gradient", &["saliency.absolute=true"]);
    assert_eq!(reused(&run(&model, std::slice::from_ref(&file), &absolute)), [false, true]);
    // Another model, another image of the same name, a lost file, or --force: made again.
    let mut other = model.clone();
    other.card.label = "hand".into();
    assert_eq!(reused(&run(&other, std::slice::from_ref(&file), &signed)), [false, false]);
    save(folder.path(), "a.nii.gz", &phantom(&grid()).map(|v| v * 2.0));
    assert_eq!(reused(&run(&other, std::slice::from_ref(&file), &signed)), [false, false]);
    std::fs::remove_file(out.join("a_desc-saliency_attribution.nii.gz")).unwrap();
    assert_eq!(reused(&run(&other, std::slice::from_ref(&file), &signed)), [false, true]);
    let force = ExplainOptions { force: true, ..request(&out, "saliency,input-x-gradient", &[]) };
    assert_eq!(reused(&run(&other, std::slice::from_ref(&file), &force)), [false, false]);
    // Same input, same bytes.
    save(folder.path(), "a.nii.gz", &phantom(&grid()));
    run(&model, &[file], &signed);
    assert_eq!(std::fs::read(out.join("a_desc-saliency_attribution.nii.gz")).unwrap(), bytes);
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 5, "nothing stays but two maps, their records and the image: {left:?}");
    let image = read(&out.join("a_desc-input_image.nii.gz"), &ReadOptions::default()).unwrap().volume;
    assert!(image == phantom(&grid()), "the image as the model took it");
}

#[test]
fn the_record_says_all_and_a_failure_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = left_model(Normalize::None);
    let good = save(folder.path(), "good.nii.gz", &phantom(&grid()));
    let mut broken = phantom(&grid());
    broken.data_mut()[500] = f32::INFINITY;
    let broken = save(folder.path(), "broken.nii.gz", &broken);
    let missing = folder.path().join("missing.nii.gz");
    let out = folder.path().join("maps");
    let all = run(&model, &[broken, good.clone(), missing], &request(&out, "saliency", &[]));
    assert_eq!(all.maps.len(), 1);
    let failed: Vec<_> = all.failures.iter().map(|f| f.subject.as_str()).collect();
    assert_eq!(failed, ["broken", "missing"]);
    assert!(all.failures[0].error.contains("inf"), "{}", all.failures[0].error);
    let sidecar = out.join("good_desc-saliency_attribution.json");
    let record: Record = serde_json::from_slice(&std::fs::read(&sidecar).unwrap()).unwrap();
    assert_eq!(record.target, "class 1 (left), logit");
    assert_eq!((record.class, record.in_sample), (1, None));
    assert_eq!(record.model, model.hash());
    assert_eq!(record.parameters, serde_json::json!({ "absolute": false }));
    assert!(!record.units.is_empty() && record.sign.contains("raises"));

    // Trained on: refused, until asked for; then the record says so.
    model.card.trained_on.insert(record.input);
    let refused = run(&model, std::slice::from_ref(&good), &request(&out, "saliency", &[]));
    assert!(refused.maps.is_empty() && refused.failures[0].error.contains("trained on"));
    let allowed = ExplainOptions { in_sample: true, ..request(&out, "saliency", &[]) };
    assert_eq!(run(&model, &[good], &allowed).maps[0].in_sample, Some(true));
    let record: Record = serde_json::from_slice(&std::fs::read(&sidecar).unwrap()).unwrap();
    assert_eq!(record.in_sample, Some(true));
}

#[test]
fn what_cannot_work_here_is_left_out_of_all_and_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let file = save(folder.path(), "a.nii.gz", &phantom(&grid()));
    let out = folder.path().join("maps");
    // A linear network: no ReLU, no layer of volumes; and images come without people that it was trained on.
    let named = "saliency,guided-backprop,grad-cam,gradient-shap,lrp";
    let all =
        run(&model, std::slice::from_ref(&file), &ExplainOptions { where_possible: true, ..request(&out, named, &[]) });
    assert!(all.failures.is_empty(), "{:?}", all.failures);
    let made: Vec<_> = all.maps.iter().map(|m| m.method.as_str()).collect();
    assert_eq!(made, ["saliency", "lrp"]);
    let skipped: Vec<_> = all.skipped.iter().map(|s| s.method.as_str()).collect();
    assert_eq!(skipped, ["guided-backprop", "grad-cam", "gradient-shap"]);
    assert!(all.skipped[2].why.contains("images were given"), "{}", all.skipped[2].why);
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let images = Images { files: vec![file], ..Images::default() };
    for method in ["guided-backprop", "grad-cam", "gradient-shap"] {
        let request = request(&out, method, &[]);
        let error = explain(&engine, Inputs::Images(&model, &images), &request, &Silent).unwrap_err();
        assert!(error.remedy().is_some(), "{method}: {error}");
    }
}

#[test]
fn masks_of_images_agree_with_them_in_every_entity() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let volume = phantom(&grid());
    let native = save(folder.path(), "sub-1_desc-preproc_T1w.nii.gz", &volume);
    let there = save(folder.path(), "sub-1_space-MNI_desc-preproc_T1w.nii.gz", &volume);
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let explained_with = |mask: &str, out: &str| {
        let images =
            Images { files: vec![native.clone(), there.clone()], mask: mask.parse().unwrap(), ..Images::default() };
        let out = folder.path().join(out);
        explain(&engine, Inputs::Images(&model, &images), &request(&out, "saliency", &[]), &Silent).unwrap()
    };
    let explained = |out: &str| explained_with("_desc-brain_mask.nii.gz", out);
    save(folder.path(), "sub-1_desc-brain_mask.nii.gz", &volume.map(|v| f32::from(*v != 0.0)));
    let one = explained("one");
    assert_eq!(one.maps.iter().map(|m| m.subject.as_str()).collect::<Vec<_>>(), ["sub-1_desc-preproc_T1w"]);
    let error = &one.failures[0].error;
    assert!(error.contains("differ from it in an entity: sub-1_desc-brain_mask.nii.gz"), "{error}");
    save(folder.path(), "sub-1_space-MNI_desc-brain_mask.nii.gz", &volume.map(|v| f32::from(*v != 0.0)));
    let both = explained("both");
    assert!(both.failures.is_empty(), "{:?}", both.failures);
    assert_eq!(both.maps.len(), 2);
    // A folder of masks by the same rule: that of the person's own space is none in another.
    let masks = folder.path().join("masks");
    std::fs::create_dir(&masks).unwrap();
    save(&masks, "sub-1_mask.nii.gz", &volume.map(|v| f32::from(*v != 0.0)));
    let own = explained_with(masks.to_str().unwrap(), "own");
    assert_eq!(own.maps.iter().map(|m| m.subject.as_str()).collect::<Vec<_>>(), ["sub-1_desc-preproc_T1w"]);
    assert!(own.failures[0].error.contains("differ from it in an entity"), "{:?}", own.failures);
}

/// The record of the only map in a folder.
fn record_in(out: &Path) -> Record {
    let path = out.join("a_desc-saliency_attribution.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_record_names_the_mask_and_what_is_odd_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = left_model(Normalize::None);
    let volume = phantom(&grid());
    let file = save(folder.path(), "a.nii.gz", &volume);
    let mask = save(folder.path(), "m.nii.gz", &volume.map(|v| f32::from(*v != 0.0)));
    let out = folder.path().join("maps");
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let explained = |model: &Model, mask: MaskRule, threshold: Option<f64>| {
        let images = Images { files: vec![file.clone()], mask, mask_threshold: threshold, ..Images::default() };
        explain(&engine, Inputs::Images(model, &images), &request(&out, "saliency", &[]), &Silent).unwrap()
    };
    explained(&model, MaskRule::Unstated, None);
    let plain = record_in(&out);
    assert_eq!((plain.mask, plain.whole_heads), (None, None));
    // The same volume, but a mask: made again, and the record says by which.
    let with = || MaskRule::File(mask.clone());
    assert!(!explained(&model, with(), None).maps[0].reused);
    let named = record_in(&out).mask.unwrap();
    assert_eq!(named.file, mask.to_str().unwrap());
    assert_eq!((named.threshold, named.hash), (0.5, voxplain_core::hash_file(&mask).unwrap()));
    let ml = volume.data().iter().filter(|v| **v != 0.0).count() as f64 * 216.0 / 1000.0;
    assert!((named.volume - ml).abs() < 1e-9);
    assert!(explained(&model, with(), None).maps[0].reused);
    assert!(!explained(&model, with(), Some(0.25)).maps[0].reused);
    assert_eq!(record_in(&out).mask.unwrap().threshold, 0.25);
    // A volume that no brain has, as `prepare` says it.
    let odd = format!("The image: the mask holds {ml:.0} ml, less than the brain of an adult");
    let warned = explained(&model, with(), Some(0.25)).maps[0].warnings.clone();
    assert!(warned.iter().any(|w| w.starts_with(&odd)), "{warned:?}");
    // A model of whole heads knows no masks.
    model.card.preparation.whole_head = true;
    let cut = explained(&model, with(), None);
    assert!(cut.maps[0].warnings.iter().any(|w| w.contains("trained on whole heads")) && cut.whole_heads().is_none());
    let whole = explained(&model, MaskRule::Unstated, None);
    assert!(whole.whole_heads().unwrap().contains("taken as whole heads"));
    assert!(record_in(&out).whole_heads.unwrap().contains("taken as whole heads"));
}

/// Intensities that were normalised as was asked for, and not as the model says, are told, and the record says how the volume was made.
#[test]
fn the_record_says_how_the_volume_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = left_model(Normalize::Robust);
    let volume = phantom(&grid());
    let file = save(folder.path(), "a.nii.gz", &volume);
    let inside = save(folder.path(), "m.nii.gz", &volume.map(|v| f32::from(*v != 0.0)));
    let out = folder.path().join("maps");
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let mut explained = |normalize: Option<Normalize>, placement: Placement| {
        model.card.preparation.placement = placement;
        // What lies on the grid of the model without a mask is taken as it lies.
        let mask = if placement == Placement::MaskCentre { MaskRule::File(inside.clone()) } else { MaskRule::Unstated };
        let images = Images { files: vec![file.clone()], normalize, mask, ..Images::default() };
        let made = explain(&engine, Inputs::Images(&model, &images), &request(&out, "saliency", &[]), &Silent).unwrap();
        assert!(made.failures.is_empty(), "{:?}", made.failures);
        let told = made.maps[0].warnings.iter().any(|w| w.contains("were normalised by"));
        (told, record_in(&out).prepared.unwrap())
    };
    let images = vec![file.to_str().unwrap().to_owned()];
    let (told, prepared) = explained(None, Placement::MaskCentre);
    let placed = "heads that lie as in the scanner, centred on each brain mask".to_owned();
    let expected = |normalize: &str, placed: &String| Prepared {
        images: images.clone(),
        normalize: normalize.into(),
        placed: placed.clone(),
        template: None,
        to_template: None,
    };
    assert_eq!((told, prepared), (false, expected("robust", &placed)));
    assert_eq!(explained(Some(Normalize::Zscore), Placement::MaskCentre), (true, expected("zscore", &placed)));
    // On the one grid of a model, and not scaled: as it lies.
    let lies = "as the image lies, not resampled".to_owned();
    assert_eq!(explained(Some(Normalize::None), Placement::Fixed(grid())), (true, expected("none", &lies)));
}

/// A network that looks at every second voxel alone: maps warn, in the same words for all people.
#[test]
fn what_a_network_cannot_see_of_a_brain_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = left_model(Normalize::None);
    let mut network = Network::new([1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    let mut conv = Conv3d { stride: [2; 3], ..Conv3d::new(1, 2, [1; 3]) };
    conv.weight = Tensor::new([2, 1, 1, 1, 1], vec![0.0, 1.0]);
    conv.bias = Some(Tensor::new([2], vec![0.0; 2]));
    network.then("conv", conv).unwrap();
    network.then("mean", Op::GlobalAvgPool).unwrap();
    let every_second = Model { network, card: whole.card.clone() };
    // The second brain ends higher.
    let files = [0, 3].map(|bottom| {
        let brain = phantom(&grid());
        let brain = Volume::from_fn(grid(), |[i, j, k]| if k < bottom { 0.0 } else { brain.at(i, j, k) });
        save(folder.path(), &format!("from{bottom}.nii.gz"), &brain)
    });
    let told = |model: &Model, name: &str| {
        let summary = run(model, &files, &request(&folder.path().join(name), "saliency", &[]));
        assert_eq!(summary.maps.len(), 2);
        let about = |w: &&String| w.starts_with("The network cannot see");
        summary.maps.iter().filter_map(|map| map.warnings.iter().find(about).cloned()).collect::<Vec<_>>()
    };
    let [first, second] = <[String; 2]>::try_from(told(&every_second, "second")).unwrap();
    assert_eq!(first, second);
    assert!(
        first.contains("of it among the voxels that it sees: 87.5 % in all. The map says nothing there"),
        "{first}"
    );
    assert!(told(&whole, "whole").is_empty());
}

#[test]
fn an_image_that_is_not_what_the_model_knows_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wide = Grid::new(SHAPE, Affine::from_spacing_origin([20.0; 3], [-90.0, -110.0, -70.0])).unwrap();
    let mut model = left_model(Normalize::None);
    model.card.preparation =
        Preparation { spacing: [20.0; 3], placement: Placement::Fixed(wide), ..model.card.preparation };
    let ball = |radius: f64| {
        Volume::from_fn(wide, |voxel| {
            let off = wide.affine.apply(voxel.map(|v| v as f64)).iter().map(|x| x * x).sum::<f64>();
            if off < radius * radius { 100.0 + (voxel[0] * 7 + voxel[1] * 3) as f32 } else { 0.0 }
        })
    };
    let out = folder.path().join("maps");
    let warned = |model: &Model, radius: f64| {
        let file = save(folder.path(), "a.nii.gz", &ball(radius));
        run(model, &[file], &request(&out, "saliency", &[])).maps[0].warnings.join(" ")
    };
    assert!(
        warned(&model, 95.0).contains("the model was trained on brains inside masks, and never saw a whole head"),
        "{}",
        warned(&model, 95.0)
    );
    assert!(!warned(&model, 66.0).contains("trained on"), "{}", warned(&model, 66.0));
    model.card.preparation.whole_head = true;
    assert!(warned(&model, 66.0).contains("the model was trained on whole heads"), "{}", warned(&model, 66.0));
    assert!(!warned(&model, 95.0).contains("trained on"));
    // What it cannot prepare is refused with what can be done here.
    model.card.preparation.whole_head = false;
    let fine = Grid::new([40; 3], Affine::from_spacing_origin([5.0; 3], [-98.0; 3])).unwrap();
    let head = ball(95.0).resample(&fine, Interpolation::Nearest, 0.0);
    let failed = run(&model, &[save(folder.path(), "a.nii.gz", &head)], &request(&out, "saliency", &[])).failures;
    let remedy = failed[0].remedy.as_ref().unwrap().to_string();
    assert!(remedy.contains("`mask`") && !remedy.contains("whole-head"), "{}: {remedy}", failed[0].error);
}

#[test]
fn the_record_holds_the_cost_and_a_limit_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let file = save(folder.path(), "a.nii.gz", &phantom(&grid()));
    let out = folder.path().join("maps");
    let cost = |memory: Option<usize>, method: &str| {
        let made = run(
            &model,
            std::slice::from_ref(&file),
            &ExplainOptions { memory, force: true, ..request(&out, method, &[]) },
        );
        assert!(made.failures.is_empty(), "{:?}", made.failures);
        let sidecar = out.join(format!("a_desc-{}_attribution.json", method.replace('-', "")));
        let record: Record = serde_json::from_slice(&std::fs::read(sidecar).unwrap()).unwrap();
        record.cost.unwrap()
    };
    let free = cost(None, "integrated-gradients");
    assert!(free.seconds > 0.0 && free.memory_bytes > 0 && free.memory_limit.is_none());
    let limit = free.memory_bytes - 1;
    let limited = cost(Some(limit), "integrated-gradients");
    assert!(limited.memory_bytes <= limit, "{limited:?} {free:?}");
    assert_eq!(limited.memory_limit, Some(limit));
    assert!(cost(None, "deeplift").memory_bytes > 0, "what is walked layer by layer counts");
}

/// Four people, the first three of them trained on: two left, one right.
fn people(folder: &Path) -> (Cohort, Vec<Volume>) {
    let volumes: Vec<Volume> = (0..4).map(|n| phantom(&grid()).map(|&v| v * (1.0 + 0.5 * n as f32))).collect();
    let table = Table {
        columns: vec!["participant_id".into(), "side".into()],
        rows: ["left", "right", "left", "left"]
            .iter()
            .enumerate()
            .map(|(n, side)| vec![Some(format!("sub-{n}")), Some((*side).into())])
            .collect(),
    };
    let people: Vec<_> = volumes
        .iter()
        .enumerate()
        .map(|(n, v)| {
            let mask = v.map(|&x| x != 0.0);
            (Subject::new(n.to_string(), v, &mask), v.clone(), mask)
        })
        .collect();
    let model = left_model(Normalize::None);
    let cohort = Cohort::write(&folder.join("cohort"), &model.card.preparation, &table, &people).unwrap();
    (cohort, volumes)
}

/// `x - b` on the left, where `b` is a mean of volumes.
fn against(volumes: &[Volume], image: usize, mean_of: &[usize]) -> Vec<f32> {
    (0..grid().len())
        .map(|v| {
            let left = grid().affine.apply(grid().voxel(v).map(|c| c as f64))[0] < 0.0;
            let mean = mean_of.iter().map(|&n| f64::from(volumes[n].data()[v])).sum::<f64>() / mean_of.len() as f64;
            if left { (f64::from(volumes[image].data()[v]) - mean) as f32 } else { 0.0 }
        })
        .collect()
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn donors_are_those_trained_on_and_never_the_subject() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, volumes) = people(folder.path());
    let mut model = left_model(Normalize::None);
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let asked = |out: &str, subject: &str, baseline: &str, in_sample| {
        let setting = format!("integrated-gradients.baseline={baseline}");
        let request = request(&folder.path().join(out), "integrated-gradients", &[setting.as_str()]);
        ExplainOptions { subjects: Some(vec![subject.into()]), in_sample, ..request }
    };
    let map = |made: &ExplainSummary| {
        assert!(made.failures.is_empty(), "{:?}", made.failures);
        read(&made.maps[0].map, &ReadOptions::default()).unwrap().volume.into_data()
    };

    // A model alone, with the cohort.
    let by_model =
        |model: &Model, request: &ExplainOptions| explain(&engine, Inputs::Cohort(model, &cohort), request, &Silent);
    let imported = by_model(&model, &asked("a", "3", "mean", false)).unwrap_err();
    assert!(imported.to_string().contains("does not say whom"), "{imported}");
    model.card.trained_on.insert("someone else".into());
    let strangers = by_model(&model, &asked("a", "3", "mean", false)).unwrap_err();
    assert!(strangers.to_string().contains("none of the 1 subject it was"), "{strangers}");
    model.card.trained_on.extend(cohort.subjects[..3].iter().map(|s| s.hash.clone()));
    let made = by_model(&model, &asked("a", "3", "mean", false)).unwrap();
    assert!(close(&map(&made), &against(&volumes, 3, &[0, 1, 2])));
    // Class left is explained, so the opposite is right: subject 1.
    let made = by_model(&model, &asked("a", "3", "opposite", false)).unwrap();
    assert!(close(&map(&made), &against(&volumes, 3, &[1])));
    // In sample: not themselves.
    let made = by_model(&model, &asked("a", "2", "mean", true)).unwrap();
    assert!(close(&map(&made), &against(&volumes, 2, &[0, 1])));

    // A run of one fold.
    let path = folder.path().join("run");
    let fold = path.join("folds/fold-0");
    std::fs::create_dir_all(&fold).unwrap();
    model.write(&fold.join("model.safetensors")).unwrap();
    let json = |path: PathBuf, value: serde_json::Value| std::fs::write(path, value.to_string()).unwrap();
    json(fold.join("split.json"), serde_json::json!({ "train": [0, 1, 2], "test": [3] }));
    let manifest = Manifest {
        version: "test".into(),
        cohort: cohort.path.clone().into(),
        cohort_hash: cohort_hash(&cohort),
        label: "side".into(),
        task: model.card.task.clone(),
        folds: 1,
        seed: 0,
        options: serde_json::Value::Null,
        test: None,
        left_out: Default::default(),
        soft_labels: Vec::new(),
        near_duplicates: None,
    };
    json(path.join("manifest.json"), serde_json::to_value(manifest).unwrap());
    let opened = Run::open(&path).unwrap();
    let made = explain(&engine, Inputs::Run(&opened), &asked("b", "3", "expected", false), &Silent).unwrap();
    assert!(close(&map(&made), &against(&volumes, 3, &[0, 1, 2])));
    assert_eq!(made.maps[0].in_sample, Some(false));
}

#[test]
fn a_sweep_writes_a_map_of_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = left_model(Normalize::None);
    let mut network = Network::new([1, SHAPE[0], SHAPE[1], SHAPE[2]]);
    for n in 0..2 {
        network.then(&format!("conv.{n}"), Conv3d::new(if n == 0 { 1 } else { 2 }, 2, [3; 3])).unwrap();
        network.then(&format!("relu.{n}"), Op::Relu).unwrap();
    }
    network.then("average", Op::GlobalAvgPool).unwrap();
    network.then("linear", Linear::new(2, 2)).unwrap();
    network.initialize(4);
    model.network = network;
    // In another axis order: the maps of layers lie on the image too.
    let turned = phantom(&grid()).reorient(Orientation::all().nth(9).unwrap());
    let file = save(folder.path(), "a.nii.gz", &turned);
    let out = folder.path().join("maps");
    let sweep = request(&out, "hires-cam", &["hires-cam.layer=all"]);
    let reused = |made: &ExplainSummary| made.maps[0].reused;
    assert!(!reused(&run(&model, std::slice::from_ref(&file), &sweep)));
    for layer in ["relu0", "relu1"] {
        let path = out.join(format!("a_layer-{layer}_desc-hirescam_attribution.nii.gz"));
        let map = read(&path, &ReadOptions::default()).unwrap().volume;
        assert!(map.grid().same_space(turned.grid(), 1e-4));
        let sidecar = std::fs::read(path.with_file_name(format!("a_layer-{layer}_desc-hirescam_attribution.json")));
        let record: Record = serde_json::from_slice(&sidecar.unwrap()).unwrap();
        assert!(record.units.replace('.', "").ends_with(layer), "{}", record.units);
    }
    let layer = out.join("a_layer-relu1_desc-hirescam_attribution.nii.gz");
    let map = |path: &Path| read(path, &ReadOptions::default()).unwrap().volume.into_data();
    assert_eq!(map(&layer), map(&out.join("a_desc-hirescam_attribution.nii.gz")));
    assert!(reused(&run(&model, std::slice::from_ref(&file), &sweep)));
    std::fs::remove_file(layer).unwrap();
    assert!(!reused(&run(&model, &[file], &sweep)), "a map of a layer that is lost is made again");
}

/// Two regions, the halves of the world, on a grid of another spacing in some axis order.
fn halves(folder: &Path, name: &str, orientation: Orientation) -> AtlasFiles {
    let fine = Grid::new([20, 24, 16], Affine::from_spacing_origin([3.0; 3], [-28.5, -41.5, -21.5])).unwrap();
    let left = |voxel: [usize; 3]| fine.affine.apply(voxel.map(|v| v as f64))[0] < 0.0;
    let labels = Volume::from_fn(fine, |voxel| if left(voxel) { 1.0f32 } else { 2.0 });
    let table = folder.join("halves.txt");
    std::fs::write(&table, "1 half_L\n2 half_R\n").unwrap();
    AtlasFiles { image: save(folder, name, &labels.reorient(orientation)), labels: table, allow_mismatch: false }
}

#[test]
fn regions_stay_on_their_side_in_all_axis_orders_of_the_atlas() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let files = [save(folder.path(), "head.nii", &phantom(&grid()))];
    for (n, orientation) in Orientation::all().step_by(7).enumerate() {
        let atlas = halves(folder.path(), &format!("atlas{n}.nii"), orientation);
        let settings = ["kernel-shap.baseline=zero", "region-occlusion.baseline=zero"];
        let mut request = request(&folder.path().join("maps"), "kernel-shap,region-occlusion", &settings);
        request.atlas = Some(atlas);
        let made = run(&model, &files, &request);
        assert!(made.failures.is_empty(), "{:?}", made.failures);
        for map in &made.maps {
            // The same labels from another file: nothing is made again.
            assert_eq!(map.reused, n > 0, "{}", map.method);
            let record: Record =
                serde_json::from_slice(&std::fs::read(map.map.with_extension("").with_extension("json")).unwrap())
                    .unwrap();
            let rows = record.measured["Regions"].as_array().unwrap().clone();
            let of = |name: &str| {
                let row = rows.iter().find(|r| r["Name"] == name).unwrap();
                assert_eq!(row["Hemisphere"], if name == "half_L" { "left" } else { "right" });
                row.get("Value").or_else(|| row.get("LostWithout")).unwrap().as_f64().unwrap()
            };
            assert!((of("half_L") - record.score).abs() < 1e-3 && of("half_R").abs() < 1e-6, "{rows:?}");
            let [left, right] = sides(&read(&map.map, &ReadOptions::default()).unwrap().volume);
            assert!(left > 1.0 && right < 1e-3, "{left} {right}");
        }
    }
}

#[test]
fn without_an_atlas_methods_by_region_are_refused_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let model = left_model(Normalize::None);
    let files = [save(folder.path(), "head.nii", &phantom(&grid()))];
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let images = Images { files: files.to_vec(), ..Images::default() };
    let mut request = request(&folder.path().join("maps"), "kernel-shap,saliency", &[]);
    let error = explain(&engine, Inputs::Images(&model, &images), &request, &Silent).unwrap_err();
    assert!(error.to_string().contains("kernel-shap needs the regions"), "{error}");
    request.where_possible = true;
    let made = run(&model, &files, &request);
    assert_eq!(made.maps.len(), 1);
    assert_eq!(made.skipped[0].method, "kernel-shap");
    // An atlas somewhere else: the map fails, by name, and the other is there.
    let far = Grid::new([4; 3], Affine::from_spacing_origin([3.0; 3], [500.0, 0.0, 0.0])).unwrap();
    let image = save(folder.path(), "far.nii", &Volume::filled(far, 1.0f32));
    request.atlas = Some(AtlasFiles { image, labels: folder.path().join("far.txt"), allow_mismatch: false });
    std::fs::write(folder.path().join("far.txt"), "1 middle\n").unwrap();
    let made = run(&model, &files, &request);
    assert_eq!((made.maps.len(), made.failures.len()), (1, 1));
    assert!(made.failures[0].error.contains("does not meet"), "{:?}", made.failures);
}

/// What `prepare` made of a file, `explain` makes of it: on the file's own grid or another, wherever the grid of the model lies, with a
/// mask or stripped; so that a subject of the training is known again by its file.
#[test]
fn a_file_that_was_trained_on_is_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (n, id) in ["a", "b"].iter().enumerate() {
        let (head, mask) = crate::prepare::head(7.0 * n as f64);
        let brain = Volume::from_fn(*head.grid(), |[i, j, k]| head.at(i, j, k) * mask.at(i, j, k));
        crate::prepare::save(&at(&format!("heads/{id}.nii.gz")), &head);
        crate::prepare::save(&at(&format!("masks/{id}_mask.nii.gz")), &mask);
        crate::prepare::save(&at(&format!("stripped/{id}.nii.gz")), &brain);
    }
    let own = *crate::prepare::head(0.0).0.grid();
    let masks = MaskRule::Folder(at("masks"), None);
    let mut case = 0;
    for (source, mask) in [("heads", masks), ("stripped", MaskRule::Unstated)] {
        for space in [Space::Mask, Space::Origin(own.affine.origin()), Space::Origin([-50.0, -60.0, -48.0])] {
            for normalize in [Normalize::Robust, Normalize::None] {
                case += 1;
                let options = PrepareOptions {
                    shape: Some(own.shape),
                    spacing: Some([2.0; 3]),
                    mask: mask.clone(),
                    space,
                    normalize,
                    ..PrepareOptions::default()
                };
                let cohort = at(&format!("cohort{case}"));
                crate::prepare::run(&at(source), &cohort, &options).unwrap();
                let cohort = Cohort::open(&cohort).unwrap();
                let mut network = Network::new([1, own.shape[0], own.shape[1], own.shape[2]]);
                network.then("pool", Op::GlobalAvgPool).unwrap();
                network.then("linear", Linear::new(1, 2)).unwrap();
                let mut model = left_model(normalize);
                model.network = network;
                model.card.preparation = cohort.preparation.clone();
                model.card.trained_on = cohort.subjects.iter().map(|s| s.hash.clone()).collect();
                let files: Vec<PathBuf> = ["a", "b"].map(|id| at(source).join(format!("{id}.nii.gz"))).into();
                let images = Images { files, mask: mask.clone(), ..Images::default() };
                let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
                let out = at(&format!("maps{case}"));
                let allowed = ExplainOptions { in_sample: true, ..request(&out, "saliency", &[]) };
                let made = explain(&engine, Inputs::Images(&model, &images), &allowed, &Silent).unwrap();
                assert!(made.failures.is_empty(), "{source} {space:?} {normalize}: {:?}", made.failures);
                let known: Vec<_> = made.maps.iter().map(|map| map.in_sample).collect();
                assert_eq!(known, [Some(true); 2], "{source} {space:?} {normalize}");
                // By its file it is known under another scale too.
                model.card.trained_on = ["another".to_owned()].into();
                let file = voxplain_core::hash_file(&images.files[0]).unwrap();
                model.card.training = serde_json::json!({ "files": [file] });
                let images = Images { normalize: Some(Normalize::Zscore), ..images };
                let made = explain(&engine, Inputs::Images(&model, &images), &allowed, &Silent).unwrap();
                let known: Vec<_> = made.maps.iter().map(|map| map.in_sample).collect();
                assert_eq!(known, [Some(true), None], "{source} {space:?} {normalize}");
            }
        }
    }
}

#[test]
fn an_image_of_another_kind_is_refused_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = left_model(Normalize::None);
    let flair = save(folder.path(), "sub-1_FLAIR.nii.gz", &phantom(&grid()));
    let asked = request(&folder.path().join("maps"), "saliency", &[]);
    let told = run(&model, std::slice::from_ref(&flair), &asked);
    assert!(told.maps[0].warnings.iter().any(|w| w.contains("its name says that it is of FLAIR")), "{told:?}");
    // A mask that is given as a file is taken, and what its name says against that is told.
    let mask = save(folder.path(), "sub-2_mask.nii.gz", &phantom(&grid()).map(|v| f32::from(*v != 0.0)));
    let images = Images { files: vec![flair.clone()], mask: MaskRule::File(mask), ..Images::default() };
    let engine = Engine::new(EngineOptions { threads: Some(2), ..EngineOptions::default() }).unwrap();
    let told = explain(&engine, Inputs::Images(&model, &images), &asked, &Silent).unwrap();
    let other = "its name says that it is of sub-2, not of sub-1";
    assert!(told.maps[0].warnings.iter().any(|w| w.contains(other)), "{told:?}");
    model.card.preparation.channels = vec!["T1w".into()];
    let refused = run(&model, &[flair], &asked);
    assert!(
        refused.failures[0].error.contains("its name says that it is of FLAIR, and the model takes T1w"),
        "{refused:?}"
    );
}
