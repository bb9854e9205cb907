//! [`Plans`]: the compiled plans of a network, within a limit of memory.

use crate::setting::MEMORY;
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::{Engine, Network, NodeId, Plan, PlanOptions};

/// Compiled plans of one network, kept for the next case; together within a limit, where there is one.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    /// Bytes that the plans may take together.
    pub(crate) limit: Option<usize>,
    plans: Vec<Compiled>,
    /// Batches that were found to fit: what was asked for, and what fits.
    fitted: Vec<(NodeId, PlanOptions, usize)>,
}

/// A network, or the subgraph of it that follows a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// The node whose value it takes.
    pub(crate) start: NodeId,
    pub(crate) network: &'a Network,
}

impl<'a> Part<'a> {
    /// All of a network.
    pub(crate) const fn whole(network: &'a Network) -> Self {
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
    /// The plan that takes at least this batch, compiled when it is first asked for. Where there is a limit, other
    /// plans make room.
    pub(crate) fn get(&mut self, engine: &Engine, part: Part<'_>, options: &PlanOptions) -> Result<&mut Plan> {
        let same = |c: &Compiled| c.start == part.start && alike(&c.options, options);
        let fits = |c: &Compiled| same(c) && c.options.batch >= options.batch;
        let position = match self.plans.iter().position(fits) {
            Some(position) => position,
            None => {
                // A smaller plan would never be used again.
                self.plans.retain(|c| !same(c));
                if let Some(limit) = self.limit {
                    self.make_room(limit.saturating_sub(engine.memory(part.network, options)?.total()));
                }
                let plan = engine.plan(part.network, options)?;
                self.plans.push(Compiled { start: part.start, options: options.clone(), plan, used: false });
                self.plans.len() - 1
            }
        };
        let compiled = &mut self.plans[position];
        compiled.used = true;
        Ok(&mut compiled.plan)
    }

    /// The largest batch up to `options.batch` whose plan fits in the limit; refused where not even one sample does.
    pub(crate) fn batch(&mut self, engine: &Engine, part: Part<'_>, options: &PlanOptions) -> Result<usize> {
        let Some(limit) = self.limit else { return Ok(options.batch) };
        let known = |(start, o, _): &&(NodeId, PlanOptions, usize)| {
            *start == part.start && alike(o, options) && o.batch == options.batch
        };
        if let Some((.., batch)) = self.fitted.iter().find(known) {
            return Ok(*batch);
        }
        let fits = engine.batch_within(part.network, options, limit).map_err(|e| {
            if let voxplain_nn::Error::Request(what) = e {
                Error::request(what, remedy!["allow more with ", MEMORY])
            } else {
                e.into()
            }
        })?;
        self.fitted.push((part.start, options.clone(), fits));
        Ok(fits)
    }

    /// Keeps the latest plans that fit into so many bytes.
    fn make_room(&mut self, mut room: usize) {
        let mut kept = std::mem::take(&mut self.plans);
        while let Some(latest) = kept.pop() {
            let Some(rest) = room.checked_sub(latest.plan.memory_bytes()) else { break };
            room = rest;
            self.plans.insert(0, latest);
        }
    }

    /// Gives all plans up.
    pub(crate) fn clear(&mut self) {
        self.plans.clear();
    }

    /// Begins to measure what is used.
    pub(crate) fn begin(&mut self) {
        self.plans.iter_mut().for_each(|c| c.used = false);
    }

    /// Bytes of the plans asked for since [`Plans::begin`] that are still held.
    pub(crate) fn used(&self) -> usize {
        self.plans.iter().filter(|c| c.used).map(|c| c.plan.memory_bytes()).sum()
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
        let bytes = |o: &PlanOptions| engine.memory(&network, o).unwrap().total();
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
        assert!(error.to_string().contains("MB") && error.remedy().unwrap().to_string().contains("memory"), "{error}");
    }
}
