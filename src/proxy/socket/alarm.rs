//! The one mechanism for every time limit of the proxy.
//!
//! A timer of tokio reports nothing in a turn in which its task has used up its share of the thread
//! ("cooperative budget"). A peer that always has bytes ready uses the share up in every turn, so its
//! timer would never fire. An alarm therefore looks at the clock itself, each time before its task
//! goes on, and uses the timer only to be woken.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A moment at which a wait is over.
#[derive(Debug)]
pub(crate) struct Alarm {
    due: Instant,
    /// Fires at or before `due`. It is made when the task first waits, and moved only when it has
    /// fired or would fire too late: most waits end long before.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Goes off at `due`.
    pub(crate) fn at(due: Instant) -> Self {
        Self { due, timer: None }
    }

    /// Goes off after that long.
    pub(crate) fn after(time: Duration) -> Self {
        Self::at(Instant::now() + time)
    }

    /// Goes off at `due` instead.
    pub(crate) fn set(&mut self, due: Instant) {
        self.due = due;
    }

    /// Ready once the moment has come, however busy the task is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due;
        if Instant::now() >= due {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// Waits that long.
pub(crate) async fn pause(time: Duration) {
    let mut alarm = Alarm::after(time);
    poll_fn(|cx| alarm.poll(cx)).await;
}

/// What a future comes to within that long; `None` when it takes longer.
pub(crate) async fn within<F: Future>(longest: Duration, future: F) -> Option<F::Output> {
    let mut alarm = Alarm::after(longest);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => alarm.poll(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);

    /// Uses up the share of its task in every turn and is woken at once, as a socket does on which
    /// bytes never end.
    async fn flood() {
        poll_fn(|cx| {
            while tokio::task::coop::has_budget_remaining() {
                let mut spend = pin!(tokio::task::coop::consume_budget());
                if spend.as_mut().poll(cx).is_pending() {
                    break;
                }
            }
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn goes_off_in_a_task_that_is_never_idle() {
        let began = Instant::now();
        assert_eq!(within(MOMENT, flood()).await, None);
        let mut alarm = Alarm::after(MOMENT);
        let mut busy = pin!(flood());
        poll_fn(|cx| {
            let _ = busy.as_mut().poll(cx);
            alarm.poll(cx)
        })
        .await;
        let took = began.elapsed();
        assert!(took >= 2 * MOMENT && took < 20 * MOMENT, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn goes_off_when_it_is_due() {
        let began = Instant::now();
        pause(MOMENT).await;
        assert_eq!(began.elapsed(), MOMENT);
        assert_eq!(within(MOMENT, async { 7 }).await, Some(7));
        let mut alarm = Alarm::after(10 * MOMENT);
        assert_eq!(within(MOMENT, poll_fn(|cx| alarm.poll(cx))).await, None);
        alarm.set(Instant::now() + MOMENT);
        assert_eq!(within(2 * MOMENT, poll_fn(|cx| alarm.poll(cx))).await, Some(()));
        alarm.set(Instant::now() + 3 * MOMENT);
        assert_eq!(within(2 * MOMENT, poll_fn(|cx| alarm.poll(cx))).await, None);
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(began.elapsed(), 6 * MOMENT);
    }
}
