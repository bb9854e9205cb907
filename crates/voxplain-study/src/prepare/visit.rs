//! [`Visit`]: the words by which names say of which visit of a person a file is.

/// Words that name a visit by themselves: what they are counted on, and which of these it is.
const WORDS: [(&str, Scale, u64); 11] = [
    ("bl", Scale::Course, 0),
    ("baseline", Scale::Course, 0),
    ("fu", Scale::Course, 1),
    ("followup", Scale::Course, 1),
    ("sc", Scale::Course, 2),
    ("screening", Scale::Course, 2),
    ("pre", Scale::Treatment, 0),
    ("post", Scale::Treatment, 1),
    ("test", Scale::Test, 0),
    ("retest", Scale::Test, 1),
    ("rescan", Scale::Test, 1),
];

/// Words that name a visit with a number behind them.
const NUMBERED: [(&str, Scale); 23] = [
    ("v", Scale::Visit),
    ("visit", Scale::Visit),
    ("t", Scale::Time),
    ("tp", Scale::Time),
    ("time", Scale::Time),
    ("timepoint", Scale::Time),
    ("ses", Scale::Session),
    ("session", Scale::Session),
    ("scan", Scale::Scan),
    ("m", Scale::Month),
    ("mo", Scale::Month),
    ("month", Scale::Month),
    ("y", Scale::Year),
    ("yr", Scale::Year),
    ("year", Scale::Year),
    ("w", Scale::Week),
    ("week", Scale::Week),
    ("d", Scale::Day),
    ("day", Scale::Day),
    ("fu", Scale::FollowUp),
    ("followup", Scale::FollowUp),
    ("rep", Scale::Repetition),
    ("wave", Scale::Wave),
];

/// What a `v2` behind one of these is the version of.
const TOOLS: [&str; 17] = [
    "mask",
    "brainmask",
    "brain",
    "bet",
    "bet2",
    "hdbet",
    "synthstrip",
    "synthseg",
    "ants",
    "robex",
    "optibet",
    "deepbet",
    "fastsurfer",
    "freesurfer",
    "fs",
    "dlmuse",
    "dlicv",
];

/// What stands between the words of a name.
const SIGNS: [char; 5] = ['_', '-', '.', ' ', '+'];

/// What visits are counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Visit,
    Time,
    Session,
    Scan,
    Month,
    Year,
    Week,
    Day,
    FollowUp,
    Repetition,
    Wave,
    /// Screening, baseline, follow-up.
    Course,
    /// Before and after.
    Treatment,
    Test,
    /// `20200131`.
    Date,
    /// `2020`.
    Calendar,
}

/// A visit that a name speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    scale: Scale,
    number: u64,
    /// As it is written.
    pub(super) word: String,
}

impl Visit {
    /// The visits that a name speaks of.
    pub(super) fn all(name: &str) -> Vec<Self> {
        let words: Vec<&str> = name.split(SIGNS).filter(|word| !word.is_empty()).collect();
        let mut found = Vec::new();
        let mut n = 0;
        while n < words.len() {
            let taken = Self::at(&words, n);
            n += taken.as_ref().map_or(1, |(_, count)| *count);
            found.extend(taken.map(|(visit, _)| visit));
        }
        found
    }

    /// The visit that a name begins with, and what stands behind it.
    pub(super) fn first(name: &str) -> Option<(Self, &str)> {
        let words: Vec<&str> = name.split(SIGNS).collect();
        let (visit, count) = Self::at(&words, 0)?;
        let taken: usize = words[..count].iter().map(|word| word.len() + 1).sum();
        let rest = name.get(taken..).unwrap_or_default();
        Some((visit, rest))
    }

    /// The visit that the words from `n` on name, and how many they are.
    fn at(words: &[&str], n: usize) -> Option<(Self, usize)> {
        let word = words[n].to_lowercase();
        let next = |by: usize| words.get(n + by).copied().unwrap_or_default();
        let visit =
            |scale, number, count: usize| Some((Self { scale, number, word: words[n..n + count].join("-") }, count));
        if word == "follow" && next(1).eq_ignore_ascii_case("up") {
            return visit(Scale::Course, 1, 2);
        }
        let digits = word.len() - word.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (letters, number) = word.split_at(word.len() - digits);
        if letters.is_empty() {
            let is_day = |month: &str, day: &str| in_range(month, 1, 12) && in_range(day, 1, 31);
            return match digits {
                8 if in_range(&word[..4], 1980, 2099) && is_day(&word[4..6], &word[6..]) => {
                    visit(Scale::Date, word.parse().ok()?, 1)
                }
                4 if in_range(&word, 1980, 2099) => {
                    let rest = [next(1), next(2)];
                    match rest.iter().all(|part| part.len() == 2) && is_day(rest[0], rest[1]) {
                        true => visit(Scale::Date, (word + rest[0] + rest[1]).parse().ok()?, 3),
                        false => visit(Scale::Calendar, word.parse().ok()?, 1),
                    }
                }
                _ => None,
            };
        }
        let scale = |letters: &str| NUMBERED.iter().find(|(own, _)| *own == letters).map(|(_, scale)| *scale);
        let is_version = letters == "v" && n > 0 && TOOLS.contains(&words[n - 1].to_lowercase().as_str());
        if (1..4).contains(&digits) && !is_version {
            return visit(scale(letters)?, number.parse().ok()?, 1);
        }
        let behind = next(1);
        if letters.len() > 1
            && digits == 0
            && (1..4).contains(&behind.len())
            && let Some(scale) = scale(letters)
            && let Ok(number) = behind.parse()
        {
            return visit(scale, number, 2);
        }
        let (_, scale, number) = WORDS.iter().find(|(own, ..)| *own == word)?;
        visit(*scale, *number, 1)
    }

    /// Whether both are counted on one scale; the baseline is 0 on those of time.
    pub(super) fn compares(&self, other: &Self) -> bool {
        let is_baseline = |visit: &Self| visit.scale == Scale::Course && visit.number == 0;
        let is_time = |visit: &Self| {
            matches!(visit.scale, Scale::Month | Scale::Year | Scale::Week | Scale::Day | Scale::FollowUp)
        };
        self.scale == other.scale || (is_baseline(self) && is_time(other)) || (is_time(self) && is_baseline(other))
    }

    /// Whether both are one visit, where they can be compared.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.number == other.number
    }

    /// Whether it is `T1` or `T2`, which name images.
    pub(super) fn is_kind(&self) -> bool {
        self.scale == Scale::Time && self.word.to_lowercase().starts_with('t') && self.word.len() == 2
    }

    /// Whether it is a day or a year of the calendar.
    pub(super) fn is_date(&self) -> bool {
        matches!(self.scale, Scale::Date | Scale::Calendar)
    }

    /// Whether it is a year of the calendar, which may be a number of another kind.
    pub(super) fn is_year(&self) -> bool {
        self.scale == Scale::Calendar
    }

    /// Whether it is one letter and a number.
    pub(super) fn is_short(&self) -> bool {
        self.word.chars().filter(|c| c.is_alphabetic()).count() == 1
    }
}

fn in_range(number: &str, low: u32, high: u32) -> bool {
    number.parse().is_ok_and(|number: u32| (low..=high).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_visits() {
        let words = |name: &str| Visit::all(name).into_iter().map(|visit| visit.word).collect::<Vec<_>>();
        for (name, expected) in [
            ("P01_V1_mask", vec!["V1"]),
            ("P01_visit-2_T1w", vec!["visit-2"]),
            ("P01_followup_T1w", vec!["followup"]),
            ("P01_follow-up", vec!["follow-up"]),
            ("P01_20200131", vec!["20200131"]),
            ("P01-2020-01-31", vec!["2020-01-31"]),
            ("P01-2019", vec!["2019"]),
            ("session2", vec!["session2"]),
            ("P01_hdbet_v1_mask", vec![]),
            ("P01_99999999_1234", vec![]),
            ("sub-01_T1w", vec![]),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
        let one = |name: &str| Visit::all(name).remove(0);
        assert!(one("m00").compares(&one("month12")) && !one("m00").same(&one("month12")));
        assert!(one("bl").compares(&one("m00")) && one("bl").same(&one("m00")) && !one("bl").same(&one("m12")));
        assert!(one("V01").same(&one("visit_1")) && !one("V1").compares(&one("ses-1")));
        assert!(one("2020-01-31").same(&one("20200131")));
    }
}
