use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;

use super::*;
use crate::config::Tls;

const DIRECTORY: &str = "https://ca.example/dir";
const DAY: Duration = Duration::from_hours(24);

/// Writes the certificate of a last run, valid from ten days ago on.
fn keep(state: &std::path::Path, directory: &str, hosts: &[&str], days: u32) {
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    let begins = SystemTime::now() - 10 * DAY;
    (params.not_before, params.not_after) = (begins.into(), (begins + days * DAY).into());
    let chain = params.self_signed(&key).unwrap().pem();
    let kept = Kept::new(directory, &key.serialize_pem(), &chain, &default_provider()).unwrap();
    kept::write(state, &kept::text(&[Arc::new(kept)])).unwrap();
}

fn open(folder: &std::path::Path, before: Option<&Keeper>) -> Keeper {
    let path = folder.join("appliance.toml");
    let text = format!(
        "[server]\npublic_url = \"https://apps.example\"\nstate_dir = \"state\"\n\
         tls = {{ acme = {{ directory = \"{DIRECTORY}\" }} }}\n\
         [apps.a]\nupstream = \"http://127.0.0.1:9\"\naccess = \"public\"\nhost = \"wiki.example\"\n"
    );
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, |_| None).unwrap();
    let Some(Tls::Acme(acme)) = &config.server.tls else { panic!("{:?}", config.server.tls) };
    Keeper::open(&config, acme, before, &default_provider()).unwrap()
}

/// What was kept, whether it is served, and for how many days no order is needed.
#[test]
fn the_certificate_of_the_last_run_is_served_and_replaced_when_it_must_be() {
    const BOTH: &[&str] = &["apps.example", "wiki.example"];
    for (directory, hosts, days, is_served, good_for) in [
        (DIRECTORY, BOTH, 90, true, 50),
        (DIRECTORY, BOTH, 12, true, 0),
        (DIRECTORY, BOTH, 9, false, 0),
        (DIRECTORY, &BOTH[..1], 90, true, 0),
        (DIRECTORY, &BOTH[1..], 90, false, 0),
        ("https://staging.example/dir", BOTH, 90, true, 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        keep(&folder.path().join("state"), directory, hosts, days);
        let keeper = open(folder.path(), None);
        let certificate = &keeper.certificates()[0];
        let what = format!("{directory} {hosts:?} {days}");
        assert_eq!(keeper.awaited(), (!is_served).then_some("ca.example"), "{what}");
        let pause = keeper.until_due(SystemTime::now());
        assert_eq!(pause.as_secs().div_ceil(DAY.as_secs()), good_for, "{what}");
        assert!(
            BOTH.iter().filter(|host| certificate.is_for(host)).count() >= hosts.len(),
            "{what}"
        );
    }
}

#[test]
fn without_a_usable_certificate_a_provisional_one_has_all_hosts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    for damaged in [false, true] {
        if damaged {
            kept::write(&folder.path().join("state"), "noise").unwrap();
        }
        let keeper = open(folder.path(), None);
        assert_eq!(keeper.certificates()[0].names, ["apps.example", "wiki.example"]);
        assert_eq!(keeper.awaited(), Some("ca.example"));
        assert!(keeper.until_due(SystemTime::now()).is_zero());
    }
}

#[test]
fn a_reload_keeps_a_certificate_that_the_disk_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    keep(&state, DIRECTORY, &["apps.example", "wiki.example"], 90);
    let first = open(folder.path(), None);
    kept::write(&state, "noise").unwrap();
    let second = open(folder.path(), Some(&first));
    assert_eq!(second.awaited(), None);
    let chain = |keeper: &Keeper| keeper.certificates()[0].signing.cert.clone();
    assert_eq!(chain(&second), chain(&first));
}

#[test]
fn only_hosts_without_a_good_certificate_are_due() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    for (hosts, days, due) in [
        (&["apps.example", "wiki.example"][..], 90, &[][..]),
        (&["apps.example", "wiki.example"], 12, &["apps.example", "wiki.example"]),
        (&["apps.example"], 90, &["wiki.example"]),
        (&["wiki.example"], 90, &["apps.example"]),
    ] {
        keep(&state, DIRECTORY, hosts, days);
        let keeper = open(folder.path(), None);
        assert_eq!(keeper.due(SystemTime::now()), due, "{hosts:?} {days}");
    }
}
