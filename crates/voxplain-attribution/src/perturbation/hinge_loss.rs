//! [`HingeLoss`]: what is left of the way that a score is to go, and no more than that.

/// The loss of a score that is to reach a threshold: what is left of the way, as a share of the distance between image and
/// baseline; once there, nothing is left and there is no slope.
///
/// A mask that deletes has no business below the score of the fully blurred image, and one that preserves none above that of
/// the untouched one: without this floor the search would go on to pay area for scores that no longer mean anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HingeLoss {
    /// The score that is enough.
    pub(crate) threshold: f64,
    /// `max(|S(x) - S(b)|, 1)`: the score on the scale of the area, whatever the network's.
    pub(crate) scale: f64,
    /// 1 where the score is to fall, -1 where it is to rise.
    sign: f64,
}

impl HingeLoss {
    /// Down to the baseline's score. Where the baseline scores no less than the image, down by `scale` from the image's.
    pub(crate) fn fall(image: f64, baseline: f64) -> Self {
        let scale = (image - baseline).abs().max(1.0);
        Self { threshold: if baseline < image { baseline } else { image - scale }, scale, sign: 1.0 }
    }

    /// Up to the image's score.
    pub(crate) fn uphold(image: f64, baseline: f64) -> Self {
        Self { threshold: image, scale: (image - baseline).abs().max(1.0), sign: -1.0 }
    }

    /// Its value at a score: what is left of the way, 0 or more.
    pub(crate) fn value(&self, score: f64) -> f64 {
        (self.sign * (score - self.threshold) / self.scale).max(0.0)
    }

    /// Its derivative by the score; 0 where nothing is left.
    pub(crate) fn slope(&self, score: f64) -> f64 {
        if self.value(score) > 0.0 { self.sign / self.scale } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let fall = HingeLoss::fall(5.0, 1.0);
        assert_eq!([5.0, 3.0, 1.0, 0.0].map(|s| fall.value(s)), [1.0, 0.5, 0.0, 0.0]);
        assert_eq!([5.0, 1.0, 0.0].map(|s| fall.slope(s)), [0.25, 0.0, 0.0]);
        let uphold = HingeLoss::uphold(5.0, 1.0);
        assert_eq!([1.0, 3.0, 5.0, 6.0].map(|s| uphold.value(s)), [1.0, 0.5, 0.0, 0.0]);
        assert_eq!([1.0, 5.0, 6.0].map(|s| uphold.slope(s)), [-0.25, 0.0, 0.0]);
    }

    #[test]
    fn a_baseline_that_scores_more_is_no_goal_to_fall_to() {
        let fall = HingeLoss::fall(1.0, 4.0);
        assert_eq!((fall.threshold, fall.value(1.0), fall.value(4.0)), (-2.0, 1.0, 2.0));
        // Nothing but the baseline already upholds the score.
        assert_eq!(HingeLoss::uphold(1.0, 4.0).value(4.0), 0.0);
        // Scores that hardly differ are not blown up.
        assert_eq!(HingeLoss::fall(0.5, 0.25).value(0.5), 0.25);
    }
}
