//! A client that sends exactly the messages a test wants, and shows the
//! replies in one line: `1 2 D*3 C(SELECT 3) Z(I)`. Asynchronous ones
//! (ParameterStatus) are left out.

use super::held::Held;
use bytes::{BufMut as _, Bytes, BytesMut};
use dbaccess::wire::postgres::backend::{Authentication, Fields, KeyData};
use dbaccess::wire::postgres::frame::Header;
use dbaccess::wire::postgres::{frontend, scram, startup};
use std::fmt::Write as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub struct RawPg {
    pub stream: Box<dyn Stream>,
    out: BytesMut,
    buffer: BytesMut,
    pub process_id: u32,
    pub key: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub tag: u8,
    pub body: Bytes,
}

impl Reply {
    pub fn sqlstate(&self) -> String {
        Fields::new(&self.body).sqlstate().unwrap_or_default().into_owned()
    }

    pub fn message(&self) -> String {
        Fields::new(&self.body).message().unwrap_or_default().into_owned()
    }
}

impl RawPg {
    pub async fn connect(held: &Held) -> Self {
        let stream = TcpStream::connect((held.host.as_str(), held.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::login(stream, &held.user, &held.database, &held.password).await.unwrap()
    }

    /// Start-up and SCRAM; an ErrorResponse is the error.
    pub async fn login(
        stream: impl Stream + 'static,
        user: &str,
        database: &str,
        password: &str,
    ) -> Result<Self, Reply> {
        let (out, buffer) = (BytesMut::new(), BytesMut::new());
        let mut raw = Self { stream: Box::new(stream), out, buffer, process_id: 0, key: Vec::new() };
        startup::startup(&mut raw.out, 0, [("user", user), ("database", database)]);
        raw.send().await;
        let mut proved = None;
        loop {
            let reply = raw.next().await.expect("the server goes on");
            match reply.tag {
                b'E' => return Err(reply),
                b'R' => match Authentication::decode(&reply.body).unwrap() {
                    Authentication::Sasl(_) => {
                        // The salt is not known yet, so the first message is made by hand.
                        let first = "n,,n=,r=raw-client-nonce";
                        frontend::sasl_initial(&mut raw.out, scram::SCRAM_SHA_256, first.as_bytes());
                    }
                    Authentication::SaslContinue(data) => {
                        let text = std::str::from_utf8(data).unwrap();
                        let field = |name: &str| {
                            text.split(',').find_map(|field| field.strip_prefix(name)).unwrap().to_owned()
                        };
                        use base64::Engine as _;
                        let salt = base64::engine::general_purpose::STANDARD.decode(field("s=")).unwrap();
                        let iterations = field("i=").parse().unwrap();
                        let keys = scram::Keys::derive(password, &salt, iterations).unwrap();
                        let (client, _) = scram::Client::start(&keys, "raw-client-nonce", None);
                        let (next, last) = client.transition(data).unwrap();
                        proved = Some(next);
                        frontend::sasl_response(&mut raw.out, last.as_bytes());
                    }
                    Authentication::SaslFinal(data) => {
                        proved.take().unwrap().transition(data).unwrap();
                    }
                    _ => {}
                },
                b'K' => {
                    let data = KeyData::decode(&reply.body).unwrap();
                    (raw.process_id, raw.key) = (data.process_id, data.key.to_vec());
                }
                b'Z' => return Ok(raw),
                _ => {}
            }
            raw.send().await;
        }
    }

    pub fn query(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        frontend::query(&mut self.out, text);
        self
    }

    pub fn parse(&mut self, name: &str, text: &str) -> &mut Self {
        frontend::parse(&mut self.out, name, text, []);
        self
    }

    /// Values as text.
    pub fn bind(&mut self, portal: &str, statement: &str, values: &[&str]) -> &mut Self {
        let mut body = BytesMut::new();
        for name in [portal, statement] {
            body.put_slice(name.as_bytes());
            body.put_u8(0);
        }
        body.put_u16(0);
        body.put_u16(values.len() as u16);
        for value in values {
            body.put_u32(value.len() as u32);
            body.put_slice(value.as_bytes());
        }
        body.put_u16(0);
        self.frame(b'B', &body)
    }

    pub fn execute(&mut self, portal: &str, most: u32) -> &mut Self {
        let mut body = BytesMut::from(portal.as_bytes());
        body.put_u8(0);
        body.put_u32(most);
        self.frame(b'E', &body)
    }

    /// Parse, Bind and Execute without a name.
    pub fn run(&mut self, text: &str) -> &mut Self {
        self.parse("", text).bind("", "", &[]).execute("", 0)
    }

    pub fn describe(&mut self, kind: char, name: &str) -> &mut Self {
        self.frame(b'D', format!("{kind}{name}\0").as_bytes())
    }

    pub fn close(&mut self, kind: char, name: &str) -> &mut Self {
        self.frame(b'C', format!("{kind}{name}\0").as_bytes())
    }

    pub fn sync(&mut self) -> &mut Self {
        self.frame(b'S', b"")
    }

    pub fn flush(&mut self) -> &mut Self {
        self.frame(b'H', b"")
    }

    pub fn copy_data(&mut self, data: &[u8]) -> &mut Self {
        self.frame(b'd', data)
    }

    pub fn copy_done(&mut self) -> &mut Self {
        self.frame(b'c', b"")
    }

    pub fn copy_fail(&mut self, why: &str) -> &mut Self {
        self.frame(b'f', format!("{why}\0").as_bytes())
    }

    pub fn frame(&mut self, tag: u8, body: &[u8]) -> &mut Self {
        self.out.put_u8(tag);
        self.out.put_u32(body.len() as u32 + 4);
        self.out.put_slice(body);
        self
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.put_slice(bytes);
        self
    }

    /// Keeps the end of what was said from being sent with the rest.
    pub fn hold_back(&mut self, bytes: usize) -> BytesMut {
        self.out.split_off(self.out.len() - bytes)
    }

    /// Sends what was said. A connection that is gone shows in the replies.
    pub async fn send(&mut self) -> &mut Self {
        let out = self.out.split();
        if self.stream.write_all(&out).await.is_ok() {
            self.stream.flush().await.ok();
        }
        self
    }

    /// The next reply; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Reply> {
        loop {
            if let Some(header) = Header::peek(&self.buffer)
                && self.buffer.len() >= header.frame_len()
            {
                let mut frame = self.buffer.split_to(header.frame_len()).freeze();
                return Some(Reply { tag: header.tag, body: frame.split_off(Header::BYTES) });
            }
            self.buffer.reserve(64 * 1024);
            let wait = std::time::Duration::from_secs(60);
            let read = tokio::time::timeout(wait, self.stream.read_buf(&mut self.buffer)).await;
            if read.expect("a reply in time").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Sends, and shows the replies up to `ready` ReadyForQuery or the end.
    pub async fn replies(&mut self, ready: usize) -> String {
        self.send().await;
        let mut replies = Vec::new();
        let mut left = ready;
        while left > 0 {
            let Some(reply) = self.next().await else {
                replies.push(Reply { tag: b'.', body: Bytes::new() });
                break;
            };
            left -= usize::from(reply.tag == b'Z');
            replies.push(reply);
        }
        shown(&replies)
    }

    /// Sends, and shows the replies up to one with this tag.
    pub async fn until(&mut self, tag: u8) -> String {
        self.send().await;
        let mut replies = Vec::new();
        while replies.last().is_none_or(|reply: &Reply| reply.tag != tag) {
            let Some(reply) = self.next().await else { break };
            replies.push(reply);
        }
        shown(&replies)
    }

    /// Sends, and gives tag and body length of the replies up to `ready`
    /// ReadyForQuery, keeping none of their bodies.
    pub async fn lengths(&mut self, ready: usize) -> Vec<(u8, usize)> {
        self.send().await;
        let (mut found, mut left) = (Vec::new(), ready);
        while left > 0 {
            while self.buffer.len() < Header::BYTES {
                assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0);
            }
            let header = Header::peek(&self.buffer).unwrap();
            let mut rest = header.frame_len();
            while rest > 0 {
                if self.buffer.is_empty() {
                    self.buffer.reserve(1 << 20);
                    assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0);
                }
                let step = rest.min(self.buffer.len());
                drop(self.buffer.split_to(step));
                rest -= step;
            }
            left -= usize::from(header.tag == b'Z');
            found.push((header.tag, header.frame_len() - Header::BYTES));
        }
        found
    }

    /// The first column of the rows of one query.
    pub async fn column(&mut self, text: &str) -> Vec<String> {
        self.query(text).send().await;
        let mut values = Vec::new();
        loop {
            let reply = self.next().await.expect("a reply");
            match reply.tag {
                b'D' => {
                    let length = u32::from_be_bytes(reply.body[2..6].try_into().unwrap()) as usize;
                    values.push(String::from_utf8_lossy(&reply.body[6..6 + length]).into_owned());
                }
                b'E' => panic!("{} {}", reply.sqlstate(), reply.message()),
                b'Z' => return values,
                _ => {}
            }
        }
    }
}

fn shown(replies: &[Reply]) -> String {
    let mut line = String::new();
    let mut rest = replies.iter().filter(|reply| reply.tag != b'S').peekable();
    while let Some(reply) = rest.next() {
        let tag = char::from(reply.tag);
        let text = || String::from_utf8_lossy(reply.body.strip_suffix(b"\0").unwrap_or(&reply.body));
        let space = if line.is_empty() { "" } else { " " };
        match reply.tag {
            b'E' | b'N' => write!(line, "{space}{tag}({})", reply.sqlstate()).unwrap(),
            b'C' | b'Z' => write!(line, "{space}{tag}({})", text()).unwrap(),
            b'D' | b'd' => {
                let mut count = 1;
                while rest.next_if(|next| next.tag == reply.tag).is_some() {
                    count += 1;
                }
                write!(line, "{space}{tag}*{count}").unwrap();
            }
            _ => write!(line, "{space}{tag}").unwrap(),
        }
    }
    line
}
