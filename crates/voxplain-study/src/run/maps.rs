//! The maps that a run has.

use super::Run;
use crate::map::read_record;
use voxplain_core::{Error, Result};

impl Run {
    /// The methods that the run has maps of, by name, from the sidecars.
    ///
    /// # Errors
    /// A folder or sidecar cannot be read.
    pub fn methods(&self) -> Result<Vec<String>> {
        let mut methods = std::collections::BTreeSet::new();
        let folders = std::fs::read_dir(&self.path).map_err(Error::io(&self.path))?;
        for folder in folders {
            let folder = folder.map_err(Error::io(&self.path))?.path();
            let is_subject = folder.file_name().is_some_and(|n| n.to_string_lossy().starts_with("sub-"));
            if !is_subject || !folder.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
                let file = file.map_err(Error::io(&folder))?.path();
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.ends_with("_attribution.nii.gz") && !name.contains("_space-") && !name.contains("_res-") {
                    methods.insert(read_record(&file)?.method);
                }
            }
        }
        Ok(methods.into_iter().collect())
    }
}
