//! The record, and what an auditor does with it.

use super::SESSION_ROLES;
use crate::demo::step::Says::{Err, Nothing, Out};
use crate::demo::step::Step::{CopiesLedger, Shows, TampersWithCopy, Types};
use crate::demo::step::{Fact, Scene, types};

pub const SCENES: &[Scene] = &[Scene {
    title: "The record",
    steps: &[
        Types(types("alice", "dbaccess audit").claims(
            "Every statement, with how it ended: done, refused, cut.",
            &[Out("UPDATE 1"), Out("pg_sleep"), Out("refused")],
        )),
        Types(
            types("bob", "dbaccess audit --person alice@example.com")
                .exits(5)
                .claims("Exit code 5: what others ran is for security and auditors.", &[Nothing("UPDATE")]),
        ),
        Types(
            types("dave", "dbaccess audit --person alice@example.com --limit 3")
                .claims("Dave may see it.", &[Out("pg_sleep")]),
        ),
        CopiesLedger("Dave takes a copy of the ledger, and of the key that signs it."),
        Types(
            types("dave", "dbaccess ledger verify ledger --key ledger/signing.pub")
                .claims("No line was changed, removed or added. No server was asked.", &[Nothing("error")]),
        ),
        TampersWithCopy("Somebody changes one letter in the copy."),
        Types(
            types("dave", "dbaccess ledger verify ledger --key ledger/signing.pub")
                .exits(1)
                .claims("It shows.", &[Err("the ledger is broken")]),
        ),
        Shows(
            "And in the database nothing is left of all these sessions.",
            Fact { sql: SESSION_ROLES, is: "0" },
        ),
    ],
}];
