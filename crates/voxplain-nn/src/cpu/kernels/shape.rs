//! Extents of volumes and windows, as kernels see them.

/// Channels in a block.
pub(crate) const LANES: usize = 16;

/// How the values of one sample lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[C][i][j][k]`, as the network is given it.
    Planar,
    /// `[C / 16][i][j][k][16]`, channels padded with blocks' remains.
    Blocked,
    /// `[F]`, followed by zeros up to a multiple of sixteen.
    Flat,
}

/// Values of one sample at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// How they lie.
    pub(crate) layout: Layout,
    /// Channels, or features.
    pub(crate) channels: usize,
    /// Voxels along `(i, j, k)`; ones when flat.
    pub(crate) size: [usize; 3],
}

impl Volume {
    /// Channels in blocks of sixteen.
    pub(crate) fn blocked(channels: usize, size: [usize; 3]) -> Self {
        Self { layout: Layout::Blocked, channels, size }
    }

    /// Channel blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Voxels of a channel.
    pub(crate) fn voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// Floats of a sample, padding included.
    pub(crate) fn len(&self) -> usize {
        match self.layout {
            Layout::Planar => (self.channels * self.voxels()).next_multiple_of(LANES),
            Layout::Blocked | Layout::Flat => self.blocks() * self.voxels() * LANES,
        }
    }

    /// Values of a sample, as the network's users count them.
    pub(crate) fn values(&self) -> usize {
        self.channels * self.voxels()
    }

    /// Channels that lie side by side: 16, or 1 when planar.
    pub(crate) fn unit(&self) -> usize {
        if self.layout == Layout::Planar { 1 } else { LANES }
    }

    /// Channels or blocks of channels, whatever lies apart.
    pub(crate) fn planes(&self) -> usize {
        if self.layout == Layout::Planar { self.channels } else { self.blocks() }
    }

    /// The same with zeros around it.
    pub(crate) fn padded(&self, padding: [usize; 3]) -> Self {
        let mut size = self.size;
        for (s, p) in size.iter_mut().zip(padding) {
            *s += 2 * p;
        }
        Self { size, ..*self }
    }
}

/// A window that slides over a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Size along `(i, j, k)`.
    pub(crate) kernel: [usize; 3],
    /// Step.
    pub(crate) stride: [usize; 3],
    /// Zeros on both sides.
    pub(crate) padding: [usize; 3],
    /// Distance between taps.
    pub(crate) dilation: [usize; 3],
}

impl Window {
    /// Taps of the window.
    pub(crate) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Whether it takes the whole volume in steps of one without gaps between taps.
    pub(crate) fn is_dense(&self) -> bool {
        self.stride == [1; 3] && self.dilation == [1; 3]
    }

    /// The window of the backward pass: over the gradient spread out by the stride and padded.
    pub(crate) fn transposed(&self) -> Self {
        Self { stride: [1; 3], padding: [0; 3], ..*self }
    }
}

/// A convolution's extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conv {
    /// What it reads, before padding.
    pub(crate) input: Volume,
    /// What it writes.
    pub(crate) output: Volume,
    /// How.
    pub(crate) window: Window,
}

impl Conv {
    /// The same over an input that has been padded.
    pub(crate) fn on_padded(&self) -> Self {
        Self {
            input: self.input.padded(self.window.padding),
            window: Window { padding: [0; 3], ..self.window },
            output: self.output,
        }
    }

    /// The convolution of the backward pass, from the gradient of the output, spread out, to the (blocked) input.
    pub(crate) fn backward(&self) -> Self {
        let mut spread = self.input.size;
        for (axis, s) in spread.iter_mut().enumerate() {
            *s += self.window.dilation[axis] * (self.window.kernel[axis] - 1);
        }
        Self {
            input: Volume::blocked(self.output.channels, spread),
            output: Volume::blocked(self.input.channels, self.input.size),
            window: self.window.transposed(),
        }
    }
}
