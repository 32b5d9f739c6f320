//! Answers a permitted request with a file of its site.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use super::context::{ConnectionContext, RequestContext};
use super::granted::Granted;
use super::permit::Kind;
use super::response_body::BodySource;
use crate::proxy::answer::cause::Cause;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::compression::{self, Plain};
use crate::proxy::files::body::FileBody;
use crate::proxy::files::respond::{Audience, Reply, respond};
use crate::proxy::phases::access::authorise;
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::headers::caching;
use crate::proxy::upstream::lasting::Bond;
use crate::site::{MISSING, Site};

/// Answers with a file of `site`.
///
/// # Errors
///
/// There is no such file, the request does not only read, or it has lost its right meanwhile.
pub(super) async fn serve(
    context: &ConnectionContext,
    request: &mut RequestContext,
    head: &Parts,
    path: &AdmittedPath,
    site: &Arc<Site>,
    granted: &Granted,
    kind: Kind,
) -> Result<Response<BodySource>, Refusal> {
    if kind.websocket {
        return Err(Refusal::NoFile);
    }
    let app = granted.right.app();
    let audience = audience(granted);
    let bond = Bond::new(granted.right.clone(), false, Rc::clone(&context.state));
    let relative = app.relative(path.decoded());
    let reply = respond(site, &app.title, head, relative, request.page, audience, bond).await;
    if let Some((right, loss)) = granted.lost() {
        return Err(authorise::lost(loss, right, kind.navigation, path.sent().as_str()));
    }
    let response = match reply? {
        Reply::File(response) => response,
        Reply::Missing(response) => {
            request.record.cause = Some(Cause::of(&Refusal::NoFile));
            response
        }
        Reply::Folder => return Ok(with_slash(path).map(BodySource::Appliance)),
        Reply::Exhausted => {
            context.worker.proxy.capacity.descriptors().exhausted().await;
            return Err(Refusal::TooManyConnections);
        }
    };
    Ok(deliver(context, head, granted, response))
}

/// The page for paths without a file is under the rules of its own path.
fn audience(granted: &Granted) -> Audience {
    let public = granted.right.is_public();
    let missing = granted.right.reach(&format!("/{MISSING}"));
    Audience { public, missing: missing.map(|everybody| public && everybody) }
}

/// The redirect to the path of a folder, with a slash at its end.
fn with_slash(path: &AdmittedPath) -> Response<Bytes> {
    let sent = path.sent();
    let query = sent.query().map(|query| format!("?{query}")).unwrap_or_default();
    compose::moved_permanently(&format!("{}/{query}", sent.path()))
}

/// Keeps pages out of caches, and compresses, as with the responses of apps.
fn deliver(
    context: &ConnectionContext,
    head: &Parts,
    granted: &Granted,
    mut response: Response<Option<FileBody>>,
) -> Response<BodySource> {
    let proxy = &context.worker.proxy;
    if granted.page && granted.right.has_session() {
        caching::keep_out_of_caches(response.headers_mut());
    }
    if let Some(embedding) = &granted.right.app().embedding {
        embedding.allow(response.headers_mut());
    }
    let Some(file) = response.body_mut().take() else {
        return response.map(|_| BodySource::EMPTY);
    };
    let asked = compression::Asked::of(proxy.compression, &head.method, &head.headers);
    let (status, store) = (response.status(), &proxy.compressed);
    let delivery =
        asked.deliver(status, response.headers_mut(), Plain::File(Box::new(file)), store);
    response.map(|_| BodySource::of(delivery))
}
