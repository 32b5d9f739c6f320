//! Programs that are missing or broken.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{STEADY, apps, ends_well};
use crate::harness::processes::descendants;
use crate::harness::{Appliance, eventually};

const MISSING: usize = 300;

/// States of all apps, as `status` shows them.
fn states(appliance: &Appliance) -> Vec<String> {
    let status = appliance.cli(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap_or_default();
    let apps = status["apps"].as_array().cloned().unwrap_or_default();
    apps.iter().filter_map(|app| Some(app["state"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn each_program_that_is_missing_or_broken_fails_its_own_app_alone() {
    let broken = |folder: &std::path::Path| {
        let program = folder.join("broken");
        fs::write(&program, "#!/nowhere/interpreter\n").unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let never = "restart = \"never\"";
    for (program, why) in [("/nowhere/program", "No such file"), ("{DIR}/broken", "interpreter")] {
        let config = apps(MISSING, &format!("command = [\"{program}\"]\n{never}")) + STEADY;
        let mut appliance = Appliance::start_in(broken, &config);
        appliance.wait_for_state("steady", "ready").await;
        eventually("all to fail", async || {
            let failed = states(&appliance).iter().filter(|state| *state == "failed").count();
            (failed == MISSING).then_some(())
        })
        .await;
        let log = appliance.log();
        for app in (0..MISSING).map(|at| format!("app=x{at} ")) {
            let errors: Vec<_> = log
                .lines()
                .filter(|line| line.contains("app could not be started") && line.contains(&app))
                .collect();
            assert!(matches!(errors[..], [one] if one.contains(why)), "{app}: {errors:?}");
        }
        assert_eq!(descendants(appliance.pid()).len(), 1, "only `steady` has a process");
        ends_well(&mut appliance).await;
    }
}
