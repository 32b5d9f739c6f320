//! What is checked when nothing fails any more.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::time::{sleep, timeout};

use super::apps::{EVERY_20_SECONDS, SEVERAL, SLEEPERS, key};
use super::checks::is_surely_met;
use super::process::Role;
use super::world::World;
use crate::config::{After, App, Phase, Restart};
use crate::supervisor::handle::AppStatus;
use crate::supervisor::sample_apps::name;
use crate::supervisor::wall_clock::WallClock as _;

impl World {
    /// Nothing fails any more: each app gets to where it belongs.
    pub(super) async fn rest(&mut self) {
        self.kernel.calm();
        sleep(Duration::from_mins(1)).await;
        // A setup that had begun before has failed.
        self.note_failures();
        let statuses = self.handle.status();
        let names: Vec<_> = statuses.iter().map(|one| one.name.clone()).collect();
        let wanted: Vec<_> =
            self.configuration.processes.iter().map(|(one, _)| one.name.clone()).collect();
        if names != wanted {
            self.kernel.state().violate(format!("{names:?} are shown, not {wanted:?}"));
            return;
        }
        for status in &statuses {
            if let Some(problem) = self.at_rest(status, &statuses) {
                let text = format!("at rest, {}: {problem}; {status:?}", status.name);
                self.kernel.state().violate(text);
            }
        }
        self.follow_the_clock(&statuses).await;
        self.restart_one_after_the_other().await;
        self.wake_all().await;
    }

    fn at_rest(&self, status: &AppStatus, all: &[AppStatus]) -> Option<String> {
        let (app, version) = self.configuration.get(status.name.as_str())?;
        let living = self.kernel.living(app.name.as_str());
        let is_warm = self.is_warm(app);
        let by_clock = app.restart_at.is_some() || is_warm.is_none();
        let moves =
            [Phase::Setup, Phase::Starting, Phase::Stopping, Phase::Waiting, Phase::Backoff];
        match status.phase {
            // The clock may have started it just now.
            phase if by_clock && moves.contains(&phase) => None,
            // The earlier version serves until what is new has what it waits for.
            Phase::Ready if app.name.is_replica() && self.keeps_its_version(app, all) => None,
            Phase::Ready | Phase::Starting if app.run.is_some() => {
                if status.phase == Phase::Starting && !app.oneshot {
                    return Some("it does not become ready".to_owned());
                }
                let leaders: Vec<_> =
                    living.iter().filter(|(_, role, _)| *role == Role::Leader).collect();
                let [(pid, _, of)] = leaders[..] else {
                    return Some(format!("it has the processes {living:?}"));
                };
                if status.pid != Some(*pid) {
                    return Some(format!("its process is {pid}"));
                }
                if app.idle_stop.is_some() && is_warm == Some(false) {
                    return Some("it does not sleep, although nobody uses it".to_owned());
                }
                (of != version).then(|| format!("it runs as version {of}, not {version}"))
            }
            Phase::Stopped | Phase::Idle | Phase::Failed | Phase::Finished | Phase::Waiting
                if !living.is_empty() =>
            {
                Some(format!("{living:?} live"))
            }
            Phase::Failed if self.always_restarts(app.name.as_str()) => {
                // Only a setup fails for good.
                let setup = app.run.as_ref().is_some_and(|run| !run.setup.is_empty());
                (!setup).then(|| "it has no reason to fail".to_owned())
            }
            Phase::Idle => {
                // One that has ended with success sleeps where it would not restart.
                let must_run = is_warm == Some(true) && app.restart == Restart::Always;
                (app.idle_stop.is_none() || must_run)
                    .then(|| "it has no reason to sleep".to_owned())
            }
            Phase::Ready | Phase::Stopped | Phase::Failed => None,
            Phase::Finished => (!app.oneshot).then(|| "it is no oneshot".to_owned()),
            // It waits for its time.
            Phase::Waiting if status.next_run.is_some() => None,
            Phase::Waiting => {
                let down = |need: &After| {
                    all.iter()
                        .any(|one| one.name == need.app && !is_surely_met(one.phase, need.until))
                };
                (!app.after.iter().any(down)).then(|| "nothing keeps it from starting".to_owned())
            }
            _ => Some("it does not come to rest".to_owned()),
        }
    }

    /// Whether a process of an app with several may be of an earlier version: another one of the new
    /// version has failed, or waits for something that is down.
    fn keeps_its_version(&self, app: &App, all: &[AppStatus]) -> bool {
        let mut others = all.iter().filter(|one| one.name.app() == app.name.app());
        self.known.lock().unwrap().failed.contains(app.name.app())
            || others.any(|one| one.phase == Phase::Waiting)
    }

    /// Whether an app has never had a setting that lets it fail for good.
    fn always_restarts(&self, app: &str) -> bool {
        let known = self.known.lock().unwrap();
        let mut of_app = known.configurations.values().filter_map(|one| one.get(app));
        of_app.all(|(app, _)| app.restart == Restart::Always && app.max_restarts > 10_000)
    }

    /// Whether the app is in its hours; `None` if that has changed a short time ago.
    fn is_warm(&self, app: &App) -> Option<bool> {
        let Some(hours) = &app.keep_warm else { return Some(false) };
        let now = self.clock.now();
        let before = now - SignedDuration::from_secs(30);
        let [now, before] = [now, before].map(|at| hours.at(at, &TimeZone::UTC).0);
        (now == before).then_some(now)
    }

    /// Jobs run and apps restart at their times.
    async fn follow_the_clock(&self, before: &[AppStatus]) {
        let spawned = self.kernel.state().spawned.clone();
        sleep(Duration::from_secs(45)).await;
        let after = self.handle.status();
        let runs = |process: &str| {
            let state = self.kernel.state();
            let count = |of: &std::collections::BTreeMap<String, u32>| {
                of.get(&key(process)).copied().unwrap_or_default()
            };
            count(&state.spawned) - count(&spawned)
        };
        for (before, after) in before.iter().zip(&after) {
            let process = after.name.as_str();
            let Some((app, _)) = self.configuration.get(process) else { continue };
            let wanted = match app.schedule.as_ref().map(|schedule| schedule.text.as_str()) {
                _ if !app.after.is_empty() => continue,
                Some(_) if before.next_run.is_none() => continue,
                Some("every 5s") => 7..=10,
                _ if self.clock.was_set_back() => continue,
                Some("*/7 * * * * *") => 5..=8,
                _ => {
                    let restarts = app.restart_at.as_ref();
                    let restarts = restarts.is_some_and(|at| at.text == EVERY_20_SECONDS);
                    let both_ready = [before, after].iter().all(|one| one.phase == Phase::Ready);
                    if !restarts || !both_ready {
                        continue;
                    }
                    2..=3
                }
            };
            let runs = runs(process);
            if !wanted.contains(&runs) {
                let text = format!("{process} has run {runs} times by the clock, not {wanted:?}");
                self.kernel.state().violate(text);
            }
        }
    }

    /// A restart of an app with several processes, which is never without one that is ready.
    async fn restart_one_after_the_other(&self) {
        for app in SEVERAL {
            let statuses = self.handle.status();
            let before: Vec<_> = statuses.iter().filter(|one| one.name.app() == app).collect();
            let may_rest = |one: &AppStatus| {
                let config = self.configuration.get(one.name.as_str());
                config.is_none_or(|(config, _)| config.idle_stop.is_some())
            };
            let all_ready = before.iter().all(|one| one.phase == Phase::Ready);
            if before.len() < 2 || !all_ready || before.iter().any(|one| may_rest(one)) {
                continue;
            }
            let Some(phase) = self.handle.phase(&name(app)) else { continue };
            self.known.lock().unwrap().rushed.insert(app.to_owned());
            let handle = self.handle.clone();
            let mut restart = tokio::spawn(async move { handle.restart(app, true).await });
            let mut passed = 0;
            while timeout(Duration::from_millis(1), &mut restart).await.is_err() {
                if !phase.borrow().is_ready() {
                    self.kernel.state().violate(format!("no process of {app} is ready"));
                }
                passed += 1;
                if passed > 60_000 {
                    let phases: Vec<_> = self
                        .handle
                        .status()
                        .iter()
                        .map(|one| (one.name.clone(), one.phase))
                        .collect();
                    let text = format!("the restart of {app} does not end: {phases:?}");
                    return self.kernel.state().violate(text);
                }
            }
            for (one, now) in
                before.iter().zip(self.handle.status().iter().filter(|one| one.name.app() == app))
            {
                if one.pid == now.pid || now.phase != Phase::Ready {
                    let text = format!("after its restart, {} is {:?}", now.name, now.phase);
                    self.kernel.state().violate(text);
                }
            }
        }
    }

    /// A request starts each app that sleeps.
    async fn wake_all(&mut self) {
        for app in SLEEPERS {
            let of_app = |one: &&AppStatus| one.name.app() == app;
            if !self.handle.status().iter().filter(of_app).any(|one| one.phase == Phase::Idle) {
                continue;
            }
            self.request(app);
            let mut starts = false;
            for _ in 0..200 {
                sleep(Duration::from_millis(20)).await;
                // It waits while a dependency is down.
                starts |= self.handle.status().iter().filter(of_app).any(|one| {
                    one.phase == Phase::Waiting || !self.kernel.living(one.name.as_str()).is_empty()
                });
            }
            if !starts {
                self.kernel.state().violate(format!("{app} sleeps on, but a request needs it"));
            }
        }
    }
}
