//! The command line.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;

const CODES: &str = "\
Exit codes:
  0   done, or asked to stop            70  a fault of the appliance
  2   wrong usage                       77  not permitted
  69  not running, or running already   78  an error in the configuration
Else 1, or that of the critical app that failed (128 + n for a signal).";

/// A few web apps and an identity provider behind one login, in one container.
#[derive(Debug, Parser)]
#[command(name = "appliance", version, disable_help_subcommand = true, after_help = CODES)]
pub struct Arguments {
    /// The configuration; without it `./appliance.toml`, else `/etc/appliance/appliance.toml`
    #[arg(long, value_name = "FILE", env = "APPLIANCE_CONFIG", global = true,
        value_hint = ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub config: Option<PathBuf>,
    /// What to do; without it `run`
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the apps and open the front door (the default)
    Run,
    /// Check the configuration: all of its errors at once
    Check {
        /// Print what will run, secrets masked
        #[arg(long)]
        expanded: bool,
    },
    /// Run the apps' first-time setup and end, as an image build does
    Setup,
    /// Show the apps and their states
    Status {
        /// One app only
        name: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Show the newest lines of the log
    Logs {
        /// One app only; `appliance` for what is said about the apps
        name: Option<String>,
        /// Go on as lines come
        #[arg(short, long)]
        follow: bool,
        /// How many lines to begin with
        #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
        lines: usize,
    },
    /// Start an app and wait until it is ready
    Start(Target),
    /// Stop an app and wait until it is stopped
    Stop(Target),
    /// Stop and start an app and wait until it is ready
    Restart(Target),
    /// Send a signal to an app's leader
    Signal {
        /// Which app
        name: String,
        /// `HUP`, `SIGUSR1`, …
        signal: String,
        /// To its whole process group
        #[arg(long)]
        group: bool,
    },
    /// 0 when everything that matters is ready, for HEALTHCHECK
    Healthcheck,
    /// Print the JSON schema of appliance.toml
    Schema,
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, …
        shell: Shell,
    },
}

/// An app, and whether to wait for it.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Which app
    pub name: String,
    /// Do not wait
    #[arg(long)]
    pub no_wait: bool,
}

impl Arguments {
    /// The configuration file by the rules of `--config`.
    pub fn config_path(&self) -> PathBuf {
        // A variable that is set to nothing, as compose files do it, names no file.
        if let Some(path) = self.config.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            return path.clone();
        }
        let (here, system) =
            (PathBuf::from("appliance.toml"), PathBuf::from("/etc/appliance/appliance.toml"));
        if !here.exists() && system.exists() { system } else { here }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        let arguments = Arguments::parse_from(["appliance", "--config", "x.toml"]);
        assert!(arguments.command.is_none());
        assert_eq!(arguments.config_path(), PathBuf::from("x.toml"));
        let arguments = Arguments::parse_from(["appliance", "--config", "", "run"]);
        assert_eq!(arguments.config_path(), PathBuf::from("appliance.toml"));
    }
}
