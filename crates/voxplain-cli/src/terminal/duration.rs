//! Times and rates as they are said.

use std::time::Duration;

/// `3.2 a second`, `4.0 a minute`.
pub(super) fn rate(done: usize, elapsed: Duration) -> String {
    let a_second = done as f64 / elapsed.as_secs_f64().max(1e-3);
    if a_second >= 1.0 { format!("{a_second:.1} a second") } else { format!("{:.1} a minute", 60.0 * a_second) }
}

/// `42 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_well() {
        assert_eq!(rate(32, Duration::from_secs(10)), "3.2 a second");
        assert_eq!(rate(2, Duration::from_secs(30)), "4.0 a minute");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_secs(42)), "42 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_secs(7500)), "2 h 05 min");
    }
}
