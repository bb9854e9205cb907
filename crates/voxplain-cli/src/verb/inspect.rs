//! `voxplain inspect`.

mod folder;

use crate::{
    pipeline::Needs,
    session::{Outcome, Session},
    shell::Shell,
    terminal::{self, brief},
};
use clap::Args;
use folder::Line;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use voxplain::cohort::{CohortLayout, LeftOut};
use voxplain::map::is_recorded;
use voxplain::prepare::images_below;
use voxplain::volume::{Contents, Finding, Image, Level, Orientation, ReadOptions, Summary, read};
use voxplain::{
    Action, Error, Model, Remedy, Setting,
    model::{Task, is_onnx},
    nn::SoftLabels,
    stats::significant,
};

/// What is in a file, and is it fit for use.
///
/// Reads NIfTI-1 and -2, Analyze 7.5 and MGH, gzipped or not, by content. Prints header, orientation and intensities, and
/// what is odd with a remedy. Of a model (.safetensors) it prints what it takes and gives, its layers, and what of its field
/// of view it cannot see. Of a folder it prints a line for each image below it, those unlike the others first, and a summary.
/// Ends with status 1 if a file cannot be read or a finding says that it should not be used.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voxplain inspect sub-01_T1w.nii.gz
  voxplain inspect bids/sub-*/anat/*_T1w.nii.gz --json
  voxplain inspect bids                                     a line for each image
  voxplain inspect run/folds/fold-0/model.safetensors")]
pub(crate) struct Inspect {
    /// Images or models, or folders of images.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    files: Vec<PathBuf>,
    /// Which volume of a file of several, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    volume: usize,
}

impl Inspect {
    /// What it takes and makes.
    pub(crate) fn needs(&self) -> Needs {
        Needs { files: self.files.iter().map(|file| ("files", file.clone())).collect(), ..Needs::default() }
    }

    pub(crate) fn run(&self, session: &Session) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::Done;
        let mut documents = Vec::new();
        let mut text = String::new();
        let mut files = Vec::new();
        for file in &self.files {
            if !file.is_dir() {
                files.push(file.clone());
                continue;
            }
            if CohortLayout::at(file).document().is_file() {
                let step = Action::new("status").on(file).switch(Setting::new("check"));
                let remedy = Remedy::new(["they are read by: ".into(), step.into()]);
                let what =
                    format!("{} is a cohort, whose volumes are no images: they are not among these", file.display());
                session.progress().advise(&what, &remedy);
            }
            let (images, odd) = images_below(file)?;
            for LeftOut { what, why } in &odd {
                outcome = Outcome::Incomplete;
                session.progress().warn(&format!("{what}: {why}"));
            }
            if images.is_empty() {
                let what = "there is no image in this folder or below it (.nii, .nii.gz, .hdr, .mgh, .mgz)";
                return Err(Error::file(file, what, "give the folder that the images lie in").into());
            }
            files.extend(images);
        }
        let of_folder = self.files.iter().any(|file| file.is_dir());
        let mut lines = Vec::new();
        session.progress().begin("inspect", files.len());
        for file in &files {
            // Of an ONNX file it is said that it is to be imported.
            if file.extension().is_some_and(|e| e == "safetensors") || is_onnx(file).is_ok_and(|is| is) {
                match Model::read(file).and_then(|model| model_document(file, &model)) {
                    Ok((document, words)) => {
                        documents.push(document);
                        text += if text.is_empty() { "" } else { "\n" };
                        text += &words;
                    }
                    Err(error) => {
                        outcome = Outcome::Incomplete;
                        documents.push(failed(file, &error.to_string(), error.remedy().map(|r| r.render(&Shell))));
                        terminal::report_error(&error.into());
                    }
                }
                session.progress().advance(1, "");
                continue;
            }
            let read = || -> voxplain::volume::Result<(Image, Summary)> {
                let mut image = read(file, &ReadOptions { volume: Some(self.volume), ..ReadOptions::default() })?;
                // Masks, atlases and maps show what they are made for.
                if !image.findings.iter().any(|f| NO_IMAGE.contains(&f.id)) && !is_recorded(file) {
                    let contents = Contents::of(&image.volume);
                    image.findings.extend(contents.finding().filter(|_| contents.has_intensities(&image.volume)));
                }
                in_order(&mut image.findings);
                let summary = image.volume.summary(None)?;
                Ok((image, summary))
            };
            match read() {
                Ok((image, summary)) => {
                    if image.findings.iter().any(|f| f.level == Level::Error) {
                        outcome = Outcome::Incomplete;
                    }
                    documents.push(document(file, &image, &summary));
                    if of_folder {
                        lines.push(Line::of(&file.display().to_string(), &image, &summary));
                        session.progress().advance(1, "");
                        continue;
                    }
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text += &describe(file, &image, &summary)?;
                }
                Err(error) => {
                    outcome = Outcome::Incomplete;
                    let said = error.to_string();
                    documents.push(failed(file, &said, error.remedy().map(|r| r.render(&Shell))));
                    if of_folder {
                        lines.push(Line::failed(&file.display().to_string(), &said));
                    } else {
                        terminal::report_error(&error.into());
                    }
                }
            }
            session.progress().advance(1, "");
        }
        session.progress().end();
        if of_folder {
            folder::compare(&mut lines);
            text += &folder::text(&lines);
            for document in &mut documents {
                let of = lines.iter().map(Line::unlike).find(|(file, _)| document["file"] == *file);
                document["unlike"] = json!(of.map(|(_, unlike)| unlike));
            }
        }
        if session.global.json || !text.is_empty() {
            session.result(&documents, &text)?;
        }
        Ok(outcome)
    }
}

/// Findings of files that show no head, whatever their size.
const NO_IMAGE: [&str; 6] =
    ["looks-like-mask", "looks-like-labels", "float-labels", "all-zero", "constant", "implausible-size"];

/// First that it is a whole head, then by level; last what nearly every file has.
fn in_order(findings: &mut [Finding]) {
    findings.sort_by_key(|f| match f.id {
        "whole-head" | "more-than-a-brain" => (0, std::cmp::Reverse(f.level)),
        "left-handed" => (2, std::cmp::Reverse(f.level)),
        _ => (1, std::cmp::Reverse(f.level)),
    });
}

fn failed(file: &Path, error: &str, hint: Option<String>) -> Value {
    json!({"file": file.display().to_string(), "error": brief(error), "hint": hint})
}

/// A model as JSON and in words.
fn model_document(file: &Path, model: &Model) -> voxplain::Result<(Value, String)> {
    let (network, card) = (&model.network, &model.card);
    let unseen = model.unseen()?;
    let [i, j, k] = card.preparation.shape;
    let trained_on = match card.trained_on.len() {
        0 => "nobody that the file names".to_owned(),
        images => format!("{images} images, those for early stopping among them"),
    };
    let bins: Option<SoftLabels> =
        card.training.get("soft_labels").and_then(|bins| serde_json::from_value(bins.clone()).ok());
    let mut lines = vec![
        (
            "model",
            format!(
                "{}, {} weights",
                card.architecture,
                network.parameters().iter().map(|p| p.tensor.len()).sum::<usize>()
            ),
        ),
        match &card.task {
            Task::Classes { .. } => ("classes", format!("{} ({})", card.task, card.label)),
            Task::Value { value } => ("value", value.to_string()),
        },
        ("bins", bins.as_ref().map_or_else(String::new, |bins| words_of(bins, &card.task))),
        ("trained on", trained_on),
    ];
    let spacing = card.preparation.spacing.map(number).join(" x ");
    let place =
        if card.grid_unknown { "where it lies in the world is not known".to_owned() } else { format!("{spacing} mm") };
    lines.push(("input", format!("{i} x {j} x {k} voxels, {place}")));
    if !card.preparation.channels.is_empty() {
        lines.push(("channels", card.preparation.channels.join(", ")));
    }
    let preparation = &card.preparation;
    lines.push(("intensities", format!("{}: {}", preparation.normalize, preparation.normalize.words())));
    if !card.grid_unknown {
        lines.push(("axes", "to right, front and top".to_owned()));
        let masks = if preparation.whole_head { "whole heads, without brain masks" } else { "brains inside masks" };
        let place = card.place_not_asked().map_or_else(|| format!("heads {}", preparation.place()), str::to_owned);
        lines.push(("takes", format!("{masks}; {place}")));
    }
    if let (false, Some(extent)) = (card.grid_unknown, preparation.extent()) {
        lines.push(("grid", extent));
    }
    lines.push(("imported", card.imported_words().unwrap_or_default()));
    let seen =
        unseen.as_ref().map_or_else(|| "it sees all of its field of view".to_owned(), |unseen| format!("it {unseen}"));
    lines.push(("field", seen));
    let mut text = format!("{}\n", file.display());
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "  {name:<12} {value}");
    }
    let mut layers = Vec::new();
    network.visit_reach(|node, reach| layers.push((node, reach.blind(), reach.partial(), reach.ways.len())));
    layers.reverse();
    let mut rows = Vec::new();
    for (node, blind, partial, cells) in layers {
        let name = &network.nodes()[node.0].name;
        let shape = network.shape(node)?.to_vec();
        if shape.len() == 4 {
            let lost = if blind + partial == 0 {
                String::new()
            } else {
                format!(", of {cells} cells {blind} cannot reach the output and {partial} only in part")
            };
            let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
            let _ = writeln!(
                text,
                "  {:<12} {name}: {}{lost}",
                if rows.is_empty() { "layers" } else { "" },
                axes.join(" x ")
            );
        }
        rows.push(json!({"node": name, "shape": shape, "blind": blind, "partial": partial}));
    }
    let mut document = json!({
        "file": file.display().to_string(),
        "architecture": card.architecture,
        "classes": card.task.classes(),
        "channels": card.preparation.channels,
        "label": card.label,
        "trained_on": card.trained_on.len(),
        "shape": card.preparation.shape,
        "spacing": (!card.grid_unknown).then_some(card.preparation.spacing),
        "normalize": card.preparation.normalize,
        "whole_head": card.preparation.whole_head,
        "template": card.preparation.template,
        "placement": (!card.grid_unknown && card.place_not_asked().is_none()).then_some(card.preparation.placement),
        "imported": card.imported_words(),
        "check": card.output_check(),
        "unseen": unseen,
        "layers": rows,
    });
    if let Some(value) = card.task.value() {
        document["value"] = json!(value);
    }
    if let Some(bins) = bins {
        document["soft_labels"] = json!(bins);
    }
    Ok((document, text))
}

/// The bins of soft labels in words.
fn words_of(bins: &SoftLabels, task: &Task) -> String {
    let [first, last] = bins.range();
    let suffix = task.value().map_or_else(String::new, |value| value.suffix());
    let width = significant(bins.width(), 6);
    let [first, last] = [first, last].map(|edge| significant(edge, 6));
    format!("{} of width {width} from {first} to {last}{suffix}; the value is their expectation", bins.bins())
}

fn document(file: &Path, image: &Image, summary: &Summary) -> Value {
    let grid = image.volume.grid();
    json!({
        "file": file.display().to_string(),
        "axis_codes": image.axis_codes,
        "spacing": grid.spacing(),
        "center": grid.center(),
        "header": image.header,
        "intensities": summary,
        "findings": image.findings,
    })
}

/// What NIfTI's codes of a form mean.
const FORMS: [&str; 6] = ["not set", "scanner", "aligned to another image", "Talairach", "MNI 152", "another template"];

fn describe(file: &Path, image: &Image, s: &Summary) -> Result<String, std::fmt::Error> {
    let (header, grid) = (&image.header, image.volume.grid());
    let mut out = String::new();
    writeln!(out, "{}", file.display())?;
    let mut line = |name: &str, value: String| writeln!(out, "  {name:<12} {value}");
    let mut format = format!("{}, {}", header.format, header.stored);
    if let Some([slope, inter]) = header.scaling {
        format += &format!(" scaled by {}", number(slope));
        if inter != 0.0 {
            format += &format!(" plus {}", number(inter));
        }
    }
    format += if header.big_endian { ", big-endian" } else { "" };
    format += if header.compressed { ", gzipped" } else { "" };
    line("format", format)?;
    if !header.description.is_empty() {
        line("description", header.description.clone())?;
    }
    let [i, j, k] = grid.shape;
    let volumes = header.volumes();
    line(
        "shape",
        format!("{i} x {j} x {k}") + &if volumes > 1 { format!(", {volumes} volumes") } else { String::new() },
    )?;
    line("axes", format!("{}: {}", image.axis_codes, axes(grid.orientation())))?;
    let spacing = grid.spacing();
    let extent: Vec<String> = (0..3).map(|a| format!("{:.0}", grid.shape[a] as f64 * spacing[a])).collect();
    line("voxels", format!("{} mm, covering {} mm", spacing.map(number).join(" x "), extent.join(" x ")))?;
    line("centre", format!("{} mm (right, front, up)", grid.center().map(|v| format!("{v:.1}")).join(", ")))?;
    let forms = if header.format.starts_with("NIfTI") {
        let name = |code: i16| usize::try_from(code).ok().and_then(|c| FORMS.get(c)).unwrap_or(&"unknown");
        let [q, s] = header.form_codes;
        format!(" (sform {s}: {}, qform {q}: {})", name(s), name(q))
    } else {
        String::new()
    };
    line("affine from", format!("{}{forms}", header.affine_from))?;
    for row in grid.affine.rows() {
        let cells: String = row.iter().map(|v| format!("{:>10.4}", if *v == 0.0 { 0.0 } else { *v })).collect();
        line("", cells)?;
    }
    let other = match (s.nan, s.infinite) {
        (0, 0) => String::new(),
        (nan, infinite) => format!("; {nan} NaN, {infinite} infinite"),
    };
    line(
        "intensities",
        format!(
            "{} to {}, mean {}, sd {}, quantiles 1 % {}, 50 % {}, 99 % {}{other}",
            number(s.min),
            number(s.max),
            number(s.mean),
            number(s.sd),
            number(s.tails[0]),
            number(s.median),
            number(s.tails[1])
        ),
    )?;
    for finding in &image.findings {
        let level = match finding.level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        writeln!(out, "  {level:<12} {}: {}", finding.id, finding.what)?;
        writeln!(out, "  {:<12} -> {}", "", finding.remedy)?;
    }
    if image.findings.is_empty() {
        writeln!(out, "  {:<12} nothing odd", "findings")?;
    }
    Ok(out)
}

fn axes(orientation: Orientation) -> String {
    let word = |c: char| match c {
        'R' => "right",
        'L' => "left",
        'A' => "front",
        'P' => "back",
        'S' => "up",
        _ => "down",
    };
    let ends: Vec<String> =
        orientation.codes().chars().zip(["i", "j", "k"]).map(|(c, axis)| format!("{axis} runs {}", word(c))).collect();
    ends.join(", ")
}

/// Four significant digits, without an exponent where that reads better.
fn number(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return format!("{v}");
    }
    let size = v.abs();
    if !(1e-4..1e9).contains(&size) {
        return format!("{v:.3e}");
    }
    if size >= 1000.0 {
        return format!("{v:.0}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let decimals = (3.0 - size.log10().floor()) as usize;
    let text = format!("{v:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (v, text) in [
            (0.0, "0"),
            (2.0, "2"),
            (0.868, "0.868"),
            (0.040_788, "0.04079"),
            (17.5123, "17.51"),
            (378.695, "378.7"),
            (4503.6, "4504"),
            (1e-7, "1.000e-7"),
        ] {
            assert_eq!(number(v), text);
        }
    }
}
