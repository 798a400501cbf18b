//! PostgreSQL's protocol: frames, messages, startup packets, SCRAM, replies.

use super::{Target, kind, no_seeds};
use bytes::BytesMut;
use dbaccess::core::guard::check_startup;
use dbaccess::wire::postgres::frame::{Bounds, Limits, Scanner, What};
use dbaccess::wire::postgres::frontend::{Message, SaslInitial};
use dbaccess::wire::postgres::scram::{
    Binding, Client, Keys, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, Server, Verifier,
};
use dbaccess::wire::postgres::startup::{self, First};
use dbaccess::wire::postgres::tracker::{Sent, Tracker};
use dbaccess::wire::postgres::{backend, frontend};
use std::sync::OnceLock;

/// Small limits, so that every way of passing is met by short inputs.
const LIMITS: Limits = Limits { frame: 4096, whole: 64, head: 24 };

/// What a stream holds, however it was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Frame(u8, Vec<u8>),
    Head(u8, Vec<u8>),
    Rest(u8, usize, bool),
    Bulk(u8, u64, usize),
    Error(String),
}

/// Scans `stream`, of which pieces of these sizes become known one after the other.
fn scan(mut scanner: Scanner, stream: &[u8], sizes: &[u8], bounds: Bounds) -> (Vec<Seen>, usize) {
    let mut seen: Vec<Seen> = Vec::new();
    let (mut at, mut known) = (0, 0);
    let mut sizes = sizes.iter().cycle();
    loop {
        known = match sizes.next() {
            Some(&size) => (known + 1 + usize::from(size)).min(stream.len()),
            None => stream.len(),
        };
        loop {
            match scanner.next_within(&stream[at..known], bounds) {
                Ok(Some(piece)) => {
                    assert!(!piece.bytes.is_empty(), "a piece covers something");
                    assert_eq!(piece.bytes, &stream[at..at + piece.bytes.len()], "pieces have no gap");
                    at += piece.bytes.len();
                    add(&mut seen, piece.what, piece.bytes, bounds.frames);
                }
                Ok(None) => break,
                Err(error) => {
                    seen.push(Seen::Error(error.to_string()));
                    return (seen, at);
                }
            }
        }
        // What is not covered waits for the rest of one frame that is delivered whole.
        assert!(known - at <= LIMITS.whole.max(LIMITS.head) as usize + 6, "the buffer is bounded");
        if known == stream.len() {
            return (seen, at);
        }
    }
}

fn add(seen: &mut Vec<Seen>, what: What<'_>, bytes: &[u8], at_most: u64) {
    match what {
        What::Frame { tag, body } => {
            assert_eq!(bytes[0], tag);
            assert_eq!(&bytes[5..], body);
            seen.push(Seen::Frame(tag, body.to_vec()));
        }
        What::Head { tag, body } => seen.push(Seen::Head(tag, body.to_vec())),
        What::Rest { tag, last } => match seen.last_mut() {
            Some(Seen::Rest(before, length, ended)) if *before == tag && !*ended => {
                (*length, *ended) = (*length + bytes.len(), last);
            }
            _ => seen.push(Seen::Rest(tag, bytes.len(), last)),
        },
        What::Bulk { tag, frames } => {
            assert!(frames <= at_most, "no more rows than asked for");
            match seen.last_mut() {
                Some(Seen::Bulk(before, count, length)) if *before == tag => {
                    (*count, *length) = (*count + frames, *length + bytes.len());
                }
                _ => seen.push(Seen::Bulk(tag, frames, bytes.len())),
            }
        }
    }
}

/// The first byte says how many of those behind it are sizes of pieces.
fn stream(scanner: fn(Limits) -> Scanner, data: &[u8]) -> Vec<Seen> {
    let (sizes, stream) = match data.split_first() {
        Some((&n, rest)) => rest.split_at(usize::from(n % 8).min(rest.len())),
        None => (data, data),
    };
    let whole = scan(scanner(LIMITS), stream, &[], Bounds::NONE);
    assert_eq!(scan(scanner(LIMITS), stream, sizes, Bounds::NONE), whole, "cut in pieces");
    assert_eq!(scan(scanner(LIMITS), stream, &[0], Bounds::NONE), whole, "byte by byte");
    let one = Bounds { frames: 1, ..Bounds::NONE };
    assert_eq!(scan(scanner(LIMITS), stream, sizes, one), whole, "row by row");
    // Room for the longest row, so that every row may begin.
    let full = Bounds { bytes: u64::from(LIMITS.frame) + 1, ..Bounds::NONE };
    assert_eq!(scan(scanner(LIMITS), stream, sizes, full), whole, "by so many bytes");
    whole.0
}

fn encoded(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out);
    out.get(5..).unwrap_or_default().to_vec()
}

pub fn wire_frontend() -> Target {
    fn check(data: &[u8]) -> u64 {
        let seen = stream(Scanner::frontend, data);
        kind(seen.iter().map(of_client).collect::<Vec<_>>())
    }
    Target { name: "wire_frontend", dictionary: FRAMES, seeds: no_seeds, check }
}

fn of_client(seen: &Seen) -> String {
    let Seen::Frame(tag, body) = seen else { return short(seen) };
    let message = match Message::decode(*tag, body) {
        Ok(message) => message,
        Err(error) => return error.to_string(),
    };
    match &message {
        Message::Query(query) => assert_eq!(encoded(|out| frontend::query(out, query.text)), *body),
        Message::Parse(parse) => {
            let again = |out: &mut BytesMut| {
                frontend::parse(out, parse.name, parse.text, parse.parameter_oids());
            };
            assert_eq!(encoded(again), *body);
            assert_eq!(frontend::Parse::name(body), Ok(parse.name));
        }
        Message::Bind(bind) => {
            assert_eq!(frontend::Bind::names(body), Ok((bind.portal, bind.statement)));
            let values: usize = bind.parameters().map(|one| one.value.map_or(0, <[u8]>::len)).sum();
            assert!(values + bind.result_formats().count() * 2 <= body.len());
        }
        Message::FunctionCall(call) => assert!(call.arguments().count() <= body.len()),
        Message::Password(data) => {
            assert_eq!(encoded(|out| frontend::sasl_response(out, data)), *body);
            if let Ok(first) = SaslInitial::decode(data) {
                let again = encoded(|out| frontend::sasl_initial(out, first.mechanism, first.data));
                assert_eq!(SaslInitial::decode(&again), Ok(first));
            }
        }
        _ => {}
    }
    // Values differ, kinds do not.
    format!("{message:?}").split(['(', '{']).next().unwrap_or_default().to_owned()
}

fn short(seen: &Seen) -> String {
    match seen {
        Seen::Error(message) => super::shape(message),
        Seen::Head(tag, _) => format!("head {tag}"),
        Seen::Rest(tag, _, last) => format!("rest {tag} {last}"),
        Seen::Bulk(tag, frames, _) => format!("bulk {tag} {}", frames.min(&3)),
        Seen::Frame(tag, _) => format!("frame {tag}"),
    }
}

pub fn wire_backend() -> Target {
    fn check(data: &[u8]) -> u64 {
        let seen = stream(Scanner::backend, data);
        kind(seen.iter().map(of_server).collect::<Vec<_>>())
    }
    Target { name: "wire_backend", dictionary: FRAMES, seeds: no_seeds, check }
}

fn of_server(seen: &Seen) -> String {
    use backend::{Authentication, CommandTag, Fields, KeyData, ParameterStatus, TransactionStatus, tag};
    let Seen::Frame(tag, body) = seen else { return short(seen) };
    let result = match *tag {
        tag::READY => TransactionStatus::decode(body).map(|status| {
            assert_eq!(encoded(|out| backend::ready_for_query(out, status)), *body);
            format!("{status:?}")
        }),
        tag::COMMAND_COMPLETE => CommandTag::decode(body).map(|tag| format!("rows {}", tag.rows().is_some())),
        tag::PARAMETER_STATUS => ParameterStatus::decode(body).map(|status| {
            assert_eq!(encoded(|out| backend::parameter_status(out, status.name, status.value)), *body);
            "a parameter".to_owned()
        }),
        tag::KEY_DATA => KeyData::decode(body).map(|data| {
            assert_eq!(encoded(|out| backend::key_data(out, data.process_id, data.key)), *body);
            assert!(!format!("{data:?}").contains("key: ["), "a key is not shown");
            "a key".to_owned()
        }),
        tag::AUTHENTICATION => Authentication::decode(body).map(|message| {
            let again = match &message {
                Authentication::Ok => encoded(backend::authentication_ok),
                Authentication::Sasl(offered) => encoded(|out| backend::sasl_mechanisms(out, offered)),
                Authentication::SaslContinue(data) => encoded(|out| backend::sasl_continue(out, data)),
                Authentication::SaslFinal(data) => encoded(|out| backend::sasl_final(out, data)),
                _ => body.clone(),
            };
            assert_eq!(again, *body);
            format!("{message:?}").split(['(', '{']).next().unwrap_or_default().to_owned()
        }),
        tag::ERROR | tag::NOTICE => {
            let fields = Fields::new(body);
            let found: usize = fields.iter().map(|(_, text)| text.len() + 2).sum();
            assert!(found <= body.len());
            Ok(format!("{} {}", fields.is_fatal(), fields.sqlstate().is_some() && fields.message().is_some()))
        }
        other => Ok(format!("{other}")),
    };
    result.unwrap_or_else(|error| error.to_string())
}

/// Two bytes a step: a message of the client, or a frame of the server. What
/// is sent with a token must come out once at most, and in the order it went in.
pub fn wire_tracker() -> Target {
    fn check(data: &[u8]) -> u64 {
        let mut tracker = Tracker::new(0);
        let (mut next, mut told) = (0_u32, Vec::new());
        let mut trace = Vec::new();
        for step in data.as_chunks::<2>().0 {
            let [what, how] = *step;
            next += 1;
            let answer = match what % 24 {
                0 => tracker.query((0..u32::from(how % 3)).map(|n| next * 4 + n)).map(|out| told.extend(out)),
                n @ 1..=11 => {
                    let token = next * 4;
                    let message = match n {
                        1 => Sent::Parse,
                        2 => Sent::Bind,
                        3 => Sent::DescribeStatement,
                        4 => Sent::DescribePortal,
                        5 => Sent::Execute(token),
                        6 => Sent::Close,
                        7 => Sent::Sync,
                        8 => Sent::FunctionCall(token),
                        9 => Sent::CopyEnd,
                        10 => Sent::Refused(token),
                        _ => Sent::RefusedQuery(token),
                    };
                    tracker.send(message).map(|out| told.extend(out))
                }
                n => {
                    let tags = b"12CDEGHIKNSTVZAcdnst3W";
                    let tag = tags[(usize::from(n - 12) + usize::from(how / 16) * 12) % tags.len()];
                    let body: &[u8] = match tag {
                        b'C' => [&b"SELECT 1\0"[..], b"COPY 1\0", b"BEGIN\0", b"x"][usize::from(how % 4)],
                        b'E' => b"SERROR\0C22012\0Mno\0\0",
                        b'Z' => [b"I", b"T", b"E", b"?"][usize::from(how % 4)],
                        _ => b"",
                    };
                    tracker.receive(tag, body).map(|event| {
                        use dbaccess::wire::postgres::tracker::Event;
                        trace.push(
                            format!("{event:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
                        );
                        match event {
                            Event::Completed { token, .. }
                            | Event::Suspended { token }
                            | Event::Returned { token } => {
                                told.push(token);
                            }
                            Event::Empty { token } => told.extend(token),
                            Event::Failed { token, skipped, .. } => {
                                told.extend(token);
                                told.extend(skipped);
                            }
                            _ => {}
                        }
                    })
                }
            };
            if let Err(error) = answer {
                trace.push(error.to_string());
                break;
            }
            assert!(tracker.room() <= 1 << 20);
        }
        told.extend(tracker.drain());
        let mut once = told.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), told.len(), "a token comes out once: {told:?}");
        trace.truncate(6);
        kind(trace)
    }
    Target { name: "wire_tracker", dictionary: &[], seeds: no_seeds, check }
}

pub fn startup_packet() -> Target {
    fn check(data: &[u8]) -> u64 {
        let whole = startup::read(data);
        for end in 0..data.len() {
            // A beginning says nothing yet, or what the whole says.
            let early = startup::read(&data[..end]);
            assert!(matches!(early, Ok(None)) || early == whole, "{early:?} of {end} bytes, {whole:?}");
        }
        let first = match whole {
            Ok(Some((first, covered))) => {
                assert!(covered <= data.len());
                first
            }
            other => return kind(other.map(|_| ()).map_err(|error| super::shape(&error.to_string()))),
        };
        let First::Startup(startup) = &first else {
            return kind(format!("{first:?}").split([' ', '(']).next().unwrap_or_default());
        };
        if startup.protocol_options.is_empty() {
            let mut out = BytesMut::new();
            let parameters = startup.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            startup::startup(&mut out, startup.minor, parameters);
            assert!(data.starts_with(&out), "encoding undoes decoding");
        }
        let judged = check_startup(&startup.parameters);
        if let Ok(checked) = &judged {
            assert!(!checked.user.is_empty() && !checked.database.is_empty());
            for pinned in ["standard_conforming_strings", "client_encoding"] {
                assert!(checked.settings.iter().any(|(name, _)| name == pinned), "{pinned} is pinned");
            }
        }
        let answer =
            judged.map(|checked| checked.settings.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        kind((startup.must_negotiate(), answer.map_err(|refusal| super::shape(&refusal.message))))
    }
    Target { name: "startup_packet", dictionary: STARTUP, seeds: no_seeds, check }
}

/// The first byte says which message the rest is.
pub fn scram() -> Target {
    fn check(data: &[u8]) -> u64 {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        let keys = KEYS.get_or_init(|| Keys::derive("opensesame", b"sixteen bytes...", 2).unwrap());
        let Some((&which, message)) = data.split_first() else { return 0 };
        let bound = which & 8 != 0;
        let binding = || if bound { Binding::TlsServerEndPoint(vec![7; 32]) } else { Binding::Unavailable };
        let mechanism = if which & 16 != 0 { SCRAM_SHA_256_PLUS } else { SCRAM_SHA_256 };
        let server = || Server::new(keys.verifier(), "server-nonce-of-18", binding());
        let (client, first) = Client::start(keys, "client-nonce", bound.then_some(&[7; 32]));
        match which % 8 {
            0 => kind(server().transition(mechanism, message).map(|(_, challenge)| {
                assert!(challenge.contains("server-nonce-of-18,s="));
            })),
            1 => {
                let (_, challenge) = server().transition(client.mechanism(), first.as_bytes()).unwrap();
                let (challenged, _) = server().transition(client.mechanism(), first.as_bytes()).unwrap();
                let (_, proof) = client.transition(challenge.as_bytes()).unwrap();
                let answer = challenged.transition(message);
                // Base64 is read in its one form, so the proof is one text.
                assert_eq!(answer.is_ok(), message == proof.as_bytes(), "only the proof is a proof");
                kind(answer.map(drop))
            }
            2 => kind(client.transition(message).map(drop)),
            3 => {
                let (_, challenge) = server().transition(client.mechanism(), first.as_bytes()).unwrap();
                let (proved, _) = client.transition(challenge.as_bytes()).unwrap();
                kind(proved.transition(message))
            }
            _ => {
                let text = String::from_utf8_lossy(message);
                kind(Verifier::parse(&text).map(|verifier| {
                    let written = verifier.to_postgres();
                    assert_eq!(*Verifier::parse(&written).unwrap().to_postgres(), *written);
                }))
            }
        }
    }
    Target { name: "scram", dictionary: SCRAM, seeds: no_seeds, check }
}

const FRAMES: &[&[u8]] = &[
    b"Q\0\0\0\x0dSELECT 1\0",
    b"D\0\0\0\x06\0\0",
    b"d\0\0\0\x05x",
    b"Z\0\0\0\x05I",
    b"Z\0\0\0\x05E",
    b"S\0\0\0\x04",
    b"H\0\0\0\x04",
    b"c\0\0\0\x04",
    b"X\0\0\0\x04",
    b"1\0\0\0\x04",
    b"C\0\0\0\x0dSELECT 1\0",
    b"R\0\0\0\x08\0\0\0\0",
    b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
    b"K\0\0\0\x0c\0\0\0\x2a\x01\x02\x03\x04",
    b"E\0\0\0\x1aSERROR\0C42501\0Mno\0\0",
    b"P\0\0\0\x10a\0SELECT\0\0\0",
    b"B\0\0\0\x0c\0\0\0\0\0\0\0\0",
    b"\0\0\0\x40",
    b"\0\0\0\x41",
    b"\0\0\0\x18",
    b"\0\0\0\x19",
    b"\0\0\x10\0",
    b"\0\0\x10\x01",
    b"\xff\xff\xff\xff",
];

const STARTUP: &[&[u8]] = &[
    b"user\0",
    b"database\0",
    b"options\0",
    b"replication\0",
    b"application_name\0",
    b"client_encoding\0",
    b"-c search_path=x",
    b"--standard-conforming-strings=off",
    b"\\ ",
    b"_pq_.x\0",
    b"\0\x03\0\0",
    b"\0\x03\0\x02",
    b"\0\x03\0\x03",
    b"\x04\xd2\x16\x2f",
    b"\x04\xd2\x16\x2e",
    b"\x04\xd2\x16\x30",
    b"\0",
    b"statement_timeout\0",
    b"SJIS\0",
];

const SCRAM: &[&[u8]] = &[
    b"n,,",
    b"y,,",
    b"p=tls-server-end-point,,",
    b"n=",
    b"r=",
    b"m=",
    b"a=x",
    b"c=biws",
    b",p=",
    b"s=",
    b"i=4096",
    b"v=",
    b"e=",
    b"=",
    b",",
    b"SCRAM-SHA-256$4096:",
];
