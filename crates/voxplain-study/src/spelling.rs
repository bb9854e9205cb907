//! [`plain`]: names that are spelled in two ways and may mean one thing.

/// A name without what people spell in different ways: case, the `sub-` of BIDS, the `.0` of spreadsheets, zeros before a number,
/// and which signs stand between its parts. `sub-A_01` and `a-1` become `a-1`.
pub(crate) fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.strip_prefix("sub-").unwrap_or(&name);
    let name = name.strip_suffix(".0").unwrap_or(name);
    let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let bare = |part: &str| match part.trim_start_matches('0') {
        rest if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.to_owned(),
        "" => "0".to_owned(),
        _ => part.to_owned(),
    };
    parts.map(bare).collect::<Vec<_>>().join("-")
}

/// The first two names that differ and are the same when they are [`plain`].
pub(crate) fn alike<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut seen = std::collections::BTreeMap::<String, &str>::new();
    names.into_iter().find_map(|name| match seen.insert(plain(name), name) {
        Some(other) if other != name => Some((other, name)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_alike() {
        for (one, other) in
            [("01", "1"), ("sub-A_01", "a-1"), ("S1.0", "s1"), ("00", "0"), ("London North", "london-north")]
        {
            assert_eq!(plain(one), plain(other), "{one} {other}");
        }
        for (one, other) in [("s1-01", "s10-1"), ("10", "1"), ("a0b", "ab"), ("1", "0"), ("0a", "a")] {
            assert_ne!(plain(one), plain(other), "{one} {other}");
        }
        assert_eq!(alike(["a", "b", "a"]), None);
        assert_eq!(alike(["a", "b", "A"]), Some(("a", "A")));
    }
}
