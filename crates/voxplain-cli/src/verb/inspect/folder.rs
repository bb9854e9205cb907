//! The images of a folder, a line each: those unlike the others first.

use super::number;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use voxplain::cohort::{LIMIT, deviations};
use voxplain::plural::counted;
use voxplain::volume::{Image, Level, Summary};

/// An image in a line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    file: String,
    shape: String,
    spacing: String,
    axes: String,
    stored: String,
    /// The 99th percentile of intensities; the median of a brain without its head is background.
    bright: f64,
    /// Findings of errors, then of warnings, by their names; the error itself of one that cannot be read.
    findings: Vec<(Level, String)>,
    /// In which respects it is unlike most of the others.
    unlike: Vec<&'static str>,
}

impl Line {
    pub(super) fn of(file: &str, image: &Image, summary: &Summary) -> Self {
        let grid = image.volume.grid();
        let mut findings: Vec<(Level, String)> = image.findings.iter().map(|f| (f.level, f.id.to_owned())).collect();
        findings.retain(|(level, _)| *level > Level::Note);
        Self {
            file: file.to_owned(),
            shape: grid.shape.map(|n| n.to_string()).join(" x "),
            spacing: grid.spacing().map(number).join(" x "),
            axes: image.axis_codes.clone(),
            stored: image.stored_type.clone(),
            bright: summary.tails[1],
            findings,
            unlike: Vec::new(),
        }
    }

    /// One that cannot be read.
    pub(super) fn failed(file: &str, error: &str) -> Self {
        let none = || "-".to_owned();
        let what = error.strip_prefix(&format!("{file}: ")).unwrap_or(error);
        Self {
            file: file.to_owned(),
            shape: none(),
            spacing: none(),
            axes: none(),
            stored: none(),
            bright: f64::NAN,
            findings: vec![(Level::Error, what.to_owned())],
            unlike: Vec::new(),
        }
    }

    /// The file, and in which respects it is unlike most of the others.
    pub(super) fn unlike(&self) -> (&str, &[&'static str]) {
        (&self.file, &self.unlike)
    }

    fn is_read(&self) -> bool {
        self.shape != "-"
    }

    /// What is looked at first: errors, warnings, then what is unlike the others.
    fn rank(&self) -> (std::cmp::Reverse<usize>, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>) {
        let count = |level| self.findings.iter().filter(|(of, _)| *of == level).count();
        use std::cmp::Reverse;
        (Reverse(count(Level::Error)), Reverse(count(Level::Warning)), Reverse(self.unlike.len()))
    }
}

/// What of an image is compared.
type Respect = fn(&Line) -> &str;

/// Finds who is unlike the others, and puts them first.
pub(super) fn compare(lines: &mut [Line]) {
    let common = |of: Respect| -> Option<String> {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        lines.iter().filter(|line| line.is_read()).for_each(|line| *count.entry(of(line)).or_default() += 1);
        // Where half or fewer are of a kind, nobody is unlike the others.
        let all: usize = count.values().sum();
        count.into_iter().find(|(_, n)| 2 * n > all).map(|(value, _)| value.to_owned())
    };
    let of: [(&'static str, Respect); 4] = [
        ("shape", |line| &line.shape),
        ("voxels", |line| &line.spacing),
        ("axes", |line| &line.axes),
        ("type", |line| &line.stored),
    ];
    let usual = of.map(|(name, value)| (name, value, common(value)));
    let (_, far) = deviations(&lines.iter().map(|line| line.bright).collect::<Vec<_>>());
    for (line, far) in lines.iter_mut().zip(far).filter(|(line, _)| line.is_read()) {
        for (name, value, usual) in &usual {
            if usual.as_deref().is_some_and(|usual| usual != value(line)) {
                line.unlike.push(name);
            }
        }
        if far.abs() > LIMIT {
            line.unlike.push("99 %");
        }
    }
    lines.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.file.cmp(&b.file)));
}

/// The lines, and a summary below.
pub(super) fn text(lines: &[Line]) -> String {
    let width =
        |of: fn(&Line) -> &str, least: usize| lines.iter().map(|l| of(l).chars().count()).max().unwrap_or(0).max(least);
    let (file, shape, spacing) = (width(|l| &l.file, 4), width(|l| &l.shape, 5), width(|l| &l.spacing, 9));
    let mut text = format!(
        "{:<file$}  {:<shape$}  {:<spacing$}  {:<4}  {:>9}  remarks\n",
        "file", "shape", "voxels mm", "axes", "99 %"
    );
    for line in lines {
        let mut remarks: Vec<String> = line.findings.iter().map(|(_, what)| what.clone()).collect();
        if !line.unlike.is_empty() {
            remarks.push(format!("unlike the others: {}", line.unlike.join(", ")));
        }
        let row = format!(
            "{:<file$}  {:<shape$}  {:<spacing$}  {:<4}  {:>9}  {}",
            line.file,
            line.shape,
            line.spacing,
            line.axes,
            number(line.bright),
            remarks.join("; ")
        );
        let _ = writeln!(text, "{}", row.trim_end());
    }
    let count = |of: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| of(line)).count();
    let has = |line: &Line, level| line.findings.iter().any(|(of, _)| *of == level);
    let kinds = |of: fn(&Line) -> &str| {
        let mut kinds: Vec<&str> = lines.iter().filter(|line| line.is_read()).map(of).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.len()
    };
    let _ = write!(
        text,
        "\n{}: {} of shape, {} of voxel size, {} of axes; {} not read, {} with errors, {} with warnings, {} unlike most of the others",
        counted(lines.len(), "image"),
        counted(kinds(|l| &l.shape), "kind"),
        counted(kinds(|l| &l.spacing), "kind"),
        counted(kinds(|l| &l.axes), "kind"),
        count(&|line| !line.is_read()),
        count(&|line| line.is_read() && has(line, Level::Error)),
        count(&|line| has(line, Level::Warning)),
        count(&|line| !line.unlike.is_empty()),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_unlike_the_others_come_first() {
        let line = |file: &str, shape: &str, bright: f64| Line {
            file: file.into(),
            shape: shape.into(),
            spacing: "1 x 1 x 1".into(),
            axes: "RAS".into(),
            stored: "float32".into(),
            bright,
            findings: Vec::new(),
            unlike: Vec::new(),
        };
        let mut lines = vec![
            line("a", "9 x 9 x 9", 100.0),
            line("b", "9 x 9 x 9", 101.0),
            line("c", "9 x 9 x 9", 102.0),
            line("d", "9 x 9 x 8", 101.0),
            line("e", "9 x 9 x 9", 5000.0),
            Line::failed("f", "f: is empty"),
        ];
        compare(&mut lines);
        let files: Vec<&str> = lines.iter().map(|line| line.file.as_str()).collect();
        assert_eq!(files, ["f", "d", "e", "a", "b", "c"]);
        assert_eq!((&lines[1].unlike[..], &lines[2].unlike[..]), (&["shape"][..], &["99 %"][..]));
        let text = text(&lines);
        assert!(text.lines().nth(1).unwrap().ends_with("is empty"), "{text}");
        assert!(text.ends_with(
            "6 images: 2 kinds of shape, 1 kind of voxel size, 1 kind of axes; 1 not read, 0 with errors, 0 with warnings, \
             2 unlike most of the others"
        ), "{text}");
        // Of two kinds in equal parts none is the odd one.
        let mut half = vec![line("a", "1 x 1 x 1", 1.0), line("b", "2 x 2 x 2", 1.0)];
        compare(&mut half);
        assert!(half.iter().all(|line| line.unlike.is_empty()));
    }
}
