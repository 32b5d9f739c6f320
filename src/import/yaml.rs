//! YAML documents, with the merge keys (`<<`) of compose files.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};

/// A node of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Nothing,
}

/// The first document of a text.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.first().map_or(Node::Nothing, node))
}

fn node(yaml: &Yaml<'_>) -> Node {
    match yaml {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Node::Nothing,
            Scalar::Boolean(value) => Node::Text(value.to_string()),
            Scalar::Integer(value) => Node::Text(value.to_string()),
            Scalar::FloatingPoint(value) => Node::Text(value.to_string()),
            Scalar::String(text) => Node::Text(text.to_string()),
        },
        Yaml::Representation(text, ..) => Node::Text(text.to_string()),
        Yaml::Sequence(items) => Node::List(items.iter().map(node).collect()),
        Yaml::Mapping(entries) => {
            let mut map: Vec<(String, Node)> = Vec::new();
            let mut merged = Vec::new();
            for (key, value) in entries {
                match (node(key), node(value)) {
                    (Node::Text(key), Node::Map(more)) if key == "<<" => merged.extend(more),
                    (Node::Text(key), Node::List(maps)) if key == "<<" => {
                        merged.extend(maps.into_iter().flat_map(Node::into_map));
                    }
                    (Node::Text(key), value) => map.push((key, value)),
                    _ => {}
                }
            }
            for (key, value) in merged {
                if map.iter().all(|(known, _)| *known != key) {
                    map.push((key, value));
                }
            }
            Node::Map(map)
        }
        Yaml::Tagged(_, inner) => node(inner),
        Yaml::Alias(_) | Yaml::BadValue => Node::Nothing,
    }
}

impl Node {
    fn into_map(self) -> Vec<(String, Node)> {
        match self {
            Self::Map(map) => map,
            _ => Vec::new(),
        }
    }

    pub(super) fn map(&self) -> &[(String, Node)] {
        match self {
            Self::Map(map) => map,
            _ => &[],
        }
    }

    pub(super) fn list(&self) -> &[Node] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.map().iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a key.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text().filter(|text| !text.is_empty())
    }

    /// The texts of a list, or one text alone.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::List(items) => items.iter().filter_map(|i| i.text().map(str::to_owned)).collect(),
            Self::Map(_) | Self::Nothing => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_texts_and_merge_keys_are_merged() {
        let text = "\
x: &common
  a: 1
  b: true
y:
  <<: *common
  b: no way
  list: [1, two, 3.5]
";
        let root = parse(text).unwrap();
        let y = root.get("y").unwrap();
        assert_eq!((y.text_of("a"), y.text_of("b")), (Some("1"), Some("no way")));
        assert_eq!(y.get("list").unwrap().texts(), ["1", "two", "3.5"]);
        assert_eq!(root.get("x").unwrap().text_of("b"), Some("true"));
        assert!(parse("a: [1").is_err());
        assert_eq!(parse(""), Ok(Node::Nothing));
    }
}
