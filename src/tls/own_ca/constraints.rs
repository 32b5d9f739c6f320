//! The hosts that an authority may sign for (RFC 5280 section 4.2.1.10).

use std::net::IpAddr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// A name that no host has (RFC 6761): without a permitted name, all names would be permitted.
const NO_HOST: &str = "invalid";

/// Constraints that permit these names and addresses, and the names below them.
pub(super) fn permitting(hosts: &[String]) -> NameConstraints {
    let addresses = || hosts.iter().filter_map(|host| host.parse::<IpAddr>().ok());
    let names = hosts.iter().filter(|host| host.parse::<IpAddr>().is_err());
    let mut permitted: Vec<_> = names.cloned().map(GeneralSubtree::DnsName).collect();
    if permitted.is_empty() {
        permitted.push(GeneralSubtree::DnsName(NO_HOST.to_owned()));
    }
    permitted.extend(addresses().map(|address| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
    }));
    // Where no address is permitted, each must be excluded, as an absent kind of name is permitted.
    let none = !addresses().any(|_| true);
    let all = [CidrSubnet::V4([0; 4], [0; 4]), CidrSubnet::V6([0; 16], [0; 16])];
    let excluded = all.into_iter().filter(|_| none).map(GeneralSubtree::IpAddress);
    NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded.collect() }
}

/// The first of the hosts that the authority may not sign for.
pub(super) fn refused<'h>(root: &X509Certificate<'_>, hosts: &'h [String]) -> Option<&'h str> {
    let constraints = root.name_constraints().ok().flatten();
    let permitted = constraints.and_then(|found| found.value.permitted_subtrees.as_deref());
    let permitted = permitted.unwrap_or_default();
    let is_permitted = |host: &&String| permitted.iter().any(|tree| includes(&tree.base, host));
    hosts.iter().find(|host| !is_permitted(host)).map(String::as_str)
}

fn includes(tree: &GeneralName<'_>, host: &str) -> bool {
    match (tree, host.parse::<IpAddr>()) {
        (GeneralName::DNSName(name), Err(_)) => {
            host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        (GeneralName::IPAddress(subnet), Ok(address)) => {
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let (network, mask) = subnet.split_at(subnet.len() / 2);
            network.len() == octets.len()
                && octets
                    .iter()
                    .zip(mask)
                    .map(|(octet, mask)| octet & mask)
                    .eq(network.iter().copied())
        }
        _ => false,
    }
}
