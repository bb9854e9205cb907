//! [`ParticipantLevel`]: the command that prepares people of a BIDS dataset.

use super::{
    MaskRule, PrepareOptions, Space,
    prepared::{Prepared, commonest, prepared_in},
    units::GatherOptions,
};
use crate::setting::{
    ALIGN, ALIGN_SIZE, CHANNEL, DTYPE, EXCLUDE, GRID, GRID_SPACE, INCLUDE, MASK, MODEL, NORMALIZE, ORIGIN,
    PARTICIPANT_LABEL, SESSION_LABEL, SKIP_BIDS_VALIDATION, SPACING, WHOLE_HEAD,
};
use std::path::Path;
use voxplain_core::{Action, Result, Setting};
use voxplain_volume::{Sizes, setting::MASK_THRESHOLD};

/// The participant level of a BIDS App, as it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParticipantLevel<'a> {
    /// The dataset.
    pub(crate) dataset: &'a Path,
    /// Where its derivatives go.
    pub(crate) out: &'a Path,
    /// The model that predicts and explains.
    pub(crate) model: Option<&'a Path>,
}

impl ParticipantLevel<'_> {
    /// The command for everybody, with no option of preparation.
    pub(crate) fn command(self) -> Action {
        let mut action = Action::new("bids-app").on(self.dataset).on(self.out).on("participant");
        if !self.dataset.join("dataset_description.json").is_file() {
            action = action.switch(SKIP_BIDS_VALIDATION);
        }
        if let Some(model) = self.model {
            action = action.with(MODEL, model.display());
        }
        action
    }

    /// The command for those who are to be put together.
    pub(crate) fn for_all_of(self, options: &GatherOptions) -> Action {
        let labels = options.labels.iter().flatten();
        let action = labels.fold(self.command(), |action, label| action.with(PARTICIPANT_LABEL, label));
        options.session.iter().fold(action, |action, filter| action.with(SESSION_LABEL, filter))
    }

    /// An action, and the options by which those in a folder of units were prepared, where there is anybody.
    ///
    /// # Errors
    /// A unit that cannot be read.
    pub(crate) fn like_those_in(self, action: Action, folder: &Path) -> Result<Action> {
        let units = prepared_in(folder)?.iter().map(|at| Prepared::read(at)).collect::<Result<Vec<_>>>()?;
        Ok(match commonest(units.iter()) {
            Some(unit) => self.like(action, &unit.options),
            None => action,
        })
    }

    /// An action, and the options by which others were prepared. A model says some of them itself.
    pub(crate) fn like(self, action: Action, options: &PrepareOptions) -> Action {
        let own: &[Setting] = match self.model {
            Some(_) => &[CHANNEL, WHOLE_HEAD, GRID, SPACING, GRID_SPACE, ORIGIN, ALIGN_SIZE, NORMALIZE],
            None => &[],
        };
        let said = settings(options).into_iter().filter(|(setting, _)| !own.contains(setting));
        said.fold(action, |action, (setting, value)| match value {
            Some(value) => action.with(setting, value),
            None => action.switch(setting),
        })
    }
}

/// Options of a preparation as they are given, those that are not as they are by default; not whose images.
pub(super) fn settings(options: &PrepareOptions) -> Vec<(Setting, Option<String>)> {
    let by = |n: &[String]| n.join("x");
    let mut said: Vec<(Setting, Option<String>)> =
        options.channels.iter().map(|name| (CHANNEL, Some(name.clone()))).collect();
    let mut say = |setting: Setting, value: Option<String>| {
        if value.is_some() {
            said.push((setting, value));
        }
    };
    say(INCLUDE, options.include.clone());
    say(EXCLUDE, options.exclude.clone());
    for filter in options.entities.iter().filter(|filter| filter.entity != "ses") {
        say(filter.setting(), Some(filter.to_string()));
    }
    say(MASK, Some(options.mask.to_string()).filter(|_| options.mask != MaskRule::Unstated));
    say(MASK_THRESHOLD, options.mask_threshold.map(|value| value.to_string()));
    say(GRID, options.shape.map(|shape| by(&shape.map(|n| n.to_string()))));
    say(
        SPACING,
        options.spacing.map(|mm| match mm {
            [i, j, k] if i == j && j == k => i.to_string(),
            each => by(&each.map(|mm| mm.to_string())),
        }),
    );
    match options.space {
        Space::Mask => {}
        Space::Template => say(GRID_SPACE, Some("template".to_owned())),
        Space::Origin(origin) => say(ORIGIN, Some(origin.map(|mm| mm.to_string()).join(","))),
    }
    if let Some(template) = &options.align {
        say(ALIGN, Some(template.display().to_string()));
        say(ALIGN_SIZE, Some("remove".to_owned()).filter(|_| options.sizes == Sizes::Remove));
    }
    say(NORMALIZE, Some(options.normalize.name().to_owned()).filter(|_| options.normalize != Default::default()));
    say(DTYPE, Some("float16".to_owned()).filter(|_| !options.dtype.is_default()));
    if options.whole_head {
        said.push((WHOLE_HEAD, None));
    }
    said
}
