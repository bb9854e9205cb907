//! Where the largest values are that a max-pool lets through, and what it hands back to them.

use crate::Pool3d;
use crate::reference::pooling;
use voxplain_core::argmax;

/// Values that differ by no more than this share of the largest are the same: a fast convolution of a constant is
/// constant up to its round-off, and which of its cells is largest would be chance. The engine is tested to less.
const SAME: f32 = 1e-5;

/// Where the largest value of each window of one sample is: the first of equals.
pub(super) fn argmax_of_windows(pool: &Pool3d, shape: &[usize], x: &[f32]) -> Vec<usize> {
    let mut places = Vec::new();
    pooling::windows(pool, shape, x.len(), |_, window| places.push(largest(window, x)));
    places
}

/// The same for a sample and its baseline together. The place of one is that of the other too, where the value there
/// is as large as any: in a baseline that is the same everywhere, the sample's place counts.
pub(super) fn argmax_of_both(pool: &Pool3d, shape: &[usize], x: &[f32], x0: &[f32]) -> [Vec<usize>; 2] {
    let same = |x: &[f32]| SAME * x.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let (same, same0) = (same(x), same(x0));
    let mut places = [Vec::new(), Vec::new()];
    pooling::windows(pool, shape, x.len(), |_, window| {
        let (of_x, of_x0) = (largest(window, x), largest(window, x0));
        let both = match () {
            () if x0[of_x] >= x0[of_x0] - same0 => [of_x, of_x],
            () if x[of_x0] >= x[of_x] - same => [of_x0, of_x0],
            () => [of_x, of_x0],
        };
        places.iter_mut().zip(both).for_each(|(places, place)| places.push(place));
    });
    places
}

/// The place in `x` of the largest value of a window: the first of equals.
fn largest(window: &[usize], x: &[f32]) -> usize {
    window[argmax(window.iter().map(|&at| x[at]))]
}

/// What reaches each output of a max-pool, added up at the places of the largest values.
pub(super) fn scatter(places: &[usize], reaching: impl Iterator<Item = f32>, inputs: usize) -> Vec<f32> {
    let mut scattered = vec![0.0; inputs];
    places.iter().zip(reaching).for_each(|(&place, r)| scattered[place] += r);
    scattered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_counts() {
        let pool = Pool3d::new([1, 1, 2]);
        let x = [1.0, 1.0, 1.0, 1.1, -3.0, -3.0];
        assert_eq!(argmax_of_windows(&pool, &[1, 1, 1, 6], &x), [0, 3, 4]);
        assert_eq!(scatter(&[0, 3, 4], [5.0, 6.0, 7.0].into_iter(), 6), [5.0, 0.0, 0.0, 6.0, 7.0, 0.0]);
        // Against a baseline that is the same up to round-off; a sample that is; and two that differ.
        let (x, x0) = ([1.0, 2.0, 5.0, 5.0, 1.0, 2.0], [7.0, 6.99999, 1.0, 2.0, 3.0, 1.0]);
        assert_eq!(argmax_of_both(&pool, &[1, 1, 1, 6], &x, &x0), [[1, 3, 5], [1, 3, 4]]);
        // Windows that overlap add up.
        let pool = pool.with_stride([1, 1, 1]);
        let places = argmax_of_windows(&pool, &[1, 1, 1, 3], &[0.0, 2.0, 1.0]);
        assert_eq!(scatter(&places, [1.0, 1.0].into_iter(), 3), [0.0, 2.0, 0.0]);
    }
}
