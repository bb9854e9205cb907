//! Methods that walk one gradient back to the input, or average some.

pub(crate) mod deconvnet;
pub(crate) mod gradient_shap;
pub(crate) mod guided_backprop;
pub(crate) mod input_x_gradient;
pub(crate) mod integrated_gradients;
pub(crate) mod moments;
pub(crate) mod quadrature;
pub(crate) mod saliency;
pub(crate) mod smoothgrad;
