//! Named tensors with a text, as the bytes of a safetensors file.

use safetensors::{Dtype, SafeTensors};
use voxplain_nn::Tensor;

/// The bytes of a safetensors file (format of safetensors 0.3 on): length of the header, header as JSON, values.
/// Written here rather than with the crate because its metadata is a hash map, and the same input must give the
/// same bytes; tensors stand in the order given.
pub(crate) fn to_bytes<'a>(key: &str, text: &str, tensors: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ key: text }));
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend(tensor.data().iter().flat_map(|v| v.to_le_bytes()));
        let entry = serde_json::json!({ "dtype": "F32", "shape": tensor.shape(), "data_offsets": [start, data.len()] });
        header.insert(name.into(), entry);
    }
    let mut header = serde_json::Value::Object(header).to_string();
    // Values start at a multiple of 8.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// The text and the tensors of a safetensors file; the error says what is wrong with it.
pub(crate) fn from_bytes(key: &str, bytes: &[u8]) -> Result<(String, Vec<(String, Tensor)>), String> {
    let broken = |e| format!("not a whole safetensors file: {e}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(key)).ok_or_else(|| {
        format!("the file's metadata has no `{key}`: the weights do not say what network they belong to")
    })?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("tensor {name} is {:?}, expected F32", view.dtype()));
        }
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if view.shape().iter().product::<usize>() != values.len() {
            return Err(format!("tensor {name} has {} values for a shape of {:?}", values.len(), view.shape()));
        }
        tensors.push((name, Tensor::new(view.shape().to_vec(), values)));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((text.clone(), tensors))
}
