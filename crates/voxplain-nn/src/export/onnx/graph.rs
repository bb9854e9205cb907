//! [`Graph`]: the nodes and constants of an ONNX file while it is written.

use super::protobuf::Message;
use std::collections::BTreeSet;

/// Codes of types of numbers, of `TensorProto.DataType`.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// What an operator is told beside its inputs.
pub(super) enum Attribute<'a> {
    Float(f32),
    Int(i64),
    Text(&'a str),
    Ints(Vec<i64>),
}

/// Nodes and constants in the order in which they were added; every name once.
#[derive(Debug, Default)]
pub(super) struct Graph {
    message: Message,
    taken: BTreeSet<String>,
}

impl Graph {
    /// A name that nothing has yet: this one, or this one with a number behind it.
    pub(super) fn name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}.{number}");
        }
        name
    }

    /// Adds an operator; returns the name of what it gives.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        let output = self.name(output);
        let mut node = Message::default();
        inputs.iter().for_each(|input| node.text(1, input));
        node.text(2, &output);
        node.text(3, &output);
        node.text(4, operator);
        for (name, attribute) in attributes {
            let mut message = Message::default();
            message.text(1, name);
            match attribute {
                Attribute::Float(value) => {
                    message.float(2, *value);
                    message.int(20, 1);
                }
                Attribute::Int(value) => {
                    message.int(3, *value);
                    message.int(20, 2);
                }
                Attribute::Text(value) => {
                    message.text(4, value);
                    message.int(20, 3);
                }
                Attribute::Ints(values) => {
                    values.iter().for_each(|value| message.int(8, *value));
                    message.int(20, 7);
                }
            }
            node.message(5, &message);
        }
        self.message.message(1, &node);
        output
    }

    /// Adds a constant; returns its name.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, FLOAT, shape, &bytes)
    }

    /// Adds a constant list of whole numbers; returns its name.
    pub(super) fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, INT64, &[values.len()], &bytes)
    }

    fn constant(&mut self, name: &str, kind: i64, shape: &[usize], bytes: &[u8]) -> String {
        let name = self.name(name);
        let mut tensor = Message::default();
        shape.iter().for_each(|&length| tensor.int(1, whole(length)));
        tensor.int(2, kind);
        tensor.text(8, &name);
        tensor.bytes(9, bytes);
        self.message.message(5, &tensor);
        name
    }

    /// The graph with an input and an output; the first axis of both is left open, for as many samples as are given.
    pub(super) fn finish(mut self, [input, output]: [(&str, &[usize]); 2]) -> Message {
        self.message.text(2, "voxplain");
        for (field, (name, shape)) in [(11, input), (12, output)] {
            let mut axes = Message::default();
            let mut samples = Message::default();
            samples.text(2, "N");
            axes.message(1, &samples);
            for &length in shape {
                let mut axis = Message::default();
                axis.int(1, whole(length));
                axes.message(1, &axis);
            }
            let mut tensor = Message::default();
            tensor.int(1, FLOAT);
            tensor.message(2, &axes);
            let mut kind = Message::default();
            kind.message(1, &tensor);
            let mut value = Message::default();
            value.text(1, name);
            value.message(2, &kind);
            self.message.message(field, &value);
        }
        self.message
    }
}

/// A length as ONNX writes it. Lengths of networks are far below the limit.
pub(super) fn whole(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
