//! Texts that differ and look the same, or that differ by case alone: [`folded`], [`look`], and [`spelled`], which shows where.
//!
//! Accents are taken apart for Latin, Greek, Cyrillic, Hangul and kana. Letters of Cyrillic and Greek count as the Latin letters that
//! they look like (most Latin capitals have a twin there), and letters and digits in another style (bold, circled, wide, raised, Roman
//! numerals) as the plain ones. Other scripts, and letters and digits that look alike within ASCII (`O` and `0`), are taken as they
//! are.

mod style;

use std::collections::BTreeSet;
use style::unstyled;

/// A text in small letters, each accent a character of its own behind its letter. File systems that ignore case, or how accents
/// are written, take two names for one where this is the same.
pub fn folded(text: &str) -> String {
    let mut all = Vec::new();
    text.chars().flat_map(char::to_lowercase).for_each(|c| take_apart(c, &mut all));
    // Accents above and below one letter may stand in any order.
    all.chunk_by_mut(|a, b| is_mark(*a) && is_mark(*b)).for_each(<[char]>::sort_unstable);
    all.into_iter().collect()
}

/// What a text looks like: [`folded`], without what is not seen, with Latin letters for their twins in Cyrillic and Greek, letters
/// and digits of one style, and one kind of space, hyphen and quote.
pub fn look(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars().filter(|c| !is_invisible(*c) && !encloses(*c)) {
        match unstyled(c) {
            Some(same) => plain.extend(same.chars().map(ascii_twin)),
            None => plain.push(ascii_twin(c)),
        }
    }
    let mut all = String::new();
    for c in folded(&plain).chars() {
        match c {
            c if is_blank(c) => all.push(' '),
            c => all.push(TWINS.iter().find(|(twin, _)| *twin == c).map_or(c, |(_, latin)| *latin)),
        }
    }
    all.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Names in backticks, each with the characters that tell it from the others where that is not seen: a word with a Cyrillic `М`
/// beside one with a Latin `M`.
///
/// ```
/// use voxplain_core::lookalike::spelled;
/// assert_eq!(spelled(&["M", "\u{41c}", "m"]), ["`M`", "`\u{41c}` with Cyrillic U+041C", "`m`"]);
/// assert_eq!(spelled(&["M\u{200b}", "M"]), ["`M` with invisible U+200B", "`M`"]);
/// ```
pub fn spelled(names: &[&str]) -> Vec<String> {
    let sets: Vec<BTreeSet<char>> = names.iter().map(|name| name.chars().map(small).collect()).collect();
    // In small letters, so that `É` is no news beside `é`; shown as written.
    let news = |n: usize, c: char| {
        let others = || sets.iter().zip(names).filter(|(_, name)| **name != names[n]).map(|(set, _)| set);
        is_telling(c) && others().any(|set| !set.contains(&small(c)))
    };
    let mut marked: Vec<Vec<char>> =
        names.iter().enumerate().map(|(n, name)| distinct(name.chars().filter(|c| news(n, *c)))).collect();
    // The same characters in other places.
    let seen = |name: &str| name.chars().filter(|c| !is_invisible(*c)).collect::<String>();
    let shown: BTreeSet<_> = names.iter().zip(&marked).map(|(name, marked)| (seen(name), marked)).collect();
    if shown.len() < names.iter().collect::<BTreeSet<_>>().len() {
        marked = names.iter().map(|name| distinct(name.chars().filter(|c| is_telling(*c)))).collect();
    }
    let show = |(name, marked): (&&str, &Vec<char>)| {
        let seen = seen(name);
        if marked.is_empty() {
            return format!("`{seen}`");
        }
        format!("`{seen}` with {}", marked.iter().map(|c| code_point(*c)).collect::<Vec<_>>().join(", "))
    };
    names.iter().zip(&marked).map(show).collect()
}

/// A text in small letters where capitals are another way to write those; a sign that looks like a capital (`\u{212a}`, kelvin) and
/// becomes a letter in small is no capital, and stays.
pub fn uncased(text: &str) -> String {
    text.chars().map(small).collect()
}

/// The small letter of a capital, where that is its capital and it is one character.
fn small(c: char) -> char {
    let (mut lower, mut upper) = (c.to_lowercase(), None);
    let small = lower.next().filter(|_| lower.next().is_none());
    if let Some(small) = small {
        let mut capital = small.to_uppercase();
        upper = capital.next().filter(|_| capital.next().is_none());
    }
    small.filter(|_| upper == Some(c)).unwrap_or(c)
}

/// Whether a character takes no place on the screen: zero-width spaces, direction marks, soft hyphens, variation selectors,
/// controls; or may take none: those for private use, which show as each font has it.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || c.is_control() && !c.is_whitespace()
}

/// Whether a character is an accent that stands on the letter before it.
pub fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{3099}' | '\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether a character leaves its place on the screen empty: spaces, and the braille cell without a dot.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

/// Whether a character is a circle, square or key around the one before it.
fn encloses(c: char) -> bool {
    matches!(c, '\u{20dd}'..='\u{20e0}' | '\u{20e2}'..='\u{20e4}')
}

/// Whether a reader may take a character for another, or not see it.
fn is_telling(c: char) -> bool {
    !c.is_ascii() || is_invisible(c)
}

/// Each once, in their order.
fn distinct(chars: impl Iterator<Item = char>) -> Vec<char> {
    let mut seen = Vec::new();
    chars.for_each(|c| {
        if !seen.contains(&c) {
            seen.push(c);
        }
    });
    seen
}

/// `Cyrillic U+041C`.
fn code_point(c: char) -> String {
    let kind = match c {
        _ if is_invisible(c) => "invisible ",
        _ if is_blank(c) => "space ",
        _ if is_mark(c) => "combining ",
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => "Greek ",
        '\u{400}'..='\u{52f}' => "Cyrillic ",
        _ => "",
    };
    format!("{kind}U+{:04X}", c as u32)
}

/// The character of ASCII that is written in other ways too: hyphens, quotes.
fn ascii_twin(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2032}' | '\u{b4}' | '`' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{2033}' => '"',
        '\u{2044}' | '\u{2215}' => '/',
        // A small mu is none of M's twins (mg and μg are two doses).
        '\u{39c}' => 'M',
        '\u{b5}' => '\u{3bc}',
        c => c,
    }
}

/// A character without its accents, which come behind it, as Unicode's canonical decomposition has them.
fn take_apart(c: char, into: &mut Vec<char>) {
    match c {
        c if c.is_ascii() => into.push(c),
        'ß' => into.extend(['s', 's']),
        'ſ' => into.push('s'),
        'ς' => into.push('σ'),
        '\u{ac00}'..='\u{d7a3}' => {
            // Syllables are numbered: 19 beginnings, 21 vowels, 28 ends of which the first is none.
            let n = c as u32 - 0xac00;
            let parts = [0x1100 + n / 588, 0x1161 + n % 588 / 28, 0x11a7 + n % 28];
            let parts = parts.into_iter().take(if n.is_multiple_of(28) { 2 } else { 3 });
            into.extend(parts.filter_map(char::from_u32));
        }
        c => match accented(c) {
            Some((letter, mark)) => {
                take_apart(letter, into);
                into.push(mark);
            }
            None => into.push(c),
        },
    }
}

/// The letter and the accent that a character is made of.
fn accented(c: char) -> Option<(char, char)> {
    ACCENTS.iter().find_map(|(mark, pairs)| {
        let mut pairs = pairs.chars();
        while let (Some(letter), Some(whole)) = (pairs.next(), pairs.next()) {
            if whole == c {
                return Some((letter, *mark));
            }
        }
        None
    })
}

/// Small letters of Cyrillic and Greek and the Latin letters that they, or their capitals, look like.
const TWINS: [(char, char); 36] = [
    ('а', 'a'),
    ('в', 'b'),
    ('с', 'c'),
    ('ԁ', 'd'),
    ('е', 'e'),
    ('н', 'h'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ј', 'j'),
    ('к', 'k'),
    ('ӏ', 'l'),
    ('м', 'm'),
    ('о', 'o'),
    ('р', 'p'),
    ('ԛ', 'q'),
    ('ѕ', 's'),
    ('т', 't'),
    ('ԝ', 'w'),
    ('х', 'x'),
    ('у', 'y'),
    ('ү', 'y'),
    ('α', 'a'),
    ('β', 'b'),
    ('ε', 'e'),
    ('η', 'h'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'n'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'y'),
    ('χ', 'x'),
    ('ζ', 'z'),
    ('ϲ', 'c'),
    ('ϳ', 'j'),
];

/// An accent, and pairs of a letter without and with it.
const ACCENTS: &[(char, &str)] = &[
    ('\u{300}', "aàeèiìoòuùüǜnǹеѐиѝēḕōṑwẁâầăằêềôồơờưừyỳἀἂἁἃἐἒἑἓἠἢἡἣἰἲἱἳὀὂὁὃὐὒὑὓὠὢὡὣαὰεὲηὴιὶοὸυὺωὼϊῒϋῢ"),
    (
        '\u{301}',
        "aáeéiíoóuúyýcćlĺnńrŕsśzźüǘgǵåǻæǽøǿϊΐαάεέηήιίϋΰοόυύωώϒϓгѓкќçḉēḗïḯkḱmḿõṍōṓpṕũṹwẃâấăắêếôốơớưứἀἄἁἅἐἔἑἕἠἤἡἥἰἴἱἵὀὄὁὅὐὔὑὕὠὤὡὥ",
    ),
    ('\u{302}', "aâeêiîoôuûcĉgĝhĥjĵsŝwŵyŷzẑạậẹệọộ"),
    ('\u{303}', "aãnñoõiĩuũvṽâẫăẵeẽêễôỗơỡưữyỹ"),
    ('\u{304}', "aāeēiīoōuūüǖäǟȧǡæǣǫǭöȫõȭȯȱyȳиӣуӯgḡḷḹṛṝαᾱιῑυῡ"),
    ('\u{306}', "aăeĕgğiĭoŏuŭийуўжӂаӑеӗȩḝạặαᾰιῐυῠ"),
    ('\u{307}', "cċeėgġzżaȧoȯbḃdḋfḟhḣmṁnṅpṗrṙsṡśṥšṧṣṩtṫwẇxẋyẏſẛ"),
    ('\u{308}', "aäeëiïoöuüyÿιϊυϋϒϔеёіїаӓәӛжӝзӟиӥоӧөӫэӭуӱчӵыӹhḧõṏūṻwẅxẍtẗ"),
    ('\u{309}', "aảâẩăẳeẻêểiỉoỏôổơởuủưửyỷ"),
    ('\u{30a}', "aåuůwẘyẙ"),
    ('\u{30b}', "oőuűуӳ"),
    ('\u{30c}', "cčdďeělľnňrřsštťzžaǎiǐoǒuǔüǚgǧkǩʒǯjǰhȟ"),
    ('\u{30f}', "aȁeȅiȉoȍrȑuȕѵѷ"),
    ('\u{311}', "aȃeȇiȋoȏrȓuȗ"),
    ('\u{313}', "αἀεἐηἠιἰοὀυὐωὠρῤ"),
    ('\u{314}', "αἁεἑηἡιἱοὁυὑωὡρῥ"),
    ('\u{31b}', "oơuư"),
    ('\u{323}', "bḅdḍhḥkḳlḷmṃnṇrṛsṣtṭvṿwẉzẓaạeẹiịoọơợuụưựyỵ"),
    ('\u{324}', "uṳ"),
    ('\u{325}', "aḁ"),
    ('\u{326}', "sștț"),
    ('\u{327}', "cçgģkķlļnņrŗsştţeȩdḑhḩ"),
    ('\u{328}', "aąeęiįuųoǫ"),
    ('\u{32d}', "dḓeḙlḽnṋtṱuṷ"),
    ('\u{32e}', "hḫ"),
    ('\u{330}', "eḛiḭuṵ"),
    ('\u{331}', "bḇdḏkḵlḻnṉrṟtṯzẕhẖ"),
    ('\u{342}', "ἀἆἁἇἠἦἡἧἰἶἱἷὐὖὑὗὠὦὡὧαᾶηῆιῖϊῗυῦϋῧωῶ"),
    ('\u{345}', "ἀᾀἁᾁἂᾂἃᾃἄᾄἅᾅἆᾆἇᾇἠᾐἡᾑἢᾒἣᾓἤᾔἥᾕἦᾖἧᾗὠᾠὡᾡὢᾢὣᾣὤᾤὥᾥὦᾦὧᾧὰᾲαᾳάᾴᾶᾷὴῂηῃήῄῆῇὼῲωῳώῴῶῷ"),
    (
        '\u{3099}',
        "かがきぎくぐけげこごさざしじすずせぜそぞただちぢつづてでとどはばひびふぶへべほぼうゔゝゞカガキギクグケゲコゴサザシジスズセゼソゾタダチヂツヅテデトドハバヒビフブヘベホボウヴワヷヰヸヱヹヲヺヽヾ",
    ),
    ('\u{309a}', "はぱひぴふぷへぺほぽハパヒピフプヘペホポ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_are_taken_apart_as_unicode_says() {
        // From Python's unicodedata.normalize("NFD", ...); accents on one letter are then sorted.
        for (whole, apart) in [
            ("é", "e\u{301}"),
            ("ǖ", "u\u{308}\u{304}"),
            ("й", "и\u{306}"),
            ("ά", "α\u{301}"),
            ("が", "か\u{3099}"),
            ("한가", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1161}"),
        ] {
            assert_eq!(folded(whole), folded(apart));
            assert_ne!(folded(whole), whole);
        }
        // Below and above, in either order, whole or in part.
        assert_eq!(folded("ệ"), folded("ê\u{323}"));
        assert_eq!(folded("Köln"), folded("KÖLN"));
        assert_eq!(folded("Straße"), folded("STRASSE"));
        for (one, other) in [("café", "cafe"), ("a", "а"), ("s1", "s01")] {
            assert_ne!(folded(one), folded(other));
        }
    }

    #[test]
    fn what_looks_the_same() {
        for (one, other) in [
            ("M", "М"),
            ("M", "Μ"),
            ("M", "Ｍ"),
            ("M", "M\u{e001}"),
            ("ガン", "ｶﾞﾝ"),
            ("M", "M\u{2800}"),
            ("mild AD", "mild\u{2800}AD"),
            ("M", "Ⅿ"),
            ("M", "𝐌"),
            ("M", "𝚳"),
            ("M", "Ⓜ"),
            ("M", "M\u{20dd}"),
            ("m", "ᴍ"),
            ("1", "①"),
            ("1", "1\u{fe0f}\u{20e3}"),
            ("E", "𝛆"),
            ("M", "M\u{e0100}"),
            ("НЕТ", "нет"),
            ("M", "m\u{200b}"),
            ("\u{feff}M", "M\u{ad}"),
            ("mild AD", "mild\u{a0}AD"),
            ("mild  AD", "mild\u{2009}AD "),
            ("1–2", "1-2"),
            ("O’Neill", "O'Neill"),
            ("ﬁt", "fit"),
            ("é", "e\u{301}"),
        ] {
            assert_eq!(look(one), look(other), "{one} {other}");
        }
        for (one, other) in [("é", "e"), ("μg", "mg"), ("O", "0"), ("l", "1"), ("a b", "ab"), ("да", "da")] {
            assert_ne!(look(one), look(other), "{one} {other}");
        }
        assert_eq!(look(" \u{200b}\u{a0}"), "");
    }

    #[test]
    fn what_is_not_seen_is_shown() {
        assert_eq!(spelled(&["é", "e\u{301}"]), ["`é` with U+00E9", "`e\u{301}` with combining U+0301"]);
        assert_eq!(spelled(&["a b", "a\u{a0}b"]), ["`a b`", "`a\u{a0}b` with space U+00A0"]);
        assert_eq!(
            spelled(&["M", "M\u{2800}", "Ⅿ", "𝐌"]),
            ["`M`", "`M\u{2800}` with space U+2800", "`Ⅿ` with U+216F", "`𝐌` with U+1D40C"]
        );
        assert_eq!(spelled(&["Köln", "köln", "KOLN"]), ["`Köln` with U+00F6", "`köln` with U+00F6", "`KOLN`"]);
        assert_eq!(spelled(&["Köln", "KÖLN"]), ["`Köln`", "`KÖLN`"]);
        // Signs that become letters in small: kelvin, angstrom, ohm.
        assert_eq!(spelled(&["K", "\u{212a}"]), ["`K`", "`\u{212a}` with U+212A"]);
        assert_eq!(spelled(&["k", "\u{212a}", "K"]), ["`k`", "`\u{212a}` with U+212A", "`K`"]);
        assert_eq!(spelled(&["\u{c5}", "\u{212b}"]), ["`\u{c5}` with U+00C5", "`\u{212b}` with U+212B"]);
        assert_eq!(spelled(&["\u{3a9}", "\u{2126}"]), ["`\u{3a9}` with Greek U+03A9", "`\u{2126}` with U+2126"]);
        assert_ne!(uncased("K"), uncased("\u{212a}"));
        assert_eq!(uncased("KÖLN Ω"), uncased("Köln ω"));
        let places = spelled(&["a\u{200b}b", "ab\u{200b}"]);
        assert_eq!(places, ["`ab` with invisible U+200B", "`ab` with invisible U+200B"]);
        assert_eq!(spelled(&["fam1", "fam01"]), ["`fam1`", "`fam01`"]);
    }
}
