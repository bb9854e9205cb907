//! Networks as one `.safetensors` file: the weights, and in its metadata the graph and whatever else belongs to it.
//!
//! The format is that of <https://github.com/huggingface/safetensors>: any of its readers can read these files. The
//! graph is under `voxplain.graph` (JSON), the version of this layout under `voxplain.format`; other keys are the
//! caller's. The same network and metadata give the same bytes.

use super::{MOST_VALUES, Number, Tensors, io, refused};
use crate::{Error, Network, Result, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde::ser::{SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Free text that belongs to a file, by key.
pub type Metadata = BTreeMap<String, String>;

/// Where the graph is in the metadata.
const GRAPH: &str = "voxplain.graph";
/// Where the version of the layout is in the metadata, and the version.
const FORMAT: (&str, &str) = ("voxplain.format", "1");
/// What to do about a file that is no model.
const HINT: &str = "expected a model written by voxplain (train or import)";

/// Writes a network with its weights. Keys that start with `voxplain.` are reserved. The file appears whole.
pub fn write(path: &Path, network: &Network, metadata: &Metadata) -> Result<()> {
    write_whole(path, &encode(network, metadata)?)
}

/// The bytes that [`write`] writes.
pub fn encode(network: &Network, metadata: &Metadata) -> Result<Vec<u8>> {
    if let Some(key) = metadata.keys().find(|key| key.starts_with("voxplain.")) {
        return Err(Error::Request(format!("metadata: {key} is reserved; choose a key without `voxplain.`")));
    }
    let graph = serde_json::to_string(network).map_err(|error| Error::Request(format!("graph: {error}")))?;
    let mut metadata = metadata.clone();
    metadata.insert(GRAPH.into(), graph);
    metadata.insert(FORMAT.0.into(), FORMAT.1.into());
    let state = network.state();
    encode_tensors(
        &state.iter().map(|parameter| (parameter.name.as_str(), parameter.tensor)).collect::<Vec<_>>(),
        &metadata,
    )
}

/// Reads a network with its weights and the metadata that it was written with.
pub fn read(path: &Path) -> Result<(Network, Metadata)> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    decode(&bytes).map_err(|error| match error {
        Error::Io { .. } | Error::File { .. } => error,
        other => refused(path, other.to_string(), HINT),
    })
}

/// Reads what [`encode`] gave.
pub fn decode(bytes: &[u8]) -> Result<(Network, Metadata)> {
    let (tensors, mut metadata) = decode_tensors(bytes)?;
    match metadata.remove(FORMAT.0) {
        Some(version) if version == FORMAT.1 => {}
        Some(version) => {
            return Err(Error::Request(format!("found layout version {version}, expected {}", FORMAT.1)));
        }
        None => return Err(Error::Request("found no graph in the metadata; these are bare weights".into())),
    }
    let graph = metadata.remove(GRAPH).ok_or_else(|| Error::Request("found no graph in the metadata".into()))?;
    let mut network: Network =
        serde_json::from_str(&graph).map_err(|error| Error::Request(format!("the graph: {error}")))?;
    network.load_state(tensors)?;
    Ok((network, metadata))
}

/// Writes tensors by name (a checkpoint's optimiser state, say) without a graph. The file appears whole.
pub fn write_tensors(path: &Path, tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<()> {
    write_whole(path, &encode_tensors(tensors, metadata)?)
}

/// Reads all tensors of a file and its metadata. Floating-point types other than f32 are rounded to it.
pub fn read_tensors(path: &Path) -> Result<(Tensors, Metadata)> {
    let bytes = std::fs::read(path).map_err(io(path))?;
    decode_tensors(&bytes).map_err(|error| refused(path, error.to_string(), "expected a safetensors file of weights"))
}

/// The header in a fixed order: the `safetensors` crate writes metadata in the order of a hash.
fn header(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("__metadata__", metadata)?;
    let mut offset = 0;
    for (name, tensor) in tensors {
        let end = offset + tensor.len() * 4;
        let entry = serde_json::json!({"dtype": "F32", "shape": tensor.shape(), "data_offsets": [offset, end]});
        map.serialize_entry(name, &entry)?;
        offset = end;
    }
    map.end()?;
    // The data starts at a multiple of 8.
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok(json)
}

fn encode_tensors(tensors: &[(&str, &Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    let header = header(tensors, metadata).map_err(|error| Error::Request(format!("header: {error}")))?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    for (_, tensor) in tensors {
        bytes.extend(tensor.data().iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(bytes)
}

fn decode_tensors(bytes: &[u8]) -> Result<(Tensors, Metadata)> {
    let wrong = |error: safetensors::SafeTensorError| Error::Request(format!("not a safetensors file: {error}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut tensors = Vec::new();
    let mut total = 0usize;
    // In the order of the data, which is the order that they were written in.
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(wrong)?;
        let number = match view.dtype() {
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            other => {
                return Err(Error::Request(format!("{name}: found type {other:?}, expected a floating-point type")));
            }
        };
        let data: Vec<f32> = view.data().chunks_exact(number.size()).map(|bytes| number.read(bytes)).collect();
        let count = view.shape().iter().try_fold(1usize, |product, &length| product.checked_mul(length));
        total = total.saturating_add(data.len());
        if count != Some(data.len()) || total > MOST_VALUES {
            return Err(Error::Request(format!(
                "{name}: found {} values for a shape of {:?}",
                data.len(),
                view.shape()
            )));
        }
        tensors.push((name, Tensor::new(view.shape(), data)));
    }
    Ok((tensors, metadata))
}

/// Writes beside, then renames, so that a file of that name is always whole.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(refused(path, "this is not the name of a file", "give the name of the file to write"));
    };
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| {
        // Nothing more can be done if that fails too.
        let _ = std::fs::remove_file(&beside);
        Error::Io { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv3d, Linear, Op};
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
        [("classes", "[\"female\",\"male\"]"), ("grid", "{}")].map(|(key, value)| (key.into(), value.into())).into()
    }

    #[test]
    fn what_is_written_is_read_and_the_bytes_do_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write(&path, &network(), &metadata()).unwrap();
        assert_eq!(read(&path).unwrap(), (network(), metadata()));
        assert_eq!(std::fs::read(&path).unwrap(), encode(&network(), &metadata()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        let (tensors, _) = read_tensors(&path).unwrap();
        assert_eq!(tensors[0].0, "conv.weight");
        assert_eq!(tensors.len(), network().state().len());
        let bytes = encode(&network(), &metadata()).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(header % 8, 0, "the data is aligned");
    }

    #[test]
    fn refusals_name_the_file_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bare.safetensors");
        write_tensors(&path, &[("a", &Tensor::zeros([2]))], &Metadata::new()).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("bare.safetensors: found no graph in the metadata"), "{error}");
        assert!(error.hint().is_some());
        std::fs::write(&path, b"not at all").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("not a safetensors file"));
        let reserved: Metadata = [("voxplain.graph".to_owned(), String::new())].into();
        assert!(encode(&network(), &reserved).is_err());
        assert!(write(&folder.path().join("no/such/folder/m"), &network(), &metadata()).is_err());
        let mut bytes = encode(&network(), &metadata()).unwrap();
        bytes.truncate(bytes.len() - 4);
        assert!(decode(&bytes).is_err());
    }

    /// A graph whose weights are not the file's.
    #[test]
    fn missing_and_misshapen_weights_are_refused() {
        let net = network();
        let state = net.state();
        let all: Vec<_> = state.iter().map(|parameter| (parameter.name.as_str(), parameter.tensor)).collect();
        let mut metadata = Metadata::new();
        metadata.insert(GRAPH.into(), serde_json::to_string(&net).unwrap());
        metadata.insert(FORMAT.0.into(), FORMAT.1.into());
        let error = decode(&encode_tensors(&all[1..], &metadata).unwrap()).unwrap_err().to_string();
        assert!(error.contains("missing: conv.weight"), "{error}");
        let wrong = Tensor::zeros([3]);
        let mut misshapen = all.clone();
        misshapen[1].1 = &wrong;
        let error = decode(&encode_tensors(&misshapen, &metadata).unwrap()).unwrap_err().to_string();
        assert!(error.contains("conv.bias: found weights of [3], expected [2]"), "{error}");
        metadata.insert(FORMAT.0.into(), "2".into());
        assert!(decode(&encode_tensors(&all, &metadata).unwrap()).unwrap_err().to_string().contains("version 2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn no_bytes_panic(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8), cut: usize) {
            let mut bytes = encode(&network(), &metadata()).unwrap();
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
