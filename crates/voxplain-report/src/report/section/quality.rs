//! The quality of the prepared volumes: who to look at, all brains, and where their masks differ.

use crate::{
    figure::{ColourRange, Cut, MaskOutlines, Mosaic, Plane, Underlay},
    report::element::{PAGE, Placed, TextTable},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rayon::prelude::*;
use serde::Serialize;
use voxplain_core::plural::{counted, does};
use voxplain_core::{Progress, Result, Table};
use voxplain_stats::{cell, significant};
use voxplain_study::{
    cohort::{Cohort, LIMIT, Normalize, Quality, Quantity, deviations},
    prepare::MIN_CORRELATION,
    run::figure_name,
};
use voxplain_volume::Mask;

/// What the page says of the prepared volumes.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Checks {
    /// Sentences: what was looked for, by which rule, what was found.
    words: Vec<String>,
    outliers: Option<TextTable>,
    pub(in crate::report) figure: Option<Placed>,
    brains: Vec<Brain>,
    /// What the pictures are, and how many there are not.
    note: String,
    /// Every number of every subject, to be written beside the page.
    #[serde(skip)]
    pub(in crate::report) table: Table,
}

/// One subject's picture.
#[derive(Clone, Debug, Serialize)]
struct Brain {
    id: String,
    /// A data URI.
    source: String,
    alt: String,
    /// What is odd about it.
    odd: String,
}

/// Pictures in the page, of about 6 kB each.
const MAX_BRAINS: usize = 120;
/// Lines of outliers in the page.
const MAX_OUTLIERS: usize = 60;
/// Mm a pixel of a picture: finer than the usual 3 mm voxels.
const STEP: f64 = 2.5;

/// Cuts of each axis where masks differ.
const CUTS: usize = 5;

impl Checks {
    /// Says where the numbers of all subjects are.
    pub(in crate::report) fn refer_to(&mut self, file: &str) {
        self.words.push(format!("The numbers of all subjects: {file}."));
    }
}

/// Looks at everyone.
pub(in crate::report) fn checks(cohort: &Cohort, progress: &dyn Progress) -> Result<Checks> {
    let quality = Quality::of(cohort, progress)?;
    let odd = |n: usize| {
        let of = quality.outliers.iter().filter(|o| o.subject == n);
        of.map(|o| format!("{} {}", o.quantity.words(), significant(o.value, 4))).collect::<Vec<_>>().join("; ")
    };
    let whole = quality.coverage.map(|share| *share > 0.0);
    let (figure, brains) = if whole.data().iter().any(|inside| *inside) {
        (Some(coverage(cohort, &quality, &whole)?), brains(cohort, &quality, &whole, &odd, progress)?)
    } else {
        (None, Vec::new())
    };
    let left_out = cohort.subjects.len() - brains.len();
    let rest = match left_out {
        0 => String::new(),
        n => format!(" {n} of {} subjects are left out to keep the page small.", cohort.subjects.len()),
    };
    Ok(Checks {
        words: words(cohort, &quality),
        outliers: outliers(&quality),
        figure,
        brains,
        note: format!(
            "{}One axial cut (left is left) and one sagittal cut (nose to the right) of every volume, at the same voxels; the \
             subject's mask in orange, the majority's in blue; {}. Those furthest from the others come first.{rest}",
            match cohort.preparation.channels.as_slice() {
                [first, _, ..] => format!("Of several channels, numbers and pictures are of the first, {first}. "),
                _ => String::new(),
            },
            match cohort.preparation.normalize {
                Normalize::None => "black to white is each volume's own range of intensities",
                _ => "black to white is the same range of intensities for all",
            }
        ),
        table: table(&quality, &odd),
    })
}

fn words(cohort: &Cohort, quality: &Quality) -> Vec<String> {
    let people = cohort.subjects.len();
    let mut words = Vec::new();
    if let Some([low, high]) = range(quality, Quantity::MaskOverlap) {
        words.push(format!(
            "Each subject's mask overlaps with the mask of the majority (voxels that at least half of the masks \
             hold) by {} to {} (Dice's coefficient, voxel by voxel on the cohort's grid).",
            significant(low, 3),
            significant(high, 3)
        ));
    }
    if let Some([low, high]) = range(quality, Quantity::Alignment) {
        words.push(format!(
            "After alignment the volumes correlate with the template at {} to {}; below {MIN_CORRELATION} an image is refused.",
            significant(low, 3),
            significant(high, 3)
        ));
    }
    if quality.judged.is_empty() {
        words.push(format!(
            "{} {} too few to say who is far from the others.",
            counted(people, "subject"),
            does(people, "is", "are")
        ));
        return words;
    }
    let mut odd: Vec<usize> = quality.outliers.iter().map(|o| o.subject).collect();
    odd.sort_unstable();
    odd.dedup();
    words.push(format!(
        "{} of {people} subjects {} far from the others in at least one of: {}. Far: robust z = (x \u{2212} median) / \
         (1.4826 \u{d7} median of |x \u{2212} median|) beyond \u{b1}{LIMIT} (Iglewicz and Hoaglin 1993), for overlap and \
         correlation below \u{2212}{LIMIT}. It is a reason to look, not to leave anyone out.",
        odd.len(),
        if odd.len() == 1 { "is" } else { "are" },
        quality.judged.iter().map(|q| q.words()).collect::<Vec<_>>().join(", "),
    ));
    let same = match cohort.preparation.normalize {
        Normalize::Robust => Some("Median and interquartile range of intensities are"),
        Normalize::BrainMedian => Some("The median of intensities is"),
        Normalize::None | Normalize::Zscore | Normalize::WhiteMatter => None,
    };
    if let Some(same) = same {
        words.push(format!("{same} the same for all by their normalisation, so that the others are looked at."));
    }
    words
}

fn outliers(quality: &Quality) -> Option<TextTable> {
    if quality.outliers.is_empty() {
        return None;
    }
    let signed = |text: String| text.replace('-', "\u{2212}");
    let rows = quality.outliers.iter().take(MAX_OUTLIERS).map(|o| {
        vec![
            quality.subjects[o.subject].id.clone(),
            o.quantity.words().to_owned(),
            signed(significant(o.value, 4)),
            signed(significant(o.median, 4)),
            signed(format!("{:+.1}", o.z)),
        ]
    });
    let left_out = quality.outliers.len().saturating_sub(MAX_OUTLIERS);
    Some(TextTable {
        head: ["Subject", "What", "Value", "Median of all", "Robust z"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        note: if left_out > 0 {
            format!("Furthest first; {left_out} more lines are left out to keep the page small.")
        } else {
            "Furthest first.".into()
        },
    })
}

/// Where masks differ from the majority's, over how many hold each voxel.
fn coverage(cohort: &Cohort, quality: &Quality, whole: &Mask) -> Result<Placed> {
    let underlay = Underlay::new(quality.coverage.clone(), whole)?.with_window([0.0, 1.0]);
    let map = quality.coverage.map(|&share| if share >= 0.5 { share - 1.0 } else { share });
    let (_, space) = cohort.common_grid();
    let figure = Mosaic {
        title: format!("Masks of {} subjects", cohort.subjects.len()),
        units: "share of subjects".into(),
        underlay: &underlay,
        map: &map,
        range: ColourRange { max: 0.5, percentile: None },
        rows: underlay.cuts(&quality.coverage, CUTS, 6.0),
        width: PAGE,
        space: format!("Coordinates: {space}."),
    }
    .draw()?;
    let caption = "Grey: share of the masks that hold a voxel, lightest where all do. Orange: outside the majority's mask, share of the masks that \
                   hold it all the same. Blue: inside it, share of the masks that lack it.";
    Ok(Placed::new(figure_name::MASK_OVERLAP, figure, caption))
}

/// Pictures of as many as there is room for, those furthest from the others first.
fn brains(
    cohort: &Cohort,
    quality: &Quality,
    whole: &Mask,
    odd: &(dyn Fn(usize) -> String + Sync),
    progress: &dyn Progress,
) -> Result<Vec<Brain>> {
    let majority = quality.majority();
    let middle = middle(if majority.data().contains(&true) { &majority } else { whole });
    let cuts = [Plane::Axial, Plane::Sagittal].map(|plane| Cut { plane, at: middle[plane.axis()] });
    let outlines = MaskOutlines::new(whole, &majority, cuts.to_vec(), STEP)?;
    let mut order: Vec<usize> = (0..cohort.subjects.len()).collect();
    order.sort_by(|a, b| quality.subjects[*b].oddity.total_cmp(&quality.subjects[*a].oddity).then(a.cmp(b)));
    order.truncate(MAX_BRAINS);
    let typical = |q: Quantity| deviations(&values(quality, q)).0;
    let common = [Quantity::Darkest, Quantity::Brightest].map(typical);
    let organ = cohort.preparation.organ();
    progress.begin("pictures of subjects", order.len());
    let brains = order
        .into_par_iter()
        .map(|n| {
            progress.go_on()?;
            let own = [Quantity::Darkest, Quantity::Brightest].map(|q| quality.subjects[n].values[q as usize]);
            let window = if cohort.preparation.normalize == Normalize::None { own } else { common };
            let png = outlines.draw(&cohort.volume(n)?, &cohort.mask(n)?, window)?;
            let id = cohort.subjects[n].id.clone();
            progress.advance(1, &id);
            let odd = odd(n);
            let far = if odd.is_empty() { String::new() } else { format!("; far from the others: {odd}") };
            Ok(Brain {
                source: format!("data:image/png;base64,{}", STANDARD.encode(png)),
                alt: format!("Axial and sagittal cut of the {organ} of {id} with the outline of its mask{far}"),
                odd,
                id,
            })
        })
        .collect();
    progress.end();
    brains
}

fn values(quality: &Quality, quantity: Quantity) -> Vec<f64> {
    quality.subjects.iter().map(|s| s.values[quantity as usize]).collect()
}

/// The smallest and the largest value of a quantity; `None` where no subject has one.
fn range(quality: &Quality, quantity: Quantity) -> Option<[f64; 2]> {
    let mut there = values(quality, quantity);
    there.retain(|value| value.is_finite());
    there.sort_by(f64::total_cmp);
    Some([*there.first()?, *there.last()?])
}

/// The middle of a mask's voxels, mm.
fn middle(mask: &Mask) -> [f64; 3] {
    let grid = mask.grid();
    let (mut sum, mut count) = ([0.0; 3], 0.0f64);
    for (n, _) in mask.data().iter().enumerate().filter(|(_, inside)| **inside) {
        let at = grid.affine.apply(grid.voxel(n).map(|v| v as f64));
        (0..3).for_each(|a| sum[a] += at[a]);
        count += 1.0;
    }
    sum.map(|s| s / count.max(1.0))
}

fn table(quality: &Quality, odd: &dyn Fn(usize) -> String) -> Table {
    let mut columns = vec!["participant_id".to_owned()];
    columns.extend(Quantity::ALL.map(|q| q.column().to_owned()));
    columns.extend(["largest_robust_z".to_owned(), "far_in".to_owned()]);
    let rows = quality.subjects.iter().enumerate().map(|(n, subject)| {
        let mut row = vec![Some(format!("sub-{}", subject.id))];
        row.extend(subject.values.iter().map(|v| v.is_finite().then(|| cell(*v))));
        row.push((!quality.judged.is_empty()).then(|| cell(subject.oddity)));
        row.push(Some(odd(n)).filter(|text| !text.is_empty()));
        row
    });
    Table { columns, rows: rows.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::Silent;
    use voxplain_study::cohort::{Placement, Preparation, Subject};
    use voxplain_volume::{Affine, Grid, Volume};

    const EVIL: &str = "<b>odd</b>";

    /// People with the same brain of 4 x 5 x 4 voxels, but for the last, whose mask ends half way.
    fn cohort(folder: &std::path::Path, people: usize) -> Cohort {
        let grid = Grid::new([6, 7, 6], Affine::from_spacing_origin([10.0; 3], [0.0; 3])).unwrap();
        let people: Vec<_> = (0..people)
            .map(|n| {
                let last = n + 1 == people;
                let end = if last { 3 } else { 5 };
                let mask = Mask::from_fn(grid, |[i, j, k]| {
                    (1..end).contains(&i) && (1..6).contains(&j) && (1..5).contains(&k)
                });
                let volume = Volume::from_fn(grid, |[i, j, k]| if mask.at(i, j, k) { j as f32 } else { 0.0 });
                let id = if last { EVIL.to_owned() } else { format!("p{n:03}") };
                (Subject::new(id, &volume, &mask), volume, mask)
            })
            .collect();
        let preparation = Preparation {
            shape: grid.shape,
            spacing: [10.0; 3],
            normalize: Normalize::Robust,
            placement: Placement::Fixed(grid),
            template: None,
            whole_head: false,
            channels: Vec::new(),
        };
        let rows = people.iter().map(|_| vec![Some("x".to_owned())]).collect();
        let table = Table { columns: vec!["site".into()], rows };
        Cohort::write(&folder.join("c"), &preparation, &table, &people).unwrap()
    }

    #[test]
    fn the_odd_one_is_named_and_comes_first_and_the_rest_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let cohort = cohort(folder.path(), MAX_BRAINS + 5);
        let checks = checks(&cohort, &Silent).unwrap();
        assert_eq!((checks.brains.len(), checks.brains[0].id.as_str()), (MAX_BRAINS, EVIL));
        assert!(checks.note.contains(&format!("5 of {} subjects are left out", MAX_BRAINS + 5)), "{}", checks.note);
        assert!(checks.words[1].starts_with(&format!("1 of {} subjects is far", MAX_BRAINS + 5)), "{:?}", checks.words);
        // 40 voxels of 1 cm³ where others have 80; Dice 2 * 40 / 120.
        let rows = checks.outliers.unwrap().rows;
        // Both are as far, so that rounding decides which comes first.
        let mut said: Vec<[&str; 4]> = rows.iter().map(|r| [0, 1, 2, 3].map(|c| r[c].as_str())).collect();
        said.sort_unstable();
        assert_eq!(
            said,
            [
                [EVIL, "mask volume, cm³", "40", "80"],
                [EVIL, "overlap of the mask with the majority's (Dice)", "0.6667", "1"],
            ]
        );
        assert!(checks.brains[0].odd.contains("mask volume, cm³ 40") && checks.brains[1].odd.is_empty());
        // The table has everyone.
        assert_eq!(checks.table.rows.len(), MAX_BRAINS + 5);
        assert_eq!(checks.table.rows[3][..3], ["sub-p003", "80", "1"].map(|c| Some(c.to_owned())));
        assert!(checks.figure.is_some());
    }

    #[test]
    fn few_people_are_shown_and_not_judged() {
        let folder = tempfile::tempdir().unwrap();
        let checks = checks(&cohort(folder.path(), 3), &Silent).unwrap();
        assert!(checks.outliers.is_none() && checks.brains.len() == 3);
        assert!(checks.words.iter().any(|w| w.contains("3 subjects are too few")), "{:?}", checks.words);
    }
}
