//! `voxplain prepare`.

use crate::{
    argument::{self, Intensities, Precision},
    pipeline::{Makes, Needs},
    plan::Asked,
    session::{Outcome, Session},
    shell::Shell,
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use voxplain::plural::{counted, does};
use voxplain::{
    cohort::{Cohort, VolumeType},
    prepare::{self, EntityFilter, Failure, MaskRule, PrepareOptions, PrepareSummary, PreparedShard, Site, Space},
    shard::Share,
    volume::Sizes,
};

/// Bring every image of a cohort to one grid.
///
/// SOURCE is a BIDS dataset (or derivatives such as fMRIPrep's), a `SUBJECTS_DIR` of FreeSurfer, a folder of images, a table
/// (.csv, .tsv) with a column of paths, or ready tensors (.npy, .npy.gz, shape [N, i, j, k]). Labels and covariates come from --participants, or from participants.tsv in SOURCE.
/// Several sources come into one cohort, with a column `site` that `train --group site` keeps apart.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain prepare bids --mask _desc-brain_mask.nii.gz --out cohort
  voxplain prepare images --mask masks --out cohort
  voxplain prepare bids --channel T1w --channel FLAIR --mask _desc-brain_mask.nii.gz --out cohort
  voxplain prepare fmriprep --participants bids/participants.tsv --image-space none --mask _desc-brain_mask.nii.gz --out cohort
  voxplain prepare $SUBJECTS_DIR --image T1.mgz --mask brainmask.mgz --out cohort
  voxplain prepare images --participants people.csv --id-column MRID --mask _mask.nii.gz --align MNI152_brain.nii.gz --out cohort
  voxplain prepare bids --out cohort --shard 1/8    then 2/8 and so on elsewhere; voxplain merge cohort
  voxplain prepare leipzig london --site LEI --site LON --site-in-id --mask _mask.nii.gz --out cohort")]
pub(crate) struct Prepare {
    /// A BIDS dataset, a `SUBJECTS_DIR`, a folder of images, a table of paths, or tensors; several, but tensors, come into one
    /// cohort.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Directory to make.
    #[arg(long, value_name = "COHORT")]
    out: PathBuf,
    /// Table of labels and covariates (CSV or TSV). Of several sources each has its own participants.tsv, or give a table for
    /// each, in their order, or one that has the ids of all.
    #[arg(long, value_name = "TSV")]
    participants: Vec<PathBuf>,
    /// The name of a source in the column `site`, once for each source in their order [default: the name of its folder].
    #[arg(long, value_name = "NAME")]
    site: Vec<String>,
    /// Put the name of its source before each id, where several sources have the same ids for different people.
    #[arg(long)]
    site_in_id: bool,
    /// Its column with the ids [default: participant_id].
    #[arg(long, value_name = "C")]
    id_column: Option<String>,
    /// The column of paths, when SOURCE is a table; relative to the table [default: path].
    #[arg(long, value_name = "C", conflicts_with = "channels")]
    path_column: Option<String>,
    /// Only images of these sessions (BIDS `ses`): 2, or 1,2, or none for images without; lists may have none too.
    #[arg(long, value_name = "SES")]
    session: Option<String>,
    /// Keep every session of a person as a row of its own (01_ses-1), with columns `person` and `session_id`: `train` then
    /// never has one person on both sides of a split. Labels are those of the person's row, or of the row with its `session_id`,
    /// and what sub-01/sub-01_sessions.tsv says. Table of paths: a row each.
    #[arg(long)]
    each_session: bool,
    /// The column that says whose image a row is, where people have several [default: person, if there is one].
    #[arg(long, value_name = "C")]
    person_column: Option<String>,
    /// Which image of each subject's folder mri is taken, when SOURCE is a `SUBJECTS_DIR`: T1.mgz, norm.mgz, orig.mgz
    /// [default: brain.mgz, which is skull-stripped].
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Which images, where their masks are, and what becomes of them.
    #[command(flatten)]
    how: How,
    /// The column of the paths of masks, when SOURCE is a table; relative to the table [default: mask, if it is there].
    #[arg(long, value_name = "C", conflicts_with_all = ["mask", "whole_head"])]
    mask_column: Option<String>,
    /// Only the I-th of N shares of the images, in the order of their ids, or auto: as the variables of SLURM or SGE say of a task of an array.
    /// Several processes, also on several machines, may prepare shares of one cohort at the same time, into COHORT.shards;
    /// `voxplain merge COHORT` then makes the cohort of them, the same as if it had been prepared at once.
    #[arg(long, value_name = "I/N|auto", value_parser = argument::share, conflicts_with = "force")]
    shard: Option<Share>,
    /// Take people over from this cohort whose images and masks have the bytes that they had there, and prepare the others: so a cohort grows.
    /// What says how images are prepared must be as it was there. The result is the same as without.
    #[arg(long, value_name = "COHORT")]
    reuse: Option<PathBuf>,
    /// Go on without images that have no row, rows that have no image, and subjects that cannot be prepared.
    #[arg(long)]
    keep_going: bool,
    /// Start over, replacing a cohort that is there.
    #[arg(long)]
    force: bool,
}

/// Which images of a source are taken, where their masks are, and what becomes of them.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Several images of each person, that a network takes together: once for each, in their order. In a BIDS dataset a suffix
    /// (T1w, FLAIR), in a table a column of paths. Mask, alignment and grid are those of the first, and the others must be registered
    /// to it; each is normalised by itself [default: one image of each, T1w in a BIDS dataset].
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// Only images whose path below SOURCE contains this text, or matches it where it has a `*`.
    #[arg(long, value_name = "PATTERN")]
    include: Option<String>,
    /// Leave out images whose path below SOURCE contains this text, or matches it where it has a `*`.
    #[arg(long, value_name = "PATTERN")]
    exclude: Option<String>,
    /// Only these runs (BIDS `run`): 1, or 1,none to keep images without a run, or none.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only images in these spaces (BIDS `space`), or none.
    #[arg(long, value_name = "SPACE")]
    image_space: Option<String>,
    /// Only these reconstructions (BIDS `rec`), or none.
    #[arg(long, value_name = "REC")]
    rec: Option<String>,
    /// Only these acquisitions (BIDS `acq`), or none.
    #[arg(long, value_name = "ACQ")]
    acq: Option<String>,
    /// Brain masks (not 0 in the brain): the ending of a file per subject (_mask.nii.gz; brainmask.mgz in a `SUBJECTS_DIR`), a
    /// folder of masks, some files of a folder ('masks/*_brain.nii.gz', in quotes), one file for all, or `nonzero`: where the image
    /// itself is not 0, for skull-stripped images [default: the column of masks of a table of paths, else nonzero].
    #[arg(long, value_name = "SUFFIX|FOLDER|FILE|nonzero")]
    mask: Option<MaskRule>,
    /// Take images without brain masks though they show whole heads. Every result that stands on them says so.
    #[arg(long, conflicts_with = "mask")]
    whole_head: bool,
    /// The value above which a voxel of a mask is in the brain, for masks with soft edges or other codes [default: a mask
    /// must hold 0 and one other value, or labels].
    #[arg(long, value_name = "VALUE", value_parser = argument::threshold, allow_hyphen_values = true)]
    mask_threshold: Option<f64>,
    /// Shape of the grid [default: 58x70x58; tensors keep their own].
    #[arg(long, value_name = "IxJxK", value_parser = argument::shape)]
    grid: Option<[usize; 3]>,
    /// Spacing of the grid in mm, one number or three (2x2x3) [default: 3].
    #[arg(long, value_name = "MM", value_parser = spacing)]
    spacing: Option<[f64; 3]>,
    /// Where the grid lies: on the centre of gravity of each subject's brain mask, or one grid for all, for images in a
    /// template space (on the middle of the first image's field of view; see also --origin).
    #[arg(long, value_enum, default_value_t = Where::Mask)]
    space: Where,
    /// One grid for all, with its first voxel there: world position in mm, `-84,-123,-72`. Needed for tensors.
    #[arg(long, value_name = "X,Y,Z", value_parser = origin, allow_hyphen_values = true, conflicts_with = "space")]
    origin: Option<[f64; 3]>,
    /// Turn and shift each brain to this skull-stripped template (MNI152, say) before it is put on the grid, so that maps can
    /// be read off in the template's atlases. A fit with nine parameters; nothing is warped, left stays left.
    #[arg(long, value_name = "TEMPLATE")]
    align: Option<PathBuf>,
    /// Whether brains keep their size under --align, or are scaled to the template's (to take size away as a cue).
    #[arg(long, value_enum, default_value_t = Size::Keep, requires = "align")]
    align_size: Size,
    /// How intensities inside the mask are brought to one scale; outside they become 0.
    #[arg(long, value_enum, default_value_t = Intensities::Robust)]
    normalize: Intensities,
    /// How volumes are kept: float16 takes half of the disk and of what is read in each epoch. It changes each value by 1 part in 2048 at
    /// most.
    #[arg(long, value_enum, default_value_t = Precision::Float32)]
    dtype: Precision,
}

/// `--space`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Where {
    Mask,
    Template,
}

/// `--align-size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    Keep,
    Remove,
}

impl From<Size> for Sizes {
    fn from(size: Size) -> Self {
        match size {
            Size::Keep => Self::Keep,
            Size::Remove => Self::Remove,
        }
    }
}

impl How {
    /// As options of a preparation, without those that are not of it.
    pub(crate) fn options(&self) -> PrepareOptions {
        PrepareOptions {
            channels: self.channels.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            entities: [("run", &self.run), ("space", &self.image_space), ("rec", &self.rec), ("acq", &self.acq)]
                .into_iter()
                .filter_map(|(entity, values)| Some(EntityFilter::new(entity, values.as_deref()?)))
                .collect(),
            mask: self.mask.clone().unwrap_or_default(),
            mask_threshold: self.mask_threshold,
            whole_head: self.whole_head,
            shape: self.grid,
            spacing: self.spacing,
            space: match (self.origin, self.space) {
                (Some(origin), _) => Space::Origin(origin),
                (None, Where::Mask) => Space::Mask,
                (None, Where::Template) => Space::Template,
            },
            align: self.align.clone(),
            sizes: self.align_size.into(),
            normalize: self.normalize.into(),
            dtype: self.dtype.into(),
            ..PrepareOptions::default()
        }
    }
}

impl Prepare {
    /// What is asked for, for who measures it.
    pub(crate) fn asked(&self) -> anyhow::Result<Asked> {
        let (sites, options) = self.options()?;
        Ok(Asked::Prepare(sites, self.out.clone(), Box::new(options)))
    }

    /// What it takes and makes.
    pub(crate) fn needs(&self) -> anyhow::Result<Needs> {
        let (sites, options) = self.options()?;
        Ok(Needs { makes: Makes::Cohort(self.out.clone(), sites, Box::new(options)), ..Needs::default() })
    }

    fn options(&self) -> anyhow::Result<(Vec<Site>, PrepareOptions)> {
        let (sites, participants) = Site::of(&self.sources, &self.site, &self.participants)?;
        let mut options = PrepareOptions {
            participants,
            site_in_id: self.site_in_id,
            id_column: self.id_column.clone(),
            path_column: self.path_column.clone(),
            each_session: self.each_session,
            person_column: self.person_column.clone(),
            image: self.image.clone(),
            mask_column: self.mask_column.clone(),
            reuse: self.reuse.clone(),
            keep_going: self.keep_going,
            force: self.force,
            ..self.how.options()
        };
        options.entities.splice(0..0, self.session.as_deref().map(|values| EntityFilter::new("ses", values)));
        Ok((sites, options))
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let (sites, options) = self.options()?;
        if let Some(shard) = argument::shard(self.shard)? {
            let made = prepare::prepare_shard(&sites, &self.out, &options, shard, session.progress())?;
            return shard_done(&made, &self.out, session);
        }
        let summary = prepare::prepare_sites(&sites, &self.out, &options, session.progress())?;
        session.result(&document(&summary), &text(&summary))?;
        match &summary.cohort {
            Some(cohort) => {
                session.next(["train", &cohort.path.display().to_string(), "--label", "COLUMN", "--out", "RUN"]);
                Ok(Outcome::Done)
            }
            None if self.keep_going => {
                session.say("hint: no subject could be prepared, so there is no cohort; mend them and run the same command again");
                Ok(Outcome::Incomplete)
            }
            None => {
                session.say("hint: mend these subjects and run the same command again (what is prepared is kept), or leave them out with --keep-going");
                Ok(Outcome::Incomplete)
            }
        }
    }
}

/// What a shard came to, and what comes next: the others, or to put them together.
fn shard_done(made: &PreparedShard, out: &Path, session: &Session) -> anyhow::Result<Outcome> {
    let mut document = serde_json::json!(made);
    for (n, failure) in made.failed.iter().enumerate() {
        document["failed"][n]["hint"] = serde_json::json!(failure.remedy.as_ref().map(|r| r.render(&Shell)));
    }
    let mut lines = vec![format!(
        "shard {} of {}: {} prepared, {} of them before",
        made.shard,
        made.of,
        counted(made.prepared, "image"),
        made.resumed
    )];
    lines.extend(failures(&made.failed));
    session.result(&document, &lines.join("\n"))?;
    if !made.done {
        session.say("hint: mend these subjects and run the same command again (what is prepared is kept), or leave them out with --keep-going, in every shard");
        return Ok(Outcome::Incomplete);
    }
    match made.missing.len() {
        0 => session.next(["merge", &out.display().to_string()]),
        n => session.say(&format!("{} of {} {} not prepared yet", counted(n, "shard"), made.of, does(n, "is", "are"))),
    }
    Ok(Outcome::Done)
}

/// Who could not be prepared, and why.
fn failures(failed: &[Failure]) -> Vec<String> {
    if failed.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("{} could not be prepared:", failed.len())];
    lines.extend(failed.iter().map(|f| {
        let remedy = f.remedy.as_ref().map(|r| format!(" ({})", r.render(&Shell))).unwrap_or_default();
        format!("  {}: {}{remedy}", f.subject, f.what)
    }));
    lines
}

/// The result for `--json`.
pub(crate) fn document(summary: &PrepareSummary) -> serde_json::Value {
    let mut document = serde_json::json!(summary);
    document["cohort"] = serde_json::json!(summary.cohort.as_ref().map(|c| &c.path));
    for (n, failure) in summary.failed.iter().enumerate() {
        document["failed"][n]["hint"] = serde_json::json!(failure.remedy.as_ref().map(|r| r.render(&Shell)));
    }
    document
}

/// The result in words.
pub(crate) fn text(summary: &PrepareSummary) -> String {
    let mut lines = Vec::new();
    match &summary.cohort {
        Some(cohort) => {
            let [i, j, k] = cohort.preparation.shape;
            let mut volumes: Vec<f64> = cohort.subjects.iter().map(|s| s.mask_volume / 1000.0).collect();
            volumes.sort_by(f64::total_cmp);
            lines.push(format!(
                "{} on {i} x {j} x {k} voxels of {} mm in {}",
                heads(cohort, summary.prepared),
                cohort.preparation.spacing.map(|s| s.to_string()).join(" x "),
                cohort.path.display()
            ));
            lines.push(format!(
                "{} {:.0} ml (median), {:.0} to {:.0} ml",
                if cohort.preparation.whole_head { "what differs from the background:" } else { "mask volume" },
                f64::midpoint(volumes[(volumes.len() - 1) / 2], volumes[volumes.len() / 2]),
                volumes[0],
                volumes[volumes.len() - 1]
            ));
            if let channels @ [_, _, ..] = cohort.preparation.channels.as_slice() {
                let count = channels.len();
                lines.push(format!("{count} channels, {}; each normalised by itself", channels.join(", ")));
            }
            let normalize = cohort.preparation.normalize;
            lines.push(format!("intensities {}; 0 is {}", normalize.words(), normalize.zero()));
            if cohort.dtype != VolumeType::default() {
                lines.push(format!("kept in {}", cohort.dtype.words()));
            }
        }
        None => lines.push(format!(
            "{} {} prepared, the cohort is not complete",
            counted(summary.prepared, "subject"),
            does(summary.prepared, "is", "are")
        )),
    }
    lines.extend(failures(&summary.failed));
    lines.extend(summary.cohort.iter().flat_map(Cohort::findings_in_words));
    // Who failed, and why, stands above.
    let failed = |what: &str| summary.failed.iter().any(|f| f.subject == what);
    lines.extend(summary.inclusion.lines_without(&failed));
    if let (Some(_), Some(lost)) = (&summary.cohort, &summary.lost_on_the_grid) {
        lines.push(format!("note: {}; {}", lost.what, lost.remedy.render(&Shell)));
    }
    lines.join("\n")
}

/// How many images of how many people a cohort has. Where it is not known who they are, `train` refuses, and says why.
fn heads(cohort: &Cohort, count: usize) -> String {
    let all: Vec<usize> = (0..cohort.subjects.len()).collect();
    cohort.headcount(&all).map_or_else(|_| format!("{count} images"), |heads| heads.to_string())
}

/// For clap: one spacing, or one per axis.
pub(super) fn spacing(text: &str) -> Result<[f64; 3], String> {
    let parts: Option<Vec<f64>> = text.split(['x', ',']).map(|n| n.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some(&[all]) => Ok([all; 3]),
        Some(&[i, j, k]) => Ok([i, j, k]),
        _ => Err("expected one number or three, as in 3 or 2x2x3".into()),
    }
}

/// For clap: a position.
pub(crate) fn origin(text: &str) -> Result<[f64; 3], String> {
    let parts: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    parts.and_then(|p| p.try_into().ok()).ok_or_else(|| "expected three numbers, as in -84,-123,-72".into())
}
