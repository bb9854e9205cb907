//! Writing NIfTI.

use super::{compression, nifti};
use crate::{Error, Grid, Labels, Result, Volume};
use std::path::Path;

/// How to store a volume. Values are stored as float32 unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// The NIfTI code of qform and sform: 1 scanner, 2 aligned, 4 MNI. 0 is taken as 2.
    pub form_code: i16,
    /// A description; its first 79 bytes are kept.
    pub description: String,
    /// Store as `uint8`/`int16`/`int32` labels instead: refused where a value is not such a number.
    pub integer: bool,
}

/// Writes single-file NIfTI-1, gzipped if the name ends in `.gz`, whole or not at all (written beside, then renamed).
///
/// In the axis order of the volume's grid, with its affine as sform (rounded to `f32`) and, where its axes are at right
/// angles, as qform too; a sheared affine leaves the qform's code at 0. Equal content gives equal
/// files on one kind of processor (compressed bytes may differ between kinds).
pub fn write(path: &Path, volume: &Volume, options: &WriteOptions) -> Result<()> {
    if options.integer {
        let mut values = Vec::with_capacity(volume.data().len());
        for &v in volume.data() {
            // Beyond 2^24 an f32 no longer tells neighbouring whole numbers apart, but is one itself.
            if v != v.trunc() || !v.is_finite() || v.abs() > 2_147_483_520.0 {
                return Err(Error::file(
                    path,
                    format!("is to hold whole numbers, but one value is {v}"),
                    "write it as float32, or round the values first",
                ));
            }
            #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole i32")]
            values.push(v as i32);
        }
        return write_integers(path, volume.grid(), &values, options);
    }
    let data = volume.data();
    write_values(path, volume.grid(), (16, 4), 0, options, |n, out| out.extend(data[n].to_le_bytes()))
}

/// [`write()`] for labels, in the smallest of `uint8`, `int16` and `int32` that holds them.
pub fn write_labels(path: &Path, labels: &Labels, options: &WriteOptions) -> Result<()> {
    let values: std::result::Result<Vec<i32>, u32> =
        labels.data().iter().map(|&l| i32::try_from(l).map_err(|_| l)).collect();
    let values = values.map_err(|l| {
        Error::file(path, format!("cannot hold the label {l}, which is beyond int32"), "number the labels anew")
    })?;
    write_integers(path, labels.grid(), &values, options)
}

fn write_integers(path: &Path, grid: &Grid, values: &[i32], options: &WriteOptions) -> Result<()> {
    const LABEL: i16 = 1002;
    let (min, max) = values.iter().fold((0, 0), |(a, b), &v| (v.min(a), v.max(b)));
    if min >= 0 && max <= 255 {
        write_values(path, grid, (2, 1), LABEL, options, |n, out| out.push(values[n].to_le_bytes()[0]))
    } else if min >= i32::from(i16::MIN) && max <= i32::from(i16::MAX) {
        write_values(path, grid, (4, 2), LABEL, options, |n, out| out.extend(&values[n].to_le_bytes()[..2]))
    } else {
        write_values(path, grid, (8, 4), LABEL, options, |n, out| out.extend(values[n].to_le_bytes()))
    }
}

fn write_values(
    path: &Path,
    grid: &Grid,
    (code, size): (i16, i16),
    intent: i16,
    options: &WriteOptions,
    put: impl Fn(usize, &mut Vec<u8>),
) -> Result<()> {
    let form_code = if options.form_code == 0 { 2 } else { options.form_code };
    let stored = nifti::Stored { code, bytes_per_value: size, form_code, intent, description: &options.description };
    let header = nifti::encode(grid, &stored).ok_or_else(|| {
        Error::file(
            path,
            format!("cannot hold the shape {:?}: NIfTI-1 allows 32767 voxels along an axis", grid.shape),
            "crop or resample the volume",
        )
    })?;
    let mut bytes = Vec::with_capacity(header.len() + grid.len() * usize::from(size.unsigned_abs()));
    bytes.extend(header);
    let [ni, nj, nk] = grid.shape;
    for k in 0..nk {
        for j in 0..nj {
            for i in 0..ni {
                put((i * nj + j) * nk + k, &mut bytes);
            }
        }
    }
    compression::write(path, &bytes)
}
