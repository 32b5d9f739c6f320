//! The address of the next page in `Link` headers (RFC 8288 §3).

use http::HeaderMap;
use http::header::LINK;

/// The target of the link with the relation `next`.
pub(super) fn next(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(LINK).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(links).find(|(_, parameters)| is_next(parameters)).map(|(target, _)| target)
}

/// The links of one header, each with its parameters. A target may contain commas.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, after) = after.split_once(',').unwrap_or((after, ""));
        rest = after;
        Some((target, parameters))
    })
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|one| one.split_once('=')).any(|(name, value)| {
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && relations.split(' ').any(|one| one.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_others() {
        for (header, expected) in [
            (r#"<https://a.test/x?page=2>; rel="next""#, Some("https://a.test/x?page=2")),
            (
                r#"<https://a.test/1>; rel="prev", <https://a.test/3>; rel="next""#,
                Some("https://a.test/3"),
            ),
            (
                r#"<https://a.test/3,4>;rel=next, <https://a.test/9>; rel="last""#,
                Some("https://a.test/3,4"),
            ),
            (r#"<https://a.test/3>; title="x"; rel="last next""#, Some("https://a.test/3")),
            (r#"<https://a.test/1>; rel="prev""#, None),
            (r#"<https://a.test/1>; rel="nextish""#, None),
            (r#"<https://a.test/1; rel="next""#, None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, header.parse().unwrap());
            assert_eq!(next(&headers), expected, "{header}");
        }
        assert_eq!(next(&HeaderMap::new()), None);
    }
}
