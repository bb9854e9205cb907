//! Just enough of NumPy's file format for the reference arrays: little-endian, C order.

use std::path::Path;

/// Shape and values of an array of f32 or f64.
pub(crate) fn read(path: &Path) -> (Vec<usize>, Vec<f64>) {
    let bytes = std::fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    let inside = |open: &str, close: &str| text.split_once(open).unwrap().1.split_once(close).unwrap().0.to_owned();
    assert!(text.contains("'fortran_order': False"), "{text}");
    let shape = inside("'shape': (", ")").split(',').filter_map(|length| length.trim().parse().ok()).collect();
    let data = &bytes[10 + header..];
    let values = match inside("'descr': '", "'").as_str() {
        "<f4" => data.chunks_exact(4).map(|x| f64::from(f32::from_le_bytes(x.try_into().unwrap()))).collect(),
        "<f8" => data.chunks_exact(8).map(|x| f64::from_le_bytes(x.try_into().unwrap())).collect(),
        kind => panic!("{kind} in {}", path.display()),
    };
    (shape, values)
}
