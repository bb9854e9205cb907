//! [`compare_run`] and [`compare_cohort`]: a linear model at every voxel of maps or of volumes, tested by permutation.
//!
//! What differs between groups, or changes with a number, is asked of every voxel by itself: of the maps of a run (what the network
//! used), or of the volumes of a cohort (the brains themselves), with other columns of the participants' table held constant.
//! The p-values are corrected for the number of voxels ([`voxplain_stats::inference`]).

mod asked;
mod clusters;
mod design_files;
mod exchange;
mod formula;
mod material;
mod models;
mod output;
mod pairs;
mod place;
mod regional;
mod shards;
mod values;

pub use clusters::{ClusterRow, PeakRow};
pub use formula::{Built, DesignTerm, Formula, Term, Tested, Use};
pub use output::{CompareSummary, FittedTail, Found};
pub use regional::{RegionMeasure, RegionTest, RegionTests};
pub use shards::{ComparedShard, is_compared_in_shards, merge_comparison};

use crate::{
    atlas::Atlas,
    cohort::Cohort,
    group::Scale,
    run::Run,
    setting::{BLOCKS, CLUSTER, DESIGN, FORCE, KEEP_GOING, MASK, MISSING, PAIRED, REGIONS, TAIL, TEST},
    shard::Shard,
};
use exchange::{exchange, refuse_divided};
use material::{Material, of_cohort, of_run};
use place::Place;
pub(crate) use place::{begun_of, rests_of, summary_of};
use regional::Places;
use serde::{Deserialize, Serialize};
use shards::{Shared, Work};
use std::path::{Path, PathBuf};
use values::{Images, Values};
use voxplain_attribution::setting::{ATLAS, LABELS};
use voxplain_core::{Error, Progress, Result, hash_bytes, hash_file, random::Seed, remedy};
use voxplain_stats::inference::{
    Contrast, Counts, Design, Lattice, Model, Neighbours, Permutation, Shuffles, Sides, Tfce, Variance,
};
use voxplain_volume::{Labels, Mask, MaskOptions, image_stem, read_mask};

/// Which side of 0 is tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tail {
    /// Both.
    #[default]
    Two,
    /// Effects above 0.
    Greater,
    /// Effects below 0.
    Less,
}

/// Within what subjects are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Each subject stays in its block.
    #[default]
    Within,
    /// Blocks of one size change places as a whole.
    Whole,
}

/// What is compared, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareOptions {
    /// The design in words ([`Formula`]), or the file of a design matrix as FSL has them (`design.mat`).
    pub design: String,
    /// The contrasts of a design in a file (`design.con`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contrasts: Option<PathBuf>,
    /// Its F tests (`design.fts`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub f_tests: Option<PathBuf>,
    /// A column whose values say which images are compared with each other: the scans of a person, twins. Each value has a mean of its own, and
    /// images are exchanged within it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paired: Option<String>,
    /// The term that is tested; the first where none is named.
    pub test: Option<String>,
    /// The method whose maps are compared; of a run that has maps of one alone, that.
    pub method: Option<String>,
    /// How maps are scaled before they are compared.
    pub scale: Scale,
    /// Words that stand for no value, beside the usual ones.
    pub missing: Vec<String>,
    /// Subjects without a value of the design, or without a map, are left out with a warning.
    pub keep_going: bool,
    /// The voxels that are tested; by default those of at least half of the subjects' masks.
    pub mask: Option<PathBuf>,
    /// Full width at half maximum of the smoothing before, mm; 0 for none.
    pub smooth: f64,
    /// A column of blocks: who stays with whom.
    pub blocks: Option<String>,
    /// What blocks mean.
    pub block_kind: BlockKind,
    /// Which side of 0 is tested.
    pub tail: Tail,
    /// How many shuffles.
    pub permutations: usize,
    /// Take corrected p-values below a tenth from a tail that is fitted to the shuffles ([`ParetoTail`](voxplain_stats::inference::ParetoTail)).
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub pareto_tail: bool,
    /// Where chance comes from.
    pub seed: u64,
    /// Whether each subject has a variance of its own ([`Variance::Robust`]).
    pub robust: bool,
    /// Which voxels touch.
    pub neighbours: Neighbours,
    /// Powers of the extent and the height.
    pub tfce: Tfce,
    /// The size of t (F) from which on voxels form clusters whose extent and mass are tested; none without.
    pub cluster: Option<f64>,
    /// An atlas and the table of its labels, for the names in the table of clusters, or for regions.
    pub atlas: Option<(PathBuf, PathBuf)>,
    /// Compare regions of the atlas in place of voxels, and what of each.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub regions: Option<RegionMeasure>,
    /// Where results go; for a run `compare/<method>_<term>` in it.
    pub out: Option<PathBuf>,
    /// Replaces results that are there.
    pub force: bool,
    /// Memory that values and maps of shuffles may take, bytes.
    pub memory: u64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            design: "1".into(),
            contrasts: None,
            f_tests: None,
            paired: None,
            test: None,
            method: None,
            scale: Scale::default(),
            missing: Vec::new(),
            keep_going: false,
            mask: None,
            smooth: 0.0,
            blocks: None,
            block_kind: BlockKind::default(),
            tail: Tail::default(),
            permutations: 5000,
            pareto_tail: false,
            seed: 0,
            robust: false,
            neighbours: Neighbours::default(),
            tfce: Tfce::default(),
            cluster: None,
            atlas: None,
            regions: None,
            out: None,
            force: false,
            memory: 2 << 30,
        }
    }
}

/// Which part of a comparison is done.
#[derive(Clone, Copy, Debug)]
enum Part<'a> {
    /// All of it, with what shards have counted.
    All,
    /// The shuffles of a shard.
    Shard(Shard),
    /// What shards have counted is put together in this folder, and nothing is counted.
    Merge { folder: &'a Path, shared: &'a Shared },
}

/// What was done.
enum Compared {
    Whole(Box<CompareSummary>),
    Shard(ComparedShard),
}

impl Compared {
    fn into_whole(self) -> Result<CompareSummary> {
        match self {
            Self::Whole(summary) => Ok(*summary),
            Self::Shard(_) => Err(Error::request("a shard was compared in place of all", "report this")),
        }
    }

    fn into_shard(self) -> Result<ComparedShard> {
        match self {
            Self::Shard(compared) => Ok(compared),
            Self::Whole(_) => Err(Error::request("all was compared in place of a shard", "report this")),
        }
    }
}

/// Compares the maps of a run by one method.
///
/// Only maps by models that never saw the subject count. Maps by one model are alike, so that subjects are exchanged within the models that
/// made their maps, unless blocks are given.
///
/// # Errors
/// Those of [`Formula::build`]; maps that are missing; results that are there and were made in another way.
pub fn compare_run(run: &Run, options: &CompareOptions, progress: &dyn Progress) -> Result<CompareSummary> {
    compare_part(&of_run(run, options, progress)?, options, Part::All, progress)?.into_whole()
}

/// Counts the shuffles of a shard of [`compare_run`] alone (shuffle `u`, from 0, is of shard `1 + u mod N`). Others may count other shards at the
/// same time; [`merge_comparison`] then puts together what they counted.
///
/// # Errors
/// Those of [`compare_run`]; shards were begun with other options, of other data or in another number.
pub fn compare_run_shard(
    run: &Run,
    options: &CompareOptions,
    shard: Shard,
    progress: &dyn Progress,
) -> Result<ComparedShard> {
    compare_part(&of_run(run, options, progress)?, options, Part::Shard(shard), progress)?.into_shard()
}

/// Compares the prepared volumes of a cohort.
///
/// # Errors
/// Those of [`Formula::build`]; no folder for the results; results that are there and were made in another way.
pub fn compare_cohort(cohort: Cohort, options: &CompareOptions, progress: &dyn Progress) -> Result<CompareSummary> {
    compare_part(&of_cohort(cohort, options)?, options, Part::All, progress)?.into_whole()
}

/// [`compare_run_shard`] of [`compare_cohort`].
///
/// # Errors
/// Those of [`compare_cohort`]; shards were begun with other options, of other data or in another number.
pub fn compare_cohort_shard(
    cohort: Cohort,
    options: &CompareOptions,
    shard: Shard,
    progress: &dyn Progress,
) -> Result<ComparedShard> {
    compare_part(&of_cohort(cohort, options)?, options, Part::Shard(shard), progress)?.into_shard()
}

/// The comparisons in a run's own folder that are finished, by name: each, or why it cannot be taken: it is damaged, or of other models or
/// maps than the run has now.
///
/// # Errors
/// The folder, or the run's models, cannot be read.
pub fn comparisons(run: &Run) -> Result<Vec<(PathBuf, Result<CompareSummary>)>> {
    let folder = run.layout().compare();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).map_err(Error::io(&folder))?;
    let mut folders: Vec<PathBuf> =
        entries.map(|e| e.map(|e| e.path()).map_err(Error::io(&folder))).collect::<Result<_>>()?;
    folders.retain(|folder| summary_of(folder).is_file());
    folders.sort();
    let (models, _) = run.models_there()?;
    let again = || remedy!["compare again, with ", FORCE];
    let read = |folder: &Path| -> Result<CompareSummary> {
        let file = summary_of(folder);
        let summary: CompareSummary = voxplain_core::seal::read_with_files(&file, again())?;
        models.check(&file, &summary.models, again())?;
        summary.made_from.check(run, &file, again())?;
        Ok(summary)
    };
    Ok(folders.into_iter().map(|folder| (folder.clone(), read(&folder))).collect())
}

/// The comparison in a folder, where there is one.
///
/// # Errors
/// It is damaged.
pub(crate) fn whole(folder: &Path) -> Result<Option<CompareSummary>> {
    let file = summary_of(folder);
    // Group maps have a summary, too.
    if !file.is_file() || !folder.join(DESIGN_TABLE).is_file() {
        return Ok(None);
    }
    voxplain_core::seal::read_with_files(&file, remedy!["compare again, with ", FORCE]).map(Some)
}

/// The matrix of the design, in the folder of every comparison.
const DESIGN_TABLE: &str = "design.tsv";

/// What the label of a run may be called in a design.
const LABEL_TERM: &str = "label";

fn compare_part(
    material: &Material,
    options: &CompareOptions,
    part: Part<'_>,
    progress: &dyn Progress,
) -> Result<Compared> {
    check(options)?;
    let cohort = &material.cohort;
    let in_file = design_files::is_file(&options.design);
    let mut built = design_of(material, options, progress)?;
    if options.blocks.is_none() && options.block_kind == BlockKind::Whole {
        return Err(Error::request(
            "blocks are to be exchanged as a whole, and no column says which they are",
            remedy!["name the column with ", BLOCKS],
        ));
    }
    if let Some(persons) = cohort.persons(&built.subjects)? {
        refuse_divided(cohort, &built, &persons, options)?;
    }
    let mut tested = if in_file {
        let (contrasts, f_tests) = (options.contrasts.as_deref(), options.f_tests.as_deref());
        design_files::tested(&built, contrasts, f_tests, options.test.as_deref())?
    } else {
        built.tested(options.test.as_deref())?
    };
    if let Some(column) = &options.paired {
        pairs::refuse_constant(&built, &tested, column, cohort)?;
    }
    let variance = if options.robust { Variance::Robust } else { Variance::Equal };
    let modelled = |built: &Built, tested: &Tested| {
        let mut contrast = tested.contrast.clone();
        if options.tail == Tail::Less {
            contrast.rows.iter_mut().flatten().for_each(|w| *w = -*w);
        }
        Ok::<_, Error>((Model::new(&built.design, &contrast, variance)?, contrast))
    };
    let (mut model, mut contrast) = modelled(&built, &tested)?;
    let name = name_of(material.maps.as_ref().map(|(method, ..)| method.as_str()), &tested.term.term, options);
    let out = match (part, &options.out, &material.usual) {
        (Part::Merge { folder, .. }, ..) => folder.to_owned(),
        (_, Some(out), _) => out.clone(),
        (_, None, Some(folder)) => folder.join(&name),
        (_, None, None) => PathBuf::from(&name),
    };
    let kept: Vec<usize> =
        built.subjects.iter().filter_map(|subject| material.subjects.iter().position(|s| s == subject)).collect();
    let maps = material.maps.as_ref().map(|(method, maps, models)| {
        let of: Vec<PathBuf> = kept.iter().map(|n| maps[*n].clone()).collect();
        let by: Vec<String> = kept.iter().map(|n| models[*n].clone()).collect();
        (method, of, by)
    });
    // Where subjects are exchanged within the models of their maps, what these maps share is held constant. A matrix from a file stays as it is.
    if let Some((.., by)) = &maps
        && options.paired.is_none()
        && options.blocks.is_none()
        && !in_file
        && model.explains_mean()
        && let Some(with_models) = models::held_constant(&built, by)?
    {
        built = with_models;
        tested = built.tested(options.test.as_deref())?;
        (model, contrast) = modelled(&built, &tested)?;
    }
    let (exchange, exchange_words) =
        exchange(material, options, &built, &model, maps.as_ref().map(|(.., by)| by.as_slice()))?;
    let (grid, space) = cohort.common_grid();
    let images = Images {
        cohort,
        subjects: &built.subjects,
        maps: maps.as_ref().map(|(_, of, by)| (of.as_slice(), by.as_slice(), options.scale)),
        smooth: options.smooth,
    };
    let mask = match &options.mask {
        Some(path) => read_mask(path, &MaskOptions::brain(None))?.on(&grid)?,
        None => images.majority(&grid)?,
    };
    if mask.count() == 0 {
        return Err(Error::request(
            "no voxel lies in the masks of half of the subjects",
            remedy!["give the voxels to be tested with ", MASK],
        ));
    }
    let atlas = options.atlas.as_ref().map(|(image, table)| Atlas::open(image, table, false)).transpose()?;
    let labels = atlas.as_ref().map(|atlas| Ok::<_, Error>((atlas, atlas.on_grid(&grid)?))).transpose()?;
    let places = match (options.regions, &labels) {
        (None, _) => None,
        (Some(measure), Some((atlas, labels))) => Some((Places::of(atlas, labels, &mask, measure)?, labels)),
        (Some(_), None) => {
            return Err(Error::request(
                "regions are to be compared, and no atlas says which",
                remedy!["name the label image and its table with ", ATLAS, " and ", LABELS],
            ));
        }
    };
    let of_atlas = labels.as_ref().map(|(_, labels)| labels);
    let key = key(material, options, &built, (&mask, &tested.contrast), of_atlas)?;
    let shard = match part {
        Part::Shard(shard) => Some(shard),
        Part::All | Part::Merge { .. } => None,
    };
    let place = Place::at(&out, key, options.force)?;
    let there = |summary: CompareSummary| match shard {
        Some(shard) => Compared::Shard(ComparedShard::of_whole(shard, &summary, &out)),
        None => Compared::Whole(Box::new(summary)),
    };
    if !options.force
        && let Some(summary) = place.finished()?
    {
        place.clear_left()?;
        progress.note(&format!("{} is there already, made in this way", out.display()));
        return Ok(there(summary));
    }
    // What can be refused, before anything is read.
    let is_f = model.rank() > 1;
    if is_f && options.tail != Tail::Two {
        return Err(Error::request(
            format!("{} is tested by F, which has no sides", tested.term.term),
            remedy!["leave out ", TAIL],
        ));
    }
    // Of several columns at once the test is of all of them together.
    if let [row] = contrast.rows.as_slice() {
        about_inflation(&built.design, row).iter().for_each(|what| progress.warn(what));
    }
    let shuffles =
        Shuffles::new(&built.design, &exchange, options.permutations, Seed::new(options.seed).child("shuffles"))?;
    let _claim = place.claim(shard, progress)?;
    if options.force {
        place.clear()?;
    } else if let Some(summary) = place.finished()? {
        // Who was at work until now has ended it.
        return Ok(there(summary));
    }
    let shared = match shard {
        Some(shard) => {
            let units: Vec<usize> = shard.units(shuffles.len()).collect();
            progress.note(&shard.describe(&units, shuffles.len(), "permutation"));
            let shared = Shared::of(shard, &place, material.source.clone(), options, shuffles.len());
            shared.share(&place)?;
            if let Some(done) = shards::done(&place, &shared, shard)? {
                return Ok(Compared::Shard(done));
            }
            Some(shared)
        }
        None => Shared::read(&place)?,
    };
    if let Some(shared) = &shared {
        shared.check(&place)?;
        if let Part::Merge { .. } = part {
            shared.refuse_missing(&place)?;
        }
    }
    let scratch = place.scratch(shard);
    place.begin(&scratch, shared.is_some())?;
    let values = match &places {
        None => images.gather(&mask, options.memory / 2, &scratch, progress)?,
        Some((places, labels)) => {
            let (factors, scale) = images.factors(progress)?;
            let rows = places.gather((&images, &factors), labels, &mask, progress)?;
            Values { rows: Box::new(rows), mask: mask.clone(), constant: 0, scale }
        }
    };
    let lattice = match &places {
        None => Lattice::new(grid.shape, values.mask.data(), options.neighbours)?,
        Some((places, _)) => Lattice::apart(places.all.len())?,
    };
    let analysis = Permutation {
        shuffles,
        model,
        lattice,
        sides: if is_f || options.tail != Tail::Two { Sides::Above } else { Sides::Two },
        tfce: places.is_none().then_some(options.tfce),
        #[expect(clippy::cast_possible_truncation, reason = "statistics are single precision")]
        threshold: options.cluster.map(|t| t as f32),
    };
    let (fit, enhanced) = analysis.observe(values.rows.as_ref())?;
    let work = Work {
        analysis: &analysis,
        rows: values.rows.as_ref(),
        fit: &fit,
        enhanced: enhanced.as_deref(),
        bytes: usize::try_from(options.memory / 2).unwrap_or(usize::MAX),
    };
    let counts = match (shard, &shared) {
        (Some(shard), Some(shared)) => {
            return shards::count(&place, shared, shard, &work, progress).map(Compared::Shard);
        }
        (_, Some(shared)) => shards::together(&place, shared, &work, progress)?,
        (_, None) => {
            let mut counts: Counts = place.counts()?.unwrap_or_default();
            let observed = (work.fit, work.enhanced);
            let ran = analysis.run(work.rows, observed, &mut counts, work.bytes, progress);
            if let Err(error) = ran {
                place.keep(&counts)?;
                return Err(error);
            }
            counts
        }
    };
    // Effect sizes are those of the ordinary fit: a t by variances of each subject's own is none of pooled deviations.
    let plain_t = if options.robust {
        let plain = Permutation {
            model: Model::new(&built.design, &contrast, Variance::Equal)?,
            tfce: None,
            ..analysis.clone()
        };
        Some(plain.observe(values.rows.as_ref())?.0.statistic)
    } else {
        None
    };
    let summary = output::write(
        &place,
        &output::Results {
            options,
            design: match part {
                Part::Merge { shared, .. } => shared.design(),
                Part::All | Part::Shard(_) => &options.design,
            },
            cohort,
            built: &built,
            tested: &tested,
            method: maps.as_ref().map(|(method, ..)| method.as_str()),
            models: maps.as_ref().map(|(.., by)| by.as_slice()),
            made_from: &material.made_from,
            targets: material.targets.as_deref(),
            analysis: &analysis,
            exchange_words: &exchange_words,
            fit: &fit,
            plain_t: plain_t.as_deref().unwrap_or(&fit.statistic),
            enhanced: enhanced.as_deref().unwrap_or_default(),
            regions: places.as_ref().map(|(places, _)| (places, values.rows.as_ref())),
            counts: &counts,
            mask: &values.mask,
            constant: values.constant,
            scale: values.scale.clone(),
            space: &space,
            labels: labels.as_ref().map(|(atlas, labels)| (*atlas, labels)),
            is_f,
            name: &name,
        },
    )?;
    Ok(Compared::Whole(Box::new(summary)))
}

/// The design of the subjects, and what is doubtful in it.
fn design_of(material: &Material, options: &CompareOptions, progress: &dyn Progress) -> Result<Built> {
    let cohort = &material.cohort;
    let last = material.last.as_ref().map(|(column, class)| (column.as_str(), class.as_str()));
    let mut built = if design_files::is_file(&options.design) {
        design_files::built(Path::new(&options.design), cohort, &material.subjects)?
    } else {
        refuse_files(options)?;
        let mut formula = Formula::parse(&options.design)?;
        // `label` is what a run has learnt, whatever its column is called.
        if let Some((column, _)) =
            material.last.as_ref().filter(|_| !cohort.participants.columns.iter().any(|c| c == LABEL_TERM))
        {
            formula
                .terms
                .iter_mut()
                .filter(|term| term.column == LABEL_TERM)
                .for_each(|term| term.column.clone_from(column));
        }
        let (mut subjects, mut alone) = (material.subjects.clone(), Vec::new());
        if let Some(column) = &options.paired {
            (subjects, alone) = pairs::members(cohort, &subjects, column, options)?;
            formula.terms.retain(|term| term.column != *column);
            formula.terms.push(Term { column: column.clone(), is: Use::Factor });
        }
        let mut built = formula.build(cohort, &subjects, &options.missing, last, options.keep_going)?;
        built.left_out.splice(0..0, alone);
        built
    };
    built.left_out.splice(0..0, material.left_out.iter().cloned());
    for doubt in &built.doubts {
        progress.advise(
            doubt,
            &remedy![
                "mend them; words that stand for no value are named with ",
                MISSING,
                ", and ",
                KEEP_GOING,
                " leaves those subjects out"
            ],
        );
    }
    Ok(built)
}

fn check(options: &CompareOptions) -> Result<()> {
    if options.permutations < 1 || options.permutations > 10_000_000 {
        return Err(Error::request(
            format!("{} permutations", options.permutations),
            "choose from 1 to 10000000; 5000 is usual",
        ));
    }
    if !(options.smooth.is_finite() && (0.0..=100.0).contains(&options.smooth)) {
        return Err(Error::request(format!("a smoothing of {} mm", options.smooth), "choose from 0 to 100 mm (FWHM)"));
    }
    if options.cluster.is_some_and(|t| !t.is_finite() || t <= 0.0) {
        return Err(Error::request(
            "the threshold of clusters is not above 0",
            remedy!["give a size of t with ", CLUSTER],
        ));
    }
    let powers = [options.tfce.extent, options.tfce.height];
    if powers.iter().any(|p| !p.is_finite() || *p < 0.0 || *p > 10.0) || powers == [0.0; 2] {
        return Err(Error::request(
            format!("powers of {powers:?} of the enhancement"),
            "choose from 0 to 10, not both 0; 0.5 and 2 are usual",
        ));
    }
    if options.paired.is_some() && options.blocks.is_some() {
        return Err(Error::request(
            "images are exchanged within pairs, and are to be exchanged by blocks too",
            remedy!["leave out ", BLOCKS, " or ", PAIRED],
        ));
    }
    if options.regions.is_some() && options.cluster.is_some() {
        return Err(Error::request(
            "regions of an atlas form no clusters",
            remedy!["leave out ", CLUSTER, ", or compare voxels, without ", REGIONS],
        ));
    }
    Ok(())
}

/// Refuses what belongs to a design in a file.
fn refuse_files(options: &CompareOptions) -> Result<()> {
    if options.contrasts.is_none() && options.f_tests.is_none() {
        return Ok(());
    }
    Err(Error::request(
        format!("the design is in words (`{}`), and contrasts are given for one in a file", options.design),
        remedy!["give the file of the design matrix (design.mat) with ", DESIGN, ", or name the term with ", TEST],
    ))
}

/// `guidedbackprop_label`, `volume_age`; of regions `hirescam_label_BNAtlas246_asymmetry`.
fn name_of(method: Option<&str>, term: &str, options: &CompareOptions) -> String {
    let plain = |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).collect() };
    let term = if term == "1" { "mean".to_owned() } else { plain(term) };
    let of = format!("{}_{term}", method.map_or_else(|| "volume".into(), plain));
    match (options.regions, &options.atlas) {
        (Some(measure), Some((atlas, _))) => {
            let file = atlas.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{of}_{}_{}", plain(image_stem(&file).unwrap_or(&file)), measure.name())
        }
        _ => of,
    }
}

/// What decides the result: everything but where it goes and how much memory there is. Of files it is what they hold, wherever they lie.
fn key(
    material: &Material,
    options: &CompareOptions,
    built: &Built,
    (mask, contrast): (&Mask, &Contrast),
    labels: Option<&Labels>,
) -> Result<String> {
    let table = options.atlas.as_ref().map(|(image, table)| {
        // Names of results have it.
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        hash_file(table).map(|table| (name, table))
    });
    let table = table.transpose()?;
    let in_file = design_files::is_file(&options.design);
    let options = CompareOptions {
        design: if in_file { "a file".into() } else { options.design.clone() },
        contrasts: None,
        f_tests: None,
        mask: None,
        atlas: None,
        out: None,
        force: false,
        memory: 0,
        keep_going: false,
        ..options.clone()
    };
    let hashes: Vec<&str> = built.subjects.iter().map(|n| material.cohort.subjects[*n].hash.as_str()).collect();
    let inside: Vec<u8> = mask.data().iter().map(|inside| u8::from(*inside)).collect();
    let matrix: Vec<f64> = built.design.matrix().iter().copied().collect();
    let labels: Option<Vec<u32>> = labels.map(|labels| labels.data().to_vec());
    let labels = labels.map(|labels| hash_bytes(&labels.iter().flat_map(|l| l.to_le_bytes()).collect::<Vec<u8>>()));
    let made = serde_json::json!([
        options,
        contrast,
        labels,
        table,
        hashes,
        matrix,
        material.made_from,
        hash_bytes(&inside),
        env!("CARGO_PKG_VERSION")
    ]);
    Ok(hash_bytes(made.to_string().as_bytes()))
}

/// The inflation of variance from which on a column is named: nine tenths of it are told by the others.
const INFLATED: f64 = 10.0;

/// That a column that is tested goes with the others, so that little of it is left to be tested.
fn about_inflation(design: &Design, contrast: &[f64]) -> Vec<String> {
    let each = design.names().iter().zip(design.inflation()).zip(contrast);
    each.filter(|(_, weight)| **weight != 0.0)
        .filter_map(|((name, inflation), _)| {
            let inflation = inflation.filter(|inflation| *inflation >= INFLATED)?;
            Some(format!(
                "{name} goes with the other columns of the design (R² {:.3}, variance inflation {inflation:.0}): what is tested is the {:.1} % of it that \
                 they leave, and that may be too little to find anything in",
                1.0 - 1.0 / inflation,
                100.0 / inflation
            ))
        })
        .collect()
}
