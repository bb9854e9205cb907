//! Where values lie: regions with a life, several of which share a slot, and parts of regions.

use crate::cpu::kernels::Buffer;
use std::ops::Range;

/// Memory of one value, gradient or scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegionId(usize);

#[derive(Clone, Copy, Debug)]
struct Region {
    /// Floats of a sample.
    len: usize,
    /// Whether it holds the whole batch rather than the group of samples that is being worked on.
    whole: bool,
    /// First and last moment at which it is needed.
    life: (usize, usize),
    slot: usize,
    /// The region that it is a part of, and where it begins in each of that one's samples.
    within: Option<(RegionId, usize)>,
}

/// Regions, and the slots they share.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    regions: Vec<Region>,
    slots: Vec<Buffer>,
}

impl Memory {
    /// Asks for a region of `len` floats per sample that lives over `life`, both ends included.
    pub(crate) fn request(&mut self, len: usize, whole: bool, life: (usize, usize)) -> RegionId {
        self.regions.push(Region { len, whole, life, slot: usize::MAX, within: None });
        RegionId(self.regions.len() - 1)
    }

    /// A part of a region: `len` floats of each sample, from `offset` on. It lives as long as that does.
    pub(crate) fn part(&mut self, of: RegionId, offset: usize, len: usize) -> RegionId {
        let (root, before) = self.regions[of.0].within.unwrap_or((of, 0));
        let within = Some((root, before + offset));
        self.regions.push(Region { len, within, ..self.regions[root.0] });
        RegionId(self.regions.len() - 1)
    }

    /// Lengthens a region's life to a later moment.
    pub(crate) fn extend(&mut self, region: RegionId, until: usize) {
        let (root, _) = self.regions[region.0].within.unwrap_or((region, 0));
        let life = &mut self.regions[root.0].life;
        life.1 = life.1.max(until);
    }

    /// Lays all regions out, in the free slot that is nearest in size, by order of birth; gives the floats of each slot.
    pub(crate) fn assign(&mut self, group: usize, batch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.regions.len()).filter(|&r| self.regions[r].within.is_none()).collect();
        order.sort_by_key(|&r| (self.regions[r].life.0, std::cmp::Reverse(self.regions[r].len), r));
        let mut slots: Vec<(usize, usize)> = Vec::new(); // (floats, busy until)
        for r in order {
            let region = &mut self.regions[r];
            let need = region.len * if region.whole { batch } else { group };
            let free = (0..slots.len()).filter(|&s| slots[s].1 < region.life.0);
            let slot = free.min_by_key(|&s| slots[s].0.abs_diff(need)).unwrap_or_else(|| {
                slots.push((0, 0));
                slots.len() - 1
            });
            slots[slot] = (slots[slot].0.max(need), region.life.1);
            region.slot = slot;
        }
        for r in 0..self.regions.len() {
            if let Some((root, _)) = self.regions[r].within {
                self.regions[r].slot = self.regions[root.0].slot;
            }
        }
        slots.into_iter().map(|(len, _)| len).collect()
    }

    /// Makes the slots.
    pub(crate) fn allocate(&mut self, slots: &[usize]) {
        self.slots = slots.iter().map(|&len| Buffer::zeros(len)).collect();
    }

    /// Where `count` samples of a region from `first` on lie in its slot.
    ///
    /// Samples of a part do not lie side by side: of a part there is one at a time.
    fn span(&self, region: RegionId, first: usize, count: usize) -> Range<usize> {
        let Region { len, within, .. } = self.regions[region.0];
        assert!(within.is_none() || count == 1, "{count} samples of a part of a region");
        let (root, offset) = within.unwrap_or((region, 0));
        let root = &self.regions[root.0];
        let start = offset + if root.whole { first * root.len } else { 0 };
        start..start + count * len
    }

    /// `count` samples from `first` on.
    pub(crate) fn read(&self, region: RegionId, first: usize, count: usize) -> &[f32] {
        &self.slots[self.regions[region.0].slot][self.span(region, first, count)]
    }

    /// Lends the region of `count` samples from `first` on to `work`, beside the rest of the memory to read others.
    pub(crate) fn write<R>(
        &mut self,
        region: RegionId,
        first: usize,
        count: usize,
        work: impl FnOnce(&Rest<'_>, &mut [f32]) -> R,
    ) -> R {
        let (span, slot) = (self.span(region, first, count), self.regions[region.0].slot);
        let mut buffer = std::mem::take(&mut self.slots[slot]);
        let (before, rest) = buffer.split_at_mut(span.start);
        let (out, after) = rest.split_at_mut(span.len());
        let result = work(&Rest { memory: self, slot, before, after, end: span.end }, out);
        self.slots[slot] = buffer;
        result
    }
}

/// All memory but a region that is being written.
#[derive(Debug)]
pub(crate) struct Rest<'a> {
    memory: &'a Memory,
    /// The slot that the region lies in.
    slot: usize,
    /// What comes before it there.
    before: &'a [f32],
    /// What comes behind it.
    after: &'a [f32],
    /// Where it ends.
    end: usize,
}

impl<'a> Rest<'a> {
    /// `count` samples of another region from `first` on.
    pub(crate) fn read(&self, region: RegionId, first: usize, count: usize) -> &'a [f32] {
        let span = self.memory.span(region, first, count);
        if self.memory.regions[region.0].slot != self.slot {
            &self.memory.slots[self.memory.regions[region.0].slot][span]
        } else if span.end <= self.before.len() {
            &self.before[span]
        } else {
            assert!(span.start >= self.end, "a region is read while it is written");
            &self.after[span.start - self.end..span.end - self.end]
        }
    }
}
