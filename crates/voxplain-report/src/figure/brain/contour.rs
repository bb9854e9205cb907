//! [`contour`]: where a picture crosses a level, by marching squares (Lorensen and Cline 1987, in two dimensions).

/// Line segments along which a picture of `width` columns, row by row, is at `level`; in pixels, pixel `(0, 0)` centred on
/// the origin. A ring of pixels below the level is taken to lie around the picture, so that contours are closed. At a
/// saddle the parts above the level are kept apart.
pub(in crate::figure) fn contour(values: &[f32], width: usize, level: f64) -> Vec<[[f64; 2]; 2]> {
    trace(values, width, level, |value, _| f64::from(value) >= level, 0.0)
}

/// The same around pixels of which it is known that they are `inside`: these and all others of the level. The line runs around the
/// whole of every pixel, so that one by itself, or one that only just has the level, is within it.
pub(in crate::figure) fn around(values: &[f32], inside: &[bool], width: usize, level: f64) -> Vec<[[f64; 2]; 2]> {
    trace(values, width, level, |value, n| f64::from(value) >= level || inside[n], 0.5)
}

/// `least` is the part of the way from a pixel inside to one outside that the line leaves to the first at least.
fn trace(
    values: &[f32],
    width: usize,
    level: f64,
    is_inside: impl Fn(f32, usize) -> bool,
    least: f64,
) -> Vec<[[f64; 2]; 2]> {
    let Some(height) = values.len().checked_div(width) else { return Vec::new() };
    let outside = if level.is_finite() { level - level.abs().max(1.0) } else { return Vec::new() };
    let at = |x: isize, y: isize| match (usize::try_from(x), usize::try_from(y)) {
        (Ok(x), Ok(y)) if x < width && y < height => {
            let n = y * width + x;
            (f64::from(values[n]), is_inside(values[n], n))
        }
        _ => (outside, false),
    };
    let mut segments = Vec::new();
    let (right, down) = (signed(width), signed(height));
    for y in -1..down {
        for x in -1..right {
            // Corners from the upper left, clockwise, and the edges between each and the next.
            let corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
            let v = corners.map(|[x, y]| at(x, y).0);
            let above = corners.map(|[x, y]| at(x, y).1);
            let cross = |edge: usize| {
                let next = (edge + 1) % 4;
                let (a, b) = if above[edge] { (edge, next) } else { (next, edge) };
                // Where the values do not pass the level between the two, the line is half way.
                let t = if v[a] >= level { ((level - v[a]) / (v[b] - v[a])).max(least) } else { 0.5 };
                [0, 1].map(|c| corners[a][c] as f64 + t * (corners[b][c] - corners[a][c]) as f64)
            };
            let crossed: Vec<usize> = (0..4).filter(|e| above[*e] != above[(e + 1) % 4]).collect();
            match crossed[..] {
                [a, b] => segments.push([cross(a), cross(b)]),
                // A saddle: each corner above the level is cut off by itself.
                [_, _, _, _] => {
                    let first = usize::from(!above[0]);
                    for corner in [first, first + 2] {
                        segments.push([cross((corner + 3) % 4), cross(corner)]);
                    }
                }
                _ => {}
            }
        }
    }
    segments
}

fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // One pixel at 1 among zeros: a diamond at half way to its neighbours.
        let mut segments = contour(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], 3, 0.5);
        segments.iter_mut().for_each(|s| s.sort_by(|a, b| a.partial_cmp(b).unwrap()));
        segments.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let (left, right, top, bottom) = ([0.5, 1.0], [1.5, 1.0], [1.0, 0.5], [1.0, 1.5]);
        assert_eq!(segments, [[left, top], [left, bottom], [top, right], [bottom, right]]);
        // A saddle: two diamonds' corners, apart.
        assert_eq!(contour(&[1.0, 0.0, 0.0, 1.0], 2, 0.5).len(), 8);
        assert!(contour(&[0.0; 6], 3, 0.5).is_empty() && contour(&[], 0, 0.5).is_empty());
    }

    #[test]
    fn around_whole_pixels() {
        // Pixels that have the level exactly, one below it that is inside all the same, and one that falls off slowly.
        let values = [0.0, 1.0, 1.0, 0.4, 0.0, 0.0, 3.0, 0.9];
        let inside = [false, false, false, true, false, false, false, false];
        let ends = |segments: Vec<[[f64; 2]; 2]>| {
            let mut on_row: Vec<f64> = segments.iter().flatten().filter(|p| p[1] == 0.0).map(|p| p[0]).collect();
            on_row.sort_by(f64::total_cmp);
            on_row.dedup();
            on_row
        };
        let found = ends(around(&values, &inside, 8, 1.0));
        let slow = 6.0 + 2.0 / 2.1;
        let expected = [0.5, 3.5, 6.0 - 2.0 / 3.0, slow];
        assert!(found.len() == 4 && found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?}");
        // By the level alone the first two have no more than a line from centre to centre.
        assert_eq!(ends(contour(&values, 8, 1.0))[..2], [1.0, 2.0]);
    }

    proptest! {
        // Contours are closed: every end belongs to exactly two segments.
        #[test]
        fn closed(values in prop::collection::vec(prop::sample::select(vec![0.0f32, 0.3, 0.7, 1.0]), 30)) {
            let segments = contour(&values, 6, 0.5);
            for end in segments.iter().flatten() {
                let same = segments.iter().flatten()
                    .filter(|e| (e[0] - end[0]).abs() < 1e-9 && (e[1] - end[1]).abs() < 1e-9).count();
                prop_assert_eq!(same, 2);
            }
        }
    }
}
