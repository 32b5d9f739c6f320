//! The times of one app: its `schedule`, its `restart_at`, and whether an operator has switched the
//! schedule off.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{App, Schedule, WarmHours};
use crate::supervisor::process::environment::time_zone;
use crate::supervisor::timetable::Timetable;
use crate::supervisor::wall_clock::WallClock;

/// The times of one app.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) runs: Option<Timetable>,
    pub(super) restarts: Option<Timetable>,
    hours: Option<Hours>,
    /// An operator has stopped the app, or the app has `autostart = false`: it does not run at its
    /// times.
    pub(super) is_off: bool,
    /// The log says that a time was skipped because of the current run.
    pub(super) skip_is_logged: bool,
}

impl Times {
    pub(super) fn of(app: &App, clock: &dyn WallClock) -> Self {
        let mut times = Self { is_off: !app.autostart, ..Self::default() };
        times.follow(app, clock);
        times
    }

    /// Takes over the schedules of a changed app. The times of an unchanged schedule go on.
    pub(super) fn follow(&mut self, app: &App, clock: &dyn WallClock) {
        if app.schedule.is_none() && app.restart_at.is_none() && app.keep_warm.is_none() {
            (self.runs, self.restarts, self.hours) = (None, None, None);
            return;
        }
        let (zone, now) = (time_zone(app), clock.now());
        self.hours = app.keep_warm.clone().map(|hours| Hours::new(hours, zone.clone(), now));
        for (known, schedule) in
            [(&mut self.runs, &app.schedule), (&mut self.restarts, &app.restart_at)]
        {
            *known =
                schedule.as_ref().map(|schedule| take_over(known.take(), schedule, &zone, now));
        }
    }

    /// Whether the app runs at its times: not after a stop by command, again after a start.
    pub(super) fn switch(&mut self, on: bool, clock: &dyn WallClock) {
        if self.is_off
            && on
            && let Some(runs) = &mut self.runs
        {
            runs.begin(clock.now());
        }
        self.is_off = !on;
    }

    /// When the app runs next.
    pub(super) fn next_run(&self) -> Option<SystemTime> {
        self.runs.as_ref().filter(|_| !self.is_off)?.next().map(SystemTime::from)
    }

    /// Whether the app runs also unused, as its `keep_warm` says.
    pub(super) fn is_warm(&self) -> bool {
        self.hours.as_ref().is_some_and(|hours| hours.is_warm)
    }

    /// When the hours of `keep_warm` begin.
    pub(super) fn next_hours(&self) -> Option<SystemTime> {
        self.next_hours_change().filter(|_| !self.is_warm()).map(SystemTime::from)
    }

    fn next_hours_change(&self) -> Option<Timestamp> {
        self.hours.as_ref()?.change
    }

    pub(super) fn look_at_hours(&mut self, now: Timestamp) {
        if let Some(hours) = &mut self.hours {
            hours.look(now);
        }
    }

    /// When the clock must be looked at.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let runs = self.runs.as_ref().filter(|_| !self.is_off);
        let both = [runs, self.restarts.as_ref()].into_iter().flatten();
        both.filter_map(Timetable::next).chain(self.next_hours_change()).min()
    }
}

/// The hours of `keep_warm`, and whether the clock is in them.
#[derive(Debug)]
struct Hours {
    warm: WarmHours,
    zone: TimeZone,
    is_warm: bool,
    change: Option<Timestamp>,
}

impl Hours {
    fn new(hours: WarmHours, zone: TimeZone, now: Timestamp) -> Self {
        let (is_warm, change) = hours.at(now, &zone);
        Self { warm: hours, zone, is_warm, change }
    }

    fn look(&mut self, now: Timestamp) {
        (self.is_warm, self.change) = self.warm.at(now, &self.zone);
    }
}

fn take_over(
    known: Option<Timetable>,
    schedule: &Schedule,
    zone: &TimeZone,
    now: Timestamp,
) -> Timetable {
    let same = known.filter(|known| known.is_of(schedule, zone));
    same.unwrap_or_else(|| Timetable::new(schedule.clone(), zone.clone(), now))
}
