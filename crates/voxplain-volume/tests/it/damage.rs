//! Files that are odd or damaged: right values or a clear error, never a panic and never memory for what is not there.

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use voxplain_volume::{Affine, Error, Grid, Image, ReadOptions, Volume, WriteOptions, read, read_labels, write};

fn volume() -> Volume {
    let grid = Grid::new([5, 6, 7], Affine::from_spacing_origin([2.0, 3.0, 4.0], [-5.0, -9.0, -14.0])).unwrap();
    Volume::from_fn(grid, |[i, j, k]| (i * 100 + j * 10 + k) as f32)
}

/// The bytes of a written file, to be damaged.
fn bytes() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    write(&path, &volume(), &WriteOptions::default()).unwrap();
    std::fs::read(path).unwrap()
}

struct Saved(tempfile::TempDir, PathBuf);

fn saved(name: &str, bytes: &[u8]) -> Saved {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Saved(dir, path)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn open(path: &Path) -> Result<Image, Error> {
    read(path, &ReadOptions::default())
}

fn has(image: &Image, id: &str) -> bool {
    image.findings.iter().any(|f| f.id == id)
}

/// The whole file in the other byte order: the fields of a NIfTI-1 header, then float32 values.
fn swapped(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut swap = |at: usize, size: usize, count: usize| {
        for n in 0..count {
            out[at + n * size..at + (n + 1) * size].reverse();
        }
    };
    for (at, size, count) in [(0, 4, 1), (40, 2, 8), (56, 4, 3), (68, 2, 4), (76, 4, 11), (120, 2, 1), (124, 4, 6)] {
        swap(at, size, count);
    }
    swap(252, 2, 2);
    swap(256, 4, 18);
    swap(352, 4, (bytes.len() - 352) / 4);
    out
}

#[test]
fn both_byte_orders() {
    let file = saved("a.nii", &swapped(&bytes()));
    let image = open(&file.1).unwrap();
    assert!(image.header.big_endian);
    assert_eq!(image.volume, volume());
}

#[test]
fn gzip_in_all_its_forms() {
    let plain = bytes();
    let (head, tail) = plain.split_at(400);
    let members = [gzip(head), gzip(tail)].concat();
    let mut three = members.clone();
    three.extend(gzip(b"more"));
    let mut garbage = gzip(&plain);
    garbage.extend(b"not gzip");
    let mut padded = gzip(&plain);
    padded.extend([0; 512]);
    let whole = gzip(&plain);
    for (what, content, finding) in [
        ("one member", whole.clone(), None),
        ("two members", members, None),
        ("three, one too many", three, Some("trailing-bytes")),
        ("garbage behind", garbage, Some("trailing-bytes")),
        ("zeros behind", padded, None),
        ("checksum cut off", whole[..whole.len() - 8].to_vec(), Some("no-checksum")),
    ] {
        // By content, whatever the name.
        for name in ["a.nii.gz", "a.nii"] {
            let file = saved(name, &content);
            let image = open(&file.1).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(image.volume, volume(), "{what}");
            let odd: Vec<_> = image.findings.iter().filter(|f| f.id != "small-field-of-view").map(|f| f.id).collect();
            assert_eq!(odd, finding.into_iter().collect::<Vec<_>>(), "{what}");
        }
    }
    let mut wrong = whole.clone();
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    let error = open(&saved("a.nii.gz", &wrong).1).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    let error = open(&saved("a.nii.gz", &whole[..whole.len() / 2]).1).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    let error = open(&saved("a.nii.gz", &gzip(&whole)).1).unwrap_err();
    assert!(error.to_string().contains("gzipped twice"), "{error}");
}

#[test]
fn slopes_that_do_not_scale() {
    for (slope, inter, factor) in
        [(0.0f32, 3.0f32, 1.0f32), (f32::NAN, f32::NAN, 1.0), (f32::INFINITY, 0.0, 1.0), (0.5, 0.0, 0.5)]
    {
        let mut b = bytes();
        b[112..116].copy_from_slice(&slope.to_le_bytes());
        b[116..120].copy_from_slice(&inter.to_le_bytes());
        let image = open(&saved("a.nii", &b).1).unwrap();
        assert_eq!(image.volume.at(4, 5, 6), 456.0 * factor, "{slope}");
        assert_eq!(image.header.scaling.is_some(), slope == 0.5);
    }
    let mut b = bytes();
    b[112..116].copy_from_slice(&2f32.to_le_bytes());
    b[116..120].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(open(&saved("a.nii", &b).1).unwrap_err().to_string().contains("adds NaN"));
}

#[test]
fn the_affine_rule() {
    // sform before qform, qform alone, and nibabel's fallback: x to the left, the middle at the origin.
    let mut b = bytes();
    b[280..284].copy_from_slice(&2.5f32.to_le_bytes());
    let image = open(&saved("a.nii", &b).1).unwrap();
    assert_eq!(image.volume.grid().spacing()[0], 2.5);
    assert!(has(&image, "forms-disagree") && has(&image, "voxel-sizes-disagree"), "{:?}", image.findings);
    b[254..256].copy_from_slice(&[0, 0]);
    let image = open(&saved("a.nii", &b).1).unwrap();
    assert_eq!((image.header.affine_from, image.volume.grid().affine), ("qform", volume().grid().affine));
    b[252..254].copy_from_slice(&[0, 0]);
    let image = open(&saved("a.nii", &b).1).unwrap();
    assert_eq!(image.volume.grid().affine, Affine::from_spacing_origin([-2.0, 3.0, 4.0], [4.0, -7.5, -12.0]));
    assert!(has(&image, "no-spatial-code"));
    // A quaternion that is none: an error where it is needed, a note where it is not.
    let mut b = bytes();
    b[256..260].copy_from_slice(&1.5f32.to_le_bytes());
    assert!(has(&open(&saved("a.nii", &b).1).unwrap(), "bad-qform"));
    b[254..256].copy_from_slice(&[0, 0]);
    assert!(open(&saved("a.nii", &b).1).unwrap_err().to_string().contains("quaternion"));
}

#[test]
fn one_volume_or_a_choice() {
    let mut b = bytes();
    let values = b[352..].to_vec();
    b[40..42].copy_from_slice(&4i16.to_le_bytes());
    let one = open(&saved("a.nii", &b).1).unwrap();
    assert_eq!((one.volume, one.header.shape), (volume(), vec![5, 6, 7, 1]), "a fourth axis of one");
    b[48..50].copy_from_slice(&2i16.to_le_bytes());
    b.extend(values.chunks(4).flat_map(|v| (f32::from_le_bytes(v.try_into().unwrap()) + 1000.0).to_le_bytes()));
    for content in [b.clone(), gzip(&b)] {
        let file = saved("a.nii.gz", &content);
        assert!(open(&file.1).unwrap_err().to_string().contains("2 volumes"));
        for n in 0..2 {
            let image = read(&file.1, &ReadOptions { volume: Some(n), ..ReadOptions::default() }).unwrap();
            assert_eq!(image.volume.at(1, 2, 3), 123.0 + 1000.0 * n as f32);
            assert!(!has(&image, "trailing-bytes"));
        }
        assert!(read(&file.1, &ReadOptions { volume: Some(2), ..ReadOptions::default() }).is_err());
    }
}

#[test]
fn pairs_and_names_with_dots() {
    let b = bytes();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut header = b[..348].to_vec();
    header[108..112].copy_from_slice(&0f32.to_le_bytes());
    header[344..348].copy_from_slice(b"ni1\0");
    std::fs::write(at("sub-01_v1.2_T1w.hdr"), &header).unwrap();
    let error = open(&at("sub-01_v1.2_T1w.hdr")).unwrap_err();
    assert!(error.to_string().contains("sub-01_v1.2_T1w.img"), "{error}");
    std::fs::write(at("sub-01_v1.2_T1w.img.gz"), gzip(&b[352..])).unwrap();
    for name in ["sub-01_v1.2_T1w.hdr", "sub-01_v1.2_T1w.img.gz"] {
        assert_eq!(open(&at(name)).unwrap().volume, volume(), "{name}");
    }
    write(&at("sub-02_v1.2_T1w.nii.gz"), &volume(), &WriteOptions::default()).unwrap();
    write(&at("sub-02_v1.2_T1w.nii"), &volume(), &WriteOptions::default()).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names[2..], ["sub-02_v1.2_T1w.nii", "sub-02_v1.2_T1w.nii.gz"]);
}

#[test]
fn analyze_by_hand() {
    // 91 x 109 x 91 at 2 mm with SPM's origin at voxel (46, 64, 37), counted from 1: MNI's corner at (90, -126, -72).
    let mut h = vec![0u8; 348];
    h[0..4].copy_from_slice(&348i32.to_le_bytes());
    for (n, v) in [4i16, 91, 109, 91, 1].into_iter().enumerate() {
        h[40 + 2 * n..42 + 2 * n].copy_from_slice(&v.to_le_bytes());
    }
    h[70..72].copy_from_slice(&2i16.to_le_bytes());
    for n in 1..4 {
        h[76 + 4 * n..80 + 4 * n].copy_from_slice(&2f32.to_le_bytes());
    }
    h[112..116].copy_from_slice(&0.5f32.to_le_bytes());
    let file = saved("a.hdr", &h);
    std::fs::write(file.0.path().join("a.img"), vec![8u8; 91 * 109 * 91]).unwrap();
    let image = open(&file.1).unwrap();
    assert_eq!((image.format, image.volume.at(0, 0, 0)), ("Analyze 7.5", 4.0));
    assert_eq!(image.volume.grid().affine, Affine::from_spacing_origin([-2.0, 2.0, 2.0], [90.0, -108.0, -90.0]));
    for (n, v) in [46i16, 64, 37].into_iter().enumerate() {
        h[253 + 2 * n..255 + 2 * n].copy_from_slice(&v.to_le_bytes());
    }
    std::fs::write(&file.1, &h).unwrap();
    let image = open(&file.1).unwrap();
    assert_eq!(image.volume.grid().affine, Affine::from_spacing_origin([-2.0, 2.0, 2.0], [90.0, -126.0, -72.0]));
    assert!(has(&image, "no-spatial-code") && has(&image, "constant"));
}

#[test]
fn what_values_give_away() {
    let grid = *volume().grid();
    let check = |f: &dyn Fn([usize; 3]) -> f32, id: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.nii");
        write(&path, &Volume::from_fn(grid, f), &WriteOptions::default()).unwrap();
        let image = open(&path).unwrap();
        assert!(has(&image, id), "{id}: {:?}", image.findings);
    };
    check(&|_| 0.0, "all-zero");
    check(&|_| 2.5, "constant");
    check(&|[i, _, _]| if i == 0 { f32::NAN } else { i as f32 }, "non-finite");
    check(&|_| f32::NAN, "non-finite");
    check(&|[i, _, _]| if i > 2 { 1.0 } else { 0.0 }, "looks-like-mask");
    check(&|[i, _, _]| i as f32, "float-labels");
}

#[test]
fn integers_are_stored_as_such() {
    let grid = *volume().grid();
    let dir = tempfile::tempdir().unwrap();
    for (largest, stored) in [(255u32, "uint8"), (300, "int16"), (70_000, "int32")] {
        let path = dir.path().join("labels.nii.gz");
        let labels = Volume::from_fn(grid, |[i, _, k]| if k == 6 { largest } else { i as u32 });
        voxplain_volume::write_labels(&path, &labels, &WriteOptions::default()).unwrap();
        assert_eq!(open(&path).unwrap().stored_type, stored);
        assert_eq!(read_labels(&path).unwrap().0, labels);
        let integer = WriteOptions { integer: true, ..WriteOptions::default() };
        write(&path, &labels.map(|&l| l as f32), &integer).unwrap();
        assert_eq!(read_labels(&path).unwrap().0, labels);
        let error = write(&path, &labels.map(|&l| l as f32 + 0.5), &integer).unwrap_err();
        assert!(error.to_string().contains("whole numbers"), "{error}");
    }
    let path = dir.path().join("negative.nii");
    write(&path, &volume().map(|v| v - 1.0), &WriteOptions::default()).unwrap();
    assert!(read_labels(&path).unwrap_err().to_string().contains("-1"));
}

#[test]
fn nothing_half_written_remains() {
    let dir = tempfile::tempdir().unwrap();
    let error = write(&dir.path().join("missing/a.nii"), &volume(), &WriteOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    let long = Grid::new([40_000, 1, 1], Affine::IDENTITY).unwrap();
    let error = write(&dir.path().join("long.nii"), &Volume::filled(long, 0.0), &WriteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("32767"));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn equal_content_makes_equal_files() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a.nii.gz", "b.nii.gz"].map(|n| dir.path().join(n));
    for path in &paths {
        write(path, &volume(), &WriteOptions { description: "voxplain".into(), ..WriteOptions::default() }).unwrap();
    }
    assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());
    assert_eq!(open(&paths[0]).unwrap().header.description, "voxplain");
}

#[test]
fn a_header_alone_allocates_nothing() {
    // 32767^3 float64 values claimed by 352 bytes, plain and gzipped.
    let mut b = bytes()[..352].to_vec();
    for n in 1..4 {
        b[40 + 2 * n..42 + 2 * n].copy_from_slice(&i16::MAX.to_le_bytes());
    }
    b[70..72].copy_from_slice(&64i16.to_le_bytes());
    for content in [b.clone(), gzip(&b)] {
        let error = open(&saved("a.nii", &content).1).unwrap_err();
        assert!(error.to_string().contains("too short"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    // Any bytes of the header, any cut: an error, or an image whose parts fit together.
    #[test]
    fn damaged_headers_never_panic(
        changes in prop::collection::vec((0usize..352, any::<u8>()), 1..6),
        cut in prop::option::of(0usize..1200),
        labels in any::<bool>(),
    ) {
        let mut b = bytes();
        for (at, byte) in changes {
            b[at] = byte;
        }
        b.truncate(cut.unwrap_or(b.len()));
        let file = saved("a.nii", &b);
        match read(&file.1, &ReadOptions { volume: Some(0), ..ReadOptions::default() }) {
            Ok(image) => {
                prop_assert_eq!(image.volume.data().len(), image.volume.grid().len());
                prop_assert!(image.volume.grid().affine.is_finite());
                let back = image.volume.to_ras().reorient_like(image.volume.grid()).unwrap();
                prop_assert_eq!(back.shape(), image.volume.shape());
            }
            Err(e) => prop_assert!(e.remedy().is_some_and(|r| !r.to_string().is_empty()), "{}", e),
        }
        if labels {
            let _ = read_labels(&file.1);
        }
    }

    #[test]
    fn damaged_gzip_never_panics(at in 0usize..500, byte in any::<u8>()) {
        let mut b = gzip(&bytes());
        let at = at % b.len();
        b[at] = byte;
        let file = saved("a.nii.gz", &b);
        if let Ok(image) = open(&file.1) {
            prop_assert_eq!(image.volume, volume());
        }
    }

    #[test]
    fn damaged_mgh_never_panics(changes in prop::collection::vec((0usize..100, any::<u8>()), 0..5)) {
        let mut b = vec![0u8; 284];
        for (n, v) in [1i32, 3, 4, 5, 1, 0].into_iter().enumerate() {
            b[4 * n..4 * n + 4].copy_from_slice(&v.to_be_bytes());
        }
        b.extend([7; 60]);
        for (at, byte) in changes {
            b[at] = byte;
        }
        let _ = open(&saved("a.mgz", &b).1);
    }
}

#[test]
fn an_sform_that_is_none_gives_way_to_the_qform() {
    let good = bytes();
    for broken in [0.0f32, f32::NAN, f32::INFINITY] {
        let mut b = good.clone();
        // The rotation alone, then all of it.
        for count in [11, 12] {
            (0..count).for_each(|n| b[280 + 4 * n..284 + 4 * n].copy_from_slice(&broken.to_le_bytes()));
            b[252..254].copy_from_slice(&1i16.to_le_bytes());
            let image = open(&saved("a.nii", &b).1).unwrap();
            assert_eq!((image.header.affine_from, image.volume.grid().affine), ("qform", volume().grid().affine));
            assert!(has(&image, "bad-sform") && !has(&image, "forms-disagree"), "{broken} {count}");
        }
        // Without a qform there is nothing to read it by.
        b[252..254].copy_from_slice(&0i16.to_le_bytes());
        assert!(open(&saved("a.nii", &b).1).unwrap_err().to_string().contains("sform"), "{broken}");
    }
}

#[test]
fn a_qform_that_is_none_is_a_finding_beside_a_good_sform() {
    let what = |b: &[u8]| {
        let image = open(&saved("a.nii", b).1).unwrap();
        assert_eq!(image.header.affine_from, "sform");
        image.findings.into_iter().find(|f| f.id == "bad-qform").map(|f| f.what)
    };
    assert_eq!(what(&bytes()), None);
    let mut b = bytes();
    b[80..84].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(what(&b).unwrap().contains("the qform is no geometry (voxel sizes [NaN, "), "{:?}", what(&b));
    let mut b = bytes();
    for (n, v) in [0.8f32, 0.8, -0.0].into_iter().enumerate() {
        b[256 + 4 * n..260 + 4 * n].copy_from_slice(&v.to_le_bytes());
    }
    assert!(what(&b).unwrap().contains("quaternion (0.8, 0.8, 0) is"), "{:?}", what(&b));
}

#[test]
fn only_the_kinds_of_values_that_are_there_are_named() {
    let grid = *volume().grid();
    let found = |f: &dyn Fn(usize) -> f32| {
        let mut volume = volume();
        volume.data_mut().iter_mut().enumerate().for_each(|(n, v)| *v = f(n));
        assert_eq!(volume.grid(), &grid);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.nii");
        write(&path, &volume, &WriteOptions::default()).unwrap();
        open(&path).unwrap().findings.into_iter().find(|f| f.id == "non-finite").unwrap()
    };
    let all = grid.len();
    let one = found(&|n| if n == 3 { f32::NAN } else { n as f32 });
    assert_eq!(one.what, format!("of {all} values 1 is NaN"));
    let both = found(&|n| [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].get(n).copied().unwrap_or(n as f32));
    assert_eq!(both.what, format!("of {all} values 1 is NaN and 2 are infinite"));
    let none = found(&|_| f32::NAN);
    assert_eq!(none.what, format!("there is nothing in the image: of {all} values {all} are NaN"));
    assert!(!none.remedy.contains("by 0"), "{}", none.remedy);
}

#[test]
fn a_quaternion_that_is_a_little_long_is_shortened() {
    // A half turn about z, by the qform alone.
    let with = |length: f32| {
        let mut b = bytes();
        b[252..254].copy_from_slice(&1i16.to_le_bytes());
        b[254..256].copy_from_slice(&0i16.to_le_bytes());
        for (n, v) in [0.0, 0.0, length].into_iter().enumerate() {
            b[256 + 4 * n..260 + 4 * n].copy_from_slice(&v.to_le_bytes());
        }
        open(&saved("a.nii", &b).1)
    };
    let exact = with(1.0).unwrap();
    assert!(!has(&exact, "long-quaternion"));
    for length in [1.000_01, 1.000_09] {
        let image = with(length).unwrap();
        assert!(has(&image, "long-quaternion"), "{length}");
        assert_eq!(image.volume.grid().affine, exact.volume.grid().affine);
    }
    assert!(with(1.001).unwrap_err().to_string().contains("quaternion"));
}

#[test]
fn values_far_beyond_all_others_are_found() {
    let grid = Grid::new([20; 3], Affine::from_spacing_origin([8.0; 3], [-76.0; 3])).unwrap();
    let head = |v: [usize; 3]| 50.0 + ((v[0] * 31 + v[1] * 17 + v[2] * 7) % 101) as f32;
    let found = |spikes: &[f32], air: bool| {
        let mut volume = Volume::from_fn(grid, |v| if air && v[0] < 15 { 0.0 } else { head(v) });
        spikes.iter().enumerate().for_each(|(n, s)| volume.data_mut()[7000 + 3 * n] = *s);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.nii");
        write(&path, &volume, &WriteOptions::default()).unwrap();
        let image = open(&path).unwrap();
        image.findings.iter().find(|f| f.id == "extreme-values").map(|f| f.what.clone())
    };
    for air in [false, true] {
        assert_eq!(found(&[], air), None);
        // Nine times the brightest tissue is not far enough, eleven times is.
        assert_eq!(found(&[9.0 * 150.0], air), None);
        for spike in [11.0 * 150.0, 1e30, -1e30] {
            let what = found(&[spike], air).unwrap();
            assert!(what.starts_with("1 value is more than ten times") && what.contains("voxel 17, 10, 0"), "{what}");
        }
    }
    assert!(found(&[1e30, 1e29], false).unwrap().starts_with("2 values are"));
    // An atlas of a few regions with one large label is no image with a spike.
    let labels = Volume::from_fn(grid, |v| if v[0] == 3 && v[1] == 3 { 2035.0 } else { (v[0] / 7) as f32 });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels.nii");
    write(&path, &labels, &WriteOptions::default()).unwrap();
    assert!(!has(&open(&path).unwrap(), "extreme-values"));
}

/// A file with some floats of its header changed.
fn patched(at: &[(usize, f32)]) -> Saved {
    let mut bytes = bytes();
    at.iter().for_each(|(at, value)| bytes[*at..at + 4].copy_from_slice(&value.to_le_bytes()));
    saved("a.nii", &bytes)
}

#[test]
fn a_voxel_size_of_0_and_an_infinite_slope_are_said() {
    let image = open(&patched(&[(84, 0.0)]).1).unwrap();
    assert!(has(&image, "zero-voxel-size") && !has(&image, "voxel-sizes-disagree"), "{:?}", image.findings);
    assert_eq!(image.volume, volume(), "the sform is used");
    for slope in [f32::INFINITY, f32::NEG_INFINITY] {
        let image = open(&patched(&[(112, slope)]).1).unwrap();
        assert!(has(&image, "infinite-scaling") && image.volume == volume());
    }
    let image = open(&patched(&[(112, f32::NAN)]).1).unwrap();
    assert!(!has(&image, "infinite-scaling") && !has(&image, "zero-voxel-size"));
}

#[test]
fn a_wrong_mark_in_a_file_named_like_nifti_is_said() {
    let mut bytes = bytes();
    bytes[344..348].copy_from_slice(b"xxxx");
    let error = open(&saved("a.nii", &bytes).1).unwrap_err().to_string();
    assert!(error.contains("its mark is `xxxx` where NIfTI has `n+1`"), "{error}");
}

#[test]
fn nan_beside_labels_is_background() {
    let path = |volume: &Volume| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.nii");
        write(&path, volume, &WriteOptions::default()).unwrap();
        Saved(dir, path)
    };
    let labels = volume().map(|v| if *v < 100.0 { f32::NAN } else { 2.0 });
    let (found, findings) = read_labels(&path(&labels).1).unwrap();
    assert!(findings.iter().any(|f| f.id == "labels-nan" && f.what.contains("42 values")), "{findings:?}");
    assert!(found.data().iter().zip(labels.data()).all(|(a, b)| *a == if b.is_nan() { 0 } else { 2 }));
    let error = read_labels(&path(&labels.map(|_| f32::NAN)).1).unwrap_err().to_string();
    assert!(error.contains("NaN alone"), "{error}");
}
