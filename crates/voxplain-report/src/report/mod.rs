//! [`report`]: one page with everything that was made, and the figures as files.
//!
//! The page is one HTML file that opens from disk: styles, figures, pictures, the viewer and its volumes are inside, and
//! nothing is fetched but, for the subjects that did not fit, files beside it. A content security policy says so to the
//! browser: it runs the page's own scripts and no others. Every text that comes from data is escaped.

mod drawing;
mod faithfulness;
mod folder;
mod methods_text;
mod page;
mod people;
mod quality;
mod regions;
mod site;
#[cfg(test)]
mod tests;
mod viewer;

use crate::{Error, Progress, Result, atomic_file, figure::Figure};
use page::{Page, Volumes};
pub use site::{Part, Site};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
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
    /// What is not there yet, and the command that makes it.
    pub missing: Vec<Missing>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// A part that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Missing {
    /// The part.
    pub what: String,
    /// The command that makes it.
    pub command: String,
}

/// Writes the report of a run, or of a folder of maps that `voxplain explain` made, to `out` (without it,
/// `report.html` in the directory), and its figures to `figures/` in the directory.
///
/// A run need not be finished: what is missing is named with the command that makes it.
///
/// # Errors
/// Neither a run nor a folder of maps; a damaged file; a file that cannot be written.
pub fn report(directory: &Path, out: Option<&Path>, progress: &dyn Progress) -> Result<Reported> {
    report_within(viewer::MOST_PAGE_BYTES, directory, out, progress)
}

/// [`report`] with volumes in the page only as far as it stays below that many bytes.
fn report_within(most: usize, directory: &Path, out: Option<&Path>, progress: &dyn Progress) -> Result<Reported> {
    let out = out.map_or_else(|| directory.join("report.html"), Path::to_owned);
    let mut page = if directory.join("manifest.json").is_file() {
        page::of_run(directory, Volumes::Carried, progress)?
    } else if directory.is_dir() {
        folder::of_folder(directory, progress)?
    } else {
        return Err(Error::file(
            directory,
            "is no directory",
            "give a run (from voxplain train) or a folder of maps (from voxplain explain --out)",
        ));
    };
    let figures = page.write_figures(&directory.join("figures"), progress)?;
    let quality = write_quality(&mut page, &out)?;
    let folder = beside(&out, "volumes");
    let (html, files) = render(&mut page, &folder, most)?;
    let volumes = write_volumes(&out.with_file_name(folder), &files)?;
    atomic_file::write(&out, html.as_bytes())?;
    let methods_text = write_methods_text(&page, &out)?;
    Ok(Reported {
        bytes: html.len(),
        page: out,
        figures,
        volumes,
        methods_text,
        quality,
        missing: std::mem::take(&mut page.missing),
        warnings: std::mem::take(&mut page.warnings),
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

/// Where the viewer's scripts go; no text from data can hold it, as `<` is escaped there.
const SCRIPTS: &str = "<!-- scripts -->";

/// What the template is given beside the page.
#[derive(serde::Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    page: &'a Page,
    /// Begins every id, so that reports can stand in one document.
    id: &'a str,
    nonce: &'a str,
    viewer: bool,
    atlases: bool,
    notices: &'a str,
}

/// A page's id, which begins every id in it, and its nonce.
///
/// Both are functions of the content: the same report has the same bytes, and nothing that the data say can know them.
fn id_and_nonce(page: &Page) -> Result<(String, String)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(page).map_err(|e| fault(&e.to_string()))?);
    hasher.update(page.viewer.hash()?.as_bytes());
    let hash = hasher.finalize().to_hex();
    Ok((format!("v{}", &hash[..10]), hash[32..].to_owned()))
}

fn fault(why: &str) -> Error {
    Error::request(format!("the page cannot be made: {why}"), "this is a fault of voxplain")
}

/// The page, and the files that go to a folder of that name beside it.
fn render(page: &mut Page, folder: &str, most: usize) -> Result<(String, Vec<(String, String)>)> {
    let (id, nonce) = id_and_nonce(page)?;
    let shown = Shown {
        page,
        id: &id,
        nonce: &nonce,
        viewer: !page.viewer.is_empty(),
        atlases: page.viewer.has_atlases(),
        notices: viewer::NOTICES,
    };
    let mut environment = minijinja::Environment::new();
    let fault_of = |e: minijinja::Error| fault(&format!("{e:#}"));
    // A name that ends in .html turns on escaping of every value that is not marked safe.
    environment.add_template("report.html", include_str!("templates/report.html")).map_err(fault_of)?;
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    let html = environment
        .get_template("report.html")
        .and_then(|t| t.render(minijinja::value::Serde(&shown)))
        .map_err(fault_of)?;
    if page.viewer.is_empty() {
        return Ok((html, Vec::new()));
    }
    let (head, tail) = html.split_once(SCRIPTS).ok_or_else(|| fault("its template has no place for scripts"))?;
    let room = most.saturating_sub(html.len());
    let payload = std::mem::take(&mut page.viewer).payload(&id, &nonce, room, folder)?;
    Ok((format!("{head}{}{tail}", payload.html), payload.files))
}

/// A figure with its place in the page and its file name.
#[derive(Clone, Debug, serde::Serialize)]
struct Placed {
    /// Of the files in `figures/`.
    stem: String,
    /// The SVG, to stand in the page; escaped by whoever drew it.
    svg: String,
    /// Below it.
    caption: String,
    /// Width on screen, mm: larger than on paper, where 7 pt is read at arm's length.
    width: f64,
    #[serde(skip)]
    figure: Figure,
}

impl Placed {
    fn new(stem: impl Into<String>, figure: Figure, caption: impl Into<String>) -> Self {
        Self { stem: stem.into(), svg: figure.svg.clone(), caption: caption.into(), width: 1.35 * figure.width, figure }
    }

    /// Only the file: the page says where it is.
    fn leave_out(&mut self) {
        self.svg.clear();
        self.caption = format!("Left out to keep the page small: figures/{}.svg and .png", self.stem);
    }
}
