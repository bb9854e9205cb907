//! Names of nodes: those of the modules of PyTorch where a file still has them.

use super::proto::Node;

/// Longest name; a path of modules is shorter.
const LONGEST: usize = 120;

/// The name of what an operator gives: of its weights without `.weight`, of the path of modules that TorchScript writes, or
/// of its output.
pub(super) fn of(node: &Node) -> String {
    let of_weights = node.inputs.get(1).and_then(|name| name.strip_suffix(".weight"));
    let of_path = || module(&node.name).filter(|name| !name.is_empty());
    let name = match of_weights {
        Some(name) if !name.is_empty() && !name.contains("::") => name.to_owned(),
        _ => of_path().unwrap_or_else(|| node.outputs.first().cloned().unwrap_or_default()),
    };
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if name.is_empty() { node.operator.clone() } else { name }
}

/// The module of a path such as `/layer1/layer1.0/conv1/Conv`: each part is a module inside the one before it, and some repeat
/// the names of those around them.
fn module(path: &str) -> Option<String> {
    let (modules, operator) = path.strip_prefix('/')?.rsplit_once('/').unwrap_or(("", path));
    let mut name = String::new();
    for part in modules.split('/').filter(|part| !part.is_empty()) {
        let last = name.rsplit_once('.').map_or(name.as_str(), |(_, last)| last).to_owned();
        match part.strip_prefix(&last).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) if !last.is_empty() => {
                name.push('.');
                name.push_str(rest);
            }
            _ if name.is_empty() => part.clone_into(&mut name),
            _ => {
                name.push('.');
                name.push_str(part);
            }
        }
    }
    let operator = operator.trim_start_matches('/');
    // The operator as well where a module is more than one.
    Some(match operator.rsplit_once('_') {
        Some((_, number)) if number.chars().all(|c| c.is_ascii_digit()) && !name.is_empty() => {
            format!("{name}.{operator}")
        }
        _ if name.is_empty() => operator.to_owned(),
        _ => name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_modules() {
        let named = |path: &str| module(path).unwrap();
        assert_eq!(named("/layer1/layer1.0/conv1/Conv"), "layer1.0.conv1");
        assert_eq!(named("/fe/conv_0/conv_0.0/Conv"), "fe.conv_0.0");
        assert_eq!(named("/layer1/layer1.0/act_1/Relu"), "layer1.0.act_1");
        assert_eq!(named("/acts.7/Mul_5"), "acts.7.Mul_5");
        assert_eq!(named("/Flatten"), "Flatten");
        let node = |name: &str, inputs: &[&str], outputs: &[&str]| Node {
            name: name.into(),
            operator: "Conv".into(),
            inputs: inputs.iter().map(|&name| name.into()).collect(),
            outputs: outputs.iter().map(|&name| name.into()).collect(),
            ..Node::default()
        };
        assert_eq!(of(&node("node_conv", &["x", "stem.0.weight"], &["conv3d"])), "stem.0");
        assert_eq!(of(&node("/stem/Conv", &["x", "onnx::Conv_7"], &["y"])), "stem");
        assert_eq!(of(&node("node_conv", &["x", "val_3"], &["conv3d"])), "conv3d");
        assert_eq!(of(&node("", &[], &[])), "Conv");
    }
}
