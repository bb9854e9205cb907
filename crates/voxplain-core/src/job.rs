//! [`Allotted`]: the processors and the memory that a batch system gave to this job.
//!
//! Batch systems confine a job by control groups where they are set up so, and then the system says no more than it has. Where they are not,
//! their variables alone say what was asked for.

/// What a batch system gave to this job; `None` where none says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allotted {
    /// Processors, and the variable that says so.
    pub processors: Option<(usize, &'static str)>,
    /// Bytes of memory, and the variable that says so.
    pub memory: Option<(u64, &'static str)>,
}

impl Allotted {
    /// By the variables of this process.
    pub fn here() -> Self {
        Self::by(|name| std::env::var(name).ok())
    }

    /// By these variables: those of SLURM, PBS, SGE and LSF. One that holds no number of 1 or more says nothing.
    pub fn by(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| variable(name)?.trim().parse::<u64>().ok().filter(|n| *n > 0);
        // An allocation of several tasks on a node is of that many programs.
        let processors = ["SLURM_CPUS_PER_TASK", "PBS_NCPUS", "NCPUS", "NSLOTS", "LSB_DJOB_NUMPROC"]
            .into_iter()
            .find_map(|name| Some((usize::try_from(number(name)?).ok()?, name)));
        let per_node = number("SLURM_MEM_PER_NODE").map(|megabytes| (megabytes, "SLURM_MEM_PER_NODE"));
        let per_processor = || {
            let (count, _) = processors?;
            Some((number("SLURM_MEM_PER_CPU")?.checked_mul(count as u64)?, "SLURM_MEM_PER_CPU"))
        };
        let memory =
            per_node.or_else(per_processor).and_then(|(mebibytes, name)| Some((mebibytes.checked_mul(1 << 20)?, name)));
        Self { processors, memory }
    }

    /// How many threads to use of those that the machine has, where the job was given fewer, and the variable that says so.
    pub fn fewer_threads(&self, of: usize) -> Option<(usize, &'static str)> {
        self.processors.filter(|(given, _)| *given < of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(variables: &[(&str, &str)]) -> Allotted {
        Allotted::by(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_batch_systems_say() {
        assert_eq!(by(&[]), Allotted::default());
        let slurm = by(&[("SLURM_CPUS_PER_TASK", "4"), ("SLURM_MEM_PER_CPU", "2000")]);
        assert_eq!(slurm.processors, Some((4, "SLURM_CPUS_PER_TASK")));
        assert_eq!(slurm.memory, Some((8000 << 20, "SLURM_MEM_PER_CPU")));
        let whole = by(&[("SLURM_MEM_PER_NODE", "1024"), ("NSLOTS", "2")]);
        assert_eq!((whole.memory, whole.processors), (Some((1 << 30, "SLURM_MEM_PER_NODE")), Some((2, "NSLOTS"))));
        // 0 is SLURM's word for all that the node has.
        assert_eq!(by(&[("SLURM_MEM_PER_NODE", "0"), ("SLURM_CPUS_PER_TASK", "many")]), Allotted::default());
        assert_eq!(slurm.fewer_threads(8), Some((4, "SLURM_CPUS_PER_TASK")));
        assert_eq!((slurm.fewer_threads(4), slurm.fewer_threads(2)), (None, None));
    }
}
