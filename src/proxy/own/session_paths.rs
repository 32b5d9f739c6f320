//! The paths of the lists of sessions, and of the orders to end them.

/// The list of the person's own sessions; an order to end one is below it.
pub(super) const OWN: &str = "/_appliance/session";
/// The same for all sessions.
pub(super) const ALL: &str = "/_appliance/sessions";

/// The id of a path `<base>/ID/end`.
pub(super) fn ended_id<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    let id = path.strip_prefix(base)?.strip_prefix('/')?.strip_suffix("/end")?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_one_id() {
        assert_eq!(ended_id("/_appliance/session/0af/end", OWN), Some("0af"));
        assert_eq!(ended_id("/_appliance/sessions/0af/end", ALL), Some("0af"));
        assert_eq!(ended_id("/_appliance/session/others/end", OWN), Some("others"));
        for bad in [
            "/_appliance/session",
            "/_appliance/session/end",
            "/_appliance/session//end",
            "/_appliance/session/a/b/end",
            "/_appliance/session/%61/end",
            "/_appliance/sessions/a/end",
            "/_appliance/session/a/end/",
        ] {
            assert_eq!(ended_id(bad, OWN), None, "{bad}");
        }
    }
}
