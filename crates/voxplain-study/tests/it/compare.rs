//! Comparisons in regions of an atlas, re-derived the slow way.

use std::{collections::BTreeMap, path::Path};
use voxplain_core::{Claim, Silent};
use voxplain_study::{
    cohort::Cohort,
    compare::{
        CompareOptions, CompareSummary, ComparedShard, RegionMeasure, Tail, compare_cohort, compare_cohort_shard,
        is_compared_in_shards, merge_comparison,
    },
    shard::Shard,
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

/// What lies in a folder, byte for byte.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

fn same(found: &BTreeMap<String, Vec<u8>>, whole: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{what}");
    whole.iter().for_each(|(name, bytes)| assert!(found[name] == *bytes, "{what}: {name} differs"));
}

/// Every kind of comparison, in 1, 3 and more shards than there are shuffles, in any order, is that of one process.
#[test]
fn shards_compare_as_one_process_does() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, _) = studied(folder.path());
    let pairs = ["p1", "p1", "p2", "p2", "p3", "p3", "p4", "p4"];
    let sessions = ["post", "pre", "pre", "post", "pre", "post", "post", "pre"];
    let site = ["a", "b", "c", "a", "b", "c", "a", "b"];
    let cohort = with_columns(&cohort, &[("pair", pairs), ("session", sessions), ("site", site)]);
    let out = folder.path().join("out");
    let atlas = Some((folder.path().join("atlas.nii.gz"), folder.path().join("atlas.tsv")));
    let usual = || CompareOptions { out: Some(out.clone()), seed: 4, ..CompareOptions::default() };
    std::fs::write(folder.path().join("g.mat"), "1 0\n1 1\n1 0\n1 1\n1 0\n1 1\n1 0\n1 1\n").unwrap();
    std::fs::write(folder.path().join("g.con"), "0 1\n").unwrap();
    let kinds = [
        (
            "groups",
            CompareOptions {
                design: "label".into(),
                permutations: 17,
                cluster: Some(1.5),
                atlas: atlas.clone(),
                ..usual()
            },
        ),
        (
            "all arrangements in regions",
            CompareOptions {
                design: "label".into(),
                regions: Some(RegionMeasure::Mean),
                atlas: atlas.clone(),
                ..usual()
            },
        ),
        (
            "pairs",
            CompareOptions { design: "session".into(), paired: Some("pair".into()), tail: Tail::Less, ..usual() },
        ),
        ("three sites by F", CompareOptions { design: "site".into(), permutations: 10, ..usual() }),
        (
            "a mean, from disk",
            CompareOptions { permutations: 9, tail: Tail::Greater, smooth: 9.0, memory: 4000, ..usual() },
        ),
        (
            "a tail, robust",
            CompareOptions {
                design: "label + age".into(),
                permutations: 30,
                pareto_tail: true,
                robust: true,
                ..usual()
            },
        ),
        (
            "files",
            CompareOptions {
                design: folder.path().join("g.mat").display().to_string(),
                contrasts: Some(folder.path().join("g.con")),
                permutations: 6,
                ..usual()
            },
        ),
    ];
    let open = || Cohort::open(&cohort.path).unwrap();
    for (what, options) in &kinds {
        let summary = compare_cohort(open(), options, &Silent).unwrap();
        let whole = files(&out);
        std::fs::remove_dir_all(&out).unwrap();
        // More shards than there is work for, where that is little.
        for of in [1, 3, if summary.permutations < 20 { summary.permutations + 2 } else { 5 }] {
            let shard = |number: usize| {
                compare_cohort_shard(open(), options, Shard::new(number, of).unwrap(), &Silent).unwrap()
            };
            // The second first, the first last; the last of all has nothing to count where there are many.
            let order: Vec<usize> = (2..=of).chain([1]).collect();
            for &number in &order {
                let done: ComparedShard = shard(number);
                let units = (number - 1..summary.permutations).step_by(of).count();
                assert_eq!((done.permutations, done.now, done.compared), (units, units, false), "{what} {number}/{of}");
                let left = order.iter().skip_while(|n| **n != number).skip(1);
                let left = left.filter(|n| **n <= summary.permutations).count();
                assert_eq!(done.missing.len(), left, "{what} {number}/{of}");
                assert_eq!(shard(number).now, 0, "{what}: a shard that is done is no error");
            }
            assert!(is_compared_in_shards(&out));
            let merged = merge_comparison(&out, &Silent).unwrap();
            assert_eq!(merged, summary, "{what}");
            same(&files(&out), &whole, &format!("{what} in {of}"));
            // Who comes late finds it.
            let late = shard(1);
            assert!(late.compared && late.now == 0);
            same(&files(&out), &whole, what);
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
}

#[test]
fn what_is_missing_of_shards_is_named_and_what_is_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, _) = studied(folder.path());
    let out = folder.path().join("out");
    let options = CompareOptions {
        design: "label".into(),
        permutations: 11,
        out: Some(out.clone()),
        ..CompareOptions::default()
    };
    let open = || Cohort::open(&cohort.path).unwrap();
    let ask = |options: &CompareOptions, number, of| {
        compare_cohort_shard(open(), options, Shard::new(number, of).unwrap(), &Silent)
    };
    let words = |result: voxplain_core::Result<ComparedShard>| result.unwrap_err().to_string();
    compare_cohort(open(), &options, &Silent).unwrap();
    let whole = files(&out);
    std::fs::remove_dir_all(&out).unwrap();

    ask(&options, 2, 4).unwrap();
    let error = merge_comparison(&out, &Silent).unwrap_err();
    assert!(error.to_string().contains("shards 1, 3 and 4 are missing of 4"), "{error}");
    let step = error.remedy().unwrap().to_string();
    let expected = [" --", "design", "label", "permutations", "11", "shard", "1/4"];
    assert!(step.contains("compare ") && expected[1..].iter().all(|word| step.contains(word)), "{step}");
    assert!(words(ask(&options, 1, 3)).contains("was begun in 4 shards, and this is one of 3"));
    let seed = CompareOptions { seed: 9, ..options.clone() };
    assert!(words(ask(&seed, 1, 4)).contains("begun with other options or of other data"));
    let error = compare_cohort(open(), &seed, &Silent).unwrap_err();
    assert!(error.to_string().contains("begun with other options or of other data"), "{error}");
    // Another process is at work on the same shard.
    let claim = Claim::take_part(&out, "compare-out-3-of-4", "compare, shard 3/4", &Silent).unwrap();
    assert!(ask(&options, 3, 4).unwrap_err().is_transient());
    assert!(merge_comparison(&out, &Silent).unwrap_err().is_transient());
    ask(&options, 4, 4).unwrap();
    drop(claim);

    // A copy of another shard, of as many permutations.
    let copy = out.join("shard-3-of-4.json");
    std::fs::copy(out.join("shard-2-of-4.json"), &copy).unwrap();
    let error = merge_comparison(&out, &Silent).unwrap_err();
    assert!(error.to_string().contains("holds what shard 2 of 4 has counted"), "{error}");
    std::fs::remove_file(&copy).unwrap();

    // Of a file that does not fit the others.
    let file = out.join("shard-4-of-4.json");
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(&file, String::from_utf8(kept.clone()).unwrap().replacen("largest", "lergest", 1)).unwrap();
    ask(&options, 1, 4).unwrap_err();
    std::fs::write(&file, &kept).unwrap();
    ask(&options, 1, 4).unwrap();
    // The same command without a shard counts what is missing, and puts all together.
    compare_cohort(open(), &options, &Silent).unwrap();
    same(&files(&out), &whole, "what was left");

    // Replaced, also where shards were begun.
    std::fs::remove_file(out.join("summary.json")).unwrap();
    ask(&options, 1, 2).unwrap_err();
    std::fs::remove_dir_all(&out).unwrap();
    ask(&options, 1, 2).unwrap();
    compare_cohort(open(), &CompareOptions { force: true, ..seed.clone() }, &Silent).unwrap();
    assert!(!files(&out).keys().any(|name| name.contains("shard")));
    assert!(words(ask(&options, 1, 2)).contains("made of other data or in another way"));

    // People who changed since.
    std::fs::remove_dir_all(&out).unwrap();
    ask(&options, 1, 1).unwrap();
    let table = cohort.path.join("participants.tsv");
    let text = std::fs::read_to_string(&table).unwrap();
    let column = text.lines().next().unwrap().split('\t').position(|name| name == "label").unwrap();
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    // Two of the two groups change places.
    let other = (2..9).find(|n| cells[*n][column] != cells[1][column]).unwrap();
    let mut changed = cells.clone();
    (changed[1][column], changed[other][column]) = (cells[other][column], cells[1][column]);
    std::fs::write(&table, changed.iter().map(|row| row.join("\t") + "\n").collect::<String>()).unwrap();
    let error = merge_comparison(&out, &Silent).unwrap_err();
    assert!(error.to_string().contains("of other data"), "{error}");
}
