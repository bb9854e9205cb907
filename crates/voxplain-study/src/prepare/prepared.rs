//! [`Prepared`]: a unit that is prepared, and how that was done.

use super::{MaskRule, PrepareOptions, entities::EntityFilter, level::settings};
use crate::{
    cohort::{Cohort, CohortLayout, Template, bare, differing, option_name},
    folder::{entries, name_of},
    listed::{counted, listed},
    setting::{FORCE, OUT, SPACE},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Error, Phrase, Progress, Remedy, Result, remedy};

/// The unit in a folder of units: its cohort, and the options that it was prepared by, without what is of it alone.
pub(super) struct Prepared {
    pub(super) cohort: Cohort,
    pub(super) options: PrepareOptions,
    /// The same with what is of it alone.
    own: PrepareOptions,
    /// Its image, by its path below the dataset, where that is known.
    pub(super) image: Option<PathBuf>,
}

impl Prepared {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let again = "remove it and prepare this participant again";
        let cohort = Cohort::open(folder)?;
        let id = name_of(folder);
        let [subject] = cohort.subjects.as_slice() else {
            let what = format!("has {}, and not one", counted(cohort.subjects.len(), "person"));
            return Err(Error::file(folder, what, again));
        };
        if subject.id != bare(&id) {
            return Err(Error::file(folder, format!("holds {}, and is named otherwise", subject.id), again));
        }
        let own: PrepareOptions = serde_json::from_value(cohort.made_by["options"].clone())
            .map_err(|e| Error::file(folder, format!("its options cannot be understood: {e}"), again))?;
        let entities = own.entities.iter().filter(|filter| filter.entity != "ses").cloned().collect();
        let options = PrepareOptions { labels: None, without_table: false, entities, ..own.clone() };
        let image = subject.source.as_ref().or_else(|| subject.channels.first()?.source.as_ref());
        let root = cohort.made_by["source"].as_str().map(Path::new);
        let image = image.zip(root).and_then(|(image, root)| image.strip_prefix(root).ok()).map(Path::to_owned);
        Ok(Self { cohort, options, own, image })
    }

    /// By what its image was chosen among those of the unit.
    fn choice(&self) -> Choice {
        let entities = self.options.entities.iter().filter(|filter| filter.entity != "space");
        Choice {
            include: self.options.include.clone(),
            exclude: self.options.exclude.clone(),
            entities: entities.cloned().collect(),
        }
    }

    /// What is to be the same of all: not which image was chosen, nor where the dataset, the masks and the template lay, which may differ from
    /// machine to machine.
    fn manner(&self) -> serde_json::Value {
        let mask = match &self.options.mask {
            MaskRule::File(file) => MaskRule::File(file.file_name().unwrap_or_default().into()),
            MaskRule::Folder(_, pattern) => MaskRule::Folder(PathBuf::new(), pattern.clone()),
            other => other.clone(),
        };
        let mut preparation = self.cohort.preparation.clone();
        // It is known by its hash.
        preparation.template.iter_mut().for_each(|template| template.path = PathBuf::new());
        let mut manner = serde_json::json!(PrepareOptions { mask, ..self.options.manner() });
        manner["preparation"] = serde_json::json!(preparation);
        manner
    }

    /// That two were prepared in different ways, and in what.
    pub(super) fn same_as(&self, first: &Self) -> Result<()> {
        let (ours, theirs) = (self.manner(), first.manner());
        if ours == theirs {
            return Ok(());
        }
        let differ = differ(&ours, &theirs);
        Err(Error::file(
            &self.cohort.path,
            format!("was prepared otherwise than {}: they differ in {differ}", name_of(&first.cohort.path)),
            remedy!["prepare all participants with the same options; ", FORCE, " prepares one anew"],
        ))
    }
}

/// The folders of the units that are prepared, in a folder of units; none where it is not there.
pub(super) fn prepared_in(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    Ok(entries(folder)?.into_iter().filter(|at| CohortLayout::at(at).document().is_file()).collect())
}

/// Of units the first whose image was chosen as those of most were.
pub(super) fn commonest<'a>(prepared: impl Iterator<Item = &'a Prepared>) -> Option<&'a Prepared> {
    let mut choices: Vec<(Choice, usize, &Prepared)> = Vec::new();
    for unit in prepared {
        let choice = unit.choice();
        match choices.iter_mut().find(|(other, ..)| *other == choice) {
            Some((_, count, _)) => *count += 1,
            None => choices.push((choice, 1, unit)),
        }
    }
    let most = choices.iter().map(|(_, count, _)| *count).max()?;
    choices.into_iter().find(|(_, count, _)| *count == most).map(|(.., unit)| unit)
}

/// What two manners differ in.
fn differ(ours: &serde_json::Value, theirs: &serde_json::Value) -> String {
    // What the options come to is said where they say nothing alone.
    let options = differing(ours, theirs).into_iter().filter(|key| *key != "preparation").map(|key| match key {
        // The other entities choose among images.
        "entities" => SPACE.name().to_owned(),
        key => option_name(key),
    });
    let options: Vec<String> = options.collect();
    if options.is_empty() { "their template".to_owned() } else { listed(options, 8) }
}

/// By what an image is chosen among those of a person and session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    include: Option<String>,
    exclude: Option<String>,
    entities: Vec<EntityFilter>,
}

/// The options by which a unit is prepared that may be prepared already: those that it was prepared by, where they come to the same. An image
/// that was chosen before stays, where the options of now take it too.
///
/// # Errors
/// It was prepared otherwise, or from an image that is not among the chosen ones.
pub(super) fn as_before(asked: PrepareOptions, folder: &Path, progress: &dyn Progress) -> Result<PrepareOptions> {
    if asked.force || !CohortLayout::at(folder).document().is_file() {
        return Ok(asked);
    }
    let Prepared { cohort, options, own, image } = Prepared::read(folder)?;
    let template = asked.align.as_deref().map(|path| Template::new(path, asked.sizes)).transpose()?;
    let other = |what: String| {
        let mut phrases: Vec<Phrase> = vec!["give".into()];
        for (setting, value) in settings(&options) {
            phrases.extend([" ".into(), Phrase::Setting(setting, value)]);
        }
        if phrases.len() == 1 {
            phrases.push(" no option of preparation".into());
        }
        phrases.extend([
            " as before, choose another ".into(),
            OUT.into(),
            ", or prepare it anew with ".into(),
            FORCE.into(),
        ]);
        Error::file(folder, what, Remedy::new(phrases))
    };
    let [before, now] = [&own, &asked].map(|options| serde_json::json!(options.manner()));
    if before != now {
        let differ = differ(&before, &now);
        return Err(other(format!("is prepared already, with other options: they differ in {differ}")));
    }
    let hash = |template: &Option<Template>| template.as_ref().map(|template| template.hash.clone());
    if hash(&template) != hash(&cohort.preparation.template) {
        return Err(other("is prepared already, on another template or on none".to_owned()));
    }
    let choice = |of: &PrepareOptions| (of.include.clone(), of.exclude.clone(), of.entities.clone());
    if let Some(image) = image.filter(|_| choice(&own) != choice(&asked)) {
        if !asked.takes(&image) {
            let what = format!("is prepared already, from {}, which is not chosen now", image.display());
            return Err(other(what));
        }
        progress.note(&format!("{} stays as it was prepared, from {}", name_of(folder), image.display()));
    }
    // How it is built has no part in what it is.
    Ok(PrepareOptions { reuse: asked.reuse, keep_going: asked.keep_going, ..own })
}
