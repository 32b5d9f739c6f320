//! The client commands: ask over the control socket, print, end with a telling code.
//!
//! Blocking on purpose: `healthcheck` is a new process every few seconds, and a runtime would be
//! most of its cost.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::protocol::{Answer, Request};
use super::table::table;

/// The appliance is not running.
pub const NOT_RUNNING: u8 = 69;
/// It runs as somebody else.
pub const NOT_PERMITTED: u8 = 77;
/// HEALTHCHECK knows 0 and 1; INTERFACE gives it three seconds.
const HEALTH_BUDGET: Duration = Duration::from_secs(3);

/// How `status` is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A table.
    Table,
    /// `status --json`
    Json,
}

/// Carries a request out and returns the exit code. `only`: show that app's status alone.
pub fn ask(
    socket: &Path,
    request: &Request,
    style: Style,
    only: Option<&str>,
    out: &mut impl Write,
) -> u8 {
    let budget = (*request == Request::Health).then_some(HEALTH_BUDGET);
    match exchange(socket, request, budget, &mut |answer| show(answer, style, only, out)) {
        Ok(code) => code,
        Err(error) => {
            let (code, text) = explain(socket, request, &error);
            complain(&text);
            code
        }
    }
}

fn explain(socket: &Path, request: &Request, error: &std::io::Error) -> (u8, String) {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => (
            NOT_RUNNING,
            format!("the appliance is not running (nobody answers at {})", socket.display()),
        ),
        ErrorKind::PermissionDenied => (
            NOT_PERMITTED,
            format!("{}: not permitted; ask as root or as the appliance's user", socket.display()),
        ),
        ErrorKind::UnexpectedEof if matches!(request, Request::Logs { follow: true, .. }) => {
            (0, "the appliance has ended".to_owned())
        }
        // Whoever reads our output has gone: nothing to say, nobody to say it to.
        ErrorKind::BrokenPipe => (0, String::new()),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            (1, "the appliance did not answer in time".to_owned())
        }
        _ if *request == Request::Health => (1, format!("the appliance is not well: {error}")),
        _ => (NOT_RUNNING, format!("the appliance ended before it answered: {error}")),
    }
}

fn complain(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stderr(), "appliance: {text}");
    }
}

/// Sends the request and hands every answer to `show` until one gives an exit code.
fn exchange(
    socket: &Path,
    request: &Request,
    budget: Option<Duration>,
    show: &mut impl FnMut(Answer) -> std::io::Result<Option<u8>>,
) -> std::io::Result<u8> {
    let until = budget.map(|budget| Instant::now() + budget);
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(budget)?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    for line in BufReader::new(stream).lines() {
        if let Some(code) = show(serde_json::from_str(&line?)?)? {
            return Ok(code);
        }
        if until.is_some_and(|until| Instant::now() > until) {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Err(ErrorKind::UnexpectedEof.into())
}

fn show(
    answer: Answer,
    style: Style,
    only: Option<&str>,
    out: &mut impl Write,
) -> std::io::Result<Option<u8>> {
    match answer {
        Answer::Line(line) => writeln!(out, "{line}")?,
        Answer::Status(mut status) => {
            if let Some(name) = only {
                status.apps.retain(|app| app.name == name);
                if status.apps.is_empty() {
                    complain(&format!("there is no app called {name}"));
                    return Ok(Some(1));
                }
            }
            match style {
                Style::Json => writeln!(out, "{}", serde_json::to_string(&status)?)?,
                Style::Table => write!(out, "{}", table(&status))?,
            }
        }
        Answer::Done { code, message } => {
            match message {
                Some(text) if code == 0 => writeln!(out, "{text}")?,
                Some(text) => complain(&text),
                None => {}
            }
            return Ok(Some(code));
        }
    }
    Ok(None)
}
