//! [`TrainOptions`]: how a network is trained.

use super::{augmentation::Augmentation, initial, loss::LossKind, value::TaskKind};
use crate::alike::Copies;
use crate::comparators::named;
use crate::folds::{SplitScheme, TestSet};
use crate::matched::MASK_VOLUME;
use crate::model::NetworkKind;
use crate::setting::{
    AUGMENT, BATCH, CALIPER, CLASS_WEIGHTS, CLIP_NORM, COVARIATES, EARLY_STOP, EMA, EPOCHS, FOLDS, FREEZE, GROUP,
    HOLDOUT, INIT, KEEP_GOING, LABEL, LABEL_SMOOTHING, LOSS, LR, MATCH, MEMORY, MISSING, MIXUP, MODEL, MOMENTUM,
    NEAR_DUPLICATES, OPTIMIZER, POSITIVE, REGION_VOLUMES, SCHEDULE, SEED, STRATIFY, TASK, TEST, UNIT, WARMUP,
    WEIGHT_DECAY, WIDTH,
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};
use voxplain_core::{Error, Result, Setting, lookalike::look, remedy};
use voxplain_nn::{AdamOptions, OptimizerKind};

/// How the learning rate changes from the first step to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// It falls to zero along half a cosine, step by step.
    #[default]
    Cosine,
    /// It stays as it is.
    Constant,
}

/// How weights follow their gradients. Arithmetic is PyTorch's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Adam (Kingma and Ba 2015); weight decay is an L2 penalty in the gradient.
    #[default]
    Adam,
    /// AdamW (Loshchilov and Hutter 2019): weights decay beside the gradient.
    AdamW,
    /// Stochastic gradient descent with Nesterov's momentum (Sutskever et al. 2013); weight decay is an L2 penalty in the gradient.
    Sgd,
}

impl OptimizerName {
    /// The usual momentum of [`OptimizerName::Sgd`].
    pub const MOMENTUM: f64 = 0.9;

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `adam`, `adamw`, `sgd`.
impl fmt::Display for OptimizerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
        })
    }
}

/// How a network is trained. The same options, volumes and labels give the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainOptions {
    /// The column of the participants' table that holds the classes, or the values.
    pub label: String,
    /// Whether a class or a value is predicted; by the column when `None`: a value where it is numeric with many values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskKind>,
    /// The unit of the value, `years`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The loss of a value; the mean squared error when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossKind>,
    /// Words that stand for no value in the columns of classes, groups and covariates, beside the usual ones
    /// ([`is_missing`](crate::cohort::is_missing)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The positive class, the one to detect; the last class when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The network: the name of a [`NetworkKind`], such as `mrinet`.
    pub model: String,
    /// Number of channels of its first convolution; [`NetworkKind::width`] when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// A model of the same network whose weights training starts from, instead of weights drawn at random. Its last layer is
    /// drawn anew where the classes, or the inputs of the layer, are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// BLAKE3 of that model's file. A run records it; what is given here is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_hash: Option<String>,
    /// What that model had learnt, in words. A run records it; what is given here is not looked at. Older versions left it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_task: Option<String>,
    /// Parts of the network that are not trained, by what the names of their layers begin with, up to a dot. Their batch normalisations use
    /// their running statistics; dropout stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// How subjects are held out.
    #[serde(rename = "holding")]
    pub split: SplitScheme,
    /// A column of groups: subjects of the same value (a family, a site) are never divided between training and held-out
    /// subjects. `None` keeps images of one person together, where the cohort says whose they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns by which folds are balanced beside the label: categories, or numbers in bins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stratify: Vec<String>,
    /// Columns on which the people whom a fold trains on are matched: of each class as many, in pairs who are alike
    /// ([`MASK_VOLUME`](crate::matched::MASK_VOLUME), `age`, `factor(site)`). Who is held out stays.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<String>,
    /// How far apart the two of a pair may be in a number, in standard deviations; [`CALIPER_DEFAULT`](crate::matched::CALIPER_DEFAULT)
    /// when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caliper: Option<f64>,
    /// Subjects who are in no fold: a test set, to be asked about once when all is decided
    /// ([`predict_test_set`](crate::predict::predict_test_set)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestSet>,
    /// What is done about people on both sides of a split who are so alike that they may be one.
    #[serde(skip_serializing_if = "Copies::is_default")]
    pub near_duplicates: Copies,
    /// Columns of the participants' table that a baseline without an image is fitted to (`age`, `factor(site)`;
    /// [`Features`](crate::comparators::Features)). No network is trained by them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub covariates: Vec<String>,
    /// A table of volumes of regions, a row for each subject, that a baseline is fitted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_volumes: Option<PathBuf>,
    /// Number of epochs: passes over the training subjects.
    pub epochs: usize,
    /// Batch size: number of subjects in a step of the optimiser.
    pub batch: usize,
    /// How weights follow their gradients.
    #[serde(skip_serializing_if = "OptimizerName::is_default")]
    pub optimizer: OptimizerName,
    /// Share of the last step that [`OptimizerName::Sgd`] keeps; [`OptimizerName::MOMENTUM`] when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Learning rate of the first step of the optimiser, or of the first after the warm-up.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: ScheduleKind,
    /// Number of epochs, of all, over which the learning rate rises in even steps before that (Goyal et al. 2017).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<usize>,
    /// Weight decay: as an L2 penalty in the gradient, or beside it ([`OptimizerName`]).
    pub weight_decay: f64,
    /// The largest norm of the gradients of all weights together; larger ones are scaled down to it (Pascanu et al. 2013).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of a moving average of the weights (Polyak and Juditsky 1992), which is then the network that is validated and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Label smoothing: the share of the truth that is given to all classes alike (Szegedy et al. 2016).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// Mixup (Zhang et al. 2018): every subject of a batch is mixed with another one, images and truths, by a share drawn from the beta
    /// distribution with both parameters equal to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,
    /// Random changes of the training volumes.
    pub augment: Augmentation,
    /// Early stopping: stop after this many epochs without a lower loss on a validation set (15 % of the training
    /// subjects, set aside), and take the network of the lowest loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<usize>,
    /// Whether every class has the same weight in the loss, whatever its size.
    pub balanced: bool,
    /// The seed of everything random.
    pub seed: u64,
    /// Whether subjects without a label or a group are left out; otherwise they are an error.
    pub keep_going: bool,
    /// Memory in bytes that the values of the network may take; the free memory of the system when `None`. A batch that
    /// does not fit goes through in parts whose gradients are summed; batch normalisation then measures each part by
    /// itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            label: String::new(),
            task: None,
            unit: None,
            loss: None,
            missing: Vec::new(),
            positive: None,
            model: "mrinet".into(),
            width: None,
            init: None,
            init_hash: None,
            init_task: None,
            freeze: Vec::new(),
            split: SplitScheme::Folds(10),
            group: None,
            stratify: Vec::new(),
            matched: Vec::new(),
            caliper: None,
            test: None,
            near_duplicates: Copies::default(),
            covariates: Vec::new(),
            region_volumes: None,
            epochs: 20,
            batch: 4,
            optimizer: OptimizerName::Adam,
            momentum: None,
            learning_rate: 1e-3,
            schedule: ScheduleKind::Cosine,
            warmup: None,
            weight_decay: 1e-4,
            clip_norm: None,
            ema: None,
            label_smoothing: None,
            mixup: None,
            augment: Augmentation::default(),
            early_stop: None,
            balanced: false,
            seed: 0,
            keep_going: false,
            memory: None,
        }
    }
}

impl TrainOptions {
    /// The columns of the table of people that it needs, each with the setting that names it.
    pub fn columns(&self) -> Vec<(Setting, String)> {
        let terms = |of: &[String]| -> Vec<String> { of.iter().map(|term| named(term).0.to_owned()).collect() };
        // The volume of masks is of the cohort itself.
        let matched = terms(&self.matched).into_iter().filter(|column| column != MASK_VOLUME);
        let one =
            [(LABEL, Some(&self.label)), (GROUP, self.group.as_ref()), (TEST, self.test.as_ref().map(|t| &t.column))];
        let one = one.into_iter().filter_map(|(setting, column)| Some((setting, column?.clone())));
        one.chain(terms(&self.stratify).into_iter().map(|column| (STRATIFY, column)))
            .chain(matched.map(|column| (MATCH, column)))
            .chain(terms(&self.covariates).into_iter().map(|column| (COVARIATES, column)))
            .collect()
    }

    /// The label, and every option that is not as it is by default, as settings of the step `train`.
    pub fn settings(&self) -> Vec<(Setting, Option<String>)> {
        let default = Self::default();
        // Named one by one, so that no option is forgotten.
        let Self {
            label,
            task,
            unit,
            loss,
            missing,
            positive,
            model,
            width,
            init,
            init_hash: _,
            init_task: _,
            freeze,
            split,
            group,
            stratify,
            matched,
            caliper,
            test,
            near_duplicates,
            covariates,
            region_volumes,
            epochs,
            batch,
            optimizer,
            momentum,
            learning_rate,
            schedule,
            warmup,
            weight_decay,
            clip_norm,
            ema,
            label_smoothing,
            mixup,
            augment,
            early_stop,
            balanced,
            seed,
            keep_going,
            memory,
        } = self;
        let unless = |same: bool, value: &dyn fmt::Display| (!same).then(|| value.to_string());
        let schedule = match schedule {
            ScheduleKind::Cosine => None,
            ScheduleKind::Constant => Some("constant".to_owned()),
        };
        let (folds, holdout) = match split {
            SplitScheme::Folds(folds) => (unless(*split == default.split, folds), None),
            SplitScheme::Holdout(share) => (None, Some(share.to_string())),
        };
        let given = [
            (LABEL, Some(label.clone())),
            (TASK, task.map(|kind| kind.to_string())),
            (UNIT, unit.clone()),
            (LOSS, loss.map(|loss| loss.to_string())),
            (MISSING, unless(missing.is_empty(), &missing.join(","))),
            (POSITIVE, positive.clone()),
            (MODEL, unless(*model == default.model, model)),
            (
                WIDTH,
                width.filter(|n| NetworkKind::named(model).is_ok_and(|kind| kind.width() != *n)).map(|n| n.to_string()),
            ),
            (INIT, init.as_ref().map(|path| path.display().to_string())),
            (FREEZE, unless(freeze.is_empty(), &freeze.join(","))),
            (FOLDS, folds),
            (HOLDOUT, holdout),
            (GROUP, group.clone()),
            (STRATIFY, unless(stratify.is_empty(), &stratify.join(","))),
            (MATCH, unless(matched.is_empty(), &matched.join(","))),
            (CALIPER, caliper.map(|x| x.to_string())),
            (TEST, test.as_ref().map(|set| format!("{}={}", set.column, set.value))),
            (NEAR_DUPLICATES, unless(near_duplicates.is_default(), near_duplicates)),
            (COVARIATES, unless(covariates.is_empty(), &covariates.join(","))),
            (REGION_VOLUMES, region_volumes.as_ref().map(|path| path.display().to_string())),
            (EPOCHS, unless(*epochs == default.epochs, epochs)),
            (BATCH, unless(*batch == default.batch, batch)),
            (OPTIMIZER, unless(optimizer.is_default(), optimizer)),
            (MOMENTUM, momentum.map(|x| x.to_string())),
            (LR, unless(*learning_rate == default.learning_rate, learning_rate)),
            (SCHEDULE, schedule),
            (WARMUP, warmup.map(|n| n.to_string())),
            (WEIGHT_DECAY, unless(*weight_decay == default.weight_decay, weight_decay)),
            (CLIP_NORM, clip_norm.map(|x| x.to_string())),
            (EMA, ema.map(|x| x.to_string())),
            (LABEL_SMOOTHING, label_smoothing.map(|x| x.to_string())),
            (MIXUP, mixup.map(|x| x.to_string())),
            (AUGMENT, unless(*augment == default.augment, augment)),
            (EARLY_STOP, early_stop.map(|n| n.to_string())),
            (CLASS_WEIGHTS, balanced.then(|| "balanced".to_owned())),
            (SEED, unless(*seed == default.seed, seed)),
            (MEMORY, memory.map(|bytes| format!("{bytes}B"))),
        ];
        let given = given.into_iter().filter_map(|(setting, value)| Some((setting, Some(value?))));
        given.chain(keep_going.then_some((KEEP_GOING, None))).collect()
    }

    /// Names, as JSON has them, of the options that no network is trained by.
    pub(super) const OF_BASELINES: [&'static str; 2] = ["covariates", "region-volumes"];

    /// The same without the options that no network is trained by.
    pub(super) fn of_networks(&self) -> Self {
        Self { covariates: Vec::new(), region_volumes: None, ..self.clone() }
    }

    /// The number of channels of the first convolution; 0 for a network that does not exist.
    pub fn width(&self) -> usize {
        self.width.unwrap_or_else(|| NetworkKind::named(&self.model).map_or(0, NetworkKind::width))
    }

    /// The optimiser.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub(super) fn optimizer(&self) -> OptimizerKind {
        let weight_decay = self.weight_decay as f32;
        let adam = AdamOptions { weight_decay, ..AdamOptions::default() };
        match self.optimizer {
            OptimizerName::Adam => OptimizerKind::Adam(adam),
            OptimizerName::AdamW => OptimizerKind::AdamW(adam),
            OptimizerName::Sgd => {
                let momentum = self.momentum.unwrap_or(OptimizerName::MOMENTUM) as f32;
                // Nothing to look ahead along without one.
                OptimizerKind::Sgd { momentum, nesterov: momentum > 0.0, weight_decay }
            }
        }
    }

    /// The same with the width said and the hash of the model that training starts from, so that a run records them and goes on
    /// as it began.
    ///
    /// # Errors
    /// There is no such network, or the model cannot be read.
    pub(super) fn resolved(&self) -> Result<Self> {
        let width = NetworkKind::named(&self.model)?.width();
        let (init_hash, init_task) = self.init.as_deref().map(initial::recorded).transpose()?.unzip();
        Ok(Self { width: Some(self.width.unwrap_or(width)), init_hash, init_task, ..self.clone() })
    }

    /// Refuses values that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String, remedy: &str| Err(Error::request(what, remedy));
        NetworkKind::named(&self.model)?;
        if self.missing.iter().any(|word| look(word).is_empty()) {
            let what = "a word for no value is empty".to_owned();
            return wrong(
                what,
                "an empty cell has no value anyway: leave it out, or give a word that stands in the table",
            );
        }
        if self.unit.as_deref().is_some_and(|unit| unit.trim().is_empty() || unit.len() > 40) {
            return wrong("the unit is empty or longer than 40 letters".into(), "give it in a word, such as years");
        }
        if self.epochs == 0 || self.epochs > 100_000 {
            return wrong(format!("{} epochs", self.epochs), "give from 1 to 100000 epochs");
        }
        if self.batch < 2 || self.batch > 4096 {
            let remedy = "give from 2 to 4096 subjects: batch normalisation needs more than one";
            return wrong(format!("a batch of {}", self.batch), remedy);
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 10.0) {
            return wrong(
                format!("a learning rate of {}", self.learning_rate),
                "give one above 0 and up to 10, such as 0.001",
            );
        }
        if !(0.0..=10.0).contains(&self.weight_decay) {
            return wrong(format!("a weight decay of {}", self.weight_decay), "give one from 0 to 10, such as 0.0001");
        }
        let outside = |x: Option<f64>, inside: fn(f64) -> bool| x.filter(|x| !inside(*x));
        if let Some(x) = outside(self.momentum, |x| (0.0..1.0).contains(&x)) {
            return wrong(format!("a momentum of {x}"), "give one from 0 to below 1, such as 0.9");
        }
        if self.momentum.is_some() && self.optimizer != OptimizerName::Sgd {
            return Err(Error::request(
                format!("{} takes no momentum", self.optimizer),
                remedy!["leave out ", MOMENTUM, ", or train with ", OPTIMIZER.to(OptimizerName::Sgd)],
            ));
        }
        if let Some(n) = self.warmup.filter(|n| *n == 0 || *n >= self.epochs) {
            return wrong(
                format!("a warm-up of {n} of {} epochs", self.epochs),
                "give at least 1 epoch, and fewer than there are in all",
            );
        }
        if let Some(x) = outside(self.clip_norm, |x| x > 0.0 && x <= 1e6) {
            return wrong(
                format!("gradients clipped to a norm of {x}"),
                "give one above 0 and up to 1000000, such as 1",
            );
        }
        if let Some(x) = outside(self.ema, |x| x > 0.0 && x < 1.0) {
            return wrong(format!("an average of weights with decay {x}"), "give one between 0 and 1, such as 0.99");
        }
        if let Some(x) = outside(self.label_smoothing, |x| x > 0.0 && x < 1.0) {
            return wrong(format!("label smoothing by {x}"), "give a share between 0 and 1, such as 0.1");
        }
        if let Some(x) = outside(self.mixup, |x| (0.01..=4.0).contains(&x)) {
            return wrong(format!("mixup with {x}"), "give a number from 0.01 to 4, such as 0.2");
        }
        if let Some(LossKind::SoftLabels { width }) = self.loss
            && !(width > 0.0 && width.is_finite())
        {
            return wrong(format!("soft labels in bins of width {width}"), "give a width above 0, such as 1");
        }
        if self.early_stop == Some(0) {
            return wrong("early stopping after 0 epochs".into(), "give at least 1 epoch of patience");
        }
        self.augment.check()
    }
}
