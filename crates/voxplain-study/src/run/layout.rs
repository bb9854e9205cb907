//! [`RunLayout`]: where everything of a run lies.

use crate::{
    folder::{entries, name_of},
    map::{MapFiles, desc},
    shard::Shard,
};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Result};

/// The files of a run's directory, in the manner of BIDS derivatives. Every path in a run is made here:
///
/// ```text
/// manifest.json  config.toml  dataset_description.json
/// folds/fold-<n>/            model.safetensors  history.jsonl  split.json
/// predictions.tsv            predictions-<comparator>.tsv  metrics.json  imbalance.json  confounds.json  matching.json
/// sub-<id>/                  maps and their records
/// linear/                    maps of the linear baselines on the voxels, and the mean volume below them
/// group/                     group maps, mean brain, similarity of methods
/// evaluation/                localisation, deletion, insertion
/// regions/                   tables of regions
/// compare/<method>_<term>/   tests voxel by voxel
/// permutations/              classifiers on permuted labels
/// report.html  report_*  figures/
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RunLayout<'a> {
    root: &'a Path,
}

/// How the name of a table of means over maps ends.
const MEANS: &str = "_means";
/// How the name of a permutation test ends that is not finished.
const UNFINISHED: &str = "_unfinished";
/// What stands in the name of what one of several processes counted.
const SHARD: &str = "_shard-";

impl<'a> RunLayout<'a> {
    /// The files of a run in this directory, whether it is there or not.
    pub const fn at(root: &'a Path) -> Self {
        Self { root }
    }

    /// `manifest.json`: what the run was made from. It makes a directory a run.
    pub fn manifest(self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// `config.toml`: the options of training.
    pub fn config(self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// `dataset_description.json`, which BIDS asks for.
    pub fn description(self) -> PathBuf {
        self.root.join("dataset_description.json")
    }

    /// `folds/fold-<n>`: a model and how it was trained.
    pub fn fold(self, fold: usize) -> FoldLayout {
        FoldLayout { folder: self.folds().join(format!("fold-{fold}")) }
    }

    /// `predictions.tsv`: the predictions for the subjects that the models never saw.
    pub fn predictions(self) -> PathBuf {
        self.root.join("predictions.tsv")
    }

    /// `predictions-<comparator>.tsv`: the predictions of a comparator for the same subjects.
    pub fn comparator_predictions(self, name: &str) -> PathBuf {
        self.root.join(format!("predictions-{name}.tsv"))
    }

    /// Whether a file is one of [`RunLayout::predictions`], [`RunLayout::comparator_predictions`] and [`RunLayout::test_predictions`].
    pub(super) fn is_predictions(self, file: &Path) -> bool {
        use crate::comparators as of;
        let comparators = [
            of::MAJORITY_CLASS,
            of::VOLUME_RANK,
            of::MASK_VOLUME,
            of::LINEAR_VOXELS,
            of::LOGISTIC_VOXELS,
            of::SVM_VOXELS,
            of::COVARIATES,
            of::REGION_VOLUMES,
            of::TRAINING_MEAN,
            of::TRAINING_MEDIAN,
            of::RIDGE_VOXELS,
        ];
        [self.predictions(), self.test_predictions()].contains(&file.to_owned())
            || comparators.iter().any(|name| self.comparator_predictions(name) == file)
    }

    /// The files that [`RunLayout::metrics`] vouches for, those that are there: predictions, maps of linear baselines. Models
    /// hold a checksum of their own, and that of their learning curve. The answers about the test set are another document's.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(crate) fn vouched_by_metrics(self) -> Result<Vec<PathBuf>> {
        let mut files = entries(self.root)?;
        files.retain(|file| self.is_out_of_fold(file));
        let linear = self.linear();
        if linear.folder().is_dir() {
            let brain = [linear.mean_brain(), linear.brain_mask()];
            let ours = |file: &PathBuf| brain.contains(file) || LinearLayout::is_map_name(&name_of(file));
            files.extend(entries(linear.folder())?.into_iter().filter(ours));
        }
        Ok(files)
    }

    /// Whether a file is a table of what models said of those whom they never saw.
    pub(super) fn is_out_of_fold(self, file: &Path) -> bool {
        self.is_predictions(file) && *file != self.test_predictions()
    }

    /// `predictions-test-set.tsv`: what all models together said of the test set.
    pub fn test_predictions(self) -> PathBuf {
        self.root.join("predictions-test-set.tsv")
    }

    /// `predictions-test-set.json`: how good that was, and when the test set was asked about.
    pub fn test_metrics(self) -> PathBuf {
        self.root.join("predictions-test-set.json")
    }

    /// `metrics.json`: how well the classes were told apart.
    pub fn metrics(self) -> PathBuf {
        self.root.join("metrics.json")
    }

    /// `imbalance.json`: what goes with the label beside the images.
    pub fn imbalance(self) -> PathBuf {
        self.root.join("imbalance.json")
    }

    /// `matching.json`: whom the folds were trained on, where these people were matched.
    pub fn matching(self) -> PathBuf {
        self.root.join("matching.json")
    }

    /// `confounds.json`: how much of what the run tells each confound explains.
    pub fn confounds(self) -> PathBuf {
        self.root.join("confounds.json")
    }

    /// `sub-<id>`: the maps of a subject.
    pub fn subject(self, id: &str) -> PathBuf {
        self.root.join(format!("sub-{id}"))
    }

    /// `sub-<id>/sub-<id>_desc-<method>_attribution.nii.gz` and what belongs to it.
    pub fn map(self, id: &str, method: &str) -> MapFiles {
        MapFiles::new(self.subject(id), format!("sub-{id}"), method)
    }

    /// `group`: maps of groups.
    pub fn group(self) -> GroupLayout {
        GroupLayout { folder: self.root.join("group") }
    }

    /// `linear`: maps of the linear baselines on the voxels.
    pub fn linear(self) -> LinearLayout {
        LinearLayout { folder: self.root.join("linear") }
    }

    /// `compare`: tests of maps voxel by voxel, a folder each.
    pub fn compare(self) -> PathBuf {
        self.root.join("compare")
    }

    /// `permutations`: what classifiers reach on permuted labels.
    pub fn permutations(self) -> PathBuf {
        self.root.join("permutations")
    }

    /// `permutations/<classifier>.json`.
    pub fn permutation_test(self, classifier: &str) -> PathBuf {
        self.permutations().join(format!("{classifier}.json"))
    }

    /// `permutations/<classifier>_unfinished.json`: what was counted before an interruption.
    pub fn unfinished_permutation_test(self, classifier: &str) -> PathBuf {
        self.permutations().join(format!("{classifier}{UNFINISHED}.json"))
    }

    /// `permutations/<classifier>_shard-<number>-of-<all>.json`: what one of several processes counted.
    pub fn shard_of_permutation_test(self, classifier: &str, shard: Shard) -> PathBuf {
        self.permutations().join(format!("{classifier}{SHARD}{}-of-{}.json", shard.number(), shard.of()))
    }

    /// Whether a file has the name of [`RunLayout::shard_of_permutation_test`] of a classifier; of any where none is named.
    pub fn is_shard_of_permutation_test(self, file: &Path, classifier: Option<&str>) -> bool {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some((of, shard)) = name.strip_suffix(".json").and_then(|stem| stem.split_once(SHARD)) else {
            return false;
        };
        let is_shard = shard.split_once("-of-").is_some_and(|(number, all)| {
            let [number, all] = [number, all].map(str::parse::<usize>);
            matches!((number, all), (Ok(number), Ok(all)) if Shard::new(number, all).is_ok())
        });
        file.parent() == Some(&self.permutations()) && is_shard && classifier.is_none_or(|classifier| classifier == of)
    }

    /// `permutations/work`: networks on permuted labels while they are trained.
    pub fn permutation_work(self) -> PathBuf {
        self.permutations().join("work")
    }

    /// Whether a file has the name of [`RunLayout::permutation_test`].
    pub fn is_permutation_test(self, file: &Path) -> bool {
        self.is_of_classifier(file, "")
    }

    /// Whether a file has the name of [`RunLayout::unfinished_permutation_test`].
    pub fn is_unfinished_permutation_test(self, file: &Path) -> bool {
        self.is_of_classifier(file, UNFINISHED)
    }

    fn is_of_classifier(self, file: &Path, ending: &str) -> bool {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".json").and_then(|stem| stem.strip_suffix(ending));
        file.parent() == Some(&self.permutations())
            && stem.is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    }

    /// `evaluation`: how far maps can be trusted.
    pub fn evaluation(self) -> EvaluationLayout {
        EvaluationLayout { folder: self.root.join("evaluation") }
    }

    /// `regions`: tables of regions, `<atlas>.tsv`, each with its means over maps, [`RunLayout::region_means`], and its record, `.json`.
    pub fn regions(self) -> PathBuf {
        self.root.join("regions")
    }

    /// `<atlas>_means.tsv`: the means that belong to a table of regions.
    pub fn region_means(table: &Path) -> PathBuf {
        let stem = table.file_stem().unwrap_or_default().to_string_lossy();
        table.with_file_name(format!("{stem}{MEANS}.tsv"))
    }

    /// The table that means belong to, for a file with the name of [`RunLayout::region_means`].
    pub fn table_of_means(file: &Path) -> Option<PathBuf> {
        let stem = file.file_stem()?.to_string_lossy().into_owned();
        Some(file.with_file_name(format!("{}.tsv", stem.strip_suffix(MEANS)?)))
    }

    /// The tables in [`RunLayout::regions`], by name, without those of means.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn region_tables(self) -> Result<Vec<PathBuf>> {
        let folder = self.regions();
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&folder).map_err(Error::io(&folder))?;
        let mut files = entries.map(|e| e.map(|e| e.path()).map_err(Error::io(&folder))).collect::<Result<Vec<_>>>()?;
        files.retain(|f| f.extension().is_some_and(|e| e == "tsv") && Self::table_of_means(f).is_none());
        files.sort();
        Ok(files)
    }

    /// `report.html`.
    pub fn report(self) -> PathBuf {
        self.root.join("report.html")
    }

    /// `figures`: the figures of the report, `.svg` and `.png`.
    pub fn figures(self) -> PathBuf {
        self.root.join("figures")
    }

    pub(super) fn folds(self) -> PathBuf {
        self.root.join("folds")
    }
}

/// The files of a fold, `folds/fold-<n>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldLayout {
    folder: PathBuf,
}

impl FoldLayout {
    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `model.safetensors`.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model.safetensors")
    }

    /// `history.jsonl`: the learning curve, a line an epoch.
    pub fn history(&self) -> PathBuf {
        self.folder.join("history.jsonl")
    }

    /// `split.json`: who was trained on and who was held out.
    pub fn split(&self) -> PathBuf {
        self.folder.join("split.json")
    }

    /// `checkpoint.safetensors`: where training stands, until it has ended.
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint.safetensors")
    }
}

/// The files of `group/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    folder: PathBuf,
}

impl GroupLayout {
    /// `values.partial`: the values of maps while memory does not hold them.
    pub(crate) fn values(&self) -> PathBuf {
        self.folder.join("values.partial")
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `summary.json`: what there is, and from which models.
    pub fn summary(&self) -> PathBuf {
        self.folder.join("summary.json")
    }

    /// `similarity.tsv`: how alike the methods are.
    pub fn similarity(&self) -> PathBuf {
        self.folder.join("similarity.tsv")
    }

    /// `mean_brain.nii.gz`.
    pub fn mean_brain(&self) -> PathBuf {
        self.folder.join("mean_brain.nii.gz")
    }

    /// `brain_mask.nii.gz`: brain in at least half of the subjects.
    pub fn brain_mask(&self) -> PathBuf {
        self.folder.join("brain_mask.nii.gz")
    }

    /// `<group>_stat-<statistic>_desc-<method>_attribution.nii.gz`: the name that `summary.json` knows a map by.
    pub fn map_name(group: &str, statistic: &str, method: &str) -> String {
        format!("{group}_stat-{statistic}_{}_attribution.nii.gz", desc(method))
    }

    /// A map by its name.
    pub fn map(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The files of `linear/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearLayout {
    folder: PathBuf,
}

impl LinearLayout {
    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `[fold-<n>_][channel-<name>_]stat-<kind>_desc-<comparator>_linear.nii.gz`: a map of one fold, or the mean over folds. `kind` is
    /// `weight` or `pattern`.
    pub fn map(&self, fold: Option<usize>, kind: &str, comparator: &str, channel: Option<&str>) -> PathBuf {
        let fold = fold.map_or_else(String::new, |fold| format!("fold-{fold}_"));
        let channel = channel.map_or_else(String::new, |channel| format!("channel-{channel}_"));
        self.folder.join(format!("{fold}{channel}stat-{kind}_{}_linear.nii.gz", desc(comparator)))
    }

    /// `mean_brain.nii.gz`.
    pub fn mean_brain(&self) -> PathBuf {
        self.folder.join("mean_brain.nii.gz")
    }

    /// `brain_mask.nii.gz`: the voxels that at least half of the masks hold.
    pub fn brain_mask(&self) -> PathBuf {
        self.folder.join("brain_mask.nii.gz")
    }

    /// Whether a file of that name can have been made by [`LinearLayout::map`], or is the record of one.
    pub fn is_map_name(name: &str) -> bool {
        let stem = name.strip_suffix("_linear.nii.gz").or_else(|| name.strip_suffix("_linear.json"));
        stem.is_some_and(|stem| stem.contains("stat-") && stem.contains("_desc-"))
    }
}

/// The files of `evaluation/`. A metric is named by its word, `localisation`, `deletion` or `insertion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationLayout {
    folder: PathBuf,
}

impl EvaluationLayout {
    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `<metric>.tsv`: a row a map.
    pub fn table(&self, metric: &str) -> PathBuf {
        self.folder.join(format!("{metric}.tsv"))
    }

    /// `<metric>.json`: the summary over subjects.
    pub fn summary(&self, metric: &str) -> PathBuf {
        self.folder.join(format!("{metric}.json"))
    }

    /// `sub-<id>/sub-<id>_desc-<method>_<metric>.json`: the curves of one map.
    pub fn curves(&self, id: &str, method: &str, metric: &str) -> PathBuf {
        self.folder.join(format!("sub-{id}/sub-{id}_{}_{metric}.json", desc(method)))
    }
}

/// What stands beside the page of a report, under its name: `report_methods.md` beside `report.html`.
#[derive(Clone, Copy, Debug)]
pub struct PageLayout<'a> {
    page: &'a Path,
}

impl<'a> PageLayout<'a> {
    /// The files of a page.
    pub const fn of(page: &'a Path) -> Self {
        Self { page }
    }

    /// `<page>_methods.md`: the methods section of a paper.
    pub fn methods(self) -> PathBuf {
        self.beside("methods.md")
    }

    /// `<page>_references.bib`: the works that it cites.
    pub fn references(self) -> PathBuf {
        self.beside("references.bib")
    }

    /// `<page>_quality.tsv`: numbers on every prepared volume.
    pub fn quality(self) -> PathBuf {
        self.beside("quality.tsv")
    }

    /// `<page>_volumes`: a folder for volumes that the page has no room for.
    pub fn volumes(self) -> PathBuf {
        self.beside("volumes")
    }

    /// `<n>.js`: the name of a file in [`PageLayout::volumes`].
    pub fn volume_name(n: usize) -> String {
        format!("{n}.js")
    }

    /// Whether a file of that name can have been made by [`PageLayout::volume_name`].
    pub fn is_volume_name(name: &str) -> bool {
        name.strip_suffix(".js").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    }

    fn beside(self, what: &str) -> PathBuf {
        self.page.with_file_name(format!("{}_{what}", self.page.file_stem().unwrap_or_default().to_string_lossy()))
    }
}

/// Names of the figures of a report, without their endings.
pub mod figure_name {
    use crate::map::desc;
    use std::path::Path;
    use voxplain_volume::image_stem;

    /// Loss and accuracy by epoch.
    pub const LEARNING_CURVES: &str = "learning-curves";
    /// Sensitivity and specificity.
    pub const ROC: &str = "roc";
    /// Predicted and observed shares.
    pub const CALIBRATION: &str = "calibration";
    /// Truth and prediction.
    pub const CONFUSION: &str = "confusion";
    /// Predicted over true values.
    pub const SCATTER: &str = "predicted-true";
    /// Errors of predicted values.
    pub const BLAND_ALTMAN: &str = "bland-altman";
    /// Where brain masks differ.
    pub const MASK_OVERLAP: &str = "mask-overlap";
    /// All methods at the same cuts.
    pub const METHOD_GALLERY: &str = "method-gallery";
    /// Where each method is strongest.
    pub const METHOD_CONTOURS: &str = "method-contours";
    /// Agreement of methods by rank correlation.
    pub const SIMILARITY_SPEARMAN: &str = "similarity-spearman";
    /// Agreement of methods by overlap.
    pub const SIMILARITY_DICE: &str = "similarity-dice";
    /// Deletion and insertion curves.
    pub const DELETION_INSERTION: &str = "deletion-insertion";
    /// Where the classes of a simulated cohort differ.
    pub const TRUTH: &str = "truth";
    /// How much of each method's maps lies there.
    pub const TRUTH_ENRICHMENT: &str = "truth-enrichment";

    const ALL: [&str; 14] = [
        LEARNING_CURVES,
        ROC,
        CALIBRATION,
        CONFUSION,
        SCATTER,
        BLAND_ALTMAN,
        MASK_OVERLAP,
        METHOD_GALLERY,
        METHOD_CONTOURS,
        SIMILARITY_SPEARMAN,
        SIMILARITY_DICE,
        DELETION_INSERTION,
        TRUTH,
        TRUTH_ENRICHMENT,
    ];

    /// `<group>_stat-mean_desc-<method>_mosaic`: a group's mean map.
    pub fn group_mosaic(group: &str, method: &str) -> String {
        format!("{group}_stat-mean_{}_mosaic", desc(method))
    }

    /// `<name of the map>_mosaic`: one map of a folder.
    pub fn map_mosaic(map: &Path) -> String {
        let name = map.file_name().unwrap_or_default().to_string_lossy();
        image_stem(&name).unwrap_or(&name).replace("_attribution", "_mosaic")
    }

    /// `linear_desc-<comparator>_mosaic`: the mean activation pattern of a linear baseline.
    pub fn linear(comparator: &str) -> String {
        format!("linear_{}_mosaic", desc(comparator))
    }

    /// `regions-<table>_desc-<method>`: regions with most relevance.
    pub fn regions(table: &str, method: &str) -> String {
        let word: String = table.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        format!("regions-{word}_{}", desc(method))
    }

    /// `compare-<name of the comparison>_desc-<what>`: a test of maps.
    pub fn comparison(name: &str, what: &str) -> String {
        let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("compare-{word}_{}", desc(what))
    }

    /// `permutations_desc-<classifier>`.
    pub fn permutations(classifier: &str) -> String {
        format!("permutations_{}", desc(classifier))
    }

    /// Whether a figure of the report of a run can have this name.
    pub fn is_known(stem: &str) -> bool {
        let of_method = |rest: &str| rest.split_once("_desc-").is_some_and(|(_, method)| is_word(method));
        ALL.contains(&stem)
            || stem.strip_suffix("_mosaic").is_some_and(|rest| {
                (rest.contains("_stat-mean_desc-") || rest.starts_with("linear_desc-")) && of_method(rest)
            })
            || stem.strip_prefix("regions-").is_some_and(of_method)
            || stem.strip_prefix("compare-").is_some_and(of_method)
            || stem.strip_prefix("permutations").is_some_and(of_method)
    }

    fn is_word(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())
    }
}
