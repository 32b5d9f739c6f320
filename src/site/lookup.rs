//! What a path leads to: the rules of a site, without HTTP.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::beneath::Entry;
use super::reader::{Pace, read};

/// The page that a site has for paths without a file.
pub(crate) const MISSING: &str = "404.html";
/// How much older than its file a compressed neighbour may be: tools write both in any order.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What is asked of a site.
#[derive(Debug)]
pub(crate) struct Question {
    /// The decoded path below the path of the app: empty, or beginning with a slash.
    pub(crate) path: Vec<u8>,
    /// A person opens a page.
    pub(crate) page: bool,
    /// The client may have the page for paths without a file.
    pub(crate) missing: bool,
    /// The beginning of the file is needed at once.
    pub(crate) read: bool,
    /// How much of it.
    pub(crate) pace: Pace,
    /// The endings of all compressed neighbours, such as `.br`.
    pub(crate) endings: &'static [&'static str],
    /// Those that the client accepts, the best one first.
    pub(crate) accepted: Vec<&'static str>,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file.
    File(File),
    /// A folder, by a path without a slash at its end.
    Folder,
    /// Nothing; `page`: what the site shows instead.
    Nothing { page: Option<File> },
}

/// A file that is open.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) opened: Arc<fs::File>,
    /// Its length, or that of its compressed neighbour if this one is open.
    pub(crate) length: u64,
    /// When the content was changed, as the file says.
    pub(crate) modified: SystemTime,
    /// When the file was changed last, in nanoseconds: cannot be set by programs.
    pub(crate) changed: i128,
    /// The last part of its path, without the ending of a neighbour.
    pub(crate) name: String,
    /// The ending of the open neighbour.
    pub(crate) ending: Option<&'static str>,
    /// Other clients get another neighbour, or none.
    pub(crate) varies: bool,
    /// The beginning, if it was asked for.
    pub(crate) first: Option<Bytes>,
    /// How the rest is read.
    pub(crate) pace: Pace,
}

type Open<'o> = &'o dyn Fn(&Path) -> io::Result<Entry>;

impl Question {
    /// Looks for the file. `index`: the file that stands for its folder. `spa`: the index of the site
    /// stands for all pages.
    pub(super) fn answer(&self, index: &str, spa: bool, open: Open<'_>) -> io::Result<Found> {
        let path = self.path.strip_prefix(b"/").unwrap_or(&self.path);
        if path.split(|&byte| byte == b'/').any(|part| part.starts_with(b".")) {
            return self.missing(open);
        }
        let is_folder = path.is_empty() || path.ends_with(b"/");
        let wanted = if is_folder { [path, index.as_bytes()].concat() } else { path.to_vec() };
        match self.file(&wanted, open)? {
            Found::Folder if !is_folder => return Ok(Found::Folder),
            Found::File(file) => return Ok(Found::File(file)),
            Found::Folder | Found::Nothing { .. } => {}
        }
        let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if spa
            && self.page
            && !last.contains(&b'.')
            && let Found::File(file) = self.file(index.as_bytes(), open)?
        {
            return Ok(Found::File(file));
        }
        self.missing(open)
    }

    /// The page of a path without a file.
    pub(super) fn missing(&self, open: Open<'_>) -> io::Result<Found> {
        if !self.missing {
            return Ok(Found::Nothing { page: None });
        }
        let page = match open(Path::new(MISSING)) {
            Ok(Entry::File(file, found)) => {
                Some(self.opened(MISSING.as_bytes(), file, &found, None)?)
            }
            _ => None,
        };
        Ok(Found::Nothing { page })
    }

    fn file(&self, path: &[u8], open: Open<'_>) -> io::Result<Found> {
        let named = |ending: &str| {
            let whole = [path, ending.as_bytes()].concat();
            open(Path::new(std::ffi::OsStr::from_bytes(&whole)))
        };
        let (file, found) = match named("").map_err(|error| with_path(error, path))? {
            Entry::File(file, found) => (file, found),
            Entry::Folder => return Ok(Found::Folder),
            Entry::Nothing => return Ok(Found::Nothing { page: None }),
        };
        let oldest = found.modified()?.checked_sub(TOLERANCE);
        let neighbour = |ending: &&'static str| match named(ending) {
            Ok(Entry::File(file, found)) => {
                let is_fresh = found.modified().ok() >= oldest;
                is_fresh.then_some((*ending, file, found))
            }
            _ => None,
        };
        let mut neighbours: Vec<_> = self.endings.iter().filter_map(neighbour).collect();
        let varies = !neighbours.is_empty();
        let position = |ending: &&str| neighbours.iter().position(|(other, ..)| other == ending);
        let chosen = self.accepted.iter().find_map(position).map(|at| neighbours.swap_remove(at));
        let file = match chosen {
            Some((ending, file, found)) => self.opened(path, file, &found, Some(ending)),
            None => self.opened(path, file, &found, None),
        }?;
        Ok(Found::File(File { varies, ..file }))
    }

    fn opened(
        &self,
        path: &[u8],
        file: fs::File,
        found: &fs::Metadata,
        ending: Option<&'static str>,
    ) -> io::Result<File> {
        let length = found.len();
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let pace = self.pace;
        let first = self.read.then(|| read(&file, 0, length.min(pace.piece(0)))).transpose()?;
        Ok(File {
            length,
            modified: found.modified()?,
            changed: i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec()),
            name: String::from_utf8_lossy(name).into_owned(),
            ending,
            varies: false,
            first,
            pace,
            opened: Arc::new(file),
        })
    }
}

/// Names the file that its owner has made unreadable.
fn with_path(error: io::Error, path: &[u8]) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let path = String::from_utf8_lossy(path);
    io::Error::new(error.kind(), format!("{path} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::site::beneath;

    const ENDINGS: &[&str] = &[".br", ".zst", ".gz"];

    fn site() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        let at = |name: &str| site.path().join(name);
        for folder in ["sub", "empty", ".git", "odd/index.html"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for name in [
            "index.html",
            "a.js",
            "a.js.br",
            "a.js.gz",
            "sub/index.html",
            "sub/.hidden",
            ".git/config",
            ".env",
            "404.html",
            "only.css.br",
            "ü ä.txt",
            "old.js",
            "old.js.br",
        ] {
            fs::write(at(name), name).unwrap();
        }
        let old = SystemTime::now() - Duration::from_mins(1);
        let neighbour = fs::File::options().write(true).open(at("old.js.br")).unwrap();
        neighbour.set_modified(old).unwrap();
        site
    }

    fn answer(site: &Path, path: &str, accepted: &[&'static str], page: bool, spa: bool) -> String {
        let folder = fs::File::open(site).unwrap();
        let question = Question {
            path: path.as_bytes().to_vec(),
            page,
            missing: true,
            read: true,
            pace: Pace::Growing,
            endings: ENDINGS,
            accepted: accepted.to_vec(),
        };
        let found =
            question.answer("index.html", spa, &|path| beneath::open(folder.as_fd(), path, None));
        let content = |file: File| {
            let text = String::from_utf8(file.first.unwrap().to_vec()).unwrap();
            assert_eq!(file.length, text.len() as u64);
            assert!(text.ends_with(file.ending.unwrap_or_default()), "{text}");
            if file.varies { text + " varies" } else { text }
        };
        match found.unwrap() {
            Found::File(file) => content(file),
            Found::Folder => "folder".to_owned(),
            Found::Nothing { page: Some(page) } => format!("missing {}", content(page)),
            Found::Nothing { page: None } => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_path_leads_to_a_file_of_the_site() {
        let site = site();
        for (path, wanted) in [
            ("", "index.html"),
            ("/", "index.html"),
            ("/sub", "folder"),
            ("/sub/", "sub/index.html"),
            ("/sub/index.html", "sub/index.html"),
            ("/ü ä.txt", "ü ä.txt"),
            ("/a.js", "a.js varies"),
            ("/a.js/", "missing 404.html"),
            ("/empty", "folder"),
            ("/empty/", "missing 404.html"),
            ("/odd/", "missing 404.html"),
            ("/none", "missing 404.html"),
            ("/only.css", "missing 404.html"),
            ("/.env", "missing 404.html"),
            ("/.git", "missing 404.html"),
            ("/.git/config", "missing 404.html"),
            ("/sub/.hidden", "missing 404.html"),
            ("/INDEX.html", "missing 404.html"),
        ] {
            assert_eq!(answer(site.path(), path, &[], true, false), wanted, "{path}");
        }
        fs::remove_file(site.path().join("404.html")).unwrap();
        assert_eq!(answer(site.path(), "/none", &[], true, false), "nothing");
    }

    #[test]
    fn a_page_of_a_web_app_is_its_index() {
        let site = site();
        for (path, page, wanted) in [
            ("/user/7", true, "index.html"),
            ("/empty/", true, "index.html"),
            ("/user/7", false, "missing 404.html"),
            ("/user/7.js", true, "missing 404.html"),
            ("/.git/config", true, "missing 404.html"),
            ("/a.js", true, "a.js varies"),
            ("/sub", true, "folder"),
        ] {
            assert_eq!(answer(site.path(), path, &[], page, true), wanted, "{path} {page}");
        }
    }

    #[test]
    fn the_best_fresh_neighbour_is_chosen() {
        let site = site();
        for (path, accepted, wanted) in [
            ("/a.js", &[".br", ".gz"][..], "a.js.br varies"),
            ("/a.js", &[".gz", ".br"], "a.js.gz varies"),
            ("/a.js", &[".zst", ".gz"], "a.js.gz varies"),
            ("/a.js", &[".zst"], "a.js varies"),
            ("/a.js.br", &[".br"], "a.js.br"),
            ("/old.js", &[".br"], "old.js"),
            ("/", &[".br"], "index.html"),
        ] {
            assert_eq!(answer(site.path(), path, accepted, true, false), wanted, "{path}");
        }
    }
}
