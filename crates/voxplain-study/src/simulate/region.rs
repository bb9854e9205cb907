//! The labelled regions of the simulated anatomy.

/// A labelled region. Its index in the atlas is its position in [`all`] plus 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// `left-hippocampus`, `brain-stem`, ...
    pub name: String,
    /// `left`, `right` or `both` (it lies on the midline).
    pub hemisphere: &'static str,
}

/// Regions that come in pairs, in the order of their indices (left, then right).
pub(super) const PAIRED: [&str; 16] = [
    "frontal-cortex",
    "parietal-cortex",
    "temporal-cortex",
    "occipital-cortex",
    "insula",
    "white-matter",
    "lateral-ventricle",
    "caudate",
    "putamen",
    "pallidum",
    "thalamus",
    "hippocampus",
    "amygdala",
    "cerebellar-cortex",
    "cerebellar-white-matter",
    "ventral-diencephalon",
];

/// Regions on the midline, after the pairs.
pub(super) const SINGLE: [&str; 5] =
    ["corpus-callosum", "brain-stem", "third-ventricle", "fourth-ventricle", "cerebellar-vermis"];

/// Every region of the simulated anatomy; region `n` has index `n + 1` in the atlas.
pub fn all() -> Vec<Region> {
    let pairs = PAIRED
        .iter()
        .flat_map(|name| ["left", "right"].map(|side| Region { name: format!("{side}-{name}"), hemisphere: side }));
    pairs.chain(SINGLE.iter().map(|name| Region { name: (*name).into(), hemisphere: "both" })).collect()
}

/// The atlas index of a pair's left (`right = false`) or right region.
pub(super) const fn paired(pair: usize, right: bool) -> u8 {
    (2 * pair + 1) as u8 + right as u8
}

/// The atlas index of a midline region.
pub(super) const fn single(n: usize) -> u8 {
    (2 * PAIRED.len() + n + 1) as u8
}
