//! [`is_missing`]: what stands for no value in a table of people.

/// Words that stand for no value, in any case, beside those of every table (nothing, `n/a`, `NA`, `NaN`). -9 is how PLINK codes
/// a phenotype that is missing. 999 is not among them: it may as well be a code.
const MISSING_WORDS: [&str; 9] = ["none", "null", "#n/a", "-", "--", ".", "?", "unknown", "-9"];

/// Whether a cell stands for no value, by the usual words or by more of them.
pub fn is_missing(cell: &str, more: &[String]) -> bool {
    let same = |word: &str| cell.trim().eq_ignore_ascii_case(word);
    MISSING_WORDS.iter().any(|word| same(word)) || more.iter().any(|word| same(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing() {
        for word in ["None", "NULL", "#N/A", "-", "unknown", "-9", " . "] {
            assert!(is_missing(word, &[]), "{word}");
        }
        for word in ["999", "9", "0", "M", "no"] {
            assert!(!is_missing(word, &[]), "{word}");
        }
        assert!(is_missing("999", &["999".into()]));
    }
}
