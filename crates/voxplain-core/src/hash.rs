//! Names of content: equal content has an equal hash, whatever file or machine it lies on.

use crate::{Error, Result};
use std::path::Path;

/// BLAKE3 of values as little-endian float32, as 64 hexadecimal digits.
///
/// Volumes of a cohort, inputs of a network and the people that a model was trained on are known by it.
///
/// ```
/// use voxplain_core::{hash_bytes, hash_values};
/// assert_eq!(hash_values(&[1.0, -2.5]), hash_bytes(&[0, 0, 128, 63, 0, 0, 32, 192]));
/// assert_ne!(hash_values(&[0.0]), hash_values(&[-0.0]));
/// ```
pub fn hash_values(values: &[f32]) -> String {
    // In pieces: a volume need not be copied whole.
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::with_capacity(1 << 16);
    for piece in values.chunks(1 << 14) {
        bytes.clear();
        bytes.extend(piece.iter().flat_map(|v| v.to_le_bytes()));
        hasher.update(&bytes);
    }
    hasher.finalize().to_hex().to_string()
}

/// BLAKE3 of bytes, as 64 hexadecimal digits.
pub fn hash_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// [`hash_bytes`] of what a file holds.
///
/// # Errors
/// [`Error::Io`], where it cannot be read.
pub fn hash_file(path: &Path) -> Result<String> {
    // In pieces: a file need not fit into memory.
    let mut hasher = blake3::Hasher::new();
    let file = crate::input::open(path).map_err(Error::io(path))?;
    hasher.update_reader(file).map_err(Error::io(path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_hash_and_any_length() {
        // The BLAKE3 of nothing (test_vectors.json of the BLAKE3 team).
        assert_eq!(hash_bytes(b""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        for length in [0u16, 1, 16_383, 16_384, 16_385, 40_000] {
            let values: Vec<f32> = (0..length).map(|n| f32::from(n) * 0.5).collect();
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            assert_eq!(hash_values(&values), hash_bytes(&bytes), "{length}");
        }
    }

    #[test]
    fn a_file_is_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(hash_file(&path).unwrap(), hash_bytes(b"abc"));
        assert!(hash_file(&folder.path().join("b")).unwrap_err().to_string().contains("/b"));
    }
}
