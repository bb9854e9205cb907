//! [`matches`]: parts of paths, as users write them.

/// Whether a path contains a text, or matches it whole where it has a `*` (any characters).
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('*') {
        return path.contains(pattern);
    }
    let parts: Vec<&str> = pattern.split('*').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let Some(mut rest) = path.strip_prefix(first).and_then(|r| r.strip_suffix(last)) else { return false };
    parts[1..parts.len() - 1].iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, is) in [
            ("run-1", "sub-1/anat/sub-1_run-1_T1w.nii", true),
            ("run-2", "sub-1/anat/sub-1_run-1_T1w.nii", false),
            ("*run-1*", "sub-1_run-1_T1w.nii", true),
            ("sub-*_run-1*.nii", "sub-1_run-1_T1w.nii", true),
            ("sub-*_run-1*.nii", "sub-1_run-1_T1w.nii.gz", false),
            ("t1/*", "t1/a.nii", true),
            ("t1/*", "t2/a.nii", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, path), is, "{pattern} {path}");
        }
    }
}
