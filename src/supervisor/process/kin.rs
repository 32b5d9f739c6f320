//! Assigns processes to apps, including daemons that have left the process group of their app.
//!
//! A process belongs to an app if it is in the process group or session that the app's leader
//! created, or descends from such a process. A daemon (`setsid`, double fork) is in neither, and
//! after the exit of its parent the kernel makes it a child of the appliance. It is recognised by the
//! [`Tag`] that it has inherited, or by its user if only one app runs as that user. What a process can
//! choose itself, such as its environment, proves nothing.
//!
//! A process that has lowered its limits has a tag of no app, but still none that is above that of its own
//! app. If this leaves one app, the process ends with it ([`Families::to_end`]). Nothing else follows from
//! that: it must not serve the port of an app, for example.

use std::collections::{HashMap, HashSet};

use nix::unistd::{geteuid, getpid};

use super::procfs::{self, ProcessInfo};
use super::tag::Tag;
use crate::config::AppName;

/// What the daemons of an app are recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) app: AppName,
    pub(crate) role: Role,
    /// The user that the app runs as.
    pub(crate) uid: u32,
    /// Whether the appliance has given the app this user (`users = "per-app"`): nobody else is meant to
    /// have it.
    pub(super) has_own_user: bool,
    /// `None` where processes cannot have one.
    pub(super) tag: Option<Tag>,
}

impl Mark {
    /// The mark of a step that runs beside the app's process.
    pub(crate) fn of_step(self) -> Self {
        Self { role: Role::Step, ..self }
    }
}

/// What a process does for its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is the app.
    Main,
    /// It is a step of the setup, or a probe: its family ends with it, while the app may run on.
    Step,
}

#[cfg(test)]
impl Mark {
    /// Without a tag.
    pub(crate) fn sample(app: AppName) -> Self {
        Self { app, role: Role::Main, uid: 0, has_own_user: false, tag: None }
    }
}

/// Leaders of the groups that the appliance started, by their pids.
pub(crate) type Leaders = HashMap<i32, Leader>;

/// The leader of a group that the appliance started.
#[derive(Debug, Clone)]
pub(crate) struct Leader {
    /// What runs no program of an app has none.
    pub(super) mark: Option<Mark>,
    /// When it was reaped, in clock ticks after the boot of the machine. From then on its number may belong
    /// to another process, and once its group has no members, to another group.
    pub(super) reaped: Option<u64>,
}

impl Leader {
    /// Whether its number still is that of its process.
    fn is_unreaped(&self) -> bool {
        self.reaped.is_none()
    }

    /// Whether a process of a group or session with its number is one of its own: it was started before the
    /// number could belong to another one.
    fn is_old_enough(&self, member: &ProcessInfo) -> bool {
        self.reaped.is_none_or(|reaped| member.started_ticks <= reaped)
    }
}

/// The leader whose number the group or session of a process has.
fn leader_of_group(seen: &ProcessInfo, leaders: &Leaders) -> Option<i32> {
    let is_own = |id: &i32| leaders.get(id).is_some_and(|leader| leader.is_old_enough(seen));
    [seen.group, seen.session].into_iter().find(is_own)
}

/// Every process of every app at one moment.
#[derive(Debug, Default)]
pub(crate) struct Families(HashMap<i32, Vec<i32>>);

impl Families {
    pub(super) fn of(leaders: &Leaders, all: &HashMap<i32, ProcessInfo>) -> Self {
        Self::by(leaders, all, orphan_of)
    }

    /// The same with processes that can only come from one app, although they do not have its tag.
    pub(super) fn to_end(leaders: &Leaders, all: &HashMap<i32, ProcessInfo>) -> Self {
        Self::by(leaders, all, orphan_to_end)
    }

    fn by(
        leaders: &Leaders,
        all: &HashMap<i32, ProcessInfo>,
        orphan: fn(&ProcessInfo, &Leaders) -> Option<i32>,
    ) -> Self {
        let mut found: HashMap<i32, Vec<i32>> = HashMap::new();
        for seen in all.values().filter(|seen| !seen.has_ended) {
            if let Some(leader) = leader_of(seen, leaders, all, orphan) {
                found.entry(leader).or_default().push(seen.pid);
            }
        }
        Self(found)
    }

    /// The processes of one app, in no order.
    pub(crate) fn of_leader(&self, leader: i32) -> &[i32] {
        self.0.get(&leader).map_or(&[], Vec::as_slice)
    }

    /// The processes of all other leaders, each with its leader.
    pub(crate) fn of_others(&self, leader: i32) -> impl Iterator<Item = (i32, i32)> {
        let others = self.0.iter().filter(move |(other, _)| **other != leader);
        others.flat_map(|(other, pids)| pids.iter().map(|pid| (*other, *pid)))
    }
}

/// How many looks there are for processes that may fork and end, of which two in a row have to agree.
pub(super) const AGREEING: u32 = 10;

/// Whether a leader has left daemons behind: children of the appliance that it did not spawn. No process
/// may be reaped meanwhile.
///
/// A daemon may fork its successor and end, again and again. Then one look can find only processes that have
/// ended; but the successor of each is there before the next look. What does not come to rest, lives.
pub(super) fn left_by(leader: i32, leaders: &Leaders) -> bool {
    let is_leader = |pid: &i32| leaders.get(pid).is_some_and(Leader::is_unreaped);
    let mut ended_before = 0;
    for _ in 0..AGREEING {
        let mut ended = 0;
        let orphans = procfs::children().into_iter().filter(|pid| !is_leader(pid));
        for orphan in orphans.filter_map(procfs::see) {
            if orphan_to_end(&orphan, leaders).is_some_and(|found| found == leader) {
                if !orphan.has_ended {
                    return true;
                }
                ended += 1;
            }
        }
        if ended == ended_before {
            return false;
        }
        ended_before = ended;
    }
    true
}

/// Whether no process with this user comes from elsewhere than from the appliance, or from an app with
/// another user, for example an appliance inside. No, if that cannot be seen: `/proc` may hide the processes
/// of other users.
pub(super) fn has_only_its_app(uid: u32, leaders: &Leaders) -> bool {
    let is_of_app = |leader: i32| {
        let leader = leaders.get(&leader).filter(|leader| leader.is_unreaped());
        leader.and_then(|leader| leader.mark.as_ref()).is_none_or(|mark| mark.uid == uid)
    };
    let sees_all = procfs::real_user(1).is_some();
    let mut of_user = procfs::all().filter(|seen| procfs::has_user(seen.pid, uid));
    sees_all
        && of_user.all(|seen| match descent(seen.pid) {
            Descent::Own { child } => is_of_app(child),
            Descent::Other => false,
            Descent::Gone => true,
        })
}

/// How often a chain of ancestors is read that changes.
const LOOKS: u32 = 5;

/// Where a process comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descent {
    /// From the appliance, which is not its own descendant: from this child of it, or it is the child.
    Own {
        /// The process id of the child.
        child: i32,
    },
    /// From elsewhere.
    Other,
    /// It has gone.
    Gone,
}

/// Where a process comes from. Without a `/proc` none comes from the appliance.
pub(crate) fn descent(pid: i32) -> Descent {
    if procfs::see(getpid().as_raw()).is_none() {
        return Descent::Other;
    }
    // When an ancestor ends, its children get another parent: the chain is read again.
    (0..LOOKS).find_map(|_| line_of(pid)).unwrap_or(Descent::Gone)
}

/// `None` if an ancestor has ended meanwhile.
fn line_of(pid: i32) -> Option<Descent> {
    let us = getpid().as_raw();
    let (mut at, mut visited) = (pid, HashSet::new());
    while at > 0 && at != us && visited.insert(at) {
        let seen = procfs::see(at)?;
        if seen.parent == us {
            return Some(Descent::Own { child: at });
        }
        at = seen.parent;
    }
    Some(Descent::Other)
}

fn leader_of(
    seen: &ProcessInfo,
    leaders: &Leaders,
    all: &HashMap<i32, ProcessInfo>,
    orphan: fn(&ProcessInfo, &Leaders) -> Option<i32>,
) -> Option<i32> {
    let us = getpid().as_raw();
    let (mut at, mut visited) = (seen, HashSet::new());
    loop {
        if leaders.get(&at.pid).is_some_and(Leader::is_unreaped) {
            return Some(at.pid);
        }
        let known = leader_of_group(at, leaders);
        if known.is_some() {
            return known;
        }
        if at.parent == us {
            return orphan(at, leaders);
        }
        // The processes were not read in one moment, so their parents may form a circle.
        if !visited.insert(at.pid) {
            return None;
        }
        at = all.get(&at.parent)?;
    }
}

/// The leader that a child of the appliance belongs to which the appliance did not spawn.
fn orphan_of(seen: &ProcessInfo, leaders: &Leaders) -> Option<i32> {
    let own_session = leader_of_group(seen, leaders);
    if own_session.is_some() {
        return own_session;
    }
    let uid = procfs::real_user(seen.pid)?;
    // A process of root may have changed its user.
    let may_be = |mark: &Mark| mark.uid == uid || mark.uid == 0;
    if let Some(tag) = Tag::of(seen.pid)
        && let Some((leader, _)) =
            marks(leaders).find(|(_, mark)| mark.tag == Some(tag) && may_be(mark))
    {
        return Some(leader);
    }
    // Processes of the appliance's own user need not come from an app: `docker exec` leaves some.
    if uid == geteuid().as_raw() {
        return None;
    }
    of_one_app(marks(leaders).filter(|(_, mark)| mark.uid == uid))
}

fn marks(leaders: &Leaders) -> impl Iterator<Item = (i32, &Mark)> + Clone {
    leaders.iter().filter_map(|(pid, leader)| Some((*pid, leader.mark.as_ref()?)))
}

/// The leader that stands for these, if all of them are of one app.
fn of_one_app<'l>(mut leaders: impl Iterator<Item = (i32, &'l Mark)> + Clone) -> Option<i32> {
    let (first, one) = leaders.clone().next()?;
    if leaders.clone().any(|(_, mark)| mark.app.app() != one.app.app()) {
        return None;
    }
    // A step that runs beside its app is a probe.
    let main = leaders.find(|(_, mark)| mark.role == Role::Main);
    Some(main.map_or(first, |(leader, _)| leader))
}

/// The same for the end of an app.
fn orphan_to_end(seen: &ProcessInfo, leaders: &Leaders) -> Option<i32> {
    orphan_of(seen, leaders).or_else(|| {
        let (uid, tag) = (procfs::real_user(seen.pid)?, Tag::of(seen.pid)?);
        only_origin(uid, tag, leaders)
    })
}

/// The leader of the only app that a process with lowered limits can come from.
fn only_origin(uid: u32, tag: Tag, leaders: &Leaders) -> Option<i32> {
    of_one_app(marks(leaders).filter(|(_, mark)| {
        (mark.uid == uid || mark.uid == 0) && mark.tag.is_some_and(|own| tag.may_come_from(own))
    }))
}

#[cfg(test)]
mod tests {
    use nix::unistd::getppid;

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::process::child::before_exec;
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::sample_apps::shell_command;

    #[test]
    fn a_number_that_belongs_to_another_process_now_proves_nothing() {
        let process = |pid: i32, group: i32, parent: i32, started_ticks: u64| ProcessInfo {
            pid,
            parent,
            group,
            session: group,
            has_ended: false,
            cpu_ticks: 0,
            started_ticks,
        };
        let all: HashMap<_, _> = [
            // The number of the reaped leader, in a group of its own and in another one.
            process(7000, 7000, 1, 60),
            process(8000, 8000, 7000, 61),
            // A member of the group from before, and what it has started since.
            process(7001, 7000, 1, 40),
            process(7002, 7002, 7001, 70),
            // A leader that runs.
            process(9000, 9000, 1, 45),
        ]
        .map(|process| (process.pid, process))
        .into();
        let leader = |reaped| Leader { mark: None, reaped };
        let leaders = Leaders::from([(7000, leader(Some(50))), (9000, leader(None))]);
        let families = Families::of(&leaders, &all);
        let mut left = families.of_leader(7000).to_vec();
        left.sort_unstable();
        assert_eq!((left.as_slice(), families.of_leader(9000)), (&[7001, 7002][..], &[9000][..]));
    }

    #[test]
    fn lowered_limits_lead_to_an_app_only_if_no_other_is_possible() {
        let tags: Vec<_> = (0..3).filter_map(|_| Tag::next()).collect();
        let [first, second, third] = tags[..] else { return };
        let leader = |app: &str, uid, tag| {
            let mark = Mark { uid, tag: Some(tag), ..Mark::sample(AppName::new(app).unwrap()) };
            Leader { mark: Some(mark), reaped: None }
        };
        let one = Leaders::from([(1, leader("a", 7, first))]);
        let two = Leaders::from([(1, leader("a", 7, first)), (2, leader("b", 7, second))]);
        let others = Leaders::from([(1, leader("a", 7, first)), (2, leader("b", 8, second))]);
        for (tag, leaders, wanted) in [
            (first.lowered(true, false), &one, Some(1)),
            (first.lowered(true, true), &one, Some(1)),
            (first.lowered(true, true), &others, Some(1)),
            // Of the other user, or of both.
            (first.lowered(true, true), &two, None),
            // The other limit still tells.
            (first.lowered(true, false), &two, Some(1)),
            (second.lowered(false, true), &two, Some(2)),
            // A process from elsewhere, and one of an app that has gone.
            (Tag::unlimited(), &one, None),
            (third, &one, None),
        ] {
            assert_eq!(only_origin(7, tag, leaders), wanted, "{tag:?} {leaders:?}");
        }
    }

    #[tokio::test]
    async fn a_daemon_with_lowered_limits_ends_with_its_app() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let Some(tag) = Tag::next() else { return };
        let app = AppName::new("a").unwrap();
        let uid = geteuid().as_raw();
        let mark = Mark { uid, tag: Some(tag), ..Mark::sample(app) };
        let mut command = shell_command("setsid prlimit --locks=7 sleep 1000 & sleep 0.3; exit 3");
        before_exec(&mut command, move || {
            tag.apply();
            Ok(())
        });
        let mut process = reaper.spawn(&mut command, Some(mark)).unwrap();
        let ended = (&mut process.ended).await.unwrap();
        assert!(ended.survivors, "the daemon counts");
        process.end(&reaper, std::time::Duration::from_mins(1)).await;
        let left = procfs::children().into_iter().filter_map(procfs::see);
        assert_eq!(left.filter(|one| !one.has_ended).count(), 0);
    }

    #[tokio::test]
    async fn processes_of_the_appliance_are_told_from_others() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let script = "sh -c 'echo $$; exec sleep 100' & wait";
        let (mut output, writer) = std::io::pipe().unwrap();
        let mut command = shell_command(script);
        let process = reaper.spawn(command.stdout(writer), None).unwrap();
        let mut text = [0; 32];
        let read = std::io::Read::read(&mut output, &mut text).unwrap();
        let grandchild = String::from_utf8_lossy(&text[..read]).trim().parse().unwrap();
        let own = Descent::Own { child: process.pid.as_raw() };
        assert_eq!(descent(process.pid.as_raw()), own);
        assert_eq!(descent(grandchild), own);
        assert_eq!(descent(getpid().as_raw()), Descent::Other);
        assert_eq!(descent(getppid().as_raw()), Descent::Other);
        assert_eq!(descent(i32::MAX), Descent::Gone);
    }
}
