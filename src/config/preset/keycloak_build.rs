//! Whether Keycloak is built for the files that are in its folder now.
//!
//! A build contains the JARs in `providers`, and the class-data archive contains the path of the
//! folder. The setup writes a fingerprint of both into its stamp. The function `fingerprint` of
//! `data/keycloak.sh` computes the same one.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::config::ownership::account::Account;
use crate::config::ownership::app_file;

const STAMP: &str = ".appliance-built";

/// Name of the file in `home` that the setup creates: the stamp, or a name that does not exist if the
/// build does not fit any more, so that the setup builds Keycloak again.
///
/// The folder belongs to the app's user, so that the appliance looks at it with the rights of that user.
pub(super) fn creates(home: &Path, account: Option<&Account>) -> String {
    let own = home.to_owned();
    let found =
        app_file::look(account, move || Ok((app_file::plain_text(&own.join(STAMP))?, jars(&own))));
    let Ok((stamp, jars)) = found else { return STAMP.to_owned() };
    let now = fingerprint(home, &jars);
    let fits = match stamp.lines().find_map(|line| line.strip_prefix("fingerprint=")) {
        Some(built) => built == now,
        // The stamp of an earlier version.
        None => jars.is_empty(),
    };
    if fits { STAMP.to_owned() } else { format!("{STAMP}-{now}") }
}

/// Name, size and time of each JAR, one in a line.
fn jars(home: &Path) -> String {
    let entries = home.join("providers").read_dir().into_iter().flatten().flatten();
    let mut jars: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let known = entry.path().metadata().ok().filter(std::fs::Metadata::is_file)?;
            let is_jar = Path::new(&name).extension().is_some_and(|extension| extension == "jar")
                && !name.starts_with('.');
            is_jar.then(|| (name, known.len(), known.mtime()))
        })
        .collect();
    jars.sort();
    jars.iter().fold(String::new(), |mut text, (name, size, time)| {
        let _ = writeln!(text, "{name} {size} {time}");
        text
    })
}

fn fingerprint(home: &Path, jars: &str) -> String {
    let home = home.display().to_string();
    let home = home.strip_suffix('/').unwrap_or(&home);
    let mut hex = format!("{:x}", Sha256::digest(format!("{home}\n{jars}")));
    hex.truncate(12);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the shell function says of the same folder.
    #[expect(clippy::disallowed_methods, reason = "the test is alone")]
    fn of_the_script(home: &Path) -> String {
        let script = concat!(include_str!("data/keycloak.sh"), "\nfingerprint");
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", script])
            .env("KEYCLOAK_HOME", home)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_jar_that_is_added_changed_or_removed_and_a_moved_folder_need_a_build() {
        let _alone = crate::one_process::blocking_alone();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("kc");
        std::fs::create_dir_all(home.join("providers")).unwrap();
        assert_eq!(creates(&home, None), STAMP);
        let build = |home: &Path| {
            let stamp = format!("options=x\nfingerprint={}\n", of_the_script(home));
            std::fs::write(home.join(STAMP), stamp).unwrap();
            assert_eq!(creates(home, None), STAMP);
        };
        build(&home);
        std::fs::write(home.join("providers/README.md"), "not a JAR").unwrap();
        assert_eq!(creates(&home, None), STAMP);
        for name in ["b.jar", "a b.jar", "Z.jar"] {
            std::fs::write(home.join("providers").join(name), name).unwrap();
            assert_ne!(creates(&home, None), STAMP, "{name}");
            build(&home);
        }
        std::fs::write(home.join("providers/b.jar"), "longer than it was").unwrap();
        assert_ne!(creates(&home, None), STAMP);
        build(&home);
        std::fs::remove_file(home.join("providers/b.jar")).unwrap();
        assert_ne!(creates(&home, None), STAMP);
        build(&home);
        let moved = folder.path().join("moved");
        std::fs::rename(&home, &moved).unwrap();
        assert_ne!(creates(&moved, None), STAMP);
    }

    #[test]
    fn a_stamp_of_an_earlier_version_fits_while_there_is_no_jar() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("providers")).unwrap();
        std::fs::write(home.path().join(STAMP), "options=x\n").unwrap();
        assert_eq!(creates(home.path(), None), STAMP);
        std::fs::write(home.path().join("providers/a.jar"), "").unwrap();
        assert_ne!(creates(home.path(), None), STAMP);
    }

    /// A stamp that would block its reader, or that never ends, counts as one of this build: only the
    /// setup, which runs as the app's user, can tell.
    #[test]
    fn a_stamp_that_is_no_plain_file_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let stamp = home.path().join(STAMP);
        nix::unistd::mkfifo(&stamp, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(creates(home.path(), None), STAMP);
        std::fs::remove_file(&stamp).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &stamp).unwrap();
        assert_eq!(creates(home.path(), None), STAMP);
    }
}
