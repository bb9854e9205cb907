//! Numbers as text, the same everywhere.

/// A number with that many significant digits and no trailing zeros, in plain or scientific notation as C's `%g`
/// would choose: `0.0123`, `-1.2e-7`. Zero, of either sign, is `0`.
pub fn significant(x: f64, digits: usize) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".into() } else { "n/a".into() };
    }
    let digits = digits.max(1);
    let scientific = format!("{x:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim =
        |s: &str| if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s.to_owned() };
    let decimals = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    if exponent < -4 || decimals < 0 {
        return format!("{}e{exponent}", trim(mantissa));
    }
    trim(&format!("{x:.*}", usize::try_from(decimals).unwrap_or(0)))
}

/// Below this, a p-value is called significant.
pub const LEVEL: f64 = 0.05;

/// A p-value in words: `p = 0.15`, `p = 0.012`, `p < 0.001`.
pub fn p_in_words(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".into(),
        p if p < 0.0995 => format!("p = {p:.3}"),
        p => format!("p = {p:.2}"),
    }
}

/// [`significant`] with six digits, for tables.
pub fn cell(x: f64) -> String {
    significant(x, 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_never_are_0() {
        assert_eq!(
            [0.0, 0.000_59, 0.001, 0.0049, 0.0995, 0.15, 1.0].map(p_in_words),
            ["p < 0.001", "p < 0.001", "p = 0.001", "p = 0.005", "p = 0.10", "p = 0.15", "p = 1.00"]
        );
    }

    #[test]
    fn as_percent_g() {
        for (x, digits, text) in [
            (0.0, 3, "0"),
            (-0.0, 3, "0"),
            (1.0, 3, "1"),
            (0.012_345, 3, "0.0123"),
            (123.456, 4, "123.5"),
            (999.96, 4, "1000"),
            (123_456.0, 3, "1.23e5"),
            (-1.2e-7, 6, "-1.2e-7"),
            (100.0, 3, "100"),
            (0.000_1, 2, "0.0001"),
            (f64::NAN, 3, "n/a"),
        ] {
            assert_eq!(significant(x, digits), text, "{x}");
        }
    }
}
