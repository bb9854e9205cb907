//! The models that made the maps, held constant: maps by one model are alike.

use super::formula::{Built, DesignTerm};
use std::collections::BTreeMap;
use voxplain_core::Result;
use voxplain_stats::inference::Design;

/// The term whose columns are the models.
const TERM: &str = "model of the map";

/// Digits of a hash by which a model is named.
const NAMED_BY: usize = 8;

/// The design with a column for each model but the first, in the order of their hashes, so that subjects are compared with those whose maps
/// are by the same model. `models` are the hashes, a row each. `None` where all maps are by one model, or where the models and the
/// other terms cannot be told apart, or leave nothing to estimate the noise by.
///
/// # Errors
/// Never for a design that was built: what is added are zeros and ones.
pub(super) fn held_constant(built: &Built, models: &[String]) -> Result<Option<Built>> {
    let mut counts = BTreeMap::<&str, usize>::new();
    models.iter().for_each(|model| *counts.entry(model).or_default() += 1);
    let width = built.design.names().len() + counts.len() - 1;
    if counts.len() < 2 || built.subjects.len() <= width {
        return Ok(None);
    }
    let named = |model: &str| model.chars().take(NAMED_BY).collect::<String>();
    let matrix = built.design.matrix();
    let mut columns: Vec<(String, Vec<f64>)> = (built.design.names().iter().zip(matrix.column_iter()))
        .map(|(name, column)| (name.clone(), column.iter().copied().collect()))
        .collect();
    let of_models: Vec<(String, Vec<f64>)> = (counts.keys().skip(1))
        .map(|model| {
            let is = models.iter().map(|other| f64::from(u8::from(other == model))).collect();
            (format!("{TERM}[{}]", named(model)), is)
        })
        .collect();
    let term = DesignTerm {
        term: TERM.into(),
        columns: of_models.iter().map(|(name, _)| name.clone()).collect(),
        levels: counts.iter().map(|(model, maps)| (named(model), *maps)).collect(),
        mean: None,
        is: Some("the model that made the map, by the first digits of its hash".into()),
    };
    columns.extend(of_models);
    if Design::is_redundant(&columns) {
        return Ok(None);
    }
    let design = Design::new(columns)?.with_rows(built.design.rows().to_vec());
    let terms = built.terms.iter().cloned().chain([term]).collect();
    Ok(Some(Built { design, terms, ..built.clone() }))
}

/// Whether the models are among the terms.
pub(super) fn are_held(built: &Built) -> bool {
    built.terms.iter().any(|term| term.term == TERM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_core::random::Seed;
    use voxplain_stats::inference::{
        Blocks, Contrast, Exchange, InMemory, Lattice, Model, Permutation, Shuffles, Shuffling, Sides, Variance,
    };

    /// Twelve subjects, maps by three models; the groups are 2 and 2, 3 and 1, 1 and 3.
    const GROUP: [f64; 12] = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    const VALUES: [f64; 12] = [2.1, 0.3, 1.4, 0.9, 3.3, 2.0, 2.6, 1.1, -0.4, 0.2, 1.9, 0.6];

    fn built(group: &[f64]) -> Built {
        let columns = vec![("intercept".to_owned(), vec![1.0; group.len()]), ("label[M]".to_owned(), group.to_vec())];
        Built {
            design: Design::new(columns).unwrap(),
            subjects: (0..group.len()).collect(),
            terms: Vec::new(),
            left_out: Vec::new(),
            doubts: Vec::new(),
        }
    }

    fn models(of: impl Iterator<Item = usize>) -> Vec<String> {
        of.map(|n| ["c0ffee0123", "beef456789", "abad1dea00"][n].to_owned()).collect()
    }

    /// t and its effect, and all p that shuffles within models give.
    #[expect(clippy::cast_possible_truncation, reason = "rows are float32")]
    fn tested(built: &Built, models: &[String], values: &[f64]) -> (f64, f64, f64) {
        let weights = (0..built.design.names().len()).map(|n| f64::from(u8::from(n == 1))).collect();
        let of = models.iter().map(|m| models.iter().position(|other| other == m).unwrap()).collect();
        let exchange = Exchange { shuffling: Shuffling::Permute, blocks: Blocks::Within(of) };
        let analysis = Permutation {
            shuffles: Shuffles::new(&built.design, &exchange, 5000, Seed::new(3)).unwrap(),
            model: Model::new(&built.design, &Contrast::t("label", weights), Variance::Equal).unwrap(),
            lattice: Lattice::apart(1).unwrap(),
            sides: Sides::Two,
            tfce: None,
            threshold: None,
        };
        let rows = InMemory::new(values.len(), values.iter().map(|v| *v as f32).collect()).unwrap();
        let (fit, _) = analysis.observe(&rows).unwrap();
        let mut counts = Default::default();
        analysis.run(&rows, (&fit, None), &mut counts, 1 << 20, &voxplain_core::Silent).unwrap();
        let p = counts.uncorrected(voxplain_stats::inference::Family::Voxel)[0];
        (f64::from(fit.statistic[0]), f64::from(fit.effect[0]), p)
    }

    #[test]
    fn subjects_are_compared_within_models() {
        let plain = built(&GROUP);
        let by = models((0..12).map(|n| n / 4));
        let with = held_constant(&plain, &by).unwrap().unwrap();
        assert!(are_held(&with) && !are_held(&plain));
        assert_eq!(
            with.design.names()[2..],
            ["model of the map[beef4567]".to_owned(), "model of the map[c0ffee01]".to_owned()]
        );
        assert_eq!(with.terms[0].levels[0], ("abad1dea".to_owned(), 4));
        // By the book: values and groups less the means of their models, a slope through 0, and 12 - 3 - 1 degrees of freedom.
        let within = |of: &[f64]| -> Vec<f64> {
            (0..12).map(|n| of[n] - (0..4).map(|k| of[n / 4 * 4 + k]).sum::<f64>() / 4.0).collect()
        };
        let (x, y) = (within(&GROUP), within(&VALUES));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let slope = dot(&x, &y) / dot(&x, &x);
        let rest: f64 = x.iter().zip(&y).map(|(x, y)| (y - slope * x).powi(2)).sum();
        let t = slope / (rest / 8.0 / dot(&x, &x)).sqrt();
        let found = tested(&with, &by, &VALUES);
        assert!((found.0 - t).abs() < 1e-4 && (found.1 - slope).abs() < 1e-5, "{found:?} {t} {slope}");
        // What the maps of a model share decides nothing.
        let shifted: Vec<f64> = (0..12).map(|n| VALUES[n] + [0.0, 40.0, -7.5][n / 4]).collect();
        let of_shifted = tested(&with, &by, &shifted);
        assert!((of_shifted.0 - found.0).abs() < 1e-3 && (of_shifted.2 - found.2).abs() < 1e-9, "{of_shifted:?}");
        // Without them it is noise: 1.42 by numpy, of 4.65.
        assert!((tested(&plain, &by, &shifted).0 - 1.415).abs() < 0.01);
    }

    #[test]
    fn models_that_cannot_be_held_constant_are_left_out() {
        // All by one; each by its own; as many columns as subjects; the group is the model.
        assert!(held_constant(&built(&GROUP), &models((0..12).map(|_| 1))).unwrap().is_none());
        let each: Vec<String> = (0..12).map(|n| format!("{n:010}")).collect();
        assert!(held_constant(&built(&GROUP), &each).unwrap().is_none());
        let four = built(&[0.0, 1.0, 0.0, 1.0]);
        assert!(held_constant(&four, &models([0, 0, 1, 2].into_iter())).unwrap().is_none());
        assert!(held_constant(&four, &models([0, 1, 0, 1].into_iter())).unwrap().is_none());
        assert!(held_constant(&four, &models([0, 0, 1, 1].into_iter())).unwrap().is_some());
    }
}
