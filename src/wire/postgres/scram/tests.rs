use super::*;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

const SALT: &[u8] = b"0123456789abcdef";

fn server(password: &str, binding: Binding) -> Server {
    let keys = Keys::derive(password, SALT, 64).unwrap();
    Server::new(keys.verifier(), "3rfcNHYJY1ZVvWVs7j", binding)
}

/// The example of RFC 7677, section 3.
#[test]
fn the_published_exchange_is_reproduced() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let keys = Keys::derive("pencil", &salt, 4096).unwrap();
    let server = Server::new(keys.verifier(), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", Binding::Unavailable);
    let (server, challenge) = server.transition(SCRAM_SHA_256, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    assert_eq!(challenge, format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    let proof = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let last = server.transition(proof.as_bytes()).unwrap();
    assert_eq!(last, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

fn drive(server: Server, mechanism: &str, mut client: ScramSha256) -> Result<(), WireError> {
    let (server, challenge) = server.transition(mechanism, client.message())?;
    client.update(challenge.as_bytes()).unwrap();
    let last = server.transition(client.message())?;
    client.finish(last.as_bytes()).unwrap();
    Ok(())
}

#[test]
fn an_independent_client_is_let_in_only_with_the_password() {
    let end_point = || Binding::TlsServerEndPoint(vec![7; 32]);
    let bound = || ChannelBinding::tls_server_end_point(vec![7; 32]);
    let table = [
        ("secret", Binding::Unavailable, SCRAM_SHA_256, ChannelBinding::unsupported(), true),
        ("secret", Binding::Unavailable, SCRAM_SHA_256, ChannelBinding::unrequested(), true),
        ("Secret", Binding::Unavailable, SCRAM_SHA_256, ChannelBinding::unsupported(), false),
        ("", Binding::Unavailable, SCRAM_SHA_256, ChannelBinding::unsupported(), false),
        ("secret", end_point(), SCRAM_SHA_256_PLUS, bound(), true),
        ("secret", end_point(), SCRAM_SHA_256, ChannelBinding::unsupported(), true),
        // A stripped offer, another certificate, a mechanism that was not offered.
        ("secret", end_point(), SCRAM_SHA_256, ChannelBinding::unrequested(), false),
        ("secret", end_point(), SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(vec![8; 32]), false),
        ("secret", end_point(), SCRAM_SHA_256_PLUS, ChannelBinding::unsupported(), false),
        ("secret", Binding::Unavailable, SCRAM_SHA_256_PLUS, bound(), false),
        ("secret", Binding::Unavailable, SCRAM_SHA_256, bound(), false),
    ];
    for (row, (password, binding, mechanism, channel, accepted)) in table.into_iter().enumerate() {
        let client = ScramSha256::new(password.as_bytes(), channel);
        let outcome = drive(server("secret", binding), mechanism, client);
        assert_eq!(outcome.is_ok(), accepted, "row {row}: {outcome:?}");
    }
}

#[test]
fn an_unknown_user_sees_the_same_exchange_and_is_refused() {
    let mock = |user| Verifier::mock(b"server secret", user, 64);
    assert_eq!(mock("eve").salt, mock("eve").salt);
    assert_ne!(mock("eve").salt, mock("adam").salt);
    let known = server("secret", Binding::Unavailable);
    let unknown = Server::new(mock("eve"), "3rfcNHYJY1ZVvWVs7j", Binding::Unavailable);
    let ask = |server: Server| server.transition(SCRAM_SHA_256, b"n,,n=,r=abc").unwrap().1;
    let salt = |challenge: &str| challenge.split(',').nth(1).unwrap().len();
    assert_eq!(salt(&ask(known)), salt(&ask(unknown)));

    let unknown = Server::new(mock("eve"), "3rfcNHYJY1ZVvWVs7j", Binding::Unavailable);
    let client = ScramSha256::new(b"anything", ChannelBinding::unsupported());
    assert_eq!(drive(unknown, SCRAM_SHA_256, client), Err(WireError::AuthenticationFailed));

    // Even the right key of a mock verifier does not open it.
    let mut verifier = Keys::derive("secret", SALT, 64).unwrap().verifier();
    verifier.mock = true;
    let client = ScramSha256::new(b"secret", ChannelBinding::unsupported());
    let server = Server::new(verifier, "nonce", Binding::Unavailable);
    assert_eq!(drive(server, SCRAM_SHA_256, client), Err(WireError::AuthenticationFailed));
}

#[test]
fn broken_messages_are_refused() {
    for first in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,r=x",
        "n,,n=",
        "n,,n=,r=",
        "n,,n=,r=a b",
        "n,a=eve,n=,r=x",
        "n,,m=ext,n=,r=x",
        "x,,n=,r=x",
        "p=tls-unique,,n=,r=x",
    ] {
        let outcome = server("secret", Binding::Unavailable).transition(SCRAM_SHA_256, first.as_bytes());
        assert!(outcome.is_err(), "{first:?}");
    }
    for last in [
        "",
        "c=biws",
        "c=biws,r=abc3rfcNHYJY1ZVvWVs7j",
        "c=biws,r=abc3rfcNHYJY1ZVvWVs7j,p=",
        "c=biws,r=abc3rfcNHYJY1ZVvWVs7j,p=AAAA",
        "c=biws,r=other,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "c=eSws,r=abc3rfcNHYJY1ZVvWVs7j,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ] {
        let (server, _) =
            server("secret", Binding::Unavailable).transition(SCRAM_SHA_256, b"n,,n=,r=abc").unwrap();
        assert!(server.transition(last.as_bytes()).is_err(), "{last:?}");
    }
}

#[test]
fn the_client_demands_the_servers_signature_and_its_own_salt() {
    let keys = Keys::derive("secret", SALT, 64).unwrap();
    for binding in [None, Some(&[7_u8; 32][..])] {
        let offered = binding.map_or(Binding::Unavailable, |hash| Binding::TlsServerEndPoint(hash.to_vec()));
        let (client, first) = Client::start(&keys, "abc", binding);
        let mechanism = client.mechanism();
        let (server, challenge) = server("secret", offered).transition(mechanism, first.as_bytes()).unwrap();
        let (client, proof) = client.transition(challenge.as_bytes()).unwrap();
        let last = server.transition(proof.as_bytes()).unwrap();
        assert_eq!(client.transition(last.as_bytes()), Ok(()));
    }

    let challenge = |text: &str| Client::start(&keys, "abc", None).0.transition(text.as_bytes()).map(|_| ());
    let salt = STANDARD.encode(SALT);
    assert_eq!(challenge(&format!("r=abcd,s={salt},i=64")), Ok(()));
    assert_eq!(challenge(&format!("r=abcd,s={salt},i=65")), Err(WireError::OtherPassword));
    assert_eq!(challenge("r=abcd,s=AAAA,i=64"), Err(WireError::OtherPassword));
    assert!(challenge(&format!("r=abc,s={salt},i=64")).is_err());
    assert!(challenge(&format!("r=xyz,s={salt},i=64")).is_err());

    for last in ["", "v=", "e=other-error", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="] {
        let (client, _) = Client::start(&keys, "abc", None);
        let (client, _) = client.transition(format!("r=abcd,s={salt},i=64").as_bytes()).unwrap();
        assert_eq!(client.transition(last.as_bytes()), Err(WireError::ServerNotAuthentic));
    }
}

#[test]
fn a_verifier_is_written_as_postgresql_writes_it() {
    let verifier = Keys::derive("pencil", SALT, 4096).unwrap().verifier();
    let text = verifier.to_postgres();
    assert_eq!(Verifier::parse(&text).unwrap().to_postgres(), text);
    for broken in ["", "md5abc", "SCRAM-SHA-256$0:AA==$x:y", "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA"] {
        assert!(Verifier::parse(broken).is_err(), "{broken}");
    }
    // The library's verifier of the same password, with a salt it drew itself.
    let theirs = postgres_protocol::password::scram_sha_256(b"pencil");
    let salt = Verifier::parse(&theirs).unwrap().salt.clone();
    assert_eq!(*Keys::derive("pencil", &salt, 4096).unwrap().verifier().to_postgres(), theirs);
}

#[test]
fn g8_no_secret_is_printed() {
    let keys = Keys::derive("secret", SALT, 64).unwrap();
    assert_eq!(format!("{keys:?} {:?}", keys.verifier()), "Keys(<secret>) Verifier(<secret>)");
    assert!(Keys::derive("pässword", SALT, 64).is_err());
}
