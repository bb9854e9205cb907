//! [`CohortPlace`]: where a run looks for the cohort that it was made from.

use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};
use voxplain_core::{Error, Result};

/// Where a run's cohort lies, as the manifest has it.
///
/// A run and a cohort that lie in one folder (below the root of the file system) are moved and copied together: the path from the
/// run to the cohort then stays, and comes first. Where the cohort was when the run was made comes second, for a run that was moved
/// alone. Neither says which cohort it is: that is [`super::Manifest::cohort_hash`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CohortPlace {
    /// From the run's directory where both lie in one folder, else absolute.
    #[serde(rename = "cohort")]
    path: PathBuf,
    /// Absolute, as it was when the run was made, where the first is not.
    #[serde(rename = "cohort_absolute", default, skip_serializing_if = "Option::is_none")]
    absolute: Option<PathBuf>,
}

impl From<PathBuf> for CohortPlace {
    /// An absolute path alone, as the manifests of older versions have it.
    fn from(path: PathBuf) -> Self {
        Self { path, absolute: None }
    }
}

impl CohortPlace {
    /// The place of a cohort that is there, for a run in `run`, which need not be there yet.
    ///
    /// # Errors
    /// The cohort or the folder of the run cannot be found.
    pub fn new(run: &Path, cohort: &Path) -> Result<Self> {
        let absolute = std::path::absolute(cohort).map_err(Error::io(cohort))?;
        let (from, to) = (resolved(run)?, resolved(cohort)?);
        Ok(match relative(&from, &to) {
            Some(path) => Self { path, absolute: Some(absolute) },
            None => Self { path: absolute, absolute: None },
        })
    }

    /// The path as the manifest has it: from the run's directory, or absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where to look, in order, for a run in `run`.
    pub fn candidates(&self, run: &Path) -> Vec<PathBuf> {
        let first = run.join(&self.path);
        // `run/../cohort` is the cohort's own absolute path, where it is still the same place.
        let first = match (&self.absolute, first.canonicalize()) {
            (Some(absolute), Ok(place)) if absolute.canonicalize().is_ok_and(|a| a == place) => absolute.clone(),
            (Some(_), Ok(place)) => place,
            _ => resolved(&first).unwrap_or(first),
        };
        let mut all = vec![first];
        all.extend(self.absolute.clone().filter(|absolute| *absolute != all[0]));
        all
    }
}

/// A path without links and `..`, as far as it is there.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(Error::io(path))?;
    let mut missing = Vec::new();
    let mut there = absolute.as_path();
    loop {
        match there.canonicalize() {
            Ok(found) => return Ok(missing.into_iter().rev().fold(found, |path, name| path.join(name))),
            Err(e) => match (there.file_name(), there.parent()) {
                (Some(name), Some(parent)) => {
                    missing.push(name.to_owned());
                    there = parent;
                }
                _ => return Err(Error::io(path)(e)),
            },
        }
    }
}

/// The way from one directory to another, both absolute; `None` where they share no folder but the root.
pub(crate) fn relative(from: &Path, to: &Path) -> Option<PathBuf> {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let folder = from[..shared].iter().any(|c| matches!(c, Component::Normal(_)));
    folder.then(|| {
        let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
        up.chain(to[shared..].iter().copied()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_a_run_to_its_cohort() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/data/study/run", "/data/study/cohort"), Some("../cohort".into()));
        assert_eq!(way("/data/study/runs/a", "/data/cohorts/b"), Some("../../../cohorts/b".into()));
        assert_eq!(way("/data/cohort/run", "/data/cohort"), Some("..".into()));
        assert_eq!(way("/home/me/run", "/data/cohort"), None, "nothing but the root is shared");
    }

    #[test]
    fn the_nearer_place_comes_first_and_is_named_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (cohort, run) = (root.join("a/cohort"), root.join("a/run"));
        std::fs::create_dir_all(&cohort).unwrap();
        let place = CohortPlace::new(&run, &cohort).unwrap();
        assert_eq!(place.path(), Path::new("../cohort"));
        std::fs::create_dir_all(&run).unwrap();
        assert_eq!(place.candidates(&run), std::slice::from_ref(&cohort));
        // Moved together: the way is the same; the old place comes second.
        std::fs::rename(root.join("a"), root.join("b")).unwrap();
        assert_eq!(place.candidates(&root.join("b/run")), [root.join("b/cohort"), cohort.clone()]);
        // Through a link to a run somewhere else.
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.join("b/run"), root.join("link")).unwrap();
            assert_eq!(place.candidates(&root.join("link"))[0], root.join("b/cohort"));
        }
        // As older versions have it.
        let old = CohortPlace::from(cohort.clone());
        assert_eq!(old.candidates(&run), [cohort]);
    }
}
