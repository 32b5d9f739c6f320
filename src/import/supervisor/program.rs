//! `[program:NAME]` of supervisord as a program.

use super::environment;
use super::expand::Names as Expansions;
use super::ini::Section;
use crate::import::command::{base, recognise, words};
use crate::import::draft::Table;
use crate::import::program::Program;
use crate::import::value::{Value, readable};

/// Settings of `[supervisord]` that hold for every program.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    pub(super) environment: Vec<(String, String)>,
    pub(super) directory: Option<String>,
    pub(super) user: Option<String>,
    pub(super) umask: Option<String>,
}

/// Keys whose effect the appliance always has, or that have none in it.
const ALWAYS: [&str; 8] = [
    "command",
    "process_name",
    "numprocs",
    "numprocs_start",
    "redirect_stderr",
    "killasgroup",
    "startsecs",
    "startretries",
];

/// Programs that end their own workers in good order, so that only the leader must get the signal.
const POOLS: [&str; 6] = ["gunicorn", "celery", "uwsgi", "hypercorn", "php-fpm", "apache2"];

/// What a section is turned into, and what it needs for that.
pub(super) struct Reading<'s> {
    pub(super) section: &'s Section,
    /// File and section, for remarks.
    pub(super) place: String,
    pub(super) expansions: Expansions,
    pub(super) defaults: &'s Defaults,
}

impl Reading<'_> {
    /// The value of a key, expanded.
    pub(super) fn get(&self, key: &str, table: &mut Table) -> Option<String> {
        let text = self.section.get(key)?;
        match self.expansions.expand(text) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(why) => {
                table.missing(&self.place, format!("`{key}`: {why}"));
                None
            }
        }
    }

    /// The process with this name.
    pub(super) fn program(&self, name: String) -> Program {
        let mut table = Table::default();
        let command = self.get("command", &mut table).unwrap_or_default();
        let argv = words::split(&command).unwrap_or_else(|why| {
            table.missing(&self.place, format!("`command`: {why}, so it is split at spaces"));
            command.split_whitespace().map(str::to_owned).collect()
        });
        let found = recognise(&argv);
        let autostart = self.get("autostart", &mut table).is_none_or(|text| is_true(&text));
        if !autostart {
            table.set("autostart", false);
        }
        let priority = self.get("priority", &mut table);
        let priority = priority.and_then(|text| text.parse().ok()).unwrap_or(999);
        self.restarts(&mut table);
        self.stop(&found.argv, &mut table);
        self.process(&mut table);
        self.without_equivalent(&mut table);
        let env = self.environment(&mut table);
        Program {
            place: self.place.clone(),
            name,
            kind: found.kind,
            argv: found.argv,
            env,
            table,
            priority,
            autostart,
            slept: found.slept,
        }
    }

    fn environment(&self, table: &mut Table) -> Vec<(String, String)> {
        let own = self.get("environment", table).unwrap_or_default();
        let own = environment::variables(&own);
        let is_new = |(name, _): &&(String, String)| own.iter().all(|(other, _)| other != name);
        let general: Vec<_> = self.defaults.environment.iter().filter(is_new).cloned().collect();
        let (good, bad): (Vec<_>, Vec<_>) =
            general.into_iter().chain(own).partition(|(name, _)| is_variable_name(name));
        for (name, _) in bad {
            table.missing(
                &self.place,
                format!("`environment`: `{}` is no name of a variable", readable(&name)),
            );
        }
        good
    }

    fn restarts(&self, table: &mut Table) {
        let restart = match self.get("autorestart", table).map(|text| text.to_ascii_lowercase()) {
            None => "on-failure",
            Some(text) if text == "unexpected" => "on-failure",
            Some(text) if is_true(&text) => "always",
            Some(_) => "never",
        };
        table.set("restart", restart);
        let codes = self.get("exitcodes", table).unwrap_or_default();
        let codes: Vec<i64> = codes
            .split(',')
            .filter_map(|code| code.trim().parse().ok())
            .filter(|code| (0..=255).contains(code))
            .collect();
        if !codes.is_empty() && codes != [0] {
            table.set("success_exit_codes", Value::list(codes));
        }
        let seconds: u32 =
            self.get("startsecs", table).and_then(|text| text.parse().ok()).unwrap_or(1);
        if seconds > 1 {
            table.missing(
                &self.place,
                format!("`startsecs = {seconds}`: the appliance waits for no fixed time; an app is ready when its `ready` probe succeeds"),
            );
        }
        if let Some(retries) = self.get("startretries", table) {
            table.missing(
                &self.place,
                format!("`startretries = {retries}`: `max_restarts` (10 within `window`, 10 minutes) limits the restarts"),
            );
        }
    }

    fn stop(&self, argv: &[String], table: &mut Table) {
        if let Some(signal) = self.get("stopsignal", table) {
            let signal = signal.to_ascii_uppercase();
            let signal = signal.strip_prefix("SIG").unwrap_or(&signal).to_owned();
            if crate::config::signal(&signal).is_ok() {
                if signal != "TERM" {
                    table.set("stop_signal", signal);
                }
            } else {
                table.missing(&self.place, format!("`stopsignal`: there is no signal `{signal}`"));
            }
        }
        if let Some(seconds) = self.get("stopwaitsecs", table).and_then(|t| t.parse::<u64>().ok()) {
            table.set("stop_timeout", format!("{seconds}s"));
        }
        let is_pool = |word: &String| POOLS.contains(&base(word));
        match self.get("stopasgroup", table).map(|text| is_true(&text)) {
            Some(false) => table.set("stop_target", "leader"),
            None if argv.iter().take(3).any(is_pool) => table.set("stop_target", "leader"),
            _ => {}
        }
        if self.get("killasgroup", table).is_some_and(|text| !is_true(&text)) {
            table.missing(
                &self.place,
                "`killasgroup = false`: SIGKILL always goes to the whole group",
            );
        }
    }

    fn process(&self, table: &mut Table) {
        let user = self.get("user", table).or_else(|| self.defaults.user.clone());
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            match user.parse::<i64>() {
                Ok(number) => table.set("user", number),
                Err(_) => table.set("user", user),
            }
        }
        let folder = self.get("directory", table).or_else(|| self.defaults.directory.clone());
        if let Some(folder) = folder.filter(|folder| !folder.is_empty()) {
            table.set("cwd", folder);
        }
        if let Some(mask) = self.get("umask", table).or_else(|| self.defaults.umask.clone()) {
            let digits = mask.trim_start_matches("0o");
            match u32::from_str_radix(digits, 8) {
                Ok(mask) if mask <= 0o777 => table.set("umask", format!("{mask:03o}")),
                _ => table.missing(&self.place, format!("`umask = {mask}` is no octal number")),
            }
        }
    }

    /// Files for logs, and keys that are not known.
    fn without_equivalent(&self, table: &mut Table) {
        let carried = [
            "autostart",
            "priority",
            "autorestart",
            "exitcodes",
            "stopsignal",
            "stopwaitsecs",
            "stopasgroup",
            "user",
            "directory",
            "umask",
            "environment",
        ];
        let mut logs = Vec::new();
        let mut silent = 0;
        for (key, value) in &self.section.keys {
            let is_log = key.starts_with("stdout_") || key.starts_with("stderr_");
            if key.ends_with("_logfile") && value.eq_ignore_ascii_case("none")
                || value == "/dev/null"
            {
                silent += 1;
            } else if is_log && !says_what_is_so(key, value) {
                logs.push(format!("`{key}`"));
            } else if !is_log && !carried.contains(&key.as_str()) && !ALWAYS.contains(&key.as_str())
            {
                table.missing(&self.place, format!("`{key}`: the appliance has no such setting"));
            }
        }
        if silent == 2 || silent == 1 && self.section.get("redirect_stderr").is_some_and(is_true) {
            table.set("log", false);
        } else if silent == 1 {
            logs.push("a log file that is off".to_owned());
        }
        if !logs.is_empty() {
            table.missing(
                &self.place,
                format!("{}: the output of the app goes to the log of the appliance on stdout, see `appliance logs NAME`", logs.join(", ")),
            );
        }
    }
}

/// Whether a key of the log says what the appliance does anyhow.
fn says_what_is_so(key: &str, value: &str) -> bool {
    let to_stdout = ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/proc/1/fd/1"];
    let is_file = key.ends_with("_logfile");
    is_file && (to_stdout.contains(&value) || value.eq_ignore_ascii_case("auto"))
        || key.ends_with("_maxbytes") && value == "0"
        || key.ends_with("_logfile_backups") && value == "0"
        || key.ends_with("_events_enabled") && !is_true(value)
        || key.ends_with("_syslog") && !is_true(value)
}

pub(super) fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1")
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
