//! [`Plan`]: which subject is prepared from which file, settled before any image is read.

use super::reuse::Reuse;
use super::{
    channels,
    choice::{gone, none_chosen, unmatched},
    contradiction::doubt,
    entities::{self, Entities},
    freesurfer, image,
    mask::MaskRule,
    mask_finder::{MaskFinder, OtherSites},
    matching::{self, Aside, Matched, few},
    merge::{self, Part, Site},
    options::{PrepareOptions, Space},
    repeated::{self, Advice},
    sessions,
    source::{self, Source},
};
use crate::{
    cohort::{
        Inclusion, LeftOut, Placement, Preparation, Stored, Template, VolumeType, bare, is_missing, person_column,
        person_in, two_spellings, usable_spacing,
    },
    listed::{counted, have, listed},
    setting::{
        ALIGN, CHANNEL, EACH_SESSION, GRID, ID_COLUMN, IMAGE, INCLUDE, KEEP_GOING, MASK, MASK_COLUMN, ORIGIN,
        PARTICIPANTS, PATH_COLUMN, SITE, SITE_IN_ID, SPACING, WHOLE_HEAD,
    },
    spelling,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Remedy, Result, Setting, Table, remedy};
use voxplain_volume::{
    Affine, Contents, ContentsKind, Grid, Mask, MaskOptions, ReadOptions, Volume, npy, quantiles,
    setting::MASK_THRESHOLD,
};

/// Everything that is known before the first image is read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: PathBuf,
    pub(super) items: Vec<Item>,
    /// One row per item.
    pub(super) participants: Table,
    pub(super) preparation: Preparation,
    /// In which precision volumes are kept.
    pub(super) dtype: VolumeType,
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
    /// The source of each item, by position, where there are several.
    pub(super) source_of: Vec<usize>,
    /// What is to be known about the table, in sentences.
    pub(super) notes: Vec<String>,
    /// The same, with what to do about it.
    pub(super) advice: Vec<Advice>,
    /// Command, options and a hash of what it was made from.
    pub(super) made_by: serde_json::Value,
    /// The cohort that people are taken over from.
    pub(super) reuse: Option<Reuse>,
}

/// Ids of each side that are named where none of them is on the other.
const IDS: usize = 3;

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
    Image {
        path: PathBuf,
        mask: Result<Option<PathBuf>, (String, Remedy)>,
        /// The images of the channels behind the first.
        others: Vec<PathBuf>,
    },
    /// An item of the array of volumes, by its position.
    Tensor(usize),
}

impl Plan {
    /// How the volumes of the cohort are kept.
    pub(super) fn stored(&self) -> Stored {
        Stored { shape: self.preparation.input_shape(), dtype: self.dtype }
    }

    pub(super) fn new(sites: &[Site], options: &PrepareOptions) -> Result<Self> {
        let of = |site: &Site| Source::of(&site.path)?.of_labels(options.labels.as_deref());
        let sources = sites.iter().map(of).collect::<Result<Vec<_>>>()?;
        let [first, ..] = sites else {
            return Err(Error::request("no source is given", "give a folder of images, say"));
        };
        // Where one source has a name, the column of sources is wanted.
        let several = sites.len() > 1 || first.name.is_some();
        // What is said about one kind of source holds where any is of that kind.
        let path = first.path.as_path();
        let (shape, spacing) = options.grid();
        if !usable_spacing(spacing) || shape.iter().any(|n| *n > 1024) {
            let what = format!("a grid of {shape:?} voxels of {spacing:?} mm is not usable");
            let remedy = remedy!["choose ", GRID, " up to 1024 voxels a side and ", SPACING, " from 0.1 to 50 mm"];
            return Err(Error::request(what, remedy));
        }
        if options.site_in_id && !several {
            let what = "the name of its source is to be put before each id, but there is one source and it has no name";
            return Err(Error::request(what, remedy!["name it with ", SITE, ", or leave out ", SITE_IN_ID]));
        }
        if options.whole_head && (options.mask.gives_masks() || options.mask_column.is_some()) {
            let what = "whole heads are taken without brain masks, but masks are given too";
            return Err(Error::request(what, remedy!["leave out ", MASK, " or ", WHOLE_HEAD]));
        }
        if options.image.is_some() && !sources.iter().any(|source| matches!(source, Source::FreeSurfer(_))) {
            let what = "which image of a FreeSurfer subject is taken is said, but this is no SUBJECTS_DIR";
            return Err(Error::file(path, what, remedy!["leave out ", IMAGE, ", or choose with ", INCLUDE]));
        }
        if let Some(threshold) = options.mask_threshold.filter(|t| !t.is_finite()) {
            let what = format!("masks cannot be cut at {threshold}, which is no value that a voxel is above or below");
            return Err(Error::request(what, remedy!["give a number with ", MASK_THRESHOLD, ", or leave it out"]));
        }
        if let Some(column) =
            options.mask_column.as_ref().filter(|_| !sources.iter().any(|s| matches!(s, Source::Table(_))))
        {
            let what = format!("masks are to stand in a column `{column}`, but this is no table of paths");
            return Err(Error::file(path, what, remedy!["give the masks with ", MASK, " and leave out ", MASK_COLUMN]));
        }
        channels::check(&sources, options)?;
        let mut plan = match sources.as_slice() {
            [Source::Tensors(file)] if !several => Self::of_tensors(file, spacing, options)?,
            _ if let Some(Source::Tensors(file)) = sources.iter().find(|s| matches!(s, Source::Tensors(_))) => {
                let what = "an array of volumes cannot be one of several sources, or have the name of a site";
                return Err(Error::file(file, what, "prepare it by itself"));
            }
            [source] if !several => {
                let (part, wrong) = part(source, options, false, &OtherSites::default())?;
                refuse_leftovers(&wrong, options)?;
                Self::of_images(source, (part, Vec::new()), shape, spacing, options)?
            }
            sources => Self::of_images(&sources[0], parts(sites, sources, options)?, shape, spacing, options)?,
        };
        if plan.items.is_empty() {
            let paths: Vec<String> = sites.iter().map(|site| site.path.display().to_string()).collect();
            let rows: Vec<String> = plan.without_image.iter().map(|id| format!("`{id}`")).collect();
            let images: Vec<String> = plan.without_row.iter().map(|i| format!("`{}`", matching::id_of(i))).collect();
            let ids = match (rows.is_empty(), images.is_empty()) {
                (false, false) => {
                    format!(": images are called {}, rows {}", listed(images, IDS), listed(rows, IDS))
                }
                _ => String::new(),
            };
            let what = format!("no image of {} goes with a row of the table{ids}", paths.join(" or "));
            return Err(Error::request(what, remedy!["check the ids (", ID_COLUMN, "), ", INCLUDE, " and the source"]));
        }
        let ids: Vec<&str> = plan.items.iter().map(|item| item.id.as_str()).collect();
        matching::check_ids(&ids)?;
        if let Some(column) = person_column(&plan.participants) {
            let people = plan.participants.cells(column).filter_map(|cell| person_in(cell, &[]));
            let refused = |what| format!("{what}; a training on both is refused, so spell each person in one way");
            plan.notes.extend(two_spellings(people).map(refused));
        }
        plan.notes.extend(spelling::columns(&plan.participants, &[]).into_iter().map(|(_, sentence)| sentence));
        if let Some(threshold) = options.mask_threshold.filter(|_| !plan.has_masks()) {
            let what = format!("a threshold for masks is stated ({threshold}), but there are no masks");
            let remedy = remedy![
                "give the masks with ",
                MASK,
                ", or in a column of a table of paths with ",
                MASK_COLUMN,
                "; or leave out ",
                MASK_THRESHOLD
            ];
            return Err(Error::request(what, remedy));
        }
        plan.made_by = plan.made_by(sites, &sources, options)?;
        Ok(plan)
    }

    /// Whether any image has a mask, or should have.
    fn has_masks(&self) -> bool {
        let has = |item: &Item| matches!(&item.input, Input::Image { mask: Ok(Some(_)) | Err(_), .. });
        self.mask.is_some() || self.items.iter().any(has)
    }

    /// From what the sources give, with the source of each item where there are several.
    fn of_images(
        source: &Source,
        (part, source_of): (Part, Vec<usize>),
        shape: [usize; 3],
        spacing: [f64; 3],
        options: &PrepareOptions,
    ) -> Result<Self> {
        let site_names: Vec<String> = part.inclusion.sources.iter().map(|source| source.site.clone()).collect();
        let Part { items, participants, inclusion, mut notes, advice, without_row, without_image, paths } = part;
        notes.extend(unmatched(&paths, options));
        let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let own = source.root().join("participants.tsv");
        let table = options.participants.clone().or_else(|| source::is_there(&own).then_some(own));
        let file = table.as_deref().filter(|_| source_of.is_empty()).unwrap_or_else(|| source.path());
        let participants = sessions::with_people(participants, &ids, options.person_column.as_deref(), file)?;
        notes.extend(merge::travellers(&participants, &source_of));
        refuse_shared_masks(&items, &participants, &site_names, options)?;
        let align_to = options.align.as_deref().map(|path| Template::new(path, options.sizes)).transpose()?;
        let template = align_to.as_ref().map(Template::read).transpose()?;
        let on_template = match (&options.align, &template) {
            (Some(path), Some(template)) => Some(grid_on_template(path, template, shape, spacing)?),
            _ => None,
        };
        let placement = match (options.space, items.first()) {
            (Space::Origin(origin), _) => {
                Placement::Fixed(Grid::new(shape, Affine::from_spacing_origin(spacing, origin))?)
            }
            (_, _) if let Some(grid) = on_template => Placement::Fixed(grid),
            (Space::Mask, _) | (_, None) => Placement::MaskCentre,
            (Space::Template, Some(Item { input: Input::Image { path, .. }, .. })) => {
                let image = voxplain_volume::read(path, &ReadOptions::default())?;
                Placement::Fixed(image::centred(shape, spacing, image.volume.grid().center())?)
            }
            (Space::Template, Some(Item { input: Input::Tensor(_), .. })) => Placement::MaskCentre,
        };
        Ok(Self {
            source: source.root().to_owned(),
            items,
            participants,
            dtype: options.dtype,
            preparation: Preparation {
                shape,
                spacing,
                normalize: options.normalize,
                placement,
                template: align_to,
                whole_head: options.whole_head,
                channels: options.channels.clone(),
            },
            template,
            tensors: None,
            mask_options: MaskOptions::brain(options.mask_threshold),
            mask: None,
            inclusion,
            source_of,
            notes,
            advice,
            without_row,
            without_image,
            made_by: serde_json::Value::Null,
            reuse: None,
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
            MaskRule::Unstated | MaskRule::Nonzero => None,
            MaskRule::File(mask) => Some(image::template_mask(mask, &mask_options, &grid)?),
            MaskRule::Suffix(name) => return Err(no_mask_of_tensors(file, name)),
            MaskRule::Folder(folder, _) => return Err(no_mask_of_tensors(file, &folder.display())),
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
            let what = format!("{left} of {} of {} {} no row", counted(count, "item"), file.display(), have(left));
            let remedy = remedy!["add the rows, or go on without those items with ", KEEP_GOING];
            return Err(Error::file(table_path, what, remedy));
        }
        let ids_count = ids.len();
        let unused = of.iter().enumerate().filter(|(_, row)| row.is_none());
        let left_out = unused.map(|(n, _)| LeftOut::new(format!("item {n}"), "it has no row")).collect();
        let named: Vec<&str> = ids.iter().map(String::as_str).collect();
        let participants = sessions::with_people(table, &named, options.person_column.as_deref(), table_path)?;
        let items = ids.into_iter().zip(&places).map(|(id, &n)| Item { id, input: Input::Tensor(n) }).collect();
        Ok(Self {
            source: file.to_owned(),
            items,
            participants,
            dtype: options.dtype,
            preparation: Preparation {
                shape,
                spacing,
                normalize: options.normalize,
                placement: Placement::Fixed(grid),
                template: None,
                whole_head: options.whole_head,
                channels: Vec::new(),
            },
            template: None,
            tensors: Some(reader),
            mask_options,
            mask,
            inclusion: Inclusion { images: count, rows: Some(ids_count), used: 0, left_out, sources: Vec::new() },
            source_of: Vec::new(),
            notes: Vec::new(),
            advice: Vec::new(),
            without_row: Vec::new(),
            without_image: Vec::new(),
            made_by: serde_json::Value::Null,
            reuse: None,
        })
    }

    /// What identifies this preparation: its options, and a hash of the subjects, the paths and lengths of their files,
    /// and all labels and covariates.
    fn made_by(&self, sites: &[Site], sources: &[Source], options: &PrepareOptions) -> Result<serde_json::Value> {
        let mut hash = blake3::Hasher::new();
        let mut add = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        // A file that is missing is an error of its subject, later.
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len()).to_string();
        // The folder of a whole dataset says nothing about some of its people.
        if options.labels.is_none() {
            add(&length(&self.source));
        }
        for item in &self.items {
            add(&item.id);
            let files: Vec<&Path> = match &item.input {
                Input::Image { path, mask, others } => {
                    let mask = mask.as_ref().ok().and_then(Option::as_ref);
                    std::iter::once(path).chain(mask).chain(others).map(PathBuf::as_path).collect()
                }
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
        let mut made_by = serde_json::json!({
            "command": "prepare",
            "source": source,
            "options": options,
            "inputs": hash.finalize().to_hex().to_string(),
        });
        if !self.source_of.is_empty() {
            let roots = sources.iter().map(|source| source::absolute(source.root())).collect::<Result<Vec<_>>>()?;
            made_by["sources"] = serde_json::json!(roots);
            made_by["sites"] = serde_json::json!(sites);
        }
        Ok(made_by)
    }
}

/// Masks that are found by the names of images, of an array that has none.
fn no_mask_of_tensors(file: &Path, said: &dyn std::fmt::Display) -> Error {
    let what = format!("masks that are found by the names of images ({said}) cannot belong to tensors");
    Error::file(file, what, remedy!["give one mask file for all, or leave ", MASK, " out"])
}

/// What one source gives, and what of it must stop the work unless that is to go on. `joint`: its table is that of other sources too,
/// so that rows without an image in it are none of its business.
fn part(source: &Source, options: &PrepareOptions, joint: bool, others: &OtherSites) -> Result<(Part, Vec<String>)> {
    let root = matches!(source, Source::Bids(..) | Source::Folder(_)).then(|| source.root());
    let mut finder = MaskFinder::of_site(&options.mask, root, others)?;
    let (mut participants, mut matched, mut notes) = match source {
        Source::Table(file) => by_path(file, &mut finder, options)?,
        _ => by_name(source, &mut finder, options)?,
    };
    sessions::name_people(&mut participants, options.participants.as_deref().unwrap_or_else(|| source.path()))?;
    let (others, lacking) = channels::complete(source, &participants, &mut matched, options)?;
    let mut wrong = leftovers(&matched, joint);
    if options.keep_going {
        notes.extend(matching::near_ids(&matched));
        notes.extend(lacking.iter().cloned());
    }
    wrong.extend(lacking);
    notes.extend(gone(&matched, source.root(), options));
    let inclusion = matched.inclusion();
    let mask_column = match source {
        Source::Table(file) => mask_column(&participants, file, options)?,
        _ => None,
    };
    let items: Vec<Item> = matched
        .pairs
        .iter()
        .zip(others)
        .map(|((row, id, path), others)| {
            let mask = match mask_column {
                Some(column) => mask_in_row(&participants, *row, column, source.root()),
                None => finder.find(path, id).map_err(|e| {
                    let remedy = e.remedy().unwrap_or_else(|| remedy!["check ", MASK]);
                    match e {
                        Error::Subject { what, .. } => (what, remedy),
                        other => (other.to_string(), remedy),
                    }
                }),
            };
            Item { id: id.clone(), input: Input::Image { path: path.clone(), mask, others } }
        })
        .collect();
    let mut advice: Vec<Advice> = match (&options.mask, mask_column) {
        (MaskRule::File(_), _) | (_, Some(_)) => {
            doubted_masks(&items, mask_column.map(|column| participants.columns[column].as_str())).into_iter().collect()
        }
        _ => Vec::new(),
    };
    // What is left over is said first, by the caller.
    if wrong.is_empty() || options.keep_going {
        refuse_no_masks(source, &items)?;
    }
    let scans: Vec<(&str, &Path)> =
        matched.pairs.iter().map(|(_, id, path)| (id.as_str(), below(path, source.root()))).collect();
    if let Source::Table(_) | Source::Folder(_) = source {
        notes.extend(channels::mixed_kinds(
            &scans,
            if matches!(source, Source::Table(_)) { "of the table" } else { "here" },
        ));
    }
    let people = match &options.person_column {
        // One that is not there is refused later.
        Some(wanted) => participants.columns.iter().position(|column| column == wanted),
        None => person_column(&participants),
    };
    if let Some(column) = people {
        let name = |row: usize| participants.rows[row][column].as_deref();
        let people: Vec<Option<&str>> = matched.pairs.iter().map(|(row, ..)| name(*row)).collect();
        notes.extend(sessions::divided_people(&scans, &people, &participants.columns[column]));
        let people: Vec<Option<&str>> = people.into_iter().map(|person| person_in(person, &[])).collect();
        let rows = rows_of(&matched, &participants);
        advice.extend(repeated::unnamed(&participants.columns, &rows, &people, &participants.columns[column]));
    } else if options.person_column.is_none() {
        let shared = sessions::unsaid_people(&scans);
        if shared.is_none() {
            advice.extend(repeated::people(&participants.columns, &rows_of(&matched, &participants)));
        }
        notes.extend(shared);
    }
    let rows = matched.pairs.iter().map(|(row, ..)| participants.rows[*row].clone()).collect();
    let part = Part {
        items,
        participants: Table { columns: participants.columns, rows },
        inclusion,
        notes,
        advice,
        without_row: matched.without_row,
        without_image: matched.without_image,
        paths: matched.aside.paths,
    };
    Ok((part, wrong))
}

/// The id and the row of each image that has one.
fn rows_of<'a>(matched: &'a Matched, participants: &'a Table) -> Vec<(&'a str, &'a [Option<String>])> {
    matched.pairs.iter().map(|(row, id, _)| (id.as_str(), participants.rows[*row].as_slice())).collect()
}

/// What several sources give together.
fn parts(sites: &[Site], sources: &[Source], options: &PrepareOptions) -> Result<(Part, Vec<usize>)> {
    let names = merge::names(sites)?;
    let joint = options.participants.is_some() && sites.len() > 1;
    let (mut parts, mut wrong) = (Vec::new(), Vec::new());
    for ((site, source), name) in sites.iter().zip(sources).zip(&names) {
        let participants = site.participants.clone().or_else(|| options.participants.clone());
        let given = PrepareOptions { participants, ..options.clone() };
        let others = || sources.iter().zip(&names).filter(|(_, other)| *other != name);
        let of_others = OtherSites {
            own: (sites.len() > 1).then(|| name.clone()),
            names: others().map(|(_, name)| name.clone()).collect(),
            roots: others().map(|(source, _)| source.root().to_owned()).collect(),
        };
        let (part, of_part) = part(source, &given, joint, &of_others).map_err(|error| {
            let others = sources.iter().filter(|other| other.root() != source.root());
            // What cannot be listed is an error of its own source.
            let images = others.filter(|other| matches!(other, Source::Bids(..) | Source::Folder(_)));
            let images: Vec<Vec<PathBuf>> =
                images.filter_map(|other| Some(other.images(channels::first(options)).ok()?.images)).collect();
            entities::for_others(error, &images)
        })?;
        wrong.extend(of_part.into_iter().map(|what| format!("{name}: {what}")));
        parts.push(part);
    }
    if parts.iter().any(|part| part.inclusion.rows.is_some()) {
        for part in parts.iter_mut().filter(|part| part.inclusion.rows.is_none()) {
            part.notes.push("it has no table, so that the columns of the others are n/a for its images".to_owned());
        }
    }
    if let Some(wanted) = &options.person_column {
        let ids = |part: &Part| -> Vec<String> { part.items.iter().map(|item| item.id.clone()).collect() };
        let ids: Vec<Vec<String>> = parts.iter().map(ids).collect();
        let tables =
            parts.iter().zip(&ids).zip(sources).map(|((part, ids), source)| {
                (&part.participants, ids.iter().map(String::as_str).collect(), source.path())
            });
        sessions::check_people(&tables.collect::<Vec<_>>(), wanted)?;
    }
    let together = merge::together(parts, &names, joint, options.site_in_id)?;
    if joint && !together.0.without_image.is_empty() && !options.chooses() {
        let ids = &together.0.without_image;
        let rows = counted(ids.len(), "row");
        wrong.push(format!("{rows} {} no image in any source: {}", have(ids.len()), few(ids)));
    }
    refuse_leftovers(&wrong, options)?;
    Ok(together)
}

/// The images of a dataset or folder, matched with the rows of its table; and what is to be known about the table.
fn by_name(
    source: &Source,
    finder: &mut MaskFinder,
    options: &PrepareOptions,
) -> Result<(Table, Matched, Vec<String>)> {
    let root = source.root();
    let (mut images, odd, apart, mut lacking) = match source {
        Source::FreeSurfer(root) => {
            let include = options.include.as_deref();
            let called = freesurfer::image_name(options.image.as_deref(), include);
            let found = freesurfer::images(root, called, include, options.keep_going)?;
            (found.images, Vec::new(), found.left_out, found.lacking)
        }
        _ => {
            let source::FoundImages { images, odd, mut lacking } = source.images(channels::first(options))?;
            // Who has an image of another channel is named for that.
            for channel in options.channels.iter().skip(1) {
                let others = source.images(channel)?.images;
                lacking.retain(|folder| !others.iter().any(|image| image.starts_with(&folder.what)));
            }
            (images, odd, Vec::new(), lacking)
        }
    };
    let all = images.len();
    let below = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
    let mut paths: Vec<PathBuf> = images.iter().map(|i| below(i)).collect();
    paths.extend(apart.iter().map(|left| below(Path::new(&left.what))));
    images.retain(|i| !finder.is_mask(i));
    if options.labels.is_some() {
        // Who is asked for by name is looked at alone, and so is a session.
        let sessions = || options.entities.iter().filter(|filter| filter.entity == "ses");
        images.retain(|i| sessions().all(|filter| filter.takes(i.strip_prefix(root).unwrap_or(i))));
    }
    let found = images.len();
    if found == 0 {
        let (what, remedy) = if all > 0 {
            let what = format!(
                "{} by what is said about masks, and none is left",
                if all == 1 {
                    "its one image is a mask".to_owned()
                } else {
                    format!("all of its {all} images are masks")
                }
            );
            (what, remedy!["give the folder of the images, and their masks with ", MASK])
        } else if !odd.is_empty() {
            let odd = few(odd.iter().map(|l| format!("{} ({})", l.what, l.why)));
            (format!("there are no images in it that can be looked at: {odd}"), "mend these first".into())
        } else if !apart.is_empty() {
            let apart = few(apart.iter().map(|l| format!("{} ({})", l.what, l.why)));
            let remedy = remedy![
                "give the SUBJECTS_DIR of the people; images of the longitudinal stream are taken with ",
                INCLUDE.to(".long.")
            ];
            (format!("there is no subject in it; left out are: {apart}"), remedy)
        } else if let Some(error) = channels::none_of(source, channels::first(options)) {
            return Err(error);
        } else {
            let lacking = few(lacking.iter().map(|l| format!("{} ({})", l.what, l.why)));
            let there = if lacking.is_empty() { String::new() } else { format!("; left out are: {lacking}") };
            (format!("there are no images in it{there}"), "images end in .nii, .nii.gz, .hdr, .mgh or .mgz".into())
        };
        return Err(Error::file(root, what, remedy));
    }
    let (chosen, not_chosen): (Vec<PathBuf>, Vec<PathBuf>) =
        images.iter().cloned().partition(|i| options.takes(i.strip_prefix(root).unwrap_or(i)));
    if chosen.is_empty() {
        let below: Vec<&Path> = images.iter().map(|i| i.strip_prefix(root).unwrap_or(i)).collect();
        return Err(none_chosen(root, &below, options));
    }
    let mut aside = Aside { found: found + apart.len(), paths, not_chosen, odd, apart, ..Aside::default() };
    let own = root.join("participants.tsv");
    let path = options.participants.clone().or_else(|| source::is_there(&own).then_some(own));
    let Some(path) = path.filter(|_| !options.without_table) else {
        aside.apart.extend(lacking);
        // Without a table every image is a subject, without labels.
        if options.each_session {
            finder.know(images.iter().map(|i| (i.clone(), sessions::id_of(i))));
            let (mut table, mut matched) = sessions::without_table(chosen, aside, options.without_table)?;
            let notes = sessions_told(source, &mut table, &mut matched, options)?;
            return Ok((table, matched, notes));
        }
        let ids: Vec<String> = chosen.iter().map(|i| matching::id_of(i)).collect();
        finder.know(images.iter().map(|i| (i.clone(), matching::id_of(i))));
        let mut of = BTreeMap::<&str, Vec<&PathBuf>>::new();
        ids.iter().zip(&chosen).for_each(|(id, image)| of.entry(id).or_default().push(image));
        matching::refuse_several(of.iter().map(|(id, images)| (*id, images.as_slice())))?;
        let table = Table {
            columns: vec!["participant_id".into()],
            rows: ids.iter().map(|id| vec![Some(format!("sub-{id}"))]).collect(),
        };
        let ids = matching::ids(&table, 0, root)?;
        let pairs = ids.into_iter().zip(chosen).enumerate().map(|(n, (id, image))| (n, id, image)).collect();
        let (mut table, mut matched) = (table, Matched { pairs, aside, ..Matched::default() });
        let notes = sessions_told(source, &mut table, &mut matched, options)?;
        return Ok((table, matched, notes));
    };
    source::fetched(&path)?;
    let mut table = Table::read(&path)?;
    let column = id_column(&table, options, &path)?;
    if let Some(labels) = &options.labels {
        let is_of_them = |cell: &str| labels.iter().any(|label| label == sessions::person_of(bare(cell)));
        table.rows.retain(|row| row[column].as_deref().is_some_and(is_of_them));
    }
    let rows = Some(table.rows.len());
    let (mut table, matched) = if options.each_session && !sessions::ids_are_of_scans(&table, column) {
        finder.know(images.iter().map(|i| (i.clone(), sessions::id_of(i))));
        sessions::by_name(&chosen, &table, column, &path)?
    } else {
        let ids = matching::ids(&table, column, &path).map_err(|error| by_session(error, &table, options))?;
        let id_of = |i: &PathBuf| matching::row_id(i, &ids).unwrap_or_else(|| matching::id_of(i));
        finder.know(images.iter().map(|i| (i.clone(), id_of(i))));
        (table, matching::by_name(&chosen, &ids)?)
    };
    // Of a folder without the image and a row without one, the row is told.
    lacking.retain(|l| {
        !matched
            .without_image
            .iter()
            .any(|id| Path::new(&l.what).ends_with(id) || Path::new(&l.what).ends_with(format!("sub-{id}")))
            && matching::row_id(Path::new(&l.what), &matched.without_image).is_none()
    });
    aside.apart.extend(lacking);
    let mut matched = Matched { aside, rows, ..matched };
    // A row whose images were not chosen has images: these are told.
    let not_chosen: BTreeSet<String> =
        matched.aside.not_chosen.iter().filter_map(|p| matching::row_id(p, &matched.without_image)).collect();
    matched.without_image.retain(|id| !not_chosen.contains(id));
    if let Source::FreeSurfer(root) = source {
        let called = freesurfer::image_name(options.image.as_deref(), options.include.as_deref());
        let folders = source::folders(root)?;
        let why = |id: &String| (id.clone(), freesurfer::why_without(root, called, id, &folders));
        matched.aside.without_image = matched.without_image.iter().map(why).collect();
    }
    let notes = sessions_told(source, &mut table, &mut matched, options)?;
    Ok((table, matched, notes))
}

/// What to do about rows of one id where the table has a column of sessions and some of them are chosen.
fn by_session(error: Error, table: &Table, options: &PrepareOptions) -> Error {
    let chosen = options.entities.iter().find(|filter| filter.entity == "ses" && filter.named().next().is_some());
    match (error, sessions::session_column(table), chosen) {
        (Error::File { path, what, .. }, Some(column), Some(filter)) => {
            let what = format!("{what} (column `{}` says of which session each is)", table.columns[column]);
            let remedy = remedy![
                "give ",
                EACH_SESSION,
                " beside ",
                filter.setting().to(filter.values.join(",")),
                ": rows are then found by person and session"
            ];
            Error::file(path, what, remedy)
        }
        (error, ..) => error,
    }
}

/// Joins what a BIDS dataset says about the sessions of its images, be each session a row or one that was chosen of each person.
fn sessions_told(
    source: &Source,
    table: &mut Table,
    matched: &mut Matched,
    options: &PrepareOptions,
) -> Result<Vec<String>> {
    match source {
        Source::Bids(root, _) => sessions::join(root, table, matched, options.chooses()),
        _ => Ok(Vec::new()),
    }
}

/// The images that the table itself names in a column of paths.
fn by_path(file: &Path, finder: &mut MaskFinder, options: &PrepareOptions) -> Result<(Table, Matched, Vec<String>)> {
    let mut table = Table::read(file)?;
    let column = match options.channels.first() {
        Some(channel) => channel_column(&table, channel, file)?,
        None => {
            let wanted = options.path_column.as_deref().unwrap_or("path");
            in_file(file, table.column(wanted), "name it with ", PATH_COLUMN)?
        }
    };
    if let Some(path) = &options.participants {
        let what = "the source is a table already";
        let remedy = remedy!["put labels and paths into one table, and leave ", PARTICIPANTS, " out"];
        return Err(Error::file(path, what, remedy));
    }
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let cells: Vec<Option<&Path>> =
        table.cells(column).map(|cell| cell.filter(|c| !is_missing(c, &[])).map(Path::new)).collect();
    let paths: Vec<&Path> = cells.iter().flatten().copied().collect();
    let (rows, others): (Vec<usize>, Vec<usize>) =
        (0..cells.len()).partition(|&n| cells[n].is_none_or(|path| options.takes(path)));
    if !paths.is_empty() && others.len() == paths.len() {
        return Err(none_chosen(file, &paths, options));
    }
    let id_column = id_column(&table, options, file)?;
    let ids = match options.each_session {
        true => sessions::ids_of_paths(&table, (id_column, column), &rows, file)?,
        false => matching::ids_of(&table, id_column, &rows, file)?,
    };
    let not_chosen = others.iter().filter_map(|&n| cells[n]).map(|path| folder.join(path)).collect();
    let named_paths = paths.iter().map(|path| path.to_path_buf()).collect();
    let aside = Aside { found: paths.len(), paths: named_paths, not_chosen, ..Aside::default() };
    let mut matched = Matched { aside, rows: Some(table.rows.len()), ..Matched::default() };
    for (n, id) in rows.into_iter().zip(ids) {
        match cells[n] {
            Some(path) => matched.pairs.push((n, id, folder.join(path))),
            None => matched.without_image.push(id),
        }
    }
    refuse_other_subjects(&table, id_column, &matched, folder, file)?;
    let images = matched.pairs.iter().map(|(_, id, path)| (id.as_str(), path.as_path()));
    channels::refuse_other_kinds(&table.columns[column], images, file)?;
    let others = others.iter().filter_map(|&n| cells[n]).map(|path| folder.join(path));
    let others: Vec<_> = others.map(|path| (path.clone(), matching::id_of(&path))).collect();
    finder.know(matched.pairs.iter().map(|(_, id, path)| (path.clone(), id.clone())).chain(others));
    let mut notes = Vec::new();
    if options.each_session && options.person_column.is_none() {
        let rows: Vec<usize> = matched.pairs.iter().map(|(row, ..)| *row).collect();
        let scans: Vec<(&str, &Path)> =
            matched.pairs.iter().map(|(_, id, path)| (id.as_str(), below(path, folder))).collect();
        notes.extend(sessions::people_of_paths(&mut table, id_column, &rows, &scans));
    }
    Ok((table, matched, notes))
}

/// Refuses rows whose id and whose path both say whose an image is, `sub-`, or of which session, and do not say the same.
fn refuse_other_subjects(table: &Table, ids: usize, matched: &Matched, folder: &Path, file: &Path) -> Result<()> {
    let other = |(row, _, path): &(usize, String, PathBuf)| {
        let cell = table.rows[*row][ids].as_deref()?;
        let of_path = Entities::of_path(below(path, folder));
        let own = Entities::pairs(cell);
        let key = ["sub", "ses"]
            .into_iter()
            .find(|key| own.get(key).zip(of_path.get(key)).is_some_and(|(one, other)| !Entities::alike(one, other)))?;
        Some(format!("{cell}: {} (it is of {key}-{})", path.display(), of_path.get(key)?))
    };
    let others: Vec<String> = matched.pairs.iter().filter_map(other).collect();
    if others.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} of {} {} the image of another subject or session than its `{}`: {}",
        others.len(),
        counted(matched.pairs.len(), "row"),
        if others.len() == 1 { "names" } else { "name" },
        table.columns[ids],
        listed(others, IDS)
    );
    let remedy = remedy![
        "mend the paths or the ids; where each file is the right one, rename the files, or give ids that are no `sub-` in another column, with ",
        ID_COLUMN
    ];
    Err(Error::file(file, what, remedy))
}

/// What speaks against masks that are given file by file: in a column, or one for all.
fn doubted_masks(items: &[Item], column: Option<&str>) -> Option<Advice> {
    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    let by_id = |item: &Item, image: &Path, mask: &Path| {
        let whose = |path: &Path| matching::row_id(path, &ids).filter(|id| *id != item.id);
        // Numbers begin names for many reasons, and image and mask may both be called after another row.
        let other = whose(mask).filter(|id| id.contains(char::is_alphabetic))?;
        (whose(image).as_ref() != Some(&other)).then_some(())?;
        Some(format!("its name begins with the id of another row, {other}"))
    };
    let why = |item: &Item| match &item.input {
        Input::Image { path, mask: Ok(Some(mask)), .. } => {
            let why = doubt(path, mask).or_else(|| by_id(item, path, mask).filter(|_| column.is_some()))?;
            Some(match column {
                Some(_) => format!("{}: {} ({why})", item.id, mask.display()),
                None => format!("{}: {why}", item.id),
            })
        }
        _ => None,
    };
    let doubts: Vec<String> = items.iter().filter_map(why).collect();
    let all = items.len();
    let what = match column {
        _ if doubts.is_empty() => return None,
        Some(column) => format!(
            "{} of {} in the column `{column}` may be of other images: {}",
            doubts.len(),
            counted(all, "mask"),
            listed(&doubts, IDS)
        ),
        None => format!(
            "one mask file is taken for {}, and of {} its name or its folder says another thing: {}",
            counted(all, "image"),
            doubts.len(),
            listed(&doubts, IDS)
        ),
    };
    let given_by = if column.is_some() { MASK_COLUMN } else { MASK };
    Some((what, remedy!["look whether they belong together (", given_by, ")"]))
}

/// The column of the paths of a channel.
pub(super) fn channel_column(table: &Table, channel: &str, file: &Path) -> Result<usize> {
    in_file(file, table.column(channel), "name the columns of paths with ", CHANNEL)
}

/// A path below a source, or as it is where it lies elsewhere.
fn below<'a>(path: &'a Path, root: &Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// The column of the paths of masks of a table of paths, where it has one.
fn mask_column(table: &Table, file: &Path, options: &PrepareOptions) -> Result<Option<usize>> {
    let column = match &options.mask_column {
        Some(wanted) => in_file(file, table.column(wanted), "name it with ", MASK_COLUMN)?,
        None => {
            let named = |is: &dyn Fn(&str) -> bool| table.columns.iter().position(|column| is(column));
            // As it is written everywhere here, else in any case.
            match named(&|c| c == "mask").or_else(|| named(&|c| c.eq_ignore_ascii_case("mask"))) {
                Some(column) => column,
                None => return Ok(None),
            }
        }
    };
    let called = &table.columns[column];
    if options.mask != MaskRule::Unstated {
        let what = format!("the table says where the masks are (column `{called}`), and it is said otherwise too");
        return Err(Error::file(
            file,
            what,
            remedy!["leave out ", MASK, ", or rename the column if it holds no masks"],
        ));
    }
    if options.whole_head {
        let what = format!("whole heads are to be taken without masks, but the table has masks (column `{called}`)");
        return Err(Error::file(file, what, remedy!["leave out ", WHOLE_HEAD, ", or the column"]));
    }
    Ok(Some(column))
}

/// The mask that a row of a table names.
fn mask_in_row(table: &Table, row: usize, column: usize, folder: &Path) -> Result<Option<PathBuf>, (String, Remedy)> {
    match table.rows[row][column].as_deref().filter(|cell| !is_missing(cell, &[])) {
        Some(path) => Ok(Some(folder.join(path))),
        None => Err((
            format!("it has no mask: its cell in the column `{}` is empty", table.columns[column]),
            remedy!["fill it in, relative to the table, or leave these subjects out with ", KEEP_GOING],
        )),
    }
}

/// Refuses one mask for images of different people, unless it was given as one for all.
fn refuse_shared_masks(items: &[Item], table: &Table, sites: &[String], options: &PrepareOptions) -> Result<()> {
    if matches!(options.mask, MaskRule::File(_)) {
        return Ok(());
    }
    let people = person_column(table);
    let person = |n: usize| {
        let told = people.and_then(|column| table.rows.get(n)?[column].as_deref());
        told.unwrap_or_else(|| sessions::person_of(&items[n].id))
    };
    let mut of = BTreeMap::<PathBuf, usize>::new();
    for (n, item) in items.iter().enumerate() {
        let Input::Image { path, mask: Ok(Some(mask)), .. } = &item.input else { continue };
        // One that is not there is its subject's error.
        let Ok(real) = mask.canonicalize() else { continue };
        let first = *of.entry(real).or_insert(n);
        let Input::Image { path: other, .. } = &items[first].input else { continue };
        let in_table = options.mask == MaskRule::Unstated;
        if first == n || (in_table && person(first) == person(n)) {
            continue;
        }
        let what = format!(
            "one mask, {}, would be that of two images: {} ({}) and {} ({})",
            mask.display(),
            other.display(),
            items[first].id,
            path.display(),
            item.id
        );
        let remedy = match &options.mask {
            MaskRule::Folder(folder, _) if sites.len() > 1 => {
                let folders: Vec<String> = sites.iter().map(|site| folder.join(site).display().to_string()).collect();
                remedy![
                    format!("put the masks of each source into a folder of its name ({}), or give ", few(folders)),
                    "tables of paths with ",
                    MASK_COLUMN
                ]
            }
            _ if in_table => remedy![
                "give each image its own; one mask for all images, in template space, is given with ",
                MASK,
                ", without the column"
            ],
            _ => remedy![
                "name each mask after its image, or give a table of paths with ",
                MASK_COLUMN,
                "; one mask for all images, in template space, is given as a file with ",
                MASK
            ],
        };
        return Err(Error::request(what, remedy));
    }
    Ok(())
}

/// Refuses masks that no image of a source has, before the work.
fn refuse_no_masks(source: &Source, items: &[Item]) -> Result<()> {
    let mut errors = items.iter().map(|item| match &item.input {
        Input::Image { mask: Err((what, remedy)), .. } => Some((&item.id, what, remedy)),
        _ => None,
    });
    match errors.next().flatten() {
        Some((id, what, remedy)) if items.len() > 1 && errors.all(|e| e.is_some()) => {
            let what = format!("none of its {} images has a mask; {id}: {what}", items.len());
            Err(Error::file(source.path(), what, remedy.clone()))
        }
        _ => Ok(()),
    }
}

/// Images without a row and rows without an image, in words.
fn leftovers(matched: &Matched, joint: bool) -> Vec<String> {
    let mut wrong = matching::near_ids(matched);
    if !matched.without_row.is_empty() {
        let names = few(matched.without_row.iter().map(|p| source::name(p).to_owned()));
        let count = matched.without_row.len();
        wrong.push(format!("{} {} no row in the table: {names}", counted(count, "image"), have(count)));
    }
    let without = &matched.without_image;
    if !without.is_empty() && !joint {
        wrong.push(format!("{} {} no image: {}", counted(without.len(), "row"), have(without.len()), few(without)));
    }
    if !matched.aside.odd.is_empty() {
        let odd = few(matched.aside.odd.iter().map(|l| format!("{}: {}", l.what, l.why)));
        wrong.push(format!("{} could not be looked at: {odd}", matched.aside.odd.len()));
    }
    wrong
}

/// Refuses what is left over, unless it is to be left out.
fn refuse_leftovers(wrong: &[String], options: &PrepareOptions) -> Result<()> {
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
            let what = format!("{} for {}", counted(table.rows.len(), "row"), counted(count, "item"));
            return Err(Error::file(
                path,
                what,
                "give one row per item, or a column `index` with the item of each row",
            ));
        }
    };
    Ok(places)
}

/// The grid of a cohort, or of a network, whose heads are aligned to a template: centred on it.
///
/// # Errors
/// It is no skull-stripped brain, or shape and spacing are those of no grid.
pub(crate) fn grid_on_template(path: &Path, template: &Volume, shape: [usize; 3], spacing: [f64; 3]) -> Result<Grid> {
    refuse_no_template(path, template)?;
    Ok(image::centred(shape, spacing, middle(template)?)?)
}

/// Refuses a template that is a whole head, or that has no intensities.
fn refuse_no_template(path: &Path, template: &Volume) -> Result<()> {
    let contents = Contents::of(template);
    // What soft edges add to a brain is no head.
    let is_more = contents.kind == ContentsKind::NoBackground && contents.differing > 2.4e6;
    if contents.kind == ContentsKind::WholeHead || is_more {
        let what = format!("the template {}", contents.words().unwrap_or_default());
        let remedy = remedy!["brains are aligned to a brain: give a skull-stripped template with ", ALIGN];
        return Err(Error::file(path, what, remedy));
    }
    let mut values: Vec<f32> = template.data().iter().copied().filter(|v| v.is_finite()).collect();
    let [low, high] = quantiles(&mut values, [0.0, 1.0]);
    let is_end = |v: &f32| [low, high].contains(&f64::from(*v));
    if low < high && values.iter().all(is_end) {
        let what =
            format!("the template holds {low} and {high} alone: a mask, not an image with the intensities of tissues");
        return Err(Error::file(path, what, remedy!["give a skull-stripped T1-weighted template with ", ALIGN]));
    }
    Ok(())
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
mod tests;
