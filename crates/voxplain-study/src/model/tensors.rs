//! Named tensors and one text, as the bytes of a safetensors file.

use voxplain_nn::{Tensor, import::Tensors, import::safetensors};

/// The bytes of a file that holds `text` under `key`, and tensors in the order given; names must differ.
pub(crate) fn to_bytes<'a>(key: &str, text: &str, tensors: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Vec<u8> {
    safetensors::encode(tensors, &[(key.to_owned(), text.to_owned())].into())
}

/// The text and the tensors of a file; the error says what is wrong with it.
pub(crate) fn from_bytes(key: &str, bytes: &[u8]) -> Result<(String, Tensors), String> {
    let (tensors, mut metadata) = safetensors::decode(bytes).map_err(|error| error.to_string())?;
    let text = metadata.remove(key).ok_or_else(|| {
        format!("the file's metadata has no `{key}`: the weights do not say what network they belong to")
    })?;
    Ok((text, tensors))
}
