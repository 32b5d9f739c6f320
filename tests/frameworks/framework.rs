//! One framework under `http://apps.test`.

use std::path::Path;

use crate::packages;
use crate::site::Site;

impl Site {
    /// Starts the app `name` at `/<name>` with the keys `keys`, and returns when it is ready.
    /// `{VENV}` in `keys` is the folder with the programs of the frameworks, `{NPM}` the one with
    /// the packages of npm, and `{APPS}` the one with the apps of the test.
    pub(crate) async fn start(name: &str, keys: &str) -> Self {
        Self::start_behind("http://apps.test:{PORT}", "", name, keys, async |_| {}).await
    }

    /// The same behind the proxy at `public_url` that `front` starts in front of the appliance's port.
    /// `server` are more keys of `[server]`.
    pub(crate) async fn start_behind(
        public_url: &str,
        server: &str,
        name: &str,
        keys: &str,
        front: impl AsyncFnOnce(u16),
    ) -> Self {
        let programs = tokio::task::spawn_blocking(packages::programs).await.unwrap();
        let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks/apps");
        let app =
            format!("[apps.{name}]\npath = \"/{name}\"\ncwd = \"{}\"\n{keys}", apps.display());
        let app = app
            .replace("{APPS}", &apps.display().to_string())
            .replace("{NPM}", &packages::modules().display().to_string())
            .replace("{VENV}", &programs.display().to_string());
        let prepare = |folder: &Path| prepare(&apps, folder);
        Self::open((public_url, server), (name, &app), &[], prepare, front).await
    }
}

/// Files that a test changes, or that a framework looks for in the folder of the appliance.
fn prepare(apps: &Path, folder: &Path) {
    let startup = folder.join("ipython/profile_default/startup");
    std::fs::create_dir_all(&startup).unwrap();
    std::fs::copy(apps.join("slow_kernel.py"), startup.join("slow.py")).unwrap();
    std::fs::create_dir(folder.join("vite")).unwrap();
    for file in std::fs::read_dir(apps.join("vite")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join("vite").join(file.file_name())).unwrap();
    }
}
