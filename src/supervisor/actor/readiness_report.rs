//! Apps that report their readiness themselves: by a line of output, or by a notification.

use std::io;
use std::sync::Arc;

use tokio::sync::Notify as Reported;

use crate::config::{App, Notify, ProbeKind};
use crate::supervisor::probe::notifier::Notifier;
use crate::supervisor::probe::notify::ReadyListener;
use crate::supervisor::process::child;
use crate::supervisor::process::output::LineObserver;
use crate::supervisor::process::spec::Spec;

/// The listener for an app that notifies the appliance when it is ready, and the variable that
/// tells the app where to write.
pub(super) fn listener(app: &App, spec: &mut Spec) -> io::Result<Option<ReadyListener>> {
    let Some(ProbeKind::Notify(how)) = app.ready.as_ref().map(|ready| &ready.kind) else {
        return Ok(None);
    };
    let (listener, name, value) = match how {
        Notify::Fd => {
            let (listener, writer) = ReadyListener::pipe()?;
            let number = spec.notify.insert(child::inherit(writer)).number;
            (listener, "NOTIFY_FD", number.to_string())
        }
        Notify::Systemd => {
            let (listener, address) = ReadyListener::socket()?;
            (listener, "NOTIFY_SOCKET", address)
        }
    };
    spec.environment.insert(name.into(), value.into());
    Ok(Some(listener))
}

/// Passes on the notifications of an app.
pub(super) async fn pass_on(
    mut listener: ReadyListener,
    notifier: Notifier,
    reported: Arc<Reported>,
) {
    // Reads on after the first: an app that keeps writing must not block, and must not get SIGPIPE.
    loop {
        listener.ready(&notifier).await;
        reported.notify_one();
    }
}

/// Compares each line with the pattern of a `log` probe.
pub(super) fn line_observer(app: &App, reported: &Arc<Reported>) -> LineObserver {
    let Some(ProbeKind::Log(pattern)) = app.ready.as_ref().map(|ready| &ready.kind) else {
        return Box::new(|_| {});
    };
    let (reported, pattern) = (reported.clone(), pattern.clone());
    let mut found = false;
    Box::new(move |line| {
        if !found && pattern.is_match(line) {
            found = true;
            reported.notify_one();
        }
    })
}
