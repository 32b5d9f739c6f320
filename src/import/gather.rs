//! Reads the given paths and recognises what each file is, by its text.

use std::path::{Path, PathBuf};

use super::compose::{self, Service};
use super::nginx::{self, Nginx};
use super::oauth2_proxy::{self, Options};
use super::program::Names;
use super::supervisor::{self, Supervisord};
use super::yaml;

/// What the files say, by kind.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The files that were recognised, as people name them.
    pub(super) files: Vec<String>,
    pub(super) supervisord: Vec<Supervisord>,
    /// The names that their programs have.
    pub(super) names: Names,
    /// Options of oauth2-proxy in files.
    pub(super) options: Vec<Options>,
    /// Options of oauth2-proxy in commands.
    pub(super) flags: Vec<Options>,
    pub(super) services: Vec<Service>,
    pub(super) nginx: Vec<Nginx>,
}

/// How deep folders are searched, and the largest file that is read.
const DEPTH: usize = 3;
const LARGEST: u64 = 1 << 20;

/// Reads every file.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Sources, String> {
    let mut files = Vec::new();
    for path in paths {
        let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let found = if meta.is_dir() { within(path, DEPTH) } else { vec![path.clone()] };
        for path in found {
            if let Some(text) = text_of(&path, paths.contains(&path))? {
                files.push((path, text));
            }
        }
    }
    // A file that includes others comes first, so that these are read as parts of it.
    let names_others = |text: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| line.starts_with("[include]") || line.starts_with("include "))
    };
    files.sort_by_key(|(_, text)| !names_others(text));
    let mut sources = Sources::default();
    let mut included: Vec<PathBuf> = Vec::new();
    for (path, text) in &files {
        let same = |other: &PathBuf| std::fs::canonicalize(other).ok() == path.canonicalize().ok();
        if !included.iter().any(same) {
            included.extend(sources.read(path, text)?);
        }
    }
    if sources.files.is_empty() {
        let named: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(format!(
            "nothing to import in {}; name a supervisord.conf, a configuration of oauth2-proxy (variables, .cfg, YAML, docker-compose.yml) or an nginx.conf",
            named.join(", ")
        ));
    }
    Ok(sources)
}

/// The text of a file. A file of a folder is passed over if it is no text.
fn text_of(path: &Path, is_named: bool) -> Result<Option<String>, String> {
    let size = path.metadata().map_or(0, |meta| meta.len());
    let failed = |why: String| {
        if is_named { Err(format!("{}: {why}", path.display())) } else { Ok(None) }
    };
    if size > LARGEST {
        return failed("the file is larger than 1 MiB".to_owned());
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_start_matches('\u{FEFF}').to_owned())),
        Err(error) => failed(error.to_string()),
    }
}

/// The files in a folder that could be of a known kind, in the order of their names.
fn within(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<_> = entries.map(|entry| entry.path()).collect();
    entries.sort_by_key(|path| (path.is_dir(), path.clone()));
    let is_hidden = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with('.') && name != ".env" || name == "node_modules"
    };
    let ends = ["conf", "ini", "cfg", "toml", "yml", "yaml", "env"];
    let is_known = |path: &Path| {
        path.extension().map_or(path.ends_with(".env"), |end| ends.iter().any(|e| end == *e))
    };
    let mut found = Vec::new();
    for path in entries.into_iter().filter(|path| !is_hidden(path)) {
        if path.is_dir() && !path.is_symlink() && depth > 0 {
            found.extend(within(&path, depth - 1));
        } else if path.is_file() && is_known(&path) {
            found.push(path);
        }
    }
    found
}

impl Sources {
    /// Reads one file and returns the files that it includes. A file of an unknown kind is passed over.
    fn read(&mut self, path: &Path, text: &str) -> Result<Vec<PathBuf>, String> {
        let name = path.display().to_string();
        let is_yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
        if is_yaml {
            let root = yaml::parse(text).map_err(|why| format!("{name}: {why}"))?;
            if let Some(services) = compose::services(&root, path, &name) {
                self.services.extend(services);
                self.files.push(name);
            } else if let Some(options) = oauth2_proxy::alpha(&root, &name) {
                self.options.push(options);
                self.files.push(name);
            }
            return Ok(Vec::new());
        }
        if supervisor::is_one(text) {
            let found = supervisor::read(path, &name, text, &mut self.names)?;
            let included = found.included.clone();
            self.supervisord.push(found);
            self.files.push(name);
            return Ok(included);
        }
        if nginx::is_one(text) {
            let found = nginx::read(path, &name, text)?;
            let included = found.included.clone();
            self.nginx.push(found);
            self.files.push(name);
            return Ok(included);
        }
        let options = oauth2_proxy::cfg(text, &name);
        if let Some(options) = options.or_else(|| oauth2_proxy::variables(text, &name)) {
            self.options.push(options);
            self.files.push(name);
        }
        Ok(Vec::new())
    }
}
