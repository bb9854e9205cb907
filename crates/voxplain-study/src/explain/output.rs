//! Where a map and its record lie, and writing them whole.

use super::image::Loaded;
use crate::attribution::{Attribution, Record};
use crate::{Error, Result, atomic_file};
use serde_json::json;
use std::path::{Path, PathBuf};
use voxplain_volume::{Grid, Interpolation, Volume, WriteOptions, write as write_volume};

/// Where the files of one map lie: `<folder>/<stem>[_<entity>]_desc-<method>_attribution.nii.gz` and `.json`.
#[derive(Clone, Debug)]
pub(super) struct Place {
    folder: PathBuf,
    stem: String,
    method: String,
}

/// The files beside the map.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) native_space: Option<PathBuf>,
    pub(super) native_resolution: Option<PathBuf>,
}

impl Place {
    pub(super) fn new(folder: &Path, stem: &str, method: &str) -> Self {
        Self { folder: folder.to_owned(), stem: stem.to_owned(), method: method.replace('-', "") }
    }

    fn file(&self, entity: &str, ending: &str) -> PathBuf {
        let Self { folder, stem, method } = self;
        folder.join(format!("{stem}{entity}_desc-{method}_attribution.{ending}"))
    }

    /// The map on the model's grid.
    pub(super) fn map(&self) -> PathBuf {
        self.file("", "nii.gz")
    }

    /// The map in the space of the image.
    pub(super) fn native_space(&self) -> PathBuf {
        self.file("_space-native", "nii.gz")
    }

    /// The map at its own resolution.
    pub(super) fn native_resolution(&self) -> PathBuf {
        self.file("_res-native", "nii.gz")
    }

    /// The map of one layer of a sweep, by the layer's name.
    pub(super) fn of_layer(&self, layer: &str) -> PathBuf {
        self.file(&layer_entity(layer), "nii.gz")
    }

    /// The volume that was explained, and the mask of its brain, for maps that lie outside a run.
    pub(super) fn input(&self) -> [PathBuf; 2] {
        let Self { folder, stem, .. } = self;
        [folder.join(format!("{stem}_desc-input_image.nii.gz")), folder.join(format!("{stem}_desc-brain_mask.nii.gz"))]
    }

    /// The record of a map that is there; nothing where there is none, or one that is not understood.
    pub(super) fn read_record(&self) -> Option<Record> {
        serde_json::from_slice(&std::fs::read(self.file("", "json")).ok()?).ok()
    }
}

/// `_layer-features10`: letters and digits alone, as BIDS wants.
fn layer_entity(layer: &str) -> String {
    let name: String = layer.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("_layer-{name}")
}

/// Writes the volume as the model took it (RAS+ axes), and its brain mask where there is one: what maps are looked at over.
pub(super) fn write_input(place: &Place, loaded: &Loaded) -> Result<()> {
    let [image, mask] = place.input();
    let options = WriteOptions { form_code: loaded.form_code, ..WriteOptions::default() };
    write_volume(&image, &loaded.image, &options)?;
    if let Some(inside) = &loaded.mask {
        let inside = inside.map(|&m| f32::from(u8::from(m)));
        write_volume(&mask, &inside, &WriteOptions { integer: true, ..options })?;
    } else if mask.exists() {
        // That of an earlier image of this name must not be taken for this one's.
        std::fs::remove_file(&mask).map_err(Error::io(&mask))?;
    }
    Ok(())
}

/// Writes a map in all its spaces, each with its record; the record of the map itself comes last and says that all is there.
pub(super) fn write(place: &Place, attribution: &Attribution, loaded: &Loaded) -> Result<Written> {
    std::fs::create_dir_all(&place.folder).map_err(Error::io(&place.folder))?;
    // A map that is made anew must not look finished meanwhile.
    let done = place.file("", "json");
    if done.exists() {
        std::fs::remove_file(&done).map_err(Error::io(&done))?;
    }
    let record = |image: String| {
        let mut value = serde_json::to_value(&attribution.record).unwrap_or_default();
        value["Image"] = json!(image);
        value
    };
    let put_with = |entity: &str, volume: &Volume, form_code: i16, record: serde_json::Value| -> Result<PathBuf> {
        let path = place.file(entity, "nii.gz");
        let description = format!("{} {}", attribution.record.method, attribution.record.target);
        write_volume(&path, volume, &WriteOptions { form_code, description, integer: false })?;
        atomic_file::write_json(&place.file(entity, "json"), &record)?;
        Ok(path)
    };
    let put =
        |entity: &str, volume: &Volume, form_code, image: String| put_with(entity, volume, form_code, record(image));
    let mut written = Written::default();
    for (layer, map) in &attribution.of_layers {
        let turned = loaded.turn.as_ref().map(|grid| map.reorient_like(grid)).transpose()?;
        let mut record = record(format!("the map of layer {layer} on the grid that the model takes"));
        // What was measured is of the last layer.
        record["Measured"] = json!({ "Layer": layer });
        record["Units"] = json!(format!("{} per cell of {layer}", attribution.record.requested.1));
        put_with(&layer_entity(layer), turned.as_ref().unwrap_or(map), loaded.form_code, record)?;
    }
    let (map, own) = match &loaded.turn {
        // The image was on the grid but for the order of its axes: the map takes that order.
        Some(grid) => {
            let turned = |v: &Volume| v.reorient(grid.orientation());
            (&attribution.map.reorient_like(grid)?, attribution.native_resolution.as_ref().map(turned))
        }
        None => (&attribution.map, attribution.native_resolution.clone()),
    };
    if let Some(own) = own {
        let image = "the map at its layer's own resolution, on the cells' true centres".into();
        written.native_resolution = Some(put("_res-native", &own, loaded.form_code, image)?);
    }
    if let Some(native) = &loaded.native {
        let volume = match loaded.to_template {
            None => attribution.map.resample(native, Interpolation::Linear, 0.0),
            // The image's lattice seen from the template, and the values put back on the image's own.
            Some(to_template) => {
                let seen = Grid::new(native.shape, to_template * native.affine)?;
                Volume::new(*native, attribution.map.resample(&seen, Interpolation::Linear, 0.0).into_data())?
            }
        };
        let image = "the map in the space of the image, trilinear between voxels of the model's grid, 0 outside it; \
                     values per voxel of the model's grid";
        written.native_space = Some(put("_space-native", &volume, loaded.form_code, image.into())?);
    }
    put("", map, loaded.form_code, "the map on the grid that the model takes".into())?;
    Ok(written)
}
