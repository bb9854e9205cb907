//! [`Placed`]: a figure with its place in the page.

use crate::figure::Figure;

/// A figure with its place in the page and its file name.
#[derive(Clone, Debug, serde::Serialize)]
pub(in crate::report) struct Placed {
    /// Of the files in `figures/`.
    pub(in crate::report) stem: String,
    /// The SVG, to stand in the page; escaped by whoever drew it.
    pub(in crate::report) svg: String,
    /// Below it.
    pub(in crate::report) caption: String,
    /// Width on screen, mm: larger than on paper, where 7 pt is read at arm's length.
    width: f64,
    #[serde(skip)]
    pub(in crate::report) figure: Figure,
}

impl Placed {
    pub(in crate::report) fn new(stem: impl Into<String>, figure: Figure, caption: impl Into<String>) -> Self {
        Self { stem: stem.into(), svg: figure.svg.clone(), caption: caption.into(), width: 1.35 * figure.width, figure }
    }

    /// Only the file: the page says where it is.
    pub(in crate::report) fn leave_out(&mut self) {
        self.svg.clear();
        self.caption = format!("Left out to keep the page small: figures/{}.svg and .png", self.stem);
    }
}
