use super::*;
use crate::inference::{Blocks, Contrast, Design, Exchange, InMemory, Neighbours, Shuffling, Variance};
use proptest::prelude::*;
use voxplain_core::random::{Random, Seed};

fn two_groups(n: usize) -> Design {
    let group = (0..n).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
    Design::new(vec![("one".into(), vec![1.0; n]), ("group".into(), group)]).unwrap()
}

fn analysis(design: &Design, shape: [usize; 3], exchange: Exchange, shuffles: usize, sides: Sides) -> Permutation {
    let weights = (0..design.names().len()).map(|k| f64::from(u8::from(k + 1 == design.names().len()))).collect();
    Permutation {
        model: Model::new(design, &Contrast::t("last", weights), Variance::Equal).unwrap(),
        shuffles: Shuffles::new(design, &exchange, shuffles, Seed::new(5)).unwrap(),
        lattice: Lattice::new(shape, &vec![true; shape.iter().product()], Neighbours::Corners).unwrap(),
        sides,
        tfce: Some(Tfce::default()),
        threshold: Some(2.0),
    }
}

fn noise(subjects: usize, voxels: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..subjects * voxels).map(|_| random.normal() as f32).collect()
}

fn counts(analysis: &Permutation, rows: &InMemory, bytes: usize) -> Counts {
    let (fit, enhanced) = analysis.observe(rows).unwrap();
    let mut counts = Counts::default();
    analysis.run(rows, (&fit, enhanced.as_deref()), &mut counts, bytes, &voxplain_core::Silent).unwrap();
    counts
}

#[test]
fn all_shuffles_of_six_by_hand() {
    // One voxel, two groups of 3: 20 divisions. The groups are 1, 3, 5 and 2, 4, 6 in order: t = 1 / sqrt(8/3), and of 20
    // divisions those whose means differ by 1 or more in size: sums other than 10 and 11 ... 9 to 12 differ by 3 and 1.
    let rows = InMemory::new(6, vec![2.0, 1.0, 4.0, 3.0, 6.0, 5.0]).unwrap();
    let analysis = analysis(&two_groups(6), [1, 1, 1], Exchange::default(), 1000, Sides::Two);
    let found = counts(&analysis, &rows, 1 << 20);
    let (mut all, mut reach) = (0, 0);
    for a in 1..=6 {
        for b in a + 1..=6 {
            for c in b + 1..=6 {
                all += 1;
                // The sum of one group less that of the other, 21 in all.
                reach += u32::from((2 * (a + b + c) - 21i32).abs() >= 3);
            }
        }
    }
    assert_eq!((all, found.done), (20, 19));
    assert_eq!(found.uncorrected(Family::Voxel), [f64::from(reach) / 20.0]);
    assert_eq!(found.corrected(Family::Voxel, [1.0 / (8.0f32 / 3.0).sqrt() * 1.0]).len(), 1);
}

/// Two sides: of 3 against 3, the 20 divisions come in pairs of one size; of 2 against 4 none is the other's mirror. One side: each is its
/// own. All signs flipped give the same sizes.
#[test]
fn the_least_p_counts_what_gives_the_same_sizes() {
    let grouped = |n: usize, first: usize| {
        let group = (0..n).map(|i| f64::from(u8::from(i < first))).collect();
        Design::new(vec![("one".into(), vec![1.0; n]), ("group".into(), group)]).unwrap()
    };
    let least =
        |design: &Design, exchange: Exchange, sides| analysis(design, [1, 1, 1], exchange, 1000, sides).least_p();
    let free = Exchange::default;
    assert_eq!(least(&grouped(6, 3), free(), Sides::Two), 2.0 / 20.0);
    assert_eq!(least(&grouped(6, 3), free(), Sides::Above), 1.0 / 20.0);
    assert_eq!(least(&grouped(6, 2), free(), Sides::Two), 1.0 / 15.0);
    let mean = Design::new(vec![("one".into(), vec![1.0; 5])]).unwrap();
    let flips = || Exchange { shuffling: Shuffling::Flip, ..Exchange::default() };
    assert_eq!(least(&mean, flips(), Sides::Two), 2.0 / 32.0);
    assert_eq!(least(&mean, flips(), Sides::Above), 1.0 / 32.0);
    // With a number beside the groups an exchange of both is no longer the same.
    let age = vec![20.0, 31.0, 45.0, 22.0, 70.0, 38.0];
    let columns =
        vec![("one".into(), vec![1.0; 6]), ("age".into(), age), ("group".into(), vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0])];
    let aged = Design::new(columns).unwrap();
    let found = least(&aged, free(), Sides::Two);
    let all = Shuffles::new(&aged, &free(), 1000, Seed::new(5)).unwrap().len() + 1;
    assert!((found * all as f64 - 1.0).abs() < 1e-9, "{found} of {all}");
}

#[test]
fn interrupted_and_gone_on_with_it_is_the_same() {
    struct Stop(std::sync::atomic::AtomicUsize);
    impl Progress for Stop {
        fn begin(&self, _: &str, _: usize) {}
        fn advance(&self, _: usize, _: &str) {}
        fn end(&self) {}
        fn warn(&self, _: &str) {}
        fn go_on(&self) -> Result<()> {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if n == 2 { Err(Error::request("stopped", "go on")) } else { Ok(()) }
        }
    }
    let rows = InMemory::new(10, noise(10, 300, 1)).unwrap();
    let analysis = analysis(&two_groups(10), [10, 6, 5], Exchange::default(), 60, Sides::Two);
    let (fit, enhanced) = analysis.observe(&rows).unwrap();
    let whole = counts(&analysis, &rows, 1 << 30);
    let mut found = Counts::default();
    // Seven shuffles at a time.
    let bytes = 7 * 8 * 300;
    let stopped = analysis.run(&rows, (&fit, enhanced.as_deref()), &mut found, bytes, &Stop(0.into()));
    assert!(stopped.is_err());
    assert_eq!(found.done, 14);
    let kept: Counts = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(kept, found);
    analysis.run(&rows, (&fit, enhanced.as_deref()), &mut found, bytes, &voxplain_core::Silent).unwrap();
    assert_eq!(found, whole);
}

/// The numbers of shuffles, and what was counted of them.
type Part = (Vec<usize>, Counts);

#[test]
fn parts_by_hand_are_put_in_their_places() {
    let part = |done, voxel: [u32; 2], largest: &[f32]| Counts {
        done,
        voxel: voxel.to_vec(),
        largest: largest.to_vec(),
        ..Counts::default()
    };
    // Shuffles 0 and 2, shuffle 1, and nobody.
    let parts = [
        (vec![0, 2], part(2, [1, 0], &[9.0, 3.0, 5.0])),
        (vec![1], part(1, [1, 1], &[9.0, 4.0])),
        (vec![], part(0, [0, 0], &[9.0])),
    ];
    assert_eq!(Counts::together(&parts).unwrap(), part(3, [2, 1], &[9.0, 3.0, 4.0, 5.0]));
    let refused = |change: &dyn Fn(&mut [Part])| {
        let mut parts = parts.clone();
        change(&mut parts);
        Counts::together(&parts).unwrap_err().to_string()
    };
    assert!(refused(&|parts| parts[1].0 = vec![2]).contains("overlap, or leave shuffles out"));
    assert!(refused(&|parts| parts[1].0 = vec![3]).contains("overlap, or leave shuffles out"));
    assert!(refused(&|parts| parts[0].1.done = 1).contains("not done"));
    assert!(refused(&|parts| parts[2].1.largest[0] = 8.0).contains("other data"));
    assert!(refused(&|parts| parts[1].1.voxel.push(0)).contains("other voxels"));
    assert!(refused(&|parts| parts[1].1.largest_mass.push(0.0)).contains("other statistics"));
    assert!(Counts::together(&[]).is_err());
}

#[test]
fn the_same_for_any_number_of_threads() {
    let rows = InMemory::new(12, noise(12, 1000, 2)).unwrap();
    let analysis = analysis(&two_groups(12), [10, 10, 10], Exchange::default(), 40, Sides::Above);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| counts(&analysis, &rows, 1 << 30))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_planted_effect_is_found_where_it_is() {
    let (n, shape) = (16, [8, 8, 8]);
    let mut values = noise(n, 512, 3);
    let inside = |v: usize| v / 64 < 4 && v / 8 % 8 < 4 && v % 8 < 4;
    for subject in (0..n).step_by(2) {
        (0..512).filter(|v| inside(*v)).for_each(|v| values[subject * 512 + v] += 2.0);
    }
    let rows = InMemory::new(n, values).unwrap();
    for sides in [Sides::Two, Sides::Above] {
        let analysis = analysis(&two_groups(n), shape, Exchange::default(), 200, sides);
        let (fit, enhanced) = analysis.observe(&rows).unwrap();
        let found = counts(&analysis, &rows, 1 << 30);
        let p = found.corrected(Family::Tfce, enhanced.unwrap().iter().map(|v| v.abs()));
        let hit = (0..512).filter(|v| inside(*v) && p[*v] < 0.05).count();
        let wrong = (0..512).filter(|v| !inside(*v) && p[*v] < 0.05).count();
        assert!(hit > 45 && wrong < 40, "{hit} {wrong}");
        let clusters = Clusters::of(&analysis.lattice, &fit.statistic, 2.0);
        let first = &clusters.list[0];
        let [extent, mass] = [(Family::Extent, first.extent() as f32), (Family::Mass, first.mass as f32)]
            .map(|(family, size)| found.corrected(family, [size])[0]);
        assert!(extent < 0.05 && mass < 0.05 && first.voxels.iter().filter(|v| inside(**v)).count() > 50);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// What is shuffled map by map, with no blocks and no batches.
    #[test]
    fn as_one_shuffle_after_the_other(seed in 0u64..1000, flip in prop::bool::ANY, above in prop::bool::ANY) {
        let (n, shape, voxels) = (9, [7, 6, 4], 168);
        let mut random = Random::new(seed);
        let age: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let design = Design::new(vec![("one".into(), vec![1.0; n]), ("age".into(), age)]).unwrap();
        let exchange = Exchange {
            shuffling: if flip { Shuffling::Both } else { Shuffling::Permute },
            blocks: Blocks::Within((0..n).map(|i| i % 2).collect()),
        };
        let sides = if above { Sides::Above } else { Sides::Two };
        let analysis = analysis(&design, shape, exchange, 23, sides);
        let rows = InMemory::new(n, noise(n, voxels, seed)).unwrap();
        let found = counts(&analysis, &rows, 5 * 8 * voxels);
        let (fit, _) = analysis.observe(&rows).unwrap();
        let mut values = vec![0.0; n * voxels];
        rows.read(0, &mut values).unwrap();
        let mut reach = vec![0u32; voxels];
        for number in 0..analysis.shuffles.len() {
            let shuffled = analysis.model.shuffled(&analysis.shuffles.get(number));
            let map = analysis.model.block(&values, voxels).fit_all(&shuffled).statistic;
            let size = |v: f32| if above { v } else { v.abs() };
            let most = map.iter().map(|v| size(*v)).fold(0.0, f32::max);
            prop_assert!((most - found.largest[number + 1]).abs() < 1e-5);
            (0..voxels).for_each(|v| reach[v] += u32::from(size(map[v]) >= size(fit.statistic[v])));
        }
        prop_assert_eq!(&reach, &found.voxel);
    }

    /// Whoever counts which shuffles, and however many at a time.
    #[test]
    fn parts_are_together_what_was_counted_at_once(
        seed in 0u64..1000, whose in prop::collection::vec(0usize..5, 31), batches in prop::array::uniform5(1usize..9),
    ) {
        let rows = InMemory::new(10, noise(10, 90, seed)).unwrap();
        let analysis = analysis(&two_groups(10), [6, 5, 3], Exchange::default(), 31, Sides::Two);
        let whole = counts(&analysis, &rows, 1 << 30);
        let (fit, enhanced) = analysis.observe(&rows).unwrap();
        let part = |of: usize| {
            let numbers: Vec<usize> = (0..31).filter(|&n| whose[n] == of).collect();
            let mut counts = Counts::default();
            let observed = (&fit, enhanced.as_deref());
            analysis.count(&numbers, &rows, observed, &mut counts, batches[of] * 8 * 90, &voxplain_core::Silent).unwrap();
            (numbers, counts)
        };
        let parts: Vec<_> = (0..5).map(part).collect();
        prop_assert_eq!(Counts::together(&parts).unwrap(), whole);
    }
}

/// Where nothing is there, the least corrected p is below 0.05 in 1 of 20 studies: with a covariate that matters and belongs to the
/// group, with blocks of different size of values, with skewed values.
#[test]
fn the_family_wise_error_is_what_it_says() {
    let (n, shape, voxels, studies) = (14, [4, 4, 4], 64, 400);
    let mut found = [[0; 2]; 2];
    for (blocked, found) in found.iter_mut().enumerate() {
        for study in 0..studies {
            let mut random = Seed::new(9).index(study).random();
            let group: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
            let age: Vec<f64> = group.iter().map(|g| random.normal() + g).collect();
            let design =
                Design::new(vec![("one".into(), vec![1.0; n]), ("age".into(), age.clone()), ("group".into(), group)])
                    .unwrap();
            let block = |subject: usize| subject / 7;
            let values = (0..n * voxels).map(|at| {
                let (subject, skewed) = (at / voxels, -(1.0 - random.uniform()).ln());
                let scale = if blocked == 1 && block(subject) == 1 { 6.0 } else { 1.0 };
                (scale * skewed + 0.8 * age[subject]) as f32
            });
            let rows = InMemory::new(n, values.collect()).unwrap();
            let blocks = if blocked == 1 { Blocks::Within((0..n).map(block).collect()) } else { Blocks::None };
            let exchange = Exchange { shuffling: Shuffling::Permute, blocks };
            let analysis = analysis(&design, shape, exchange, 99, Sides::Two);
            let (fit, enhanced) = analysis.observe(&rows).unwrap();
            let found_in = counts(&analysis, &rows, 1 << 28);
            let least = |family, values: &[f32]| {
                found_in.corrected(family, values.iter().map(|v| v.abs())).into_iter().fold(1.0, f64::min)
            };
            found[0] += usize::from(least(Family::Voxel, &fit.statistic) <= 0.05);
            found[1] += usize::from(least(Family::Tfce, &enhanced.unwrap()) <= 0.05);
        }
    }
    // 20 of 400 are expected; outside 6 to 36 chance is below 1 in 1000.
    assert!(found.iter().flatten().all(|count| (6..=36).contains(count)), "{found:?}");
}
