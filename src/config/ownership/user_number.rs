//! The number of an app's own user: it follows from the name of the app alone, so that it is the
//! same in every image and beside any other apps.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

/// Distributions give 0 to 999 to system users and number people from 1000 on; Debian and systemd
/// reserve numbers from 60000 on. This range lies between the two and fits 16 bits.
pub(crate) const NUMBERS: RangeInclusive<u32> = 40_000..=59_999;

/// The uid and gid of the app with this name.
pub(crate) fn user_number(app: &str) -> u32 {
    let digest = Sha256::digest(format!("appliance app {app}"));
    let head = digest.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
    let size = u64::from(NUMBERS.end() - NUMBERS.start() + 1);
    NUMBERS.start() + u32::try_from(head % size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files on volumes belong to these numbers: no later version may change them.
    #[test]
    fn a_name_always_has_the_same_number() {
        for (name, number) in
            [("keycloak", 56_999), ("app1", 45_001), ("app2", 47_251), ("sales", 47_325)]
        {
            assert_eq!(user_number(name), number, "{name}");
        }
    }

    #[test]
    fn every_number_is_in_the_range() {
        for at in 0..5_000 {
            assert!(NUMBERS.contains(&user_number(&format!("app{at}"))));
        }
    }
}
