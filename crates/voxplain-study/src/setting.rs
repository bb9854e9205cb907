//! The settings that remedies of this crate name. Each is an option of a step of the work, by the name that every front
//! end knows it by; the command tests that it has a flag for each in [`ALL`].

use voxplain_core::Setting;

/// A constant for each setting, and [`ALL`] of them.
macro_rules! settings {
    ($($(#[$doc:meta])+ $constant:ident = $name:literal;)+) => {
        $($(#[$doc])+ pub const $constant: Setting = Setting::new($name);)+

        /// Every setting of this file.
        pub const ALL: &[Setting] = &[$($constant),+];
    };
}

settings! {
    /// The acquisitions that are taken, by their `acq` in BIDS.
    ACQ = "acq";
    /// The template that brains are aligned to.
    ALIGN = "align";
    /// Whether brains keep their size when they are aligned.
    ALIGN_SIZE = "align-size";
    /// Whether names of regions are taken from a table that does not fit the atlas.
    ALLOW_MISMATCH = "allow-mismatch";
    /// The network that a checkpoint belongs to.
    ARCH = "arch";
    /// How training volumes are varied at random.
    AUGMENT = "augment";
    /// A column of subjects who are exchanged with each other alone, or as a whole.
    BLOCKS = "blocks";
    /// Subjects in a step of the optimiser.
    BATCH = "batch";
    /// The images of each person that a network takes together, one by one.
    CHANNEL = "channel";
    /// Pairs of inputs and outputs that an imported network must give.
    CHECK = "check";
    /// What an error on each class weighs in training.
    CLASS_WEIGHTS = "class-weights";
    /// How far apart the two of a matched pair may be, in standard deviations.
    CALIPER = "caliper";
    /// Whether a tail is fitted to the statistics of permutations.
    PARETO_TAIL = "pareto-tail";
    /// Which voxels touch.
    NEIGHBOURS = "neighbours";
    /// The cohort that people are taken over from.
    REUSE = "reuse";
    /// Whether each subject has a variance of its own.
    ROBUST = "robust";
    /// The width of the smoothing before maps are compared, mm.
    SMOOTH = "smooth";
    /// The powers of extent and height of an enhancement.
    TFCE = "tfce";
    /// Another run on the same people, by a name.
    ARM = "arm";
    /// The file of a design's contrasts.
    CONTRASTS = "contrasts";
    /// The size of a statistic from which on voxels form clusters.
    CLUSTER = "cluster";
    /// The largest norm of the gradients of a step.
    CLIP_NORM = "clip-norm";
    /// Which classifier of a run is tested.
    CLASSIFIER = "classifier";
    /// Names of the classes, in the order of the outputs.
    CLASSES = "classes";
    /// The directory of a cohort.
    COHORT = "cohort";
    /// Columns of the table of people that a baseline without an image is fitted to.
    COVARIATES = "covariates";
    /// The decay of the moving average of weights.
    EMA = "ema";
    /// Epochs without a lower loss after which training stops.
    EARLY_STOP = "early-stop";
    /// A design in words: columns with + between them.
    DESIGN = "design";
    /// The precision in which a cohort keeps its volumes.
    DTYPE = "dtype";
    /// Passes over the training subjects.
    EPOCHS = "epochs";
    /// Which images are not taken, by a part of their path.
    EXCLUDE = "exclude";
    /// One of the folds of a run, which is trained alone.
    FOLD = "fold";
    /// Number of folds of a cross-validation.
    FOLDS = "folds";
    /// Whether every session of a person is a row of its own.
    EACH_SESSION = "each-session";
    /// Where the cohort of a run lies, beside another one that is asked about.
    RUN_COHORT = "run-cohort";
    /// What is compared of the regions of an atlas, in place of voxels.
    REGIONS = "regions";
    /// What words of a table are called by a model.
    RENAME = "rename";
    /// The file of a design's F tests.
    F_TESTS = "f-tests";
    /// Whether what is there already is replaced.
    FORCE = "force";
    /// Parts of the network that are not trained.
    FREEZE = "freeze";
    /// What the grid of the prepared volumes lies on.
    GRID_SPACE = "space";
    /// Shape of a grid, `58x70x58`.
    GRID = "grid";
    /// The column of those who belong together and stay in one fold.
    GROUP = "group";
    /// The share of subjects that is held out.
    HOLDOUT = "holdout";
    /// The column of ids.
    ID_COLUMN = "id-column";
    /// Whether subjects are explained by a model that was trained on them.
    IN_SAMPLE = "in-sample";
    /// Which image of FreeSurfer is taken of each subject.
    IMAGE = "image";
    /// Which images are taken, by a part of their path.
    INCLUDE = "include";
    /// A model whose weights training starts from.
    INIT = "init";
    /// The column of those whose images are compared with each other.
    PAIRED = "paired";
    /// Images to explain.
    INPUT = "input";
    /// Whether work goes on without what is missing.
    KEEP_GOING = "keep-going";
    /// How often labels, or subjects, are exchanged.
    PERMUTATIONS = "permutations";
    /// The column of classes.
    LABEL = "label";
    /// The share of the truth that is given to all classes alike in training.
    LABEL_SMOOTHING = "label-smoothing";
    /// A run or model whose images are prepared as those of an imported network.
    LIKE = "like";
    /// The loss of a value in training.
    LOSS = "loss";
    /// The learning rate.
    LR = "lr";
    /// Where the brain is: a suffix, a file, a folder, or where the image is not 0.
    MASK = "mask";
    /// The column of the paths of masks.
    MASK_COLUMN = "mask-column";
    /// Columns on which people of two classes are matched.
    MATCH = "match";
    /// Memory that the values of a network may take.
    MEMORY = "memory";
    /// Methods of attribution.
    METHOD = "method";
    /// A measure of maps.
    METRIC = "metric";
    /// How evenly pairs of training subjects are mixed.
    MIXUP = "mixup";
    /// The share of the last step that an optimiser keeps.
    MOMENTUM = "momentum";
    /// The architecture of a network that is trained.
    MODEL = "model";
    /// How intensities are brought to one scale.
    NORMALIZE = "normalize";
    /// What is done about people who may be one, on both sides of a split.
    NEAR_DUPLICATES = "near-duplicates";
    /// Words that stand for no value in the table of people.
    MISSING = "missing";
    /// How weights follow their gradients.
    OPTIMIZER = "optimizer";
    /// To which side each axis of a network's input grows, `RAS`.
    ORIENTATION = "orientation";
    /// World position (mm) of the first voxel of a grid.
    ORIGIN = "origin";
    /// The directory or file to write.
    OUT = "out";
    /// The people of a BIDS dataset who are worked on, by the labels of their folders.
    PARTICIPANT_LABEL = "participant-label";
    /// The table of labels and covariates.
    PARTICIPANTS = "participants";
    /// The column of paths.
    PATH_COLUMN = "path-column";
    /// The column of the people whose images the rows are.
    PERSON_COLUMN = "person-column";
    /// The class to detect.
    POSITIVE = "positive";
    /// The reconstructions that are taken, by their `rec` in BIDS.
    REC = "rec";
    /// The runs that are taken, by their `run` in BIDS.
    RUN = "run";
    /// A table of volumes of regions that a baseline is fitted to.
    REGION_VOLUMES = "region-volumes";
    /// Which part of a map counts as relevance.
    RELEVANCE = "relevance";
    /// How maps are scaled before they are combined.
    SCALE = "scale";
    /// How the learning rate changes.
    SCHEDULE = "schedule";
    /// Where all chance comes from.
    SEED = "seed";
    /// The sessions that are taken, by their `ses` in BIDS.
    SESSION = "session";
    /// The sessions of a BIDS dataset that are worked on, by the labels of their folders.
    SESSION_LABEL = "session-label";
    /// Shape of the input of a network, `58x70x58`.
    SHAPE = "shape";
    /// Which part of the work, of how many, is done here.
    SHARD = "shard";
    /// Whether a dataset is taken that does not say that it is one.
    SKIP_BIDS_VALIDATION = "skip-bids-validation";
    /// The names of several sources.
    SITE = "site";
    /// Whether the name of its source goes before each id.
    SITE_IN_ID = "site-in-id";
    /// Which space images are in, by their `space` in BIDS.
    SPACE = "image-space";
    /// Spacing of a grid in mm.
    SPACING = "spacing";
    /// Columns by which folds are balanced.
    STRATIFY = "stratify";
    /// Steps of deletion and insertion.
    STEPS = "steps";
    /// Which subjects are taken; in a simulation, how many there are.
    SUBJECTS = "subjects";
    /// What removed voxels are replaced by when maps are evaluated.
    SUBSTRATE = "substrate";
    /// Whether a network predicts classes or a value.
    TASK = "task";
    /// Which side of 0 is tested.
    TAIL = "tail";
    /// The term of a design that is tested; the test set of a training.
    TEST = "test";
    /// The image of where classes truly differ.
    TRUTH = "truth";
    /// The unit of a value that is predicted.
    UNIT = "unit";
    /// The value that an imported network predicts, with its unit.
    VALUE = "value";
    /// What blocks of subjects mean.
    WITHIN = "block-kind";
    /// Epochs over which the learning rate rises at first.
    WARMUP = "warmup";
    /// Weight decay of the optimiser.
    WEIGHT_DECAY = "weight-decay";
    /// Whether images are taken without a brain mask though they show whole heads.
    WHOLE_HEAD = "whole-head";
    /// Channels of a network's first convolution.
    WIDTH = "width";
}
