//! Left stays left: a head with one marked hemisphere through writing, reading, turning, resampling and smoothing.

use proptest::prelude::*;
use voxplain_volume::{
    Affine, Border, Grid, Interpolation, Labels, Orientation, ReadOptions, Volume, WriteOptions, read, read_labels,
    write, write_labels,
};

/// A ball of radius 40 mm about the origin, with a marker around (-20, 10, 5): left, front, up.
fn phantom(grid: Grid) -> Volume {
    Volume::from_fn(grid, |v| {
        let [x, y, z] = grid.affine.apply(v.map(|n| n as f64));
        let marked = (x + 20.0).powi(2) + (y - 10.0).powi(2) + (z - 5.0).powi(2) < 100.0;
        if marked { 3.0 } else { f32::from(x * x + y * y + z * z < 1600.0) }
    })
}

fn is_marked(v: &Volume) -> bool {
    let (mut sum, mut center) = (0.0, [0.0; 3]);
    for (n, &value) in v.data().iter().enumerate() {
        // Cubic interpolation overshoots the 1 of the ball by a few percent at its edge.
        let weight = f64::from((value - 1.5).max(0.0));
        let p = v.grid().affine.apply(v.grid().voxel(n).map(|x| x as f64));
        sum += weight;
        center = std::array::from_fn(|a| center[a] + weight * p[a]);
    }
    let c = center.map(|x| x / sum);
    (c[0] + 20.0).abs() < 2.0 && (c[1] - 10.0).abs() < 2.0 && (c[2] - 5.0).abs() < 2.0
}

/// A grid that covers the ball, its axes in a given order, turned a little.
fn grid(to: Orientation, angle: f64, spacing: f64) -> Grid {
    let n = (110.0 / spacing) as usize;
    let (s, c) = angle.sin_cos();
    let turn = Affine::from_rows([[c, -s, 0.0, 0.0], [s, c, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    let half = -spacing * (n as f64 - 1.0) / 2.0;
    Grid::new([n; 3], turn * Affine::from_spacing_origin([spacing; 3], [half; 3])).unwrap().reoriented(to)
}

#[test]
fn through_every_axis_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head.nii.gz");
    for to in Orientation::all() {
        let head = phantom(grid(to, 0.2, 4.0));
        assert!(is_marked(&head));
        write(&path, &head, &WriteOptions::default()).unwrap();
        let image = read(&path, &ReadOptions::default()).unwrap();
        assert_eq!(image.axis_codes, to.codes());
        assert!(is_marked(&image.volume));
        let ras = image.volume.to_ras();
        assert_eq!(ras.orientation(), Orientation::RAS);
        assert!(is_marked(&ras));
        // In RAS the marker is in the lower half of i, by index alone.
        let left = |v: &Volume, i: std::ops::Range<usize>| {
            i.flat_map(|i| (0..v.shape()[1]).map(move |j| (i, j)))
                .map(|(i, j)| (0..v.shape()[2]).filter(|&k| v.at(i, j, k) > 2.0).count())
                .sum::<usize>()
        };
        let n = ras.shape()[0];
        assert!(left(&ras, 0..n / 2) > 30 && left(&ras, n / 2 + 2..n) == 0, "{to}");
        assert_eq!(ras.reorient_like(image.volume.grid()).unwrap(), image.volume);
    }
}

#[test]
fn labels_through_every_axis_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("atlas.nii.gz");
    let target = grid(Orientation::RAS, 0.0, 6.0);
    let want: Labels = phantom(target).map(|&v| v as u32);
    for to in Orientation::all() {
        let atlas: Labels = phantom(grid(to, 0.1, 2.0)).map(|&v| v as u32);
        write_labels(&path, &atlas, &WriteOptions::default()).unwrap();
        let (back, _) = read_labels(&path).unwrap();
        assert_eq!(back.data(), atlas.data());
        let here = back.resample_majority(&target, 0);
        let wrong = here.data().iter().zip(want.data()).filter(|(a, b)| a != b).count();
        let marked = want.data().iter().filter(|&&l| l == 3).count();
        assert!(marked > 10 && wrong < want.data().len() / 50, "{to}: {wrong}");
        assert!(is_marked(&here.map(|&l| l as f32)), "{to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn through_resampling_and_smoothing(
        from in 0usize..48, to in 0usize..48, angle in -0.5f64..0.5, other in -0.5f64..0.5,
    ) {
        let order = |n| Orientation::all().nth(n).unwrap();
        let head = phantom(grid(order(from), angle, 3.0));
        let target = grid(order(to), other, 5.0);
        for how in [Interpolation::Nearest, Interpolation::Linear, Interpolation::Cubic] {
            prop_assert!(is_marked(&head.resample(&target, how, 0.0)), "{how:?}");
            prop_assert!(is_marked(&head.resample_antialiased(&target, how, 0.0)), "{how:?}");
        }
        prop_assert!(is_marked(&head.smooth(2.0, Border::Zero)));
    }
}
