//! [`MethodsText`]: what was done, as the methods section of a paper, from what the run's records say was done.

use super::maps::options;
use serde::Serialize;
use voxplain_stats::significant;
use voxplain_study::{
    cohort::{Cohort, Normalize, Placement},
    evaluation::faithfulness::{Substrate, Summary},
    group::GroupSummary,
    run::{Metrics, Run},
    train::{ScheduleKind, TrainOptions},
};
use voxplain_volume::Sizes;

/// Paragraphs with citations, and the works cited.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::report) struct MethodsText {
    pub(in crate::report) paragraphs: Vec<String>,
    /// BibTeX entries of the works cited, by key.
    pub(in crate::report) references: Vec<String>,
    #[serde(skip)]
    cited: Vec<&'static Reference>,
}

/// A work that may be cited.
#[derive(Debug, PartialEq)]
struct Reference {
    key: &'static str,
    bibtex: &'static str,
}

macro_rules! arxiv {
    ($key:literal, $author:literal, $title:literal, $year:literal, $number:literal) => {
        Reference {
            key: $key,
            bibtex: concat!(
                "@misc{",
                $key,
                ",\n  author = {",
                $author,
                "},\n  title = {{",
                $title,
                "}},\n  year = {",
                $year,
                "},\n  eprint = {",
                $number,
                "},\n  archivePrefix = {arXiv}\n}"
            ),
        }
    };
}

#[rustfmt::skip]
const REFERENCES: &[Reference] = &[
    arxiv!("kan2020", "Kan, Maxim and Aliev, Ruslan and Rudenko, Anna and Drobyshev, Nikita and Petrashen, Nikita and Kondrateva, Ekaterina and Sharaev, Maxim and Bernstein, Alexander and Burnaev, Evgeny", "Interpretation of 3D CNNs for Brain MRI Data Classification", "2020", "2006.15969"),
    arxiv!("kingma2015", "Kingma, Diederik P. and Ba, Jimmy", "Adam: A Method for Stochastic Optimization", "2015", "1412.6980"),
    Reference { key: "wilson1927", bibtex: "@article{wilson1927,\n  author = {Wilson, Edwin B.},\n  title = {{Probable Inference, the Law of Succession, and Statistical Inference}},\n  journal = {Journal of the American Statistical Association},\n  volume = {22},\n  number = {158},\n  pages = {209--212},\n  year = {1927}\n}" },
    Reference { key: "newcombe2006", bibtex: "@article{newcombe2006,\n  author = {Newcombe, Robert G.},\n  title = {{Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2: asymptotic methods and evaluation}},\n  journal = {Statistics in Medicine},\n  volume = {25},\n  number = {4},\n  pages = {559--573},\n  year = {2006}\n}" },
    Reference { key: "obuchowski1997", bibtex: "@article{obuchowski1997,\n  author = {Obuchowski, Nancy A.},\n  title = {{Nonparametric Analysis of Clustered ROC Curve Data}},\n  journal = {Biometrics},\n  volume = {53},\n  number = {2},\n  pages = {567--578},\n  year = {1997}\n}" },
    Reference { key: "nadeau2003", bibtex: "@article{nadeau2003,\n  author = {Nadeau, Claude and Bengio, Yoshua},\n  title = {{Inference for the Generalization Error}},\n  journal = {Machine Learning},\n  volume = {52},\n  number = {3},\n  pages = {239--281},\n  year = {2003}\n}" },
    arxiv!("simonyan2014", "Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew", "Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps", "2014", "1312.6034"),
    arxiv!("springenberg2015", "Springenberg, Jost Tobias and Dosovitskiy, Alexey and Brox, Thomas and Riedmiller, Martin", "Striving for Simplicity: The All Convolutional Net", "2015", "1412.6806"),
    arxiv!("zeiler2014", "Zeiler, Matthew D. and Fergus, Rob", "Visualizing and Understanding Convolutional Networks", "2014", "1311.2901"),
    arxiv!("selvaraju2017", "Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam, Ramakrishna and Parikh, Devi and Batra, Dhruv", "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", "2017", "1610.02391"),
    arxiv!("chattopadhay2018", "Chattopadhay, Aditya and Sarkar, Anirban and Howlader, Prantik and Balasubramanian, Vineeth N.", "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", "2018", "1710.11063"),
    arxiv!("draelos2020", "Draelos, Rachel Lea and Carin, Lawrence", "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", "2020", "2011.08891"),
    arxiv!("wang2020", "Wang, Haofan and Wang, Zifan and Du, Mengnan and Yang, Fan and Zhang, Zijian and Ding, Sirui and Mardziel, Piotr and Hu, Xia", "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", "2020", "1910.01279"),
    Reference { key: "jiang2021", bibtex: "@article{jiang2021,\n  author = {Jiang, Peng-Tao and Zhang, Chang-Bin and Hou, Qibin and Cheng, Ming-Ming and Wei, Yunchao},\n  title = {{LayerCAM: Exploring Hierarchical Class Activation Maps for Localization}},\n  journal = {IEEE Transactions on Image Processing},\n  volume = {30},\n  pages = {5875--5888},\n  year = {2021}\n}" },
    arxiv!("fong2017", "Fong, Ruth C. and Vedaldi, Andrea", "Interpretable Explanations of Black Boxes by Meaningful Perturbation", "2017", "1704.03296"),
    arxiv!("fong2019", "Fong, Ruth and Patrick, Mandela and Vedaldi, Andrea", "Understanding Deep Networks via Extremal Perturbations and Smooth Masks", "2019", "1910.08485"),
    arxiv!("petsiuk2018", "Petsiuk, Vitali and Das, Abir and Saenko, Kate", "RISE: Randomized Input Sampling for Explanation of Black-box Models", "2018", "1806.07421"),
    arxiv!("sundararajan2017", "Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi", "Axiomatic Attribution for Deep Networks", "2017", "1703.01365"),
    arxiv!("smilkov2017", "Smilkov, Daniel and Thorat, Nikhil and Kim, Been and Vi{\\'e}gas, Fernanda and Wattenberg, Martin", "SmoothGrad: removing noise by adding noise", "2017", "1706.03825"),
    arxiv!("shrikumar2017", "Shrikumar, Avanti and Greenside, Peyton and Kundaje, Anshul", "Learning Important Features Through Propagating Activation Differences", "2017", "1704.02685"),
    arxiv!("lundberg2017", "Lundberg, Scott M. and Lee, Su-In", "A Unified Approach to Interpreting Model Predictions", "2017", "1705.07874"),
    Reference { key: "bach2015", bibtex: "@article{bach2015,\n  author = {Bach, Sebastian and Binder, Alexander and Montavon, Gr{\\'e}goire and Klauschen, Frederick and M{\\\"u}ller, Klaus-Robert and Samek, Wojciech},\n  title = {{On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation}},\n  journal = {PLoS ONE},\n  volume = {10},\n  number = {7},\n  pages = {e0130140},\n  year = {2015}\n}" },
    arxiv!("fu2020", "Fu, Ruigang and Hu, Qingyong and Dong, Xiaohu and Guo, Yulan and Gao, Yinghui and Li, Biao", "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", "2020", "2008.02312"),
    Reference { key: "desai2020", bibtex: "@inproceedings{desai2020,\n  author = {Desai, Saurabh and Ramaswamy, Harish G.},\n  title = {{Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free Localization}},\n  booktitle = {IEEE Winter Conference on Applications of Computer Vision},\n  year = {2020}\n}" },
    arxiv!("zhou2016", "Zhou, Bolei and Khosla, Aditya and Lapedriza, Agata and Oliva, Aude and Torralba, Antonio", "Learning Deep Features for Discriminative Localization", "2016", "1512.04150"),
    arxiv!("rieke2018", "Rieke, Johannes and Eitel, Fabian and Weygandt, Martin and Haynes, John-Dylan and Ritter, Kerstin", "Visualizing Convolutional Networks for MRI-based Diagnosis of Alzheimer's Disease", "2018", "1808.02874"),
    Reference { key: "castro2009", bibtex: "@article{castro2009,\n  author = {Castro, Javier and G{\\'o}mez, Daniel and Tejada, Juan},\n  title = {{Polynomial calculation of the Shapley value based on sampling}},\n  journal = {Computers \\& Operations Research},\n  volume = {36},\n  number = {5},\n  pages = {1726--1730},\n  year = {2009}\n}" },
    arxiv!("adebayo2018", "Adebayo, Julius and Gilmer, Justin and Muelly, Michael and Goodfellow, Ian and Hardt, Moritz and Kim, Been", "Sanity Checks for Saliency Maps", "2018", "1810.03292"),
];

/// Methods that know nothing of the network.
const CONTROLS: [&str; 3] = ["sobel", "input-magnitude", "random"];

/// The work that a method comes from; of the controls, the one that asked for them.
fn origin(method: &str) -> Option<&'static str> {
    Some(match method {
        "saliency" => "simonyan2014",
        "input-x-gradient" | "deeplift" => "shrikumar2017",
        "guided-backprop" => "springenberg2015",
        "deconvnet" | "occlusion" => "zeiler2014",
        "region-occlusion" => "rieke2018",
        "cam" => "zhou2016",
        "xgrad-cam" => "fu2020",
        "ablation-cam" => "desai2020",
        "grad-cam" | "guided-grad-cam" => "selvaraju2017",
        "grad-cam-plus-plus" => "chattopadhay2018",
        "hires-cam" => "draelos2020",
        "score-cam" => "wang2020",
        "layer-cam" => "jiang2021",
        "meaningful-perturbation" => "fong2017",
        "extremal-perturbation" => "fong2019",
        "rise" => "petsiuk2018",
        "integrated-gradients" => "sundararajan2017",
        "smoothgrad" => "smilkov2017",
        "gradient-shap" | "kernel-shap" => "lundberg2017",
        "shapley-sampling" => "castro2009",
        "lrp" => "bach2015",
        control if CONTROLS.contains(&control) => "adebayo2018",
        _ => return None,
    })
}

impl MethodsText {
    /// From the records of a run; what is not recorded is not said.
    pub(in crate::report) fn of_run(
        run: &Run,
        cohort: Option<&Cohort>,
        metrics: Option<&Metrics>,
        groups: Option<&GroupSummary>,
        atlases: &[String],
    ) -> Self {
        let mut text = Self::default();
        if let Some(cohort) = cohort {
            text.prepared(run, cohort);
        }
        text.trained(run, metrics);
        if let Some(groups) = groups.filter(|g| !g.methods.is_empty()) {
            text.explained(groups, atlases);
        }
        text.paragraphs.push(format!(
            "Everything was done with voxplain {} from seed {}; models, predictions, maps and the options of every step are kept \
             with the run.",
            run.manifest.version, run.manifest.seed
        ));
        text.references = text.cited.iter().map(|r| r.bibtex.to_owned()).collect();
        text
    }

    /// `[@key]`, as Pandoc writes a citation.
    fn cite(&mut self, key: &str) -> String {
        if let Some(reference) = REFERENCES.iter().find(|r| r.key == key)
            && !self.cited.contains(&reference)
        {
            self.cited.push(reference);
        }
        format!("[@{key}]")
    }

    fn prepared(&mut self, run: &Run, cohort: &Cohort) {
        let p = &cohort.preparation;
        let counts: Vec<String> = match cohort.column(&run.manifest.label) {
            Ok(cells) => run
                .manifest
                .classes
                .iter()
                .map(|c| format!("{} {c}", cells.iter().filter(|v| **v == Some(c)).count()))
                .collect(),
            Err(_) => Vec::new(),
        };
        let people = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        let mut s = format!("The cohort has {} subjects{people}. ", cohort.subjects.len());
        match &p.template {
            Some(template) => s.push_str(&format!(
                "Each brain was turned and shifted to a template ({}), {}. ",
                template.path.file_name().unwrap_or_default().to_string_lossy(),
                match template.sizes {
                    Sizes::Keep => "keeping its size",
                    Sizes::Remove => "and scaled to its size",
                }
            )),
            None if p.placement == Placement::MaskCentre => {
                s.push_str("Brains were put on the centre of their masks and not registered to each other. ");
            }
            None => {}
        }
        s.push_str(&format!(
            "Volumes have {} voxels of {} mm; intensities were {}.",
            p.shape.map(|n| n.to_string()).join(" × "),
            p.spacing.map(|n| significant(n, 3)).join(" × "),
            match p.normalize {
                Normalize::None => "left as they are".to_owned(),
                Normalize::Robust => "scaled by median and interquartile range inside the brain mask".into(),
                Normalize::Zscore => "scaled by mean and standard deviation inside the brain mask".into(),
            }
        ));
        self.paragraphs.push(s);
    }

    fn trained(&mut self, run: &Run, metrics: Option<&Metrics>) {
        let mut s = String::new();
        // Options that are not recorded would be taken as their defaults.
        let recorded =
            ["width", "epochs", "batch", "learning-rate"].iter().all(|o| run.manifest.options.get(o).is_some());
        let options = serde_json::from_value::<TrainOptions>(run.manifest.options.clone());
        if let (true, Ok(o)) = (recorded, options) {
            let (net, adam) = (self.cite("kan2020"), self.cite("kingma2015"));
            s.push_str(&format!(
                "To tell {} apart, the 3D convolutional network of Kan et al. {net} with {} channels in its first layer was \
                 trained for {} epochs{} by Adam {adam} (learning rate {}{}, weight decay {}, batches of {}{}). ",
                run.manifest.classes.join(" and "),
                o.width,
                o.epochs,
                o.early_stop.map_or_else(String::new, |n| format!(", stopped early after {n} without progress,")),
                o.learning_rate,
                match o.schedule {
                    ScheduleKind::Cosine => " falling along half a cosine",
                    ScheduleKind::Constant => "",
                },
                o.weight_decay,
                o.batch,
                if o.balanced { ", classes weighted equally" } else { "" },
            ));
            let a = &o.augment;
            let mut varied = Vec::new();
            if a.shift > 0 {
                varied.push(format!("shifts of up to {} voxels", a.shift));
            }
            if a.intensity > 0.0 {
                varied.push(format!("intensities scaled by up to {} %", significant(100.0 * a.intensity, 3)));
            }
            if a.flip_left_right {
                varied.push("left and right exchanged".into());
            }
            if !varied.is_empty() {
                s.push_str(&format!("Training volumes were varied at random ({}). ", varied.join(", ")));
            }
            if let Some(group) = &o.group {
                s.push_str(&format!("No value of {group} was on both sides of a split. "));
            }
        }
        if let Some(metrics) = metrics {
            s.push_str(&format!("Held out: {} ", metrics.method));
            s.push_str(&self.intervals(metrics));
            let others: Vec<&str> = metrics.classifiers.iter().skip(1).map(|j| j.description.as_str()).collect();
            if !others.is_empty() {
                s.push_str(&format!("The same subjects were judged by: {}. ", others.join("; ")));
            }
        }
        if !s.is_empty() {
            self.paragraphs.push(s.trim_end().to_owned());
        }
    }

    /// Which intervals were used, by what the metrics say of themselves.
    fn intervals(&mut self, metrics: &Metrics) -> String {
        let Some(network) = metrics.classifiers.first().map(|c| &c.classification) else { return String::new() };
        let mut s = match network.accuracy.interval.as_str() {
            "wilson" => format!("Intervals of shares are Wilson's {}. ", self.cite("wilson1927")),
            "clustered-wilson" => format!(
                "Intervals of shares are Wilson's {} with the number of independent subjects that would give the \
                 variance over groups, and quantiles of Student's t with one degree of freedom less than there are groups. ",
                self.cite("wilson1927")
            ),
            "group-bootstrap" => "Intervals are percentiles of a bootstrap over groups. ".to_owned(),
            none => match none.strip_prefix("none: ") {
                Some(why) => return format!("No intervals are given: {why}. "),
                None => String::new(),
            },
        };
        match network.auc.as_ref().map(|auc| auc.interval.as_str()) {
            Some("newcombe") => {
                s.push_str(&format!("The interval of an AUC is Newcombe's method 5 {}. ", self.cite("newcombe2006")));
            }
            Some("clustered-newcombe") => s.push_str(&format!(
                "The interval of an AUC is Newcombe's method 5 {} with class sizes divided by the inflation of the \
                 variance over groups {}. ",
                self.cite("newcombe2006"),
                self.cite("obuchowski1997")
            )),
            _ => {}
        }
        if metrics.comparisons.iter().any(|c| c.corrected_t.is_some()) {
            s.push_str(&format!(
                "Accuracies of folds were compared by the corrected resampled t-test {}. ",
                self.cite("nadeau2003")
            ));
        }
        s
    }

    fn explained(&mut self, groups: &GroupSummary, atlases: &[String]) {
        let mut s = String::new();
        for method in &groups.methods {
            let cited = origin(&method.method).map(|key| format!(" {}", self.cite(key))).unwrap_or_default();
            let options = options(&method.parameters);
            let options = if options == "none" { String::new() } else { format!("; {options}") };
            let rule = method
                .rules_applied
                .map_or_else(String::new, |[applied, all]| format!("; rule applied to {applied} of {all} ReLUs"));
            let compat = method.compat.as_ref().map_or_else(String::new, |c| format!("; as in the code of {c}"));
            let control = if CONTROLS.contains(&&*method.method) { "the control " } else { "" };
            s.push_str(&format!(
                "Maps of {} subjects were made by {control}{}{cited} (explained: {}{options}{rule}{compat}). ",
                method.subjects, method.method, method.target
            ));
        }
        let seen: usize = groups.methods.iter().map(|m| m.in_sample).sum();
        s.push_str(if seen == 0 {
            "Every subject was explained by a model that had never seen it. Maps are signed and not normalised. "
        } else {
            "Some subjects were explained by models that had been trained on them. Maps are signed and not normalised. "
        });
        if groups.methods.len() > 1 {
            s.push_str(
                "Methods were compared inside the brain, subject by subject, by Spearman's and Pearson's correlation and by \
                 Dice's coefficient of the most relevant parts, corrected for chance. ",
            );
        }
        if !atlases.is_empty() {
            s.push_str(&format!("Maps were read off in regions of: {}. ", atlases.join(", ")));
        }
        self.paragraphs.push(s.trim_end().to_owned());
    }

    /// How faithful maps are, in a paragraph before the last.
    pub(in crate::report) fn faithfulness(&mut self, summaries: &[Summary]) {
        let Some(first) = summaries.first() else { return };
        let settings = &first.settings;
        let petsiuk = self.cite("petsiuk2018");
        let names: Vec<&str> = summaries.iter().map(|s| s.metric.word()).collect();
        let substrates: Vec<String> = settings
            .substrates
            .iter()
            .map(|substrate| match substrate {
                Substrate::Blur => {
                    format!("the image blurred by a Gaussian (standard deviation {} mm)", significant(settings.blur, 3))
                }
                Substrate::Harmonic => "a harmonic filling of the hole (Laplace's equation)".to_owned(),
            })
            .collect();
        let maps = summaries.iter().flat_map(|s| &s.found).map(|f| f.maps).max().unwrap_or(0);
        let paragraph = format!(
            "Faithfulness was measured by {} curves {petsiuk} of {maps} subjects: the voxels of the brain were ordered by {}, in \
             blocks of {} voxels, and replaced (deletion) or put back (insertion) in {} steps of equal volume; in their place \
             stood {}. The area under the probability of the explained class was compared, subject by subject, \
             with that of a random order whose autocorrelation was fitted to that of the map; intervals are Student's t over \
             subjects.",
            names.join(" and "),
            first.ranking(),
            first.block_voxels.map(|n| n.to_string()).join(" × "),
            settings.steps,
            substrates.join(", or ")
        );
        let last = self.paragraphs.len().saturating_sub(1);
        self.paragraphs.insert(last, paragraph);
        self.references = self.cited.iter().map(|r| r.bibtex.to_owned()).collect();
    }

    /// The text as Markdown, with Pandoc's citations.
    pub(in crate::report) fn markdown(&self) -> String {
        self.paragraphs.iter().map(|p| format!("{p}\n")).collect::<Vec<_>>().join("\n")
    }

    /// The works cited, as BibTeX.
    pub(in crate::report) fn bibtex(&self) -> String {
        self.references.iter().map(|r| format!("{r}\n")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxplain_attribution::METHODS;

    #[test]
    fn references_are_whole_and_each_there_once() {
        for (n, reference) in REFERENCES.iter().enumerate() {
            assert!(REFERENCES[..n].iter().all(|r| r.key != reference.key), "{}", reference.key);
            let text = reference.bibtex;
            assert!(text.starts_with('@') && text.contains(&format!("{{{},\n", reference.key)) && text.ends_with('}'));
            let braces = |c| text.matches(c).count();
            assert_eq!(braces('{'), braces('}'), "{}", reference.key);
            assert!(["author", "title", "year"].iter().all(|f| text.contains(&format!("  {f} = {{"))));
        }
    }

    #[test]
    fn every_method_comes_from_a_work_that_is_there() {
        let mut cited = Vec::new();
        for method in METHODS.iter().map(|m| m.name) {
            let key = origin(method).unwrap_or_else(|| panic!("{method} has no origin: add one to `origin`"));
            assert!(REFERENCES.iter().any(|r| r.key == key), "{method}: {key} is not among the references");
            cited.push(key);
        }
        // And no work stands there in vain: the others are cited by name in the text on training and intervals.
        for reference in REFERENCES {
            let in_text = ["kan2020", "kingma2015", "wilson1927"].contains(&reference.key);
            assert!(in_text || cited.contains(&reference.key), "{} is cited by nothing", reference.key);
        }
        assert_eq!(origin("grad-cam"), Some("selvaraju2017"));
        assert_eq!(origin("no-such-method"), None);
        // Controls are the entries that say so of themselves.
        let controls = METHODS.iter().filter(|m| m.summary.starts_with("control")).map(|m| m.name);
        assert_eq!(controls.collect::<Vec<_>>(), CONTROLS);
    }
}
