//! [`report`]: one page with everything that was made, and the figures as files.
//!
//! The page is one HTML file that opens from disk: styles, figures and pictures are inside, nothing is fetched, no
//! script runs, and a content security policy says so to the browser. Every text that comes from data is escaped.

mod drawing;
mod folder;
mod page;
mod people;
mod regions;
#[cfg(test)]
mod tests;

use crate::{Error, Progress, Result, figure::Figure, whole};
use page::Page;
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
    let mut page = if directory.join("manifest.json").is_file() {
        page::of_run(directory, progress)?
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
    let html = render(&page)?;
    let out = out.map_or_else(|| directory.join("report.html"), Path::to_owned);
    whole::write(&out, html.as_bytes())?;
    Ok(Reported {
        bytes: html.len(),
        page: out,
        figures,
        missing: std::mem::take(&mut page.missing),
        warnings: std::mem::take(&mut page.warnings),
    })
}

fn render(page: &Page) -> Result<String> {
    let fault =
        |e: minijinja::Error| Error::request(format!("the page cannot be made: {e:#}"), "this is a fault of voxplain");
    let mut environment = minijinja::Environment::new();
    // A name that ends in .html turns on escaping of every value that is not marked safe.
    environment.add_template("report.html", include_str!("templates/report.html")).map_err(fault)?;
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.get_template("report.html").and_then(|t| t.render(minijinja::value::Serde(page))).map_err(fault)
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
