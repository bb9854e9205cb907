//! Where values lie: regions with a life, several of which share a slot.

use crate::cpu::kernels::Buffer;

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
        self.regions.push(Region { len, whole, life, slot: usize::MAX });
        RegionId(self.regions.len() - 1)
    }

    /// Lengthens a region's life to a later moment.
    pub(crate) fn extend(&mut self, region: RegionId, until: usize) {
        let life = &mut self.regions[region.0].life;
        life.1 = life.1.max(until);
    }

    /// Lays all regions out, in the free slot that is nearest in size, by order of birth; gives the floats of each slot.
    pub(crate) fn assign(&mut self, group: usize, batch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.regions.len()).collect();
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
        slots.into_iter().map(|(len, _)| len).collect()
    }

    /// Makes the slots.
    pub(crate) fn allocate(&mut self, slots: &[usize]) {
        self.slots = slots.iter().map(|&len| Buffer::zeros(len)).collect();
    }

    /// Takes a region's slot out, to write to it while others are read.
    pub(crate) fn take(&mut self, region: RegionId) -> Buffer {
        std::mem::take(&mut self.slots[self.regions[region.0].slot])
    }

    /// Puts a slot back.
    pub(crate) fn put(&mut self, region: RegionId, buffer: Buffer) {
        self.slots[self.regions[region.0].slot] = buffer;
    }

    /// Where a sample of the group that begins at `first` starts, in a slot.
    pub(crate) fn start(&self, region: RegionId, first: usize) -> usize {
        let region = &self.regions[region.0];
        if region.whole { first * region.len } else { 0 }
    }

    /// `count` samples from `first` on.
    pub(crate) fn read(&self, region: RegionId, first: usize, count: usize) -> &[f32] {
        let start = self.start(region, first);
        let region = &self.regions[region.0];
        &self.slots[region.slot][start..start + count * region.len]
    }

    /// Lends the region of `count` samples from `first` on to `work`, beside the memory to read others.
    pub(crate) fn write<R>(
        &mut self,
        region: RegionId,
        first: usize,
        count: usize,
        work: impl FnOnce(&mut Self, &mut [f32]) -> R,
    ) -> R {
        let (start, len) = (self.start(region, first), self.regions[region.0].len);
        let mut buffer = self.take(region);
        let result = work(self, &mut buffer[start..start + count * len]);
        self.put(region, buffer);
        result
    }
}
