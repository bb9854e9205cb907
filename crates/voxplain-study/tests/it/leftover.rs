//! What is taken away is what voxplain left, and nothing else.

use crate::support::{Heard, cohort, long_ago, small_run};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use voxplain_core::{Claim, Error, Silent};
use voxplain_study::{
    cohort::{Begun, Cohort, CohortLayout, Writer},
    leftover::Leftovers,
    map::MapFiles,
};

/// Every file and folder below a folder, by its path from there.
fn all(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(of) = folders.pop() {
        for entry in std::fs::read_dir(of).unwrap() {
            let path = entry.unwrap().path();
            files.insert(path.strip_prefix(folder).unwrap().to_owned());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    files
}

fn find(folder: &Path, methods: &[&str]) -> Result<Leftovers, Error> {
    Leftovers::find(folder, &methods.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>())
}

/// Writes a file of so many bytes, with its folder.
fn put(path: &Path, bytes: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, vec![b' '; bytes]).unwrap();
}

#[test]
fn of_a_run_the_rests_of_stopped_work_go_and_what_is_not_ours_stays() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let (path, layout) = (&run.path, run.layout());
    let before = all(path);
    assert_eq!(find(path, &[]).unwrap().files(), 0, "a run as it is has no leftovers");
    let fold = "permutations/work/abc-3/folds/fold-0";
    let rests = [
        ("sub-p2/.part-0a1b2c-1-abcdef", 3),
        ("permutations/mask-volume_unfinished.json", 4),
        ("permutations/work/abc-3/folds/fold-0/checkpoint.safetensors", 5),
        ("permutations/work/abc-3/folds/fold-0/history.jsonl", 6),
        ("compare/saliency_age/unfinished.json", 7),
        ("compare/saliency_age/values.partial", 8),
        ("folds/fold-0/checkpoint.safetensors", 9),
        ("compare/saliency_age/shard-2-of-8.json", 10),
        ("compare/saliency_age/values-3-of-8.partial", 11),
        ("compare/saliency_age/shards.json", 12),
    ];
    for (name, bytes) in rests {
        put(&path.join(name), bytes);
    }
    long_ago(&path.join(rests[0].0));
    // What is not ours, beside it or with a name that is nearly ours.
    let theirs = [
        "notes.txt",
        ".part-mine",
        "mine/.part-abcdef",
        "permutations/my_unfinished.json.bak",
        "compare/saliency_age/why.txt",
        "compare/saliency_age/shard-9-of-8.json",
        "sub-p2/.partial",
        &format!("{fold}/model.txt"),
    ];
    theirs.iter().for_each(|name| put(&path.join(name), 1));
    let found = find(path, &[]).unwrap();
    assert_eq!((found.files(), found.bytes()), (rests.len(), (3..=12).sum()));
    assert_eq!(all(path).len(), before.len() + rests.len() + theirs.len() + 8, "to look takes nothing away");
    found.remove(&Silent).unwrap();
    let after = all(path);
    assert!(before.is_subset(&after), "what was finished stays");
    assert!(theirs.iter().all(|name| after.contains(Path::new(name))));
    assert!(rests.iter().all(|(name, _)| !after.contains(Path::new(name))));
    assert_eq!(find(path, &[]).unwrap().files(), 0);

    // A fold that is not trained goes on from its checkpoint.
    std::fs::remove_file(layout.fold(0).model()).unwrap();
    put(&layout.fold(0).checkpoint(), 9);
    let found = find(path, &[]).unwrap();
    assert_eq!(found.files(), 0);
    assert!(found.stays.iter().any(|of| of.path == layout.fold(0).checkpoint()));
}

#[test]
fn folders_that_are_empty_then_go_too() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let before = all(&run.path);
    put(&run.path.join("permutations/work/abc-0/folds/fold-0/checkpoint.safetensors"), 5);
    put(&run.path.join("compare/a/unfinished.json"), 5);
    find(&run.path, &[]).unwrap().remove(&Silent).unwrap();
    assert_eq!(all(&run.path), before);
}

#[test]
fn maps_go_by_method_with_what_they_are_drawn_over_when_the_last_goes() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    let before = all(&run.path);
    let is_of =
        |method: &str| before.iter().filter(|f| f.to_string_lossy().contains(&format!("_desc-{method}_"))).count();
    // An image of somebody else, named as a map is.
    let theirs = MapFiles::new(run.path.join("sub-p2"), "sub-p2_mine", "saliency").path();
    put(&theirs, 2);
    let error = find(&run.path, &["salience"]).unwrap_err().to_string();
    assert!(error.contains("no maps by salience") && error.contains("input-x-gradient, saliency"), "{error}");

    let found = find(&run.path, &["saliency"]).unwrap();
    assert_eq!(found.files(), is_of("saliency"));
    assert!(found.stays.iter().any(|of| of.path == theirs));
    found.remove(&Silent).unwrap();
    let after = all(&run.path);
    assert!(theirs.is_file());
    assert_eq!(run.maps().unwrap().methods(), ["input-x-gradient"]);
    assert!(after.iter().any(|f| f.to_string_lossy().contains("_desc-brain_mask")), "the other maps need it");

    // The last ones: of the person with somebody else's image the volume stays.
    find(&run.path, &["input-x-gradient"]).unwrap().remove(&Silent).unwrap();
    assert!(run.maps().unwrap().methods().is_empty());
    assert!(!run.path.join("sub-p3").exists());
    assert!(theirs.is_file() && run.path.join("sub-p2").is_dir());
    assert!(find(&run.path, &["saliency"]).unwrap_err().to_string().contains("no maps at all"));
    assert!(find(&folder.path().join("cohort"), &["saliency"]).unwrap_err().to_string().contains("is no run"));
}

#[test]
fn who_is_at_work_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = small_run(folder.path());
    put(&run.path.join("compare/a/unfinished.json"), 5);
    let found = find(&run.path, &[]).unwrap();
    let claim = run.claim("compare", &Silent).unwrap();
    assert!(matches!(find(&run.path, &[]), Err(Error::Busy { .. })));
    // Who came between the look and the removal, too.
    assert!(matches!(found.remove(&Silent), Err(Error::Busy { .. })));
    assert!(run.path.join("compare/a/unfinished.json").is_file());
    drop(claim);
    // One that is gone is followed, and its claim goes.
    let gone = r#"{"doing":"compare","host":"HOST","process":4294967,"since":1,"id":"x"}"#;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    std::fs::write(run.path.join(Claim::NAME), gone.replace("HOST", host.trim())).unwrap();
    match find(&run.path, &[]) {
        // Of a machine whose name says nothing it cannot be known.
        Err(Error::Busy { .. }) => {}
        other => {
            let found = other.unwrap();
            assert!(found.kinds[0].what.starts_with("the claim of voxplain compare (process 4294967"), "{found:?}");
            found.remove(&Heard::default()).unwrap();
            assert!(!run.path.join(Claim::NAME).exists());
        }
    }
}

#[test]
fn of_a_cohort_what_was_begun_goes_and_what_is_finished_stays() {
    let folder = tempfile::tempdir().unwrap();
    let made = cohort(folder.path(), 0);
    let begin = |name: &str, force: bool| {
        let made_by = serde_json::json!({ "command": "prepare", "options": 1 });
        match Writer::begin(&folder.path().join(name), &made_by, [1, 8, 9, 7].into(), 3, force, &Silent).unwrap() {
            Begun::Open(writer) => *writer,
            Begun::Complete(_) => panic!(),
        }
    };
    let before = all(folder.path());
    assert_eq!(find(&made.path, &[]).unwrap().files(), 0);
    // By the name it would have had, or that of the folder where it is built.
    for name in ["other", "other.partial"] {
        let writer = begin("other", false);
        writer.put(1, &made.subjects[0], &[made.volume(0).unwrap()], &made.mask(0).unwrap()).unwrap();
        assert!(matches!(find(&folder.path().join(name), &[]), Err(Error::Busy { .. })), "it is being built");
        drop(writer);
        let found = find(&folder.path().join(name), &[]).unwrap();
        assert_eq!(found.files(), 4, "plan, two arrays, a mark: {found:?}");
        found.remove(&Silent).unwrap();
        assert_eq!(all(folder.path()), before);
    }
    // Beside a finished one, which is not touched; a note in it stays.
    std::fs::create_dir(folder.path().join("cohort.partial")).unwrap();
    let partial = CohortLayout::at(&made.path).partial();
    std::fs::write(partial.join("plan.json"), "{}").unwrap();
    std::fs::write(partial.join("notes.txt"), "mine").unwrap();
    std::fs::write(partial.join("volumes.kept"), "1").unwrap();
    let found = find(&made.path, &[]).unwrap();
    assert_eq!(found.files(), 2);
    assert_eq!(found.stays[0].path, partial.join("notes.txt"));
    found.remove(&Silent).unwrap();
    assert!(partial.join("notes.txt").is_file() && !partial.join("plan.json").exists());
    assert_eq!(Cohort::open(&made.path).unwrap().subjects, made.subjects);
    // Nothing of voxplain.
    assert!(find(folder.path(), &[]).unwrap_err().to_string().contains("neither a run nor a cohort"));
    assert!(find(&folder.path().join("none"), &[]).is_err());
}
