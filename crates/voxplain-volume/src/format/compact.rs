//! [`compact`]: a volume as a few bytes, for pages that carry their images with them.
//!
//! Values are rounded to whole steps; of these only the voxels of a mask are kept, each as its difference from what
//! its neighbours let expect, or as it is where that is smaller; then all is gzipped. Inflated, the bytes are:
//!
//! | bytes | what |
//! |---|---|
//! | 352 | header of a NIfTI-1 file (`uint8` or `int16`, with its slope), little-endian |
//! | 1 | 1: numbers are differences from what the neighbours let expect; 0: they are values |
//! | 1 | 1: the mask follows; 0: it is that of another volume |
//! | voxels / 8, rounded up | the mask, where it follows: a bit for each voxel, the lowest first, `i` fastest |
//! | n | for each of the mask's n voxels, `i` fastest, the low byte of its number: `2 d` for `d` from 0, else `-2 d - 1` |
//! | n | the high bytes |

use super::compression::MAX_DEFLATE_RATIO;
use super::header::Header;
use super::nifti::{self, Kind, Stored};
use crate::{Error, Grid, Labels, Mask, Result, Volume};
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use std::path::Path;

/// Bytes of the header.
const HEADER: usize = 352;

/// A volume in few bytes, its values rounded to whole multiples of `step` (so off by at most half of it and by the rounding
/// to f32, and 0 stays 0). [`expand`] gives it back.
///
/// With a mask only its voxels are kept, and all others become 0; without one, the voxels other than 0 are the mask,
/// which goes with them. Where the largest |value| is more than 32767 steps, the step is widened until it is not. Values
/// that are no numbers become 0. Equal volumes give equal bytes.
///
/// # Errors
/// A step that is not above 0; a mask of another shape; an axis of more than 32767 voxels.
pub fn compact(volume: &Volume, step: f64, mask: Option<&Mask>) -> Result<Vec<u8>> {
    if !(step > 0.0 && step.is_finite()) {
        return Err(Error::Grid(format!("values cannot be rounded to multiples of {step}")));
    }
    let grid = volume.grid();
    if let Some(mask) = mask.filter(|m| m.grid().shape != grid.shape) {
        return Err(Error::Grid(format!("a mask of {:?} for a volume of {:?} voxels", mask.grid().shape, grid.shape)));
    }
    let number = |v: f32| if v.is_finite() { f64::from(v) } else { 0.0 };
    let most = volume.data().iter().fold(0.0f64, |m, &v| m.max(number(v).abs()));
    // The slope is kept as f32, and readers multiply by that: so do we.
    let slope = f64::from(single(step.max(most / 32_767.0)));
    let slope = if most / slope > 32_767.0 { f64::from(single(slope).next_up()) } else { slope };
    #[expect(clippy::cast_possible_truncation, reason = "at most 32767 by the choice of the slope")]
    let stored = |v: f32| (number(v) / slope).round() as i16;
    let values: Vec<i16> = in_file_order(grid).map(|at| stored(volume.data()[at])).collect();
    let inside: Vec<bool> = match mask {
        Some(mask) => in_file_order(grid).map(|at| mask.data()[at]).collect(),
        None => values.iter().map(|v| *v != 0).collect(),
    };
    let mut head = header(grid, &values, slope, 0)?.to_vec();
    head.extend([0, u8::from(mask.is_none())]);
    if mask.is_none() {
        let bit = |byte: &[bool]| byte.iter().rev().fold(0u8, |bits, &b| bits << 1 | u8::from(b));
        head.extend(inside.chunks(8).map(bit));
    }
    // What is smooth is smaller as differences, what is noise as it is.
    let known = Lattice { shape: grid.shape, inside: &inside };
    let plain = gzip(&[&head[..], &planes(&inside, |at| values[at])].concat())?;
    head[HEADER] = 1;
    let differences = planes(&inside, |at| values[at].wrapping_sub(known.expected(&values, at)));
    let differences = gzip(&[&head[..], &differences].concat())?;
    Ok(if differences.len() < plain.len() { differences } else { plain })
}

/// What [`compact`] kept, given the same mask.
///
/// # Errors
/// Other bytes; a mask of another shape, or none where one is needed.
pub fn expand(bytes: &[u8], mask: Option<&Mask>) -> Result<Volume> {
    let wrong = |what: &str| Error::Grid(format!("no compact volume: {what}"));
    let len = bytes.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail));
    if u64::from(len) > (bytes.len() as u64).saturating_mul(MAX_DEFLATE_RATIO) {
        return Err(wrong("it is not gzipped"));
    }
    let len = len as usize;
    let mut raw = vec![0; len];
    if Decompressor::new().gzip_decompress(bytes, &mut raw) != Ok(len) || len < HEADER + 2 {
        return Err(wrong("it is not gzipped, or cut off"));
    }
    let Header { shape, scaling, affine, .. } =
        nifti::parse(Path::new("compact volume"), &raw[..HEADER], Kind::Nifti1 { single: true })?;
    let grid = Grid::new([shape[0], shape[1], shape[2]], affine)?;
    let (differences, own) = (raw[HEADER] == 1, raw[HEADER + 1] == 1);
    let mut rest = &raw[HEADER + 2..];
    let inside: Vec<bool> = if own {
        let (bits, after) = rest.split_at_checked(grid.len().div_ceil(8)).ok_or_else(|| wrong("it is cut off"))?;
        rest = after;
        (0..grid.len()).map(|n| bits[n / 8] >> (n % 8) & 1 == 1).collect()
    } else {
        let mask =
            mask.filter(|m| m.grid().shape == grid.shape).ok_or_else(|| wrong("it needs a mask of its shape"))?;
        in_file_order(&grid).map(|at| mask.data()[at]).collect()
    };
    let n = inside.iter().filter(|i| **i).count();
    if rest.len() != 2 * n {
        return Err(wrong("it belongs to another mask"));
    }
    let (low, high) = rest.split_at(n);
    let known = Lattice { shape: grid.shape, inside: &inside };
    let mut values = vec![0i16; grid.len()];
    for ((at, low), high) in (0..grid.len()).filter(|at| inside[*at]).zip(low).zip(high) {
        let folded = u16::from_le_bytes([*low, *high]);
        let number = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        values[at] = number.wrapping_add(if differences { known.expected(&values, at) } else { 0 });
    }
    let slope = scaling.map_or(1.0, |[slope, _]| slope);
    let mut volume = Volume::filled(grid, 0.0);
    for (at, value) in in_file_order(&grid).zip(values) {
        // A slope rounded upwards takes the largest f32 beyond itself.
        volume.data_mut()[at] = single(f64::from(value) * slope).clamp(f32::MIN, f32::MAX);
    }
    Ok(volume)
}

/// Where the voxels of a file, `i` fastest, lie in memory.
fn in_file_order(grid: &Grid) -> impl Iterator<Item = usize> {
    let [ni, nj, nk] = grid.shape;
    (0..nk).flat_map(move |k| (0..nj).flat_map(move |j| (0..ni).map(move |i| (i * nj + j) * nk + k)))
}

/// Low bytes, then high bytes, of the folded numbers of a mask's voxels.
fn planes(inside: &[bool], number: impl Fn(usize) -> i16) -> Vec<u8> {
    let folded = |at: usize| ((number(at) << 1) ^ (number(at) >> 15)).to_le_bytes();
    let numbers: Vec<[u8; 2]> = (0..inside.len()).filter(|at| inside[*at]).map(folded).collect();
    [0, 1].iter().flat_map(|byte| numbers.iter().map(|n| n[*byte])).collect()
}

/// Which voxels are kept; positions are those of a file, `i` fastest.
struct Lattice<'a> {
    shape: [usize; 3],
    inside: &'a [bool],
}

impl Lattice<'_> {
    /// What the neighbours before a voxel let expect of it.
    ///
    /// With `a, b, c` one step back along each axis and `ab, ac, bc` along two, the mean of `a + b - ab`, `a + c - ac` and
    /// `b + c - bc`, held between the least and the largest of `a, b, c`: what LOCO-I does in two dimensions (Weinberger,
    /// Seroussi and Sapiro 2000, IEEE Trans. Image Process. 9). Where one of the six is not kept, the mean of those of
    /// `a, b, c` that are.
    fn expected(&self, values: &[i16], at: usize) -> i16 {
        let [ni, nj, _] = self.shape;
        let back = [1, ni, ni * nj];
        let place = [at % ni, at / ni % nj, at / (ni * nj)];
        let value = |axes: &[usize]| {
            let there = axes.iter().all(|a| place[*a] > 0);
            let from = if there { at - axes.iter().map(|a| back[*a]).sum::<usize>() } else { at };
            (there && self.inside[from]).then(|| i32::from(values[from]))
        };
        let one = [value(&[0]), value(&[1]), value(&[2])];
        let two = [value(&[0, 1]), value(&[0, 2]), value(&[1, 2])];
        let (n, sum) = one.iter().flatten().fold((0, 0), |(n, sum), v| (n + 1, sum + v));
        let (m, corners) = two.iter().flatten().fold((0, 0), |(m, sum), v| (m + 1, sum + v));
        let expected = match (n, m) {
            (0, _) => 0,
            (3, 3) => {
                let (least, largest) =
                    one.iter().flatten().fold((i32::MAX, i32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
                rounded(2 * sum - corners, 3).clamp(least, largest)
            }
            _ => rounded(sum, n),
        };
        i16::try_from(expected).unwrap_or_default()
    }
}

/// A quotient to the nearest whole number, halves upwards.
const fn rounded(a: i32, b: i32) -> i32 {
    (2 * a + b).div_euclid(2 * b)
}

/// Labels as gzipped NIfTI-1 in memory, stored as `uint8` or `int16`.
///
/// # Errors
/// A label beyond 32767; an axis of more than 32767 voxels.
pub fn compact_labels(labels: &Labels) -> Result<Vec<u8>> {
    let stored = |at: usize| {
        let label = labels.data()[at];
        i16::try_from(label)
            .map_err(|_| Error::Grid(format!("label {label} does not fit into 16 bits: number the labels anew")))
    };
    let stored = in_file_order(labels.grid()).map(stored).collect::<Result<Vec<_>>>()?;
    let mut raw = header(labels.grid(), &stored, 1.0, 1002)?.to_vec();
    let width = if in_bytes(&stored) { 1 } else { 2 };
    raw.extend(stored.iter().flat_map(|v| v.to_le_bytes().into_iter().take(width)));
    gzip(&raw)
}

#[expect(clippy::cast_possible_truncation, reason = "volumes and the slope of NIfTI-1 are f32")]
fn single(x: f64) -> f32 {
    x as f32
}

fn in_bytes(values: &[i16]) -> bool {
    values.iter().all(|v| (0..=255).contains(v))
}

fn header(grid: &Grid, values: &[i16], slope: f64, intent: i16) -> Result<[u8; HEADER]> {
    let (code, bytes_per_value) = if in_bytes(values) { (2, 1) } else { (4, 2) };
    let header = nifti::encode(grid, &Stored { code, bytes_per_value, form_code: 2, intent, description: "" });
    let mut header = header
        .ok_or_else(|| Error::Grid(format!("shape {:?}: NIfTI-1 allows 32767 voxels along an axis", grid.shape)))?;
    header[112..116].copy_from_slice(&single(slope).to_le_bytes());
    Ok(header)
}

/// One gzip member without a time, as small as deflate makes it.
fn gzip(raw: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut bytes = vec![0; compressor.gzip_compress_bound(raw.len())];
    let len = compressor
        .gzip_compress(raw, &mut bytes)
        .map_err(|e| Error::Grid(format!("a volume cannot be compressed: {e}")))?;
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use crate::{Affine, read_labels};
    use proptest::prelude::*;

    fn volume(shape: [usize; 3], values: &[f32]) -> Volume {
        let grid = Grid::new(shape, Affine::from_spacing_origin([2.0, 3.0, 4.0], [-4.0, 5.0, 6.0])).unwrap();
        Volume::new(grid, values.to_vec()).unwrap()
    }

    fn line(values: &[f32]) -> Volume {
        volume([values.len(), 1, 1], values)
    }

    fn kept(volume: &Volume, step: f64) -> Volume {
        expand(&compact(volume, step, None).unwrap(), None).unwrap()
    }

    #[test]
    fn by_hand() {
        // Steps of a half: -1.3 is nearest to -1.5, 0.2 to 0, 0.3 to 0.5, 7 is itself; NaN becomes 0.
        let v = line(&[-1.3, 0.0, 0.2, 0.3, 7.0, f32::NAN]);
        let back = kept(&v, 0.5);
        assert_eq!(back.data(), [-1.5, 0.0, 0.0, 0.5, 7.0, 0.0]);
        assert_eq!(back.grid(), v.grid());
        assert_eq!(compact(&v, 0.5, None).unwrap(), compact(&v, 0.5, None).unwrap());
        // A mask keeps a 0 inside, and nothing outside.
        let mask = Mask::new(*v.grid(), vec![true, true, false, true, false, true]).unwrap();
        let bytes = compact(&v, 0.5, Some(&mask)).unwrap();
        assert_eq!(expand(&bytes, Some(&mask)).unwrap().data(), [-1.5, 0.0, 0.0, 0.5, 0.0, 0.0]);
        // A value of 70000 steps: the step is widened, and 0 stays 0.
        let wide = kept(&line(&[0.0, -70_000.0, 3.0]), 1.0);
        assert_eq!(wide.data()[0], 0.0);
        assert!((wide.data()[2] - 70_000.0 / 32_767.0).abs() < 1e-5);
        assert!((wide.data()[1] + 70_000.0).abs() < 0.01);
        for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(compact(&v, step, None).is_err());
        }
    }

    #[test]
    fn what_neighbours_let_expect() {
        let values = [1, 4, 2, 6, 3, 8, 5, 0i16];
        let all = [true; 8];
        let expected = |inside: &[bool; 8], at| Lattice { shape: [2; 3], inside }.expected(&values, at);
        // a, b, c = 5, 8, 6 and ab, ac, bc = 3, 2, 4: (2 * 19 - 9) / 3 = 9.67, held to 8.
        assert_eq!(expected(&all, 7), 8);
        // Without the voxel of bc, at (1, 0, 0), the mean of 5, 8 and 6 is 6.33; without b too, 5.5, rounded upwards.
        assert_eq!(expected(&[true, false, true, true, true, true, true, true], 7), 6);
        assert_eq!(expected(&[true, false, true, true, true, false, true, true], 7), 6);
        assert_eq!((expected(&all, 0), expected(&all, 1), expected(&all, 3)), (0, 1, 3));
    }

    #[test]
    fn bytes_that_are_something_else_are_refused() {
        let v = volume([2, 2, 2], &[1.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let mask = v.map(|v| *v != 0.0);
        let bytes = compact(&v, 1.0, Some(&mask)).unwrap();
        let said = |bytes: &[u8], mask: Option<&Mask>| expand(bytes, mask).unwrap_err().to_string();
        assert!(said(&bytes, None).contains("needs a mask"));
        assert!(said(&bytes, Some(&Mask::filled(*v.grid(), true))).contains("another mask"));
        let other = Mask::filled(*line(&[1.0]).grid(), true);
        assert!(said(&bytes, Some(&other)).contains("needs a mask"));
        assert!(compact(&v, 1.0, Some(&other)).unwrap_err().to_string().contains("[1, 1, 1]"));
        let labels = compact_labels(&mask.map(|_| 3)).unwrap();
        for wrong in [&b""[..], b"no", &bytes[..bytes.len() - 9], &[255; 40], &labels] {
            assert!(expand(wrong, Some(&mask)).is_err());
        }
    }

    #[test]
    fn labels_come_back_as_they_are() {
        let grid = Grid::new([3, 2, 2], Affine::from_spacing_origin([1.0; 3], [0.5; 3])).unwrap();
        for most in [12u32, 246, 2035] {
            let labels = Labels::from_fn(grid, |[i, j, k]| if i == 2 { most } else { (i + 3 * j + 6 * k) as u32 });
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("l.nii.gz");
            std::fs::write(&path, compact_labels(&labels).unwrap()).unwrap();
            assert_eq!(read_labels(&path).unwrap().0, labels);
        }
        assert!(compact_labels(&Mask::filled(grid, true).map(|_| 40_000)).unwrap_err().to_string().contains("40000"));
    }

    /// How far a value may be from what comes back of it. The step is `widest = max(step, most / 32767)`, rounded to f32
    /// and then, where 32767 of them would not reach `most`, up to the next f32: at most `widest (1 + 2^-23)`. A value
    /// comes back as a whole number `k` of steps that is off by half a step and by the rounding of a quotient of up to
    /// 32767 in f64 (2^-38 of a step, so both are within `1/2 + 2^-23`). Then `k` steps are rounded to f32, by 2^-24 of
    /// what comes back: up to 32767 * 2^-24 = 0.002 of a step.
    fn allowed(volume: &Volume, step: f64, back: f32) -> f64 {
        let most = volume.data().iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        step.max(most / 32_767.0) * (0.5 + 2f64.powi(-23)) + 2f64.powi(-24) * f64::from(back.abs())
    }

    #[test]
    fn a_half_step_of_many_is_rounded_to_f32_too() {
        // 28524.5 steps: off by 0.50059 of one, half a step and the rounding of the result to f32.
        let v = line(&[-4.078_111e31, 4.684_655_7e31]);
        let back = kept(&v, 0.01).data()[0];
        assert_eq!(back, -4.078_039_5e31);
        let off = (f64::from(back) - f64::from(v.data()[0])).abs();
        assert!(off > 0.5005 * f64::from(v.data()[1]) / 32_767.0 && off <= allowed(&v, 0.01, back));
        // The largest of all comes back as a number.
        assert_eq!(kept(&line(&[f32::MAX, f32::MIN, 0.0]), 1.0).data(), [f32::MAX, f32::MIN, 0.0]);
    }

    proptest! {
        #[test]
        fn off_by_half_a_step_at_most(
            shape in prop::array::uniform3(1usize..6),
            numbers in prop::collection::vec((-50.0f32..50.0, any::<bool>()), 125),
            step in 0.01f64..3.0,
            most in prop::sample::select(vec![1.0f32, 1e4, 1e30, f32::MAX / 50.0]),
        ) {
            let n = shape.iter().product::<usize>();
            let values: Vec<f32> = numbers[..n].iter().enumerate().map(|(at, n)| if at % 7 == 3 { n.0 * most } else { n.0 }).collect();
            let v = volume(shape, &values);
            let mask = Mask::new(*v.grid(), numbers[..n].iter().map(|n| n.1).collect()).unwrap();
            let cut = expand(&compact(&v, step, Some(&mask)).unwrap(), Some(&mask)).unwrap();
            let whole = kept(&v, step);
            for (at, then) in values.iter().enumerate() {
                let [now, cut] = [whole.data()[at], cut.data()[at]];
                let off = (f64::from(now) - f64::from(*then)).abs();
                prop_assert!(off <= allowed(&v, step, now), "{now} {then} {step}");
                prop_assert_eq!(cut, if mask.data()[at] { now } else { 0.0 });
            }
        }
    }
}
