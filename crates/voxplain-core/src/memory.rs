//! How much memory there is, and how much this process has held: what plans of large networks are made to fit into.

/// Bytes that can be had without swapping, where the system says (Linux: `MemAvailable`).
///
/// A container that may use less than its machine has is not seen.
pub fn available() -> Option<u64> {
    field("/proc/meminfo", "MemAvailable:")
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

    #[cfg(target_os = "linux")]
    #[test]
    fn both_are_known_and_sensible() {
        let held = vec![1u8; 1 << 20];
        assert!(super::peak().unwrap() > held.len() as u64);
        assert!(super::available().unwrap() > 1 << 20);
    }
}
