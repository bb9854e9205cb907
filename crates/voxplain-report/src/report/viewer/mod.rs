//! The volumes of a page, to be looked at from all sides in the browser.
//!
//! The page carries `NiiVue` (`third-party/niivue`), an index of scenes (a brain with the maps of every method and the
//! labels of every atlas) and the volumes in base64, each a few ten kB ([`voxplain_volume::compact`]). Scenes that would
//! make the page larger than [`MAX_PAGE_BYTES`] go to files beside it, which the page loads when they are chosen. From a
//! server every scene is such a file, made when it is asked for.

mod carried;
mod folder;
mod index;
mod labels;
mod opening;
mod request;
mod scenes;
mod tested;

pub(super) use carried::{MAX_PAGE_BYTES, NOTICES, Viewer};
pub(super) use folder::of_folder;
pub(super) use labels::Atlases;
pub(super) use opening::Opening;
pub(super) use request::{map_name, on_request, scene_name, scene_script};
pub(super) use scenes::Scenes;
pub(super) use tested::TestedMaps;
