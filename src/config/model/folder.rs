//! Folds the readings of one path. They differ in a few segments; each segment is converted once.

use std::collections::HashMap;

use super::path_pattern::{converted, folded_by};

/// Folds paths, and remembers the segments that were dear. Made for one request, and dropped with its
/// judgement: what it holds is bounded by the path of the request.
#[derive(Debug, Default)]
pub struct Folder {
    known: HashMap<Vec<u8>, Vec<u8>>,
}

impl Folder {
    /// The folded form of a path, see [`super::folded`].
    pub fn fold(&mut self, path: &[u8]) -> Vec<u8> {
        folded_by(path, |all, segment| {
            if let Some(form) = self.known.get(segment) {
                all.extend(form);
                return;
            }
            let form = converted(segment);
            all.extend(&form);
            self.known.insert(segment.to_vec(), form);
        })
    }

    /// How many segments were converted.
    #[cfg(test)]
    pub(crate) fn conversions(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::folded;

    #[test]
    fn a_path_is_folded_as_without_a_memory() {
        let mut folder = Folder::default();
        for path in [
            "/caf\u{e9}/CAF\u{c9}/x",
            "/+caf\u{e9}. /caf\u{e9}",
            "/a/\u{3000}",
            "",
            "/",
            "/A/b+c",
            "/\u{2100}/caf\u{e9}",
        ] {
            assert_eq!(folder.fold(path.as_bytes()), folded(path.as_bytes()), "{path}");
        }
        assert_eq!(folder.conversions(), 4, "caf\u{e9}, CAF\u{c9}, the blank and the sign");
    }
}
