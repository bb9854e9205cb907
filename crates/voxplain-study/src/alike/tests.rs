#![expect(clippy::cast_possible_truncation, reason = "values are drawn in f64 and held as the volumes are")]

use super::*;
use proptest::prelude::*;
use voxplain_core::{Silent, random::Seed};
use voxplain_nn::EngineOptions;
use voxplain_volume::{Affine, Border, Grid, Mask, Volume};

const SHAPE: [usize; 3] = [24, 28, 22];

fn engine(threads: usize) -> Engine {
    Engine::new(EngineOptions { threads: Some(threads), ..EngineOptions::default() }).unwrap()
}

fn grid() -> Grid {
    Grid::new(SHAPE, Affine::from_spacing_origin([3.0; 3], [0.0; 3])).unwrap()
}

fn brain() -> Mask {
    let middle = SHAPE.map(|n| (n as f64 - 1.0) / 2.0);
    let radius = [9.5, 11.5, 8.5];
    Volume::from_fn(grid(), |v| (0..3).map(|a| ((v[a] as f64 - middle[a]) / radius[a]).powi(2)).sum::<f64>() < 1.0)
}

/// A smooth field of its own for each person, on top of one that all have.
fn person(n: u64) -> Volume {
    let field = |seed: Seed| {
        let mut random = seed.random();
        Volume::from_fn(grid(), |_| random.normal() as f32).smooth(3.0, Border::Renormalize)
    };
    let (common, own) = (field(Seed::new(1)), field(Seed::new(2).index(n)));
    Volume::from_fn(grid(), |[i, j, k]| 100.0 + 30.0 * common.at(i, j, k) + 60.0 * own.at(i, j, k))
}

fn compare(images: &[(Volume, Mask)], threads: usize) -> Alike {
    let read = |n: usize| Ok((images[n].0.data().to_vec(), images[n].1.data().to_vec()));
    let brains = Brains {
        count: images.len(),
        channels: 1,
        shape: SHAPE,
        spacing: [3.0; 3],
        read: &read,
        at_stake: &|_, _| true,
    };
    alike(&brains, &engine(threads), &Silent).unwrap()
}

/// Ten people, and this image behind them.
fn beside_ten(copy: (Volume, Mask)) -> Alike {
    let mut images: Vec<(Volume, Mask)> = (0..10).map(|n| (person(n), brain())).collect();
    images.push(copy);
    compare(&images, 2)
}

fn moved<T: Copy>(v: &Volume<T>, by: [i32; 3], outside: T) -> Volume<T> {
    Volume::from_fn(*v.grid(), |at| {
        let q: [i32; 3] = std::array::from_fn(|a| at[a] as i32 - by[a]);
        let inside = (0..3).all(|a| (0..SHAPE[a] as i32).contains(&q[a]));
        if inside { v.at(q[0] as usize, q[1] as usize, q[2] as usize) } else { outside }
    })
}

fn mirrored<T: Copy>(v: &Volume<T>) -> Volume<T> {
    Volume::from_fn(*v.grid(), |[i, j, k]| v.at(SHAPE[0] - 1 - i, j, k))
}

#[test]
fn copies_are_found_and_others_are_not() {
    let (image, mask) = (person(3), brain());
    let mut random = Seed::new(5).random();
    let noise = Volume::from_fn(grid(), |[i, j, k]| image.at(i, j, k) + 3.0 * random.normal() as f32);
    let field = Volume::from_fn(grid(), |[i, j, k]| image.at(i, j, k) * (1.0 + 0.02 * (i + j) as f32));
    let copies = [
        ("scaled", image.map(|v| 1.7 * v + 12.0), mask.clone(), 0.999, false),
        ("rounded", image.map(|v| v.round()), mask.clone(), 0.99, false),
        ("gamma", image.map(|v| v.max(0.0).powf(0.6)), mask.clone(), 0.97, false),
        ("noise", noise, mask.clone(), 0.85, false),
        ("field", field, mask.clone(), 0.97, false),
        ("moved", moved(&image, [1, -2, 2], 0.0), moved(&mask, [1, -2, 2], false), 0.99, false),
        ("mirrored", mirrored(&image), mirrored(&mask), 0.999, true),
    ];
    for (name, copy, mask, least, is_mirrored) in copies {
        let found = beside_ten((copy, mask));
        let [pair] = found.pairs() else { panic!("{name}: {:?}", found.compared) };
        assert_eq!((pair.one, pair.other, pair.mirrored), (3, 10, is_mirrored), "{name}");
        assert!(pair.likeness > least, "{name}: {}", pair.likeness);
        assert!(found.next().unwrap().likeness < 0.4, "{name}: {:?}", found.next());
    }
    let nobody = beside_ten((person(77), brain()));
    assert!(nobody.pairs().is_empty() && nobody.next().unwrap().likeness < 0.4, "{:?}", nobody.compared.first());
}

#[test]
fn everybody_alike_is_no_copy() {
    // One anatomy with a little of one's own: the mean is what all have in common, and what is left is one's own.
    let anatomy = person(99);
    let all: Vec<(Volume, Mask)> = (0..8)
        .map(|n| {
            let own = person(n);
            (Volume::from_fn(grid(), |[i, j, k]| anatomy.at(i, j, k) + 0.2 * own.at(i, j, k)), brain())
        })
        .collect();
    let found = compare(&all, 2);
    assert!(found.pairs().is_empty(), "{:?}", found.compared.first());
}

#[test]
fn what_has_no_pattern_is_said() {
    let flat = |value: f32| (Volume::filled(grid(), value), brain());
    let mut images: Vec<(Volume, Mask)> = (0..5).map(|n| (person(n), brain())).collect();
    images.extend([flat(0.0), flat(7.5), (person(8), Volume::filled(grid(), false))]);
    let found = compare(&images, 1);
    assert_eq!((found.without.clone(), found.pairs().len()), (vec![5, 6, 7], 0));
    // A cohort of masks: nobody can be compared, and nobody is accused.
    let masks = compare(&[flat(1.0), flat(1.0), flat(1.0), flat(1.0)], 1);
    assert_eq!((masks.without.len(), masks.compared.len()), (4, 0));
    // Values that are no numbers.
    let mut images: Vec<(Volume, Mask)> = (0..5).map(|n| (person(n), brain())).collect();
    images[0].0.data_mut().fill(f32::NAN);
    assert_eq!(compare(&images, 1).without, [0]);
    // Three people have no mean.
    assert!(compare(&[flat(1.0), flat(1.0), (person(0), brain())], 1).compared.is_empty());
}

/// A copy of one channel is one, whatever the other shows; a brain without a pattern in one channel is compared by the other.
#[test]
fn channels_are_compared_each_with_its_own() {
    let both = |first: u64, second: u64| [person(first).into_data(), person(100 + second).into_data()].concat();
    let mut images: Vec<Vec<f32>> = (0..6).map(|n| both(n, n)).collect();
    images.push(both(6, 2));
    images.push([Volume::filled(grid(), 1.0).into_data(), person(104).into_data()].concat());
    // The first channel of one is the second of another: they are not held against each other.
    images.push(both(101, 9));
    let read = |n: usize| Ok((images[n].clone(), brain().into_data()));
    let brains = Brains {
        count: images.len(),
        channels: 2,
        shape: SHAPE,
        spacing: [3.0; 3],
        read: &read,
        at_stake: &|_, _| true,
    };
    let found = alike(&brains, &engine(2), &Silent).unwrap();
    let mut pairs: Vec<_> = found.pairs().iter().map(|p| (p.one, p.other, p.channel)).collect();
    pairs.sort_unstable();
    assert_eq!((pairs, found.without.len()), (vec![(2, 6, 1), (4, 7, 1)], 0));
    // Only what is at stake is told.
    let none =
        alike(&Brains { at_stake: &|one, other| (one, other) == (0, 1), ..brains }, &engine(2), &Silent).unwrap();
    assert_eq!((none.compared.len(), none.pairs().len()), (1, 0));
}

#[test]
fn threads_do_not_matter() {
    let images: Vec<(Volume, Mask)> = (0..9).map(|n| (person(n % 8), brain())).collect();
    assert_eq!(compare(&images, 1), compare(&images, 3));
}

/// The likeness from its definition: every voxel of the grid, one after another.
fn slow(one: &Texture, other: &Texture, mean: &Mean, at: Alignment, blocks: &Blocks) -> f64 {
    let spread = |of: &Texture| {
        let mut all = vec![f32::NAN; blocks.len()];
        of.each(blocks, |n, value| all[n] = value);
        all
    };
    let (a, b, common) = (spread(one), spread(other), mean.spread());
    let [ni, nj, nk] = blocks.shape.map(|n| n as i32);
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for n in 0..blocks.len() as i32 {
        let [i, j, k] = [n / (nj * nk), n / nk % nj, n % nk];
        let [p, q, r] = [i - at.shift[0], j - at.shift[1], k - at.shift[2]];
        let p = if at.mirrored { ni - 1 - p } else { p };
        if !(0..ni).contains(&p) || !(0..nj).contains(&q) || !(0..nk).contains(&r) || !mean.is_there(n as usize) {
            continue;
        }
        let (x, y, m) = (a[n as usize], b[((p * nj + q) * nk + r) as usize], common[n as usize]);
        if x.is_finite() && y.is_finite() {
            pairs.push((f64::from(x) - f64::from(m), f64::from(y) - f64::from(m)));
        }
    }
    let n = pairs.len() as f64;
    let (mx, my) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn likeness_is_its_definition(mirrored: bool, shift in prop::array::uniform3(-4i32..=4)) {
        let blocks = Blocks::of(SHAPE, [3.0; 3]);
        let of = |n: u64| Texture::of(person(n).data(), brain().data(), &blocks);
        let all: Vec<Option<Texture>> = (0..4).map(of).collect();
        let mean = Mean::of(&all, blocks);
        let (one, other) = (all[0].as_ref().unwrap(), all[1].as_ref().unwrap());
        let at = Alignment { mirrored, shift };
        let found = at.likeness(one, other, &mean, 1).unwrap();
        prop_assert!((found - slow(one, other, &mean, at, &blocks)).abs() < 1e-4, "{found}");
        // Whichever of the two is laid on the other: what moves the one there moves the other back.
        prop_assert!(found.abs() <= 1.0);
    }

    #[test]
    fn the_nearest_are_the_first_of_all_in_order(scores in prop::collection::vec(0u8..6, 0..40)) {
        let mut all: Vec<(f32, usize)> = scores.iter().map(|&s| f32::from(s) / 8.0 - 0.3).zip(0..).collect();
        let mut nearest = Vec::new();
        all.iter().for_each(|&(score, other)| keep(&mut nearest, score, other));
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(NEAREST);
        prop_assert_eq!(nearest, all);
    }

    #[test]
    fn intensities_do_not_matter(scale in 0.01f32..100.0, offset in -50f32..50.0) {
        let blocks = Blocks::of(SHAPE, [3.0; 3]);
        let spread = |v: &Volume| Texture::of(v.data(), brain().data(), &blocks).unwrap().spread(&blocks);
        let (one, other) = (spread(&person(1)), spread(&person(1).map(|v| scale * v + offset)));
        // A step of the bytes, where rounding falls to the other side.
        prop_assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 0.05));
    }
}

#[test]
fn fine_grids_are_averaged_in_blocks() {
    // By hand: voxels of 1.5 mm, blocks of 2 x 2 x 2.
    let blocks = Blocks::of([4, 4, 5], [1.5; 3]);
    assert_eq!((blocks.shape, blocks.spacing), ([2, 2, 3], [3.0; 3]));
    assert_eq!(Blocks::of([4; 3], [4.0; 3]).shape, [4; 3]);
    assert_eq!(far(vec![1.0, 2.0, 3.0, 4.0, 100.0]), 3.0 + DEVIATIONS * 1.4826);
}
