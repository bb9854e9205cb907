//! [`Site`]: the report of a run in parts, for a server: a page, and what it asks for later.

use super::{
    element::file_name,
    page::Document,
    run::{self, Volumes},
    run_of,
    viewer::{Scenes, map_name, scene_name, scene_script},
};
use std::path::Path;
use voxplain_core::{Action, Error, Progress, Result, Vocabulary, remedy};
use voxplain_study::run::RunLayout;

/// The report of a run in parts. The page holds no volumes: it asks for those of a group or subject when they are chosen.
/// They are made from the run's files then, so that neither the page nor the wait for it grows with the volumes.
///
/// Nothing is written. What can be asked for are names that the page knows; no name leads to any other file.
#[derive(Debug)]
pub struct Site {
    html: String,
    id: String,
    nonce: String,
    scenes: Option<Scenes>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The page.
    Page(String),
    /// The script that brings the volumes of a group or subject.
    Script(String),
    /// A map: its bytes as they are in the run, and its file name.
    Map(Vec<u8>, String),
}

impl Site {
    /// The report of a run; what is missing is named with the step that makes it, in the words of `vocabulary`. `cohort` says
    /// where its cohort lies, if not where the run has it.
    ///
    /// # Errors
    /// No run; `cohort` is not the run's; a damaged file.
    pub fn open(
        directory: &Path,
        cohort: Option<&Path>,
        vocabulary: &dyn Vocabulary,
        progress: &dyn Progress,
    ) -> Result<Self> {
        if !RunLayout::at(directory).manifest().is_file() {
            let remedy = remedy!["give a directory that ", Action::new("train"), " made"];
            return Err(Error::file(directory, "is no run", remedy));
        }
        let mut page = run::page(&run_of(directory, cohort)?, Volumes::OnRequest, progress)?;
        let Document { html, id, nonce, .. } = page.render(vocabulary, "", usize::MAX)?;
        let warnings = page.warnings.iter().map(|warning| warning.words(vocabulary)).collect();
        Ok(Self { html, id, nonce, scenes: page.scenes, warnings })
    }

    /// The nonce of the page's own scripts, for a content security policy.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Number of groups and subjects that can be looked at.
    #[must_use]
    pub fn scenes(&self) -> usize {
        self.scenes.as_ref().map_or(0, Scenes::len)
    }

    /// What a name stands for: nothing for the page itself, `scenes/<n>.js`, `maps/<n>-<m>.nii.gz`. Nothing for any other.
    ///
    /// # Errors
    /// A file of the run is missing or damaged.
    pub fn part(&self, name: &str) -> Result<Option<Part>> {
        if name.is_empty() {
            return Ok(Some(Part::Page(self.html.clone())));
        }
        let Some(scenes) = &self.scenes else { return Ok(None) };
        if let Some(n) = scene(name) {
            return Ok(scene_script(scenes, n, &self.id)?.map(Part::Script));
        }
        let Some((n, m)) = map(name) else { return Ok(None) };
        let Some(file) = scenes.files(n).into_iter().nth(m) else { return Ok(None) };
        let bytes = voxplain_core::input::read(&file).map_err(Error::io(&file))?;
        Ok(Some(Part::Map(bytes, file_name(&file))))
    }
}

/// The scene of a name.
fn scene(name: &str) -> Option<usize> {
    let n = name.strip_prefix("scenes/")?.strip_suffix(".js")?.parse().ok()?;
    // Not `+1` or `01`.
    (scene_name(n) == name).then_some(n)
}

/// The scene and the position in it of a map's name.
fn map(name: &str) -> Option<(usize, usize)> {
    let (n, m) = name.strip_prefix("maps/")?.strip_suffix(".nii.gz")?.split_once('-')?;
    let (n, m) = (n.parse().ok()?, m.parse().ok()?);
    (map_name(n, m) == name).then_some((n, m))
}
