//! The connections of one worker thread that have come in the same way: a reload that shuts the way
//! ends all of them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::ways::{Way, Ways};

/// One way, for the connections that have come by it. To ask whether it is shut costs no atomic
/// operation: every request asks.
#[derive(Debug)]
pub(crate) struct Passage {
    way: Way,
    is_shut: Cell<bool>,
    /// The tasks of the connections, each under its number.
    waiting: RefCell<HashMap<u64, Waker>>,
    last_number: Cell<u64>,
}

/// The ways by which connections of one worker thread have come in.
#[derive(Debug, Default)]
pub(crate) struct Passages(RefCell<Vec<Rc<Passage>>>);

/// The place of one connection in [`Passage::waiting`].
struct Waiter<'p> {
    passage: &'p Passage,
    number: u64,
    /// What is registered.
    waker: Waker,
}

impl Passage {
    fn new(way: Way, is_shut: bool) -> Rc<Self> {
        let (is_shut, last_number) = (Cell::new(is_shut), Cell::new(0));
        Rc::new(Self { way, is_shut, waiting: RefCell::default(), last_number })
    }

    /// Whether connections that have come in this way get no further request served.
    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut.get()
    }

    /// Returns when the way is shut.
    pub(crate) async fn shut(&self) {
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let mut waiter = Waiter { passage: self, number, waker: Waker::noop().clone() };
        poll_fn(|cx| {
            if self.is_shut() {
                return Poll::Ready(());
            }
            if !waiter.waker.will_wake(cx.waker()) {
                waiter.waker.clone_from(cx.waker());
                self.waiting.borrow_mut().insert(number, cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn close(&self) {
        self.is_shut.set(true);
        for (_, waker) in self.waiting.take() {
            waker.wake();
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.passage.waiting.borrow_mut().remove(&self.number);
    }
}

impl Passages {
    /// The passage of a connection that has come in now. It is shut if the newest configuration has no such
    /// way: a reload has come during the handshake.
    pub(crate) fn enter(&self, way: Way, newest: &Ways) -> Rc<Passage> {
        if !newest.include(&way) {
            return Passage::new(way, true);
        }
        let mut open = self.0.borrow_mut();
        if let Some(known) = open.iter().find(|one| one.way == way) {
            return Rc::clone(known);
        }
        let passage = Passage::new(way, false);
        open.push(Rc::clone(&passage));
        passage
    }

    /// Shuts the ways that the newest configuration does not have.
    pub(crate) fn follow(&self, newest: &Ways) {
        let mut open = self.0.borrow_mut();
        for gone in open.extract_if(.., |passage| !newest.include(&passage.way)) {
            gone.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;
    use crate::config::Listen;
    use crate::proxy::socket::entrance::{Entrance, Protocol};

    fn ways(port: u16) -> Ways {
        Ways::clear(at(port))
    }

    fn at(port: u16) -> Listen {
        Listen::Tcp(([127, 0, 0, 1], port).into())
    }

    fn way(port: u16) -> Way {
        Way::new(Rc::new(at(port)), &Entrance::Clear, Protocol::Http1)
    }

    #[test]
    fn a_reload_shuts_what_has_come_by_a_former_way_and_nothing_else() {
        let passages = Passages::default();
        let passage = passages.enter(way(80), &ways(80));
        assert!(Rc::ptr_eq(&passage, &passages.enter(way(80), &ways(80))));
        passages.follow(&ways(80));
        assert!(!passage.is_shut());
        passages.follow(&ways(81));
        assert!(passage.is_shut());
        assert!(passages.enter(way(80), &ways(81)).is_shut(), "it has come too late");
        // The address is back: only new connections use it.
        passages.follow(&ways(80));
        assert!(passage.is_shut() && !passages.enter(way(80), &ways(80)).is_shut());
    }

    #[test]
    fn connections_that_wait_are_woken_and_ended_ones_are_forgotten() {
        let passages = Passages::default();
        let passage = passages.enter(way(80), &ways(80));
        let woken = Arc::<Count>::default();
        let (mut ended, mut waiting) = (Box::pin(passage.shut()), pin!(passage.shut()));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert!(ended.as_mut().poll(&mut cx).is_pending());
        assert_eq!(passage.waiting.borrow().len(), 2);
        drop(ended);
        assert_eq!(passage.waiting.borrow().len(), 1);
        passages.follow(&ways(81));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(waiting.as_mut().poll(&mut cx).is_ready());
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
