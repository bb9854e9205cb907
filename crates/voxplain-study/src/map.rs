//! Files of maps: their names ([`MapFiles`]), their records ([`read_record`]) and images ([`read_image`]), and those below a folder ([`maps_below`]).

use crate::{cohort::Preparation, run::RunLayout, setting::METHOD};
use std::path::{Path, PathBuf};
use voxplain_attribution::{METHODS, Record};
use voxplain_core::{Action, Error, Remedy, Result, hash_bytes, hash_values, remedy, seal};
use voxplain_volume::{ReadOptions, Volume, image_stem};

/// The files of one map: `<folder>/<stem>[_<entity>]_desc-<method>_attribution.nii.gz`, in the manner of BIDS
/// derivatives. Each image has a record of how it was made beside it, of the same name with `.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapFiles {
    folder: PathBuf,
    stem: String,
    method: String,
}

/// One of the images of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant<'a> {
    /// The map on the grid that the model takes: no entity. The map itself; the others are made from it or with it.
    Model,
    /// In the space of the image that the volume was prepared from: `space-native`.
    NativeSpace,
    /// A class activation map at its layer's own resolution: `res-native`.
    NativeResolution,
    /// Of one layer of a sweep, by the layer's name: `layer-<letters and digits>`.
    Layer(&'a str),
    /// Of one channel, by its name, on the grid that the model takes: `channel-<letters and digits>`. The map itself is the sum of these.
    Channel(&'a str),
    /// The same in the space of the image: `channel-<letters and digits>_space-native`.
    ChannelInNativeSpace(&'a str),
}

/// The entity that says what made a map: `desc-gradcam` for `grad-cam` (BIDS allows letters and digits alone).
pub fn desc(method: &str) -> String {
    format!("desc-{}", word(method))
}

fn word(method: &str) -> String {
    method.replace('-', "")
}

/// A channel's name as names of files have it: letters and digits alone.
pub(crate) fn channel_word(name: &str) -> String {
    letters_and_digits(name)
}

/// A layer's name as names of files have it. Imported networks have names of any length, and file systems take 255 bytes: of a long
/// one the beginning and a digest.
fn layer_word(name: &str) -> String {
    let mut word = letters_and_digits(name);
    if word.len() > MAX_LAYER {
        word.truncate(MAX_LAYER - 8);
        word.push_str(&hash_bytes(name.as_bytes())[..8]);
    }
    word
}

/// Longest name of a layer in the name of a file.
const MAX_LAYER: usize = 40;

fn letters_and_digits(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// How the names of images of maps end.
const IMAGE: &str = "_attribution.nii.gz";

impl MapFiles {
    /// The files of a method's map in a folder; names begin with `stem` (`sub-01`, or the stem of an image's name).
    pub fn new(folder: impl Into<PathBuf>, stem: impl Into<String>, method: &str) -> Self {
        Self { folder: folder.into(), stem: stem.into(), method: word(method) }
    }

    /// The folder that they lie in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the names begin: `sub-01`, or the stem of an image's name.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// The method as names have it: letters and digits alone.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The method by its own name, where it is one of ours.
    pub(crate) fn method_name(&self) -> String {
        let known = METHODS.iter().map(|method| method.name).find(|name| word(name) == self.method);
        known.map_or_else(|| self.method.clone(), str::to_owned)
    }

    /// The map on the grid that the model takes.
    pub fn path(&self) -> PathBuf {
        self.image(Variant::Model)
    }

    /// The record of the map. It is written last: a map without one is not finished.
    pub fn record(&self) -> PathBuf {
        self.record_of(Variant::Model)
    }

    /// One of the images.
    pub fn image(&self, variant: Variant<'_>) -> PathBuf {
        self.file(variant, "nii.gz")
    }

    /// The record of one of the images.
    pub fn record_of(&self, variant: Variant<'_>) -> PathBuf {
        self.file(variant, "json")
    }

    /// The volume that was explained, where it lies beside its maps; of several channels the first.
    pub fn input_image(&self) -> PathBuf {
        self.folder.join(format!("{}_desc-input_image.nii.gz", self.stem))
    }

    /// The volume of a channel behind the first, by its name.
    pub fn input_channel(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}_channel-{}_desc-input_image.nii.gz", self.stem, channel_word(name)))
    }

    /// The brain mask of that volume, where there is one.
    pub fn input_mask(&self) -> PathBuf {
        self.folder.join(format!("{}_desc-brain_mask.nii.gz", self.stem))
    }

    /// The images that were written beside the map, as its record has them.
    pub(crate) fn beside(&self, record: &Record) -> impl Iterator<Item = PathBuf> {
        // Names alone: what is not in the folder is not ours.
        record.files.iter().filter_map(|name| Path::new(name).file_name()).map(|name| self.folder.join(name))
    }

    /// Removes the images in other spaces and of layers that an earlier map of this subject left, with their records: they are not
    /// of the map that takes its place.
    pub(crate) fn remove_variants(&self, subject: &str) -> Result<()> {
        let begins = format!("{}_", self.stem);
        for entry in std::fs::read_dir(&self.folder).map_err(Error::io(&self.folder))? {
            let path = entry.map_err(Error::io(&self.folder))?.path();
            let variant = files_of(&path).is_some_and(|f| f.method == self.method && f.stem.starts_with(&begins));
            // An image called `<stem>_space-native` is another subject; what has no record that can be read is left alone.
            if variant && read_record_beside(&path).is_ok_and(|record| record.is_some_and(|r| r.subject == subject)) {
                for file in [record_path(&path), path] {
                    std::fs::remove_file(&file).map_err(Error::io(&file))?;
                }
            }
        }
        Ok(())
    }

    fn file(&self, variant: Variant<'_>, ending: &str) -> PathBuf {
        let Self { folder, stem, method } = self;
        let entity = match variant {
            Variant::Model => String::new(),
            Variant::NativeSpace => "_space-native".into(),
            Variant::NativeResolution => "_res-native".into(),
            Variant::Layer(name) => format!("_layer-{}", layer_word(name)),
            Variant::Channel(name) => format!("_channel-{}", channel_word(name)),
            Variant::ChannelInNativeSpace(name) => format!("_channel-{}_space-native", channel_word(name)),
        };
        folder.join(format!("{stem}{entity}_desc-{method}_attribution.{ending}"))
    }
}

/// The prepared image of a person and its mask where they lie as BIDS derivatives:
/// `<folder>/sub-<id>[_space-study]_res-voxplain_desc-preproc_T1w.nii.gz`. `space-study` is the space of the template that the brain was turned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedFiles {
    folder: PathBuf,
    stem: String,
    organ: &'static str,
}

/// What stands in the names of prepared images.
const PREPARED: &str = "_res-voxplain_desc-preproc_";

impl PreparedFiles {
    /// Of the person with this id.
    pub fn new(folder: impl Into<PathBuf>, id: &str, preparation: &Preparation) -> Self {
        let space = if preparation.template.is_some() { "_space-study" } else { "" };
        Self { folder: folder.into(), stem: format!("sub-{id}{space}"), organ: preparation.organ() }
    }

    /// The image of a channel, by its name.
    pub fn image(&self, channel: &str) -> PathBuf {
        self.folder.join(format!("{}{PREPARED}{channel}.nii.gz", self.stem))
    }

    /// The mask.
    pub fn mask(&self) -> PathBuf {
        self.folder.join(format!("{}_res-voxplain_desc-{}_mask.nii.gz", self.stem, self.organ))
    }

    /// The image and the mask that lie beside a map, where there are such: of several channels the T1-weighted one, or the first by name.
    pub fn beside(map: &MapFiles) -> Option<(PathBuf, PathBuf)> {
        let inside = std::fs::read_dir(map.folder()).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<(bool, PathBuf, PathBuf)> = inside
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?;
                let (stem, channel) = name.strip_suffix(".nii.gz")?.split_once(PREPARED)?;
                let is_of_it = stem.strip_prefix(map.stem()).is_some_and(|rest| ["", "_space-study"].contains(&rest));
                let mask = |organ: &str| path.with_file_name(format!("{stem}_res-voxplain_desc-{organ}_mask.nii.gz"));
                let mask = ["brain", "head"].map(mask).into_iter().find(|mask| mask.is_file())?;
                is_of_it.then(|| (channel != "T1w", path.clone(), mask))
            })
            .collect();
        found.sort();
        found.into_iter().next().map(|(_, image, mask)| (image, mask))
    }
}

/// The files of the map that an image file holds, by its name; `None` for a name that is no map's.
pub fn files_of(map: &Path) -> Option<MapFiles> {
    let name = map.file_name()?.to_string_lossy().into_owned();
    let stem = name.strip_suffix(IMAGE).or_else(|| name.strip_suffix("_attribution.nii"))?;
    let (stem, method) = stem.rsplit_once("_desc-")?;
    Some(MapFiles::new(map.parent().unwrap_or(Path::new("")), stem, method))
}

/// What was asked to be explained.
pub(crate) fn target(record: &Record) -> String {
    match &record.value {
        Some(value) => value.to_string(),
        None => format!("{}, {}", record.requested.0, record.requested.1),
    }
}

/// Where the record of a map file lies: beside it, `.json` in place of `.nii.gz` or `.nii`.
pub fn record_path(map: &Path) -> PathBuf {
    let name = map.file_name().unwrap_or_default().to_string_lossy().into_owned();
    map.with_file_name(format!("{}.json", image_stem(&name).unwrap_or(&name)))
}

/// Reads the record of a map file.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read_record(map: &Path) -> Result<Record> {
    seal::read(&record_path(map), again(map))
}

/// What to do about a map that is damaged: of a run the step that makes it again, and leaves the others as they are.
fn again(map: &Path) -> Remedy {
    let run = map.parent().and_then(Path::parent).filter(|run| RunLayout::at(run).manifest().is_file());
    match (run, files_of(map)) {
        (Some(run), Some(files)) if files.stem().starts_with("sub-") => {
            remedy!["make it again: ", Action::new("explain").on(run).with(METHOD, files.method_name())]
        }
        _ => remedy!["remove the map and its record, and make it again with `", Action::new("explain"), "`"],
    }
}

/// Reads the image of a map, in the axis order of its file. Where the record beside it has its hash, it is compared.
///
/// # Errors
/// It cannot be read, or is no longer the image that was written.
pub fn read_image(map: &Path) -> Result<Volume> {
    let volume = voxplain_volume::read(map, &ReadOptions::default())?.volume;
    let record = record_path(map);
    let beside = match voxplain_core::input::read(&record) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(Error::io(&record))?,
    };
    // What is no record is found to be none where it is read as one: images of other programs have files of other kinds beside them.
    let hash =
        serde_json::from_slice::<serde_json::Value>(&beside).ok().and_then(|record| record.get("ImageHash").cloned());
    if hash.is_some_and(|hash| hash != hash_values(volume.data())) {
        let what = "is not the map that was written: its values do not fit the hash in its record";
        return Err(Error::file(map, what, again(map)));
    }
    Ok(volume)
}

/// The record of a map file, where there is one: beside maps of other programs there is none, or a JSON file of another kind.
///
/// # Errors
/// A file that cannot be read, or a record that is damaged.
pub fn read_record_beside(map: &Path) -> Result<Option<Record>> {
    let path = record_path(map);
    let bytes = match voxplain_core::input::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::io(&path))?,
    };
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(value) if value.get("Method").is_none() || value.get("Model").is_none() => Ok(None),
        _ => read_record(map).map(Some),
    }
}

/// The image that a map is drawn over, where it lies beside it: of a map of a run's groups, tests or baselines the mean brain; of a person's map
/// on the model's grid the volume that was explained.
pub fn background_of(map: &Path) -> Option<PathBuf> {
    let files = files_of(map)?;
    let folder = map.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = [files.input_image(), folder.join("mean_brain.nii.gz")];
    let of_groups = folder.parent().and_then(Path::parent).map(|run| RunLayout::at(run).group().mean_brain());
    // Maps in other spaces have entities before their method, and no volume of that name.
    beside
        .into_iter()
        .chain(PreparedFiles::beside(&files).map(|(image, _)| image))
        .chain(of_groups.filter(|_| folder.parent().is_some_and(|of| of.ends_with("compare"))))
        .find(|path| path.is_file())
}

/// Whether an image has a record of how it was made beside it, as maps of subjects and groups have.
pub fn is_recorded(image: &Path) -> bool {
    let Ok(bytes) = voxplain_core::input::read(&record_path(image)) else { return false };
    serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|value| {
        value.get("Method").is_some() && (value.get("Model").is_some() || value.get("Models").is_some())
    })
}

/// All subjects' maps below a folder, sorted by path: every `*_attribution.nii.gz` or `.nii` except group maps, those in native
/// space (`_space-native`) or resolution (`_res-native`), and those of single layers (`_layer-`) or channels (`_channel-`). A run below the
/// folder has maps of its own, by other models: its are not among them.
///
/// # Errors
/// A folder that cannot be read.
pub fn maps_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths =
        entries.map(|e| e.map(|e| e.path()).map_err(Error::io(folder))).collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "group" && !name.starts_with('.') && !RunLayout::at(&path).manifest().is_file() {
                files.extend(maps_below(&path)?);
            }
        } else if (name.ends_with(IMAGE) || name.ends_with("_attribution.nii"))
            && !["_space-native", "_res-native", "_layer-", "_channel-", "_stat-"].iter().any(|e| name.contains(e))
        {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_a_run_below_a_folder_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        for of in ["sub-01", "run/sub-01", "run/group", ".kept"] {
            std::fs::create_dir_all(folder.path().join(of)).unwrap();
            std::fs::write(folder.path().join(of).join("sub-01_desc-cam_attribution.nii.gz"), "").unwrap();
        }
        let below = |at: &Path| maps_below(at).unwrap().len();
        let run = folder.path().join("run");
        assert_eq!((below(folder.path()), below(&run)), (2, 1));
        std::fs::write(RunLayout::at(&run).manifest(), "").unwrap();
        assert_eq!((below(folder.path()), below(&run)), (1, 1));
    }

    #[test]
    fn names_are_those_of_bids_and_can_be_read_back() {
        let files = MapFiles::new("run/sub-01", "sub-01", "grad-cam");
        let name = |path: PathBuf| path.to_string_lossy().into_owned();
        assert_eq!(name(files.path()), "run/sub-01/sub-01_desc-gradcam_attribution.nii.gz");
        assert_eq!(name(files.record()), "run/sub-01/sub-01_desc-gradcam_attribution.json");
        assert_eq!(
            name(files.image(Variant::NativeSpace)),
            "run/sub-01/sub-01_space-native_desc-gradcam_attribution.nii.gz"
        );
        assert_eq!(
            name(files.record_of(Variant::Layer("features.10"))),
            "run/sub-01/sub-01_layer-features10_desc-gradcam_attribution.json"
        );
        assert_eq!(
            name(files.image(Variant::ChannelInNativeSpace("T2_w"))),
            "run/sub-01/sub-01_channel-T2w_space-native_desc-gradcam_attribution.nii.gz"
        );
        // The longest of all that `prepare` lets pass, and a layer of a network from elsewhere.
        let longest = MapFiles::new("", format!("sub-{}", "x".repeat(128)), "meaningful-perturbation");
        let channel = "c".repeat(40);
        for variant in [Variant::ChannelInNativeSpace(&channel), Variant::Layer(&"features.".repeat(99))] {
            assert!(longest.image(variant).as_os_str().len() <= 255);
        }
        let layers = [1, 2].map(|n| longest.image(Variant::Layer(&format!("{}{n}", "features.".repeat(99)))));
        assert_ne!(layers[0], layers[1]);
        assert_eq!(name(files.input_channel("FLAIR")), "run/sub-01/sub-01_channel-FLAIR_desc-input_image.nii.gz");
        assert_eq!(name(files.input_image()), "run/sub-01/sub-01_desc-input_image.nii.gz");
        assert_eq!(files_of(&files.path()), Some(files.clone()));
        assert_eq!(record_path(&files.path()), files.record());
        assert_eq!(record_path(Path::new("a/b.nii")), Path::new("a/b.json"));
        assert_eq!(files_of(Path::new("a/scan.nii.gz")), None);
    }
}
