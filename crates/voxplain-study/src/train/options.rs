//! [`TrainOptions`].

use super::{Augment, Holding};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the learning rate goes from the first step to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// Down to zero along half a cosine, step by step.
    #[default]
    Cosine,
    /// As it is.
    Constant,
}

/// How to train. A run with the same options, volumes and labels is the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainOptions {
    /// The column to learn.
    pub label: String,
    /// The class to detect; the last one when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The network, `mrinet`.
    pub model: String,
    /// Channels of its first convolution.
    pub width: usize,
    /// Who is held out.
    pub holding: Holding,
    /// A column of which no value may be on both sides of a fold (a family, a site, a person seen twice).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Passes over the training part.
    pub epochs: usize,
    /// Subjects in a step.
    pub batch: usize,
    /// Learning rate of the first step, for Adam.
    pub learning_rate: f64,
    /// How it goes on.
    pub schedule: Rate,
    /// Weight decay, as L2 in the gradient.
    pub weight_decay: f64,
    /// What is varied from epoch to epoch.
    pub augment: Augment,
    /// Stop after so many epochs in which the loss on a part of the training fold that is set aside (15 %) did not
    /// get less, and take the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<usize>,
    /// Whether each class weighs as much as any other.
    pub balanced: bool,
    /// Where all chance comes from.
    pub seed: u64,
    /// Whether subjects without a label are left out, instead of refused.
    pub keep_going: bool,
    /// Bytes that the network's values may take. A batch that does not fit goes through in parts, whose gradients are
    /// summed; batch normalisation then measures each part by itself. Where nothing is said, the memory that the
    /// system has free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            label: String::new(),
            positive: None,
            model: "mrinet".into(),
            width: 8,
            holding: Holding::Folds(10),
            group: None,
            epochs: 20,
            batch: 4,
            learning_rate: 1e-3,
            schedule: Rate::Cosine,
            weight_decay: 1e-4,
            augment: Augment::default(),
            early_stop: None,
            balanced: false,
            seed: 0,
            keep_going: false,
            memory: None,
        }
    }
}

impl TrainOptions {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String, hint: &str| Err(Error::request(what, hint));
        if self.model != "mrinet" {
            return wrong(format!("there is no network {}", self.model), "the network there is: mrinet");
        }
        if self.epochs == 0 || self.epochs > 100_000 {
            return wrong(format!("{} epochs", self.epochs), "give from 1 to 100000 epochs");
        }
        if self.batch < 2 || self.batch > 4096 {
            let hint = "give from 2 to 4096 subjects: batch normalisation needs more than one";
            return wrong(format!("a batch of {}", self.batch), hint);
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 10.0) {
            return wrong(format!("a learning rate of {}", self.learning_rate), "give one above 0, such as 0.001");
        }
        if !(0.0..=10.0).contains(&self.weight_decay) {
            return wrong(format!("a weight decay of {}", self.weight_decay), "give one from 0, such as 0.0001");
        }
        if self.early_stop == Some(0) {
            return wrong("early stopping after 0 epochs".into(), "give at least 1 epoch of patience");
        }
        self.augment.check()
    }
}
