//! [`MaskOutlines`]: cuts of a brain with the outline of its mask, as a small picture among many.

use super::{
    brain::{Cut, Extent, extent, picture, sample},
    paper::{
        colour::{Rgb, byte},
        pixels,
    },
};
use voxplain_core::{Error, Result};
use voxplain_volume::{Mask, Volume};

/// Cuts of brains on one lattice, each with the outline of its own mask and of one that is the same for all.
#[derive(Clone, Debug)]
pub struct MaskOutlines {
    cuts: Vec<Cut>,
    extent: Extent,
    common: Volume,
    step: f64,
}

/// Steps of grey, so few that pictures stay small.
const GREYS: usize = 30;
/// Places in the palette.
const OUTSIDE: u8 = 0;
const COMMON: u8 = 31;
const OWN: u8 = 32;
/// Colours of what is outside the brain, of the common mask's outline and of the brain's own.
const PAPER: Rgb = [16, 16, 16];
const BLUE: Rgb = [86, 180, 233];
const ORANGE: Rgb = [241, 140, 38];
/// Between the cuts, pixels.
const GAP: usize = 2;

impl MaskOutlines {
    /// Cuts wide enough for the voxels of `whole`; `common` on the same lattice is outlined in blue; `step` mm a pixel.
    ///
    /// # Errors
    /// `whole` is empty; the masks lie on different grids.
    pub fn new(whole: &Mask, common: &Mask, cuts: Vec<Cut>, step: f64) -> Result<Self> {
        if !whole.grid().same_space(common.grid(), 1e-3) {
            return Err(Error::request("the masks lie on different grids", "give masks on the cohort's lattice"));
        }
        let Some(mut extent) = extent(whole, |m| *m) else {
            return Err(Error::request("the mask is empty", "look at the masks of the cohort"));
        };
        let margin = whole.grid().spacing().into_iter().fold(0.0, f64::max);
        extent.iter_mut().for_each(|e| *e = [e[0] - margin, e[1] + margin]);
        Ok(Self { cuts, extent, common: cover(common), step })
    }

    /// The cuts of one brain side by side as PNG: grey inside its mask, from the darkest to the lightest intensity of
    /// `window`; its mask outlined in orange. Brain and mask are taken voxel by voxel on the lattice of [`MaskOutlines::new`].
    ///
    /// # Errors
    /// Another shape; the picture cannot be encoded.
    pub fn draw(&self, brain: &Volume, mask: &Mask, window: [f64; 2]) -> Result<Vec<u8>> {
        // Lattices that are placed on each brain differ in where they lie, not in which voxel is which.
        let grid = *self.common.grid();
        let brain = Volume::new(grid, brain.data().to_vec())?;
        let own = cover(&Mask::new(grid, mask.data().to_vec())?);
        let mut panels = Vec::with_capacity(self.cuts.len());
        for cut in &self.cuts {
            let lattice = picture(*cut, &self.extent, self.step)
                .ok_or_else(|| Error::request("a picture without pixels", "use a smaller step"))?;
            let (values, own) = (sample(&brain, &lattice, 0.0), sample(&own, &lattice, 0.0));
            let common = sample(&self.common, &lattice, 0.0);
            let (width, height) = (lattice.shape[0], lattice.shape[1]);
            let pixels: Vec<u8> = (0..width * height)
                .map(|n| match () {
                    () if edge(&own, width, n) => OWN,
                    () if edge(&common, width, n) => COMMON,
                    () if own[n] >= 0.5 => 1 + grey(f64::from(values[n]), window),
                    () => OUTSIDE,
                })
                .collect();
            panels.push((pixels, width, height));
        }
        let width = panels.iter().map(|p| p.1 + GAP).sum::<usize>().saturating_sub(GAP);
        let height = panels.iter().map(|p| p.2).max().unwrap_or(0);
        let mut pixels = vec![OUTSIDE; width * height];
        let mut left = 0;
        for (panel, w, h) in panels {
            for (row, line) in panel.chunks(w).enumerate() {
                let at = ((height - h) / 2 + row) * width + left;
                pixels[at..at + w].copy_from_slice(line);
            }
            left += w + GAP;
        }
        let mut palette = PAPER.to_vec();
        palette.extend((0..GREYS).flat_map(|n| [byte(40.0 + 200.0 * n as f64 / (GREYS - 1) as f64); 3]));
        palette.extend(BLUE.into_iter().chain(ORANGE));
        pixels::indexed(&pixels, &palette, [width, height])
    }
}

fn cover(mask: &Mask) -> Volume {
    mask.map(|&m| f32::from(u8::from(m)))
}

/// Whether a pixel of a mask has one beside it, above or below that is not of it.
fn edge(cover: &[f32], width: usize, n: usize) -> bool {
    let inside = |n: Option<usize>| n.and_then(|n| cover.get(n)).is_some_and(|c| *c >= 0.5);
    let column = n % width;
    let beside = [
        n.checked_sub(width),
        Some(n + width),
        if column > 0 { n.checked_sub(1) } else { None },
        if column + 1 < width { Some(n + 1) } else { None },
    ];
    inside(Some(n)) && !beside.into_iter().all(inside)
}

/// Which step of grey.
fn grey(value: f64, [low, high]: [f64; 2]) -> u8 {
    let t = if high > low { (value - low) / (high - low) } else { 0.5 };
    byte((GREYS - 1) as f64 * t.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Plane;
    use voxplain_volume::{Affine, Grid};

    fn decoded(png: &[u8]) -> (usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(info.color_type, png::ColorType::Indexed);
        (info.width as usize, bytes[..info.buffer_size()].to_vec())
    }

    #[test]
    fn by_hand() {
        // 6 x 4 x 1 voxels of 1 mm: the common mask is columns 1 to 4, the own one columns 1 to 3, of rows 0 to 2 (from
        // behind). One voxel of margin; the front is above.
        let grid = Grid::new([6, 4, 1], Affine::from_spacing_origin([1.0; 3], [0.0; 3])).unwrap();
        let common = Mask::from_fn(grid, |[i, j, _]| (1..5).contains(&i) && j < 3);
        let own = Mask::from_fn(grid, |[i, j, _]| (1..4).contains(&i) && j < 3);
        let brain = Volume::from_fn(grid, |[i, ..]| i as f32);
        let cut = Cut { plane: Plane::Axial, at: 0.0 };
        let outlines = MaskOutlines::new(&common, &common, vec![cut], 1.0).unwrap();
        // The same lattice elsewhere in the world: voxels answer to each other.
        let away = Grid { affine: Affine::from_spacing_origin([1.0; 3], [40.0; 3]), ..grid };
        let brain = Volume::new(away, brain.data().to_vec()).unwrap();
        let own = Mask::new(away, own.data().to_vec()).unwrap();
        let (width, drawn) = decoded(&outlines.draw(&brain, &own, [0.0, 4.0]).unwrap());
        assert_eq!((width, drawn.len()), (6, 6 * 5));
        let (o, b) = (OWN, COMMON);
        // Value 2 in a window of 0 to 4: the middle of 30 greys, after the place of what is outside.
        let g = 1 + 15;
        #[rustfmt::skip]
        assert_eq!(drawn, [
            0, 0, 0, 0, 0, 0,
            0, o, o, o, b, 0,
            0, o, g, o, b, 0,
            0, o, o, o, b, 0,
            0, 0, 0, 0, 0, 0,
        ]);
        // Two cuts stand side by side; a window without width is grey.
        let two = MaskOutlines::new(&common, &common, vec![cut, cut], 1.0).unwrap();
        let (width, drawn) = decoded(&two.draw(&brain, &own, [1.0, 1.0]).unwrap());
        assert_eq!((width, drawn[2 * width + 2]), (6 + GAP + 6, 1 + 15));
        let nothing = common.map(|_| false);
        assert!(MaskOutlines::new(&nothing, &common, vec![cut], 1.0).is_err());
        assert!(
            outlines.draw(&Volume::filled(Grid::new([2, 2, 2], grid.affine).unwrap(), 0.0), &own, [0.0, 1.0]).is_err()
        );
    }
}
