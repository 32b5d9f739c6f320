//! The scripts of the keycloak preset, with stand-ins for Maven, Java and Keycloak itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output};

use nix::unistd::geteuid;

const JAVA: &str = "#!/bin/sh\necho 'openjdk version \"25.0.1\"' >&2\n";
const MAVEN: &str = r#"#!/bin/sh
for word; do case $word in -DoutputDirectory=*) out=${word#*=} ;; *tar.gz) name=${word#*keycloak:} ;; esac; done
version=${name%:tar.gz}
cp "$(dirname "$0")/archive" "$out/keycloak-quarkus-dist-${version#*:}.tar.gz"
"#;

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Runs `appliance setup` with a stand-in for Maven. The archive has files that belong to uid 1001 and
/// that every user can write to.
/// Not in the folder for temporary files, which the scripts use: where Landlock protects `state_dir`, they
/// create no files in the folders above it.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/var/tmp").unwrap()
}

fn set_up(folder: &Path, version: &str) -> Output {
    let (bin, packed) = (folder.join("bin"), folder.join("packed/keycloak-x"));
    program(&bin.join("java"), JAVA);
    program(&bin.join("mvn"), MAVEN);
    program(&packed.join("bin/kc.sh"), "#!/bin/sh\nexit 0\n");
    fs::create_dir(packed.join("lib")).unwrap();
    fs::write(packed.join("version.txt"), "Keycloak - Version x").unwrap();
    for open in ["bin/kc.sh", "lib"] {
        fs::set_permissions(packed.join(open), Permissions::from_mode(0o777)).unwrap();
    }
    let mut tar = Command::new("tar");
    tar.args(["-czf", "bin/archive", "--owner=1001", "--group=1001", "-C", "packed", "keycloak-x"]);
    assert!(tar.current_dir(folder).status().unwrap().success());
    let realm = folder.join("realm.json");
    fs::write(&realm, r#"{"realm": "x"}"#).unwrap();
    let config = format!(
        "[server]\nstate_dir = \"state\"\n[oidc]\nserved_by = \"idp\"\nclient_id = \"a\"\nclient_secret = {{ generate = \"client\" }}\n\
         [apps.idp]\nkeycloak = {{ home = \"kc\", realm = \"realm.json\" {version} }}\npath = \"/auth\"\n"
    );
    fs::write(folder.join("appliance.toml"), config).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", bin.display());
    Command::new(env!("CARGO_BIN_EXE_appliance"))
        .arg("setup")
        .current_dir(folder)
        .env("PATH", path)
        .env_remove("JAVA_HOME")
        .output()
        .unwrap()
}

#[test]
fn unpacked_files_belong_to_the_user_of_the_setup_and_no_other_can_write_them() {
    let folder = folder();
    let output = set_up(folder.path(), ", version = \"1.2.3\"");
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{log}");
    for name in ["", "bin", "bin/kc.sh", "lib", "version.txt"] {
        let found = folder.path().join("kc").join(name).metadata().unwrap();
        assert_eq!(found.uid(), geteuid().as_raw(), "{name}");
        assert_eq!(found.mode() & 0o022, 0, "{name}: {:o}", found.mode());
    }
}

#[test]
fn an_interrupted_setup_is_continued_and_a_folder_of_something_else_is_left_alone() {
    for (before, is_continued) in
        [("kc/.setup/lock", true), ("kc/lib/half", true), ("kc/page.html", false)]
    {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at(before).parent().unwrap()).unwrap();
        fs::write(at(before), "").unwrap();
        if before.contains("half") {
            fs::create_dir(at("kc/.setup")).unwrap();
        }
        let output = set_up(folder.path(), ", version = \"1.2.3\"");
        let log = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), is_continued, "{log}");
        assert_eq!(at("kc/bin/kc.sh").exists(), is_continued, "{log}");
        assert!(!at("kc/lib/half").exists() && at(before).exists() != (before == "kc/lib/half"));
        assert!(is_continued || log.contains("kc exists but is not a Keycloak folder"), "{log}");
    }
}

#[test]
fn an_archive_of_the_default_version_with_another_checksum_is_refused() {
    for version in ["", ", version = \"26.7.3\""] {
        let folder = folder();
        let output = set_up(folder.path(), version);
        let log = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{log}");
        assert!(log.contains("Keycloak 26.7.3 does not have the SHA-256 77657f30b7e9"), "{log}");
        assert!(!folder.path().join("kc/bin").exists(), "{log}");
    }
}

/// Runs the start script; the stand-in for Keycloak prints `started`.
fn start(data: &Path) -> String {
    start_with(data, &[])
}

fn start_with(data: &Path, variables: &[(&str, &str)]) -> String {
    let home = data.with_file_name("home");
    program(
        &home.join("bin/kc.sh"),
        "#!/bin/sh\necho started \"$@\" with \"${KC_SPI_THEME__DEFAULT:-no theme}\"\n",
    );
    program(&home.join("java"), JAVA);
    let scripts = ["keycloak.sh", "keycloak.theme.sh", "keycloak.start.sh"].map(|name| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/preset/data");
        fs::read_to_string(folder.join(name)).unwrap()
    });
    let output = Command::new("/bin/sh")
        .args(["-c", &scripts.concat()])
        .env("KEYCLOAK_HOME", &home)
        .env("KEYCLOAK_JAVA", home.join("java"))
        .env("KEYCLOAK_DATA", data)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

#[test]
fn keycloak_does_not_start_in_a_folder_that_another_user_can_change() {
    let top = folder();
    let data = top.path().join("data");
    let said = start(&data);
    let temporary = data.join("tmp");
    assert!(said.contains("started") && temporary.is_dir(), "{said}");
    assert!(said.contains(&format!("-Djava.io.tmpdir={}", temporary.display())), "{said}");
    assert!(start(&data).contains("started"), "a second start in the same folder");
    for folder in ["", "data", "data/import"] {
        let folder = data.join(folder);
        let shut = folder.metadata().unwrap().permissions();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let said = start(&data);
        assert!(said.contains("has the mode 777, but must") && !said.contains("started"), "{said}");
        fs::set_permissions(&folder, shut).unwrap();
        if geteuid().is_root() {
            chown(&folder, Some(65_534), None).unwrap();
            let said = start(&data);
            assert!(said.contains("belongs to the user 65534"), "{said}");
            assert!(said.contains("run `chown -R 0:0 ") && !said.contains("started"), "{said}");
            chown(&folder, Some(0), None).unwrap();
        }
    }
}

#[test]
fn test_users_are_imported_only_if_that_is_said() {
    let tester = r#"    { "username": "test", "enabled": "${TEST_USERS}", "groups": ["/a,]"] }"#;
    let own = r#"{ "username": "own", "enabled": true }"#;
    let long = "{\n\"username\": \"test\",\n\"enabled\": \"${TEST_USERS}\"\n}";
    let (first, last) = ([tester, own].join(",\n"), [own, tester].join(",\n"));
    for (users, without) in [
        (format!("{tester},\n{tester}"), vec![]),
        (first, vec![("own", true)]),
        (last, vec![("own", true)]),
        (own.to_owned(), vec![("own", true)]),
        (long.to_owned(), vec![("test", false)]),
        (String::new(), vec![]),
    ] {
        let top = folder();
        let (data, realm) = (top.path().join("data"), top.path().join("realm.json"));
        fs::write(&realm, format!("{{ \"realm\": \"x\", \"users\": [\n{users}\n] }}")).unwrap();
        let imported = |test_users: &str| {
            let file = realm.to_str().unwrap();
            let variables = [("KEYCLOAK_REALM_FILE", file), ("TEST_USERS", test_users)];
            let said = start_with(&data, &variables);
            assert!(said.contains("started"), "{said}");
            let text = fs::read_to_string(data.join("data/import/realm.json")).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|_| panic!("{text}"))
        };
        let all = imported("true");
        let all = all["users"].as_array().unwrap();
        assert_eq!(all.len(), users.matches("username").count());
        assert!(all.iter().all(|user| user["enabled"] == true), "{all:?}");
        let left = imported("false");
        let left: Vec<_> = left["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| (user["username"].as_str().unwrap(), user["enabled"].as_bool().unwrap()))
            .collect();
        assert_eq!(left, without, "{users}");
    }
}

#[test]
fn the_theme_is_the_default_of_a_keycloak_that_has_the_themes_it_extends() {
    let top = folder();
    let (data, home) = (top.path().join("data"), top.path().join("home"));
    let jar = |name: &str, file: &str| {
        let jars = home.join("lib/lib/main");
        fs::create_dir_all(&jars).unwrap();
        let content = [b"PK\x03\x04\xff".as_slice(), file.as_bytes(), b"\x00"].concat();
        fs::write(jars.join(format!("org.keycloak.keycloak-{name}-26.7.3.jar")), content).unwrap();
    };
    // An earlier version linked the folder.
    fs::create_dir_all(&data).unwrap();
    fs::create_dir_all(home.join("themes/own/login")).unwrap();
    std::os::unix::fs::symlink(home.join("themes"), data.join("themes")).unwrap();
    let themes = || {
        let entries = data.join("themes").read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    jar("themes", "theme/keycloak.v2/login/theme.properties");
    jar("account-ui", "theme/keycloak.v3/account/theme.properties");
    jar("admin-ui", "theme/keycloak.v9/admin/theme.properties");
    assert!(start(&data).contains("with no theme"));
    assert_eq!(themes(), ["own"]);

    jar("admin-ui", "theme/keycloak.v2/admin/theme.properties");
    for _ in ["the first start", "a later start"] {
        let said = start(&data);
        assert!(said.contains("with appliance"), "{said}");
        assert_eq!(themes(), ["appliance", "own"]);
    }
    assert!(home.join("themes/own").is_dir() && !home.join("themes/appliance").exists());
    assert!(start_with(&data, &[("KC_SPI_THEME__DEFAULT", "own")]).contains("with own"));

    fs::create_dir(home.join("themes/appliance")).unwrap();
    assert!(
        start(&data).contains("with no theme"),
        "a theme of the same name is the one of the user"
    );
    assert!(data.join("themes/appliance").is_symlink());
    fs::remove_dir_all(home.join("themes")).unwrap();
    assert!(start(&data).contains("with appliance"));
    assert_eq!(themes(), ["appliance"]);
}
