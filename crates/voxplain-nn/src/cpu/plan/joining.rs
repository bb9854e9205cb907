//! Joining channels without copying them: what makes a part writes it where the whole lies.
//!
//! A value in blocks of channels that is joined to others at a whole number of blocks is a slice of the sample that it
//! becomes part of. In a dense block the parts of `concat(concat(x, a), b)` lie in one buffer, which every layer adds its
//! channels to, and what was joined so far is the front of it:
//!
//! ```text
//! [ x          | a    | b    | ...  ]    one region
//!   concat(x, a)------|      |           parts of it
//!   concat(concat(x, a), b)--|
//! ```
//!
//! Backwards the gradient of a part is a slice of the whole's, which nobody else needs once it has been handed on:
//! what comes to the part by other ways is added to it there.

use super::compile::Value;
use super::step::{Step, ValueId, Work};
use crate::cpu::kernels::{LANES, Layout, Volume};
use std::ops::Range;

/// Where each value begins in the one that it is a part of, in channels; none where it lies by itself.
pub(super) struct Places(Vec<Option<(ValueId, usize)>>);

/// Whether channels from `at` on of `whole` are whole blocks that can hold `part`; the last block of a part may be a
/// broken one at the end alone.
pub(super) fn fits(part: &Volume, whole: &Volume, at: usize) -> bool {
    let ends = at + part.channels == whole.channels;
    part.layout == whole.layout
        && part.layout != Layout::Planar
        && at.is_multiple_of(LANES)
        && (ends || part.channels.is_multiple_of(LANES))
}

impl Places {
    /// None at all.
    pub(super) fn none(values: usize) -> Self {
        Self(vec![None; values])
    }

    /// Places for all values that steps join, where `may` allows it for a part and a whole.
    pub(super) fn find(steps: &[Step], values: &[Value], may: impl Fn(ValueId, ValueId) -> bool) -> Self {
        let mut places = Self::none(values.len());
        for step in steps.iter().filter(|step| matches!(step.work, Work::Concat(_))) {
            let (parts, whole) = (&step.inputs, step.output);
            let (mut index, mut at) = (0, 0);
            while let Some(&part) = parts.get(index) {
                let once = |part: &ValueId| parts.iter().filter(|other| *other == part).count() == 1;
                let holds = |part: ValueId| fits(&values[part].volume, &values[whole].volume, at) && may(part, whole);
                let channels = values[part].volume.channels;
                if places.0[part].is_none() {
                    if once(&part) && holds(part) {
                        places.0[part] = Some((whole, at));
                    }
                } else if let Some((earlier, count)) = places.joined_before(&parts[index..], values)
                    && parts[index..index + count].iter().all(once)
                    && holds(earlier)
                {
                    // All channels of an earlier whole come again: it is the front of this one.
                    places.0[earlier] = Some((whole, at));
                    index += count;
                    at += values[earlier].volume.channels;
                    continue;
                }
                index += 1;
                at += channels;
            }
        }
        places
    }

    /// A value that lies by itself and is just the first so many of some parts, in their order.
    fn joined_before(&self, parts: &[ValueId], values: &[Value]) -> Option<(ValueId, usize)> {
        let (root, _) = self.root(parts[0]);
        let mut at = 0;
        for (count, &part) in parts.iter().enumerate() {
            if self.root(part) != (root, at) || part == root {
                return None;
            }
            at += values[part].volume.channels;
            if at == values[root].volume.channels {
                return Some((root, count + 1));
            }
        }
        None
    }

    /// The value that lies by itself which a value is part of, and the channel that it begins at.
    pub(super) fn root(&self, value: ValueId) -> (ValueId, usize) {
        let (mut root, mut at) = (value, 0);
        while let Some((whole, before)) = self.0[root] {
            (root, at) = (whole, at + before);
        }
        (root, at)
    }

    /// Those of a step's inputs that are still to be copied, run by run: which, and the first channel.
    pub(super) fn runs(&self, step: &Step, values: &[Value]) -> Vec<(Range<usize>, usize)> {
        let (root, mut at) = self.root(step.output);
        let start = at;
        let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
        for (index, &part) in step.inputs.iter().enumerate() {
            if part == step.output || self.root(part) != (root, at) {
                match runs.last_mut() {
                    Some((run, _)) if run.end == index => run.end += 1,
                    _ => runs.push((index..index + 1, at - start)),
                }
            }
            at += values[part].volume.channels;
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of so many channels, and concatenations of some of them to others.
    fn joined(channels: &[usize], joins: &[(&[ValueId], ValueId)]) -> (Vec<Value>, Vec<Step>) {
        let value = |&channels: &usize| Value {
            volume: Volume::blocked(channels, [2, 3, 4]),
            region: None,
            again: None,
            gradient: None,
            kept: false,
        };
        let step = |&(inputs, output): &(&[ValueId], ValueId)| Step {
            inputs: inputs.to_vec(),
            output,
            work: Work::Concat(Vec::new()),
            sinks: Vec::new(),
            reached: false,
            again: None,
        };
        (channels.iter().map(value).collect(), joins.iter().map(step).collect())
    }

    /// Where each value lies.
    type Roots = Vec<(ValueId, usize)>;
    /// What is copied.
    type Copied = Vec<(Range<usize>, usize)>;

    fn found(channels: &[usize], joins: &[(&[ValueId], ValueId)]) -> (Roots, Copied) {
        let (values, steps) = joined(channels, joins);
        let places = Places::find(&steps, &values, |_, _| true);
        let copied = steps.iter().flat_map(|step| places.runs(step, &values)).collect();
        ((0..values.len()).map(|value| places.root(value)).collect(), copied)
    }

    #[test]
    fn a_dense_block_is_one_buffer() {
        let whole = vec![(6, 0), (6, 32), (6, 0), (6, 48), (6, 0), (6, 80), (6, 0)];
        let nested: [(&[ValueId], ValueId); 3] = [(&[0, 1], 2), (&[2, 3], 4), (&[4, 5], 6)];
        assert_eq!(found(&[32, 16, 48, 32, 80, 5, 85], &nested), (whole.clone(), vec![]));
        // And so it is where everything is joined anew.
        let flat: [(&[ValueId], ValueId); 3] = [(&[0, 1], 2), (&[0, 1, 3], 4), (&[0, 1, 3, 5], 6)];
        assert_eq!(found(&[32, 16, 48, 32, 80, 5, 85], &flat), (whole, vec![]));
    }

    #[test]
    fn what_does_not_fit_is_copied() {
        // Behind five channels no block begins; those that are copied lie one behind the other.
        let (places, copied) = found(&[5, 16, 11, 16, 48], &[(&[0, 1, 2, 3], 4)]);
        assert_eq!(places, [(0, 0), (1, 0), (2, 0), (4, 32), (4, 0)]);
        assert_eq!(copied, [(0..3, 0)]);
        // The same twice, and what lies in a part already.
        let (places, copied) = found(&[16, 16, 32, 48, 32], &[(&[0, 1], 2), (&[2, 0], 3), (&[1, 1], 4)]);
        assert_eq!(places, [(3, 0), (3, 16), (3, 0), (3, 0), (4, 0)]);
        assert_eq!(copied, [(1..2, 32), (0..2, 0)]);
    }
}
