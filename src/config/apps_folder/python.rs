//! What a Python script says about itself: the modules that it imports, and the packages that it names.

use std::collections::BTreeSet;

/// The modules that a script imports at its top level, without their submodules.
pub(super) fn imports(text: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for line in code_lines(text) {
        if let Some(rest) = line.strip_prefix("import ") {
            let names = rest.split(',').filter_map(|one| one.split_whitespace().next());
            modules.extend(names.map(root));
        } else if let Some(rest) = line.strip_prefix("from ")
            && let Some((module, _)) = rest.split_once(" import")
            && !module.starts_with('.')
        {
            modules.insert(root(module.trim()));
        }
    }
    modules.retain(|module| !module.is_empty());
    modules
}

fn root(module: &str) -> String {
    let name = |c: &char| c.is_alphanumeric() || *c == '_';
    module.chars().take_while(name).collect()
}

/// The lines of a script without those inside of texts between three quotes.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut open: Option<&str> = None;
    text.lines().filter_map(move |line| {
        let begins_inside = open.is_some();
        let mut rest = line;
        loop {
            let next = match open {
                Some(quotes) => rest.find(quotes).map(|at| (at, quotes)),
                None => ["\"\"\"", "'''"]
                    .iter()
                    .filter_map(|quotes| Some((rest.find(quotes)?, *quotes)))
                    .filter(|(at, _)| !rest[..*at].contains('#'))
                    .min(),
            };
            let Some((at, quotes)) = next else { break };
            open = if open.is_some() { None } else { Some(quotes) };
            rest = &rest[at + quotes.len()..];
        }
        (!begins_inside).then(|| line.trim_start())
    })
}

/// The name of the first variable that gets the result of one of these calls: `app` of `app = Flask(…)`.
pub(super) fn made_by<'t>(text: &'t str, calls: &[&str]) -> Option<&'t str> {
    assignments(text)
        .find(|(_, value)| calls.iter().any(|call| value.starts_with(call)))
        .map(|(name, _)| name)
}

/// Whether the script has a variable of this name.
pub(super) fn has_variable(text: &str, name: &str) -> bool {
    assignments(text).any(|(variable, _)| variable == name)
}

/// The variables that the top level of a script sets, with the begin of their value. A type between
/// `:` and `=` is left out.
fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (left, value) = line.split_once('=')?;
        let name = left.split(':').next().unwrap_or(left).trim_end();
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then(|| (name, value.trim_start()))
    })
}

/// The packages of the script's inline metadata: a comment block that begins with `# /// script`; see
/// <https://packaging.python.org/en/latest/specifications/inline-script-metadata/>. `None` without one.
pub(super) fn inline_packages(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "# /// script").skip(1);
    let mut block = String::new();
    loop {
        let line = lines.next()?;
        if line.trim_end() == "# ///" {
            break;
        }
        block.push_str(line.strip_prefix("# ").or_else(|| line.strip_prefix('#'))?);
        block.push('\n');
    }
    let table: toml::Table = block.parse().ok()?;
    let packages = table.get("dependencies")?.as_array()?;
    Some(packages.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
}
