//! What strangers, issuers and browsers may send, for property tests: any text and any claims, made
//! mostly of the parts that parsers stumble over.

use proptest::prelude::*;
use serde_json::{Map, Number, Value};

/// Pieces that are separators, escapes or names somewhere.
const PIECES: [&str; 40] = [
    "/",
    "//",
    "\\",
    "..",
    ".",
    "%2e",
    "%2F",
    "%5c",
    "%00",
    "%",
    "%25",
    "?",
    "#",
    "@",
    ":",
    ";",
    "=",
    ",",
    "&",
    " ",
    "\t",
    "\r",
    "\n",
    "\0",
    "\u{7f}",
    "\u{a0}",
    "\u{2028}",
    "ü",
    "\u{130}",
    "\u{202e}",
    "oauth2",
    "%6fauth2",
    "sign_out",
    "http:",
    "https://apps.example",
    "evil.example",
    "javascript:",
    "appliance",
    "__Host-appliance",
    "client:",
];

/// Any text.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        2 => "[a-z]{1,4}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// Any JSON.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let entry = (prop_oneof![text(), Just("roles".to_owned())], inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::Array),
            prop::collection::vec(entry, 0..5)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// An object in which each of these claims is absent, is what it usually is, or is anything.
pub(crate) fn claims(
    usual: Vec<(&'static str, Value)>,
) -> impl Strategy<Value = Map<String, Value>> {
    let claim = |(name, value): (&'static str, Value)| {
        prop_oneof![
            5 => Just(Some(value)),
            1 => Just(None),
            2 => json().prop_map(Some),
        ]
        .prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let all: Vec<_> = usual.into_iter().map(claim).collect();
    all.prop_map(|all| all.into_iter().flatten().collect())
}
