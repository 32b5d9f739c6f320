use http::HeaderValue;

use super::*;
use crate::auth::policy::{Lack, Reason};
use crate::config::AppName;
use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::path_fault::PathFault;
use crate::proxy::answer::refuse::refuse;
use crate::proxy::tests::marked_pages;
use crate::texts::Language;
use crate::texts::leftovers::leftovers;

const PHASES: [Phase; 11] = [
    Phase::Waiting,
    Phase::Setup,
    Phase::Starting,
    Phase::Ready,
    Phase::Unready,
    Phase::Stopping,
    Phase::Stopped,
    Phase::Idle,
    Phase::Finished,
    Phase::Backoff,
    Phase::Failed,
];

const FAULTS: [PathFault; 13] = [
    PathFault::Byte(b'\\'),
    PathFault::Byte(b'"'),
    PathFault::Byte(0xff),
    PathFault::Escape(b'\\'),
    PathFault::Escape(0),
    PathFault::Percent,
    PathFault::Escapes,
    PathFault::Dots,
    PathFault::Displaced,
    PathFault::Semicolon,
    PathFault::EscapedSemicolon,
    PathFault::EscapedSlash,
    PathFault::EmptySegment,
];

fn one() -> String {
    "1".to_owned()
}

/// Every page about a refusal, with values that have no letters.
fn all() -> Vec<Refusal> {
    let lack = || Lack::new(Reason::GroupMissing, Text::LackGroup.with("name", "1"));
    let mut all = vec![
        Refusal::Malformed("1"),
        Refusal::MethodNotAllowed,
        Refusal::TransferCoding,
        Refusal::Expectation,
        Refusal::HeadersTooLarge { header: one(), bytes: 1 },
        Refusal::HeadersTooLarge { header: "Cookie".into(), bytes: 1 },
        Refusal::TooManyHeaders,
        Refusal::TargetTooLong,
        Refusal::WebSocketVersion,
        Refusal::UnknownHost { host: one() },
        Refusal::OtherServerName { host: one() },
        Refusal::Starting { message: Text::IssuerSetup.into(), reason: one(), in_progress: true },
        Refusal::Starting { message: Text::IssuerSetup.into(), reason: one(), in_progress: false },
        Refusal::NoCertificate { authority: one() },
        Refusal::NotFound,
        Refusal::NoFile,
        Refusal::FilesAreRead,
        Refusal::Framed { address: one(), embedded: None },
        Refusal::Framed { address: one(), embedded: Some((AppName::new("a").unwrap(), one())) },
        Refusal::IssuerDown,
        Refusal::TooManyConnections,
        Refusal::TooManyRequests { seconds: 1, login: true },
        Refusal::Denied { app: Some(one()), lack: lack(), user: one() },
        Refusal::Denied { app: None, lack: lack(), user: one() },
        Refusal::CrossSite,
        Refusal::InAdvance,
        Refusal::Shielded,
        Refusal::BodyTooLarge,
        Refusal::BodyTimeout,
        Refusal::upstream("1", one()),
        Refusal::UpstreamTimeout { app: one() },
        Refusal::InterimResponses { app: one() },
        Refusal::Internal,
    ];
    all.extend(PHASES.map(|phase| Refusal::NotReady { app: one(), phase }));
    all.extend(FAULTS.map(Refusal::Path));
    all
}

/// `localhost` is the right address, and a word such as `not_found` is for programs.
fn is_value(word: &str, refusal: &Refusal) -> bool {
    ["http", "localhost"].contains(&word) || refusal.code().split('_').any(|part| part == word)
}

#[test]
fn no_word_on_a_page_about_a_refusal_is_outside_of_the_texts() {
    let (pages, id) = (marked_pages(), HeaderValue::from_static("0"));
    let language = Language::Marks;
    let cases =
        all().into_iter().map(|one| (one, false)).chain(all().into_iter().map(|one| (one, true)));
    for (refusal, embedded) in cases {
        let format = ResponseFormat { pages: &pages, page: true, embedded, id: &id, language };
        let response = refuse(&refusal, format);
        assert_eq!(response.headers()["content-language"], "zxx");
        assert_eq!(response.headers()["vary"], "accept-language");
        let page = std::str::from_utf8(response.body()).unwrap();
        let mut words = leftovers(page);
        words.retain(|word| !is_value(word, &refusal));
        assert_eq!(words, [""; 0], "{refusal:?} {page}");
    }
}

#[test]
fn programs_get_english_whatever_they_accept() {
    let (pages, id) = (marked_pages(), HeaderValue::from_static("0"));
    let german = HeaderValue::from_static("de");
    let format = ResponseFormat::of(&pages, false, &id, Some(&german));
    let response = refuse(&Refusal::NotFound, format);
    assert_eq!(response.body(), "\"Check the address, or go to your apps.\"");
    assert!(!response.headers().contains_key("content-language"));
}

#[test]
fn the_page_and_the_log_say_the_same_about_a_path() {
    for fault in FAULTS {
        let message = Refusal::Path(fault).message("").to_string();
        assert!(message.starts_with(&sentence(&fault.reason())), "{message} {fault:?}");
        assert_eq!(message.contains("raw_path"), fault.passes_raw(), "{message}");
    }
}
