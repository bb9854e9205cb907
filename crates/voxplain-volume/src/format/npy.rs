//! NumPy's `.npy` files: whole arrays, and `[N, i, j, k]` stacks one item at a time.
//!
//! Real numbers of every NumPy type, both byte orders, C and Fortran order, gzipped or not (by content, whatever the
//! name), format versions 1 to 3 (NumPy Enhancement Proposal 1). Pickled objects, complex and structured
//! types are refused. Sizes are checked against the file before anything is allocated.

use super::compression::{self, Source};
use super::dtype::{Dtype, Sample, f32_to_half, half_to_f32, with_sample};
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What every file begins with.
pub(super) const MARK: &[u8] = b"\x93NUMPY";

/// A whole array in C order (the last axis runs fastest), whatever the file's type and order.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// The values; 64-bit types are rounded to `f32`.
    pub data: Vec<f32>,
}

/// What the header of a file says.
#[derive(Clone, Debug, PartialEq)]
struct Header {
    dtype: Dtype,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
    /// Number of values.
    len: usize,
}

/// Reads a whole array.
pub fn read(path: impl AsRef<Path>) -> Result<NpyArray> {
    let path = path.as_ref();
    let (header, mut source) = open(path)?;
    let bytes = body(&header, &mut source)?;
    let mut data = decode(&header, &bytes);
    if header.fortran && header.shape.len() > 1 {
        data = fortran_to_c(&header.shape, &data);
    }
    Ok(NpyArray { shape: header.shape, data })
}

/// More bytes than an array of an `.npz` file may hold.
const MOST_IN_ARCHIVE: u64 = 1 << 32;

/// Reads all arrays of an `.npz` file, as `numpy.savez` and `numpy.savez_compressed` write it, by name.
pub fn read_npz(path: impl AsRef<Path>) -> Result<Vec<(String, NpyArray)>> {
    let path = path.as_ref();
    let wrong = |error: zip::result::ZipError| {
        Error::file(path, format!("is not a whole .npz file: {error}"), "expected a file written by numpy.savez")
    };
    let mut archive =
        zip::ZipArchive::new(voxplain_core::input::open(path).map_err(Error::io(path))?).map_err(wrong)?;
    let mut arrays = Vec::with_capacity(archive.len().min(64));
    for n in 0..archive.len() {
        let entry = archive.by_index_raw(n).map_err(wrong)?;
        let name = entry.name().map_err(wrong)?.trim_end_matches(".npy").to_owned();
        let limit = entry.size().min(MOST_IN_ARCHIVE);
        let mut bytes = Vec::new();
        let read = match entry.compression() {
            zip::CompressionMethod::Stored => entry.take(limit).read_to_end(&mut bytes),
            // Raw, because what unpacks it is in the project already.
            _ => flate2::read::DeflateDecoder::new(entry).take(limit).read_to_end(&mut bytes),
        };
        read.map_err(Error::io(path))?;
        arrays.push((name, from_bytes(path, &bytes)?));
    }
    Ok(arrays)
}

/// An array from the bytes of its file.
fn from_bytes(path: &Path, bytes: &[u8]) -> Result<NpyArray> {
    let start = match bytes.get(6) {
        Some(1) => 10,
        _ => 12,
    };
    if !bytes.starts_with(MARK) || bytes.len() < start {
        return Err(Error::file(
            path,
            "holds something that is no NumPy array",
            "expected a file written by numpy.savez",
        ));
    }
    let length = match start {
        10 => usize::from(u16::from_le_bytes([bytes[8], bytes[9]])),
        _ => u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize,
    };
    let text = bytes.get(start..start + length).ok_or_else(|| truncated(path))?;
    let header = parse(&String::from_utf8_lossy(text))
        .map_err(|what| Error::file(path, what, "save plain arrays of real numbers, numpy.savez(path, x=x, y=y)"))?;
    let body = &bytes[start + length..];
    let need = header.len.checked_mul(header.dtype.size()).filter(|&need| need <= body.len());
    let mut data = decode(&header, &body[..need.ok_or_else(|| truncated(path))?]);
    if header.fortran && header.shape.len() > 1 {
        data = fortran_to_c(&header.shape, &data);
    }
    Ok(NpyArray { shape: header.shape, data })
}

/// Writes a whole float32 array in C order, gzipped if the name ends in `.gz`, as an
/// [atomic file](voxplain_core::atomic_file).
pub fn write(path: impl AsRef<Path>, shape: &[usize], data: &[f32]) -> Result<()> {
    let path = path.as_ref();
    let len = product(shape).filter(|&n| n == data.len());
    if len.is_none() {
        return Err(Error::Grid(format!("{} values for an array of shape {shape:?}", data.len())));
    }
    let mut bytes = header_bytes(shape, Dtype::Float32);
    encode(Dtype::Float32, data, &mut bytes);
    compression::write(path, &bytes)
}

/// Makes each value what a file of this type, `Float32`, `Float16` or `Uint8`, gives back of it.
pub fn as_stored(dtype: Dtype, values: &mut [f32]) {
    match dtype {
        Dtype::Float16 => values.iter_mut().for_each(|v| *v = half_to_f32(f32_to_half(*v))),
        Dtype::Uint8 => values.iter_mut().for_each(|v| *v = v.round().clamp(0.0, 255.0)),
        _ => {}
    }
}

/// An open `[N, ...]` array of which items (slices of the first axis) are read one at a time.
///
/// An uncompressed file in C order is read by seeking; others are decoded to memory on opening.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    header: Header,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// The file, and where its values start.
    File(Mutex<File>, u64),
    /// All values, as stored, in C order.
    Memory(Vec<u8>),
    /// All values of a file in Fortran order.
    Decoded(Vec<f32>),
}

impl Reader {
    /// Opens an array of at least one axis.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (header, mut source) = open(path)?;
        if header.shape.is_empty() {
            return Err(Error::file(path, "holds a single number", "an array [N, i, j, k] is expected"));
        }
        let body = if header.fortran && header.shape.len() > 1 {
            let bytes = body(&header, &mut source)?;
            Body::Decoded(fortran_to_c(&header.shape, &decode(&header, &bytes)))
        } else if source.is_compressed() {
            Body::Memory(body(&header, &mut source)?)
        } else {
            let start = source.position();
            check_size(&header, &source)?;
            Body::File(Mutex::new(voxplain_core::input::open(path).map_err(Error::io(path))?), start)
        };
        Ok(Self { path: path.to_owned(), header, body })
    }

    /// Length of each axis, `N` first.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The stored type.
    pub const fn dtype(&self) -> Dtype {
        self.header.dtype
    }

    /// Item `n` of the first axis, in C order. May be called from several threads.
    pub fn read_item(&self, n: usize) -> Result<Vec<f32>> {
        let items = self.header.shape[0];
        if n >= items {
            return Err(Error::file(
                &self.path,
                format!("has {items} items, item {n} (from 0) was asked for"),
                "does the table belong to this array?",
            ));
        }
        let len = self.header.len / items;
        let size = self.header.dtype.size();
        match &self.body {
            Body::Memory(bytes) => Ok(decode(&self.header, &bytes[n * len * size..(n + 1) * len * size])),
            Body::Decoded(values) => Ok(values[n * len..(n + 1) * len].to_vec()),
            Body::File(file, start) => {
                let mut bytes = vec![0; len * size];
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.seek(SeekFrom::Start(start + (n * len * size) as u64))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(Error::io(&self.path))?;
                drop(file);
                Ok(decode(&self.header, &bytes))
            }
        }
    }
}

/// An uncompressed `[N, ...]` array that is filled one item at a time, in any order.
///
/// The file has its full size from the start; items not yet written read as zeros, so whoever writes keeps
/// count of what is done and renames the file when all is. An existing file is gone on with by
/// [`Writer::resume`].
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: Mutex<File>,
    start: u64,
    dtype: Dtype,
    items: usize,
    len: usize,
}

impl Writer {
    /// A new file, all zeros; an existing one is replaced. `dtype` is `Float32`, `Float16` or `Uint8`.
    pub fn create(path: impl AsRef<Path>, shape: &[usize], dtype: Dtype) -> Result<Self> {
        let path = path.as_ref();
        let (items, len) = Self::check(path, shape, dtype)?;
        let header = header_bytes(shape, dtype);
        let start = header.len() as u64;
        let fill = || {
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
            file.write_all(&header)?;
            file.set_len(start + (items * len * dtype.size()) as u64)?;
            Ok(file)
        };
        let file = Mutex::new(fill().map_err(Error::io(path))?);
        Ok(Self { path: path.to_owned(), file, start, dtype, items, len })
    }

    /// An existing file of exactly this shape and type, its items kept; anything else is refused.
    pub fn resume(path: impl AsRef<Path>, shape: &[usize], dtype: Dtype) -> Result<Self> {
        let path = path.as_ref();
        let (items, len) = Self::check(path, shape, dtype)?;
        let (header, source) = open(path)?;
        if header.shape != shape
            || header.dtype != dtype
            || header.fortran
            || header.big_endian
            || source.is_compressed()
        {
            return Err(Error::file(
                path,
                format!("holds {} {:?}, expected {dtype} {shape:?}", header.dtype, header.shape),
                "the settings have changed since: start over",
            ));
        }
        check_size(&header, &source)?;
        let start = source.position();
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), start, dtype, items, len })
    }

    fn check(path: &Path, shape: &[usize], dtype: Dtype) -> Result<(usize, usize)> {
        let total = product(shape).and_then(|n| n.checked_mul(dtype.size())).filter(|&n| n > 0);
        if shape.is_empty() || total.is_none() {
            return Err(Error::Grid(format!("shape {shape:?} is empty or too large for an array")));
        }
        if !matches!(dtype, Dtype::Float32 | Dtype::Float16 | Dtype::Uint8) {
            return Err(Error::file(path, format!("{dtype} is not written"), "write float32, float16 or uint8"));
        }
        Ok((shape[0], shape[1..].iter().product()))
    }

    /// Writes item `n` of the first axis, given in C order. `Uint8` rounds and clamps to 0..=255 (NaN to 0).
    /// May be called from several threads.
    pub fn write_item(&self, n: usize, values: &[f32]) -> Result<()> {
        if n >= self.items || values.len() != self.len {
            return Err(Error::Grid(format!(
                "{} values for item {n} of an array of {} items of {}",
                values.len(),
                self.items,
                self.len
            )));
        }
        let mut bytes = Vec::with_capacity(self.len * self.dtype.size());
        encode(self.dtype, values, &mut bytes);
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + (n * bytes.len()) as u64))
            .and_then(|_| file.write_all(&bytes))
            .map_err(Error::io(&self.path))
    }

    /// Makes sure that everything written is on disk.
    pub fn sync(&self) -> Result<()> {
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.sync_all().map_err(Error::io(&self.path))
    }
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b))
}

/// The header, and the source placed at the first value.
fn open(path: &Path) -> Result<(Header, Source)> {
    let mut source = Source::open(path)?;
    let mut head = Vec::new();
    source.read_up_to(10, &mut head)?;
    if head.len() < 10 || !head.starts_with(MARK) {
        return Err(Error::file(path, "is not a NumPy array file", "expected a file written by numpy.save"));
    }
    let length = match head[6] {
        1 => u64::from(u16::from_le_bytes([head[8], head[9]])),
        2 | 3 => {
            source.read_up_to(2, &mut head)?;
            if head.len() < 12 {
                return Err(truncated(path));
            }
            u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]]))
        }
        v => {
            return Err(Error::file(path, format!("has NumPy format version {v}"), "versions 1 to 3 are read"));
        }
    };
    if length > 1 << 20 {
        return Err(Error::file(path, format!("has a header of {length} bytes"), "is the file damaged?"));
    }
    let mut text = Vec::new();
    source.read_up_to(length, &mut text)?;
    if text.len() as u64 != length {
        return Err(truncated(path));
    }
    let header = parse(&String::from_utf8_lossy(&text))
        .map_err(|what| Error::file(path, what, "save it as a plain array of real numbers, numpy.save(path, array)"))?;
    Ok((header, source))
}

fn truncated(path: &Path) -> Error {
    Error::file(path, "ends inside the NumPy header", "the file is cut off: copy or download it again")
}

/// Refuses an array that the file cannot hold.
fn check_size(header: &Header, source: &Source) -> Result<u64> {
    let need = (header.len * header.dtype.size()) as u64;
    if !source.may_hold(source.position() + need) {
        return Err(Error::file(
            source.path(),
            format!("is too short for {} {:?}: {need} bytes of values expected", header.dtype, header.shape),
            "the file is cut off: copy or download it again",
        ));
    }
    Ok(need)
}

fn body(header: &Header, source: &mut Source) -> Result<Vec<u8>> {
    let need = check_size(header, source)?;
    let mut bytes = Vec::new();
    source.read_up_to(need, &mut bytes)?;
    if bytes.len() as u64 != need {
        return Err(Error::file(
            source.path(),
            format!("holds {} of the {need} bytes of values of {} {:?}", bytes.len(), header.dtype, header.shape),
            "the file is cut off: copy or download it again",
        ));
    }
    Ok(bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "64-bit values are rounded to f32, as stated")]
fn decode(header: &Header, bytes: &[u8]) -> Vec<f32> {
    // What cohorts are kept in, and read again and again.
    if header.dtype == Dtype::Float16 && !header.big_endian {
        return bytes.chunks_exact(2).map(|b| half_to_f32(u16::from_le_bytes([b[0], b[1]]))).collect();
    }
    with_sample!(header.dtype, header.big_endian, S => bytes.chunks_exact(S::SIZE).map(|b| S::get(b) as f32).collect())
}

fn encode(dtype: Dtype, values: &[f32], out: &mut Vec<u8>) {
    match dtype {
        Dtype::Float16 => out.extend(values.iter().flat_map(|&v| f32_to_half(v).to_le_bytes())),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to a byte; NaN casts to 0"
        )]
        Dtype::Uint8 => out.extend(values.iter().map(|&v| v.round().clamp(0.0, 255.0) as u8)),
        _ => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
    }
}

fn fortran_to_c(shape: &[usize], data: &[f32]) -> Vec<f32> {
    let mut strides = vec![1usize; shape.len()];
    for a in 1..shape.len() {
        strides[a] = strides[a - 1] * shape[a - 1];
    }
    let mut at = vec![0usize; shape.len()];
    let mut position = 0;
    let mut out = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        out.push(data[position]);
        for a in (0..shape.len()).rev() {
            at[a] += 1;
            position += strides[a];
            if at[a] < shape[a] {
                break;
            }
            position -= strides[a] * shape[a];
            at[a] = 0;
        }
    }
    out
}

fn header_bytes(shape: &[usize], dtype: Dtype) -> Vec<u8> {
    let descr = match dtype {
        Dtype::Uint8 => "|u1",
        Dtype::Float16 => "<f2",
        _ => "<f4",
    };
    let mut axes: String = shape.iter().map(|n| format!("{n}, ")).collect();
    if shape.len() > 1 {
        axes.truncate(axes.len() - 2);
    } else if shape.len() == 1 {
        axes.truncate(axes.len() - 1);
    }
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes}), }}");
    // Values start at a multiple of 64 bytes, as NumPy places them.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut out = [MARK, &[1, 0]].concat();
    out.extend(length.to_le_bytes());
    out.extend(text.bytes());
    out
}

/// The Python dictionary of the header: three known keys, plain literals.
fn parse(text: &str) -> std::result::Result<Header, String> {
    let mut dtype = None;
    let mut fortran = None;
    let mut shape = None;
    let mut rest = text.trim().strip_prefix('{').ok_or("has a NumPy header that is no dictionary")?.trim_start();
    while !rest.starts_with('}') {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or("has a damaged NumPy header")?;
        let (key, after) = rest[1..].split_once(quote).ok_or("has a damaged NumPy header")?;
        let after = after.trim_start().strip_prefix(':').ok_or("has a damaged NumPy header")?.trim_start();
        let remaining;
        match key {
            "descr" => {
                let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'));
                let quote = quote.ok_or("holds a structured type (a table), not plain numbers")?;
                let (descr, r) = after[1..].split_once(quote).ok_or("has a damaged NumPy header")?;
                dtype = Some(parse_descr(descr)?);
                remaining = r;
            }
            "fortran_order" => {
                (fortran, remaining) = match (after.strip_prefix("True"), after.strip_prefix("False")) {
                    (Some(r), _) => (Some(true), r),
                    (_, Some(r)) => (Some(false), r),
                    _ => return Err("has a NumPy header with a damaged fortran_order".into()),
                };
            }
            "shape" => {
                let list = after.strip_prefix('(').ok_or("has a NumPy header with a damaged shape")?;
                let (list, r) = list.split_once(')').ok_or("has a NumPy header with a damaged shape")?;
                let axes = list.split(',').map(str::trim).filter(|s| !s.is_empty());
                let axes: Option<Vec<usize>> = axes.map(|s| s.trim_end_matches('L').parse().ok()).collect();
                shape = Some(axes.ok_or_else(|| format!("has a damaged shape ({list})"))?);
                remaining = r;
            }
            other => return Err(format!("has a NumPy header with an unknown entry {other:?}")),
        }
        let next = remaining.trim_start();
        rest = next.strip_prefix(',').unwrap_or(next).trim_start();
        if rest.is_empty() {
            return Err("has a NumPy header that does not end".into());
        }
    }
    let missing = || "has a NumPy header without descr, fortran_order or shape".to_owned();
    let (dtype, big_endian) = dtype.ok_or_else(missing)?;
    let shape = shape.ok_or_else(missing)?;
    let len = product(&shape).filter(|n| n.checked_mul(8).is_some());
    let len = len.ok_or_else(|| format!("has the impossible shape {shape:?}"))?;
    if len == 0 {
        return Err(format!("is empty: shape {shape:?}"));
    }
    Ok(Header { dtype, big_endian, fortran: fortran.ok_or_else(missing)?, shape, len })
}

fn parse_descr(descr: &str) -> std::result::Result<(Dtype, bool), String> {
    let (order, kind) = match descr.chars().next() {
        Some(c @ ('<' | '>' | '|' | '=')) => (c, &descr[1..]),
        _ => ('=', descr),
    };
    let dtype = match kind {
        "b1" | "?" => Dtype::Bool,
        "u1" | "B" => Dtype::Uint8,
        "i1" | "b" => Dtype::Int8,
        "u2" => Dtype::Uint16,
        "i2" => Dtype::Int16,
        "u4" => Dtype::Uint32,
        "i4" => Dtype::Int32,
        "u8" => Dtype::Uint64,
        "i8" => Dtype::Int64,
        "f2" => Dtype::Float16,
        "f4" => Dtype::Float32,
        "f8" => Dtype::Float64,
        k if k.starts_with('O') => return Err("holds pickled Python objects, which are never loaded".into()),
        k if k.starts_with('c') => return Err(format!("holds complex numbers ({descr})")),
        _ => return Err(format!("holds values of type {descr:?}")),
    };
    Ok((dtype, order == '>'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn npy(descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        out.extend(text.bytes());
        out.extend(values);
        out
    }

    fn saved(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn types_and_orders_by_hand() {
        for (descr, bytes) in [
            ("<i2", vec![1, 0, 254, 255]),
            (">i2", vec![0, 1, 255, 254]),
            ("|i1", vec![1, 254]),
            ("<f4", [1f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (">f8", [1f64, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
            ("<i8", [1i64, -2].iter().flat_map(|v| v.to_le_bytes()).collect()),
            ("<f2", vec![0x00, 0x3c, 0x00, 0xc0]),
        ] {
            let (_dir, path) = saved("a.npy", &npy(descr, "False", "(2,)", &bytes));
            assert_eq!(read(&path).unwrap(), NpyArray { shape: vec![2], data: vec![1.0, -2.0] }, "{descr}");
        }
    }

    #[test]
    fn fortran_order_is_turned() {
        // [[0, 1, 2], [3, 4, 5]] stored column by column.
        let (_dir, path) = saved("a.npy", &npy("|u1", "True", "(2, 3)", &[0, 3, 1, 4, 2, 5]));
        assert_eq!(read(&path).unwrap().data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Reader::open(&path).unwrap().read_item(1).unwrap(), [3.0, 4.0, 5.0]);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        for (bytes, part) in [
            (npy("|O", "False", "(1,)", &[0; 8]), "pickled"),
            (npy("<c8", "False", "(1,)", &[0; 8]), "complex"),
            (npy("<f4", "False", "(4,)", &[0; 15]), "too short"),
            (npy("<f4", "False", "(1000000000, 1000000000000)", &[]), "impossible"),
            (npy("<f4", "False", "(100000000000,)", &[0; 8]), "too short"),
            (npy("<f4", "False", "(-1,)", &[]), "damaged shape"),
            (npy("<f4", "False", "(0,)", &[]), "empty"),
            (b"\x93NUMPY".to_vec(), "not a NumPy"),
            (Vec::new(), "not a NumPy"),
        ] {
            let (_dir, path) = saved("a.npy", &bytes);
            let error = read(&path).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.remedy().is_some());
            assert!(Reader::open(&path).is_err());
        }
    }

    #[test]
    fn items_are_written_in_any_order_and_resumed() {
        let dir = tempfile::tempdir().unwrap();
        for (dtype, third) in [(Dtype::Float32, 2.75f32), (Dtype::Float16, 2.75), (Dtype::Uint8, 3.0)] {
            let path = dir.path().join(format!("{dtype}.npy"));
            let w = Writer::create(&path, &[3, 1, 2], dtype).unwrap();
            w.write_item(2, &[2.75, 7.0]).unwrap();
            drop(w);
            let w = Writer::resume(&path, &[3, 1, 2], dtype).unwrap();
            w.write_item(0, &[1.0, 0.0]).unwrap();
            w.sync().unwrap();
            assert!(w.write_item(3, &[0.0; 2]).is_err());
            assert!(w.write_item(0, &[0.0; 3]).is_err());
            assert!(Writer::resume(&path, &[3, 2, 1], dtype).is_err());
            let r = Reader::open(&path).unwrap();
            assert_eq!(r.shape(), [3, 1, 2]);
            assert_eq!(r.dtype(), dtype);
            assert_eq!(r.read_item(0).unwrap(), [1.0, 0.0]);
            assert_eq!(r.read_item(1).unwrap(), [0.0, 0.0]);
            assert_eq!(r.read_item(2).unwrap(), [third, 7.0]);
            assert!(r.read_item(3).is_err());
        }
    }

    #[test]
    fn gzipped_arrays_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.b.npy.gz");
        let data: Vec<f32> = (0..24u8).map(f32::from).collect();
        write(&path, &[2, 3, 4], &data).unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[..2], [0x1f, 0x8b]);
        assert_eq!(read(&path).unwrap(), NpyArray { shape: vec![2, 3, 4], data: data.clone() });
        assert_eq!(Reader::open(&path).unwrap().read_item(1).unwrap(), data[12..]);
    }

    #[test]
    fn header_is_numpys() {
        let text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }";
        let header = header_bytes(&[5], Dtype::Float32);
        assert_eq!(header.len() % 64, 0);
        assert_eq!(&header[10..10 + text.len()], text);
        assert!(header_bytes(&[2, 3], Dtype::Uint8).windows(8).any(|w| w == b": (2, 3)"));
        assert!(header_bytes(&[], Dtype::Uint8).windows(4).any(|w| w == b": ()"));
    }

    proptest! {
        #[test]
        fn damaged_headers_never_panic(at in 0usize..90, byte in any::<u8>(), cut in 0usize..100) {
            let mut bytes = npy("<f4", "False", "(2, 3)", &[0; 24]);
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut.min(bytes.len()) / 2);
            let (_dir, path) = saved("a.npy", &bytes);
            if let Ok(a) = read(&path) {
                prop_assert_eq!(a.data.len(), a.shape.iter().product::<usize>());
            }
            let _ = Reader::open(&path).and_then(|r| r.read_item(0));
        }
    }
}
