//! The processes of one program (`numprocs`) behind one route become one app with `replicas`.

use super::attach::Attached;
use crate::import::draft::Remark;
use crate::import::program::{Names, Program};
use crate::import::route::Target;
use crate::import::value::Value;

/// Merges them where their commands differ in nothing but the port. Others stay apps of their own.
pub(super) fn merge(programs: &mut Vec<Program>, attached: &mut [Attached], names: &mut Names) {
    for at in 0..attached.len() {
        let Some((members, ports)) = group(programs, &attached[at]) else { continue };
        let old: Vec<String> = members.iter().map(|m| programs[*m].name.clone()).collect();
        let section = programs[members[0]].place.split("[program:").nth(1).unwrap_or_default();
        let name = names.take(section.trim_end_matches(']'));
        let first = &mut programs[members[0]];
        (first.argv, first.env) = first.with_port_placeholder(ports[0]);
        first.name.clone_from(&name);
        first.table.set("replicas", i64::try_from(members.len()).unwrap_or(i64::MAX));
        if ports.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
            first.table.set("port", i64::from(ports[0]));
        }
        first
            .table
            .remarks
            .retain(|r| !matches!(r, Remark::Hint(text) if text.contains("numprocs")));
        rename(programs, &old, &name);
        attached[at].program = Some(members[0]);
        remove(programs, &members[1..], attached);
    }
}

/// The programs behind the addresses of a route, and their ports, if they are all of one section.
fn group(programs: &[Program], attached: &Attached) -> Option<(Vec<usize>, Vec<u16>)> {
    let targets = &attached.route.targets;
    if targets.len() < 2 || !targets.iter().all(Target::is_local) {
        return None;
    }
    let mut found = Vec::new();
    for target in targets {
        let port = target.port?;
        let mut named = (0..programs.len()).filter(|at| programs[*at].names_port(port));
        found.push((named.next()?, port));
        if named.next().is_some() {
            return None;
        }
    }
    found.sort_unstable();
    let first = &programs[found[0].0];
    let same = first.with_port_placeholder(found[0].1);
    let is_same = |(at, port): &(usize, u16)| {
        programs[*at].place == first.place && programs[*at].with_port_placeholder(*port) == same
    };
    let of_section = programs.iter().filter(|program| program.place == first.place).count();
    (found.iter().all(is_same) && of_section == found.len()).then(|| found.into_iter().unzip())
}

/// Puts the new name in place of the old ones in every `after`.
fn rename(programs: &mut [Program], old: &[String], new: &str) {
    let is_old = |value: &Value| matches!(value, Value::Text(name) if old.contains(name));
    for program in programs {
        let Some(Value::List(after)) = program.table.get("after").cloned() else { continue };
        let mut names: Vec<Value> = Vec::new();
        for entry in after {
            let entry = match entry {
                Value::Table(mut keys) => {
                    for (key, value) in &mut keys {
                        if key == "app" && is_old(value) {
                            *value = new.into();
                        }
                    }
                    Value::Table(keys)
                }
                name if is_old(&name) => new.into(),
                name => name,
            };
            if !names.contains(&entry) {
                names.push(entry);
            }
        }
        program.table.set("after", Value::List(names));
    }
}

fn remove(programs: &mut Vec<Program>, gone: &[usize], attached: &mut [Attached]) {
    for at in gone.iter().rev() {
        programs.remove(*at);
        for program in attached.iter_mut().filter_map(|attached| attached.program.as_mut()) {
            *program -= usize::from(*program > *at);
        }
    }
}
