//! A filter that the kernel applies to sockets before it names them (`struct inet_diag_bc_op`).
//!
//! The program is a chain of conditions on the own address of a socket. A condition that holds jumps to
//! the end, which means yes; the last one that does not hold jumps beyond the end, which means no.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `INET_DIAG_BC_JMP`
const JUMP: u8 = 1;
/// `INET_DIAG_BC_S_COND`
const OWN_ADDRESS: u8 = 7;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
/// Length of an instruction without what it compares.
const STEP: u16 = 4;

/// Sockets that are bound to one of these addresses, or to their port of all addresses.
pub(super) fn of(addresses: &[SocketAddr]) -> Vec<u8> {
    let mut wanted: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        let ips = any.into_iter().chain([address.ip()]);
        wanted.extend(ips.map(|ip| SocketAddr::new(ip, address.port())));
    }
    wanted.sort();
    wanted.dedup();
    let mut program: Vec<u8> = Vec::new();
    // From the end, so that the way to the end is known.
    for (place, address) in wanted.iter().rev().enumerate() {
        let compared = compared(*address);
        let length = STEP + u16::from(length_of(&compared));
        let rest = u16::try_from(program.len()).unwrap_or(u16::MAX);
        let mut step = Vec::new();
        // Without success: over the jump to the next condition, or beyond the end.
        step.extend(instruction(OWN_ADDRESS, length, length + STEP));
        step.extend(&compared);
        if place > 0 {
            step.extend(instruction(JUMP, STEP, STEP + rest));
        }
        step.extend(&program);
        program = step;
    }
    program
}

fn instruction(code: u8, yes: u16, no: u16) -> [u8; 4] {
    let [low, high] = no.to_ne_bytes();
    [code, yes.to_le_bytes()[0], low, high]
}

fn length_of(compared: &[u8]) -> u8 {
    u8::try_from(compared.len()).unwrap_or(u8::MAX)
}

/// `struct inet_diag_hostcond`: the family, the length of the prefix, the port and the address.
fn compared(address: SocketAddr) -> Vec<u8> {
    let (family, bits, ip) = match address.ip() {
        // Also matches a socket of IPv6 that is bound to the mapped address.
        IpAddr::V4(ip) => (AF_INET, 32, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AF_INET6, 128, ip.octets().to_vec()),
    };
    let mut bytes = vec![family, bits, 0, 0];
    bytes.extend(i32::from(address.port()).to_ne_bytes());
    bytes.extend(ip);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn each_condition_jumps_to_the_end_or_to_the_next_one() {
        let program = of(&["127.0.0.1:80".parse().unwrap()]);
        // Two conditions of IPv4 and one of IPv6, with a jump behind each but the last.
        assert_eq!(program.len(), 16 + 4 + 16 + 4 + 28);
        assert_eq!(program[..8], [OWN_ADDRESS, 16, 20, 0, 2, 32, 0, 0]);
        assert_eq!(program[8..16], [80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(program[16..20], [JUMP, 4, 4 + 16 + 4 + 28, 0]);
        assert_eq!(program[36..40], [JUMP, 4, 4 + 28, 0]);
        assert_eq!(program[40..44], [OWN_ADDRESS, 28, 32, 0]);
        assert_eq!(of(&[]), [0; 0]);
    }
}
