//! How often a 95 % interval holds the true value, by simulation: `cargo run --release -p voxplain-stats --example coverage [SAMPLES] [matched]`, the last for the
//! areas over matched people alone.
//!
//! Scores are normal, with the means of the two classes apart by what gives the true AUC; a subject is called positive when its
//! score is above the midpoint. In groups, subjects share a part of their score's variance (intraclass correlation 0.3), and have their class
//! by chance. Pairs of classifiers have scores that correlate by 0.7 within a class. The second table is about means of maps, which
//! share a known part of their variance (the intraclass correlation) with the other maps of their model.

#![expect(clippy::print_stdout, reason = "an example that prints a table")]

use voxplain_core::random::{Random, Seed};
use voxplain_stats::{
    Candidate, Classification, Comparison, Estimate, FoldPrediction, Interval, MatchedAreas, Matching, OneVersusRest,
    Regression, ValueComparison, ValuePrediction,
};

/// What is simulated.
struct Setting {
    subjects: usize,
    /// Groups, where subjects come in groups.
    groups: Option<usize>,
    /// The true area under the curve of the one classifier and of the other.
    areas: [f64; 2],
}

/// The standard normal distribution function, by the midpoint rule.
fn normal(x: f64) -> f64 {
    let (steps, low) = (20_000, -9.0);
    let width = (x - low) / f64::from(steps);
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (0..steps).map(|n| density(low + (f64::from(n) + 0.5) * width) * width).sum()
}

/// The distance of two unit normals whose area under the curve is `area`.
fn distance(area: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal(middle / std::f64::consts::SQRT_2) < area { low = middle } else { high = middle }
    }
    low
}

/// Predictions of two classifiers on the same subjects.
fn sample(setting: &Setting, distances: [f64; 2], random: &mut Random) -> [Vec<FoldPrediction>; 2] {
    const SHARED: f64 = 0.3;
    const CORRELATION: f64 = 0.7;
    let effects: Vec<f64> = (0..setting.groups.unwrap_or(0)).map(|_| random.normal()).collect();
    let mut both = [Vec::new(), Vec::new()];
    for n in 0..setting.subjects {
        let group = setting.groups.map(|g| n % g);
        let truth = if group.is_some() { usize::from(random.chance(0.5)) } else { n % 2 };
        let common = random.normal();
        for (predictions, distance) in both.iter_mut().zip(distances) {
            let own = CORRELATION.sqrt() * common + (1.0 - CORRELATION).sqrt() * random.normal();
            let noise = group.map_or(own, |g| SHARED.sqrt() * effects[g] + (1.0 - SHARED).sqrt() * own);
            let score = noise + if truth == 1 { distance / 2.0 } else { -distance / 2.0 };
            let p = 1.0 / (1.0 + (-score).exp());
            predictions.push(FoldPrediction {
                subject: n,
                fold: 0,
                truth,
                predicted: usize::from(p > 0.5),
                probabilities: vec![1.0 - p, p],
                group,
            });
        }
    }
    both
}

/// Hits among samples that gave an interval.
#[derive(Clone, Copy, Default)]
struct Count {
    held: usize,
    of: usize,
}

impl Count {
    fn add(&mut self, estimate: Option<&Estimate>, truth: f64) {
        if let Some((low, high)) = estimate.and_then(Estimate::ends) {
            self.of += 1;
            self.held += usize::from(low <= truth && truth <= high);
        }
    }

    fn show(self) -> String {
        if self.of == 0 { "none".into() } else { format!("{:.3}", self.held as f64 / self.of as f64) }
    }
}

/// Means of maps by model: coverage of the interval by model and of Student's t over all maps as if they were independent.
fn by_model(samples: u64) {
    println!("\ncoverage for means of maps (true mean 0): by model, and as if maps were independent\n");
    println!("| maps | models | intraclass correlation | sizes | distribution | by model | independent |");
    println!("|---|---|---|---|---|---|---|");
    for (maps, models) in [(6, 3), (20, 3), (20, 5), (107, 5), (107, 10)] {
        for correlation in [0.0, 0.45, 0.92] {
            for (uneven, skewed) in [(false, false), (true, false), (false, true)] {
                let mut counts = [Count::default(); 2];
                for n in 0..samples {
                    let mut random = Seed::new(21).index(n).random();
                    // Skewed: the square of a normal number less its mean, with variance 1.
                    let mut draw = || {
                        let z = random.normal();
                        if skewed { (z * z - 1.0) / std::f64::consts::SQRT_2 } else { z }
                    };
                    let effects: Vec<f64> = (0..models).map(|_| draw()).collect();
                    let model =
                        |map: usize| if uneven && map >= models { (map % models) * (map % 2) } else { map % models };
                    let of: Vec<Option<usize>> = (0..maps).map(|map| Some(model(map))).collect();
                    let value = |map: usize| f64::sqrt(correlation) * effects[model(map)];
                    let values: Vec<f64> =
                        (0..maps).map(|map| value(map) + f64::sqrt(1.0 - correlation) * draw()).collect();
                    for (count, interval) in
                        counts.iter_mut().zip([Interval::by_model(&values, &of), Interval::of(&values)])
                    {
                        if let Some((low, high)) = interval.and_then(|i| i.ends()) {
                            count.of += 1;
                            count.held += usize::from(low <= 0.0 && 0.0 <= high);
                        }
                    }
                }
                let sizes = if uneven { "more than half by one" } else { "equal" };
                let shape = if skewed { "skewed" } else { "normal" };
                let [clustered, independent] = counts.map(Count::show);
                println!("| {maps} | {models} | {correlation} | {sizes} | {shape} | {clustered} | {independent} |");
            }
        }
    }
}

/// How often the interval of the macro AUC of three classes, each against the rest, holds the true one, and how often that of the
/// smallest class does. Each class has a normal score that is higher by `signal` for its own people; the true areas are those of a large sample.
fn several_classes(samples: u64) {
    println!(
        "\nthree classes: sizes, groups, signal, true macro AUC, then coverage of the macro AUC, of the last class against the rest\n"
    );
    let draw = |sizes: [usize; 3], groups: Option<usize>, signal: f64, random: &mut Random| -> Vec<FoldPrediction> {
        let effects: Vec<f64> = (0..3 * groups.unwrap_or(0)).map(|_| random.normal()).collect();
        let truths = (0..3).flat_map(|class| std::iter::repeat_n(class, sizes[class]));
        let one = |(n, truth): (usize, usize)| {
            let group = groups.map(|g| n % g);
            let scores: [f64; 3] = std::array::from_fn(|class| {
                let own = random.normal();
                let noise = group.map_or(own, |g| 0.3f64.sqrt() * effects[3 * g + class] + 0.7f64.sqrt() * own);
                noise + if class == truth { signal } else { 0.0 }
            });
            let total: f64 = scores.iter().map(|s| s.exp()).sum();
            FoldPrediction::new(n, 0, truth, group, scores.iter().map(|s| s.exp() / total).collect())
        };
        truths.enumerate().map(one).collect()
    };
    for (sizes, groups) in
        [([10, 10, 10], None), ([20, 20, 2], None), ([40, 20, 5], None), ([40, 40, 40], None), ([60, 40, 20], Some(20))]
    {
        for signal in [0.0, 0.8, 1.6, 3.0] {
            let rest = |c: &Classification| c.one_versus_rest.clone();
            let mut random = Seed::new(3).random();
            let large: Vec<_> = (0..20)
                .filter_map(|_| {
                    rest(&Classification::of(&draw(sizes.map(|n| 20 * n), None, signal, &mut random), 3, 2)?)
                })
                .collect();
            let mean = |of: fn(&OneVersusRest) -> f64| large.iter().map(of).sum::<f64>() / large.len() as f64;
            let truths = [mean(|rest| rest.macro_auc.value), mean(|rest| rest.auc[2].value)];
            let mut counts = [Count::default(); 2];
            for n in 0..samples {
                let mut random = Seed::new(23).index(n).random();
                let found = Classification::of(&draw(sizes, groups, signal, &mut random), 3, 2);
                let Some(found) = found.as_ref().and_then(rest) else { continue };
                counts[0].add(Some(&found.macro_auc), truths[0]);
                counts[1].add(found.auc.last(), truths[1]);
            }
            let groups = groups.map_or_else(|| "-".into(), |g| g.to_string());
            let [of_mean, of_last] = counts.map(Count::show);
            println!("| {sizes:?} | {groups} | {signal} | {:.3} | {of_mean} | {of_last} |", truths[0]);
        }
    }
}

/// How often the intervals of numbers about values hold the true ones. True values are standard normal; predicted values are half the
/// true one and half a standard normal; the other predictor says the mean. Both parts share 0.3 of their variance in a group.
fn values(samples: u64) {
    println!("\nvalues: subjects, groups, then coverage of MAE, RMSE, R2, r, slope of error, difference of MAEs");
    let mean_size = (2.0 / std::f64::consts::PI).sqrt();
    let truths =
        [mean_size * 0.5f64.sqrt(), 0.5f64.sqrt(), 0.5, 0.5f64.sqrt(), -0.5, mean_size * (0.5f64.sqrt() - 1.0)];
    for (subjects, groups) in
        [(12, None), (20, None), (50, None), (200, None), (30, Some(10)), (60, Some(20)), (200, Some(40))]
    {
        let mut counts = [Count::default(); 6];
        for n in 0..samples {
            let mut random = Seed::new(17).index(n).random();
            let shared: Vec<[f64; 2]> = (0..groups.unwrap_or(0)).map(|_| [random.normal(), random.normal()]).collect();
            let mut both = [Vec::new(), Vec::new()];
            for subject in 0..subjects {
                let group = groups.map(|g| subject % g);
                let mut draw = |part: usize| {
                    let own = random.normal();
                    group.map_or(own, |g: usize| 0.3f64.sqrt() * shared[g][part] + 0.7f64.sqrt() * own)
                };
                let (truth, noise) = (draw(0), draw(1));
                for (predictions, predicted) in both.iter_mut().zip([0.5 * truth + 0.5 * noise, 0.0]) {
                    predictions.push(ValuePrediction { subject, fold: 0, truth, predicted, training_mean: 0.0, group });
                }
            }
            let Some(found) = Regression::of(&both[0]) else { continue };
            let difference = ValueComparison::of(("a", &both[0]), ("b", &both[1])).map(|c| c.mae_difference);
            let all = [Some(found.mae), Some(found.rmse), found.r2, found.r, found.error_slope, difference];
            counts.iter_mut().zip(&all).zip(truths).for_each(|((count, e), truth)| count.add(e.as_ref(), truth));
        }
        let shares: Vec<String> = counts.iter().map(|c| format!("{:.3}", c.held as f64 / c.of.max(1) as f64)).collect();
        println!("{subjects:>4} {:>4}  {}", groups.map_or("-".into(), |g| g.to_string()), shares.join("  "));
    }
}

/// How often the intervals of the area over matched people hold the true one. The classes differ by `apart` in a covariate, which scores have
/// a share of and which gives no difference of classes of its own: over people who are alike the true area is that of what is the score's own.
fn matched(samples: u64) {
    println!(
        "\npeople matched on a covariate: subjects, distance of the classes in it, its share of the score, true area over the matched, mean pairs, \
              mean area, coverage of the area, of the difference to all where that is 0"
    );
    for (subjects, apart) in [(60, 0.5), (100, 0.0), (100, 1.4), (200, 1.4)] {
        for (share, area) in [(0.8, 0.5), (0.0, 0.5), (0.0, 0.7), (0.0, 0.9)] {
            let own_distance = distance(area);
            // The covariate of people who are alike is noise of the score, whose standard deviation is that within a class: 1 in all.
            let mut counts = [Count::default(); 2];
            let (mut pairs, mut means) = (0.0, 0.0);
            for n in 0..samples {
                let mut random = Seed::new(29).index(n).random();
                let second: Vec<bool> = (0..subjects).map(|n| n % 2 == 1).collect();
                let names: Vec<String> = (0..subjects).map(|n| format!("{n:04}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let size: Vec<f64> = second.iter().map(|&s| random.normal() + if s { apart } else { 0.0 }).collect();
                let scores: Vec<f64> = second
                    .iter()
                    .zip(&size)
                    .map(|(&s, size)| {
                        let own = random.normal();
                        f64::sqrt(share) * size + f64::sqrt(1.0 - share) * own + if s { own_distance } else { 0.0 }
                    })
                    .collect();
                let people: Vec<Candidate<'_>> = (0..subjects)
                    .map(|n| Candidate { name: names[n], second: second[n], numbers: vec![size[n]], words: Vec::new() })
                    .collect();
                let (matching, all) = (Matching::of(&people, 0.2), (0..subjects).collect::<Vec<_>>());
                let areas = MatchedAreas::new(&matching, &all, &names, None, Seed::new(n));
                let Some(found) = areas.of(&scores, &second) else { continue };
                let sizes = areas.matches();
                pairs += sizes.iter().map(Vec::len).sum::<usize>() as f64 / sizes.len() as f64 / samples as f64;
                means += found.area.value / samples as f64;
                counts[0].add(Some(&found.area), area);
                if share == 0.0 || apart == 0.0 {
                    counts[1].add(Some(&found.difference), 0.0);
                }
            }
            let [of_area, of_difference] = counts.map(Count::show);
            println!(
                "| {subjects} | {apart} | {share} | {area} | {pairs:.1} | {means:.3} | {of_area} | {of_difference} |"
            );
        }
    }
}

fn main() {
    let samples: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2000);
    if std::env::args().nth(2).is_some_and(|part| part == "matched") {
        return matched(samples);
    }
    println!("coverage of 95 % intervals over {samples} samples\n");
    println!(
        "| subjects | groups | AUC | accuracy | balanced | AUC interval | other AUC | difference of AUC | of accuracy |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let alone = [20, 40, 60, 100, 200].into_iter().map(|n| (n, None));
    let grouped = [(100, 10), (100, 20), (120, 40), (200, 12), (400, 12)].into_iter().map(|(n, g)| (n, Some(g)));
    for (subjects, groups) in alone.chain(grouped) {
        for areas in [[0.5, 0.5], [0.7, 0.6], [0.85, 0.85], [0.95, 0.9]] {
            let setting = Setting { subjects, groups, areas };
            let distances = setting.areas.map(distance);
            let right = distances.map(|d| normal(d / 2.0));
            let mut counts = [Count::default(); 5];
            for n in 0..samples {
                let mut random = Seed::new(20).index(n).random();
                let [one, other] = sample(&setting, distances, &mut random);
                let (Some(c), Some(d)) =
                    (Classification::of(&one, 2, 1), Comparison::of(("one", &one), ("other", &other), (2, 1)))
                else {
                    continue;
                };
                counts[0].add(Some(&c.accuracy), right[0]);
                counts[1].add(Some(&c.balanced_accuracy), right[0]);
                counts[2].add(c.auc.as_ref(), areas[0]);
                counts[3].add(d.auc_difference.as_ref(), areas[0] - areas[1]);
                counts[4].add(Some(&d.accuracy_difference), right[0] - right[1]);
            }
            let groups = groups.map_or_else(|| "-".into(), |g| g.to_string());
            let [accuracy, balanced, auc, difference, of_accuracy] = counts.map(Count::show);
            println!(
                "| {subjects} | {groups} | {:.2} | {accuracy} | {balanced} | {auc} | {:.2} | {difference} | {of_accuracy} |",
                areas[0], areas[1]
            );
        }
    }
    several_classes(samples);
    by_model(samples);
    values(samples);
    matched(samples / 10);
}
