//! `/_appliance/`: the apps that a person has access to, their groups, and the sign-out button.

use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

use crate::auth::AccountAction;
use crate::auth::policy::{Verdict, decide};
use crate::config::{Config, PublicUrl};
use crate::proxy::answer::compose;
use crate::proxy::answer::pages::{Frame, Pages};
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::route::target::Target;

/// What the portal shows of the apps, in the order of the file.
#[derive(Debug)]
pub(crate) struct Portal {
    apps: Vec<Shown>,
    public: PublicUrl,
    /// Titles and paths of what people may change of their account.
    account: Vec<(&'static str, String)>,
}

/// What people see of one app.
#[derive(Debug)]
struct Shown {
    name: String,
    title: String,
    icon: Option<Icon>,
    description: Option<String>,
}

#[derive(Debug)]
struct Icon {
    /// An emoji, or the address of an image.
    text: String,
    is_image: bool,
}

#[derive(Debug, Template)]
#[template(path = "own/pages/portal.html")]
struct Page<'a> {
    frame: Frame<'a>,
    tiles: Vec<Tile<'a>>,
    groups: String,
    account: &'a [(&'static str, String)],
}

#[derive(Debug)]
struct Tile<'a> {
    title: &'a str,
    icon: Option<&'a Icon>,
    description: Option<&'a str>,
    link: String,
    state: &'static str,
}

impl Portal {
    pub(crate) fn new(config: &Config) -> Self {
        let apps = config.apps.iter().filter(|app| !app.hidden && app.route.is_some());
        let apps = apps.map(|app| Shown {
            name: app.name.to_string(),
            title: app.title.clone().unwrap_or_else(|| app.name.to_string()),
            icon: app.icon.as_deref().map(Icon::new),
            description: app.description.clone(),
        });
        let offered = config.oidc.as_ref().is_some_and(|oidc| oidc.account_actions);
        let actions = AccountAction::all().iter().filter(|_| offered);
        Self {
            apps: apps.collect(),
            public: config.server.public_url.clone(),
            account: actions.filter_map(|action| Some((action.title?, action.path()))).collect(),
        }
    }

    /// The page of one person.
    pub(crate) fn page(
        &self,
        caller: &Caller,
        targets: &[Arc<Target>],
        pages: &Pages,
        id: &HeaderValue,
    ) -> Response<Bytes> {
        let person = caller.person.as_deref();
        let tiles = self.apps.iter().filter_map(|app| {
            let target = targets.iter().find(|target| target.name.as_str() == app.name)?;
            let route = &target.route;
            let open = decide(&route.access, route.deny.as_ref(), person) == Verdict::Allow;
            (open && !target.is_issuer).then(|| self.tile(app, target))
        });
        let page = Page {
            frame: Frame {
                user: person.map(|person| person.user.as_str()),
                ..pages.frame("Your apps", id)
            },
            tiles: tiles.collect(),
            groups: person.map(|person| person.groups.join(", ")).unwrap_or_default(),
            account: &self.account,
        };
        compose::html(StatusCode::OK, &page, pages)
    }

    fn tile<'a>(&self, app: &'a Shown, target: &Target) -> Tile<'a> {
        Tile {
            title: &app.title,
            icon: app.icon.as_ref(),
            description: app.description.as_deref(),
            link: self.link(target),
            state: target.phase().as_str(),
        }
    }

    fn link(&self, target: &Target) -> String {
        let path = if target.route.path == "/" {
            "/".to_owned()
        } else {
            format!("{}/", target.route.path)
        };
        match &target.route.host {
            Some(host) => {
                let url = PublicUrl { host: host.clone(), ..self.public.clone() };
                format!("{url}{path}")
            }
            None => path,
        }
    }
}

impl Icon {
    fn new(text: &str) -> Self {
        let is_image = text.starts_with("data:") || text.starts_with('/');
        Self { text: text.to_owned(), is_image }
    }
}
