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
mod made;
mod page;
mod run;
mod section;
mod site;
#[cfg(test)]
mod tests;
mod viewer;

pub use site::{Part, Site};

use element::file_name;
use page::Page;
use run::Volumes;
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Error, Progress, Result, Vocabulary, atomic_file, remedy, visible};
use voxplain_study::{
    run::{PageLayout, Run, RunLayout},
    setting::{COHORT, OUT},
};

/// A part that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The part.
    pub what: String,
    /// The step that makes it, in the words of the vocabulary.
    pub command: String,
}

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
    /// What the reader should know, in the words of the vocabulary.
    pub warnings: Vec<String>,
    /// Whether nothing was written, since an earlier report stands as it would be made now.
    pub as_it_was: bool,
}

/// How a report is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// The page; by default `report.html` in the directory.
    pub out: Option<PathBuf>,
    /// Where the run's cohort lies, if not where the run has it.
    pub cohort: Option<PathBuf>,
    /// Make everything again, also where nothing has changed.
    pub force: bool,
}

/// Writes the report of a run, or of a folder of maps of single images, and its figures to `figures/` in the directory.
///
/// A page of which nothing has changed (what it was made from, how it was asked for, the version of voxplain, and the files that were
/// written) stands as it is.
///
/// A run need not be finished: what is missing is named with the step that makes it, in the words of `vocabulary`.
///
/// # Errors
/// Neither a run nor a folder of maps; `cohort` is not the run's; a damaged file; a file that cannot be written.
pub fn report(
    directory: &Path,
    options: &ReportOptions,
    vocabulary: &dyn Vocabulary,
    progress: &dyn Progress,
) -> Result<Reported> {
    let page = options.out.clone().unwrap_or_else(|| RunLayout::at(directory).report());
    let cohort = options.cohort.as_deref();
    // Before it is made: what changes meanwhile is seen the next time.
    let key = if directory.is_dir() { made::key(directory, &page, cohort, vocabulary)? } else { None };
    if let Some(made) = key.as_ref().filter(|_| !options.force).and_then(|key| made::unchanged(&page, key)) {
        return Ok(made);
    }
    let mut made = report_within(viewer::MAX_PAGE_BYTES, directory, (Some(&page), cohort), vocabulary, progress)?;
    if let Some(key) = key {
        let html = voxplain_core::input::read_to_string(&page).map_err(Error::io(&page))?;
        let whole = format!("{html}{}", made::record(&html, key, &made)?);
        made.bytes = whole.len();
        atomic_file::write(&page, whole.as_bytes())?;
    }
    Ok(made)
}

/// [`report`] with volumes in the page only as far as it stays below that many bytes.
fn report_within(
    max: usize,
    directory: &Path,
    (out, cohort): (Option<&Path>, Option<&Path>),
    vocabulary: &dyn Vocabulary,
    progress: &dyn Progress,
) -> Result<Reported> {
    let layout = RunLayout::at(directory);
    let _claim = Run::claim_around(&layout.report(), "report", progress)?;
    let out = out.map_or_else(|| layout.report(), Path::to_owned);
    let mut page = if layout.manifest().is_file() {
        run::page(&run_of(directory, cohort)?, Volumes::Carried, progress)?
    } else if directory.is_dir() {
        if cohort.is_some() {
            return Err(Error::file(
                directory,
                "is no run, so that no cohort belongs to it",
                remedy!["leave out ", COHORT],
            ));
        }
        folder::page(directory, progress)?
    } else {
        let (train, explain) = (Action::new("train"), Action::new("explain").switch(OUT));
        return Err(Error::file(
            directory,
            "is no directory",
            remedy!["give a run (from ", train, ") or a folder of maps (from ", explain, ")"],
        ));
    };
    let figures = page.write_figures(&layout.figures(), progress)?;
    let quality = write_quality(&mut page, &out)?;
    let folder = PageLayout::of(&out).volumes();
    let document = page.render(vocabulary, &file_name(&folder), max)?;
    let volumes = write_volumes(&folder, &document.files)?;
    atomic_file::write(&out, document.html.as_bytes())?;
    let methods_text = write_methods_text(&page, &out)?;
    Ok(Reported {
        bytes: document.html.len(),
        page: out,
        figures,
        volumes,
        methods_text,
        quality,
        missing: page
            .missing
            .iter()
            .map(|m| Missing { what: m.what.clone(), command: vocabulary.action(&m.step) })
            .collect(),
        as_it_was: false,
        warnings: page.warnings.iter().map(|warning| warning.words(vocabulary)).collect(),
    })
}

/// The run, with its cohort in `cohort`, if that is given: then it must be there. Without it, a cohort that is not found leaves gaps
/// in the page.
fn run_of(directory: &Path, cohort: Option<&Path>) -> Result<Run> {
    let run = Run::open(directory)?.with_cohort(cohort);
    if cohort.is_some() {
        run.cohort()?;
    }
    Ok(run)
}

/// Writes `<page>_quality.tsv`, and says so in the page.
fn write_quality(page: &mut Page, out: &Path) -> Result<Option<PathBuf>> {
    let Some(checks) = &mut page.quality else { return Ok(None) };
    let file = PageLayout::of(out).quality();
    checks.refer_to(&file_name(&file));
    checks.table.write_tsv(&file)?;
    Ok(Some(file))
}

/// Writes `<page>_methods.md` and `<page>_references.bib`.
fn write_methods_text(page: &Page, out: &Path) -> Result<Vec<PathBuf>> {
    let Some(text) = &page.methods_text else { return Ok(Vec::new()) };
    let files = PageLayout::of(out);
    [(files.methods(), text.markdown()), (files.references(), text.bibtex())]
        .into_iter()
        .map(|(file, text)| {
            // Names of classes, columns and files come from elsewhere.
            atomic_file::write(&file, visible(&text).as_bytes())?;
            Ok(file)
        })
        .collect()
}

/// Writes what did not fit into the page, and takes away such files of an earlier report.
fn write_volumes(folder: &Path, files: &[(String, String)]) -> Result<Vec<PathBuf>> {
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
            let file = entry.map_err(Error::io(folder))?.path();
            if PageLayout::is_volume_name(&file_name(&file)) {
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
