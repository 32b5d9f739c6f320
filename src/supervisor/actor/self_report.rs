//! An app that says by itself that it is ready: by a line of its output, on a descriptor, or on a
//! socket.

use std::io;
use std::sync::Arc;

use tokio::sync::Notify as Said;

use crate::config::{App, Notify, ProbeKind};
use crate::supervisor::probe::notify::ReadyListener;
use crate::supervisor::process::output::Seen;
use crate::supervisor::process::spawn;
use crate::supervisor::process::spec::Spec;

/// Our ear for an app that says by itself that it is ready, and in its environment where to.
pub(super) fn listen(app: &App, spec: &mut Spec<'_>) -> io::Result<Option<ReadyListener>> {
    let Some(ProbeKind::Notify(how)) = app.ready.as_ref().map(|ready| &ready.kind) else {
        return Ok(None);
    };
    let (ear, name, value) = match how {
        Notify::Fd => {
            let (ear, theirs) = ReadyListener::pipe()?;
            let number = spec.notify.insert(spawn::keep(theirs)).number;
            (ear, "NOTIFY_FD", number.to_string())
        }
        Notify::Systemd => {
            let (ear, address) = ReadyListener::socket()?;
            (ear, "NOTIFY_SOCKET", address)
        }
    };
    spec.environment.insert(name.into(), value.into());
    Ok(Some(ear))
}

/// Passes on what the app says there.
pub(super) async fn hear(mut ear: ReadyListener, uid: u32, said: Arc<Said>) {
    loop {
        ear.ready(uid).await;
        // It may go on talking, and is neither held up nor killed by that.
        said.notify_one();
    }
}

/// Looks at lines for a `log` probe.
pub(super) fn reads(app: &App, said: &Arc<Said>) -> Seen {
    let Some(ProbeKind::Log(pattern)) = app.ready.as_ref().map(|ready| &ready.kind) else {
        return Box::new(|_| {});
    };
    let (said, pattern) = (said.clone(), pattern.clone());
    let mut found = false;
    Box::new(move |line| {
        if !found && pattern.is_match(line) {
            found = true;
            said.notify_one();
        }
    })
}
