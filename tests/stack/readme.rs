//! The commands of the README.

use std::path::Path;

/// The lines of the first example below the paragraph that begins so, or below the sentence in it.
pub(crate) fn example(beginning: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("\n{beginning}")).expect("the README has this text");
    let (_, rest) = rest.split_once("```sh\n").unwrap();
    rest.split_once("```").unwrap().0.lines().map(str::to_owned).collect()
}
