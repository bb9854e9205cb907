//! Several images of each person: which belong together, what a network makes of them, and that their maps add up.

use crate::{
    prepare::{head, run, save, small},
    support::{SHAPE, brain, engine, explainer_of, grid, volume},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use voxplain_attribution::{Case, ChannelMap, choose};
use voxplain_core::{Silent, Table};
use voxplain_nn::{Conv3d, Linear, Network, Op, Tensor};
use voxplain_study::{
    cohort::{Begun, Cohort, Normalize, Placement, Preparation, Subject, Writer},
    evaluation::faithfulness::{Metric, Settings, Trace, curves},
    explain::{ExplainOptions, Images, Inputs, explain},
    map::{MapFiles, Variant, maps_below, read_record},
    model::{Card, Model, Task},
    prepare::{MaskRule, PrepareOptions},
};
use voxplain_volume::{Affine, Grid, Mask, ReadOptions, Volume, read};

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

/// A BIDS dataset of heads with masks, and a second contrast of each as `other` makes it.
fn bids(dir: &Path, ids: &[&str], other: impl Fn(&Volume) -> Volume) -> PrepareOptions {
    for (n, id) in ids.iter().enumerate() {
        let (head, mask) = head(n as f64);
        let at = |what: &str| dir.join(format!("sub-{id}/anat/sub-{id}_{what}.nii.gz"));
        save(&at("T1w"), &head);
        save(&at("desc-brain_mask"), &mask);
        save(&at("FLAIR"), &other(&head));
    }
    PrepareOptions {
        channels: names(&["T1w", "FLAIR"]),
        mask: MaskRule::Suffix("_desc-brain_mask.nii.gz".into()),
        ..small()
    }
}

/// Another contrast on the same voxels is prepared as the first is: its robust values are the first's with the other sign. The first
/// channel is, to the bit, what it is alone.
#[test]
fn an_inverted_contrast_gives_inverted_values() {
    let dir = tempfile::tempdir().unwrap();
    let options = bids(&dir.path().join("bids"), &["a", "b"], |head| head.map(|v| 3000.0 - v));
    let at = |name: &str| dir.path().join(name);
    let summary = run(&at("bids"), &at("both"), &options).unwrap();
    assert_eq!((summary.prepared, summary.findings.len()), (2, 0), "{summary:?}");
    let both = Cohort::open(&at("both")).unwrap();
    run(&at("bids"), &at("one"), &PrepareOptions { channels: Vec::new(), ..options.clone() }).unwrap();
    let one = Cohort::open(&at("one")).unwrap();
    assert_eq!(fs::read(at("both/masks.npy")).unwrap(), fs::read(at("one/masks.npy")).unwrap());
    assert_eq!(both.preparation, Preparation { channels: options.channels.clone(), ..one.preparation.clone() });
    assert!(!fs::read_to_string(at("one/cohort.json")).unwrap().contains("channels"), "as before there were channels");
    for n in 0..2 {
        let volumes = both.channels(n).unwrap();
        assert_eq!(volumes[0], one.volume(n).unwrap());
        for (a, b) in volumes[0].data().iter().zip(volumes[1].data()) {
            assert!((a + b).abs() < 1e-4, "{a} {b}");
        }
        let channels = &both.subjects[n].channels;
        assert_eq!(channels[0].hash, one.subjects[n].hash);
        let id = &both.subjects[n].id;
        assert!(channels[1].source.as_ref().unwrap().ends_with(format!("sub-{id}/anat/sub-{id}_FLAIR.nii.gz")));
        assert_eq!(channels[1].name, "FLAIR");
    }
}

/// The lattice of another channel does not matter: an image that is linear in the world is the same on thick slices in another order of
/// axes.
#[test]
fn another_lattice_is_read_by_its_own_header() {
    let dir = tempfile::tempdir().unwrap();
    let linear = |p: [f64; 3]| (700.0 + 4.0 * p[0] - 3.0 * p[1] + 2.0 * p[2]) as f32;
    // Axes: z down by 4 mm, x left by 1.5 mm, y front by 2 mm.
    let rows = [[0.0, -1.5, 0.0, 62.0], [0.0, 0.0, 2.0, -66.0], [-4.0, 0.0, 0.0, 58.0]];
    let other = Grid::new([28, 84, 70], Affine::from_rows(rows)).unwrap();
    let of = |grid: Grid| Volume::from_fn(grid, move |v| linear(grid.affine.apply(v.map(|n| n as f64))));
    let options =
        PrepareOptions { normalize: Normalize::None, ..bids(&dir.path().join("bids"), &["a"], |_| of(other)) };
    run(&dir.path().join("bids"), &dir.path().join("c"), &options).unwrap();
    let cohort = Cohort::open(&dir.path().join("c")).unwrap();
    let (flair, mask) = (&cohort.channels(0).unwrap()[1], cohort.mask(0).unwrap());
    let mut worst = 0.0f32;
    for (n, (value, inside)) in flair.data().iter().zip(mask.data()).enumerate() {
        let expected = linear(flair.grid().affine.apply(flair.grid().voxel(n).map(|v| v as f64)));
        let [i, j, k] = flair.grid().voxel(n);
        let deep = |v: [usize; 3]| mask.data()[mask.grid().index(v[0], v[1], v[2])];
        if *inside
            && (0..3).all(|a| {
                [0, 2]
                    .iter()
                    .all(|step| deep(std::array::from_fn(|b| [i, j, k][b] + if a == b { *step } else { 1 } - 1)))
            })
        {
            worst = worst.max((value - expected).abs());
        }
        // Everywhere in the mask there is a value of the image, none of its background.
        assert!(*inside || *value == 0.0);
        assert!(!*inside || (value - expected).abs() < 30.0, "{value} {expected}");
    }
    // Inside, what is left of anti-aliasing at the mask's steps: a fraction of what a voxel of 3 mm differs by.
    assert!(worst < 9.0, "{worst}");
}

#[test]
fn who_lacks_a_channel_is_named_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    let options = bids(&root, &["a", "b", "c", "d"], |t1| t1.map(|v| v * v));
    let at = |id: &str, what: &str| root.join(format!("sub-{id}/anat/sub-{id}_{what}.nii.gz"));
    fs::remove_file(at("b", "FLAIR")).unwrap();
    fs::rename(at("c", "FLAIR"), at("c", "acq-x_FLAIR")).unwrap();
    fs::remove_file(at("d", "T1w")).unwrap();
    let out = dir.path().join("c");
    let error = run(&root, &out, &options).unwrap_err().to_string();
    assert!(error.contains("2 subjects have no FLAIR: b (looked for sub-b_FLAIR in "), "{error}");
    assert!(error.contains("these differ from it in an entity: sub-c_acq-x_FLAIR.nii.gz)"), "{error}");
    assert!(error.contains("1 image without a T1w beside it: sub-d_FLAIR.nii.gz"), "{error}");
    assert!(!out.exists());
    let summary = run(&root, &out, &PrepareOptions { keep_going: true, ..options.clone() }).unwrap();
    assert_eq!((summary.prepared, summary.inclusion.images, summary.inclusion.left_out.len()), (1, 4, 3));
    assert!(
        summary.inclusion.reasons()[0].starts_with("2 left out, there is no FLAIR of it: b, c"),
        "{:?}",
        summary.inclusion
    );
    // Nobody has it; a suffix that nobody has first; and one that is none.
    let with = |channels: &[&str]| {
        let options = PrepareOptions { channels: names(channels), ..options.clone() };
        run(&root, &dir.path().join("no"), &options).unwrap_err().to_string()
    };
    assert!(with(&["T1w", "T2w"]).contains("none of the 3 images has a T2w; a: looked for sub-a_T2w in "));
    assert!(with(&["T1", "FLAIR"]).contains("no image in it ends in _T1; there are _FLAIR, _T1w, _mask"));
    assert!(with(&["T1w", "../x"]).contains("`../x` is no suffix of a BIDS file"));
    assert!(with(&["T1w", "t1w"]).contains("two channels are called `t1w`"));
}

#[test]
fn a_channel_that_does_not_cover_the_brain_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (by, words) in [(300.0, Some("100 %")), (40.0, Some(" %")), (1.0, None)] {
        let root = dir.path().join(format!("bids{by}"));
        let moved = |head: &Volume| {
            let shift = Affine::from_spacing_origin([1.0; 3], [0.0, 0.0, by]);
            Volume::new(Grid::new(head.shape(), shift * head.grid().affine).unwrap(), head.data().to_vec()).unwrap()
        };
        let options = bids(&root, &["a"], moved);
        let summary = run(&root, &root.with_extension("out"), &options).unwrap();
        match words {
            None => assert_eq!(summary.prepared, 1),
            Some(words) => {
                let what = &summary.failed[0].what;
                assert!(what.contains("sub-a_FLAIR.nii.gz") && what.contains(": the FLAIR: "), "{what}");
                assert!(what.contains(words) && what.contains("lie outside its field of view"), "{what}");
            }
        }
    }
}

#[test]
fn columns_of_a_table_are_channels() {
    let dir = tempfile::tempdir().unwrap();
    let _ = bids(&dir.path().join("bids"), &["a", "b"], |head| head.map(|v| 0.5 * v * v));
    let path = |id: &str, what: &str| format!("bids/sub-{id}/anat/sub-{id}_{what}.nii.gz");
    let row = |id: &str, other: &str| format!("{id},{},{other},{}\n", path(id, "T1w"), path(id, "desc-brain_mask"));
    let write = |b: &str| {
        let rows = row("a", &path("a", "FLAIR")) + &row("b", b);
        fs::write(dir.path().join("t.csv"), format!("participant_id,t1_path,flair,mask\n{rows}")).unwrap();
    };
    write(&path("b", "FLAIR"));
    let table = dir.path().join("t.csv");
    let options = |channels: &[&str]| PrepareOptions { channels: names(channels), ..small() };
    run(&table, &dir.path().join("ab"), &options(&["t1_path", "flair"])).unwrap();
    run(&table, &dir.path().join("ba"), &options(&["flair", "t1_path"])).unwrap();
    let (ab, ba) = (Cohort::open(&dir.path().join("ab")).unwrap(), Cohort::open(&dir.path().join("ba")).unwrap());
    for n in 0..2 {
        let mut other = ba.channels(n).unwrap();
        other.reverse();
        assert_eq!(ab.channels(n).unwrap(), other, "the other way round, image by image");
        assert_ne!(ab.subjects[n].hash, ba.subjects[n].hash);
    }
    write("");
    let error = run(&table, &dir.path().join("no"), &options(&["t1_path", "flair"])).unwrap_err().to_string();
    assert!(error.contains("1 subject has no flair: b (its cell in the column `flair` is empty)"), "{error}");
    let error = run(&table, &dir.path().join("no"), &options(&["t1_path", "t2"])).unwrap_err().to_string();
    assert!(error.contains("t2"), "{error}");
    let white = PrepareOptions { normalize: Normalize::WhiteMatter, ..options(&["t1_path", "flair"]) };
    let error = run(&table, &dir.path().join("no"), &white).unwrap_err().to_string();
    assert!(error.contains("found in T1-weighted images alone, and there are t1_path, flair"), "{error}");
}

/// A convolution, ReLU and a head; each channel has these shares of one set of weights in the first layer.
fn network(shares: &[f32]) -> Network {
    let shaped = |channels: usize| {
        let mut net = Network::new([channels, SHAPE[0], SHAPE[1], SHAPE[2]]);
        net.then("conv", Conv3d::new(channels, 4, [3; 3]).with_padding([1; 3])).unwrap();
        net.then("relu", Op::Relu).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        net.then("linear", Linear::new(4 * SHAPE.iter().product::<usize>(), 2)).unwrap();
        net
    };
    let mut one = shaped(1);
    one.initialize(3);
    let mut net = shaped(shares.len());
    let state = one.state().into_iter().map(|p| {
        let tensor = match p.name.as_str() {
            "conv.weight" => {
                let of = |w: &[f32]| shares.iter().flat_map(|s| w.iter().map(move |w| s * w)).collect::<Vec<f32>>();
                Tensor::new([4, shares.len(), 3, 3, 3], p.tensor.data().chunks_exact(27).flat_map(of).collect())
            }
            _ => p.tensor.clone(),
        };
        (p.name.clone(), tensor)
    });
    net.load_state(state.collect::<Vec<_>>()).unwrap();
    net
}

fn preparation(channels: &[&str]) -> Preparation {
    Preparation {
        template: None,
        whole_head: false,
        channels: names(channels),
        shape: SHAPE,
        spacing: [3.0; 3],
        normalize: Normalize::None,
        placement: Placement::Fixed(grid(SHAPE)),
    }
}

fn model(network: Network, channels: &[&str]) -> Model {
    let card = Card {
        architecture: "small".into(),
        task: Task::classes_named(names(&["female", "male"])),
        label: "sex".into(),
        preparation: preparation(channels),
        grid_unknown: false,
        sealed: true,
        trained_on: Default::default(),
        training: serde_json::Value::Null,
    };
    Model { network, card }
}

/// One person, whose images these are.
fn cohort(path: &Path, channels: &[&str], volumes: &[Volume]) -> Cohort {
    let preparation = preparation(channels);
    let begun =
        Writer::begin(path, &serde_json::json!(0), preparation.input_shape().into(), 1, false, &Silent).unwrap();
    let Begun::Open(writer) = begun else { panic!("there already") };
    let mask: Mask = brain();
    let subject = Subject::of_channels("p", &preparation.channels, volumes, &mask);
    writer.put(0, &subject, volumes, &mask).unwrap();
    writer.finish(&preparation, &Table { columns: vec!["sex".into()], rows: vec![vec![Some("male".into())]] }).unwrap()
}

const METHODS: [&str; 9] = [
    "saliency",
    "guided-backprop",
    "integrated-gradients",
    "lrp",
    "deeplift",
    "smoothgrad",
    "occlusion",
    "hires-cam",
    "rise",
];

fn request(out: &Path) -> ExplainOptions {
    let settings = [
        "occlusion.window=6",
        "occlusion.stride=6",
        "lrp.composite=epsilon-plus",
        "rise.masks=20",
        "smoothgrad.samples=4",
    ];
    ExplainOptions {
        methods: choose(&METHODS, &settings, None).unwrap(),
        target: Some("class:male".into()),
        out: Some(out.to_owned()),
        ..ExplainOptions::default()
    }
}

fn maps_of(model: &Model, cohort: &Cohort, out: &Path) -> impl Fn(&str, Variant<'_>) -> Option<Volume> + use<> {
    let made = explain(&engine(2), Inputs::Cohort(model, cohort), &request(out), &Silent).unwrap();
    assert!(made.failures.is_empty(), "{:?}", made.failures);
    let folder = out.join("sub-p");
    move |method, variant| {
        let path = MapFiles::new(&folder, "sub-p", method).image(variant);
        path.is_file().then(|| read(&path, &ReadOptions::default()).unwrap().volume)
    }
}

fn near(a: &Volume, b: &Volume, what: &str) {
    let largest = a.data().iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.0, "{what}");
    for (a, b) in a.data().iter().zip(b.data()) {
        assert!((a - b).abs() <= 2e-5 * largest, "{what}: {a} {b}, of {largest}");
    }
}

/// A second channel whose weights are 0 changes no map, and has a map of 0; the map is the sum over channels; channels and weights that
/// are exchanged exchange their maps.
#[test]
fn maps_of_channels_add_up_and_belong_to_their_channels() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (t1, flair) = (volume(SHAPE, 1), volume(SHAPE, 2));
    let one = cohort(&at("one"), &[], std::slice::from_ref(&t1));
    let two = cohort(&at("two"), &["T1w", "FLAIR"], &[t1.clone(), flair.clone()]);
    let turned = cohort(&at("turned"), &["FLAIR", "T1w"], &[flair, t1]);
    let alone = maps_of(&model(network(&[1.0]), &[]), &one, &at("m1"));
    let blind = maps_of(&model(network(&[1.0, 0.0]), &["T1w", "FLAIR"]), &two, &at("m2"));
    let both = maps_of(&model(network(&[1.0, -0.4]), &["T1w", "FLAIR"]), &two, &at("m3"));
    let exchanged = maps_of(&model(network(&[-0.4, 1.0]), &["FLAIR", "T1w"]), &turned, &at("m4"));
    for method in METHODS {
        let sampled = ["smoothgrad", "rise"].contains(&method);
        let [expected, map, sum] =
            [&alone as &dyn Fn(_, _) -> _, &blind, &both].map(|of| of(method, Variant::Model).unwrap());
        if !sampled {
            near(&expected, &map, method);
        }
        let of_channels = |of: &dyn Fn(&str, Variant<'_>) -> Option<Volume>| {
            ["T1w", "FLAIR"].map(|name| of(method, Variant::Channel(name)))
        };
        let record = read_record(&MapFiles::new(at("m3/sub-p"), "sub-p", method).path()).unwrap().channels.unwrap();
        assert_eq!(record.names, ["T1w", "FLAIR"]);
        let tells = !["occlusion", "hires-cam", "rise"].contains(&method);
        assert_eq!(record.map, if tells { ChannelMap::Sum } else { ChannelMap::Together }, "{method}");
        assert!(alone(method, Variant::Channel("T1w")).is_none());
        if !tells {
            assert!(of_channels(&both).iter().all(Option::is_none), "{method}: one map is not written twice");
            assert!(record.note.starts_with("One map for all channels (T1w, FLAIR)"), "{}", record.note);
            if !sampled {
                near(&sum, &exchanged(method, Variant::Model).unwrap(), method);
            }
            continue;
        }
        let [first, second] = of_channels(&blind).map(Option::unwrap);
        if !sampled {
            near(&expected, &first, method);
        }
        // DeepLIFT, LRP: what has no weight gets no relevance.
        assert!(second.data().iter().all(|v| *v == 0.0), "{method}");
        let [first, second] = of_channels(&both).map(Option::unwrap);
        let added = Volume::from_fn(*first.grid(), |[i, j, k]| first.at(i, j, k) + second.at(i, j, k));
        near(&sum, &added, method);
        assert!(second.data().iter().any(|v| *v != 0.0), "{method}");
        if !sampled {
            let [a, b] = of_channels(&exchanged).map(Option::unwrap);
            near(&first, &a, method);
            near(&second, &b, method);
        }
    }
    // The map itself is what a folder of maps holds, once; and what is there is not made again, unless a channel of it is gone.
    assert_eq!(maps_below(&at("m3")).unwrap().len(), METHODS.len());
    let again = || {
        let model = model(network(&[1.0, -0.4]), &["T1w", "FLAIR"]);
        explain(&engine(2), Inputs::Cohort(&model, &two), &request(&at("m3")), &Silent).unwrap()
    };
    assert!(again().maps.iter().all(|map| map.reused));
    let words = again().about_channels().unwrap();
    assert!(
        words.starts_with("Channels T1w, FLAIR: a map of each, and their sum, by deeplift, guided-backprop"),
        "{words}"
    );
    assert!(words.ends_with("; one map of all together by hires-cam, occlusion, rise."), "{words}");
    fs::remove_file(MapFiles::new(at("m3/sub-p"), "sub-p", "lrp").image(Variant::Channel("FLAIR"))).unwrap();
    assert_eq!(
        again().maps.iter().filter(|map| !map.reused).map(|map| map.method.as_str()).collect::<Vec<_>>(),
        ["lrp"]
    );
    // Other channels, another order.
    let refused = |channels: &[&str], shares: &[f32]| {
        let model = model(network(shares), channels);
        explain(&engine(2), Inputs::Cohort(&model, &two), &request(&at("no")), &Silent).unwrap_err().to_string()
    };
    assert!(
        refused(&["FLAIR", "T1w"], &[1.0, 1.0])
            .ends_with("it has T1w, FLAIR; the model takes FLAIR, T1w, in this order")
    );
    assert!(refused(&["T1w", "T2w"], &[1.0, 1.0]).ends_with("it has T1w, FLAIR; the model takes T1w, T2w"));
    assert!(refused(&[], &[1.0]).ends_with("the model takes one image of each person, without a name"));
}

/// Image files: those of the other channels lie beside the first by their names in BIDS, or are said.
#[test]
fn the_other_images_of_a_file_are_found_or_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (t1, flair) = (volume(SHAPE, 1), volume(SHAPE, 2));
    let two = cohort(&at("two"), &["T1w", "FLAIR"], &[t1.clone(), flair.clone()]);
    let model = model(network(&[1.0, -0.4]), &["T1w", "FLAIR"]);
    let expected = maps_of(&model, &two, &at("maps"));
    save(&at("sub-p_T1w.nii.gz"), &t1);
    save(&at("sub-p_FLAIR.nii.gz"), &flair);
    save(&at("x/t1.nii.gz"), &t1);
    let of = |image: &str, channels: &[(&str, PathBuf)], out: &str| {
        let channels = channels.iter().map(|(name, path)| ((*name).to_owned(), path.clone())).collect();
        let images = Images { files: vec![at(image)], channels, ..Images::default() };
        explain(&engine(2), Inputs::Images(&model, &images), &request(&at(out)), &Silent).unwrap()
    };
    for (image, channels, stem) in
        [("sub-p_T1w.nii.gz", vec![], "sub-p_T1w"), ("x/t1.nii.gz", vec![("FLAIR", at("sub-p_FLAIR.nii.gz"))], "t1")]
    {
        let out = format!("{stem}-maps");
        let made = of(image, &channels, &out);
        assert!(made.failures.is_empty(), "{:?}", made.failures);
        let files = MapFiles::new(at(&out), stem, "saliency");
        for variant in [Variant::Model, Variant::Channel("T1w"), Variant::Channel("FLAIR")] {
            let map = read(&files.image(variant), &ReadOptions::default()).unwrap().volume;
            near(&expected("saliency", variant).unwrap(), &map, stem);
        }
        let input = read(&files.input_channel("FLAIR"), &ReadOptions::default()).unwrap().volume;
        assert_eq!(input.data(), flair.data());
    }
    let failed = |image: &str, channels: &[(&str, PathBuf)]| of(image, channels, "no").failures[0].error.clone();
    let what = failed("x/t1.nii.gz", &[]);
    assert!(
        what.contains(
            "the model takes T1w and FLAIR of each person, and there is no FLAIR: t1.nii.gz has no name of BIDS"
        ),
        "{what}"
    );
    let what = failed("x/t1.nii.gz", &[("T2w", at("sub-p_FLAIR.nii.gz"))]);
    assert!(what.contains("is given as T2w, and the model takes T1w, FLAIR"), "{what}");
}

/// Deletion and insertion replace a voxel in all channels at once: of an image that is there twice, with half the weights each, the
/// curves are those of the image alone.
#[test]
fn curves_replace_all_channels_at_once() {
    let (image, mask, map) = (volume(SHAPE, 3), brain(), volume(SHAPE, 5));
    let settings = Settings { steps: 10, ..Settings::default() };
    let traces = |shares: &[f32], others: &[Volume]| -> Vec<Trace> {
        let case = Case { mask: Some(&mask), others, ..Case::new("a", &image) };
        let explainer = &mut explainer_of(&network(shares), 2);
        curves(explainer, &case, (&map, 1), &[Metric::Deletion, Metric::Insertion], &settings).unwrap().1
    };
    let (one, two) = (traces(&[1.0], &[]), traces(&[0.5, 0.5], std::slice::from_ref(&image)));
    for (a, b) in one.iter().zip(&two) {
        for (a, b) in a.curve.iter().chain(&a.random).zip(b.curve.iter().chain(&b.random)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
    assert!(one[0].curve.iter().any(|p| (p - one[0].curve[0]).abs() > 1e-3), "the curve says something");
    // With other values in the second channel it is another curve.
    assert_ne!(traces(&[0.5, 0.5], &[volume(SHAPE, 4)])[0].curve, two[0].curve);
}
