//! Sessions as rows, and several sources in one cohort.

use std::{fs, path::Path};
use voxplain_core::{Result, Silent};
use voxplain_study::{
    cohort::Cohort,
    prepare::{EntityFilter, MaskRule, PrepareOptions, PrepareSummary, Site, prepare, prepare_sites},
};
use voxplain_volume::{Affine, Grid, Volume, WriteOptions, write};

/// A skull-stripped head that differs from all others, of the volume of a brain.
fn head(seed: usize) -> Volume {
    let grid = Grid::new([28, 32, 26], Affine::from_spacing_origin([4.0; 3], [-54.0, -62.0, -50.0])).unwrap();
    Volume::from_fn(grid, |v| {
        let p = grid.affine.apply(v.map(|n| n as f64));
        let r = (p[0] / 50.0).powi(2) + (p[1] / 58.0).powi(2) + (p[2] / 46.0).powi(2);
        if r < 0.8 { (500 + seed * 7 + v[0] * 3 + (v[1] * (seed + 1)) % 11) as f32 } else { 0.0 }
    })
}

/// Writes an image at each path, each another.
pub(crate) fn images(root: &Path, paths: &[&str]) {
    for (n, path) in paths.iter().enumerate() {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, &head(n), &WriteOptions::default()).unwrap();
    }
}

pub(crate) fn text(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn options() -> PrepareOptions {
    PrepareOptions {
        shape: Some([24, 28, 22]),
        spacing: Some([5.0; 3]),
        each_session: true,
        ..PrepareOptions::default()
    }
}

fn run(root: &Path, options: &PrepareOptions) -> Result<PrepareSummary> {
    prepare(root, &root.with_extension("cohort"), &PrepareOptions { force: true, ..options.clone() }, &Silent)
}

fn ids(cohort: &Cohort) -> Vec<&str> {
    cohort.subjects.iter().map(|s| s.id.as_str()).collect()
}

fn column<'a>(cohort: &'a Cohort, name: &str) -> Vec<&'a str> {
    cohort.column(name).unwrap().into_iter().map(|c| c.unwrap_or("n/a")).collect()
}

const LONGITUDINAL: [&str; 4] = [
    "sub-02/ses-10/anat/sub-02_ses-10_T1w.nii.gz",
    "sub-02/ses-2/anat/sub-02_ses-2_T1w.nii.gz",
    "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
    "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
];

#[test]
fn every_session_is_a_row_with_the_label_of_its_person() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    images(&root, &LONGITUDINAL);
    text(&root, "participants.tsv", "participant_id\tsex\tage\nsub-01\tM\t60\nsub-02\tF\t70\n");
    let error = run(&root, &PrepareOptions { each_session: false, ..options() }).unwrap_err();
    assert!(error.to_string().starts_with("2 subjects have more than one image: 01: "), "{error}");
    let remedy = error.remedy().unwrap().to_string();
    assert!(remedy.contains("`each-session`") && remedy.contains("`session`"), "{remedy}");
    let summary = run(&root, &options()).unwrap();
    let cohort = summary.cohort.unwrap();
    assert_eq!(ids(&cohort), ["01_ses-1", "01_ses-2", "02_ses-2", "02_ses-10"]);
    assert_eq!(cohort.participants.columns, ["participant_id", "sex", "age", "person", "session_id"]);
    assert_eq!(column(&cohort, "participant_id")[1], "sub-01_ses-2");
    assert_eq!(column(&cohort, "person"), ["01", "01", "02", "02"]);
    assert_eq!(column(&cohort, "session_id"), ["ses-1", "ses-2", "ses-2", "ses-10"]);
    assert_eq!(column(&cohort, "sex"), ["M", "M", "F", "F"]);
    assert_eq!(cohort.subjects[3].source.as_ref().unwrap(), &root.join(LONGITUDINAL[0]));
    assert_eq!(summary.inclusion.lines(), ["found 4 images and 2 rows; 4 used, nothing left out"]);
    // Some sessions, and people without images: counted, refused or left out as everywhere.
    let first = PrepareOptions { entities: vec![EntityFilter::new("ses", "2")], ..options() };
    assert_eq!(ids(&run(&root, &first).unwrap().cohort.unwrap()), ["01_ses-2", "02_ses-2"]);
    text(&root, "participants.tsv", "participant_id\tsex\nsub-01\tM\nsub-03\tF\n");
    let error = run(&root, &options()).unwrap_err().to_string();
    assert!(error.contains("2 images have no row") && error.contains("1 row has no image: 03"), "{error}");
    let summary = run(&root, &PrepareOptions { keep_going: true, ..options() }).unwrap();
    assert_eq!((summary.prepared, summary.inclusion.left_out.len()), (2, 3));
    // Two runs of one session cannot be told apart.
    images(&root, &["sub-01/ses-1/anat/sub-01_ses-1_run-2_T1w.nii.gz"]);
    let error = run(&root, &PrepareOptions { keep_going: true, ..options() }).unwrap_err();
    assert!(error.to_string().contains("1 subject has more than one image: 01_ses-1: "), "{error}");
    assert!(error.remedy().unwrap().to_string().contains("`run`"), "{error}");
    // Nobody's table: ids and people from the names.
    fs::remove_file(root.join("participants.tsv")).unwrap();
    let run_none = PrepareOptions { entities: vec![EntityFilter::new("run", "none")], ..options() };
    let cohort = run(&root, &run_none).unwrap().cohort.unwrap();
    assert_eq!(column(&cohort, "person"), ["01", "01", "02", "02"]);
    let error = run(&root, &PrepareOptions { each_session: false, ..run_none }).unwrap_err();
    assert!(error.to_string().contains("2 subjects have more than one image"), "{error}");
}

#[test]
fn a_table_of_sessions_gives_each_its_own_label() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    images(&root, &LONGITUDINAL);
    let rows = "participant_id\tsession_id\tstate\nsub-02\tses-10\tAD\nsub-01\tses-1\tCN\nsub-01\tses-2\tMCI\nsub-02\tses-2\tMCI\n";
    text(&root, "participants.tsv", rows);
    let cohort = run(&root, &options()).unwrap().cohort.unwrap();
    assert_eq!(ids(&cohort), ["02_ses-10", "01_ses-1", "01_ses-2", "02_ses-2"]);
    assert_eq!(column(&cohort, "state"), ["AD", "CN", "MCI", "MCI"]);
    assert_eq!(column(&cohort, "session_id"), ["ses-10", "ses-1", "ses-2", "ses-2"]);
    assert_eq!(column(&cohort, "person"), ["02", "01", "01", "02"]);
    // Sessions that differ by zeros, and rows and images without each other.
    text(&root, "participants.tsv", &rows.replace("ses-1\t", "ses-01\t"));
    let error = run(&root, &options()).unwrap_err().to_string();
    assert!(error.contains("image `01_ses-1`, row `01_ses-01`"), "{error}");
    assert!(error.contains("1 image has no row") && error.contains("1 row has no image: 01_ses-01"), "{error}");
    text(&root, "participants.tsv", &format!("{rows}sub-01\tses-1\tAD\n"));
    let error = run(&root, &options()).unwrap_err().to_string();
    assert!(error.contains("more than one row of one session: 01_ses-1"), "{error}");
    // Ids that say the session themselves.
    text(&root, "participants.tsv", "participant_id\tstate\nsub-01_ses-1\tCN\nsub-01_ses-2\tMCI\n");
    let going = PrepareOptions { keep_going: true, each_session: false, ..options() };
    let cohort = run(&root, &going).unwrap().cohort.unwrap();
    assert_eq!(column(&cohort, "person"), ["01", "01"]);
    assert_eq!(column(&cohort, "session_id"), ["ses-1", "ses-2"]);
}

#[test]
fn files_of_sessions_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    images(&root, &LONGITUDINAL);
    text(&root, "participants.tsv", "participant_id\tsex\tage\nsub-01\tM\t60\nsub-02\tF\t70\n");
    text(&root, "sub-01/sub-01_sessions.tsv", "session_id\tage\tscore\nses-1\t60\t5\nses-2\t62\tn/a\nses-3\t63\t7\n");
    let summary = run(&root, &options()).unwrap();
    let cohort = summary.cohort.unwrap();
    assert_eq!(
        cohort.participants.columns,
        ["participant_id", "sex", "participant_age", "age", "score", "person", "session_id"]
    );
    assert_eq!(column(&cohort, "age"), ["60", "62", "n/a", "n/a"]);
    assert_eq!(column(&cohort, "participant_age"), ["60", "60", "70", "70"]);
    assert_eq!(column(&cohort, "score"), ["5", "n/a", "n/a", "n/a"]);
    let left: Vec<&str> = summary.inclusion.left_out.iter().map(|l| l.what.as_str()).collect();
    assert_eq!(left, ["01_ses-3"]);
    for (wrong, what) in [
        ("session\tage\nses-1\t60\n", "no column `session_id`"),
        ("session_id\tage\nses-1\t60\nses-1\t61\n", "session `1` stands in more than one row"),
        ("session_id\tparticipant_id\nses-1\tsub-02\n", "it speaks of `sub-02`"),
    ] {
        text(&root, "sub-01/sub-01_sessions.tsv", wrong);
        let error = run(&root, &options()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("sub-01_sessions.tsv"), "{error}");
    }
}

#[test]
fn masks_follow_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    images(&root, &LONGITUDINAL);
    text(&root, "participants.tsv", "participant_id\nsub-01\nsub-02\n");
    let mask = |shift: usize| {
        let head = head(0);
        Volume::from_fn(*head.grid(), |[i, j, k]| f32::from(u8::from(head.at(i, j, k) > 0.0 && k > shift)))
    };
    for (n, image) in LONGITUDINAL.iter().enumerate() {
        let path = root.join("derivatives/m").join(image.replace("_T1w", "_desc-brain_mask"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, &mask(4 + n), &WriteOptions::default()).unwrap();
    }
    let options = PrepareOptions { mask: MaskRule::Suffix("_desc-brain_mask.nii.gz".into()), ..options() };
    let cohort = run(&root, &options).unwrap().cohort.unwrap();
    let volumes: Vec<f64> = cohort.subjects.iter().map(|s| s.mask_volume).collect();
    // In the order of ids: images 3, 2, 1, 0, with ever larger masks.
    assert!(volumes.windows(2).all(|pair| pair[0] < pair[1]), "{volumes:?}");
}

#[test]
fn tables_of_paths_name_the_person() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &["a1.nii.gz", "a2.nii.gz", "b1.nii.gz"]);
    let table = dir.path().join("t.csv");
    let run = |text: &str, options: &PrepareOptions| {
        fs::write(&table, text).unwrap();
        run(&table, options)
    };
    let plain = PrepareOptions { each_session: false, ..options() };
    let named = PrepareOptions { person_column: Some("who".into()), ..plain.clone() };
    let rows = "participant_id,path,who\nA,a1.nii.gz,x\nB,a2.nii.gz,x\nC,b1.nii.gz,y\n";
    let cohort = run(rows, &named).unwrap().cohort.unwrap();
    assert_eq!((ids(&cohort), column(&cohort, "person")), (vec!["A", "B", "C"], vec!["x", "x", "y"]));
    assert_eq!(cohort.headcount(&[0, 1, 2]).unwrap().to_string(), "3 scans of 2 people");
    assert_eq!(
        run(&rows.replace("who", "person"), &plain).unwrap().cohort.unwrap().headcount(&[0, 1]).unwrap().people,
        Some(1)
    );
    // Persons in the rows, sessions in a column.
    let rows = "participant_id,session,path\nx,1,a1.nii.gz\nx,2,a2.nii.gz\ny,1,b1.nii.gz\n";
    let cohort = run(rows, &options()).unwrap().cohort.unwrap();
    assert_eq!((ids(&cohort), column(&cohort, "person")), (vec!["x_ses-1", "x_ses-2", "y_ses-1"], vec!["x", "x", "y"]));
    let error = run(rows, &plain).unwrap_err();
    assert!(error.to_string().contains("1 value of `participant_id` stands in more than one row: x"), "{error}");
    let remedy = error.remedy().unwrap().to_string();
    assert!(remedy.contains("`each-session`") && remedy.contains("`person-column`"), "{remedy}");
    for (rows, what) in [
        ("participant_id,path,who,person\nA,a1.nii.gz,x,z\n", "has a column `person` too"),
        ("participant_id,path,who\nA,a1.nii.gz,\nB,a2.nii.gz,x\n", "1 row has no `who`: A"),
        ("participant_id,path\nA,a1.nii.gz\n", "no column `who`"),
    ] {
        let error = run(rows, &named).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let rows = "participant_id,path,person\nA_ses-1,a1.nii.gz,x\nA_ses-2,a2.nii.gz,y\n";
    let error = run(rows, &plain).unwrap_err().to_string();
    assert!(error.contains("A_ses-1 is an image of x, and A_ses-2 one of y"), "{error}");
}

/// Two BIDS datasets, `a` with people 01 and 02 and `b` with 11 and 12, and a table of paths.
fn two_sites(root: &Path) {
    images(
        root,
        &[
            "a/sub-01/anat/sub-01_T1w.nii.gz",
            "a/sub-02/anat/sub-02_T1w.nii.gz",
            "b/sub-11/anat/sub-11_T1w.nii.gz",
            "b/sub-12/anat/sub-12_T1w.nii.gz",
            "c/x.nii.gz",
        ],
    );
    text(root, "a/participants.tsv", "participant_id\tsex\tage\nsub-01\tM\t60\nsub-02\tF\t61\n");
    text(root, "b/participants.tsv", "participant_id\tSex\tsex\nsub-11\tq\tM\nsub-12\tq\tF\n");
    text(root, "c/t.csv", "participant_id,path\n21,x.nii.gz\n");
}

fn sites(root: &Path, paths: &[&str]) -> Vec<Site> {
    paths.iter().map(|path| Site { path: root.join(path), ..Site::default() }).collect()
}

fn run_sites(root: &Path, sites: &[Site], options: &PrepareOptions) -> Result<PrepareSummary> {
    let options = PrepareOptions { force: true, each_session: false, ..options.clone() };
    prepare_sites(sites, &root.join("cohort"), &options, &Silent)
}

#[test]
fn several_sources_come_into_one_cohort() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_sites(root);
    let summary = run_sites(root, &sites(root, &["a", "b", "c/t.csv"]), &options()).unwrap();
    let cohort = summary.cohort.unwrap();
    assert_eq!(ids(&cohort), ["01", "02", "11", "12", "21"]);
    assert_eq!(cohort.participants.columns, ["participant_id", "sex", "age", "Sex", "path", "site"]);
    assert_eq!(column(&cohort, "site"), ["a", "a", "b", "b", "t"]);
    assert_eq!(column(&cohort, "sex"), ["M", "F", "M", "F", "n/a"]);
    assert_eq!(column(&cohort, "age"), ["60", "61", "n/a", "n/a", "n/a"]);
    assert_eq!(cohort.inclusion.as_ref(), Some(&summary.inclusion));
    assert_eq!(
        summary.inclusion.lines(),
        [
            "found 5 images and 5 rows; 5 used, nothing left out",
            "  a: found 2 images and 2 rows; 2 used, nothing left out",
            "  b: found 2 images and 2 rows; 2 used, nothing left out",
            "  t: found 1 image and 1 row; 1 used, nothing left out",
        ]
    );
    // The same again is done already; other sources, names or a changed table are another cohort.
    let again = |sites: &[Site]| {
        prepare_sites(sites, &root.join("cohort"), &PrepareOptions { each_session: false, ..options() }, &Silent)
    };
    let three = sites(root, &["a", "b", "c/t.csv"]);
    assert_eq!(again(&three).unwrap().resumed, 5);
    assert!(again(&three[..2]).is_err() && again(&sites(root, &["b", "a", "c/t.csv"])).is_err());
    let named = |names: &[&str]| {
        let named = |(site, name): (&Site, &&str)| Site { name: Some((*name).to_owned()), ..site.clone() };
        three.iter().zip(names).map(named).collect::<Vec<_>>()
    };
    assert!(again(&named(&["a", "b", "c"])).is_err());
    let cohort = run_sites(root, &named(&["Site 1", "Site 2", "C"]), &options()).unwrap().cohort.unwrap();
    assert_eq!(column(&cohort, "site"), ["Site 1", "Site 1", "Site 2", "Site 2", "C"]);
    let error = run_sites(root, &named(&["Site 1", "site-1", "C"]), &options()).unwrap_err();
    assert!(error.to_string().contains("would be the sites `Site 1` and `site-1`"), "{error}");
    assert!(error.remedy().unwrap().to_string().contains("`site`"), "{error}");
    // A column of that name stays as it is.
    text(root, "a/participants.tsv", "participant_id\tsite\nsub-01\tx\nsub-02\ty\n");
    let cohort = run_sites(root, &sites(root, &["a", "b"]), &options()).unwrap().cohort.unwrap();
    assert_eq!(column(&cohort, "site"), ["x", "y", "n/a", "n/a"]);
    assert_eq!(column(&cohort, "source"), ["a", "a", "b", "b"]);
}

#[test]
fn what_is_in_two_sources_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_sites(root);
    // A folder within a source, and a link to an image of another.
    let error = run_sites(root, &sites(root, &["a", "a/sub-01"]), &options()).unwrap_err().to_string();
    assert!(error.contains("one file"), "{error}");
    // An id of both; spelled in another way; of another session.
    for (other, session) in [("01", false), ("1", false), ("01_ses-2", true)] {
        let at = root.join(format!("d{}", other.len()));
        let folder = at.join("x");
        images(&folder, &[&format!("sub-{other}_T1w.nii.gz")]);
        text(&at, "t.csv", &format!("participant_id,path\n{other},x/sub-{other}_T1w.nii.gz\n"));
        let both =
            [Site { path: root.join("a"), ..Site::default() }, Site { path: at.join("t.csv"), ..Site::default() }];
        let error = run_sites(root, &both, &options()).unwrap_err();
        assert!(error.to_string().starts_with("1 id stands in more than one source"), "{error}");
        assert!(error.to_string().contains(&format!("01 (a) and {other} (t)")), "{error}");
        let remedy = error.remedy().unwrap().to_string();
        assert!(remedy.contains("`site-in-id`") && remedy.contains("rename"), "{remedy}");
        let cohort = run_sites(root, &both, &PrepareOptions { site_in_id: true, ..options() }).unwrap().cohort.unwrap();
        assert_eq!(ids(&cohort), ["a-01".to_owned(), "a-02".into(), format!("t-{other}")]);
        if session {
            assert_eq!(column(&cohort, "person"), ["a-01", "a-02", "t-01"]);
        }
    }
    // The person that both tables name is one person, whether or not the sites go into the ids.
    text(root, "a/participants.tsv", "participant_id\tperson\nsub-01\tp\nsub-02\tr\n");
    text(root, "b/participants.tsv", "participant_id\tperson\nsub-11\tp\nsub-12\tq\n");
    let cohort = run_sites(root, &sites(root, &["a", "b"]), &options()).unwrap().cohort.unwrap();
    assert_eq!(cohort.headcount(&[0, 1, 2, 3]).unwrap().to_string(), "4 scans of 3 people");
    let apart = PrepareOptions { site_in_id: true, ..options() };
    let cohort = run_sites(root, &sites(root, &["a", "b"]), &apart).unwrap().cohort.unwrap();
    assert_eq!(ids(&cohort), ["a-01", "a-02", "b-11", "b-12"]);
    assert_eq!(column(&cohort, "person"), ["p", "r", "p", "q"]);
    assert_eq!(cohort.headcount(&[0, 1, 2, 3]).unwrap().to_string(), "4 scans of 3 people");
}

#[test]
fn tables_of_several_sources_and_what_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    two_sites(root);
    let paths = [root.join("a"), root.join("b")];
    let table = |name: &str, rows: &str| {
        text(root, name, &format!("participant_id\tsex\n{rows}"));
        root.join(name)
    };
    let joint = table("all.tsv", "01\tM\n02\tF\n11\tM\n12\tF\n");
    let go = |tables: &[std::path::PathBuf], keep_going: bool| {
        let (sites, participants) = Site::of(&paths, &[], tables).unwrap();
        run_sites(root, &sites, &PrepareOptions { participants, keep_going, ..options() })
    };
    let summary = go(std::slice::from_ref(&joint), false).unwrap();
    assert_eq!(column(summary.cohort.as_ref().unwrap(), "sex"), ["M", "F", "M", "F"]);
    assert_eq!(summary.inclusion.lines()[0], "found 4 images and 4 rows; 4 used, nothing left out");
    table("all.tsv", "01\tM\n02\tF\n11\tM\n13\tF\n");
    let error = go(std::slice::from_ref(&joint), false).unwrap_err().to_string();
    assert!(error.contains("b: 1 image has no row in the table: sub-12_T1w.nii.gz"), "{error}");
    assert!(error.contains("1 row has no image in any source: 13"), "{error}");
    let summary = go(std::slice::from_ref(&joint), true).unwrap();
    let lines = summary.inclusion.lines();
    assert_eq!(lines[0], "found 4 images and 4 rows; 3 used, 2 left out");
    assert_eq!(lines[2], "  b: found 2 images; 1 used, 1 left out");
    // A table for each; numbers that do not go together.
    let summary = go(&[table("a.tsv", "01\tF\n02\tF\n"), table("b.tsv", "11\tM\n12\tM\n")], false).unwrap();
    assert_eq!(column(&summary.cohort.unwrap(), "sex"), ["F", "F", "M", "M"]);
    assert!(Site::of(&paths, &["x".into()], &[]).unwrap_err().to_string().contains("1 name for 2 sources"));
    let three = [joint.clone(), joint.clone(), joint.clone()];
    assert!(Site::of(&paths, &[], &three).unwrap_err().to_string().contains("3 tables for 2 sources"));
    // A subject that fails is counted at its source.
    fs::write(root.join("b/sub-12/anat/sub-12_T1w.nii.gz"), "no image").unwrap();
    let summary =
        run_sites(root, &sites(root, &["a", "b"]), &PrepareOptions { keep_going: true, ..options() }).unwrap();
    assert_eq!(
        summary.inclusion.lines()[..3],
        [
            "found 4 images and 4 rows; 3 used, 1 left out",
            "  a: found 2 images and 2 rows; 2 used, nothing left out",
            "  b: found 2 images and 2 rows; 1 used, 1 left out",
        ]
    );
}

/// One session of each person, without a row for every session: its sessions.tsv counts as well.
#[test]
fn a_chosen_session_has_what_sessions_tsv_says() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("bids");
    images(&root, &LONGITUDINAL);
    text(&root, "participants.tsv", "participant_id\tstate\nsub-01\tCN\nsub-02\tCN\n");
    text(&root, "sub-01/sub-01_sessions.tsv", "session_id\tstate\nses-1\tCN\nses-2\tAD\n");
    text(&root, "sub-02/sub-02_sessions.tsv", "session_id\tstate\nses-2\tMCI\nses-10\tAD\n");
    let second =
        PrepareOptions { entities: vec![EntityFilter::new("ses", "2,none")], each_session: false, ..options() };
    let summary = run(&root, &second).unwrap();
    let cohort = summary.cohort.unwrap();
    assert_eq!(ids(&cohort), ["01", "02"]);
    assert_eq!(column(&cohort, "state"), ["AD", "MCI"]);
    assert_eq!(column(&cohort, "participant_state"), ["CN", "CN"]);
    // A row whose images are not chosen has images, and is counted by them alone.
    let tenth = PrepareOptions { entities: vec![EntityFilter::new("ses", "10")], ..second };
    let summary = run(&root, &tenth).unwrap();
    assert_eq!(column(&summary.cohort.unwrap(), "state"), ["AD"]);
    assert_eq!(summary.without_image, [""; 0]);
    let lines = summary.inclusion.lines();
    assert_eq!(lines[0], "found 4 images and 2 rows; 1 used, 3 left out");
    assert!(lines.len() == 2 && lines[1].contains("3 left out, not among the chosen images"), "{lines:?}");
}

#[test]
fn people_stand_in_a_column_of_any_case_or_in_the_paths() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &["sub-01/ses-1/a.nii.gz", "sub-01/ses-2/b.nii.gz", "sub-02/ses-1/c.nii.gz"]);
    let table = dir.path().join("t.csv");
    let run = |text: &str, options: &PrepareOptions| {
        fs::write(&table, text).unwrap();
        run(&table, options).unwrap().cohort.unwrap()
    };
    let rows =
        "participant_id,path,Person\nA,sub-01/ses-1/a.nii.gz,x\nB,sub-01/ses-2/b.nii.gz,x\nC,sub-02/ses-1/c.nii.gz,y\n";
    let plain = PrepareOptions { each_session: false, ..options() };
    let named = PrepareOptions { person_column: Some("Person".into()), ..plain.clone() };
    for options in [&plain, &named, &options()] {
        let cohort = run(rows, options);
        assert_eq!(column(&cohort, "person"), ["x", "x", "y"]);
        assert!(!cohort.participants.columns.contains(&"Person".to_owned()));
    }
    let rows = rows.replace(",Person", "").replace(",x", "").replace(",y", "");
    assert!(run(&rows, &plain).column("person").is_err());
    let cohort = run(&rows, &options());
    assert_eq!(ids(&cohort), ["A_ses-1", "B_ses-2", "C_ses-1"]);
    assert_eq!(column(&cohort, "person"), ["01", "01", "02"]);
}
