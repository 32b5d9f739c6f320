//! [slowhttptest](https://github.com/shekyan/slowhttptest): many connections that are as slow as they can
//! be. Others are served meanwhile.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Appliance, PATIENCE};
use crate::sslyze::{SERVER, chain, listens};
use crate::upstream::Upstream;

/// The connections of one attack.
const CONNECTIONS: u64 = 400;

/// One kind of attack.
struct Attack {
    name: &'static str,
    path: &'static str,
    arguments: &'static [&'static str],
    /// The appliance must have closed all connections before the end.
    all_end: bool,
}

const ATTACKS: [Attack; 5] = [
    Attack {
        name: "slow headers",
        path: "/app/x",
        arguments: &["-H", "-i", "2", "-l", "15"],
        all_end: true,
    },
    Attack {
        name: "a slow body",
        path: "/app/x",
        arguments: &["-B", "-i", "2", "-s", "8192", "-l", "12"],
        all_end: false,
    },
    Attack {
        name: "a body that stops",
        path: "/app/x",
        arguments: &["-B", "-i", "60", "-s", "8192", "-l", "15"],
        all_end: true,
    },
    Attack {
        name: "slow reading",
        path: "/site/large",
        arguments: &["-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-l", "12"],
        all_end: false,
    },
    Attack {
        name: "many ranges",
        path: "/site/large",
        arguments: &["-R", "-t", "GET", "-a", "10", "-b", "3000", "-l", "12"],
        all_end: false,
    },
];

fn start(app: &Upstream) -> Appliance {
    let apps = format!(
        "header_timeout = \"3s\"\nbody_timeout = \"3s\"\n\
         [apps.app]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/app\"\naccess = \"public\"\n\
         [apps.site]\nstatic = \"site\"\npath = \"/site\"\naccess = \"public\"\n\
         [log]\naccess = false\n",
        app.port
    );
    let prepare = |folder: &Path| {
        chain(folder);
        std::fs::create_dir(folder.join("site")).unwrap();
        std::fs::write(folder.join("site/index.html"), "").unwrap();
        std::fs::write(folder.join("site/large"), vec![b'x'; 3_000_000]).unwrap();
    };
    Appliance::start_with_in(prepare, &format!("{SERVER}{apps}"))
}

#[tokio::test]
async fn slow_clients_leave_the_appliance_available() {
    let app = Upstream::start();
    // The attacks take place at the same time, each on an appliance of its own.
    futures_util::future::join_all(ATTACKS.iter().map(|attack| attack.run(&app))).await;
}

impl Attack {
    async fn run(&self, app: &Upstream) {
        let appliance = start(app);
        listens(&appliance).await;
        let url = format!("https://localhost:{}", appliance.port);
        let mut program = Command::new("slowhttptest")
            .args(self.arguments)
            .args(["-u", &format!("{url}{}", self.path), "-c", &CONNECTIONS.to_string()])
            .args(["-r", "200", "-p", "10", "-g", "-o", "report"])
            .current_dir(appliance.folder.path())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(appliance.path("output")).unwrap())
            .spawn()
            .expect("slowhttptest is installed");
        let mut answered = 0;
        let status = loop {
            if let Some(status) = program.try_wait().unwrap() {
                break status;
            }
            self.probe(&appliance, &url).await;
            answered += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let output = std::fs::read_to_string(appliance.path("output")).unwrap();
        assert!(status.success() && answered > 2, "{}: {answered} {output}", self.name);
        self.judge(&std::fs::read_to_string(appliance.path("report.csv")).unwrap(), &output);
    }

    /// A person who is not slow, with a connection of their own.
    async fn probe(&self, appliance: &Appliance, url: &str) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = std::fs::read(appliance.path("root.pem")).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&root).unwrap()])
            .timeout(PATIENCE)
            .build()
            .unwrap();
        for path in ["/app/bytes-1000", "/site/large"] {
            let request = client.get(format!("{url}{path}")).header("range", "bytes=0-9");
            let answer = request.send().await;
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
            assert!(answer.status().is_success(), "{}: {answer:?}", self.name);
            assert!(!answer.bytes().await.unwrap().is_empty(), "{}", self.name);
        }
    }

    /// Judges by the report of the program: a line for each second.
    fn judge(&self, report: &str, output: &str) {
        let name = self.name;
        let mut lines = report.lines();
        assert_eq!(lines.next(), Some("Seconds,Closed,Pending,Connected,Service Available"));
        let seconds: Vec<Vec<u64>> = lines
            .map(|line| line.split(',').map(|number| number.trim().parse().unwrap()).collect())
            .collect();
        assert!(seconds.len() > 3, "{name}: {report}\n{output}");
        assert!(seconds.iter().all(|second| second[4] > 0), "{name}: {report}\n{output}");
        let most = seconds.iter().map(|second| second[1] + second[3]).max();
        assert!(most.is_some_and(|most| most >= CONNECTIONS / 2), "{name}: {report}");
        if self.all_end {
            assert!(output.contains("No open connections left"), "{name}: {report}\n{output}");
        }
    }
}
