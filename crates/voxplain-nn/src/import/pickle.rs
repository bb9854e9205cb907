//! The part of Python's pickle format that state dictionaries need.
//!
//! A pickle is a program. This machine can build numbers, text, lists, tuples, dictionaries and tensors, and calls
//! nothing: a pickle that names any other function or class is refused, by that name. Objects live in one list and
//! refer to each other by position, so that no nesting is too deep and no cycle too long to be dropped.

use super::Number;
use std::collections::BTreeMap;

/// Position of an object.
pub(super) type Id = usize;

/// What a pickle may build.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// `None`.
    None,
    /// `True`, `False`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A floating-point number; no checkpoint needs its value.
    Float,
    /// Text.
    Text(String),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, plain or ordered.
    Dict(Vec<(Id, Id)>),
    /// One of the few functions and classes that are known.
    Global(Global),
    /// Numbers kept beside the pickle.
    Storage(Storage),
    /// A view of a storage.
    View(View),
}

/// The functions and classes that a pickle may name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Number),
}

/// Numbers kept beside the pickle.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) number: Number,
    pub(super) count: usize,
}

/// A tensor: a strided view of a storage, in numbers.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Id,
    pub(super) offset: usize,
    pub(super) size: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

impl Global {
    fn find(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch" | "torch.storage", storage) => Self::Storage(match storage {
                "DoubleStorage" => Number::F64,
                "FloatStorage" => Number::F32,
                "HalfStorage" => Number::F16,
                "BFloat16Storage" => Number::Bf16,
                "LongStorage" => Number::I64,
                "IntStorage" => Number::I32,
                "ShortStorage" => Number::I16,
                "CharStorage" => Number::I8,
                "ByteStorage" => Number::U8,
                "BoolStorage" => Number::Bool,
                _ => return Err(refusal(module, name)),
            }),
            _ => return Err(refusal(module, name)),
        })
    }
}

fn refusal(module: &str, name: &str) -> String {
    let clean = |text: &str| text.chars().take(80).flat_map(char::escape_default).collect::<String>();
    format!("the pickle asks for {}.{}; only tensors are read, nothing is run", clean(module), clean(name))
}

/// What a pickle has built.
#[derive(Debug)]
pub(super) struct Built {
    objects: Vec<Object>,
    root: Id,
}

impl Built {
    pub(super) fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    pub(super) fn root(&self) -> &Object {
        &self.objects[self.root]
    }

    /// What a dictionary has under a name.
    pub(super) fn entry(&self, dict: &Object, name: &str) -> Option<&Object> {
        let Object::Dict(entries) = dict else { return None };
        // As in Python, a later entry replaces an earlier one.
        let named = |(key, _): &&(Id, Id)| matches!(self.get(*key), Object::Text(text) if text == name);
        entries.iter().rfind(named).map(|(_, value)| self.get(*value))
    }
}

/// How many objects a pickle may build: a state dictionary takes about twenty for a tensor. A byte can ask for one of fifty bytes.
const MOST_OBJECTS: usize = 1_000_000;

/// Runs the pickle at the start of `bytes`; returns what it built and how many bytes it took.
pub(super) fn run(bytes: &[u8]) -> Result<(Built, usize), String> {
    let mut machine =
        Machine { bytes, at: 0, objects: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new() };
    let root = loop {
        let start = machine.at;
        match machine.step() {
            Ok(None) if machine.objects.len().max(machine.marks.len()) <= MOST_OBJECTS => {}
            Ok(None) => {
                return Err(format!(
                    "more than {MOST_OBJECTS} objects, which no checkpoint of a network has (pickle, byte {start})"
                ));
            }
            Ok(Some(root)) => break root,
            Err(what) => return Err(format!("{what} (pickle, byte {start})")),
        }
    };
    Ok((Built { objects: machine.objects, root }, machine.at))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
}

impl Machine<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let taken = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        self.at = self.at.saturating_add(count);
        taken.ok_or_else(|| "the file ends too early".into())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).map_err(|_| "the file ends too early".into())
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| "a length that is too large".into())
    }

    fn text(&mut self, length: usize) -> Result<String, String> {
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "text that is not UTF-8".into())
    }

    /// Up to the end of the line.
    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("a line without end")?;
        let line = self.text(length)?;
        self.at += 1;
        Ok(line)
    }

    fn push(&mut self, object: Object) {
        self.objects.push(object);
        self.stack.push(self.objects.len() - 1);
    }

    fn pop(&mut self) -> Result<Id, String> {
        // What lies under a mark belongs to another list.
        if self.marks.last().is_some_and(|&mark| self.stack.len() <= mark) {
            return Err("nothing left above a mark".into());
        }
        self.stack.pop().ok_or_else(|| "nothing left on the stack".into())
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("no mark on the stack")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "nothing left on the stack".into())
    }

    fn put(&mut self, place: u32) -> Result<(), String> {
        self.memo.insert(place, self.top()?);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), String> {
        let id = *self.memo.get(&place).ok_or("something that was never stored")?;
        self.stack.push(id);
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        let Object::List(list) = &mut self.objects[list] else { return Err("an append to what is no list".into()) };
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), String> {
        if !items.len().is_multiple_of(2) {
            return Err("a key without a value".into());
        }
        let dict = self.top()?;
        let Object::Dict(dict) = &mut self.objects[dict] else {
            return Err("an entry in what is no dictionary".into());
        };
        dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    /// One instruction; gives the result at the last.
    fn step(&mut self) -> Result<Option<Id>, String> {
        let [code] = self.array()?;
        match code {
            // PROTO
            0x80 => {
                let [protocol] = self.array()?;
                if !(2..=5).contains(&protocol) {
                    return Err(format!("found pickle protocol {protocol}, expected 2 to 5"));
                }
            }
            // FRAME
            0x95 => {
                self.array::<8>()?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Object::None),
            // NEWTRUE, NEWFALSE
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            b'K' => {
                let [value] = self.array()?;
                self.push(Object::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()));
            }
            // LONG1
            0x8a => {
                let [length] = self.array()?;
                let bytes = self.take(length.into())?;
                if bytes.len() > 16 {
                    return Err("a whole number of more than 16 bytes".into());
                }
                let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
                let mut word = [if negative { 0xff } else { 0 }; 16];
                word[..bytes.len()].copy_from_slice(bytes);
                self.push(Object::Int(i128::from_le_bytes(word)));
            }
            b'G' => {
                self.array::<8>()?;
                self.push(Object::Float);
            }
            // BINUNICODE, SHORT_BINUNICODE, and the byte strings of Python 2
            b'X' | b'T' => {
                let length = self.length()?;
                let text = self.text(length)?;
                self.push(Object::Text(text));
            }
            0x8c | b'U' => {
                let [length] = self.array()?;
                let text = self.text(length.into())?;
                self.push(Object::Text(text));
            }
            b')' => self.push(Object::Tuple(Vec::new())),
            b']' => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items));
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            b'q' => {
                let [place] = self.array()?;
                self.put(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.put(place)?;
            }
            // MEMOIZE
            0x94 => {
                let place = u32::try_from(self.memo.len()).map_err(|_| "too many stored things")?;
                self.put(place)?;
            }
            b'h' => {
                let [place] = self.array()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Global(Global::find(&module, &name)?));
            }
            // STACK_GLOBAL
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(module), Object::Text(name)) = (&self.objects[module], &self.objects[name]) else {
                    return Err("a function without a name".into());
                };
                let global = Global::find(module, name)?;
                self.push(Object::Global(global));
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let built = self.call(function, arguments)?;
                self.push(built);
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(storage));
            }
            // BUILD: attributes of a dictionary (PyTorch's `_metadata`) are of no use here.
            b'b' => {
                self.pop()?;
                let of = self.top()?;
                if !matches!(self.objects[of], Object::Dict(_)) {
                    return Err("attributes for what is no dictionary".into());
                }
            }
            other => return Err(format!("instruction {:?} is none that a state dictionary needs", char::from(other))),
        }
        Ok(None)
    }

    fn call(&self, function: Id, arguments: Id) -> Result<Object, String> {
        let (Object::Global(function), Object::Tuple(arguments)) = (&self.objects[function], &self.objects[arguments])
        else {
            return Err("a call of what is no function".into());
        };
        match function {
            Global::OrderedDict if arguments.is_empty() => Ok(Object::Dict(Vec::new())),
            Global::RebuildParameter => {
                let inner = arguments.first().map(|&inner| &self.objects[inner]);
                let Some(Object::View(view)) = inner else { return Err("a parameter without a tensor".into()) };
                Ok(Object::View(view.clone()))
            }
            Global::RebuildTensor => {
                let [storage, offset, size, stride, ..] = arguments[..] else {
                    return Err("a tensor without storage, offset, size and stride".into());
                };
                if !matches!(self.objects[storage], Object::Storage(_)) {
                    return Err("a tensor whose storage is none".into());
                }
                let view =
                    View { storage, offset: self.whole(offset)?, size: self.sizes(size)?, stride: self.sizes(stride)? };
                if view.size.len() != view.stride.len() {
                    return Err(format!("a tensor of size {:?} with strides {:?}", view.size, view.stride));
                }
                Ok(Object::View(view))
            }
            _ => Err(format!("a call of {function:?} with {} arguments", arguments.len())),
        }
    }

    /// What a persistent id stands for: `("storage", type, key, place, count, None)`.
    fn storage(&self, id: Id) -> Result<Storage, String> {
        let Object::Tuple(parts) = &self.objects[id] else { return Err("a storage whose id is no tuple".into()) };
        let [tag, kind, key, _, count, ref rest @ ..] = parts[..] else {
            return Err(format!("a storage whose id has {} parts", parts.len()));
        };
        let (Object::Text(tag), Object::Global(Global::Storage(number)), Object::Text(key)) =
            (&self.objects[tag], &self.objects[kind], &self.objects[key])
        else {
            return Err("a storage whose id has the wrong types".into());
        };
        if key.len() > 100 {
            // It is copied for each tensor.
            return Err("a storage whose key is longer than 100 bytes".into());
        }
        if tag != "storage" {
            return Err(format!("found a reference to a {tag:?}, expected a storage"));
        }
        if rest.iter().any(|&part| !matches!(self.objects[part], Object::None)) {
            return Err("a storage that is a view of another (PyTorch before 0.4)".into());
        }
        Ok(Storage { key: key.clone(), number: *number, count: self.whole(count)? })
    }

    fn whole(&self, id: Id) -> Result<usize, String> {
        match &self.objects[id] {
            Object::Int(value) => usize::try_from(*value).map_err(|_| format!("found {value} for a size")),
            other => Err(format!("found {other:?} for a size")),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, String> {
        match &self.objects[id] {
            Object::Tuple(parts) if parts.len() <= 16 => parts.iter().map(|&part| self.whole(part)).collect(),
            _ => Err("sizes that are no tuple of at most 16".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_proportion_to_the_file() {
        // A byte asks for an object, or for a mark.
        for byte in [b')', b'('] {
            let bytes = [&[0x80, 2][..], &vec![byte; 3_000_000]].concat();
            let error = run(&bytes).unwrap_err();
            assert_eq!(error, "more than 1000000 objects, which no checkpoint of a network has (pickle, byte 1000002)");
        }
        assert!(size_of::<Object>() <= 100, "an object takes {} bytes", size_of::<Object>());
    }
}
