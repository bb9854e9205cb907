//! [`InitialWeights`]: the weights of another model, from which training starts.

use super::{dataset::Dataset, options::TrainOptions};
use crate::{
    listed::{and, listed},
    model::Model,
    setting::{INIT, MODEL, WIDTH},
};
use std::path::Path;
use voxplain_core::{Error, Progress, Result, plural::counted, remedy};
use voxplain_nn::{Network, Tensor};

/// The weights of another model, all but those of the last layer where this one is another.
pub(super) struct InitialWeights {
    state: Vec<(String, Tensor)>,
    /// What it knows the people by whom it was trained on, and those of the model that it began from.
    pub(super) seen: Vec<String>,
}

/// What a run records of a model file: BLAKE3 of it, and what it had learnt, from how many people where it says so.
pub(super) fn recorded(path: &Path) -> Result<(String, String)> {
    let (Model { card, .. }, hash) = Model::read_with_hash(path)?;
    let learnt = match card.task.value() {
        Some(value) => format!("to predict {value}"),
        None => format!("to tell {} apart", and(card.task.classes())),
    };
    let from = match card.trained_on.len() {
        0 => ", from people that its file does not name".to_owned(),
        images => format!(" from {}", counted(images, "image")),
    };
    Ok((hash, format!("{learnt}{from}")))
}

impl InitialWeights {
    /// Those of the model that the options name, if they do, for this network.
    ///
    /// # Errors
    /// The file cannot be read; it is another network, but for the size of its last layer; or it was trained on people of this
    /// cohort, so that nobody it saw could be held out from it.
    pub(super) fn of(
        options: &TrainOptions,
        dataset: &Dataset<'_>,
        network: &Network,
        progress: &dyn Progress,
    ) -> Result<Option<Self>> {
        let Some(path) = options.init.as_deref() else { return Ok(None) };
        let model = Model::read(path)?;
        if let Some(what) = model.card.refuse_other_channels(dataset.cohort)? {
            progress.warn(&what);
        }
        let seen: Vec<&str> =
            (0..dataset.len()).filter(|&n| model.has_seen_any(dataset.marks(n))).map(|n| dataset.id(n)).collect();
        let kept: Vec<&str> = (dataset.test.iter())
            .map(|&n| &dataset.cohort.subjects[n])
            .filter(|subject| model.has_seen_any(subject.marks()))
            .map(|subject| subject.id.as_str())
            .collect();
        if !kept.is_empty() {
            return Err(Error::file(
                path,
                format!(
                    "was trained on {} of the test set ({}): they would not be new to it",
                    kept.len(),
                    listed(kept.iter(), 8)
                ),
                remedy!["start from a model of other people, or leave out ", INIT],
            ));
        }
        let known = model.marks_of_training();
        let Model { network: theirs, card } = model;
        if !seen.is_empty() {
            return Err(Error::file(
                path,
                format!(
                    "was trained on {} of the {} people of this cohort ({}): held out here, they would not be new to it",
                    seen.len(),
                    dataset.len(),
                    listed(seen.iter(), 8)
                ),
                remedy!["start from a model of other people, or leave out ", INIT],
            ));
        }
        if card.trained_on.is_empty() {
            progress.warn(&format!(
                "{}: does not say on whom it was trained; if people of this cohort are among them, what is held out is not new to it",
                path.display()
            ));
        }
        let parameters = network.parameters();
        let head = parameters.last().and_then(|last| last.name.rsplit_once('.')).map(|(node, _)| node);
        let of_head = |name: &str| head.is_some_and(|node| is_of(name, node));
        let (ours, theirs) = (network.state(), theirs.state());
        // The last layer of a value is learnt on the scale of the people of each fold.
        let same_classes = dataset.values.is_none() && card.task == dataset.task();
        let mut state = Vec::new();
        let mut anew = false;
        for parameter in &ours {
            let found = theirs.iter().find(|p| p.name == parameter.name);
            let fits = found.filter(|p| p.tensor.shape() == parameter.tensor.shape());
            match (fits, of_head(&parameter.name)) {
                (Some(p), false) => state.push((p.name.clone(), p.tensor.clone())),
                (Some(p), true) if same_classes => state.push((p.name.clone(), p.tensor.clone())),
                (_, true) => anew = true,
                (None, false) => {
                    let shape = parameter.tensor.shape();
                    let what = match found {
                        Some(p) => format!("has `{}` of shape {:?}, expected {shape:?}", p.name, p.tensor.shape()),
                        None => format!("has no `{}`", parameter.name),
                    };
                    let network = format!("{} of width {}", options.model, options.width());
                    return Err(Error::file(
                        path,
                        format!("is not the network {network}: it {what}"),
                        remedy!["give the network that it is (", MODEL, ", ", WIDTH, "), or another file to ", INIT],
                    ));
                }
            }
        }
        if anew {
            let why = if dataset.values.is_some() {
                format!("it predicts {}; that of the value {} is learnt anew", card.task, dataset.task())
            } else if card.task.value().is_some() {
                format!("it predicts a value, {}, here classes: {}", card.task, dataset.classes.join(", "))
            } else if same_classes {
                "it has other inputs there, since the grid is another".to_owned()
            } else {
                format!("its classes are {}, here {}", card.task.classes().join(", "), dataset.classes.join(", "))
            };
            progress.note(&format!("{}: all weights are taken but those of the last layer ({why})", path.display()));
        }
        let (theirs, ours) = (&card.preparation, &dataset.cohort.preparation);
        if theirs.normalize != ours.normalize || theirs.spacing != ours.spacing {
            progress.warn(&format!(
                "{}: was trained on voxels of {} mm with intensities {}; this cohort has {} mm, {}",
                path.display(),
                spacing(theirs.spacing),
                theirs.normalize.words(),
                spacing(ours.spacing),
                ours.normalize.words()
            ));
        }
        Ok(Some(Self { state, seen: known }))
    }

    /// Puts them in place of what was drawn.
    pub(super) fn give(&self, network: &mut Network) -> Result<()> {
        let drawn: Vec<_> = network.state().iter().map(|p| (p.name.clone(), p.tensor.clone())).collect();
        let given = |name: &str| self.state.iter().find(|(given, _)| given == name).map(|(_, tensor)| tensor.clone());
        let state = drawn.into_iter().map(|(name, tensor)| {
            let tensor = given(&name).unwrap_or(tensor);
            (name, tensor)
        });
        Ok(network.load_state(state.collect())?)
    }
}

/// Whether a parameter is of a node.
fn is_of(parameter: &str, node: &str) -> bool {
    parameter.rsplit_once('.').is_some_and(|(of, _)| of == node)
}

fn spacing([i, j, k]: [f64; 3]) -> String {
    format!("{i} x {j} x {k}")
}
