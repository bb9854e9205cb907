//! [`Plans`]: the compiled plans of a network, within a limit of memory.

use crate::{Error, Result};
use voxplain_nn::{Engine, Network, NodeId, Plan, PlanOptions};

/// Compiled plans of one network, kept for the next case; together within a limit, where there is one.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// Bytes that the plans may take together.
    pub(super) limit: Option<usize>,
    plans: Vec<Compiled>,
    /// Batches that were found to fit: what was asked for, and what fits.
    fitted: Vec<(NodeId, PlanOptions, usize)>,
}

/// A network, or the part of it behind a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// The node whose value it takes.
    pub(super) start: NodeId,
    pub(super) network: &'a Network,
}

impl<'a> Part<'a> {
    /// All of a network.
    pub(super) const fn whole(network: &'a Network) -> Self {
        Self { start: NodeId(0), network }
    }
}

#[derive(Debug)]
struct Compiled {
    start: NodeId,
    options: PlanOptions,
    plan: Plan,
    /// Whether it was asked for since [`Plans::begin`].
    used: bool,
}

/// Whether two plans differ in their batch at most.
fn alike(a: &PlanOptions, b: &PlanOptions) -> bool {
    a.purpose == b.purpose && a.keep == b.keep
}

impl Plans {
    /// The plan that takes at least this batch, compiled when it is first asked for. Where there is a limit, other plans make room.
    pub(super) fn get(&mut self, engine: &Engine, part: Part<'_>, options: &PlanOptions) -> Result<&mut Plan> {
        let same = |c: &Compiled| c.start == part.start && alike(&c.options, options);
        let fits = |c: &Compiled| same(c) && c.options.batch >= options.batch;
        let position = match self.plans.iter().position(fits) {
            Some(position) => position,
            None => {
                // A smaller plan would never be used again.
                self.plans.retain(|c| !same(c));
                let plan = engine.plan(part.network, options)?;
                if let Some(limit) = self.limit {
                    let mut room = limit.saturating_sub(plan.memory_bytes());
                    // The latest stay.
                    let mut kept: Vec<_> = std::mem::take(&mut self.plans);
                    while let Some(other) = kept.pop() {
                        match room.checked_sub(other.plan.memory_bytes()) {
                            Some(rest) => {
                                room = rest;
                                self.plans.insert(0, other);
                            }
                            None => break,
                        }
                    }
                }
                self.plans.push(Compiled { start: part.start, options: options.clone(), plan, used: false });
                self.plans.len() - 1
            }
        };
        let compiled = &mut self.plans[position];
        compiled.used = true;
        Ok(&mut compiled.plan)
    }

    /// The largest batch up to `options.batch` whose plan fits in the limit; refused where not even one sample does.
    pub(super) fn batch(&mut self, engine: &Engine, part: Part<'_>, options: &PlanOptions) -> Result<usize> {
        let Some(limit) = self.limit else { return Ok(options.batch) };
        let known = |(start, o, _): &&(NodeId, PlanOptions, usize)| {
            *start == part.start && alike(o, options) && o.batch == options.batch
        };
        if let Some((.., batch)) = self.fitted.iter().find(known) {
            return Ok(*batch);
        }
        let bytes = |batch: usize| -> Result<usize> {
            Ok(engine.plan(part.network, &PlanOptions { batch, ..options.clone() })?.memory_bytes())
        };
        let one = bytes(1)?;
        if one > limit {
            return Err(Error::request(
                format!("one volume at a time takes the network {}, the limit is {}", readable(one), readable(limit)),
                "allow more with --memory",
            ));
        }
        // Memory grows with the batch: halve what is too much.
        let (mut fits, mut too_many) = (1, options.batch + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if bytes(middle)? <= limit { fits = middle } else { too_many = middle }
        }
        self.fitted.push((part.start, options.clone(), fits));
        Ok(fits)
    }

    /// Gives all plans up.
    pub(super) fn clear(&mut self) {
        self.plans.clear();
    }

    /// Begins to measure what is used.
    pub(super) fn begin(&mut self) {
        self.plans.iter_mut().for_each(|c| c.used = false);
    }

    /// Bytes of the plans asked for since [`Plans::begin`] that are still held.
    pub(super) fn used(&self) -> usize {
        self.plans.iter().filter(|c| c.used).map(|c| c.plan.memory_bytes()).sum()
    }
}

/// `512.0 MiB`, or `12.5 KiB`.
fn readable(bytes: usize) -> String {
    match bytes as f64 / 1024.0 {
        kibi if kibi < 1024.0 => format!("{kibi:.1} KiB"),
        kibi => format!("{:.1} MiB", kibi / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_nn::{Conv3d, EngineOptions, Linear, Op, Purpose};

    #[test]
    fn a_limit_bounds_batches_and_drops_older_plans() {
        let mut network = Network::new([1, 12, 12, 12]);
        network.then("conv", Conv3d::new(1, 16, [3; 3])).unwrap();
        network.then("relu", Op::Relu).unwrap();
        network.then("flat", Op::Flatten).unwrap();
        network.then("linear", Linear::new(16000, 2)).unwrap();
        let engine = Engine::new(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
        let part = Part::whole(&network);
        let options = |batch, purpose| PlanOptions { purpose, batch, keep: Vec::new() };
        let gradient = |batch| options(batch, Purpose::InputGradient);
        let bytes = |o: &PlanOptions| engine.plan(&network, o).unwrap().memory_bytes();
        let mut plans = Plans { limit: None, ..Plans::default() };
        assert_eq!(plans.batch(&engine, part, &gradient(9)).unwrap(), 9);
        // Room for five.
        plans.limit = Some(bytes(&gradient(5)) + 1);
        let fitting = plans.batch(&engine, part, &gradient(9)).unwrap();
        assert_eq!(fitting, 5);
        assert!(bytes(&gradient(6)) > plans.limit.unwrap());
        assert_eq!(plans.get(&engine, part, &gradient(fitting)).unwrap().batch(), 5);
        plans.begin();
        assert_eq!(plans.used(), 0);
        // No room for another beside it: the older goes.
        plans.get(&engine, part, &options(1, Purpose::Infer)).unwrap();
        assert_eq!((plans.plans.len(), plans.used()), (1, bytes(&options(1, Purpose::Infer))));
        plans.limit = Some(bytes(&gradient(1)) - 1);
        let error = plans.batch(&engine, part, &gradient(3)).unwrap_err();
        assert!(error.to_string().contains("iB") && error.hint().unwrap().contains("--memory"), "{error}");
    }
}
