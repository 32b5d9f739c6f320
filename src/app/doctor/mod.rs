//! `appliance doctor`: asks the questions of docs/troubleshooting.md, and says what to do.
//!
//! It asks from this machine, as a browser on it would: a firewall before other machines stays unseen.

mod address;
mod ask;
mod finding;
mod issuer;
mod machine;
mod running;

use std::io::Write;
use std::path::Path;

use super::commands::{counted, load, print, warnings};
use super::refused::INTERNAL;
use super::state_dir::socket_path;
use crate::config::Config;
use crate::control::client;
use ask::Asker;
use finding::{Finding, Verdict};

/// Exit code: a question has the answer that something does not work.
const SOMETHING_FAILED: u8 = 1;

/// `appliance doctor`
pub fn doctor(path: &Path, json: bool, out: &mut impl Write) -> u8 {
    let config = match load(path) {
        Ok(config) => config,
        Err(refused) => return refused.report(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return INTERNAL };
    let findings = runtime.block_on(ask_all(&config));
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    let text = if json {
        format!("{}\n", serde_json::json!({ "findings": findings }))
    } else {
        findings.iter().map(Finding::lines).collect()
    };
    match print(text.as_bytes(), out) {
        0 if failed => SOMETHING_FAILED,
        code => code,
    }
}

async fn ask_all(config: &Config) -> Vec<Finding> {
    let mut findings = vec![configuration(config)];
    findings.extend(machine::findings(config));
    let socket = socket_path(&config.server.state_dir);
    let is_running = client::is_running(&socket);
    findings.push(running::finding(is_running, &socket));
    let asker = match Asker::new(config) {
        Ok(asker) => asker,
        Err(why) => {
            findings.push(Finding::skipped("address", why));
            return findings;
        }
    };
    findings.extend(address::findings(config, &asker, is_running).await);
    findings.extend(issuer::findings(config, &asker).await);
    findings
}

fn configuration(config: &Config) -> Finding {
    let warnings = warnings(config).len();
    let path = config.path.display();
    let found = format!("{path}: {}, no errors", counted(config.apps.len(), "app"));
    if warnings == 0 {
        Finding::ok("configuration", found)
    } else {
        let found = format!("{found}, {}", counted(warnings, "warning"));
        Finding::warning("configuration", found, "run `appliance check` to read them")
    }
}
