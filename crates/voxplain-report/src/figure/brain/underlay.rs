//! [`Underlay`]: the brain that maps are drawn over.

use super::slice::{Cut, Extent, Plane, cuts, extent, picture, sample, sampled};
use crate::figure::paper::colour::{byte, diverging, over};
use voxplain_core::{Action, Error, Result, remedy};
use voxplain_stats::significant;
use voxplain_volume::{Grid, Interpolation, Mask, Volume, quantiles};

/// The brain under a map.
#[derive(Clone, Debug)]
pub struct Underlay {
    brain: Volume,
    cover: Volume,
    extent: Extent,
    /// Intensities shown as darkest and lightest.
    window: [f64; 2],
    /// 1 in the voxels of the brain that are hatched, 0 elsewhere; none where there are none.
    hatched: Option<Volume>,
}

/// Grey of the brain: between these, so that colours stand out on it.
pub(in crate::figure) const DARK: f64 = 35.0;
pub(in crate::figure) const LIGHT: f64 = 225.0;

/// Pixels from one line of a hatching to the next.
const HATCH: usize = 4;

impl Underlay {
    /// The grid of the brain.
    pub fn grid(&self) -> &Grid {
        self.brain.grid()
    }

    /// A brain (the intensities of a prepared volume or a mean of many) with its mask, on one grid.
    ///
    /// # Errors
    /// Different grids; an empty mask.
    pub fn new(brain: Volume, mask: &Mask) -> Result<Self> {
        if !brain.grid().same_space(mask.grid(), 1e-3) {
            return Err(Error::request("brain and mask lie on different grids", "give the mask of this volume"));
        }
        let Some(mut extent) = extent(mask, |m| *m) else {
            return Err(Error::request("the mask is empty", remedy!["look at the mask with ", Action::new("inspect")]));
        };
        let margin = brain.grid().spacing().into_iter().fold(0.0, f64::max);
        extent.iter_mut().for_each(|e| *e = [e[0] - margin, e[1] + margin]);
        let mut values: Vec<f32> = brain.data().iter().zip(mask.data()).filter(|(_, m)| **m).map(|(v, _)| *v).collect();
        let [low, high] = quantiles(&mut values, [0.01, 0.995]);
        let cover = mask.map(|&m| f32::from(u8::from(m)));
        Ok(Self { brain, cover, extent, window: [low, if high > low { high } else { low + 1.0 }], hatched: None })
    }

    /// With those intensities as darkest and lightest.
    pub(crate) fn with_window(self, window: [f64; 2]) -> Self {
        Self { window, ..self }
    }

    /// With the voxels of the brain hatched that cannot change what maps explain (of a network, those without a way to its
    /// output). As it is where there are none in the brain.
    ///
    /// # Errors
    /// They are on a grid of another shape.
    pub fn with_unseen(mut self, unseen: &Mask) -> Result<Self> {
        if unseen.shape() != self.cover.shape() {
            let [a, b] = [unseen.shape(), self.cover.shape()].map(|s| format!("{} x {} x {}", s[0], s[1], s[2]));
            return Err(Error::request(
                format!("what is not seen is given on {a} voxels, the brain has {b}"),
                "give it on the grid of the brain",
            ));
        }
        let both = unseen.data().iter().zip(self.cover.data()).map(|(u, c)| f32::from(u8::from(*u && *c > 0.5)));
        let hatched = Volume::new(*self.cover.grid(), both.collect())?;
        self.hatched = hatched.data().contains(&1.0).then_some(hatched);
        Ok(self)
    }

    /// What is hatched, in words; none where nothing is.
    pub(crate) fn hatched_in_words(&self) -> Option<String> {
        let count = |volume: &Volume| volume.data().iter().filter(|v| **v > 0.5).count() as f64;
        let share = count(self.hatched.as_ref()?) / count(&self.cover);
        let percent = if share < 0.001 { "less than 0.1".to_owned() } else { significant(100.0 * share, 2) };
        Some(format!("Hatched: voxels that cannot change the output of the network ({percent} % of what is shown)."))
    }

    /// The values of a map inside the brain.
    pub(super) fn inside(&self, map: &Volume) -> Vec<f32> {
        map.data().iter().zip(self.cover.data()).filter(|(_, c)| **c > 0.5).map(|(v, _)| *v).collect()
    }

    /// How large the brain is seen along a plane, to the right and up, mm.
    pub(in crate::figure) fn size(&self, plane: Plane) -> [f64; 2] {
        plane.across().map(|axis| self.extent[axis][1] - self.extent[axis][0])
    }

    /// The smallest spacing of its voxels, mm.
    pub(in crate::figure) fn finest(&self) -> f64 {
        self.brain.grid().spacing().into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Cuts where the map's relevance is inside the brain: see [`crate::figure::cuts`].
    pub fn cuts(&self, map: &Volume, count: usize, apart: f64) -> [Vec<Cut>; 3] {
        cuts(map, &self.cover, count, apart)
    }

    /// Part of the map's |relevance| that lies outside the brain mask, where figures do not show it.
    pub fn outside(&self, map: &Volume) -> f64 {
        let total: f64 = map.data().iter().map(|v| f64::from(v.abs())).sum();
        let inside: f64 = self.inside(map).iter().map(|v| f64::from(v.abs())).sum();
        if total > 0.0 { (1.0 - inside / total).max(0.0) } else { 0.0 }
    }

    /// The map inside the brain, 0 outside.
    pub(crate) fn covered(&self, map: &Volume) -> Volume {
        let inside = self.cover.data();
        let mut covered = map.clone();
        covered.data_mut().iter_mut().zip(inside).filter(|(_, c)| **c <= 0.5).for_each(|(v, _)| *v = 0.0);
        covered
    }

    /// Whole numbers from 1 to `levels` in the brain, as figures show it from dark to light, and 0 outside.
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of a few digits")]
    pub(crate) fn grey(&self, levels: f32) -> Volume {
        let [low, high] = self.window;
        let mut grey = self.brain.clone();
        for (v, c) in grey.data_mut().iter_mut().zip(self.cover.data()) {
            let t = ((f64::from(*v) - low) / (high - low)).clamp(0.0, 1.0);
            *v = if *c > 0.5 { 1.0 + (t * f64::from(levels - 1.0)).round() as f32 } else { 0.0 };
        }
        grey
    }

    /// Pixels of a cut: the brain in grey, the map over it; red, green, blue and opacity, row by row from the top.
    pub(in crate::figure) fn paint(
        &self,
        cut: Cut,
        map: &Volume,
        max: f64,
        step: f64,
    ) -> Option<(Vec<u8>, [usize; 2])> {
        let grid = picture(cut, &self.extent, step)?;
        let (brain, cover) = (sample(&self.brain, &grid, 0.0), sample(&self.cover, &grid, 0.0));
        let values = sample(map, &grid, 0.0);
        let hatched = self.hatched.as_ref().map(|hatched| sampled(hatched, &grid, Interpolation::Nearest));
        let mut pixels = Vec::with_capacity(4 * grid.len());
        for (n, ((b, c), v)) in brain.iter().zip(cover).zip(values).enumerate() {
            let t = ((f64::from(*b) - self.window[0]) / (self.window[1] - self.window[0])).clamp(0.0, 1.0);
            let grey = [byte(DARK + (LIGHT - DARK) * t); 3];
            let (colour, opacity) = if max > 0.0 { diverging(f64::from(v) / max) } else { ([0; 3], 0.0) };
            let mut pixel = over(colour, 0.92 * opacity, grey);
            if hatched.as_ref().is_some_and(|hatched| hatched[n] > 0.5) {
                // Dark and light lines side by side, so that they are seen on every grey.
                match (n % grid.shape[0] + n / grid.shape[0]) % HATCH {
                    0 => pixel = [0; 3],
                    1 => pixel = [255; 3],
                    _ => {}
                }
            }
            pixels.extend(pixel);
            // A soft edge where the mask ends.
            pixels.push(byte(255.0 * ((f64::from(c) - 0.35) / 0.3).clamp(0.0, 1.0)));
        }
        Some((pixels, [grid.shape[0], grid.shape[1]]))
    }
}
