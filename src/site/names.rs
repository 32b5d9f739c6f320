//! The names under which a site serves the same file. An access rule for one of them holds for all.

use crate::config::StaticFiles;

/// The endings of compressed neighbours.
pub(crate) const ENDINGS: &[&str] = &[".br", ".zst", ".gz"];

/// The other names of what a decoded path leads to, below the path of the app: a folder and its index, a
/// file and its compressed neighbours, and the index of a web app, which stands for all of its pages.
pub(crate) fn other_names(path: &[u8], files: &StaticFiles) -> Vec<Vec<u8>> {
    let path = if path.is_empty() { b"/" } else { path };
    let mut names = vec![path.to_vec(), without_endings(path).to_vec()];
    if files.spa && !last_part(path).contains(&b'.') {
        names.push(b"/".to_vec());
    }
    let beside = |name: &Vec<u8>| index_or_folder(name, files.index.as_bytes());
    names.extend(names.iter().filter_map(beside).collect::<Vec<_>>());
    let compressed = |name: &Vec<u8>| {
        let endings = if name.ends_with(b"/") { &[] } else { ENDINGS };
        let with = |ending: &&str| [name.as_slice(), ending.as_bytes()].concat();
        endings.iter().map(with).collect::<Vec<_>>()
    };
    names.extend(names.iter().flat_map(compressed).collect::<Vec<_>>());
    names.sort_unstable();
    names.dedup();
    names.retain(|name| name != path);
    names
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// The file whose neighbour this is, or the path itself.
fn without_endings(mut path: &[u8]) -> &[u8] {
    let shorter = |path: &[u8]| {
        ENDINGS.iter().find_map(|ending| Some(path.strip_suffix(ending.as_bytes())?.len()))
    };
    let is_name = |path: &[u8]| !path.is_empty() && !path.ends_with(b"/");
    while let Some(length) = shorter(path).filter(|length| is_name(&path[..*length])) {
        path = &path[..length];
    }
    path
}

/// The index of a folder, or the folder of an index.
fn index_or_folder(path: &[u8], index: &[u8]) -> Option<Vec<u8>> {
    if path.ends_with(b"/") {
        return Some([path, index].concat());
    }
    let folder = path.strip_suffix(index)?;
    folder.ends_with(b"/").then(|| folder.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_file_is_found_by_each_other() {
        let folder = &["/a/", "/a/i.html", "/a/i.html.br", "/a/i.html.gz", "/a/i.html.zst"][..];
        let file = &["/d.json", "/d.json.br", "/d.json.gz", "/d.json.zst"];
        let site = StaticFiles { folder: "/s".into(), index: "i.html".into(), spa: false };
        for names in [folder, file] {
            for asked in names {
                let found = other_names(asked.as_bytes(), &site);
                for name in names.iter().filter(|name| *name != asked) {
                    assert!(found.contains(&name.as_bytes().to_vec()), "{asked} {name}");
                }
            }
        }
        let has = |path: &str, name: &str, spa: bool| {
            let site = StaticFiles { spa, ..site.clone() };
            other_names(path.as_bytes(), &site).contains(&name.as_bytes().to_vec())
        };
        assert!(has("", "/i.html", false));
        assert!(has("/i.html", "/", false));
        assert!(has("/d.json.gz.br", "/d.json", false));
        assert!(!has("/xi.html", "/x", false) && !has("/xi.html", "/", false));
        assert!(!has("/.gz", "/", false));
        assert!(!has("/d.json.xz", "/d.json", false));
        for (path, spa, wanted) in [
            ("/page", true, true),
            ("/a/page", true, true),
            ("/a/", true, true),
            ("/page", false, false),
            ("/app.js", true, false),
        ] {
            assert_eq!(has(path, "/i.html", spa), wanted, "{path} {spa}");
            assert_eq!(has(path, "/", spa), wanted, "{path} {spa}");
        }
    }
}
