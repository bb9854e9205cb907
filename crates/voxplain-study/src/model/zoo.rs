//! [`NetworkKind`]: the networks that can be trained, by name. A network is a file: a function that returns its graph.

mod conv5_fc3;
mod densenet;
mod mrinet;
mod resnet;
mod sfcn;

pub use conv5_fc3::conv5_fc3;
pub use densenet::densenet;
pub use mrinet::{min_shape, mrinet, whole_shape};
pub use resnet::{ResnetBlock, resnet};
pub use sfcn::sfcn;

use crate::setting::{GRID, MODEL};
use voxplain_core::{Error, Result, remedy};
use voxplain_nn::{Initialisation, Network};

/// What a network takes: so many channels of so many voxels. An array of three lengths is of one channel, `[i, j, k]`; one of four
/// begins with their number, `[channels, i, j, k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// Images of each person.
    pub channels: usize,
    /// Voxels along each axis, `[i, j, k]`.
    pub voxels: [usize; 3],
}

impl From<[usize; 3]> for InputShape {
    fn from(voxels: [usize; 3]) -> Self {
        Self { channels: 1, voxels }
    }
}

impl From<[usize; 4]> for InputShape {
    fn from([channels, i, j, k]: [usize; 4]) -> Self {
        Self { channels, voxels: [i, j, k] }
    }
}

impl InputShape {
    /// A network without a layer that takes it.
    fn network(self) -> Network {
        let [i, j, k] = self.voxels;
        Network::new([self.channels, i, j, k])
    }
}

/// A network that can be trained. Layers have the names of the published code, so that its state dictionaries fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// [`mrinet`].
    Mrinet,
    /// [`sfcn`].
    Sfcn,
    /// [`conv5_fc3`].
    Conv5Fc3,
    /// [`resnet`] of one basic block in each of its four stages.
    Resnet10,
    /// [`resnet`] of two basic blocks in each stage.
    Resnet18,
    /// [`resnet`] of 3, 4, 6 and 3 bottlenecks.
    Resnet50,
    /// [`densenet`] of 6, 12, 24 and 16 layers.
    Densenet121,
}

impl NetworkKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Mrinet, Self::Sfcn, Self::Conv5Fc3, Self::Resnet10, Self::Resnet18, Self::Resnet50, Self::Densenet121];

    /// Its name: `mrinet`, `sfcn`, `conv5-fc3`, `resnet10`, `resnet18`, `resnet50`, `densenet121`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mrinet => "mrinet",
            Self::Sfcn => "sfcn",
            Self::Conv5Fc3 => "conv5-fc3",
            Self::Resnet10 => "resnet10",
            Self::Resnet18 => "resnet18",
            Self::Resnet50 => "resnet50",
            Self::Densenet121 => "densenet121",
        }
    }

    /// The network of a name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::request(
                format!("there is no network {name}"),
                remedy!["give one of these (", MODEL, format!("): {names}")],
            )
        })
    }

    /// Channels of its first convolution where nothing else is asked for: as published, but 8 for `mrinet`, which has 32 in
    /// the paper.
    pub fn width(self) -> usize {
        match self {
            Self::Mrinet | Self::Conv5Fc3 => 8,
            Self::Sfcn => 32,
            Self::Resnet10 | Self::Resnet18 | Self::Resnet50 | Self::Densenet121 => 64,
        }
    }

    /// The graph for volumes of that shape and so many outputs (one per class, or one for a value), with `width` channels in its first convolution and
    /// all others in proportion (of `conv5-fc3` those of convolutions). Weights are not drawn yet.
    ///
    /// # Errors
    /// The volume is too small for it, the width is odd where it must be even, or not from 1 to 256, or there is no output.
    pub fn network(self, shape: impl Into<InputShape>, width: usize, outputs: usize) -> Result<Network> {
        let shape = shape.into();
        if width == 0 || width > 256 {
            return Err(Error::request(format!("a network of width {width}"), "give a width from 1 to 256, such as 8"));
        }
        if outputs == 0 {
            return Err(Error::request(
                "a network without an output",
                "give an output for each class, or one for a value",
            ));
        }
        if self == Self::Densenet121 && width % 2 == 1 {
            return Err(Error::request(
                format!("{} of width {width}", self.name()),
                "give an even width: each of its layers adds half as many channels",
            ));
        }
        if self == Self::Mrinet {
            return mrinet(shape, width, outputs);
        }
        self.built(shape, width, outputs).map_err(|e| {
            let [i, j, k] = shape.voxels;
            let grid = match self.least_side() {
                Some(n) => format!("prepare the cohort on a grid of at least {n} voxels a side ("),
                None => "prepare the cohort on a larger grid (".to_owned(),
            };
            Error::request(
                format!("{} cannot take volumes of {i} x {j} x {k}: {e}", self.name()),
                remedy![grid, GRID, "), or take another network (", MODEL, ")"],
            )
        })
    }

    /// Its layers, one after another. An error is the first that cannot take what reaches it.
    fn built(self, shape: InputShape, width: usize, outputs: usize) -> Result<Network> {
        Ok(match self {
            Self::Mrinet => mrinet(shape, width, outputs)?,
            Self::Sfcn => sfcn(shape, width, outputs)?,
            Self::Conv5Fc3 => conv5_fc3(shape, width, outputs)?,
            Self::Resnet10 => resnet(shape, ResnetBlock::Basic, [1; 4], width, outputs)?,
            Self::Resnet18 => resnet(shape, ResnetBlock::Basic, [2; 4], width, outputs)?,
            Self::Resnet50 => resnet(shape, ResnetBlock::Bottleneck, [3, 4, 6, 3], width, outputs)?,
            Self::Densenet121 => densenet(shape, &[6, 12, 24, 16], width / 2, outputs)?,
        })
    }

    /// Voxels that a cube must have a side, which no width changes; `None` where none of those tried is enough.
    fn least_side(self) -> Option<usize> {
        (1..=128).find(|&n| self.built([n; 3].into(), 2, 2).is_ok())
    }

    /// Draws its weights as the published code does: `mrinet`, `sfcn` and `conv5-fc3` by PyTorch's defaults, the others by He's.
    pub fn initialize(self, network: &mut Network, seed: u64) {
        network.initialize_as(
            match self {
                Self::Mrinet | Self::Sfcn | Self::Conv5Fc3 => Initialisation::PyTorch,
                Self::Resnet10 | Self::Resnet18 | Self::Resnet50 => Initialisation::HeFanOut,
                Self::Densenet121 => Initialisation::HeFanIn,
            },
            seed,
        );
    }
}

#[cfg(test)]
mod tests;
