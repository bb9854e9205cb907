//! Figures of maps on brains ([`figure`]), and one page with everything that a run made ([`mod@report`]).
//!
//! * An [`Underlay`](figure::Underlay) is the brain that maps are drawn over. A [`Mosaic`](figure::Mosaic) draws one map in
//!   many cuts, a [`Gallery`](figure::Gallery) several maps in the same cuts, a [`Plot`](figure::Plot) one map with the names
//!   and habits of nilearn.
//! * A [`Figure`](figure::Figure) is what comes out: an SVG document, which can be written as PNG too.
//! * [`report`](report::report) writes the page of a run; a [`Site`](report::Site) gives it in parts, for a server.
//!
//! ```
//! use voxplain_report::figure::{ColourRange, Mosaic, Underlay};
//! use voxplain_volume::{Affine, Grid, Mask, Volume};
//!
//! // A round brain of 60 mm, and a map that is positive in front and negative behind (y runs to the front).
//! let grid = Grid::new([24, 24, 24], Affine::from_spacing_origin([6.0; 3], [-69.0; 3]))?;
//! let place = |v: [usize; 3]| grid.affine.apply(v.map(|n| n as f64));
//! let mask = Mask::from_fn(grid, |v| place(v).iter().map(|x| x * x).sum::<f64>() < 3600.0);
//! let brain = mask.map(|&inside| if inside { 1.0 } else { 0.0 });
//! let map = Volume::from_fn(grid, |v| place(v)[1] as f32);
//!
//! let underlay = Underlay::new(brain, &mask)?;
//! let figure = Mosaic {
//!     title: "A map".into(),
//!     units: "logit".into(),
//!     underlay: &underlay,
//!     map: &map,
//!     range: ColourRange::percentile(&underlay, &map, 99.5),
//!     rows: underlay.cuts(&map, 5, 6.0),
//!     width: 180.0,
//!     space: "Coordinates: mm.".into(),
//! }
//! .draw()?;
//!
//! let folder = tempfile::tempdir()?;
//! figure.write(&folder.path().join("map"))?;
//! assert!(folder.path().join("map.svg").is_file() && folder.path().join("map.png").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Figures know volumes and statistics alone; the page knows what a run holds. Errors and next steps name settings and steps
//! by what they are ([`setting`], [`voxplain_core::Vocabulary`]): the caller says how they are typed.

pub mod figure;
pub mod report;
pub mod setting;
