//! From counts of shuffles to p-values, and from p-values to rates of false discoveries.

/// The p-value of a value among the largest values of all shuffles (the data as they are included, where `maxima` has them):
/// the share of them that are at least as large. `sorted` is ascending.
pub fn p_of_maximum(sorted: &[f32], value: f32) -> f64 {
    let less = sorted.partition_point(|max| *max < value * (1.0 - TIE));
    (sorted.len() - less) as f64 / sorted.len().max(1) as f64
}

/// Two statistics that differ by less than this share of them are one: the same shuffle in another order of adding.
pub(super) const TIE: f32 = 1e-5;

/// The false discovery rate of each p-value (Benjamini and Hochberg 1995): the least rate at which it would be found.
pub fn false_discovery_rate(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    let (mut rates, mut least) = (vec![1.0; p.len()], 1.0f64);
    for (n, &at) in order.iter().enumerate() {
        let rank = p.len() - n;
        least = least.min(p[at] * p.len() as f64 / rank as f64);
        rates[at] = least;
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_by_hand() {
        // 4 * 0.01 / 1, 4 * 0.02 / 2 and 4 * 0.03 / 3 are 0.04 each; 0.5 stays.
        assert_eq!(false_discovery_rate(&[0.5, 0.02, 0.03, 0.01]), [0.5, 0.04, 0.04, 0.04]);
        assert_eq!(false_discovery_rate(&[]), [0.0; 0]);
    }

    #[test]
    fn of_the_largest() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!([5.0, 4.0, 3.5, 1.0].map(|v| p_of_maximum(&sorted, v)), [0.0, 0.25, 0.25, 1.0]);
    }
}
