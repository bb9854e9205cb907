//! The headers of NIfTI-1, NIfTI-2 and Analyze 7.5.
//!
//! Offsets and codes are those of `nifti1.h` and `nifti2.h` (nifti.nimh.nih.gov); where files in the wild deviate, the
//! reading is that of nibabel 5.4. Analyze is read as SPM wrote it: the scale in `funused1`, the
//! origin in `originator`, and x pointing to the left unless told otherwise.

use super::dtype::Dtype;
use super::header::{Fields, Header, checked_shape};
use crate::grid::corner_distances;
use crate::{Affine, Error, Finding, Grid, Level, Result};
use std::path::Path;

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Nifti1 { single: bool },
    Nifti2 { single: bool },
    Analyze,
}

const SPACES: &str =
    "set the spatial codes with the tool that made the file, or compare it with an image whose sides are known";

/// Parses a header of a known kind.
pub(super) fn parse(path: &Path, head: &[u8], kind: Kind) -> Result<Header> {
    let damaged = "the header is damaged: copy or download the file again";
    let fail = |what: String, hint: &str| Err(Error::file(path, what, hint));
    let two = matches!(kind, Kind::Nifti2 { .. });
    let need = if two { 540 } else { 348 };
    if head.len() < need {
        return fail(format!("ends inside its header ({} of {need} bytes)", head.len()), damaged);
    }
    let mut findings = Vec::new();
    // The byte order is that in which the header's length is right; in a header with a damaged length, that in which
    // the number of axes makes sense.
    let length = |big| usize::try_from(Fields { bytes: head, big }.i32(0)) == Ok(need);
    let axes_of = |big| Fields { bytes: head, big }.i16(40);
    let big = if length(false) {
        false
    } else if length(true) {
        true
    } else {
        findings.push(Finding::new(
            "damaged-header-size",
            Level::Warning,
            format!("the header gives its own length as {}, not {need}", Fields { bytes: head, big: false }.i32(0)),
            "the header is damaged in at least this place: check shape and affine, or get the file again",
        ));
        !(1..=7).contains(&axes_of(false))
    };
    let f = Fields { bytes: head, big };
    let real = |at1: usize, at2: usize| if two { f.f64(at2) } else { f.f32(at1) };

    // Type and axes.
    let code = f.i16(if two { 12 } else { 70 });
    let intent = if two { f.i32(504) } else { i32::from(f.i16(68)) };
    if two && (3000..3100).contains(&intent) {
        return fail(
            "is a CIFTI file: values on surfaces and in parcels, not a volume".into(),
            "name the volume it was made from",
        );
    }
    let stored = match dtype(code) {
        Ok(stored) => stored,
        Err((what, hint)) => return fail(what, hint),
    };
    let ndim = if two { f.i64(16) } else { i64::from(f.i16(40)) };
    let Some(ndim) = usize::try_from(ndim).ok().filter(|n| (1..=7).contains(n)) else {
        return fail(format!("has {ndim} axes, expected 1 to 7"), damaged);
    };
    let axes: Vec<i64> =
        (1..=ndim).map(|a| if two { f.i64(16 + 8 * a) } else { i64::from(f.i16(40 + 2 * a)) }).collect();
    let shape = match checked_shape(&axes, stored.size()) {
        Ok(shape) => shape,
        Err(what) => return fail(what, damaged),
    };

    // Where the values are.
    let (single, format, smallest) = match kind {
        Kind::Nifti1 { single } => (single, "NIfTI-1", 352),
        Kind::Nifti2 { single } => (single, "NIfTI-2", 544),
        Kind::Analyze => (false, "Analyze 7.5", 0),
    };
    let offset = if two { f.i64(168) as f64 } else { f.f32(108) };
    if !(0.0..9e15).contains(&offset) || offset.fract() != 0.0 {
        return fail(format!("says that its values start at byte {offset}"), damaged);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number")]
    let mut offset = offset as u64;
    if single && offset == 0 {
        offset = smallest;
    }
    if single && offset < smallest {
        return fail(format!("says that its values start at byte {offset}, inside the header"), damaged);
    }

    // Scaling.
    let (slope, inter) = (real(112, 176), real(116, 184));
    let scaling = if kind == Kind::Analyze {
        spm_scaling(&f)
    } else if slope == 0.0 || !slope.is_finite() {
        // NaN is how nibabel writes that there is none.
        if slope.is_infinite() {
            findings.push(Finding::new(
                "infinite-scaling",
                Level::Warning,
                format!("the header scales values by {slope} (scl_slope), which is no number; they are taken as they are stored"),
                "find out what the scaling was and correct scl_slope, to 1 if there was none",
            ));
        }
        None
    } else if !inter.is_finite() {
        return fail(
            format!("scales its values by {slope} but adds {inter}"),
            "correct scl_inter in the header, usually to 0",
        );
    } else {
        Some([slope, inter])
    };
    let scaling = scaling.filter(|&s| s != [1.0, 0.0]);

    // Voxel sizes.
    let mut sizes: [f64; 3] = std::array::from_fn(|a| real(80 + 4 * a, 112 + 8 * a));
    if sizes.iter().any(|&s| s < 0.0) {
        findings.push(Finding::new(
            "negative-voxel-size",
            Level::Note,
            format!("voxel sizes {sizes:?} have a sign, which was dropped"),
            "none needed if left and right are right; the sign belongs into the affine",
        ));
        sizes = sizes.map(f64::abs);
    }
    let zero: Vec<&str> = (0..3)
        .filter(|&a| sizes[a] == 0.0 && axes.get(a).is_some_and(|n| *n > 1))
        .map(|a| ["i", "j", "k"][a])
        .collect();
    if !zero.is_empty() && kind != Kind::Analyze {
        findings.push(Finding::new(
            ZERO_SIZE,
            Level::Warning,
            format!(
                "pixdim gives a voxel size of 0 along {}; where it is needed, 1 mm is taken for it",
                zero.join(" and ")
            ),
            "find out the true size and correct the header; where there is a good sform it alone is used",
        ));
    }
    // As nibabel: a size of zero along an axis counts as 1 mm.
    sizes = sizes.map(|s| if s == 0.0 { 1.0 } else { s });

    let mut header = Header {
        format,
        big_endian: big,
        compressed: false,
        shape,
        stored,
        scaling,
        affine: Affine::IDENTITY,
        affine_from: "voxel sizes",
        form_codes: [0, 0],
        qform: None,
        sform: None,
        voxel_sizes: sizes,
        unit: "unknown",
        intent: 0,
        description: f.text(if two { 240 } else { 148 }, 80),
        pair: !single,
        offset,
        findings,
    };
    if kind == Kind::Analyze {
        analyze_affine(&f, &mut header);
        return Ok(header);
    }
    let units = if two { f.i32(500) } else { i32::from(head[123]) };
    header.unit = match units & 7 {
        1 => "m",
        2 => "mm",
        3 => "um",
        _ => "unknown",
    };
    header.intent = intent;
    nifti_affine(path, &f, two, &mut header)?;
    Ok(header)
}

/// The finding about a voxel size of 0.
pub(super) const ZERO_SIZE: &str = "zero-voxel-size";

fn dtype(code: i16) -> std::result::Result<Dtype, (String, &'static str)> {
    const ONE: &str = "write one real number per voxel (a T1 volume has a single intensity)";
    let what = match code {
        2 => return Ok(Dtype::Uint8),
        4 => return Ok(Dtype::Int16),
        8 => return Ok(Dtype::Int32),
        16 => return Ok(Dtype::Float32),
        64 => return Ok(Dtype::Float64),
        256 => return Ok(Dtype::Int8),
        512 => return Ok(Dtype::Uint16),
        768 => return Ok(Dtype::Uint32),
        1024 => return Ok(Dtype::Int64),
        1280 => return Ok(Dtype::Uint64),
        32 | 1792 | 2048 => "holds complex numbers",
        128 => "holds colours (RGB)",
        2304 => "holds colours (RGBA)",
        1 => "holds single bits",
        1536 => {
            return Err(("holds 128-bit floats".into(), "convert it to float32: its type has no portable meaning"));
        }
        _ => {
            return Err((format!("has the unknown type code {code}"), "the header is damaged, or no NIfTI header"));
        }
    };
    Err((what.into(), if code == 32 || code > 1700 && code < 2304 { "take the magnitude first" } else { ONE }))
}

/// The scaling of SPM's Analyze files (`spm_vol_ana.m`, as nibabel's `Spm2AnalyzeHeader`).
fn spm_scaling(f: &Fields) -> Option<[f64; 2]> {
    let (slope, inter) = (f.f32(112), f.f32(116));
    if slope != 0.0 && slope.is_finite() {
        return Some([slope, if inter.is_finite() { inter } else { 0.0 }]);
    }
    let (cal_max, cal_min) = (f.f32(124), f.f32(128));
    let (max, min) = (f64::from(f.i32(140)), f64::from(f.i32(144)));
    if max == min || cal_max == cal_min || !cal_max.is_finite() || !cal_min.is_finite() {
        return None;
    }
    let slope = (cal_max - cal_min) / (max - min);
    Some([slope, cal_min - slope * min])
}

/// x to the left, the origin from `originator` where it is sensible and else the middle.
fn analyze_affine(f: &Fields, h: &mut Header) {
    let origin: [f64; 3] = std::array::from_fn(|a| f64::from(f.i16(253 + 2 * a)));
    let sensible = origin.iter().any(|&o| o != 0.0)
        && (0..3).all(|a| origin[a] > -(h.shape[a] as f64) && origin[a] < 2.0 * h.shape[a] as f64);
    // The field counts voxels from 1.
    let center: [f64; 3] =
        std::array::from_fn(|a| if sensible { origin[a] - 1.0 } else { (h.shape[a] as f64 - 1.0) / 2.0 });
    h.affine = left_handed(h.voxel_sizes, center);
    if sensible {
        h.affine_from = "origin field";
    }
    h.findings.push(Finding::new(
        "no-spatial-code",
        Level::Warning,
        "Analyze files do not say which side is left: x is taken to point to the left, as SPM and nibabel do",
        SPACES,
    ));
}

fn left_handed(sizes: [f64; 3], center: [f64; 3]) -> Affine {
    let steps = [-sizes[0], sizes[1], sizes[2]];
    Affine::from_spacing_origin(steps, std::array::from_fn(|a| -steps[a] * center[a]))
}

fn nifti_affine(path: &Path, f: &Fields, two: bool, h: &mut Header) -> Result<()> {
    let real = |at1: usize, at2: usize| if two { f.f64(at2) } else { f.f32(at1) };
    let codes = if two { [f.i32(344), f.i32(348)] } else { [f.i16(252), f.i16(254)].map(i32::from) };
    h.form_codes = codes.map(|c| i16::try_from(c).ok().filter(|c| (0..=5).contains(c)).unwrap_or(0));
    if codes != h.form_codes.map(i32::from) {
        h.findings.push(Finding::new(
            "unknown-form-code",
            Level::Warning,
            format!("the codes of qform and sform are {codes:?}; what is not 0 to 5 counts as not set"),
            "the header is damaged or from another convention: check the orientation by eye",
        ));
    }
    let sform = Affine::from_rows(std::array::from_fn(|r| {
        std::array::from_fn(|c| real(280 + 16 * r + 4 * c, 400 + 32 * r + 8 * c))
    }));
    if h.form_codes[1] > 0 {
        h.sform = Some(sform);
    }
    let mut bad_qform = None;
    if h.form_codes[0] > 0 {
        match qform(f, two, h.voxel_sizes) {
            Ok((affine, length)) => {
                h.qform = Some(affine);
                if let Some(length) = length {
                    h.findings.push(Finding::new(
                        "long-quaternion",
                        Level::Note,
                        format!("the quaternion of the qform has a length of {length:.6}, which rounding can explain; it was made 1"),
                        "none here; stricter tools refuse the file: write its qform anew",
                    ));
                }
            }
            Err(what) => bad_qform = Some(what),
        }
    }
    // An sform that is no geometry, where the qform is one.
    if let (Some(s), Some(q)) = (h.sform, h.qform)
        && s.inverse().is_none()
        && q.inverse().is_some()
    {
        h.findings.push(Finding::new(
            "bad-sform",
            Level::Warning,
            format!(
                "the sform (code {}) is no geometry, its rows are {:?}; the qform (code {}) is used",
                h.form_codes[1],
                s.rows(),
                h.form_codes[0]
            ),
            "check the orientation by eye, then copy the qform to the sform (fslorient -copyqform2sform)",
        ));
        h.sform = None;
    }
    // The reverse.
    if let (Some(s), Some(q)) = (h.sform, h.qform)
        && s.inverse().is_some()
        && q.inverse().is_none()
    {
        bad_qform = Some(format!("is no geometry (voxel sizes {:?} mm, origin {:?} mm)", h.voxel_sizes, q.origin()));
        h.qform = None;
    }
    match (h.sform, h.qform) {
        (Some(s), _) if s.inverse().is_some() => (h.affine, h.affine_from) = (s, "sform"),
        (Some(s), _) => {
            return Err(Error::file(
                path,
                format!("has an sform (code {}) that cannot be inverted: {:?}", h.form_codes[1], s.rows()),
                "repair the header: write an sform, or a qform to be read by",
            ));
        }
        (None, Some(q)) if q.inverse().is_some() => (h.affine, h.affine_from) = (q, "qform"),
        (None, Some(q)) => {
            return Err(Error::file(
                path,
                format!("has a qform (code {}) that cannot be inverted: {:?}", h.form_codes[0], q.rows()),
                "repair voxel sizes and qform in the header",
            ));
        }
        (None, None) => {
            if let Some(what) = bad_qform {
                return Err(Error::file(
                    path,
                    format!("has no sform, and a qform {what}"),
                    "repair the qform or set an sform",
                ));
            }
            h.affine = left_handed(h.voxel_sizes, h.space().map(|n| (n as f64 - 1.0) / 2.0));
            h.findings.push(Finding::new(
                "no-spatial-code",
                Level::Warning,
                "neither qform nor sform is set, so the file does not say which side is left: x is taken to point to the \
                 left, as nibabel does, and the middle of the image to be the origin",
                SPACES,
            ));
            if h.affine.inverse().is_none() {
                return Err(Error::file(
                    path,
                    format!("has voxel sizes {:?} and no other geometry", h.voxel_sizes),
                    "repair the voxel sizes in the header",
                ));
            }
        }
    }
    if let Some(what) = bad_qform {
        h.findings.push(Finding::new(
            "bad-qform",
            Level::Note,
            format!("the qform {what}; the sform is used"),
            "other tools may stop at it: copy the sform to the qform (fslorient -copysform2qform)",
        ));
    }
    if let (Some(s), Some(q)) = (h.sform, h.qform) {
        let apart = corner_distances(h.space(), &s, &q).into_iter().fold(0.0, f64::max);
        if apart > 0.1 {
            let voxel = h.voxel_sizes.into_iter().fold(f64::INFINITY, f64::min);
            h.findings.push(Finding::new(
                "forms-disagree",
                if apart > voxel { Level::Warning } else { Level::Note },
                format!(
                    "qform (code {}) and sform (code {}) place a corner up to {apart:.1} mm apart; the sform is used",
                    codes[0], codes[1]
                ),
                "make sure that the sform is the one that belongs to your other images (it often maps to a template)",
            ));
        }
    }
    Ok(())
}

/// How much longer than 1 a quaternion may be: what writing it with four digits explains.
const LONGER: f64 = 1e-4;

/// The affine of a qform (nifti1.h, "METHOD 2") with the length of `(b, c, d)` where it had to be shortened, or what is wrong with it.
fn qform(f: &Fields, two: bool, sizes: [f64; 3]) -> std::result::Result<(Affine, Option<f64>), String> {
    let real = |at1: usize, at2: usize| if two { f.f64(at2) } else { f.f32(at1) };
    let given = [real(256, 352), real(260, 360), real(264, 368)];
    let length = given.iter().map(|v| v * v).sum::<f64>().sqrt();
    // As nibabel: what rounding can explain counts as a half turn.
    let rounding = 3.0 * if two { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let long = 1.0 - length * length <= -rounding && length <= 1.0 + LONGER;
    let [b, c, d] = if long { given.map(|v| v / length) } else { given };
    let squared = 1.0 - (b * b + c * c + d * d);
    let a = if long || squared.abs() < rounding {
        0.0
    } else if squared > 0.0 {
        squared.sqrt()
    } else {
        // Stored as f32, which six digits tell; so that -0 is 0.
        let [b, c, d] = [b, c, d].map(|v| if v.abs() < 1e9 { (v * 1e6).round() / 1e6 + 0.0 } else { v });
        return Err(format!("whose quaternion ({b}, {c}, {d}) is not one of a rotation"));
    };
    let norm = a * a + b * b + c * c + d * d;
    let s = 2.0 / norm;
    let turn = [
        [1.0 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)],
        [s * (b * c + a * d), 1.0 - s * (b * b + d * d), s * (c * d - a * b)],
        [s * (b * d - a * c), s * (c * d + a * b), 1.0 - s * (b * b + c * c)],
    ];
    let flip = if real(76, 104) == -1.0 { -1.0 } else { 1.0 };
    let steps = [sizes[0], sizes[1], sizes[2] * flip];
    let offset = [real(268, 376), real(272, 384), real(276, 392)];
    let affine = Affine::from_rows(std::array::from_fn(|r| {
        [turn[r][0] * steps[0], turn[r][1] * steps[1], turn[r][2] * steps[2], offset[r]]
    }));
    Ok((affine, long.then_some(length)))
}

/// Quaternion `(b, c, d)` and `qfac` of an affine; `None` if its axes are not at right angles.
pub(super) fn quaternion(affine: &Affine) -> Option<([f64; 3], f64)> {
    let spacing = affine.spacing();
    let flip = if affine.determinant() < 0.0 { -1.0 } else { 1.0 };
    let mut m = [[0.0; 3]; 3];
    for (r, row) in affine.rows().iter().enumerate() {
        for c in 0..3 {
            m[r][c] = row[c] / spacing[c] * if c == 2 { flip } else { 1.0 };
        }
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let cosine: f64 = m.iter().map(|row| row[a] * row[b]).sum();
        // Written as f32, affines are at right angles to about 1e-6.
        if cosine.is_nan() || cosine.abs() > 1e-5 {
            return None;
        }
    }
    // Shepperd 1978: from the largest of the four, so that nothing is divided by little.
    let four = [
        1.0 + m[0][0] + m[1][1] + m[2][2],
        1.0 + m[0][0] - m[1][1] - m[2][2],
        1.0 - m[0][0] + m[1][1] - m[2][2],
        1.0 - m[0][0] - m[1][1] + m[2][2],
    ];
    let largest = (0..4).max_by(|&x, &y| four[x].total_cmp(&four[y])).unwrap_or(0);
    let half = four[largest].sqrt() / 2.0;
    let q = 0.25 / half;
    let [a, b, c, d] = match largest {
        0 => [half, (m[2][1] - m[1][2]) * q, (m[0][2] - m[2][0]) * q, (m[1][0] - m[0][1]) * q],
        1 => [(m[2][1] - m[1][2]) * q, half, (m[1][0] + m[0][1]) * q, (m[0][2] + m[2][0]) * q],
        2 => [(m[0][2] - m[2][0]) * q, (m[1][0] + m[0][1]) * q, half, (m[2][1] + m[1][2]) * q],
        _ => [(m[1][0] - m[0][1]) * q, (m[0][2] + m[2][0]) * q, (m[2][1] + m[1][2]) * q, half],
    };
    let norm = (a * a + b * b + c * c + d * d).sqrt() * if a < 0.0 { -1.0 } else { 1.0 };
    Some(([b / norm, c / norm, d / norm], flip))
}

/// What [`encode`] stores beside the grid.
pub(super) struct Stored<'a> {
    pub(super) code: i16,
    pub(super) bytes_per_value: i16,
    pub(super) form_code: i16,
    pub(super) intent: i16,
    pub(super) description: &'a str,
}

/// The 352 bytes before the values of a little-endian, single-file NIfTI-1 image. `None` if an axis is too long for it.
#[expect(clippy::cast_possible_truncation, reason = "NIfTI-1 keeps affines as f32")]
pub(super) fn encode(grid: &Grid, stored: &Stored) -> Option<[u8; 352]> {
    let mut out = [0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    put(38, b"r");
    put(40, &3i16.to_le_bytes());
    for a in 0..7 {
        let n = grid.shape.get(a).map_or(Some(1), |&n| i16::try_from(n).ok())?;
        put(42 + 2 * a, &n.to_le_bytes());
    }
    put(68, &stored.intent.to_le_bytes());
    put(70, &stored.code.to_le_bytes());
    put(72, &(stored.bytes_per_value * 8).to_le_bytes());
    let turn = quaternion(&grid.affine);
    let spacing = grid.spacing();
    let sizes = [turn.map_or(1.0, |t| t.1), spacing[0], spacing[1], spacing[2], 1.0, 1.0, 1.0, 1.0];
    for (a, s) in sizes.into_iter().enumerate() {
        put(76 + 4 * a, &(s as f32).to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[2]); // millimetres
    let text = stored.description.as_bytes();
    let mut len = text.len().min(79);
    while !stored.description.is_char_boundary(len) {
        len -= 1;
    }
    put(148, &text[..len]);
    if let Some((q, _)) = turn {
        put(252, &stored.form_code.to_le_bytes());
        for (a, (q, o)) in q.into_iter().zip(grid.affine.origin()).enumerate() {
            put(256 + 4 * a, &(q as f32).to_le_bytes());
            put(268 + 4 * a, &(o as f32).to_le_bytes());
        }
    }
    put(254, &stored.form_code.to_le_bytes());
    for (r, row) in grid.affine.rows().iter().enumerate() {
        for (c, v) in row.iter().enumerate() {
            put(280 + 16 * r + 4 * c, &(*v as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    Some(out)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use crate::Orientation;
    use proptest::prelude::*;

    fn stored() -> Stored<'static> {
        Stored { code: 16, bytes_per_value: 4, form_code: 2, intent: 0, description: "test" }
    }

    #[test]
    fn quaternions_by_hand() {
        assert_eq!(quaternion(&Affine::IDENTITY), Some(([0.0; 3], 1.0)));
        // Left-handed storage: -x is a half turn about y with the third axis flipped.
        let las = Affine::from_spacing_origin([-2.0, 2.0, 2.0], [90.0, -126.0, -72.0]);
        assert_eq!(quaternion(&las), Some(([0.0, 1.0, 0.0], -1.0)));
        let mut sheared = *Affine::IDENTITY.rows();
        sheared[0][1] = 0.1;
        assert_eq!(quaternion(&Affine::from_rows(sheared)), None);
    }

    proptest! {
        // qform and sform of every written header say the same, for all 48 orders and any rotation.
        #[test]
        fn forms_agree(
            n in 0usize..48,
            q in prop::array::uniform4(-1.0f64..1.0),
            spacing in prop::array::uniform3(0.3f64..5.0),
            origin in prop::array::uniform3(-60.0f64..60.0),
        ) {
            let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
            prop_assume!(norm > 0.1);
            let [a, b, c, d] = q.map(|x| x / norm);
            let turn = Affine::from_rows([
                [a*a + b*b - c*c - d*d, 2.0*(b*c - a*d), 2.0*(b*d + a*c), 0.0],
                [2.0*(b*c + a*d), a*a + c*c - b*b - d*d, 2.0*(c*d - a*b), 0.0],
                [2.0*(b*d - a*c), 2.0*(c*d + a*b), a*a + d*d - b*b - c*c, 0.0],
            ]);
            let grid = Grid::new([10, 11, 12], turn * Affine::from_spacing_origin(spacing, origin)).unwrap();
            let grid = grid.reoriented(Orientation::all().nth(n).unwrap());
            let bytes = encode(&grid, &stored()).unwrap();
            let h = parse(Path::new("x.nii"), &bytes, Kind::Nifti1 { single: true }).unwrap();
            prop_assert_eq!(h.form_codes, [2, 2]);
            prop_assert!(h.affine.approx_eq(&grid.affine, 1e-4), "{:?} {:?}", h.affine, grid.affine);
            // A qform keeps only (b, c, d) as f32. Near a half turn a = sqrt(1 - b² - c² - d²) is known to no better
            // than sqrt(3 eps) = 6e-4, which turns the axes by twice that; the format can do no better.
            let ([b, c, d], _) = quaternion(&grid.affine).unwrap();
            let half_turn = 1.0 - (b * b + c * c + d * d) < 0.01;
            let tolerance = if half_turn { 1.3e-3 * 5.0 } else { 1e-4 };
            prop_assert!(h.qform.unwrap().approx_eq(&grid.affine, tolerance), "{:?} {:?}", h.qform, grid.affine);
            prop_assert!(h.findings.iter().all(|f| f.level == Level::Note), "{:?}", h.findings);
        }
    }

    #[test]
    fn long_axes_are_refused() {
        let grid = Grid::new([40_000, 1, 1], Affine::IDENTITY).unwrap();
        assert!(encode(&grid, &stored()).is_none());
    }
}
