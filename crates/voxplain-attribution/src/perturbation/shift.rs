//! Copies of a volume moved by whole voxels, edges continued, and the adjoint of that.

/// For each place along an axis of `length`, where a copy moved by `shift` takes its value from.
fn sources(length: usize, shift: isize) -> impl Fn(usize) -> usize {
    move |n| n.saturating_add_signed(-shift).min(length - 1)
}

/// Where a row of a moved copy lies in the copy and in the volume: calls `row(copy, volume)` with the start of each.
fn rows(shape: [usize; 3], shift: [isize; 3], mut row: impl FnMut(usize, usize)) {
    let [i_of, j_of] = [0, 1].map(|a| sources(shape[a], shift[a]));
    for i in 0..shape[0] {
        for j in 0..shape[1] {
            row((i * shape[1] + j) * shape[2], (i_of(i) * shape[1] + j_of(j)) * shape[2]);
        }
    }
}

/// The places of a row that lie before, within and after the volume moved by `shift`.
fn cut(length: usize, shift: isize) -> (usize, usize) {
    (0usize.saturating_add_signed(shift).min(length - 1), length.saturating_add_signed(shift.min(0)).max(1))
}

/// `copy(v) = volume(v - shift)`, the value at the nearest edge where that lies outside; every channel alike.
pub(crate) fn copy(values: &[f32], shape: [usize; 3], shift: [isize; 3], copies: &mut [f32]) {
    let voxels = shape.iter().product();
    copies
        .chunks_mut(voxels)
        .zip(values.chunks(voxels))
        .for_each(|(copy, volume)| copy_one(volume, shape, shift, copy));
}

fn copy_one(volume: &[f32], shape: [usize; 3], shift: [isize; 3], copy: &mut [f32]) {
    let length = shape[2];
    let (low, high) = cut(length, shift[2]);
    rows(shape, shift, |to, from| {
        let (to, from) = (&mut copy[to..to + length], &volume[from..from + length]);
        to[..low].fill(from[0]);
        to[high..].fill(from[length - 1]);
        if low < high {
            let start = low.saturating_add_signed(-shift[2]).min(length - 1);
            to[low..high].copy_from_slice(&from[start..start + high - low]);
        }
    });
}

/// Adds to `values` what reaches each of them from the gradient at the copy: the adjoint of [`copy`].
pub(crate) fn collect(gradients: &[f32], shape: [usize; 3], shift: [isize; 3], values: &mut [f32]) {
    let voxels = shape.iter().product();
    values
        .chunks_mut(voxels)
        .zip(gradients.chunks(voxels))
        .for_each(|(volume, gradient)| collect_one(gradient, shape, shift, volume));
}

fn collect_one(gradient: &[f32], shape: [usize; 3], shift: [isize; 3], volume: &mut [f32]) {
    let length = shape[2];
    let (low, high) = cut(length, shift[2]);
    rows(shape, shift, |from, to| {
        let (from, to) = (&gradient[from..from + length], &mut volume[to..to + length]);
        to[0] += from[..low].iter().sum::<f32>();
        to[length - 1] += from[high..].iter().sum::<f32>();
        if low < high {
            let start = low.saturating_add_signed(-shift[2]).min(length - 1);
            to[start..start + high - low].iter_mut().zip(&from[low..high]).for_each(|(t, f)| *t += f);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let row = [1.0, 2.0, 3.0, 4.0];
        let moved = |shift| {
            let mut to = [0.0; 4];
            copy(&row, [1, 1, 4], [0, 0, shift], &mut to);
            to
        };
        assert_eq!(moved(0), row);
        assert_eq!(moved(1), [1.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(-2), [3.0, 4.0, 4.0, 4.0]);
        assert_eq!(moved(9), [1.0; 4]);
        assert_eq!(moved(-9), [4.0; 4]);
    }

    proptest! {
        #[test]
        fn copy_takes_each_value_from_its_place_and_collect_is_the_adjoint(
            shape in prop::array::uniform3(1usize..6), shift in prop::array::uniform3(-4isize..5)
        ) {
            let n: usize = shape.iter().product();
            let x: Vec<f32> = (0..n).map(|n| (n * 37 % 101) as f32).collect();
            let y: Vec<f32> = (0..n).map(|n| (n * 53 % 97) as f32).collect();
            let (mut to, mut back) = (vec![0.0; n], vec![0.0; n]);
            copy(&x, shape, shift, &mut to);
            for (n, &value) in to.iter().enumerate() {
                let at = [n / (shape[1] * shape[2]), n / shape[2] % shape[1], n % shape[2]];
                let from: [usize; 3] = std::array::from_fn(|a| {
                    usize::try_from((at[a] as isize - shift[a]).clamp(0, shape[a] as isize - 1)).unwrap()
                });
                prop_assert_eq!(value, x[(from[0] * shape[1] + from[1]) * shape[2] + from[2]]);
            }
            collect(&y, shape, shift, &mut back);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            prop_assert_eq!(dot(&to, &y), dot(&x, &back));
        }
    }
}
