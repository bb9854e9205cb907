//! What is said of people, sessions and sources before an image is read.

use super::super::{entities::EntityFilter, tree::tree};
use super::*;
use std::fs;

/// The notes of a plan, or the error and what to do about it.
fn planned(sites: &[PathBuf], options: &PrepareOptions) -> Result<Vec<String>, (String, String)> {
    let sites: Vec<Site> = sites.iter().map(|path| Site { path: path.clone(), ..Site::default() }).collect();
    let plan = Plan::new(&sites, options).map_err(|e| (e.to_string(), e.remedy().unwrap().to_string()))?;
    Ok(plan.notes)
}

fn session(values: &str) -> PrepareOptions {
    PrepareOptions { entities: vec![EntityFilter::new("ses", values)], ..PrepareOptions::default() }
}

#[test]
fn a_chosen_session_says_whom_it_leaves_out() {
    let dir = tree(["sub-1_ses-1_T1w.nii", "sub-1_ses-2_T1w.nii", "sub-2_ses-1_T1w.nii", "sub-3_T1w.nii"]);
    let notes = planned(&[dir.path().to_owned()], &session("2")).unwrap();
    assert_eq!(notes, ["2 people have no image of ses-2 and are not in the cohort: 2, 3"]);
    assert_eq!(planned(&[dir.path().to_owned()], &session("1,none")).unwrap(), [""; 0]);
    // A row for each session needs more than the choice, and what is named works.
    let table = "participant_id\tsession_id\nsub-1\tses-1\nsub-1\tses-2\nsub-2\tses-1\n";
    fs::write(dir.path().join("participants.tsv"), table).unwrap();
    fs::remove_file(dir.path().join("sub-3_T1w.nii")).unwrap();
    let (what, remedy) = planned(&[dir.path().to_owned()], &session("2")).unwrap_err();
    assert!(what.ends_with("more than one row: 1 (column `session_id` says of which session each is)"), "{what}");
    let works = "give `each-session` beside `session` = 2: rows are then found by person and session";
    assert_eq!(remedy, works);
    let each = PrepareOptions { each_session: true, ..session("2") };
    assert_eq!(
        planned(&[dir.path().to_owned()], &each).unwrap(),
        ["1 person has no image of ses-2 and is not in the cohort: 2"]
    );
}

#[test]
fn one_of_two_sources_has_sessions() {
    let dir = tree(["a/sub-A1_ses-1_T1w.nii", "a/sub-A1_ses-2_T1w.nii", "b/sub-B1_T1w.nii"]);
    let sites = ["a", "b"].map(|name| dir.path().join(name));
    let (_, remedy) = planned(&sites, &PrepareOptions::default()).unwrap_err();
    assert!(remedy.starts_with("choose with `session` = 1,none or `session` = 2,none"), "{remedy}");
    let (_, remedy) = planned(&sites, &session("1")).unwrap_err();
    assert!(remedy.ends_with("images without it are taken too with `session` = 1,none"), "{remedy}");
    assert!(planned(&sites, &session("1,none")).is_ok());
}

#[test]
fn people_in_one_of_two_sources_or_in_two_spellings() {
    let dir = tree(["a/A1.nii", "a/A2.nii", "b/B1.nii"]);
    let sites = ["a", "b"].map(|name| dir.path().join(name));
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("a/participants.tsv", "participant_id\tperson\nA1\tp1\nA2\tP01\n");
    write("b/participants.tsv", "participant_id\tsex\nB1\tF\n");
    let notes = planned(&sites, &PrepareOptions::default()).unwrap();
    assert!(notes[0].starts_with("a column `person` stands in the table of a, not of b"), "{notes:?}");
    assert!(notes[1].contains("two ways: `p1` and `P01`; a training on both is refused"), "{notes:?}");
    let wanted = PrepareOptions { person_column: Some("person".into()), ..PrepareOptions::default() };
    let (what, _) = planned(&sites, &wanted).unwrap_err();
    assert!(what.starts_with(&format!("{}: its table has no column `person`", sites[1].display())), "{what}");
}

#[test]
fn rows_of_one_folder_that_are_different_people() {
    let dir = tree(["sub-01/x.nii", "sub-01/y.nii", "sub-02/z.nii"]);
    let table = dir.path().join("t.csv");
    let notes = |people: [&str; 3]| {
        let [x, y, z] = people;
        let rows = format!("x,sub-01/x.nii,{x}\ny,sub-01/y.nii,{y}\nz,sub-02/z.nii,{z}\n");
        fs::write(&table, format!("participant_id,path,person\n{rows}")).unwrap();
        planned(std::slice::from_ref(&table), &PrepareOptions::default()).unwrap()
    };
    assert_eq!(notes(["p", "p", "q"]), [""; 0]);
    let said = notes(["p", "q", "r"]);
    assert!(said[0].contains("are different people by the column `person`: sub-01: x is `p`, y is `q`"), "{said:?}");
}

#[test]
fn masks_of_other_sessions_people_and_kinds_are_never_taken() {
    let dir = tree([
        "sub-1/ses-1/anat/sub-1_T1w.nii",
        "sub-1/ses-2/anat/sub-1_T1w.nii",
        "sub-1/ses-2/anat/sub-1_desc-brain_mask.nii",
    ]);
    let root = dir.path().to_owned();
    let mask = MaskRule::Suffix("_desc-brain_mask.nii".into());
    let options = PrepareOptions { mask: mask.clone(), ..session("1") };
    let masks = |options: &PrepareOptions| {
        let plan = Plan::new(&[Site { path: root.clone(), ..Site::default() }], options).unwrap();
        let why = |item: Item| match item.input {
            Input::Image { mask, .. } => mask.map(|_| ()).map_err(|(what, _)| what),
            Input::Tensor(_) => Ok(()),
        };
        plan.items.into_iter().map(why).collect::<Vec<_>>()
    };
    assert!(masks(&options)[0].as_ref().unwrap_err().contains("that it is of ses-2, not of ses-1)"));
    let each = PrepareOptions { mask, each_session: true, ..PrepareOptions::default() };
    let found = masks(&each);
    assert!(found[0].is_err() && found[1].is_ok(), "{found:?}");
}

#[test]
fn one_mask_for_two_people_is_refused_and_folders_of_sites_are_known() {
    let images = ["A/sub-1_T1w.nii", "B/sub-1_T1w.nii", "B/sub-2_T1w.nii"];
    let together = ["m/sub-1_mask.nii", "m/sub-2_mask.nii"];
    let planned = |masks: &[&str]| {
        let dir = tree(images.iter().chain(masks));
        let sites = ["A", "B"].map(|name| Site { path: dir.path().join(name), ..Site::default() });
        let mask = MaskRule::Folder(dir.path().join("m"), None);
        let options = PrepareOptions { mask, site_in_id: true, ..PrepareOptions::default() };
        let mask_of = |item: &Item| match &item.input {
            Input::Image { mask: Ok(Some(mask)), .. } => mask.strip_prefix(dir.path()).unwrap().display().to_string(),
            Input::Image { .. } | Input::Tensor(_) => "none".to_owned(),
        };
        let plan = Plan::new(&sites, &options).map_err(|e| (e.to_string(), e.remedy().unwrap().to_string()));
        plan.map(|plan| plan.items.iter().map(mask_of).collect::<Vec<_>>())
    };
    let (what, remedy) = planned(&together).unwrap_err();
    assert!(what.contains("would be that of two images") && what.contains("(A-1)") && what.contains("(B-1)"), "{what}");
    assert!(remedy.contains("a folder of its name") && remedy.contains("m/B"), "{remedy}");
    // What is advised works.
    let by_site = ["m/A/sub-1_mask.nii", "m/B/sub-1_mask.nii", "m/B/sub-2_mask.nii"];
    assert_eq!(planned(&by_site).unwrap(), by_site);
    // A source takes nothing from the folder of another one.
    let (what, _) = planned(&["m/A/sub-1_mask.nii"]).unwrap_err();
    assert!(what.contains("those of other sources"), "{what}");
}

#[test]
fn one_mask_of_a_column_for_two_people_is_refused() {
    let dir = tree(["x.nii", "y.nii", "m.nii"]);
    let table = dir.path().join("t.csv");
    let planned = |people: [&str; 2]| {
        let rows = format!("x,x.nii,m.nii,{}\ny,y.nii,m.nii,{}\n", people[0], people[1]);
        fs::write(&table, format!("participant_id,path,mask,person\n{rows}")).unwrap();
        planned(std::slice::from_ref(&table), &PrepareOptions::default())
    };
    assert!(planned(["p", "q"]).unwrap_err().0.contains("would be that of two images"));
    assert!(planned(["p", "p"]).is_ok());
}

#[test]
fn rows_whose_ids_and_files_are_of_different_subjects() {
    let dir = tree(["sub-1_T1w.nii", "sub-2_T1w.nii", "sub-1_FLAIR.nii", "sub-2_FLAIR.nii"]);
    let table = dir.path().join("t.csv");
    let planned = |rows: &str, options: &PrepareOptions| {
        fs::write(&table, rows).unwrap();
        planned(std::slice::from_ref(&table), options)
    };
    let one = PrepareOptions::default();
    let refused = |rows: &str, options: &PrepareOptions| planned(rows, options).unwrap_err();
    let (what, remedy) = refused("participant_id,path\nsub-1,sub-2_T1w.nii\nsub-3,sub-1_T1w.nii\n", &one);
    assert!(
        what.contains("2 of 2 rows name the image of another subject or session than its `participant_id`: sub-1: "),
        "{what}"
    );
    assert!(what.contains("sub-2_T1w.nii (it is of sub-2)") && remedy.contains("no `sub-`"), "{what}; {remedy}");
    // Ids that are no `sub-`, and zeros before a number, are the user's own.
    assert_eq!(planned("participant_id,path\na,sub-2_T1w.nii\nsub-01,sub-1_T1w.nii\n", &one).unwrap(), [""; 0]);
    let said = planned("participant_id,path\na,sub-1_T1w.nii\nb,sub-2_FLAIR.nii\n", &one).unwrap();
    assert!(
        said[0].contains("1 of 2 images of the table is of another kind than the others (T1w): b (FLAIR)"),
        "{said:?}"
    );
    let two = PrepareOptions { channels: vec!["t1".into(), "flair".into()], ..PrepareOptions::default() };
    let rows = |a: &str, b: &str| format!("participant_id,t1,flair\na,sub-1_{a}.nii,{b}.nii\n");
    let (what, _) = refused(&rows("T1w", "sub-2_FLAIR"), &two);
    assert!(what.contains("1 image is of another subject than the first channel of their row: a: "), "{what}");
    assert!(what.contains("(it is of sub-2, not of sub-1)"), "{what}");
    let (what, _) = refused(&rows("T1w", "sub-1_T1w"), &two);
    assert!(what.contains("1 image of the column `flair` is of another kind by name: a: "), "{what}");
    assert!(refused(&rows("FLAIR", "sub-1_T1w"), &two).0.contains("the column `t1`"));
    assert_eq!(planned(&rows("T1w", "sub-1_FLAIR"), &two).unwrap(), [""; 0]);
}

#[test]
fn masks_that_are_given_file_by_file_are_doubted_and_taken() {
    let dir =
        tree(["sub-1_T1w.nii", "sub-2_T1w.nii", "sub-1_mask.nii", "sub-2_mask.nii", "P1_mask.nii", "P2_mask.nii"]);
    let table = dir.path().join("t.csv");
    let advice = |rows: &str, mask: MaskRule| {
        fs::write(&table, rows).unwrap();
        let options = PrepareOptions { mask, ..PrepareOptions::default() };
        let plan = Plan::new(&[Site { path: table.clone(), ..Site::default() }], &options).unwrap();
        plan.advice.into_iter().map(|(what, _)| what).collect::<Vec<_>>()
    };
    let rows = "participant_id,path,mask\nP1,sub-1_T1w.nii,sub-2_mask.nii\nP2,sub-2_T1w.nii,P1_mask.nii\n";
    let said = advice(rows, MaskRule::Unstated);
    assert!(said[0].starts_with("2 of 2 masks in the column `mask` may be of other images: P1: "), "{said:?}");
    assert!(said[0].contains("(its name says that it is of sub-2, not of sub-1)"), "{said:?}");
    assert!(said[0].contains("(its name begins with the id of another row, P1)"), "{said:?}");
    let rows = "participant_id,path,mask\nP1,sub-1_T1w.nii,sub-1_mask.nii\nP2,sub-2_T1w.nii,P2_mask.nii\n";
    assert_eq!(advice(rows, MaskRule::Unstated), [""; 0]);
    // Image and mask that are both called after another row belong together.
    let rows = "participant_id,path,mask\nP1,P1_T1.nii,P1_mask.nii\nP1_fu,P1_V2_T1.nii,P1_V2_mask.nii\n";
    assert_eq!(advice(rows, MaskRule::Unstated).iter().filter(|what| what.contains("mask")).count(), 0);
    let one = MaskRule::File(dir.path().join("sub-2_mask.nii"));
    let said = advice("participant_id,path\na,sub-1_T1w.nii\nb,sub-2_T1w.nii\n", one);
    let start =
        "one mask file is taken for 2 images, and of 1 its name or its folder says another thing: a: its name says";
    assert!(said[0].starts_with(start), "{said:?}");
}
