//! [`Job`]: the job of SLURM that a process runs in.
//!
//! A job that is started again (requeued) after its node was lost, or after it was cancelled for another, keeps its number, and SLURM counts how
//! often that was. It starts a job again only when it has ended, so a process of an earlier start of the same job is gone, on whatever machine
//! it ran.

use serde::{Deserialize, Serialize};

/// A start of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    /// The name of the cluster; empty where SLURM does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cluster: String,
    /// Its number: each task of an array has its own.
    id: String,
    /// How often it was started before.
    #[serde(default)]
    restarts: u64,
}

impl Job {
    /// The job that this process runs in, by the variables of SLURM; `variable` gives the value of one.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let restarts = match variable("SLURM_RESTART_COUNT") {
            None => 0,
            Some(count) => count.trim().parse().ok()?,
        };
        let id = variable("SLURM_JOB_ID").filter(|id| !id.trim().is_empty())?;
        Some(Self { cluster: variable("SLURM_CLUSTER_NAME").unwrap_or_default(), id, restarts })
    }

    /// Whether this start has ended, seen from another one of the same job.
    pub(super) fn is_over(&self, now: &Self) -> bool {
        self.cluster == now.cluster && self.id == now.id && self.restarts < now.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(variables: &[(&str, &str)]) -> Option<Job> {
        Job::of(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_earlier_start_of_the_same_job_is_over() {
        let first = job(&[("SLURM_JOB_ID", "12"), ("SLURM_CLUSTER_NAME", "c")]).unwrap();
        let second = job(&[("SLURM_JOB_ID", "12"), ("SLURM_CLUSTER_NAME", "c"), ("SLURM_RESTART_COUNT", "1")]).unwrap();
        assert!(first.is_over(&second));
        // Not itself, a later one, a job of another number, or of another cluster.
        assert!(!first.is_over(&first) && !second.is_over(&second) && !second.is_over(&first));
        let other = job(&[("SLURM_JOB_ID", "13"), ("SLURM_CLUSTER_NAME", "c"), ("SLURM_RESTART_COUNT", "2")]).unwrap();
        let elsewhere = job(&[("SLURM_JOB_ID", "12"), ("SLURM_RESTART_COUNT", "2")]).unwrap();
        assert!(!first.is_over(&other) && !first.is_over(&elsewhere));
        // What SLURM does not say so is no job.
        assert_eq!(job(&[]), None);
        assert_eq!(job(&[("SLURM_JOB_ID", " ")]), None);
        assert_eq!(job(&[("SLURM_JOB_ID", "12"), ("SLURM_RESTART_COUNT", "x")]), None);
        let text = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), first);
    }
}
