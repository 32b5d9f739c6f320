//! The page of one app.

use askama::Template;
use jiff::Timestamp;

use super::log::ShownLine;
use super::shown::Shown;
use super::words::{Denial, Process, policy};
use crate::proxy::Frame;
use crate::texts::Text;

#[derive(Debug, Template)]
#[template(path = "console/pages/app.html")]
struct Page<'a> {
    frame: Frame<'a>,
    processes: Vec<Process<'a>>,
    /// The appliance runs it.
    takes_orders: bool,
    /// Where people find the app.
    address: Option<String>,
    policy: Vec<String>,
    lines: &'a [ShownLine],
    denials: Vec<Denial<'a>>,
}

/// The page as HTML.
pub(super) fn page(frame: Frame<'_>, shown: &Shown<'_>) -> String {
    let &Shown { config, app, states, lines, refusals } = shown;
    let (now, language) = (Timestamp::now(), frame.language);
    let page = Page {
        frame,
        takes_orders: app.run.is_some(),
        processes: states.iter().map(|state| Process::new(state, now, language)).collect(),
        address: app
            .route
            .as_ref()
            .map(|route| format!("{}{}", route.host.as_deref().unwrap_or_default(), route.path)),
        policy: app.route.as_ref().map(|route| policy(config, route, language)).unwrap_or_default(),
        lines,
        denials: refusals.iter().map(Denial::new).collect(),
    };
    page.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Access, Constraints};
    use crate::console::words::fixture::{denials, process};
    use crate::proxy::tests::{app, config, with_marked_frame};
    use crate::texts::leftovers::leftovers;

    #[test]
    fn no_word_of_the_page_of_an_app_is_outside_of_the_texts() {
        let refused = denials();
        let states = ["ready", "stopped"].map(process);
        let (config, mut route) = (config(1, Vec::new()), app("a", "/1", 1).route.unwrap());
        route.access = Access::SignedIn;
        route.deny = vec![Constraints { groups: vec!["1".into()], ..Constraints::default() }];
        let kept = [ShownLine { time: "10:00:00".into(), text: "1".into() }];
        for (takes_orders, lines) in [(true, &kept[..]), (true, &[]), (false, &[])] {
            let page = with_marked_frame(|frame| {
                let language = frame.language;
                let now = Timestamp::now();
                let page = Page {
                    processes: states.iter().map(|one| Process::new(one, now, language)).collect(),
                    takes_orders,
                    address: Some("/1".into()),
                    policy: policy(&config, &route, language),
                    lines,
                    denials: refused.iter().map(Denial::new).collect(),
                    frame,
                };
                page.render().unwrap()
            });
            assert_eq!(leftovers(&page), [""; 0], "{page}");
        }
    }
}
