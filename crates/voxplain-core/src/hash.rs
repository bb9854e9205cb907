//! [`hash_values`]: the name that values go by.

/// BLAKE3 of values as little-endian float32, in hexadecimal: what volumes of a cohort, inputs of a network and people
/// that a model was trained on are known by.
pub fn hash_values(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    blake3::hash(&bytes).to_hex().to_string()
}
