//! The claims of the person, from a file or the standard input.

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::app::refused::{Refused, USAGE};
use crate::config::ownership::operator_file::{self, LARGEST};

/// The claims; `None` for `null`, somebody who is not signed in.
pub(super) fn read(path: &Path) -> Result<Option<Map<String, Value>>, Refused> {
    let name = path.display();
    let text = read_text(path)
        .map_err(|error| usage(&format!("cannot read the claims from {name}: {error}")))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(claims)) => Ok(Some(claims)),
        Ok(Value::Null) => Ok(None),
        Ok(_) => Err(usage(&format!(
            "{name} is not a JSON object; write the claims of the person, such as {{\"groups\": [\"staff\"]}}, or `null` for somebody who is not signed in"
        ))),
        Err(error) => Err(usage(&format!("{name} is not JSON: {error}"))),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return operator_file::read_text_once(path);
    }
    let mut text = String::new();
    io::stdin().lock().take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn usage(text: &str) -> Refused {
    Refused { code: USAGE, text: format!("appliance: {text}") }
}
