//! A run moves with its cohort, knows which models made what it holds, and is cleared of nothing else.

use crate::support::{Heard, SHAPE, cohort, engine, explain_run, grid, long_ago, small_run, write_model};
use std::path::{Path, PathBuf};
use voxplain_core::{Progress, Silent, Table, seal};
use voxplain_study::{
    evaluation::{
        faithfulness::{self, Metric, Settings, Substrate, Summary},
        truth,
    },
    group::{GroupOptions, GroupSummary, group},
    map::{MapFiles, Variant, record_path},
    regions::{RegionOptions, RegionRecord, measure_regions},
    run::{CohortPlace, PageLayout, Run, RunLayout, Staleness, clear, figure_name},
};
use voxplain_volume::{Labels, Volume, WriteOptions, write, write_labels};

fn text(error: &voxplain_core::Error) -> String {
    format!("{error}; {}", error.remedy().unwrap())
}

/// An atlas of two halves in `folder`.
fn atlas(folder: &Path) -> RegionOptions {
    let labels = Labels::from_fn(grid(SHAPE), |[i, ..]| if i < 4 { 1 } else { 2 });
    write_labels(&folder.join("halves.nii.gz"), &labels, &WriteOptions::default()).unwrap();
    std::fs::write(folder.join("halves.tsv"), "index\tname\n1\tone\n2\tother\n").unwrap();
    RegionOptions {
        atlas: folder.join("halves.nii.gz").to_str().unwrap().to_owned(),
        labels: folder.join("halves.tsv"),
        mask: None,
        mask_threshold: None,
        cohort: None,
        channel: None,
        allow_mismatch: false,
    }
}

#[test]
fn a_run_and_its_cohort_move_together_and_the_hash_decides() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let place = |name: &str| root.join(name);
    std::fs::create_dir(place("a")).unwrap();
    let run = small_run(&place("a"));
    let what = atlas(&root);
    let regions = |run: &Path, what: &RegionOptions| measure_regions(&[run.to_owned()], what, &Silent);
    let numbers = regions(&run.path, &what).unwrap();
    assert_eq!(run.cohort().unwrap().path, place("a/cohort"));

    // Copied together: the copy has a cohort of its own.
    copy(&place("a"), &place("b"));
    let copied = Run::open(&place("b/run")).unwrap();
    assert_eq!(copied.cohort().unwrap().path, place("b/cohort"));
    // Moved together: what it was before is not there any more.
    std::fs::remove_dir_all(place("a")).unwrap();
    assert_eq!(copied.cohort().unwrap().path, place("b/cohort"));
    assert_eq!(regions(&copied.path, &what).unwrap(), numbers);

    // Moved alone, to where the way to the cohort leads nowhere: it is not found, and nothing goes on without it.
    std::fs::create_dir(place("c")).unwrap();
    std::fs::rename(place("b/run"), place("c/run")).unwrap();
    let alone = Run::open(&place("c/run")).unwrap();
    let error = text(&alone.cohort().unwrap_err());
    assert!(error.contains("is not found") && error.contains("c/cohort") && error.contains("`cohort`"), "{error}");
    let refused = text(&regions(&alone.path, &what).unwrap_err());
    assert!(refused.contains("is not found") && refused.contains("`mask`"), "{refused}");
    assert!(group(&alone, &GroupOptions::default(), &Silent).unwrap_err().to_string().contains("is not found"));
    // Where it lies can be said.
    let told = RegionOptions { cohort: Some(place("b/cohort")), ..what.clone() };
    assert_eq!(regions(&alone.path, &told).unwrap(), numbers);
    let alone = alone.with_cohort(Some(&place("b/cohort")));
    assert!(group(&alone, &GroupOptions::default(), &Silent).is_ok());

    // Another cohort is not taken for it, wherever it lies.
    std::fs::create_dir(place("d")).unwrap();
    cohort(&place("d"), 1);
    let other = text(&alone.clone().with_cohort(Some(&place("d/cohort"))).cohort().unwrap_err());
    assert!(other.contains("not those that") && other.contains("`cohort`"), "{other}");
    cohort(&place("c"), 1);
    let beside = Run::open(&place("c/run")).unwrap();
    assert!(beside.cohort().unwrap_err().to_string().contains("not those that"));
    // With the right one where the run was made, the wrong one beside it does not stand in its way.
    std::fs::create_dir(place("a")).unwrap();
    std::fs::rename(place("b/cohort"), place("a/cohort")).unwrap();
    assert_eq!(beside.cohort().unwrap().path, place("a/cohort"));

    // A manifest of an older version has an absolute path alone.
    let file = beside.layout().manifest();
    let mut manifest: serde_json::Value = seal::read(&file, "").unwrap();
    assert_eq!(manifest["cohort"], "../cohort");
    manifest["cohort"] = manifest["cohort_absolute"].take();
    manifest.as_object_mut().unwrap().remove("cohort_absolute");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let old = Run::open(&place("c/run")).unwrap();
    assert_eq!(old.manifest.cohort, CohortPlace::from(place("a/cohort")));
    assert_eq!(old.cohort().unwrap().path, place("a/cohort"));
}

/// Every row is of one person in one region, with class, prediction and outcome; means are in a file of their own.
#[test]
fn tables_of_regions_know_the_people_and_means_lie_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let what = atlas(folder.path());
    let path = run.layout().regions().join("halves.tsv");
    let measure = || measure_regions(std::slice::from_ref(&run.path), &what, &Silent).unwrap();
    measure().write(&path, &what).unwrap();
    let table = Table::read(&path).unwrap();
    let cells = |table: &Table, row: usize, names: &[&str]| -> Vec<String> {
        names.iter().map(|n| table.rows[row][table.column(n).unwrap()].clone().unwrap_or_default()).collect()
    };
    // Two people, two methods, two halves and the rest.
    assert_eq!(table.rows.len(), 2 * 2 * 3);
    let known = ["participant_id", "fold", "label", "predicted", "outcome", "p_female", "p_male"];
    for row in 0..table.rows.len() {
        let of = cells(&table, row, &known);
        let expected: [&str; 7] = match of[0].as_str() {
            "sub-p2" => ["sub-p2", "0", "female", "male", "fp", "0.25", "0.75"],
            _ => ["sub-p3", "0", "male", "male", "tp", "0.25", "0.75"],
        };
        assert_eq!(of, expected);
        assert!(!cells(&table, row, &["map"])[0].contains("mean"));
    }
    let means = Table::read(&RunLayout::region_means(&path)).unwrap();
    assert_eq!(means.rows.len(), 2 * 3);
    assert_eq!(cells(&means, 0, &["maps", "n", "models", "region", "name"]), ["2", "2", "1", "1", "one"]);
    // The mean of the rows of the two people.
    let mean = |row: usize, table: &Table| cells(table, row, &["mean"])[0].parse::<f64>().unwrap();
    let of = |row: usize| cells(&table, row, &["method", "region"]) == cells(&means, 0, &["method", "region"]);
    let rows: Vec<f64> = (0..table.rows.len()).filter(|&row| of(row)).map(|row| mean(row, &table)).collect();
    let expected = rows.iter().sum::<f64>() / 2.0;
    assert!(rows.len() == 2 && (mean(0, &means) - expected).abs() < 1e-5 * expected.abs(), "{rows:?}");
    assert_eq!(run.layout().region_tables().unwrap(), std::slice::from_ref(&path), "means are no table of their own");

    // The folder of a person, and one of the maps in it, are of the run all the same: the same people and brains.
    let whole = measure().people_table();
    let lines = |table: &Table, word: &str| -> Vec<Vec<Option<String>>> {
        table.rows.iter().filter(|row| row.iter().flatten().any(|cell| cell == word)).cloned().collect()
    };
    let part = measure_regions(&[run.layout().subject("p2")], &what, &Silent).unwrap().people_table();
    assert_eq!((&part.columns, &part.rows), (&whole.columns, &lines(&whole, "sub-p2")));
    let map = run.layout().map("p2", "saliency").path();
    let part = measure_regions(std::slice::from_ref(&map), &what, &Silent).unwrap().people_table();
    let name = map.file_name().unwrap().to_string_lossy();
    assert_eq!((part.columns, part.rows), (whole.columns.clone(), lines(&whole, &name)));

    // A map that is named twice is one map, by whatever name.
    let twice = [run.layout().subject("p2"), run.path.clone(), run.path.join("sub-p3/../sub-p2")];
    let twice = measure_regions(&twice, &what, &Silent).unwrap();
    assert_eq!((twice.rows.len(), twice.means_table().rows), (whole.rows.len(), measure().means_table().rows));
    let said: Vec<_> = twice.findings.iter().filter(|f| f.id == "map-named-twice").collect();
    assert!(said.len() == 1 && said[0].what.ends_with("named more than once (and 3 more like this)"), "{said:?}");

    // Where maps are of scans, means say of how many people.
    let mut scans = measure();
    scans.persons = [("p2", "one"), ("p3", "one")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    scans.summarise();
    assert_eq!(cells(&scans.means_table(), 0, &["maps", "n", "people", "models"]), ["2", "2", "1", "1"]);
    assert!(means.column("people").is_err());

    // The record knows which maps the table was made from: a map that is made again in the same way is no other, one with
    // another option is.
    let known = RegionRecord::read(&path).unwrap().unwrap().made_from;
    let record = record_path(&run.layout().map("p2", "saliency").path());
    let before = std::fs::read(&record).unwrap();
    let mut changed: serde_json::Value = seal::open(&before).unwrap();
    changed["Cost"] = serde_json::json!({"Seconds": 77.0, "MemoryBytes": 1, "MemoryLimit": null});
    std::fs::write(&record, changed.to_string()).unwrap();
    assert!(!known.is_empty() && known.check(&run, &path, "make it again").is_ok());
    changed["Parameters"]["rectify"] = true.into();
    std::fs::write(&record, changed.to_string()).unwrap();
    let error = text(&known.check(&run, &path, "make it again").unwrap_err());
    assert!(error.contains("was made from other maps of saliency than those there now"), "{error}");
    std::fs::write(&record, before).unwrap();

    // A map by a model that did not judge the person: nothing is said of it.
    let mut one = measure();
    one.people.clear();
    assert!(one.people_table().column("p_male").is_err());
    // One map has no means, and those of the table before go.
    let map = run.layout().map("p2", "saliency").path();
    let told = RegionOptions { cohort: Some(run.cohort().unwrap().path), ..what.clone() };
    measure_regions(&[map], &told, &Silent).unwrap().write(&path, &told).unwrap();
    assert!(!RunLayout::region_means(&path).exists());
    for (name, word) in
        [("halves_means.tsv", "those of the means"), ("halves.csv", "with tabs"), ("halves", "with tabs")]
    {
        let error = measure().write(&path.with_file_name(name), &what).unwrap_err();
        assert!(text(&error).contains(word), "{}", text(&error));
    }
    // Training is not at its end.
    std::fs::remove_file(run.layout().predictions()).unwrap();
    let without = measure();
    assert!(without.findings.iter().any(|f| f.id == "no-predictions"), "{:?}", without.findings);
    assert_eq!(without.people_table().rows.len(), 12);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { _ = std::fs::copy(entry.path(), to).unwrap() }
    }
}

#[test]
fn what_another_model_made_is_neither_shown_nor_used() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let (cohort, what) = (run.cohort().unwrap(), atlas(folder.path()));
    let options = faithfulness::Options {
        metrics: vec![Metric::Deletion],
        settings: Settings { steps: 2, substrates: vec![Substrate::Blur], ..Settings::default() },
        ..faithfulness::Options::default()
    };
    let table = run.layout().regions().join("halves.tsv");
    let derive = |progress: &dyn Progress| {
        let groups = group(&run, &GroupOptions::default(), progress)?;
        let curves = faithfulness::evaluate(&engine(1), &run, &options, progress)?;
        let regions = measure_regions(std::slice::from_ref(&run.path), &what, progress)?;
        regions.write(&table, &what)?;
        Ok::<_, voxplain_core::Error>((groups, curves, regions))
    };
    let (groups, curves, regions) = derive(&Silent).unwrap();
    // Everything names the model.
    let models = run.models().unwrap().all();
    assert_eq!((&groups.models, &curves[0].models, &regions.models), (&models, &models, &models));
    assert_eq!(GroupSummary::read(&run).unwrap(), Some(groups));
    assert_eq!(Summary::read(&run, Metric::Deletion).unwrap(), Some(curves[0].clone()));
    assert_eq!(RegionRecord::read(&table).unwrap().unwrap().models, Some(models.clone()));
    let group_map = run.layout().group().map("group-all_stat-mean_desc-saliency_attribution.json");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(group_map).unwrap()).unwrap();
    assert_eq!(record["Models"], serde_json::json!(models));

    // A map is made in another way since.
    let record = run.layout().map("p2", "saliency").record();
    let kept = std::fs::read(&record).unwrap();
    let mut other: serde_json::Value = seal::open(&kept).unwrap();
    other["Input"] = "another".into();
    std::fs::write(&record, other.to_string()).unwrap();
    for error in [GroupSummary::read(&run).unwrap_err(), Summary::read(&run, Metric::Deletion).unwrap_err()] {
        let error = text(&error);
        let says = error.contains("was made from other maps of saliency than those there now");
        assert!(says && error.contains("make it again"), "{error}");
    }
    std::fs::write(&record, kept).unwrap();
    assert!(GroupSummary::read(&run).unwrap().is_some());

    // The model is replaced behind the run's back.
    write_model(run.layout(), &cohort, 1);
    let maps = run.maps().unwrap();
    assert!(maps.methods().is_empty() && maps.stale().len() == 4);
    assert!(maps.stale().iter().all(|map| map.why == Staleness::OtherModel));
    for error in [
        GroupSummary::read(&run).unwrap_err(),
        Summary::read(&run, Metric::Deletion).unwrap_err(),
        group(&run, &GroupOptions::default(), &Silent).unwrap_err(),
        faithfulness::evaluate(&engine(1), &run, &options, &Silent).unwrap_err(),
        measure_regions(std::slice::from_ref(&run.path), &what, &Silent).unwrap_err(),
    ] {
        let error = text(&error);
        let says = error.contains("models than those that the run has now") || error.contains("models that it has now");
        assert!(says && (error.contains("explain") || error.contains("make it again")), "{error}");
    }
    let truth = folder.path().join("truth.nii.gz");
    let half = Volume::from_fn(grid(SHAPE), |[i, ..]| f32::from(u8::from(i < 4)));
    write(&truth, &half, &WriteOptions::default()).unwrap();
    let localise =
        truth::Options { truth: Some(truth), methods: Some(vec!["saliency".into()]), ..truth::Options::default() };
    let error = text(&truth::evaluate(&run, &localise, &Silent).unwrap_err());
    assert!(error.contains("sub-p2_desc-saliency_attribution.nii.gz: the map was made by another model"), "{error}");

    // One method is explained again: the maps are made, and the others are left out with words.
    let made = explain_run(&run, &["saliency"]);
    assert!(made.maps.iter().all(|map| !map.reused) && made.maps.len() == 2);
    assert!(explain_run(&run, &["saliency"]).maps.iter().all(|map| map.reused));
    let warnings = Heard::default();
    let (groups, curves, regions) = derive(&warnings).unwrap();
    let methods: Vec<_> = groups.methods.iter().map(|m| m.method.as_str()).collect();
    assert_eq!(methods, ["saliency"]);
    assert_eq!(curves[0].found.len(), 1);
    assert!(regions.rows.iter().all(|row| row.map.method.as_deref() == Some("saliency")));
    assert!(regions.findings.iter().any(|f| f.id == "map-of-another-model"), "{:?}", regions.findings);
    let warnings = warnings.0.into_inner().unwrap();
    let named = "sub-p2_desc-inputxgradient_attribution.nii.gz: the map was made by another model";
    let remedy = format!("explain {} with `method` = input-x-gradient", run.path.display());
    assert!(warnings.iter().any(|w| w.contains(named) && w.contains(&remedy)), "{warnings:?}");
    assert!(GroupSummary::read(&run).unwrap().is_some());
    assert_eq!(truth::evaluate(&run, &localise, &Silent).unwrap()[0].models, run.models().unwrap().all());

    // A map that was not finished does not count either.
    std::fs::remove_file(run.layout().map("p3", "saliency").record()).unwrap();
    let error = text(&group(&run, &GroupOptions::default(), &Silent).unwrap_err());
    assert!(error.contains("no map of 1 of 2 subjects: p3; 1 of them there, but not finished"), "{error}");
    // A record of an older version names no model: nobody knows whose it is.
    let file = run.layout().group().summary();
    let mut summary: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for key in ["models", "checksum"] {
        assert!(summary.as_object_mut().unwrap().remove(key).is_some());
    }
    std::fs::write(&file, summary.to_string()).unwrap();
    assert!(GroupSummary::read(&run).unwrap_err().to_string().contains("does not say which models"));
}

#[test]
fn a_flipped_bit_in_a_run_is_refused_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let what = atlas(folder.path());
    let layout = run.layout();
    // All that is computed from maps, as it is written.
    let results = || -> voxplain_core::Result<Vec<Vec<u8>>> {
        let run = Run::open(&run.path)?;
        run.held_out(&run.cohort()?)?;
        group(&run, &GroupOptions::default(), &Silent)?;
        let files = ["saliency", "inputxgradient"]
            .map(|method| layout.group().map(&format!("group-all_stat-mean_desc-{method}_attribution.nii.gz")));
        let table = measure_regions(std::slice::from_ref(&run.path), &what, &Silent)?;
        let rows = table.rows.iter().map(|row| format!("{row:?}")).collect::<String>().into_bytes();
        Ok(files.map(|file| std::fs::read(file).unwrap()).into_iter().chain([rows]).collect())
    };
    let whole = results().unwrap();
    let map = layout.map("p2", "saliency");
    for file in [layout.fold(0).model(), layout.manifest(), map.path(), map.record()] {
        let bytes = std::fs::read(&file).unwrap();
        let mut refused = 0;
        let places = (0..bytes.len()).step_by(bytes.len().div_ceil(40));
        for at in places.clone() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&file, &flipped).unwrap();
            match results() {
                Ok(found) => assert!(found == whole, "{}, byte {at}", file.display()),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > places.count() / 2, "{}: {refused}", file.display());
        std::fs::write(&file, &bytes).unwrap();
    }
    // Another image in the place of the map's, whole in itself.
    let map = layout.map("p2", "input-x-gradient");
    let image = std::fs::read(map.path()).unwrap();
    std::fs::copy(layout.map("p3", "input-x-gradient").path(), map.path()).unwrap();
    let error = text(&results().map(|_| ()).unwrap_err());
    assert!(error.contains("is not the map that was written") && error.contains("make it again"), "{error}");
    std::fs::write(map.path(), image).unwrap();
    assert!(results().unwrap() == whole);
}

#[test]
fn labels_that_were_changed_after_training_are_said_with_whose_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let cohort = run.cohort().unwrap();
    assert_eq!(run.changed_labels(&cohort).unwrap(), None);
    let file = cohort.layout().participants();
    let before = Table::read(&file).unwrap();
    let sex = before.column("sex").unwrap();
    let id = before.column("participant_id").unwrap();
    let mut table = before.clone();
    for row in &mut table.rows {
        match row[id].as_deref() {
            Some("sub-p2") => row[sex] = Some("male".into()),
            Some("sub-p3") => row[sex] = None,
            // Whom the fold was trained on is in no prediction.
            _ => {}
        }
    }
    table.write_tsv(&file).unwrap();
    let heard = Heard::default();
    group(&run, &GroupOptions::default(), &heard).unwrap();
    explain_run(&run, &["saliency"]);
    let said = heard.0.into_inner().unwrap();
    let words = "in column sex 2 of 2 subjects have another value than the run learnt: p2 (learnt as `female`, now `male`), p3 (learnt as \
                 `male`, now nothing)";
    let of_labels = |said: &[String]| said.iter().filter(|what| what.contains(words)).count();
    assert_eq!(of_labels(&said), 1, "{said:?}");
    // Another column may be added.
    let mut more = before;
    more.columns.push("age".into());
    more.rows.iter_mut().for_each(|row| row.push(Some("30".into())));
    more.write_tsv(&file).unwrap();
    assert_eq!(run.changed_labels(&run.cohort().unwrap()).unwrap(), None);
    // Without the column it is not known.
    let column = more.columns.iter().position(|c| c == "sex").unwrap();
    more.columns[column] = "other".into();
    more.write_tsv(&file).unwrap();
    let heard = Heard::default();
    run.warn_of_changed_labels(&run.cohort().unwrap(), &heard);
    let said = heard.0.into_inner().unwrap();
    assert!(said.len() == 1 && said[0].contains("is not known") && said[0].contains("`sex`"), "{said:?}");
}

/// Tables and images have no checksum of their own; the documents that vouch for them have it.
#[test]
fn a_changed_byte_in_any_result_is_refused_and_the_same_step_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let (what, layout) = (atlas(folder.path()), run.layout());
    let table = layout.regions().join("halves.tsv");
    let options = faithfulness::Options {
        metrics: vec![Metric::Deletion],
        settings: Settings { steps: 2, substrates: vec![Substrate::Blur], ..Settings::default() },
        ..faithfulness::Options::default()
    };
    let truth = folder.path().join("truth.nii.gz");
    let half = Volume::from_fn(grid(SHAPE), |[i, ..]| f32::from(u8::from(i < 4)));
    write(&truth, &half, &WriteOptions::default()).unwrap();
    let localise = truth::Options { truth: Some(truth), ..truth::Options::default() };
    let derive = || {
        group(&run, &GroupOptions::default(), &Silent).unwrap();
        faithfulness::evaluate(&engine(1), &run, &options, &Silent).unwrap();
        truth::evaluate(&run, &localise, &Silent).unwrap();
        measure_regions(std::slice::from_ref(&run.path), &what, &Silent).unwrap().write(&table, &what).unwrap();
    };
    let models = run.models().unwrap();
    let read = || -> Vec<voxplain_core::Error> {
        [
            GroupSummary::read(&run).map(|_| ()),
            Summary::read(&run, Metric::Deletion).map(|_| ()),
            truth::read_found(&run).map(|_| ()),
            RegionRecord::check(&run, &models, &table),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect()
    };
    derive();
    assert!(read().is_empty(), "{:?}", read());
    let groups = layout.group();
    let mean = groups.map("group-all_stat-mean_desc-saliency_attribution.nii.gz");
    for file in [
        groups.similarity(),
        record_path(&mean),
        mean,
        groups.mean_brain(),
        groups.brain_mask(),
        layout.evaluation().table("deletion"),
        layout.evaluation().table("localisation"),
        layout.evaluation().curves("p2", "saliency", "deletion"),
        table.clone(),
        RunLayout::region_means(&table),
    ] {
        let whole = std::fs::read(&file).unwrap();
        for at in [whole.len() / 3, whole.len() - 1] {
            let mut other = whole.clone();
            other[at] ^= 1;
            std::fs::write(&file, other).unwrap();
            let errors: Vec<String> = read().iter().map(text).collect();
            let name = file.file_name().unwrap().to_string_lossy();
            let named = errors.len() == 1 && errors[0].contains(&format!("{name}: is not what was written"));
            assert!(named && errors[0].contains("make it again: "), "{errors:?}");
        }
        derive();
        assert!(read().is_empty(), "{:?}", read());
        assert!(std::fs::read(&file).unwrap() == whole, "{}", file.display());
    }
    // As older versions wrote them: rows alone, and no checksums.
    let summary = layout.evaluation().summary("localisation");
    let found = truth::read_found(&run).unwrap();
    let document: serde_json::Value = seal::read(&summary, "").unwrap();
    std::fs::write(&summary, document["methods"].to_string()).unwrap();
    assert_eq!(truth::read_found(&run).unwrap(), found);
    for document in [groups.summary(), RegionRecord::path(&table)] {
        let mut old: serde_json::Value = seal::read(&document, "").unwrap();
        assert!(old.as_object_mut().unwrap().remove("checksums").is_some());
        std::fs::write(&document, old.to_string()).unwrap();
    }
    std::fs::write(groups.similarity(), "level\n").unwrap();
    assert!(read().is_empty(), "{:?}", read());
}

#[test]
fn methods_that_lack_maps_are_left_out_of_groups_where_none_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    std::fs::remove_file(run.layout().map("p3", "saliency").record()).unwrap();
    let heard = Heard::default();
    let made = group(&run, &GroupOptions::default(), &heard).unwrap();
    assert_eq!(made.methods.iter().map(|of| of.method.as_str()).collect::<Vec<_>>(), ["input-x-gradient"]);
    assert!(made.warnings.iter().any(|w| w == "saliency is left out: there is no map of 1 of 2 subjects."), "{made:?}");
    // By name it is asked for.
    let named = GroupOptions { methods: vec!["saliency".into()], ..GroupOptions::default() };
    assert!(text(&group(&run, &named, &Silent).unwrap_err()).contains("saliency: no map of 1 of 2 subjects"));
}

#[test]
fn maps_lie_beside_their_mask() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let files = run.layout().map("p2", "saliency");
    let mask = voxplain_volume::read(&files.input_mask(), &voxplain_volume::ReadOptions::default()).unwrap().volume;
    let cohort = run.cohort().unwrap();
    let own = cohort.mask(cohort.find("p2").unwrap()).unwrap();
    assert!(mask.grid().same_space(own.grid(), 1e-3) && mask.map(|v| *v == 1.0).data() == own.data());
}

#[test]
fn a_map_made_again_leaves_nothing_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let files = run.layout().map("p2", "saliency");
    let layer = files.image(Variant::Layer("relu1"));
    let copy = |to: &Path| {
        std::fs::copy(files.path(), to).unwrap();
        std::fs::copy(files.record(), record_path(to)).unwrap();
    };
    copy(&layer);
    let of_another = MapFiles::new(files.folder(), "sub-p2", "saliency-2").path();
    copy(&of_another);
    write_model(run.layout(), &run.cohort().unwrap(), 1);
    explain_run(&run, &["saliency"]);
    assert!(!layer.exists() && of_another.exists());
}

#[test]
fn clearing_takes_what_voxplain_made_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let (layout, what) = (run.layout(), atlas(folder.path()));
    group(&run, &GroupOptions::default(), &Silent).unwrap();
    let options = faithfulness::Options {
        metrics: vec![Metric::Deletion, Metric::Insertion],
        settings: Settings { steps: 2, ..Settings::default() },
        ..faithfulness::Options::default()
    };
    faithfulness::evaluate(&engine(1), &run, &options, &Silent).unwrap();
    let table = measure_regions(std::slice::from_ref(&run.path), &what, &Silent).unwrap();
    table.write(&layout.regions().join("halves.tsv"), &what).unwrap();
    // A file that is not whole, as a write that was cut off leaves it.
    let part = ".part-0a1b2c-1-abcdef";
    // As the report and training leave them.
    let report = layout.report();
    let page = PageLayout::of(&report);
    let put = |path: PathBuf| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "made").unwrap();
    };
    for path in [
        report.clone(),
        page.methods(),
        page.references(),
        page.quality(),
        page.volumes().join(PageLayout::volume_name(12)),
        layout.figures().join("roc.svg"),
        layout.figures().join(format!("{}.png", figure_name::group_mosaic("label-male", "grad-cam"))),
        layout.figures().join(format!("{}.png", figure_name::regions("my atlas 1", "grad-cam"))),
        layout.comparator_predictions("linear-voxels"),
        layout.metrics(),
        layout.fold(0).checkpoint(),
        layout.fold(3).history(),
        layout.subject("p2").join(part),
    ] {
        put(path);
    }
    long_ago(&layout.subject("p2").join(part));
    let theirs = [
        "notes.txt",
        "sub-p2/why.md",
        "sub-p9/sub-p9_desc-mine_attribution.nii.gz",
        "figures/figure-1.svg",
        "regions/hand.tsv",
        "group/summary (copy).json",
        "evaluation/sub-p2/look.txt",
        "folds/old",
        "report_volumes/mine.js",
        "analysis/x",
        "predictions-mine.tsv",
    ];
    theirs.iter().for_each(|path| put(run.path.join(path)));
    let left = clear(&run.path).unwrap();
    let mut expected: Vec<PathBuf> = theirs.iter().filter(|file| **file != "analysis/x").map(PathBuf::from).collect();
    // Of a folder that is not the run's nothing is looked at.
    expected.push("analysis".into());
    expected.sort();
    assert_eq!(left, expected);
    let mut there = Vec::new();
    files(&run.path, &mut there);
    let mut there: Vec<PathBuf> = there.iter().map(|path| path.strip_prefix(&run.path).unwrap().to_owned()).collect();
    there.sort();
    // Until another takes its place the manifest says that the folder is ours.
    let mut theirs: Vec<PathBuf> = theirs.iter().chain(&["manifest.json"]).map(PathBuf::from).collect();
    theirs.sort();
    assert_eq!(there, theirs);
    assert!(!run.path.join("sub-p3").exists(), "empty folders go, too");
    assert!(Run::open(&run.path).is_ok());
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() { files(&entry.path(), all) } else { all.push(entry.path()) }
    }
}

#[test]
fn whole_heads_stand_in_every_result() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let what = atlas(folder.path());
    let table = run.layout().regions().join("halves.tsv");
    let options = faithfulness::Options {
        metrics: vec![Metric::Deletion],
        methods: None,
        subjects: None,
        settings: Settings { steps: 4, substrates: vec![Substrate::Blur], block: 6.0, ..Settings::default() },
        memory: None,
        force: false,
    };
    let truth = folder.path().join("truth.nii.gz");
    let part = Volume::from_fn(grid(SHAPE), |[i, ..]| f32::from(u8::from(i < 3)));
    write(&truth, &part, &WriteOptions::default()).unwrap();
    let localisation = truth::Options { truth: Some(truth), ..truth::Options::default() };
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    // Every file of a result, by name.
    let derive = || {
        explain_run(&run, &["saliency", "input-x-gradient"]);
        group(&run, &GroupOptions::default(), &Silent).unwrap();
        faithfulness::evaluate(&engine(1), &run, &options, &Silent).unwrap();
        truth::evaluate(&run, &localisation, &Silent).unwrap();
        measure_regions(std::slice::from_ref(&run.path), &what, &Silent).unwrap().write(&table, &what).unwrap();
        let layout = run.layout();
        let map = layout.map("p2", "saliency").path();
        [
            layout.map("p2", "saliency").record(),
            layout.group().summary(),
            layout.group().map("group-all_stat-mean_desc-saliency_attribution.json"),
            layout.evaluation().summary("deletion"),
            layout.evaluation().summary("localisation"),
            RegionRecord::path(&table),
            record_path(&map),
        ]
        .map(|path| (read(&path), path))
    };
    let heads = "the images were taken as whole heads";
    for (text, path) in derive() {
        assert!(!text.contains(heads), "{}", path.display());
    }
    let document = run.cohort().unwrap().layout().document();
    let mut json: serde_json::Value = seal::read(&document, "").unwrap();
    json["preparation"]["whole_head"] = true.into();
    std::fs::write(&document, json.to_string()).unwrap();
    for (text, path) in derive() {
        assert!(text.contains(heads), "{}", path.display());
    }
}
