//! Chooses the ports that the file does not give, and replaces their placeholders.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::ops::RangeInclusive;

use crate::config::grammar::placeholder::finish;
use crate::config::model::{
    App, Config, Dial, EnvValue, LoopbackPort, Probe, ProbeKind, Standing, Upstream,
};

impl Config {
    /// Chooses a free port on 127.0.0.1 and `::1` for every app that needs one and has none. Then replaces
    /// `{port}` in commands, environments and probes, and sets the port in upstreams, probes and
    /// the address of the issuer. `{free_port}` becomes a second free port of the app.
    ///
    /// The ports were free a moment ago; nothing reserves them until the apps listen.
    pub fn assign_ports(&mut self) -> std::io::Result<()> {
        self.assign_ports_after(None)
    }

    /// The same for a configuration that follows another one: an app keeps the port that was chosen
    /// for it.
    pub fn assign_ports_after(&mut self, before: Option<&Self>) -> std::io::Result<()> {
        let given: Vec<u16> = self.apps.iter().flat_map(given_ports).collect();
        let others = before.into_iter().flat_map(Self::processes);
        let others = others.flat_map(|app| [app.port, app.second_port]).flatten();
        let taken = self.named_ports().into_iter().chain(others).collect();
        let outgoing = std::fs::read_to_string(OUTGOING).ok();
        let outgoing = outgoing.and_then(|text| outgoing_ports(&text));
        let mut ports = Ports { before, given, taken, outgoing, held: Vec::new() };
        for app in &mut self.apps {
            if app.run.is_none() {
                // The text `{word}` may be written in the probes of any app.
                let probes = app.ready.iter_mut().chain(&mut app.live);
                probes.for_each(|probe| fill_probe(probe, 0, &[]));
                continue;
            }
            let template = app.clone();
            ports.assign(app)?;
            if app.replicas > 1 {
                let processes = (0..).zip(0..app.replicas);
                let processes = processes.map(|(offset, number)| {
                    let mut one = if number == 0 { app.clone() } else { template.clone() };
                    one.name = app.name.replica(number);
                    let own = one.route.iter_mut().flat_map(|route| &mut route.upstreams);
                    own.for_each(|upstream| upstream.standing = Standing::default());
                    if number > 0 {
                        one.port = template.port.map(|first| first + offset);
                        ports.assign(&mut one)?;
                    }
                    Ok(one)
                });
                app.processes = processes.collect::<std::io::Result<_>>()?;
            }
        }
        if let Some(oidc) = &mut self.oidc
            && let Some(issuer) = &oidc.served_by
            && let Some(app) = self.apps.iter().find(|app| app.name == *issuer)
        {
            let upstream = app.route.as_ref().and_then(|route| route.upstreams.first());
            oidc.dial = upstream.map(|upstream| upstream.dial.clone());
        }
        Ok(())
    }

    /// The ports that the file gives to apps and to the appliance itself.
    pub(crate) fn named_ports(&self) -> Vec<u16> {
        let own = self.server.addresses();
        let own = own.iter().filter_map(|address| Some(address.tcp()?.port()));
        let metrics = self.server.metrics.map(|address| address.port());
        self.apps.iter().flat_map(given_ports).chain(own).chain(metrics).collect()
    }
}

/// Ports of apps are chosen from these. Below, there are many well-known ones.
const CHOSEN_FROM: RangeInclusive<u16> = 20000..=32767;
/// Where the kernel shows the ports of outgoing connections.
const OUTGOING: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// How many of [`CHOSEN_FROM`] are tried.
const ATTEMPTS: usize = 100;

/// The ports that the file gives to the processes of an app: the first one and those that follow.
pub(super) fn given_ports(app: &App) -> impl Iterator<Item = u16> {
    let ports = app.port.into_iter().flat_map(|first| first..=u16::MAX);
    ports.zip(0..app.replicas).map(|(port, _)| port)
}

/// Chooses ports.
struct Ports<'b> {
    before: Option<&'b Config>,
    /// The ports that the file gives.
    given: Vec<u16>,
    /// The ports that must not be chosen.
    taken: Vec<u16>,
    /// The ports that the kernel gives to outgoing connections. Such a connection, of any program, could
    /// take the port of an app that is just restarting.
    outgoing: Option<RangeInclusive<u16>>,
    /// Held until all ports are chosen, so that no port is chosen twice.
    held: Vec<TcpListener>,
}

impl Ports<'_> {
    /// Gives one process its ports.
    fn assign(&mut self, app: &mut App) -> std::io::Result<()> {
        let mut before = self.before.into_iter().flat_map(Config::processes);
        let known = before.find(|known| known.name.is_same_process(&app.name));
        let known_port =
            known.and_then(|known| known.port).filter(|port| !self.given.contains(port));
        let port = match app.port.or(known_port) {
            Some(port) => port,
            None => self.free_port()?,
        };
        let second = match known.and_then(|known| known.second_port) {
            _ if !needs_second_port(app) => None,
            Some(second) => Some(second),
            None => Some(self.free_port()?),
        };
        app.port = Some(port);
        app.second_port = second;
        fill_app(app, port, second.unwrap_or(port));
        if let Some(known) = known {
            continue_choice(app, known);
        }
        Ok(())
    }

    fn free_port(&mut self) -> std::io::Result<u16> {
        for _ in 0..ATTEMPTS {
            let port = fastrand::u16(CHOSEN_FROM);
            let is_outgoing = self.outgoing.as_ref().is_some_and(|range| range.contains(&port));
            if !is_outgoing && !self.taken.contains(&port) && self.hold(port).is_ok() {
                return Ok(port);
            }
        }
        // Nothing is free there, or there is no such port on this machine: the kernel chooses one.
        loop {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if !self.taken.contains(&port) && self.hold(port).is_ok() {
                return Ok(port);
            }
        }
    }

    /// Holds a port on both loopback addresses: an app may listen on `::1` only.
    fn hold(&mut self, port: u16) -> std::io::Result<()> {
        self.held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(listener) => self.held.push(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            // There is no IPv6 here.
            Err(_) => {}
        }
        Ok(())
    }
}

/// Reads `ip_local_port_range` (`man 7 ip`): the first and the last port.
fn outgoing_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(str::parse);
    Some(ends.next()?.ok()?..=ends.next()?.ok()?)
}

/// Which of the two loopback addresses an app listens on stays known.
fn continue_choice(app: &mut App, known: &App) {
    let choices: Vec<LoopbackPort> =
        loopback_ports(&mut known.clone()).map(|own| own.clone()).collect();
    for own in loopback_ports(app) {
        if let Some(choice) = choices.iter().find(|choice| choice.port() == own.port()) {
            own.continue_from(choice);
        }
    }
}

fn loopback_ports(app: &mut App) -> impl Iterator<Item = &mut LoopbackPort> {
    app.upstreams_mut().filter_map(|upstream| match &mut upstream.dial {
        Dial::Loopback(own) => Some(own),
        Dial::Tcp(..) | Dial::Unix(_) => None,
    })
}

const FREE_PORT: &str = "{free_port}";

fn needs_second_port(app: &App) -> bool {
    app.run.as_ref().is_some_and(|run| {
        run.command.iter().any(|part| part.contains(FREE_PORT))
            || run.env.iter().any(|(_, value)| match value {
                EnvValue::Plain(text) => text.contains(FREE_PORT),
                EnvValue::Secret(_) => false,
            })
    })
}

fn fill_app(app: &mut App, port: u16, second: u16) {
    let (number, second) = (port.to_string(), second.to_string());
    let words = [("port", number.as_str()), ("free_port", second.as_str())];
    if let Some(run) = &mut app.run {
        run.command.iter_mut().for_each(|part| *part = finish(part, &words));
        for (_, value) in &mut run.env {
            if let EnvValue::Plain(text) = value {
                *text = finish(text, &words);
            }
        }
    }
    if let Some(route) = &mut app.route {
        set_port(&mut route.upstreams, port);
    }
    for probe in app.ready.iter_mut().chain(&mut app.live) {
        fill_probe(probe, port, &words);
    }
}

fn fill_probe(probe: &mut Probe, port: u16, words: &[(&str, &str)]) {
    match &mut probe.kind {
        ProbeKind::Http { question, at } => {
            question.path = finish(&question.path, words);
            set_port(at, port);
        }
        ProbeKind::Tcp(at) | ProbeKind::Accepts(at) => set_port(at, port),
        ProbeKind::Exec(argv) => argv.iter_mut().for_each(|part| *part = finish(part, words)),
        ProbeKind::Log(_) | ProbeKind::Notify(_) => {}
    }
}

/// The check leaves port 0 where the app's own port belongs.
fn set_port(upstreams: &mut [Upstream], port: u16) {
    for upstream in upstreams {
        match &mut upstream.dial {
            Dial::Tcp(_, unknown @ 0) => *unknown = port,
            Dial::Loopback(own) if own.port() == 0 => own.set_port(port),
            Dial::Tcp(..) | Dial::Loopback(_) | Dial::Unix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads a configuration from its text.
    fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_app_that_runs_gets_its_own_port() {
        let mut config = config(
            r#"
            [apps.a]
            command = ["x", "{port}", "{free_port}"]
            path = "/a"
            access = "public"
            ready = { http = "/{port}" }
            [apps.b]
            command = ["y"]
            port = 4711
            [apps.c]
            upstream = "http://10.0.0.1:80"
            path = "/c"
            access = "public"
            "#,
        );
        config.assign_ports().unwrap();
        let a = config.app("a").unwrap();
        let port = a.port.unwrap();
        let command = &a.run.as_ref().unwrap().command;
        assert_eq!(command[1], port.to_string());
        assert_ne!(command[1], command[2]);
        let dial = Dial::Loopback(LoopbackPort::new(port));
        assert_eq!(a.route.as_ref().unwrap().upstreams[0].dial, dial);
        let Some(ProbeKind::Http { question, at }) = a.ready.as_ref().map(|ready| &ready.kind)
        else {
            panic!()
        };
        assert_eq!((&question.path, &at[0].dial), (&format!("/{port}"), &dial));
        assert_eq!(config.app("b").unwrap().port, Some(4711));
        assert_eq!(config.app("c").unwrap().port, None);
    }

    /// Name, port, and the port in the command of each process.
    fn processes(config: &Config) -> Vec<(String, u16, String)> {
        let shown = |app: &App| {
            let command = &app.run.as_ref().unwrap().command;
            (app.name.to_string(), app.port.unwrap(), command[1].clone())
        };
        config.processes().map(shown).collect()
    }

    fn replicas(number: u32, port: &str) -> Config {
        config(&format!(
            "[apps.a]\ncommand = [\"x\", \"{{port}}\"]\npath = \"/a\"\naccess = \"public\"\n\
             replicas = {number}\n{port}\n[apps.b]\ncommand = [\"y\", \"-\"]\nafter = [\"a\"]\n"
        ))
    }

    #[test]
    fn no_outgoing_connection_takes_the_port_of_an_app() {
        assert_eq!(outgoing_ports("32768\t60999\n"), Some(32768..=60999));
        for broken in ["", "1", "a b", "1 70000"] {
            assert_eq!(outgoing_ports(broken), None, "{broken}");
        }
        let range = std::fs::read_to_string(OUTGOING).unwrap();
        let outgoing = outgoing_ports(&range).unwrap();
        let mut many = replicas(50, "");
        many.assign_ports().unwrap();
        for (name, port, _) in processes(&many) {
            assert!(!outgoing.contains(&port) || outgoing.contains(CHOSEN_FROM.start()), "{name}");
        }
    }

    #[test]
    fn each_of_several_processes_has_a_port_and_keeps_it() {
        let mut three = replicas(3, "");
        three.assign_ports().unwrap();
        let all = processes(&three);
        let names: Vec<_> = all.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["a.0", "a.1", "a.2", "b"]);
        for (name, port, command) in all.iter().filter(|(name, ..)| name != "b") {
            assert_eq!(command, &port.to_string(), "{name}");
            assert_eq!(all.iter().filter(|(_, other, _)| other == port).count(), 1, "{name}");
        }
        let dials = three.app("a").unwrap().processes.iter().map(|one| {
            let upstream = &one.route.as_ref().unwrap().upstreams[0];
            (upstream.dial.clone(), Dial::Loopback(LoopbackPort::new(one.port.unwrap())))
        });
        for (dial, own) in dials {
            assert_eq!(dial, own);
        }
        let after: Vec<_> = three.supervised().remove(3).after;
        let after: Vec<_> = after.iter().map(|after| after.app.as_str()).collect();
        assert_eq!(after, ["a.0", "a.1", "a.2"], "what waits for the app waits for all");

        // The only process is the first of several, whatever their number becomes.
        let mut one = replicas(1, "");
        one.assign_ports_after(Some(&three)).unwrap();
        assert_eq!(processes(&one)[0], ("a".to_owned(), all[0].1, all[0].2.clone()));
        let mut two = replicas(2, "");
        two.assign_ports_after(Some(&one)).unwrap();
        assert_eq!(processes(&two)[0], all[0]);
        let mut four = replicas(4, "");
        four.assign_ports_after(Some(&three)).unwrap();
        assert_eq!(processes(&four)[..3], all[..3]);
    }

    #[test]
    fn a_given_port_is_the_first_of_several() {
        let mut config = replicas(3, "port = 4711");
        config.assign_ports().unwrap();
        let ports: Vec<_> = processes(&config).iter().map(|(_, port, _)| *port).collect();
        assert_eq!(ports[..3], [4711, 4712, 4713]);
    }
}
