//! Writes a draft as the text of `appliance.toml`.

use std::fmt::Write as _;

use super::draft::{Draft, Remark, Table};
use super::value::{Value, bare};

/// Longest line of a comment, and of a value that could also stand on several lines.
const WIDTH: usize = 100;

/// The text of the file. `sources` are the files that it was made from.
pub(super) fn text(draft: &Draft, sources: &[String]) -> String {
    let mut out = String::from("#:schema ./appliance.schema.json\n");
    comment(&mut out, &format!("Made by `appliance import` from {}.", sources.join(", ")));
    comment(
        &mut out,
        "A comment that begins with \"not carried\" names something of these files that is not in this one.",
    );
    remarks(&mut out, &draft.head);
    for (name, table) in draft.tables() {
        out.push('\n');
        remarks(&mut out, table);
        let _ = writeln!(out, "[{name}]");
        keys(&mut out, &name, table);
    }
    out
}

/// The lines on stderr.
pub(super) fn missing(draft: &Draft) -> Vec<String> {
    let tables = draft.tables();
    let tables = tables.iter().map(|(_, table)| *table);
    let said = std::iter::once(&draft.head).chain(tables).flat_map(|table| &table.remarks);
    said.filter_map(|remark| match remark {
        Remark::Hint(_) => None,
        Remark::Missing { place, text } => Some(format!("{place}: {text}")),
    })
    .collect()
}

fn remarks(out: &mut String, table: &Table) {
    for remark in &table.remarks {
        match remark {
            Remark::Hint(text) => comment(out, text),
            Remark::Missing { place, text } => {
                comment(out, &format!("not carried: {place}: {text}"));
            }
        }
    }
}

/// A comment, wrapped between words.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#  ");
        }
        line.push(' ');
        // A control character would end the comment, or is no TOML at all.
        line.extend(word.chars().filter(|c| !c.is_control()));
    }
    let _ = writeln!(out, "{line}");
}

/// The keys of a table in columns. A long `env` becomes a table of its own at the end, because an
/// inline table cannot have several lines.
fn keys(out: &mut String, name: &str, table: &Table) {
    let keys = table.in_order();
    let is_long = |value: &Value| value.to_string().len() > WIDTH - 20;
    let (tables, lines): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|(_, value)| matches!(value, Value::Table(_)) && is_long(value));
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in lines {
        let _ = write!(out, "{key:width$} = ");
        match value {
            Value::List(items) if is_long(value) => {
                out.push_str("[\n");
                for item in items {
                    let _ = writeln!(out, "    {item},");
                }
                out.push_str("]\n");
            }
            value => {
                let _ = writeln!(out, "{value}");
            }
        }
    }
    for (key, value) in tables {
        let Value::Table(items) = value else { continue };
        let _ = writeln!(out, "\n[{name}.{key}]");
        for (key, value) in items {
            let _ = writeln!(out, "{} = {value}", bare(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_comments_and_long_values_have_several_lines() {
        let mut draft = Draft::default();
        let mut app = super::super::draft::App { name: "web".to_owned(), ..Default::default() };
        app.table.hint("[program:web]");
        app.table.missing("x.conf, [program:web]", "priority = 3\u{7}: no equivalent");
        app.table.set("cwd", "/srv");
        app.table.set("command", Value::list(vec!["a word of the command"; 6]));
        app.table.set("env", Value::table([("LONG", "x".repeat(100)), ("B", "2".to_owned())]));
        draft.apps.push(app);
        let text = text(&draft, &["x.conf".to_owned()]);
        assert!(text.contains("\n# [program:web]\n# not carried: x.conf, [program:web]: priority"));
        assert!(text.contains("\ncommand = [\n    \"a word of the command\",\n"), "{text}");
        assert!(text.contains("\ncwd     = \"/srv\"\n\n[apps.web.env]\nLONG = "), "{text}");
        assert!(text.parse::<toml::Table>().is_ok(), "{text}");
        assert_eq!(missing(&draft).len(), 1);
    }
}
