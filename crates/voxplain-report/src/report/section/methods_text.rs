//! [`MethodsText`]: what was done, as the methods section of a paper, from what the run's records say was done.

use super::{
    known_images,
    maps::{options, rule_applied},
};
use crate::report::element::NotSeen;
use serde::Serialize;
use std::path::PathBuf;
use voxplain_attribution::{ExtremalPerturbation, MeaningfulPerturbation, Method as _, citation, method_named};
use voxplain_core::{
    Citation, arxiv,
    plural::{and, counted},
};
use voxplain_stats::significant;
use voxplain_study::{
    cohort::{Cohort, Headcount, PERSON, Placement},
    evaluation::faithfulness::{Substrate, Summary},
    group::{GroupSummary, MethodSummary},
    matched::{CALIPER_DEFAULT, MASK_VOLUME},
    model::{NetworkKind, Task},
    run::{Metrics, Run, ValueMetrics},
    train::{Augmentation, LossKind, OptimizerName, ScheduleKind, TrainOptions, ValueLoss},
};
use voxplain_volume::Sizes;

/// Paragraphs with citations, and the works cited.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::report) struct MethodsText {
    pub(in crate::report) paragraphs: Vec<String>,
    /// BibTeX entries of the works cited, by key.
    pub(in crate::report) references: Vec<String>,
    #[serde(skip)]
    cited: Vec<Citation>,
}

#[rustfmt::skip]
const KAN_2020: Citation = arxiv!("kan2020", "Kan, Maxim and Aliev, Ruslan and Rudenko, Anna and Drobyshev, Nikita and Petrashen, Nikita and Kondrateva, Ekaterina and Sharaev, Maxim and Bernstein, Alexander and Burnaev, Evgeny", "Interpretation of 3D CNNs for Brain MRI Data Classification", "2020", "2006.15969");
#[rustfmt::skip]
const PENG_2021: Citation = Citation { key: "peng2021", bibtex: "@article{peng2021,\n  author = {Peng, Han and Gong, Weikang and Beckmann, Christian F. and Vedaldi, Andrea and Smith, Stephen M.},\n  title = {{Accurate brain age prediction with lightweight deep neural networks}},\n  journal = {Medical Image Analysis},\n  volume = {68},\n  pages = {101871},\n  year = {2021},\n  doi = {10.1016/j.media.2020.101871}\n}" };
#[rustfmt::skip]
const WEN_2020: Citation = Citation { key: "wen2020", bibtex: "@article{wen2020,\n  author = {Wen, Junhao and Thibeau-Sutre, Elina and Diaz-Melo, Mauricio and Samper-Gonz{\\'a}lez, Jorge and Routier, Alexandre and Bottani, Simona and Dormont, Didier and Durrleman, Stanley and Burgos, Ninon and Colliot, Olivier},\n  title = {{Convolutional neural networks for classification of Alzheimer's disease: Overview and reproducible evaluation}},\n  journal = {Medical Image Analysis},\n  volume = {63},\n  pages = {101694},\n  year = {2020},\n  doi = {10.1016/j.media.2020.101694}\n}" };
#[rustfmt::skip]
const HE_2016: Citation = arxiv!("he2016", "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian", "Deep Residual Learning for Image Recognition", "2016", "1512.03385");
#[rustfmt::skip]
const HUANG_2017: Citation = arxiv!("huang2017", "Huang, Gao and Liu, Zhuang and van der Maaten, Laurens and Weinberger, Kilian Q.", "Densely Connected Convolutional Networks", "2017", "1608.06993");
#[rustfmt::skip]
const KINGMA_2015: Citation = arxiv!("kingma2015", "Kingma, Diederik P. and Ba, Jimmy", "Adam: A Method for Stochastic Optimization", "2015", "1412.6980");
#[rustfmt::skip]
const LOSHCHILOV_2019: Citation = arxiv!("loshchilov2019", "Loshchilov, Ilya and Hutter, Frank", "Decoupled Weight Decay Regularization", "2019", "1711.05101");
#[rustfmt::skip]
const SUTSKEVER_2013: Citation = Citation { key: "sutskever2013", bibtex: "@inproceedings{sutskever2013,\n  author = {Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey},\n  title = {{On the importance of initialization and momentum in deep learning}},\n  booktitle = {Proceedings of the 30th International Conference on Machine Learning},\n  pages = {1139--1147},\n  year = {2013}\n}" };
#[rustfmt::skip]
const GOYAL_2017: Citation = arxiv!("goyal2017", "Goyal, Priya and Doll{\\'a}r, Piotr and Girshick, Ross and Noordhuis, Pieter and Wesolowski, Lukasz and Kyrola, Aapo and Tulloch, Andrew and Jia, Yangqing and He, Kaiming", "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", "2017", "1706.02677");
#[rustfmt::skip]
const PASCANU_2013: Citation = arxiv!("pascanu2013", "Pascanu, Razvan and Mikolov, Tomas and Bengio, Yoshua", "On the difficulty of training Recurrent Neural Networks", "2013", "1211.5063");
#[rustfmt::skip]
const SZEGEDY_2016: Citation = arxiv!("szegedy2016", "Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and Shlens, Jonathon and Wojna, Zbigniew", "Rethinking the Inception Architecture for Computer Vision", "2016", "1512.00567");
#[rustfmt::skip]
const ZHANG_2018: Citation = arxiv!("zhang2018", "Zhang, Hongyi and Cisse, Moustapha and Dauphin, Yann N. and Lopez-Paz, David", "mixup: Beyond Empirical Risk Minimization", "2018", "1710.09412");
#[rustfmt::skip]
const POLYAK_1992: Citation = Citation { key: "polyak1992", bibtex: "@article{polyak1992,\n  author = {Polyak, Boris T. and Juditsky, Anatoli B.},\n  title = {{Acceleration of Stochastic Approximation by Averaging}},\n  journal = {SIAM Journal on Control and Optimization},\n  volume = {30},\n  number = {4},\n  pages = {838--855},\n  year = {1992}\n}" };
#[rustfmt::skip]
const PEREZ_GARCIA_2021: Citation = Citation { key: "perezgarcia2021", bibtex: "@article{perezgarcia2021,\n  author = {P{\\'e}rez-Garc{\\'i}a, Fernando and Sparks, Rachel and Ourselin, S{\\'e}bastien},\n  title = {{TorchIO: A Python library for efficient loading, preprocessing, augmentation and patch-based sampling of medical images in deep learning}},\n  journal = {Computer Methods and Programs in Biomedicine},\n  volume = {208},\n  pages = {106236},\n  year = {2021},\n  doi = {10.1016/j.cmpb.2021.106236}\n}" };
#[rustfmt::skip]
const COCHRAN_1973: Citation = Citation { key: "cochran1973", bibtex: "@article{cochran1973,\n  author = {Cochran, William G. and Rubin, Donald B.},\n  title = {{Controlling bias in observational studies: A review}},\n  journal = {Sankhy{\\=a}: The Indian Journal of Statistics, Series A},\n  volume = {35},\n  number = {4},\n  pages = {417--446},\n  year = {1973}\n}" };
#[rustfmt::skip]
const WILSON_1927: Citation = Citation { key: "wilson1927", bibtex: "@article{wilson1927,\n  author = {Wilson, Edwin B.},\n  title = {{Probable Inference, the Law of Succession, and Statistical Inference}},\n  journal = {Journal of the American Statistical Association},\n  volume = {22},\n  number = {158},\n  pages = {209--212},\n  year = {1927}\n}" };
#[rustfmt::skip]
const NEWCOMBE_2006: Citation = Citation { key: "newcombe2006", bibtex: "@article{newcombe2006,\n  author = {Newcombe, Robert G.},\n  title = {{Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2: asymptotic methods and evaluation}},\n  journal = {Statistics in Medicine},\n  volume = {25},\n  number = {4},\n  pages = {559--573},\n  year = {2006}\n}" };
#[rustfmt::skip]
const OBUCHOWSKI_1997: Citation = Citation { key: "obuchowski1997", bibtex: "@article{obuchowski1997,\n  author = {Obuchowski, Nancy A.},\n  title = {{Nonparametric Analysis of Clustered ROC Curve Data}},\n  journal = {Biometrics},\n  volume = {53},\n  number = {2},\n  pages = {567--578},\n  year = {1997}\n}" };
#[rustfmt::skip]
const DELONG_1988: Citation = Citation { key: "delong1988", bibtex: "@article{delong1988,\n  author = {DeLong, Elizabeth R. and DeLong, David M. and Clarke-Pearson, Daniel L.},\n  title = {{Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves: A Nonparametric Approach}},\n  journal = {Biometrics},\n  volume = {44},\n  number = {3},\n  pages = {837--845},\n  year = {1988}\n}" };
#[rustfmt::skip]
const ZOU_2008: Citation = Citation { key: "zou2008", bibtex: "@article{zou2008,\n  author = {Zou, Guang Yong and Donner, Allan},\n  title = {{Construction of confidence limits about effect measures: A general approach}},\n  journal = {Statistics in Medicine},\n  volume = {27},\n  number = {10},\n  pages = {1693--1702},\n  year = {2008}\n}" };
#[rustfmt::skip]
const NADEAU_2003: Citation = Citation { key: "nadeau2003", bibtex: "@article{nadeau2003,\n  author = {Nadeau, Claude and Bengio, Yoshua},\n  title = {{Inference for the Generalization Error}},\n  journal = {Machine Learning},\n  volume = {52},\n  number = {3},\n  pages = {239--281},\n  year = {2003}\n}" };

/// ` in 50 % of cases`; nothing for what happens always.
fn chance(probability: f64) -> String {
    if probability >= 1.0 { String::new() } else { format!(" in {} % of cases", significant(100.0 * probability, 3)) }
}

/// The changes of intensities that have a probability, in words.
fn varied_intensities(a: &Augmentation) -> impl Iterator<Item = String> {
    let all = [
        (a.bias, "a bias field, the exponential of a polynomial of third order with coefficients up to ", ""),
        (a.gamma, "a gamma whose logarithm is up to ", ""),
        (a.blur, "a Gaussian blur of up to ", " mm"),
        (a.noise, "normal noise of up to ", " standard deviations of the intensities"),
    ];
    all.into_iter()
        .filter_map(|(change, words, unit)| change.map(|c| format!("{words}{}{unit}{}", c.size, chance(c.probability))))
}

/// What is known of the maps of a run.
#[derive(Clone, Debug)]
pub(in crate::report) struct MapsOf<'a> {
    /// Those that are combined.
    pub(in crate::report) groups: Option<&'a GroupSummary>,
    /// Methods whose maps are not.
    pub(in crate::report) alone: Vec<MethodSummary>,
    /// The atlases in whose regions maps were read off.
    pub(in crate::report) atlases: &'a [ReadOff],
}

/// A table of regions with the atlas that it was made by.
#[derive(Clone, Debug)]
pub(in crate::report) struct ReadOff {
    /// The table's name.
    pub(in crate::report) name: String,
    /// Image and table of the atlas, where they are recorded.
    pub(in crate::report) files: Option<(PathBuf, PathBuf)>,
    /// Whether it is that of a simulated cohort.
    pub(in crate::report) simulated: bool,
}

impl MapsOf<'_> {
    fn methods(&self) -> impl Iterator<Item = &MethodSummary> {
        self.groups.into_iter().flat_map(|groups| &groups.methods).chain(&self.alone)
    }
}

impl MethodsText {
    /// From the records of a run; what is not recorded is not said.
    pub(in crate::report) fn of_run(
        run: &Run,
        cohort: Option<&Cohort>,
        (metrics, value_metrics): (Option<&Metrics>, Option<&ValueMetrics>),
        maps: &MapsOf<'_>,
        not_seen: Option<&NotSeen>,
    ) -> Self {
        let mut text = Self::default();
        if let Some(cohort) = cohort {
            text.prepared(run, cohort);
        }
        text.trained(run, metrics, value_metrics);
        text.paragraphs.extend(not_seen.map(NotSeen::sentence));
        if maps.methods().next().is_some() {
            text.explained(maps);
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
    fn cite(&mut self, citation: Citation) -> String {
        if !self.cited.contains(&citation) {
            self.cited.push(citation);
        }
        format!("[@{}]", citation.key)
    }

    fn prepared(&mut self, run: &Run, cohort: &Cohort) {
        let p = &cohort.preparation;
        let counts: Vec<String> = match cohort.column(&run.manifest.label) {
            Ok(cells) => run
                .manifest
                .task
                .classes()
                .iter()
                .map(|c| format!("{} {c}", cells.iter().filter(|v| **v == Some(c)).count()))
                .collect(),
            Err(_) => Vec::new(),
        };
        let people = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        let everyone: Vec<usize> = (0..cohort.subjects.len()).collect();
        let heads =
            cohort.headcount(&everyone).unwrap_or(Headcount { scans: everyone.len(), people: None, rows: false });
        let mut s = format!("The cohort has {heads}{people}. ");
        if let Some(left_out) = run.manifest.about_left_out(cohort.noun()) {
            s.push_str(&left_out);
            s.push(' ');
        }
        if heads.people.is_some() {
            s.push_str("In what follows, a subject is a scan. ");
        }
        match &p.template {
            Some(template) => {
                let file = template.name();
                let which = match known_images::template(&template.path, &template.hash) {
                    Some(known) => {
                        let works: Vec<String> = known.works.iter().map(|work| self.cite(*work)).collect();
                        format!("{} {} ({file})", known.called, works.join(" "))
                    }
                    None => format!("a template ({file}: cite it, voxplain does not know which it is)"),
                };
                s.push_str(&format!(
                    "Each image was turned and shifted to {which}, {}. ",
                    match template.sizes {
                        Sizes::Keep => "keeping its size",
                        Sizes::Remove => "and scaled to its size",
                    }
                ));
            }
            None if p.placement == Placement::MaskCentre && p.whole_head => {
                s.push_str("Heads were put on the centre of what is not background and not registered to each other. ");
            }
            None if p.placement == Placement::MaskCentre => {
                s.push_str("Brains were put on the centre of their masks and not registered to each other. ");
            }
            None => {}
        }
        if p.whole_head {
            s.push_str("No brain mask was used: images were taken as whole heads. ");
        }
        match p.channels.as_slice() {
            [] => {}
            [name] => s.push_str(&format!("The images are {name}. ")),
            [first, others @ ..] => s.push_str(&format!(
                "Each subject has {} images, {first} and {}, which the network takes together as channels. Mask{} and grid are those \
                 of {first}; the others were resampled to it as their headers place them, and each was normalised by itself. A map is the sum over the channels where its method tells them apart, and of all together where \
                 it does not; what is taken out of the images is taken out of all at once. ",
                p.channels.len(),
                others.join(" and "),
                if p.template.is_some() { ", alignment" } else { "" },
            )),
        }
        s.push_str(&format!(
            "Volumes have {} voxels of {} mm; intensities were {}, and 0 outside the mask. The value 0, which some \
             methods put in place of what they take out, is {}.",
            p.shape.map(|n| n.to_string()).join(" × "),
            p.spacing.map(|n| significant(n, 3)).join(" × "),
            p.normalize.words(),
            p.normalize.zero(),
        ));
        self.paragraphs.push(s);
    }

    /// The network in words, with the work that it comes from.
    fn network(&mut self, name: &str) -> String {
        match NetworkKind::named(name) {
            Ok(NetworkKind::Mrinet) => format!("the 3D convolutional network of Kan et al. {}", self.cite(KAN_2020)),
            Ok(NetworkKind::Sfcn) => {
                format!("the simple fully convolutional network of Peng et al. {}", self.cite(PENG_2021))
            }
            Ok(NetworkKind::Conv5Fc3) => {
                format!("the network of five convolutions and three linear layers of ClinicaDL {}", self.cite(WEN_2020))
            }
            Ok(kind @ (NetworkKind::Resnet10 | NetworkKind::Resnet18 | NetworkKind::Resnet50)) => {
                let layers = kind.name().trim_start_matches("resnet");
                format!("a residual network {} of {layers} layers and three-dimensional kernels", self.cite(HE_2016))
            }
            Ok(NetworkKind::Densenet121) => {
                format!(
                    "a densely connected network {} of 121 layers and three-dimensional kernels",
                    self.cite(HUANG_2017)
                )
            }
            Err(_) => format!("the network {name}"),
        }
    }

    /// The optimiser in words.
    fn optimizer(&mut self, o: &TrainOptions) -> String {
        match o.optimizer {
            OptimizerName::Adam => format!("Adam {}", self.cite(KINGMA_2015)),
            OptimizerName::AdamW => {
                format!("AdamW, with weight decay beside the gradient {}", self.cite(LOSHCHILOV_2019))
            }
            OptimizerName::Sgd => match o.momentum.unwrap_or(OptimizerName::MOMENTUM) {
                0.0 => "stochastic gradient descent".to_owned(),
                x => {
                    format!("stochastic gradient descent with Nesterov's momentum of {x} {}", self.cite(SUTSKEVER_2013))
                }
            },
        }
    }

    /// What was done to gradients, weights and labels, a sentence each.
    fn recipe(&mut self, o: &TrainOptions) -> String {
        let mut s = String::new();
        if let Some(norm) = o.clip_norm {
            s.push_str(&format!(
                "Gradients were scaled down to a norm of at most {norm} {}. ",
                self.cite(PASCANU_2013)
            ));
        }
        if let Some(share) = o.label_smoothing {
            s.push_str(&format!(
                "Labels were smoothed: all classes shared {share} of the truth evenly {}. ",
                self.cite(SZEGEDY_2016)
            ));
        }
        if let Some(alpha) = o.mixup {
            s.push_str(&format!(
                "The images of a batch and their truths were mixed in pairs, by shares from the beta distribution with both parameters \
                 {alpha} {}. ",
                self.cite(ZHANG_2018)
            ));
        }
        if let Some(decay) = o.ema {
            s.push_str(&format!(
                "The network kept is the exponential moving average of the weights over the steps, with a decay of {decay}, and the plain \
                 mean while the steps are too few for it {}. ",
                self.cite(POLYAK_1992)
            ));
        }
        s
    }

    /// The loss of a value, in words.
    fn loss(&mut self, task: &Task, o: &TrainOptions) -> String {
        let Task::Value { value } = task else { return String::new() };
        let of = match o.loss.unwrap_or_default() {
            LossKind::Error(ValueLoss::Mse) => "the mean squared error of the standardised value",
            LossKind::Error(ValueLoss::Mae) => "the mean absolute error of the standardised value",
            LossKind::Error(ValueLoss::Huber) => "Huber's loss of the standardised value",
            LossKind::SoftLabels { width } => {
                return format!(
                    " on soft labels {} over bins of width {width}{}, that is on the Kullback-Leibler divergence of the softmax of its \
                     outputs, one for each bin, from the normal distribution about the true value with a standard deviation of one bin, \
                     integrated over each bin,",
                    self.cite(PENG_2021),
                    value.suffix()
                );
            }
        };
        format!(" on {of}")
    }

    /// The training of a network in words.
    fn training(&mut self, task: &Task, o: &TrainOptions) -> String {
        let mut s = String::new();
        let net = self.network(&o.model);
        let by = self.optimizer(o);
        let warmup = match o.warmup {
            None => String::new(),
            Some(n) => {
                let epochs = counted(n, "epoch");
                format!(" after a warm-up of {epochs} in which it rose in even steps {}", self.cite(GOYAL_2017))
            }
        };
        s.push_str(&format!(
            "{}, {net} with {} channels in its first layer was \
             trained for {} {}{}{} by {by} (learning rate {}{}{}, weight decay {}, batches of {}{}). ",
            match task {
                Task::Classes { classes } => format!("To tell {} apart", and(classes)),
                Task::Value { value } => format!("To predict {value}"),
            },
            o.width(),
            o.epochs,
            if o.epochs == 1 { "epoch" } else { "epochs" },
            o.early_stop.map_or_else(String::new, |n| format!(
                ", with early stopping after {} without a lower loss on a part of the training people set aside,",
                counted(n, "epoch")
            )),
            self.loss(task, o),
            o.learning_rate,
            match o.schedule {
                ScheduleKind::Cosine => " falling along half a cosine",
                ScheduleKind::Constant => "",
            },
            warmup,
            o.weight_decay,
            o.batch,
            if o.balanced { ", weighted so that each class counts the same whatever its size" } else { "" },
        ));
        if matches!((task, o.loss), (Task::Value { .. }, Some(LossKind::SoftLabels { .. }))) {
            s.push_str(
                "The value predicted is the expectation over the centres of the bins, which in each fold reached at least three bins \
                 beyond the values trained on. ",
            );
        }
        if !o.freeze.is_empty() {
            s.push_str(&format!(
                "Not trained was what has a name that begins with {}; its batch normalisations used their running statistics.{} ",
                and(&o.freeze),
                if o.init.is_none() { " Its weights were left as they were drawn at random." } else { "" }
            ));
        }
        if o.init.is_some() {
            let learnt = o.init_task.as_ref().map_or_else(String::new, |task| format!(" that had learnt {task}"));
            s.push_str(&format!(
                "Training started from the weights of another model{learnt}, whose file is recorded by its hash; its last layer was drawn \
                 anew where classes or the grid were others. "
            ));
        }
        s.push_str(&self.recipe(o));
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
        let torchio = a.affine.is_some() || a.elastic.is_some() || varied_intensities(a).next().is_some();
        varied.extend(a.affine.map(|c| {
            let turned = (c.degrees > 0.0).then(|| format!("turned by up to {}\u{b0} about each axis", c.degrees));
            let scaled = (c.scale > 0.0).then(|| format!("scaled by up to {} %", significant(100.0 * c.scale, 3)));
            let shifted = (c.shift > 0.0).then(|| format!("shifted by up to {} mm", c.shift));
            let done: Vec<String> = [turned, scaled, shifted].into_iter().flatten().collect();
            format!("{}{}", and(&done), chance(c.probability))
        }));
        varied.extend(a.elastic.map(|c| {
            format!("bent by displacements of up to {} mm by cubic B-splines{}", c.size, chance(c.probability))
        }));
        varied.extend(varied_intensities(a));
        if !varied.is_empty() {
            let by = if torchio {
                format!(" in the manner of TorchIO {}", self.cite(PEREZ_GARCIA_2021))
            } else {
                String::new()
            };
            s.push_str(&format!("Training volumes were varied at random{by} ({}). ", varied.join(", ")));
        }
        s
    }

    fn trained(&mut self, run: &Run, metrics: Option<&Metrics>, value_metrics: Option<&ValueMetrics>) {
        let mut s = String::new();
        // Options that are not recorded would be taken as their defaults.
        let recorded =
            ["width", "epochs", "batch", "learning-rate"].iter().all(|o| run.manifest.options.get(o).is_some());
        let options = serde_json::from_value::<TrainOptions>(run.manifest.options.clone());
        if let (true, Ok(o)) = (recorded, options) {
            s.push_str(&self.training(&run.manifest.task, &o));
            if let Some(group) = &o.group {
                s.push_str(&format!("No value of {group} was on both sides of a split. "));
            }
            if !o.matched.is_empty() {
                s.push_str(&format!(
                    "Each training part was matched on {}: pairs of {}, by nearest neighbours without replacement, in no number further apart than {} \
                     standard deviations {}. ",
                    and(&o.matched).replace(MASK_VOLUME, "mask volume"),
                    and(run.manifest.task.classes()),
                    o.caliper.unwrap_or(CALIPER_DEFAULT),
                    self.cite(COCHRAN_1973)
                ));
            }
        }
        if metrics.is_some_and(|metrics| metrics.people.is_some())
            || value_metrics.is_some_and(|metrics| metrics.people.is_some())
        {
            s.push_str("All scans of a person were on one side of every split. ");
        }
        if let Some(metrics) = metrics {
            s.push_str(&format!("Held out: {} ", metrics.method));
            s.push_str(&self.intervals(metrics));
            let others: Vec<&str> = metrics.classifiers.iter().skip(1).map(|j| j.description.as_str()).collect();
            if !others.is_empty() {
                s.push_str(&format!("The same subjects were judged by: {}. ", others.join("; ")));
            }
        }
        if let Some(metrics) = value_metrics {
            s.push_str(&format!("Held out: {} ", metrics.method));
            s.push_str(&self.intervals_of_values(metrics));
            let others: Vec<&str> = metrics.predictors.iter().skip(1).map(|p| p.description.as_str()).collect();
            s.push_str(&format!("The same subjects were predicted by: {}. ", others.join("; ")));
            if metrics.correction.is_some() {
                s.push_str(
                    "Errors corrected for the bias towards the mean are given beside: predicted values were stretched by the line of \
                     predicted on true values of the other folds. ",
                );
            }
        }
        if !s.is_empty() {
            self.paragraphs.push(s.trim_end().to_owned());
        }
    }

    /// Which intervals were used for a value.
    fn intervals_of_values(&mut self, metrics: &ValueMetrics) -> String {
        let Some(network) = metrics.predictors.first().map(|p| &p.regression) else { return String::new() };
        if let Some(why) = network.mae.interval.strip_prefix("none: ") {
            return format!("No intervals are given: {}. ", metrics.said_of_groups(why));
        }
        let mut s = format!(
            "Intervals are from influence values with quantiles of Student's t, over {}: of mean absolute and root mean square errors \
             on the scale of the logarithm, of R2 on that of log(1 - R2), of r on that of Fisher's z. ",
            metrics.independent()
        );
        if metrics.comparisons.iter().any(|c| c.corrected_t.is_some()) {
            s.push_str(&format!(
                "Errors of folds were compared by the corrected resampled t-test {}. ",
                self.cite(NADEAU_2003)
            ));
        }
        s
    }

    /// Which intervals were used, by what the metrics say of themselves.
    fn intervals(&mut self, metrics: &Metrics) -> String {
        let Some(network) = metrics.classifiers.first().map(|c| &c.classification) else { return String::new() };
        let mut s = match network.accuracy.interval.as_str() {
            "wilson" => format!("Intervals of shares are Wilson's {}. ", self.cite(WILSON_1927)),
            "clustered-wilson" => format!(
                "Intervals of shares are Wilson's {} with the number of independent subjects that would give the \
                 variance over groups, and quantiles of Student's t with one degree of freedom less than there are groups. ",
                self.cite(WILSON_1927)
            ),
            "group-bootstrap" => "Intervals are percentiles of a bootstrap over groups. ".to_owned(),
            none => match none.strip_prefix("none: ") {
                Some(why) => return format!("No intervals are given: {}. ", metrics.said_of_groups(why)),
                None => String::new(),
            },
        };
        if metrics.grouped_by.as_deref() == Some(PERSON) {
            s.push_str("The groups are people. ");
        }
        match network.auc.as_ref().map(|auc| auc.interval.as_str()) {
            Some("newcombe") => {
                s.push_str(&format!("The interval of an AUC is Newcombe's method 5 {}. ", self.cite(NEWCOMBE_2006)));
            }
            Some("clustered-newcombe") => s.push_str(&format!(
                "The interval of an AUC is Newcombe's method 5 {} with class sizes divided by the inflation of the \
                 variance over groups {}. ",
                self.cite(NEWCOMBE_2006),
                self.cite(OBUCHOWSKI_1997)
            )),
            Some("delong-wilson") => s.push_str(&format!(
                "The interval of an AUC over pairs of classes is Wilson's with the number of subjects that would give the variance by \
                 the components of DeLong et al. {}. ",
                self.cite(DELONG_1988)
            )),
            _ => {}
        }
        if let Some(rest) = &network.one_versus_rest {
            let over_groups = match rest.macro_auc.interval.as_str() {
                "clustered-mover" => format!(
                    ", class sizes divided by the inflation of the variance over groups {}",
                    self.cite(OBUCHOWSKI_1997)
                ),
                _ => String::new(),
            };
            s.push_str(&format!(
                "The macro AUC is the mean over the classes of the AUC of each against all others; its interval puts together \
                 {} those of the classes (Newcombe's method 5 {}{over_groups}) with their correlations by the components of DeLong \
                 et al. {}. ",
                self.cite(ZOU_2008),
                self.cite(NEWCOMBE_2006),
                self.cite(DELONG_1988)
            ));
        }
        if metrics.comparisons.iter().any(|c| c.corrected_t.is_some()) {
            s.push_str(&format!(
                "Accuracies of folds were compared by the corrected resampled t-test {}. ",
                self.cite(NADEAU_2003)
            ));
        }
        s
    }

    fn explained(&mut self, maps: &MapsOf<'_>) {
        let mut s = String::new();
        for method in maps.methods() {
            let entry = method_named(&method.method);
            let cited = entry.and_then(|e| e.citation).map(|c| format!(" {}", self.cite(c))).unwrap_or_default();
            let options = options(&method.parameters);
            let options = if options == "none" { String::new() } else { format!("; {options}") };
            let rule = method.rules_applied.map_or_else(String::new, |counts| {
                format!("; rule applied to {}", rule_applied(&method.method, counts))
            });
            let compat = method.compat.as_ref().map_or_else(String::new, |c| format!("; as in the code of {c}"));
            let control = if entry.is_some_and(|e| e.control.is_some()) { "the control " } else { "" };
            s.push_str(&format!(
                "Maps of {} {} were made by {control}{}{cited} (explained: {}{options}{rule}{compat}). ",
                method.subjects,
                if method.subjects == 1 { "subject" } else { "subjects" },
                method.method,
                method.target
            ));
        }
        let area_of = |name: &str| maps.methods().any(|m| m.method == name && m.compat.is_none());
        let masks: Vec<&str> = [MeaningfulPerturbation::NAME, ExtremalPerturbation::NAME]
            .into_iter()
            .filter(|name| area_of(name))
            .collect();
        if !masks.is_empty() {
            s.push_str(&format!(
                "The area of a mask ({}) counts all that it selects, inside the mask of the image and outside it, as a share of the volume \
                 of that mask. ",
                masks.join(", ")
            ));
        }
        let seen: usize = maps.methods().map(|m| m.in_sample).sum();
        s.push_str(if seen == 0 {
            "Every subject was explained by a model that had never seen it. Maps are signed and not normalised. "
        } else {
            "Some subjects were explained by models that had been trained on them. Maps are signed and not normalised. "
        });
        if let Some(scale) = maps.groups.and_then(GroupSummary::about_scale) {
            s.push_str(&format!("{scale} "));
        }
        if maps.groups.is_some_and(|groups| groups.methods.len() > 1) {
            s.push_str(
                "Methods were compared inside the masks, subject by subject, by Spearman's and Pearson's correlation and by \
                 Dice's coefficient of the most relevant parts, corrected for chance. ",
            );
        }
        if !maps.atlases.is_empty() {
            let named: Vec<String> = maps.atlases.iter().map(|atlas| self.read_off(atlas)).collect();
            s.push_str(&format!("Maps were read off in regions of: {}. ", named.join("; ")));
        }
        self.paragraphs.push(s.trim_end().to_owned());
    }

    /// An atlas with its works or, where it is not certain which it is, with its file, which the user is to cite.
    fn read_off(&mut self, of: &ReadOff) -> String {
        let Some((image, table)) = &of.files else { return format!("{} (cite the atlas of this table)", of.name) };
        if of.simulated {
            return format!("{}, the atlas of the simulation", of.name);
        }
        // A file that cannot be read has been complained of where its regions were shown.
        match known_images::atlas(image, table).ok().flatten() {
            Some(known) => {
                let works: Vec<String> = known.works.iter().map(|work| self.cite(*work)).collect();
                format!("{} {}", known.called, works.join(" "))
            }
            None => {
                let file = image.file_name().unwrap_or_default().to_string_lossy();
                format!("{} (cite the atlas of {file}, which voxplain does not know)", of.name)
            }
        }
    }

    /// How faithful maps are, in a paragraph before the last.
    pub(in crate::report) fn faithfulness(&mut self, summaries: &[Summary]) {
        let Some(first) = summaries.first() else { return };
        let settings = &first.settings;
        let petsiuk = self.cite(citation::PETSIUK_2018);
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
            "Faithfulness was measured by {} curves {petsiuk} of {maps} subjects: the voxels of the mask were ordered by {}, in \
             blocks of {} voxels, and replaced (deletion) or put back (insertion) in {} steps of equal volume; in their place \
             stood {}. The area under the probability of the explained class was compared, subject by subject, \
             with that of a random order whose autocorrelation was fitted to that of the map. {}",
            names.join(" and "),
            first.ranking(),
            first.block_voxels.map(|n| n.to_string()).join(" × "),
            settings.steps,
            substrates.join(", or "),
            first.about_intervals()
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
        let own = [
            KAN_2020,
            PENG_2021,
            HE_2016,
            HUANG_2017,
            KINGMA_2015,
            WILSON_1927,
            NEWCOMBE_2006,
            OBUCHOWSKI_1997,
            NADEAU_2003,
            WEN_2020,
            DELONG_1988,
            ZOU_2008,
            LOSHCHILOV_2019,
            SUTSKEVER_2013,
            GOYAL_2017,
            PASCANU_2013,
            SZEGEDY_2016,
            ZHANG_2018,
            POLYAK_1992,
            PEREZ_GARCIA_2021,
            COCHRAN_1973,
        ];
        let mut all: Vec<Citation> = own.to_vec();
        for work in known_images::works() {
            if !all.contains(&work) {
                all.push(work);
            }
        }
        for entry in METHODS {
            let citation = entry.citation.unwrap_or_else(|| panic!("{} comes from no work", entry.name));
            if !all.contains(&citation) {
                all.push(citation);
            }
        }
        for (n, reference) in all.iter().enumerate() {
            assert!(all[..n].iter().all(|r| r.key != reference.key), "{}", reference.key);
            let text = reference.bibtex;
            assert!(text.starts_with('@') && text.contains(&format!("{{{},\n", reference.key)) && text.ends_with('}'));
            let braces = |c| text.matches(c).count();
            assert_eq!(braces('{'), braces('}'), "{}", reference.key);
            assert!(["author", "title", "year"].iter().all(|f| text.contains(&format!("  {f} = {{"))));
        }
        // Controls are the entries that say so of themselves.
        for entry in METHODS {
            assert_eq!(entry.control.is_some(), entry.summary.starts_with("control"), "{}", entry.name);
        }
    }

    /// Every choice of a training is said, with its source; what is by default is said as before.
    #[test]
    fn trainings_are_told_as_they_were() {
        let task = Task::classes_named(vec!["a".into(), "b".into(), "c".into()]);
        let told = |o: &TrainOptions| {
            let mut text = MethodsText::default();
            let s = text.training(&task, o);
            (s, text.cited.iter().map(|c| c.key).collect::<Vec<_>>())
        };
        let (plain, cited) = told(&TrainOptions::default());
        assert_eq!(
            plain,
            "To tell a, b and c apart, the 3D convolutional network of Kan et al. [@kan2020] with 8 channels in its first layer was trained \
             for 20 epochs by Adam [@kingma2015] (learning rate 0.001 falling along half a cosine, weight decay 0.0001, batches of 4). \
             Training volumes were varied at random (shifts of up to 2 voxels, intensities scaled by up to 10 %). "
        );
        assert_eq!(cited, ["kan2020", "kingma2015"]);
        let (every, cited) = told(&TrainOptions {
            model: "conv5-fc3".into(),
            optimizer: OptimizerName::Sgd,
            warmup: Some(1),
            clip_norm: Some(2.0),
            ema: Some(0.99),
            label_smoothing: Some(0.1),
            mixup: Some(0.2),
            early_stop: Some(3),
            freeze: vec!["convolutions".into()],
            augment: "affine=10:0.1:0@1,elastic=5@0.25,bias,gamma,blur,noise".parse().unwrap(),
            ..TrainOptions::default()
        });
        for part in [
            "of ClinicaDL [@wen2020] with 8 channels",
            "with early stopping after 3 epochs without a lower loss",
            "Nesterov's momentum of 0.9 [@sutskever2013]",
            "falling along half a cosine after a warm-up of 1 epoch in which it rose in even steps [@goyal2017]",
            "begins with convolutions;",
            "a norm of at most 2 [@pascanu2013]",
            "all classes shared 0.1 of the truth evenly [@szegedy2016]",
            "with both parameters 0.2 [@zhang2018]",
            "with a decay of 0.99, and the plain mean while the steps are too few for it [@polyak1992]",
            "in the manner of TorchIO [@perezgarcia2021] (turned by up to 10\u{b0} about each axis and scaled by up to 10 %, bent by \
             displacements of up to 5 mm by cubic B-splines in 25 % of cases, a bias field",
            "normal noise of up to 0.25 standard deviations of the intensities in 50 % of cases)",
        ] {
            assert!(every.contains(part), "{part}: {every}");
        }
        assert_eq!(cited.len(), 8);
        let adamw = TrainOptions { optimizer: OptimizerName::AdamW, ..TrainOptions::default() };
        assert!(
            told(&adamw).0.contains("by AdamW, with weight decay beside the gradient [@loshchilov2019] (learning rate")
        );
    }

    #[test]
    fn soft_labels_are_told_with_their_source() {
        let value = voxplain_attribution::Quantity { name: "age".into(), unit: Some("years".into()) };
        let (task, mut text) = (Task::Value { value }, MethodsText::default());
        let options = TrainOptions { loss: Some(LossKind::SoftLabels { width: 2.0 }), ..TrainOptions::default() };
        let told = text.training(&task, &options);
        for part in [
            "was trained for 20 epochs on soft labels [@peng2021] over bins of width 2 years, that is",
            "integrated over each bin, by Adam [@kingma2015]",
            "The value predicted is the expectation over the centres of the bins",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let plain = text.training(&task, &TrainOptions::default());
        assert!(plain.contains("20 epochs on the mean squared error of the standardised value by Adam"), "{plain}");
        assert!(!plain.contains("bins"));
    }

    #[test]
    fn rules_are_said_of_what_they_were_applied_to() {
        assert_eq!(rule_applied("guided-backprop", [3, 3]), "3 of 3 ReLUs");
        assert_eq!(rule_applied("lrp", [4, 4]), "4 of 4 convolutions and linear layers");
        assert_eq!(rule_applied("deeplift", [5, 6]), "5 of 6 non-linearities");
        assert_eq!(rule_applied("no-such-method", [1, 2]), "1 of 2 operations");
    }
}
