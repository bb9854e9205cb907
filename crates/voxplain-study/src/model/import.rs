//! [`import`]: models from PyTorch checkpoints.

use super::{Card, Model, Task, UNKNOWN_LABEL, mrinet};
use crate::listed::listed;
use crate::{
    cohort::{Normalize, Placement, Preparation},
    setting::{ARCH, CLASSES, SHAPE},
};
use std::{collections::BTreeSet, path::Path};
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d, Tensor};
use voxplain_volume::{Affine, Grid};

/// The architectures whose checkpoints can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// [`mrinet`] with tensors `hidden{1,2,3}.{0,1}.*` and `linear.*`; it ends in log-softmax.
    Mrinet,
    /// [`mrinet`] with tensors `features.N.*` and `classifier.3.*`; it ends in logits.
    MrinetGrad,
}

/// What a checkpoint does not hold and must be given to import it.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The architecture of the network.
    pub architecture: Architecture,
    /// Names of the classes, in the order of the outputs; `class0`, `class1`, ... when empty.
    pub classes: Vec<String>,
    /// Shape of the input, `[i, j, k]`; the 58 x 70 x 58 of the paper when `None`.
    pub shape: Option<[usize; 3]>,
    /// How intensities of its inputs are normalised.
    pub normalize: Normalize,
}

impl Architecture {
    /// Its name, `mrinet` or `mrinet-grad`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mrinet => "mrinet",
            Self::MrinetGrad => "mrinet-grad",
        }
    }

    /// The names of the first convolution and of the linear layer.
    fn ends(self) -> [&'static str; 2] {
        match self {
            Self::Mrinet => ["hidden1.0", "linear"],
            Self::MrinetGrad => ["features.0", "classifier.3"],
        }
    }

    fn network(self, shape: [usize; 3], width: usize, classes: usize) -> Result<Network> {
        // Also checks shape and width.
        let net = mrinet(shape, width, classes)?;
        if self == Self::MrinetGrad {
            return Ok(net);
        }
        let mut net = Network::new([1, shape[0], shape[1], shape[2]]);
        let mut channels = 1;
        for stage in 0..3 {
            let out = width << stage;
            let ops = [
                Conv3d::new(channels, out, [3; 3]).into(),
                BatchNorm::new(out).into(),
                Op::Relu,
                Op::MaxPool3d(Pool3d::new([2; 3])),
            ];
            for (n, op) in ops.into_iter().enumerate() {
                net.then(&format!("hidden{}.{n}", stage + 1), op)?;
            }
            channels = out;
        }
        net.then("flatten", Op::Flatten)?;
        let features = net.outputs();
        net.then("linear", Linear::new(features, classes))?;
        net.then("log_softmax", Op::LogSoftmax)?;
        Ok(net)
    }
}

/// Imports a PyTorch checkpoint, a state dictionary as `torch.save` writes it. No code of the file is run. The position of
/// its grid in the world is unknown: the model takes any image of its shape.
///
/// # Errors
/// The file cannot be read, its tensors are not those of the architecture, or shape or classes do not fit them.
pub fn import(checkpoint: &Path, options: &ImportOptions) -> Result<Model> {
    if super::onnx::is_onnx(checkpoint)? {
        let what = "is an ONNX file, which holds the network itself";
        return Err(Error::file(checkpoint, what, remedy!["leave out ", ARCH]));
    }
    let state: Vec<(String, Tensor)> = voxplain_nn::import::pytorch::read(checkpoint)?
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .collect();
    assemble(state, options).map_err(|e| match e {
        Error::Request { what, remedy } => Error::file(checkpoint, what, remedy),
        e => e,
    })
}

fn assemble(state: Vec<(String, Tensor)>, options: &ImportOptions) -> Result<Model> {
    let architecture = options.architecture;
    let name = architecture.name();
    let [first, last] = architecture.ends();
    let found = |key: &str| state.iter().find(|(name, _)| name == key).map(|(_, t)| t);
    let (Some(first), Some(last)) = (found(&format!("{first}.weight")), found(&format!("{last}.weight"))) else {
        let there: Vec<_> = state.iter().map(|(n, t)| format!("{n} {:?}", t.shape())).collect();
        let other = [Architecture::Mrinet, Architecture::MrinetGrad]
            .into_iter()
            .find(|a| a.ends().iter().all(|end| found(&format!("{end}.weight")).is_some()));
        return Err(Error::request(
            format!("expected `{first}.weight` and `{last}.weight` of {name}, found: {}", list(&there)),
            match other {
                Some(other) => remedy!["use ", ARCH.to(other.name())],
                None => "this is no checkpoint of mrinet or mrinet-grad; give a plain state_dict of one".into(),
            },
        ));
    };
    let (&[width, ..], &[classes, features]) = (first.shape(), last.shape()) else {
        return Err(Error::request(
            format!("expected a convolution and a linear layer, found {:?} and {:?}", first.shape(), last.shape()),
            "give a plain state_dict of mrinet or mrinet-grad",
        ));
    };
    let shape = options.shape.unwrap_or([58, 70, 58]);
    let network = architecture.network(shape, width, classes)?;
    let linear = format!("{}.weight", architecture.ends()[1]);
    let expected = network.state().iter().find(|p| p.name == linear).map_or(0, |p| p.tensor.shape()[1]);
    if expected != features {
        let per = if width > 0 { features / (4 * width) } else { 0 };
        return Err(Error::request(
            format!(
                "the linear layer takes {features} values ({} channels of {per}), but an input of {shape:?} gives {expected}",
                4 * width,
            ),
            remedy!["say the shape of its input with ", SHAPE.to("IxJxK")],
        ));
    }
    let mut network = network;
    let there: Vec<_> = state.iter().map(|(n, t)| format!("{n} {:?}", t.shape())).collect();
    network.load_state(state).map_err(|e| {
        Error::request(format!("the weights do not fit {name}: {e}"), format!("the checkpoint holds: {}", list(&there)))
    })?;
    let classes: Vec<String> = match options.classes.len() {
        0 => (0..classes).map(|c| format!("class{c}")).collect(),
        n if n == classes => options.classes.iter().map(|name| name.trim().to_owned()).collect(),
        n => {
            return Err(Error::request(
                format!("{n} class names for {classes} outputs"),
                remedy![format!("give {classes} names to "), CLASSES],
            ));
        }
    };
    let grid = Grid::new(shape, Affine::IDENTITY)?;
    let model = Model {
        network,
        card: Card {
            architecture: name.into(),
            task: Task::classes_named(classes),
            label: UNKNOWN_LABEL.into(),
            preparation: Preparation {
                shape,
                spacing: [1.0; 3],
                normalize: options.normalize,
                placement: Placement::Fixed(grid),
                template: None,
                whole_head: false,
                channels: Vec::new(),
            },
            grid_unknown: true,
            sealed: true,
            trained_on: BTreeSet::new(),
            training: serde_json::json!({ "imported": true, "check": null }),
        },
    };
    model.check().map_err(|what| Error::request(what, "the checkpoint cannot be used"))?;
    Ok(model)
}

/// At most 24 names.
fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { listed(names, 24) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ImportOptions = ImportOptions {
        architecture: Architecture::MrinetGrad,
        classes: Vec::new(),
        shape: Some([24, 22, 30]),
        normalize: Normalize::None,
    };

    fn state(architecture: Architecture, shape: [usize; 3]) -> Vec<(String, Tensor)> {
        let mut network = architecture.network(shape, 2, 2).unwrap();
        network.initialize(3);
        network.state().into_iter().map(|p| (p.name, p.tensor.clone())).collect()
    }

    #[test]
    fn width_and_classes_are_found() {
        for architecture in [Architecture::Mrinet, Architecture::MrinetGrad] {
            let state = state(architecture, [24, 22, 30]);
            let model = assemble(state.clone(), &ImportOptions { architecture, ..OPTIONS }).unwrap();
            assert_eq!(model.card.task.classes(), ["class0", "class1"]);
            assert!(model.card.grid_unknown);
            let back: Vec<_> = model.network.state().into_iter().map(|p| (p.name, p.tensor.clone())).collect();
            assert_eq!(back, state);
        }
        let paper =
            assemble(state(Architecture::MrinetGrad, [58, 70, 58]), &ImportOptions { shape: None, ..OPTIONS }).unwrap();
        assert_eq!(paper.network.input_shape(), [1, 58, 70, 58]);
        let named = ImportOptions { classes: vec!["female".into(), "male".into()], ..OPTIONS };
        let model = assemble(state(Architecture::MrinetGrad, [24, 22, 30]), &named).unwrap();
        assert_eq!(model.card.task.classes(), ["female", "male"]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let good = || state(Architecture::MrinetGrad, [24, 22, 30]);
        let refused = |state: Vec<(String, Tensor)>, options: &ImportOptions| {
            let error = assemble(state, options).unwrap_err();
            format!("{error} / {}", error.remedy().map(|r| r.to_string()).unwrap_or_default())
        };
        let other = refused(good(), &ImportOptions { architecture: Architecture::Mrinet, ..OPTIONS });
        assert!(other.contains("expected `hidden1.0.weight`") && other.contains("features.0.weight [2, 1, 3, 3, 3]"));
        assert!(other.ends_with("use `arch` = mrinet-grad"), "{other}");
        assert!(refused(Vec::new(), &OPTIONS).contains("found: nothing"));
        let shape = refused(good(), &ImportOptions { shape: None, ..OPTIONS });
        assert!(shape.contains("takes 16 values (8 channels of 2)") && shape.contains("`shape` = IxJxK"), "{shape}");
        let mut missing = good();
        missing.retain(|(name, _)| name != "features.5.running_var");
        assert!(refused(missing, &OPTIONS).contains("features.5.running_var"));
        let mut wrong = good();
        wrong[7].1 = Tensor::zeros([1, 2]);
        assert!(refused(wrong, &OPTIONS).contains("[1, 2]"));
        let mut endless = good();
        endless[0].1.data_mut()[0] = f32::INFINITY;
        assert!(refused(endless, &OPTIONS).contains("not finite"));
        assert!(refused(good(), &ImportOptions { classes: vec!["one".into()], ..OPTIONS }).contains("1 class names"));
        assert!(refused(good(), &ImportOptions { shape: Some([9; 3]), ..OPTIONS }).contains("22 x 22 x 22"));
    }
}
