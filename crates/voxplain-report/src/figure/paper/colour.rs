//! Colour maps that survive print and colour blindness.

/// An opaque colour, 8 bits each of red, green and blue (sRGB).
pub(crate) type Rgb = [u8; 3];

/// Stops of the negative arm of [`diverging`], from near 0 outwards: light to dark blue.
const NEGATIVE: [Rgb; 3] = [[166, 203, 232], [47, 127, 208], [8, 48, 107]];
/// Stops of the positive arm: pale yellow over orange to a red that stays lighter than the blue's end, so that the two
/// signs differ in hue for every kind of colour blindness, and at the ends in lightness for grey print.
const POSITIVE: [Rgb; 3] = [[250, 218, 160], [241, 140, 38], [203, 50, 14]];
/// The arms of [`diverging`], below and above 0, each from near 0 outwards.
pub(crate) const ARMS: [[Rgb; 3]; 2] = [NEGATIVE, POSITIVE];
/// Stops of [`sequential`]: white to dark blue-green.
const SEQUENTIAL: [Rgb; 4] = [[255, 255, 255], [199, 222, 236], [84, 152, 196], [12, 72, 130]];

/// The colour of a value between -1 and 1 (clamped), and how opaque it is: transparent at 0, opaque from 0.5 on.
pub fn diverging(value: f64) -> ([u8; 3], f64) {
    let t = if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 };
    let stops = if t < 0.0 { &NEGATIVE } else { &POSITIVE };
    (along(stops, t.abs()), (t.abs() / 0.5).min(1.0).powf(0.8))
}

/// The colour of a value between 0 and 1 (clamped).
pub fn sequential(value: f64) -> [u8; 3] {
    along(&SEQUENTIAL, if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 })
}

/// Linear between evenly spaced stops.
pub(in crate::figure) fn along(stops: &[Rgb], t: f64) -> Rgb {
    let place = t * (stops.len() - 1) as f64;
    let mut first = 0;
    while first + 2 < stops.len() && place > (first + 1) as f64 {
        first += 1;
    }
    let part = place - first as f64;
    std::array::from_fn(|c| byte(f64::from(stops[first][c]) * (1.0 - part) + f64::from(stops[first + 1][c]) * part))
}

/// `above` with that opacity over `below`.
pub(in crate::figure) fn over(above: Rgb, opacity: f64, below: Rgb) -> Rgb {
    std::array::from_fn(|c| byte(f64::from(above[c]) * opacity + f64::from(below[c]) * (1.0 - opacity)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte's range")]
pub(in crate::figure) fn byte(x: f64) -> u8 {
    x.round().clamp(0.0, 255.0) as u8
}

pub(in crate::figure) fn hex(c: Rgb) -> String {
    format!("#{:02x}{:02x}{:02x}", c[0], c[1], c[2])
}

/// Line colours for classifiers and folds (Okabe and Ito 2008, told apart by the colour-blind), darkest first.
pub(in crate::figure) const LINES: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle() {
        assert_eq!(diverging(0.0).1, 0.0);
        assert_eq!(diverging(-2.0), ([8, 48, 107], 1.0));
        assert_eq!(diverging(1.0), ([203, 50, 14], 1.0));
        assert_eq!(diverging(f64::NAN).1, 0.0);
        assert_eq!(sequential(0.0), [255, 255, 255]);
        assert_eq!(over([255, 0, 0], 0.5, [1, 0, 0]), [128, 0, 0]);
        // In grey print the ends differ: relative luminance of red-orange is more than twice that of dark blue.
        let grey = |c: Rgb| 0.2126 * f64::from(c[0]) + 0.7152 * f64::from(c[1]) + 0.0722 * f64::from(c[2]);
        assert!(grey(diverging(1.0).0) > 1.5 * grey(diverging(-1.0).0));
    }
}
