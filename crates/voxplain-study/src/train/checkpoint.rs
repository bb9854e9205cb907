//! [`Checkpoint`]: the state of a fold after a complete epoch.

use crate::{model::tensors, run::Epoch};
use serde::{Deserialize, Serialize};
use std::path::Path;
use voxplain_core::{Error, Result, atomic_file};
use voxplain_nn::{Network, Optimizer, OptimizerKind, OptimizerState, Tensor, WeightAverage};

const KEY: &str = "voxplain-checkpoint";

/// Weights and their average, state of the optimiser, and the learning curve so far.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) network: Network,
    pub(super) optimizer: Optimizer,
    pub(super) history: Vec<Epoch>,
    /// The network of the lowest validation loss, and its epoch (from 1).
    pub(super) best: Option<(usize, Network)>,
    /// The moving average of the weights, where there is one.
    pub(super) average: Option<WeightAverage>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    step: u64,
    history: Vec<Epoch>,
    best: Option<usize>,
    /// Steps that weights were averaged over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    averaged: Option<u64>,
}

impl Checkpoint {
    /// The network that is judged and kept: that of the averaged weights, where there is one.
    pub(super) fn judged(&self) -> &Network {
        self.average.as_ref().map_or(&self.network, WeightAverage::network)
    }

    /// Writes the checkpoint, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let OptimizerState { step, tensors: moments } = self.optimizer.state();
        let header = Header {
            step,
            history: self.history.clone(),
            best: self.best.as_ref().map(|b| b.0),
            averaged: self.average.as_ref().map(WeightAverage::steps),
        };
        let header =
            serde_json::to_string(&header).map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))?;
        let mut all: Vec<(String, &Tensor)> = Vec::new();
        all.extend(self.network.state().into_iter().map(|p| (format!("network.{}", p.name), p.tensor)));
        all.extend(moments.iter().map(|(name, t)| (format!("optimizer.{name}"), t)));
        if let Some((_, best)) = &self.best {
            all.extend(best.state().into_iter().map(|p| (format!("best.{}", p.name), p.tensor)));
        }
        if let Some(average) = &self.average {
            all.extend(average.network().state().into_iter().map(|p| (format!("average.{}", p.name), p.tensor)));
        }
        let bytes = tensors::to_bytes(KEY, &header, all.iter().map(|(name, t)| (name.as_str(), *t)));
        atomic_file::write(path, &bytes)
    }

    /// Reads the checkpoint of a fold; `None` where there is none. `network` gives the graph.
    pub(super) fn read(path: &Path, network: &Network, kind: &OptimizerKind, ema: Option<f64>) -> Result<Option<Self>> {
        let bytes = match voxplain_core::input::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io(path))?,
        };
        Self::from_bytes(&bytes, network, kind, ema)
            .map(Some)
            .map_err(|what| Error::file(path, what, "remove the file: the fold then starts over"))
    }

    fn from_bytes(bytes: &[u8], network: &Network, kind: &OptimizerKind, ema: Option<f64>) -> Result<Self, String> {
        let (header, tensors) = tensors::from_bytes(KEY, bytes)?;
        let Header { step, history, best, averaged } = serde_json::from_str(&header).map_err(|e| e.to_string())?;
        let part = |prefix: &str| -> Vec<(String, Tensor)> {
            tensors.iter().filter_map(|(n, t)| Some((n.strip_prefix(prefix)?.to_owned(), t.clone()))).collect()
        };
        let load = |prefix: &str| {
            let mut loaded = network.clone();
            loaded.load_state(part(prefix)).map(|()| loaded).map_err(|e| e.to_string())
        };
        let state = OptimizerState { step, tensors: part("optimizer.") };
        Ok(Self {
            network: load("network.")?,
            optimizer: Optimizer::restore(kind.clone(), state).map_err(|e| e.to_string())?,
            best: best.map(|epoch| Ok::<_, String>((epoch, load("best.")?))).transpose()?,
            average: ema
                .map(|decay| {
                    let steps = averaged.ok_or("found no average of the weights, expected one")?;
                    Ok::<_, String>(WeightAverage::restore(decay, load("average.")?, steps))
                })
                .transpose()?,
            history,
        })
    }
}

/// Removes a checkpoint that is no longer needed; one that stays does no harm.
pub(super) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}
