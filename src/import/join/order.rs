//! `after` of the apps: by the priorities of supervisord, and by what a `sleep` waited for.

use crate::import::command::Kind;
use crate::import::program::Program;
use crate::import::value::Value;

/// More names in `after` than this say less than a comment.
const MOST: usize = 4;

/// Sets `after`, and `ready` of the apps that others wait for.
pub(super) fn order(programs: &mut [Program]) {
    let known: Vec<(String, i64, bool)> =
        programs.iter().map(|p| (p.name.clone(), p.priority, p.autostart)).collect();
    let mut needed_ready: Vec<String> = Vec::new();
    for (at, program) in programs.iter_mut().enumerate() {
        let mut before = earlier(&known, program.priority);
        if before.len() > MOST {
            let text = format!(
                "`priority = {}`: {} programs start earlier; name those that this one needs in `after`",
                program.priority,
                before.len()
            );
            program.table.missing(&program.place, text);
            before.clear();
        }
        let mut after: Vec<Value> = before.iter().map(|name| started(name)).collect();
        if let Some(time) = program.slept.take() {
            // Without priorities, the program above is the one that it most likely waited for.
            let previous = known[..at].iter().rev().find(|(_, _, autostart)| *autostart);
            let needed: Vec<&str> = match previous {
                Some((name, _, _)) if before.is_empty() => vec![name],
                _ => before,
            };
            let text = match needed.as_slice() {
                [] => format!("`sleep {time}`: name the apps that it waited for in `after`"),
                names => format!(
                    "`sleep {time}`: the app starts when {} is ready; `ready` there says when that is",
                    names.join(" and ")
                ),
            };
            program.table.missing(&program.place, text);
            needed_ready.extend(needed.iter().map(ToString::to_string));
            after = needed.into_iter().map(Value::from).collect();
        }
        if !after.is_empty() {
            program.table.set("after", Value::List(after));
        }
    }
    for program in programs.iter_mut().filter(|program| needed_ready.contains(&program.name)) {
        set_ready(program);
    }
}

/// The programs of the next smaller priority.
fn earlier(known: &[(String, i64, bool)], priority: i64) -> Vec<&str> {
    let smaller = known.iter().filter(|(_, other, _)| *other < priority);
    let last = smaller.clone().map(|(_, other, _)| *other).max();
    smaller
        .filter(|(_, other, autostart)| Some(*other) == last && *autostart)
        .map(|(name, _, _)| name.as_str())
        .collect()
}

/// `{ app = "NAME", until = "started" }`: supervisord waits for no more than that.
fn started(name: &str) -> Value {
    Value::table([("app", name), ("until", "started")])
}

/// An app that others wait for is ready when its port is open, if the port is known.
fn set_ready(program: &mut Program) {
    let Some(port) = program.port() else { return };
    let mut ready = vec![("tcp".to_owned(), Value::from(true))];
    if program.kind == Kind::Keycloak {
        ready.push(("deadline".to_owned(), "5m".into()));
    }
    program.table.set_default("port", i64::from(port));
    program.table.set_default("ready", Value::Table(ready));
}
