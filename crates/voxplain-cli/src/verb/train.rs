//! `voxplain train`.

use crate::{
    argument, live,
    pipeline::{Makes, Needs},
    plan::Asked,
    session::{Outcome, Session},
    shell::command_line,
};
use clap::Args;
use serde::Serialize;
use std::{fmt::Write as _, path::PathBuf};
use voxplain::{
    Model, Progress, Silent, Table,
    cohort::Cohort,
    folds::{SplitScheme, TestSet},
    model::NetworkKind,
    plural::counted,
    run::{Metrics, Run, ValueMetrics},
    shard::Share,
    stats::{Estimate, Regression, significant},
    train::{
        Augmentation, Copies, Folds, LossKind, OptimizerName, ScheduleKind, TaskKind, TrainOptions, TrainedFolds,
        Training, TrainingMetrics, TrainingObserver, train, train_folds, train_table,
    },
};

/// Train a 3D CNN with honest, held-out accuracy, beside plain baselines.
///
/// A label that is numeric with many values (age) is learnt as a value, any other as classes.
/// Every subject is judged by a network that never saw it. Run the same command again to go on after an
/// interruption. Mask volume alone and linear models on the voxels are fitted on the same folds, and the
/// summary says whether the network beats them. What goes with the label beside the images is said before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain train cohort --label sex --out run
  voxplain train cohort --label sex --out run --live
  voxplain train cohort --label sex --group family --folds 5 --epochs 30 --out run
  voxplain train cohort --label age --unit years --model sfcn --out run
  voxplain train cohort --label sex --match mask_volume,age --out run-matched
  voxplain train cohort --label sex --covariates age,site --region-volumes volumes.csv --out run
  voxplain train cohort --label sex --out run --shard 1/5    then 2/5 and so on elsewhere; voxplain merge run
  voxplain train volumes.csv --label sex --out table")]
pub(crate) struct Train {
    /// The prepared cohort; or a table (CSV or TSV) of measurements of regions, a row for each person, which linear models and boosted trees are fitted
    /// to.
    #[arg(value_name = "COHORT|TABLE")]
    cohort: PathBuf,
    /// The column of participants.tsv to learn.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// Whether it holds classes or a value [default: a value where it is numeric with many values].
    #[arg(long, value_enum)]
    task: Option<Task>,
    /// The unit of the value, such as years.
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// How a value is learnt. By the error of the standardised value: mse, mae, or huber (squared up to one standard deviation, absolute
    /// beyond). Or soft-labels, as Peng et al. 2021: as a distribution over bins, 1 wide in the unit of the value; soft-labels=2 has
    /// bins of 2 [default: mse].
    #[arg(long, value_name = "LOSS")]
    loss: Option<LossKind>,
    /// The run's directory.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Words that stand for no value in that table (classes, groups, covariates), a list, beside none, null, missing, unknown, not
    /// available, n/a and its like, errors of spreadsheets (#DIV/0!), signs alone (-, ., ?) and -9. Numbers are compared as numbers.
    #[arg(long, value_name = "WORDS", value_delimiter = ',', allow_hyphen_values = true)]
    missing: Vec<String>,
    /// The class that AUC and sensitivity are about [default: the last one].
    #[arg(long, value_name = "CLASS")]
    positive: Option<String>,
    /// The network: the paper's (mrinet), the one for brain age of Peng et al. 2021 (sfcn), the one of ClinicaDL (conv5-fc3), residual
    /// or densely connected networks as MONAI has them.
    #[arg(long, default_value = NetworkKind::Mrinet.name(), value_parser = NetworkKind::ALL.map(NetworkKind::name))]
    model: String,
    /// Channels of its first convolution; all others are in proportion [default: mrinet 8 (32 in the paper, which small cohorts
    /// do not need), conv5-fc3 8, sfcn 32, the others 64].
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Start from the weights of this model, which has the same network; its last layer is drawn anew where classes or grid are
    /// others. Refused where it was trained on people of the cohort.
    #[arg(long, value_name = "MODEL")]
    init: Option<PathBuf>,
    /// Do not train these parts of the network, by what the names of their layers begin with (layer1, features.0), a list. Batch
    /// normalisations there use their running statistics. A name that fits nothing is refused with those there are.
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    freeze: Vec<String>,
    /// Hold everyone out once, in so many folds [default: 10].
    #[arg(long, value_name = "K", conflicts_with = "holdout")]
    folds: Option<usize>,
    /// Hold this share out, once.
    #[arg(long, value_name = "SHARE")]
    holdout: Option<f64>,
    /// A column whose values stay on one side of every fold: a family, a site. Images of one person (the column `person`) stay
    /// together by themselves.
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Columns by which folds are balanced beside the label, a list: words (site), or numbers (age), which are put in five bins.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    stratify: Vec<String>,
    /// Train each fold on people who are matched on these columns, a list: of each of two classes as many, in pairs who are alike. mask_volume is the
    /// volume of the mask; words are the same in a pair, numbers within the caliper. Who is held out stays. Refused below ten pairs.
    #[arg(long = "match", value_name = "COLUMNS", value_delimiter = ',')]
    matched: Vec<String>,
    /// How far apart the two of a pair may be in a number, in standard deviations [default: 0.2].
    #[arg(long, value_name = "SD", requires = "matched")]
    caliper: Option<f64>,
    /// A test set, such as site=B: in no fold, and asked about once, when all is decided, by `predict RUN --test`.
    #[arg(long, value_name = "COLUMN=VALUE")]
    test: Option<TestSet>,
    /// The same for a site: --test site=SITE.
    #[arg(long, value_name = "SITE", conflicts_with = "test")]
    test_site: Option<String>,
    /// What to do about people on both sides of a fold whose images (or rows of a table) are so alike that they may be one person.
    #[arg(long, value_enum, default_value_t = NearDuplicates::Refuse)]
    near_duplicates: NearDuplicates,
    /// Columns of the table that one more baseline is fitted to, without an image: age,site. Classes that are written as numbers:
    /// 'factor(site)'. A finished run takes it on without training again.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    covariates: Vec<String>,
    /// A table (CSV or TSV) of volumes of regions, a row for each subject, that one more baseline is fitted to. Its columns of numbers are
    /// taken. A finished run takes it on without training again.
    #[arg(long, value_name = "TABLE")]
    region_volumes: Option<PathBuf>,
    /// Passes over the training subjects.
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().epochs)]
    epochs: usize,
    /// Subjects in a step.
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().batch)]
    batch: usize,
    /// How weights follow their gradients.
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    optimizer: Optimizer,
    /// The share of the last step that sgd keeps (Nesterov's momentum) [default: 0.9].
    #[arg(long, value_name = "X")]
    momentum: Option<f64>,
    /// Learning rate of the first step, or of the first after the warm-up. sgd needs a larger one, such as 0.01.
    #[arg(long, value_name = "X", default_value_t = TrainOptions::default().learning_rate)]
    lr: f64,
    /// How the learning rate goes on.
    #[arg(long, value_enum, default_value_t = Schedule::Cosine)]
    schedule: Schedule,
    /// Epochs, of all, over which the learning rate rises in even steps at first [default: none].
    #[arg(long, value_name = "N")]
    warmup: Option<usize>,
    /// Weight decay: as L2 in the gradient, with adamw beside it.
    #[arg(long, value_name = "X", default_value_t = TrainOptions::default().weight_decay)]
    weight_decay: f64,
    /// Scale gradients down whose norm, of all weights together, is larger [default: never].
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Keep a moving average of the weights with this decay, such as 0.99, as the network [default: the last weights].
    #[arg(long, value_name = "DECAY")]
    ema: Option<f64>,
    /// Give this share of the truth to all classes alike, such as 0.1 [default: none].
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// Mix every image and its truth with another of the batch, by shares from the beta distribution with this parameter, such as 0.2
    /// [default: none].
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
    /// What is varied from epoch to epoch: none, or a list of shift[=VOXELS], intensity[=SHARE], flip-left-right (not where the label has a
    /// side: handedness, a lesion of one side), and, with a probability P of a half unless it is given, affine[=DEGREES:SCALE:MM][@P],
    /// elastic[=MM][@P], bias[=COEFFICIENTS][@P], gamma[=LOG][@P], blur[=MM][@P], noise[=SHARE][@P]; usual strengths are TorchIO's.
    #[arg(long, value_name = "LIST", default_value = "shift,intensity")]
    augment: Augmentation,
    /// Stop after N epochs without a lower loss on a part of the training fold that is set aside.
    #[arg(long, value_name = "N")]
    early_stop: Option<usize>,
    /// What an error on each class weighs.
    #[arg(long, value_enum, default_value_t = ClassWeights::Equal)]
    class_weights: ClassWeights,
    /// Where all chance comes from.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Memory for the network's values, such as 2GiB: a batch that needs more goes through in parts, each normalised by
    /// itself [default: what is free].
    #[arg(long, value_name = "SIZE", value_parser = argument::bytes)]
    memory: Option<usize>,
    /// Watch it: curves of loss and accuracy as they grow, drawn on the terminal; q or Ctrl-C stops it.
    #[arg(long)]
    live: bool,
    /// Train this fold alone, counted from 0, and again for others: several processes, also on several machines, may train folds of one run
    /// at the same time. `voxplain merge RUN` then counts them together, and the run is the same as if it had been trained at once.
    #[arg(long = "fold", value_name = "K", conflicts_with_all = ["force", "live"])]
    fold: Vec<usize>,
    /// The same for a share of the folds: the I-th of N (fold K is of shard 1 + K mod N), or auto: as the variables of SLURM or SGE say
    /// of a task of an array.
    #[arg(long, value_name = "I/N|auto", value_parser = argument::share, conflicts_with_all = ["fold", "force", "live"])]
    shard: Option<Share>,
    /// Leave out subjects without a label or a group, instead of refusing.
    #[arg(long)]
    keep_going: bool,
    /// Replace a run that other options made.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Schedule {
    /// Down to zero along half a cosine.
    Cosine,
    /// As it is.
    Constant,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Optimizer {
    /// Adam.
    Adam,
    /// Adam with weight decay beside the gradient.
    Adamw,
    /// Stochastic gradient descent with Nesterov's momentum.
    Sgd,
}

/// What is done about people who may be one.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum NearDuplicates {
    /// Refuse them.
    Refuse,
    /// Name them.
    Warn,
    /// Do not look for them.
    Off,
}

impl From<NearDuplicates> for Copies {
    fn from(what: NearDuplicates) -> Self {
        match what {
            NearDuplicates::Refuse => Self::Refuse,
            NearDuplicates::Warn => Self::Warn,
            NearDuplicates::Off => Self::Off,
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Task {
    /// One of several classes.
    Class,
    /// A number.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum ClassWeights {
    /// As much as the class is common.
    Equal,
    /// Each class as much as any other.
    Balanced,
}

/// The result as JSON.
#[derive(Serialize)]
struct Document<'a> {
    run: &'a std::path::Path,
    left_out: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    without_group: &'a [String],
    metrics: &'a TrainingMetrics,
}

impl Train {
    /// What is asked for, for who measures it.
    pub(crate) fn asked(&self) -> Asked {
        Asked::Train(self.cohort.clone(), self.out.clone(), Box::new(self.options()))
    }

    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        let files = [("init", &self.init), ("region-volumes", &self.region_volumes)];
        Needs {
            on: Some(("cohort", self.cohort.clone())),
            files: files.into_iter().filter_map(|(key, file)| Some((key, file.clone()?))).collect(),
            columns: self.options().columns().into_iter().map(|(setting, column)| (setting.name(), column)).collect(),
            makes: Makes::Run(self.out.clone()),
            ..Needs::default()
        }
    }

    /// Refuses files that cannot be read.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.init.as_deref().map(Model::read).transpose()?;
        self.region_volumes.as_deref().map(Table::read).transpose()?;
        Ok(())
    }

    fn options(&self) -> TrainOptions {
        TrainOptions {
            label: self.label.clone(),
            task: self.task.map(|task| match task {
                Task::Class => TaskKind::Class,
                Task::Value => TaskKind::Value,
            }),
            unit: self.unit.clone(),
            loss: self.loss,
            missing: self.missing.clone(),
            positive: self.positive.clone(),
            model: self.model.clone(),
            width: self.width,
            init: self.init.clone(),
            init_hash: None,
            init_task: None,
            freeze: self.freeze.clone(),
            split: match (self.holdout, self.folds) {
                (Some(share), _) => SplitScheme::Holdout(share),
                (None, Some(folds)) => SplitScheme::Folds(folds),
                (None, None) => TrainOptions::default().split,
            },
            group: self.group.clone(),
            stratify: self.stratify.clone(),
            matched: self.matched.clone(),
            caliper: self.caliper,
            test: self
                .test
                .clone()
                .or_else(|| self.test_site.clone().map(|value| TestSet { column: "site".into(), value })),
            near_duplicates: self.near_duplicates.into(),
            covariates: self.covariates.clone(),
            region_volumes: self.region_volumes.clone(),
            epochs: self.epochs,
            batch: self.batch,
            optimizer: match self.optimizer {
                Optimizer::Adam => OptimizerName::Adam,
                Optimizer::Adamw => OptimizerName::AdamW,
                Optimizer::Sgd => OptimizerName::Sgd,
            },
            momentum: self.momentum,
            learning_rate: self.lr,
            schedule: match self.schedule {
                Schedule::Cosine => ScheduleKind::Cosine,
                Schedule::Constant => ScheduleKind::Constant,
            },
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            ema: self.ema,
            label_smoothing: self.label_smoothing,
            mixup: self.mixup,
            augment: self.augment,
            early_stop: self.early_stop,
            balanced: self.class_weights == ClassWeights::Balanced,
            seed: self.seed,
            keep_going: self.keep_going,
            memory: self.memory.map(|bytes| bytes as u64),
        }
    }

    /// Models on a table of measurements.
    fn run_table(&self, session: &Session) -> anyhow::Result<Outcome> {
        if self.live {
            anyhow::bail!("--live watches a network, and a table is learnt without one: leave it out");
        }
        if self.folds_alone()?.is_some() {
            anyhow::bail!("a table is learnt in moments, in all folds at once: leave out --fold and --shard");
        }
        let engine = session.engine()?;
        let training = train_table(&self.cohort, &self.options(), &self.out, self.force, &engine, session.progress())?;
        let document = Document {
            run: &training.out,
            left_out: &training.left_out,
            without_group: &[],
            metrics: &training.metrics,
        };
        let text = match &training.metrics {
            TrainingMetrics::Classes(metrics) => table(metrics, "held out"),
            TrainingMetrics::Value(metrics) => value_table(metrics, "held out"),
        };
        session.result(&document, &text)?;
        session.say(&format!("predictions and metrics are in {}", self.out.display()));
        Ok(Outcome::Done)
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        if self.cohort.is_file() {
            return self.run_table(session);
        }
        let cohort = Cohort::open(&self.cohort)?;
        let engine = session.engine()?;
        if let Some(folds) = self.folds_alone()? {
            let trained =
                train_folds(&cohort, &self.options(), &folds, &self.out, &engine, session.progress(), &Silent)?;
            return folds_done(&trained, session);
        }
        let work = |progress: &dyn Progress, observer: &dyn TrainingObserver| {
            train(&cohort, &self.options(), &self.out, self.force, &engine, progress, observer)
        };
        let training = if self.live {
            let title =
                format!("voxplain train {}, label {}, into {}", self.cohort.display(), self.label, self.out.display());
            live::watch(session, &title, work)?
        } else {
            work(session.progress(), &Silent)?
        };
        let document = Document {
            run: &training.run.path,
            left_out: &training.left_out,
            without_group: &training.without_group,
            metrics: &training.metrics,
        };
        session.result(&document, &words(&training, cohort.noun()))?;
        next(&training.run, session);
        Ok(Outcome::Done)
    }

    /// The folds that alone are trained, where not all are.
    fn folds_alone(&self) -> voxplain::Result<Option<Folds>> {
        let shard = argument::shard(self.shard)?;
        Ok(shard.map(Folds::OfShard).or_else(|| (!self.fold.is_empty()).then(|| Folds::Numbered(self.fold.clone()))))
    }
}

/// What a training came to: a row for each classifier or predictor, and who was left out.
pub(super) fn words(training: &Training, noun: &str) -> String {
    let mut text = match &training.metrics {
        TrainingMetrics::Classes(metrics) => table(metrics, "held out"),
        TrainingMetrics::Value(metrics) => value_table(metrics, "held out"),
    };
    if let Some(left_out) = training.run.manifest.about_left_out(noun) {
        text.push('\n');
        text.push_str(&left_out);
    }
    text
}

/// Where what a training made is, and what comes next.
pub(super) fn next(run: &Run, session: &Session) {
    let run = run.path.display();
    let next = command_line(["explain", &run.to_string(), "--method", "hires-cam,guided-backprop"]);
    session.say(&format!("models, predictions and metrics are in {run}; next: {next}"));
}

/// Which folds have a network now, as JSON.
#[derive(Serialize)]
struct FoldsDocument<'a> {
    run: &'a std::path::Path,
    #[serde(flatten)]
    trained: &'a TrainedFolds,
}

/// Which folds were trained, and what comes next: the others, or to count all together.
fn folds_done(trained: &TrainedFolds, session: &Session) -> anyhow::Result<Outcome> {
    let run = trained.run.path.display().to_string();
    let of_run = trained.run.manifest.folds;
    let text = format!(
        "{} asked for: {} trained now, {} there before; {} of {of_run} of the run have a network",
        counted(trained.folds.len(), "fold"),
        trained.now.len(),
        trained.folds.len() - trained.now.len(),
        of_run - trained.untrained.len()
    );
    session.result(&FoldsDocument { run: &trained.run.path, trained }, &text)?;
    if trained.untrained.is_empty() {
        session.next(["merge", &run]);
    }
    Ok(Outcome::Done)
}

/// A row for each classifier on these people, then the result in words.
pub(super) fn table(metrics: &Metrics, people: &str) -> String {
    let two = metrics.classes.len() <= 2;
    let areas =
        if two { ["AUC", "sensitivity", "specificity"] } else { ["macro AUC", "AUC over pairs", "Brier score"] };
    let row = |cells: [&str; 6]| {
        let [name, rest @ ..] = cells;
        let rest: String = rest.iter().map(|cell| format!(" {cell:>20}")).collect();
        format!("{name:<17}{rest}\n")
    };
    let mut text = row([people, "accuracy", "balanced", areas[0], areas[1], areas[2]]);
    let cell = |e: Option<&Estimate>| {
        e.map_or_else(
            || "-".to_owned(),
            |e| match e.ends() {
                Some((low, high)) => format!("{:.3} ({low:.2}-{high:.2})", e.value),
                None => format!("{:.3}", e.value),
            },
        )
    };
    for classifier in &metrics.classifiers {
        let c = &classifier.classification;
        let last = if two {
            [c.auc.as_ref(), c.sensitivity.as_ref(), c.specificity.as_ref()]
        } else {
            [c.one_versus_rest.as_ref().map(|rest| &rest.macro_auc), c.auc.as_ref(), Some(&c.brier)]
        };
        let [area, second, third] = last.map(cell);
        let shares = [Some(&c.accuracy), Some(&c.balanced_accuracy)].map(cell);
        text.push_str(&row([&classifier.classifier, &shares[0], &shares[1], &area, &second, &third]));
    }
    let interval = metrics.classifiers.first().map_or("", |c| c.classification.accuracy.interval.as_str());
    let over = match interval.strip_prefix("none: ") {
        Some(why) => format!("no intervals: {}", metrics.said_of_groups(why)),
        None => format!("95 % intervals over {}", metrics.independent()),
    };
    let heads = metrics.people.map_or_else(String::new, |_| format!("{}; ", metrics.headcount()));
    if two {
        let _ = writeln!(text, "positive: {}; {heads}{over}\n", metrics.positive);
    } else {
        let _ = writeln!(
            text,
            "{heads}{over}\nmacro AUC: mean over the classes of the AUC of each against the rest; over pairs: mean over all pairs of classes\n"
        );
    }
    if let Some(cnn) = metrics.classifiers.first().filter(|_| !two) {
        confusion(&mut text, &metrics.classes, &cnn.classification.confusion);
    }
    let of_group = if two { "AUC" } else { "AUC over pairs" };
    for group in &metrics.groups {
        let auc = group.auc.map_or_else(|| "-".to_owned(), |a| format!("{a:.3}"));
        let _ = writeln!(
            text,
            "{:<17} {}, accuracy {:.3}, {of_group} {auc}",
            group.group,
            group.headcount(),
            group.accuracy
        );
    }
    if !metrics.groups.is_empty() {
        text.push('\n');
    }
    for line in &metrics.summary {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// A row for each predictor of a value on these people, then the result in words.
pub(super) fn value_table(metrics: &ValueMetrics, people: &str) -> String {
    let cell = |e: Option<&Estimate>| {
        e.map_or_else(
            || "-".to_owned(),
            |e| match e.ends() {
                Some((low, high)) => {
                    format!("{} ({} to {})", significant(e.value, 3), significant(low, 3), significant(high, 3))
                }
                None => significant(e.value, 3),
            },
        )
    };
    let first = metrics.predictors.first().map_or("", |p| p.predictor.as_str());
    let corrected = format!("{first}, corrected");
    let width = corrected.len().max(17);
    let row = |cells: [&str; 5]| {
        let [name, mae, rmse, r2, r] = cells;
        format!("{name:<width$} {mae:>24} {rmse:>24} {r2:>26} {r:>26}\n")
    };
    let mut text = row([people, "mean absolute error", "root mean square error", "R2", "r"]);
    let mut line = |name: &str, e: &Regression| {
        let [mae, rmse] = [&e.mae, &e.rmse].map(|e| cell(Some(e)));
        text.push_str(&row([name, &mae, &rmse, &cell(e.r2.as_ref()), &cell(e.r.as_ref())]));
    };
    metrics.predictors.iter().for_each(|p| line(&p.predictor, &p.regression));
    if let Some(correction) = &metrics.correction {
        line(&corrected, &correction.corrected);
    }
    let interval = metrics.predictors.first().map_or("", |p| p.regression.mae.interval.as_str());
    let over = match interval.strip_prefix("none: ") {
        Some(why) => format!("no intervals: {}", metrics.said_of_groups(why)),
        None => format!("95 % intervals over {}", metrics.independent()),
    };
    let heads = metrics.people.map_or_else(String::new, |_| format!("{}; ", metrics.headcount()));
    let _ = writeln!(text, "value: {}; {heads}{over}", metrics.value);
    if metrics.correction.is_some() {
        let _ = writeln!(
            text,
            "corrected: for the bias towards the mean, by the line of the other folds; the result is the row {first}"
        );
    }
    text.push('\n');
    for group in &metrics.groups {
        let plus = if group.mean_error > 0.0 { "+" } else { "" };
        let _ = writeln!(
            text,
            "{:<17} {}, mean absolute error {}, mean error {plus}{}",
            group.group,
            group.headcount(),
            significant(group.mae, 3),
            significant(group.mean_error, 3)
        );
    }
    if !metrics.groups.is_empty() {
        text.push('\n');
    }
    for line in &metrics.summary {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// True classes in rows, what the network said in columns.
fn confusion(text: &mut String, classes: &[String], confusion: &[Vec<usize>]) {
    let width = classes.iter().map(String::len).max().unwrap_or(0).max(5);
    let _ = write!(text, "{:<width$}", "truth");
    classes.iter().for_each(|class| {
        let _ = write!(text, "  {class:>width$}");
    });
    for (class, row) in classes.iter().zip(confusion) {
        let _ = write!(text, "\n{class:<width$}");
        row.iter().for_each(|n| {
            let _ = write!(text, "  {n:>width$}");
        });
    }
    text.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Shell;
    use clap::Parser;
    use voxplain::train::{AffineChange, Change};
    use voxplain::{Action, Vocabulary as _};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        train: Train,
    }

    fn read(options: &TrainOptions) -> TrainOptions {
        let action = Action { settings: options.settings(), ..Action::new("train").on("cohort") };
        let line = format!("{} --out run", Shell.action(&action));
        let words = line.split(' ').filter(|w| *w != "train").map(|w| w.trim_matches('\''));
        Line::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}")).train.options()
    }

    /// The command that a report gives for a run, read by the command itself, has the run's options: every one of them.
    #[test]
    fn the_command_that_a_report_gives_trains_again() {
        let plain = TrainOptions { label: "sex".into(), ..TrainOptions::default() };
        assert_eq!(read(&plain), plain);
        assert_eq!(plain.settings().len(), 1, "what is by default is not said");
        let every = TrainOptions {
            label: "sex".into(),
            task: Some(TaskKind::Value),
            unit: Some("years".into()),
            loss: Some(LossKind::SoftLabels { width: 2.5 }),
            missing: vec!["-7".into(), "x".into()],
            positive: Some("F".into()),
            model: "sfcn".into(),
            width: Some(4),
            init: Some("other/model.safetensors".into()),
            init_hash: None,
            init_task: None,
            freeze: vec!["features.0".into(), "features.1".into()],
            split: SplitScheme::Holdout(0.3),
            test: Some(TestSet { column: "site".into(), value: "B".into() }),
            covariates: vec!["age".into(), "factor(site)".into()],
            region_volumes: Some("volumes.csv".into()),
            group: Some("site".into()),
            stratify: vec!["age".into(), "scanner".into()],
            matched: vec!["mask_volume".into(), "age".into()],
            caliper: Some(0.3),
            near_duplicates: Copies::Warn,
            epochs: 3,
            batch: 6,
            optimizer: OptimizerName::Sgd,
            momentum: Some(0.8),
            learning_rate: 0.0003,
            schedule: ScheduleKind::Constant,
            warmup: Some(2),
            weight_decay: 0.0,
            clip_norm: Some(1.5),
            ema: Some(0.99),
            label_smoothing: Some(0.1),
            mixup: Some(0.2),
            augment: Augmentation {
                shift: 1,
                intensity: 0.05,
                flip_left_right: true,
                affine: Some(AffineChange { degrees: 5.0, scale: 0.05, shift: 2.5, probability: 0.75 }),
                elastic: Some(Change { size: 4.0, probability: 0.25 }),
                bias: Some(Change { size: 0.2, probability: 0.5 }),
                gamma: Some(Change { size: 0.3, probability: 0.5 }),
                blur: Some(Change { size: 1.0, probability: 0.5 }),
                noise: Some(Change { size: 0.1, probability: 1.0 }),
            },
            early_stop: Some(5),
            balanced: true,
            seed: 42,
            keep_going: true,
            memory: Some(3_000_000_001),
        };
        assert_eq!(read(&every), every);
        let every = TrainOptions { split: SplitScheme::Folds(5), augment: Augmentation::NONE, ..every };
        assert_eq!(read(&every), every);
    }

    /// The file that a run holds is a pipeline whose one step has the run's options.
    #[test]
    fn the_file_of_a_run_trains_again() {
        use voxplain::{
            Silent,
            simulate::{SimulateOptions, simulate},
            train::train,
        };
        let folder = tempfile::tempdir().unwrap();
        let small = SimulateOptions { subjects: 8, shape: [24, 28, 24], spacing: 7.0, ..SimulateOptions::default() };
        let engine = voxplain::Engine::new(voxplain::EngineOptions::default()).unwrap();
        let made = |out: &str, of: &str, seed: u64, options: &TrainOptions| {
            let cohort =
                simulate(&folder.path().join(of), &SimulateOptions { seed, ..small.clone() }, false, &Silent).unwrap();
            train(&cohort, options, &folder.path().join(out), false, &engine, &Silent, &Silent).unwrap().run
        };
        let options = TrainOptions {
            label: "label".into(),
            epochs: 1,
            width: Some(1),
            split: SplitScheme::Folds(2),
            learning_rate: 0.01,
            balanced: true,
            keep_going: true,
            ..TrainOptions::default()
        };
        let first = made("first", "others", 1, &options);
        let init = first.layout().fold(0).model();
        let augment = Augmentation { affine: Some(AffineChange::USUAL), ..Augmentation::default() };
        let run = made("runs/second", "my cohort", 2, &TrainOptions { init: Some(init.clone()), augment, ..options });
        let text = std::fs::read_to_string(run.layout().config()).unwrap();
        let words = crate::pipeline::Pipeline::parse(&text).unwrap().only_step();
        assert!(
            words.contains(&"--out=.".to_owned()) && words.last() == Some(&"../../my cohort".to_owned()),
            "{words:?}"
        );
        let again = Line::try_parse_from(&words).unwrap_or_else(|e| panic!("{text}: {e}")).train.options();
        assert_eq!(run.path.join(again.init.as_ref().unwrap()).canonicalize().unwrap(), init.canonicalize().unwrap());
        let recorded: TrainOptions = serde_json::from_value(run.manifest.options.clone()).unwrap();
        let width = recorded.width;
        assert_eq!(
            TrainOptions { init: None, width, ..again },
            TrainOptions { init: None, init_hash: None, init_task: None, ..recorded }
        );
    }
}
