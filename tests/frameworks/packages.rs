//! The virtual environment with the frameworks from PyPI, Node.js among them, and those from npm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is installed.
const LOCKS: &str =
    concat!(include_str!("requirements.txt"), include_str!("npm/package-lock.json"));

/// The folder with the programs of the environment.
pub(crate) fn programs() -> PathBuf {
    environment().join("bin")
}

/// The folder with the packages of npm.
pub(crate) fn modules() -> PathBuf {
    environment().join("npm/node_modules")
}

/// The first caller creates the environment; it is kept until one of the lists of packages changes. If
/// that fails, every caller fails with the same reason, and nobody tries again.
fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match ENVIRONMENT.get_or_init(install) {
        Ok(folder) => folder,
        Err(reason) => panic!("the frameworks cannot be installed: {reason}"),
    }
}

fn install() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/frameworks");
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == LOCKS) {
        return Ok(folder);
    }
    eprintln!("installing the frameworks into {}", folder.display());
    let _ = std::fs::remove_dir_all(&folder);
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks");
    run(Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(lists.join("requirements.txt")))?;
    let npm = folder.join("npm");
    std::fs::create_dir(&npm).unwrap();
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(lists.join("npm").join(name), npm.join(name)).unwrap();
    }
    // npm of the environment looks for its `node` in PATH.
    let path = std::env::var("PATH").unwrap_or_default();
    run(Command::new(folder.join("bin/npm"))
        .args(["ci", "--loglevel=error", "--no-audit", "--no-fund"])
        .env("PATH", format!("{}:{path}", folder.join("bin").display()))
        .current_dir(npm))?;
    std::fs::write(stamp, LOCKS).unwrap();
    Ok(folder)
}

/// What the program says goes to the output of the test.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{said}", output.status))
}
