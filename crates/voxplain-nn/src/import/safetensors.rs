//! Tensors and a few texts as the bytes of a `.safetensors` file, which any reader of that format can read
//! (<https://github.com/huggingface/safetensors>).
//!
//! Reading is the `safetensors` crate's; writing is not, because it keeps the metadata in the order of a hash, and
//! the same input must give the same bytes.

use super::{MAX_VALUES, Number, Tensors};
use crate::{Error, Result, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Texts that belong to a file, by key.
pub type Metadata = BTreeMap<String, String>;

/// The bytes of a file of tensors, in the order given.
///
/// # Panics
///
/// When two names are the same, or one is the format's own `__metadata__`; those of [`crate::Network::state`] never
/// are.
pub fn encode<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>, metadata: &Metadata) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend(tensor.data().iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": tensor.shape(), "data_offsets": [start, data.len()]});
        assert!(header.insert(name.to_owned(), entry).is_none(), "{name} is there twice, or a reserved name");
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data starts at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    bytes
}

/// The tensors of a file, in the order of their data, and its texts. Floating-point types other than f32 are rounded
/// to it; other types are refused.
pub fn decode(bytes: &[u8]) -> Result<(Tensors, Metadata)> {
    let wrong = |error: safetensors::SafeTensorError| Error::Request(format!("not a whole safetensors file: {error}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut tensors = Vec::new();
    let mut total = 0usize;
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(wrong)?;
        let refuse = |what: String| Error::Request(format!("tensor {name}: {what}"));
        let number = match view.dtype() {
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            other => return Err(refuse(format!("found type {other:?}, expected a floating-point type"))),
        };
        let data: Vec<f32> = view.data().chunks_exact(number.size()).map(|bytes| number.read(bytes)).collect();
        let count = view.shape().iter().try_fold(1usize, |product, &length| product.checked_mul(length));
        if count != Some(data.len()) {
            return Err(refuse(format!("found {} values for a shape of {:?}", data.len(), view.shape())));
        }
        total = total.saturating_add(data.len());
        if total > MAX_VALUES {
            return Err(refuse(format!("brings the file to over {MAX_VALUES} values")));
        }
        tensors.push((name, Tensor::new(view.shape(), data)));
    }
    Ok((tensors, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv3d, Linear, Network, Op};
    use proptest::prelude::*;

    fn network() -> Network {
        let mut net = Network::new([1, 3, 3, 3]);
        net.then("conv", Conv3d::new(1, 2, [2; 3])).unwrap();
        net.then("norm", BatchNorm::new(2)).unwrap();
        net.then("relu", Op::Relu).unwrap();
        net.then("flat", Op::Flatten).unwrap();
        net.then("head", Linear::new(16, 2)).unwrap();
        net.initialize(9);
        net
    }

    fn metadata() -> Metadata {
        let graph = serde_json::to_string(&network()).unwrap();
        [("classes", r#"["female","male"]"#), ("graph", &graph)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    fn bytes() -> Vec<u8> {
        let net = network();
        let state = net.state();
        encode(state.iter().map(|parameter| (parameter.name.as_str(), parameter.tensor)), &metadata())
    }

    #[test]
    fn a_network_comes_back_as_it_was_and_the_bytes_do_not_change() {
        assert_eq!(bytes(), bytes());
        let (tensors, texts) = decode(&bytes()).unwrap();
        assert_eq!(texts, metadata());
        assert_eq!(tensors[0].0, "conv.weight");
        let mut net: Network = serde_json::from_str(&texts["graph"]).unwrap();
        net.load_state(tensors).unwrap();
        assert_eq!(net, network());
        let header = u64::from_le_bytes(bytes()[..8].try_into().unwrap());
        assert_eq!(header % 8, 0, "the data is aligned");
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let error = decode(b"not at all").unwrap_err().to_string();
        assert!(error.contains("not a whole safetensors file"), "{error}");
        assert!(decode(&bytes()[..bytes().len() - 4]).is_err());
    }

    /// A file by hand, with a type that weights may have and one that they may not.
    #[test]
    fn other_types_are_rounded_or_refused() {
        let file = |dtype: &str| {
            let header = format!(r#"{{"x":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,4]}}}}"#);
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0x00, 0x3c, 0x00, 0xc0]].concat()
        };
        assert_eq!(decode(&file("F16")).unwrap().0, [("x".to_owned(), Tensor::new([2], vec![1.0, -2.0]))]);
        let error = decode(&file("I16")).unwrap_err().to_string();
        assert_eq!(error, "tensor x: found type I16, expected a floating-point type");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn no_bytes_panic(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8), cut: usize) {
            let mut bytes = bytes();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = decode(&bytes);
            bytes.truncate(cut % bytes.len());
            let _ = decode(&bytes);
        }
    }
}
