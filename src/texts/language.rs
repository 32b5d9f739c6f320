//! The languages of the pages, and which of them a browser asks for.

use http::HeaderValue;

/// How many language ranges of a header count. Browsers send one for each language of their settings.
const MOST_RANGES: usize = 32;
/// The greatest weight of a range, in thousandths.
const MOST_WEIGHT: u16 = 1000;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Language {
    /// English, which is also what programs and the log get.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Portuguese, as in Brazil.
    Portuguese,
    /// Japanese.
    Japanese,
    /// Chinese in simplified characters.
    Chinese,
    /// Each text is a mark, so that a test finds words that are not translated.
    #[cfg(test)]
    Marks,
}

/// The languages by their primary subtag (RFC 5646 §2.2.1). `*` fits any language (RFC 4647 §2.1).
const BY_SUBTAG: [(&str, Language); 8] = [
    ("en", Language::English),
    ("de", Language::German),
    ("fr", Language::French),
    ("es", Language::Spanish),
    ("pt", Language::Portuguese),
    ("ja", Language::Japanese),
    ("zh", Language::Chinese),
    ("*", Language::English),
];

impl Language {
    /// The languages that people can get.
    #[cfg(test)]
    pub(super) const ALL: [Self; 7] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Portuguese,
        Self::Japanese,
        Self::Chinese,
    ];

    /// The language that fits an `Accept-Language` best (RFC 9110 §12.5.4): the one with the greatest
    /// weight, of several the first. A range fits by its primary subtag, so `de-AT` gets German. English
    /// if none fits.
    pub(crate) fn accepted(header: Option<&HeaderValue>) -> Self {
        best(header, Self::of_tag).unwrap_or_default()
    }

    /// The language that a person prefers to all others; `None` if the pages are not in that language.
    pub(crate) fn preferred(header: Option<&HeaderValue>) -> Option<Self> {
        best(header, |tag| (tag.trim() != "*").then(|| Self::of_tag(tag))).flatten()
    }

    /// The language tag (RFC 5646), for `lang` and `Content-Language`.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Portuguese => "pt-BR",
            Self::Japanese => "ja",
            Self::Chinese => "zh-Hans",
            #[cfg(test)]
            Self::Marks => "zxx",
        }
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next()?;
        let found = BY_SUBTAG.iter().find(|(subtag, _)| subtag.eq_ignore_ascii_case(primary));
        found.map(|(_, language)| *language)
    }
}

/// The range with the greatest weight of those that `of_tag` knows, of several the first.
fn best<T>(header: Option<&HeaderValue>, of_tag: impl Fn(&str) -> Option<T>) -> Option<T> {
    let ranges = header?.to_str().ok()?;
    let (mut best, mut most) = (None, 0);
    for range in ranges.split(',').take(MOST_RANGES) {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let (Some(found), Some(weight)) = (of_tag(tag), thousandths(weight)) else { continue };
        if weight > most {
            (best, most) = (Some(found), weight);
        }
    }
    best
}

/// The weight of a range in thousandths (RFC 9110 §12.4.2); `None` if it is not valid.
fn thousandths(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_start().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, decimals) = value.trim_end().split_once('.').unwrap_or((value.trim_end(), ""));
    if decimals.len() > 3 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(MOST_WEIGHT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_weighs_most() {
        for (header, wanted) in [
            ("", "en"),
            ("de", "de"),
            ("DE", "de"),
            ("de-AT", "de"),
            ("pt-PT, en;q=0.5", "pt-BR"),
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
            ("zh-Hant-TW", "zh-Hans"),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
            ("en;q=0.8,ja", "ja"),
            ("en;q=0.800 , es;q=0.801", "es"),
            ("es;q=0.5,ja;q=0.5", "es"),
            ("ko,it;q=0.9,ja;q=0.1", "ja"),
            // Nobody reads what the person refuses.
            ("de;q=0", "en"),
            ("de;q=0.000,fr;q=0.001", "fr"),
            // Any language is as good as any other.
            ("*", "en"),
            ("ko,*;q=0.5,de;q=0.4", "en"),
            ("ko,*;q=0.3,de;q=0.4", "de"),
            // What is not valid does not count.
            ("de;q=2,fr;q=0.1", "fr"),
            ("de;q=1.001,fr;q=0.1", "fr"),
            ("de;q=0.9999,fr;q=0.1", "fr"),
            ("de;q=-1,fr;q=0.1", "fr"),
            ("de;q=,fr;q=0.1", "fr"),
            ("de;level=1,fr;q=0.1", "fr"),
            ("de;q=0.5;q=1,fr;q=0.1", "fr"),
            ("deu", "en"),
            ("d", "en"),
            (",,;,-,=;q", "en"),
            ("fr ; q=0.4,\tde;Q=0.5 ", "de"),
            ("de;q=1.,fr", "de"),
        ] {
            let header = HeaderValue::from_str(header).unwrap();
            assert_eq!(Language::accepted(Some(&header)).tag(), wanted, "{header:?}");
        }
        assert_eq!(Language::accepted(None), Language::English);
        let latin = HeaderValue::from_bytes(b"de\xff").unwrap();
        assert_eq!(Language::accepted(Some(&latin)), Language::English);
    }

    #[test]
    fn a_language_is_preferred_only_if_it_weighs_most_of_all() {
        for (header, wanted) in [
            ("de-AT,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("ko,en;q=0.8", None),
            ("en;q=0.8,ko;q=0.7", Some(Language::English)),
            ("*,fr;q=0.5", Some(Language::French)),
            ("de;q=0", None),
            ("", None),
        ] {
            let header = HeaderValue::from_static(header);
            assert_eq!(Language::preferred(Some(&header)), wanted, "{header:?}");
        }
        assert_eq!(Language::preferred(None), None);
    }

    #[test]
    fn a_long_header_is_read_to_a_limit() {
        let ranges = |count: usize| format!("{}de", "ko,".repeat(count));
        for (count, wanted) in
            [(MOST_RANGES - 1, Language::German), (MOST_RANGES, Language::English)]
        {
            let header = HeaderValue::try_from(ranges(count)).unwrap();
            assert_eq!(Language::accepted(Some(&header)), wanted, "{count}");
        }
        for hostile in [",".repeat(8000), "-".repeat(8000), ";q=".repeat(3000)] {
            let header = HeaderValue::try_from(hostile).unwrap();
            assert_eq!(Language::accepted(Some(&header)), Language::English);
        }
        let weight = HeaderValue::try_from(format!("de;q=0.{}", "9".repeat(8000))).unwrap();
        assert_eq!(Language::accepted(Some(&weight)), Language::English);
    }
}
