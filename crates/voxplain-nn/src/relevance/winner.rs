//! Who wins a max-pool.

use crate::Pool3d;
use crate::reference::pooling;
use voxplain_core::argmax;

/// Values that differ by no more than this share of the largest are the same: a fast convolution of a constant is
/// constant up to its round-off, and which of its cells is largest would be chance. The engine is tested to less.
const SAME: f32 = 1e-5;

/// Where the largest value of each window of one sample is: the first of equals.
pub(super) fn winners(pool: &Pool3d, shape: &[usize], x: &[f32]) -> Vec<usize> {
    let mut winners = Vec::new();
    pooling::windows(pool, shape, x.len(), |_, window| winners.push(largest(window, x)));
    winners
}

/// The same for a sample and its reference together. The winner of one wins the other too, where it is as large as
/// any there: in a reference that is the same everywhere, the sample's own winner does.
pub(super) fn winners_of_both(pool: &Pool3d, shape: &[usize], x: &[f32], x0: &[f32]) -> [Vec<usize>; 2] {
    let same = |x: &[f32]| SAME * x.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let (same, same0) = (same(x), same(x0));
    let mut winners = [Vec::new(), Vec::new()];
    pooling::windows(pool, shape, x.len(), |_, window| {
        let (of_x, of_x0) = (largest(window, x), largest(window, x0));
        let (wins, wins0) = match () {
            () if x0[of_x] >= x0[of_x0] - same0 => (of_x, of_x),
            () if x[of_x0] >= x[of_x] - same => (of_x0, of_x0),
            () => (of_x, of_x0),
        };
        winners[0].push(wins);
        winners[1].push(wins0);
    });
    winners
}

/// Where the largest value of a window is: the first of equals.
fn largest(window: &[usize], x: &[f32]) -> usize {
    window[argmax(window.iter().map(|&at| x[at]))]
}

/// What reaches each output of a max-pool, given to its winner.
pub(super) fn give(winners: &[usize], reaching: impl Iterator<Item = f32>, inputs: usize) -> Vec<f32> {
    let mut given = vec![0.0; inputs];
    winners.iter().zip(reaching).for_each(|(&winner, r)| given[winner] += r);
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_wins() {
        let pool = Pool3d::new([1, 1, 2]);
        let x = [1.0, 1.0, 1.0, 1.1, -3.0, -3.0];
        assert_eq!(winners(&pool, &[1, 1, 1, 6], &x), [0, 3, 4]);
        assert_eq!(give(&[0, 3, 4], [5.0, 6.0, 7.0].into_iter(), 6), [5.0, 0.0, 0.0, 6.0, 7.0, 0.0]);
        // Against a reference that is the same up to round-off; a sample that is; and two that differ.
        let (x, x0) = ([1.0, 2.0, 5.0, 5.0, 1.0, 2.0], [7.0, 6.99999, 1.0, 2.0, 3.0, 1.0]);
        assert_eq!(winners_of_both(&pool, &[1, 1, 1, 6], &x, &x0), [[1, 3, 5], [1, 3, 4]]);
        // Windows that overlap add up.
        let pool = pool.with_stride([1, 1, 1]);
        let wins = winners(&pool, &[1, 1, 1, 3], &[0.0, 2.0, 1.0]);
        assert_eq!(give(&wins, [1.0, 1.0].into_iter(), 3), [0.0, 2.0, 0.0]);
    }
}
