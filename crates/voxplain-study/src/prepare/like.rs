//! [`PrepareOptions::like`]: images prepared as those that a model was trained on.

use super::{PrepareOptions, Space};
use crate::{
    cohort::{Placement, Template},
    model::Card,
    setting::ALIGN,
};
use std::path::Path;
use voxplain_core::{Error, Result, remedy};

impl PrepareOptions {
    /// These options, with all that a model says about its images in place of theirs: the grid, where it lies, the template, intensities,
    /// channels, and whether heads are whole. A template that is given is where the model's own lies here.
    ///
    /// # Errors
    /// It is not known how an image is prepared for the model; the template is another one.
    pub fn like(self, card: &Card, model: &Path) -> Result<Self> {
        let unknown = match (card.grid_unknown, card.training["from_arrays"] == true) {
            (true, _) => "was imported without the place of its grid",
            (false, true) => "was trained on arrays that were prepared elsewhere",
            (false, false) => {
                let of = &card.preparation;
                let (align, sizes, space) = match (&of.template, of.placement) {
                    (Some(template), _) => {
                        (Some(own_template(template, self.align.as_deref(), model)?), template.sizes, Space::Mask)
                    }
                    (None, _) if self.align.is_some() => {
                        let what = "takes heads that are not turned to a template, and a template is given";
                        return Err(Error::file(model, what, remedy!["leave out ", ALIGN]));
                    }
                    (None, Placement::MaskCentre) => (None, self.sizes, Space::Mask),
                    (None, Placement::Fixed(grid)) => (None, self.sizes, Space::Origin(grid.affine.apply([0.0; 3]))),
                };
                return Ok(Self {
                    channels: of.channels.clone(),
                    shape: Some(of.shape),
                    spacing: Some(of.spacing),
                    normalize: of.normalize,
                    whole_head: of.whole_head,
                    align,
                    sizes,
                    space,
                    ..self
                });
            }
        };
        let what = format!("{unknown}, so that it is not known how an image becomes one of its own");
        Err(Error::file(model, what, "prepare a cohort as its images were, and explain that with the model"))
    }
}

/// The template of a model: where it is said to lie, else where the model has it.
fn own_template(template: &Template, given: Option<&Path>, model: &Path) -> Result<std::path::PathBuf> {
    let path = given.unwrap_or(&template.path);
    if !path.is_file() {
        let what = format!("takes heads turned to the template {}, which is not there", path.display());
        return Err(Error::file(model, what, remedy!["say where it lies here with ", ALIGN]));
    }
    if Template::new(path, template.sizes)?.hash != template.hash {
        let what =
            format!("is not the template that the model {} was made with ({})", model.display(), template.name());
        return Err(Error::file(path, what, remedy!["give the file itself with ", ALIGN]));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::{Normalize, Preparation};
    use crate::model::Task;
    use voxplain_volume::{Affine, Grid, Sizes};

    fn card(placement: Placement, template: Option<Template>) -> Card {
        Card {
            architecture: "mrinet".into(),
            task: Task::classes_named(["a".into(), "b".into()]),
            label: "label".into(),
            preparation: Preparation {
                shape: [24, 28, 24],
                spacing: [7.0; 3],
                normalize: Normalize::Zscore,
                placement,
                template,
                whole_head: false,
                channels: Vec::new(),
            },
            grid_unknown: false,
            trained_on: std::collections::BTreeSet::new(),
            training: serde_json::json!({}),
            sealed: false,
        }
    }

    #[test]
    fn a_model_says_how_images_are_prepared() {
        let model = Path::new("m.safetensors");
        let like = |card: &Card, align: Option<&Path>| {
            let own = PrepareOptions {
                align: align.map(Path::to_owned),
                include: Some("x".into()),
                ..PrepareOptions::default()
            };
            own.like(card, model)
        };
        let centred = like(&card(Placement::MaskCentre, None), None).unwrap();
        assert_eq!((centred.shape, centred.spacing, centred.space), (Some([24, 28, 24]), Some([7.0; 3]), Space::Mask));
        assert_eq!((centred.normalize, centred.include.as_deref()), (Normalize::Zscore, Some("x")));
        let grid = Grid::new([24, 28, 24], Affine::from_spacing_origin([7.0; 3], [-80.0, -90.0, -70.0])).unwrap();
        let fixed = like(&card(Placement::Fixed(grid), None), None).unwrap();
        assert_eq!(fixed.space, Space::Origin([-80.0, -90.0, -70.0]));

        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("t.nii"), dir.path().join("o.nii"));
        std::fs::write(&file, "template").unwrap();
        std::fs::write(&other, "another").unwrap();
        let mut template = Template::new(&file, Sizes::Remove).unwrap();
        let turned = card(Placement::Fixed(grid), Some(template.clone()));
        let options = like(&turned, None).unwrap();
        assert_eq!(
            (options.align.as_deref(), options.sizes, options.space),
            (Some(file.as_path()), Sizes::Remove, Space::Mask)
        );
        assert!(like(&turned, Some(&other)).unwrap_err().to_string().contains("is not the template"));
        assert!(
            like(&card(Placement::MaskCentre, None), Some(&file))
                .unwrap_err()
                .to_string()
                .contains("not turned to a template")
        );
        // In a container it lies elsewhere.
        template.path = dir.path().join("gone.nii");
        let moved = card(Placement::Fixed(grid), Some(template));
        assert!(like(&moved, None).unwrap_err().to_string().contains("which is not there"));
        assert_eq!(like(&moved, Some(&file)).unwrap().align, Some(file));
        let unknown = Card { grid_unknown: true, ..card(Placement::MaskCentre, None) };
        assert!(like(&unknown, None).unwrap_err().to_string().contains("without the place of its grid"));
    }
}
