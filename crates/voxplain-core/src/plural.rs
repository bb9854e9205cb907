//! Numbers of things in sentences: [`counted`], [`does`], [`and`].

/// A number of something whose plural takes an `s`: `1 subject`, `2 subjects`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", does(count, "", "s"))
}

/// What one of them does, or what several do: `does(1, "lies", "lie")` is `lies`.
pub const fn does<'a>(count: usize, one: &'a str, several: &'a str) -> &'a str {
    if count == 1 { one } else { several }
}

/// A list in words: `a`, `a and b`, `a, b and c`.
pub fn and<T: std::fmt::Display>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "map")), ["0 maps", "1 map", "2 maps"]);
        assert_eq!([and(&["a"]), and(&["a", "b"]), and(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
        assert_eq!(and::<String>(&[]), "");
        assert_eq!([0, 1, 2].map(|n| does(n, "is", "are")), ["are", "is", "are"]);
    }
}
