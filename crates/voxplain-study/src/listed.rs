//! [`listed`]: a list in a message.

use std::fmt::Display;
pub(crate) use voxplain_core::plural::{and, counted, does};

/// The first `most` of a list, and how many more there are: `a, b and 3 more`.
pub(crate) fn listed<T: Display>(items: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut items = items.into_iter();
    let shown = items.by_ref().take(most).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    match items.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What so many do: `has` or `have`.
pub(crate) const fn have(count: usize) -> &'static str {
    does(count, "has", "have")
}

/// A sentence from words: the first letter is a capital.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        assert_eq!(listed(["a", "b"], 2), "a, b");
        assert_eq!(listed([1, 2, 3, 4], 2), "1, 2 and 2 more");
        assert_eq!(listed([""; 0], 2), "");
    }
}
