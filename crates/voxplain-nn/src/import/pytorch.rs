//! State dictionaries of PyTorch: files that `torch.save(model.state_dict(), path)` wrote, in the zip format (since
//! 1.6) and in the one before it.
//!
//! Also read: a checkpoint that has the dictionary under `state_dict`, `model_state_dict` or `model`, and names that
//! all start with `module.` (as `DataParallel` leaves them), which is taken off. Everything comes out as f32 in C
//! order. Whole modules (`torch.save(model, path)`) are pickled classes and are refused by name.

use super::pickle::{self, Built, Object, Storage, View};
use super::{MAX_VALUES, Tensors, io, refused};
use crate::{Result, Tensor};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

/// The number that a legacy file starts with.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// What to do about a file that holds more than tensors.
const REMEDY: &str = "in Python, write the weights alone: torch.save(model.state_dict(), path)";

/// Reads the tensors of a state dictionary by name, in its order.
///
/// Refused, naming what was found: pickles that ask for anything but tensors, compressed or big-endian files, tensors
/// that reach beyond their storage or repeat it.
pub fn read(path: &Path) -> Result<Tensors> {
    let bytes = voxplain_core::input::read(path).map_err(io(path))?;
    decode(&bytes).map_err(|what| refused(path, what, REMEDY))
}

/// Reads the bytes of such a file.
fn decode(bytes: &[u8]) -> Result<Tensors, String> {
    let (built, storages) = if bytes.starts_with(b"PK") { read_zip(bytes)? } else { read_legacy(bytes)? };
    let mut tensors = Vec::new();
    let mut total = 0usize;
    for (name, view) in find_tensors(&built)? {
        let tensor = materialize(&built, view, &storages).map_err(|what| format!("{name}: {what}"))?;
        total += tensor.len();
        if total > MAX_VALUES {
            return Err(format!("{name} brings the tensors to over {MAX_VALUES} values"));
        }
        tensors.push((name, tensor));
    }
    Ok(tensors)
}

/// The bytes of storages by key.
type Storages<'a> = BTreeMap<String, std::borrow::Cow<'a, [u8]>>;

fn read_zip(bytes: &[u8]) -> Result<(Built, Storages<'_>), String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("the zip archive: {error}"))?;
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    let mut budget = bytes.len();
    let mut entry = |name: &str| -> Result<Vec<u8>, String> {
        let file = archive.by_name(name).map_err(|error| format!("{name} in the zip archive: {error}"))?;
        let mut data = Vec::new();
        let limit = (budget as u64).saturating_add(1);
        file.take(limit).read_to_end(&mut data).map_err(|error| format!("{name} in the zip archive: {error}"))?;
        // Entries are stored, not compressed, and do not overlap: together they are no larger than the file.
        budget = budget.checked_sub(data.len()).ok_or("the zip archive holds more than the file")?;
        Ok(data)
    };
    let is_pickle = |name: &&str| name.split_once('/').is_some_and(|(_, rest)| rest == "data.pkl");
    let pickle_name = names
        .iter()
        .map(String::as_str)
        .find(is_pickle)
        .ok_or("found a zip archive without data.pkl, expected a PyTorch checkpoint")?;
    let root = pickle_name.trim_end_matches("data.pkl");
    let order = format!("{root}byteorder");
    if names.contains(&order) && entry(&order)? != b"little" {
        return Err("found numbers that are not little-endian".into());
    }
    let (built, _) = pickle::run(&entry(pickle_name)?)?;
    let mut storages = Storages::new();
    for (_, view) in find_tensors(&built)? {
        if let Object::Storage(storage) = built.get(view.storage)
            && !storages.contains_key(&storage.key)
        {
            storages.insert(storage.key.clone(), entry(&format!("{root}data/{}", storage.key))?.into());
        }
    }
    Ok((built, storages))
}

fn read_legacy(bytes: &[u8]) -> Result<(Built, Storages<'_>), String> {
    let mut rest = bytes;
    let mut next = || -> Result<Built, String> {
        let (built, used) = pickle::run(rest)?;
        rest = rest.get(used..).unwrap_or_default();
        Ok(built)
    };
    if !matches!(next()?.root(), Object::Int(MAGIC)) {
        return Err("found a pickle, expected a PyTorch checkpoint".into());
    }
    if !matches!(next()?.root(), Object::Int(1001)) {
        return Err("found an unknown version of PyTorch's legacy format, expected 1001".into());
    }
    let system = next()?;
    if !matches!(system.entry(system.root(), "little_endian"), Some(Object::Bool(true))) {
        return Err("found numbers that are not little-endian".into());
    }
    let (built, keys) = (next()?, next()?);
    let sizes: BTreeMap<&str, &Storage> = find_tensors(&built)?
        .into_iter()
        .filter_map(|(_, view)| match built.get(view.storage) {
            Object::Storage(storage) => Some((storage.key.as_str(), storage)),
            _ => None,
        })
        .collect();
    let Object::List(keys_in_order) = keys.root() else { return Err("found no list of storages".into()) };
    let mut storages = Storages::new();
    for &key in keys_in_order {
        let Object::Text(key) = keys.get(key) else { return Err("found a storage whose key is no text".into()) };
        let storage = sizes.get(key.as_str()).ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
        // Each is its number of values, then the values.
        let (count, data) = rest.split_first_chunk::<8>().ok_or("the file ends before its storages")?;
        if usize::try_from(u64::from_le_bytes(*count)) != Ok(storage.count) {
            return Err(format!(
                "storage {key}: found {} values, expected {}",
                u64::from_le_bytes(*count),
                storage.count
            ));
        }
        let length = storage.count.checked_mul(storage.number.size()).filter(|&length| length <= data.len());
        let (own, others) = data.split_at(length.ok_or_else(|| format!("storage {key} reaches beyond the file"))?);
        storages.insert(key.clone(), own.into());
        rest = others;
    }
    Ok((built, storages))
}

/// The tensors of the dictionary, by name.
fn find_tensors(built: &Built) -> Result<Vec<(String, &View)>, String> {
    let mut dict = built.root();
    if !has_tensors(built, dict) {
        let inner = ["state_dict", "model_state_dict", "model"].iter().find_map(|name| built.entry(dict, name));
        dict =
            inner.filter(|inner| has_tensors(built, inner)).ok_or("found no tensors, expected a state dictionary")?;
    }
    let Object::Dict(entries) = dict else { return Err("found no state dictionary".into()) };
    let mut tensors: Vec<(String, &View)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, value) in entries {
        let Object::Text(name) = built.get(*key) else { return Err("found a name that is no text".into()) };
        let Object::View(view) = built.get(*value) else {
            return Err(format!("{name}: found something that is no tensor"));
        };
        match places.get(name.as_str()) {
            // As in Python, a later entry replaces an earlier one.
            Some(&place) => tensors[place].1 = view,
            None => {
                places.insert(name, tensors.len());
                tensors.push((name.clone(), view));
            }
        }
    }
    if tensors.iter().all(|(name, _)| name.starts_with("module.")) {
        for (name, _) in &mut tensors {
            name.drain(.."module.".len());
        }
    }
    Ok(tensors)
}

fn has_tensors(built: &Built, dict: &Object) -> bool {
    matches!(dict, Object::Dict(entries) if entries.iter().any(|(_, value)| matches!(built.get(*value), Object::View(_))))
}

/// Copies a strided view into a tensor.
fn materialize(built: &Built, view: &View, storages: &Storages<'_>) -> Result<Tensor, String> {
    let Object::Storage(storage) = built.get(view.storage) else { return Err("a tensor without a storage".into()) };
    let bytes = storages.get(&storage.key).ok_or_else(|| format!("storage {} is not in the file", storage.key))?;
    let size = storage.number.size();
    let held = bytes.len() / size;
    if held < storage.count {
        return Err(format!("found {held} values in its storage, expected {}", storage.count));
    }
    let count = view.size.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let count = count.filter(|&count| count <= held).ok_or_else(|| {
        format!("found a tensor of {:?} on a storage of {held} values, expected one no larger", view.size)
    })?;
    if count == 0 {
        return Ok(Tensor::zeros(view.size.clone()));
    }
    let last = view
        .size
        .iter()
        .zip(&view.stride)
        .try_fold(view.offset, |last, (length, stride)| last.checked_add((length - 1).checked_mul(*stride)?));
    if last.is_none_or(|last| last >= held) {
        return Err(format!(
            "found a tensor of {:?} with strides {:?} from {}, which reaches beyond its storage of {held} values",
            view.size, view.stride, view.offset
        ));
    }
    let mut position = vec![0usize; view.size.len()];
    let mut at = view.offset;
    let mut data = Vec::with_capacity(count);
    for _ in 0..count {
        data.push(storage.number.read(&bytes[at * size..(at + 1) * size]));
        // On to the next in C order.
        for axis in (0..position.len()).rev() {
            position[axis] += 1;
            at += view.stride[axis];
            if position[axis] < view.size[axis] {
                break;
            }
            at -= view.stride[axis] * view.size[axis];
            position[axis] = 0;
        }
    }
    Ok(Tensor::new(view.size.clone(), data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZIP: &[u8] = include_bytes!("../../tests/fixtures/state_zip.pt");
    const LEGACY: &[u8] = include_bytes!("../../tests/fixtures/state_legacy.pt");

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    fn both_formats_give_the_tensors_that_pytorch_wrote() {
        let expected: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/state.json")).unwrap();
        for bytes in [ZIP, LEGACY] {
            let tensors = decode(bytes).unwrap();
            assert_eq!(tensors.len(), 11);
            for (name, tensor) in &tensors {
                let shape: Vec<usize> = serde_json::from_value(expected[name]["shape"].clone()).unwrap();
                let values: Vec<f64> = serde_json::from_value(expected[name]["values"].clone()).unwrap();
                assert_eq!(tensor.shape(), shape, "{name}");
                assert_eq!(tensor.data(), values.iter().map(|&x| x as f32).collect::<Vec<_>>(), "{name}");
            }
        }
    }

    #[test]
    fn wrapped_dictionaries_are_found() {
        for bytes in [
            &include_bytes!("../../tests/fixtures/wrapped_zip.pt")[..],
            include_bytes!("../../tests/fixtures/wrapped_protocol4.pt"),
        ] {
            let names: Vec<String> = decode(bytes).unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["transposed", "part"]);
        }
    }

    #[test]
    fn what_would_run_is_refused_and_named() {
        for bytes in [
            &include_bytes!("../../tests/fixtures/malicious_zip.pt")[..],
            include_bytes!("../../tests/fixtures/malicious_legacy.pt"),
            include_bytes!("../../tests/fixtures/malicious_plain.pkl"),
        ] {
            let error = decode(bytes).unwrap_err();
            assert!(error.contains("asks for os.system; only tensors are read"), "{error}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [&b""[..], b"PK", b"PK\x03\x04 and then nothing", b"\x80\x02K\x01.", b"hello", &LEGACY[..1000]] {
            assert!(decode(bytes).is_err());
        }
        let error = read(Path::new("/nowhere/at.all")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/at.all: "));
    }

    /// A million nested tuples, and a list that holds itself.
    #[test]
    fn depth_and_cycles_do_no_harm() {
        let mut deep = b"\x80\x02)".to_vec();
        deep.extend(std::iter::repeat_n(0x85, 1_000_000));
        deep.push(b'.');
        assert!(decode(&deep).is_err());
        assert!(decode(b"\x80\x02]q\x00h\x00a.").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever is in a file, reading it gives tensors or an error.
        #[test]
        fn no_bytes_panic(zip: bool, changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
            let mut bytes = if zip { ZIP.to_vec() } else { LEGACY.to_vec() };
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = decode(&bytes);
        }

        /// Files cut short, and pieces put together.
        #[test]
        fn no_cut_panics(zip: bool, from in any::<usize>(), to in any::<usize>()) {
            let bytes = if zip { ZIP } else { LEGACY };
            let (from, to) = (from % bytes.len(), to % bytes.len());
            let _ = decode(&bytes[..to]);
            let _ = decode(&[&bytes[..from], &bytes[to..]].concat());
        }
    }
}
