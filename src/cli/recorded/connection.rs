//! One connection of a recording: which columns a row has, by following what
//! the client asked and what it was answered.
//!
//! In the extended protocol a description belongs to a name, and may be asked
//! once for many results; the formats stand in Bind. So the client's messages
//! are followed as the gateway follows them, but leniently: what a recording
//! shows is never worse than a row without its columns' names.

use super::frames::{Frame, Frames};
use super::value::shown;
use crate::wire::postgres::WireError;
use crate::wire::postgres::backend::{self, ColumnDescription, Fields, data_row, row_description};
use crate::wire::postgres::frontend::{Bind, Execute, Format, Kind, Named, Parse, tag};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

pub type Columns = Vec<ColumnDescription>;

/// What a frame of the server brings.
#[derive(Debug)]
pub enum Heard {
    Columns(Rc<Columns>),
    /// With its columns, where they were not shown with the result's description.
    Row(Option<Rc<Columns>>, Vec<Option<String>>),
    LongRow(u64),
    Copied(Vec<u8>),
    Error {
        sqlstate: String,
        message: String,
    },
    Notice(String),
    /// Nothing to show.
    Other,
}

#[derive(Default)]
struct Prepared {
    columns: RefCell<Option<Rc<Columns>>>,
}

#[derive(Default)]
struct Portal {
    prepared: Rc<Prepared>,
    formats: Vec<Format>,
    columns: RefCell<Option<Rc<Columns>>>,
}

/// What the server is still to answer.
enum Ask {
    Parse,
    Bind,
    Close,
    DescribeStatement(Rc<Prepared>),
    DescribePortal(Rc<Portal>),
    Execute(Rc<Portal>),
    /// A Query or FunctionCall; its results describe themselves.
    Query,
    Sync,
    CopyEnd,
}

#[derive(Default)]
pub struct Conversation {
    client: Frames,
    server: Frames,
    asks: VecDeque<Ask>,
    prepared: HashMap<Vec<u8>, Rc<Prepared>>,
    portals: HashMap<Vec<u8>, Rc<Portal>>,
    /// Of the result that comes now.
    columns: Option<Rc<Columns>>,
    copies_in: bool,
}

impl Conversation {
    /// Bytes of the client's. Gives the COPY data in them.
    pub fn said(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
        self.client.feed(bytes);
        let mut copied = Vec::new();
        loop {
            // Its own borrow: what follows changes everything else.
            let mut client = std::mem::take(&mut self.client);
            let more = match client.next_frame() {
                Ok(Some(Frame::Whole { tag: tag::COPY_DATA, body })) => {
                    copied.push(body.to_vec());
                    Ok(true)
                }
                Ok(Some(Frame::Whole { tag, body })) => self.asked(tag, body).map(|()| true),
                // A long text was refused; a long Bind has its names, which are not read here.
                Ok(Some(Frame::Long { tag, .. })) => {
                    self.long(tag);
                    Ok(true)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            };
            self.client = client;
            if !more? {
                return Ok(copied);
            }
        }
    }

    fn asked(&mut self, message: u8, body: &[u8]) -> Result<(), WireError> {
        let ask = match message {
            tag::QUERY | tag::FUNCTION_CALL => Ask::Query,
            tag::PARSE => {
                self.prepared.insert(Parse::decode(body)?.name.to_vec(), Rc::default());
                Ask::Parse
            }
            tag::BIND => {
                let bind = Bind::decode(body)?;
                let prepared = self.prepared.entry(bind.statement.to_vec()).or_default();
                let portal = Portal {
                    prepared: Rc::clone(prepared),
                    formats: bind.result_formats().collect(),
                    columns: RefCell::default(),
                };
                self.portals.insert(bind.portal.to_vec(), Rc::new(portal));
                Ask::Bind
            }
            tag::DESCRIBE => {
                let Named { kind, name } = Named::decode("Describe", body)?;
                match kind {
                    Kind::Statement => {
                        Ask::DescribeStatement(self.prepared.get(name).cloned().unwrap_or_default())
                    }
                    Kind::Portal => Ask::DescribePortal(self.portals.get(name).cloned().unwrap_or_default()),
                }
            }
            tag::EXECUTE => {
                Ask::Execute(self.portals.get(Execute::decode(body)?.portal).cloned().unwrap_or_default())
            }
            tag::CLOSE => Ask::Close,
            // While it reads COPY data the server ignores it.
            tag::SYNC if self.copies_in => return Ok(()),
            tag::SYNC => Ask::Sync,
            tag::COPY_DONE | tag::COPY_FAIL if std::mem::take(&mut self.copies_in) => return Ok(()),
            tag::COPY_DONE | tag::COPY_FAIL => Ask::CopyEnd,
            _ => return Ok(()),
        };
        self.asks.push_back(ask);
        Ok(())
    }

    fn long(&mut self, message: u8) {
        match message {
            tag::QUERY | tag::FUNCTION_CALL => self.asks.push_back(Ask::Query),
            tag::PARSE => self.asks.push_back(Ask::Parse),
            tag::BIND => self.asks.push_back(Ask::Bind),
            _ => {}
        }
    }

    /// Bytes that the client was sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.server.feed(bytes);
    }

    /// How far they have been looked at, in bytes from the connection's first.
    pub fn place(&self) -> u64 {
        self.server.place()
    }

    /// The next frame of them.
    pub fn heard(&mut self) -> Result<Option<Heard>, WireError> {
        let mut server = std::mem::take(&mut self.server);
        let heard = match server.next_frame() {
            Ok(Some(Frame::Whole { tag, body })) => self.answered(tag, body).map(Some),
            Ok(Some(Frame::Long { tag: backend::tag::DATA_ROW | backend::tag::COPY_DATA, bytes })) => {
                Ok(Some(Heard::LongRow(bytes)))
            }
            Ok(Some(Frame::Long { .. })) => Ok(Some(Heard::Other)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.server = server;
        heard
    }

    fn answered(&mut self, tag: u8, body: &[u8]) -> Result<Heard, WireError> {
        use backend::tag as server;
        Ok(match tag {
            server::ROW_DESCRIPTION => {
                let columns = Rc::new(row_description(body)?);
                match self.described() {
                    Some(Ask::DescribeStatement(prepared)) => *prepared.columns.borrow_mut() = Some(columns),
                    Some(Ask::DescribePortal(portal)) => *portal.columns.borrow_mut() = Some(columns),
                    _ => {
                        self.columns = Some(Rc::clone(&columns));
                        return Ok(Heard::Columns(columns));
                    }
                }
                Heard::Other
            }
            server::NO_DATA => {
                self.described();
                Heard::Other
            }
            server::DATA_ROW => {
                let first = self.columns.is_none();
                if first {
                    self.columns = self.executing().and_then(|portal| portal.columns());
                }
                let values = data_row(body)?;
                let columns = self.columns.as_deref().map(Vec::as_slice).unwrap_or_default();
                let text = |(index, value): (usize, Option<&[u8]>)| {
                    let column = columns.get(index);
                    let (type_oid, format) =
                        column.map_or((0, Format::Text), |one| (one.type_oid, one.format));
                    value.map(|bytes| shown(bytes, type_oid, format))
                };
                let row = values.into_iter().enumerate().map(text).collect();
                Heard::Row(self.columns.clone().filter(|_| first), row)
            }
            server::COPY_DATA => Heard::Copied(body.to_vec()),
            server::COPY_IN => {
                self.copy_in();
                Heard::Other
            }
            server::COMMAND_COMPLETE | server::EMPTY_QUERY | server::PORTAL_SUSPENDED => {
                self.columns = None;
                self.answer(|ask| matches!(ask, Ask::Execute(_)))
            }
            server::PARSE_COMPLETE => self.answer(|ask| matches!(ask, Ask::Parse)),
            server::BIND_COMPLETE => self.answer(|ask| matches!(ask, Ask::Bind)),
            server::CLOSE_COMPLETE => self.answer(|ask| matches!(ask, Ask::Close)),
            server::READY => {
                self.columns = None;
                while self.asks.pop_front().is_some_and(|ask| !matches!(ask, Ask::Sync | Ask::Query)) {}
                Heard::Other
            }
            server::ERROR => {
                (self.columns, self.copies_in) = (None, false);
                while self.asks.front().is_some_and(|ask| !matches!(ask, Ask::Sync | Ask::Query)) {
                    self.asks.pop_front();
                }
                let fields = Fields::new(body);
                let text = |field: Option<std::borrow::Cow<'_, str>>| field.unwrap_or_default().into_owned();
                Heard::Error { sqlstate: text(fields.sqlstate()), message: text(fields.message()) }
            }
            server::NOTICE => Heard::Notice(Fields::new(body).message().unwrap_or_default().into_owned()),
            _ => Heard::Other,
        })
    }

    /// What was described, if the server has been asked for a description.
    fn described(&mut self) -> Option<Ask> {
        let asked = |ask: &mut Ask| matches!(ask, Ask::DescribeStatement(_) | Ask::DescribePortal(_));
        self.asks.pop_front_if(asked)
    }

    /// The portal whose rows come now; none where they are a Query's.
    fn executing(&self) -> Option<&Rc<Portal>> {
        let of_rows = |ask: &&Ask| matches!(ask, Ask::Execute(_) | Ask::Query);
        match self.asks.iter().find(of_rows) {
            Some(Ask::Execute(portal)) => Some(portal),
            _ => None,
        }
    }

    /// What stands first is answered, if it is that.
    fn answer(&mut self, is_that: impl Fn(&Ask) -> bool) -> Heard {
        self.asks.pop_front_if(|ask| is_that(ask));
        Heard::Other
    }

    /// Syncs that the client has sent before the end of its data are swallowed
    /// (PostgreSQL manual 55.2.6).
    fn copy_in(&mut self) {
        let Some(from) = self.asks.iter().position(|ask| matches!(ask, Ask::Execute(_) | Ask::Query)) else {
            return;
        };
        while let Some(ask) = self.asks.get(from + 1) {
            match ask {
                Ask::Sync => drop(self.asks.remove(from + 1)),
                Ask::CopyEnd => {
                    self.asks.remove(from + 1);
                    return;
                }
                _ => break,
            }
        }
        self.copies_in = true;
    }
}

impl Portal {
    /// As the portal was described, or its statement, with the formats of Bind.
    fn columns(&self) -> Option<Rc<Columns>> {
        if let Some(columns) = &*self.columns.borrow() {
            return Some(Rc::clone(columns));
        }
        let mut columns = self.prepared.columns.borrow().as_deref()?.clone();
        for (index, column) in columns.iter_mut().enumerate() {
            // None given means text; one given is for all columns.
            let given = if self.formats.len() == 1 { self.formats.first() } else { self.formats.get(index) };
            column.format = given.copied().unwrap_or(Format::Text);
        }
        Some(Rc::new(columns))
    }
}
