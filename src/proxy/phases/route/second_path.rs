//! The second path of a request, which a header names: where the app writes (`Destination` of `COPY` and
//! `MOVE`, `WebDAV`, RFC 4918 section 10.3), or what it reads (`X-Amz-Copy-Source` and its relatives, with
//! which object stores copy). The request needs the access to that path, too.

use http::header::HeaderMap;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::raw_path;
use super::requirements::{Act, Requirements};
use super::routed_app::RoutedApp;
use super::routes::{RouteMatch, Routes};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::host::{Host, parse_host};
use crate::proxy::phases::admit::path::AdmittedPath;

const DESTINATION: HeaderName = HeaderName::from_static("destination");
/// Joins uploads to one: `final;/files/a /files/b` (tus 1.0, Concatenation,
/// <https://tus.io/protocols/resumable-upload>).
const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const NO_DESTINATION: Refusal =
    Refusal::Malformed("the header Destination does not name a path of the app");
const NO_SOURCE: Refusal =
    Refusal::Malformed("the header with the source of a copy does not name a path of the app");

/// Last words of headers that name what an object store reads: S3, Azure, Google, Swift and others.
const SOURCES: [(&str, Role); 6] = [
    ("-copy-source", Role::Read),
    ("-move-source", Role::Moved),
    ("-copy-from", Role::Read),
    ("-rename-source", Role::Moved),
    ("-symlink-target", Role::Read),
    ("-object-manifest", Role::Read),
];
/// A source may be relative to an account or a container: to so many segments of the request's path below the
/// path of the app.
const LEVELS: usize = 3;

/// What the app does with a second path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Written,
    Read,
    /// Read, and gone afterwards.
    Moved,
}

/// The second paths of a request, `None` for a source that is no path. Nearly always empty; an empty vector
/// allocates no memory.
#[derive(Debug, Default)]
pub(crate) struct SecondPaths(Vec<(Role, Option<PathAndQuery>)>);

/// The request that names a second path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming<'a> {
    pub host: Host<'a>,
    pub method: &'a Method,
    pub path: &'a AdmittedPath,
}

impl SecondPaths {
    /// The second paths that the headers name. Sources are kept for every app: a reload may give it rules.
    ///
    /// # Errors
    ///
    /// `Destination` names no path, or several.
    pub(crate) fn of(headers: &HeaderMap, host: Host<'_>) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        if headers.contains_key(DESTINATION) {
            let path = only(headers, &DESTINATION).and_then(|value| written(value, host));
            all.push((Role::Written, Some(path.ok_or(NO_DESTINATION)?)));
        }
        for value in headers.get_all(UPLOAD_CONCAT) {
            all.extend(parts(value).map(|part| (Role::Read, part)));
        }
        for name in headers.keys() {
            if let Some(role) = source(name.as_str()) {
                all.push((role, only(headers, name).and_then(read)));
            }
        }
        Ok(Self(all))
    }

    /// Adds to the requirements of a request what its second paths require.
    ///
    /// # Errors
    ///
    /// A source is no path, a destination is none of the app, or no app gets such a path.
    pub(crate) fn require(
        &self,
        routes: &Routes,
        naming: Naming<'_>,
        mut requirements: Requirements,
    ) -> Result<Requirements, Refusal> {
        if self.0.is_empty() {
            return Ok(requirements);
        }
        let Some(asked) = routes.find(naming.host, naming.path.decoded()) else {
            return Err(NO_SOURCE);
        };
        let judged = Judged { routes, naming, asked };
        for (role, path) in &self.0 {
            let methods = match role {
                Role::Written => [naming.method, &Method::PUT],
                Role::Read => [&Method::GET; 2],
                Role::Moved => [&Method::GET, &Method::DELETE],
            };
            match (role, path) {
                (Role::Written, Some(path)) => {
                    judged.require_written(methods, path, &mut requirements)?;
                }
                _ if !judged.sources_matter() => {}
                (_, Some(path)) => judged.require_read(methods, path, &mut requirements)?,
                (_, None) => return Err(NO_SOURCE),
            }
        }
        Ok(requirements)
    }
}

/// What second paths are judged by.
struct Judged<'a> {
    routes: &'a Routes,
    naming: Naming<'a>,
    /// Where the path of the request itself leads to.
    asked: RouteMatch<'a>,
}

impl Judged<'_> {
    /// Whether not all paths that the app may read need the same access.
    fn sources_matter(&self) -> bool {
        let RouteMatch { app, nested, beside } = self.asked;
        !app.treats_all_paths_alike()
            || !nested.is_empty()
            || !app.route.strip_prefix && beside.len() > 1
    }

    /// Whether an app has a path below that of the app of the request. It counts like a rule: it may be the
    /// same program.
    fn is_nested(&self, other: &RoutedApp) -> bool {
        self.asked.nested.iter().any(|nested| nested.name == other.name)
    }

    fn require_written(
        &self,
        methods: [&Method; 2],
        path: &PathAndQuery,
        requirements: &mut Requirements,
    ) -> Result<(), Refusal> {
        let app = self.asked.app;
        // An app that gets no prefix may read the path with the prefix or without it.
        let with_prefix = app.route.strip_prefix.then(|| format!("{}{path}", app.route.path));
        let mut is_of_app = false;
        for text in [Some(path.to_string()), with_prefix].into_iter().flatten() {
            let path = admitted(&text, NO_DESTINATION)?;
            let found = self.routes.find(self.naming.host, path.decoded());
            raw_path::check(found, &path)?;
            let is_own = |other: &RoutedApp| other.name == app.name;
            let is_meant = |other: &RoutedApp| is_own(other) || self.is_nested(other);
            let Some(found) = found.filter(|found| is_meant(found.app)) else { continue };
            is_of_app |= is_own(found.app);
            add(requirements, found, methods, &path, NO_DESTINATION)?;
        }
        if is_of_app { Ok(()) } else { Err(NO_DESTINATION) }
    }

    /// Requires the access to a source in each of its readings. A store that gets its whole path may be another
    /// app under another path, too.
    fn require_read(
        &self,
        methods: [&Method; 2],
        source: &PathAndQuery,
        requirements: &mut Requirements,
    ) -> Result<(), Refusal> {
        let app = self.asked.app;
        for text in source_readings(source, self.naming.path.sent().path(), app) {
            let path = admitted(&text, NO_SOURCE)?;
            let found = self.routes.find(self.naming.host, path.decoded());
            let is_read = |other: &RoutedApp| {
                other.name == app.name || !app.route.strip_prefix || self.is_nested(other)
            };
            let Some(found) = found.filter(|found| is_read(found.app)) else { continue };
            raw_path::check(Some(found), &path)?;
            add(requirements, found, methods, &path, NO_SOURCE)?;
        }
        Ok(())
    }
}

fn add(
    requirements: &mut Requirements,
    found: RouteMatch<'_>,
    methods: [&Method; 2],
    path: &AdmittedPath,
    refusal: Refusal,
) -> Result<(), Refusal> {
    for method in methods {
        let act = Act { method, websocket: false };
        let Some(further) = Requirements::new(found, act, path) else { return Err(refusal) };
        requirements.add_all(&further);
    }
    Ok(())
}

fn admitted(text: &str, refusal: Refusal) -> Result<AdmittedPath, Refusal> {
    AdmittedPath::new(PathAndQuery::try_from(text).map_err(|_| refusal)?)
}

/// The paths that a source may stand for: below the root, the app and the first segments of the request's
/// path; and the same without its first segment, which is the bucket or the account where `Host` names it.
fn source_readings(source: &PathAndQuery, asked: &str, app: &RoutedApp) -> Vec<String> {
    let whole = source.as_str();
    let inner = whole[1..].find('/').map(|at| &whole[at + 1..]);
    let inner = inner.filter(|_| source.path()[1..].contains('/'));
    let own = app.route.path.trim_end_matches('/');
    let above = asked.match_indices('/').map(|(at, _)| &asked[..at]);
    let above: Vec<&str> = above.take(app.depth() + LEVELS + 1).chain([own]).collect();
    let texts = [Some(whole), inner].into_iter().flatten();
    texts.flat_map(|text| above.iter().map(move |above| format!("{above}{text}"))).collect()
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// What a header with this name is a source of. App servers read some signs as `-`. The last bytes rule out
/// nearly all headers.
fn source(name: &str) -> Option<Role> {
    if !matches!(name.as_bytes(), [.., b'c', b'e'] | [.., b'o', b'm'] | [.., b'e' | b's', b't']) {
        return None;
    }
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    let ends = |last: &str| {
        let tail = name.len().checked_sub(last.len()).map(|at| &name.as_bytes()[at..]);
        tail.is_some_and(|tail| tail.iter().map(|&byte| plain(byte)).eq(last.bytes()))
    };
    SOURCES.into_iter().find_map(|(last, role)| ends(last).then_some(role))
}

/// The path of `Destination`, which is a path or an address of this host.
fn written(value: &HeaderValue, host: Host<'_>) -> Option<PathAndQuery> {
    let uri: Uri = value.to_str().ok()?.trim().parse().ok()?;
    let is_here = |authority: &str| {
        parse_host(authority).is_some_and(|other| other.name.eq_ignore_ascii_case(host.name))
    };
    let path = uri
        .path_and_query()
        .filter(|path| path.path().starts_with('/') && !path.path().starts_with("//"))?;
    uri.authority().is_none_or(|authority| is_here(authority.as_str())).then(|| path.clone())
}

/// The path of a source: `/bucket/key`, `bucket/key`, the same with escaped slashes, or an address. The host of
/// an address does not count: a store knows itself by several names. Names of other kinds, such as
/// `arn:aws:s3:…`, are no paths.
fn read(value: &HeaderValue) -> Option<PathAndQuery> {
    value.to_str().ok().and_then(read_text)
}

/// The uploads that `Upload-Concat` joins. `partial` names none; what is no list counts as a source that is
/// no path.
fn parts(value: &HeaderValue) -> impl Iterator<Item = Option<PathAndQuery>> {
    let text = value.to_str().unwrap_or("final; #");
    let list = text.split_once(';').map(|(_, list)| list).unwrap_or_default();
    list.split_whitespace().map(read_text)
}

fn read_text(text: &str) -> Option<PathAndQuery> {
    let text = Some(text.trim()).filter(|text| !text.contains('#'))?;
    let path = match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            let (authority, path) = rest.split_once('/')?;
            (!authority.contains(['?', '%'])).then_some(path)?
        }
        _ => text,
    };
    let path = path.replace("%2F", "/").replace("%2f", "/");
    let path = path.trim_start_matches('/');
    let first = path.split(['/', '?']).next().filter(|first| !first.is_empty())?;
    let is_name = percent_decode_str(first).any(|byte| byte == b':');
    if is_name { None } else { format!("/{path}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_path_of_this_host() {
        let host = parse_host("apps.test:8080").unwrap();
        for (text, wanted) in [
            ("/a/b?c", Some("/a/b?c")),
            ("https://apps.test/a", Some("/a")),
            ("http://APPS.test:8080/a", Some("/a")),
            ("http://other.test/a", None),
            ("//other.test/a", None),
            ("a/b", None),
            ("", None),
        ] {
            let found = written(&HeaderValue::from_static(text), host);
            assert_eq!(found.as_ref().map(PathAndQuery::as_str), wanted, "{text}");
        }
    }

    #[test]
    fn joined_uploads_are_sources() {
        for (text, wanted) in [
            ("partial", &[][..]),
            ("final;/files/a /files/b", &[Some("/files/a"), Some("/files/b")]),
            ("final; http://any.test/files/a", &[Some("/files/a")]),
            ("final;/files/a #", &[Some("/files/a"), None]),
        ] {
            let value = HeaderValue::from_static(text);
            let found: Vec<_> = parts(&value).collect();
            let found: Vec<_> =
                found.iter().map(|part| part.as_ref().map(PathAndQuery::as_str)).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn a_source_is_known_by_the_end_of_its_name() {
        for (name, wanted) in [
            ("x-amz-copy-source", Some(Role::Read)),
            ("x_amz_copy_source", Some(Role::Read)),
            ("x-ms-copy-source", Some(Role::Read)),
            ("x-goog-copy-source", Some(Role::Read)),
            ("x-oss-copy-source", Some(Role::Read)),
            ("x-cos-copy-source", Some(Role::Read)),
            ("x-obs-copy-source", Some(Role::Read)),
            ("x-copy-from", Some(Role::Read)),
            ("x-symlink-target", Some(Role::Read)),
            ("x-object-manifest", Some(Role::Read)),
            ("x-ms-rename-source", Some(Role::Moved)),
            ("x-nos-move-source", Some(Role::Moved)),
            ("x-upyun-move-source", Some(Role::Moved)),
            ("x-amz-rename-source", Some(Role::Moved)),
            ("x-amz-copy-source-range", None),
            ("x-amz-copy-source-if-match", None),
            ("x-amz-source", None),
            ("copy-source", None),
            ("x-copy-fromage", None),
            ("source", None),
        ] {
            assert_eq!(source(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_source_is_a_path_or_an_address() {
        for (text, wanted) in [
            ("/bucket/key", Some("/bucket/key")),
            ("bucket/key?versionId=1", Some("/bucket/key?versionId=1")),
            ("//bucket/key", Some("/bucket/key")),
            ("%2Fbucket%2fkey%20x", Some("/bucket/key%20x")),
            ("https://any.test:1/c/b?sig=a%3D", Some("/c/b?sig=a%3D")),
            ("bucket/key?x=http://a/b", Some("/bucket/key?x=http://a/b")),
            ("arn:aws:s3:eu:1:accesspoint/a/object/k", None),
            ("%61rn%3aaws:s3", None),
            ("https%3A%2F%2Fany.test%2Fc", None),
            ("https://any.test", None),
            ("https://any.test?x/c", None),
            ("a b", None),
            ("a#b", None),
            ("/", None),
            ("", None),
        ] {
            let found = read(&HeaderValue::from_static(text));
            assert_eq!(found.as_ref().map(PathAndQuery::as_str), wanted, "{text}");
        }
    }
}
