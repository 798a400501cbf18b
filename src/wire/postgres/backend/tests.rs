use super::*;
use crate::wire::postgres::frame::{Header, Limits, Scanner, What};
use bytes::BytesMut;
use postgres_protocol::message::backend::Message as Oracle;

fn body_of(out: &BytesMut) -> (u8, Vec<u8>) {
    let header = Header::peek(out).unwrap();
    assert_eq!(header.frame_len(), out.len());
    (header.tag, out[5..].to_vec())
}

#[test]
fn command_tags_tell_their_rows() {
    for (tag, rows) in [
        ("INSERT 0 5", Some(5)),
        ("SELECT 3", Some(3)),
        ("UPDATE 0", Some(0)),
        ("DELETE 12", Some(12)),
        ("MERGE 4", Some(4)),
        ("COPY 7", Some(7)),
        ("FETCH 1", Some(1)),
        ("MOVE 18446744073709551615", Some(u64::MAX)),
        ("COPY", None),
        ("SELECT", None),
        ("CREATE TABLE", None),
        ("BEGIN", None),
        ("INSERT 0 x", None),
        ("ALTER 5", None),
        ("", None),
    ] {
        let body = [tag.as_bytes(), b"\0"].concat();
        assert_eq!(CommandTag::decode(&body).unwrap().rows(), rows, "{tag}");
    }
    assert!(CommandTag::decode(b"SELECT 3").is_err());
    assert!(CommandTag::decode(b"SELECT 3\0x").is_err());
}

#[test]
fn a_report_is_read_as_it_was_meant() {
    let mut out = BytesMut::new();
    Report::error("42501", "no\0pe").detail("because").hint("ask").encode(&mut out);
    let (tag, body) = body_of(&out);
    let fields = Fields::new(&body);
    assert_eq!(tag, b'E');
    assert_eq!(fields.sqlstate().unwrap(), "42501");
    assert_eq!(fields.message().unwrap(), "nope");
    assert_eq!(fields.field(b'D').unwrap(), "because");
    assert_eq!(fields.field(b'H').unwrap(), "ask");
    assert!(!fields.is_fatal());
    // A cut message keeps the fields before the cut.
    assert_eq!(Fields::new(&body[..22]).sqlstate().unwrap(), "42501");
    assert_eq!(Fields::new(&body[..22]).field(b'H'), None);

    let mut out = BytesMut::new();
    Report::fatal("57P01", "the window has ended").encode(&mut out);
    assert!(Fields::new(&body_of(&out).1).is_fatal());
    let mut out = BytesMut::new();
    Report::warning("01000", "soon").encode(&mut out);
    assert_eq!(body_of(&out).0, b'N');
}

#[test]
fn an_independent_decoder_reads_what_is_encoded() {
    let mut out = BytesMut::new();
    authentication_ok(&mut out);
    sasl_mechanisms(&mut out, &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    sasl_continue(&mut out, b"r=x");
    sasl_final(&mut out, b"v=y");
    parameter_status(&mut out, "server_version", "18.1");
    key_data(&mut out, 42, &[1, 2, 3, 4]);
    ready_for_query(&mut out, TransactionStatus::Failed);

    let all = out.clone().freeze();
    let mut scanner = Scanner::backend(Limits::default());
    let mut at = 0;
    let mut frames = Vec::new();
    while let Some(piece) = scanner.next(&all[at..]).unwrap() {
        let What::Frame { tag, body } = piece.what else { panic!("{piece:?}") };
        frames.push((tag, body));
        at += piece.bytes.len();
    }
    assert_eq!(Authentication::decode(frames[0].1).unwrap(), Authentication::Ok);
    assert_eq!(
        Authentication::decode(frames[1].1).unwrap(),
        Authentication::Sasl(vec!["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
    );
    assert_eq!(Authentication::decode(frames[2].1).unwrap(), Authentication::SaslContinue(b"r=x"));
    assert_eq!(Authentication::decode(frames[3].1).unwrap(), Authentication::SaslFinal(b"v=y"));
    let parameter = ParameterStatus::decode(frames[4].1).unwrap();
    assert_eq!((parameter.name, parameter.value), ("server_version", "18.1"));
    let data = KeyData::decode(frames[5].1).unwrap();
    assert_eq!((data.process_id, data.key), (42, &[1, 2, 3, 4][..]));
    assert_eq!(format!("{data:?}"), "KeyData { process_id: 42, key: <secret> }");
    assert_eq!(TransactionStatus::decode(frames[6].1).unwrap(), TransactionStatus::Failed);

    let mut next = || Oracle::parse(&mut out).unwrap().unwrap();
    assert!(matches!(next(), Oracle::AuthenticationOk));
    let Oracle::AuthenticationSasl(_) = next() else { panic!() };
    let Oracle::AuthenticationSaslContinue(body) = next() else { panic!() };
    assert_eq!(body.data(), b"r=x");
    let Oracle::AuthenticationSaslFinal(body) = next() else { panic!() };
    assert_eq!(body.data(), b"v=y");
    let Oracle::ParameterStatus(body) = next() else { panic!() };
    assert_eq!((body.name().unwrap(), body.value().unwrap()), ("server_version", "18.1"));
    let Oracle::BackendKeyData(body) = next() else { panic!() };
    assert_eq!(body.process_id(), 42);
    let Oracle::ReadyForQuery(body) = next() else { panic!() };
    assert_eq!(body.status(), b'E');
}

#[test]
fn broken_bodies_are_refused() {
    for body in [&b""[..], b"\0\0\0", b"\0\0\0\x05\x01", b"\0\0\0\x0aSCRAM", b"\0\0\0\0x"] {
        assert!(Authentication::decode(body).is_err(), "{body:?}");
    }
    assert_eq!(Authentication::decode(b"\0\0\0\x07"), Ok(Authentication::Other(7)));
    assert!(TransactionStatus::decode(b"II").is_err());
    assert!(KeyData::decode(b"\0\0\0\x01abc").is_err());
    assert!(KeyData::decode(&[0; 300]).is_err());
    assert!(ParameterStatus::decode(b"a\0b").is_err());
}

#[test]
fn the_version_answer_is_that_of_postgresql() {
    let mut out = BytesMut::new();
    negotiate_protocol_version(&mut out, 2, ["_pq_.x"].into_iter());
    assert_eq!(&out[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
}
