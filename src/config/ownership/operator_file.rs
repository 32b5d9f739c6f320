//! Files that the operator names: the configuration, certificates and bundles of authorities. A wrong
//! path must neither keep the appliance waiting nor fill its memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};

use super::bounded::content;

/// Larger than any configuration and any bundle of certificates, bytes.
const LARGEST: u64 = 16 << 20;

/// The content of a plain file; a device such as `/dev/null` counts as one.
///
/// # Errors
///
/// The file cannot be read, is larger than 16 MiB, or is a pipe, a socket or a folder.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = O_NONBLOCK | O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        let why = "it is a pipe or a socket, which can be read only once; name a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    content(file, LARGEST)
}

/// The same, also of a pipe, which the call waits for: for a start with `--config <(…)`.
///
/// # Errors
///
/// The file cannot be read, or is larger than 16 MiB.
pub(crate) fn read_once(path: &Path) -> io::Result<Vec<u8>> {
    content(File::open(path)?, LARGEST)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn only_what_has_an_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        File::create(at("long")).unwrap().set_len(LARGEST + 1).unwrap();
        for (path, wanted) in [
            (at("file"), Ok("text")),
            (at("link"), Ok("text")),
            ("/dev/null".into(), Ok("")),
            (at("pipe"), Err("it is a pipe or a socket, which can be read only once; name a file")),
            (at("long"), Err("it is larger than 16 MiB")),
            ("/dev/zero".into(), Err("it is larger than 16 MiB")),
            (at("none"), Err("No such file or directory (os error 2)")),
            (folder.path().into(), Err("Is a directory (os error 21)")),
        ] {
            let content = read(&path).map_err(|error| error.to_string());
            let content = content.as_deref().map_err(String::as_str);
            assert_eq!(content, wanted.map(str::as_bytes), "{path:?}");
        }
    }

    #[test]
    fn a_pipe_is_waited_for_at_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let (name, writer) = (pipe.clone(), move |path: &Path| {
            OpenOptions::new().write(true).open(path).unwrap().write_all(b"text").unwrap();
        });
        let writing = std::thread::spawn(move || writer(&name));
        assert_eq!(read_once(&pipe).unwrap(), b"text");
        writing.join().unwrap();
    }
}
