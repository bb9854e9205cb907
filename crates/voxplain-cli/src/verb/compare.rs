//! `voxplain compare`.

use crate::{
    argument,
    pipeline::{Maps, Needs},
    session::{Outcome, Session},
};
use clap::{Args, ValueEnum};
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    cohort::{Cohort, CohortLayout},
    compare::{
        BlockKind, CompareOptions, CompareSummary, ComparedShard, RegionMeasure, RegionTests, Tail, compare_cohort,
        compare_cohort_shard, compare_run, compare_run_shard,
    },
    group::Scale,
    plural::{counted, does},
    run::Run,
    shard::Share,
    stats::{
        inference::{Neighbours, Tfce},
        significant,
    },
};

/// Test maps or volumes voxel by voxel: groups, numbers, covariates, corrected p-values.
///
/// A linear model is fitted at every voxel: of the maps of a run by one method, or of the volumes of a cohort. The first term of the
/// design, or that of --test, is tested by permutation with the others held constant (Freedman-Lane). p-values are corrected for the
/// number of voxels by the largest statistic of each permutation, after threshold-free cluster enhancement and without. Files are
/// named as FSL's randomise names them: NAME_tstat1, NAME_tfce_corrp_tstat1 (1 - p), NAME_vox_corrp_tstat1, and so on.
#[derive(Debug, Args)]
#[command(after_help = "\
A design is columns of participants.tsv with + between them. Numbers are used as such (centred), words are groups; factor(site) makes
groups of numbers, log(age) takes the logarithm, and mask_volume is the volume of each subject's mask. `1` alone tests the mean.

Examples:
  voxplain compare run --method hires-cam --design 'label + age + log(mask_volume)'
  voxplain compare cohort --design 'sex + age' --out sex_in_volumes --smooth 6
  voxplain compare cohort --design 'age + sex + site' --blocks site --out age_in_volumes --tail less
  voxplain compare run --method saliency --design 1 --tail greater
  voxplain compare cohort --design session --paired participant --out before_after
  voxplain compare cohort --design design.mat --contrasts design.con --test 1 --out as_in_fsl
  voxplain compare run --method hires-cam --design label --regions --atlas BN_Atlas.nii.gz --labels BN_Atlas.txt
  voxplain compare run --method hires-cam --design 1 --regions asymmetry --atlas BN_Atlas.nii.gz --labels BN_Atlas.txt
  voxplain compare run --method hires-cam --design label --shard 1/20    then 2/20 and so on elsewhere, at last merge")]
pub(crate) struct Compare {
    /// A run, whose maps are compared, or a cohort, whose volumes are.
    source: PathBuf,
    /// The design: columns with + between them; or the design matrix of FSL, design.mat, a row for each line of participants.tsv.
    #[arg(long, value_name = "FORMULA|FILE")]
    design: String,
    /// The contrasts of a design in a file, design.con.
    #[arg(long, value_name = "FILE")]
    contrasts: Option<PathBuf>,
    /// The F tests of a design in a file, design.fts.
    #[arg(long, value_name = "FILE", requires = "contrasts")]
    f_tests: Option<PathBuf>,
    /// Compare within pairs: a column that those who belong together share, as the scans of a person or twins.
    #[arg(long, value_name = "C")]
    paired: Option<String>,
    /// The term that is tested [default: the first]; of a design in a file the number or name of a contrast, or F1 for an F test.
    #[arg(long, value_name = "TERM")]
    test: Option<String>,
    /// The method whose maps are compared [default: the only one that the run has maps of].
    #[arg(long, value_name = "M")]
    method: Option<String>,
    /// Where the results go [default: RUN/compare/METHOD_TERM].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Full width at half maximum of a Gaussian that smooths each image before, mm.
    #[arg(long, value_name = "MM", default_value_t = 0.0)]
    smooth: f64,
    /// The voxels that are tested [default: those that the masks of half of the subjects hold].
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// Number of permutations; where fewer differ, all of these.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    permutations: usize,
    /// Take corrected p below 0.1 from a generalised Pareto tail that is fitted to the permutations: 500 then do for small p.
    #[arg(long)]
    pareto_tail: bool,
    /// A column whose values say who is exchanged with whom: sites, families [default: for maps the models that made them].
    #[arg(long, value_name = "C")]
    blocks: Option<String>,
    /// What blocks mean.
    #[arg(long, value_enum, default_value = "within")]
    block_kind: BlockChoice,
    /// Which side of 0 is tested.
    #[arg(long, value_enum, default_value = "two")]
    tail: TailChoice,
    /// Let each subject have a variance of its own (HC3): where groups differ in spread.
    #[arg(long)]
    robust: bool,
    /// Test extent and mass of clusters too, of voxels whose t (F) is at least so far from 0.
    #[arg(long, value_name = "T")]
    cluster: Option<f64>,
    /// Which voxels touch: 6, 18 or 26 neighbours.
    #[arg(long, value_enum, default_value = "26")]
    neighbours: NeighbourChoice,
    /// Powers of extent and height in the enhancement, E,H.
    #[arg(long, value_name = "E,H", value_delimiter = ',', default_value = "0.5,2")]
    tfce: Vec<f64>,
    /// How maps are scaled before they are compared.
    #[arg(long, value_enum, default_value = "model")]
    scale: ScaleChoice,
    /// Compare regions of the atlas in place of voxels: of each the mean, the mean size, or the left less the right.
    #[arg(long, value_enum, value_name = "MEASURE", num_args = 0..=1, default_missing_value = "mean", requires = "atlas")]
    regions: Option<MeasureChoice>,
    /// A label image, for the names of regions in the table of clusters, or for --regions.
    #[arg(long, value_name = "FILE", requires = "labels")]
    atlas: Option<PathBuf>,
    /// The table of its labels; `freesurfer` is FreeSurferColorLUT.txt in $FREESURFER_HOME.
    #[arg(long, value_name = "TABLE", requires = "atlas", value_parser = argument::labels)]
    labels: Option<PathBuf>,
    /// Words of the table that stand for no value, beside the usual ones.
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    missing: Vec<String>,
    /// Leave out subjects without a value of the design, or without a map.
    #[arg(long)]
    keep_going: bool,
    /// Where chance comes from.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Count the I-th of N shares of the permutations alone, or auto: as the variables of SLURM or SGE say of a task of an array. When all are counted,
    /// `voxplain merge` puts them together.
    #[arg(long, value_name = "I/N|auto", value_parser = argument::share, conflicts_with = "force")]
    shard: Option<Share>,
    /// Where the run's cohort lies [default: where the run has it].
    #[arg(long, value_name = "COHORT")]
    cohort: Option<PathBuf>,
    /// Memory that values and maps may take, such as 2GiB; values that do not fit are kept in a file.
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = argument::bytes)]
    memory: usize,
    /// Replace results that are there.
    #[arg(long)]
    force: bool,
}

/// What blocks mean.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum BlockChoice {
    /// Each subject stays in its block.
    Within,
    /// Blocks of one size change places as a whole.
    Whole,
}

impl From<BlockChoice> for BlockKind {
    fn from(kind: BlockChoice) -> Self {
        match kind {
            BlockChoice::Within => Self::Within,
            BlockChoice::Whole => Self::Whole,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TailChoice {
    /// Both.
    Two,
    /// Effects above 0.
    Greater,
    /// Effects below 0.
    Less,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NeighbourChoice {
    /// With a face in common.
    #[value(name = "6")]
    Faces,
    /// With a face or an edge.
    #[value(name = "18")]
    Edges,
    /// With a face, an edge or a corner.
    #[value(name = "26")]
    Corners,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MeasureChoice {
    /// The mean of the signed values of the region (density of relevance).
    Mean,
    /// The mean of their sizes.
    Absolute,
    /// The mean on the left less that of the partner on the right.
    Asymmetry,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScaleChoice {
    /// Each model's maps by one factor, to the same mean size.
    Model,
    /// Each map to a mean absolute value of 1.
    Map,
    /// As they are.
    None,
}

impl Compare {
    /// What it takes and makes.
    pub(crate) fn needs(&self) -> anyhow::Result<Needs> {
        let options = self.options()?;
        let files = [
            ("design", options.design_file()),
            ("contrasts", self.contrasts.as_deref()),
            ("f-tests", self.f_tests.as_deref()),
            ("mask", self.mask.as_deref()),
            ("atlas", self.atlas.as_deref()),
            ("labels", self.labels.as_deref()),
        ];
        Ok(Needs {
            on: Some(("source", self.source.clone())),
            cohort: self.cohort.clone(),
            files: files.into_iter().filter_map(|(key, file)| Some((key, file?.to_owned()))).collect(),
            columns: options.columns()?.into_iter().map(|(setting, column)| (setting.name(), column)).collect(),
            maps: match &self.method {
                Some(method) => Maps::Of(vec![method.clone()]),
                None => Maps::OfOnlyOne { says_out: self.out.is_some() },
            },
            ..Needs::default()
        })
    }

    /// Refuses options that can never work.
    pub(crate) fn check_options(&self) -> anyhow::Result<()> {
        Ok(self.options()?.columns().map(|_| ())?)
    }

    fn options(&self) -> anyhow::Result<CompareOptions> {
        let &[extent, height] = self.tfce.as_slice() else {
            anyhow::bail!("--tfce takes two powers, as in --tfce 0.5,2");
        };
        if self.memory < LEAST_MEMORY {
            anyhow::bail!("--memory: at least {} MB are needed", LEAST_MEMORY / 1_000_000);
        }
        Ok(CompareOptions {
            design: self.design.clone(),
            contrasts: self.contrasts.clone(),
            f_tests: self.f_tests.clone(),
            paired: self.paired.clone(),
            test: self.test.clone(),
            method: self.method.clone(),
            scale: match self.scale {
                ScaleChoice::Model => Scale::Model,
                ScaleChoice::Map => Scale::Map,
                ScaleChoice::None => Scale::None,
            },
            missing: self.missing.clone(),
            keep_going: self.keep_going,
            mask: self.mask.clone(),
            smooth: self.smooth,
            blocks: self.blocks.clone(),
            block_kind: self.block_kind.into(),
            tail: match self.tail {
                TailChoice::Two => Tail::Two,
                TailChoice::Greater => Tail::Greater,
                TailChoice::Less => Tail::Less,
            },
            permutations: self.permutations,
            pareto_tail: self.pareto_tail,
            seed: self.seed,
            robust: self.robust,
            neighbours: match self.neighbours {
                NeighbourChoice::Faces => Neighbours::Faces,
                NeighbourChoice::Edges => Neighbours::Edges,
                NeighbourChoice::Corners => Neighbours::Corners,
            },
            tfce: Tfce { extent, height },
            cluster: self.cluster,
            atlas: self.atlas.clone().zip(self.labels.clone()),
            regions: self.regions.map(|measure| match measure {
                MeasureChoice::Mean => RegionMeasure::Mean,
                MeasureChoice::Absolute => RegionMeasure::Absolute,
                MeasureChoice::Asymmetry => RegionMeasure::Asymmetry,
            }),
            out: self.out.clone(),
            force: self.force,
            memory: self.memory as u64,
        })
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let options = self.options()?;
        let progress = session.progress();
        let is_cohort = CohortLayout::at(&self.source).document().is_file();
        if let Some(shard) = argument::shard(self.shard)? {
            let compared = if is_cohort {
                compare_cohort_shard(Cohort::open(&self.source)?, &options, shard, progress)?
            } else {
                let run = Run::open(&self.source)?.with_cohort(self.cohort.as_deref());
                compare_run_shard(&run, &options, shard, progress)?
            };
            return shard_done(&compared, session);
        }
        let (summary, out) = if is_cohort {
            (compare_cohort(Cohort::open(&self.source)?, &options, progress)?, self.out.clone())
        } else {
            let run = Run::open(&self.source)?.with_cohort(self.cohort.as_deref());
            let summary = compare_run(&run, &options, progress)?;
            let folder = run.layout().compare().join(&summary.name);
            (summary, self.out.clone().or(Some(folder)))
        };
        session.result(&summary, &in_words(&summary))?;
        if let Some(out) = out {
            session.say(&format!("maps and tables in {}", out.display()));
        }
        Ok(Outcome::Done)
    }
}

/// What a shard came to, and what comes next: the others, or to put them together.
fn shard_done(compared: &ComparedShard, session: &Session) -> anyhow::Result<Outcome> {
    let ComparedShard { shard, of, permutations, now, .. } = compared;
    let text = format!("shard {shard} of {of}: {} counted, {now} of them now", counted(*permutations, "permutation"));
    session.result(compared, &text)?;
    match compared.missing.len() {
        _ if compared.compared => {}
        0 => session.next(["merge", &compared.folder.display().to_string()]),
        n => session.say(&format!("{} of {of} {} not counted yet", counted(n, "shard"), does(n, "is", "are"))),
    }
    Ok(Outcome::Done)
}

pub(super) fn in_words(summary: &CompareSummary) -> String {
    let mut text = summary.summary.join("\n");
    let _ = writeln!(text, "\n\n{:<18} {:>16} {:>10} {:>12}", "corrected by", "below p 0.05", "least p", "critical");
    for found in &summary.found {
        let critical = found.critical.map_or_else(|| "-".to_owned(), |value| significant(value, 4));
        let what = match found.by.as_str() {
            "cluster-extent" | "cluster-mass" => "clusters",
            "region" | "region-fdr" => "regions",
            _ => "voxels",
        };
        let count = format!("{} {what}", found.below_005);
        let _ = writeln!(text, "{:<18} {count:>16} {:>10} {critical:>12}", found.by, significant(found.least, 3));
    }
    if let Some(regions) = &summary.regions {
        region_rows(&mut text, regions);
    }
    if summary.clusters.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "\n{:>3} {:<10} {:>7} {:>9} {:>7} {:>22} {:>9}  regions",
        "", "cluster", "voxels", "mm3", "p", "peak x, y, z (mm)", "statistic"
    );
    for row in summary.clusters.iter().take(SHOWN) {
        let Some(peak) = row.peaks.first() else { continue };
        let at = peak.at.map(|v| format!("{:.0}", v.round() + 0.0)).join(", ");
        let _ = writeln!(
            text,
            "{:>3} {:<10} {:>7} {:>9} {:>7} {at:>22} {:>9}  {}",
            row.number,
            row.of,
            row.voxels,
            significant(row.volume, 4),
            significant(row.p, 3),
            significant(peak.statistic, 3),
            row.regions_in_words(3)
        );
    }
    if summary.clusters.len() > SHOWN {
        let _ = writeln!(text, "and {} more in clusters.tsv", summary.clusters.len() - SHOWN);
    }
    text
}

/// The regions with the least p.
fn region_rows(text: &mut String, regions: &RegionTests) {
    let mut tests: Vec<_> = regions.tests.iter().collect();
    tests.sort_by(|a, b| a.p_fwe.total_cmp(&b.p_fwe).then(b.statistic.abs().total_cmp(&a.statistic.abs())));
    let _ = writeln!(
        text,
        "\n{:<40} {:>7} {:>30} {:>9} {:>7} {:>7} {:>7}",
        "region", "voxels", "effect [95 % interval]", "statistic", "p", "p fwe", "fdr"
    );
    for test in tests.iter().take(SHOWN) {
        let effect = test.effect.map_or_else(|| "-".to_owned(), |effect| significant(effect, 3));
        let effect = match test.ends {
            Some([low, high]) => format!("{effect} [{}, {}]", significant(low, 3), significant(high, 3)),
            None => effect,
        };
        let name: String = test.name.chars().take(40).collect();
        let _ = writeln!(
            text,
            "{name:<40} {:>7} {effect:>30} {:>9} {:>7} {:>7} {:>7}",
            test.voxels,
            significant(test.statistic, 3),
            significant(test.p, 2),
            significant(test.p_fwe, 2),
            significant(test.fdr, 2)
        );
    }
    if tests.len() > SHOWN {
        let _ = writeln!(text, "and {} more in regions.tsv", tests.len() - SHOWN);
    }
}

/// With less, everything would be read from a file again and again.
const LEAST_MEMORY: usize = 10_000_000;

/// Clusters and regions that the terminal shows.
const SHOWN: usize = 20;
