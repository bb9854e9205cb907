//! What a method says of itself, for reports and figures: [`Family`], [`Control`], [`RuleTarget`], [`Reading`].

/// The family of a method: how it comes by its maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Gradients of the score, once or averaged.
    Gradient,
    /// Class activation maps: a weighted sum of a layer's channels.
    Cam,
    /// Relevance that is shared out layer by layer.
    Relevance,
    /// What the score does when parts of the image are taken out.
    Perturbation,
    /// Shapley values of regions.
    Shapley,
    /// A control, which a method must differ from.
    Control,
    /// A method of the caller's own.
    Own,
}

/// What a control knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The edges of the image, nothing of the network.
    Edges,
    /// The values of the image, nothing of the network.
    Input,
    /// Nothing: chance.
    Chance,
}

/// What a method's rule is applied to, where it has one: `k of n` of these are counted in [`crate::Record::rules_applied`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleTarget {
    /// ReLUs.
    Relus,
    /// Convolutions and linear layers.
    ConvolutionsAndLinear,
    /// All non-linearities: activations, max-pooling.
    NonLinearities,
}

impl RuleTarget {
    /// In words, in the plural.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Relus => "ReLUs",
            Self::ConvolutionsAndLinear => "convolutions and linear layers",
            Self::NonLinearities => "non-linearities",
        }
    }
}

/// What the sign of a map means, and by that how it is read (Ancona et al. 2018, arXiv 1711.06104).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// How the score changes with the intensity: the sign says where more intensity would raise it, not what speaks for the class. What
    /// matters is the size.
    Sensitivity,
    /// What a voxel contributes to the score: what is positive speaks for it, what is negative against it.
    #[default]
    Attribution,
}
