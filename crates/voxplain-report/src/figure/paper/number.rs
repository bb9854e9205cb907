//! Numbers as they are printed in figures.

/// A number with a true minus sign.
pub(in crate::figure) fn signed(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// For small and large numbers a factor that makes them readable, and the units with the power of ten that undoes it.
pub(in crate::figure) fn in_tens(max: f64, units: &str) -> (f64, String) {
    let exponent = max.log10().floor();
    if (-2.0..4.0).contains(&exponent) {
        (1.0, units.to_owned())
    } else {
        (10f64.powf(-exponent), format!("10{} {units}", raised(exponent)).trim_end().to_owned())
    }
}

/// A whole number as superscript.
fn raised(number: f64) -> String {
    format!("{number:.0}")
        .chars()
        .map(|c| match c {
            '-' => '\u{207b}',
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
        })
        .collect()
}
