//! A pool that has a thread also while the kernel gives out no new ones (`EAGAIN`).
//!
//! The blocking pool of the runtime ends all its threads after a while without work, and panics if it
//! then gets no new one. Here one thread never ends. Work that finds no thread waits for the next one
//! that is free.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a thread without work waits for more.
const KEEP: Duration = Duration::from_secs(10);

/// Most threads beside the one that never ends. Further work waits.
const MOST: usize = 256;

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Threads without work.
    idle: usize,
    /// Threads that end without work.
    threads: usize,
    /// The thread that never ends exists.
    has_resident: bool,
}

/// Starts the thread that never ends, in the pool of the runtime: then also the look-ups of names,
/// which libraries do there, wait for a new thread instead of panicking.
pub(crate) fn keep_one() -> io::Result<()> {
    // The runtime panics where it gets no thread; this one fails.
    thread::Builder::new().spawn(|| ())?;
    let start = |is_resident| {
        #[expect(clippy::disallowed_methods, reason = "a thread was to be had a moment ago")]
        tokio::task::spawn_blocking(move || POOL.serve(is_resident));
        Ok(())
    };
    POOL.state().keep_one(start)
}

/// Does the work on another thread. A panic of the work is a panic here. Work goes on if nobody waits
/// for it any more.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        // Work may open sockets of the runtime.
        let _entered = runtime.enter();
        drop(tell.send(catch_unwind(AssertUnwindSafe(work))));
    };
    POOL.add(Box::new(work), start);
    match told.await {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => resume_unwind(panic),
        // The pool drops no work.
        Err(_) => std::future::pending().await,
    }
}

fn start(is_resident: bool) -> io::Result<()> {
    let serve = move || POOL.serve(is_resident);
    thread::Builder::new().name("blocking".to_owned()).spawn(serve).map(drop)
}

impl State {
    fn keep_one(&mut self, start: impl FnOnce(bool) -> io::Result<()>) -> io::Result<()> {
        if !self.has_resident {
            start(true)?;
            self.has_resident = true;
        }
        Ok(())
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, work: Work, start: impl Fn(bool) -> io::Result<()>) {
        let mut state = self.state();
        state.waiting.push_back(work);
        if state.waiting.len() <= state.idle {
            self.arrived.notify_one();
        } else if state.has_resident {
            // Without a new thread, the work waits for one that is busy now.
            if state.threads < MOST && start(false).is_ok() {
                state.threads += 1;
            }
        } else {
            let _ = state.keep_one(start);
        }
    }

    fn serve(&self, is_resident: bool) {
        while let Some(work) = self.next(is_resident) {
            work();
        }
    }

    /// The next work; `None` if a thread that may end has waited long enough.
    fn next(&self, is_resident: bool) -> Option<Work> {
        let mut state = self.state();
        let mut is_late = false;
        loop {
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            if is_late {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            if is_resident {
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                let waited = self.arrived.wait_timeout(state, KEEP);
                let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                (state, is_late) = (again, timeout.timed_out());
            }
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    #[tokio::test]
    async fn work_is_done_at_the_same_time_and_its_panic_is_seen() {
        let (tell, told) = mpsc::channel();
        let first = tokio::spawn(blocking(move || told.recv().unwrap()));
        tokio::task::yield_now().await;
        // The first one is still busy.
        blocking(move || tell.send(7).unwrap()).await;
        assert_eq!(first.await.unwrap(), 7);
        let panicked = tokio::spawn(blocking(|| panic!("on purpose")));
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(blocking(|| 8).await, 8);
    }

    #[test]
    fn there_are_not_too_many_threads() {
        let pool: &'static Pool = Box::leak(Box::default());
        let started = AtomicU32::new(0);
        let start = |_| {
            started.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        for _ in 0..2000 {
            pool.add(Box::new(|| ()), start);
        }
        assert_eq!(started.load(Ordering::SeqCst), 1 + u32::try_from(MOST).unwrap());
    }

    #[test]
    fn without_new_threads_the_work_waits_for_the_resident_one() {
        let pool: &'static Pool = Box::leak(Box::default());
        let refused = |_| Err(io::ErrorKind::WouldBlock.into());
        let done = Arc::new(AtomicU32::new(0));
        let add = |start: &dyn Fn(bool) -> io::Result<()>| {
            let done = done.clone();
            let work = move || {
                done.fetch_add(1, Ordering::SeqCst);
            };
            pool.add(Box::new(work), start);
        };
        add(&refused);
        assert!(!pool.state().has_resident);
        let started = AtomicU32::new(0);
        let resident = |is_resident: bool| {
            assert!(is_resident, "the first one stays");
            started.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || pool.serve(is_resident));
            Ok(())
        };
        add(&resident);
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while done.load(Ordering::SeqCst) < 2 || pool.state().idle < 1 {
            assert!(std::time::Instant::now() < end, "{done:?}");
            thread::yield_now();
        }
        for _ in 0..10 {
            add(&refused);
        }
        while done.load(Ordering::SeqCst) < 12 {
            assert!(std::time::Instant::now() < end, "{done:?}");
            thread::yield_now();
        }
        assert_eq!(started.load(Ordering::SeqCst), 1);
    }
}
