//! [`Checked`]: volumes and masks are compared with their hashes when they are first read.

use super::Subject;
use crate::setting::FORCE;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};
use voxplain_core::{Error, Result, hash_bytes, hash_values, remedy};

/// Which volumes and masks of a cohort have been compared with their hashes since it was opened. Each is once, so that epochs of training
/// do not wait for it.
#[derive(Debug)]
pub(super) struct Checked {
    volumes: Vec<AtomicBool>,
    masks: Vec<AtomicBool>,
}

impl Checked {
    /// Nothing yet, of so many subjects.
    pub(super) fn none(count: usize) -> Self {
        let of_each = || (0..count).map(|_| AtomicBool::new(false)).collect();
        Self { volumes: of_each(), masks: of_each() }
    }

    /// Compares the volumes of the subject in place `n`, read from `file`.
    pub(super) fn volume(&self, n: usize, subject: &Subject, values: &[f32], file: &Path) -> Result<()> {
        once(&self.volumes[n], || match hash_values(values) == subject.hash {
            true => Ok(()),
            false => Err(other(file, "volume", subject)),
        })
    }

    /// Compares its mask. Older versions kept no hash of masks.
    pub(super) fn mask(&self, n: usize, subject: &Subject, values: &[f32], file: &Path) -> Result<()> {
        once(&self.masks[n], || match &subject.mask_hash {
            Some(hash) if *hash != hash_of_mask(values.iter().copied()) => Err(other(file, "mask", subject)),
            _ => Ok(()),
        })
    }
}

/// BLAKE3 of a mask as bytes, 1 inside; anything that is neither 0 nor 1 is of no mask.
pub(super) fn hash_of_mask(values: impl Iterator<Item = f32>) -> String {
    let byte = |value| match value {
        0.0 => 0,
        1.0 => 1,
        _ => u8::MAX,
    };
    hash_bytes(&values.map(byte).collect::<Vec<u8>>())
}

fn once(done: &AtomicBool, check: impl FnOnce() -> Result<()>) -> Result<()> {
    if !done.load(Ordering::Relaxed) {
        check()?;
        done.store(true, Ordering::Relaxed);
    }
    Ok(())
}

fn other(file: &Path, what: &str, subject: &Subject) -> Error {
    let id = &subject.id;
    Error::file(
        file,
        format!(
            "the {what} of subject {id} is not the one that was prepared: its values do not fit the hash in cohort.json (a damaged disk, a copy \
             that broke off, or a change by another program)"
        ),
        remedy!["copy the cohort again from where it was made, or prepare it again with ", FORCE],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::{Cohort, Normalize, Placement, Preparation};
    use std::fs;
    use voxplain_core::{Table, seal};
    use voxplain_volume::{Affine, Grid, Mask, Volume};

    const SHAPE: [usize; 3] = [3, 4, 2];

    fn cohort(path: &Path) -> Cohort {
        let preparation = Preparation {
            shape: SHAPE,
            spacing: [2.0; 3],
            normalize: Normalize::None,
            placement: Placement::MaskCentre,
            template: None,
            whole_head: false,
            channels: Vec::new(),
        };
        let people: Vec<(Subject, Volume, Mask)> = (0..2)
            .map(|n| {
                let grid = Grid::new(SHAPE, Affine::from_spacing_origin([2.0; 3], [f64::from(n), 0.1, -0.3])).unwrap();
                let volume = Volume::from_fn(grid, |[i, j, k]| (i * 100 + j * 10 + k) as f32 / 3.0);
                let mask = Volume::from_fn(grid, |[i, ..]| i == 1);
                (Subject::new(format!("p{n}"), &volume, &mask), volume, mask)
            })
            .collect();
        let rows = (0..2).map(|n| vec![Some(format!("sub-p{n}"))]).collect();
        let table = Table { columns: vec!["participant_id".into()], rows };
        Cohort::write(path, &preparation, &table, &people).unwrap()
    }

    /// All that is computed from.
    fn content(path: &Path) -> Result<(String, Vec<Vec<f32>>, Vec<Mask>)> {
        let cohort = Cohort::open(path)?;
        let about = format!("{:?} {:?} {}", cohort.subjects, cohort.preparation, cohort.made_by);
        let volumes = (0..2).map(|n| cohort.values(n)).collect::<Result<_>>()?;
        Ok((about, volumes, (0..2).map(|n| cohort.mask(n)).collect::<Result<_>>()?))
    }

    #[test]
    fn a_flipped_bit_is_refused_or_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cohort");
        cohort(&path);
        let whole = content(&path).unwrap();
        for name in ["cohort.json", "volumes.npy", "masks.npy", "participants.tsv"] {
            let file = path.join(name);
            let bytes = fs::read(&file).unwrap();
            let mut refused = 0;
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                fs::write(&file, &flipped).unwrap();
                match content(&path) {
                    Ok(found) => assert_eq!(found, whole, "{name}, byte {at}"),
                    Err(_) => refused += 1,
                }
            }
            assert!(refused > bytes.len() / 3, "{name}: {refused} of {}", bytes.len());
            fs::write(&file, &bytes).unwrap();
        }
        // The last value is of the second subject.
        for (name, what) in [("volumes.npy", "volume"), ("masks.npy", "mask")] {
            let file = path.join(name);
            let bytes = fs::read(&file).unwrap();
            let mut flipped = bytes.clone();
            *flipped.last_mut().unwrap() ^= 1;
            fs::write(&file, &flipped).unwrap();
            let error = content(&path).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(&format!("{name}: the {what} of subject p1 is not the one")), "{said}");
            assert_eq!(
                error.remedy().unwrap().to_string(),
                "copy the cohort again from where it was made, or prepare it again with `force`"
            );
            fs::write(&file, &bytes).unwrap();
        }
        assert_eq!(content(&path).unwrap(), whole);
    }

    #[test]
    fn cohorts_of_older_versions_are_read_and_what_is_not_known_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cohort");
        assert_eq!(cohort(&path).unchecked(), None);
        let file = path.join("cohort.json");
        let mut old: serde_json::Value = seal::read(&file, "").unwrap();
        old["subjects"][0].as_object_mut().unwrap().remove("mask_hash");
        fs::write(&file, old.to_string()).unwrap();
        let opened = Cohort::open(&path).unwrap();
        assert!(opened.unchecked().unwrap().contains("whether 1 mask is as prepared is not known"));
        assert!(opened.mask(0).is_ok() && opened.values(0).is_ok());
    }
}
