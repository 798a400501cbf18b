//! Whether a credential is dead, asked of the database itself: a login with it,
//! after its role is gone (R10.6).

use super::upstream::Way;
use crate::core::model::{ProbeAnswer, Secret};
use crate::wire::postgres::backend::{self, Authentication, Fields};
use crate::wire::postgres::frame::{Limits, Scanner, What};
use crate::wire::postgres::{frontend, scram, startup};
use bytes::{Buf as _, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// No message of a login is near this size.
const LOGIN: Limits = Limits { frame: 64 << 10, whole: 64 << 10, head: 64 << 10 };

/// Tries to log in. What is let in is closed at once. Cancel-safe.
pub async fn probe(way: &Way, role: &str, keys: &scram::Keys) -> ProbeAnswer {
    match tokio::time::timeout(PATIENCE, try_login(way, role, keys)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => ProbeAnswer::Unknown { why: error.to_string() },
        Err(_) => ProbeAnswer::Unknown { why: format!("no answer within {} s", PATIENCE.as_secs()) },
    }
}

async fn try_login(way: &Way, role: &str, keys: &scram::Keys) -> io::Result<ProbeAnswer> {
    let mut stream = way.dial().await?;
    let mut out = BytesMut::new();
    startup::startup(&mut out, 0, [("user", role), ("database", way.to.database.as_str())]);
    let nonce = Secret::from_random(crate::os::random());
    let (client, first) = scram::Client::start(keys, nonce.expose(), None);
    let mut client = Some(client);
    let mut scanner = Scanner::backend(LOGIN);
    let mut buffer = BytesMut::with_capacity(4 * 1024);
    let other = |what: &str| io::Error::other(format!("the database {what}"));
    loop {
        stream.write_all(&out).await?;
        out.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(other("closed the connection without a word"));
        }
        while let Some(piece) = scanner.next(&buffer).map_err(io::Error::other)? {
            let used = piece.bytes.len();
            if let What::Frame { tag, body } = piece.what {
                match tag {
                    backend::tag::ERROR => {
                        let sqlstate = Fields::new(body).sqlstate().unwrap_or_default().into_owned();
                        return Ok(answer_of(sqlstate));
                    }
                    backend::tag::AUTHENTICATION => {
                        match Authentication::decode(body).map_err(io::Error::other)? {
                            Authentication::Sasl(mechanisms)
                                if mechanisms.contains(&scram::SCRAM_SHA_256) =>
                            {
                                frontend::sasl_initial(&mut out, scram::SCRAM_SHA_256, first.as_bytes());
                            }
                            Authentication::SaslContinue(data) => {
                                let client = client.take().ok_or_else(|| other("asked twice"))?;
                                // For a role that is gone it draws a salt of its own.
                                let proof = client.answer(data).map_err(io::Error::other)?.1;
                                frontend::sasl_response(&mut out, proof.as_bytes());
                            }
                            // Whether the role is there and may log in is looked at after this.
                            Authentication::SaslFinal(_) | Authentication::Ok => {}
                            _ => return Err(other("does not ask for SCRAM-SHA-256")),
                        }
                    }
                    backend::tag::READY => return Ok(ProbeAnswer::LetIn),
                    _ => {}
                }
            }
            buffer.advance(used);
        }
    }
}

/// Class 28 is an invalid authorisation (PostgreSQL manual, appendix A); anything
/// else, such as too many connections, says nothing of the credential.
fn answer_of(sqlstate: String) -> ProbeAnswer {
    if sqlstate.starts_with("28") {
        ProbeAnswer::Refused { sqlstate }
    } else {
        ProbeAnswer::Unknown { why: format!("the database answered with SQLSTATE {sqlstate}") }
    }
}
