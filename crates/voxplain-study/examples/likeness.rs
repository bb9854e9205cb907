//! How alike different people of a cohort are, and how alike copies of one image: the numbers behind
//! [`LIMIT`](voxplain_study::alike::LIMIT).
//!
//! `cargo run --release -p voxplain-study --example likeness -- COHORT`
//!
//! Copies are made of the prepared volumes of ten people, evenly taken; with `--no-copies` behind the cohort none are.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "an example fails by panicking, and prints"
)]

use std::time::Instant;
use voxplain_core::{Silent, random::Seed};
use voxplain_nn::{Engine, EngineOptions};
use voxplain_study::{
    alike::{Alike, Brains, alike},
    cohort::Cohort,
};
use voxplain_volume::{Affine, Border, Grid, Mask, Volume};

/// A volume and its mask.
type Brain = (Volume, Mask);

fn main() {
    let path = std::env::args().nth(1).expect("the path of a cohort");
    let cohort = Cohort::open(path.as_ref()).unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let people = cohort.subjects.len();
    let start = Instant::now();
    let all = compare(&cohort, &engine, &[], &|_, _| true);
    let seconds = start.elapsed().as_secs_f64();
    let closest: Vec<String> = all.compared.iter().take(5).map(|p| format!("{:.2}", p.likeness)).collect();
    println!(
        "{people} people, {} pairs: the most alike {} ({seconds:.1} s)",
        people * (people - 1) / 2,
        closest.join(", ")
    );
    println!("limit {:.2}; without a pattern: {}\n", all.limit, all.without.len());
    if std::env::args().nth(2).is_some_and(|arg| arg == "--no-copies") {
        return;
    }
    println!("| copy | least | median |\n|---|---|---|");
    let chosen: Vec<usize> = (0..10.min(people)).map(|n| n * people / 10.min(people)).collect();
    for (name, copy) in copies() {
        let made: Vec<Brain> = chosen
            .iter()
            .map(|&n| copy((cohort.volume(n).unwrap(), cohort.mask(n).unwrap()), Seed::new(7).index(n as u64)))
            .collect();
        let own = |a: usize, b: usize| b >= people && chosen[b - people] == a;
        let found = compare(&cohort, &engine, &made, &own);
        let mut values: Vec<f64> = found.compared.iter().map(|pair| pair.likeness).collect();
        values.sort_by(f64::total_cmp);
        let shown = |v: Option<&f64>| v.map_or("none".to_owned(), |v| format!("{v:.2}"));
        println!("| {name} | {} | {} |", shown(values.first()), shown(values.get(values.len() / 2)));
    }
}

/// The people of a cohort, and copies behind them.
fn compare(
    cohort: &Cohort,
    engine: &Engine,
    copies: &[Brain],
    at_stake: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Alike {
    let people = cohort.subjects.len();
    let read = |n: usize| match n.checked_sub(people) {
        None => Ok((cohort.volume(n)?.into_data(), cohort.mask(n)?.into_data())),
        Some(n) => Ok((copies[n].0.data().to_vec(), copies[n].1.data().to_vec())),
    };
    let brains = Brains {
        count: people + copies.len(),
        channels: 1,
        shape: cohort.preparation.shape,
        spacing: cohort.preparation.spacing,
        read: &read,
        at_stake,
    };
    alike(&brains, engine, &Silent).unwrap()
}

/// Ways to make another image of the same.
fn copies() -> Vec<(&'static str, Box<dyn Fn(Brain, Seed) -> Brain>)> {
    vec![
        ("saved as whole numbers, 0 to 255", values(|v, _| (v * 40.0).round() / 40.0)),
        ("intensities x 1.7 + 30", values(|v, _| 1.7 * v + 30.0)),
        ("gamma 0.6", values(|v, _| (v + 3.0).max(0.0).powf(0.6))),
        ("gamma 1.6", values(|v, _| (v + 3.0).max(0.0).powf(1.6))),
        ("noise, 10 % of the contrast", noisy(0.1)),
        ("noise, 50 % of the contrast", noisy(0.5)),
        ("noise, 100 % of the contrast", noisy(1.0)),
        ("field of the coil, up to 30 %", Box::new(|(v, m), _| (field(&v, 0.3), m))),
        ("smoothed, 2 mm (sd)", Box::new(|(v, m), _| (v.smooth(2.0, Border::Renormalize), m))),
        ("smoothed, 4 mm (sd)", Box::new(|(v, m), _| (v.smooth(4.0, Border::Renormalize), m))),
        ("mirrored", Box::new(|(v, m), _| (mirrored(&v), mirrored(&m)))),
        ("moved by 1 voxel", Box::new(|b, _| moved(b, [1.0, 0.0, 0.0]))),
        ("moved by 2 voxels along each axis", Box::new(|b, _| moved(b, [2.0; 3]))),
        ("moved by half a voxel along each axis", Box::new(|b, _| moved(b, [0.5; 3]))),
        ("mask without its outermost voxel", Box::new(|(v, m), _| (v, eroded(&m)))),
        ("lowest 30 mm cut off, placed anew", Box::new(|b, _| cut(b, 30.0))),
        ("turned by 2 degrees", Box::new(|b, _| turned(b, 2.0))),
        ("turned by 4 degrees", Box::new(|b, _| turned(b, 4.0))),
        ("turned by 6 degrees", Box::new(|b, _| turned(b, 6.0))),
        ("mirrored, moved by 1.5, field, gamma, noise 30 %", Box::new(all_at_once)),
    ]
}

fn values(change: impl Fn(f32, f32) -> f32 + 'static) -> Box<dyn Fn(Brain, Seed) -> Brain> {
    Box::new(move |(v, m), _| (inside(&v, &m, |x| change(x, 0.0)), m))
}

fn inside(v: &Volume, m: &Mask, change: impl Fn(f32) -> f32) -> Volume {
    let values = v.data().iter().zip(m.data()).map(|(&x, &m)| if m { change(x) } else { x });
    Volume::new(*v.grid(), values.collect()).unwrap()
}

fn noisy(share: f64) -> Box<dyn Fn(Brain, Seed) -> Brain> {
    Box::new(move |(v, m), seed| (noise(&v, &m, share, seed), m))
}

/// Noise of a standard deviation, as a share of that of the values inside.
fn noise(v: &Volume, m: &Mask, share: f64, seed: Seed) -> Volume {
    let of: Vec<f64> = v.data().iter().zip(m.data()).filter(|(_, m)| **m).map(|(v, _)| f64::from(*v)).collect();
    let mean = of.iter().sum::<f64>() / of.len() as f64;
    let sd = (of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / of.len() as f64).sqrt();
    let mut random = seed.random();
    Volume::new(*v.grid(), v.data().iter().map(|v| v + (share * sd * random.normal()) as f32).collect()).unwrap()
}

/// A smooth factor that grows along the diagonal and falls again.
fn field(v: &Volume, size: f32) -> Volume {
    let shape = v.shape();
    let at = |n: usize, a: usize| n as f32 / shape[a] as f32;
    // The median brain is 0 after preparation: 3 is about what no signal is.
    Volume::from_fn(*v.grid(), |[i, j, k]| {
        let wave = (3.0 * at(i, 0) + 2.0 * at(j, 1)).sin() * (2.5 * at(k, 2)).cos();
        (v.at(i, j, k) + 3.0) * (1.0 + size * wave) - 3.0
    })
}

fn mirrored<T: Copy>(v: &Volume<T>) -> Volume<T> {
    let last = v.shape()[0] - 1;
    Volume::from_fn(*v.grid(), |[i, j, k]| v.at(last - i, j, k))
}

/// What lies at `to_source` of each voxel (in voxels).
fn warped((v, m): Brain, to_source: Affine) -> Brain {
    let grid = Grid::new(v.shape(), Affine::IDENTITY).unwrap();
    let source = Grid::new(v.shape(), to_source.inverse().unwrap()).unwrap();
    let values =
        Volume::new(source, v.into_data()).unwrap().resample(&grid, voxplain_volume::Interpolation::Linear, 0.0);
    let mask = Volume::new(source, m.data().iter().map(|&m| f32::from(u8::from(m))).collect()).unwrap();
    let mask = mask.resample(&grid, voxplain_volume::Interpolation::Linear, 0.0).map(|v| *v >= 0.5);
    (values, mask)
}

fn moved(brain: Brain, by: [f64; 3]) -> Brain {
    warped(brain, Affine::from_spacing_origin([1.0; 3], by.map(|v| -v)))
}

/// About the middle of the grid, around the first axis and then the last.
fn turned(brain: Brain, degrees: f64) -> Brain {
    let (s, c) = (degrees / 2f64.sqrt()).to_radians().sin_cos();
    let rows = [[c, -s * c, s * s], [s, c * c, -c * s], [0.0, s, c]];
    let middle = brain.0.shape().map(|n| (n as f64 - 1.0) / 2.0);
    let shift: [f64; 3] = std::array::from_fn(|a| middle[a] - (0..3).map(|b| rows[a][b] * middle[b]).sum::<f64>());
    let row = |a: usize| [rows[a][0], rows[a][1], rows[a][2], shift[a]];
    warped(brain, Affine::from_rows([row(0), row(1), row(2)]))
}

fn eroded(m: &Mask) -> Mask {
    let [ni, nj, nk] = m.shape();
    Volume::from_fn(*m.grid(), |[i, j, k]| {
        let inner = i > 0 && j > 0 && k > 0 && i + 1 < ni && j + 1 < nj && k + 1 < nk;
        inner
            && [(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 0), (1, 1, 2), (1, 1, 1)]
                .iter()
                .all(|(a, b, c)| m.at(i + a - 1, j + b - 1, k + c - 1))
    })
}

/// Without the lowest part of the mask; the rest is moved to where its centre then is.
fn cut((v, m): Brain, mm: f64) -> Brain {
    let [ni, nj, nk] = m.shape();
    let low = (0..nk).find(|&k| (0..ni).any(|i| (0..nj).any(|j| m.at(i, j, k)))).unwrap();
    let from = low + (mm / m.grid().spacing()[2]).round() as usize;
    let kept = Volume::from_fn(*m.grid(), |[i, j, k]| k >= from && m.at(i, j, k));
    let centre = |m: &Mask| {
        let of = (0..m.grid().len()).filter(|&n| m.data()[n]).map(|n| m.grid().voxel(n)[2] as f64);
        of.clone().sum::<f64>() / of.count() as f64
    };
    let by = centre(&m) - centre(&kept);
    moved((v, kept), [0.0, 0.0, by])
}

fn all_at_once((v, m): Brain, seed: Seed) -> Brain {
    let v = inside(&field(&v, 0.3), &m, |x| (x + 3.0).max(0.0).powf(0.8));
    let (v, m) = moved((mirrored(&v), mirrored(&m)), [1.5, -0.5, 1.0]);
    (noise(&v, &m, 0.3, seed), m)
}
