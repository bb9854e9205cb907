//! Just enough of NumPy's file format for the reference arrays: little-endian, C order.

use std::io::Read;
use std::path::Path;

/// Shape and values of an array of f32 or f64.
pub(crate) fn read(path: &Path) -> (Vec<usize>, Vec<f64>) {
    parse(&std::fs::read(path).unwrap())
}

/// The first values of a gzipped array of bytes.
pub(crate) fn read_gz_u8(path: &Path, count: usize) -> Vec<u8> {
    let mut file = flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap());
    let mut start = [0; 10];
    file.read_exact(&mut start).unwrap();
    let mut header = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    file.read_exact(&mut header).unwrap();
    assert!(String::from_utf8(header).unwrap().contains("'|u1'"));
    let mut values = vec![0; count];
    file.read_exact(&mut values).unwrap();
    values
}

/// The arrays of an `.npz` file by name, without `.npy`.
pub(crate) fn read_npz(path: &Path) -> std::collections::BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut arrays = std::collections::BTreeMap::new();
    for n in 0..archive.len() {
        let mut entry = archive.by_index_raw(n).unwrap();
        let name = entry.name().unwrap().trim_end_matches(".npy").to_owned();
        let deflated = entry.compression() != zip::CompressionMethod::Stored;
        let mut bytes = Vec::new();
        if deflated {
            flate2::read::DeflateDecoder::new(entry).read_to_end(&mut bytes).unwrap();
        } else {
            entry.read_to_end(&mut bytes).unwrap();
        }
        arrays.insert(name, parse(&bytes));
    }
    arrays
}

fn parse(bytes: &[u8]) -> (Vec<usize>, Vec<f64>) {
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    let inside = |open: &str, close: &str| text.split_once(open).unwrap().1.split_once(close).unwrap().0.to_owned();
    assert!(text.contains("'fortran_order': False"), "{text}");
    let shape = inside("'shape': (", ")").split(',').filter_map(|length| length.trim().parse().ok()).collect();
    let data = &bytes[10 + header..];
    let values = match inside("'descr': '", "'").as_str() {
        "<f4" => data.chunks_exact(4).map(|x| f64::from(f32::from_le_bytes(x.try_into().unwrap()))).collect(),
        "<f8" => data.chunks_exact(8).map(|x| f64::from_le_bytes(x.try_into().unwrap())).collect(),
        "<i8" => data.chunks_exact(8).map(|x| i64::from_le_bytes(x.try_into().unwrap()) as f64).collect(),
        "|u1" | "|i1" | "|b1" => data.iter().map(|&x| f64::from(x)).collect(),
        kind => panic!("numbers of type {kind}"),
    };
    (shape, values)
}
