//! What a method says of itself, for reports and figures: [`Family`], [`Control`], [`RuleTarget`].

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
