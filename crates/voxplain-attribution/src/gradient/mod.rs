//! Methods that propagate one gradient back to the input, or average some.

mod deconvnet;
mod gradient_shap;
pub(crate) mod guided_backprop;
mod input_x_gradient;
mod integrated_gradients;
mod moments;
mod quadrature;
mod saliency;
mod smoothgrad;

pub use deconvnet::Deconvnet;
pub use gradient_shap::GradientShap;
pub use guided_backprop::GuidedBackprop;
pub use input_x_gradient::InputXGradient;
pub use integrated_gradients::IntegratedGradients;
pub use saliency::Saliency;
pub use smoothgrad::{Mode, SmoothGrad};
