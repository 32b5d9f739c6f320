//! The threads of a process whose first thread has ended.
//!
//! `/proc/PID` tells of the memory and the descriptors of the first thread, and a thread that has ended has
//! none. A program whose `main` ends with `pthread_exit` runs on without its first thread.

use std::fs;
use std::path::PathBuf;

/// Folders in `/proc` of the threads that run on after the first thread of a process has ended; none
/// while that one runs.
pub(super) fn beyond_first(pid: i32) -> impl Iterator<Item = PathBuf> {
    let threads = has_first_ended(pid).then(|| fs::read_dir(format!("/proc/{pid}/task")).ok());
    let threads = threads.flatten().into_iter().flatten().flatten();
    // The first thread has the number of the process.
    let first = pid.to_string();
    threads.filter(move |thread| *thread.file_name() != *first).map(|thread| thread.path())
}

fn has_first_ended(pid: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may contain any byte.
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    let state = name_end.and_then(|end| stat.get(end + 2));
    state.is_some_and(|state| matches!(state, b'Z' | b'X'))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, pipe};
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::process::procfs::descriptors::{self, Budget};
    use crate::supervisor::process::procfs::{self, children};
    use crate::supervisor::process::reaper::Reaper;

    /// A process whose first thread ends, while another one has a socket and 8 MB of memory. It tells the inode
    /// of the socket when the first thread has ended.
    const LEADERLESS: &str = "import ctypes,os,socket,threading,time\n\
        def run():\n memory = b'x' * (8 << 20)\n s = socket.socket()\n \
        while open('/proc/self/stat').read().rsplit(')')[-1].split()[0] != 'Z': time.sleep(0.01)\n \
        print(os.fstat(s.fileno()).st_ino, flush=True)\n time.sleep(1000)\n\
        threading.Thread(target=run).start()\n\
        ctypes.CDLL(None).pthread_exit(None)";

    #[tokio::test]
    async fn a_process_runs_on_without_its_first_thread() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let (mut output, writer) = pipe().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", LEADERLESS]).stdout(writer);
        let mut process = reaper.spawn(&mut command, None).unwrap();
        drop(command);
        let pid = process.pid.as_raw();
        let mut text = [0; 32];
        let read = output.read(&mut text).unwrap();
        let inode: u64 = String::from_utf8_lossy(&text[..read]).trim().parse().unwrap();

        assert!(has_first_ended(pid) && beyond_first(pid).count() == 1);
        assert!(!procfs::see(pid).unwrap().has_ended);
        assert!(descriptors::holds(pid, inode, &mut Budget::of_app()).unwrap());
        assert!(descriptors::sockets(pid, &mut Budget::of_app()).contains(&inode));
        assert!(procfs::memory(pid).is_some_and(|bytes| bytes > 8 << 20));
        assert!(procfs::rough_memory(&[pid]).is_some_and(|bytes| bytes > 8 << 20));

        process.end(&reaper, Duration::from_mins(1)).await;
        assert!(children().is_empty() && beyond_first(pid).next().is_none());
        assert_eq!(beyond_first(std::process::id().cast_signed()).count(), 0);
    }
}
