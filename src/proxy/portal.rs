//! The portal: the apps that I may open, who I am, the way out. And the operators' table.

use http::{HeaderValue, StatusCode};

use super::answer;
use super::body::Content;
use super::caller::Caller;
use super::gate::{AppState, Gate};
use super::pages::{Page, Pages, escape};
use super::routes::Target;
use crate::auth::policy::{Verdict, decide};
use crate::config::{Config, Phase, PublicUrl};

/// One tile: an app as people see it.
#[derive(Debug)]
struct Tile {
    name: String,
    title: String,
    icon: Option<String>,
    description: Option<String>,
}

/// What the portal knows of the apps beside their routes, in the order of the file.
#[derive(Debug)]
pub(super) struct Portal {
    tiles: Vec<Tile>,
    public: PublicUrl,
}

impl Portal {
    pub(super) fn new(config: &Config) -> Self {
        let tiles = config.apps.iter().filter(|app| !app.hidden && app.route.is_some());
        let tiles = tiles.map(|app| Tile {
            name: app.name.to_string(),
            title: app.title.clone().unwrap_or_else(|| app.name.to_string()),
            icon: app.icon.clone(),
            description: app.description.clone(),
        });
        Self { tiles: tiles.collect(), public: config.server.public_url.clone() }
    }

    /// The page of one person.
    pub(super) fn page(
        &self,
        caller: &Caller,
        targets: &[std::sync::Arc<Target>],
        pages: &Pages,
        id: &HeaderValue,
    ) -> http::Response<Content> {
        let person = caller.person.as_deref();
        let mut list = String::new();
        for tile in &self.tiles {
            let target = targets.iter().find(|target| target.name.as_str() == tile.name);
            let Some(target) = target.filter(|target| !target.is_issuer) else { continue };
            let route = &target.route;
            if decide(&route.access, route.deny.as_ref(), person) == Verdict::Allow {
                list.push_str(&self.tile(tile, target));
            }
        }
        let groups = person.map(|person| person.groups.as_slice()).unwrap_or_default();
        let mut more = if list.is_empty() {
            "<p>There is no app that you may open.</p>".to_owned()
        } else {
            format!(r#"<ul class="tiles">{list}</ul>"#)
        };
        if !groups.is_empty() {
            let groups: Vec<String> = groups.iter().map(|group| escape(group)).collect();
            let list = groups.join(", ");
            more.extend([r#"<p class="groups">Your groups: "#, &list, "</p>"]);
        }
        let page = Page {
            title: "Your apps",
            more: &more,
            user: person.map(|person| person.user.as_str()),
            ..Page::default()
        };
        answer::html(StatusCode::OK, pages.render(&page, id), pages)
    }

    fn tile(&self, tile: &Tile, target: &Target) -> String {
        let phase = target.phase();
        let description = tile.description.as_deref().map_or_else(String::new, |text| {
            format!(r#"<span class="text">{}</span>"#, escape(text))
        });
        format!(
            r#"<li><a class="tile" href="{}">{}<strong>{}</strong>{description}{}</a></li>"#,
            escape(&self.link(target)),
            tile.icon.as_deref().map_or_else(String::new, icon),
            escape(&tile.title),
            state(phase),
        )
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

/// The operators' table.
pub(super) fn operators(
    caller: &Caller,
    gate: &Gate,
    pages: &Pages,
    id: &HeaderValue,
) -> http::Response<Content> {
    let rows: Vec<String> = gate.apps().iter().map(row).collect();
    let rows = rows.concat();
    let issuer = gate.issuer().map_or_else(String::new, |(word, why)| {
        let why = why.map_or_else(String::new, |why| format!(": {}", escape(&why)));
        format!(r#"<h2>Issuer</h2><p><span class="state {word}">{word}{why}</span></p>"#)
    });
    let more = format!(
        r#"<div class="table"><table><tr><th>App</th><th>State</th><th></th></tr>{rows}</table></div>{issuer}"#
    );
    let page = Page {
        title: "Apps",
        more: &more,
        user: caller.person.as_ref().map(|person| person.user.as_str()),
        ..Page::default()
    };
    answer::html(StatusCode::OK, pages.render(&page, id), pages)
}

fn row(app: &AppState) -> String {
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(app.name.as_str()),
        state(app.phase()),
        if app.critical { "critical" } else { "" },
    )
}

fn state(phase: Phase) -> String {
    let word = phase.as_str();
    format!(r#"<span class="state {word}">{word}</span>"#)
}

/// An emoji as it is, an address as an image.
fn icon(icon: &str) -> String {
    if icon.starts_with("data:") || icon.starts_with('/') {
        format!(r#"<img class="icon" src="{}" alt="">"#, escape(icon))
    } else {
        format!(r#"<span class="icon" aria-hidden="true">{}</span>"#, escape(icon))
    }
}
