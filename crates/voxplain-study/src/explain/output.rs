//! Writing a map and its record, whole or not at all.

use super::load::LoadedVolume;
use crate::folder::name_of;
use crate::map::{MapFiles, Variant};
use serde::Serialize;
use serde_json::json;
use std::{cell::RefCell, path::PathBuf};
use voxplain_attribution::{Attribution, ChannelMap, ChannelRecord};
use voxplain_core::{Error, Result, hash_values, seal};
use voxplain_volume::{Grid, Interpolation, Volume, WriteOptions, write as write_volume};

/// The files that were written beside the map.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) native_space: Option<PathBuf>,
    pub(super) native_resolution: Option<PathBuf>,
}

/// Writes the volume as the model took it, each channel (RAS+ axes), and its brain mask where there is one: the background of its maps.
pub(super) fn write_input(files: &MapFiles, loaded: &LoadedVolume) -> Result<()> {
    let image = files.input_image();
    let options = WriteOptions { form_code: loaded.form_code, ..WriteOptions::default() };
    write_volume(&image, &loaded.image, &options)?;
    for (channel, name) in loaded.others.iter().zip(loaded.channels.iter().skip(1)) {
        write_volume(&files.input_channel(name), channel, &options)?;
    }
    write_mask(files, loaded)
}

/// Writes the brain mask of the volume, where there is one, on the grid of its maps.
pub(super) fn write_mask(files: &MapFiles, loaded: &LoadedVolume) -> Result<()> {
    let mask = files.input_mask();
    let options = WriteOptions { form_code: loaded.form_code, ..WriteOptions::default() };
    if let Some(inside) = &loaded.mask {
        let inside = inside.map(|&m| f32::from(u8::from(m)));
        write_volume(&mask, &inside, &WriteOptions { integer: true, ..options })?;
    } else if mask.exists() {
        // The mask of an earlier image of this name must not be taken for the mask of this one.
        std::fs::remove_file(&mask).map_err(Error::io(&mask))?;
    }
    Ok(())
}

/// Writes a map in all its spaces, each with its record. The record of the map itself is written last: it says that all is there.
pub(super) fn write(files: &MapFiles, attribution: &Attribution, loaded: &LoadedVolume) -> Result<Written> {
    std::fs::create_dir_all(files.folder()).map_err(Error::io(files.folder()))?;
    // A map that is made again must not look finished meanwhile.
    let done = files.record();
    if done.exists() {
        std::fs::remove_file(&done).map_err(Error::io(&done))?;
        files.remove_variants(&attribution.record.subject)?;
    }
    let plain = serde_json::to_value(&attribution.record)
        .map_err(|e| Error::file(files.record(), format!("no JSON: {e}"), "report this"))?;
    let record = |image: String| {
        let mut value = plain.clone();
        value["Image"] = json!(image);
        value
    };
    let beside = RefCell::new(Vec::new());
    let put_with =
        |variant: Variant<'_>, volume: &Volume, form_code: i16, record: serde_json::Value| -> Result<PathBuf> {
            let path = files.image(variant);
            let description = format!("{} {}", attribution.record.method, attribution.record.target);
            write_volume(&path, volume, &WriteOptions { form_code, description, integer: false })?;
            let hash = hash_values(volume.data());
            seal::write(&files.record_of(variant), &Hashed { record: &record, image_hash: &hash })?;
            beside.borrow_mut().push(name_of(&path));
            Ok(path)
        };
    let put = |variant, volume: &Volume, form_code, image: String| put_with(variant, volume, form_code, record(image));
    let mut written = Written::default();
    for (layer, map) in &attribution.of_layers {
        let turned = loaded.turn.as_ref().map(|grid| map.reorient_like(grid)).transpose()?;
        let mut record = record(format!("the map of layer {layer} on the grid that the model takes"));
        // What was measured is of the last layer.
        record["Measured"] = json!({ "Layer": layer });
        record["Units"] = json!(format!("{} per cell of {layer}", attribution.record.requested.1));
        put_with(Variant::Layer(layer), turned.as_ref().unwrap_or(map), loaded.form_code, record)?;
    }
    for (n, (map, name)) in attribution.of_channels.iter().zip(&loaded.channels).enumerate() {
        let of = |image: &str| -> Result<serde_json::Value> {
            let mut record = record(image.replacen("the map", &format!("the map of the channel {name}"), 1));
            let channels = ChannelRecord::new(&loaded.channels, ChannelMap::Channel(n));
            record["Channels"] = serde_json::to_value(channels)
                .map_err(|e| Error::file(files.record(), format!("no JSON: {e}"), "report this"))?;
            // What was measured is of the sum.
            let sum: f64 = map.data().iter().map(|&v| f64::from(v)).sum();
            record["Measured"] = json!({ "Sum": sum });
            let units = attribution.record.units.split("; the sum over ").next().unwrap_or_default();
            record["Units"] = json!(units);
            Ok(record)
        };
        let turned = loaded.turn.as_ref().map(|grid| map.reorient_like(grid)).transpose()?;
        let on_grid = turned.as_ref().unwrap_or(map);
        put_with(Variant::Channel(name), on_grid, loaded.form_code, of(ON_THE_GRID)?)?;
        if let Some(native) = &loaded.native {
            let volume = in_native_space(map, native, loaded)?;
            put_with(Variant::ChannelInNativeSpace(name), &volume, loaded.form_code, of(IN_NATIVE_SPACE)?)?;
        }
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
        written.native_resolution = Some(put(Variant::NativeResolution, &own, loaded.form_code, image)?);
    }
    if let Some(native) = &loaded.native {
        let volume = in_native_space(&attribution.map, native, loaded)?;
        written.native_space = Some(put(Variant::NativeSpace, &volume, loaded.form_code, IN_NATIVE_SPACE.into())?);
    }
    let mut last = record(ON_THE_GRID.into());
    let names = beside.take();
    if !names.is_empty() {
        last["Files"] = json!(names);
    }
    put_with(Variant::Model, map, loaded.form_code, last)?;
    Ok(written)
}

/// A record with the hash of the image that it is of.
#[derive(Serialize)]
struct Hashed<'a> {
    #[serde(flatten)]
    record: &'a serde_json::Value,
    #[serde(rename = "ImageHash")]
    image_hash: &'a str,
}

/// What the image of a map is, in its record.
const ON_THE_GRID: &str = "the map on the grid that the model takes";
const IN_NATIVE_SPACE: &str = "the map in the space of the image, trilinear between voxels of the model's grid, 0 outside it; \
                               values per voxel of the model's grid";

/// A map on the lattice of the image that the volume was prepared from.
fn in_native_space(map: &Volume, native: &Grid, loaded: &LoadedVolume) -> Result<Volume> {
    Ok(match loaded.to_template {
        None => map.resample(native, Interpolation::Linear, 0.0),
        // The image's lattice seen from the template, and the values put back on the image's own.
        Some(to_template) => {
            let seen = Grid::new(native.shape, to_template * native.affine)?;
            Volume::new(*native, map.resample(&seen, Interpolation::Linear, 0.0).into_data())?
        }
    })
}
