//! A disk that no longer answers, as a hung NFS or FUSE mount: only its apps wait. Needs root and FUSE.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{STEADY, ends_well};
use crate::harness::Appliance;
use crate::harness::processes::not_run;

/// A FUSE mount whose server does not even greet. Dropping it fails all that waits for it.
struct DeadDisk {
    folder: PathBuf,
    server: Option<File>,
}

impl DeadDisk {
    fn over(folder: PathBuf) -> Option<Self> {
        let server = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options =
            format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", server.as_raw_fd());
        mount(Some("dead"), &folder, Some("fuse"), MsFlags::empty(), Some(options.as_str()))
            .ok()?;
        Some(Self { folder, server: Some(server) })
    }
}

impl Drop for DeadDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH);
        self.server = None;
    }
}

const APPS: &str = r#"
[apps.cwd]
command = ["sleep", "1000"]
cwd = "{DIR}/disk"
backoff = { min = "10ms" }
[apps.setup]
command = ["sleep", "1000"]
setup = { run = ["touch", "{DIR}/disk/made"], creates = "{DIR}/disk/made" }
[apps.variables]
command = ["sleep", "1000"]
env_file = "{DIR}/disk/env"
backoff = { min = "10ms" }
"#;

#[tokio::test]
async fn only_the_apps_of_a_disk_that_does_not_answer_wait() {
    let prepare = |folder: &std::path::Path| {
        fs::create_dir(folder.join("disk")).unwrap();
        fs::write(folder.join("disk/env"), "A=1\n").unwrap();
    };
    let mut appliance = Appliance::start_in(prepare, &(APPS.to_owned() + STEADY));
    for app in ["cwd", "setup", "variables", "steady"] {
        appliance.wait_for_state(app, "ready").await;
    }
    let Some(disk) = DeadDisk::over(appliance.path("disk")) else {
        let test = "faults::dead_disk::only_the_apps_of_a_disk_that_does_not_answer_wait";
        return not_run(
            test,
            "FUSE cannot be mounted; needs root, in a container CAP_SYS_ADMIN and /dev/fuse",
        );
    };
    for (app, state) in [("cwd", "starting"), ("setup", "setup"), ("variables", "starting")] {
        let restart = appliance.cli(&["restart", app, "--no-wait"]);
        assert!(restart.status.success(), "{restart:?}");
        appliance.wait_for_state(app, state).await;
    }
    let before = appliance.app("steady").unwrap()["pid"].clone();
    let restart = appliance.cli(&["restart", "steady"]);
    assert!(restart.status.success(), "{restart:?}");
    assert_ne!(appliance.app("steady").unwrap()["pid"], before);
    let stop = appliance.cli(&["stop", "variables"]);
    assert!(stop.status.success(), "{stop:?}");
    drop(disk);
    // A start that has failed meanwhile is repeated.
    for app in ["cwd", "setup"] {
        appliance.wait_for_state(app, "ready").await;
    }
    ends_well(&mut appliance).await;
}
