//! [`Made`]: from what a page was made, kept at its end, so that a page of which nothing has changed is not made again.
//!
//! The key covers every file of the run (or folder of maps) but those that reports write, every file of its cohort, atlases, masks and
//! truths outside of them, the version of voxplain, its templates, and how the report was asked for. Files count by what they hold.

use super::{Missing, Reported};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use voxplain_core::{Action, Error, Result, Vocabulary, hash_bytes, hash_file};
use voxplain_study::{
    evaluation::truth::read_found,
    regions::RegionRecord,
    run::{PageLayout, Run, RunLayout},
    setting::{COHORT, OUT},
};

/// What stands in a comment at the end of a page.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    /// A hash of all that the page was made from.
    key: String,
    /// Of what comes before, in the page.
    page: String,
    /// BLAKE3 of the files that were written beside the page, by their paths.
    files: BTreeMap<PathBuf, String>,
    figures: Vec<PathBuf>,
    volumes: Vec<PathBuf>,
    methods_text: Vec<PathBuf>,
    quality: Option<PathBuf>,
    missing: Vec<[String; 2]>,
    warnings: Vec<String>,
}

/// How the comment begins, and how it ends.
const HEAD: &str = "<!-- made from ";
const TAIL: &str = " -->\n";

/// The key of a report; `None` where something that it shows cannot be told: it is made then.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn key(
    directory: &Path,
    out: &Path,
    cohort: Option<&Path>,
    vocabulary: &dyn Vocabulary,
) -> Result<Option<String>> {
    let layout = RunLayout::at(directory);
    let ours: Vec<PathBuf> = [layout.report(), out.to_owned()].iter().flat_map(|page| written(page)).collect();
    let mut files = Vec::new();
    if !listed(directory, &|path| path == layout.figures() || ours.iter().any(|own| own == path), &mut files) {
        return Ok(None);
    }
    let mut said = vec![
        env!("CARGO_PKG_VERSION").to_owned(),
        hash_bytes(
            concat!(
                include_str!("templates/report.html"),
                include_str!("templates/viewer.js"),
                include_str!("templates/folding.js")
            )
            .as_bytes(),
        ),
        vocabulary.action(&Action::new("report").on(directory).with(OUT, out.display()).with(COHORT, "a b")),
    ];
    if layout.manifest().is_file() {
        let Ok(run) = Run::open(directory) else { return Ok(None) };
        let run = run.with_cohort(cohort);
        let Ok(cohort) = run.cohort() else { return Ok(None) };
        said.push(cohort.path.display().to_string());
        if !listed(&cohort.path, &|_| false, &mut files) {
            return Ok(None);
        }
        for table in layout.region_tables()? {
            let Ok(Some(record)) = RegionRecord::read(&table) else { continue };
            let survey = record.options(&table, &run.path)?;
            let (atlas, mask) = (PathBuf::from(&survey.atlas), survey.mask.as_ref().map(PathBuf::from));
            // A name that stands for many files, or one that may come back.
            if ![Some(&atlas), Some(&survey.labels), mask.as_ref()].into_iter().flatten().all(|file| file.is_file()) {
                return Ok(None);
            }
            files.extend([Some(atlas), Some(survey.labels), mask].into_iter().flatten());
        }
        let truth = read_found(&run).ok().flatten().and_then(|found| found[0].compared.clone()?.truth);
        files.extend(truth.into_iter().filter(|file| file.is_file()));
    }
    files.sort();
    files.dedup();
    let hashes = files.par_iter().map(|file| hash_file(file)).collect::<Result<Vec<_>>>()?;
    let all = serde_json::json!([said, files, hashes]);
    Ok(Some(hash_bytes(all.to_string().as_bytes())))
}

/// What a report writes beside a page, and the page.
fn written(page: &Path) -> [PathBuf; 5] {
    let beside = PageLayout::of(page);
    [page.to_owned(), beside.methods(), beside.references(), beside.quality(), beside.volumes()]
}

/// Adds the files in a folder, and in those within, but what is left out; whether all could be told.
fn listed(folder: &Path, left_out: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    for entry in entries {
        let Ok(entry) = entry else { return false };
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { return false };
        // The mark of who writes here, and what a killed process left half written, are no part of what is shown.
        if left_out(&path) || entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            if !listed(&path, left_out, files) {
                return false;
            }
        } else if path.is_file() {
            files.push(path);
        } else {
            // A link to a folder, or no file at all.
            return false;
        }
    }
    true
}

/// What an earlier report of this key wrote, where all of it is there as it was.
pub(super) fn unchanged(page: &Path, key: &str) -> Option<Reported> {
    // A page that cannot be read is written anew.
    let html = voxplain_core::input::read_to_string(page).ok()?;
    let (before, record) = html.rsplit_once(HEAD)?;
    let made: Made = serde_json::from_str(record.strip_suffix(TAIL)?).ok()?;
    let whole = made.key == key && made.page == hash_bytes(before.as_bytes());
    let there = || made.files.par_iter().all(|(file, expected)| hash_file(file).is_ok_and(|found| found == *expected));
    (whole && there()).then(|| Reported {
        page: page.to_owned(),
        bytes: html.len(),
        figures: made.figures,
        volumes: made.volumes,
        methods_text: made.methods_text,
        quality: made.quality,
        missing: made.missing.into_iter().map(|[what, command]| Missing { what, command }).collect(),
        warnings: made.warnings,
        as_it_was: true,
    })
}

/// The comment for the end of a page, by what was written.
///
/// # Errors
/// A file that was written cannot be read.
pub(super) fn record(html: &str, key: String, made: &Reported) -> Result<String> {
    let pngs = made.figures.iter().map(|figure| figure.with_extension("png"));
    let files = made.figures.iter().cloned().chain(pngs).chain(made.volumes.iter().cloned());
    let files = files.chain(made.methods_text.iter().cloned()).chain(made.quality.clone());
    let record = Made {
        key,
        page: hash_bytes(html.as_bytes()),
        files: files.map(|file| Ok((file.clone(), hash_file(&file)?))).collect::<Result<_>>()?,
        figures: made.figures.clone(),
        volumes: made.volumes.clone(),
        methods_text: made.methods_text.clone(),
        quality: made.quality.clone(),
        missing: made.missing.iter().map(|m| [m.what.clone(), m.command.clone()]).collect(),
        warnings: made.warnings.clone(),
    };
    let json = serde_json::to_string(&record).map_err(|e| {
        Error::request(format!("a page cannot say how it was made: {e}"), "this is a fault of voxplain")
    })?;
    // Nothing ends the comment, and every character is seen as it is.
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '-' | '&' | '\u{7f}'.. => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
            }
            plain => text.push(plain),
        }
    }
    Ok(format!("{HEAD}{text}{TAIL}"))
}
