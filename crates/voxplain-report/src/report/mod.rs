//! [`report`]: one page with everything that was made, and the figures as files.
//!
//! The page is one HTML file that opens from disk: styles, figures, pictures, the viewer and its volumes are inside, and
//! nothing is fetched but, for the subjects that did not fit, files beside it. A content security policy says so to the
//! browser: it runs the page's own scripts and no others. Every text that comes from data is escaped.
//!
//! From the top down: [`report`] and [`Site`] give a page away; `run` and `folder` gather it; `page` holds it and fills the
//! template; a file of `section` makes one section and `viewer` what the viewer shows; `element` is what they are made of.

mod element;
mod folder;
mod order;
mod page;
mod run;
mod section;
mod site;
#[cfg(test)]
mod tests;
mod viewer;

pub use page::Missing;
pub use site::{Part, Site};

use page::Page;
use run::Volumes;
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Error, Progress, Result, Vocabulary, atomic_file, remedy};
use voxplain_study::setting::OUT;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The page.
    pub page: PathBuf,
    /// Its size in bytes.
    pub bytes: usize,
    /// Figures, `.svg` each with a `.png` beside it.
    pub figures: Vec<PathBuf>,
    /// Files with the volumes of subjects that the page had no room for, in a folder beside it.
    pub volumes: Vec<PathBuf>,
    /// The methods section in Markdown and its references in BibTeX, beside the page of a run.
    pub methods_text: Vec<PathBuf>,
    /// Numbers on every prepared volume, beside the page of a run.
    pub quality: Option<PathBuf>,
    /// What is not there yet, and the step that makes it.
    pub missing: Vec<Missing>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// Writes the report of a run, or of a folder of maps of single images, to `out` (without it, `report.html` in the
/// directory), and its figures to `figures/` in the directory.
///
/// A run need not be finished: what is missing is named with the step that makes it, in the words of `vocabulary`.
///
/// # Errors
/// Neither a run nor a folder of maps; a damaged file; a file that cannot be written.
pub fn report(
    directory: &Path,
    out: Option<&Path>,
    vocabulary: &dyn Vocabulary,
    progress: &dyn Progress,
) -> Result<Reported> {
    report_within(viewer::MAX_PAGE_BYTES, directory, out, vocabulary, progress)
}

/// [`report`] with volumes in the page only as far as it stays below that many bytes.
fn report_within(
    max: usize,
    directory: &Path,
    out: Option<&Path>,
    vocabulary: &dyn Vocabulary,
    progress: &dyn Progress,
) -> Result<Reported> {
    let out = out.map_or_else(|| directory.join("report.html"), Path::to_owned);
    let mut page = if directory.join("manifest.json").is_file() {
        run::page(directory, Volumes::Carried, progress)?
    } else if directory.is_dir() {
        folder::page(directory, progress)?
    } else {
        let (train, explain) = (Action::new("train"), Action::new("explain").switch(OUT));
        return Err(Error::file(
            directory,
            "is no directory",
            remedy!["give a run (from ", train, ") or a folder of maps (from ", explain, ")"],
        ));
    };
    let figures = page.write_figures(&directory.join("figures"), progress)?;
    let quality = write_quality(&mut page, &out)?;
    let folder = beside(&out, "volumes");
    let document = page.render(vocabulary, &folder, max)?;
    let volumes = write_volumes(&out.with_file_name(folder), &document.files)?;
    atomic_file::write(&out, document.html.as_bytes())?;
    let methods_text = write_methods_text(&page, &out)?;
    Ok(Reported {
        bytes: document.html.len(),
        page: out,
        figures,
        volumes,
        methods_text,
        quality,
        missing: page.missing,
        warnings: page.warnings,
    })
}

/// Writes `<page>_quality.tsv`, and says so in the page.
fn write_quality(page: &mut Page, out: &Path) -> Result<Option<PathBuf>> {
    let Some(checks) = &mut page.quality else { return Ok(None) };
    let name = beside(out, "quality.tsv");
    checks.refer_to(&name);
    let file = out.with_file_name(name);
    checks.table.write_tsv(&file)?;
    Ok(Some(file))
}

/// Writes `<page>_methods.md` and `<page>_references.bib`.
fn write_methods_text(page: &Page, out: &Path) -> Result<Vec<PathBuf>> {
    let Some(text) = &page.methods_text else { return Ok(Vec::new()) };
    [("methods.md", text.markdown()), ("references.bib", text.bibtex())]
        .into_iter()
        .map(|(name, text)| {
            let file = out.with_file_name(beside(out, name));
            atomic_file::write(&file, text.as_bytes())?;
            Ok(file)
        })
        .collect()
}

/// The name of what stands beside a page: `report_volumes` for `volumes` and `report.html`.
fn beside(page: &Path, what: &str) -> String {
    format!("{}_{what}", page.file_stem().unwrap_or_default().to_string_lossy())
}

/// Writes what did not fit into the page, and takes away such files of an earlier report.
fn write_volumes(folder: &Path, files: &[(String, String)]) -> Result<Vec<PathBuf>> {
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
            let file = entry.map_err(Error::io(folder))?.path();
            let ours = file.extension().is_some_and(|e| e == "js")
                && file.file_stem().is_some_and(|s| s.to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
            if ours {
                std::fs::remove_file(&file).map_err(Error::io(&file))?;
            }
        }
        // Goes if it is empty now; what is not ours stays.
        let _ = std::fs::remove_dir(folder);
    }
    if files.is_empty() {
        return Ok(Vec::new());
    }
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    files
        .iter()
        .map(|(name, text)| {
            let file = folder.join(name);
            atomic_file::write(&file, text.as_bytes())?;
            Ok(file)
        })
        .collect()
}
