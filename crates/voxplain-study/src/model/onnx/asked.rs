//! How the images of an imported network are prepared: what an ONNX file does not say.

use super::{Card, Model, OnnxOptions};
use crate::{
    cohort::{CohortLayout, Placement, Preparation, Template, usable_spacing},
    prepare::{channels::check_names, grid_on_template},
    run::Run,
    setting::{ALIGN, CHANNEL, LIKE, NORMALIZE, ORIENTATION, ORIGIN, SPACING},
};
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Phrase, Remedy, Result, remedy};
use voxplain_volume::{Affine, Grid, Sizes};

/// Whether heads are turned to a template before they are put on the grid of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Align {
    /// They lie as they are.
    Nothing,
    /// They are aligned to a skull-stripped template.
    Template {
        /// Its file.
        path: PathBuf,
        /// Whether they keep their size.
        sizes: Sizes,
    },
}

/// The card of the first model of a run, or that of a model file.
pub(super) fn example(path: &Path) -> Result<Card> {
    if !path.is_dir() {
        return Ok(Model::read(path)?.card);
    }
    if CohortLayout::at(path).document().is_file() {
        let what = "is a cohort: it holds images, and no network that takes them";
        let remedy = remedy![
            "give a run or a model that was trained on it with ",
            LIKE,
            ", or say how its images were prepared with ",
            SPACING,
            ", ",
            NORMALIZE,
            ", ",
            ORIENTATION,
            " and ",
            ALIGN
        ];
        return Err(Error::file(path, what, remedy));
    }
    let run = Run::open(path)?;
    let trained = (0..run.manifest.folds).find(|&fold| run.layout().fold(fold).model().is_file());
    Ok(run.model(trained.unwrap_or(0))?.model.card)
}

pub(super) fn preparation(
    file: &Path,
    shape: [usize; 3],
    options: &OnnxOptions,
    like: Option<&Card>,
) -> Result<Preparation> {
    if let Some(card) = like {
        if card.grid_unknown {
            return Err(Error::request(
                "the model that it shall be like does not say where its grid lies",
                remedy!["say it with ", SPACING, ", ", NORMALIZE, ", ", ORIENTATION, " and ", ALIGN],
            ));
        }
        if card.preparation.shape != shape {
            return Err(Error::file(
                file,
                format!("takes {shape:?}, the model that it shall be like {:?}", card.preparation.shape),
                remedy!["give a run on the network's own grid, or say how images are prepared with ", SPACING],
            ));
        }
        return Ok(card.preparation.clone());
    }
    let asked = [
        (options.spacing.is_none(), "the size of its voxels", SPACING.to("MM")),
        (options.normalize.is_none(), "how intensities are prepared", NORMALIZE.to("robust")),
        (options.orientation.is_none(), "to which side its axes grow", ORIENTATION.to("RAS")),
        (options.align.is_none(), "whether heads are turned to a template for it", ALIGN.to("TEMPLATE|none")),
    ];
    let (Some(spacing), Some(normalize), Some(orientation), Some(align)) =
        (options.spacing, options.normalize, &options.orientation, &options.align)
    else {
        let missing = asked.iter().filter(|(missing, ..)| *missing);
        let names: Vec<&str> = missing.clone().map(|(_, name, _)| *name).collect();
        let mut say = vec![Phrase::from("say it: ")];
        say.extend(missing.flat_map(|(.., setting)| [setting.clone(), Phrase::from(", ")]));
        say.extend([Phrase::from("or that it is as with a run of voxplain: "), LIKE.to("RUN")]);
        let what = format!("does not say {}, and no guess would show that it is wrong", names.join(", "));
        return Err(Error::file(file, what, Remedy::new(say)));
    };
    if !usable_spacing(spacing) {
        let what = format!("voxels of {spacing:?} mm are not usable");
        return Err(Error::request(what, remedy!["choose ", SPACING, " from 0.1 to 50 mm"]));
    }
    if shape.iter().any(|&length| length > 1024) {
        return Err(Error::file(
            file,
            format!("takes {shape:?} voxels, expected at most 1024 a side"),
            "images of this size are not prepared; train a network on a smaller grid",
        ));
    }
    if !orientation.eq_ignore_ascii_case("RAS") {
        return Err(Error::request(
            format!(
                "the network's axes are {orientation:?}; images are given to it in RAS order: to the right, to the front, up"
            ),
            "a network of other axes cannot be imported: its answers to these images would be those to turned heads. Train it on images in \
             RAS order (in nibabel: as_closest_canonical)",
        ));
    }
    if let Some(origin) = options.origin.filter(|origin| origin.iter().any(|mm| mm.is_nan() || mm.abs() > 10_000.0)) {
        let what =
            format!("{} is no place in mm for the first voxel of a grid", origin.map(|mm| mm.to_string()).join(","));
        return Err(Error::request(what, remedy!["give three numbers with ", ORIGIN.to("-84,-123,-72")]));
    }
    let (placement, template) = place(align, options.origin, shape, spacing)?;
    Ok(Preparation {
        shape,
        spacing,
        normalize,
        placement,
        template,
        whole_head: options.whole_head,
        channels: Vec::new(),
    })
}

/// Where the grid lies, and the template that heads are turned to.
pub(super) fn place(
    align: &Align,
    origin: Option<[f64; 3]>,
    shape: [usize; 3],
    spacing: [f64; 3],
) -> Result<(Placement, Option<Template>)> {
    let fixed = |origin| Grid::new(shape, Affine::from_spacing_origin(spacing, origin)).map(Placement::Fixed);
    match (align, origin) {
        (Align::Nothing, None) => Ok((Placement::MaskCentre, None)),
        (Align::Nothing, Some(origin)) => Ok((fixed(origin)?, None)),
        (Align::Template { path, sizes }, origin) => {
            let template = Template::new(path, *sizes)?;
            let centred = grid_on_template(path, &template.read()?, shape, spacing)?;
            Ok((origin.map_or(Ok(Placement::Fixed(centred)), fixed)?, Some(template)))
        }
    }
}

/// The names of the images that it takes, one for each of its input channels: as they were said, else those of the model whose images
/// it takes.
pub(super) fn channel_names(
    file: &Path,
    channels: usize,
    options: &OnnxOptions,
    like: Option<&Card>,
) -> Result<Vec<String>> {
    let of_like = like.map(|card| card.preparation.channels.clone()).unwrap_or_default();
    let names = if options.channels.is_empty() { of_like } else { options.channels.clone() };
    check_names(&names)?;
    // One image of each needs no name.
    if names.len() == channels || channels == 1 && names.is_empty() {
        return Ok(names);
    }
    let said = match names.len() {
        0 => "and does not say of which".to_owned(),
        n => format!("found {} {}: {}", n, if n == 1 { "name" } else { "names" }, names.join(", ")),
    };
    let images = if channels == 1 { "one image".to_owned() } else { format!("{channels} images, as channels,") };
    let what = format!("takes {images} of each person, {said}");
    let remedy = remedy![
        "name each in the order in which the network takes them, as ",
        CHANNEL.to("T1w"),
        " ",
        CHANNEL.to("FLAIR")
    ];
    Err(Error::file(file, what, remedy))
}
