//! [`alike`]: who of a cohort is so like another that they may be one person.
//!
//! | file | holds |
//! |---|---|
//! | `texture.rs` | the fine pattern of a brain, whatever its intensities |
//! | `lattice.rs` | a few hundred points of it, by which all pairs are looked at |
//! | `alignment.rs` | how alike two brains are where one lies best on the other |
//!
//! The same image saved anew has another hash: as another type of numbers, with other intensities, moved, mirrored, smoothed or with noise.
//! What stays is the pattern of its folds. From each prepared brain what is coarser than folds is taken away (differences of Gaussians of 2
//! and 6.5 mm inside the mask), the contrast is made the same everywhere, and the mean of all brains is subtracted: what people have in common
//! says nothing. Two brains are then as alike as this correlates over the voxels that both hold, at the best of all shifts, mirrored or
//! not. [`LIMIT`] says from where on they may be one.

mod alignment;
mod lattice;
mod texture;

#[cfg(test)]
mod tests;

use alignment::{Alignment, Mean};
use lattice::{Lattice, Readings};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use texture::{Blocks, Texture};
use voxplain_core::{Progress, Result};
use voxplain_nn::Engine;

/// Two brains that are more alike than this may be of one person. Of the 5,671 pairs of 107 different people of IXI none is more alike than
/// 0.40, or 0.49 where heads are not aligned; `docs/leaks.md` has what copies give, and
/// `cargo run --release -p voxplain-study --example likeness -- COHORT` measures both on any cohort.
pub const LIMIT: f64 = 0.6;

/// Fewer brains than this have no mean that says what people have in common.
pub const FEWEST: usize = 4;

/// For each brain, so many of those that are most like it at a few points are looked at closely.
const NEAREST: usize = 5;

/// The scores of so many brains with all before them are in memory at once: those of all pairs of 10,000 would take 400 MB.
const ROWS: usize = 256;

/// Pairs that say how alike people of this cohort are, evenly taken, at most.
const USUAL: usize = 150;

/// By how many (robust) standard deviations of other pairs two brains must be more alike than the median pair: in a cohort in which
/// everybody is alike, nobody is a copy for that.
const DEVIATIONS: f64 = 5.5;

/// What is done about people on both sides of a split who are so alike that they may be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copies {
    /// Nothing is trained.
    #[default]
    Refuse,
    /// They are named.
    Warn,
    /// They are not looked for.
    Off,
}

impl Copies {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `refuse`, `warn`, `off`.
impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::Warn => "warn",
            Self::Off => "off",
        })
    }
}

/// Brains to be compared.
pub struct Brains<'a> {
    /// How many.
    pub count: usize,
    /// Images of each, one behind the other in its values.
    pub channels: usize,
    /// Shape of the volumes, in voxels.
    pub shape: [usize; 3],
    /// Spacing in mm.
    pub spacing: [f64; 3],
    /// The values of all channels and the mask of a brain, in C order.
    pub read: &'a (dyn Fn(usize) -> Result<(Vec<f32>, Vec<bool>)> + Sync),
    /// Whether two are to be compared, the earlier first.
    pub at_stake: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

impl fmt::Debug for Brains<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, channels, shape, spacing, .. } = self;
        let mut shown = f.debug_struct("Brains");
        shown.field("count", count).field("channels", channels).field("shape", shape).field("spacing", spacing);
        shown.finish_non_exhaustive()
    }
}

/// Two brains that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The one, by position.
    pub one: usize,
    /// The other.
    pub other: usize,
    /// The correlation of what is their own.
    pub likeness: f64,
    /// Whether one is the other's mirror image.
    pub mirrored: bool,
    /// The image, by its position among the channels.
    pub channel: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alike {
    /// The pairs that were looked at closely, the most alike first: for each brain those that a few points are most alike in.
    pub compared: Vec<Pair>,
    /// From where on two may be one: [`LIMIT`], or more where everybody is alike.
    pub limit: f64,
    /// Brains in which there is no pattern to compare: flat, or of too few voxels.
    pub without: Vec<usize>,
}

impl Alike {
    /// Pairs that may be of one person, the most alike first.
    pub fn pairs(&self) -> &[Pair] {
        &self.compared[..self.compared.partition_point(|pair| pair.likeness >= self.limit)]
    }

    /// The most alike of the other pairs.
    pub fn next(&self) -> Option<&Pair> {
        self.compared.get(self.pairs().len())
    }
}

/// Compares brains, all pairs that are at stake. The result does not depend on the number of threads.
///
/// # Errors
/// A brain cannot be read; the user asked to stop.
pub fn alike(brains: &Brains<'_>, engine: &Engine, progress: &dyn Progress) -> Result<Alike> {
    let mut found = Alike { limit: LIMIT, ..Alike::default() };
    if brains.count < FEWEST {
        return Ok(found);
    }
    let blocks = Blocks::of(brains.shape, brains.spacing);
    progress.begin("looking for copies", brains.count * (1 + brains.channels));
    let done: Result<()> = engine.thread_pool().install(|| {
        let textures = textures(brains, &blocks, progress)?;
        for (channel, textures) in textures.iter().enumerate() {
            if textures.iter().flatten().count() >= FEWEST {
                of_channel(brains, channel, textures, blocks, &mut found, progress)?;
            }
        }
        let flat = |n: &usize| textures.iter().all(|of| of[*n].is_none());
        found.without = (0..brains.count).filter(flat).collect();
        Ok(())
    });
    progress.end();
    done?;
    found.compared.sort_by(|a, b| b.likeness.total_cmp(&a.likeness).then((a.one, a.other).cmp(&(b.one, b.other))));
    Ok(found)
}

/// Of each channel, of each brain.
fn textures(brains: &Brains<'_>, blocks: &Blocks, progress: &dyn Progress) -> Result<Vec<Vec<Option<Texture>>>> {
    let of_brain = |n: usize| {
        progress.go_on()?;
        let (values, mask) = (brains.read)(n)?;
        let each = values.chunks_exact(mask.len().max(1)).map(|of| Texture::of(of, &mask, blocks));
        let each: Vec<Option<Texture>> = each.collect();
        progress.advance(1, "");
        Ok(each)
    };
    let all = (0..brains.count).into_par_iter().map(of_brain).collect::<Result<Vec<_>>>()?;
    let mut by_channel: Vec<Vec<Option<Texture>>> = (0..brains.channels).map(|_| Vec::new()).collect();
    for of_brain in all {
        let mut of_brain = of_brain.into_iter();
        by_channel.iter_mut().for_each(|channel| channel.push(of_brain.next().flatten()));
    }
    Ok(by_channel)
}

/// Adds the pairs of one channel.
fn of_channel(
    brains: &Brains<'_>,
    channel: usize,
    textures: &[Option<Texture>],
    blocks: Blocks,
    found: &mut Alike,
    progress: &dyn Progress,
) -> Result<()> {
    let mean = Mean::of(textures, blocks);
    let lattice = Lattice::of(&mean, blocks);
    let readings: Vec<Option<Readings>> =
        textures.par_iter().map(|of| of.as_ref().map(|texture| lattice.readings(texture))).collect();
    let nearest = nearest(brains, &lattice, textures, &readings, progress)?;
    let pairs =
        nearest.iter().enumerate().flat_map(|(n, others)| others.iter().map(move |&(_, o)| (n.min(o), n.max(o))));
    let mut candidates: Vec<(usize, usize)> = pairs.collect();
    candidates.sort_unstable();
    candidates.dedup();
    let close = |&(one, other): &(usize, usize)| {
        progress.go_on()?;
        let (Some(a), Some(b)) = (&textures[one], &textures[other]) else { return Ok(None) };
        let Some(of_one) = &readings[one] else { return Ok(None) };
        let starts = lattice.best(of_one, &lattice.moved(b));
        let places = starts.into_iter().map(|(start, _)| start).chain([Alignment::NONE]);
        let best = places.filter_map(|start| start.search(a, b, &mean)).max_by(|a, b| a.1.total_cmp(&b.1));
        let pair = best.map(|(at, likeness)| Pair { one, other, likeness, mirrored: at.mirrored, channel });
        Ok(pair)
    };
    let compare = |pairs: &[(usize, usize)]| -> Result<Vec<Pair>> {
        let all = pairs.par_iter().map(close).collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().flatten().collect())
    };
    let usual = compare(&usual_pairs(textures))?.iter().map(|pair| pair.likeness).collect();
    found.limit = found.limit.max(far(usual));
    let known: BTreeMap<(usize, usize), usize> =
        found.compared.iter().enumerate().map(|(at, pair)| ((pair.one, pair.other), at)).collect();
    for pair in compare(&candidates)? {
        // Of several channels the one by which they are most alike.
        match known.get(&(pair.one, pair.other)) {
            Some(&at) if found.compared[at].likeness < pair.likeness => found.compared[at] = pair,
            Some(_) => {}
            None => found.compared.push(pair),
        }
    }
    Ok(())
}

/// For each brain the [`NEAREST`] that are most like it at the points of the lattice, of those with which it is at stake, the most alike
/// first; of two that are as alike, the earlier.
fn nearest(
    brains: &Brains<'_>,
    lattice: &Lattice,
    textures: &[Option<Texture>],
    readings: &[Option<Readings>],
    progress: &dyn Progress,
) -> Result<Vec<Vec<(f32, usize)>>> {
    // How alike a brain is to each of those before it; nothing where one has no pattern.
    let row = |n: usize| -> Result<Vec<Option<f32>>> {
        progress.go_on()?;
        let moved = textures[n].as_ref().map(|texture| lattice.moved(texture));
        let score = |(other, one): (usize, &Option<Readings>)| {
            if !(brains.at_stake)(other, n) {
                return None;
            }
            let [straight, mirrored] = lattice.best(one.as_ref()?, moved.as_ref()?);
            Some(straight.1.max(mirrored.1))
        };
        let row = readings[..n].iter().enumerate().map(score).collect();
        progress.advance(1, "");
        Ok(row)
    };
    let mut nearest = vec![Vec::with_capacity(NEAREST + 1); textures.len()];
    let mut first = 0;
    while first < textures.len() {
        let numbers = first..textures.len().min(first + ROWS);
        first = numbers.end;
        let rows = numbers.clone().into_par_iter().map(row).collect::<Result<Vec<_>>>()?;
        for (n, row) in numbers.zip(rows) {
            for (other, score) in row.into_iter().enumerate() {
                let Some(score) = score else { continue };
                keep(&mut nearest[n], score, other);
                keep(&mut nearest[other], score, n);
            }
        }
    }
    Ok(nearest)
}

/// Puts one more into the list of the nearest.
fn keep(nearest: &mut Vec<(f32, usize)>, score: f32, other: usize) {
    let at = nearest.partition_point(|&(s, o)| score.total_cmp(&s).then(o.cmp(&other)).is_lt());
    if at < NEAREST {
        nearest.insert(at, (score, other));
        nearest.truncate(NEAREST);
    }
}

/// Pairs of those that have a pattern, evenly taken of all.
fn usual_pairs(textures: &[Option<Texture>]) -> Vec<(usize, usize)> {
    let with: Vec<usize> = (0..textures.len()).filter(|&n| textures[n].is_some()).collect();
    let all = with.len() * with.len().saturating_sub(1) / 2;
    let every = all.div_ceil(USUAL).max(1);
    let pairs = (1..with.len()).flat_map(|b| (0..b).map(move |a| (a, b))).step_by(every);
    pairs.map(|(a, b)| (with[a], with[b])).collect()
}

/// The median of values, and [`DEVIATIONS`] robust standard deviations more.
fn far(mut values: Vec<f64>) -> f64 {
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let middle = median(&mut values);
    let mut away: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    // 1.4826: of a normal distribution, the standard deviation over the median of what lies away from the median.
    middle + DEVIATIONS * 1.4826 * median(&mut away)
}
