//! What a file says that [`Model::write_onnx`](super::Model::write_onnx) wrote: how images are prepared, and what is predicted.

use super::asked::place;
use super::{Card, OnnxOptions, Task};
use crate::model::{UNKNOWN_LABEL, export};
use crate::{
    cohort::Preparation,
    setting::{ALIGN, CHANNEL, CLASSES, LIKE, NORMALIZE, ORIENTATION, ORIGIN, SPACING, VALUE, WHOLE_HEAD},
};
use std::collections::BTreeSet;
use std::path::Path;
use voxplain_core::{Error, Phrase, Result, Setting, remedy};
use voxplain_nn::import::onnx::Imported;

/// Who wrote a file that says it.
const PRODUCER: &str = "voxplain";

/// What the file says, as a card of a model whose images are prepared as those of this one; none where voxplain did not write it, or of a
/// model of which it is not known.
///
/// # Errors
/// What was said beside it is something else; what it says cannot be read; or where heads lie it does not say, and nobody does.
pub(super) fn card(
    file: &Path,
    imported: &Imported,
    options: &OnnxOptions,
    like: Option<&Card>,
) -> Result<Option<Card>> {
    let said = |key: &str| imported.metadata.get(key).filter(|_| imported.producer == PRODUCER);
    let Some(text) = said(export::PREPARATION).filter(|text| *text != export::NOT_KNOWN) else {
        return Ok(None);
    };
    let unreadable = |what: &str, e: serde_json::Error| {
        Error::file(
            file,
            format!("its metadata says {what} in another way than expected: {e}"),
            "export the model again",
        )
    };
    let mut preparation: Preparation =
        serde_json::from_str(text).map_err(|e| unreadable("how images are prepared", e))?;
    let task = match said(export::TASK) {
        Some(text) => serde_json::from_str(text).map_err(|e| unreadable("what it predicts", e))?,
        // Older versions wrote the names of classes alone.
        None => {
            let names = said("classes").map_or_else(Vec::new, |names| names.split(", ").map(str::to_owned).collect());
            Task::classes_named(if names.len() == imported.network.outputs() { names } else { Vec::new() })
        }
    };
    let place_not_asked = said(export::PLACE_NOT_ASKED).is_some();
    // Where heads lie is then said here for the first time.
    let words = OnnxOptions { align: options.align.clone().filter(|_| !place_not_asked), ..options.clone() };
    refuse_other_words(file, &preparation, &task, &words, like)?;
    if place_not_asked {
        let Some(align) = &options.align else {
            let what = "does not say whether heads are turned to a template for it: whoever imported the network first was not asked";
            return Err(Error::file(file, what, remedy!["say it: ", ALIGN.to("TEMPLATE|none")]));
        };
        let (placement, template) = place(align, options.origin, preparation.shape, preparation.spacing)?;
        preparation = Preparation { placement, template, ..preparation };
    }
    Ok(Some(Card {
        architecture: "onnx".into(),
        task,
        label: said("label").cloned().unwrap_or_else(|| UNKNOWN_LABEL.into()),
        preparation,
        grid_unknown: false,
        sealed: true,
        trained_on: BTreeSet::new(),
        training: serde_json::Value::Null,
    }))
}

/// Refuses what was said beside a file and is something else than the file says.
fn refuse_other_words(
    file: &Path,
    own: &Preparation,
    task: &Task,
    options: &OnnxOptions,
    like: Option<&Card>,
) -> Result<()> {
    let refuse = |setting: Setting, own: String, given: String| {
        let what = format!("says {own} (voxplain exported it), and {given} was given");
        Err(Error::file(file, what, remedy!["leave out ", Phrase::from(setting), ": the file says it"]))
    };
    let mm = |spacing: [f64; 3]| format!("{} mm", spacing.map(|mm| mm.to_string()).join(" x "));
    if let Some(spacing) = options.spacing.filter(|given| *given != own.spacing) {
        return refuse(SPACING, format!("voxels of {}", mm(own.spacing)), mm(spacing));
    }
    if let Some(normalize) = options.normalize.filter(|given| *given != own.normalize) {
        return refuse(NORMALIZE, format!("intensities prepared by `{}`", own.normalize), format!("`{normalize}`"));
    }
    if let Some(axes) = options.orientation.as_ref().filter(|axes| !axes.eq_ignore_ascii_case("RAS")) {
        return refuse(ORIENTATION, "axes in the order RAS".into(), format!("{axes:?}"));
    }
    if options.whole_head && !own.whole_head {
        return refuse(WHOLE_HEAD, "brains inside masks".into(), "whole heads".into());
    }
    if !options.channels.is_empty() && options.channels != own.channels {
        let own = match own.channels.as_slice() {
            [] => "nothing of names of channels".to_owned(),
            names => format!("the channels {}", names.join(", ")),
        };
        return refuse(CHANNEL, own, options.channels.join(", "));
    }
    if let Some(align) = &options.align {
        let (placement, template) = place(align, options.origin, own.shape, own.spacing)?;
        let given = Preparation { placement, template, ..own.clone() };
        if given.lies_unlike(own).is_some() || given.placement != own.placement {
            let setting = if given.lies_unlike(own).is_some() { ALIGN } else { ORIGIN };
            return refuse(setting, format!("heads {}", own.place()), format!("heads {}", given.place()));
        }
    }
    if let Some(like) = like
        && !alike(&like.preparation, own)
    {
        return refuse(LIKE, "another preparation of images".into(), "a run or model of that one".into());
    }
    let names: Vec<&str> = options.classes.iter().map(|name| name.trim()).collect();
    if !names.is_empty() && !task.classes().is_empty() && names != task.classes() {
        return refuse(CLASSES, format!("the classes {task}"), names.join(", "));
    }
    if let (Some(given), Some(value)) = (&options.value, task.value())
        && given != value
    {
        return refuse(VALUE, format!("the value {value}"), given.to_string());
    }
    Ok(())
}

/// Whether images are prepared in one way, wherever the template lies.
fn alike(a: &Preparation, b: &Preparation) -> bool {
    let bare = |of: &Preparation| Preparation { template: None, ..of.clone() };
    bare(a) == bare(b) && a.lies_unlike(b).is_none()
}
