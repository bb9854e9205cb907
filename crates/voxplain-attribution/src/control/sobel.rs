//! [`Sobel`]: the edges of the image, a control.

use super::map::map_each;
use crate::case::Case;
use crate::citation;
use crate::explainer::Explainer;
use crate::facts::{Control, Family};
use crate::method::Method;
use crate::record::{Attribution, float32};
use serde::{Deserialize, Serialize};
use voxplain_core::Citation;
use voxplain_core::Result;
use voxplain_volume::Volume;

/// The edges of the image: the length of the Sobel gradient, with `[-1 0 1]` along one axis and `[1 2 1]` along the
/// two others, in units of voxels, edges mirrored (as `scipy.ndimage.generic_gradient_magnitude` with `sobel`).
///
/// A control: it does not depend on the network. One pass forward, for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sobel {}

impl Method for Sobel {
    const NAME: &'static str = "sobel";
    const SUMMARY: &'static str = "control: the edges of the image";
    const FAMILY: Family = Family::Control;
    const CITATION: Option<Citation> = Some(citation::ADEBAYO_2018);
    const CONTROL: Option<Control> = Some(Control::Edges);

    fn explain(&self, explainer: &mut Explainer, cases: &[Case<'_>]) -> Result<Vec<Attribution>> {
        map_each(self, explainer, cases, |case, record| {
            record.units = "intensity, by Sobel's kernel".into();
            record.sign = "never negative: how sharp an edge is here".into();
            case.each_channel(sobel)
        })
    }
}

fn sobel(image: &Volume) -> Vec<f32> {
    let shape = image.shape();
    let mut square = vec![0.0f64; image.data().len()];
    for axis in 0..3 {
        let mut values: Vec<f64> = image.data().iter().map(|&v| f64::from(v)).collect();
        for along in 0..3 {
            let kernel = if along == axis { [-1.0, 0.0, 1.0] } else { [1.0, 2.0, 1.0] };
            values = correlate(&values, shape, along, kernel);
        }
        square.iter_mut().zip(values).for_each(|(s, v)| *s += v * v);
    }
    float32(&square.into_iter().map(f64::sqrt).collect::<Vec<_>>())
}

/// A kernel of three along one axis, the edge value repeated beyond the ends (a mirror, for three).
fn correlate(values: &[f64], shape: [usize; 3], axis: usize, kernel: [f64; 3]) -> Vec<f64> {
    let inner: usize = shape[axis + 1..].iter().product();
    let length = shape[axis];
    let at = |n: usize, place: usize| values[n - (n / inner % length) * inner + place * inner];
    let one = |n: usize| {
        let place = n / inner % length;
        let (before, after) = (place.saturating_sub(1), (place + 1).min(length - 1));
        kernel[0] * at(n, before) + kernel[1] * at(n, place) + kernel[2] * at(n, after)
    };
    (0..values.len()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_volume::{Affine, Grid};

    fn volume(shape: [usize; 3], f: impl Fn([usize; 3]) -> f32) -> Volume {
        Volume::from_fn(Grid::new(shape, Affine::IDENTITY).unwrap(), f)
    }

    /// Inside a ramp of slope (1, 2, -3) each kernel gives slope x 2 x 16.
    #[test]
    fn sobel_of_a_ramp_by_hand() {
        let ramp = volume([4, 5, 6], |[i, j, k]| i as f32 + 2.0 * j as f32 - 3.0 * k as f32);
        let map = sobel(&ramp);
        let expected = 32.0 * 14f32.sqrt();
        assert!((map[ramp.grid().index(1, 2, 3)] - expected).abs() < 1e-3);
        // At the edge the outer neighbour is the voxel itself: half the slope along i.
        let edge = 32.0 * (0.25 + 4.0 + 9.0f32).sqrt();
        assert!((map[ramp.grid().index(0, 2, 3)] - edge).abs() < 1e-3);
        assert!(sobel(&volume([3, 3, 3], |_| 7.0)).iter().all(|&v| v == 0.0));
    }

    /// The definition: all 27 neighbours at once.
    #[test]
    fn sobel_is_the_definition() {
        let shape = [3, 4, 2];
        let image = volume(shape, |[i, j, k]| ((i * 7 + j * 5 + k * 3) % 11) as f32 * 0.3 - 1.0);
        let map = sobel(&image);
        for (n, &value) in map.iter().enumerate() {
            let v = image.grid().voxel(n);
            let mut gradient = [0.0f64; 3];
            for m in 0..27usize {
                let step = [m / 9, m / 3 % 3, m % 3];
                let place: [usize; 3] = std::array::from_fn(|a| (v[a] + step[a]).saturating_sub(1).min(shape[a] - 1));
                for (axis, g) in gradient.iter_mut().enumerate() {
                    let weight: f64 = (0..3)
                        .map(|a| if a == axis { step[a] as f64 - 1.0 } else { [1.0, 2.0, 1.0][step[a]] })
                        .product();
                    *g += weight * f64::from(image.at(place[0], place[1], place[2]));
                }
            }
            let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!((f64::from(value) - length).abs() < 1e-5, "{n}: {value} {length}");
        }
    }
}
