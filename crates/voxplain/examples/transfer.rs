//! How well a run's networks, and linear models on the same voxels, do on people of another scanner.
//!
//! ```text
//! cargo run --release -p voxplain --example transfer -- RUN COHORT COLUMN
//! ```
//!
//! `COHORT` was prepared like the cohort of the run, on the same grid, and `COLUMN` of its table holds the run's two classes; upper and
//! lower case are the same there. The networks of all folds are asked and their probabilities averaged. The linear model
//! ([`comparators::linear_voxels`]) and the mask volume are fitted on everyone the run was trained on.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints its table")]

use std::path::Path;
use voxplain::cohort::is_missing;
use voxplain::comparators::{self, ClassificationTask};
use voxplain::folds::Split;
use voxplain::stats::{Classification, FoldPrediction};
use voxplain::{Case, Cohort, Engine, EngineOptions, Run};
use voxplain_core::softmax;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, others, column] = &arguments[..] else {
        return Err("give RUN COHORT COLUMN".into());
    };
    let (run, others) = (Run::open(Path::new(run))?, Cohort::open(Path::new(others))?);
    let cohort = run.cohort()?;
    let (a, b) = (cohort.grid(), others.grid());
    if cohort.preparation.channels.len() > 1 {
        return Err("networks of several channels are not compared here".into());
    }
    if a != b {
        return Err(format!("the cohort of the run is on {a:?}, the other on {b:?}").into());
    }
    let (known, own) = labelled(&cohort, &run.manifest.label, &run)?;
    let (asked, truth) = labelled(&others, column, &run)?;
    let probabilities = networks(&run, &others, &asked)?;

    // Fitted on everyone of the run, asked about everyone else.
    let (n, m) = (known.len(), asked.len());
    let labels: Vec<usize> = own.iter().chain(&truth).copied().collect();
    let splits = [Split { train: (0..n).collect(), test: (n..n + m).collect() }];
    let task = ClassificationTask { labels: &labels, groups: None, classes: 2, splits: &splits, balanced: true };
    let volumes = known.iter().map(|&s| cohort.subjects[s].mask_volume);
    let volumes: Vec<f64> = volumes.chain(asked.iter().map(|&s| others.subjects[s].mask_volume)).collect();
    let gram =
        comparators::inner_products(
            n + m,
            |s| {
                if s < n { cohort.values(known[s]) } else { others.values(asked[s - n]) }
            },
        )?;

    let network = |(n, p): (usize, &Vec<f64>)| FoldPrediction::new(n, 0, truth[n], None, p.clone());
    let rows: [(&str, Vec<FoldPrediction>); 3] = [
        ("3D CNN", probabilities.iter().enumerate().map(network).collect()),
        ("linear model on the voxels", comparators::linear_voxels(&gram, &task)),
        ("mask volume", comparators::mask_volume(&volumes, &task)?),
    ];
    println!("{n} people of the run, {m} others\nclassifier\tAUC\tlow\thigh\taccuracy");
    for (name, predictions) in &rows {
        let found = Classification::of(predictions, 2, 1).ok_or("nobody to ask about")?;
        let auc = found.auc.ok_or("one class only")?;
        let (low, high) = auc.ends().unwrap_or((f64::NAN, f64::NAN));
        println!("{name}\t{:.3}\t{low:.3}\t{high:.3}\t{:.3}", auc.value, found.accuracy.value);
    }
    Ok(())
}

/// The subjects of a cohort that have one of the classes in this column, and which. How many have no value there, by the words that
/// the run was trained with, or another one, is said on stderr.
fn labelled(cohort: &Cohort, column: &str, run: &Run) -> Fallible<(Vec<usize>, Vec<usize>)> {
    let missing = run.manifest.missing();
    let cells = cohort.column(column)?;
    let values: Vec<(usize, &str)> = cells
        .iter()
        .enumerate()
        .filter_map(|(n, cell)| Some((n, cell.filter(|cell| !is_missing(cell, &missing))?)))
        .collect();
    run.refuse_value("classes are compared here")?;
    let classes = run.manifest.task.classes();
    let class = |cell: &str| classes.iter().position(|c| c.eq_ignore_ascii_case(cell));
    let of: (Vec<usize>, Vec<usize>) = values.iter().filter_map(|&(n, cell)| Some((n, class(cell)?))).unzip();
    let (without, others) = (cells.len() - values.len(), values.len() - of.0.len());
    if without + others > 0 {
        eprintln!("{}: {without} without {column}, {others} of other classes are left out", cohort.path.display());
    }
    Ok(of)
}

/// The mean over the folds' networks of the probability of each class, for these subjects.
fn networks(run: &Run, cohort: &Cohort, subjects: &[usize]) -> Fallible<Vec<Vec<f64>>> {
    let engine = Engine::new(EngineOptions::default())?;
    let volumes = subjects.iter().map(|&n| cohort.volume(n)).collect::<Result<Vec<_>, _>>()?;
    let cases: Vec<_> = subjects.iter().zip(&volumes).map(|(&n, v)| Case::new(&cohort.subjects[n].id, v)).collect();
    let mut mean = vec![vec![0.0; 2]; subjects.len()];
    for fold in 0..run.manifest.folds {
        let logits = run.model(fold)?.explainer(&engine)?.logits(&cases)?;
        for (sum, logits) in mean.iter_mut().zip(logits) {
            sum.iter_mut().zip(softmax(&logits)).for_each(|(s, p)| *s += p / run.manifest.folds as f64);
        }
    }
    Ok(mean)
}
