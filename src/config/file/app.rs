//! `[apps.NAME]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::{Access, Rule, Tables};
use super::identity::Identity;
use super::life::{After, Backoff, Restart, StopTarget};
use super::preset::{KeycloakPreset, PythonPreset, StaticPreset};
use super::probe::Probe;
use super::run::{Limits, Setup};
use super::secret::EnvValue;
use super::shape::{At, FlagOr, NameOrNumber, OneOrMany, TextOr};

/// An app: a child process, a route, or both. Set exactly one of `command`, `static`, `keycloak` and the
/// presets of [docs/kinds.md](kinds.md); an app that runs elsewhere has only an `upstream`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct App {
    /// Program and arguments of the app's process. `{port}` (the app's port), `{path}`,
    /// `{prefix}` (the path without a slash at its end: empty for `/`), `{public_url}`, `{public_host}`
    /// (host and port as browsers show them), `{name}`, `{data}` (a folder of the app's own that is kept,
    /// with mode 0700) and `{free_port}` (a second free port) are replaced here and in `env`, `ready`
    /// and `live`. Any other `{word}` is an error; `{{word}}` is the text `{word}`. A relative program path with a `/` starts at the folder
    /// of the file; a bare name is looked up in `PATH`.
    ///
    /// Type: list of strings. Default: none. Example: `["uvicorn", "api:app", "--port", "{port}"]`.
    pub(crate) command: Option<At<Vec<String>>>,
    /// Preset for a Streamlit app: the script, or a table with more settings. The setup creates a
    /// Python environment with the app's requirements.
    ///
    /// Type: path or table. Default: none. Example: `"apps/app1.py"`.
    pub(crate) streamlit: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Gradio app: the script, which ends in `demo.launch()`. See [docs/kinds.md](kinds.md#gradio).
    ///
    /// Type: path or table. Default: none. Example: `"apps/demo.py"`.
    pub(crate) gradio: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Dash app: the script, in which `server = app.server`. See [docs/kinds.md](kinds.md#dash).
    ///
    /// Type: path or table. Default: none. Example: `"apps/sales.py"`.
    pub(crate) dash: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Panel or Bokeh app: the script. See [docs/kinds.md](kinds.md#panel).
    ///
    /// Type: path or table. Default: none. Example: `"apps/map.py"`.
    pub(crate) panel: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a marimo notebook as an app: the notebook. See [docs/kinds.md](kinds.md#marimo).
    ///
    /// Type: path or table. Default: none. Example: `"apps/model.py"`.
    pub(crate) marimo: Option<At<TextOr<PythonPreset>>>,
    /// Preset for JupyterLab: the folder with the notebooks. Everybody with access can run programs as the user of the app. See [docs/kinds.md](kinds.md#jupyter).
    ///
    /// Type: path or table. Default: none. Example: `"notebooks"`.
    pub(crate) jupyter: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Jupyter notebook as an app: the notebook. See [docs/kinds.md](kinds.md#voila).
    ///
    /// Type: path or table. Default: none. Example: `"apps/report.ipynb"`.
    pub(crate) voila: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Shiny for Python app: the script. See [docs/kinds.md](kinds.md#shiny).
    ///
    /// Type: path or table. Default: none. Example: `"apps/app.py"`.
    pub(crate) shiny: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a FastAPI app: the script, in which `app = FastAPI()`. See [docs/kinds.md](kinds.md#fastapi).
    ///
    /// Type: path or table. Default: none. Example: `"apps/api.py"`.
    pub(crate) fastapi: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Flask app: the script, in which `app = Flask(__name__)`. See [docs/kinds.md](kinds.md#flask).
    ///
    /// Type: path or table. Default: none. Example: `"apps/web.py"`.
    pub(crate) flask: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a Django project: the folder with `manage.py`. See [docs/kinds.md](kinds.md#django).
    ///
    /// Type: path or table. Default: none. Example: `"site"`.
    pub(crate) django: Option<At<TextOr<PythonPreset>>>,
    /// Preset for a NiceGUI app: the script, which ends in `ui.run(host="127.0.0.1", port=int(os.environ["PORT"]), show=False, reload=False)`. See [docs/kinds.md](kinds.md#nicegui).
    ///
    /// Type: path or table. Default: none. Example: `"apps/ui.py"`.
    pub(crate) nicegui: Option<At<TextOr<PythonPreset>>>,
    /// Preset for an MLflow server: the folder of its database and artifacts, or `{}` for the app's own folder. See [docs/kinds.md](kinds.md#mlflow).
    ///
    /// Type: path or table. Default: none. Example: `"runs"`.
    pub(crate) mlflow: Option<At<TextOr<PythonPreset>>>,
    /// Preset for TensorBoard: the folder with the runs. See [docs/kinds.md](kinds.md#tensorboard).
    ///
    /// Type: path or table. Default: none. Example: `"runs"`.
    pub(crate) tensorboard: Option<At<TextOr<PythonPreset>>>,
    /// Preset for Keycloak as the issuer: a table with at least `home` and `realm`. The setup
    /// installs Keycloak if it is missing.
    ///
    /// Type: table. Default: none. Example: `{ home = "/opt/keycloak", realm = "realm.json" }`.
    pub(crate) keycloak: Option<At<KeycloakPreset>>,
    /// A folder with files that the appliance serves itself, without a process: a site of Quarto, MkDocs or
    /// dbt, or a built web app. The files are under the same login, rules and access log as any app. See
    /// [docs/apps.md](apps.md#how-do-i-serve-a-folder-with-files).
    ///
    /// Type: path or table. Default: none. Example: `"site"`.
    #[serde(rename = "static")]
    pub(crate) static_files: Option<At<TextOr<StaticPreset>>>,
    /// Port of the app on 127.0.0.1. The process gets it as the variable `PORT`. Two apps cannot
    /// share a port.
    ///
    /// Type: integer from 1 to 65535. Default: a free port, chosen at every start. Example: `8501`.
    pub(crate) port: Option<At<i64>>,
    /// Address of the app, or a list of at most 64 addresses that share its requests (see
    /// [docs/scale.md](scale.md#several-addresses)): `http://host:port`,
    /// `https://host` or `unix:/path`, without a path in the URL. `{port}` and `{name}` are
    /// replaced. Without a `command` or preset, this is where the app runs. The unix socket of an app
    /// with a user of its own is opened with the rights of this user, who must be the one that
    /// listens there; one without a `command` may be served by any user.
    ///
    /// Type: address or list of addresses. Default: `http://127.0.0.1:{port}`. Example:
    /// `"http://10.0.0.7:8501"`.
    pub(crate) upstream: Option<At<OneOrMany>>,
    /// All requests of a session go to the same address of `upstream`, or to the same process of
    /// `replicas`, also its WebSockets, as long as it works. `false`: each request goes to the one with
    /// the fewest requests in flight.
    ///
    /// Type: boolean. Default: `true` with `replicas`, else `false`.
    pub(crate) sticky: Option<At<bool>>,
    /// PEM file with the authorities that verify the certificate of an `https://` upstream, in place of
    /// those of the system. It is read at the start and at every reload; so are the files below.
    ///
    /// Type: path. Default: the authorities of the system. Example: `"ca.pem"`.
    pub(crate) ca_file: Option<At<String>>,
    /// Name in the certificate of an `https://` upstream, and in the TLS handshake (SNI), if it is not
    /// the host of the address.
    ///
    /// Type: string. Default: the host of the address. Example: `"wiki.internal"`.
    pub(crate) server_name: Option<At<String>>,
    /// PEM file with the certificate that the appliance shows to an `https://` upstream, and with the
    /// certificates between it and the root. Needs `client_key`.
    ///
    /// Type: path. Default: none. Example: `"client.pem"`.
    pub(crate) client_cert: Option<At<String>>,
    /// PEM file with the private key of `client_cert`. It is hidden from apps like other secret files of
    /// the appliance.
    ///
    /// Type: path. Default: none. Example: `"client.key"`.
    pub(crate) client_key: Option<At<String>>,
    /// Path prefix of the app, matched on segment boundaries: `/app1` covers `/app1` and `/app1/x`,
    /// not `/app10`. The longest matching prefix wins. Without `path` and `host`, the app is not
    /// reachable from outside.
    ///
    /// Type: string. Default: none; `/` if `host` is set. Example: `"/app1"`.
    pub(crate) path: Option<At<String>>,
    /// Host name of the app, without scheme and port. People sign in separately for each host:
    /// register `https://HOST/oauth2/callback` as a redirect URI at the issuer.
    ///
    /// Type: string. Default: the host of `public_url`. Example: `"wiki.example.org"`.
    pub(crate) host: Option<At<String>>,
    /// Remove the app's `path` from requests before they are forwarded. The app gets the path in
    /// `X-Forwarded-Prefix`. `Location` headers and cookie paths of responses get the prefix back,
    /// unless they already have it.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) strip_prefix: Option<bool>,
    /// Redirect a GET of exactly `path` to `path/` (308), so that the relative links of the page
    /// lead to the app. The query is kept.
    ///
    /// Type: boolean. Default: the value of `strip_prefix`.
    pub(crate) trailing_slash: Option<bool>,
    /// Let `%2F`, `;`, `%3B` and `//` in paths reach the app as the client sent them; other apps get
    /// no such request (400). The app can have no `rules`: it may read such a path in a way that the
    /// proxy does not foresee. A path that can also be read as a path of another app is refused.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) raw_path: Option<At<bool>>,
    /// Who may open the app: `"public"` for everybody, `"signed-in"` for everybody who is signed
    /// in, a table of constraints, or a list of such tables of which a person must meet one.
    ///
    /// Type: access policy. Default: the `default` of `[access]`. Example: `{ groups = ["group2"]
    /// }`.
    pub(crate) access: Option<At<Access>>,
    /// Who may not open the app, even if `access` allows it. Takes a table of constraints, or a list
    /// of such tables: a person who meets one of them is shut out. Unlike `access`, it ignores letter
    /// case in every value, finds values in every shape of their claim (list, text, objects), and an
    /// unverified e-mail address counts.
    ///
    /// Type: table of constraints, or list of tables. Default: nobody. Example: `{ emails = ["bob@example.org"] }`.
    pub(crate) deny: Option<At<Tables>>,
    /// Policies for parts of the app. The first rule that matches counts; otherwise `access`
    /// counts.
    ///
    /// Type: list of rules. Default: `[]`. Example: `[{ path = "/public/**", methods = ["GET"],
    /// access = "public" }]`.
    pub(crate) rules: Option<Vec<Rule>>,
    /// Answer 401 with a JSON string instead of a redirect to the login.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) api: Option<bool>,
    /// Let programs in with an access token of the issuer in `Authorization: Bearer` (RFC 6750). The
    /// policies of the app hold for them as for people. The app does not get the `Authorization` header.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) bearer: Option<At<bool>>,
    /// Names of the headers that tell the app who is signed in. A table sends only the headers that
    /// it names; `false` sends none. The appliance removes these headers from every client request,
    /// and those that a reload has renamed or removed until the appliance ends.
    ///
    /// Type: table or `false`. Default: `X-Forwarded-User`, `X-Forwarded-Email`,
    /// `X-Forwarded-Groups` and `X-Forwarded-Preferred-Username`. Example: `{ user = "X-User",
    /// groups = "X-Groups" }`.
    pub(crate) identity: Option<At<FlagOr<Identity>>>,
    /// Apps that this app waits for: names, or tables with `app` and `until`. A dependency that
    /// crashes later does not stop this app.
    ///
    /// Type: list of names or tables. Default: `[]`. Example: `["db", { app = "migrate", until =
    /// "finished" }]`.
    pub(crate) after: Option<Vec<At<TextOr<After>>>>,
    /// Probe that tells when the app is ready. Requests to an app that is not ready get 503.
    ///
    /// Type: probe. Default: for an app with a process and a route, the app accepts a connection on its
    /// port (an open port alone is not enough, see [docs/apps.md](apps.md#probes)); any other app is
    /// ready when it has started. Example: `{ http = "/health", deadline = "2m" }`.
    pub(crate) ready: Option<At<Probe>>,
    /// Probe that tells whether the app still responds. After `failures` failures in a row the app
    /// is restarted. The probe starts when the app is ready for the first time.
    ///
    /// Type: probe. Default: none. Example: `{ http = "/health", interval = "10s", failures = 3 }`.
    pub(crate) live: Option<At<Probe>>,
    /// `false`: the app is stopped until `appliance start NAME`. What is `after` it waits. A reload
    /// does not start it either.
    ///
    /// Type: boolean. Default: `true`.
    pub(crate) autostart: Option<bool>,
    /// Which exits start the app again: all (`always`), only failures (`on-failure`), or none
    /// (`never`). An exit code in `success_exit_codes` is no failure.
    ///
    /// Type: `"always"`, `"on-failure"` or `"never"`. Default: `"always"`.
    pub(crate) restart: Option<Restart>,
    /// Pause before a restart. The pause doubles from `min` to `max` and returns to `min` after the
    /// app was ready for 10 seconds.
    ///
    /// Type: table. Default: `{ min = "500ms", max = "30s" }`. Example: `{ min = "1s", max = "5m"
    /// }`.
    pub(crate) backoff: Option<At<Backoff>>,
    /// How many restarts are allowed within `window`. At the next exit after that, the app has
    /// failed for good and is not started again.
    ///
    /// Type: integer. Default: `10`. Example: `3`.
    pub(crate) max_restarts: Option<At<i64>>,
    /// Period in which `max_restarts` counts restarts.
    ///
    /// Type: duration. Default: `"10m"`.
    pub(crate) window: Option<At<String>>,
    /// Most memory that the app may use, with all its processes and their descendants. A page that
    /// several of them share counts once (PSS). An app that uses more for five seconds is stopped in
    /// good order and started again at once; this counts for `max_restarts`. At least `1MB`.
    ///
    /// Type: size. Default: no limit. Example: `"1500MB"`.
    pub(crate) max_memory: Option<At<String>>,
    /// Exit codes that count as success.
    ///
    /// Type: list of integers from 0 to 255. Default: `[0]`. Example: `[0, 143]`.
    pub(crate) success_exit_codes: Option<At<Vec<i64>>>,
    /// If the app fails for good, the appliance stops with the app's exit code (128 + n after
    /// signal n).
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) critical: Option<bool>,
    /// Signal that asks the app to stop, sent to its whole process group unless `stop_target` says
    /// otherwise.
    ///
    /// Type: string. Default: `"TERM"`. Example: `"INT"`.
    pub(crate) stop_signal: Option<At<String>>,
    /// Who gets `stop_signal`: all processes of the group, or only the leader, which is the process
    /// that the appliance has started. `"leader"` is for programs that end their own workers in
    /// good order, for example Celery and gunicorn. SIGKILL always goes to the whole group.
    ///
    /// Type: `"group"` or `"leader"`. Default: `"group"`.
    pub(crate) stop_target: Option<StopTarget>,
    /// How long the app may take to stop after `stop_signal`; then its process group gets SIGKILL.
    /// During a stop of the appliance, `shutdown_timeout` can shorten this time.
    ///
    /// Type: duration. Default: `"5s"`. Example: `"30s"`.
    pub(crate) stop_timeout: Option<At<String>>,
    /// The app runs once and is ready when it exits with success. It then counts as finished and is
    /// not restarted.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) oneshot: Option<bool>,
    /// Times at which the app runs: a cron expression (minute, hour, day, month, day of the week; with
    /// six fields, the first one is the second), `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`,
    /// or `every` with a duration of at least `1s`. The times follow the `TZ` of the app. The app is
    /// a `oneshot`: it runs to its end each time. A time that comes while it runs is skipped.
    ///
    /// Type: string. Default: none. Example: `"30 2 * * *"`.
    pub(crate) schedule: Option<At<String>>,
    /// Times at which the app is stopped and started again: a cron expression as in `schedule`. Such a
    /// restart is no failure and does not count towards `max_restarts`.
    ///
    /// Type: string. Default: none. Example: `"0 4 * * *"`.
    pub(crate) restart_at: Option<At<String>>,
    /// Number of processes of the app. Each has a port of its own and a name with a number:
    /// `NAME.0`, `NAME.1` and so on. All requests of a session go to the same process, also its
    /// WebSockets; a new session goes to the process with the fewest. With `port`, the processes use
    /// this port and those that follow it. With `idle_stop`, all of them sleep and wake together. See [docs/scale.md](scale.md).
    ///
    /// Type: integer from 1 to 64. Default: `1`. Example: `3`.
    pub(crate) replicas: Option<At<i64>>,
    /// The app sleeps: it is started by the first request of a person or program that has access, and
    /// stopped when nobody has used it for this long. Requests and data that a browser sends over a
    /// WebSocket are use; a page that only listens is none. With `replicas`, the use of one process is use
    /// of the app. People see a page while the app starts;
    /// programs wait as long as `hold` says. At least `1s`. See [docs/sleep.md](sleep.md).
    ///
    /// Type: duration. Default: none. Example: `"30m"`.
    pub(crate) idle_stop: Option<At<String>>,
    /// Hours in which an app with `idle_stop` runs also unused: days (`mon`, `mon-fri`, or none for every
    /// day) and times, several between commas. They follow the `TZ` of the app.
    ///
    /// Type: string. Default: none. Example: `"mon-fri 07:00-19:00, sat 09:00-12:00"`.
    pub(crate) keep_warm: Option<At<String>>,
    /// `false` turns the app off: it is checked but neither started nor routed.
    ///
    /// Type: boolean. Default: `true`.
    pub(crate) enabled: Option<bool>,
    /// User that runs the process and its setup, as a name or a number. Only root can change the
    /// user. `HOME` and `USER` are set to this user's values. Write `"root"` for an app that needs
    /// root.
    ///
    /// Type: string or integer. Default: as `[server] users` says. Example: `"app1"`.
    pub(crate) user: Option<At<NameOrNumber>>,
    /// Group that runs the process, as a name or a number; the process gets no other group.
    /// Required with a numeric `user` that has no entry in the user database.
    ///
    /// Type: string or integer. Default: the groups of `user`. Example: `"staff"`.
    pub(crate) group: Option<At<NameOrNumber>>,
    /// Permission bits that new files do not get, as three octal digits.
    ///
    /// Type: string. Default: the appliance's umask. Example: `"027"`.
    pub(crate) umask: Option<At<String>>,
    /// Working directory of the process.
    ///
    /// Type: path. Default: the folder of the file. Example: `"apps"`.
    pub(crate) cwd: Option<At<String>>,
    /// Environment variables of the process: text, or a secret as a table. The process gets no
    /// other variables except `PATH`, `HOME`, `LANG`, `TZ`, `USER`, `PORT`, `PYTHONUNBUFFERED=1`,
    /// those of `env_file` and `pass_env`, and `APPLIANCE_TOKEN_URL` of an app that gets access tokens.
    ///
    /// Type: table. Default: `{}`. Example: `{ MODE = "production", DB_PASSWORD = { file =
    /// "/run/secrets/db" } }`.
    pub(crate) env: Option<BTreeMap<String, At<EnvValue>>>,
    /// File with one `NAME=value` per line, `#` comments and optional quotes, read at every start
    /// of the process. `env` wins over it.
    ///
    /// Type: path. Default: none. Example: `"app1.env"`.
    pub(crate) env_file: Option<At<String>>,
    /// Names of variables that the process inherits from the appliance. `env_file` and `env` win
    /// over them.
    ///
    /// Type: list of strings. Default: `[]`. Example: `["HTTPS_PROXY"]`.
    pub(crate) pass_env: Option<Vec<At<String>>>,
    /// Resource limits of the process.
    ///
    /// Type: table. Default: the limits that the appliance was started with. Example: `{ nofile =
    /// 4096, as = "2GiB" }`.
    pub(crate) limits: Option<Limits>,
    /// The process and its children cannot gain privileges, for example by setuid programs.
    ///
    /// Type: boolean. Default: `true` if `user` is set, else `false`. Example: `false`.
    pub(crate) no_new_privs: Option<bool>,
    /// `false` discards the output of the process.
    ///
    /// Type: boolean. Default: `true`.
    pub(crate) log: Option<bool>,
    /// First-time setup: a command that runs before the first start, unless the path in `creates`
    /// exists. `appliance setup` runs it as well, for example in an image build.
    ///
    /// Type: table. Default: none. Example: `{ run = ["./make-venv"], creates = "venv" }`.
    pub(crate) setup: Option<At<Setup>>,
    /// Largest request body. A larger request gets 413.
    ///
    /// Type: size. Default: no limit. Example: `"200MB"`.
    pub(crate) max_body: Option<At<String>>,
    /// How long a `GET` or `HEAD` waits for the app while it restarts, before it gets 503. `"0s"`: not at
    /// all. A request of a program that starts an app with `idle_stop` waits as long. An app that starts for the first time, was stopped or has failed is not waited for. At most
    /// 128 requests wait for one app, and 512 for all apps. WebSocket handshakes do not wait.
    ///
    /// Type: duration. Default: `"3s"`. Example: `"10s"`.
    pub(crate) hold: Option<At<String>>,
    /// Time until the first byte of the app's response, also to a WebSocket handshake. A slower
    /// request gets 504. A response that has started may take any time.
    ///
    /// Type: duration. Default: `"60s"`. Example: `"5m"`.
    pub(crate) timeout: Option<At<String>>,
    /// Further origins whose pages may open WebSockets of the app and send requests that change
    /// something (`POST`, `DELETE`, …); `"*"` accepts all. The app's own origin is always accepted:
    /// that of its `host`, else that of `public_url`. Others get 403.
    ///
    /// Type: list of origins. Default: `[]`. Example: `["https://partner.example"]`.
    pub(crate) origins: Option<Vec<At<String>>>,
    /// Origins whose pages may show the app in a frame. People sign in by a window that a button in the
    /// frame opens; the frame gets a session cookie for this app alone. Needs an https `public_url`, and
    /// a host that no other app has.
    ///
    /// Type: list of https origins. Default: `[]`, nothing is changed about frames. Example:
    /// `["https://wiki.example.org"]`.
    pub(crate) embed: Option<Vec<At<String>>>,
    /// Portal: name of the app.
    ///
    /// Type: string. Default: the app's name. Example: `"Sales report"`.
    pub(crate) title: Option<String>,
    /// Portal: an emoji, a path of the same origin, or a `data:image/…` URL.
    ///
    /// Type: string. Default: none. Example: `"📈"`.
    pub(crate) icon: Option<At<String>>,
    /// Portal: one line of text.
    ///
    /// Type: string. Default: none. Example: `"Figures of the last quarter"`.
    pub(crate) description: Option<String>,
    /// Portal: do not show the app.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) hidden: Option<bool>,
    /// Who else may see this app in the console `/_appliance/apps`, read its log, start, stop and restart
    /// it, beside the `operators` of `[server]`. Takes the same values as `access`, except `"public"`.
    /// Needs `[oidc]`. See [docs/console.md](console.md).
    ///
    /// Type: access policy. Default: nobody. Example: `{ groups = ["sales-leads"] }`.
    pub(crate) operators: Option<At<Access>>,
}

impl App {
    /// The presets of Python frameworks: the key of each, and what the table says under it.
    pub(crate) fn python_presets(&self) -> [(&'static str, Option<&At<TextOr<PythonPreset>>>); 14] {
        [
            ("streamlit", self.streamlit.as_ref()),
            ("gradio", self.gradio.as_ref()),
            ("dash", self.dash.as_ref()),
            ("panel", self.panel.as_ref()),
            ("marimo", self.marimo.as_ref()),
            ("jupyter", self.jupyter.as_ref()),
            ("voila", self.voila.as_ref()),
            ("shiny", self.shiny.as_ref()),
            ("fastapi", self.fastapi.as_ref()),
            ("flask", self.flask.as_ref()),
            ("django", self.django.as_ref()),
            ("nicegui", self.nicegui.as_ref()),
            ("mlflow", self.mlflow.as_ref()),
            ("tensorboard", self.tensorboard.as_ref()),
        ]
    }
}
