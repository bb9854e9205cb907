//! Networks in files that other programs read: [`onnx`]. Our own files are read and written by [`safetensors`](crate::import::safetensors).

pub mod onnx;
