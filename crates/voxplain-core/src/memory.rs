//! How much memory there is, and how much this process has held.

/// Bytes that can be had without swapping, where the system says (Linux).
pub fn available() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

/// Most bytes that this process has held at once, where the system says (Linux).
pub fn peak() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// The line of a file that begins with `name` and goes on with a number of KiB, in bytes.
fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn both_are_known_and_sensible() {
        let held = vec![1u8; 1 << 20];
        assert!(super::peak().unwrap() > held.len() as u64);
        assert!(super::available().unwrap() > 1 << 20);
    }
}
