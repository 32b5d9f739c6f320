//! The virtual environment with the frameworks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The folder with the programs of the environment. The first caller creates the environment; it is
/// kept until `requirements.txt` changes.
pub(crate) fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/frameworks");
        let stamp = folder.join("requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|text| text == REQUIREMENTS) {
            return folder.join("bin");
        }
        eprintln!("installing the frameworks into {}", folder.display());
        let _ = std::fs::remove_dir_all(&folder);
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let requirements =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks/requirements.txt");
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(requirements));
        std::fs::write(stamp, REQUIREMENTS).unwrap();
        folder.join("bin")
    })
}

fn run(command: &mut Command) {
    let status = command.status().expect("python3 is installed, with the package python3-venv");
    assert!(status.success(), "{command:?}: {status}");
}
