//! `[oidc] provider`: the default values that the issuer's product needs.

use crate::config::check::context::{Check, Outline};
use crate::config::file::{self, At};
use crate::config::model::SignInProtocol;
use crate::config::preset::issuer::{self, GENERIC, IssuerPreset, PRESETS};
use crate::config::report::suggest;

impl Check<'_, '_> {
    /// The default values for the rest of `[oidc]`.
    pub(super) fn provider(
        &mut self,
        oidc: &At<file::Oidc>,
        outlines: &[Outline<'_>],
    ) -> &'static IssuerPreset {
        let Some(at) = &oidc.provider else { return &GENERIC };
        let Some(preset) = issuer::find(at) else {
            self.unknown_provider(at);
            return &GENERIC;
        };
        if let Some(issuer) = &oidc.issuer {
            self.names_an_organisation(issuer, preset);
        }
        if preset.protocol == SignInProtocol::GitHub {
            self.github(oidc, outlines);
        }
        let served_by = oidc.served_by.as_ref();
        let app = served_by
            .and_then(|name| outlines.iter().find(|outline| outline.name.as_str() == name.value));
        if app.is_some_and(|app| app.keycloak.is_some()) && preset.name != "keycloak" {
            self.problems.error_with_help(
                &at.span,
                format!("the issuer is a Keycloak, not `{}`", preset.name),
                "remove `provider`, or write `provider = \"keycloak\"`",
            );
        }
        preset
    }

    fn unknown_provider(&mut self, at: &At<String>) {
        // The text of an unset variable has already been reported.
        if self.problems.any_within(&at.span) {
            return;
        }
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        let message = format!("`{}` is not a value of `provider`", at.value);
        let help = suggest::help(at, &names);
        self.problems.error_with_help(
            &at.span,
            message,
            format!("{help}; for another issuer, remove `provider`"),
        );
    }

    /// The issuer must be that of one organisation.
    fn names_an_organisation(&mut self, issuer: &At<String>, preset: &IssuerPreset) {
        let is_shared = |part: &&str| preset.shared.iter().any(|shared| shared == part);
        let shared = issuer.split('/').find(is_shared);
        if let Some(shared) = shared.filter(|_| !self.problems.any_within(&issuer.span)) {
            self.problems.error_with_help(
                &issuer.span,
                format!(
                    "`{shared}` stands for many organisations, whose tokens have other issuers"
                ),
                format!("write the issuer of one organisation, for example `{}`", preset.example),
            );
        }
    }
}
