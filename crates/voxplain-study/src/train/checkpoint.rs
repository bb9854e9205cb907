//! [`Checkpoint`]: the state of a fold after a complete epoch.

use crate::{model::tensors, run::Epoch};
use serde::{Deserialize, Serialize};
use std::path::Path;
use voxplain_core::{Error, Result, atomic_file};
use voxplain_nn::{Network, Optimizer, OptimizerKind, OptimizerState, Tensor};

const KEY: &str = "voxplain-checkpoint";

/// Weights, state of the optimiser, and the learning curve so far.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub(super) network: Network,
    pub(super) optimizer: Optimizer,
    pub(super) history: Vec<Epoch>,
    /// The network of the lowest validation loss, and its epoch (from 1).
    pub(super) best: Option<(usize, Network)>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    step: u64,
    history: Vec<Epoch>,
    best: Option<usize>,
}

impl Checkpoint {
    /// Writes the checkpoint, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let OptimizerState { step, tensors: moments } = self.optimizer.state();
        let header = Header { step, history: self.history.clone(), best: self.best.as_ref().map(|b| b.0) };
        let header =
            serde_json::to_string(&header).map_err(|e| Error::file(path, format!("no JSON: {e}"), "report this"))?;
        let mut all: Vec<(String, &Tensor)> = Vec::new();
        all.extend(self.network.state().into_iter().map(|p| (format!("network.{}", p.name), p.tensor)));
        all.extend(moments.iter().map(|(name, t)| (format!("optimizer.{name}"), t)));
        if let Some((_, best)) = &self.best {
            all.extend(best.state().into_iter().map(|p| (format!("best.{}", p.name), p.tensor)));
        }
        let bytes = tensors::to_bytes(KEY, &header, all.iter().map(|(name, t)| (name.as_str(), *t)));
        atomic_file::write(path, &bytes)
    }

    /// Reads the checkpoint of a fold; `None` where there is none. `network` gives the graph.
    pub(super) fn read(path: &Path, network: &Network, kind: &OptimizerKind) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io(path))?,
        };
        Self::from_bytes(&bytes, network, kind)
            .map(Some)
            .map_err(|what| Error::file(path, what, "remove the file: the fold then starts over"))
    }

    fn from_bytes(bytes: &[u8], network: &Network, kind: &OptimizerKind) -> Result<Self, String> {
        let (header, tensors) = tensors::from_bytes(KEY, bytes)?;
        let Header { step, history, best } = serde_json::from_str(&header).map_err(|e| e.to_string())?;
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
            history,
        })
    }
}

/// Removes a checkpoint that is no longer needed; one that stays does no harm.
pub(super) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}
