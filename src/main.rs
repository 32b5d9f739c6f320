//! Parses the command line, runs the command and returns its exit code.

use std::process::ExitCode;

use appliance::app;
use appliance::control::arguments::{Arguments, Command, SessionsAction};
use appliance::control::client::Style;
use appliance::control::protocol::Request;
use appliance::supervisor::{make_user_namespace_if_asked, signals};
use clap::{CommandFactory, Parser};

/// Requests make many small, short-lived allocations. Huge pages are off (`no_thp`), because they
/// would hold 10 MB more than is used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // In a process of its own, which has nothing else of the program.
    if let Some(code) = make_user_namespace_if_asked() {
        return ExitCode::from(code);
    }
    // Before all else: PID 1 loses a signal that is neither blocked nor handled.
    signals::block();
    let arguments = Arguments::parse();
    let path = arguments.config_path();
    let code = match arguments.command {
        None | Some(Command::Run { .. }) => app::run(&path),
        Some(Command::Setup) => app::setup(&path),
        Some(other) => {
            signals::unblock();
            short(&path, other)
        }
    };
    ExitCode::from(code)
}

/// Runs a command that starts no process.
fn short(path: &std::path::Path, command: Command) -> u8 {
    let mut out = std::io::stdout().lock();
    let ask = |request: &Request, style, out: &mut _| app::ask(path, request, style, out);
    match command {
        Command::Status { name, timeline, json, watch } => {
            let style = match (timeline, json) {
                (true, _) => Style::Timeline,
                (_, true) => Style::Json,
                _ => Style::Table,
            };
            if watch {
                signals::hold_end();
            }
            let again = watch.then_some(signals::asked_to_end_within as fn(_) -> _);
            app::status(path, style, name.as_deref(), again, &mut out)
        }
        Command::Logs { name, access, follow, lines } => {
            ask(&Request::Logs { name, access, follow, lines }, Style::Table, &mut out)
        }
        Command::Start(target) => {
            let request = Request::Start { name: target.name, wait: !target.no_wait };
            ask(&request, Style::Table, &mut out)
        }
        Command::Stop(target) => {
            let request = Request::Stop { name: target.name, wait: !target.no_wait };
            ask(&request, Style::Table, &mut out)
        }
        Command::Restart(target) => {
            let request = Request::Restart { name: target.name, wait: !target.no_wait };
            ask(&request, Style::Table, &mut out)
        }
        Command::Signal { name, signal, group } => {
            ask(&Request::Signal { name, signal, group }, Style::Table, &mut out)
        }
        Command::Reload { dry_run, json } => {
            let style = if json { Style::Json } else { Style::Table };
            ask(&Request::Reload { dry_run }, style, &mut out)
        }
        Command::Sessions { json, action } => {
            let style = if json { Style::Json } else { Style::Table };
            ask(&about_sessions(action), style, &mut out)
        }
        Command::AdminLink => ask(&Request::AdminLink, Style::Table, &mut out),
        Command::Healthcheck => ask(&Request::Health, Style::Table, &mut out),
        other => offline(path, other, &mut out),
    }
}

/// Runs a command that needs no running appliance.
fn offline(path: &std::path::Path, command: Command, out: &mut impl std::io::Write) -> u8 {
    match command {
        Command::Check { expanded, .. } => app::check(path, expanded, out),
        Command::Import { paths } => app::import(&paths, out),
        Command::Init { folder, title, address, sign_in, app } => {
            let options = app::InitOptions { folder, title, address, sign_in, app };
            app::init(path, options, out)
        }
        Command::Add { target, name, path: at, groups } => {
            let new = appliance::config::NewApp { target, name, path: at, groups };
            app::add(path, &new, out)
        }
        Command::Doctor { json } => app::doctor(path, json, out),
        Command::Ca => app::ca(path, out),
        Command::Can { claims, path: asked, method, host, json } => {
            let question = app::Question { claims, path: asked, method, host, json };
            app::can(path, &question, out)
        }
        Command::Schema => app::print(appliance::config::schema().as_bytes(), out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "appliance", &mut script);
            app::print(&script, out)
        }
        // The commands for the running appliance, and those that start processes, do not come here.
        _ => app::INTERNAL,
    }
}

fn about_sessions(action: Option<SessionsAction>) -> Request {
    match action {
        None => Request::Sessions,
        Some(SessionsAction::End { id: Some(id), .. }) => Request::EndSession { id },
        Some(SessionsAction::End { id: None, user }) => {
            Request::EndSessions { user: user.unwrap_or_default() }
        }
    }
}
