//! The wall clock, and a timer on it.
//!
//! The timers of the runtime stand still while the machine sleeps and do not notice that the clock
//! is set. This one also ends then, and causes no wake-up before.

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// Without a kernel timer, the clock is looked at this often.
const LOOK: Duration = Duration::from_secs(30);

/// The wall clock.
pub(crate) trait WallClock: Debug + Send + Sync {
    /// What the clock shows.
    fn now(&self) -> Timestamp;
    /// Returns when the clock shows this time, or when the clock was set. The caller then looks at
    /// the clock: the time may not have come yet. A call that is dropped loses nothing.
    fn wait(&mut self, until: Timestamp) -> BoxFuture<'_, ()>;
}

/// The clock of the kernel. Its timer is created when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct KernelClock {
    timer: Option<AsyncFd<OwnedFd>>,
    set_for: Option<Timestamp>,
}

impl WallClock for KernelClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn wait(&mut self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(self.wait_for(until))
    }
}

impl KernelClock {
    async fn wait_for(&mut self, until: Timestamp) {
        match self.set(until) {
            Ok(Some(timer)) => {
                while let Ok(mut ready) = timer.readable().await {
                    let mut count = [0; 8];
                    // Also an error ends the wait: `ECANCELED` says that the clock was set. Only a
                    // wake-up for nothing does not.
                    if ready.try_io(|timer| Ok(rustix::io::read(timer, &mut count)?)).is_ok() {
                        break;
                    }
                }
            }
            // The clock was set just now.
            Ok(None) => {}
            Err(_) => {
                let left = until.duration_since(Timestamp::now());
                sleep(Duration::try_from(left).unwrap_or_default().min(LOOK)).await;
            }
        }
        self.set_for = None;
    }

    fn set(&mut self, until: Timestamp) -> io::Result<Option<&AsyncFd<OwnedFd>>> {
        let timer = self.timer.take().map_or_else(create, Ok)?;
        let timer = self.timer.insert(timer);
        if self.set_for == Some(until) {
            return Ok(Some(timer));
        }
        // A time of zero would switch the timer off.
        let at = Timespec {
            tv_sec: until.as_second(),
            tv_nsec: until.subsec_nanosecond().max(1).into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(timer.get_ref(), flags, &once) {
            Ok(_) => {
                self.set_for = Some(until);
                Ok(Some(timer))
            }
            Err(Errno::CANCELED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn create() -> io::Result<AsyncFd<OwnedFd>> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
    #[expect(
        deprecated,
        reason = "the new constructor is unsafe; this descriptor is never replaced"
    )]
    AsyncFd::new(timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends_at_its_time_also_after_dropped_calls_and_in_the_past() {
        let mut timer = KernelClock::default();
        for ahead in [40_i64, 120, -5000] {
            let until = Timestamp::now() + jiff::SignedDuration::from_millis(ahead);
            let dropped = tokio::time::timeout(Duration::from_millis(5), timer.wait(until)).await;
            if dropped.is_err() {
                timer.wait(until).await;
            }
            let late = Timestamp::now().duration_since(until).as_millis();
            assert!(
                (0..500).contains(&(late - i128::from((-ahead).max(0)))),
                "{ahead}: {late} ms late"
            );
        }
    }
}
