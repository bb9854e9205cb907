//! Where images and masks come from: folders of masks, columns of masks, fMRIPrep, FreeSurfer.

use crate::{
    prepare::{head, run, save, small},
    support::witness,
};
use std::{fs, path::Path};
use voxplain_core::Error;
use voxplain_study::{
    cohort::Cohort,
    prepare::{EntityFilter, MaskRule, PrepareOptions},
};
use voxplain_volume::{Volume, WriteOptions, write};

/// What went wrong, and what to do about it.
fn said(error: &Error) -> (String, String) {
    (error.to_string(), error.remedy().unwrap().to_string())
}

fn ids(out: &Path) -> Vec<String> {
    Cohort::open(out).unwrap().subjects.iter().map(|s| s.id.clone()).collect()
}

#[test]
fn a_folder_of_masks() {
    let dir = tempfile::tempdir().unwrap();
    let (t1, masks, out) = (dir.path().join("t1"), dir.path().join("masks"), dir.path().join("out"));
    for (n, id) in ["a", "a-1", "b"].iter().enumerate() {
        let (head, mask) = head(n as f64);
        save(&t1.join(format!("{id}_T1.nii.gz")), &head);
        let brain = Volume::from_fn(*head.grid(), |[i, j, k]| head.at(i, j, k) * mask.at(i, j, k));
        save(&masks.join(format!("{id}_brain.nii.gz")), &brain);
        save(&masks.join(format!("{id}_brain_mask.nii.gz")), &mask);
    }
    fs::write(dir.path().join("people.csv"), "participant_id\na\na-1\nb\n").unwrap();
    let options = PrepareOptions {
        participants: Some(dir.path().join("people.csv")),
        mask: MaskRule::Folder(masks.clone(), None),
        force: true,
        ..small()
    };
    run(&t1, &out, &options).unwrap();
    let cohort = Cohort::open(&out).unwrap();
    // Each has its own: the brain of subject n lies n mm from the middle.
    for (n, subject) in cohort.subjects.iter().enumerate() {
        assert!(subject.grid.center().iter().all(|c| (c - n as f64).abs() < 0.2), "{:?}", subject.grid.center());
    }
    // In a source above both, the masks and what lies beside them are no images.
    run(dir.path(), &out, &options).unwrap();
    assert_eq!(ids(&out), ["a", "a-1", "b"]);
    // One is missing: named, and the image beside is not taken for it. All are missing: said at once.
    fs::remove_file(masks.join("b_brain_mask.nii.gz")).unwrap();
    let summary = run(&t1, &out, &options).unwrap();
    assert!(summary.cohort.is_none() && summary.failed.len() == 1 && summary.failed[0].subject == "b");
    assert!(summary.failed[0].what.contains("b_brain.nii.gz is there, but not named like"), "{:?}", summary.failed);
    let others = dir.path().join("others");
    save(&others.join("x_mask.nii.gz"), &head(0.0).1);
    let (what, _) =
        said(&run(&t1, &out, &PrepareOptions { mask: MaskRule::Folder(others, None), ..options }).unwrap_err());
    assert!(what.contains("t1: none of its 3 images has a mask; a: there is no mask for"), "{what}");
}

#[test]
fn a_table_of_paths_names_masks_and_is_filtered() {
    let dir = tempfile::tempdir().unwrap();
    let (head, mask) = head(0.0);
    for name in ["sub-1_ses-1", "sub-1_ses-2", "sub-2_ses-1", "sub-3_ses-2"] {
        save(&dir.path().join(format!("i/{name}_T1w.nii.gz")), &head);
    }
    for name in ["m", "m2", "m3", "m4"] {
        save(&dir.path().join(format!("{name}.nii.gz")), &mask);
    }
    let (table, out) = (dir.path().join("t.csv"), dir.path().join("out"));
    let rows = |masks: [&str; 4]| {
        let names = ["1,sub-1_ses-1", "1,sub-1_ses-2", "2,sub-2_ses-1", "3,sub-3_ses-2"];
        let split = |n: &&str| n.replace(',', ",i/");
        let rows: String =
            names.iter().zip(masks).map(|(n, mask)| format!("{}_T1w.nii.gz,{mask}\n", split(n))).collect();
        fs::write(&table, format!("participant_id,path,mask\n{rows}")).unwrap();
    };
    rows(["m.nii.gz", "m2.nii.gz", "m3.nii.gz", "m4.nii.gz"]);
    let session = |value: &str| vec![EntityFilter::new("ses", value)];
    let first = PrepareOptions { entities: session("1"), force: true, ..small() };
    let summary = run(&table, &out, &first).unwrap();
    assert_eq!(ids(&out), ["1", "2"]);
    assert_eq!((summary.inclusion.images, summary.inclusion.rows, summary.inclusion.used), (4, Some(4), 2));
    assert_eq!(summary.inclusion.left_out.len(), 2);
    let kept = Cohort::open(&out).unwrap().inclusion.unwrap();
    assert!(kept.left_out.iter().all(|l| l.what.contains("ses-2") && l.why == "not among the chosen images"));
    let without = PrepareOptions { exclude: Some("ses-1".into()), force: true, ..small() };
    run(&table, &out, &without).unwrap();
    assert_eq!(ids(&out), ["1", "3"]);
    // Both sessions of a person without a choice, and none that is there.
    assert!(said(&run(&table, &out, &small()).unwrap_err()).0.contains("stands in more than one row: 1"));
    let (what, remedy) = said(&run(&table, &out, &PrepareOptions { entities: session("7"), ..small() }).unwrap_err());
    assert!(what.contains("none has ses-7 (there are ses-1, ses-2)") && remedy.contains("`session`"), "{what}");

    rows(["m.nii.gz", "", "none", ""]);
    let summary = run(&table, &out, &first).unwrap();
    assert_eq!((summary.prepared, summary.failed.len()), (1, 1));
    assert!(summary.failed[0].what.starts_with("it has no mask: its cell in the column `mask` is empty"));
    let upper = fs::read_to_string(&table).unwrap().replace(",mask\n", ",Mask\n");
    fs::write(dir.path().join("upper.csv"), upper).unwrap();
    assert_eq!(run(&dir.path().join("upper.csv"), &dir.path().join("upper"), &first).unwrap().prepared, 1);
    let both = PrepareOptions { mask: MaskRule::Suffix("_m.nii".into()), ..first.clone() };
    let (what, remedy) = said(&run(&table, &out, &both).unwrap_err());
    assert!(what.contains("column `mask`") && remedy.contains("leave out `mask`"), "{what}; {remedy}");
    let other = PrepareOptions { mask_column: Some("brain".into()), ..first.clone() };
    assert!(said(&run(&table, &out, &other).unwrap_err()).0.contains("there is no column `brain`"));
    let whole = PrepareOptions { whole_head: true, ..first.clone() };
    assert!(said(&run(&table, &out, &whole).unwrap_err()).0.contains("the table has masks"));
    let column = PrepareOptions { mask_column: Some("x".into()), ..small() };
    assert!(said(&run(&dir.path().join("i"), &out, &column).unwrap_err()).0.contains("no table of paths"));
}

#[test]
fn derivatives_of_fmriprep() {
    let dir = tempfile::tempdir().unwrap();
    let (head, mask) = head(0.0);
    let (root, out) = (dir.path().join("fmriprep"), dir.path().join("out"));
    let mni = "space-MNI152NLin2009cAsym_res-2";
    for id in ["01", "02"] {
        let file = |name: &str| root.join(format!("sub-{id}/anat/sub-{id}_{name}.nii.gz"));
        for space in ["", &format!("{mni}_")] {
            // A whole head: something of it lies outside the brain.
            save(&file(&format!("{space}desc-preproc_T1w")), &head.map(|v| v + 1.0));
            save(&file(&format!("{space}desc-brain_mask")), &mask);
            save(&file(&format!("{space}desc-ribbon_mask")), &mask);
            save(&file(&format!("{space}label-GM_probseg")), &mask);
        }
    }
    let error = said(&run(&root, &out, &small()).unwrap_err());
    assert!(error.0.starts_with("2 subjects have more than one image: 01: "), "{}", error.0);
    let choice =
        "choose with `image-space` = MNI152NLin2009cAsym or `image-space` = none (each in its own space), with";
    assert!(error.1.starts_with(choice), "{}", error.1);
    for (value, name) in
        [("none", "sub-02_desc"), ("MNI152NLin2009cAsym", "sub-02_space-MNI152NLin2009cAsym_res-2_desc")]
    {
        let options = PrepareOptions { entities: vec![EntityFilter::new("space", value)], force: true, ..small() };
        let options = PrepareOptions { mask: MaskRule::Suffix("_desc-brain_mask.nii.gz".into()), ..options };
        run(&root, &out, &options).unwrap();
        assert_eq!(ids(&out), ["01", "02"]);
        let cohort = Cohort::open(&out).unwrap();
        assert!(cohort.subjects[1].source.as_ref().unwrap().to_str().unwrap().contains(name));
        // The folder itself is one of masks, too: the mask of the brain in that space.
        run(&root, &out, &PrepareOptions { mask: MaskRule::Folder(root.clone(), None), ..options }).unwrap();
        assert_eq!(ids(&out), ["01", "02"]);
    }
}

#[test]
fn masks_that_lie_beside_whole_heads_are_named() {
    let Some(data) = witness("data/cohort_ixi") else { return };
    let dir = tempfile::tempdir().unwrap();
    let anat = dir.path().join("sub-1/anat");
    fs::create_dir_all(&anat).unwrap();
    fs::copy(data.join("t1/IXI013-HH-1212_T1.nii.gz"), anat.join("sub-1_desc-preproc_T1w.nii.gz")).unwrap();
    fs::copy(data.join("dlmuse/IXI013-HH-1212_T1_DLMUSE.nii.gz"), anat.join("sub-1_desc-brain_mask.nii.gz")).unwrap();
    let (what, remedy) = said(&run(dir.path(), &dir.path().join("out"), &small()).unwrap_err());
    assert!(what.contains("looks like a whole head"), "{what}");
    assert!(remedy.starts_with("masks lie beside these images: `mask` = _desc-brain_mask.nii.gz"), "{remedy}");
    // What it advises works at once: the refused attempt has left nothing.
    let mask = MaskRule::Suffix("_desc-brain_mask.nii.gz".into());
    let summary = run(dir.path(), &dir.path().join("out"), &PrepareOptions { mask, ..small() }).unwrap();
    assert_eq!(summary.prepared, 1);
}

#[test]
fn a_subjects_dir() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("subjects"), dir.path().join("out"));
    let save = |path: &Path, volume: &Volume| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(path, volume, &WriteOptions::default()).unwrap();
    };
    for (n, id) in ["bert", "sub-01_ses-1", "fsaverage", "sub-01_ses-1.long.sub-01"].iter().enumerate() {
        let (head, mask) = head(n as f64);
        let mri = root.join(id).join("mri");
        let brain = Volume::from_fn(*head.grid(), |[i, j, k]| head.at(i, j, k) * mask.at(i, j, k));
        save(&mri.join("T1.mgz"), &head.map(|v| v + 1.0));
        save(&mri.join("brain.mgz"), &brain);
        // Erased by hand: 1.
        let erased = Volume::from_fn(
            *head.grid(),
            |[i, j, k]| if i < 20 { brain.at(i, j, k).min(1.0) } else { brain.at(i, j, k) },
        );
        save(&mri.join("brainmask.mgz"), &erased);
    }
    let options = PrepareOptions { force: true, ..small() };
    let summary = run(&root, &out, &options).unwrap();
    assert_eq!(ids(&out), ["bert", "01_ses-1"]);
    assert_eq!((summary.inclusion.images, summary.inclusion.used, summary.inclusion.left_out.len()), (4, 2, 2));
    let brain = Cohort::open(&out).unwrap().subjects[0].mask_volume;
    // The whole head with FreeSurfer's mask: what was erased is outside.
    let t1 = PrepareOptions {
        image: Some("T1.mgz".into()),
        mask: MaskRule::Suffix("brainmask.mgz".into()),
        ..options.clone()
    };
    run(&root, &out, &t1).unwrap();
    let cohort = Cohort::open(&out).unwrap();
    assert!(cohort.subjects[0].source.as_ref().unwrap().ends_with("bert/mri/T1.mgz"));
    assert!(cohort.subjects[0].mask_volume < 0.95 * brain, "{} {brain}", cohort.subjects[0].mask_volume);
    // A table by the id of the person.
    let people = dir.path().join("people.tsv");
    fs::write(&people, "participant_id\nsub-01\nbert\n").unwrap();
    run(&root, &out, &PrepareOptions { participants: Some(people), ..t1.clone() }).unwrap();
    assert_eq!(ids(&out), ["01", "bert"]);
    // Of rows without an image, what was looked for, and where.
    let some = dir.path().join("some.tsv");
    fs::write(&some, "participant_id\nbert\ns9\ns8\ns7\n").unwrap();
    fs::create_dir_all(root.join("s8/scripts")).unwrap();
    save(&root.join("s7/mri/orig.mgz"), &head(0.0).0);
    let going = PrepareOptions { participants: Some(some.clone()), keep_going: true, ..t1.clone() };
    let why = run(&root, &out, &going).unwrap().inclusion.left_out;
    let why = |what: &str| {
        why.iter().filter(|l| l.what == what).map(|l| l.why.replace(root.to_str().unwrap(), "ROOT")).collect::<Vec<_>>()
    };
    assert_eq!(why("s9"), ["the row has no image: there is no folder of its name in ROOT"]);
    assert_eq!(why("s8"), ["the row has no image: there is no folder mri in its folder in ROOT"]);
    assert_eq!(why("s7"), ["the row has no image: mri/T1.mgz is not in its folder in ROOT"]);
    fs::remove_dir_all(root.join("s7")).unwrap();
    // No row fits: ids of both sides.
    fs::write(&some, "participant_id\n1\n2\n3\n4\n").unwrap();
    let (what, _) = said(&run(&root, &out, &going).unwrap_err());
    assert!(what.ends_with("images are called `bert`, `01_ses-1`, rows `1`, `2`, `3` and 1 more"), "{what}");
    // What is not there is named with what is.
    fs::remove_file(root.join("bert/mri/brain.mgz")).unwrap();
    let (what, remedy) = said(&run(&root, &out, &options).unwrap_err());
    assert!(what.contains("1 of 2 subjects has no mri/brain.mgz: bert (in its mri: T1.mgz, brainmask.mgz)"), "{what}");
    assert!(remedy.contains("`image` = T1.mgz"), "{remedy}");
    let (what, _) = said(
        &run(&dir.path().join("people.tsv"), &out, &PrepareOptions { image: Some("T1.mgz".into()), ..small() })
            .unwrap_err(),
    );
    assert!(what.contains("this is no SUBJECTS_DIR"), "{what}");
}

#[test]
fn a_real_brain_of_freesurfer() {
    let Some(data) = witness("data/freesurfer/brain.mgz") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (mri, out) = (dir.path().join("s/bert/mri"), dir.path().join("out"));
    fs::create_dir_all(&mri).unwrap();
    fs::copy(&data, mri.join("brain.mgz")).unwrap();
    // The same file as FreeSurfer's brainmask.mgz has it: the image inside the brain.
    fs::copy(&data, mri.join("brainmask.mgz")).unwrap();
    let root = dir.path().join("s");
    run(&root, &out, &PrepareOptions { force: true, ..PrepareOptions::default() }).unwrap();
    let brain = Cohort::open(&out).unwrap().subjects[0].mask_volume;
    assert!((0.9e6..1.9e6).contains(&brain), "{brain}");
    let masked =
        PrepareOptions { mask: MaskRule::Suffix("brainmask.mgz".into()), force: true, ..PrepareOptions::default() };
    run(&root, &out, &masked).unwrap();
    let inside = Cohort::open(&out).unwrap().subjects[0].mask_volume;
    assert!((inside / brain - 1.0).abs() < 0.01, "{inside} {brain}");
}
