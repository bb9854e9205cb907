//! [`Image`]: what a file holds, and reading it.

use super::compression::{self, Source, Trailing};
use super::dtype::{Sample, with_sample};
use super::ending::Stem;
use super::header::Header;
use super::{check, recognise};
use crate::spatial::{Line, gather};
use crate::{Error, Finding, Grid, Labels, Level, Orientation, Result, Volume};
use std::path::{Path, PathBuf};
use voxplain_core::plural::{counted, does};

/// What a file holds: values in the file's own axis order, and how they were found.
#[derive(Clone, Debug)]
pub struct Image {
    /// The values (scaled by slope and intercept), on the file's grid and in its axis order, or turned to RAS+ if that was
    /// asked for.
    pub volume: Volume,
    /// The file's own grid, in its axis order.
    pub native: Grid,
    /// Three letters, `RAS`, `LPI`, ...: where each axis of the file's array points to.
    pub axis_codes: String,
    /// The stored type, in NumPy's words: `uint8`, `int16`, `float32`, ...
    pub stored_type: String,
    /// `NIfTI-1`, `NIfTI-2`, `Analyze 7.5`, `MGH`.
    pub format: &'static str,
    /// The NIfTI codes of qform and sform (0 for formats without).
    pub form_codes: [i16; 2],
    /// What is odd about the file, and what to do about it.
    pub findings: Vec<Finding>,
    /// Everything that the file says about itself.
    pub header: Header,
}

/// What to take from a file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Which volume of a 4D file (from 0); without it a file of several is refused.
    pub volume: Option<usize>,
    /// Turn it to RAS+ on the way, as [`Volume::to_ras`] would: values are moved once instead of twice.
    pub ras: bool,
}

/// Reads a NIfTI-1, NIfTI-2, Analyze or MGH file, recognised by content, gzipped or not.
///
/// Of a pair either file may be named. The affine follows nibabel: the sform if its code is set, else the
/// qform, else the voxel sizes (with a finding). Scaled values are rounded to `f32` once.
///
/// # Errors
/// Names the file, what was found and what to do: for damaged and cut-off files, for colours, complex
/// numbers, surfaces, pictures and other formats, and for files of several volumes of which none was chosen.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Image> {
    let Loaded { header, grid, bytes, range, mut findings } = load(path, options)?;
    let (turned, lines) = if options.ras { turned(&grid) } else { (grid, fortran(grid.shape)) };
    let volume = Volume::from_parts(turned, decode(&header, &bytes[range], lines));
    drop(bytes);
    findings.extend(check::of_values(&header, &volume));
    Ok(Image {
        native: grid,
        axis_codes: grid.orientation().codes(),
        stored_type: header.stored.to_string(),
        format: header.format,
        form_codes: header.form_codes,
        volume,
        findings,
        header,
    })
}

/// Reads integer labels exactly, in the file's own axis order. Whole numbers stored as floats are labels too, and NaN beside them is
/// background, with a finding; a value that is no whole number, negative or beyond `u32` is refused.
pub fn read_labels(path: &Path) -> Result<(Labels, Vec<Finding>)> {
    let Loaded { header, grid, bytes, range, mut findings } = load(path, &ReadOptions::default())?;
    let bytes = &bytes[range];
    // A slope in f32 may miss whole numbers by its rounding.
    let slack = if header.scaling.is_some() { 1e-3 } else { 0.0 };
    let [slope, inter] = header.scaling.unwrap_or([1.0, 0.0]);
    let label = |stored: f64| {
        if stored.is_nan() {
            return Ok(0);
        }
        let value = stored * slope + inter;
        let whole = value.round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole u32")]
        let label =
            ((value - whole).abs() <= slack && (0.0..=f64::from(u32::MAX)).contains(&whole)).then_some(whole as u32);
        label.ok_or(value)
    };
    let bad = with_sample!(header.stored, header.big_endian, S => {
        bytes.chunks_exact(S::SIZE).find_map(|b| label(S::get(b)).err())
    });
    if let Some(value) = bad {
        return Err(Error::file(
            path,
            format!("holds the value {value}, expected labels: whole numbers from 0"),
            "name a label image (an atlas or a segmentation), not an image of intensities or probabilities",
        ));
    }
    let nan = with_sample!(header.stored, header.big_endian, S => {
        bytes.chunks_exact(S::SIZE).filter(|b| S::get(b).is_nan()).count()
    });
    if nan == grid.len() {
        return Err(Error::file(
            path,
            "holds NaN alone, expected labels: whole numbers from 0",
            "get or make it again",
        ));
    }
    if nan > 0 {
        let what =
            format!("{} of the labels {} NaN, taken as background", counted(nan, "value"), does(nan, "is", "are"));
        findings.push(Finding::new(
            "labels-nan",
            Level::Warning,
            what,
            "none if NaN is the background; else get it again",
        ));
    }
    let data = with_sample!(header.stored, header.big_endian, S => {
        gather(fortran(grid.shape), |n| label(S::get(&bytes[n * S::SIZE..])).unwrap_or(0))
    });
    Ok((Volume::from_parts(grid, data), findings))
}

/// One volume of a file, as stored.
struct Loaded {
    header: Header,
    grid: Grid,
    bytes: Vec<u8>,
    /// Where its values are in the bytes.
    range: std::ops::Range<usize>,
    findings: Vec<Finding>,
}

fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let (header_file, values_file, mut header) = locate(path)?;
    let volumes = header.volumes();
    let volume = match options.volume {
        None if volumes > 1 => {
            return Err(Error::file(
                path,
                format!("holds {volumes} volumes (shape {:?}), expected one", header.shape),
                "choose one, or extract it first (for a T1: is this the right file?)",
            ));
        }
        None => 0,
        Some(n) if n < volumes => n as u64,
        Some(n) => {
            return Err(Error::file(
                path,
                format!("holds {volumes} volumes; volume {n} (from 0) was asked for"),
                "choose a smaller number",
            ));
        }
    };
    if let Some(all) = one_member(&values_file, header.offset, header.volume_bytes(), volumes)? {
        header.compressed = true;
        let grid = geometry(&header, &header_file)?;
        let findings = check::of_header(&header, &grid);
        let start = whole_number(header.offset + header.volume_bytes() * volume);
        let range = start..start + whole_number(header.volume_bytes());
        return Ok(Loaded { header, grid, bytes: all, range, findings });
    }
    let mut source = Source::open(&values_file)?;
    header.compressed = source.is_compressed();
    let size = header.volume_bytes();
    let short = |found: String| {
        let what = format!(
            "is too short: {:?} values of type {} need {} bytes, {found}",
            header.shape,
            header.stored,
            header.offset + size * volumes as u64
        );
        Error::file(&values_file, what, "the file is cut off: copy or download it again")
    };
    let end = size.checked_mul(volume + 1).and_then(|n| n.checked_add(header.offset));
    if !end.is_some_and(|end| source.may_hold(end)) {
        return Err(short(format!("the file has {}", source.file_len())));
    }
    let mut bytes = Vec::new();
    if source.skip(header.offset + size * volume)? {
        source.read_up_to(size, &mut bytes)?;
    }
    if bytes.len() as u64 != size {
        return Err(short(format!("{} were found", source.position())));
    }
    let grid = geometry(&header, &header_file)?;
    let mut findings = check::of_header(&header, &grid);
    let rest = size * (volumes as u64 - volume - 1);
    match source.trailing()? {
        Trailing::Bytes(n) if n > rest => findings.push(Finding::new(
            "trailing-bytes",
            Level::Note,
            format!("the values are followed by {} more bytes, which were left out", n - rest),
            "harmless if the image looks right; otherwise shape or type in the header are wrong",
        )),
        Trailing::Garbage => findings.push(Finding::new(
            "trailing-bytes",
            Level::Note,
            "the gzip stream is followed by other bytes, which were left out",
            "harmless if the image looks right; compress it anew to be rid of them",
        )),
        Trailing::NoChecksum => findings.push(Finding::new(
            "no-checksum",
            Level::Warning,
            "the values are complete, but the end of the gzip stream with its checksum is missing",
            "the file was cut off: copy or download it again",
        )),
        // MGH files end with acquisition parameters and tags.
        Trailing::Bytes(_) | Trailing::Nothing => {}
    }
    if header.format == "MGH" {
        findings.retain(|f| f.id != "trailing-bytes");
    }
    let range = 0..bytes.len();
    Ok(Loaded { header, grid, bytes, range, findings })
}

fn geometry(header: &Header, file: &Path) -> Result<Grid> {
    Grid::new(header.space(), header.affine)
        .map_err(|e| Error::file(file, format!("has no usable geometry: {e}"), "repair the affine in the header"))
}

/// A file's bytes when it is gzip of one member that holds header and values and nothing else, as nearly all are: that is
/// undone in one go. Nothing for any other file, sound or not: that is read bit by bit, to say what it is.
fn one_member(file: &Path, offset: u64, volume: u64, volumes: usize) -> Result<Option<Vec<u8>>> {
    let end = volume.checked_mul(volumes as u64).and_then(|n| n.checked_add(offset));
    match end.and_then(|end| usize::try_from(end).ok()) {
        Some(end) if end <= AT_ONCE => compression::one_member(file, end),
        _ => Ok(None),
    }
}

/// Files are undone in one go up to this size.
const AT_ONCE: usize = 1 << 29;

/// A length below [`AT_ONCE`].
#[expect(clippy::cast_possible_truncation, reason = "callers pass lengths of what is in memory")]
fn whole_number(length: u64) -> usize {
    length as usize
}

/// The header's file, the values' file, and the header.
fn locate(path: &Path) -> Result<(PathBuf, PathBuf, Header)> {
    let head = read_head(path)?;
    let stem = Stem::of(path);
    // Of a pair the values' file may be named; its content could look like anything.
    if stem.is(".img") && !recognise::has_nifti_header(&head) {
        let header_file = stem.beside(".hdr").ok_or_else(|| {
            Error::file(
                path,
                format!("holds values only, and its header {}.hdr (or .hdr.gz) is missing", stem.path.display()),
                "put the .hdr file beside it",
            )
        })?;
        let header = recognise::header(&header_file, &read_head(&header_file)?)?;
        if !header.pair {
            return Err(Error::file(
                &header_file,
                "is no header of a pair",
                "name the image that is whole in one file",
            ));
        }
        return Ok((header_file, path.to_owned(), header));
    }
    let header = recognise::header(path, &head)?;
    if !header.pair {
        return Ok((path.to_owned(), path.to_owned(), header));
    }
    let values = stem.beside(".img").ok_or_else(|| {
        Error::file(
            path,
            format!("is a header only, and its values {}.img (or .img.gz) are missing", stem.path.display()),
            "put the .img file beside it",
        )
    })?;
    Ok((path.to_owned(), values, header))
}

fn read_head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    Source::open(path)?.read_up_to(recognise::HEAD, &mut head)?;
    Ok(head)
}

/// The axes of a file's array, whose first index runs fastest.
fn fortran(shape: [usize; 3]) -> [Line; 3] {
    let line = |stride, len| Line { stride, len, flip: false };
    [line(1, shape[0]), line(shape[0], shape[1]), line(shape[0] * shape[1], shape[2])]
}

/// The grid turned to RAS+, and its axes in a file's array.
fn turned(grid: &Grid) -> (Grid, [Line; 3]) {
    let lines = fortran(grid.shape);
    let steps = grid.orientation().steps_to(Orientation::RAS);
    (grid.reoriented(Orientation::RAS), steps.map(|(axis, flip)| Line { flip, ..lines[axis] }))
}

#[expect(clippy::cast_possible_truncation, reason = "values are kept as f32")]
fn decode(header: &Header, bytes: &[u8], lines: [Line; 3]) -> Vec<f32> {
    let [slope, inter] = header.scaling.unwrap_or([1.0, 0.0]);
    if header.stored.size() == 1 {
        // Of one byte there are 256 values: each is worked out once.
        let values: Vec<f32> = with_sample!(header.stored, header.big_endian, S => {
            (0..=u8::MAX).map(|byte| (S::get(&[byte; 8]) * slope + inter) as f32).collect()
        });
        return gather(lines, |n| values[usize::from(bytes[n])]);
    }
    with_sample!(header.stored, header.big_endian, S => match header.scaling {
        None => gather(lines, |n| S::get(&bytes[n * S::SIZE..]) as f32),
        Some(_) => gather(lines, |n| (S::get(&bytes[n * S::SIZE..]) * slope + inter) as f32),
    })
}
