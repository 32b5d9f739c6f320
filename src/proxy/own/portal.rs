//! `/_appliance/`: the apps that a person has access to, the person's groups, and the sign-out
//! button.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::console::paths;
use super::endpoints::EndpointRequest;
use super::operators::Operators;
use super::session_paths::ALL;
use crate::auth::policy::{Reason, Verdict, decide};
use crate::auth::{AccountAction, Person};
use crate::config::{Access, Config, Constraints, Phase, PublicUrl, Route};
use crate::proxy::answer::compose;
use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::pages::Frame;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::texts::{Message, Text};

/// How many groups the page shows.
const MOST_GROUPS: usize = 50;

/// The portal: its entries in the order of the configuration file.
#[derive(Debug)]
pub(crate) struct Portal {
    entries: Vec<Entry>,
    public: PublicUrl,
    /// Titles and paths of what people may change of their account.
    account: Vec<(Text, String)>,
    /// The admin console of Keycloak, and who reaches it.
    administration: Option<(String, Access)>,
}

/// One app on the portal: its configured texts.
#[derive(Debug)]
struct Entry {
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
    groups: Option<String>,
    account: &'a [(Text, String)],
    /// Titles and paths of what an operator may open.
    operation: Vec<(Text, &'static str)>,
    /// The console where this person adds people.
    administration: Option<&'a str>,
}

/// One app on the page of one person.
#[derive(Debug)]
struct Tile<'a> {
    name: &'a str,
    title: &'a str,
    icon: Option<&'a Icon>,
    description: Option<&'a str>,
    link: String,
    state: &'static str,
    /// For an operator of an app that does not run: the page with its log.
    log: Option<String>,
}

impl Portal {
    pub(crate) fn new(config: &Config) -> Self {
        let apps = config.apps.iter().filter(|app| !app.hidden && app.route.is_some());
        let entries = apps.map(|app| Entry {
            name: app.name.to_string(),
            title: app.title.clone().unwrap_or_else(|| app.name.to_string()),
            icon: app.icon.as_deref().map(Icon::new),
            description: app.description.clone(),
        });
        let offered = config.oidc.as_ref().is_some_and(|oidc| oidc.account_actions);
        let actions = AccountAction::all().iter().filter(|_| offered);
        Self {
            entries: entries.collect(),
            public: config.server.public_url.clone(),
            administration: administration(config),
            account: actions.filter_map(|action| Some((action.title?, action.path()))).collect(),
        }
    }

    /// The page of one person, or the same as JSON. `apps` are all routed apps.
    pub(super) fn serve(
        &self,
        caller: &Caller,
        apps: &[Arc<RoutedApp>],
        operators: &Operators,
        request: EndpointRequest<'_>,
    ) -> Response<Bytes> {
        let person = caller.person.as_deref();
        let is_open =
            |app: &RoutedApp| decide(&app.route.access, &app.route.deny, person) == Verdict::Allow;
        let tiles = self.shown(apps).filter(|(_, app)| is_open(app));
        let tiles = tiles.map(|(entry, app)| self.tile(entry, app, operators, person));
        if !request.format.page && browser::accepts_json(request.headers) {
            return compose::json(StatusCode::OK, twin(person, tiles));
        }
        self.page(person, tiles, operators, request.format)
    }

    fn page<'a>(
        &'a self,
        person: Option<&Person>,
        tiles: impl Iterator<Item = Tile<'a>>,
        operators: &Operators,
        format: ResponseFormat<'_>,
    ) -> Response<Bytes> {
        let page = Page {
            frame: Frame {
                user: person.map(|person| person.user.as_str()),
                ..format.frame(Text::YourApps)
            },
            tiles: tiles.collect(),
            groups: person.and_then(groups).map(|groups| groups.to(format.language)),
            account: &self.account,
            operation: operation(operators, person),
            administration: self.administration_of(person),
        };
        compose::html(StatusCode::OK, &page, format)
    }

    /// The console where this person adds people.
    fn administration_of(&self, person: Option<&Person>) -> Option<&str> {
        let (url, access) = self.administration.as_ref()?;
        (decide(access, &[], person) == Verdict::Allow).then_some(url)
    }

    /// Why each app that can have a tile is open or shut to a person. The rules for parts of an app do
    /// not count. `apps` are all routed apps.
    pub(super) fn reasons(
        &self,
        person: &Person,
        apps: &[Arc<RoutedApp>],
    ) -> BTreeMap<&str, Reason> {
        let reason = |app: &RoutedApp| {
            let Route { access, deny, .. } = &app.route;
            decide(access, deny, Some(person)).reason(access)
        };
        self.shown(apps).map(|(entry, app)| (entry.name.as_str(), reason(app))).collect()
    }

    /// The entries with their apps. The issuer has no tile: people meet it when they sign in.
    fn shown<'e, 'a>(
        &'e self,
        apps: &'a [Arc<RoutedApp>],
    ) -> impl Iterator<Item = (&'e Entry, &'a RoutedApp)> {
        let app_of = |entry: &Entry| apps.iter().find(|app| app.name.as_str() == entry.name);
        let found = self.entries.iter().filter_map(move |entry| Some((entry, &**app_of(entry)?)));
        found.filter(|(_, app)| !app.is_issuer)
    }

    fn tile<'a>(
        &self,
        entry: &'a Entry,
        app: &RoutedApp,
        operators: &Operators,
        person: Option<&Person>,
    ) -> Tile<'a> {
        let phase = app.phase();
        let has_log = matches!(phase, Phase::Backoff | Phase::Failed)
            && operators.verdict_for(&entry.name, person) == Verdict::Allow;
        Tile {
            name: &entry.name,
            title: &entry.title,
            icon: entry.icon.as_ref(),
            description: entry.description.as_deref(),
            link: self.link(app),
            state: state(phase),
            log: has_log.then(|| format!("{}/{}", paths::LIST, entry.name)),
        }
    }

    fn link(&self, app: &RoutedApp) -> String {
        let path =
            if app.route.path == "/" { "/".to_owned() } else { format!("{}/", app.route.path) };
        match &app.route.host {
            Some(host) => {
                let url = PublicUrl { host: host.clone(), ..self.public.clone() };
                format!("{url}{path}")
            }
            None => path,
        }
    }
}

/// What a person may open as an operator.
fn operation(operators: &Operators, person: Option<&Person>) -> Vec<(Text, &'static str)> {
    let [all, any] = [operators.verdict(person), operators.verdict_for_any(person)];
    let pages = [(any, (Text::Console, paths::LIST)), (all, (Text::EverybodysSessions, ALL))];
    let open = pages.into_iter().filter(|(verdict, _)| *verdict == Verdict::Allow);
    open.map(|(_, page)| page).collect()
}

/// The console where members of some groups add people.
fn administration(config: &Config) -> Option<(String, Access)> {
    let console = config.oidc.as_ref()?.own_realm.as_ref()?.console.as_ref()?;
    let groups = Constraints { groups: console.groups.clone(), ..Constraints::default() };
    Some((console.url.clone(), Access::Only(groups)))
}

/// The page for programs.
fn twin<'a>(person: Option<&Person>, tiles: impl Iterator<Item = Tile<'a>>) -> String {
    let app = |tile: Tile<'_>| {
        json!({
            "name": tile.name,
            "title": tile.title,
            "description": tile.description,
            "icon": tile.icon.map(|icon| &icon.text),
            "url": tile.link,
            "state": tile.state,
        })
    };
    json!({
        "user": person.map(|person| &person.user),
        "email": person.and_then(|person| person.email.known()),
        "groups": person.map(Person::told_groups).unwrap_or_default(),
        "apps": tiles.map(app).collect::<Vec<_>>(),
    })
    .to_string()
}

/// The groups that apps learn, for people.
fn groups(person: &Person) -> Option<Message> {
    let groups = person.told_groups();
    let (shown, more) = groups.split_at(groups.len().min(MOST_GROUPS));
    let text = if more.is_empty() { Text::YourGroups } else { Text::YourGroupsAndMore };
    let message = text.with("groups", shown.join(", ")).with("more", more.len());
    (!shown.is_empty()).then_some(message)
}

/// The word of a tile for a phase. An app that nobody uses starts when it is opened.
fn state(phase: Phase) -> &'static str {
    if phase == Phase::Idle { "asleep" } else { phase.as_str() }
}

impl Icon {
    fn new(text: &str) -> Self {
        let is_image = text.starts_with("data:") || text.starts_with('/');
        Self { text: text.to_owned(), is_image }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::with_marked_frame;
    use crate::texts::Language;
    use crate::texts::leftovers::leftovers;

    fn tile(state: &'static str) -> Tile<'static> {
        let (link, log) = ("/1/".to_owned(), Some("/1".to_owned()));
        Tile { name: "1", title: "1", icon: None, description: Some("2"), link, state, log }
    }

    #[test]
    fn no_word_of_the_portal_is_outside_of_the_texts() {
        let account = [(Text::ChangePassword, "/".to_owned()), (Text::SetUpTotp, "/".to_owned())];
        for tiles in [vec![tile("ready"), tile("asleep")], Vec::new()] {
            let page = with_marked_frame(|frame| {
                let groups = Text::YourGroups.with("groups", "3").to(Language::Marks);
                let operation = vec![(Text::Console, "/"), (Text::EverybodysSessions, "/")];
                let page = Page {
                    frame,
                    tiles,
                    groups: Some(groups),
                    account: &account,
                    operation,
                    administration: Some("/"),
                };
                page.render().unwrap()
            });
            assert_eq!(leftovers(&page), [""; 0], "{page}");
        }
    }
}
