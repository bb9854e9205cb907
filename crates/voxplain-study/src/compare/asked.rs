//! How a comparison was asked for: as it is kept, and as settings of the step that asks for it again.

use super::{
    BlockKind, CompareOptions, LABEL_TERM, RegionMeasure, Tail,
    design_files::is_file,
    formula::{Formula, MASK_VOLUME},
};
use crate::setting::{
    BLOCKS, CLUSTER, CONTRASTS, DESIGN, F_TESTS, KEEP_GOING, MASK, METHOD, MISSING, NEIGHBOURS, PAIRED, PARETO_TAIL,
    PERMUTATIONS, REGIONS, ROBUST, SCALE, SEED, SMOOTH, TAIL, TEST, TFCE, WITHIN,
};
use std::path::{Path, PathBuf};
use voxplain_attribution::setting::{ATLAS, LABELS};
use voxplain_core::{Result, Setting};

/// A path that does not hang on the working directory, where the file is there.
fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl CompareOptions {
    /// As they are kept with the result: files by their whole paths, and without what changes no result.
    pub(super) fn recorded(&self) -> Self {
        let design = Path::new(&self.design);
        let path = |path: &PathBuf| whole(path);
        Self {
            design: if design.is_file() { whole(design).display().to_string() } else { self.design.clone() },
            contrasts: self.contrasts.as_ref().map(path),
            f_tests: self.f_tests.as_ref().map(path),
            mask: self.mask.as_ref().map(path),
            atlas: self.atlas.as_ref().map(|(image, labels)| (whole(image), whole(labels))),
            force: false,
            memory: Self::default().memory,
            ..self.clone()
        }
    }

    /// The file of the design, where it is in one and not in words.
    pub fn design_file(&self) -> Option<&Path> {
        is_file(&self.design).then(|| Path::new(&self.design))
    }

    /// The columns of the table of people that it needs, each with the setting that names it; of a design in a file none.
    ///
    /// # Errors
    /// Those of [`Formula::parse`].
    pub fn columns(&self) -> Result<Vec<(Setting, String)>> {
        let terms = if self.design_file().is_some() { Vec::new() } else { Formula::parse(&self.design)?.terms };
        // The volume of masks is of the cohort itself, and the label of a run goes by that name whatever its column is called.
        let is_of_table = |column: &String| !MASK_VOLUME.contains(&column.as_str()) && column != LABEL_TERM;
        let of_table = terms.into_iter().map(|term| term.column).filter(is_of_table);
        let named = [(PAIRED, &self.paired), (BLOCKS, &self.blocks)];
        let named = named.into_iter().filter_map(|(setting, column)| Some((setting, column.clone()?)));
        Ok(of_table.map(|column| (DESIGN, column)).chain(named).collect())
    }

    /// The design, and every option that is not as it is by default, as settings of the step `compare`; without where results go.
    pub fn settings(&self) -> Vec<(Setting, Option<String>)> {
        let default = Self::default();
        // Named one by one, so that no option is forgotten.
        let Self {
            design,
            contrasts,
            f_tests,
            paired,
            test,
            method,
            scale,
            missing,
            keep_going,
            mask,
            smooth,
            blocks,
            block_kind,
            tail,
            permutations,
            pareto_tail,
            seed,
            robust,
            neighbours,
            tfce,
            cluster,
            atlas,
            regions,
            out: _,
            force: _,
            memory: _,
        } = self;
        let unless = |same: bool, value: String| (!same).then_some(value);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let (image, labels) = atlas.clone().unzip();
        let given = [
            (METHOD, method.clone()),
            (DESIGN, Some(design.clone())),
            (CONTRASTS, path(contrasts)),
            (F_TESTS, path(f_tests)),
            (PAIRED, paired.clone()),
            (TEST, test.clone()),
            (SCALE, unless(*scale == default.scale, scale.word().to_owned())),
            (MISSING, unless(missing.is_empty(), missing.join(","))),
            (MASK, path(mask)),
            (SMOOTH, unless(*smooth == default.smooth, smooth.to_string())),
            (BLOCKS, blocks.clone()),
            (WITHIN, unless(*block_kind == default.block_kind, block_kind.word().to_owned())),
            (TAIL, unless(*tail == default.tail, tail.word().to_owned())),
            (PERMUTATIONS, unless(*permutations == default.permutations, permutations.to_string())),
            (SEED, unless(*seed == default.seed, seed.to_string())),
            (NEIGHBOURS, unless(*neighbours == default.neighbours, neighbours.count().to_string())),
            (TFCE, unless(*tfce == default.tfce, format!("{},{}", tfce.extent, tfce.height))),
            (CLUSTER, cluster.map(|size| size.to_string())),
            (REGIONS, regions.map(|measure| measure.setting().to_owned())),
            (ATLAS, path(&image)),
            (LABELS, path(&labels)),
        ];
        let given = given.into_iter().filter_map(|(setting, value)| Some((setting, Some(value?))));
        let switches = [(PARETO_TAIL, *pareto_tail), (ROBUST, *robust), (KEEP_GOING, *keep_going)];
        given.chain(switches.into_iter().filter(|(_, on)| *on).map(|(setting, _)| (setting, None))).collect()
    }
}

impl Tail {
    /// As the setting has it.
    const fn word(self) -> &'static str {
        match self {
            Self::Two => "two",
            Self::Greater => "greater",
            Self::Less => "less",
        }
    }
}

impl BlockKind {
    /// As the setting has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Whole => "whole",
        }
    }
}

impl RegionMeasure {
    /// As the setting has it.
    const fn setting(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Absolute => "absolute",
            Self::Asymmetry => "asymmetry",
        }
    }
}
