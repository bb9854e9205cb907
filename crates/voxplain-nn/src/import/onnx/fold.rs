//! Operators on constants: what exporters write to compute shapes and paddings, computed.

use super::array::{Array, Data, axis, broadcast, positions, strides};
use super::proto::{Attribute, Node};
use std::rc::Rc;

/// Most values that one constant is computed to from fewer (a fill, a repetition).
const MAX_FILLED: usize = 1 << 20;

/// What folding may compute altogether, so that a small file cannot ask for all memory or time.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// For a file whose constants hold so many values.
    pub(super) const fn for_file(values: usize) -> Self {
        Self(values.saturating_mul(8).saturating_add(1 << 24))
    }

    fn spend(&mut self, values: usize) -> Result<(), String> {
        self.0 = self.0.checked_sub(values).ok_or("its constants are computed to more values than a network holds")?;
        Ok(())
    }
}

/// The operators that are computed where all that they take is known.
pub(super) const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceProd",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Round",
    "Shape",
    "Sign",
    "Size",
    "Slice",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// The one output of an operator whose inputs are all known; nothing where it is none of [`OPERATORS`].
pub(super) fn fold(
    node: &Node,
    inputs: &[Option<Rc<Array>>],
    opset: i64,
    budget: &mut Budget,
) -> Result<Option<Rc<Array>>, String> {
    let input = |n: usize| -> Result<&Array, String> {
        inputs.get(n).and_then(Option::as_deref).ok_or_else(|| format!("its input {n} is missing"))
    };
    let same = || -> Result<Rc<Array>, String> {
        inputs.first().cloned().flatten().ok_or_else(|| "its input is missing".to_owned())
    };
    // Axes are an attribute in older versions and an input in newer ones.
    let axes = |since: i64| -> Result<Option<Vec<i64>>, String> {
        if opset < since {
            return Ok(node.ints("axes")?.map(<[i64]>::to_vec));
        }
        inputs.get(1).and_then(Option::as_deref).map(|array| array.whole().map(<[i64]>::to_vec)).transpose()
    };
    let array = match node.operator.as_str() {
        "Constant" => constant(node)?,
        "Identity" => return Ok(Some(same()?)),
        "Shape" => shape_of(node, &input(0)?.shape)?,
        "Size" => Array::ints(Vec::new(), vec![whole(input(0)?.len())?]),
        "Cast" | "CastLike" => cast(node, input(0)?, inputs.get(1).and_then(Option::as_deref))?,
        "Concat" => {
            let parts: Vec<&Array> = (0..inputs.len()).map(input).collect::<Result<_, _>>()?;
            budget.spend(parts.iter().map(|part| part.len()).sum())?;
            concat(&parts, node.int("axis", 0)?)?
        }
        "ConstantOfShape" => {
            let shape = lengths(input(0)?.whole()?)?;
            let count = filled(&shape)?;
            match node.attributes.get("value") {
                None => Array::floats(shape, vec![0.0; count]),
                Some(Attribute::Tensor(value)) if value.len() == 1 => {
                    value.gather(shape, std::iter::repeat_n(0, count))
                }
                Some(_) => return Err("value is no tensor of one value".into()),
            }
        }
        "Expand" => {
            let array = input(0)?;
            let shape = broadcast(&[&array.shape, &lengths(input(1)?.whole()?)?])?;
            stretch(array, &shape)?
        }
        "Flatten" => {
            let array = input(0)?;
            let at = flatten_axis(node, array.shape.len())?;
            let shape = vec![array.shape[..at].iter().product(), array.shape[at..].iter().product()];
            Array { shape, ..array.clone() }
        }
        "Gather" => gather(node, input(0)?, input(1)?, budget)?,
        "Range" => range(input(0)?, input(1)?, input(2)?)?,
        "Reshape" => {
            let array = input(0)?;
            let shape = reshaped(&array.shape, input(1)?.whole()?, node.int("allowzero", 0)? != 0)?;
            budget.spend(array.len())?;
            Array { shape, ..array.clone() }
        }
        "Slice" => slice(inputs, budget)?,
        "Squeeze" => {
            let array = input(0)?;
            let shape = squeezed(&array.shape, axes(13)?.as_deref())?;
            budget.spend(array.len())?;
            Array { shape, ..array.clone() }
        }
        "Unsqueeze" => {
            let array = input(0)?;
            let axes = axes(13)?.ok_or("its axes are missing")?;
            budget.spend(array.len())?;
            Array { shape: unsqueezed(&array.shape, &axes)?, ..array.clone() }
        }
        "Tile" => tile(input(0)?, input(1)?.whole()?)?,
        "Transpose" => {
            let array = input(0)?;
            budget.spend(array.len())?;
            transpose(array, &permutation(node, array.shape.len())?)
        }
        "ReduceProd" | "ReduceSum" => {
            reduce(node, input(0)?, axes(if node.operator == "ReduceSum" { 13 } else { 18 })?)?
        }
        _ => {
            let known: Vec<&Array> = (0..inputs.len()).map(input).collect::<Result<_, _>>()?;
            match elementwise(node, &known, budget)? {
                Some(array) => array,
                None => return Ok(None),
            }
        }
    };
    budget.spend(1)?;
    Ok(Some(Rc::new(array)))
}

fn whole(value: usize) -> Result<i64, String> {
    i64::try_from(value).map_err(|error| error.to_string())
}

/// Lengths that a file gives.
pub(super) fn lengths(values: &[i64]) -> Result<Vec<usize>, String> {
    let lengths = values.iter().map(|&length| usize::try_from(length)).collect::<Result<_, _>>();
    lengths.map_err(|_| format!("found the shape {values:?}, expected no negative length"))
}

/// The number of values of a shape that is filled from fewer values.
fn filled(shape: &[usize]) -> Result<usize, String> {
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    count
        .filter(|&count| count <= MAX_FILLED)
        .ok_or_else(|| format!("it fills a constant of shape {shape:?}, expected at most {MAX_FILLED} values"))
}

fn constant(node: &Node) -> Result<Array, String> {
    for (name, attribute) in &node.attributes {
        return Ok(match (name.as_str(), attribute) {
            ("value", Attribute::Tensor(array)) => array.as_ref().clone(),
            ("value_float", Attribute::Float(value)) => Array::floats(Vec::new(), vec![*value]),
            ("value_int", Attribute::Int(value)) => Array::ints(Vec::new(), vec![*value]),
            ("value_floats", Attribute::Floats(values)) => Array::floats(vec![values.len()], values.clone()),
            ("value_ints", Attribute::Ints(values)) => Array::ints(vec![values.len()], values.clone()),
            _ => continue,
        });
    }
    Err("it holds no numbers".into())
}

/// A shape as the operator `Shape` gives it, from its axis `start` to its axis `end`.
pub(super) fn shape_of(node: &Node, shape: &[usize]) -> Result<Array, String> {
    let rank = whole(shape.len())?;
    let bound =
        |of: i64| usize::try_from((if of < 0 { of.saturating_add(rank) } else { of }).clamp(0, rank)).unwrap_or(0);
    let (start, end) = (bound(node.int("start", 0)?), bound(node.int("end", rank)?));
    let lengths =
        shape.get(start..end).unwrap_or_default().iter().map(|&length| whole(length)).collect::<Result<Vec<_>, _>>()?;
    Ok(Array::ints(vec![lengths.len()], lengths))
}

#[expect(clippy::cast_precision_loss, reason = "sizes and indices are small beside 2^24")]
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is cast to whole numbers loses what is behind the point, as in ONNX"
)]
fn cast(node: &Node, array: &Array, like: Option<&Array>) -> Result<Array, String> {
    let floating = match like {
        Some(like) if node.operator == "CastLike" => matches!(like.data, Data::Float(_)),
        _ => matches!(node.int("to", 0)?, 1 | 10 | 11 | 16),
    };
    let truth = node.int("to", 0)? == 9;
    let data = match &array.data {
        Data::Int(values) if floating => Data::Float(values.iter().map(|&value| value as f32).collect()),
        Data::Float(values) if truth => Data::Int(values.iter().map(|&value| i64::from(value != 0.0)).collect()),
        Data::Int(values) if truth => Data::Int(values.iter().map(|&value| i64::from(value != 0)).collect()),
        Data::Float(values) if !floating => Data::Int(values.iter().map(|&value| value as i64).collect()),
        data => data.clone(),
    };
    Ok(Array { shape: array.shape.clone(), data })
}

fn concat(parts: &[&Array], along: i64) -> Result<Array, String> {
    let first = parts.first().ok_or("it joins nothing")?;
    let rank = first.shape.len();
    let at = axis(along, rank)?;
    let fits = |part: &&Array| {
        part.shape.len() == rank && (0..rank).all(|axis| axis == at || part.shape[axis] == first.shape[axis])
    };
    if !parts.iter().all(fits) {
        let shapes: Vec<_> = parts.iter().map(|part| &part.shape).collect();
        return Err(format!("it joins constants of shapes {shapes:?}, which do not fit each other"));
    }
    let outer: usize = first.shape[..at].iter().product();
    let mut shape = first.shape.clone();
    shape[at] = parts.iter().map(|part| part.shape[at]).sum();
    let of_part = |part: &Array| part.shape[at..].iter().product::<usize>();
    let data = if parts.iter().all(|part| matches!(part.data, Data::Int(_))) {
        let mut data = Vec::new();
        for row in 0..outer {
            for part in parts {
                let length = of_part(part);
                data.extend_from_slice(&part.whole()?[row * length..][..length]);
            }
        }
        Data::Int(data)
    } else {
        let mut data = Vec::new();
        for row in 0..outer {
            for part in parts {
                let length = of_part(part);
                data.extend_from_slice(&part.real()?[row * length..][..length]);
            }
        }
        Data::Float(data)
    };
    Ok(Array { shape, data })
}

/// An array stretched to a shape that it fits.
fn stretch(array: &Array, shape: &[usize]) -> Result<Array, String> {
    let count = if shape == array.shape { array.len() } else { filled(shape)? };
    let own = strides(&array.shape);
    let mut places = Vec::with_capacity(count);
    positions(shape, |position| places.push(place(position, &array.shape, &own)));
    Ok(array.gather(shape.to_vec(), places.into_iter()))
}

/// Where the value is that an array has at a position of the shape that it is stretched to.
fn place(position: &[usize], shape: &[usize], strides: &[usize]) -> usize {
    let skipped = position.len() - shape.len();
    (0..shape.len()).map(|axis| if shape[axis] == 1 { 0 } else { position[axis + skipped] * strides[axis] }).sum()
}

/// The first axis that `Flatten` joins with those behind it.
pub(super) fn flatten_axis(node: &Node, rank: usize) -> Result<usize, String> {
    let at = node.int("axis", 1)?;
    if whole(rank)? == at { Ok(rank) } else { axis(at, rank) }
}

fn gather(node: &Node, array: &Array, indices: &Array, budget: &mut Budget) -> Result<Array, String> {
    let at = axis(node.int("axis", 0)?, array.shape.len())?;
    let length = array.shape[at];
    let indices_whole = indices.whole()?.iter().map(|&index| axis(index, length)).collect::<Result<Vec<_>, _>>()?;
    let outer: usize = array.shape[..at].iter().product();
    let inner: usize = array.shape[at + 1..].iter().product();
    let count = outer.checked_mul(inner).and_then(|count| count.checked_mul(indices_whole.len()));
    budget.spend(count.ok_or("it gathers more than fits")?)?;
    let shape = [&array.shape[..at], &indices.shape, &array.shape[at + 1..]].concat();
    let places = (0..outer).flat_map(|outer| {
        indices_whole
            .iter()
            .flat_map(move |index| (0..inner).map(move |inner_at| (outer * length + index) * inner + inner_at))
    });
    Ok(array.gather(shape, places))
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of a range are single precision")]
fn range(start: &Array, limit: &Array, step: &Array) -> Result<Array, String> {
    let single = |array: &Array| array.single().ok_or("found a range from more than one value");
    let (from, to, by) = (single(start)?, single(limit)?, single(step)?);
    let steps = ((to - from) / by).ceil();
    if by == 0.0 || !steps.is_finite() || steps > MAX_FILLED as f64 {
        return Err(format!("found a range from {from} to {to} by {by}, expected at most {MAX_FILLED} values"));
    }
    let values = (0..MAX_FILLED).map(|n| from + n as f64 * by).take_while(|value| (value - to) * by.signum() < 0.0);
    Ok(match start.data {
        Data::Int(_) => {
            let values: Vec<i64> = values.map(|value| value as i64).collect();
            Array::ints(vec![values.len()], values)
        }
        Data::Float(_) => {
            let values: Vec<f32> = values.map(|value| value as f32).collect();
            Array::floats(vec![values.len()], values)
        }
    })
}

/// The shape that `Reshape` asks for: 0 is the length that the axis has, -1 what is left.
pub(super) fn reshaped(shape: &[usize], wanted: &[i64], zeros_count: bool) -> Result<Vec<usize>, String> {
    let refuse = || format!("found shape {shape:?}, which cannot be brought to {wanted:?}");
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length)).ok_or_else(refuse)?;
    let mut new = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, &length) in wanted.iter().enumerate() {
        new.push(match length {
            0 if !zeros_count => *shape.get(at).ok_or_else(refuse)?,
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            length => usize::try_from(length).map_err(|_| refuse())?,
        });
    }
    let known = new.iter().try_fold(1usize, |product, &length| product.checked_mul(length)).ok_or_else(refuse)?;
    if let Some(at) = open {
        if known == 0 || !count.is_multiple_of(known) {
            return Err(refuse());
        }
        new[at] = count / known;
    } else if known != count {
        return Err(refuse());
    }
    Ok(new)
}

/// A shape without those axes of length one that are named, or without all of them.
pub(super) fn squeezed(shape: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let drop: Vec<bool> = match axes {
        None => shape.iter().map(|&length| length == 1).collect(),
        Some(axes) => {
            let mut drop = vec![false; shape.len()];
            for &of in axes {
                drop[axis(of, shape.len())?] = true;
            }
            drop
        }
    };
    if let Some(at) = (0..shape.len()).find(|&at| drop[at] && shape[at] != 1) {
        return Err(format!("found axis {at} of length {}, expected 1 to leave it out", shape[at]));
    }
    Ok((0..shape.len()).filter(|&at| !drop[at]).map(|at| shape[at]).collect())
}

/// A shape with axes of length one put in.
pub(super) fn unsqueezed(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = shape.len() + axes.len();
    let mut new = vec![None; rank];
    for &of in axes {
        let at = axis(of, rank)?;
        if new[at].replace(1).is_some() {
            return Err(format!("found axes {axes:?}, expected each once"));
        }
    }
    let mut own = shape.iter();
    Ok(new.into_iter().map(|length| length.unwrap_or_else(|| own.next().copied().unwrap_or(1))).collect())
}

/// The order of axes of `Transpose`; reversed where it is not given.
pub(super) fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, String> {
    let Some(order) = node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let order = order.iter().map(|&of| axis(of, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(format!("found the order {order:?} of axes, expected each of {rank} once"));
    }
    Ok(order)
}

pub(super) fn transpose(array: &Array, order: &[usize]) -> Array {
    let own = strides(&array.shape);
    let shape: Vec<usize> = order.iter().map(|&axis| array.shape[axis]).collect();
    let mut places = Vec::with_capacity(array.len());
    positions(&shape, |position| places.push(position.iter().zip(order).map(|(at, &axis)| at * own[axis]).sum()));
    array.gather(shape, places.into_iter())
}

fn slice(inputs: &[Option<Rc<Array>>], budget: &mut Budget) -> Result<Array, String> {
    let array = inputs.first().and_then(Option::as_deref).ok_or("its input is missing")?;
    let list = |n: usize| inputs.get(n).and_then(Option::as_deref).map(Array::whole).transpose();
    let (starts, ends) = (list(1)?.ok_or("its starts are missing")?, list(2)?.ok_or("its ends are missing")?);
    let all: Vec<i64> = (0..starts.len()).map(whole).collect::<Result<_, _>>()?;
    let (axes, steps) = (list(3)?.unwrap_or(&all), list(4)?);
    if ends.len() != starts.len()
        || axes.len() != starts.len()
        || steps.is_some_and(|steps| steps.len() != starts.len())
    {
        return Err("its starts, ends, axes and steps are not as many".into());
    }
    let mut taken: Vec<Vec<usize>> = array.shape.iter().map(|&length| (0..length).collect()).collect();
    for (n, &of) in axes.iter().enumerate() {
        let at = axis(of, array.shape.len())?;
        taken[at] = range_of(array.shape[at], starts[n], ends[n], steps.map_or(1, |steps| steps[n]))?;
    }
    let shape: Vec<usize> = taken.iter().map(Vec::len).collect();
    budget.spend(shape.iter().product())?;
    let own = strides(&array.shape);
    let mut places = Vec::new();
    positions(&shape, |position| {
        places.push(position.iter().enumerate().map(|(axis, &at)| taken[axis][at] * own[axis]).sum());
    });
    Ok(array.gather(shape, places.into_iter()))
}

/// The indices of an axis from one to another by steps, counted from the end where negative.
fn range_of(length: usize, start: i64, end: i64, step: i64) -> Result<Vec<usize>, String> {
    let n = whole(length)?;
    let bound = |of: i64, low: i64, high: i64| (if of < 0 { of.saturating_add(n) } else { of }).clamp(low, high);
    let (mut at, end) = match step {
        0 => return Err("found steps of 0".into()),
        1.. => (bound(start, 0, n), bound(end, 0, n)),
        _ => (bound(start, -1, n - 1), bound(end, -1, n - 1)),
    };
    let mut taken = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        taken.push(usize::try_from(at).map_err(|error| error.to_string())?);
        at = at.saturating_add(step);
    }
    Ok(taken)
}

fn tile(array: &Array, repeats: &[i64]) -> Result<Array, String> {
    let repeats = lengths(repeats)?;
    if repeats.len() != array.shape.len() {
        return Err(format!("found {} repeats for {} axes", repeats.len(), array.shape.len()));
    }
    let times = |(length, repeat): (&usize, &usize)| length.checked_mul(*repeat).ok_or("it repeats more than fits");
    let shape: Vec<usize> = array.shape.iter().zip(&repeats).map(times).collect::<Result<_, _>>()?;
    filled(&shape)?;
    let own = strides(&array.shape);
    let mut places = Vec::new();
    positions(&shape, |position| {
        places.push(position.iter().enumerate().map(|(axis, at)| at % array.shape[axis] * own[axis]).sum());
    });
    Ok(array.gather(shape, places.into_iter()))
}

/// Sums and products over axes, of whole numbers or others.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers come back as such, others are single precision")]
fn reduce(node: &Node, array: &Array, axes: Option<Vec<i64>>) -> Result<Array, String> {
    let rank = array.shape.len();
    let mut over = vec![axes.as_ref().is_none_or(Vec::is_empty); rank];
    for of in axes.into_iter().flatten() {
        over[axis(of, rank)?] = true;
    }
    let kept: Vec<usize> = (0..rank).map(|at| if over[at] { 1 } else { array.shape[at] }).collect();
    let product = node.operator == "ReduceProd";
    let mut values = vec![if product { 1.0 } else { 0.0 }; kept.iter().product()];
    let (own, of_kept) = (strides(&array.shape), strides(&kept));
    positions(&array.shape, |position| {
        let value = array.at(position.iter().zip(&own).map(|(at, stride)| at * stride).sum());
        let into = &mut values[place(position, &kept, &of_kept)];
        *into = if product { *into * value } else { *into + value };
    });
    let keep = node.int("keepdims", 1)? != 0;
    let shape = (0..rank).filter(|&at| keep || !over[at]).map(|at| kept[at]).collect();
    Ok(match array.data {
        Data::Int(_) => Array::ints(shape, values.into_iter().map(|value| value as i64).collect()),
        Data::Float(_) => Array::floats(shape, values.into_iter().map(|value| value as f32).collect()),
    })
}

/// Operators that work value by value, on arrays that are stretched to one shape.
#[expect(clippy::cast_possible_truncation, reason = "numbers are single precision, as the file has them")]
fn elementwise(node: &Node, inputs: &[&Array], budget: &mut Budget) -> Result<Option<Array>, String> {
    let shapes: Vec<&[usize]> = inputs.iter().map(|array| array.shape.as_slice()).collect();
    let shape = broadcast(&shapes)?;
    let largest = inputs.iter().map(|array| array.len()).max().unwrap_or(0);
    let count = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let count = count.filter(|&count| count <= largest.max(MAX_FILLED)).ok_or("it stretches constants too far")?;
    budget.spend(count)?;
    let operator = node.operator.as_str();
    // Whole numbers stay whole, to the last digit.
    let ints: Option<Vec<&[i64]>> = inputs.iter().map(|array| array.whole().ok()).collect();
    let own: Vec<Vec<usize>> = inputs.iter().map(|array| strides(&array.shape)).collect();
    let mut wrong = None;
    let (mut whole, mut real) = (Vec::new(), Vec::new());
    let compares =
        matches!(operator, "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Not");
    let takes_whole = ints.is_some() && !matches!(operator, "Sqrt" | "Exp" | "Log" | "Reciprocal" | "Pow");
    positions(&shape, |position| {
        let places = inputs.iter().zip(&own).map(|(array, strides)| place(position, &array.shape, strides));
        if let (Some(ints), true) = (&ints, takes_whole) {
            let values: Vec<i64> = ints.iter().zip(places).map(|(values, place)| values[place]).collect();
            match whole_function(operator, &values) {
                Some(value) => whole.push(value),
                None => wrong = Some(()),
            }
        } else {
            let values: Vec<f64> = inputs.iter().zip(places).map(|(array, place)| array.at(place)).collect();
            match function(node, &values) {
                Some(value) if compares => whole.push(i64::from(value != 0.0)),
                Some(value) => real.push(value),
                None => wrong = Some(()),
            }
        }
    });
    if wrong.is_some() {
        return Ok(None);
    }
    // A choice between whole numbers is whole.
    let chosen_whole = operator == "Where" && inputs[1..].iter().all(|array| array.whole().is_ok());
    let power_whole = operator == "Pow" && ints.is_some();
    Ok(Some(if compares || takes_whole {
        Array::ints(shape, whole)
    } else if chosen_whole || power_whole {
        Array::ints(shape, real.into_iter().map(|value| value as i64).collect())
    } else {
        Array::floats(shape, real.into_iter().map(|value| value as f32).collect())
    }))
}

/// A function of whole numbers; nothing where it is not one, or does not fit.
fn whole_function(operator: &str, values: &[i64]) -> Option<i64> {
    Some(match (operator, values) {
        ("Add", &[a, b]) => a.checked_add(b)?,
        ("Sub", &[a, b]) => a.checked_sub(b)?,
        ("Mul", &[a, b]) => a.checked_mul(b)?,
        // As in C, towards zero.
        ("Div", &[a, b]) => a.checked_div(b)?,
        // With the sign of the divisor, as in Python.
        ("Mod", &[a, b]) => {
            let rest = a.checked_rem(b)?;
            if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
        }
        ("Max", values) => *values.iter().max()?,
        ("Min", values) => *values.iter().min()?,
        ("Neg", &[a]) => a.checked_neg()?,
        ("Abs", &[a]) => a.checked_abs()?,
        ("Sign", &[a]) => a.signum(),
        ("Floor" | "Ceil" | "Round", &[a]) => a,
        ("Relu", &[a]) => a.max(0),
        ("Clip", &[a, low, high]) => a.max(low).min(high),
        ("Where", &[which, a, b]) => {
            if which != 0 {
                a
            } else {
                b
            }
        }
        ("Equal", &[a, b]) => i64::from(a == b),
        ("Greater", &[a, b]) => i64::from(a > b),
        ("GreaterOrEqual", &[a, b]) => i64::from(a >= b),
        ("Less", &[a, b]) => i64::from(a < b),
        ("LessOrEqual", &[a, b]) => i64::from(a <= b),
        ("And", &[a, b]) => i64::from(a != 0 && b != 0),
        ("Or", &[a, b]) => i64::from(a != 0 || b != 0),
        ("Not", &[a]) => i64::from(a == 0),
        _ => return None,
    })
}

/// A function of numbers, value by value: what constants are computed by, and what functions of an activation are
/// recognised by. Nothing where the operator is none.
pub(super) fn function(node: &Node, values: &[f64]) -> Option<f64> {
    let number = |name: &str, default: f32| node.float(name, default).ok().map(f64::from);
    let truth = |yes: bool| f64::from(u8::from(yes));
    Some(match (node.operator.as_str(), values) {
        ("Add", &[a, b]) => a + b,
        ("Sub", &[a, b]) => a - b,
        ("Mul", &[a, b]) => a * b,
        ("Div", &[a, b]) => a / b,
        ("Pow", &[a, b]) => a.powf(b),
        ("Mod", &[a, b]) => a % b,
        ("Max", values) => values.iter().copied().reduce(f64::max)?,
        ("Min", values) => values.iter().copied().reduce(f64::min)?,
        ("Neg", &[a]) => -a,
        ("Abs", &[a]) => a.abs(),
        ("Sign", &[a]) => {
            if a == 0.0 {
                0.0
            } else {
                a.signum()
            }
        }
        ("Floor", &[a]) => a.floor(),
        ("Ceil", &[a]) => a.ceil(),
        ("Round", &[a]) => a.round_ties_even(),
        ("Sqrt", &[a]) => a.sqrt(),
        ("Exp", &[a]) => a.exp(),
        ("Log", &[a]) => a.ln(),
        ("Reciprocal", &[a]) => 1.0 / a,
        ("Erf", &[a]) => libm::erf(a),
        ("Tanh", &[a]) => a.tanh(),
        ("Sigmoid", &[a]) => 1.0 / (1.0 + (-a).exp()),
        ("Softplus", &[a]) => a.max(0.0) + (-a.abs()).exp().ln_1p(),
        ("Softsign", &[a]) => a / (1.0 + a.abs()),
        ("Mish", &[a]) => a * (a.max(0.0) + (-a.abs()).exp().ln_1p()).tanh(),
        ("HardSigmoid", &[a]) => (number("alpha", 0.2)? * a + number("beta", 0.5)?).clamp(0.0, 1.0),
        ("HardSwish", &[a]) => a * (a / 6.0 + 0.5).clamp(0.0, 1.0),
        ("Elu", &[a]) => {
            if a > 0.0 {
                a
            } else {
                number("alpha", 1.0)? * a.exp_m1()
            }
        }
        ("Celu", &[a]) => {
            let alpha = number("alpha", 1.0)?;
            a.max(0.0) + (alpha * (a / alpha).exp_m1()).min(0.0)
        }
        ("Selu", &[a]) => {
            let (alpha, gamma) = (number("alpha", 1.673_263_2)?, number("gamma", 1.050_701)?);
            gamma * if a > 0.0 { a } else { alpha * a.exp_m1() }
        }
        ("Swish", &[a]) => a / (1.0 + (-number("alpha", 1.0)? * a).exp()),
        ("Gelu", &[a]) if node.text("approximate", "none").ok()? == "tanh" => {
            0.5 * a
                * (1.0
                    + (std::f64::consts::FRAC_2_SQRT_PI
                        * std::f64::consts::FRAC_1_SQRT_2
                        * (a + 0.044_715 * a.powi(3)))
                    .tanh())
        }
        ("Gelu", &[a]) => 0.5 * a * libm::erfc(-a * std::f64::consts::FRAC_1_SQRT_2),
        ("Relu", &[a]) => a.max(0.0),
        ("LeakyRelu", &[a]) => {
            if a > 0.0 {
                a
            } else {
                number("alpha", 0.01)? * a
            }
        }
        ("ThresholdedRelu", &[a]) => {
            if a > number("alpha", 1.0)? {
                a
            } else {
                0.0
            }
        }
        ("PRelu", &[a, slope]) => {
            if a > 0.0 {
                a
            } else {
                slope * a
            }
        }
        ("Clip", &[a]) => a,
        ("Clip", &[a, low]) => a.max(low),
        ("Clip", &[a, low, high]) => a.max(low).min(high),
        ("Where", &[which, a, b]) => {
            if which != 0.0 {
                a
            } else {
                b
            }
        }
        ("Equal", &[a, b]) => truth(a == b),
        ("Greater", &[a, b]) => truth(a > b),
        ("GreaterOrEqual", &[a, b]) => truth(a >= b),
        ("Less", &[a, b]) => truth(a < b),
        ("LessOrEqual", &[a, b]) => truth(a <= b),
        ("And", &[a, b]) => truth(a != 0.0 && b != 0.0),
        ("Or", &[a, b]) => truth(a != 0.0 || b != 0.0),
        ("Not", &[a]) => truth(a == 0.0),
        _ => return None,
    })
}
