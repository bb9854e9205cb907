//! [`Rule`], how a linear layer hands relevance back, and [`Composite`], which layer follows which.

use serde::{Deserialize, Serialize};

/// How a linear layer `z_j = sum_i a_i w_ij + b_j` hands the relevance `R_j` of its outputs to its inputs.
///
/// Every rule is a list of shares of the relevance ([`Rule::shares`]), each handed back in proportion to what
/// inputs contribute to a sum of terms; what the bias contributes to that sum is not handed back, and leaks.
/// Denominators are kept from zero by adding `epsilon` with their own sign (that of 0 is plus); one of no more than 1e-6
/// of the operation's largest is round-off, and hands nothing back.
///
/// `x+` is `max(x, 0)`, `x-` is `min(x, 0)`. Sources: Bach et al. 2015 (PLoS ONE 10, e0130140), Montavon et al.
/// 2017 (Pattern Recognition 65, 211) and Montavon et al. 2019 (in Explainable AI, LNCS 11700, chapter 10).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// `R_i = sum_j a_i w_ij / (z_j + epsilon sign z_j) R_j` (Bach 2015, equation 58).
    Epsilon {
        /// The stabiliser.
        epsilon: f64,
    },
    /// Contributions that are positive count `1 + gamma` times, as does a positive bias (Montavon 2019: there
    /// inputs are never negative, and the weights that are positive count more, which is the same).
    Gamma {
        /// How much more positive contributions count.
        gamma: f64,
    },
    /// Positive contributions alone, `a+ w+` and `a- w-`, with the positive part of the bias in the denominator:
    /// alpha 1, beta 0.
    ZPlus,
    /// `alpha` times by the positive contributions less `beta` times by the negative ones, `alpha - beta = 1` (Bach
    /// 2015, equation 60).
    AlphaBeta {
        /// Of the positive contributions.
        alpha: f64,
        /// Of the negative contributions.
        beta: f64,
    },
    /// Evenly to all inputs of an output.
    Flat,
    /// In proportion to the squared weights (Montavon 2017).
    WSquare,
    /// For inputs between `low` and `high`: by `a_i w_ij - low w_ij+ - high w_ij-` (Montavon 2017).
    ZBox {
        /// The least value of an input.
        low: f64,
        /// The largest value of an input.
        high: f64,
    },
}

/// What a term takes of the inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputPart {
    /// The value.
    Value,
    /// Its positive part.
    Positive,
    /// Its negative part.
    Negative,
    /// The same number for all.
    Constant(f64),
}

/// What a term takes of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WeightPart {
    /// The weight.
    Value,
    /// Its positive part.
    Positive,
    /// Its negative part.
    Negative,
    /// 1.
    One,
    /// Its square.
    Square,
}

/// A part of what inputs contribute to an output: `factor * input(a_i) * weight(w_ij)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// How often it counts.
    pub factor: f64,
    /// What of the input.
    pub input: InputPart,
    /// What of the weight.
    pub weight: WeightPart,
}

/// A share of the relevance, handed back in proportion to a sum of terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// How much of the relevance.
    pub of: f64,
    /// What inputs contribute.
    pub terms: Vec<Term>,
    /// What the bias contributes, `p` times its positive and `n` times its negative part: `[p, n]`.
    pub bias: [f64; 2],
    /// The stabiliser of the sum.
    pub epsilon: f64,
}

/// The stabiliser of rules that have none of their own.
const EPSILON: f64 = 1e-6;

impl Rule {
    /// [`Rule::Epsilon`] with the stabiliser 1e-6, which hands on nearly all relevance.
    pub const EPSILON: Self = Self::Epsilon { epsilon: EPSILON };

    /// Its shares.
    pub fn shares(&self) -> Vec<Share> {
        let term = |factor, input, weight| Term { factor, input, weight };
        let share = |of, terms: &[Term], bias| Share { of, terms: terms.to_vec(), bias, epsilon: EPSILON };
        let agree = [
            term(1.0, InputPart::Positive, WeightPart::Positive),
            term(1.0, InputPart::Negative, WeightPart::Negative),
        ];
        let differ = [
            term(1.0, InputPart::Positive, WeightPart::Negative),
            term(1.0, InputPart::Negative, WeightPart::Positive),
        ];
        let all = term(1.0, InputPart::Value, WeightPart::Value);
        let one = InputPart::Constant(1.0);
        match *self {
            Self::Epsilon { epsilon } => vec![Share { epsilon, ..share(1.0, &[all], [1.0, 1.0]) }],
            Self::Gamma { gamma } => {
                let [pp, nn] = agree.map(|t| Term { factor: gamma, ..t });
                vec![share(1.0, &[all, pp, nn], [1.0 + gamma, 1.0])]
            }
            Self::ZPlus => vec![share(1.0, &agree, [1.0, 0.0])],
            Self::AlphaBeta { alpha, beta } => {
                vec![share(alpha, &agree, [1.0, 0.0]), share(-beta, &differ, [0.0, 1.0])]
            }
            Self::Flat => vec![share(1.0, &[term(1.0, one, WeightPart::One)], [0.0, 0.0])],
            Self::WSquare => vec![share(1.0, &[term(1.0, one, WeightPart::Square)], [0.0, 0.0])],
            Self::ZBox { low, high } => {
                let low = term(-1.0, InputPart::Constant(low), WeightPart::Positive);
                let high = term(-1.0, InputPart::Constant(high), WeightPart::Negative);
                vec![share(1.0, &[all, low, high], [0.0, 0.0])]
            }
        }
    }
}

/// Which layer follows which rule (Montavon et al. 2019; Kohlbrenner et al. 2020, arXiv 1910.09840).
///
/// Everything else is the same for all: activations, dropout and flattening pass relevance on as it is; max-pooling
/// gives it to the largest value; a product gives it to what a gate lets through; mean-pooling, sums of two branches, and batch normalisation that could not be folded (a
/// layer of one weight per channel) follow [`Rule::EPSILON`], as does normalisation by a sample's own statistics, with its
/// deviation held fast; a softmax inside the network is taken by its tangent, whose constant counts as a bias.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Composite {
    /// Convolutions and linear layers that no other lies in front of, where they have a rule of their own.
    pub first: Option<Rule>,
    /// Convolutions.
    pub convolution: Rule,
    /// Linear layers.
    pub dense: Rule,
}

impl Composite {
    /// Z-plus for convolutions, epsilon for linear layers.
    pub const EPSILON_PLUS: Self = Self { first: None, convolution: Rule::ZPlus, dense: Rule::EPSILON };
    /// The same, and flat for the first layer.
    pub const EPSILON_PLUS_FLAT: Self = Self { first: Some(Rule::Flat), ..Self::EPSILON_PLUS };
    /// Alpha 2 and beta 1 for convolutions, epsilon for linear layers.
    pub const EPSILON_ALPHA2_BETA1: Self =
        Self { first: None, convolution: Rule::AlphaBeta { alpha: 2.0, beta: 1.0 }, dense: Rule::EPSILON };

    /// Gamma 0.25 for convolutions, epsilon for linear layers, and the box rule for the first layer, whose inputs
    /// lie between `low` and `high`.
    pub const fn epsilon_gamma_box(low: f64, high: f64) -> Self {
        Self { first: Some(Rule::ZBox { low, high }), convolution: Rule::Gamma { gamma: 0.25 }, dense: Rule::EPSILON }
    }
}
