//! Comparisons in regions of an atlas, re-derived the slow way.

use std::path::Path;
use voxplain_core::Silent;
use voxplain_study::{
    cohort::Cohort,
    compare::{CompareOptions, CompareSummary, RegionMeasure, compare_cohort},
    simulate::{Effect, SimulateOptions, simulate},
};
use voxplain_volume::{Volume, WriteOptions, write};

/// Eight brains; an atlas of four regions by side and height, and one label that nothing names.
fn studied(folder: &Path) -> (Cohort, Vec<u32>) {
    let options = SimulateOptions {
        subjects: 8,
        shape: [22, 28, 22],
        spacing: 7.0,
        effects: vec![Effect { region: "left-lateral-ventricle".into(), change: 0.8 }],
        seed: 3,
        ..SimulateOptions::default()
    };
    let cohort = simulate(&folder.join("cohort"), &options, false, &Silent).unwrap();
    let grid = *cohort.volume(0).unwrap().grid();
    let middle = grid.center();
    let labels: Vec<u32> = (0..grid.len())
        .map(|at| {
            let [x, _, z] = grid.affine.apply(grid.voxel(at).map(|v| v as f64));
            if (x - middle[0]).abs() < 4.0 {
                return 0;
            }
            1 + u32::from(x > middle[0]) + 2 * u32::from(z > middle[2])
        })
        .collect();
    let image = Volume::new(grid, labels.iter().map(|l| *l as f32).collect()).unwrap();
    write(&folder.join("atlas.nii.gz"), &image, &WriteOptions::default()).unwrap();
    std::fs::write(folder.join("atlas.tsv"), "index\tname\n1\tlower_L\n2\tlower_R\n3\tupper_L\n4\tupper_R\n").unwrap();
    (cohort, labels)
}

fn compared(cohort: &Cohort, folder: &Path, out: &str, design: &str, measure: RegionMeasure) -> CompareSummary {
    let options = CompareOptions {
        design: design.into(),
        regions: Some(measure),
        atlas: Some((folder.join("atlas.nii.gz"), folder.join("atlas.tsv"))),
        out: Some(folder.join(out)),
        ..CompareOptions::default()
    };
    compare_cohort(Cohort::open(&cohort.path).unwrap(), &options, &Silent).unwrap()
}

/// The mean of each region of a subject over voxels in the masks of at least half of the subjects.
fn means(cohort: &Cohort, labels: &[u32], absolute: bool) -> Vec<[f64; 4]> {
    let masks: Vec<Vec<bool>> = (0..8).map(|n| cohort.mask(n).unwrap().into_data()).collect();
    let inside = |at: usize| 2 * masks.iter().filter(|mask| mask[at]).count() >= 8;
    let of = |n: usize| {
        let volume = cohort.volume(n).unwrap();
        std::array::from_fn(|region| {
            let values: Vec<f64> = (0..labels.len())
                .filter(|at| labels[*at] as usize == region + 1 && inside(*at))
                .map(|at| f64::from(volume.data()[at]))
                .map(|v| if absolute { v.abs() } else { v })
                .collect();
            values.iter().sum::<f64>() / values.len() as f64
        })
    };
    (0..8).map(of).collect()
}

/// Student's t of two groups, by the book.
fn t(values: &[f64], second: &[bool]) -> f64 {
    let of = |wanted: bool| -> Vec<f64> {
        values.iter().zip(second).filter(|(_, s)| **s == wanted).map(|(v, _)| *v).collect()
    };
    let (a, b) = (of(false), of(true));
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let squares = |of: &[f64]| of.iter().map(|v| (v - mean(of)).powi(2)).sum::<f64>();
    let pooled = (squares(&a) + squares(&b)) / (values.len() as f64 - 2.0);
    (mean(&b) - mean(&a)) / (pooled * (1.0 / a.len() as f64 + 1.0 / b.len() as f64)).sqrt()
}

#[test]
fn regions_are_tested_as_by_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, labels) = studied(folder.path());
    let cells = cohort.column("label").unwrap();
    let last = cells.iter().flatten().max().copied();
    let second: Vec<bool> = (0..8).map(|n| cells[n] == last).collect();
    assert_eq!(second.iter().filter(|s| **s).count(), 4);
    for (measure, out) in [(RegionMeasure::Mean, "mean"), (RegionMeasure::Absolute, "absolute")] {
        let summary = compared(&cohort, folder.path(), out, "label", measure);
        let found = summary.regions.as_ref().unwrap();
        let values = means(&cohort, &labels, measure == RegionMeasure::Absolute);
        let column = |region: usize| values.iter().map(|row| row[region]).collect::<Vec<f64>>();
        assert_eq!((summary.permutations, summary.all_permutations, found.tests.len()), (69, true, 4));
        // Every choice of four of eight, and the largest t of each.
        let choices: Vec<Vec<bool>> = (0u32..256)
            .filter(|bits| bits.count_ones() == 4)
            .map(|bits| (0..8).map(|n| bits >> n & 1 == 1).collect())
            .collect();
        for (region, test) in found.tests.iter().enumerate() {
            let of = column(region);
            let expected = t(&of, &second);
            assert!((test.statistic - expected).abs() < 1e-3 * expected.abs().max(1.0), "{test:?} {expected}");
            let reach = |at: &[f64]| {
                choices.iter().filter(|c| t(at, c).abs() >= expected.abs() * (1.0 - 1e-4)).count() as f64 / 70.0
            };
            assert!((test.p - reach(&of)).abs() < 1e-9, "{test:?} {}", reach(&of));
            let largest = |c: &Vec<bool>| (0..4).map(|r| t(&column(r), c).abs()).fold(0.0, f64::max);
            let fwe = choices.iter().filter(|c| largest(c) >= expected.abs() * (1.0 - 1e-4)).count() as f64 / 70.0;
            assert!((test.p_fwe - fwe).abs() < 1e-9, "{test:?} {fwe}");
            let mean = |wanted: bool| (0..8).filter(|n| second[*n] == wanted).map(|n| of[n]).sum::<f64>() / 4.0;
            assert!((test.means[0] - mean(false)).abs() < 1e-4 && (test.means[1] - mean(true)).abs() < 1e-4);
            let effect = test.effect.unwrap();
            assert!((effect - (mean(true) - mean(false))).abs() < 1e-4);
            // t(0.975, 6) = 2.4469.
            let half = 2.446_912 * effect / expected;
            let [low, high] = test.ends.unwrap();
            assert!(
                (low - effect + half.abs()).abs() < 2e-3 * half.abs()
                    && (high - effect - half.abs()).abs() < 2e-3 * half.abs()
            );
        }
        let table = std::fs::read_to_string(folder.path().join(out).join("regions.tsv")).unwrap();
        assert!(table.lines().count() == 5 && table.starts_with("region\tother\tname"), "{table}");
    }
}

/// Left less right of each pair, and the mean over all tested by flipped signs: 2^8 of them.
#[test]
fn sides_are_set_against_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, labels) = studied(folder.path());
    let summary = compared(&cohort, folder.path(), "sides", "1", RegionMeasure::Asymmetry);
    let found = summary.regions.as_ref().unwrap();
    assert_eq!((found.tests.len(), summary.permutations, found.not_tested.len()), (2, 255, 0));
    let values = means(&cohort, &labels, false);
    for (pair, test) in found.tests.iter().enumerate() {
        let differences: Vec<f64> = values.iter().map(|row| row[2 * pair] - row[2 * pair + 1]).collect();
        let mean = differences.iter().sum::<f64>() / 8.0;
        assert!((test.means[0] - mean).abs() < 1e-4 && (test.effect.unwrap() - mean).abs() < 1e-4, "{test:?} {mean}");
        let squares = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>();
        let t = mean / (squares / 7.0 / 8.0).sqrt();
        assert!((test.statistic - t).abs() < 2e-3 * t.abs().max(1.0), "{test:?} {t}");
        let size: f64 = differences.iter().sum::<f64>().abs();
        let reach = (0u32..256).filter(|bits| {
            let sum: f64 = (0..8).map(|n| if bits >> n & 1 == 1 { -differences[n] } else { differences[n] }).sum();
            sum.abs() >= size * (1.0 - 1e-5)
        });
        assert!((test.p - reach.count() as f64 / 256.0).abs() < 1e-9, "{test:?}");
    }
    assert_eq!((found.tests[0].name.as_str(), found.tests[0].other), ("lower_L", Some(2)));
}

#[test]
fn regions_that_cannot_be_compared_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, _) = studied(folder.path());
    let refused = |change: &dyn Fn(&mut CompareOptions)| {
        let mut options = CompareOptions {
            design: "label".into(),
            regions: Some(RegionMeasure::Mean),
            atlas: Some((folder.path().join("atlas.nii.gz"), folder.path().join("atlas.tsv"))),
            out: Some(folder.path().join("refused")),
            ..CompareOptions::default()
        };
        change(&mut options);
        compare_cohort(Cohort::open(&cohort.path).unwrap(), &options, &Silent).unwrap_err().to_string()
    };
    assert!(refused(&|o| o.atlas = None).contains("no atlas says which"));
    assert!(refused(&|o| o.cluster = Some(3.0)).contains("form no clusters"));
    let no_sides = folder.path().join("no-sides.tsv");
    std::fs::write(&no_sides, "index\tname\n1\tone\n2\ttwo\n3\tthree\n4\tfour\n").unwrap();
    let said = refused(&|o| {
        o.regions = Some(RegionMeasure::Asymmetry);
        o.atlas.as_mut().unwrap().1.clone_from(&no_sides);
    });
    assert!(said.contains("no region on the left with a partner"), "{said}");
    assert!(!folder.path().join("refused").exists());
}

/// Adds columns to the table of a cohort.
fn with_columns(cohort: &Cohort, columns: &[(&str, [&str; 8])]) -> Cohort {
    let path = cohort.path.join("participants.tsv");
    let text = std::fs::read_to_string(&path).unwrap();
    let row = |(n, line): (usize, &str)| {
        let cells = columns.iter().map(|(name, cells)| if n == 0 { *name } else { cells[n - 1] });
        std::iter::once(line).chain(cells).collect::<Vec<_>>().join("\t")
    };
    let text: Vec<String> = text.lines().enumerate().map(row).collect();
    std::fs::write(&path, text.join("\n") + "\n").unwrap();
    Cohort::open(&cohort.path).unwrap()
}

/// Of two scans each, a comparison within pairs is the paired t test, and its permutations are flipped differences: 2^4.
#[test]
fn pairs_are_the_paired_t_test() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, labels) = studied(folder.path());
    let pairs = ["p1", "p1", "p2", "p2", "p3", "p3", "p4", "p4"];
    let sessions = ["post", "pre", "pre", "post", "pre", "post", "post", "pre"];
    let alone = ["p1", "p1", "p2", "p2", "p3", "p3", "p4", "p5"];
    let cohort = with_columns(&cohort, &[("pair", pairs), ("session", sessions), ("alone", alone)]);
    let options = |out: &str| CompareOptions {
        design: "session".into(),
        paired: Some("pair".into()),
        regions: Some(RegionMeasure::Mean),
        atlas: Some((folder.path().join("atlas.nii.gz"), folder.path().join("atlas.tsv"))),
        out: Some(folder.path().join(out)),
        ..CompareOptions::default()
    };
    let summary = compare_cohort(Cohort::open(&cohort.path).unwrap(), &options("pairs"), &Silent).unwrap();
    let found = summary.regions.as_ref().unwrap();
    assert_eq!((summary.permutations, summary.all_permutations, summary.freedom), (15, true, 3));
    assert_eq!(summary.least_p, 2.0 / 16.0);
    let values = means(&cohort, &labels, false);
    for (region, test) in found.tests.iter().enumerate() {
        // `pre` comes last in the alphabet: pre less post.
        let sign = |n: usize| if sessions[n] == "pre" { 1.0 } else { -1.0 };
        let of = |pair: usize| (0..2).map(|s| sign(2 * pair + s) * values[2 * pair + s][region]).sum::<f64>();
        let differences: Vec<f64> = (0..4).map(of).collect();
        let mean = differences.iter().sum::<f64>() / 4.0;
        let squares = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>();
        let t = mean / (squares / 3.0 / 4.0).sqrt();
        assert!((test.statistic - t).abs() < 2e-3 * t.abs().max(1.0), "{test:?} {t}");
        let reach = (0u32..16).filter(|bits| {
            let sum: f64 = (0..4).map(|n| if bits >> n & 1 == 1 { -differences[n] } else { differences[n] }).sum();
            sum.abs() >= 4.0 * mean.abs() * (1.0 - 1e-5)
        });
        assert!((test.p - reach.count() as f64 / 16.0).abs() < 1e-9, "{test:?}");
    }
    let refused = |change: &dyn Fn(&mut CompareOptions)| {
        let mut options = options("refused");
        change(&mut options);
        compare_cohort(Cohort::open(&cohort.path).unwrap(), &options, &Silent).unwrap_err().to_string()
    };
    assert!(refused(&|o| o.design = "pair".into()).contains("does not differ between any two who share their pair"));
    assert!(refused(&|o| o.paired = Some("alone".into())).contains("2 of 8 subjects have no partner by column alone"));
    assert!(refused(&|o| o.paired = Some("participant_id".into())).contains("there are no pairs"));
    assert!(refused(&|o| o.blocks = Some("pair".into())).contains("within pairs"));
    assert!(refused(&|o| o.contrasts = Some("design.con".into())).contains("the design is in words"));
}

/// A design in files gives what the same design in words does, however it is written.
#[test]
fn files_of_fsl_say_the_same_as_words() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, _) = studied(folder.path());
    let words = compared(&cohort, folder.path(), "words", "label", RegionMeasure::Mean);
    let mean = compared(&cohort, folder.path(), "mean", "1", RegionMeasure::Mean);
    let cells = cohort.column("label").unwrap();
    let last = cells.iter().flatten().max().copied();
    let rows = |first: [&str; 2], second: [&str; 2]| -> String {
        (0..8).map(|n| (if cells[n] == last { second } else { first }).join(" ") + "\n").collect()
    };
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let asked = |out: &str,
                 mat: &std::path::PathBuf,
                 con: &std::path::PathBuf,
                 test: Option<&str>,
                 fts: Option<&std::path::PathBuf>| {
        let options = CompareOptions {
            design: mat.display().to_string(),
            contrasts: Some(con.clone()),
            f_tests: fts.cloned(),
            test: test.map(str::to_owned),
            regions: Some(RegionMeasure::Mean),
            atlas: Some((folder.path().join("atlas.nii.gz"), folder.path().join("atlas.tsv"))),
            out: Some(folder.path().join(out)),
            ..CompareOptions::default()
        };
        compare_cohort(Cohort::open(&cohort.path).unwrap(), &options, &Silent)
    };
    let same = |a: &CompareSummary, b: &CompareSummary| {
        let (a, b) = (a.regions.as_ref().unwrap(), b.regions.as_ref().unwrap());
        for (a, b) in a.tests.iter().zip(&b.tests) {
            assert!((a.statistic - b.statistic).abs() < 1e-3 * a.statistic.abs().max(1.0), "{a:?} {b:?}");
            assert_eq!((a.p, a.p_fwe), (b.p, b.p_fwe));
        }
    };
    let intercept = write("a.mat", format!("/NumWaves 2\n/NumPoints 8\n/Matrix\n{}", rows(["1", "0"], ["1", "1"])));
    let slope = write("a.con", "/ContrastName1 second\n/NumWaves 2\n/NumContrasts 1\n/Matrix\n0 1\n".into());
    same(&asked("a", &intercept, &slope, None, None).unwrap(), &words);
    let groups = write("b.mat", rows(["1", "0"], ["0", "1"]));
    let two = write("b.con", "-1 1\n0.5 0.5\n".into());
    same(&asked("b", &groups, &two, Some("1"), None).unwrap(), &words);
    let fts = write("b.fts", "1 0\n".into());
    // F of one contrast is its t, two-sided.
    same(&asked("f", &groups, &two, Some("F1"), Some(&fts)).unwrap(), &words);
    // The mean over both: signs are flipped.
    let flipped = asked("c", &groups, &two, Some("2"), None).unwrap();
    assert!(flipped.exchange.contains("flipped") && flipped.permutations == 255, "{}", flipped.exchange);
    assert_eq!(mean.permutations, 255);
    let refused = |result: voxplain_core::Result<CompareSummary>| result.unwrap_err().to_string();
    assert!(refused(asked("d", &groups, &two, None, None)).contains("there are 1 (C1), 2 (C2)"));
    assert!(refused(asked("d", &groups, &two, Some("3"), None)).contains("there is no contrast 3"));
    let short = write("e.mat", "1 0\n0 1\n".into());
    assert!(refused(asked("d", &short, &two, Some("1"), None)).contains("holds 2 rows, and the cohort has 8 subjects"));
    let wide = write("e.con", "1 0 0\n".into());
    assert!(refused(asked("d", &groups, &wide, None, None)).contains("has 3 weights a contrast, and the design has 2"));
}
