//! [`brief`]: messages that quote no more of a file than a person reads.

/// Longest text in backticks or quotes that is shown whole, in characters.
const QUOTED: usize = 300;
/// Longest text without a space that is shown whole: paths of Linux have up to 4096 bytes.
const UNBROKEN: usize = 4096;
/// Longest message that is shown whole.
const MESSAGE: usize = 8000;
/// What is shown at the end of a text that is cut: errors say there what was expected.
const END: usize = 60;

/// A message, in which long texts that it quotes are cut, and it itself where it is still too long; each cut says how much it took.
pub(crate) fn brief(message: &str) -> String {
    if message.len() <= QUOTED {
        return message.to_owned();
    }
    let mut all = String::with_capacity(message.len().min(MESSAGE));
    let mut rest = message;
    // Quoted pieces, from a mark that begins a word to the next one of its kind.
    while let Some((at, mark)) = rest.char_indices().find(|(_, c)| matches!(c, '`' | '"')) {
        let (before, behind) = rest.split_at(at + mark.len_utf8());
        all.push_str(before);
        let Some(end) = behind.find(mark) else {
            rest = behind;
            continue;
        };
        all.push_str(&cut(&behind[..end], QUOTED));
        all.push(mark);
        rest = &behind[end + mark.len_utf8()..];
    }
    all.push_str(rest);
    let words: String = all.split_inclusive(char::is_whitespace).map(|word| cut(word, UNBROKEN)).collect();
    cut(&words, MESSAGE)
}

/// A text of at most about so many characters: its beginning, how many are left out, and its end.
fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most - END).collect();
    let end: String = text.chars().skip(count - END).collect();
    format!("{start} [... {} characters left out ...] {end}", count - most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_quoted_is_cut_and_the_rest_is_not() {
        let long = "x".repeat(1000);
        let said = brief(&format!("a.tsv: the value `{long}` is no number; write `1.5`"));
        let shown = "x".repeat(240) + " [... 700 characters left out ...] " + &"x".repeat(60);
        assert_eq!(said, format!("a.tsv: the value `{shown}` is no number; write `1.5`"));
        let path = format!("/{}/a.nii: is empty", "folder/".repeat(400));
        assert_eq!(brief(&path), path);
        assert!(brief(&format!("it's {}", "y".repeat(10_000_000))).len() < 5000);
        assert!(brief(&"`a` and ".repeat(1_000_000)).len() < 9000);
    }

    proptest! {
        #[test]
        fn whatever_is_said_it_is_short(text in "[`\" ax\u{e9}\n]{0,40}", times in 1usize..2000) {
            let text = text.repeat(times);
            let said = brief(&text);
            prop_assert!(said.chars().count() <= MESSAGE + 100);
            prop_assert!(text.len() > QUOTED || said == text);
        }
    }
}
