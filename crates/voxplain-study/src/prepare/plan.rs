//! [`Plan`]: which subject is prepared from which file, settled before any image is read.

use super::{
    image,
    mask::MaskRule,
    mask_finder::MaskFinder,
    matching::{self, Aside, Matched, few},
    options::{PrepareOptions, Space},
    source::{self, Source},
};
use crate::{
    cohort::{Inclusion, LeftOut, Placement, Preparation, Template},
    setting::{GRID, ID_COLUMN, INCLUDE, KEEP_GOING, MASK, ORIGIN, PARTICIPANTS, PATH_COLUMN, SPACING, WHOLE_HEAD},
};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Remedy, Result, Setting, Table, remedy};
use voxplain_volume::{Affine, Grid, Mask, MaskOptions, ReadOptions, Volume, npy};

/// Everything that is known before the first image is read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: PathBuf,
    pub(super) items: Vec<Item>,
    /// One row per item.
    pub(super) participants: Table,
    pub(super) preparation: Preparation,
    /// The array of prepared volumes, `[n, i, j, k]`, where the source is one.
    pub(super) tensors: Option<npy::Reader>,
    /// The template that brains are aligned to, axes RAS+.
    pub(super) template: Option<Volume>,
    /// How masks are read.
    pub(super) mask_options: MaskOptions,
    /// One mask for all volumes of the array.
    pub(super) mask: Option<Mask>,
    pub(super) without_row: Vec<PathBuf>,
    pub(super) without_image: Vec<String>,
    /// What was found, and what of it is left out before any image is read.
    pub(super) inclusion: Inclusion,
    /// Command, options and a hash of what it was made from.
    pub(super) made_by: serde_json::Value,
}

/// One subject to prepare.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) input: Input,
}

/// What a subject is prepared from.
#[derive(Debug)]
pub(super) enum Input {
    /// An image, and its mask file if there is to be one. Where it was not found: why, and what to do about it.
    Image { path: PathBuf, mask: Result<Option<PathBuf>, (String, Remedy)> },
    /// An item of the array of volumes, by its position.
    Tensor(usize),
}

impl Plan {
    pub(super) fn new(path: &Path, options: &PrepareOptions) -> Result<Self> {
        let source = Source::of(path)?;
        let (shape, spacing) = (options.shape.unwrap_or([58, 70, 58]), options.spacing.unwrap_or([3.0; 3]));
        if spacing.iter().any(|s| !(0.1..=50.0).contains(s)) || shape.iter().any(|n| *n > 1024) {
            let what = format!("a grid of {shape:?} voxels of {spacing:?} mm is not usable");
            let remedy = remedy!["choose ", GRID, " up to 1024 voxels a side and ", SPACING, " from 0.1 to 50 mm"];
            return Err(Error::request(what, remedy));
        }
        if options.whole_head && options.mask != MaskRule::Nonzero {
            let what = "whole heads are taken without brain masks, but masks are given too";
            return Err(Error::request(what, remedy!["leave out ", MASK, " or ", WHOLE_HEAD]));
        }
        let mut plan = match &source {
            Source::Tensors(file) => Self::of_tensors(file, spacing, options)?,
            _ => Self::of_images(&source, shape, spacing, options)?,
        };
        if plan.items.is_empty() {
            let what = format!("no image of {} goes with a row of the table", path.display());
            return Err(Error::request(what, remedy!["check the ids (", ID_COLUMN, "), ", INCLUDE, " and the source"]));
        }
        plan.made_by = plan.made_by(options)?;
        Ok(plan)
    }

    fn of_images(source: &Source, shape: [usize; 3], spacing: [f64; 3], options: &PrepareOptions) -> Result<Self> {
        let root = matches!(source, Source::Bids(_) | Source::Folder(_)).then(|| source.root());
        let finder = MaskFinder::new(&options.mask, root)?;
        let (participants, matched) = match source {
            Source::Table(file) => by_path(file, options)?,
            _ => by_name(source, &finder, options)?,
        };
        refuse_leftovers(&matched, options)?;
        let inclusion = matched.inclusion();
        let items: Vec<Item> = matched
            .pairs
            .iter()
            .map(|(_, id, path)| {
                let mask = finder.find(path, id).map_err(|e| {
                    let remedy = e.remedy().unwrap_or_else(|| remedy!["check ", MASK]);
                    match e {
                        Error::Subject { what, .. } => (what, remedy),
                        other => (other.to_string(), remedy),
                    }
                });
                Item { id: id.clone(), input: Input::Image { path: path.clone(), mask } }
            })
            .collect();
        let rows = matched.pairs.iter().map(|(row, ..)| participants.rows[*row].clone()).collect();
        let align_to = options.align.as_deref().map(|path| Template::new(path, options.sizes)).transpose()?;
        let template = align_to.as_ref().map(Template::read).transpose()?;
        let placement = match (options.space, matched.pairs.first()) {
            (Space::Origin(origin), _) => {
                Placement::Fixed(Grid::new(shape, Affine::from_spacing_origin(spacing, origin))?)
            }
            (_, _) if let Some(template) = &template => {
                Placement::Fixed(image::centred(shape, spacing, middle(template)?)?)
            }
            (Space::Mask, _) | (_, None) => Placement::MaskCentre,
            (Space::Template, Some((.., first))) => {
                let image = voxplain_volume::read(first, &ReadOptions::default())?;
                Placement::Fixed(image::centred(shape, spacing, image.volume.grid().center())?)
            }
        };
        Ok(Self {
            source: source.root().to_owned(),
            items,
            participants: Table { columns: participants.columns, rows },
            preparation: Preparation {
                shape,
                spacing,
                normalize: options.normalize,
                placement,
                template: align_to,
                whole_head: options.whole_head,
            },
            template,
            tensors: None,
            mask_options: MaskOptions::brain(options.mask_threshold),
            mask: None,
            inclusion,
            without_row: matched.without_row,
            without_image: matched.without_image,
            made_by: serde_json::Value::Null,
        })
    }

    fn of_tensors(file: &Path, spacing: [f64; 3], options: &PrepareOptions) -> Result<Self> {
        let reader = npy::Reader::open(file)?;
        let [count, i, j, k] = *reader.shape() else {
            let what = format!("the array has shape {:?}, expected [N, i, j, k]", reader.shape());
            return Err(Error::file(file, what, "give one 3D volume per subject, subjects first"));
        };
        let shape = [i, j, k];
        if let Some(wanted) = options.shape.filter(|wanted| *wanted != shape) {
            let what = format!("the volumes have shape {shape:?}, the grid asked for has {wanted:?}");
            return Err(Error::file(file, what, remedy!["tensors are taken as they are: leave ", GRID, " out"]));
        }
        let Space::Origin(origin) = options.space else {
            let what = "where the tensors lie is not known";
            let remedy = remedy![
                "give ",
                SPACING,
                " and ",
                ORIGIN,
                ": the world position (mm) of voxel (0, 0, 0); axes must run right, front, up"
            ];
            return Err(Error::file(file, what, remedy));
        };
        let grid = Grid::new(shape, Affine::from_spacing_origin(spacing, origin))?;
        let mask_options = MaskOptions::brain(options.mask_threshold);
        let mask = match &options.mask {
            MaskRule::Nonzero => None,
            MaskRule::File(mask) => Some(image::template_mask(mask, &mask_options, &grid)?),
            MaskRule::Suffix(suffix) => {
                let what = format!("a mask by suffix ({suffix}) cannot belong to tensors");
                return Err(Error::file(file, what, remedy!["give one mask file for all, or leave ", MASK, " out"]));
            }
        };
        let Some(table_path) = &options.participants else {
            return Err(Error::file(
                file,
                "tensors need a table",
                remedy!["give ", PARTICIPANTS, "; its row n is item n, or it has a column `index`"],
            ));
        };
        let table = Table::read(table_path)?;
        let ids = matching::ids(&table, id_column(&table, options, table_path)?, table_path)?;
        let places = places(&table, count, table_path)?;
        let mut of = vec![None; count];
        for (row, &place) in places.iter().enumerate() {
            if let Some(other) = of[place].replace(row) {
                let what = format!("rows {} and {} both have index {place}", other + 1, row + 1);
                return Err(Error::file(table_path, what, "give every row its own item"));
            }
        }
        let left = of.iter().filter(|row| row.is_none()).count();
        if left > 0 && !options.keep_going {
            let what = format!("{left} of {count} items of {} have no row", file.display());
            let remedy = remedy!["add the rows, or go on without those items with ", KEEP_GOING];
            return Err(Error::file(table_path, what, remedy));
        }
        let ids_count = ids.len();
        let unused = of.iter().enumerate().filter(|(_, row)| row.is_none());
        let left_out = unused.map(|(n, _)| LeftOut::new(format!("item {n}"), "it has no row")).collect();
        let items = ids.into_iter().zip(&places).map(|(id, &n)| Item { id, input: Input::Tensor(n) }).collect();
        Ok(Self {
            source: file.to_owned(),
            items,
            participants: table,
            preparation: Preparation {
                shape,
                spacing,
                normalize: options.normalize,
                placement: Placement::Fixed(grid),
                template: None,
                whole_head: options.whole_head,
            },
            template: None,
            tensors: Some(reader),
            mask_options,
            mask,
            inclusion: Inclusion { images: count, rows: Some(ids_count), used: 0, left_out },
            without_row: Vec::new(),
            without_image: Vec::new(),
            made_by: serde_json::Value::Null,
        })
    }

    /// What identifies this preparation: its options, and a hash of the subjects, the paths and lengths of their files,
    /// and all labels and covariates.
    fn made_by(&self, options: &PrepareOptions) -> Result<serde_json::Value> {
        let mut hash = blake3::Hasher::new();
        let mut add = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        // A file that is missing is an error of its subject, later.
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len()).to_string();
        add(&length(&self.source));
        for item in &self.items {
            add(&item.id);
            let files: Vec<&Path> = match &item.input {
                Input::Image { path, mask: Ok(Some(mask)) } => vec![path, mask],
                Input::Image { path, .. } => vec![path],
                Input::Tensor(n) => {
                    add(&n.to_string());
                    vec![]
                }
            };
            for file in files {
                add(&file.display().to_string());
                add(&length(file));
            }
        }
        for cell in self
            .participants
            .columns
            .iter()
            .map(Some)
            .chain(self.participants.rows.iter().flatten().map(Option::as_ref))
        {
            add(cell.map_or("n/a", String::as_str));
        }
        let source = source::absolute(&self.source)?;
        Ok(serde_json::json!({
            "command": "prepare",
            "source": source,
            "options": options,
            "inputs": hash.finalize().to_hex().to_string(),
        }))
    }
}

/// The images of a dataset or folder, matched with the rows of its table.
fn by_name(source: &Source, finder: &MaskFinder, options: &PrepareOptions) -> Result<(Table, Matched)> {
    let root = source.root();
    let (mut images, odd) = source.images()?;
    images.retain(|i| !finder.is_mask(i));
    let found = images.len();
    let mut not_chosen = Vec::new();
    if options.chooses() {
        let below = |i: &PathBuf| i.strip_prefix(root).unwrap_or(i).to_string_lossy().replace('\\', "/");
        let is_chosen = |i: &PathBuf| {
            options.include.as_ref().is_none_or(|pattern| matches(pattern, &below(i)))
                && !options.exclude.as_ref().is_some_and(|pattern| matches(pattern, &below(i)))
                && options.entities.iter().all(|filter| filter.takes(source::stem(i).unwrap_or_default()))
        };
        (images, not_chosen) = images.into_iter().partition(is_chosen);
    }
    let aside = Aside { found, not_chosen, odd };
    if images.is_empty() {
        let what = match &options.include {
            _ if found > 0 => format!(
                "none of its {found} images is chosen: {}",
                few(aside.not_chosen.iter().map(|p| source::name(p)))
            ),
            Some(pattern) => format!("none of its {found} images matches `{pattern}`"),
            None if !aside.odd.is_empty() => {
                let odd = few(aside.odd.iter().map(|l| format!("{} ({})", l.what, l.why)));
                format!("there are no images in it that can be looked at: {odd}")
            }
            None => "there are no images in it".into(),
        };
        return Err(Error::file(root, what, "images end in .nii, .nii.gz, .hdr, .mgh or .mgz"));
    }
    let own = root.join("participants.tsv");
    let path = options.participants.clone().or_else(|| source::is_there(&own).then_some(own));
    let Some(path) = path else {
        // Without a table every image is a subject, without labels.
        let ids: Vec<String> = images.iter().map(|i| matching::id_of(i)).collect();
        let table = Table {
            columns: vec!["participant_id".into()],
            rows: ids.iter().map(|id| vec![Some(format!("sub-{id}"))]).collect(),
        };
        let ids = matching::ids(&table, 0, root)?;
        let pairs = ids.into_iter().zip(images).enumerate().map(|(n, (id, image))| (n, id, image)).collect();
        return Ok((table, Matched { pairs, aside, ..Matched::default() }));
    };
    source::fetched(&path)?;
    let table = Table::read(&path)?;
    let ids = matching::ids(&table, id_column(&table, options, &path)?, &path)?;
    let matched = Matched { aside, rows: Some(table.rows.len()), ..matching::by_name(&images, &ids)? };
    Ok((table, matched))
}

/// The images that the table itself names in a column of paths.
fn by_path(file: &Path, options: &PrepareOptions) -> Result<(Table, Matched)> {
    let mut table = Table::read(file)?;
    let wanted = options.path_column.as_deref().unwrap_or("path");
    let column = in_file(file, table.column(wanted), "name it with ", PATH_COLUMN)?;
    if let Some(path) = &options.participants {
        let what = "the source is a table already";
        let remedy = remedy!["put labels and paths into one table, and leave ", PARTICIPANTS, " out"];
        return Err(Error::file(path, what, remedy));
    }
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let rows = table.rows.len();
    if let Some(pattern) = &options.include {
        table.rows.retain(|row| row[column].as_deref().is_some_and(|path| matches(pattern, path)));
    }
    let ids = matching::ids(&table, id_column(&table, options, file)?, file)?;
    let found = table.cells(column).flatten().count();
    let aside = Aside { found, ..Aside::default() };
    let mut matched = Matched { aside, rows: Some(rows), ..Matched::default() };
    for (n, (id, cell)) in ids.into_iter().zip(table.cells(column)).enumerate() {
        match cell {
            Some(path) => matched.pairs.push((n, id, folder.join(path))),
            None => matched.without_image.push(id),
        }
    }
    Ok((table, matched))
}

/// Refuses images without a row and rows without an image, unless they are to be left out.
fn refuse_leftovers(matched: &Matched, options: &PrepareOptions) -> Result<()> {
    let mut wrong = matching::near_ids(matched);
    if !matched.without_row.is_empty() {
        let names = few(matched.without_row.iter().map(|p| source::name(p).to_owned()));
        wrong.push(format!("{} images have no row in the table: {names}", matched.without_row.len()));
    }
    if !matched.without_image.is_empty() && !options.chooses() {
        let ids = few(&matched.without_image);
        wrong.push(format!("{} rows have no image: {ids}", matched.without_image.len()));
    }
    if !matched.aside.odd.is_empty() {
        let odd = few(matched.aside.odd.iter().map(|l| format!("{}: {}", l.what, l.why)));
        wrong.push(format!("{} could not be looked at: {odd}", matched.aside.odd.len()));
    }
    if wrong.is_empty() || options.keep_going {
        return Ok(());
    }
    let remedy =
        remedy!["complete the table or the images, choose with ", INCLUDE, ", or leave these out with ", KEEP_GOING];
    Err(Error::request(wrong.join("; "), remedy))
}

/// The column of ids.
fn id_column(table: &Table, options: &PrepareOptions, path: &Path) -> Result<usize> {
    let wanted = options.id_column.as_deref().unwrap_or("participant_id");
    in_file(path, table.column(wanted), "name the column of ids with ", ID_COLUMN)
}

/// Names the file, and the setting, when a column is not there.
fn in_file(path: &Path, column: Result<usize>, advice: &str, setting: Setting) -> Result<usize> {
    column.map_err(|e| {
        let own = remedy![advice, setting, "; "];
        let columns = e.remedy().into_iter().flat_map(|remedy| remedy.parts().to_vec());
        Error::file(path, e.to_string(), Remedy::new(own.parts().iter().cloned().chain(columns)))
    })
}

/// The item of the array that each row of the table belongs to: its `index`, or its position.
fn places(table: &Table, count: usize, path: &Path) -> Result<Vec<usize>> {
    let places: Vec<usize> = match table.column("index") {
        Ok(column) => table
            .cells(column)
            .enumerate()
            .map(|(n, cell)| {
                cell.and_then(|c| c.parse().ok()).filter(|at| *at < count).ok_or_else(|| {
                    let what = format!("row {} has index `{}`", n + 1, cell.unwrap_or("n/a"));
                    Error::file(path, what, format!("give a whole number from 0 to {}", count - 1))
                })
            })
            .collect::<Result<_>>()?,
        Err(_) if table.rows.len() == count => (0..count).collect(),
        Err(_) => {
            let what = format!("{} rows for {count} items", table.rows.len());
            return Err(Error::file(
                path,
                what,
                "give one row per item, or a column `index` with the item of each row",
            ));
        }
    };
    Ok(places)
}

/// Whether a path contains a text, or matches it whole where it has a `*` (any characters).
fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('*') {
        return path.contains(pattern);
    }
    let parts: Vec<&str> = pattern.split('*').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let Some(mut rest) = path.strip_prefix(first).and_then(|r| r.strip_suffix(last)) else { return false };
    parts[1..parts.len() - 1].iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Centre (mm) of the bounding box of a template's brain.
fn middle(template: &Volume) -> Result<[f64; 3]> {
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (n, _) in template.data().iter().enumerate().filter(|(_, v)| **v != 0.0 && !v.is_nan()) {
        let voxel = template.grid().voxel(n);
        for a in 0..3 {
            low[a] = low[a].min(voxel[a]);
            high[a] = high[a].max(voxel[a]);
        }
    }
    if low[0] > high[0] {
        return Err(Error::request("the template is 0 everywhere", "give a skull-stripped template, MNI152 say"));
    }
    Ok(template.grid().affine.apply(std::array::from_fn(|a| (low[a] + high[a]) as f64 / 2.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, is) in [
            ("run-1", "sub-1/anat/sub-1_run-1_T1w.nii", true),
            ("run-2", "sub-1/anat/sub-1_run-1_T1w.nii", false),
            ("*run-1*", "sub-1_run-1_T1w.nii", true),
            ("sub-*_run-1*.nii", "sub-1_run-1_T1w.nii", true),
            ("sub-*_run-1*.nii", "sub-1_run-1_T1w.nii.gz", false),
            ("t1/*", "t1/a.nii", true),
            ("t1/*", "t2/a.nii", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, path), is, "{pattern} {path}");
        }
    }
}
