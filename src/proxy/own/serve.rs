//! Answers the requests for the appliance's own endpoints.

use bytes::Bytes;
use http::{HeaderValue, Response};

use super::endpoints::{Own, Question};
use super::{login, operators, probes, style};
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::authorise;

/// Answers. `cookies` receives `Set-Cookie` values, which are sent also when the answer is a refusal.
pub(crate) async fn serve(
    proxy: &Proxy,
    own: Own,
    question: Question<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Response<Bytes>, Refusal> {
    if !own.allows(question.method) {
        return Err(Refusal::Method);
    }
    if !own.is_always_open() {
        proxy.gate.check()?;
    }
    match own {
        Own::Live => Ok(probes::live()),
        Own::Ready => Ok(probes::ready(&proxy.gate)),
        Own::Style => Ok(style::style(question.headers, &proxy.pages)),
        Own::Portal => {
            let caller = signed_in(proxy, question, cookies).await?;
            let id = question.manner.id;
            Ok(proxy.portal.page(&caller, proxy.routes.all(), &proxy.pages, id))
        }
        Own::Home => Ok(compose::redirect(&proxy.pages.portal())),
        // Without a login there are no operators.
        Own::Operators if proxy.auth.is_some() => {
            let caller = signed_in(proxy, question, cookies).await?;
            operators::serve(&proxy.gate, proxy.operators.as_ref(), &caller, question)
        }
        Own::Operators | Own::Unknown => Err(Refusal::NotFound),
        endpoint => match proxy.auth.as_deref() {
            Some(auth) => login::serve(auth, endpoint, question).await,
            None => Err(Refusal::NotFound),
        },
    }
}

/// The caller; refused if a login is configured and the request has no session.
async fn signed_in(
    proxy: &Proxy,
    question: Question<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Caller, Refusal> {
    let Some(auth) = proxy.auth.as_deref() else { return Ok(Caller::default()) };
    let mut caller = authenticate::identify(auth, question.headers).await?;
    *cookies = std::mem::take(&mut caller.cookies);
    if caller.person.is_none() {
        return Err(authorise::sign_in(question.navigation, question.path_and_query));
    }
    Ok(caller)
}
