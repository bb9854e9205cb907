//! [`Needs`]: what the steps of a configuration take, looked up before the first of them is done: what cannot work should not show after days.

use anyhow::Context as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use voxplain::{
    Cohort, Error, PrepareOptions, Run, Table,
    cohort::CohortLayout,
    prepare::{Site, table_of_people},
    run::RunLayout,
};

/// What a step takes and makes.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// The cohort, run, or folder of maps that it works on, behind the key that names it.
    pub(crate) on: Option<(&'static str, PathBuf)>,
    /// Where the cohort of that run lies, where the step says so.
    pub(crate) cohort: Option<PathBuf>,
    /// Other files that it reads. `{id}` in a name stands for many.
    pub(crate) files: Vec<(&'static str, PathBuf)>,
    /// Columns of the table of people.
    pub(crate) columns: Vec<(&'static str, String)>,
    /// Methods whose maps it takes.
    pub(crate) maps: Maps,
    /// What it makes.
    pub(crate) makes: Makes,
}

/// Whose maps a step takes.
#[derive(Debug, Default)]
pub(crate) enum Maps {
    /// All that there are, or none.
    #[default]
    Any,
    /// All that there are, at least one.
    All,
    /// Those of these methods.
    Of(Vec<String>),
    /// Those of the only method that there is; of a cohort its volumes, and then it must be said where results go: whether it is.
    OfOnlyOne { says_out: bool },
}

/// What a step makes.
#[derive(Debug, Default)]
pub(crate) enum Makes {
    /// Nothing that a later step works on.
    #[default]
    Nothing,
    /// A cohort, of images.
    Cohort(PathBuf, Vec<Site>, Box<PrepareOptions>),
    /// A cohort of simulated people.
    Simulated(PathBuf),
    /// A run on what it works on.
    Run(PathBuf),
    /// Maps by these methods, in the run that it works on; all that can work, where nothing says which.
    Maps(Option<Vec<String>>),
}

/// What there will be, so far.
#[derive(Default)]
struct Foreseen {
    /// Cohorts, with their tables where these are known.
    cohorts: BTreeMap<PathBuf, Option<Table>>,
    /// Runs, with what they are made from.
    runs: BTreeMap<PathBuf, PathBuf>,
    /// Methods whose maps runs will have.
    maps: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Runs that are explained by every method that can work.
    every_map_of: Vec<PathBuf>,
    /// Tables and methods of what is there, read once: several steps ask for the same.
    tables_there: BTreeMap<PathBuf, Option<Table>>,
    maps_there: BTreeMap<PathBuf, Vec<String>>,
}

/// Looks up what steps need, in their order, in what is there and in what the steps before make; how many people each is about, where that is
/// known.
///
/// # Errors
/// A source, a file, a column or a method is not there, and no step before makes it.
pub(crate) fn look_up<'a>(steps: impl IntoIterator<Item = (&'a str, Needs)>) -> anyhow::Result<Vec<Option<usize>>> {
    let mut foreseen = Foreseen::default();
    let of_step = |(verb, needs): (&str, Needs)| foreseen.step(&needs).with_context(|| format!("[{verb}]"));
    steps.into_iter().map(of_step).collect()
}

impl Foreseen {
    fn step(&mut self, needs: &Needs) -> anyhow::Result<Option<usize>> {
        if let Some((key, path)) = &needs.on {
            self.there(path).with_context(|| (*key).to_owned())?;
        }
        for (key, path) in
            needs.cohort.iter().map(|path| ("cohort", path)).chain(needs.files.iter().map(|(k, p)| (*k, p)))
        {
            if !path.to_string_lossy().contains('{') {
                self.there(path).with_context(|| key.to_owned())?;
            }
        }
        if let Makes::Cohort(out, sites, options) = &needs.makes {
            let table = table_of_people(sites, options)?;
            let people = table.rows.len();
            self.cohorts.insert(out.clone(), Some(table));
            return Ok(Some(people));
        }
        let on = needs.on.as_ref().map(|(_, path)| path);
        // A run knows where its cohort lay; the step knows better.
        let table = needs.cohort.as_ref().or(on).map(|of| self.table(of)).transpose()?.flatten();
        for (key, column) in &needs.columns {
            table.map(|table| table.column(column)).transpose().with_context(|| (*key).to_owned())?;
        }
        let people = table.map(|table| table.rows.len());
        if let Some(on) = on {
            self.check_maps(on, &needs.maps)?;
        }
        match (&needs.makes, on) {
            (Makes::Simulated(out), _) => {
                self.cohorts.insert(out.clone(), None);
            }
            (Makes::Run(out), Some(on)) if out == on => {
                let what = "is the cohort, and a run has a folder of its own";
                return Err(Error::file(out, what, "name another folder with `run`").into());
            }
            (Makes::Run(out), Some(on)) => {
                self.runs.insert(out.clone(), on.clone());
            }
            (Makes::Maps(Some(methods)), Some(on)) if self.every_map_of.iter().all(|run| run != on) => {
                self.maps.entry(on.clone()).or_default().extend(methods.iter().cloned());
            }
            (Makes::Maps(_), Some(on)) => {
                self.maps.remove(on);
                self.every_map_of.push(on.clone());
            }
            _ => {}
        }
        Ok(people)
    }

    /// Whether a path is there, or will be, or lies in what will be.
    fn there(&self, path: &Path) -> anyhow::Result<()> {
        let made: Vec<&PathBuf> = self.cohorts.keys().chain(self.runs.keys()).collect();
        if made.iter().any(|made| path.starts_with(made)) || path.try_exists().map_err(Error::io(path))? {
            return Ok(());
        }
        let made = match made.as_slice() {
            [] => String::new(),
            made => {
                let list: Vec<String> = made.iter().map(|path| path.display().to_string()).collect();
                format!("; steps before make {}", list.join(" and "))
            }
        };
        let folder = std::env::current_dir().map_err(Error::io(Path::new(".")))?;
        let remedy = format!("correct the path in the configuration; paths in it are relative to {}", folder.display());
        Err(Error::file(path, format!("is not there, and no step before makes it{made}"), remedy).into())
    }

    /// The table of the people of a cohort, of a run, or in a file, where it is known.
    fn table(&mut self, path: &Path) -> anyhow::Result<Option<&Table>> {
        let path = self.runs.get(path).cloned().unwrap_or_else(|| path.to_owned());
        if self.cohorts.contains_key(&path) {
            return Ok(self.cohorts[&path].as_ref());
        }
        if !self.tables_there.contains_key(&path) {
            let table = table_there(&path)?;
            self.tables_there.insert(path.clone(), table);
        }
        Ok(self.tables_there[&path].as_ref())
    }

    /// The methods whose maps a run has that is there.
    fn maps_there(&mut self, run: &Path) -> anyhow::Result<&[String]> {
        if !self.maps_there.contains_key(run) {
            self.maps_there.insert(run.to_owned(), Run::open(run)?.maps()?.methods());
        }
        Ok(&self.maps_there[run])
    }

    /// Whether there will be the maps that a step takes.
    fn check_maps(&mut self, on: &Path, maps: &Maps) -> anyhow::Result<()> {
        let is_cohort = self.cohorts.contains_key(on) || CohortLayout::at(on).document().is_file();
        if is_cohort {
            if let Maps::OfOnlyOne { says_out: false } = maps {
                let what = "is a cohort, and what is made from it is not written into it";
                return Err(Error::file(on, what, "say where the results go: out = \"...\"").into());
            }
            return Ok(());
        }
        // By `all`, or into another folder: it is not known which these will be.
        if matches!(maps, Maps::Any) || self.every_map_of.iter().any(|run| run == on) {
            return Ok(());
        }
        let is_there = RunLayout::at(on).manifest().is_file();
        if !is_there && !self.runs.contains_key(on) {
            return Ok(());
        }
        let mut known = self.maps.get(on).cloned().unwrap_or_default();
        let is_enough = match maps {
            Maps::Any => true,
            Maps::All => !known.is_empty(),
            Maps::Of(methods) => methods.iter().all(|method| known.contains(method)),
            Maps::OfOnlyOne { .. } => false,
        };
        if is_there && !is_enough {
            known.extend(self.maps_there(on)?.iter().cloned());
        }
        let run = on.display();
        let listed = || known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if known.is_empty() {
            return Err(Error::request(format!("{run} will have no maps"), "add a section [explain]").into());
        }
        match maps {
            Maps::OfOnlyOne { .. } if known.len() > 1 => {
                let what = format!("{run} will have maps of {} methods: {}", known.len(), listed());
                Err(Error::request(what, "say whose are taken: method = \"...\"").into())
            }
            Maps::Of(methods) => match methods.iter().find(|method| !known.contains(*method)) {
                Some(lacking) => {
                    let what = format!("{run} will have no maps of `{lacking}`, but of {}", listed());
                    Err(Error::request(what, "add it to the methods of [explain], or take another").into())
                }
                None => Ok(()),
            },
            Maps::Any | Maps::All | Maps::OfOnlyOne { .. } => Ok(()),
        }
    }
}

/// The table of the people of what is there: of a cohort, of a run, or in a file.
fn table_there(path: &Path) -> anyhow::Result<Option<Table>> {
    if CohortLayout::at(path).document().is_file() {
        return Ok(Some(Cohort::open(path)?.participants));
    }
    if RunLayout::at(path).manifest().is_file() {
        return Ok(Some(Run::open(path)?.cohort()?.participants));
    }
    let ends = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let is_table = path.is_file() && (ends("csv") || ends("tsv"));
    Ok(is_table.then(|| Table::read(path)).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(key: &'static str, path: &str) -> Needs {
        Needs { on: Some((key, path.into())), ..Needs::default() }
    }

    fn said(steps: Vec<(&str, Needs)>) -> String {
        format!("{:#}", look_up(steps).unwrap_err())
    }

    #[test]
    fn what_no_step_makes_and_is_not_there_is_named() {
        let simulated = || ("simulate", Needs { makes: Makes::Simulated("c".into()), ..Needs::default() });
        let train = |cohort: &str| ("train", Needs { makes: Makes::Run("r".into()), ..on("cohort", cohort) });
        let explain = |methods: &[&str]| {
            let methods = methods.iter().map(|m| (*m).to_owned()).collect();
            ("explain", Needs { makes: Makes::Maps(Some(methods)), ..on("run", "r") })
        };
        let compare = |maps: Maps| ("compare", Needs { maps, ..on("source", "r") });
        let all =
            look_up([simulated(), train("c"), explain(&["a"]), explain(&["b"]), compare(Maps::Of(vec!["b".into()]))]);
        assert_eq!(all.unwrap(), [None; 5]);
        assert_eq!(
            said(vec![simulated(), train("d")]),
            "[train]: cohort: d: is not there, and no step before makes it; steps before make c"
        );
        assert_eq!(said(vec![train("d")]), "[train]: cohort: d: is not there, and no step before makes it");
        // A file in what is made is there by then, and one for each person is not looked for.
        let with = |file: &str| Needs { files: vec![("atlas", file.into())], ..on("maps", "c") };
        assert!(look_up([simulated(), ("regions", with("c/atlas.nii.gz"))]).is_ok());
        assert!(look_up([simulated(), ("regions", with("labels/{id}.nii.gz"))]).is_ok());
        assert!(
            said(vec![simulated(), ("regions", with("e.nii.gz"))]).starts_with("[regions]: atlas: e.nii.gz: is not")
        );
        let steps = |maps| vec![simulated(), train("c"), explain(&["a"]), explain(&["b"]), compare(maps)];
        assert_eq!(said(steps(Maps::OfOnlyOne { says_out: false })), "[compare]: r will have maps of 2 methods: a, b");
        assert_eq!(said(steps(Maps::Of(vec!["z".into()]))), "[compare]: r will have no maps of `z`, but of a, b");
        let none = vec![simulated(), train("c"), compare(Maps::All)];
        assert_eq!(said(none), "[compare]: r will have no maps");
        let of_cohort = |says_out| ("compare", Needs { maps: Maps::OfOnlyOne { says_out }, ..on("source", "c") });
        assert!(look_up([simulated(), of_cohort(true)]).is_ok());
        assert!(said(vec![simulated(), of_cohort(false)]).starts_with("[compare]: c: is a cohort, and what is made"));
        let same = ("train", Needs { makes: Makes::Run("c".into()), ..on("cohort", "c") });
        assert!(said(vec![simulated(), same]).starts_with("[train]: c: is the cohort, and a run has"));
        // By `all` it is not known which these will be.
        let every = ("explain", Needs { makes: Makes::Maps(None), ..on("run", "r") });
        let steps =
            [simulated(), train("c"), explain(&["a"]), every, explain(&["b"]), compare(Maps::Of(vec!["z".into()]))];
        assert!(look_up(steps).is_ok());
    }

    #[test]
    fn columns_are_those_of_the_images_table() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        std::fs::create_dir(&images).unwrap();
        for id in ["a", "b", "c"] {
            std::fs::write(images.join(format!("{id}.nii")), "not looked at").unwrap();
        }
        std::fs::write(images.join("participants.tsv"), "participant_id\tsex\na\tM\nb\tF\nc\tM\n").unwrap();
        let sites = vec![Site { path: images.clone(), ..Site::default() }];
        let steps = |column: &str| {
            let makes = Makes::Cohort("c".into(), sites.clone(), Box::default());
            let train = Needs {
                columns: vec![("label", column.to_owned())],
                makes: Makes::Run("r".into()),
                ..on("cohort", "c")
            };
            let compare = Needs { columns: vec![("design", column.to_owned())], ..on("source", "r") };
            vec![("prepare", Needs { makes, ..Needs::default() }), ("train", train), ("compare", compare)]
        };
        assert_eq!(look_up(steps("sex")).unwrap(), [Some(3); 3]);
        assert_eq!(said(steps("Sex")), "[train]: label: there is no column `Sex`");
    }
}
