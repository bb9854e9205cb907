//! The inputs that fuzzing begins with, `corpus/TARGET/*`: small files of every kind, all made here.
//!
//! What is written is read back, so that no seed is refused at once.

use std::{fs, path::Path};
use voxplain_nn::{BatchNorm, Conv3d, Linear, Network, Op, Pool3d, Tensor, export::onnx, import::safetensors};
use voxplain_study::{
    atlas::LabelTable,
    model::{Align, OnnxOptions, import_onnx},
};
use voxplain_volume::{Affine, Grid, ReadOptions, Volume, WriteOptions, npy, read, write, write_labels};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Writes those of a target; each target does so before it starts, since a program of its own would compile all readers once more.
///
/// # Panics
/// They cannot be written, or one is refused.
pub fn write_of(target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("the folder of the seeds can be made");
    let written = match target {
        "nifti" => volumes(&folder),
        "mgh" => all(&folder, &[("u8", &mgh())]),
        "npy" => arrays(&folder),
        "onnx" => onnx_network(&folder),
        "model" => model(&folder),
        "pickle" => all(&folder, &[("one", STATE)]),
        "labels" => labels(&folder),
        "table" => all(
            &folder,
            &[
                ("tsv", b"participant_id\tsex\tage\nsub-01\tF\t30\nsub-02\tM\tn/a\n"),
                ("csv", "\u{feff}id,left,right\n\"a, b\",1.5,2\nc,-3e2,\"4\"\n".as_bytes()),
                ("semicolons", b"id;left\na;1,5\nb;2,25\n"),
            ],
        ),
        "settings" => all(
            &folder,
            &[
                ("formula", b"\0label + age + log(brain_volume) + site:age"),
                ("record", b"\x01{\"Method\": \"saliency\", \"Target\": \"M\", \"Warnings\": []}"),
            ],
        ),
        _ => Err(format!("there is no target {target}").into()),
    };
    written.unwrap_or_else(|e| panic!("the seeds of {target}: {e}"));
}

fn all(folder: &Path, seeds: &[(&str, &[u8])]) -> Outcome {
    for (name, bytes) in seeds {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

fn labels(folder: &Path) -> Outcome {
    let labels: [(&str, &[u8]); 5] = [
        ("tsv", b"index\tname\n1\tLeft-Hippocampus\n2\tRight-Hippocampus\n"),
        ("freesurfer", b"# No. Label Name: R G B A\n17 Left-Hippocampus 220 216 20 0\n53 Right-Hippocampus 220 216 20 0\n"),
        ("itksnap", b"    1  255    0    0        1  1  1    \"Thalamus L\"\n    2    0  255    0        1  1  1    \"Thalamus R\"\n"),
        ("names", b"Precentral_L\nPrecentral_R\n"),
        (
            "fsl",
            b"<atlas><header><name>A</name><type>Label</type></header>\n<data>\n<label index=\"3\" x=\"1\" y=\"2\" z=\"3\">Insula</label>\n</data></atlas>",
        ),
    ];
    for (name, text) in labels {
        LabelTable::parse(text, Path::new(name))?;
    }
    all(folder, &labels)
}

fn volumes(folder: &Path) -> Outcome {
    let grid = Grid::new([3, 4, 2], Affine::from_spacing_origin([1.0, 1.5, 2.0], [-1.0, 2.0, 3.0]))?;
    let volume = Volume::from_fn(grid, |[i, j, k]| (i * 8 + j * 2 + k) as f32 / 4.0);
    let options = WriteOptions { form_code: 1, description: "seed".to_owned(), ..WriteOptions::default() };
    let scratch = tempfile::tempdir()?;
    let (float, whole) = (scratch.path().join("float.nii"), scratch.path().join("labels.nii"));
    write(&float, &volume, &options)?;
    write_labels(&whole, &volume.map(|v| *v as u32), &options)?;
    for file in [float, whole] {
        read(&file, &ReadOptions::default())?;
        fs::copy(&file, folder.join(file.file_stem().unwrap_or_default()))?;
    }
    Ok(())
}

/// The header of FreeSurfer's format, big-endian: version 1, 2 x 3 x 2 voxels of one byte, with a direction.
fn mgh() -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [1i32, 2, 3, 2, 1, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(1i16.to_be_bytes());
    for number in [1.0f32, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.resize(284, 0);
    bytes.extend(0..12u8);
    bytes
}

fn arrays(folder: &Path) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("a.npy");
    npy::write(&file, &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
    npy::read(&file)?;
    let bytes = fs::read(&file)?;
    fs::write(folder.join("float32"), [&[0][..], &bytes].concat())?;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("x.npy", stored)?;
    std::io::Write::write_all(&mut zip, &bytes)?;
    fs::write(folder.join("npz"), [&[1][..], &zip.finish()?.into_inner()].concat())?;
    Ok(())
}

/// A small network with a residual branch, as ONNX.
fn residual() -> Outcome<Vec<u8>> {
    let mut network = Network::new([1, 8, 9, 8]);
    network.then("conv", Conv3d::new(1, 2, [3; 3]).with_padding([1; 3]))?;
    network.then("norm", BatchNorm::new(2))?;
    let stem = network.then("relu", Op::Relu)?;
    let branch = network.then("conv2", Conv3d::new(2, 2, [1; 3]))?;
    network.add("sum", Op::Add, &[stem, branch])?;
    network.then("pool", Op::MaxPool3d(Pool3d::new([2; 3])))?;
    network.then("mean", Op::GlobalAvgPool)?;
    network.then("linear", Linear::new(2, 2))?;
    network.initialize(1);
    Ok(onnx::encode(&network, &[])?)
}

fn onnx_network(folder: &Path) -> Outcome {
    all(folder, &[("residual", &residual()?)])
}

/// The same network as a model of its own, and weights without one.
fn model(folder: &Path) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let named = scratch.path().join("a.onnx");
    fs::write(&named, residual()?)?;
    let options = OnnxOptions {
        spacing: Some([4.0; 3]),
        normalize: Some(voxplain_study::cohort::Normalize::Robust),
        orientation: Some("RAS".to_owned()),
        align: Some(Align::Nothing),
        classes: vec!["a".to_owned(), "b".to_owned()],
        ..OnnxOptions::default()
    };
    let engine = voxplain_nn::Engine::new(voxplain_nn::EngineOptions::default())?;
    import_onnx(&engine, &named, &options)?.model.write(&folder.join("residual"))?;
    let tensor = Tensor::new(vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    all(folder, &[("weights", &safetensors::encode([("w", &tensor)], &safetensors::Metadata::new()))])
}

/// A state dictionary of one tensor of two numbers, as `torch.save` pickles it (protocol 2).
const STATE: &[u8] = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00wq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03\
((X\x07\x00\x00\x00storageq\x04ctorch\nFloatStorage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07K\x02tq\x08QK\x00K\x02\x85q\t\
K\x01\x85q\n\x89h\x00)Rq\x0btq\x0cRq\x0ds.";
