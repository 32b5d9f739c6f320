//! The process of an app: command, environment, account, limits and setup.

use std::collections::BTreeMap;

use crate::config::check::context::Check;
use crate::config::file::{self, At, Size, TextOr};
use crate::config::grammar;
use crate::config::grammar::is_variable_name;
use crate::config::grammar::placeholder::fill;
use crate::config::model::{EnvValue, Folders, Limits, Run, Setup};

impl Check<'_, '_> {
    pub(in crate::config::check) fn run(
        &mut self,
        command: &At<Vec<String>>,
        table: &file::App,
        words: &[(&str, &str)],
    ) -> Run {
        let command = self.argv(command, "`command`");
        let command = command.iter().map(|part| fill(part, words)).collect();
        Run {
            command: self.rooted(command),
            cwd: table.cwd.as_ref().map_or_else(|| self.dir.to_owned(), |at| self.path(at)),
            env: table.env.as_ref().map(|env| self.env(env, words)).unwrap_or_default(),
            pass_env: table.pass_env.iter().flatten().filter_map(|at| self.variable(at)).collect(),
            env_file: table.env_file.as_ref().map(|at| self.path(at)),
            user: self.account(table.user.as_ref()),
            group: self.account(table.group.as_ref()),
            own_user: None,
            folders: Folders::default(),
            home: None,
            token_url: None,
            umask: self.parse_some(table.umask.as_ref(), grammar::umask),
            limits: table.limits.as_ref().map(|limits| self.limits(limits)).unwrap_or_default(),
            // A user of its own is to stay that user.
            no_new_privs: table.no_new_privs.unwrap_or(table.user.is_some()),
            setup: table.setup.as_ref().map(|at| self.setup(at)).into_iter().collect(),
            needs: Vec::new(),
            log: table.log.unwrap_or(true),
        }
    }

    fn env(
        &mut self,
        env: &BTreeMap<String, At<file::EnvValue>>,
        words: &[(&str, &str)],
    ) -> Vec<(String, EnvValue)> {
        let mut values = Vec::new();
        for (name, at) in env {
            if !is_variable_name(name) {
                self.problems.error(
                    &at.span,
                    format!("`{name}` is not a valid variable name; use letters, digits and `_`"),
                );
            }
            match &at.value {
                TextOr::Text(text) if text.contains('\0') => {
                    self.problems.error(
                        &at.span,
                        format!("`{name}` must not contain a NUL byte; remove it"),
                    );
                }
                TextOr::Text(text) => {
                    values.push((name.clone(), EnvValue::Plain(fill(text, words))));
                }
                TextOr::Other(secret) => {
                    let source = self.secret(secret, &at.span);
                    values.extend(source.map(|source| (name.clone(), EnvValue::Secret(source))));
                }
            }
        }
        values
    }

    fn variable(&mut self, at: &At<String>) -> Option<String> {
        if is_variable_name(at) {
            return Some(at.value.clone());
        }
        self.problems.error(
            &at.span,
            format!("`{}` is not a valid variable name; use letters, digits and `_`", at.value),
        );
        None
    }

    fn limits(&mut self, file: &file::Limits) -> Limits {
        Limits {
            nofile: self.limit(file.nofile.as_ref()),
            core: self.limit(file.core.as_ref()),
            nproc: self.limit(file.nproc.as_ref()),
            address_space: self.limit(file.address_space.as_ref()),
            file_size: self.limit(file.fsize.as_ref()),
        }
    }

    fn limit(&mut self, at: Option<&At<Size>>) -> Option<u64> {
        let at = at?;
        let limit = match &at.value {
            Size::Number(number) => u64::try_from(*number).map_err(|_| {
                "a limit must not be negative; write a number, a size such as `1GiB`, or `unlimited`"
                    .to_owned()
            }),
            Size::Text(text) if text == "unlimited" => Ok(u64::MAX),
            Size::Text(text) => grammar::size(text),
        };
        limit.map_err(|why| self.problems.error(&at.span, why)).ok()
    }

    fn setup(&mut self, at: &At<file::Setup>) -> Setup {
        let run = self.argv(&at.run, "`run`");
        Setup {
            run: self.rooted(run),
            creates: self.path(&at.creates),
            env: at.env.clone().unwrap_or_default().into_iter().collect(),
        }
    }
}
