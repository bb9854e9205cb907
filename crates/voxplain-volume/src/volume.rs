//! [`Volume`], [`Mask`], [`Labels`]: arrays that know where they are.

use crate::{Error, Grid};

/// Values on a [`Grid`], in C order `[i][j][k]`.
#[derive(Clone, PartialEq)]
pub struct Volume<T = f32> {
    grid: Grid,
    data: Vec<T>,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Volume<T> {
    /// The grid and the first values: a head has millions.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = &self.data[..self.data.len().min(24)];
        f.debug_struct("Volume").field("grid", &self.grid).field("first values", &first).finish_non_exhaustive()
    }
}

/// A mask: `true` at every voxel inside a region (for example the brain), `false` outside.
pub type Mask = Volume<bool>;

/// An integer label at every voxel; 0 is background.
pub type Labels = Volume<u32>;

impl<T> Volume<T> {
    /// Values on a grid; refused when their number is not the grid's.
    pub fn new(grid: Grid, data: Vec<T>) -> Result<Self, Error> {
        if data.len() != grid.len() {
            return Err(Error::Grid(format!("{} values for a grid of shape {:?}", data.len(), grid.shape)));
        }
        Ok(Self { grid, data })
    }

    /// Values whose number is known to be the grid's.
    pub(crate) fn from_parts(grid: Grid, data: Vec<T>) -> Self {
        debug_assert_eq!(data.len(), grid.len());
        Self { grid, data }
    }

    /// A value computed at every voxel `(i, j, k)`.
    pub fn from_fn(grid: Grid, mut f: impl FnMut([usize; 3]) -> T) -> Self {
        let data = (0..grid.len()).map(|n| f(grid.voxel(n))).collect();
        Self { grid, data }
    }

    /// Where the values are.
    pub const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Number of voxels along `(i, j, k)`.
    pub const fn shape(&self) -> [usize; 3] {
        self.grid.shape
    }

    /// The values, `k` fastest.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The values, `k` fastest, to change in place.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The values, without the grid.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// Other values on the same grid, one for one.
    pub fn map<U>(&self, f: impl FnMut(&T) -> U) -> Volume<U> {
        Volume { grid: self.grid, data: self.data.iter().map(f).collect() }
    }
}

impl<T: Copy> Volume<T> {
    /// The same value everywhere.
    pub fn filled(grid: Grid, value: T) -> Self {
        Self { grid, data: vec![value; grid.len()] }
    }

    /// The value at voxel `(i, j, k)`; panics outside the grid, as indexing a slice does.
    pub fn at(&self, i: usize, j: usize, k: usize) -> T {
        self.data[self.grid.index(i, j, k)]
    }
}
