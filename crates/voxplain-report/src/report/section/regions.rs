//! Region tables of a run: `regions/*.tsv`, one for each atlas.

use crate::{
    figure::{ForestRow, forest_plot},
    report::element::{COLUMN, Placed, Warning, file_name},
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Result, Table};
use voxplain_stats::Interval;
use voxplain_study::{
    regions::RegionRecord,
    run::{Run, figure_name},
};

/// One table.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Regions {
    name: String,
    pub(in crate::report) figures: Vec<Placed>,
    head: Vec<String>,
    rows: Vec<Line>,
    note: String,
    findings: Vec<String>,
}

/// One line of a table; method and region lead to the viewer.
#[derive(Clone, Debug, Serialize)]
struct Line {
    method: String,
    region: String,
    cells: Vec<String>,
}

/// Regions shown per method; the rest stands in the file.
const SHOWN: usize = 16;

/// The region tables of a run, by name, but those of other models than it has now. A table without a record stays: somebody put
/// it there.
pub(in crate::report) fn current(run: &Run, warnings: &mut Vec<Warning>) -> Result<Vec<PathBuf>> {
    let models = run.models()?;
    let mut tables = run.layout().region_tables()?;
    tables.retain(|table| {
        let checked = RegionRecord::read(table).and_then(|record| match record {
            // Of maps without records, as of other programs, nothing is known.
            Some(RegionRecord { models: Some(made_by), .. }) if made_by.is_empty() => Ok(()),
            Some(RegionRecord { models: made_by, .. }) => {
                models.check(table, &made_by.unwrap_or_default(), "make the table again")
            }
            None => Ok(()),
        });
        checked.map_err(|error| warnings.push(Warning::left_out("A region table is left out", &error))).is_ok()
    });
    Ok(tables)
}

pub(in crate::report) fn of_run(tables: &[PathBuf], warnings: &mut Vec<Warning>) -> Vec<Regions> {
    let mut all = Vec::new();
    for file in tables {
        match one(file) {
            Ok(table) => all.push(table),
            Err(error) => warnings.push(Warning::left_out("A region table is left out", &error)),
        }
    }
    all
}

/// One region of one method.
struct Row {
    method: String,
    region: String,
    name: String,
    side: String,
    cells: Vec<String>,
    enrichment: Option<Interval>,
}

fn one(file: &Path) -> Result<Regions> {
    let table = Table::read(file)?;
    let names = ["method", "n", "region", "name", "hemisphere", "enrichment", "enrichment_low", "enrichment_high"];
    let columns = names.iter().map(|n| table.column(n)).collect::<Result<Vec<_>>>()?;
    let shown = ["voxels", "mean", "share_positive", "share_negative"];
    let shown_columns = shown.iter().map(|n| table.column(n)).collect::<Result<Vec<_>>>()?;
    let bounds = ["share_positive_low", "share_positive_high", "share_negative_low", "share_negative_high"];
    let bounds = bounds.iter().map(|n| table.column(n)).collect::<Result<Vec<_>>>()?;
    let numbers = [&columns[1..2], &columns[5..], &shown_columns, &bounds].concat();
    for (n, row) in table.rows.iter().enumerate() {
        let odd = numbers.iter().filter_map(|&c| row[c].as_deref()).find(|cell| cell.parse::<f64>().is_err());
        if let Some(cell) = odd {
            let what = format!("row {} holds {cell:?}, not a number", n + 1);
            return Err(Error::file(file, what, "make the table again"));
        }
    }
    let rows: Vec<Row> = table
        .rows
        .iter()
        .map(|row| {
            let text = |c: usize| row[columns[c]].clone().unwrap_or_default();
            let number = |c: usize| row[c].as_deref().and_then(|t| t.parse::<f64>().ok());
            let n = text(1).parse().unwrap_or(1);
            let per_cent = |mean: usize, low: usize, high: usize| match (number(mean), number(low), number(high)) {
                (Some(m), Some(l), Some(h)) => format!("{:.1} [{:.1}, {:.1}]", 100.0 * m, 100.0 * l, 100.0 * h),
                (Some(m), ..) => format!("{:.1}", 100.0 * m),
                _ => "n/a".into(),
            };
            let plain = |c: usize| row[c].clone().unwrap_or_else(|| "n/a".into());
            Row {
                method: text(0),
                region: text(2),
                name: text(3),
                side: text(4),
                cells: vec![
                    n.to_string(),
                    plain(shown_columns[0]),
                    plain(shown_columns[1]),
                    per_cent(shown_columns[2], bounds[0], bounds[1]),
                    per_cent(shown_columns[3], bounds[2], bounds[3]),
                ],
                enrichment: number(columns[5]).map(|mean| Interval {
                    mean,
                    low: number(columns[6]),
                    high: number(columns[7]),
                    n,
                    ..Interval::default()
                }),
            }
        })
        .collect();
    // With group rows those are shown; without, every map is its own.
    let grouped = rows.iter().any(|r| r.enrichment.is_some_and(|e| e.n > 1));
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut methods: Vec<&str> = rows.iter().map(|r| r.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let head = ["Method", "Region", "Side", "Enrichment", "Maps", "Voxels", "Mean", "% of positive", "% of negative"];
    let mut result = Regions {
        name: stem.clone(),
        figures: Vec::new(),
        head: head.map(str::to_owned).to_vec(),
        rows: Vec::new(),
        note: format!(
            "Regions with most relevance for their size, up to {SHOWN} a method; enrichment: part of |relevance| over \
             part of voxels (1: chance). All rows: regions/{stem}.tsv.{}",
            RegionRecord::read(file)?
                .and_then(|record| record.intervals)
                .map(|about| format!(" {about}"))
                .unwrap_or_default()
        ),
        findings: findings(file)?,
    };
    for method in methods {
        let mut of: Vec<&Row> = rows
            .iter()
            .filter(|r| r.method == method && !r.region.is_empty())
            .filter(|r| r.enrichment.is_some_and(|e| !grouped || e.n > 1))
            .collect();
        let value = |r: &Row| r.enrichment.map_or(0.0, |e| e.mean);
        of.sort_by(|a, b| value(b).total_cmp(&value(a)).then_with(|| a.name.cmp(&b.name)));
        of.truncate(SHOWN);
        if of.is_empty() {
            continue;
        }
        let side = |r: &Row| match r.side.as_str() {
            "left" => "L",
            "right" => "R",
            _ => "",
        };
        let rows: Vec<ForestRow> = of
            .iter()
            .filter_map(|r| {
                Some(ForestRow { name: r.name.replace('_', " "), side: side(r).into(), value: r.enrichment? })
            })
            .collect();
        let n = rows.iter().map(|b| b.value.n).max().unwrap_or(0);
        let note = match n {
            2.. if rows.iter().any(|r| r.value.ends().is_some()) => {
                format!("Mean over {n} maps with 95 % interval by model; {stem}.")
            }
            2.. => format!("Mean over {n} maps, without intervals; {stem}."),
            _ => format!("One map; {stem}."),
        };
        let figure = forest_plot(
            &format!("Regions with most relevance, {method}"),
            &rows,
            "enrichment (1: chance)",
            1.0,
            &note,
            COLUMN,
        );
        result.figures.push(Placed::new(figure_name::regions(&stem, method), figure, ""));
        for row in of {
            let enrichment = row.enrichment.map_or_else(String::new, |e| match (e.low, e.high) {
                (Some(l), Some(h)) => format!("{:.2} [{l:.2}, {h:.2}]", e.mean),
                _ => format!("{:.2}", e.mean),
            });
            let mut cells = vec![row.name.clone(), row.side.clone(), enrichment];
            cells.extend(row.cells.iter().cloned());
            result.rows.push(Line { method: method.to_owned(), region: row.region.clone(), cells });
        }
    }
    Ok(result)
}

/// What the record beside the table warns of.
fn findings(file: &Path) -> Result<Vec<String>> {
    let Some(record) = RegionRecord::read(file)? else {
        return Ok(vec!["The table has no record beside it: how it was made is not known.".into()]);
    };
    let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<String> = record
        .findings
        .iter()
        .map(|f| format!("{}: {}; {}", text(f, "level"), text(f, "what"), text(f, "remedy")))
        .collect();
    if all.len() > 12 {
        let more = all.len() - 12;
        all.truncate(12);
        all.push(format!("and {more} more in {}", file_name(&RegionRecord::path(file))));
    }
    Ok(all)
}
