//! The command line.

use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;

/// The name of the configuration file in its folder.
const FILE: &str = "appliance.toml";

const CODES: &str = "\
Exit codes:
  0   success, or stopped by a signal    70  a bug in the appliance
  2   wrong usage                        77  permission denied
  69  not running, or already running    78  an error in the configuration
After the failure of a critical app: its exit code (128 + n after signal n). Otherwise 1.";

/// Puts a few web apps and an identity provider behind one login, in one container.
#[derive(Debug, Parser)]
#[command(name = "appliance", version, disable_help_subcommand = true, after_help = CODES)]
pub struct Arguments {
    /// Configuration file; default: `./appliance.toml`, otherwise `/etc/appliance/appliance.toml`
    #[arg(long, value_name = "FILE", env = "APPLIANCE_CONFIG", global = true,
        value_hint = ValueHint::FilePath, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub config: Option<PathBuf>,
    /// The folder that is used without `--config` if it is not empty, as in the image.
    #[arg(long, env = "APPLIANCE_APPS", value_name = "FOLDER", hide = true, global = true,
        value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub apps_folder: Option<PathBuf>,
    /// The command; default: `run`
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands of `appliance`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the apps and serve requests (the default command)
    Run {
        /// A folder with scripts in place of a configuration file: each script and each folder in it
        /// becomes an app
        #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        apps: Option<PathBuf>,
    },
    /// Check the configuration and print all errors
    Check {
        /// A folder with scripts in place of a configuration file
        #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        apps: Option<PathBuf>,
        /// Print the configuration with every default and preset written out, secrets masked
        #[arg(long)]
        expanded: bool,
    },
    /// Say whether a person may open a path, which policy decides, and why (exit code 0: yes, 1: no)
    Can {
        /// JSON file with the claims of the person, as in the ID token; `-` for the standard input
        #[arg(value_name = "USER-CLAIMS.json", value_hint = ValueHint::FilePath)]
        claims: PathBuf,
        /// The path that the person opens, such as /app2/report
        #[arg(value_parser = path_of_request)]
        path: String,
        /// Method of the request
        #[arg(long, default_value = "GET")]
        method: http::Method,
        /// Host of the request, with its port; default: that of `public_url`
        #[arg(long)]
        host: Option<String>,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Write a new appliance.toml: four questions, or the options
    Init {
        /// A folder whose scripts become apps; the file is written there
        #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath, conflicts_with = "app")]
        folder: Option<PathBuf>,
        /// Title of the portal
        #[arg(long)]
        title: Option<String>,
        /// Address that people type, such as `https://apps.example.org`
        #[arg(long, value_name = "URL")]
        address: Option<String>,
        /// Who signs people in: `keycloak`, or the address of an issuer
        #[arg(long, value_name = "ISSUER")]
        sign_in: Option<String>,
        /// The first app: a script, a folder, or the address of a server
        #[arg(long, value_name = "FILE|URL", value_hint = ValueHint::AnyPath)]
        app: Option<String>,
    },
    /// Add an app to appliance.toml; its kind follows from the script
    Add {
        /// A script, a notebook or a folder, relative to appliance.toml, or the address of a server
        #[arg(value_name = "FILE|URL", value_hint = ValueHint::AnyPath)]
        target: String,
        /// Name of the app; default: from the name of the file
        #[arg(long)]
        name: Option<String>,
        /// Path of the app; default: its name
        #[arg(long)]
        path: Option<String>,
        /// A group whose members may open it; may be repeated; default: everybody who is signed in
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Run the first-time setup of the apps and exit, for example in an image build
    Setup,
    /// Show the state of the apps
    Status {
        /// Show only this app
        name: Option<String>,
        /// Show how long the apps waited, started and became ready, and what the start waited for
        #[arg(long, conflicts_with = "json")]
        timeline: bool,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
        /// Show the state again every two seconds, until Ctrl-C
        #[arg(short, long)]
        watch: bool,
    },
    /// Print the newest lines of the log
    Logs {
        /// Print only the lines of this app; `appliance` for the appliance's own lines
        name: Option<String>,
        /// Print only access lines, one per request: all, or those of requests to one app
        #[arg(long)]
        access: bool,
        /// Keep printing new lines
        #[arg(short, long)]
        follow: bool,
        /// Number of lines to begin with
        #[arg(short = 'n', long, default_value_t = 100, value_name = "N")]
        lines: usize,
    },
    /// Start an app and wait until it is ready
    Start(Target),
    /// Stop an app and wait until it is stopped
    Stop(Target),
    /// Restart an app and wait until it is ready
    Restart(Target),
    /// Put the changed configuration file in force without restarting what stays the same
    Reload {
        /// Print what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Send a signal to the main process of an app
    Signal {
        /// Name of the app
        name: String,
        /// Name of the signal: HUP, SIGUSR1, …
        signal: String,
        /// Send the signal to the whole process group
        #[arg(long)]
        group: bool,
    },
    /// Show who is signed in, or end sessions
    #[command(args_conflicts_with_subcommands = true)]
    Sessions {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
        /// What to do instead
        #[command(subcommand)]
        action: Option<SessionsAction>,
    },
    /// Print a link with which a new administrator of the shipped Keycloak makes an account; it works
    /// once, for 30 minutes, and ends earlier links
    AdminLink,
    /// Exit with 0 if the issuer and all critical apps are ready, for HEALTHCHECK
    Healthcheck,
    /// Print an appliance.toml made from the files of supervisord, oauth2-proxy and nginx
    Import {
        /// Files or folders: supervisord.conf, oauth2-proxy.cfg, docker-compose.yml, nginx.conf, …
        #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
    },
    /// Ask what usually goes wrong, from the machine to the issuer, and say what to do (exit code 1: something
    /// does not work)
    Doctor {
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Print the certificate of the appliance's own authority, and how browsers come to trust it
    Ca,
    /// Print the JSON schema of appliance.toml, for editors
    Schema,
    /// Print shell completions
    Completions {
        /// Name of the shell: bash, zsh, fish, …
        shell: Shell,
    },
}

/// What `appliance sessions` does instead of showing them.
#[derive(Debug, Subcommand)]
pub enum SessionsAction {
    /// End one session, or all of a person, with their open connections
    End {
        /// The id of a session
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,
        /// The user name of a person
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
}

/// The app of a command, and whether the command waits for it.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Name of the app
    pub name: String,
    /// Return at once
    #[arg(long)]
    pub no_wait: bool,
}

impl Arguments {
    /// The configuration file, or the folder with apps, that the command line and the environment name.
    /// A folder with an `appliance.toml` means that file.
    pub fn config_path(&self) -> PathBuf {
        let path = self.named_path().unwrap_or_else(|| {
            let (here, system) = (PathBuf::from(FILE), PathBuf::from("/etc/appliance").join(FILE));
            if !here.exists() && system.exists() { system } else { here }
        });
        let within = path.join(FILE);
        if within.exists() { within } else { path }
    }

    fn named_path(&self) -> Option<PathBuf> {
        let folder = match &self.command {
            Some(Command::Run { apps } | Command::Check { apps, .. }) => apps.as_ref(),
            _ => None,
        };
        // An empty variable, as compose files set it, counts as unset.
        let named = folder.or(self.config.as_ref()).filter(|path| !path.as_os_str().is_empty());
        named.cloned().or_else(|| self.apps_folder.clone().filter(|folder| has_entries(folder)))
    }
}

/// Whether somebody has put something into the folder.
fn has_entries(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

fn path_of_request(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("a path begins with `/`") }
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
