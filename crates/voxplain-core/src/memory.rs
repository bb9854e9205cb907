//! How much memory there is, and how much this process has held: what plans of large networks are made to fit into.

use crate::job::Allotted;
use std::path::Path;

/// Bytes that can be had without swapping, where the system says (Linux: `MemAvailable`), no more than the control group of the process and
/// a batch system leave it.
pub fn available() -> Option<u64> {
    let limits = [
        field("/proc/meminfo", "MemAvailable:"),
        std::fs::read_to_string("/proc/self/cgroup")
            .ok()
            .and_then(|of| left_in_groups(Path::new("/sys/fs/cgroup"), &of)),
        Allotted::here().memory.map(|(bytes, _)| bytes),
    ];
    limits.into_iter().flatten().min()
}

/// What the control groups of a process leave it, of version 1 and 2: each limit less what is in use and cannot be given back, on every
/// level up to the top. `None` where there is no limit. `of` is `/proc/self/cgroup`, `root` where groups are mounted.
fn left_in_groups(root: &Path, of: &str) -> Option<u64> {
    let mut all = Vec::new();
    for line in of.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (base, limit, used) = match controllers {
            "" => (root.to_owned(), "memory.max", "memory.current"),
            of if of.split(',').any(|c| c == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        // In a container the own group is mounted at the top, and the path leads nowhere.
        for level in Path::new(group.trim_start_matches('/')).ancestors() {
            let folder = base.join(level);
            let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
            let (Some(limit), Some(used)) = (number(limit), number(used)) else { continue };
            let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
            // Files that were read are kept as long as nothing else needs the room.
            let files = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            let idle = files("total_inactive_file ").or_else(|| files("inactive_file ")).unwrap_or(0);
            all.push(limit.saturating_sub(used.saturating_sub(idle)));
        }
    }
    all.into_iter().min()
}

/// Most bytes of memory that this process has held at once, where the system says (Linux: `VmHWM`).
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

fn field(file: &str, name: &str) -> Option<u64> {
    kibibytes(&std::fs::read_to_string(file).ok()?, name)
}

/// The line `<name> <number> kB` of a text, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_by_hand() {
        let text = "MemTotal:  16000000 kB\nMemAvailable:\t  2048 kB\nHugePages_Total:  3\nVmHWM: no kB\n";
        assert_eq!(super::kibibytes(text, "MemAvailable:"), Some(2 << 20));
        for (name, why) in [("Swap:", "no line"), ("HugePages_Total:", "no unit"), ("VmHWM:", "no number")] {
            assert_eq!(super::kibibytes(text, name), None, "{why}");
        }
    }

    #[test]
    fn control_groups_leave_what_is_below_their_limits() {
        let root = tempfile::tempdir().unwrap();
        let put = |group: &str, files: &[(&str, &str)]| {
            let folder = root.path().join(group);
            std::fs::create_dir_all(&folder).unwrap();
            files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
        };
        let left = |of: &str| super::left_in_groups(root.path(), of);
        put("", &[("memory.max", "max\n"), ("memory.current", "900\n")]);
        put(
            "slurm/job_7",
            &[("memory.max", "1000\n"), ("memory.current", "600\n"), ("memory.stat", "anon 10\ninactive_file 100\n")],
        );
        assert_eq!(
            left("0::/slurm/job_7/step_0\n"),
            Some(500),
            "the job's limit, less 600, of which 100 can be given back"
        );
        put("slurm", &[("memory.max", "700\n"), ("memory.current", "650\n")]);
        assert_eq!(left("0::/slurm/job_7/step_0\n"), Some(50), "a level above leaves less");
        assert_eq!(left("0::/other\n"), None);
        put(
            "memory/pbs/1",
            &[
                ("memory.limit_in_bytes", "2000"),
                ("memory.usage_in_bytes", "2500"),
                ("memory.stat", "total_inactive_file 0\n"),
            ],
        );
        assert_eq!(left("4:cpu,memory:/pbs/1\n3:cpuset:/\n"), Some(0), "more in use than allowed");
        assert_eq!(left("nonsense\n4:freezer:/pbs/1\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_are_known_and_sensible() {
        let held = vec![1u8; 1 << 20];
        assert!(super::peak().unwrap() > held.len() as u64);
        assert!(super::available().unwrap() > 1 << 20);
    }
}
