//! Reads the given paths and recognises what each file is, by its text.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::compose::{self, Service};
use super::draft::{Remark, Table};
use super::nginx::{self, Nginx};
use super::oauth2_proxy::{self, Options};
use super::program::Names;
use super::supervisor::{self, Supervisord};
use super::text::{self, LARGEST};
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
    /// Files that were not read.
    pub(super) remarks: Table,
}

/// How deep folders are searched, and the largest file that is read.
const DEPTH: usize = 3;

/// A file to read.
struct File {
    path: PathBuf,
    /// It was named, and not only found in a folder: the import fails if it cannot be read.
    is_named: bool,
    text: String,
}

/// Reads every file once, however often and in whatever way it is named.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Sources, String> {
    let mut sources = Sources::default();
    let mut found: Vec<PathBuf> = Vec::new();
    let mut named = HashSet::new();
    for path in paths {
        let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
        if meta.is_dir() {
            within(path, DEPTH, &mut found, &mut sources.remarks);
        } else {
            named.insert(real(path));
            found.push(path.clone());
        }
    }
    let mut known = HashSet::new();
    let mut files: Vec<File> = Vec::new();
    for path in found.into_iter().filter(|path| known.insert(real(path))) {
        let is_named = named.contains(&real(&path));
        match text_of(&path) {
            Ok(text) => files.push(File { path, is_named, text }),
            Err(why) => sources.pass_over(&path, is_named, &why)?,
        }
    }
    // A file that includes others comes first, so that these are read as parts of it.
    let names_others = |text: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| line.starts_with("[include]") || line.starts_with("include "))
    };
    files.sort_by_key(|file| !names_others(&file.text));
    let mut included = HashSet::new();
    for file in &files {
        if !included.contains(&real(&file.path)) {
            match sources.read(file) {
                Ok(more) => included.extend(more.iter().map(|path| real(path))),
                Err(why) => sources.pass_over(&file.path, file.is_named, &why)?,
            }
        }
    }
    if sources.files.is_empty() {
        let named: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let passed_over = sources.remarks.remarks.iter().filter_map(|remark| match remark {
            Remark::Missing { place, text } => Some(format!("; {place}: {text}")),
            Remark::Hint(_) => None,
        });
        return Err(format!(
            "nothing to import in {}; name a supervisord.conf, a configuration of oauth2-proxy (variables, .cfg, YAML, docker-compose.yml) or an nginx.conf{}",
            named.join(", "),
            passed_over.collect::<String>()
        ));
    }
    Ok(sources)
}

/// The same path for every name of a file.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn text_of(path: &Path) -> Result<String, String> {
    let size = path.metadata().map_or(0, |meta| meta.len());
    if size > LARGEST {
        return Err("the file is larger than 1 MiB".to_owned());
    }
    let text = text::read(path)?;
    Ok(text.trim_start_matches('\u{FEFF}').to_owned())
}

/// Adds the files in a folder that could be of a known kind, in the order of their names.
fn within(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, remarks: &mut Table) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten(),
        Err(error) => {
            remarks.missing(&folder.display().to_string(), format!("not read: {error}"));
            return;
        }
    };
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
    for path in entries.into_iter().filter(|path| !is_hidden(path)) {
        if path.is_dir() && !path.is_symlink() && depth > 0 {
            within(&path, depth - 1, found, remarks);
        } else if path.is_file() && is_known(&path) {
            found.push(path);
        }
    }
}

impl Sources {
    /// Says that a file is not read. One that was named must be readable.
    fn pass_over(&mut self, path: &Path, is_named: bool, why: &str) -> Result<(), String> {
        let name = path.display().to_string();
        if is_named {
            return Err(format!("{name}: {why}"));
        }
        self.remarks.missing(&name, format!("not read: {why}"));
        Ok(())
    }

    /// Reads one file and returns the files that it includes.
    fn read(&mut self, file: &File) -> Result<Vec<PathBuf>, String> {
        let File { path, is_named, text } = file;
        let name = path.display().to_string();
        let is_yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
        if is_yaml {
            let root = yaml::parse(text)?;
            if let Some(services) = compose::services(&root, path, &name) {
                self.services.extend(services);
                self.files.push(name);
            } else {
                self.add_options(oauth2_proxy::alpha(&root, &name), name, *is_named);
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
        if let Some(found) = nginx::read(path, &name, text)? {
            let included = found.included.clone();
            self.nginx.push(found);
            self.files.push(name);
            return Ok(included);
        }
        let options = oauth2_proxy::cfg(text, &name);
        let options = options.or_else(|| oauth2_proxy::variables(text, &name));
        self.add_options(options, name, *is_named);
        Ok(Vec::new())
    }

    /// Adds the options of the last kind that a file can be of.
    fn add_options(&mut self, options: Option<Options>, name: String, is_named: bool) {
        match options {
            Some(options) => {
                self.options.push(options);
                self.files.push(name);
            }
            // Folders have files of many kinds.
            None if is_named => self.remarks.missing(
                &name,
                "not recognised as a supervisord.conf, a configuration of oauth2-proxy or an nginx.conf",
            ),
            None => {}
        }
    }
}
