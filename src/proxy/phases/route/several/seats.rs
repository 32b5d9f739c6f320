//! The place of each session of an app.
//!
//! Strangers cannot make this grow: at most [`MAX_VISITORS`] of them are counted, each for a bounded
//! time. Who is not counted stays with the same process nevertheless, because the pass names it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::pass::{Pass, Stamp};
use crate::auth::Session;

/// Most visitors without a session that are counted.
const MAX_VISITORS: usize = 4096;
/// How long a visitor counts after the first request, and again after the next one.
const VISIT: Duration = Duration::from_mins(30);

/// The places of an app that can take a request, one bit each.
pub(super) type Mask = u64;

/// The seats of one app. All configurations in which the app has several processes share them.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    /// A reload has given the app several processes.
    followed_one: bool,
    pub(super) stamp: Stamp,
    table: Mutex<Table<Weak<Session>>>,
}

/// Something that ends.
trait Ends {
    fn is_over(&self) -> bool;
}

impl Ends for Weak<Session> {
    fn is_over(&self) -> bool {
        self.upgrade().is_none_or(|session| session.is_over())
    }
}

/// Who sits where.
#[derive(Debug)]
struct Table<S> {
    sessions: HashMap<u128, (usize, S)>,
    visitors: HashMap<u64, usize>,
    /// When the visitors were counted, the earliest first.
    arrivals: VecDeque<(Instant, u64)>,
    /// The number of sessions and visitors of each process.
    counts: Vec<usize>,
}

impl Seats {
    /// `followed_one`: the app had one process, which is the first one now.
    pub(crate) fn new(followed_one: bool) -> Self {
        Self { followed_one, ..Self::default() }
    }

    pub(super) fn followed_one(&self) -> bool {
        self.followed_one
    }

    /// The process of a session. `before`: where a session sits that the table does not know.
    pub(super) fn of_session(
        &self,
        session: &Arc<Session>,
        ready: Mask,
        before: Option<usize>,
    ) -> Option<usize> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.session(session.number(), || Arc::downgrade(session), ready, before)
    }

    /// The pass of a visitor: the same one if its process can take the request. `before`: where a
    /// visitor without a pass sits.
    pub(super) fn of_visitor(
        &self,
        pass: Option<Pass>,
        ready: Mask,
        before: Option<usize>,
    ) -> Option<Pass> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.visitor(pass, ready, before, Instant::now())
    }
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            visitors: HashMap::new(),
            arrivals: VecDeque::new(),
            counts: Vec::new(),
        }
    }
}

impl<S: Ends> Table<S> {
    fn session(
        &mut self,
        id: u128,
        session: impl FnOnce() -> S,
        ready: Mask,
        before: Option<usize>,
    ) -> Option<usize> {
        let known = self.sessions.get(&id).map(|(at, _)| *at);
        if let Some(at) = known.filter(|at| is_in(ready, *at)) {
            return Some(at);
        }
        if known.is_none() {
            self.forget_ended();
        }
        let before = before.filter(|at| known.is_none() && is_in(ready, *at));
        let at = before.or_else(|| self.fewest(ready))?;
        match self.sessions.get_mut(&id) {
            Some((seat, _)) => {
                let left = std::mem::replace(seat, at);
                self.leave(left);
            }
            None => {
                self.sessions.insert(id, (at, session()));
            }
        }
        self.enter(at);
        Some(at)
    }

    fn visitor(
        &mut self,
        pass: Option<Pass>,
        ready: Mask,
        before: Option<usize>,
        now: Instant,
    ) -> Option<Pass> {
        self.forget_visitors(now);
        let stays = pass.filter(|pass| is_in(ready, pass.process));
        if let Some(pass) = stays
            && self.visitors.contains_key(&pass.id)
        {
            return Some(pass);
        }
        if let Some(left) = pass.and_then(|pass| self.visitors.remove(&pass.id)) {
            self.leave(left);
        }
        let pass = if let Some(pass) = stays {
            pass
        } else {
            let before = before.filter(|at| pass.is_none() && is_in(ready, *at));
            let process = before.or_else(|| self.fewest(ready))?;
            Pass { process, id: Pass::random_id() }
        };
        self.visitors.insert(pass.id, pass.process);
        self.arrivals.push_back((now, pass.id));
        self.enter(pass.process);
        Some(pass)
    }

    fn forget_ended(&mut self) {
        let ended: Vec<_> = self.sessions.extract_if(|_, (_, session)| session.is_over()).collect();
        for (_, (at, _)) in ended {
            self.leave(at);
        }
    }

    fn forget_visitors(&mut self, now: Instant) {
        while let Some((since, id)) = self.arrivals.front().copied() {
            if self.arrivals.len() < MAX_VISITORS && now < since + VISIT {
                return;
            }
            self.arrivals.pop_front();
            if let Some(at) = self.visitors.remove(&id) {
                self.leave(at);
            }
        }
    }

    /// The process with the fewest sessions.
    fn fewest(&self, ready: Mask) -> Option<usize> {
        let count = |at: &usize| self.counts.get(*at).copied().unwrap_or(0);
        (0..Mask::BITS as usize).filter(|at| is_in(ready, *at)).min_by_key(count)
    }

    fn enter(&mut self, at: usize) {
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
    }

    fn leave(&mut self, at: usize) {
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Whether a place is one of these.
pub(super) fn is_in(ready: Mask, at: usize) -> bool {
    u32::try_from(at).ok().and_then(|at| ready.checked_shr(at)).is_some_and(|ready| ready & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    type Ended = Rc<Cell<bool>>;

    impl Ends for Ended {
        fn is_over(&self) -> bool {
            self.get()
        }
    }

    fn seat(table: &mut Table<Ended>, id: u128, ready: Mask) -> Option<usize> {
        table.session(id, Ended::default, ready, None)
    }

    #[test]
    fn a_new_session_goes_to_the_process_with_the_fewest_and_stays() {
        let mut table = Table::default();
        let seats: Vec<_> = (0..6).map(|id| seat(&mut table, id, 0b111).unwrap()).collect();
        assert_eq!(seats, [0, 1, 2, 0, 1, 2]);
        for (id, at) in (0..).zip(seats) {
            assert_eq!(seat(&mut table, id, 0b111), Some(at));
        }
    }

    #[test]
    fn the_sessions_of_a_process_that_is_not_ready_move_and_stay_there() {
        let mut table = Table::default();
        for id in 0..6 {
            seat(&mut table, id, 0b111);
        }
        // Process 1 had the sessions 1 and 4. Nothing new goes there either.
        assert_eq!(seat(&mut table, 1, 0b101), Some(0));
        assert_eq!(seat(&mut table, 4, 0b101), Some(2));
        assert_eq!(seat(&mut table, 6, 0b101), Some(0));
        assert_eq!(seat(&mut table, 0, 0), None, "nobody is ready");
        // It is back: it has the fewest, and nobody moves back.
        assert_eq!(seat(&mut table, 1, 0b111), Some(0));
        assert_eq!(seat(&mut table, 4, 0b111), Some(2));
        assert_eq!(seat(&mut table, 7, 0b111), Some(1));
    }

    #[test]
    fn a_process_that_is_gone_leaves_its_sessions_to_the_others() {
        let mut table = Table::default();
        for id in 0..3 {
            seat(&mut table, id, 0b111);
        }
        assert_eq!(seat(&mut table, 2, 0b001), Some(0));
        assert_eq!(seat(&mut table, 0, 0b001), Some(0));
    }

    #[test]
    fn ended_sessions_do_not_count() {
        let mut table = Table::default();
        let ended = Ended::default();
        for id in 0..4 {
            assert_eq!(table.session(id, || ended.clone(), 0b1, None), Some(0));
        }
        assert_eq!(seat(&mut table, 4, 0b11), Some(1));
        ended.set(true);
        assert_eq!(seat(&mut table, 5, 0b11), Some(0));
        assert_eq!((table.sessions.len(), table.counts), (2, vec![1, 1]));
    }

    #[test]
    fn a_session_that_is_not_known_stays_where_it_was() {
        let mut table: Table<Ended> = Table::default();
        let mut seat = |id, ready, before| table.session(id, Ended::default, ready, before);
        assert_eq!(seat(1, 0b11, Some(0)), Some(0));
        assert_eq!(seat(2, 0b11, Some(0)), Some(0));
        assert_eq!(seat(3, 0b11, None), Some(1));
        assert_eq!(seat(4, 0b10, Some(0)), Some(1), "it cannot stay");
        assert_eq!(seat(1, 0b10, Some(0)), Some(1));
        assert_eq!(seat(1, 0b11, Some(0)), Some(1), "it does not move back");
    }

    #[test]
    fn a_visitor_stays_with_the_process_of_the_pass() {
        let mut table: Table<Ended> = Table::default();
        let now = Instant::now();
        let first = table.visitor(None, 0b11, None, now).unwrap();
        let second = table.visitor(None, 0b11, None, now).unwrap();
        assert_eq!((first.process, second.process), (0, 1));
        for later in [Duration::ZERO, VISIT, 3 * VISIT] {
            assert_eq!(table.visitor(Some(second), 0b11, None, now + later), Some(second));
        }
        let moved = table.visitor(Some(second), 0b01, None, now + 3 * VISIT).unwrap();
        assert_eq!(moved.process, 0);
        assert_eq!(table.visitor(Some(moved), 0b11, Some(0), now + 3 * VISIT), Some(moved));
        assert_eq!(table.counts, [1, 0]);
        let early = table.visitor(None, 0b11, Some(0), now + 3 * VISIT).unwrap();
        assert_eq!(early.process, 0, "the page was opened when the app had one process");
    }

    #[test]
    fn strangers_do_not_make_the_table_grow() {
        let mut table: Table<Ended> = Table::default();
        let now = Instant::now();
        for _ in 0..3 * MAX_VISITORS {
            table.visitor(None, 0b11, None, now);
        }
        assert!(table.visitors.len() <= MAX_VISITORS && table.arrivals.len() <= MAX_VISITORS);
        assert_eq!(table.counts.iter().sum::<usize>(), table.visitors.len());
        let difference = table.counts[0].abs_diff(table.counts[1]);
        assert!(difference <= 1, "no process gets more: {:?}", table.counts);
        table.visitor(None, 0b11, None, now + VISIT);
        assert_eq!(table.visitors.len(), 1);
    }
}
