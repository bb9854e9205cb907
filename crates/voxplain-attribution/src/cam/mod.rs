//! Class activation maps: the activations of a layer, weighted by what they do to the score.

mod ablation_cam;
pub(crate) mod activation_map;
pub(crate) mod grad_cam;
mod grad_cam_plus_plus;
mod guided_grad_cam;
mod head;
mod hires_cam;
mod layer_cam;
mod options;
mod plain_cam;
mod score_cam;
mod xgrad_cam;

pub use ablation_cam::AblationCam;
pub use grad_cam::GradCam;
pub use grad_cam_plus_plus::{Denominator, GradCamPlusPlus};
pub use guided_grad_cam::GuidedGradCam;
pub use hires_cam::HiresCam;
pub use layer_cam::LayerCam;
pub use options::CamOptions;
pub use plain_cam::Cam;
pub use score_cam::ScoreCam;
pub use xgrad_cam::XGradCam;
