//! The link and Keycloak together: makes links, and makes the account of one that is used.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::access::{Access, own_realm};
use super::admin_api::ApiError;
use super::link::Link;
use super::store;
use crate::config::{Config, OwnRealm};
use crate::proxy::{FirstAdministrator, NewAccount, NotCreated};
use crate::supervisor;
use crate::threads::blocking;

/// Where the page is.
const PAGE: &str = "/_appliance/first-administrator?token=";

/// How often Keycloak is asked while it starts again, and the pause between.
const ATTEMPTS: u32 = 24;
const PAUSE: Duration = Duration::from_secs(5);

/// The administration of Keycloak. Before [`Self::open`], no link is good.
#[derive(Debug, Default)]
pub(crate) struct Administration(OnceLock<Arc<Open>>);

#[derive(Debug)]
struct Open {
    config: watch::Receiver<Arc<Config>>,
    supervisor: supervisor::Handle,
    file: PathBuf,
    link: Mutex<Link>,
    /// One link is used, made or looked for at a time.
    turn: tokio::sync::Mutex<()>,
    /// Accounts are made here, so that a client that leaves interrupts nothing.
    runtime: runtime::Handle,
}

/// What a start has found.
#[derive(Debug, Default)]
pub(crate) struct AtStart {
    /// The link for the first administrator, if the realm has nobody yet.
    pub(crate) link: Option<String>,
    /// Test users that the realm has.
    pub(crate) test_users: Vec<String>,
}

impl Administration {
    /// Reads the state of the link. Links are good from now on, under the configuration in force.
    pub(crate) fn open(
        &self,
        config: watch::Receiver<Arc<Config>>,
        supervisor: supervisor::Handle,
    ) {
        let file = store::path(&config.borrow().server.state_dir);
        let link = store::read(&file).unwrap_or_else(|error| {
            let file = file.display();
            warn!(%file, %error, "the state of the link for an administrator cannot be read: no link is good; `appliance admin-link` makes another one");
            Link::Settled
        });
        let _ = self.0.set(Arc::new(Open {
            config,
            supervisor,
            file,
            link: Mutex::new(link),
            turn: tokio::sync::Mutex::default(),
            runtime: runtime::Handle::current(),
        }));
    }

    /// Makes a link; an earlier one that is not used ends. The error is for people.
    pub(crate) async fn new_link(&self) -> Result<String, String> {
        let open = self.0.get().ok_or("the appliance is starting")?;
        if own_realm(&open.config.borrow()).is_none() {
            let why = "people do not sign in at a Keycloak of a preset (`[oidc] served_by`); \
                       create the administrator at your identity provider";
            return Err(why.to_owned());
        }
        let _turn = open.turn.lock().await;
        open.offer().await
    }

    /// Called when people can sign in, and other machines can reach the login. Makes a link if the realm
    /// has nobody yet: once in the life of a state folder.
    pub(crate) async fn look_at_start(&self) -> AtStart {
        let Some(open) = self.0.get() else { return AtStart::default() };
        let _turn = open.turn.lock().await;
        open.look().await
    }

    /// Called when people can sign in, and after a reload. Where the console is open to some groups, a
    /// realm that was imported with closed consoles lets the console sign people in.
    pub(crate) async fn admit_console(&self) {
        let Some(open) = self.0.get() else { return };
        let mut outcome = Ok(Vec::new());
        for _ in 0..ATTEMPTS {
            outcome = open.admit_console().await;
            // Keycloak starts again after a reload that opens its console.
            if !matches!(outcome, Err(ApiError::Failed(_))) {
                break;
            }
            sleep(PAUSE).await;
        }
        match outcome {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => info!(
                changed = changed.join(", "),
                "the realm was changed so that its admin console can sign people in"
            ),
            Err(reason) => warn!(
                %reason,
                "whether the realm lets its admin console sign people in is unknown: see \"The consoles\" in docs/keycloak.md"
            ),
        }
    }
}

impl FirstAdministrator for Administration {
    fn is_good(&self, token: &str) -> bool {
        self.0.get().is_some_and(|open| open.link().is_good(token, now()))
    }

    fn create(&self, token: String, account: NewAccount) -> BoxFuture<'_, Result<(), NotCreated>> {
        async move {
            let open = Arc::clone(self.0.get().ok_or(NotCreated::NoLink)?);
            let runtime = open.runtime.clone();
            let made = runtime.spawn(async move { open.create(&token, &account).await }).await;
            made.unwrap_or(Err(NotCreated::Failed("the appliance failed".to_owned())))
        }
        .boxed()
    }
}

impl Open {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a state in force: first in the file, so that no restart opens a link that was closed.
    async fn set(&self, link: Link) -> Result<(), String> {
        let (file, written) = (self.file.clone(), link.clone());
        let done = blocking(move || store::write(&file, &written)).await;
        done.map_err(|error| format!("{}: {error}", self.file.display()))?;
        *self.link() = link;
        Ok(())
    }

    async fn offer(&self) -> Result<String, String> {
        let made = Link::offer(now());
        let (link, token) = made.map_err(|_| "the system gives no random numbers")?;
        self.set(link).await?;
        let url = self.config.borrow().server.public_url.to_string();
        Ok(format!("{url}{PAGE}{token}"))
    }

    async fn look(&self) -> AtStart {
        let is_first = *self.link() == Link::Never;
        let config = self.config.borrow().clone();
        let Some(realm) = own_realm(&config) else { return AtStart::default() };
        if !is_first && realm.test_users.is_empty() {
            return AtStart::default();
        }
        match self.ask(realm, is_first).await {
            Ok((nobody, test_users)) => {
                let link = if is_first { self.first_link(nobody).await } else { None };
                AtStart { link, test_users }
            }
            // Somebody has replaced the account, so the realm has an administrator.
            Err(ApiError::NotPermitted) if is_first => {
                let _ = self.first_link(false).await;
                AtStart::default()
            }
            Err(reason) => {
                info!(%reason, "Keycloak does not say whether the realm has people");
                AtStart::default()
            }
        }
    }

    /// Whether the realm has nobody, and which test users it has.
    async fn ask(&self, realm: &OwnRealm, count: bool) -> Result<(bool, Vec<String>), ApiError> {
        let access = self.access().await.map_err(ApiError::Failed)?;
        let api = access.sign_in().await?;
        let nobody = count && api.count_users().await? == 0;
        let mut found = Vec::new();
        for name in &realm.test_users {
            if !nobody && api.has_user(name).await? {
                found.push(name.clone());
            }
        }
        Ok((nobody, found))
    }

    async fn access(&self) -> Result<Access, String> {
        let config = self.config.borrow().clone();
        Access::of(&config, &self.supervisor).await
    }

    async fn admit_console(&self) -> Result<Vec<&'static str>, ApiError> {
        let has_console = |realm: &OwnRealm| realm.console.is_some();
        if !own_realm(&self.config.borrow()).is_some_and(has_console) {
            return Ok(Vec::new());
        }
        let _turn = self.turn.lock().await;
        let access = self.access().await.map_err(ApiError::Failed)?;
        access.sign_in().await?.admit_console().await
    }

    async fn first_link(&self, nobody: bool) -> Option<String> {
        let made = if nobody {
            self.offer().await.map(Some)
        } else {
            self.set(Link::Settled).await.map(|()| None)
        };
        made.unwrap_or_else(|reason| {
            error!(reason, "no link for the first administrator can be made");
            None
        })
    }

    async fn create(&self, token: &str, account: &NewAccount) -> Result<(), NotCreated> {
        let Ok(_turn) = self.turn.try_lock() else { return Err(NotCreated::Busy) };
        let offered = self.link().clone();
        if !offered.is_good(token, now()) {
            return Err(NotCreated::NoLink);
        }
        let access = self.access().await.map_err(NotCreated::Failed)?;
        // Before the account exists: an appliance that is killed meanwhile must not open the link again.
        self.set(Link::Settled).await.map_err(NotCreated::Failed)?;
        let created = async { access.sign_in().await?.create_administrator(account).await }.await;
        match created {
            Ok(()) => {
                info!(user = account.user, "an administrator was created by the link");
                Ok(())
            }
            Err(refused) => {
                self.set(offered).await.map_err(NotCreated::Failed)?;
                Err(match refused {
                    ApiError::Refused(why) => NotCreated::Refused(why),
                    other => {
                        warn!(reason = %other, "an administrator could not be created by the link");
                        NotCreated::Failed(other.to_string())
                    }
                })
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
