//! What a server says (PostgreSQL manual 55.7): encoded towards the client
//! where the gateway speaks for itself, decoded where it must know.

mod decode;
mod encode;
mod rows;
#[cfg(test)]
mod tests;

pub use decode::{Authentication, CommandTag, Fields, KeyData, ParameterStatus, TransactionStatus};
pub use encode::{
    Report, authentication_ok, error_with, key_data, negotiate_protocol_version, parameter_status,
    ready_for_query, sasl_continue, sasl_final, sasl_mechanisms,
};

pub use rows::{ColumnDescription, data_row, first_columns, row_description};

use super::frame::Treatment;

/// The first bytes of a server's frames.
pub mod tag {
    pub const AUTHENTICATION: u8 = b'R';
    pub const BIND_COMPLETE: u8 = b'2';
    pub const CLOSE_COMPLETE: u8 = b'3';
    pub const COMMAND_COMPLETE: u8 = b'C';
    pub const COPY_BOTH: u8 = b'W';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_IN: u8 = b'G';
    pub const COPY_OUT: u8 = b'H';
    pub const DATA_ROW: u8 = b'D';
    pub const EMPTY_QUERY: u8 = b'I';
    pub const ERROR: u8 = b'E';
    pub const FUNCTION_RESULT: u8 = b'V';
    pub const KEY_DATA: u8 = b'K';
    pub const NEGOTIATE_VERSION: u8 = b'v';
    pub const NO_DATA: u8 = b'n';
    pub const NOTICE: u8 = b'N';
    pub const NOTIFICATION: u8 = b'A';
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    pub const PARAMETER_STATUS: u8 = b'S';
    pub const PARSE_COMPLETE: u8 = b'1';
    pub const PORTAL_SUSPENDED: u8 = b's';
    pub const READY: u8 = b'Z';
    pub const ROW_DESCRIPTION: u8 = b'T';
}

pub(super) fn treatment(tag: u8) -> Option<Treatment> {
    Some(match tag {
        tag::DATA_ROW | tag::COPY_DATA => Treatment::Bulk,
        // Long only if something is wrong, and of no use in part.
        tag::AUTHENTICATION | tag::KEY_DATA | tag::READY | tag::COMMAND_COMPLETE => Treatment::Whole,
        tag::BIND_COMPLETE
        | tag::CLOSE_COMPLETE
        | tag::COPY_BOTH
        | tag::COPY_DONE
        | tag::COPY_IN
        | tag::COPY_OUT
        | tag::EMPTY_QUERY
        | tag::ERROR
        | tag::FUNCTION_RESULT
        | tag::NEGOTIATE_VERSION
        | tag::NO_DATA
        | tag::NOTICE
        | tag::NOTIFICATION
        | tag::PARAMETER_DESCRIPTION
        | tag::PARAMETER_STATUS
        | tag::PARSE_COMPLETE
        | tag::PORTAL_SUSPENDED
        | tag::ROW_DESCRIPTION => Treatment::Head,
        _ => return None,
    })
}
