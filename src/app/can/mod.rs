//! `appliance can`: whether a person may open a path, which policy of the configuration decides, and
//! why. It asks the phases of the proxy, so that its answer is that of a request.

mod claims;
mod report;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use http::Method;
use serde_json::{Map, Value};

use super::commands::{load, print};
use super::refused::{Refused, print_error};
use crate::auth::Person;
use crate::auth::policy::{Reason, Verdict};
use crate::config::Config;
use crate::proxy::{Ruling, TrialRequest, judge};

use report::Report;

const KEPT_OUT: &str = "the person cannot sign in: [oidc] require_verified_email is set, and the issuer \
                        does not say that the address is verified";

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// File with the claims; `-` is the standard input.
    pub claims: PathBuf,
    /// The path, with or without a query.
    pub path: String,
    /// The method.
    pub method: Method,
    /// The `Host`; `None` for that of `public_url`.
    pub host: Option<String>,
    /// Print JSON.
    pub json: bool,
}

/// `appliance can`: 0 if the person may, 1 if not.
pub fn can(path: &Path, question: &Question, out: &mut impl Write) -> u8 {
    let found = load(path).and_then(|config| {
        let claims = claims::read(&question.claims)?;
        Ok(answer(&config, question, claims))
    });
    let report = match found {
        Ok(report) => report,
        Err(Refused { code, text }) => {
            print_error(&text);
            return code;
        }
    };
    let text = if question.json { report.json() } else { words::of(&report) };
    match print(text.as_bytes(), out) {
        0 => u8::from(!report.allowed),
        code => code,
    }
}

fn answer(config: &Config, question: &Question, claims: Option<Map<String, Value>>) -> Report {
    let oidc = config.oidc.as_ref();
    let described = oidc.zip(claims).map(|(oidc, claims)| Person::of_claims(oidc, claims));
    let verifies = oidc.is_some_and(|oidc| oidc.require_verified_email);
    let is_kept_out = described.as_ref().is_some_and(|person| person.is_refused(verifies));
    let host = question.host.clone().unwrap_or_else(|| config.server.public_url.authority());
    let request = TrialRequest { method: &question.method, host: &host, path: &question.path };
    let person = described.as_ref().filter(|_| !is_kept_out);
    let ruling = judge(config, request, person);
    let mut report = Report::new(config, request, &ruling, person);
    if is_kept_out && needs_session(&ruling) {
        report.reason = Reason::EmailUnverified.as_str();
        KEPT_OUT.clone_into(&mut report.why);
    }
    report.user = described.map(|person| person.user).filter(|user| !user.is_empty());
    report
}

/// Whether only the missing session refuses the request.
fn needs_session(ruling: &Ruling) -> bool {
    let Ruling::Policies { judged, .. } = ruling else { return false };
    judged.iter().any(|one| one.verdict == Verdict::SignIn)
}
