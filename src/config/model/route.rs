//! Routes: where an app is reached, who may open it, and which identity headers it gets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::{Access, Constraints, Rule};
use super::upstream::Upstream;
use crate::config::ownership::nested::{are_nested, real};

/// How an app is reached from outside.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Route {
    /// Path prefix on segment boundaries: `/app1`, or `/` for all paths. Only `/` ends with a
    /// slash.
    pub path: String,
    /// Host of the route (lower case, without port); `None` for the host of `public_url`.
    pub host: Option<String>,
    /// Remove the prefix before a request is forwarded.
    pub strip_prefix: bool,
    /// Redirect a GET of exactly `path` to `path/`.
    pub trailing_slash: bool,
    /// Ambiguous paths reach the app as they came.
    pub raw_path: bool,
    /// How long a `GET` or `HEAD` waits for the app while it restarts; zero: not at all.
    pub hold: Duration,
    /// Addresses of the app, which share its requests.
    pub upstreams: Vec<Upstream>,
    /// Of several addresses or processes, each session stays with one.
    pub sticky: bool,
    /// Who may open the app.
    pub access: Access,
    /// Who may not open the app, whatever `access` says.
    pub deny: Vec<Constraints>,
    /// Policies for parts of the app; the first that matches counts.
    pub rules: Vec<Rule>,
    /// Answer 401 instead of a redirect to the login.
    pub api: bool,
    /// Accept the issuer's access tokens in `Authorization: Bearer`.
    pub bearer: bool,
    /// Names of the identity headers; `None` sends no identity.
    pub identity: Option<Identity>,
    /// Largest request body in bytes; a larger one gets 413.
    pub max_body: Option<u64>,
    /// Time until the first byte of a response.
    pub timeout: Duration,
    /// `Origin` values that are accepted besides the app's own: of WebSocket handshakes, and of
    /// unsafe requests to an app with a host; `*` accepts all.
    pub origins: Vec<String>,
    /// Origins whose pages may show the app in a frame.
    pub embed: Vec<String>,
    /// If not empty, only these prefixes (relative to the app's path, on segment boundaries) are
    /// reachable from outside; all other paths get 404. The keycloak preset closes the admin
    /// console with it.
    pub exposed: Vec<String>,
    /// Paths below the app's path that always get 404 from outside, for example Streamlit's
    /// `/_stcore/metrics`.
    pub hidden_paths: Vec<String>,
    /// What scripts of other apps must not get.
    pub shield: Shield,
    /// The files that the appliance serves itself, in place of an upstream.
    pub files: Option<StaticFiles>,
}

/// What scripts and frames of the apps that have the same origin must not get of an app: prefixes
/// below its path. Programs that are no browsers get everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shield {
    /// Answered to a navigation of the person only.
    pub pages: Vec<String>,
    /// What of them is for everybody nevertheless.
    pub open: Vec<String>,
    /// Answered to no browser at all.
    pub programs: Vec<String>,
}

/// Names of the headers that carry the identity to the app (lower case).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Comma-joined, percent-encoded groups.
    pub groups: Option<String>,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// The access token.
    pub access_token: Option<String>,
    /// A signed assertion of the identity, valid for this app alone.
    pub assertion: Option<String>,
}

/// A folder with files that the appliance serves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticFiles {
    /// The folder: an absolute path.
    pub folder: PathBuf,
    /// Name of the file that stands for its folder.
    pub index: String,
    /// A page whose path names no file is the index of the folder.
    pub spa: bool,
}

impl StaticFiles {
    /// The first of these private files and folders that would be served, or that the folder is a part of.
    pub(crate) fn exposes<'p>(&self, private: &'p [PathBuf]) -> Option<&'p Path> {
        let folders = [self.folder.clone(), real(&self.folder)];
        let exposed = |path: &PathBuf| {
            let paths = [path.clone(), real(path)];
            folders.iter().any(|folder| paths.iter().any(|path| are_nested(folder, path)))
        };
        private.iter().find(|path| exposed(path)).map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_with_a_private_file_is_found_by_any_of_its_names() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir_all(at("home/site")).unwrap();
        symlink(at("home"), at("link")).unwrap();
        let private = [at("home/state"), at("link/secret")];
        for (folder, wanted) in [
            ("home", Some(&private[0])),
            ("link", Some(&private[0])),
            ("home/state", Some(&private[0])),
            ("home/state/sub", Some(&private[0])),
            ("home/secret", Some(&private[1])),
            ("home/site", None),
            ("link/site", None),
            ("home/stat", None),
        ] {
            let files = StaticFiles { folder: at(folder), index: String::new(), spa: false };
            assert_eq!(files.exposes(&private), wanted.map(PathBuf::as_path), "{folder}");
        }
        let files = StaticFiles { folder: "/".into(), index: String::new(), spa: false };
        assert!(files.exposes(&private).is_some());
    }
}
