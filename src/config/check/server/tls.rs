//! `tls`, `redirect_http` and `hsts`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::metrics;
use crate::config::check::context::Check;
use crate::config::file::{self, At, FlagOrText, OneOrManyTables};
use crate::config::grammar;
use crate::config::model::{Acme, CertificateFiles, Listen, PublicUrl, Tls};
use crate::config::read::interpolate::Lookup;

/// What `hsts = true` stands for.
const YEAR: Duration = Duration::from_hours(365 * 24);

/// The directory of Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The port of https, if the certificate comes from the folder of [`FOLDER`].
const PORT: u16 = 8443;
/// A variable with the folder of a certificate. The image sets it.
const FOLDER: &str = "APPLIANCE_TLS";
/// The files in that folder: as certbot and others write them, and as Kubernetes does.
const FILES: [(&str, &str); 2] = [("fullchain.pem", "privkey.pem"), ("tls.crt", "tls.key")];

/// The addresses for clients, and what they speak.
pub(super) struct Doors {
    pub(super) listen: Vec<Listen>,
    pub(super) tls: Option<Tls>,
    pub(super) redirect_http: Option<SocketAddr>,
}

impl Check<'_, '_> {
    /// Where the file says nothing of TLS and the folder of [`FOLDER`] has a certificate, the first
    /// address of `listen` redirects to https, which is on [`PORT`].
    pub(super) fn doors(
        &mut self,
        file: &file::Server,
        listen: Vec<Listen>,
        lookup: Lookup<'_>,
    ) -> Doors {
        let redirect_http = self.redirect_http(file.redirect_http.as_ref(), &listen);
        let is_written = file.tls.is_some() || redirect_http.is_some();
        let given = self.given_dir(FOLDER, lookup).filter(|_| !is_written);
        let given = given.as_deref().and_then(files_in);
        let tcp = |(at, address): (usize, &Listen)| Some((at, address.tcp()?));
        let Some((files, (at, first))) = given.zip(listen.iter().enumerate().find_map(tcp)) else {
            return Doors { listen, tls: self.tls(file.tls.as_ref()), redirect_http };
        };
        let mut listen = listen;
        listen[at] = Listen::Tcp(SocketAddr::new(first.ip(), PORT));
        Doors { listen, tls: Some(Tls::Files(vec![files])), redirect_http: Some(first) }
    }

    fn tls(&mut self, file: Option<&At<OneOrManyTables<file::Tls>>>) -> Option<Tls> {
        let file = file?;
        if file.0.is_empty() {
            let help = "write `{ cert = \"…\", key = \"…\" }`, or remove the key for http";
            self.problems.error_with_help(&file.span, "`tls` is an empty list", help);
        }
        let tables = &file.value.0;
        let is_on = |table: &&At<bool>| table.value;
        let internal = tables.iter().filter_map(|table| table.internal.as_ref()).find(is_on);
        let acme = tables.iter().find_map(|table| table.acme.as_ref());
        if let Some(on) = internal {
            self.stands_alone("internal", &on.span, tables);
            return Some(Tls::Internal);
        }
        if let Some(acme) = acme {
            self.stands_alone("acme", &acme.span, tables);
            return Some(Tls::Acme(self.acme(acme)));
        }
        let files = tables.iter().filter_map(|table| self.certificate(table, &file.span)).collect();
        Some(Tls::Files(files))
    }

    /// There is one certificate for all hosts, so nothing can stand beside it.
    fn stands_alone(&mut self, key: &str, span: &file::Span, tables: &[file::Tls]) {
        let ways = |table: &file::Tls| {
            let internal = table.internal.as_ref().is_some_and(|on| on.value);
            let has_files = table.cert.is_some() || table.key.is_some();
            usize::from(internal) + usize::from(table.acme.is_some()) + usize::from(has_files)
        };
        if tables.len() > 1 || tables.iter().map(ways).sum::<usize>() > 1 {
            self.problems.error_with_help(
                span,
                format!("`{key}` cannot be combined with other certificates"),
                "name one source: `{ internal = true }`, `{ acme = { … } }`, or `cert` and `key`",
            );
        }
    }

    fn acme(&mut self, file: &file::Acme) -> Acme {
        let email = self.parse_some(file.email.as_ref(), |text| match text.split_once('@') {
            Some((local, domain)) if is_mail(local) && is_mail(domain) => Ok(text.to_owned()),
            _ => Err(format!("`{text}` is not an e-mail address; write it as `ops@example.org`")),
        });
        let (at, default) = (file.directory.as_ref(), DIRECTORY.to_owned());
        let directory = self.parse(at, default, grammar::acme_directory);
        Acme { email, directory, ca_file: file.ca_file.as_ref().map(|at| self.path(at)) }
    }

    fn certificate(&mut self, table: &file::Tls, span: &file::Span) -> Option<CertificateFiles> {
        let both = table.cert.as_ref().zip(table.key.as_ref());
        if both.is_none() && !self.cut_out.any("server", &["tls"]) {
            let missing = if table.cert.is_none() { "cert" } else { "key" };
            self.problems.error_with_help(
                span,
                format!("`tls` has no `{missing}`"),
                "name the PEM files of the certificate and of its private key: `{ cert = \"fullchain.pem\", key = \"privkey.pem\" }`",
            );
        }
        let (cert, key) = both?;
        Some(CertificateFiles { cert: self.path(cert), key: self.path(key) })
    }

    /// Addresses of http lead browsers past TLS, and a redirect or HSTS to https needs https.
    /// `has_tls`: the addresses speak TLS.
    pub(super) fn needs_https(
        &mut self,
        file: &file::Server,
        has_tls: bool,
        public_url: &PublicUrl,
    ) {
        if public_url.secure {
            return;
        }
        let written = file.public_url.as_ref().map(|at| &at.span);
        let wants = [
            ("tls", file.tls.as_ref().map(|at| &at.span).or(written.filter(|_| has_tls))),
            ("redirect_http", file.redirect_http.as_ref().map(|at| &at.span)),
            ("hsts", file.hsts.as_ref().filter(|at| is_on(&at.value)).map(|at| &at.span)),
        ];
        for (key, span) in wants {
            let Some(span) = span else { continue };
            self.problems.error_with_help(
                written.unwrap_or(span),
                format!("`{key}` needs a `public_url` that begins with https, and this is `{public_url}`"),
                "write the https address that people type, for example `https://apps.example.org`",
            );
        }
    }

    fn redirect_http(
        &mut self,
        file: Option<&At<String>>,
        listen: &[Listen],
    ) -> Option<SocketAddr> {
        let address = self.parse_some(file, |text| {
            metrics(text).map_err(|_| {
                format!("`{text}` is not an address with a port; write for example `0.0.0.0:8080`")
            })
        })?;
        if let Some(at) = file.filter(|_| listen.contains(&Listen::Tcp(address))) {
            self.problems.error_with_help(
                &at.span,
                format!("`{address}` is also in `listen`"),
                "the redirect needs an address of its own, for example another port",
            );
        }
        Some(address)
    }

    pub(super) fn hsts(&mut self, file: Option<&At<FlagOrText>>) -> Option<Duration> {
        let at = file?;
        match &at.value {
            FlagOrText::Flag(flag) => flag.then_some(YEAR),
            FlagOrText::Text(text) => {
                self.parse_some(Some(&At::new(text.clone(), at.span.clone())), grammar::duration)
            }
        }
    }
}

/// The certificate in a folder, if it has one.
fn files_in(folder: &Path) -> Option<CertificateFiles> {
    let files = |(cert, key)| CertificateFiles { cert: folder.join(cert), key: folder.join(key) };
    let is_there = |files: &CertificateFiles| files.cert.exists() && files.key.exists();
    FILES.map(files).into_iter().find(is_there)
}

fn is_on(hsts: &FlagOrText) -> bool {
    !matches!(hsts, FlagOrText::Flag(false))
}

/// Whether it can be a half of an e-mail address.
fn is_mail(half: &str) -> bool {
    !half.is_empty() && !half.contains('@') && half.bytes().all(|byte| byte.is_ascii_graphic())
}
