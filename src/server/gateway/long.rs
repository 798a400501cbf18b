//! Messages that are longer than the pump holds. They pass in pieces, and the
//! last piece waits for the judgement: until it has come the server does
//! nothing with the others. So a hash of the whole is on record before the
//! message has any effect.

use super::connection::Connection;
use super::intercept::{Fault, Step, too_many_names};
use super::refusal::Refusal;
use super::values::Values;
use crate::core::guard;
use crate::core::hex::hex;
use crate::wire::postgres::frontend::{Bind, Parse, tag};
use crate::wire::postgres::{Tag, WireError};
use sha2::{Digest as _, Sha256};

/// How much of a text that is too long stands in its record, in bytes.
const SHOWN: usize = 4096;

/// A long message while it passes.
pub struct Long {
    pub tag: u8,
    /// The beginning of its body, up to the pump's limit.
    pub head: Vec<u8>,
    hash: Sha256,
    length: usize,
    /// Its pieces go upstream; otherwise they go nowhere.
    pub passes: bool,
}

impl Long {
    pub fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.length += bytes.len();
    }
}

impl Connection {
    /// A message of which only the beginning is here. Names in it are settled.
    pub fn begin_long(&self, message: u8, head: &[u8]) -> Result<Long, Fault> {
        let passes = match message {
            tag::QUERY | tag::PARSE => false,
            tag::BIND => self.is_bindable(Bind::names(head)?.1),
            tag::FUNCTION_CALL => {
                let status = self.book().tx_status();
                guard::check_function_call(&self.live.permit, function(head)?, status).is_ok()
            }
            _ => true,
        };
        let mut long = Long { tag: message, head: head.to_vec(), hash: Sha256::new(), length: 0, passes };
        long.add(head);
        Ok(long)
    }

    /// All of it was seen; its last piece has not been sent.
    pub async fn end_long(&self, long: Long) -> Result<Step, Fault> {
        let Long { tag: message, head, hash, length, passes } = long;
        let sha256 = hex(&hash.finalize());
        match message {
            tag::QUERY => {
                let (text, refusal) = self.too_long(&head, length, &sha256);
                self.refuse_query(self.live.unread_words(text), refusal, &[]).await
            }
            tag::PARSE => {
                let name = Parse::name(&head)?;
                let text = head.get(name.len() + 1..).unwrap_or_default();
                let (text, refusal) = self.too_long(text, length, &sha256);
                self.refuse_parse(name, self.live.unread_words(text), refusal).await
            }
            tag::BIND if !passes => {
                let (portal, statement) = Bind::names(&head)?;
                self.refuse_bind(portal, statement).await
            }
            tag::BIND => {
                // Its pieces have gone: judged otherwise now than at its head, it
                // can be neither taken back nor replaced. Without its last piece
                // it has no effect.
                if !self.is_bindable(Bind::names(&head)?.1) {
                    return Err(Fault::Refused(too_many_names()));
                }
                self.bind(&head, Values::hashed(sha256)).await
            }
            tag::FUNCTION_CALL => self.function_call(function(&head)?, Values::hashed(sha256)).await,
            _ => self.message(message, &head).await,
        }
    }

    /// What stands in the record for a text that is longer than is taken, and
    /// the answer to it.
    fn too_long(&self, head: &[u8], length: usize, sha256: &str) -> (String, Refusal) {
        let most = self.gateway.statement_bytes;
        let begin = String::from_utf8_lossy(head.get(..SHOWN).unwrap_or(head));
        let text = format!("{begin}… ({length} bytes, SHA-256 {sha256})");
        let refusal = Refusal::new("54000", format!("the statement is longer than {most} bytes"))
            .hint("send its data as parameters or by COPY, which have no such limit");
        (text, refusal)
    }
}

/// Which function a FunctionCall calls.
fn function(head: &[u8]) -> Result<u32, WireError> {
    let too_short = WireError::Unexpected { expected: "a whole FunctionCall", got: Tag(tag::FUNCTION_CALL) };
    head.first_chunk().map(|oid| u32::from_be_bytes(*oid)).ok_or(too_short)
}
