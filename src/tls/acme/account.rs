//! The account at the authority, kept in `state_dir`.

use std::io;
use std::path::Path;

use instant_acme::{Account, AccountCredentials, NewAccount};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::failure::Failure;
use super::http::Client;
use crate::config::Acme;
use crate::config::ownership::own_file;
use crate::config::reserved::ACME_ACCOUNT;
use crate::threads;

/// An account as it is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    directory: String,
    email: Option<String>,
    credentials: AccountCredentials,
}

/// Opens the kept account, or makes one.
pub(super) async fn open(acme: &Acme, state_dir: &Path) -> Result<Account, Failure> {
    let client = Client::new(acme.ca_file.as_deref()).map_err(Failure::new)?;
    let builder = Account::builder_with_http(Box::new(client));
    let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    if let Some(kept) = read(state_dir)?.filter(|kept| kept.directory == acme.directory) {
        let account = builder.from_credentials(kept.credentials).await?;
        if kept.email != acme.email {
            account.update_contacts(&contact).await?;
            // Again from the file, because credentials cannot be copied.
            if let Some(kept) = read(state_dir)? {
                write(state_dir, &Kept { email: acme.email.clone(), ..kept }).await?;
            }
        }
        return Ok(account);
    }
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder.create(&wanted, acme.directory.clone(), None).await?;
    let kept = Kept { directory: acme.directory.clone(), email: acme.email.clone(), credentials };
    write(state_dir, &kept).await?;
    info!(
        directory = acme.directory,
        email = acme.email,
        "an account was made at the certificate authority"
    );
    Ok(account)
}

/// Forgets an account that the authority does not know.
pub(super) fn forget(state_dir: &Path) {
    let _ = std::fs::remove_file(state_dir.join(ACME_ACCOUNT));
}

/// A file that cannot be read as an account is replaced by a new one: nothing is lost with it.
fn read(state_dir: &Path) -> Result<Option<Kept>, Failure> {
    let path = state_dir.join(ACME_ACCOUNT);
    match own_file::read(&path) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("{} cannot be read: {error}", path.display()))),
    }
}

async fn write(state_dir: &Path, kept: &Kept) -> Result<(), Failure> {
    let path = state_dir.join(ACME_ACCOUNT);
    let shown = path.display().to_string();
    let text = serde_json::to_string(kept).map_err(|error| Failure::new(error.to_string()))?;
    let written = threads::blocking(move || own_file::replace(&path, &text)).await;
    written.map_err(|error| Failure::new(format!("{shown} cannot be written: {error}")))
}
