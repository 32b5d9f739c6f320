use super::*;

/// An element of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ 0..0x80] => vec![tag, short],
        [0, one] => vec![tag, 0x81, one],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

/// A response of this status, of this kind, for this serial number. `next`: the `nextUpdate`.
fn made(status: u8, kind: &[u8], serial: &[u8], next: Option<&str>) -> Vec<u8> {
    let hash = der(0x04, &[7; 20]);
    let algorithm = sequence(&[&der(0x06, &[0x2b, 0x0e, 0x03, 0x02, 0x1a]), &der(0x05, &[])]);
    let time = |text: &str| der(0x18, text.as_bytes());
    let single = |serial: &[u8]| {
        let id = sequence(&[&algorithm, &hash, &hash, &der(0x02, serial)]);
        let next = next.map(|next| der(0xa0, &time(next))).unwrap_or_default();
        sequence(&[&id, &der(0x80, &[]), &time("20200101000000Z"), &next])
    };
    let responses = sequence(&[&single(&[0x55, 0x55]), &single(serial)]);
    let data = sequence(&[&der(0xa2, &hash), &time("20200101000000Z"), &responses]);
    let basic = sequence(&[&data, &algorithm, &der(0x03, &[0, 1, 2])]);
    let bytes = sequence(&[&der(0x06, kind), &der(0x04, &basic)]);
    sequence(&[&der(0x0a, &[status]), &der(0xa0, &bytes)])
}

/// A response for a certificate with this serial number, which is valid for years.
pub(in crate::tls) fn response_for(serial: &[u8]) -> Vec<u8> {
    made(0, BASIC, serial, Some("29990101000000Z"))
}

#[test]
fn only_a_response_for_the_certificate_is_sent() {
    let serial = [0x00, 0x81, 0x42];
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let now = at(1_600_000_000);
    let good = response_for(&serial);
    let with = |more: &[u8]| [&good, more].concat();
    for (response, wanted) in [
        (made(0, BASIC, &serial, None), Ok(None)),
        (made(0, BASIC, &serial, Some("20200913122641Z")), Ok(Some(at(1_600_000_001)))),
        (made(0, BASIC, &serial, Some("20200913122640Z")), Err(Fault::Ended)),
        (made(0, BASIC, &serial, Some("19690101000000Z")), Err(Fault::Ended)),
        (made(0, BASIC, &serial, Some("tomorrow")), Err(Fault::Malformed)),
        (made(0, BASIC, &[0x42], None), Err(Fault::OtherCertificate)),
        (made(0, &[0x2b], &serial, None), Err(Fault::Malformed)),
        (made(3, BASIC, &serial, None), Err(Fault::Unsuccessful)),
        (sequence(&[&der(0x0a, &[6])]), Err(Fault::Unsuccessful)),
        (sequence(&[&der(0x0a, &[0])]), Err(Fault::Malformed)),
        (with(b"more"), Err(Fault::Malformed)),
        (b"a secret of root\n".to_vec(), Err(Fault::Malformed)),
        (b"-----BEGIN PRIVATE KEY-----".to_vec(), Err(Fault::Malformed)),
        (b"[server]".to_vec(), Err(Fault::Malformed)),
        (Vec::new(), Err(Fault::Malformed)),
    ] {
        assert_eq!(end(&response, &serial, now), wanted, "{response:02x?}");
    }
    for length in 0..good.len() {
        assert_eq!(end(&good[..length], &serial, now), Err(Fault::Malformed), "{length}");
    }
    assert!(end(&good, &serial, now).is_ok());
}
