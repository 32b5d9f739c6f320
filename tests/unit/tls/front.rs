use super::*;

fn config(folder: &std::path::Path, apps: &str) -> Config {
    let path = folder.join("appliance.toml");
    let server = "[server]\npublic_url = \"https://apps.lan\"\ntls = { internal = true }\n";
    std::fs::write(&path, format!("{server}{apps}")).unwrap();
    Config::load(&path, |_| None).unwrap()
}

fn serial(front: &Front) -> Vec<u8> {
    front.served.now()[0].signing.cert[0].to_vec()
}

#[test]
fn a_certificate_of_the_own_authority_is_renewed_at_two_thirds_of_its_life() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".appliance")).unwrap();
    let front = Front::open(&config(folder.path(), ""), None).unwrap().unwrap();
    let Source::OwnCa { ca, hosts } = front.source() else { panic!("{front:?}") };
    let (start, first) = (SystemTime::now(), serial(&front));
    let hours = |hours: i64| {
        let away = Duration::from_hours(hours.unsigned_abs());
        if hours < 0 { start - away } else { start + away }
    };
    for (at, is_due) in [
        (0, false),
        (19 * 24, false),
        (20 * 24, true),
        (21 * 24, false),
        (39 * 24, false),
        (41 * 24, true),
        (10, true),
    ] {
        let before = serial(&front);
        assert_eq!(front.renew(ca, hosts, hours(at)).unwrap(), is_due, "{at}");
        assert_eq!(serial(&front) != before, is_due, "{at}");
    }
    assert_ne!(serial(&front), first);
    assert!(front.expiring().is_empty());
}

#[test]
fn a_reload_keeps_the_certificate_until_the_hosts_differ() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".appliance")).unwrap();
    let app = |host: &str| {
        format!(
            "[apps.a]\nupstream = \"http://127.0.0.1:9\"\naccess = \"public\"\nhost = \"{host}\"\n"
        )
    };
    let open =
        |apps: &str, before| Front::open(&config(folder.path(), apps), before).unwrap().unwrap();
    let first = open("", None);
    assert!(Arc::ptr_eq(&first, &open("", Some(&first))));
    let below = open(&app("a.apps.lan"), Some(&first));
    assert_eq!(below.names().into_keys().collect::<Vec<_>>(), ["a.apps.lan", "apps.lan"]);
    assert_eq!(below.root(), first.root());
    let beside = open(&app("a.lan"), Some(&below));
    assert_eq!(beside.names().into_keys().collect::<Vec<_>>(), ["a.lan", "apps.lan"]);
    assert_ne!(beside.root(), first.root());
}

#[test]
fn a_check_writes_nothing_and_reads_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    Front::check(&config).unwrap();
    let state = folder.path().join(".appliance");
    assert!(!state.exists());
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("ca.key"), "noise").unwrap();
    let error = Front::check(&config).unwrap_err().to_string();
    assert!(error.contains("ca.key"), "{error}");
}
