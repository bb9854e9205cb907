//! [`Array`]: a tensor whose values are known, of any rank.

use crate::Tensor;

/// Values that are known: weights, and what constants are computed to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// Length of each axis; none for a single value.
    pub(super) shape: Vec<usize>,
    /// The values in C order.
    pub(super) data: Data,
}

/// The numbers of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Floating-point numbers of any precision, rounded to single.
    Float(Vec<f32>),
    /// Whole numbers and truth values.
    Int(Vec<i64>),
}

impl Array {
    pub(super) fn floats(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, data: Data::Float(values) }
    }

    pub(super) fn ints(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self { shape, data: Data::Int(values) }
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Float(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }

    /// The values as whole numbers; refused where they are none.
    pub(super) fn whole(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::Int(values) => Ok(values),
            Data::Float(_) => Err("found floating-point numbers, expected whole ones".into()),
        }
    }

    /// The values as floating-point numbers; refused where they are whole.
    pub(super) fn real(&self) -> Result<&[f32], String> {
        match &self.data {
            Data::Float(values) => Ok(values),
            Data::Int(_) => Err("found whole numbers, expected floating-point ones".into()),
        }
    }

    /// The value at a place, whatever it is.
    #[expect(clippy::cast_precision_loss, reason = "sizes and indices are small beside 2^53")]
    pub(super) fn at(&self, place: usize) -> f64 {
        match &self.data {
            Data::Float(values) => f64::from(values[place]),
            Data::Int(values) => values[place] as f64,
        }
    }

    /// The value of an array that holds one.
    pub(super) fn single(&self) -> Option<f64> {
        (self.len() == 1).then(|| self.at(0))
    }

    /// A tensor of floating-point numbers, of another shape with as many values.
    pub(super) fn tensor(&self, shape: &[usize]) -> Result<Tensor, String> {
        let values = self.real()?;
        if shape.iter().product::<usize>() != values.len() {
            return Err(format!("found a constant of shape {:?}, expected {shape:?}", self.shape));
        }
        Ok(Tensor::new(shape, values.to_vec()))
    }

    /// The same values at other places: output `n` is the value at `places[n]`.
    pub(super) fn gather(&self, shape: Vec<usize>, places: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Float(values) => Data::Float(places.map(|place| values[place]).collect()),
            Data::Int(values) => Data::Int(places.map(|place| values[place]).collect()),
        };
        Self { shape, data }
    }
}

/// Calls `visit` with each position of a shape in C order. A shape without axes has one position.
pub(super) fn positions(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut position = vec![0; shape.len()];
    for _ in 0..shape.iter().product() {
        visit(&position);
        for axis in (0..shape.len()).rev() {
            position[axis] += 1;
            if position[axis] < shape[axis] {
                break;
            }
            position[axis] = 0;
        }
    }
}

/// How far apart neighbours along each axis lie in C order.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The shape that shapes are stretched to together, as NumPy does it.
pub(super) fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, String> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    (0..rank)
        .map(|axis| {
            shapes.iter().try_fold(1, |length, shape| match (length, aligned(shape, rank, axis)) {
                (length, 1) => Ok(length),
                (1, other) => Ok(other),
                (length, other) if length == other => Ok(length),
                _ => Err(format!("found shapes {shapes:?}, which do not fit each other")),
            })
        })
        .collect()
}

/// The length of an axis of a shape that is brought to a rank by leading ones.
pub(super) fn aligned(shape: &[usize], rank: usize, axis: usize) -> usize {
    (axis + shape.len()).checked_sub(rank).map_or(1, |own| shape[own])
}

/// Where an axis is that is counted from the end where negative.
pub(super) fn axis(of: i64, rank: usize) -> Result<usize, String> {
    let signed = i64::try_from(rank).ok().filter(|rank| (-rank..*rank).contains(&of));
    let rank = signed.ok_or_else(|| format!("found axis {of}, expected one of {rank}"))?;
    usize::try_from(if of < 0 { of + rank } else { of }).map_err(|error| error.to_string())
}
