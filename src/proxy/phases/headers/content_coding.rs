//! The content codings that a client accepts (RFC 9110 section 12.5.3).

use http::HeaderValue;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Coding {
    /// RFC 1952
    Gzip,
    /// RFC 7932
    Brotli,
    /// RFC 8878
    Zstd,
}

/// The preference of a client for each coding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    gzip: Weight,
    brotli: Weight,
    zstd: Weight,
    /// The weight of an uncompressed response, if the client names it.
    identity: Weight,
}

/// The names of gzip, brotli and zstd.
const NAMES: [&[&str]; 3] = [&["gzip", "x-gzip"], &["br"], &["zstd"]];

/// Thousandths; 0: not accepted.
type Weight = u16;

impl Coding {
    /// The name in `Content-Encoding`.
    pub(crate) fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }
}

impl Accepted {
    /// Reads the lines of `Accept-Encoding`. A part that cannot be read is left out.
    pub(crate) fn of<'v>(lines: impl Iterator<Item = &'v HeaderValue>) -> Self {
        let (mut named, mut others, mut identity) = ([None; 3], 0, 0);
        let lines = lines.filter_map(|line| line.to_str().ok());
        for part in lines.flat_map(|line| line.split(',')) {
            let mut words = part.split(';').map(str::trim);
            let Some(weight) = weight(words.clone().skip(1)) else { continue };
            let coding = words.next().unwrap_or_default();
            match NAMES
                .iter()
                .position(|names| names.iter().any(|one| coding.eq_ignore_ascii_case(one)))
            {
                Some(known) => named[known] = Some(weight),
                None if coding == "*" => others = weight,
                None if coding.eq_ignore_ascii_case("identity") => identity = weight,
                None => {}
            }
        }
        let [gzip, brotli, zstd] = named.map(|weight| weight.unwrap_or(others));
        Self { gzip, brotli, zstd, identity }
    }

    /// For a response that is compressed once: of the codings with the highest weight, the one with the
    /// smallest result.
    pub(crate) fn smallest(self) -> Option<Coding> {
        self.best([Coding::Brotli, Coding::Zstd, Coding::Gzip])
    }

    /// For a response that is compressed for one request: the one that takes the least time.
    pub(crate) fn fastest(self) -> Option<Coding> {
        self.best([Coding::Zstd, Coding::Brotli, Coding::Gzip])
    }

    /// For a response that exists in several codings: those that are accepted, the one with the highest
    /// weight first, of equal ones the one with the smallest result. Those that the client likes less
    /// than no coding are left out.
    pub(crate) fn ranked(self) -> Vec<Coding> {
        let mut all = vec![Coding::Brotli, Coding::Zstd, Coding::Gzip];
        all.retain(|coding| self.weight(*coding) > 0 && self.weight(*coding) >= self.identity);
        all.sort_by_key(|coding| std::cmp::Reverse(self.weight(*coding)));
        all
    }

    fn best(self, order: [Coding; 3]) -> Option<Coding> {
        let highest = self.gzip.max(self.brotli).max(self.zstd);
        order.into_iter().find(|coding| highest > 0 && self.weight(*coding) == highest)
    }

    fn weight(self, coding: Coding) -> Weight {
        match coding {
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }
}

/// The weight among the parameters of a coding: 1 if there is none, `None` if it cannot be read.
fn weight<'p>(mut parameters: impl Iterator<Item = &'p str>) -> Option<Weight> {
    let text = parameters.find_map(|parameter| {
        parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))
    });
    let Some(text) = text else { return Some(1000) };
    let weight: f32 = text.trim().parse().ok()?;
    // A float from 0 to 1000 that is rounded towards zero.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    (0.0..=1.0).contains(&weight).then_some((weight * 1000.0) as Weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_with_the_highest_weight_is_chosen() {
        use Coding::{Brotli, Gzip, Zstd};
        for (lines, smallest, fastest) in [
            (&[][..], None, None),
            (&[""], None, None),
            (&["identity"], None, None),
            (&["gzip"], Some(Gzip), Some(Gzip)),
            (&["X-GZip"], Some(Gzip), Some(Gzip)),
            (&["gzip, deflate, br, zstd"], Some(Brotli), Some(Zstd)),
            (&["gzip, deflate, br"], Some(Brotli), Some(Brotli)),
            (&["gzip", "zstd"], Some(Zstd), Some(Zstd)),
            (&["gzip;q=1, br;q=0.5, zstd;q=0.999"], Some(Gzip), Some(Gzip)),
            (&["br ; q=0.5 , gzip ; Q=0.5"], Some(Brotli), Some(Brotli)),
            (&["gzip;q=0, br;q=0.0, *"], Some(Zstd), Some(Zstd)),
            (&["*;q=0"], None, None),
            (&["*"], Some(Brotli), Some(Zstd)),
            (&["*;q=0.2, gzip;q=0.3"], Some(Gzip), Some(Gzip)),
            (&["identity;q=0"], None, None),
            (&["gzip;q=2", "br;q=x", "zstd;q=-1"], None, None),
            (&["deflate, compress"], None, None),
        ] {
            let values: Vec<_> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
            let accepted = Accepted::of(values.iter());
            assert_eq!((accepted.smallest(), accepted.fastest()), (smallest, fastest), "{lines:?}");
        }
        for (line, ranked) in [
            ("gzip, br", &[Brotli, Gzip][..]),
            ("gzip, br;q=0.9, zstd;q=0.9", &[Gzip, Brotli, Zstd]),
            ("gzip, br;q=0", &[Gzip]),
            ("*", &[Brotli, Zstd, Gzip]),
            ("gzip;q=0.5, identity", &[]),
            ("gzip;q=0.5, br, identity;q=0.7", &[Brotli]),
            ("identity;q=0, gzip;q=0.1", &[Gzip]),
            ("", &[]),
        ] {
            let accepted = Accepted::of(std::iter::once(&HeaderValue::from_static(line)));
            assert_eq!(accepted.ranked(), ranked, "{line}");
        }
        let unreadable = HeaderValue::from_bytes(b"gzip\xff").unwrap();
        assert_eq!(Accepted::of(std::iter::once(&unreadable)), Accepted::default());
    }
}
