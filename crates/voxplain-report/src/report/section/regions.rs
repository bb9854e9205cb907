//! Region tables of a run: `regions/*.tsv`, one for each atlas, with the means beside it.

use crate::{
    figure::{ForestRow, forest_plot},
    report::element::{COLUMN, Placed, Warning, file_name},
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use voxplain_core::{Error, Result, Table};
use voxplain_stats::Interval;
use voxplain_study::{
    regions::RegionRecord,
    run::{Run, RunLayout, figure_name},
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

/// What `region` holds for the brain that no label covers.
const UNLABELLED: &str = "0";

/// The region tables of a run, by name, but those of other models or maps than it has now. A table without a record stays: somebody put
/// it there.
pub(in crate::report) fn current(run: &Run, warnings: &mut Vec<Warning>) -> Result<Vec<PathBuf>> {
    let models = run.models()?;
    let mut tables = run.layout().region_tables()?;
    tables.retain(|table| {
        RegionRecord::check(run, &models, table)
            .map_err(|error| warnings.push(Warning::left_out("A region table is left out", &error)))
            .is_ok()
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

/// One region of one method: a mean over maps or, of a method with one map, that map.
struct Row {
    method: String,
    region: String,
    name: String,
    side: String,
    cells: Vec<String>,
    enrichment: Option<Interval>,
}

/// The rows of the means that belong to a table and, of methods with one map, of the table itself.
fn rows(file: &Path) -> Result<Vec<Row>> {
    let table = Table::read(file)?;
    let column = |name: &str| {
        table.column(name).map_err(|e| Error::file(file, format!("{e}: it is not as this version writes it"), AGAIN))
    };
    let (method, region) = (column("method")?, column("region")?);
    column("note")?;
    // A method of several maps has several rows of a region.
    let mut maps = BTreeMap::<&str, BTreeMap<&str, usize>>::new();
    for row in &table.rows {
        let cell = |c: usize| row[c].as_deref().unwrap_or_default();
        *maps.entry(cell(method)).or_default().entry(cell(region)).or_default() += 1;
    }
    let count = |method: &str| maps.get(method).and_then(|of| of.values().copied().max()).unwrap_or(0);
    let means = RunLayout::region_means(file);
    let mut rows = Vec::new();
    if let Some((method, n)) = maps.keys().map(|method| (method, count(method))).find(|(_, n)| *n > 1) {
        if !means.is_file() {
            let what = format!("{n} maps by {method}, and no means of them in {}", file_name(&means));
            return Err(Error::file(file, what, AGAIN));
        }
        rows = read(&Table::read(&means)?, &means)?;
    }
    let mut alone = read(&table, file)?;
    alone.retain(|row| count(&row.method) == 1);
    rows.append(&mut alone);
    Ok(rows)
}

const AGAIN: &str = "make the table again";

/// The rows of a table of maps, which has no column `n`, or of means.
fn read(table: &Table, file: &Path) -> Result<Vec<Row>> {
    let need = |name: &str| {
        table.column(name).map_err(|e| Error::file(file, format!("{e}: it is not as this version writes it"), AGAIN))
    };
    let (method, region, name, side) = (need("method")?, need("region")?, need("name")?, need("hemisphere")?);
    let n = table.column("n").ok();
    let (voxels, mean) = (need("voxels")?, need("mean")?);
    // The mean and, in a table of means, both ends.
    let triple = |name: &str| -> Result<[Option<usize>; 3]> {
        let ends = match n {
            None => [None, None],
            Some(_) => [Some(need(&format!("{name}_low"))?), Some(need(&format!("{name}_high"))?)],
        };
        Ok([Some(need(name)?), ends[0], ends[1]])
    };
    let [enrichment, positive, negative] =
        [triple("enrichment")?, triple("share_positive")?, triple("share_negative")?];
    let numbers = [enrichment, positive, negative].concat().into_iter().flatten().chain([voxels, mean]).chain(n);
    for (at, row) in table.rows.iter().enumerate() {
        let odd = numbers.clone().filter_map(|c| row[c].as_deref()).find(|cell| cell.parse::<f64>().is_err());
        if let Some(cell) = odd {
            return Err(Error::file(file, format!("row {} holds {cell:?}, not a number", at + 1), AGAIN));
        }
    }
    let of = |row: &Vec<Option<String>>| {
        let text = |c: usize| row[c].clone().unwrap_or_default();
        let plain = |c: usize| row[c].clone().unwrap_or_else(|| "n/a".into());
        let number = |c: Option<usize>| row[c?].as_deref()?.parse::<f64>().ok();
        let count = n.map_or(1, |c| text(c).parse().unwrap_or(0));
        let per_cent = |[mean, low, high]: [Option<usize>; 3]| match (number(mean), number(low), number(high)) {
            (Some(m), Some(l), Some(h)) => format!("{:.1} [{:.1}, {:.1}]", 100.0 * m, 100.0 * l, 100.0 * h),
            (Some(m), ..) => format!("{:.1}", 100.0 * m),
            _ => "n/a".into(),
        };
        let [middle, low, high] = enrichment;
        Row {
            method: text(method),
            region: text(region),
            name: text(name),
            side: text(side),
            cells: vec![count.to_string(), plain(voxels), plain(mean), per_cent(positive), per_cent(negative)],
            enrichment: number(middle).map(|mean| Interval {
                mean,
                low: number(low),
                high: number(high),
                n: count,
                ..Interval::default()
            }),
        }
    };
    Ok(table.rows.iter().map(of).collect())
}

fn one(file: &Path) -> Result<Regions> {
    let rows = rows(file)?;
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
             part of voxels (1: chance). All regions: regions/{stem}_means.tsv where there are several maps; each person's, with class \
             and outcome: regions/{stem}.tsv.{}",
            RegionRecord::read(file)?
                .and_then(|record| record.intervals)
                .map(|about| format!(" {about}"))
                .unwrap_or_default()
        ),
        findings: findings(file)?,
    };
    for method in methods {
        let mut of: Vec<&Row> =
            rows.iter().filter(|r| r.method == method && r.region != UNLABELLED && r.enrichment.is_some()).collect();
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
