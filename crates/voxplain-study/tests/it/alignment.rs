//! Brains turned to a template, beside what another aligner made of the same heads.
use crate::support::witness;
use voxplain_study::{
    cohort::{Normalize, Placement, Preparation, Template},
    prepare::prepare_image,
};
use voxplain_volume::{Affine, Grid, MaskOptions, Sizes, npy, read_mask};

/// The array `data/cohort_ixi/tensors_mni3mm_u8.npy.gz` holds the same heads, turned and shifted to the same template by `SciPy`'s
/// Powell search on the same nine parameters, on a grid of 3 mm at (-84, -123, -72).
#[test]
fn real_heads_come_to_lie_where_another_aligner_put_them() {
    let Some(template) = witness("data/templates/mni_icbm152_t1_sym_09a_1mm.nii.gz") else { return };
    let Some(tensors) = witness("data/cohort_ixi/tensors_mni3mm_u8.npy.gz") else { return };
    let Some(folder) = witness("data/cohort_ixi") else { return };
    let grid = Grid::new([58, 70, 58], Affine::from_spacing_origin([3.0; 3], [-84.0, -123.0, -72.0])).unwrap();
    let preparation = Preparation {
        shape: grid.shape,
        spacing: [3.0; 3],
        normalize: Normalize::None,
        placement: Placement::Fixed(grid),
        template: Some(Template::new(&template, Sizes::Keep).unwrap()),
        whole_head: false,
        channels: Vec::new(),
    };
    let theirs = npy::read(&tensors).unwrap();
    // The first two rows of tensors_index.csv.
    for (row, id) in ["IXI013-HH-1212", "IXI014-HH-1236"].into_iter().enumerate() {
        let head = folder.join(format!("t1/{id}_T1.nii.gz"));
        let mask = folder.join(format!("dlmuse/{id}_T1_DLMUSE.nii.gz"));
        let ours =
            prepare_image(&head, Some(&read_mask(&mask, &MaskOptions::default()).unwrap()), &preparation).unwrap();
        let alignment = ours.alignment.unwrap();
        assert!(alignment.correlation > 0.9, "{id}: {alignment:?}");
        assert!((alignment.to_template.determinant() - 1.0).abs() < 1e-6, "{id}: size is to be kept");
        let theirs = &theirs.data[row * grid.len()..(row + 1) * grid.len()];
        let r = correlation(ours.volume.data(), theirs);
        println!(
            "{id}: correlation with the other aligner's volume {r:.4}, with the template {:.4}",
            alignment.correlation
        );
        // One voxel (3 mm) of shift along any axis takes this below 0.95.
        assert!(r > 0.97, "{id}: {r}");
    }
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let n = a.len() as f64;
    let mean = |v: &[f32]| v.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (f64::from(x) - ma, f64::from(y) - mb);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt()
}
