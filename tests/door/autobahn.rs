//! The [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) for WebSockets: the appliance
//! changes nothing of what a client and an app do to each other.
//!
//! The suite's fuzzing client runs its cases against the suite's own server, without the appliance, through
//! it by http, and through it by https. Each case must end in the same way.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Appliance, eventually, free_port};
use crate::sslyze::{SERVER, chain, listens};
use crate::tool;

/// The suite is for Python 2.7. A folder of packages has files that Python reads only by `addsitedir`.
const CLIENT: &str = "import site, sys\nsite.addsitedir(sys.argv.pop(1))\n\
                      from autobahntestsuite.wstest import run\nrun()";

/// The suite's server, which repeats each message. It compares `Host` with its address, and must therefore
/// know the port that the client uses.
const SERVER_OF_THE_SUITE: &str = "import site, sys\nsite.addsitedir(sys.argv.pop(1))\n\
                                   from autobahntestsuite.testee import TesteeServerFactory\n\
                                   from twisted.internet import reactor\n\
                                   factory = TesteeServerFactory(sys.argv[2])\n\
                                   reactor.listenTCP(int(sys.argv[1]), factory, interface='127.0.0.1')\n\
                                   reactor.run()";

/// Of the groups of compressed messages one size each; all 18 sizes take ten minutes. A number also selects
/// the cases whose numbers begin with it.
const CASES: [&str; 12] =
    ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.1.3", "12.4.3", "13.*.3"];

/// A program of the suite. Its drop ends it.
struct Program(Child);

impl Program {
    fn start(folder: &Path, log: &str, code: &str, arguments: &[&str]) -> Self {
        let log = std::fs::File::create(folder.join(log)).unwrap();
        let python = std::env::var_os("PYTHON2").expect("`tests/all door` sets PYTHON2");
        let mut command = Command::new(python);
        command.args(["-c", code]).arg(tool("autobahn")).args(arguments).current_dir(folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a case ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    behavior: Value,
    close: Value,
    code: Value,
    /// The part of the report with all messages, pings and pongs that the client has received.
    received: String,
}

/// Runs the cases against `url`, and returns how each ended.
async fn run(folder: &Path, agent: &str, url: &str) -> BTreeMap<String, Outcome> {
    let specification = json!({
        "outdir": agent, "servers": [{ "agent": agent, "url": url }], "cases": CASES,
        "exclude-cases": [], "exclude-agent-cases": {},
    });
    let file = format!("{agent}.json");
    std::fs::write(folder.join(&file), specification.to_string()).unwrap();
    let log = format!("{agent}.log");
    let arguments = ["-m", "fuzzingclient", "-s", &file];
    let mut program = Program::start(folder, &log, CLIENT, &arguments);
    let status = loop {
        if let Some(status) = program.0.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let log = std::fs::read_to_string(folder.join(log)).unwrap();
    assert!(status.success(), "{agent}: {log}");
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(agent).join(name));
        text.unwrap_or_else(|error| panic!("{name}: {error}: {log}"))
    };
    let index: Value = serde_json::from_str(&read("index.json")).unwrap();
    let outcome = |case: &Value| Outcome {
        behavior: case["behavior"].clone(),
        close: case["behaviorClose"].clone(),
        code: case["remoteCloseCode"].clone(),
        received: received(&read(case["reportfile"].as_str().unwrap())).to_owned(),
    };
    let cases = index[agent].as_object().unwrap().iter();
    cases.map(|(number, case)| (number.clone(), outcome(case))).collect()
}

/// The appliance, with the suite's server at `port` behind it.
fn app(port: u16) -> String {
    format!(
        "[apps.echo]\nupstream = \"http://127.0.0.1:{port}\"\npath = \"/\"\naccess = \"public\"\n\
         [log]\naccess = false\n"
    )
}

/// That part of a report. The whole is not always JSON: the cases of wrong UTF-8 are quoted in it.
fn received(report: &str) -> &str {
    let (_, rest) = report.split_once("\"received\":").unwrap();
    rest.split_once("\"remoteCloseCode\":").unwrap().0
}

#[tokio::test]
async fn each_case_of_autobahn_ends_through_the_appliance_as_it_does_without() {
    let ports = [(); 3].map(|()| free_port());
    let plain = Appliance::start(&app(ports[1]));
    let secure = Appliance::start_with_in(chain, &format!("{SERVER}{}", app(ports[2])));
    let urls = [
        format!("ws://localhost:{}", ports[0]),
        format!("ws://localhost:{}", plain.port),
        format!("wss://localhost:{}", secure.port),
    ];
    let folder = plain.folder.path();
    let serve = |at: usize| {
        let (log, port) = (format!("server-{at}.log"), ports[at].to_string());
        Program::start(folder, &log, SERVER_OF_THE_SUITE, &[&port, &urls[at]])
    };
    let _servers = [serve(0), serve(1), serve(2)];
    for port in ports {
        eventually("the server of the suite", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
    }
    listens(&plain).await;
    listens(&secure).await;
    let (direct, by_http, by_https) = tokio::join!(
        run(folder, "direct", &urls[0]),
        run(folder, "http", &urls[1]),
        run(folder, "https", &urls[2]),
    );
    assert!(direct.len() > 300, "{}", direct.len());
    for (number, outcome) in &direct {
        let is_right = |found: &Value| found == "OK" || found == "INFORMATIONAL";
        assert!(is_right(&outcome.behavior) && is_right(&outcome.close), "{number}: {outcome:?}");
    }
    for (way, found) in [("http", by_http), ("https", by_https)] {
        assert_eq!(found.len(), direct.len(), "{way}");
        let differences = direct.iter().filter(|(number, outcome)| found[*number] != **outcome);
        let differences: Vec<_> = differences
            .map(|(number, outcome)| format!("{number}: {:.300?}", (outcome, &found[number])))
            .collect();
        assert!(differences.is_empty(), "by {way}: {}", differences.join("\n"));
    }
}
