//! The response to a request for a file.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::body::FileBody;
use super::conditions::{Validators, Verdict};
use super::{media_type, range};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::headers::content_coding::{Accepted, Coding};
use crate::proxy::upstream::lasting::Bond;
use crate::site::{self, File, Found, Pace, Question, Site, SiteError};

/// The endings of compressed neighbours.
const ENDINGS: [(Coding, &str); 3] =
    [(Coding::Brotli, ".br"), (Coding::Zstd, ".zst"), (Coding::Gzip, ".gz")];

/// Who else gets the files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience {
    /// Everybody gets the same.
    pub public: bool,
    /// The same for the page of the site for paths without a file; `None` if the client may not have it.
    pub missing: Option<bool>,
}

/// What a path of a site gets.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A head, and the body if it has one. Its length is in the head.
    File(Response<Option<FileBody>>),
    /// The page of the site for a path without a file.
    Missing(Response<Option<FileBody>>),
    /// The path of a folder needs a slash at its end.
    Folder,
    /// No descriptor is left for the file.
    Exhausted,
}

/// Finds the file of a request. `path` is decoded and begins below the path of the app. `page`: a person
/// opens a page.
///
/// # Errors
///
/// There is no file, or it cannot be read now.
pub(crate) async fn respond(
    site: &Arc<Site>,
    title: &str,
    head: &Parts,
    path: &[u8],
    page: bool,
    audience: Audience,
    bond: Bond,
) -> Result<Reply, Refusal> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(Refusal::FilesAreRead);
    }
    let question = Question {
        path: path.to_vec(),
        page,
        missing: audience.missing.is_some(),
        read: head.method == Method::GET && !has_conditions(&head.headers),
        // On HTTP/2, a client may ask for many files and take none.
        pace: if bond.shares_connection() { Pace::Growing } else { Pace::Whole },
        endings: site::ENDINGS,
        accepted: accepted(&head.headers),
    };
    let found = match site.find(question).await {
        Ok(found) => found,
        Err(SiteError::Exhausted) => return Ok(Reply::Exhausted),
        Err(SiteError::Late) => return Err(Refusal::UpstreamTimeout { app: title.to_owned() }),
        Err(SiteError::Unreadable(error)) => {
            return Err(Refusal::upstream(title, format!("a file cannot be read: {error}")));
        }
    };
    match found {
        Found::Folder => Ok(Reply::Folder),
        Found::Nothing { page: None } => Err(Refusal::NoFile),
        Found::Nothing { page: Some(file) } => {
            let (mut response, part) = whole(&file, audience.missing == Some(true));
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(Reply::Missing(with_body(response, part, site, file, &head.method, bond)))
        }
        Found::File(file) => {
            let (response, part) = describe(&file, &head.method, &head.headers, audience.public);
            Ok(Reply::File(with_body(response, part, site, file, &head.method, bond)))
        }
    }
}

/// A head, and the part of the file that follows.
type Described = (Response<()>, Option<(u64, u64)>);

/// Decides about conditions and ranges.
fn describe(file: &File, method: &Method, headers: &HeaderMap, public: bool) -> Described {
    let validators = Validators::of(file, SystemTime::now());
    let (mut response, part) = whole(file, public);
    let own = response.headers_mut();
    own.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::from_str(&validators.tag) {
        own.insert(ETAG, tag);
    }
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(validators.modified)) {
        own.insert(LAST_MODIFIED, date);
    }
    match validators.judge(headers) {
        Verdict::NotModified => return without_body(response, StatusCode::NOT_MODIFIED),
        Verdict::Failed => return without_body(response, StatusCode::PRECONDITION_FAILED),
        Verdict::Send => {}
    }
    let header = headers.get(RANGE).filter(|_| *method == Method::GET);
    let header = header.and_then(|header| header.to_str().ok());
    let Some(header) = header.filter(|_| validators.allow_range(headers)) else {
        return (response, part);
    };
    match range::asked(header, file.length) {
        range::Asked::Whole => (response, part),
        range::Asked::Part(start, end) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let shown = format!("bytes {start}-{}/{}", end - 1, file.length);
            set_range(response.headers_mut(), &shown, end - start);
            (response, Some((start, end)))
        }
        range::Asked::Nothing => {
            let (mut response, _) = without_body(response, StatusCode::RANGE_NOT_SATISFIABLE);
            set_range(response.headers_mut(), &format!("bytes */{}", file.length), 0);
            (response, None)
        }
    }
}

/// The whole file.
fn whole(file: &File, public: bool) -> Described {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type::of(&file.name));
    headers.insert(CONTENT_LENGTH, file.length.into());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A browser asks each time whether the file has changed. What a login decides about belongs into no
    // shared cache.
    let caching = if public { "public, no-cache" } else { "private, no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    if file.varies {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    let coding = ENDINGS.iter().find(|(_, ending)| Some(*ending) == file.ending);
    if let Some((coding, _)) = coding {
        headers.insert(CONTENT_ENCODING, coding.name());
    }
    (response, Some((0, file.length)))
}

fn without_body(mut response: Response<()>, status: StatusCode) -> Described {
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        headers.remove(name);
    }
    if status == StatusCode::NOT_MODIFIED {
        headers.remove(CONTENT_LENGTH);
    } else {
        headers.insert(CONTENT_LENGTH, 0.into());
        headers.remove(ETAG);
        headers.remove(LAST_MODIFIED);
    }
    (response, None)
}

fn set_range(headers: &mut HeaderMap, range: &str, length: u64) {
    if let Ok(range) = HeaderValue::from_str(range) {
        headers.insert(CONTENT_RANGE, range);
    }
    headers.insert(CONTENT_LENGTH, length.into());
}

fn with_body(
    response: Response<()>,
    part: Option<(u64, u64)>,
    site: &Arc<Site>,
    file: File,
    method: &Method,
    bond: Bond,
) -> Response<Option<FileBody>> {
    let part = part.filter(|_| *method == Method::GET);
    response.map(|()| part.map(|part| FileBody::new(site, file, part, bond)))
}

/// Whether perhaps not the beginning of the file is sent.
fn has_conditions(headers: &HeaderMap) -> bool {
    let names = [RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE];
    names.iter().any(|name| headers.contains_key(name))
}

/// The endings of the neighbours that the client can read, the best one first.
fn accepted(headers: &HeaderMap) -> Vec<&'static str> {
    let ranked = Accepted::of(headers.get_all(ACCEPT_ENCODING).iter()).ranked().into_iter();
    let ending = |wanted: Coding| ENDINGS.iter().find(|(coding, _)| *coding == wanted);
    ranked.filter_map(|coding| Some(ending(coding)?.1)).collect()
}
