//! Figures: built as SVG, text as text and images embedded, and rasterised to PNG with a font of our own, so that
//! both agree and look the same on every machine.
//!
//! One user unit is one millimetre on paper; type is 7 pt and not smaller than 6 pt at that size. Colours are chosen
//! to be told apart by the colour-blind and, where sign matters, in grey print.
//!
//! Knows volumes and statistics, and neither methods nor studies. What a figure is drawn with is in `paper`, how a brain
//! is cut and coloured in `brain`; the other files are figures, and none knows another.

mod brain;
mod deletion_curves;
mod forest_plot;
mod gallery;
mod learning_curves;
mod mask_outlines;
mod matrix;
mod mosaic;
mod paper;
mod permutations;
mod plot;
mod reliability;
mod roc;
mod thumbnail;
mod value_scatter;

pub use brain::{ColourRange, Cut, Plane, Underlay, cuts};
pub use deletion_curves::{DeletionCurve, DeletionPanel, deletion_curves};
pub use forest_plot::{ForestRow, forest_plot};
pub use gallery::{Gallery, GalleryPanel};
pub use learning_curves::{LearningCurve, learning_curves, value_learning_curves};
pub use mask_outlines::MaskOutlines;
pub use matrix::{Cell, matrix};
pub use mosaic::Mosaic;
pub use paper::{
    Figure,
    colour::{diverging, sequential},
};
pub(crate) use paper::{colour::ARMS, font_faces};
pub use permutations::permutations;
pub use plot::{Colours, Cuts, Display, Plot, Plotted, Threshold};
pub use reliability::{Reliability, reliability};
pub use roc::{RocCurve, roc_curves};
pub use thumbnail::thumbnail;
pub use value_scatter::{bland_altman, value_scatter};
