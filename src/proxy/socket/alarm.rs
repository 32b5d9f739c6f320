//! Time limits that also hold in a busy task. All time limits of connections use them.
//!
//! A tokio timer is never ready in a poll in which its task has used up its cooperative budget. A peer
//! that always has bytes ready uses up the budget in every poll, so the timer would never fire. An alarm
//! therefore reads the clock in every poll, and uses the timer only to wake the task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The end of a wait.
#[derive(Debug)]
pub(crate) struct Alarm {
    due: Instant,
    /// Fires at or before `due`. The timer is created by the first wait, and moved only when it has fired
    /// or would fire too late: most waits end long before.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// An alarm at `due`.
    pub(crate) fn at(due: Instant) -> Self {
        Self { due, timer: None }
    }

    /// An alarm after `time`.
    pub(crate) fn after(time: Duration) -> Self {
        Self::at(Instant::now() + time)
    }

    /// Moves the alarm to `due`.
    pub(crate) fn set(&mut self, due: Instant) {
        self.due = due;
    }

    /// Ready when the alarm is due.
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

/// Waits for `time`.
pub(crate) async fn pause(time: Duration) {
    let mut alarm = Alarm::after(time);
    poll_fn(|cx| alarm.poll(cx)).await;
}

/// The output of a future; `None` if it takes longer than `longest`.
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

    /// Uses up the budget of its task in every poll, like a socket with bytes without end.
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
    async fn an_alarm_is_ready_in_a_task_that_is_never_idle() {
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
    async fn an_alarm_is_ready_when_it_is_due() {
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
