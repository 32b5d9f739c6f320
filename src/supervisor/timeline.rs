//! How long each app waited, started and became ready, and what the start of all apps waited for.
//!
//! Pure: the caller says what the clock shows.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::{App, AppName, Phase, Until};

/// The newest start of one app. A restart begins another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// When the start was due; `None` before the first one.
    began: Option<Instant>,
    setup_began: Option<Instant>,
    setup: Duration,
    started: Option<Instant>,
    ready: Option<Instant>,
    /// When the app was stopped or failed.
    over: Option<Instant>,
}

/// The times of a start. All but `waited` count from the moment at which the start was due: for a first
/// start, the start of the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// How long the app waited for other apps and for its turn, without its first-time setup.
    pub waited: Duration,
    /// When its process was started.
    pub started: Option<Duration>,
    /// When the app was ready.
    pub ready: Option<Duration>,
}

/// How the start of the appliance went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartReport {
    /// From the start of the appliance until nothing more was starting.
    pub took: Duration,
    /// What the whole waited for: each app waited for the one before, and the time that it needed itself
    /// follows its name.
    pub path: Vec<(AppName, Duration)>,
    /// The times of each app that has started.
    pub apps: Vec<(AppName, Timeline)>,
}

impl Course {
    /// A start that is due now.
    pub(crate) fn due(now: Instant) -> Self {
        Self { began: Some(now), ..Self::default() }
    }

    /// The app is in this phase from now on.
    pub(crate) fn follow(&mut self, phase: Phase, now: Instant) {
        self.end_setup(now);
        let begins =
            matches!(phase, Phase::Waiting | Phase::Setup | Phase::Starting | Phase::Ready);
        if self.began.is_none() && begins {
            *self = Self::due(now);
        }
        match phase {
            Phase::Waiting if self.over.is_some() || self.ready.is_some() => *self = Self::due(now),
            Phase::Setup => self.setup_began = Some(now),
            Phase::Starting => (self.started, self.ready) = (Some(now), None),
            Phase::Ready | Phase::Finished => {
                self.started.get_or_insert(now);
                self.ready.get_or_insert(now);
            }
            // A crash; the pause before the restart is part of the next start.
            Phase::Backoff if self.ready.is_some() => *self = Self::due(now),
            Phase::Stopping | Phase::Stopped | Phase::Idle | Phase::Failed => {
                self.over.get_or_insert(now);
            }
            Phase::Waiting | Phase::Backoff | Phase::Unready => {}
        }
    }

    fn end_setup(&mut self, now: Instant) {
        if let Some(began) = self.setup_began.take() {
            self.setup += now - began;
        }
    }

    /// The times of the start; `None` before the first start.
    pub fn timeline(&self, now: Instant) -> Option<Timeline> {
        let began = self.began?;
        let setup = self.setup + self.setup_began.map_or(Duration::ZERO, |since| now - since);
        let end = self.started.or(self.over).unwrap_or(now);
        Some(Timeline {
            waited: (end - began).saturating_sub(setup),
            started: self.started.map(|at| at - began),
            ready: self.ready.map(|at| at - began),
        })
    }
}

/// The report of a start that began at `zero` and is complete.
pub(crate) fn report(apps: &[(&App, Course)], zero: Instant, now: Instant) -> StartReport {
    let times = apps.iter().filter_map(|(app, course)| {
        course.started?;
        Some((app.name.clone(), course.timeline(now)?))
    });
    let last = apps.iter().filter_map(|(_, course)| course.ready).max();
    StartReport {
        took: last.map_or(Duration::ZERO, |last| last - zero),
        path: critical_path(apps),
        apps: times.collect(),
    }
}

/// From the app that was ready last back to the one that nothing held up, in the order of the start.
fn critical_path(apps: &[(&App, Course)]) -> Vec<(AppName, Duration)> {
    let course =
        |name: &AppName| apps.iter().find(|(app, _)| app.name == *name).map(|(_, course)| *course);
    let mut path = Vec::new();
    let last = apps.iter().filter(|(_, course)| course.ready.is_some());
    let mut next = last.max_by_key(|(_, course)| course.ready).copied();
    while let Some((app, own)) = next
        && let (Some(began), Some(ready)) = (own.began, own.ready)
        && path.len() < apps.len()
    {
        let met = |until, need: Course| match until {
            Until::Started => need.started,
            Until::Ready | Until::Finished => need.ready,
        };
        let needs = app.after.iter().filter_map(|after| {
            let met = met(after.until, course(&after.app)?)?;
            Some((&after.app, met))
        });
        // What was met before this start was due has not held it up.
        let held_up_by = needs.filter(|(_, met)| *met > began).max_by_key(|(_, met)| *met);
        let since = held_up_by.map_or(began, |(_, met)| met);
        path.push((app.name.clone(), ready.saturating_duration_since(since)));
        next = held_up_by
            .and_then(|(name, _)| apps.iter().find(|(app, _)| app.name == *name).copied());
    }
    path.reverse();
    path
}

/// A duration for people: milliseconds below a second, less exact above.
pub fn brief(duration: Duration) -> humantime::FormattedDuration {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let step = match ms {
        0..1_000 => 1,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    humantime::format_duration(Duration::from_millis(ms / step * step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::sample_apps as samples;
    use Phase::{
        Backoff, Failed, Finished, Idle, Ready, Setup, Starting, Stopped, Stopping, Unready,
        Waiting,
    };

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn long_durations_are_shown_less_exactly() {
        for (number, text) in [(7, "7ms"), (1_868, "1s 800ms"), (33_268, "33s"), (60_000, "1m")] {
            assert_eq!(brief(ms(number)).to_string(), text);
        }
    }

    /// Phases with their times; what the app has waited, when it was started, when it was ready.
    type Row = (&'static [(Phase, u64)], Option<Times>);
    type Times = (u64, Option<u64>, Option<u64>);

    #[test]
    fn a_course_follows_the_phases_of_its_app() {
        let zero = Instant::now();
        let rows: [Row; 13] = [
            (&[], Some((1000, None, None))),
            (&[(Starting, 5)], Some((5, Some(5), None))),
            (&[(Starting, 5), (Ready, 90)], Some((5, Some(5), Some(90)))),
            // Without a probe, an app is ready when it has started.
            (&[(Ready, 5)], Some((5, Some(5), Some(5)))),
            (&[(Starting, 5), (Finished, 90)], Some((5, Some(5), Some(90)))),
            (
                &[(Starting, 5), (Ready, 90), (Unready, 200), (Ready, 300)],
                Some((5, Some(5), Some(90))),
            ),
            // The setup is no waiting, the wait for another app after it is.
            (
                &[(Setup, 10), (Waiting, 400), (Starting, 600), (Ready, 700)],
                Some((210, Some(600), Some(700))),
            ),
            // An app that ended before it was started waits no longer.
            (&[(Setup, 10), (Failed, 400)], Some((10, None, None))),
            // The second attempt counts.
            (
                &[(Starting, 5), (Backoff, 50), (Starting, 150), (Ready, 200)],
                Some((150, Some(150), Some(200))),
            ),
            // A crash, and a restart by command: another start.
            (
                &[(Starting, 5), (Ready, 90), (Backoff, 500), (Starting, 550), (Ready, 600)],
                Some((50, Some(50), Some(100))),
            ),
            (
                &[(Ready, 90), (Stopping, 500), (Waiting, 520), (Starting, 521), (Ready, 600)],
                Some((1, Some(1), Some(80))),
            ),
            // The last start of an app that is down stays known.
            (
                &[(Starting, 5), (Ready, 90), (Stopping, 500), (Stopped, 520)],
                Some((5, Some(5), Some(90))),
            ),
            // The next run of a schedule.
            (
                &[(Starting, 5), (Finished, 90), (Waiting, 600), (Starting, 601), (Finished, 700)],
                Some((1, Some(1), Some(100))),
            ),
        ];
        for (phases, wanted) in rows {
            let mut course = Course::due(zero);
            for (phase, at) in phases {
                course.follow(*phase, zero + ms(*at));
            }
            let wanted = wanted.map(|(waited, started, ready)| Timeline {
                waited: ms(waited),
                started: started.map(ms),
                ready: ready.map(ms),
            });
            assert_eq!(course.timeline(zero + ms(1000)), wanted, "{phases:?}");
        }
        let mut course = Course::default();
        for phase in [Idle, Stopped, Failed] {
            course.follow(phase, zero);
            assert_eq!(course.timeline(zero), None);
        }
        course.follow(Waiting, zero + ms(5));
        assert_eq!(course.timeline(zero + ms(7)).map(|times| times.waited), Some(ms(2)));
    }

    fn course(zero: Instant, started: u64, ready: u64) -> Course {
        let mut course = Course::due(zero);
        course.follow(Starting, zero + ms(started));
        course.follow(Ready, zero + ms(ready));
        course
    }

    #[test]
    fn the_whole_waits_for_the_chain_that_ends_last() {
        let zero = Instant::now();
        let app = |name: &str, needs: &[(&str, Until)]| {
            let app = samples::app(name, &["true"]);
            needs.iter().fold(app, |app, (need, until)| samples::after(app, need, *until))
        };
        let both = [("db", Until::Ready), ("idp", Until::Started)];
        let apps = [
            (app("db", &[]), course(zero, 1, 200)),
            (app("idp", &[("db", Until::Ready)]), course(zero, 201, 9000)),
            (app("app1", &both), course(zero, 202, 700)),
            (app("app2", &[("idp", Until::Ready)]), course(zero, 9001, 9500)),
            (app("slow", &[]), course(zero, 1, 9400)),
            (app("later", &[("app2", Until::Ready)]), Course::default()),
        ];
        let all: Vec<_> = apps.iter().map(|(app, course)| (app, *course)).collect();
        let path = |count: usize| {
            let path = report(&all[..count], zero, zero + ms(20_000)).path;
            path.into_iter().map(|(name, time)| (name.to_string(), time)).collect::<Vec<_>>()
        };
        let entry = |name: &str, time| (name.to_owned(), ms(time));
        assert_eq!(path(0), []);
        assert_eq!(path(1), [entry("db", 200)]);
        assert_eq!(path(6), [entry("db", 200), entry("idp", 8800), entry("app2", 500)]);
        let report = report(&all, zero, zero + ms(20_000));
        assert_eq!((report.took, report.apps.len()), (ms(9500), 5));
        // What was there before the start has not held it up.
        let late =
            [(&apps[0].0, course(zero, 1, 200)), (&apps[1].0, course(zero + ms(500), 1, 50))];
        let last = super::report(&late, zero, zero + ms(999)).path;
        assert_eq!(last, [(samples::name("idp"), ms(50))]);
    }
}
