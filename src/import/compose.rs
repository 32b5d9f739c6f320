//! `docker-compose.yml`: the options of oauth2-proxy in it, and the services beside the stack.

use std::path::Path;

use super::command::{Kind, recognise, words};
use super::draft::Table;
use super::oauth2_proxy::Options;
use super::text;
use super::value::reference;
use super::variables;
use super::yaml::Node;

/// One service.
#[derive(Debug, Clone, Default)]
pub(super) struct Service {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) image: Option<String>,
    pub(super) is_built: bool,
    /// Its variables except those of oauth2-proxy.
    pub(super) env: Vec<String>,
    /// Options of oauth2-proxy in its variables and its command.
    pub(super) options: Option<Options>,
    /// Ports that it publishes: of the host, and of the container.
    pub(super) ports: Vec<(u16, u16)>,
    pub(super) remarks: Table,
}

impl Service {
    /// Whether the container runs only a program that the appliance replaces.
    pub(super) fn is_nginx(&self) -> bool {
        self.image.as_deref().is_some_and(|image| last(image).starts_with("nginx"))
            || !self.has_options()
                && (self.name == "nginx" || self.name == "proxy" && self.is_built)
    }

    pub(super) fn is_oauth2_proxy(&self) -> bool {
        self.image.as_deref().is_some_and(|image| last(image).starts_with("oauth2-proxy"))
    }

    pub(super) fn has_options(&self) -> bool {
        self.options.is_some()
    }
}

/// The name of an image without registry and tag.
fn last(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// The services of a document; `None` if it has none.
pub(super) fn services(root: &Node, path: &Path, name: &str) -> Option<Vec<Service>> {
    let services = root.get("services")?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let dotenv = text::read(&folder.join(".env")).unwrap_or_default();
    let dotenv = variables::parse(&dotenv);
    let read = Reading { folder, dotenv };
    Some(services.map().iter().map(|(key, node)| read.service(key, node, name)).collect())
}

struct Reading<'r> {
    folder: &'r Path,
    dotenv: Vec<(String, String)>,
}

impl Reading<'_> {
    fn service(&self, key: &str, node: &Node, file: &str) -> Service {
        let place = format!("{file}, service {key}");
        let mut remarks = Table::default();
        let mut env = self.env_files(node, &place, &mut remarks);
        env.extend(self.environment(node));
        let mut options = Options::new(&place);
        let pairs = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let has_variables = options.add_variables(pairs);
        let image = node.text_of("image").map(str::to_owned);
        let mut argv: Vec<String> = Vec::new();
        for part in ["entrypoint", "command"] {
            match node.get(part) {
                Some(Node::Text(text)) => argv.extend(words::split(text).unwrap_or_default()),
                Some(list) => argv.extend(list.texts()),
                None => {}
            }
        }
        let argv: Vec<String> = argv.iter().map(|word| self.interpolated(word, None)).collect();
        let is_image =
            image.as_deref().is_some_and(|image| last(image).starts_with("oauth2-proxy"));
        let flags = match recognise(&argv).kind {
            Kind::Oauth2Proxy(flags) => Some(flags),
            _ if is_image => Some(argv),
            _ => None,
        };
        if let Some(flags) = &flags {
            options.add_flags(flags);
        }
        Service {
            name: key.to_owned(),
            is_built: node.get("build").is_some(),
            env: env
                .into_iter()
                .map(|(name, _)| name)
                .filter(|name| !name.starts_with("OAUTH2_PROXY_"))
                .collect(),
            options: (has_variables || flags.is_some()).then_some(options),
            ports: node.get("ports").map_or(&[][..], Node::list).iter().filter_map(port).collect(),
            image,
            remarks,
            place,
        }
    }

    fn env_files(&self, node: &Node, place: &str, remarks: &mut Table) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let files = node.get("env_file").map(|files| match files {
            Node::List(items) => items
                .iter()
                .filter_map(|item| item.text().or_else(|| item.text_of("path")))
                .map(str::to_owned)
                .collect(),
            one => one.texts(),
        });
        for file in files.unwrap_or_default() {
            match text::read(&self.folder.join(&file)) {
                Ok(text) => found.extend(variables::parse(&text)),
                Err(error) => remarks.missing(place, format!("`env_file`: {file}: {error}")),
            }
        }
        found
    }

    fn environment(&self, node: &Node) -> Vec<(String, String)> {
        let interpolated = |name: &str, value: &str| {
            (name.to_owned(), self.interpolated(value.trim(), Some(name)))
        };
        match node.get("environment") {
            Some(Node::Map(map)) => map
                .iter()
                .map(|(name, value)| match value {
                    Node::Text(text) => interpolated(name, text),
                    _ => (name.clone(), reference(name)),
                })
                .collect(),
            Some(Node::List(items)) => items
                .iter()
                .filter_map(Node::text)
                .map(|item| match item.split_once('=') {
                    Some((name, value)) => interpolated(name, value),
                    None => (item.to_owned(), reference(item)),
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The value with `${X}` replaced by what `.env` says. If a variable is not known there, the value is
    /// a reference to `name`: the container gets this variable, and not that of compose.
    fn interpolated(&self, text: &str, name: Option<&str>) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (variable, default, after) = if let Some((inner, after)) =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            {
                let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
                let (variable, operator) = inner.split_at(end);
                let default = operator.strip_prefix(":-").or_else(|| operator.strip_prefix('-'));
                (variable, default, after)
            } else {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                (&rest[..end], None, &rest[end..])
            };
            rest = after;
            let known = self.dotenv.iter().find(|(known, _)| known == variable);
            match (known.map(|(_, value)| value.as_str()).or(default), name) {
                (Some(value), _) => out.push_str(value),
                (None, Some(name)) => return reference(name),
                (None, None) => out.push_str(&reference(variable)),
            }
        }
        out + rest
    }
}

/// `80`, `8080:80`, `127.0.0.1:8080:80/tcp`, or the long form.
fn port(node: &Node) -> Option<(u16, u16)> {
    if let Some(target) = node.text_of("target") {
        let target = target.parse().ok()?;
        return Some((node.text_of("published").and_then(|p| p.parse().ok())?, target));
    }
    let text = node.text()?.split('/').next()?;
    let mut parts = text.rsplit(':');
    let container = parts.next()?.parse().ok()?;
    Some((parts.next()?.parse().ok()?, container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::yaml;

    #[test]
    fn variables_ports_and_commands_of_services() {
        let text = "\
services:
  gate:
    image: quay.io/oauth2-proxy/oauth2-proxy:v7.6.0
    command: --email-domain=* --upstream http://app:8080/
    environment:
      - OAUTH2_PROXY_CLIENT_ID=${ID:-web}
      - OAUTH2_PROXY_CLIENT_SECRET=${SECRET}
      - LANG=C
    ports: [\"80:4180\", \"9000\", {target: 1, published: 2}]
  app: {build: .}
";
        let root = yaml::parse(text).unwrap();
        let found = services(&root, Path::new("/nowhere/x.yml"), "x.yml").unwrap();
        assert!(found[0].is_oauth2_proxy() && found[0].has_options());
        assert_eq!(found[0].env, ["LANG"]);
        assert_eq!(found[0].ports, [(80, 4180), (2, 1)]);
        assert!(found[1].is_built && !found[1].has_options());
        assert!(services(&yaml::parse("a: 1").unwrap(), Path::new("x"), "x").is_none());
    }
}
