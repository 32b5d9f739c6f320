use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{Error, RootCertStore};

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn opened(folder: &Path, names: &[&str]) -> (OwnCa, Opened) {
    OwnCa::open(folder, &hosts(names), SystemTime::now()).unwrap()
}

/// What a client that trusts nothing but the authority says to a certificate for `name`.
fn verified(ca: &OwnCa, signed: &[&str], name: &str, at: SystemTime) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.root().der.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
    let (leaf, _) = ca.sign(&hosts(signed), SystemTime::now()).unwrap();
    let at = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.build().unwrap().verify_server_cert(&leaf, &[], &name, &[], at).map(drop)
}

#[test]
fn clients_accept_what_the_authority_signs_for_its_hosts_and_nothing_else() {
    let names = &["apps.lan", "localhost"][..];
    let addresses = &["192.168.1.10", "fd00::10"][..];
    let both = &["apps.lan", "192.168.1.10"][..];
    for (made_for, signed, is_permitted) in [
        (names, "apps.lan", true),
        (names, "localhost", true),
        (names, "bank.example", false),
        (names, "badapps.lan", false),
        (names, "192.168.1.10", false),
        (names, "fd00::10", false),
        (addresses, "192.168.1.10", true),
        (addresses, "fd00::10", true),
        (addresses, "192.168.1.11", false),
        (addresses, "fd00::11", false),
        (addresses, "apps.lan", false),
        (both, "apps.lan", true),
        (both, "192.168.1.10", true),
        (both, "192.168.1.11", false),
        (both, "fd00::10", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (ca, _) = opened(folder.path(), made_for);
        let found = verified(&ca, &[signed], signed, SystemTime::now());
        let found = format!("{found:?}");
        let wanted = if is_permitted { "Ok(())" } else { "NameConstraintViolation" };
        assert!(found.contains(wanted), "{made_for:?} {signed}: {found}");
        assert_eq!(
            ca.root().unusable(&hosts(&[signed]), SystemTime::now()).is_none(),
            is_permitted
        );
    }
}

#[test]
fn the_authority_is_kept_and_private_and_replaced_for_a_host_outside() {
    let folder = tempfile::tempdir().unwrap();
    let (first, how) = opened(folder.path(), &["apps.lan"]);
    assert_eq!(how, Opened::Made);
    let file = folder.path().join(CA);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let (again, how) = opened(folder.path(), &["apps.lan"]);
    assert!(how == Opened::Found && again.root() == first.root());
    let (below, how) = opened(folder.path(), &["apps.lan", "vault.apps.lan"]);
    assert!(how == Opened::Found && below.root() == first.root());
    let (other, how) = opened(folder.path(), &["apps.lan", "vault.lan"]);
    assert_eq!(how, Opened::Replaced("it may not sign for vault.lan".to_owned()));
    assert_ne!(other.root(), first.root());
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(Root::in_text(&text).as_ref(), Some(other.root()));
    assert!(!other.root().pem().contains("PRIVATE") && !format!("{other:?}").contains("PRIVATE"));
    let late = SystemTime::now() + LIFE - 59 * DAY;
    let (_, how) = OwnCa::open(folder.path(), &hosts(&["apps.lan"]), late).unwrap();
    assert_eq!(how, Opened::Replaced("it expires".to_owned()));
}

#[test]
fn a_damaged_file_is_an_error_that_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CA);
    opened(folder.path(), &["apps.lan"]);
    let good = std::fs::read_to_string(&file).unwrap();
    let (key, certificate) = good.split_at(good.find("-----BEGIN CERTIFICATE").unwrap());
    let other = tempfile::tempdir().unwrap();
    opened(other.path(), &["apps.lan"]);
    let foreign = std::fs::read_to_string(other.path().join(CA)).unwrap();
    let foreign = Root::in_text(&foreign).unwrap();
    for text in ["", "noise", key, certificate, &format!("{key}{}", foreign.pem())] {
        own_file::replace(&file, text).unwrap();
        let error = OwnCa::open(folder.path(), &hosts(&["apps.lan"]), SystemTime::now());
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("which browsers must be told to trust"), "{error}");
        assert!(error.contains("ca.key has no certificate authority"), "{error}");
    }
}

#[test]
fn a_certificate_is_valid_for_thirty_days_and_has_all_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = &["apps.lan", "10.0.0.7", "fd00::7"];
    let (ca, _) = opened(folder.path(), names);
    let now = SystemTime::now();
    let found = ca.issue(&hosts(names), now, &default_provider()).unwrap();
    assert_eq!(found.names, hosts(names));
    let left = |at: SystemTime| at.duration_since(now).unwrap();
    assert!(left(found.expires) > 29 * DAY && left(found.expires) <= 30 * DAY);
    assert!(left(found.renewal()) > 19 * DAY && left(found.renewal()) < 20 * DAY);
    assert!(verified(&ca, names, "10.0.0.7", now + 29 * DAY).is_ok());
    assert!(verified(&ca, names, "apps.lan", now + 31 * DAY).is_err());
    assert!(verified(&ca, names, "apps.lan", now - DAY / 48).is_ok(), "a clock that is slow");
}
