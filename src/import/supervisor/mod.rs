//! `supervisord.conf` with its includes: programs, and what cannot be carried over.

mod environment;
mod expand;
mod ini;
mod program;

use std::path::{Path, PathBuf};

use super::draft::Table;
use super::program::{Names, Program};
use crate::import::text;
use expand::Names as Expansions;
use ini::Section;
use program::{Defaults, Reading, is_true};

/// What a `supervisord.conf` says.
#[derive(Debug, Default)]
pub(super) struct Supervisord {
    pub(super) programs: Vec<Program>,
    /// Remarks about the whole.
    pub(super) remarks: Table,
    /// `loglevel`, in the words of the appliance.
    pub(super) log_level: Option<&'static str>,
    /// The files that were read beside the first one.
    pub(super) included: Vec<PathBuf>,
}

/// One section, with the file that it stands in.
struct Placed {
    section: Section,
    file: String,
    expansions: Expansions,
}

/// Whether a text has sections of supervisord.
pub(super) fn is_one(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        line.starts_with("[supervisord]")
            || ["[program:", "[group:", "[eventlistener:", "[fcgi-program:"]
                .iter()
                .any(|header| line.starts_with(header))
    })
}

/// Reads a file. `name` is how people name it.
pub(super) fn read(
    path: &Path,
    name: &str,
    text: &str,
    names: &mut Names,
) -> Result<Supervisord, String> {
    let mut found = Supervisord::default();
    let mut sections = placed(path, name, text)?;
    let include = sections.iter().find(|placed| placed.section.kind == "include");
    let files = include.map(|placed| included(path, placed, &mut found.remarks));
    for file in files.unwrap_or_default() {
        let name = file.display().to_string();
        let text = text::read(&file).map_err(|error| format!("{name}: {error}"))?;
        sections.extend(placed(&file, &name, &text)?);
        found.included.push(file);
    }
    let defaults = found.defaults(&sections);
    let groups = groups(&sections);
    for placed in &sections {
        match placed.section.kind.as_str() {
            "program" => found.add_program(placed, &defaults, &groups, names),
            "supervisord" | "include" => {}
            _ => found.name_section(placed),
        }
    }
    Ok(found)
}

fn placed(path: &Path, name: &str, text: &str) -> Result<Vec<Placed>, String> {
    let whole = std::path::absolute(path).map_err(|error| format!("{name}: {error}"))?;
    let here = whole.parent().unwrap_or(Path::new("/")).display().to_string();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.map(|name| name.trim().to_owned());
    let expansions = Expansions::default()
        .with("here", &here)
        .with("host_node_name", &host.unwrap_or_else(|| "localhost".to_owned()));
    let sections = ini::sections(text).map_err(|why| format!("{name}: {why}"))?;
    let place = |section| Placed { section, file: name.to_owned(), expansions: expansions.clone() };
    Ok(sections.into_iter().map(place).collect())
}

/// The files of `[include]`, in the order of the patterns.
fn included(path: &Path, placed: &Placed, remarks: &mut Table) -> Vec<PathBuf> {
    let patterns = placed.section.get("files").unwrap_or_default();
    let mut found = Vec::new();
    for pattern in patterns.split_whitespace() {
        let whole = placed.expansions.expand(pattern).ok();
        let whole = whole.map(|pattern| path.parent().unwrap_or(Path::new("")).join(pattern));
        let paths = whole.and_then(|whole| glob::glob(&whole.display().to_string()).ok());
        let mut files: Vec<_> =
            paths.into_iter().flatten().flatten().filter(|path| path.is_file()).collect();
        files.sort();
        if files.is_empty() {
            remarks.missing(
                &format!("{}, [include]", placed.file),
                format!("`{pattern}` matches no file here; import the files where they are"),
            );
        }
        found.extend(files);
    }
    found
}

/// `(group, program, priority of the group)`
fn groups(sections: &[Placed]) -> Vec<(String, String, Option<String>)> {
    let groups = sections.iter().filter(|placed| placed.section.kind == "group");
    groups
        .flat_map(|placed| {
            let section = &placed.section;
            let priority = section.get("priority").map(str::to_owned);
            let programs = section.get("programs").unwrap_or_default().split(',');
            let programs = programs.map(|name| name.trim().to_owned());
            programs.map(move |program| (section.name.clone(), program, priority.clone()))
        })
        .collect()
}

impl Supervisord {
    /// `[supervisord]`
    fn defaults(&mut self, sections: &[Placed]) -> Defaults {
        let supervisord = sections.iter().find(|placed| placed.section.kind == "supervisord");
        let Some(placed) = supervisord else { return Defaults::default() };
        let place = format!("{}, [supervisord]", placed.file);
        let expanded = |key: &str| {
            placed.expansions.expand(placed.section.get(key)?).ok().filter(|v| !v.is_empty())
        };
        for (key, value) in &placed.section.keys {
            let text = match key.as_str() {
                "logfile"
                    if !["/dev/null", "/dev/stdout", "/dev/fd/1"].contains(&value.as_str()) =>
                {
                    "the log goes to stdout"
                }
                "minfds" | "minprocs" => "set `limits = { nofile = N, nproc = N }` of an app",
                "childlogdir" => "the output of the apps goes to the log on stdout",
                "user" => "set as the `user` of each app; the appliance itself keeps its user",
                _ => continue,
            };
            self.remarks.missing(&place, format!("`{key}`: {text}"));
        }
        self.log_level = match expanded("loglevel").unwrap_or_default().as_str() {
            "critical" | "error" => Some("error"),
            "warn" => Some("warn"),
            "debug" => Some("debug"),
            "trace" | "blather" => Some("trace"),
            _ => None,
        };
        Defaults {
            environment: environment::variables(&expanded("environment").unwrap_or_default()),
            directory: expanded("directory"),
            user: expanded("user"),
            umask: expanded("umask"),
        }
    }

    fn add_program(
        &mut self,
        placed: &Placed,
        defaults: &Defaults,
        groups: &[(String, String, Option<String>)],
        names: &mut Names,
    ) {
        let section = &placed.section;
        let place = format!("{}, {}", placed.file, section.header());
        let group = groups.iter().find(|(_, program, _)| *program == section.name);
        let group_name = group.map_or(section.name.as_str(), |(group, _, _)| group);
        let number = |key: &str, default| {
            section.get(key).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default)
        };
        // A process each, in a file that people must read: more would be a mistake.
        let count = number("numprocs", 1).min(64);
        let first = number("numprocs_start", 0);
        for process in first..first + count {
            let expansions = placed
                .expansions
                .with("program_name", &section.name)
                .with("group_name", group_name)
                .with("numprocs", &count.to_string())
                .with("process_num", &process.to_string());
            let reading = Reading { section, place: place.clone(), expansions, defaults };
            let wanted = match count {
                1 => section.name.clone(),
                _ => format!("{}-{process}", section.name),
            };
            let name = names.take(&wanted);
            let mut program = reading.program(name);
            if let Some(priority) = group.and_then(|(_, _, p)| p.as_ref()?.parse().ok()) {
                program.priority = priority;
            }
            if process > first {
                // The first one says it for all.
                program.table.remarks.clear();
            } else if count > 1 {
                program.table.hint(format!(
                    "`numprocs = {count}` of {}: an app for each process",
                    section.header()
                ));
            } else if section.name != program.name && count == 1 {
                program.table.hint(format!(
                    "{}: the name of an app has small letters, digits and `-`",
                    section.header()
                ));
            }
            self.programs.push(program);
        }
    }

    /// A section that has no app.
    fn name_section(&mut self, placed: &Placed) {
        let section = &placed.section;
        let text = match section.kind.as_str() {
            "unix_http_server" | "supervisorctl" => {
                "`appliance status`, `logs`, `start`, `stop` and `restart` need no settings"
            }
            "inet_http_server" => {
                "operators see the apps at `/_appliance/apps`, see `[server] operators`"
            }
            "rpcinterface" | "ctlplugin" => {
                "there is no XML-RPC interface; programs use `appliance status --json`"
            }
            "eventlistener" => {
                "there are no event listeners; restarts, memory and failures are in the log and in `appliance status --json`"
            }
            "fcgi-program" => {
                "the appliance does not speak FastCGI; let the program listen for HTTP"
            }
            "group" => {
                let programs = section.get("programs").unwrap_or_default();
                let text = format!("there are no groups; name the apps one by one: {programs}");
                self.remarks.missing(&format!("{}, {}", placed.file, section.header()), text);
                return;
            }
            _ => "the appliance has no such section",
        };
        let also = match section.kind.as_str() {
            "eventlistener" | "fcgi-program" => match section.get("autostart").map(is_true) {
                Some(false) => " (it did not start by itself)",
                _ => "",
            },
            _ => "",
        };
        let place = format!("{}, {}", placed.file, section.header());
        self.remarks.missing(&place, format!("{text}{also}"));
    }
}
