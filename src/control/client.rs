//! The client commands: send a request over the control socket, print the answer, return an exit
//! code.
//!
//! Blocking on purpose: `healthcheck` is a new process every few seconds, and an async runtime
//! would be most of its cost.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::protocol::{Answer, AppState, Request, Status};
use super::sessions;
use super::table::{Look, table};
use super::timeline::timeline;
use super::watch::{self, Frames};
use crate::auth::SessionRow;
use crate::config::app_of;
use crate::telemetry::Viewer;

/// Exit code: the appliance is not running.
pub const NOT_RUNNING: u8 = 69;
/// Exit code: the appliance runs as another user.
pub const NOT_PERMITTED: u8 = 77;
/// Exit code: the configuration file has errors.
const CONFIGURATION: u8 = 78;
/// Exit code: the answer cannot be printed.
const CANNOT_SHOW: u8 = 70;
/// Time for `healthcheck`, which must answer within three seconds.
const HEALTH_BUDGET: Duration = Duration::from_secs(3);
/// Time for requests that a working appliance answers at once.
const PROMPT_BUDGET: Duration = Duration::from_secs(10);

/// How `status` is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As a table.
    Table,
    /// How long the apps waited, started and became ready.
    Timeline,
    /// As JSON.
    Json,
}

/// How the answer is printed.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    /// Format of `status`.
    pub style: Style,
    /// Show only this app in `status`.
    pub only: Option<&'v str>,
    /// How lines of `logs` are shown.
    pub viewer: Viewer,
}

/// Why there is no exit code from the appliance.
enum Failure {
    Asking(std::io::Error),
    Showing(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Asking(error)
    }
}

/// Whether an appliance answers on the socket.
pub fn is_running(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Sends a request, prints the answer and returns the exit code.
pub fn ask(socket: &Path, request: &Request, view: View<'_>, out: &mut impl Write) -> u8 {
    match exchange(socket, request, &mut |answer| show(answer, view, out)) {
        Ok(code) => code,
        Err(failure) => {
            let (code, text) = explain(socket, request, &failure);
            print_error(&text);
            code
        }
    }
}

/// Shows `status` again and again until `end` says that it was the last time. Its argument is the pause
/// before the next one.
pub fn watch(
    socket: &Path,
    view: View<'_>,
    end: impl Fn(Duration) -> bool,
    out: &mut impl Write,
) -> u8 {
    let mut frames = Frames::new(view.viewer.terminal && view.style == Style::Table);
    loop {
        let mut text = Vec::new();
        let code = ask(socket, &Request::Status, view, &mut text);
        if code != 0 {
            return code;
        }
        let rows = view.viewer.terminal.then(size).flatten().map(|(_, rows)| rows);
        match frames.write(&String::from_utf8_lossy(&text), rows, out) {
            // The reader is gone.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return 0,
            Err(error) => {
                print_error(&format!("cannot print the answer: {error}"));
                return CANNOT_SHOW;
            }
            Ok(()) if end(watch::INTERVAL) => return 0,
            Ok(()) => {}
        }
    }
}

/// Width and height of the terminal.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let (width, height) = (size.ws_col, size.ws_row);
    // A terminal whose size nobody has set says 0.
    (width > 0 && height > 0).then_some((width.into(), height.into()))
}

fn explain(socket: &Path, request: &Request, failure: &Failure) -> (u8, String) {
    let error = match failure {
        // The reader of stdout is gone: nothing can be printed.
        Failure::Showing(error) if error.kind() == ErrorKind::BrokenPipe => {
            return (0, String::new());
        }
        Failure::Showing(error) => {
            return (CANNOT_SHOW, format!("cannot print the answer: {error}"));
        }
        Failure::Asking(error) => error,
    };
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => (
            NOT_RUNNING,
            format!("the appliance is not running (no answer on {})", socket.display()),
        ),
        ErrorKind::PermissionDenied => (
            NOT_PERMITTED,
            format!(
                "{}: permission denied; run the command as root or as the appliance's user",
                socket.display()
            ),
        ),
        ErrorKind::UnexpectedEof if matches!(request, Request::Logs { follow: true, .. }) => {
            (0, "the appliance has ended".to_owned())
        }
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            (1, "the appliance did not answer in time".to_owned())
        }
        _ if *request == Request::Health => (1, format!("the appliance is unhealthy: {error}")),
        _ => (NOT_RUNNING, format!("the appliance ended before it sent an answer: {error}")),
    }
}

fn print_error(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stderr(), "appliance: {text}");
    }
}

/// Time limit of the answer. Starting and stopping an app may take as long as the app takes.
fn budget(request: &Request) -> Option<Duration> {
    match request {
        Request::Health => Some(HEALTH_BUDGET),
        Request::Status
        | Request::Signal { .. }
        | Request::Sessions
        | Request::AdminLink
        | Request::EndSession { .. }
        | Request::EndSessions { .. } => Some(PROMPT_BUDGET),
        Request::Logs { .. }
        | Request::Start { .. }
        | Request::Stop { .. }
        | Request::Restart { .. }
        | Request::Reload { .. } => None,
    }
}

/// Sends the request and passes every answer to `show` until one has an exit code.
fn exchange(
    socket: &Path,
    request: &Request,
    show: &mut impl FnMut(Answer) -> std::io::Result<Option<u8>>,
) -> Result<u8, Failure> {
    let budget = budget(request);
    let until = budget.map(|budget| Instant::now() + budget);
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(budget)?;
    let mut line = serde_json::to_string(request).map_err(std::io::Error::from)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    for line in BufReader::new(stream).lines() {
        let answer = serde_json::from_str(&line?).map_err(std::io::Error::from)?;
        if let Some(code) = show(answer).map_err(Failure::Showing)? {
            return Ok(code);
        }
        if until.is_some_and(|until| Instant::now() > until) {
            return Err(Failure::Asking(ErrorKind::TimedOut.into()));
        }
    }
    Err(Failure::Asking(ErrorKind::UnexpectedEof.into()))
}

fn show(answer: Answer, view: View<'_>, out: &mut impl Write) -> std::io::Result<Option<u8>> {
    match answer {
        Answer::Line(line) => {
            let mut line = view.viewer.show(&line);
            line.push(b'\n');
            out.write_all(&line)?;
        }
        Answer::Status(mut status) => {
            if let Some(name) = view.only {
                // The name of an app with several processes stands for all of them.
                let is_meant = |app: &AppState| app.name == name || app_of(&app.name) == name;
                if !status.apps.iter().any(is_meant) {
                    let known = status.apps.iter().map(|app| app.name.as_str());
                    print_error(&super::unknown(name, known));
                    return Ok(Some(1));
                }
                status.apps.retain(is_meant);
            }
            show_status(&status, view, out)?;
        }
        Answer::Sessions(rows) => show_sessions(&rows, view, out)?,
        Answer::Plan { plan, lines } => match view.style {
            Style::Json => writeln!(out, "{plan}")?,
            Style::Table | Style::Timeline => {
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            }
        },
        Answer::Done { code, message } => {
            match message {
                Some(text) if code == 0 => writeln!(out, "{text}")?,
                // Errors in the file have the form of `appliance check`.
                Some(text) if code == CONFIGURATION => {
                    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
                }
                Some(text) => print_error(&text),
                None => {}
            }
            out.flush()?;
            return Ok(Some(code));
        }
    }
    Ok(None)
}

fn show_sessions(rows: &[SessionRow], view: View<'_>, out: &mut impl Write) -> std::io::Result<()> {
    if view.style == Style::Json {
        return writeln!(out, "{}", serde_json::json!({ "sessions": rows }));
    }
    let plain = Viewer { terminal: true, color: false };
    let clean = |text: &str| String::from_utf8_lossy(&plain.show(text)).into_owned();
    out.write_all(sessions::table(rows, Timestamp::now(), clean).as_bytes())
}

fn show_status(status: &Status, view: View<'_>, out: &mut impl Write) -> std::io::Result<()> {
    match view.style {
        Style::Json => writeln!(out, "{}", serde_json::to_string(status)?),
        Style::Table => {
            let Viewer { terminal, color } = view.viewer;
            let width = terminal.then(size).flatten().map(|(width, _)| width);
            let look = Look { width, color, now: Timestamp::now() };
            // A reason may contain text from an app or the issuer.
            let plain = Viewer { terminal, color: false };
            let clean = |text: &str| String::from_utf8_lossy(&plain.show(text)).into_owned();
            out.write_all(table(status, look, clean).as_bytes())
        }
        Style::Timeline => timeline(status).lines().try_for_each(|line| {
            out.write_all(&view.viewer.show(line))?;
            out.write_all(b"\n")
        }),
    }
}
