//! The paths of the console.

/// The list of the apps; everything else of the console is below it.
pub(in crate::proxy) const LIST: &str = "/_appliance/apps";

/// What a path of the console names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Place<'p> {
    /// The list of the apps.
    List,
    /// The page of one app.
    App(&'p str),
    /// The log of one app.
    Log(&'p str),
    /// An order to one app.
    Order(&'p str, Order),
}

/// What an operator orders an app to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start with fresh counters.
    Start,
    /// Stop, and stay stopped.
    Stop,
    /// Stop, then start.
    Restart,
}

impl Order {
    /// The last segment of its path.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// The place of a path without escapes; `None` for a path that is not of the console.
pub(in crate::proxy) fn find(path: &str) -> Option<Place<'_>> {
    let below = path.strip_prefix(LIST)?;
    if below.is_empty() {
        return Some(Place::List);
    }
    let mut parts = below.strip_prefix('/')?.split('/');
    let app = parts.next().filter(|app| is_name(app))?;
    let place = match parts.next() {
        None => Place::App(app),
        Some("log") => Place::Log(app),
        Some(last) => {
            let orders = [Order::Start, Order::Stop, Order::Restart];
            Place::Order(app, orders.into_iter().find(|order| order.as_str() == last)?)
        }
    };
    parts.next().is_none().then_some(place)
}

impl<'p> Place<'p> {
    /// The app that the path names.
    pub(in crate::proxy) fn app(self) -> Option<&'p str> {
        match self {
            Self::List => None,
            Self::App(app) | Self::Log(app) | Self::Order(app, _) => Some(app),
        }
    }
}

/// Whether the text can be the name of an app.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_list_an_app_or_an_order() {
        for (path, wanted) in [
            ("/_appliance/apps", Some(Place::List)),
            ("/_appliance/apps/web-2", Some(Place::App("web-2"))),
            ("/_appliance/apps/web/start", Some(Place::Order("web", Order::Start))),
            ("/_appliance/apps/web/stop", Some(Place::Order("web", Order::Stop))),
            ("/_appliance/apps/restart/restart", Some(Place::Order("restart", Order::Restart))),
            ("/_appliance/apps/log/log", Some(Place::Log("log"))),
            ("/_appliance/apps/web/log/", None),
            ("/_appliance/apps/", None),
            ("/_appliance/appsweb", None),
            ("/_appliance/apps/Web", None),
            ("/_appliance/apps/2web", None),
            ("/_appliance/apps/web/", None),
            ("/_appliance/apps/web/kill", None),
            ("/_appliance/apps/web/start/", None),
            ("/_appliance/apps//start", None),
            ("/_appliance/apps/w%65b", None),
            ("/_appliance/session", None),
        ] {
            assert_eq!(find(path), wanted, "{path}");
        }
    }
}
