//! Builds [`Auth`] from the configuration: reads secrets and keys, opens the files in `state_dir`,
//! and connects the rooms.

use std::sync::Arc;

use openidconnect::{ClientId, ClientSecret};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;

use super::Auth;
use super::authentication::Authenticator;
use super::bearer::Programs;
use super::cookie::{CookieNames, Cookies, Keyring};
use super::frames::Frames;
use super::fresh_token::{FreshTokens, Handles};
use super::issuer::{Issuer, PersonReader, Registration};
use super::login::{CodeExchanges, Login, Origins};
use super::person::{ClaimPaths, Signer};
use super::runtime::Tasks;
use super::session::renewal::{Grants, Refresher, Restorer, Upkeep};
use super::session::store::state_files::{self, COOKIE_NAMES};
use super::session::store::{Ledger, RefreshTokens, Sessions, Terms};
use super::setup_error::{STATE_DIR, SetupError};
use crate::config::{Config, Oidc, SecretSource};

const CLIENT_SECRET: &[&str; 2] = &["oidc", "client_secret"];
const KEYS: &[&str; 2] = &["session", "keys"];

impl Auth {
    /// Opens secrets, keys and the remembered sessions. Background tasks run on `runtime`. Fails if
    /// a setting cannot be used; the error names the setting.
    pub fn open(config: &Config, runtime: Handle) -> Result<Arc<Self>, SetupError> {
        let missing = || SetupError::new(&["oidc"], "[oidc] is missing: nobody could sign in");
        let oidc = config.oidc.as_ref().ok_or_else(missing)?;
        let registration = registration(config, oidc)?;
        let keyring = Arc::new(keyring(config)?);
        let (state_dir, lifetime) = (&config.server.state_dir, config.session.lifetime);
        let unusable = |error| {
            let dir = state_dir.display();
            SetupError::new(STATE_DIR, format!("cannot keep sessions in state_dir {dir}: {error}"))
        };
        let public_url = &config.server.public_url;
        let ledger = Ledger::open(state_dir, keyring.clone(), public_url.authority(), lifetime)
            .map_err(unusable)?;
        let before = state_files::read(&ledger.dir().join(COOKIE_NAMES)).map_err(unusable)?;
        let before = CookieNames::parse(&String::from_utf8_lossy(&before));
        let cookies = Arc::new(Cookies::new(&config.session.cookie, public_url, &before));
        let refresh_tokens = RefreshTokens::open(ledger.dir(), &oidc.issuer).map_err(unusable)?;
        let exchanges = CodeExchanges::open(ledger.dir()).map_err(unusable)?;
        let signer = Arc::new(Signer::open(state_dir, config.server.public_url.to_string())?);
        let tasks = Tasks::new(runtime);
        let issuer = Arc::new(Issuer::new(oidc, registration, tasks.clone())?);
        let limits = &config.session;
        let paths = Arc::new(ClaimPaths::new(oidc));
        let terms = Terms {
            paths: paths.clone(),
            require_verified_email: oidc.require_verified_email,
            recheck: limits.recheck,
            keyring,
            cookies,
            signer: signer.clone(),
        };
        let sessions = Sessions::new(terms, ledger, refresh_tokens, limits, tasks.clone());
        let sessions = Arc::new(sessions.map_err(unusable)?);
        sessions.keep_cookie_names();
        let programs = programs(oidc, &issuer, &sessions, &paths, &signer);
        let grants = Arc::new(Grants {
            issuer: issuer.clone(),
            people: PersonReader::new(issuer.clone(), paths, oidc),
            sessions: sessions.clone(),
            tasks: tasks.clone(),
        });
        let refresher = Refresher::new(grants.clone());
        let restorer = Restorer::new(grants.clone());
        let frames = Frames::new(grants.clone());
        let login = Login::new(grants, restorer.clone(), oidc, exchanges, Origins::new(config)?);
        let authenticator = Authenticator { sessions, refresher, restorer, frames };
        let handles = Handles::new().map_err(|_| {
            SetupError::new(&["oidc"], "the system gives no random numbers for a key")
        })?;
        let handles = Arc::new(handles);
        Ok(Self::connect(issuer, signer, tasks, authenticator, programs, login, handles))
    }

    /// The same sessions and logins under another configuration with the same issuer. It is in force
    /// from [`Self::take_over`] on. Fails if a setting cannot be used; the error names the setting.
    pub fn successor(&self, config: &Config) -> Result<Arc<Self>, SetupError> {
        let missing = || SetupError::new(&["oidc"], "[oidc] is missing: nobody could sign in");
        let oidc = config.oidc.as_ref().ok_or_else(missing)?;
        let keyring = Arc::new(keyring(config)?);
        let (public_url, before) = (&config.server.public_url, self.sessions.cookies.names());
        let cookies = Arc::new(Cookies::new(&config.session.cookie, public_url, before));
        // What is the same as before stays the same value, so nothing is derived from it again.
        let signer = Signer::open(&config.server.state_dir, public_url.to_string())?;
        let signer = signer.or_known(&self.signer);
        let paths = ClaimPaths::new(oidc).or_known(&self.sessions.terms.paths);
        let terms = Terms {
            paths: paths.clone(),
            require_verified_email: oidc.require_verified_email,
            recheck: config.session.recheck,
            keyring,
            cookies,
            signer: signer.clone(),
        };
        let issuer = Arc::new(self.issuer.successor(oidc, registration(config, oidc)?)?);
        let sessions = self.sessions.successor(terms, &config.session);
        let sessions = Arc::new(sessions.map_err(|error| {
            SetupError::new(STATE_DIR, format!("cannot keep sessions in state_dir: {error}"))
        })?);
        let tasks = self.tasks.clone();
        let programs =
            programs(oidc, &issuer, &sessions, &paths, &signer).following(&self.programs);
        let grants = Arc::new(Grants {
            issuer: issuer.clone(),
            people: PersonReader::new(issuer.clone(), paths, oidc),
            sessions: sessions.clone(),
            tasks: tasks.clone(),
        });
        let refresher = self.authenticator.refresher.with(grants.clone());
        let restorer = self.authenticator.restorer.with(grants.clone());
        let frames = self.authenticator.frames.with(grants.clone());
        let login = self.login.successor(grants, restorer.clone(), oidc, Origins::new(config)?);
        let authenticator = Authenticator { sessions, refresher, restorer, frames };
        let handles = Arc::clone(&self.fresh_tokens.handles);
        Ok(Self::connect(issuer, signer, tasks, authenticator, programs, login, handles))
    }

    fn connect(
        issuer: Arc<Issuer>,
        signer: Arc<Signer>,
        tasks: Tasks,
        authenticator: Authenticator,
        programs: Programs,
        login: Login,
        handles: Arc<Handles>,
    ) -> Arc<Self> {
        let sessions = authenticator.sessions.clone();
        let refresher = authenticator.refresher.clone();
        Arc::new(Self {
            upkeep: Upkeep {
                issuer: issuer.clone(),
                sessions: sessions.clone(),
                refresher: refresher.clone(),
            },
            fresh_tokens: FreshTokens {
                handles,
                patience: Arc::default(),
                sessions: sessions.clone(),
                refresher,
            },
            login,
            programs,
            authenticator,
            issuer,
            sessions,
            signer,
            tasks,
        })
    }

    /// Applies the settings of this configuration to what exists: the registration at the issuer, and
    /// all that sessions derive from the settings.
    pub fn take_over(&self, config: &Config) {
        self.issuer.take_over();
        self.programs.take_over();
        self.sessions.keep_cookie_names();
        self.sessions.take_over(config.session.lifetime);
    }
}

fn programs(
    oidc: &Oidc,
    issuer: &Arc<Issuer>,
    sessions: &Arc<Sessions>,
    paths: &Arc<ClaimPaths>,
    signer: &Arc<Signer>,
) -> Programs {
    let (issuer, paths, signer) = (issuer.clone(), paths.clone(), signer.clone());
    let sessions = Arc::clone(sessions);
    Programs::new(
        issuer,
        sessions,
        oidc.accepted_audiences(),
        paths,
        oidc.require_verified_email,
        signer,
    )
}

fn registration(config: &Config, oidc: &Oidc) -> Result<Registration, SetupError> {
    let secret = secret(CLIENT_SECRET, &oidc.client_secret, config)?;
    Ok(Registration {
        client_id: ClientId::new(oidc.client_id.clone()),
        client_secret: ClientSecret::new(secret),
    })
}

fn keyring(config: &Config) -> Result<Keyring, SetupError> {
    let keys = secret(KEYS, &config.session.keys, config)?;
    Keyring::parse(&keys).map_err(|error| SetupError::new(KEYS, format!("[session] keys: {error}")))
}

/// Reads a secret, which must not be empty.
fn secret(
    key: &'static [&'static str; 2],
    source: &SecretSource,
    config: &Config,
) -> Result<String, SetupError> {
    let [section, name] = key;
    match source.resolve(&config.server.state_dir) {
        Ok(secret) if secret.expose_secret().is_empty() => {
            Err(SetupError::new(key, format!("[{section}] {name} is empty")))
        }
        Ok(secret) => Ok(secret.expose_secret().to_owned()),
        Err(error) => Err(SetupError::new(key, format!("[{section}] {name}: {error}"))),
    }
}
