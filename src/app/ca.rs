//! `appliance ca`: the certificate of the appliance's own authority, and how browsers come to trust it.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::SystemTime;

use super::commands::{load, print};
use super::refused::{Refused, print_error, setting};
use super::state_dir;
use crate::config::ownership::operator_file::{self, LARGEST};
use crate::config::{Config, Tls};
use crate::control::client::NOT_PERMITTED;
use crate::tls::{Front, Root};

/// What to do with the certificate, by system.
const ADVICE: &str = "\
Save the certificate (`appliance ca > appliance-ca.crt`), then on each machine:
  Debian, Ubuntu  copy it to /usr/local/share/ca-certificates/ and run `update-ca-certificates`
  Fedora, RHEL    copy it to /etc/pki/ca-trust/source/anchors/ and run `update-ca-trust`
  Chrome on Linux certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n appliance -i appliance-ca.crt
  macOS           sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain appliance-ca.crt
  Windows         certutil -addstore Root appliance-ca.crt (as administrator)
  Firefox         Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import
  iOS, iPadOS     open the file; Settings, General, VPN & Device Management: install;
                  then General, About, Certificate Trust Settings: switch it on
  Android         Settings, Security, Encryption & credentials, Install a certificate, CA certificate";

/// `appliance ca`
pub fn ca(path: &Path, out: &mut impl Write) -> u8 {
    match load(path).and_then(|config| Ok((root(&config)?, config))) {
        Ok((root, config)) => {
            let code = print(root.pem().as_bytes(), out);
            explain(&root, &config);
            code
        }
        Err(refused) => refused.report(),
    }
}

fn explain(root: &Root, config: &Config) {
    let hosts = config.hosts();
    let url = &config.server.public_url;
    print_error(&format!(
        "The authority signs for {}. Its certificate is also at {url}/_appliance/ca.pem.\n\
         SHA-256 {}\n{ADVICE}",
        hosts.join(", "),
        root.fingerprint()
    ));
    if let Some(why) = root.unusable(&hosts, SystemTime::now()) {
        print_error(&format!(
            "appliance: the next start or reload makes a new authority, because {why}: print its \
             certificate then"
        ));
    }
}

/// Reads the certificate, or makes the authority that the first start would make.
fn root(config: &Config) -> Result<Root, Refused> {
    if config.server.tls != Some(Tls::Internal) {
        let why = "the appliance has a certificate authority of its own only with `tls = { internal = true }`";
        return Err(setting(config, &["server", "tls"], why));
    }
    let file = state_dir::ca_path(&config.server.state_dir);
    let shown = file.display();
    match operator_file::read_text(&file, LARGEST) {
        Ok(text) => Root::in_text(&text).ok_or_else(|| {
            Refused::configuration(format!(
                "appliance: {shown} has no certificate; restart the appliance, which says more"
            ))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => made(config),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Refused {
            code: NOT_PERMITTED,
            text: format!(
                "appliance: {shown} cannot be read: permission denied; run the command as the user of \
                 the appliance, or open {}/_appliance/ca.pem",
                config.server.public_url
            ),
        }),
        Err(error) => Err(Refused::internal(format!("appliance: {shown} cannot be read: {error}"))),
    }
}

fn made(config: &Config) -> Result<Root, Refused> {
    let _lock = state_dir::prepare(config)?;
    let front = Front::open(config, None)
        .map_err(|error| setting(config, &["server", "tls"], &error.to_string()))?;
    let root = front.as_ref().and_then(|front| front.root());
    root.cloned().ok_or_else(|| Refused::internal("appliance: there is no certificate authority"))
}
