//! Small files, made by hand: what is read and what is refused.

#![allow(clippy::cast_possible_truncation, reason = "bytes and small numbers")]

use super::*;
use proptest::prelude::*;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn int(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn floats(name: &str, shape: &[i64], values: &[f32]) -> Vec<u8> {
    let dims = shape.iter().flat_map(|&n| int(1, n));
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    dims.chain(int(2, 1)).chain(bytes(8, name)).chain(bytes(9, raw)).collect()
}

fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [int(1, values.len() as i64), int(2, 7), bytes(8, name), bytes(9, raw)].concat()
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| bytes(1, name));
    let attributes = attributes.iter().flat_map(|attribute| bytes(5, attribute));
    inputs.chain(bytes(2, output)).chain(bytes(4, operator)).chain(attributes).collect()
}

fn list(name: &str, values: &[i64]) -> Vec<u8> {
    let values = values.iter().flat_map(|&value| int(8, value));
    bytes(1, name).into_iter().chain(values).chain(int(20, 7)).collect()
}

/// A number as the attribute of an operator.
fn number(name: &str, value: i64) -> Vec<u8> {
    [bytes(1, name), int(3, value), int(20, 2)].concat()
}

fn value(name: &str, shape: &[i64]) -> Vec<u8> {
    let axes: Vec<u8> =
        shape.iter().flat_map(|&n| bytes(1, if n < 0 { bytes(2, "open") } else { int(1, n) })).collect();
    [bytes(1, name), bytes(2, bytes(1, [int(1, 1), bytes(2, axes)].concat()))].concat()
}

struct File {
    input: Vec<i64>,
    nodes: Vec<Vec<u8>>,
    constants: Vec<Vec<u8>>,
    opset: i64,
}

impl File {
    /// A convolution, then whatever comes; the output is `y`.
    fn new(nodes: &[Vec<u8>]) -> Self {
        let conv = node("Conv", &["x", "conv.weight"], "c", &[]);
        let weights: Vec<f32> = (0..16).map(|n| n as f32 / 8.0 - 1.0).collect();
        Self {
            input: vec![1, 1, 3, 4, 3],
            nodes: [&[conv], nodes].concat(),
            constants: vec![floats("conv.weight", &[2, 1, 2, 2, 2], &weights)],
            opset: 17,
        }
    }

    fn with(mut self, constant: Vec<u8>) -> Self {
        self.constants.push(constant);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let nodes = self.nodes.iter().flat_map(|node| bytes(1, node));
        let constants = self.constants.iter().flat_map(|constant| bytes(5, constant));
        let ends = [bytes(11, value("x", &self.input)), bytes(12, value("y", &[1, 2]))].concat();
        let graph: Vec<u8> = nodes.chain(constants).chain(ends).collect();
        [int(1, 8), bytes(2, "by hand"), bytes(7, graph), bytes(8, int(2, self.opset))].concat()
    }

    fn read(&self) -> Result<Imported, String> {
        decode(&self.bytes(), &mut External::none(), None)
            .map_err(|refusal| format!("{}; {}", refusal.what, refusal.remedy))
    }
}

/// The mean of each channel as the two scores.
fn mean() -> [Vec<u8>; 2] {
    [node("GlobalAveragePool", &["c"], "m", &[]), node("Flatten", &["m"], "y", &[])]
}

#[test]
fn a_small_file_is_read() {
    let imported = File::new(&mean()).read().unwrap();
    assert_eq!((imported.producer.as_str(), imported.opset, imported.operators), ("by hand", 17, 3));
    assert_eq!(imported.head, Head::Scores);
    let ops: Vec<&Op> = imported.network.nodes().iter().map(|node| &node.op).collect();
    assert!(matches!(ops[..], [Op::Input { .. }, Op::Conv3d(_), Op::GlobalAvgPool]), "{ops:?}");
    assert_eq!(imported.network.nodes()[1].name, "conv");
    // Open axes are those of the grid that is asked for.
    let open = File { input: vec![-1, 1, -1, -1, -1], ..File::new(&mean()) };
    assert!(open.read().unwrap_err().contains("say its grid"));
    let read = decode(&open.bytes(), &mut External::none(), Some([4, 5, 6])).unwrap();
    assert_eq!(read.network.input_shape(), [1, 4, 5, 6]);
    let error = decode(&File::new(&mean()).bytes(), &mut External::none(), Some([4, 5, 6])).unwrap_err().what;
    assert!(error.contains("3 x 4 x 3") && error.contains("4 x 5 x 6"), "{error}");
}

#[test]
fn a_head_is_taken_off_and_named() {
    for (operator, head) in [("Softmax", Head::Softmax), ("LogSoftmax", Head::LogSoftmax), ("Sigmoid", Head::Sigmoid)] {
        let [pool, _] = mean();
        let nodes = [pool, node("Flatten", &["m"], "f", &[]), node(operator, &["f"], "y", &[])];
        let imported = File::new(&nodes).read().unwrap();
        assert_eq!((imported.head, imported.network.nodes().len()), (head, 3));
    }
    let [pool, flat] = mean();
    let inside = [
        pool.clone(),
        node("Flatten", &["m"], "f", &[]),
        node("Softmax", &["f"], "s", &[]),
        node("Relu", &["s"], "y", &[]),
    ];
    assert!(File::new(&inside).read().unwrap_err().contains("a softmax inside the network"));
    let of_channels = [node("Softmax", &["x"], "s", &[number("axis", 1)]), node("Relu", &["s"], "y", &[])];
    assert!(File::new(&of_channels).read().unwrap_err().contains("a softmax inside the network"));
    drop(flat);
}

/// `nn.Threshold(0, 0)` as the dynamo exporter writes it is a ReLU; a step alone is no activation, rising or falling.
#[test]
fn a_threshold_is_a_relu_and_a_step_is_none() {
    let file = |nodes: &[Vec<u8>]| {
        let ends = [node("GlobalAveragePool", &["d"], "m", &[]), node("Flatten", &["m"], "y", &[])];
        File::new(&[nodes, &ends].concat()).with(floats("zero", &[], &[0.0])).read()
    };
    let below = || node("LessOrEqual", &["c", "zero"], "b", &[]);
    let network = file(&[below(), node("Where", &["b", "zero", "c"], "d", &[])]).unwrap().network;
    assert!(network.nodes()[2].op == Op::Relu, "{:?}", network.nodes());
    for compare in ["LessOrEqual", "Less", "Greater", "GreaterOrEqual"] {
        let step = [node(compare, &["c", "zero"], "b", &[]), node("Cast", &["b"], "d", &[number("to", 1)])];
        let error = file(&step).unwrap_err();
        assert!(error.contains(&format!("the operator {compare} is part of no activation")), "{error}");
    }
}

/// Windows that reach beyond the volume, groups of channels, and a gate: each with the shape that ONNX gives it.
#[test]
fn geometry_is_that_of_onnx() {
    let text = |name: &str, value: &str| [bytes(1, name), bytes(4, value), int(20, 3)].concat();
    let shapes = |nodes: &[Vec<u8>], more: Vec<Vec<u8>>| -> Vec<(String, Vec<usize>)> {
        let file = more.into_iter().fold(File::new(nodes), File::with);
        let network = file.read().unwrap().network;
        network.nodes().iter().zip(network.shapes()).map(|(node, shape)| (node.name.clone(), shape)).collect()
    };
    let mean = node("GlobalAveragePool", &["d"], "m", &[]);
    let flat = node("Flatten", &["m"], "y", &[]);
    // c is [2, 2, 3, 2]. A kernel of 2 with as many outputs as inputs is padded by one at the end.
    let same = node("Conv", &["c", "w"], "d", &[text("auto_pad", "SAME_UPPER"), number("group", 2)]);
    let weights = floats("w", &[4, 1, 2, 2, 2], &[0.5; 32]);
    let found = shapes(&[same, mean.clone(), flat.clone()], vec![weights]);
    assert_eq!(found[2], ("d.pad".into(), vec![2, 3, 4, 3]));
    assert_eq!(found[3], ("d".into(), vec![4, 2, 3, 2]));
    // Three voxels in steps of two: one window, or two.
    for (ceil, length) in [(0, 1), (1, 2)] {
        let windows = [list("kernel_shape", &[1, 2, 1]), list("strides", &[1, 2, 1]), number("ceil_mode", ceil)];
        let found = shapes(&[node("MaxPool", &["c"], "d", &windows), mean.clone(), flat.clone()], Vec::new());
        assert_eq!(found[2].1, [2, 2, length, 2]);
    }
    let gate = [
        node("ReduceMean", &["c"], "s", &[list("axes", &[2, 3, 4])]),
        node("Sigmoid", &["s"], "g", &[]),
        node("Mul", &["g", "c"], "d", &[]),
    ];
    let found = shapes(&[&gate[..], &[mean, flat]].concat(), Vec::new());
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["input", "conv", "s", "g", "d", "m"]);
    // A cut is no activation.
    let cut = [node("Slice", &["c", "from", "to"], "d", &[]), node("GlobalAveragePool", &["d"], "y", &[])];
    let error = File::new(&cut).with(ints("from", &[0])).with(ints("to", &[1])).read().unwrap_err();
    assert!(error.contains("Slice: it cuts, repeats or reorders"), "{error}");
    // Which evaluation mode would not mend: the operators that it does say so themselves.
    assert!(!Refusal::of_operators(error).remedy.contains("eval()"));
}

/// A kernel of three on a volume of one voxel weighs it by its middle; a pool of it leaves it.
#[test]
fn windows_on_one_voxel() {
    let pool = node("GlobalAveragePool", &["c"], "m", &[]);
    let conv = node("Conv", &["m", "w"], "d", &[list("pads", &[1, 1, 1, 1, 1, 1])]);
    let mean = node("AveragePool", &["d"], "e", &[list("kernel_shape", &[1, 1, 1])]);
    let mut values = [0.5f32; 2 * 2 * 27];
    (0..4).for_each(|n| values[n * 27 + 13] = n as f32);
    let weights = floats("w", &[2, 2, 3, 3, 3], &values);
    let file = File::new(&[pool, conv, mean, node("Flatten", &["e"], "y", &[])]).with(weights);
    let network = file.read().unwrap().network;
    let last = &network.nodes().last().unwrap().op;
    assert!(matches!(last, Op::Linear(linear) if linear.weight.data() == [0.0, 1.0, 2.0, 3.0]), "{last:?}");
    // Two windows of one voxel are a volume again.
    let pool = node("GlobalAveragePool", &["c"], "m", &[]);
    let conv = node("Conv", &["m", "w"], "d", &[list("pads", &[2, 1, 1, 1, 1, 1])]);
    let file = File::new(&[pool, conv, node("Flatten", &["d"], "y", &[])]).with(floats("w", &[2, 2, 3, 3, 3], &values));
    assert!(file.read().unwrap_err().contains("a volume of single values"));
}

/// A sigmoid of one score is a softmax of two.
fn text(name: &str, value: &str) -> Vec<u8> {
    [bytes(1, name), bytes(4, value), int(20, 3)].concat()
}

/// A transposed convolution of a volume of 2 x 3 x 2 with a kernel of 2, and resizing of it: the shapes that ONNX gives.
#[test]
fn larger_volumes_have_the_shape_of_onnx() {
    let weights = || floats("w", &[2, 1, 2, 2, 2], &[0.5; 16]);
    let shape = |attributes: &[Vec<u8>]| {
        let file = File::new(&[node("ConvTranspose", &["c", "w"], "y", attributes)]).with(weights());
        file.read().map(|imported| imported.network.shape(imported.network.output()).unwrap().to_vec())
    };
    let stride = || list("strides", &[2, 1, 3]);
    assert_eq!(shape(&[]).unwrap(), [1, 3, 4, 3]);
    assert_eq!(shape(&[stride()]).unwrap(), [1, 4, 4, 5]);
    assert_eq!(shape(&[stride(), list("output_padding", &[1, 0, 2])]).unwrap(), [1, 5, 4, 7]);
    assert_eq!(shape(&[stride(), list("pads", &[1, 0, 0, 0, 1, 2])]).unwrap(), [1, 3, 3, 3]);
    assert_eq!(shape(&[stride(), text("auto_pad", "SAME_UPPER")]).unwrap_err().matches("is to give 6").count(), 1);
    assert_eq!(shape(&[list("strides", &[2, 1, 2]), text("auto_pad", "SAME_UPPER")]).unwrap(), [1, 4, 3, 4]);
    assert_eq!(shape(&[stride(), list("output_shape", &[3, 3, 4])]).unwrap(), [1, 3, 3, 4]);
    assert!(shape(&[list("strides", &[0, 1, 1])]).unwrap_err().contains("steps or dilations of 0"));
    assert!(shape(&[list("pads", &[9; 6])]).unwrap_err().contains("leave nothing"));
    assert!(shape(&[number("group", 3)]).unwrap_err().contains("expected"));

    let resized = |given: [&str; 2], attributes: &[Vec<u8>], constant: Vec<u8>| {
        let file = File::new(&[node("Resize", &["c", "", given[0], given[1]], "y", attributes)]).with(constant);
        file.read().map(|imported| {
            let op = imported.network.nodes()[2].op.clone();
            (imported.network.shape(imported.network.output()).unwrap().to_vec(), op)
        })
    };
    let scales = |s: &[f32]| floats("s", &[s.len() as i64], s);
    let (shape, op) = resized(["s", ""], &[], scales(&[1.0, 1.0, 2.0, 1.0, 1.3])).unwrap();
    assert_eq!(shape, [2, 4, 3, 2]);
    // Two voxels 1.3 times as many are two, and lie 1 / 1.3 apart.
    assert!(matches!(op, Op::Resize3d(of) if of.scale.is_some_and(|scale| (scale[2] - 1.3).abs() < 1e-6)), "{op:?}");
    let sizes = ints("n", &[1, 2, 5, 6, 7]);
    let (shape, op) = resized(["", "n"], &[text("mode", "linear")], sizes.clone()).unwrap();
    assert_eq!((shape.as_slice(), op), ([2, 5, 6, 7].as_slice(), Op::Resize3d(crate::Resize3d::linear([5, 6, 7]))));
    assert!(resized(["", "n"], &[text("mode", "cubic")], sizes.clone()).unwrap_err().contains("by cubic"));
    let error = resized(["", "n"], &[text("coordinate_transformation_mode", "tf_crop_and_resize")], sizes).unwrap_err();
    assert!(error.contains("tf_crop_and_resize"), "{error}");
    let error = resized(["s", ""], &[], scales(&[1.0, 2.0, 1.0, 1.0, 1.0])).unwrap_err();
    assert!(error.contains("other axes than those of a volume"), "{error}");
    for wrong in [-1.0, 0.0, f32::NAN, f32::INFINITY, 1e30] {
        assert!(resized(["s", ""], &[], scales(&[1.0, 1.0, wrong, 1.0, 1.0])).is_err());
    }
}

#[test]
fn one_score_makes_two_classes() {
    use crate::reference::{Mode, forward};
    let last = floats("head.weight", &[1, 2], &[0.5, -2.0]);
    let nodes = [
        mean()[0].clone(),
        node("Flatten", &["m"], "f", &[]),
        node("Gemm", &["f", "head.weight"], "y", &[number("transB", 1)]),
    ];
    let one = File::new(&nodes).with(last).read().unwrap().network;
    let two = two_classes(&one).unwrap();
    let x: Vec<f32> = (0..36).map(|n| (n % 7) as f32 - 3.0).collect();
    let [a, b] = [&one, &two].map(|net| forward(net, &x, Mode::Evaluate).unwrap().output().to_vec());
    assert_eq!(b, [-a[0] / 2.0, a[0] / 2.0]);
    assert!(two_classes(&two).is_err());
    // Where the score comes from no layer.
    let bare = two_classes(
        &File::new(&[node("ReduceMean", &["c"], "y", &[list("axes", &[2, 3, 4])])]).read().unwrap().network,
    );
    assert!(bare.is_err());
}

#[test]
fn what_cannot_be_taken_is_refused_all_at_once() {
    let refused = |file: File| file.read().unwrap_err();
    let nodes = [
        node("LSTM", &["c"], "a", &[]),
        node("LSTM", &["a"], "b", &[]),
        node("NonMaxSuppression", &["b"], "d", &[]),
        node("If", &["d"], "e", &[]),
        node("Relu", &["e"], "y", &[]),
    ];
    let error = refused(File::new(&nodes));
    assert!(error.contains("no counterpart here: LSTM (2 times), NonMaxSuppression"), "{error}");
    assert!(error.contains("If: it runs another graph"), "{error}");
    // Also behind what was refused: a sine keeps its shape, of what is cut from a refused value it is not known.
    let nodes = [
        node("Sin", &["c"], "a", &[]),
        node("ReduceSum", &["a", "axes"], "b", &[]),
        node("Slice", &["b", "axes", "axes"], "d", &[]),
        node("Tile", &["d", "axes"], "e", &[]),
        node("CumSum", &["e"], "f", &[]),
        node("Div", &["one", "a"], "g", &[]),
        node("Add", &["f", "g"], "y", &[]),
    ];
    let error = refused(File::new(&nodes).with(ints("axes", &[2])).with(floats("one", &[1], &[1.0])));
    for told in [
        "no counterpart here: CumSum, Sin",
        "at b, ReduceSum: it sums values of the network over axes",
        "at d, Slice: it cuts, repeats or reorders",
        "at e, Tile: it cuts",
        "g: the operator Div is part of no activation that the engine has",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
    // But not of what is made of the shape of a refused value, as every flattening by TorchScript is.
    let nodes = [
        node("LSTM", &["c"], "a", &[]),
        node("Shape", &["a"], "s", &[]),
        node("Slice", &["s", "zero", "axes"], "t", &[]),
        node("Gather", &["t", "zero"], "u", &[]),
        node("Reshape", &["a", "u"], "y", &[]),
    ];
    let error = refused(File::new(&nodes).with(ints("axes", &[2])).with(ints("zero", &[0])));
    assert!(error.starts_with("it holds operators that have no counterpart here: LSTM;"), "{error}");
    assert!(!error.contains("it cuts"), "{error}");
    // What the output does not depend on is not asked for.
    let [pool, flat] = mean();
    assert!(File::new(&[node("LSTM", &["c"], "a", &[]), pool.clone(), flat.clone()]).read().is_ok());

    let error = refused(File { input: vec![4, 1, 3, 4, 3], ..File::new(&mean()) });
    assert!(error.contains("the batch size 4 is baked in"), "{error}");
    let error = refused(File { input: vec![1, 3, 64, 64], ..File::new(&mean()) });
    assert!(error.contains("4 axes, expected five"), "{error}");
    assert!(refused(File { opset: 9, ..File::new(&mean()) }).contains("found opset 9, expected 11 to 20"));
    assert!(
        refused(File::new(&[node("Relu", &["nothing"], "y", &[])]))
            .contains("takes nothing, which nothing before it gives")
    );
    let long = [node("LSTM", &["c"], "a", &[]), node("Relu", &["a"], "y", &[])];
    assert!(refused(File::new(&long)).contains("replace what is named, or leave it out"));
    assert!(refused(File { opset: 9, ..File::new(&mean()) }).contains("opset_version=17"));
    let error = refused(File::new(&[node("Transpose", &["c"], "y", &[list("perm", &[0, 2, 3, 4, 1])])]));
    assert!(error.contains("in another order of axes"), "{error}");
    let error = refused(File::new(&[node("Softmax", &["c"], "y", &[number("axis", 4)])]));
    assert!(error.contains("as in attention; transformers are not taken"), "{error}");
    let error = refused(File::new(&[node("MatMul", &["c", "c"], "y", &[])]));
    assert!(error.contains("as attention does; transformers are not taken"), "{error}");
    let pool = node("GlobalAveragePool", &["c2"], "m", &[]);
    let baked = floats("z", &[1, 2, 2, 3, 2], &(0..24).map(|n| n as f32).collect::<Vec<_>>());
    let error = refused(File::new(&[node("Add", &["c", "z"], "c2", &[]), pool, flat]).with(baked));
    assert!(error.contains("differs from voxel to voxel"), "{error}");
    assert!(error.contains("It may be a part of the network") && error.contains("Or it may be what"), "{error}");
    for bytes in [&b""[..], b"hello, this is no model", &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        assert!(decode(bytes, &mut External::none(), None).is_err());
    }
}

/// Files that ask for more than there is memory.
#[test]
fn small_files_that_fill_much_are_refused() {
    let [_, flat] = mean();
    let pool = node("GlobalAveragePool", &["c2"], "m", &[]);
    let fill = node("ConstantOfShape", &["shape"], "big", &[]);
    let add = node("Add", &["c", "big"], "c2", &[]);
    let file = File::new(&[fill, add.clone(), pool.clone(), flat.clone()]).with(ints("shape", &[1 << 40]));
    assert!(file.read().unwrap_err().contains("it fills a constant"));
    let mut nodes = Vec::new();
    for n in 0..60 {
        let (from, to) = (format!("k{n}"), format!("k{}", n + 1));
        nodes.push(node("Concat", &[&from, &from], &to, &[number("axis", 0)]));
    }
    nodes.extend([node("Add", &["c", "k60"], "c2", &[]), pool, flat]);
    let error = File::new(&nodes).with(floats("k0", &[1000], &[0.0; 1000])).read().unwrap_err();
    assert!(error.contains("more values than a network holds"), "{error}");
    let huge = [int(1, 1 << 31), int(1, 1 << 31), int(2, 1), bytes(8, "h")].concat();
    assert!(File::new(&mean()).with(huge).read().unwrap_err().contains("brings the file to over"));
    let lies = [int(1, 1 << 20), int(2, 1), bytes(8, "h"), bytes(9, [0u8; 8])].concat();
    assert!(File::new(&mean()).with(lies).read().unwrap_err().contains("found 8 bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever is in a file, reading it gives a network or an error.
    #[test]
    fn no_bytes_panic(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut: usize) {
        let [pool, _] = mean();
        let file = File::new(&[
            node("Shape", &["c"], "shape", &[]),
            node("Slice", &["shape", "zero", "two"], "front", &[]),
            node("Concat", &["front", "rest"], "wanted", &[number("axis", 0)]),
            node("Relu", &["c"], "r", &[]),
            node("MaxPool", &["r"], "p", &[list("kernel_shape", &[2, 2, 2]), list("strides", &[1, 1, 1])]),
            pool,
            node("Reshape", &["p", "wanted"], "f", &[]),
            node("Gemm", &["f", "head"], "y", &[]),
        ])
        .with(ints("zero", &[0]))
        .with(ints("two", &[1]))
        .with(ints("rest", &[-1]))
        .with(floats("head", &[4, 2], &[0.5; 8]));
        let mut bytes = file.bytes();
        prop_assert!(decode(&bytes, &mut External::none(), None).is_ok());
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = decode(&bytes, &mut External::none(), None);
        bytes.truncate(cut % bytes.len());
        let _ = decode(&bytes, &mut External::none(), None);
    }

    /// The same of volumes made larger, and sums with one value by channel.
    #[test]
    fn no_bytes_of_a_decoder_panic(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut: usize) {
        let up = [
            list("strides", &[2, 1, 2]), list("pads", &[1, 0, 0, 0, 0, 1]), list("output_padding", &[1, 0, 0]),
            list("dilations", &[1, 2, 1]), number("group", 2), list("kernel_shape", &[2, 2, 2]),
        ];
        let file = File::new(&[
            node("ConvTranspose", &["c", "w"], "u", &up),
            node("GlobalAveragePool", &["u"], "m", &[]),
            node("Add", &["u", "m"], "a", &[]),
            node("Resize", &["a", "", "s"], "r", &[text("mode", "linear"), text("nearest_mode", "floor")]),
            node("Resize", &["r", "", "", "n"], "t", &[text("coordinate_transformation_mode", "align_corners")]),
            node("Softmax", &["t"], "y", &[number("axis", 1)]),
        ])
        .with(floats("w", &[2, 1, 2, 2, 2], &[0.5; 16]))
        .with(floats("s", &[5], &[1.0, 1.0, 2.0, 1.5, 0.5]))
        .with(ints("n", &[1, 2, 3, 4, 5]));
        let mut bytes = file.bytes();
        prop_assert!(decode(&bytes, &mut External::none(), None).is_ok());
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = decode(&bytes, &mut External::none(), None);
        bytes.truncate(cut % bytes.len());
        let _ = decode(&bytes, &mut External::none(), None);
    }
}
