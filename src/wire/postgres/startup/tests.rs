use super::*;
use postgres_protocol::message::frontend as oracle;
use proptest::prelude::*;

fn one(bytes: &[u8]) -> First<'_> {
    let (first, covered) = read(bytes).unwrap().unwrap();
    assert_eq!(covered, bytes.len());
    first
}

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

#[test]
fn first_packets_are_told_apart() {
    let mut out = BytesMut::new();
    oracle::ssl_request(&mut out);
    assert_eq!(one(&out), First::Ssl);
    let mut ours = BytesMut::new();
    ssl_request(&mut ours);
    assert_eq!(ours, out);

    assert_eq!(one(&packet(GSSENC_REQUEST, b"")), First::GssEnc);
    assert_eq!(read(b"\x16\x03\x01\x02").unwrap(), Some((First::Tls, 0)));

    let mut out = BytesMut::new();
    oracle::cancel_request(7, 0x0102_0304, &mut out);
    let mut ours = BytesMut::new();
    cancel_request(&mut ours, 7, &[1, 2, 3, 4]);
    assert_eq!(ours, out);
    let First::Cancel(cancel) = one(&out) else { panic!() };
    assert_eq!(cancel.process_id, 7);
    assert!(cancel.has_key(&[1, 2, 3, 4]));
    assert!(!cancel.has_key(&[1, 2, 3, 5]) && !cancel.has_key(&[1, 2, 3]) && !cancel.has_key(&[]));
    assert_eq!(format!("{cancel:?}"), "Cancel { process_id: 7, key: <secret> }");

    let long = packet(CANCEL_REQUEST, &[&[0, 0, 0, 7][..], &[9; 256]].concat());
    let First::Cancel(cancel) = one(&long) else { panic!() };
    assert!(cancel.has_key(&[9; 256]));
}

#[test]
fn a_startup_message_is_read_and_written() {
    let parameters = [("user", "ada"), ("database", "orders"), ("user", "eve"), ("options", "-c a=b")];
    let mut out = BytesMut::new();
    oracle::startup_message(parameters, &mut out).unwrap();
    let mut ours = BytesMut::new();
    startup(&mut ours, 0, parameters.into_iter().chain([("", "x")]));
    assert_eq!(ours, out);
    let First::Startup(startup) = one(&out) else { panic!() };
    assert_eq!(startup.parameter("user"), Some("eve"));
    assert_eq!(startup.parameter("database"), Some("orders"));
    assert_eq!(startup.parameter("application_name"), None);
    assert_eq!((startup.agreed_minor(), startup.must_negotiate()), (0, false));
}

#[test]
fn what_is_newer_is_negotiated() {
    for (minor, body, agreed, negotiate) in [
        (0, &b"user\0a\0\0"[..], 0, false),
        (2, b"user\0a\0\0", 2, false),
        (9999, b"user\0a\0\0", 2, true),
        (0, b"user\0a\0_pq_.x\x001\0\0", 0, true),
    ] {
        let bytes = packet(3 << 16 | minor, body);
        let First::Startup(startup) = one(&bytes) else { panic!() };
        assert_eq!((startup.agreed_minor(), startup.must_negotiate()), (agreed, negotiate));
        assert_eq!(startup.parameters.len(), 1);
    }
    assert_eq!(
        read(&packet(2 << 16, b"x")).unwrap_err().to_string(),
        "protocol version 2.0 is not supported, only 3.0 to 3.2"
    );
}

#[test]
fn broken_packets_are_refused() {
    for bytes in [
        packet(SSL_REQUEST, b"x"),
        packet(CANCEL_REQUEST, b"\0\0\0\x07abc"),
        packet(CANCEL_REQUEST, &[0; 261]),
        packet(3 << 16, b""),
        packet(3 << 16, b"user\0"),
        packet(3 << 16, b"user\0a\0"),
        packet(3 << 16, b"user\0a\0\0x"),
        packet(3 << 16, b"user\0\xff\0\0"),
        b"GET / HTTP/1.1\r\n".to_vec(),
        vec![0, 0, 0, 7, 0, 0, 0],
        vec![0, 1, 0, 0],
    ] {
        assert!(read(&bytes).is_err(), "{bytes:?}");
    }
    assert_eq!(read(&[0, 0, 0, 8, 4]), Ok(None));
    assert_eq!(read(&[]), Ok(None));
}

proptest! {
    #[test]
    fn noise_does_no_harm(code in prop_oneof![any::<u32>(), Just(3 << 16), Just(CANCEL_REQUEST)], body: Vec<u8>) {
        let _ = read(&packet(code, &body));
        let _ = read(&body);
    }

    #[test]
    fn parameters_survive(parameters: Vec<(String, String)>, minor in 0..3_u16) {
        let clean = |text: &String| text.replace('\0', "");
        let mut out = BytesMut::new();
        startup(&mut out, minor, parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let Some((First::Startup(read), _)) = read(&out).unwrap() else { panic!() };
        let expected: Vec<_> = parameters.iter()
            .map(|(name, value)| (clean(name), clean(value)))
            .filter(|(name, _)| !name.is_empty() && !name.starts_with("_pq_."))
            .collect();
        prop_assert_eq!(read.parameters, expected);
        prop_assert_eq!(read.minor, minor);
    }
}
