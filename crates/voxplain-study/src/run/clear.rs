//! [`clear`]: takes away what voxplain made in a run, and nothing else.

use super::layout::{LinearLayout, PageLayout, RunLayout, figure_name};
use crate::folder::{entries, is_folder, name_of};
use crate::map::files_of;
use std::path::{Path, PathBuf};
use voxplain_core::{Claim, Error, Result, atomic_file};

/// Removes everything that voxplain made in a run's directory: models, predictions, maps, what was made from them, the report. Files
/// are known by their names and, where a name alone could be anybody's, by the record beside them. The manifest stays, so that
/// an interrupted removal can be asked for again: whoever begins a new run in its place writes over it. The claim of whoever is at work
/// stays, too.
///
/// Returns what stays, because voxplain did not make it: files and folders, from the run's directory, sorted.
///
/// # Errors
/// A file that cannot be removed.
pub fn clear(run: &Path) -> Result<Vec<PathBuf>> {
    let layout = RunLayout::at(run);
    let report = layout.report();
    let page = PageLayout::of(&report);
    let mut work = Removal::default();
    for path in entries(run)? {
        let name = name_of(&path);
        if path == layout.manifest() || Claim::is_file(&path) {
            continue;
        } else if !is_folder(&path) {
            let ours = [
                layout.config(),
                layout.description(),
                layout.metrics(),
                layout.imbalance(),
                layout.confounds(),
                layout.matching(),
                layout.predictions(),
                layout.test_metrics(),
                report.clone(),
            ]
            .contains(&path)
                || [page.methods(), page.references(), page.quality()].contains(&path)
                || layout.is_predictions(&path);
            work.file(path, ours)?;
        } else if path == layout.folds() {
            for fold in folders(&path)? {
                if let Some(n) = name_of(&fold).strip_prefix("fold-").and_then(|n| n.parse().ok()) {
                    let files = layout.fold(n);
                    let known = [files.model(), files.history(), files.split(), files.checkpoint()];
                    work.files(&fold, |file| known.contains(&file.to_owned()))?;
                }
            }
            work.files(&path, |_| false)?;
        } else if path == layout.group().folder() {
            let group = layout.group();
            let known = [group.summary(), group.similarity(), group.mean_brain(), group.brain_mask(), group.values()];
            work.files(&path, |file| known.contains(&file.to_owned()) || is_group_map(&name_of(file)))?;
        } else if path == layout.linear().folder() {
            let known = [layout.linear().mean_brain(), layout.linear().brain_mask()];
            work.files(&path, |file| known.contains(&file.to_owned()) || LinearLayout::is_map_name(&name_of(file)))?;
        } else if path == layout.evaluation().folder() {
            let evaluation = layout.evaluation();
            let known: Vec<PathBuf> =
                METRICS.iter().flat_map(|m| [evaluation.table(m), evaluation.summary(m)]).collect();
            for subject in folders(&path)? {
                let stem = name_of(&subject);
                if stem.starts_with("sub-") {
                    work.files(&subject, |file| is_curve(&name_of(file), &stem))?;
                }
            }
            work.files(&path, |file| known.contains(&file.to_owned()))?;
        } else if path == layout.compare() {
            for result in folders(&path)? {
                let stem = name_of(&result);
                work.files(&result, |file| is_of_comparison(&name_of(file), &stem))?;
            }
            work.files(&path, |_| false)?;
        } else if path == layout.permutations() {
            let unfinished = layout.permutation_work();
            if unfinished.is_dir() {
                for trained in folders(&unfinished)? {
                    let folds = RunLayout::at(&trained).folds();
                    if folds.is_dir() {
                        let files = ["history.jsonl", "checkpoint.safetensors"];
                        for fold in folders(&folds)? {
                            work.files(&fold, |file| files.contains(&&*name_of(file)))?;
                        }
                        work.files(&folds, |_| false)?;
                    }
                    work.files(&trained, |_| false)?;
                }
                work.files(&unfinished, |_| false)?;
            }
            let test = |file: &Path| {
                has_keys(file, &["key", "numbers"])
                    || layout.is_shard_of_permutation_test(file, None) && has_keys(file, &["key", "rows"])
            };
            work.files(&path, |file| name_of(file).ends_with(".json") && test(file))?;
        } else if path == layout.regions() {
            work.files(&path, is_region_table)?;
        } else if path == layout.figures() {
            work.files(&path, |file| {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                file.extension().is_some_and(|e| e == "svg" || e == "png") && figure_name::is_known(&stem)
            })?;
        } else if path == page.volumes() {
            work.files(&path, |file| PageLayout::is_volume_name(&name_of(file)))?;
        } else if name.starts_with("sub-") {
            work.files(&path, is_map_or_record)?;
        } else {
            work.left.push(path);
        }
    }
    let mut left: Vec<PathBuf> =
        work.left.into_iter().map(|path| path.strip_prefix(run).map(Path::to_owned).unwrap_or(path)).collect();
    left.sort();
    Ok(left)
}

/// Files of a comparison beside its maps.
const COMPARISON: [&str; 5] = ["summary.json", "clusters.tsv", "design.tsv", "regions.tsv", "unfinished.json"];

/// Whether a file in the folder of a comparison is one of its maps, records or tables.
fn is_of_comparison(name: &str, comparison: &str) -> bool {
    let ours = name.strip_prefix(comparison).is_some_and(|rest| rest.starts_with('_'));
    (ours && [".nii.gz", ".json", ".tsv"].iter().any(|ending| name.ends_with(ending))) || COMPARISON.contains(&name)
}

/// The metrics that have a table and a summary.
const METRICS: [&str; 3] = ["localisation", "deletion", "insertion"];

/// What has been left.
#[derive(Debug, Default)]
struct Removal {
    left: Vec<PathBuf>,
}

impl Removal {
    /// Removes a file that is ours or that a stopped write left behind.
    fn file(&mut self, path: PathBuf, ours: bool) -> Result<()> {
        if ours || (atomic_file::is_part(&path) && !is_folder(&path)) {
            std::fs::remove_file(&path).map_err(Error::io(&path))
        } else {
            self.left.push(path);
            Ok(())
        }
    }

    /// Removes those files of a folder that are ours, and the folder if it is then empty.
    fn files(&mut self, folder: &Path, ours: impl Fn(&Path) -> bool) -> Result<()> {
        // Decided before the first goes: a map and its record vouch for each other.
        let decided: Vec<(PathBuf, bool)> = entries(folder)?
            .into_iter()
            .map(|path| {
                let ours = !is_folder(&path) && ours(&path);
                (path, ours)
            })
            .collect();
        for (path, ours) in decided {
            // A folder that was gone through has its rest named already.
            if !self.left.iter().any(|left| left.starts_with(&path)) {
                self.file(path, ours)?;
            }
        }
        if entries(folder)?.is_empty() {
            std::fs::remove_dir(folder).map_err(Error::io(folder))?;
        }
        Ok(())
    }
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| is_folder(path)).collect())
}

/// `<group>_stat-<statistic>_desc-<method>_attribution.nii.gz` or `.json`.
fn is_group_map(name: &str) -> bool {
    let stem = name.strip_suffix("_attribution.nii.gz").or_else(|| name.strip_suffix("_attribution.json"));
    stem.is_some_and(|stem| stem.contains("_stat-") && stem.contains("_desc-"))
}

/// `sub-<id>_desc-<method>_<metric>.json`.
fn is_curve(name: &str, subject: &str) -> bool {
    let metric = name.strip_suffix(".json").and_then(|stem| stem.rsplit_once('_'));
    metric.is_some_and(|(stem, metric)| METRICS.contains(&metric) && stem.starts_with(&format!("{subject}_desc-")))
}

/// An image of a map, or its record; a JSON file of that name that is no such record, and an image beside one, are somebody
/// else's.
fn is_map_or_record(file: &Path) -> bool {
    let name = name_of(file);
    let record = if name.ends_with("_attribution.json") {
        file.to_owned()
    } else if files_of(file).is_some() {
        crate::map::record_path(file)
    } else {
        // The volume that was explained, where maps were written with it.
        return name.ends_with("_desc-input_image.nii.gz") || name.ends_with("_desc-brain_mask.nii.gz");
    };
    has_keys(&record, &["Method", "Model"])
}

/// A table of regions, its means, or its record.
fn is_region_table(file: &Path) -> bool {
    let known = file.extension().is_some_and(|e| e == "tsv" || e == "json");
    let table = RunLayout::table_of_means(file).unwrap_or_else(|| file.to_owned());
    known && has_keys(&table.with_extension("json"), &["survey", "columns"])
}

/// Whether a file is a JSON object with these keys. One that cannot be read is not known to be ours.
fn has_keys(file: &Path, keys: &[&str]) -> bool {
    let Ok(bytes) = voxplain_core::input::read(file) else { return false };
    serde_json::from_slice::<serde_json::Value>(&bytes)
        .is_ok_and(|value| keys.iter().all(|key| value.get(key).is_some()))
}
