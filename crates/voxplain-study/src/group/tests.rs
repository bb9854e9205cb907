use super::*;
use crate::cohort::{Normalize, Placement, Preparation, Subject};
use voxplain_core::{Silent, Table, random::Seed};
use voxplain_volume::Affine;

/// Seven people on a small grid, each with a map.
fn mapped(folder: &Path) -> (Cohort, Vec<Member>) {
    let grid = Grid::new([5, 4, 3], Affine::from_spacing_origin([2.0; 3], [0.0; 3])).unwrap();
    let mut random = Seed::new(2).random();
    #[expect(clippy::cast_possible_truncation, reason = "values are drawn in f64")]
    let mut noise = || Volume::from_fn(grid, |_| random.normal() as f32);
    let people: Vec<(Subject, Volume, Mask)> = (0..7)
        .map(|n| {
            let (volume, mask) = (noise(), Mask::from_fn(grid, |[i, ..]| i != n % 5));
            (Subject::new(format!("{n}"), &volume, &mask), volume, mask)
        })
        .collect();
    let preparation = Preparation {
        shape: grid.shape,
        spacing: [2.0; 3],
        normalize: Normalize::None,
        placement: Placement::Fixed(grid),
        template: None,
        whole_head: false,
        channels: Vec::new(),
    };
    let table = Table { columns: vec!["sex".into()], rows: vec![vec![Some("f".into())]; 7] };
    let cohort = Cohort::write(&folder.join("cohort"), &preparation, &table, &people).unwrap();
    let members = (0..7)
        .map(|n| {
            let map = folder.join(format!("{n}.nii.gz"));
            write(&map, &noise(), &WriteOptions::default()).unwrap();
            Member { id: format!("{n}"), index: n, maps: vec![map], model: None }
        })
        .collect();
    (cohort, members)
}

/// Whatever memory holds: all maps at once, or a file and some voxels, down to one, at a time.
#[test]
fn statistics_do_not_depend_on_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (cohort, members) = mapped(folder.path());
    let files: Vec<(&Member, &Path)> = members.iter().map(|member| (member, member.maps[0].as_path())).collect();
    let group = |name: &str, of: &[usize]| Group {
        name: name.into(),
        title: name.into(),
        subjects: of.iter().map(ToString::to_string).collect(),
        people: None,
    };
    let groups = [group("all", &[0, 1, 2, 3, 4, 5, 6]), group("few", &[5, 1]), group("one", &[3])];
    let models = ["a", "b", "a", "b", "a", "b", "a"];
    let (grid, _) = cohort.common_grid();
    let scratch = folder.path().join("values");
    let of = |budget: usize| {
        let place = (&grid, scratch.as_path(), budget);
        let (found, record) = statistics(&cohort, &files, (Scale::Model, &models), &groups, place, &Silent).unwrap();
        assert!(!scratch.exists());
        let found: Vec<(String, Statistic, Vec<f32>)> =
            found.into_iter().map(|(group, statistic, v)| (group.name.clone(), statistic, v.into_data())).collect();
        (found, record)
    };
    let whole = of(1 << 20);
    assert_eq!(whole.0.len(), 3 * Statistic::ALL.len() - 1, "one has no deviation");
    for budget in [4 * 7, 4 * 7 * 7, 4 * 7 * 59, 4 * 7 * 60] {
        assert!(of(budget) == whole, "{budget}");
    }
    // The mean by hand, at one voxel.
    let values: Vec<f64> = [1, 5]
        .map(|n| {
            let size = |n: usize| map_size(&cohort, n, &read_map(&cohort, n, &members[n].maps[0]).unwrap()).unwrap();
            let mean = |of: &[usize]| of.iter().map(|&n| size(n)).sum::<f64>() / of.len() as f64;
            let (a, b) = (mean(&[0, 2, 4, 6]), mean(&[1, 3, 5]));
            let map = read_map(&cohort, n, &members[n].maps[0]).unwrap();
            f64::from(map.data()[17]) * f64::midpoint(a, b) / b
        })
        .to_vec();
    let (.., few) = whole.0.iter().find(|(name, of, _)| name == "few" && *of == Statistic::Mean).unwrap();
    assert!((f64::from(few[17]) - values.iter().sum::<f64>() / 2.0).abs() < 1e-6);
}
