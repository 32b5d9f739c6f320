//! When an app with `idle_stop` is stopped, with all its processes. Pure: the caller says what was
//! used, and what the clock shows.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Phase;

/// An app that was started and not used yet is kept at least this long: the page that people see
/// meanwhile asks again every two seconds.
const FIRST_USE: Duration = Duration::from_secs(5);
/// While requests wait for the app, the next look follows after this time at the latest.
const NEXT_LOOK: Duration = Duration::from_secs(1);

/// One process of an app.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) phase: Phase,
    /// `idle_stop`; `None` if the process has none yet, or must run at this time.
    pub(crate) limit: Option<Duration>,
    /// When the process became ready.
    pub(crate) up_since: Instant,
}

/// What is known of an app whose use is judged now: the `idle_stop`, and when the last of its
/// processes became ready. `None` if the app is not up or must run.
///
/// A process that starts or ends is waited for, and settles in a bounded time. One that waits for a
/// restart, or has failed, does not keep the others running.
pub(crate) fn whole(members: &[Member]) -> Option<(Duration, Instant)> {
    let settles = |phase| matches!(phase, Phase::Setup | Phase::Starting | Phase::Stopping);
    if members.iter().any(|one| settles(one.phase)) {
        return None;
    }
    let limits: Option<Vec<_>> = members.iter().map(|one| one.limit).collect();
    let is_up = |one: &&Member| matches!(one.phase, Phase::Ready | Phase::Unready);
    let up_since = members.iter().filter(is_up).map(|one| one.up_since).max();
    limits?.into_iter().max().zip(up_since)
}

/// What is known of the use of an app that is up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    /// `idle_stop`.
    pub(crate) limit: Duration,
    /// When the app became ready.
    pub(crate) up_since: Instant,
    /// When the app was used last, also before that.
    pub(crate) last: Instant,
    /// A request waits for the app.
    pub(crate) busy: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody uses the app: it is stopped.
    Stop,
    /// The app runs on until this moment at least.
    LookAt(Instant),
}

/// Whether the app is stopped now.
pub(crate) fn judge(found: &Use, now: Instant) -> Verdict {
    let Use { limit, up_since, last, busy } = *found;
    let due = if last > up_since { last + limit } else { up_since + limit.max(FIRST_USE) };
    if now < due {
        Verdict::LookAt(due)
    } else if busy {
        Verdict::LookAt(now + limit.min(NEXT_LOOK))
    } else {
        Verdict::Stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_judged_as_a_whole() {
        use Phase::{
            Backoff, Failed, Idle, Ready, Setup, Starting, Stopped, Stopping, Unready, Waiting,
        };
        let zero = Instant::now();
        let seconds = Duration::from_secs;
        // Phase, limit and beginning of each process; limit and beginning of the app.
        for (members, wanted) in [
            (&[] as &[(Phase, Option<u64>, u64)], None),
            (&[(Ready, Some(60), 7)], Some((60, 7))),
            (&[(Unready, Some(60), 7)], Some((60, 7))),
            (&[(Ready, None, 7)], None),
            (&[(Backoff, Some(60), 7)], None),
            (&[(Idle, Some(60), 7)], None),
            (&[(Ready, Some(60), 7), (Ready, Some(60), 9)], Some((60, 9))),
            // The last one is still to come, or is about to leave.
            (&[(Ready, Some(60), 7), (Starting, Some(60), 0)], None),
            (&[(Ready, Some(60), 7), (Setup, Some(60), 0)], None),
            (&[(Ready, Some(60), 7), (Stopping, Some(60), 0)], None),
            (&[(Stopping, Some(60), 7), (Idle, Some(60), 0)], None),
            // One that does not run does not keep the other one.
            (&[(Ready, Some(60), 7), (Backoff, Some(60), 9)], Some((60, 7))),
            (&[(Ready, Some(60), 7), (Waiting, Some(60), 9)], Some((60, 7))),
            (&[(Failed, Some(60), 9), (Ready, Some(60), 7)], Some((60, 7))),
            (&[(Stopped, Some(60), 9), (Ready, Some(60), 7)], Some((60, 7))),
            (&[(Idle, Some(60), 9), (Ready, Some(60), 7)], Some((60, 7))),
            (&[(Failed, Some(60), 9), (Idle, Some(60), 7)], None),
            // A reload replaces one process after the other.
            (&[(Ready, Some(60), 9), (Ready, None, 7)], None),
            (&[(Ready, Some(60), 7), (Ready, Some(90), 9)], Some((90, 9))),
        ] {
            let found: Vec<_> = members
                .iter()
                .map(|(phase, limit, up)| Member {
                    phase: *phase,
                    limit: limit.map(seconds),
                    up_since: zero + seconds(*up),
                })
                .collect();
            let wanted = wanted.map(|(limit, up)| (seconds(limit), zero + seconds(up)));
            assert_eq!(whole(&found), wanted, "{members:?}");
        }
    }

    #[test]
    fn an_app_is_stopped_when_it_was_unused_for_its_limit() {
        let zero = Instant::now();
        let at = |seconds: u64| zero + Duration::from_secs(seconds);
        // Limit, ready at, last use at, busy, now; when the next look is due, or `None` for the stop.
        for (limit, up, last, busy, now, wanted) in [
            (60, 100, 130, false, 130, Some(190)),
            (60, 100, 130, false, 189, Some(190)),
            (60, 100, 130, false, 190, None),
            (60, 100, 130, false, 999, None),
            // Not used since it is up: its start counts.
            (60, 100, 20, false, 159, Some(160)),
            (60, 100, 20, false, 160, None),
            // With a short limit, the first request has time to come.
            (1, 100, 20, false, 101, Some(105)),
            (1, 100, 20, false, 105, None),
            (1, 100, 101, false, 101, Some(102)),
            (1, 100, 101, false, 102, None),
            // A request waits for the app.
            (60, 100, 130, true, 150, Some(190)),
            (60, 100, 130, true, 190, Some(191)),
            (60, 100, 130, true, 999, Some(1000)),
        ] {
            let found =
                Use { limit: Duration::from_secs(limit), up_since: at(up), last: at(last), busy };
            let wanted = wanted.map_or(Verdict::Stop, |due| Verdict::LookAt(at(due)));
            assert_eq!(judge(&found, at(now)), wanted, "{limit} {up} {last} {busy} {now}");
        }
    }
}
