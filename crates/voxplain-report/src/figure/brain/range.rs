//! [`ColourRange`]: which values the colours of a map stand for.

use super::underlay::Underlay;
use voxplain_stats::significant;
use voxplain_volume::{Volume, quantiles};

/// The value shown in the strongest colour, the same for both signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourRange {
    /// The value.
    pub max: f64,
    /// The percentile of |value| inside the brain that it is, if it was found so.
    pub percentile: Option<f64>,
}

impl ColourRange {
    /// A range that ends at a percentile of |value| inside the brain, so that a few voxels do not darken all others.
    pub fn percentile(underlay: &Underlay, map: &Volume, percentile: f64) -> Self {
        let mut values: Vec<f32> = underlay.inside(map).iter().map(|v| v.abs()).collect();
        let [at, max] = if values.is_empty() { [0.0; 2] } else { quantiles(&mut values, [percentile / 100.0, 1.0]) };
        // A map that is 0 nearly everywhere has a percentile of 0: its largest value then.
        if at > 0.0 { Self { max: at, percentile: Some(percentile) } } else { Self { max, percentile: Some(100.0) } }
    }

    pub(in crate::figure) fn words(self) -> String {
        match self.percentile {
            _ if self.max <= 0.0 => "the map is 0 in the whole mask".into(),
            Some(p) if p >= 100.0 => "range: ± largest |value| in the mask".into(),
            Some(p) => format!("range: ± {} percentile of |value| in the mask", ordinal(p)),
            None => format!("range: ± {}", significant(self.max, 3)),
        }
    }
}

fn ordinal(p: f64) -> String {
    format!("{}th", significant(p, 4))
}
