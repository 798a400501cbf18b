use super::*;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend as oracle;
use proptest::prelude::*;

fn message(out: &BytesMut) -> Message<'_> {
    Message::decode(out[0], &out[5..]).unwrap()
}

#[test]
fn what_an_independent_client_encodes_is_read() {
    let mut out = BytesMut::new();
    oracle::query("SELECT 1", &mut out).unwrap();
    assert_eq!(message(&out), Message::Query(Query { text: b"SELECT 1" }));
    let mut ours = BytesMut::new();
    query(&mut ours, "SELECT\0 1");
    assert_eq!(ours, out);

    let mut out = BytesMut::new();
    oracle::parse("s", "SELECT $1", [23, 0], &mut out).unwrap();
    let Message::Parse(decoded) = message(&out) else { panic!() };
    assert_eq!((decoded.name, decoded.text), (&b"s"[..], &b"SELECT $1"[..]));
    assert_eq!(decoded.parameter_oids().collect::<Vec<_>>(), [23, 0]);
    let mut ours = BytesMut::new();
    parse(&mut ours, decoded.name, decoded.text, decoded.parameter_oids());
    assert_eq!(ours, out);

    let mut out = BytesMut::new();
    oracle::execute("p", 100, &mut out).unwrap();
    assert_eq!(message(&out), Message::Execute(Execute { portal: b"p", max_rows: 100 }));
    let mut out = BytesMut::new();
    oracle::describe(b'S', "s", &mut out).unwrap();
    assert_eq!(message(&out), Message::Describe(Named { kind: Kind::Statement, name: b"s" }));
    let mut out = BytesMut::new();
    oracle::close(b'P', "p", &mut out).unwrap();
    assert_eq!(message(&out), Message::Close(Named { kind: Kind::Portal, name: b"p" }));

    for (theirs, ours, expected) in [
        (oracle::sync as fn(&mut BytesMut), sync as fn(&mut BytesMut), Message::Sync),
        (oracle::flush, flush, Message::Flush),
        (oracle::terminate, terminate, Message::Terminate),
        (|out| oracle::copy_fail("x", out).unwrap(), |out| copy_fail(out, "x"), Message::CopyFail(b"x")),
        (
            |out| oracle::password_message(b"pw", out).unwrap(),
            |out| password(out, "pw"),
            Message::Password(b"pw\0"),
        ),
        (
            |out| oracle::sasl_response(b"c=", out).unwrap(),
            |out| sasl_response(out, b"c="),
            Message::Password(b"c="),
        ),
        (
            |out| oracle::sasl_initial_response("M", b"n,,", out).unwrap(),
            |out| sasl_initial(out, "M", b"n,,"),
            Message::Password(b"M\0\0\0\0\x03n,,"),
        ),
    ] {
        let (mut one, mut other) = (BytesMut::new(), BytesMut::new());
        theirs(&mut one);
        ours(&mut other);
        assert_eq!(one, other);
        assert_eq!(message(&one), expected);
    }
    assert_eq!(
        SaslInitial::decode(b"M\0\0\0\0\x03n,,").unwrap(),
        SaslInitial { mechanism: "M", data: b"n,," }
    );
    assert_eq!(SaslInitial::decode(b"M\0\xff\xff\xff\xff").unwrap().data, b"");
}

fn bind(formats: &[i16], values: &[Option<&[u8]>], results: &[i16]) -> BytesMut {
    let mut out = BytesMut::new();
    let write = |value: &Option<&[u8]>, out: &mut BytesMut| {
        out.extend_from_slice(value.unwrap_or_default());
        Ok(if value.is_some() { IsNull::No } else { IsNull::Yes })
    };
    let encoded = oracle::bind(
        "p",
        "s",
        formats.iter().copied(),
        values,
        |value, out| write(value, out),
        results.iter().copied(),
        &mut out,
    );
    assert!(encoded.is_ok());
    out
}

#[test]
fn bound_values_are_listed_with_their_formats() {
    use Format::{Binary, Other, Text};
    let values = [Some(&b"a"[..]), None, Some(b"")];
    for (formats, expected) in [
        (&[][..], [Text, Text, Text]),
        (&[1], [Binary, Binary, Binary]),
        (&[0, 1, 7], [Text, Binary, Other(7)]),
    ] {
        let out = bind(formats, &values, &[1, 0]);
        let Message::Bind(decoded) = message(&out) else { panic!() };
        assert_eq!((decoded.portal, decoded.statement), (&b"p"[..], &b"s"[..]));
        let expected = values.iter().zip(expected).map(|(&value, format)| Parameter { format, value });
        assert!(decoded.parameters().eq(expected));
        assert!(decoded.result_formats().eq([Binary, Text]));
        assert_eq!(Bind::names(&out[5..9]), Ok((&b"p"[..], &b"s"[..])));
        assert!(Bind::names(&out[5..8]).is_err());
    }
}

#[test]
fn a_function_call_is_read() {
    let body = b"\0\0\0\x2a\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01";
    let Message::FunctionCall(call) = Message::decode(b'F', body).unwrap() else { panic!() };
    assert_eq!((call.oid, call.result_format), (42, Format::Binary));
    let values: Vec<_> = call.arguments().map(|argument| argument.value).collect();
    assert_eq!(values, [Some(&b"x"[..]), None]);
}

#[test]
fn broken_bodies_are_refused() {
    for (tag, body) in [
        (b'Q', &b"SELECT 1"[..]),
        (b'Q', b"SELECT 1\0; DROP\0"),
        (b'Q', b""),
        (b'P', b"s\0SELECT\0"),
        (b'P', b"s\0SELECT\0\0\x02\0\0\0\x01"),
        (b'P', b"s\0SELECT\0\0\0x"),
        (b'B', b"p\0s\0\0\x02\0\0\0\x01\0\x01\0\0\0\0\0\0"),
        (b'B', b"p\0s\0\0\0\xff\xff"),
        (b'B', b"p\0s\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
        (b'B', b"p\0s\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
        (b'B', b"p\0s\0\0\0\0\0\0\0x"),
        (b'E', b"p\0\0\0"),
        (b'D', b"Xs\0"),
        (b'C', b"S"),
        (b'S', b"x"),
        (b'H', b"x"),
        (b'F', b"\0\0\0\x2a\0\0\0\x01"),
        (b'f', b"no nul"),
        (b'Z', b"I"),
    ] {
        assert!(Message::decode(tag, body).is_err(), "{} {body:?}", Tag(tag));
    }
}

proptest! {
    #[test]
    fn noise_does_no_harm(tag in proptest::sample::select(&b"QPBEDCSHFdcfpXZ"[..]), body: Vec<u8>) {
        if let Ok(Message::Bind(bind)) = Message::decode(tag, &body) {
            let _ = bind.parameters().count() + bind.result_formats().count();
        }
        let _ = SaslInitial::decode(&body);
    }

    #[test]
    fn bind_round_trips(values: Vec<Option<Vec<u8>>>, results: Vec<i16>) {
        let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
        let out = bind(&[], &values, &results);
        let Message::Bind(decoded) = message(&out) else { panic!() };
        prop_assert!(decoded.parameters().map(|parameter| parameter.value).eq(values));
        prop_assert!(decoded.result_formats().eq(results.into_iter().map(Format::from)));
        // Any shorter body is an error, never a shorter list.
        for end in 5..out.len() {
            prop_assert!(Bind::decode(&out[5..end]).is_err());
        }
    }
}
