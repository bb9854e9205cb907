//! What is taken for a mask, and what is refused with what was found.

use crate::support::witness;
use voxplain_core::{Phrase, Setting};
use voxplain_volume::{
    Affine, Border, Connectivity, Grid, Mask, MaskExtent, MaskFile, MaskOptions, Orientation, Result, Volume,
    WriteOptions, read_mask, read_mask_by_either, write,
};

fn grid() -> Grid {
    Grid::new([40, 48, 36], Affine::from_spacing_origin([4.0; 3], [-78.0, -94.0, -70.0])).unwrap()
}

/// An ellipsoid of about 1.2 l in the middle of its field of view.
fn brain() -> Mask {
    let grid = grid();
    Mask::from_fn(grid, |v| {
        let [x, y, z] = grid.affine.apply(v.map(|n| n as f64));
        (x / 62.0).powi(2) + (y / 80.0).powi(2) + (z / 58.0).powi(2) < 1.0
    })
}

/// The mask as 0 and 1.
fn plain() -> Volume {
    brain().map(|inside| f32::from(u8::from(*inside)))
}

fn read_as(volume: &Volume, options: &MaskOptions) -> Result<MaskFile> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.nii.gz");
    write(&path, volume, &WriteOptions::default()).unwrap();
    read_mask(&path, options)
}

fn taken(volume: &Volume) -> MaskFile {
    read_as(volume, &MaskOptions::default()).unwrap()
}

fn refused(volume: &Volume) -> (String, String) {
    let error = read_as(volume, &MaskOptions::default()).unwrap_err();
    (error.to_string(), error.remedy().unwrap().to_string())
}

fn above(threshold: f64) -> MaskOptions {
    MaskOptions { threshold: Some(threshold), ..MaskOptions::default() }
}

fn has(file: &MaskFile, id: &str) -> bool {
    file.findings.iter().any(|f| f.id == id)
}

/// Deterministic noise in -1..=1.
fn noise(n: usize) -> f32 {
    (n.wrapping_mul(2_654_435_761) % 2001) as f32 / 1000.0 - 1.0
}

#[test]
fn two_values_of_which_one_is_0() {
    for inside in [1.0, 255.0, 0.5, 1.000_002, 1000.0] {
        let file = taken(&plain().map(|v| v * inside));
        assert_eq!(file.mask, brain(), "{inside}");
        assert_eq!(file.warnings().count(), 0);
        assert_eq!(has(&file, "mask-coded"), (inside - 1.0).abs() > 1e-3, "{inside}");
        assert_eq!(file.content.levels.len(), 2);
    }
    // What values in float32 and slopes leave: 255 / 255 is 1 only nearly.
    let file = taken(&Volume::new(grid(), rounded(1e-6)).unwrap());
    assert_eq!((file.mask, file.content.levels.len()), (brain(), 2));
    assert!(file.content.to_string().starts_with("0 in 7"), "{}", file.content);
}

/// 0 and 1 with deviations of up to `size`.
fn rounded(size: f32) -> Vec<f32> {
    plain().data().iter().enumerate().map(|(n, v)| v + size * noise(n)).collect()
}

#[test]
fn soft_edges_need_a_threshold() {
    let soft = plain().smooth(6.0, Border::Zero);
    for factor in [1.0, 100.0, 255.0] {
        let soft = soft.map(|v| v * factor);
        let (what, remedy) = refused(&soft);
        assert!(what.contains("soft edges") && what.contains("values from 0.0000 to"), "{what}");
        assert!(remedy.contains("`mask-threshold` = "), "{remedy}");
        let file = read_as(&soft, &above(f64::from(factor) / 2.0)).unwrap();
        let apart = file.mask.data().iter().zip(brain().data()).filter(|(a, b)| a != b).count();
        // Smoothing moves the half of a curved edge inwards, here by 0.6 mm.
        assert!(apart < brain().count() / 25, "{apart}");
    }
    // In whole numbers, as bytes hold it: of 256 steps, ten, and halves.
    for steps in [255.0f32, 100.0, 20.0, 10.0, 5.0] {
        let (what, _) = refused(&soft.map(|v| (v * steps).round()));
        assert!(what.contains("whole numbers that make no regions"), "{steps}: {what}");
    }
    let half = Grid::new(grid().shape, Affine::from_spacing_origin([4.0; 3], [-76.0, -94.0, -70.0])).unwrap();
    let shifted = plain().resample(&half, voxplain_volume::Interpolation::Linear, 0.0);
    assert!(refused(&shifted.map(|v| (v * 255.0).round())).0.contains("no regions"));
}

#[test]
fn what_resampling_leaves_needs_a_threshold() {
    for size in [1e-4, 5e-4, 3e-3] {
        let volume = Volume::new(grid(), rounded(size)).unwrap();
        let (what, _) = refused(&volume);
        assert!(what.contains("as resampling leaves them"), "{what}");
        assert_eq!(read_as(&volume, &above(0.5)).unwrap().mask, brain());
    }
    let overshoot = plain().map(|v| v * 1.2 - 0.1);
    assert!(refused(&overshoot).0.contains("is no mask"));
    let negative = Volume::new(grid(), rounded(0.08)).unwrap();
    assert!(refused(&negative).0.contains("values below 0"), "{}", refused(&negative).0);
}

#[test]
fn inverted_masks() {
    for inside in [1.0, 255.0] {
        let (what, remedy) = refused(&plain().map(|v| inside * (1.0 - v)));
        assert!(what.contains("inverted") && what.contains("100 % of its outermost voxels"), "{what}");
        assert!(remedy.contains("invert it"), "{remedy}");
    }
    // Cut close, so that the brain reaches the borders.
    let close = Grid::new([28, 34, 26], Affine::from_spacing_origin([4.0; 3], [-54.0, -66.0, -50.0])).unwrap();
    let close = plain().resample(&close, voxplain_volume::Interpolation::Nearest, 0.0);
    assert_eq!(taken(&close).mask, close.map(|v| *v > 0.5));
    assert!(refused(&close.map(|v| 1.0 - v)).0.contains("inverted"));
    // A threshold does not make it right.
    assert!(read_as(&plain().map(|v| 1.0 - v), &above(0.5)).is_err());
}

#[test]
fn masks_without_a_0() {
    let coded = plain().map(|v| v + 1.0);
    let (what, remedy) = refused(&coded);
    assert!(what.contains("1 in 7") && what.contains("2 in 2") && what.contains("which of them is inside"), "{what}");
    assert!(remedy.contains("`mask-threshold` = 1.5"), "{remedy}");
    assert_eq!(read_as(&coded, &above(1.5)).unwrap().mask, brain());
    assert!(refused(&plain().map(|v| -v)).0.contains("which of them is inside"));
    assert!(refused(&plain().map(|v| 2.0 * v - 1.0)).0.contains("which of them is inside"));
    // Put into a larger field of view, the code has a 0 at the rim.
    let padded = Volume::from_fn(grid(), |v| if v.contains(&0) { 0.0 } else { coded.at(v[0], v[1], v[2]) });
    assert!(refused(&padded).0.contains("inside is a box"), "{}", refused(&padded).0);
    let three = Volume::from_fn(grid(), |[i, j, k]| coded.at(i, j, k) + f32::from(u8::from(i > 20)));
    assert!(refused(&three).0.contains("no voxel is 0"));
}

/// A brain of many intensities, from 300 to 900.
fn intensities() -> Volume {
    let inside = brain();
    Volume::from_fn(
        grid(),
        |[i, j, k]| {
            if inside.at(i, j, k) { 300.0 + ((i * 7 + j * 3 + k * 11) % 601) as f32 } else { 0.0 }
        },
    )
}

/// What is advised, where it is a threshold.
fn advised(volume: &Volume) -> Option<f64> {
    let error = read_as(volume, &MaskOptions::default()).unwrap_err();
    error.remedy().unwrap().parts().iter().find_map(|part| match part {
        Phrase::Setting(setting, Some(value)) if setting.name() == "mask-threshold" => value.parse().ok(),
        _ => None,
    })
}

#[test]
fn an_advised_threshold_gives_the_brain_and_is_not_given_where_none_does() {
    let mask = plain();
    let halves = Volume::from_fn(grid(), |[i, j, k]| mask.at(i, j, k) * (1.0 + f32::from(u8::from(i > 20))));
    let cases = [
        ("1 and 2", mask.map(|v| v + 1.0)),
        ("-1 and 1", mask.map(|v| 2.0 * v - 1.0)),
        ("-1 and 0", mask.map(|v| v - 1.0)),
        ("labels 1 and 2 on -1", halves.map(|v| if *v == 0.0 { -1.0 } else { *v })),
        ("labels 2 and 3 on 1", halves.map(|v| v + 1.0)),
        ("labels 9 and 10 on 1", halves.map(|v| if *v == 0.0 { 1.0 } else { v + 8.0 })),
        ("a stripped brain", intensities()),
        ("a stripped brain on -1024", intensities().map(|v| if *v == 0.0 { -1024.0 } else { *v })),
    ];
    for (name, volume) in cases {
        let at = advised(&volume).unwrap_or_else(|| panic!("{name}: {:?}", refused(&volume)));
        assert_eq!(read_as(&volume, &above(at)).unwrap().mask, brain(), "{name}: {at}");
    }
    let none = [
        ("0 and -1", mask.map(|v| -v)),
        ("2 and 1", mask.map(|v| 2.0 - v)),
        ("labels on the outside", halves.map(|v| 3.0 - v)),
        ("an image without a background", intensities().map(|v| if *v == 0.0 { 1000.0 } else { *v })),
    ];
    for (name, volume) in none {
        assert_eq!(advised(&volume), None, "{name}: {:?}", refused(&volume));
        assert!(refused(&volume).1.contains("make"), "{name}");
    }
}

#[test]
fn a_spike_does_not_decide_what_is_advised() {
    for spike in [30_000.0, 50.0, 3e38] {
        for soft in [plain(), plain().smooth(6.0, Border::Zero)] {
            let mut volume = soft.clone();
            volume.data_mut()[grid().shape[2] / 2] = spike;
            let at = advised(&volume).unwrap_or_else(|| panic!("{spike}: {:?}", refused(&volume)));
            assert!((0.4..0.6).contains(&at), "{spike}: {at}");
        }
    }
}

#[test]
fn of_soft_masks_the_middle_between_outside_and_inside_is_advised() {
    let soft = plain().smooth(6.0, Border::Zero);
    let expected = read_as(&soft, &above(0.5)).unwrap().mask;
    for (low, high) in [(0.0, 1.0), (1.0, 2.0), (-1.0, 1.0), (-1.0, 0.0), (-5.0, -1.0), (100.0, 355.0)] {
        let between = soft.map(|v| low + (high - low) * v);
        for volume in [between.clone(), between.map(|v| (v * 64.0).round() / 64.0), between.map(|v| (v * 15.0).round())]
        {
            let at = advised(&volume).unwrap_or_else(|| panic!("{low} to {high}: {:?}", refused(&volume)));
            let mask = read_as(&volume, &above(at)).unwrap().mask;
            let apart = mask.data().iter().zip(expected.data()).filter(|(a, b)| a != b).count();
            assert!(apart < expected.count() / 30, "{low} to {high}: {at} is off by {apart} voxels");
        }
        // What is inside has the lower value, so that no threshold gives it.
        let inverted = between.map(|v| low + high - v);
        assert_eq!(advised(&inverted), None, "{low} to {high}: {:?}", refused(&inverted));
    }
    // Brought into a larger field of view that was filled with 0: the middle is what the outside has.
    let padded =
        Volume::from_fn(grid(), |v| if v.iter().any(|n| *n < 2) { 0.0 } else { 1.0 + soft.at(v[0], v[1], v[2]) });
    let at = advised(&padded);
    assert!(at.is_none_or(|at| at > 1.1), "{at:?}");
}

#[test]
fn a_mask_knows_where_it_was_cut() {
    let file = taken(&plain());
    assert_eq!(file.threshold, 0.5);
    assert_eq!(file.bounds(), Some([0.0, 1.0]));
    assert_eq!(read_as(&plain().map(|v| v + 1.0), &above(1.5)).unwrap().threshold, 1.5);
    // FreeSurfer's way: above 1 where that leaves something, else as any mask.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.nii.gz");
    let either = |volume: &Volume| {
        write(&path, volume, &WriteOptions::default()).unwrap();
        read_mask_by_either(&path, Some(&above(1.0)), &MaskOptions::default()).unwrap()
    };
    assert_eq!((either(&plain()).threshold, either(&intensities()).threshold), (0.5, 1.0));
    assert_eq!(either(&intensities()).mask, brain());
}

#[test]
fn a_mask_in_many_pieces_is_a_finding() {
    let speckled: Vec<f32> =
        plain().data().iter().enumerate().map(|(n, v)| if noise(n) > 0.94 { 1.0 } else { *v }).collect();
    let file = taken(&Volume::new(grid(), speckled).unwrap());
    let found = file.warnings().find(|f| f.id == "mask-pieces").unwrap();
    let (_, sizes) = file.mask.components(Connectivity::Corners);
    assert!(found.what.contains(&format!("is in {} pieces", sizes.len())), "{}", found.what);
    assert!(!has(&taken(&plain()), "mask-pieces"));
    let elsewhere = read_as(&file.mask.map(|m| f32::from(u8::from(*m))), &MaskOptions::anywhere()).unwrap();
    assert!(!has(&elsewhere, "mask-pieces"));
}

#[test]
fn masks_of_everything_or_nothing() {
    assert!(refused(&plain().map(|_| 1.0)).0.contains("it is 1 everywhere"));
    assert!(refused(&plain().map(|_| 0.0)).0.contains("the mask is empty"));
    let rim = Volume::from_fn(grid(), |v| f32::from(u8::from(!v.contains(&0))));
    assert!(refused(&rim).0.contains("inside is a box"));
    let anywhere = MaskOptions { extent: MaskExtent::Anywhere, ..MaskOptions::default() };
    assert_eq!(read_as(&plain().map(|_| 1.0), &anywhere).unwrap().mask.count(), grid().len());
    assert_eq!(read_as(&rim, &anywhere).unwrap().mask, rim.map(|v| *v > 0.0));
    // A box that is a part of the field of view is a region.
    let region = Volume::from_fn(grid(), |[i, j, k]| f32::from(u8::from(i / 8 == 2 && j / 8 == 2 && k / 8 == 2)));
    assert_eq!(taken(&region).mask.count(), 512);
}

#[test]
fn values_that_are_no_numbers() {
    let outside = plain().map(|v| if *v > 0.0 { 1.0 } else { f32::NAN });
    let file = taken(&outside);
    assert_eq!(file.mask, brain());
    assert!(has(&file, "mask-nan") && file.warnings().count() == 1);
    let mut few = plain();
    few.data_mut()[0] = f32::NAN;
    let file = taken(&few);
    assert_eq!(file.mask, brain());
    assert!(file.findings.iter().any(|f| f.what.starts_with("1 voxel (0.001 %) of the mask")), "{:?}", file.findings);
    // Which of two values belongs is not said by NaN beside them.
    let halves = Volume::from_fn(grid(), |[i, j, k]| outside.at(i, j, k) + f32::from(u8::from(i > 20)));
    assert!(refused(&halves).0.contains("which of them is inside"));
    assert!(refused(&plain().map(|_| f32::NAN)).0.contains("all its values are NaN"));
    let inside = plain().map(|v| if *v > 0.0 { f32::NAN } else { 0.0 });
    let (what, _) = refused(&inside);
    assert!(what.contains("0 or NaN and nothing else") && !what.contains("empty"), "{what}");
    few.data_mut()[0] = f32::INFINITY;
    assert!(refused(&few).0.contains("1 of its values is infinite"));
}

#[test]
fn labels_are_masks_and_intensities_are_not() {
    let inside = brain();
    let octants = Volume::from_fn(grid(), |[i, j, k]| {
        let label = 1 + u8::from(i > 20) + 2 * u8::from(j > 24) + 4 * u8::from(k > 18);
        if inside.at(i, j, k) { f32::from(label) * 7.0 } else { 0.0 }
    });
    let file = taken(&octants);
    assert_eq!(file.mask, brain());
    assert!(file.findings.iter().any(|f| f.id == "mask-labels" && f.what.contains("8 labels")));
    let core = plain().smooth(20.0, Border::Zero);
    let mask = plain();
    let tissues = Volume::from_fn(grid(), |[i, j, k]| mask.at(i, j, k) + f32::from(u8::from(core.at(i, j, k) > 0.9)));
    assert_eq!(taken(&tissues).mask, brain());
    let image = Volume::new(grid(), rounded(0.3).iter().map(|v| (v.max(0.0) * 200.0).round()).collect()).unwrap();
    assert!(refused(&image).0.contains("no regions"), "{}", refused(&image).0);
}

#[test]
fn a_threshold_that_takes_nothing_is_refused() {
    let error = read_as(&plain(), &above(1.0)).unwrap_err();
    assert!(error.to_string().contains("no value of the mask is above 1"), "{error}");
    assert!(error.remedy().unwrap().parts().iter().any(|p| *p == Setting::new("mask-threshold").into()));
    for no_number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = read_as(&plain(), &above(no_number)).unwrap_err().to_string();
        assert!(error.contains(&format!("cannot be cut at {no_number}")), "{error}");
    }
}

/// Noise of about a standard deviation of 1 (a sum of three uniform ones).
fn bell(n: usize) -> f32 {
    (0..3).map(|k| noise(n.wrapping_mul(7919).wrapping_add(k * 104_729))).sum()
}

#[test]
fn the_threshold_that_is_advised_is_short_and_works_with_any_ripple() {
    for size in [1e-4f32, 5e-3, 2e-2, 5e-2] {
        for inside in [1.0f32, 100.0] {
            let data = plain().data().iter().enumerate().map(|(n, v)| (v + size * bell(n)) * inside).collect();
            let rippled = Volume::new(grid(), data).unwrap();
            let error = read_as(&rippled, &MaskOptions::default()).unwrap_err();
            let remedy = error.remedy().unwrap();
            let advised = remedy.value(Setting::new("mask-threshold")).map(str::to_owned);
            let expected = if inside == 1.0 { "0.5" } else { "50" };
            assert_eq!(advised.as_deref(), Some(expected), "{size}: {error} ({remedy})");
            assert_eq!(read_as(&rippled, &above(f64::from(inside) / 2.0)).unwrap().mask, brain());
        }
    }
}

#[test]
fn a_hollow_mask_and_one_that_was_cut_are_said() {
    let ellipsoid = |scale: f64| {
        let grid = grid();
        move |v: [usize; 3]| {
            let [x, y, z] = grid.affine.apply(v.map(|n| n as f64));
            (x / 62.0).powi(2) + (y / 80.0).powi(2) + (z / 58.0).powi(2) < scale * scale
        }
    };
    let (outer, inner) = (ellipsoid(1.15), ellipsoid(1.0));
    let shell = Mask::from_fn(grid(), |v| outer(v) && !inner(v)).map(|m| f32::from(u8::from(*m)));
    let file = taken(&shell);
    assert!(has(&file, "mask-hollow") && !has(&taken(&plain()), "mask-hollow"), "{:?}", file.findings);
    // The ventricles are no great hole.
    let (ventricles, whole) = (ellipsoid(0.4), plain());
    let spared = Mask::from_fn(grid(), |v| inner(v) && !ventricles(v)).map(|m| f32::from(u8::from(*m)));
    assert!(!has(&taken(&spared), "mask-hollow") && whole.data() != spared.data());
    let image = std::path::Path::new("image.nii");
    let half = Mask::from_fn(grid(), |v| inner(v) && v[0] < 20).map(|m| f32::from(u8::from(*m)));
    let (_, findings) = taken(&half).onto(&grid(), image).unwrap();
    assert!(findings.iter().any(|f| f.id == "mask-cut" && f.what.contains("right side")), "{findings:?}");
    // So is one that ends where its own field of view does.
    let part = Grid::new([20, 48, 36], grid().affine).unwrap();
    let cropped = Volume::from_fn(part, |[i, j, k]| half.at(i, j, k));
    let (_, findings) = taken(&cropped).onto(&grid(), image).unwrap();
    assert!(findings.iter().any(|f| f.id == "mask-cut"), "{findings:?}");
    // Where the image ends too, nothing goes on.
    let (_, findings) = taken(&cropped).onto(&part, image).unwrap();
    assert_eq!(findings, []);
}

#[test]
fn another_shape_or_affine_is_no_mask_of_the_image() {
    let file = taken(&plain());
    let image = std::path::Path::new("image.nii");
    let at = |shape: [usize; 3], spacing: f64, x: f64| {
        Grid::new(shape, Affine::from_spacing_origin([spacing; 3], [x, -94.0, -70.0])).unwrap()
    };
    // The same voxels, in any order of the axes.
    for codes in ["RAS", "LPS", "PSR"] {
        let grid = grid().reoriented(Orientation::from_codes(codes).unwrap());
        assert_eq!(file.on(&grid).unwrap(), brain().reorient(grid.orientation()));
    }
    assert_eq!(file.onto(&grid(), image).unwrap(), (brain(), vec![]));
    // The same shape, elsewhere: refused, unless it is rounding.
    let near = at(grid().shape, 4.0, -77.9);
    let said = file.on(&near).unwrap_err().to_string();
    assert!(said.contains("corners are up to 0.1 mm apart"), "{said}");
    assert_eq!(file.onto(&near, image).unwrap().1[0].id, "mask-other-grid");
    let beside = at(grid().shape, 4.0, -70.0);
    let said = file.onto(&beside, image).unwrap_err().to_string();
    assert!(said.contains("another affine") && said.contains("8.0 mm"), "{said}");
    // Another shape: on no account where the mask has to fit, by the affines where it may be brought.
    let finer = at([80, 96, 72], 2.0, -79.0);
    let said = file.on(&finer).unwrap_err().to_string();
    assert!(said.contains("[40, 48, 36]") && said.contains("[80, 96, 72]"), "{said}");
    let (there, findings) = file.onto(&finer, image).unwrap();
    let volume = |m: &Mask| m.count() as f64 * m.grid().voxel_volume();
    assert!((volume(&there) / volume(&brain()) - 1.0).abs() < 0.03);
    assert_eq!(findings[0].id, "mask-other-grid");
    let far = at([50, 50, 50], 4.0, 200.0);
    let error = file.onto(&far, image).unwrap_err().to_string();
    assert!(error.starts_with("image.nii: only 0 % of the mask") && error.contains("not in the same space"), "{error}");
}

#[test]
fn real_masks_are_taken() {
    let Some(data) = witness("data") else { return };
    let read = |name: &str| read_mask(&data.join(name), &MaskOptions::default());
    for name in ["mni152nlin6_1mm_mask", "mni152nlin6_2mm_mask", "MNI152_T1_3mm_brain_mask"] {
        let file = read(&format!("templates/{name}.nii.gz")).unwrap();
        let litres = file.mask.count() as f64 * file.mask.grid().voxel_volume() / 1e6;
        assert!((1.5..2.1).contains(&litres), "{name}: {litres}");
    }
    // One that was resampled and kept its soft edges.
    let soft = "templates/mni152nlin6_4mm_mask.nii.gz";
    assert!(read(soft).unwrap_err().to_string().contains("soft edges"));
    assert!(read_mask(&data.join(soft), &above(0.5)).is_ok());
    let mut heads = 0;
    for entry in std::fs::read_dir(data.join("cohort_ixi/dlmuse")).unwrap() {
        let path = entry.unwrap().path();
        let file = read_mask(&path, &MaskOptions::default()).unwrap();
        assert!(has(&file, "mask-labels") && file.warnings().count() == 0, "{}", path.display());
        heads += 1;
    }
    assert!(heads > 100, "{heads}");
    for name in
        ["freesurfer/aparc.a2009s+aseg.mgz", "atlases/Tissue_2mm.nii.gz", "atlases/aparc+aseg_DK_MNI_LIA_1mm.nii.gz"]
    {
        assert!(has(&read(name).unwrap(), "mask-labels"), "{name}");
    }
    for name in
        ["freesurfer/brain.mgz", "cohort_ixi/t1/IXI013-HH-1212_T1.nii.gz", "templates/mni152nlin6_2mm_T1w.nii.gz"]
    {
        let error = read(name).unwrap_err();
        assert!(error.to_string().contains("is no mask"), "{error}");
    }
}

/// Mean and extremes over the masks of IXI of volume on a grid over volume in the file; and the same by majority of probes, which was used before.
#[test]
fn masks_of_people_keep_their_volume_on_every_grid() {
    let Some(data) = witness("data") else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(data.join("cohort_ixi/dlmuse")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let masks: Vec<Mask> =
        files.iter().step_by(18).map(|file| read_mask(file, &MaskOptions::default()).unwrap().mask).collect();
    let volume = |mask: &Mask| mask.count() as f64 * mask.grid().voxel_volume();
    for (spacing, shift) in [(1.0, 0.0), (2.0, 0.5), (3.0, 0.0), (3.0, 0.3), (4.0, 0.0)] {
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for mask in &masks {
            let own = mask.grid();
            let shape = [0, 1, 2].map(|a| (own.shape[a] as f64 * 2.0 / spacing) as usize);
            // From the first voxel's outer corner on, or a part of a voxel beside it.
            let first = [0, 1, 2].map(|_| (spacing / 2.0 - 1.0) / 2.0 + shift);
            let origin = own.affine.apply(first);
            let scaled = std::array::from_fn(|r| {
                let row = own.affine.rows()[r];
                [row[0] * spacing / 2.0, row[1] * spacing / 2.0, row[2] * spacing / 2.0, origin[r]]
            });
            let grid = Grid::new(shape, Affine::from_rows(scaled)).unwrap();
            now.push(volume(&mask.resample_mask(&grid)) / volume(mask));
            before.push(volume(&mask.resample_majority(&grid, false)) / volume(mask));
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let widest = now.iter().map(|r| (r - 1.0).abs()).fold(0.0, f64::max);
        println!(
            "{spacing} mm, shifted {shift}: {:.4} now (off by at most {widest:.4}), {:.4} before",
            mean(&now),
            mean(&before)
        );
        assert!((mean(&now) - 1.0).abs() < 0.003 && widest < 0.01, "{spacing} mm: {} {widest}", mean(&now));
    }
}
