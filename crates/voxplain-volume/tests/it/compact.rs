//! What a compact volume saves, on a head of the size that pages carry.

use voxplain_volume::{Affine, Grid, Labels, Volume, compact, compact_labels, expand};

/// Grey values from 1 to 63 in an ellipsoid, 0 outside: waves of three lengths and a step of noise.
fn head() -> Volume {
    let grid = Grid::new([58, 70, 58], Affine::from_spacing_origin([3.0; 3], [-85.5, -120.0, -70.0])).unwrap();
    let mut state = 1u32;
    Volume::from_fn(grid, |[i, j, k]| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [x, y, z] = [i as f64 / 57.0 - 0.5, j as f64 / 69.0 - 0.5, k as f64 / 57.0 - 0.5];
        let wave = (9.0 * x).sin() + (14.0 * y + 4.0 * x).cos() + (30.0 * z - 9.0 * y).sin();
        let noise = f64::from(state >> 16) / 32_768.0 - 1.0;
        if x * x + y * y + z * z < 0.2 { (32.0 + 9.0 * wave + noise).round() as f32 } else { 0.0 }
    })
}

#[test]
fn a_head_takes_much_less_than_gzipped_nifti() {
    let head = head();
    let plain =
        compact_labels(&Labels::new(*head.grid(), head.data().iter().map(|v| *v as u32).collect()).unwrap()).unwrap();
    let bytes = compact(&head, 1.0, None).unwrap();
    assert!(10 * bytes.len() < 7 * plain.len(), "{} bytes beside {}", bytes.len(), plain.len());
    assert_eq!(expand(&bytes, None).unwrap().data(), head.data());
    // With the mask of another volume it is the same.
    let mask = head.map(|v| *v != 0.0);
    let without = compact(&head, 1.0, Some(&mask)).unwrap();
    assert_eq!(expand(&without, Some(&mask)).unwrap().data(), head.data());
}
