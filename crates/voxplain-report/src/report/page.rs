//! [`Page`]: what the template shows, and the document it becomes.

use super::{
    element::{Placed, TextTable, Warning},
    section::{
        faithfulness::Faithfulness,
        leakage::Leakage,
        maps::MethodMaps,
        methods_text::MethodsText,
        quality::Checks,
        regions::Regions,
        significance::{Comparison, Permuted},
        subjects::Subjects,
        truth::Truth,
    },
    viewer::{NOTICES, Scenes, Viewer},
};
use crate::figure::font_faces;
use serde::Serialize;
use std::path::{Path, PathBuf};
use voxplain_core::{Action, Error, Progress, Result, Vocabulary, visible};

/// Everything that the template shows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Page {
    pub(super) title: String,
    /// What masks hold, in a word: `brain` or `head`.
    pub(super) organ: &'static str,
    /// Sentences under the title.
    pub(super) summary: Vec<String>,
    /// Term and description.
    pub(super) facts: Vec<[String; 2]>,
    pub(super) cohort: Option<TextTable>,
    pub(super) quality: Option<Checks>,
    pub(super) accuracy: Option<TextTable>,
    /// Whether the run predicts a value, and no classes.
    pub(super) of_value: bool,
    /// The network group by group, where there are few groups.
    pub(super) accuracy_by_group: Option<TextTable>,
    /// The network class by class, where there are more than two.
    pub(super) accuracy_by_class: Option<TextTable>,
    pub(super) comparisons: Vec<String>,
    /// Mean activation patterns of the linear baselines.
    pub(super) linear: Vec<Placed>,
    /// How much of what the run tells each confound explains.
    pub(super) confounds: Option<TextTable>,
    /// How maps change with confounds.
    pub(super) confound_maps: Option<TextTable>,
    /// What goes with the label beside the images.
    pub(super) imbalance: Option<TextTable>,
    pub(super) judging: String,
    /// Figures on training and accuracy.
    pub(super) charts: Vec<Placed>,
    /// What may have leaked, of a run.
    pub(super) leakage: Option<Leakage>,
    /// All methods at the same cuts.
    pub(super) side_by_side: Vec<Placed>,
    pub(super) methods: Vec<MethodMaps>,
    /// What the coordinates are.
    pub(super) space: String,
    pub(super) agreement: Vec<Placed>,
    pub(super) agreement_table: Option<TextTable>,
    /// Where the classes are known to differ, and how much of the maps lies there.
    pub(super) truth: Option<Truth>,
    pub(super) faithfulness: Option<Faithfulness>,
    pub(super) regions: Vec<Regions>,
    /// Tests of maps.
    pub(super) tests: Vec<Comparison>,
    /// Classifiers on permuted labels.
    pub(super) permuted: Vec<Permuted>,
    pub(super) subjects: Option<Subjects>,
    pub(super) methods_text: Option<MethodsText>,
    /// What went in and what came out, by its hash.
    pub(super) provenance: Option<TextTable>,
    #[serde(skip)]
    pub(super) missing: Vec<Missing>,
    #[serde(skip)]
    pub(super) warnings: Vec<Warning>,
    /// The steps that make it again.
    #[serde(skip)]
    pub(super) steps: Vec<Action>,
    /// What these cannot make again, since it is not recorded how it was asked for.
    pub(super) not_again: Vec<String>,
    /// Name and content of files that say how it was made.
    pub(super) records: Vec<[String; 2]>,
    pub(super) version: String,
    /// Which method the viewer opens with, and why.
    pub(super) opens: String,
    /// What the viewer shows; its part of the page is made last, from what room there is.
    #[serde(skip)]
    pub(super) viewer: Viewer,
    /// Where the viewer's scenes are made, for a page that asks for them.
    #[serde(skip)]
    pub(super) scenes: Option<Scenes>,
}

/// A part that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The part.
    pub(super) what: String,
    /// The step that makes it.
    pub(super) step: Action,
}

/// A page as a document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) html: String,
    /// Name and content of what stands in a folder beside it.
    pub(super) files: Vec<(String, String)>,
    /// Begins every id in it, so that reports can stand in one document.
    pub(super) id: String,
    /// Of its own scripts, for a content security policy.
    pub(super) nonce: String,
}

/// Where the viewer's scripts go; no text from data can hold it, as `<` is escaped there.
const SCRIPTS: &str = "<!-- scripts -->";

impl Page {
    pub(super) fn new(title: String) -> Self {
        Self { title, organ: "brain", version: env!("CARGO_PKG_VERSION").into(), ..Self::default() }
    }

    pub(super) fn lacks(&mut self, what: impl Into<String>, step: Action) {
        self.missing.push(Missing { what: what.into(), step });
    }

    /// What was read, where it is there and of the models that the run has now; else it is left out, and the page says so.
    pub(super) fn current<T>(&mut self, what: &str, read: Result<Option<T>>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.warnings.push(Warning::left_out(what, &error));
            None
        })
    }

    /// Writes every figure as SVG and PNG; those of an earlier report that are no longer made are left alone.
    pub(super) fn write_figures(&self, folder: &Path, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        let all: Vec<&Placed> = self
            .quality
            .iter()
            .filter_map(|q| q.figure.as_ref())
            .chain(&self.charts)
            .chain(&self.linear)
            .chain(&self.side_by_side)
            .chain(self.methods.iter().flat_map(|m| &m.figures))
            .chain(&self.agreement)
            .chain(self.truth.iter().flat_map(|t| &t.figures))
            .chain(self.faithfulness.iter().map(|f| &f.figure))
            .chain(self.regions.iter().flat_map(|r| &r.figures))
            .chain(self.tests.iter().flat_map(|t| &t.figures))
            .chain(self.permuted.iter().filter_map(|p| p.figure.as_ref()))
            .collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        progress.begin("figures", all.len());
        let mut written = Vec::with_capacity(all.len());
        for placed in all {
            progress.go_on()?;
            let stem = folder.join(&placed.stem);
            placed.figure.write(&stem)?;
            written.push(stem.with_extension("svg"));
            progress.advance(1, &placed.stem);
        }
        progress.end();
        Ok(written)
    }

    /// The document, of at most about `max` bytes, with steps in the words of `vocabulary`. What has no room goes to files
    /// that are to stand in a folder of that name beside it. The viewer is empty afterwards.
    pub(super) fn render(&mut self, vocabulary: &dyn Vocabulary, folder: &str, max: usize) -> Result<Document> {
        /// A part that is missing, in words.
        #[derive(Serialize)]
        struct Lacking<'a> {
            what: &'a str,
            command: String,
        }
        /// What the template is given of the page.
        #[derive(Serialize)]
        struct Content<'a> {
            #[serde(flatten)]
            page: &'a Page,
            missing: Vec<Lacking<'a>>,
            warnings: Vec<String>,
            commands: Vec<String>,
        }
        /// What it is given besides.
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            content: &'a Content<'a>,
            id: &'a str,
            nonce: &'a str,
            viewer: bool,
            atlases: bool,
            notices: &'a str,
            fonts: String,
            folding: &'static str,
        }
        let missing = self.missing.iter().map(|m| Lacking { what: &m.what, command: vocabulary.action(&m.step) });
        let content = Content {
            page: self,
            missing: missing.collect(),
            warnings: self.warnings.iter().map(|warning| warning.words(vocabulary)).collect(),
            commands: self.steps.iter().map(|step| vocabulary.action(step)).collect(),
        };
        // Both are functions of the content: the same report has the same bytes, and nothing that the data say can know
        // them.
        let mut hasher = blake3::Hasher::new();
        hasher.update(&serde_json::to_vec(&content).map_err(|e| fault(&e.to_string()))?);
        hasher.update(self.viewer.hash()?.as_bytes());
        let hash = hasher.finalize().to_hex();
        let (id, nonce) = (format!("v{}", &hash[..10]), hash[32..].to_owned());
        let html = fill(&Shown {
            content: &content,
            id: &id,
            nonce: &nonce,
            viewer: !self.viewer.is_empty(),
            atlases: self.viewer.has_atlases(),
            notices: NOTICES,
            fonts: font_faces(),
            folding: include_str!("templates/folding.js"),
        })?;
        if self.viewer.is_empty() {
            return Ok(Document { html, files: Vec::new(), id, nonce });
        }
        let (head, tail) = html.split_once(SCRIPTS).ok_or_else(|| fault("its template has no place for scripts"))?;
        let room = max.saturating_sub(html.len());
        let payload = std::mem::take(&mut self.viewer).payload(&id, &nonce, room, folder)?;
        Ok(Document { html: format!("{head}{}{tail}", payload.html), files: payload.files, id, nonce })
    }
}

/// The template with its values.
fn fill(shown: &impl Serialize) -> Result<String> {
    let mut environment = minijinja::Environment::new();
    let fault_of = |e: minijinja::Error| fault(&format!("{e:#}"));
    // A name that ends in .html turns on escaping of every value that is not marked safe.
    environment.add_template("report.html", include_str!("templates/report.html")).map_err(fault_of)?;
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    // Characters that hide or put others in another order are written out.
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => minijinja::escape_formatter(out, state, &visible(text).into()),
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.get_template("report.html").and_then(|t| t.render(minijinja::value::Serde(shown))).map_err(fault_of)
}

fn fault(why: &str) -> Error {
    Error::request(format!("the page cannot be made: {why}"), "this is a fault of voxplain")
}
