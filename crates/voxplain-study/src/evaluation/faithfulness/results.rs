//! The results: [`MapCurves`] of each map, and the [`Summary`] of a metric over subjects.

use super::{Case, Explainer, Metric, Ranking, Run, Settings, Substrate, Trace, curves};
use crate::{
    cohort::Subject,
    map::read_record,
    run::{MadeFrom, Models},
    setting::{FORCE, METHOD, METRIC},
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use voxplain_core::{Action, Error, Result, Table, remedy};
use voxplain_stats::{Interval, cell};
use voxplain_volume::Volume;

/// The curves of one map by one metric, with what they were made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapCurves {
    /// The subject's id.
    pub subject: String,
    /// The method.
    pub method: String,
    /// The metric.
    pub metric: Metric,
    /// The class whose probability is followed: the one that the map explains.
    pub class: String,
    /// Its position.
    pub position: usize,
    /// BLAKE3 of the map's file.
    pub map: String,
    /// BLAKE3 of the model's file.
    pub model: String,
    /// BLAKE3 of the values of the explained volume.
    pub input: String,
    /// How they were made.
    pub settings: Settings,
    /// Voxels of a block along each axis.
    pub block_voxels: [usize; 3],
    /// Voxels of the brain.
    pub voxels: usize,
    /// One for each substrate.
    pub traces: Vec<Trace>,
    /// That the images were taken as whole heads, in a sentence; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_heads: Option<String>,
    /// Names of the channels, in all of which voxels were replaced at once; none where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Version of voxplain.
    pub version: String,
}

impl MapCurves {
    /// The record of the curves that will be made, still without them.
    ///
    /// # Errors
    /// The map does not belong to the model and the subject.
    pub(super) fn begin(
        run: &Run,
        subject: &Subject,
        method: &str,
        explainer: &Explainer,
        settings: &Settings,
    ) -> Result<Self> {
        let path = run.layout().map(&subject.id, method).path();
        let record = read_record(&path)?;
        let hash = voxplain_core::hash_file(&path)?;
        for (what, found, expected) in
            [("model", &record.model, explainer.model()), ("volume", &record.input, &subject.hash)]
        {
            if found != expected {
                return Err(Error::file(
                    &path,
                    format!(
                        "the map explains another {what} than the one of this run: found {found}, expected {expected}"
                    ),
                    remedy!["make it again: ", Action::new("explain").on(&run.path).with(METHOD, method).switch(FORCE)],
                ));
            }
        }
        let Some(class) = explainer.classes().get(record.class) else {
            return Err(Error::file(
                &path,
                format!("the map explains class {} of {}", record.class, explainer.classes().len()),
                remedy!["make the map again with ", Action::new("explain")],
            ));
        };
        Ok(Self {
            subject: subject.id.clone(),
            method: method.to_owned(),
            metric: Metric::Deletion,
            class: class.clone(),
            position: record.class,
            map: hash,
            model: explainer.model().to_owned(),
            input: subject.hash.clone(),
            settings: settings.clone(),
            block_voxels: [0; 3],
            voxels: 0,
            traces: Vec::new(),
            whole_heads: None,
            channels: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }

    /// The same curves, if they are there. A file that does not hold curves as this version writes them is none: it is
    /// written anew.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn made_before(&self, place: &Path, metric: Metric) -> Result<Option<Self>> {
        let bytes = match voxplain_core::input::read(place) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io(place))?,
        };
        let Ok(there) = voxplain_core::seal::open::<Self>(&bytes) else { return Ok(None) };
        let Self { block_voxels, voxels, .. } = there;
        let traces = there.traces.clone();
        Ok((there == Self { metric, block_voxels, voxels, traces, ..self.clone() }).then_some(there))
    }

    /// Makes them, for each of these metrics.
    pub(super) fn make(
        &self,
        explainer: &mut Explainer,
        case: &Case<'_>,
        map: &Volume,
        metrics: &[Metric],
    ) -> Result<Vec<Self>> {
        let (blocks, traces) =
            curves(explainer, case, (map, self.position), metrics, &self.settings).map_err(|e| match e {
                Error::Request { what, remedy } => case.refuse(format!("{}: {what}", self.method), remedy),
                other => other,
            })?;
        let of = |&metric: &Metric| Self {
            metric,
            block_voxels: blocks.size,
            voxels: blocks.voxels(),
            traces: traces.iter().filter(|t| t.metric == metric).cloned().collect(),
            ..self.clone()
        };
        Ok(metrics.iter().map(of).collect())
    }
}

/// One row a map and substrate.
pub(super) fn table(all: &[&MapCurves]) -> Table {
    let columns = [
        "participant_id",
        "method",
        "substrate",
        "class",
        "probability_first",
        "probability_last",
        "auc",
        "auc_random",
        "difference",
    ];
    let mut rows = Vec::new();
    for of in all {
        for trace in &of.traces {
            let (auc, random) = (trace.auc(), trace.random_auc());
            let ends = [trace.curve.first(), trace.curve.last()].map(|p| p.map(|p| cell(*p)));
            let mut row = vec![
                Some(of.subject.clone()),
                Some(of.method.clone()),
                Some(trace.substrate.word().to_owned()),
                Some(of.class.clone()),
            ];
            row.extend(ends);
            row.extend([auc, random, auc - random].map(|v| Some(cell(v))));
            rows.push(row);
        }
    }
    Table { columns: columns.map(str::to_owned).to_vec(), rows }
}

/// A metric over subjects: `deletion.json` or `insertion.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The metric.
    pub metric: Metric,
    /// Whether `lower` or `higher` areas are better.
    pub better: String,
    /// How the curves were made.
    pub settings: Settings,
    /// Voxels of a block along each axis.
    pub block_voxels: [usize; 3],
    /// BLAKE3 of the models that were asked, fold by fold; none in files of older versions.
    #[serde(default)]
    pub models: Vec<String>,
    /// The maps that ordered the voxels, by what their records said when they were used; none in files of older versions.
    #[serde(default)]
    pub made_from: MadeFrom,
    /// That the images were taken as whole heads, in a sentence; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_heads: Option<String>,
    /// Names of the channels, in all of which voxels were replaced at once; none where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// One entry for each method and substrate.
    pub found: Vec<MethodCurves>,
    /// Version of voxplain.
    pub version: String,
}

/// Deletion or insertion by one method and one substrate: means over held-out subjects, with 95 % intervals by model
/// ([`Interval::by_model`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodCurves {
    /// The method.
    pub method: String,
    /// The substrate.
    pub substrate: Substrate,
    /// What of the method's maps ordered the voxels. In files of older versions as [`Settings::ranking`].
    #[serde(default)]
    pub ranking: Ranking,
    /// Number of maps.
    pub maps: usize,
    /// Area under the maps' curves.
    pub auc: Interval,
    /// Area under those of the random orders.
    pub random: Interval,
    /// The first less the second, subject by subject: the interval is of the mean of the differences.
    pub difference: Interval,
    /// Share of maps whose area is better than the area of their random order.
    pub wins: f64,
    /// What the interval of the difference says.
    pub verdict: Verdict,
    /// Probability of the explained class after each step.
    pub curve: Vec<Interval>,
    /// The same for the random orders.
    pub random_curve: Vec<Interval>,
}

/// What the 95 % interval of a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better than a random order.
    Better,
    /// Not told apart from a random order.
    Undecided,
    /// Worse than a random order.
    Worse,
    /// There is no interval, and so no verdict.
    NotGiven,
}

impl Verdict {
    fn of(metric: Metric, difference: &Interval) -> Self {
        let Some((low, high)) = difference.ends() else { return Self::NotGiven };
        match metric {
            Metric::Deletion if high < 0.0 => Self::Better,
            Metric::Deletion if low > 0.0 => Self::Worse,
            Metric::Insertion if low > 0.0 => Self::Better,
            Metric::Insertion if high < 0.0 => Self::Worse,
            _ => Self::Undecided,
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better than random",
            Self::Undecided => "not told apart from random",
            Self::Worse => "worse than random",
            Self::NotGiven => "none given",
        }
    }
}

impl Summary {
    pub(super) fn of(
        metric: Metric,
        methods: &[String],
        all: &[&MapCurves],
        settings: &Settings,
        models: &Models,
        people: usize,
    ) -> Self {
        let found = methods.iter().flat_map(|method| {
            settings.substrates.iter().filter_map(|&substrate| {
                let of = all.iter().filter(|c| c.method == *method);
                let traces = of.flat_map(|c| c.traces.iter().map(|t| (t, c.model.as_str())));
                let traces = traces.filter(|(t, _)| t.substrate == substrate).collect::<Vec<_>>();
                let ranking = settings.ranking.for_method(method);
                MethodCurves::of(metric, (method, ranking), substrate, &traces, people)
            })
        });
        Self {
            metric,
            better: metric.better().to_owned(),
            settings: settings.clone(),
            block_voxels: all.first().map_or([0; 3], |c| c.block_voxels),
            models: models.among(all.iter().map(|curves| curves.model.as_str())),
            made_from: MadeFrom::default(),
            whole_heads: None,
            channels: Vec::new(),
            found: found.collect(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// That voxels were replaced in all channels at once, in a sentence; `None` where there is one channel.
    pub fn about_channels(&self) -> Option<String> {
        (!self.channels.is_empty()).then(|| {
            format!("Voxels are replaced, and put back, in all channels at once ({}).", self.channels.join(", "))
        })
    }

    /// Reads the summary of a run; `None` where there is none yet.
    ///
    /// # Errors
    /// A damaged file, or one of other models or maps than those that the run has now.
    pub fn read(run: &Run, metric: Metric) -> Result<Option<Self>> {
        let path = run.layout().evaluation().summary(metric.word());
        if !path.is_file() {
            return Ok(None);
        }
        let again = || remedy!["make it again: ", Action::new("evaluate").on(&run.path).with(METRIC, metric.word())];
        let mut summary: Self = voxplain_core::seal::read_with_files(&path, again())?;
        let ranking = summary.settings.ranking;
        for found in &mut summary.found {
            if found.ranking == Ranking::ByMethod {
                found.ranking = ranking;
            }
            // Older versions wrote that it is undecided.
            if found.difference.ends().is_none() {
                found.verdict = Verdict::NotGiven;
            }
        }
        run.models_there()?.0.check(&path, &summary.models, again())?;
        summary.made_from.check(run, &path, again())?;
        Ok(Some(summary))
    }

    /// What orders the voxels, in words.
    pub const fn ranking(&self) -> &'static str {
        self.settings.ranking.words()
    }

    /// How the intervals were found, what they are conditional on and which are absent; which rows have no verdict, and that those
    /// with one are not corrected for their number; in sentences.
    pub fn about_intervals(&self) -> String {
        let all: Vec<Interval> = self.found.iter().flat_map(|f| [f.auc, f.random, f.difference]).collect();
        let mut text = Interval::explain(&all).unwrap_or_default();
        let (rows, judged) = (self.found.len(), self.found.iter().filter(|f| f.verdict != Verdict::NotGiven).count());
        match rows - judged {
            0 => {}
            _ if judged == 0 => text.push_str(
                " No verdict is given, since that is what the interval of the difference says: in how many people a map is better \
                 than a random order does not say what maps of other models would be.",
            ),
            n => text.push_str(&format!(" {n} of the {rows} rows have no interval of the difference, and so no verdict.")),
        }
        if judged > 1 {
            text.push_str(&format!(
                " Each of {judged} rows is judged by itself: verdicts are not corrected for their number, so that one in twenty rows \
                 without an effect is expected to show one."
            ));
        }
        text
    }
}

impl MethodCurves {
    /// `None` for no map at all.
    fn of(
        metric: Metric,
        (method, ranking): (&str, Ranking),
        substrate: Substrate,
        traces: &[(&Trace, &str)],
        people: usize,
    ) -> Option<Self> {
        let models: Vec<Option<&str>> = traces.iter().map(|(_, model)| Some(*model)).collect();
        let by_model = |values: &[f64]| Interval::by_model(values, &models).map(|i| i.of_people(people));
        // Areas and points are probabilities.
        let bounded = |values: &[f64]| by_model(values).map(|i| i.within(0.0, 1.0));
        let each = |f: fn(&Trace) -> f64| traces.iter().map(|(t, _)| f(t)).collect::<Vec<f64>>();
        let (auc, random) = (each(Trace::auc), each(Trace::random_auc));
        let differences: Vec<f64> = auc.iter().zip(&random).map(|(a, r)| a - r).collect();
        let wins = differences.iter().filter(|d| match metric {
            Metric::Deletion => **d < 0.0,
            Metric::Insertion => **d > 0.0,
        });
        let wins = wins.count() as f64 / traces.len() as f64;
        let difference = by_model(&differences)?.within(-1.0, 1.0);
        let points = |pick: fn(&Trace) -> &Vec<f64>| -> Vec<Interval> {
            let steps = traces.iter().map(|(t, _)| pick(t).len()).min().unwrap_or(0);
            (0..steps).filter_map(|s| bounded(&traces.iter().map(|(t, _)| pick(t)[s]).collect::<Vec<_>>())).collect()
        };
        Some(Self {
            method: method.to_owned(),
            substrate,
            ranking,
            maps: traces.len(),
            auc: bounded(&auc)?,
            random: bounded(&random)?,
            verdict: Verdict::of(metric, &difference),
            difference,
            wins,
            curve: points(|t| &t.curve),
            random_curve: points(|t| &t.random),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(metric: Metric, curve: [f64; 3], random: [f64; 3]) -> Trace {
        Trace { metric, substrate: Substrate::Blur, curve: curve.to_vec(), random: random.to_vec() }
    }

    #[test]
    fn a_summary_by_hand() {
        let metric = Metric::Deletion;
        // Areas .5 and .3, random .7 and .7: differences -.2 and -.4, by three models each.
        let two = [trace(metric, [1.0, 0.5, 0.0], [1.0, 0.9, 0.0]), trace(metric, [0.6, 0.2, 0.2], [0.6, 0.8, 0.6])];
        let pairs: Vec<_> = (0..6).map(|n| (&two[n % 2], ["a", "b", "c", "d", "e", "f"][n])).collect();
        let found = MethodCurves::of(metric, ("m", Ranking::Signed), Substrate::Blur, &pairs, 6).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(found.auc.mean, 0.4);
        close(found.random.mean, 0.7);
        close(found.difference.mean, -0.3);
        // t(0.975, 5) = 2.5706 times s / sqrt(6), s = sqrt(0.06 / 5): paired, not of the two means apart.
        assert!((found.difference.high.unwrap() - (-0.3 + 2.5706 * (0.06f64 / 30.0).sqrt())).abs() < 1e-4);
        assert_eq!((found.wins, found.maps, found.verdict), (1.0, 6, Verdict::Better));
        // Six scans of three people: no interval, and no verdict.
        let scans = MethodCurves::of(metric, ("m", Ranking::Signed), Substrate::Blur, &pairs, 3).unwrap();
        assert_eq!((scans.difference.low, scans.verdict), (None, Verdict::NotGiven));
        // The same maps by one model: no interval, and no verdict.
        let one: Vec<_> = pairs.iter().map(|(t, _)| (*t, "a")).collect();
        let one = MethodCurves::of(metric, ("m", Ranking::Signed), Substrate::Blur, &one, 6).unwrap();
        assert_eq!((one.difference.low, one.verdict), (None, Verdict::NotGiven));
        found.curve.iter().zip([0.8, 0.35, 0.1]).for_each(|(i, mean)| close(i.mean, mean));
        assert!(MethodCurves::of(metric, ("m", Ranking::Signed), Substrate::Blur, &[], 0).is_none());
        let alone = MethodCurves::of(metric, ("m", Ranking::Signed), Substrate::Blur, &[(&two[0], "a")], 1).unwrap();
        assert_eq!((alone.difference.low, alone.verdict), (None, Verdict::NotGiven));
    }

    #[test]
    fn without_an_interval_there_is_no_verdict_and_it_is_said() {
        let metric = Metric::Deletion;
        let traces: Vec<Trace> =
            (0..6).map(|n| trace(metric, [1.0, 0.1 * f64::from(n), 0.0], [1.0, 0.9, 0.0])).collect();
        let found = |models: [&str; 6]| {
            let pairs: Vec<_> = traces.iter().zip(models).collect();
            MethodCurves::of(metric, ("m", Ranking::Signed), Substrate::Blur, &pairs, 6).unwrap()
        };
        let (one, six) = (found(["a"; 6]), found(["a", "b", "c", "d", "e", "f"]));
        assert_eq!((one.wins, one.verdict.words(), six.verdict), (1.0, "none given", Verdict::Better));
        let about = |found: &[&MethodCurves]| {
            let found = found.iter().map(|f| (*f).clone()).collect();
            let summary = Summary {
                metric,
                better: "lower".into(),
                settings: Settings::default(),
                block_voxels: [1; 3],
                models: Vec::new(),
                made_from: MadeFrom::default(),
                whole_heads: None,
                channels: Vec::new(),
                found,
                version: String::new(),
            };
            summary.about_intervals()
        };
        let none = about(&[&one, &one]);
        assert!(none.contains("maps of one model") && none.contains("No verdict is given"), "{none}");
        assert!(!none.contains("one in twenty"), "{none}");
        let some = about(&[&one, &six, &six]);
        assert!(some.contains("1 of the 3 rows have no interval") && some.contains("Each of 2 rows"), "{some}");
        let all = about(&[&six]);
        assert!(!all.contains("verdict"), "{all}");
    }

    #[test]
    fn lower_is_better_for_deletion_and_higher_for_insertion() {
        let below = Interval { mean: -0.2, low: Some(-0.3), high: Some(-0.1), n: 9, ..Interval::default() };
        let above = Interval { mean: 0.2, low: Some(0.1), high: Some(0.3), n: 9, ..Interval::default() };
        let around = Interval { low: Some(-0.1), ..above };
        let verdicts = |i: &Interval| [Metric::Deletion, Metric::Insertion].map(|m| Verdict::of(m, i));
        assert_eq!(verdicts(&below), [Verdict::Better, Verdict::Worse]);
        assert_eq!(verdicts(&above), [Verdict::Worse, Verdict::Better]);
        assert_eq!(verdicts(&around), [Verdict::Undecided; 2]);
    }
}
