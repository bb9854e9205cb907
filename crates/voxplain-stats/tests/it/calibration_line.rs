//! The calibration line beside statsmodels.

use voxplain_stats::{CalibrationLine, Said};

/// statsmodels 0.14: `Logit(y, [1, z])` and `GLM(y, 1, Binomial, offset=z)` with normal intervals; `cov_type="cluster"` with groups of
/// two, its factor `(n - 1) / (n - k)` taken out and Student's t in place of the normal quantile.
#[test]
fn as_statsmodels() {
    let reference: serde_json::Value = serde_json::from_str(include_str!("fixtures/calibration_line.json")).unwrap();
    let numbers = |name: &str| -> Vec<f64> { serde_json::from_value(reference[name].clone()).unwrap() };
    let truth = numbers("truth");
    for (grouped, name) in [(false, "plain"), (true, "clustered")] {
        let all: Vec<Said> = numbers("probability")
            .into_iter()
            .enumerate()
            .map(|(n, probability)| Said { probability, is_positive: truth[n] > 0.5, group: grouped.then_some(n / 2) })
            .collect();
        let line = CalibrationLine::of(&all).unwrap();
        let slope = line.slope.unwrap();
        let found = [line.intercept.value, line.intercept.low.unwrap(), slope.value, slope.high.unwrap()];
        for (a, b) in found.iter().zip(numbers(name)) {
            assert!((a - b).abs() < 1e-6, "{name}: {found:?}");
        }
    }
}
