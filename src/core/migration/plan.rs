//! In which transactions a script runs.

use crate::core::model::ScriptStatement;
use std::ops::Range;

/// Statements that are committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Indexes into the script's statements.
    pub statements: Range<usize>,
    /// Between BEGIN and COMMIT; otherwise it is one statement that PostgreSQL
    /// takes by itself only.
    pub in_transaction: bool,
}

/// The fewest pieces, from the statement with this index on.
pub fn pieces(statements: &[ScriptStatement], from: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut goes_on = false;
    for (index, statement) in statements.iter().enumerate().skip(from) {
        match pieces.last_mut() {
            Some(last) if goes_on && !statement.alone => last.statements.end = index + 1,
            _ => pieces.push(Piece { statements: index..index + 1, in_transaction: !statement.alone }),
        }
        goes_on = !statement.alone && !statement.ends_transaction;
    }
    pieces
}
