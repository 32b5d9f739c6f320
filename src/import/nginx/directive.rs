//! The grammar of nginx's files: directives with words, and blocks of directives.

use crate::import::text;
use std::path::{Path, PathBuf};

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) block: Vec<Directive>,
}

impl Directive {
    pub(super) fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }
}

/// Directives of a block with this name.
pub(super) fn named<'d>(
    block: &'d [Directive],
    name: &'d str,
) -> impl DoubleEndedIterator<Item = &'d Directive> {
    block.iter().filter(move |directive| directive.name == name)
}

/// How deep blocks and includes may be nested.
const DEEPEST: usize = 16;
/// Files that are read, each as often as it is included. Files that include each other several times
/// would keep the import busy for ever.
const MOST_FILES: usize = 1000;

/// Reads the directives of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Directive>, String> {
    let mut tokens = Tokens { chars: text.chars().peekable(), line: 1 };
    tokens.block(0)
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

struct Tokens<'t> {
    chars: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl Tokens<'_> {
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, String> {
        if depth > DEEPEST {
            return Err(format!("line {}: blocks are nested too deep", self.line));
        }
        let mut block = Vec::new();
        let mut words: Vec<String> = Vec::new();
        loop {
            let Some(token) = self.token()? else {
                return match (words.is_empty(), depth) {
                    (true, 0) => Ok(block),
                    _ => Err(format!("line {}: a `}}` or a `;` is missing", self.line)),
                };
            };
            let inner = match token {
                Token::Word(word) => {
                    words.push(word);
                    continue;
                }
                Token::Close if words.is_empty() && depth > 0 => return Ok(block),
                Token::Close => return Err(format!("line {}: an unexpected `}}`", self.line)),
                Token::End => Vec::new(),
                Token::Open => self.block(depth + 1)?,
            };
            let mut parts = std::mem::take(&mut words).into_iter();
            if let Some(name) = parts.next() {
                block.push(Directive { name, args: parts.collect(), block: inner });
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, String> {
        while let Some(&c) = self.chars.peek() {
            match c {
                '#' => {
                    while self.chars.peek().is_some_and(|c| *c != '\n') {
                        self.chars.next();
                    }
                }
                c if c.is_whitespace() => {
                    self.line += usize::from(c == '\n');
                    self.chars.next();
                }
                ';' | '{' | '}' => {
                    self.chars.next();
                    return Ok(Some(match c {
                        ';' => Token::End,
                        '{' => Token::Open,
                        _ => Token::Close,
                    }));
                }
                '"' | '\'' => return self.quoted().map(Some),
                _ => return Ok(Some(self.word())),
            }
        }
        Ok(None)
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let quote = self.chars.next();
        let mut word = String::new();
        let begun = self.line;
        loop {
            match self.chars.next() {
                None => return Err(format!("line {begun}: a quotation has no end")),
                c if c == quote => return Ok(Token::Word(word)),
                Some('\\') => match self.chars.next() {
                    Some(c) if Some(c) == quote || c == '\\' => word.push(c),
                    Some(c) => word.extend(['\\', c]),
                    None => {}
                },
                Some(c) => {
                    self.line += usize::from(c == '\n');
                    word.push(c);
                }
            }
        }
    }

    fn word(&mut self) -> Token {
        let mut word = String::new();
        while let Some(&c) = self.chars.peek() {
            // `${name}` is a variable, and no block.
            let in_variable = c == '{' && word.ends_with('$')
                || c == '}' && word.rfind("${").is_some_and(|at| !word[at..].contains('}'));
            if !in_variable && (c.is_whitespace() || matches!(c, ';' | '{' | '}')) {
                break;
            }
            word.push(c);
            self.chars.next();
        }
        Token::Word(word)
    }
}

/// Puts the directives of included files in place of `include`. A file that is not where the directive
/// says is looked for beside the including file: the sources of an image lie elsewhere than its files.
pub(super) struct Includes<'i> {
    pub(super) folder: &'i Path,
    /// The files that were read.
    pub(super) read: Vec<PathBuf>,
    /// Files that cannot be read, and why.
    pub(super) broken: Vec<(PathBuf, String)>,
    /// Patterns that match no file.
    pub(super) gone: Vec<String>,
    /// The file that is read now, and those that include it, each by the one before.
    pub(super) chain: Vec<PathBuf>,
}

impl Includes<'_> {
    pub(super) fn resolve(&mut self, block: Vec<Directive>, depth: usize) -> Vec<Directive> {
        let mut whole = Vec::new();
        for mut directive in block {
            if directive.name != "include" || depth > DEEPEST {
                directive.block = self.resolve(directive.block, depth + 1);
                whole.push(directive);
                continue;
            }
            let pattern = directive.arg(0);
            let name = Path::new(pattern).file_name().map_or(Path::new(pattern), Path::new);
            let places = [self.folder.join(pattern), self.folder.join(name)];
            let files = places.iter().find_map(|place| {
                let paths = glob::glob(&place.display().to_string()).ok()?;
                let files: Vec<_> = paths.flatten().filter(|path| path.is_file()).collect();
                (!files.is_empty()).then_some(files)
            });
            let is_usual = ["mime.types", "fastcgi_params", "proxy_params"]
                .iter()
                .any(|n| name == Path::new(n));
            match files {
                Some(files) => {
                    for file in files {
                        whole.extend(self.file(file, depth));
                    }
                }
                None if is_usual || pattern.contains("modules-enabled") => {}
                None => self.gone.push(pattern.to_owned()),
            }
        }
        whole
    }

    /// The directives of an included file; none of a file that includes itself.
    fn file(&mut self, file: PathBuf, depth: usize) -> Vec<Directive> {
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        if self.chain.contains(&real) {
            return Vec::new();
        }
        if self.read.len() >= MOST_FILES {
            if self.read.len() == MOST_FILES {
                let why = format!("more than {MOST_FILES} files are included");
                self.broken.push((file.clone(), why));
                self.read.push(file);
            }
            return Vec::new();
        }
        self.read.push(file.clone());
        match text::read(&file).and_then(|text| parse(&text)) {
            Ok(inner) => {
                self.chain.push(real);
                let whole = self.resolve(inner, depth + 1);
                self.chain.pop();
                whole
            }
            Err(why) => {
                self.broken.push((file, why));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_variables_and_blocks() {
        let text = r#"
# comment { ; }
http { server { listen 80; # here
  location ~ "\.(css|js)$" { add_header X "a \"b\"; c"; set $x http://${host}/y; }
} }
error_log off;"#;
        let root = parse(text).unwrap();
        assert_eq!((root[0].name.as_str(), root[1].arg(0)), ("http", "off"));
        let server = &root[0].block[0];
        assert_eq!(named(&server.block, "listen").next().unwrap().args, ["80"]);
        let location = named(&server.block, "location").next().unwrap();
        assert_eq!(location.args, ["~", r"\.(css|js)$"]);
        assert_eq!(location.block[0].args, ["X", "a \"b\"; c"]);
        assert_eq!(location.block[1].args, ["$x", "http://${host}/y"]);
        for bad in ["a {", "a", "}", "a \"b", "a { b }"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    /// Reads `a0.conf` of this folder with all that it includes.
    fn read(folder: &Path) -> (Vec<Directive>, usize, Vec<(PathBuf, String)>) {
        let first = folder.join("a0.conf");
        let mut includes = Includes {
            folder,
            read: Vec::new(),
            broken: Vec::new(),
            gone: Vec::new(),
            chain: vec![first.canonicalize().unwrap()],
        };
        let root = parse(&std::fs::read_to_string(&first).unwrap()).unwrap();
        let whole = includes.resolve(root, 0);
        (whole, includes.read.len(), includes.broken)
    }

    #[test]
    fn files_that_include_each_other_are_read_once_in_a_chain() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a0.conf", "include ./*.conf; x 0;");
        write("a1.conf", "include ./*.conf; x 1;");
        let (whole, read, broken) = read(folder.path());
        let names: Vec<_> = whole.iter().map(|one| one.arg(0)).collect();
        assert_eq!((names, read, broken.len()), (vec!["1", "0"], 1, 0));
        // The same file in two places is included twice.
        write("a0.conf", "include a1.conf; include a1.conf;");
        write("a1.conf", "x 1;");
        assert_eq!(self::read(folder.path()).0.len(), 2);
    }

    #[test]
    fn an_import_ends_however_often_files_include_others() {
        let folder = tempfile::tempdir().unwrap();
        for at in 0..12 {
            let text = format!("include a{0}.conf; include a{0}.conf; x {at};", at + 1);
            std::fs::write(folder.path().join(format!("a{at}.conf")), text).unwrap();
        }
        std::fs::write(folder.path().join("a12.conf"), "x last;").unwrap();
        let (whole, read, broken) = read(folder.path());
        assert!(read <= MOST_FILES + 1 && whole.len() <= MOST_FILES + 1);
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].1.contains("more than 1000 files"), "{broken:?}");
    }
}
