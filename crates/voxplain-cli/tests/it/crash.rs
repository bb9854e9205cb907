//! Killed at any moment, a verb that is asked for again makes what it would have made undisturbed, byte for byte, and leaves nothing
//! behind.
//!
//! Each verb runs once undisturbed and is timed; then it is killed after a random share of that time, by `SIGKILL`, and asked for again,
//! several times in a row before the last try, which is left in peace. The moments come from a fixed seed. `VOXPLAIN_CRASHES=40` kills
//! each verb so often (by default a few times).

use crate::support::{text, voxplain};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread::sleep,
    time::Instant,
};
use voxplain::random::Seed;

/// A verb and what it is to do, in a folder where the verbs before it have been.
const STEPS: [&[&str]; 9] = [
    &["simulate", "--subjects", "12", "--grid", "24x28x24", "--spacing", "7", "--out", "simulated"],
    &[
        "prepare",
        "images",
        "--participants",
        "people.csv",
        "--whole-head",
        "--grid",
        "24x28x24",
        "--spacing",
        "7",
        "--out",
        "cohort",
    ],
    &[
        "train",
        "simulated",
        "--label",
        "label",
        "--folds",
        "2",
        "--epochs",
        "2",
        "--width",
        "2",
        "--near-duplicates",
        "warn",
        "--out",
        "run",
    ],
    &["permute", "run", "--classifier", "linear-voxels", "--permutations", "40"],
    &["explain", "run", "--method", "grad-cam,saliency"],
    &["group", "run", "--method", "grad-cam,saliency"],
    &["evaluate", "run", "--metric", "localisation,deletion", "--method", "grad-cam", "--steps", "4"],
    &["compare", "run", "--method", "saliency", "--design", "label", "--permutations", "40"],
    &["report", "run"],
];

/// Times that each verb is killed in the ordinary run of the tests.
const KILLS: usize = 3;

#[test]
fn killed_and_asked_again_every_verb_makes_the_same() {
    let kills = std::env::var("VOXPLAIN_CRASHES").map_or(KILLS, |n| n.parse().expect("VOXPLAIN_CRASHES is a number"));
    let folder = tempfile::tempdir().unwrap();
    // All work is done at one place, as files hold paths.
    let [before, work, calm] = ["before", "work", "calm"].map(|name| folder.path().join(name));
    fs::create_dir(&before).unwrap();
    for step in STEPS {
        images(&before);
        copy(&before, &work);
        let begun = Instant::now();
        let output = voxplain(&work, step).args(ALIKE).output().unwrap();
        assert!(output.status.success(), "{step:?}: {}", text(&output));
        let takes = begun.elapsed();
        fs::rename(&work, &calm).unwrap();
        copy(&before, &work);
        let mut random = Seed::new(14).child(step[0]).random();
        for _ in 0..kills {
            let mut child =
                voxplain(&work, step).args(ALIKE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            sleep(takes.mul_f64(random.range(0.02, 0.98)));
            // What has ended before is killed too late, which does no harm.
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let output = voxplain(&work, step).args(ALIKE).output().unwrap();
        assert!(output.status.success(), "{step:?} after {kills} kills: {}", text(&output));
        let (whole, again) = (made(&calm), made(&work));
        let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&again), names(&whole), "{step:?}: other files");
        for (file, bytes) in &whole {
            assert!(again[file] == *bytes, "{step:?}: {} differs", file.display());
        }
        fs::remove_dir_all(&before).unwrap();
        fs::remove_dir_all(&work).unwrap();
        fs::rename(&calm, &before).unwrap();
    }
}

/// Two threads: the result does not depend on it, and the machine of the tests may have no more.
const ALIKE: [&str; 3] = ["--threads", "2", "--quiet"];

/// Images to prepare, and a table of who they are of: those of the simulated cohort, once it is there.
pub(crate) fn images(folder: &Path) {
    let (images, cohort) = (folder.join("images"), folder.join("simulated"));
    if images.exists() || !cohort.exists() {
        return;
    }
    let cohort = voxplain::cohort::Cohort::open(&cohort).unwrap();
    fs::create_dir(&images).unwrap();
    let mut table = "participant_id,label\n".to_owned();
    for n in 0..6 {
        // The head is bright and around it is nothing, as a scanner has it.
        let (volume, mask) = (cohort.volume(n).unwrap(), cohort.mask(n).unwrap());
        let inside =
            mask.data().iter().zip(volume.data()).map(|(&inside, v)| if inside { 500.0 + 100.0 * v } else { 0.0 });
        let image = voxplain::volume::Volume::new(*volume.grid(), inside.collect()).unwrap();
        let file = images.join(format!("sub-{n}_T1w.nii.gz"));
        voxplain::volume::write(&file, &image, &voxplain::volume::WriteOptions::default()).unwrap();
        table.push_str(&format!("sub-{n},{}\n", n % 2));
    }
    fs::write(folder.join("people.csv"), table).unwrap();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), &place).map(|_| ()).unwrap();
        }
    }
}

/// Every file below a folder, by its path from there, without what says how long it took.
pub(crate) fn made(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn below(root: &Path, folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                below(root, &path, all);
            } else {
                let bytes = fs::read(&path).unwrap();
                all.insert(path.strip_prefix(root).unwrap().to_owned(), timeless(&path, bytes));
            }
        }
    }
    let mut all = BTreeMap::new();
    below(folder, folder, &mut all);
    all
}

/// A file without the seconds and the bytes that a map took.
fn timeless(file: &Path, bytes: Vec<u8>) -> Vec<u8> {
    let json = file.extension().is_some_and(|ending| ending == "json");
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(serde_json::Value::Object(mut object)) if json && object.contains_key("Cost") => {
            object.remove("Cost");
            // It is of all of the record.
            object.remove("Checksum");
            serde_json::to_vec(&object).unwrap()
        }
        _ => bytes,
    }
}
