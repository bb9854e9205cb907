//! The command without its server.
#![cfg(not(feature = "serve"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[test]
fn serve_says_how_to_get_it() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_voxplain")).args(["serve", "run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("error: this voxplain was built without its server") && said.contains("--features serve"),
        "{said}"
    );
}
