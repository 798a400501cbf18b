//! Writing, with two approvals; and a session that is cut.

use crate::demo::step::Door::{Database, Gateway};
use crate::demo::step::Says::{Err, Out};
use crate::demo::step::Step::{Ends, Shows, Starts, TakesCredential, Tries, Types};
use crate::demo::step::{Fact, Scene, types};

pub const SCENES: &[Scene] = &[
    Scene {
        title: "Writing on production: a peer and a lead, and nobody for themselves",
        steps: &[
            Types(
                types("alice", "dbaccess request prod-orders --table orders --write --for 1h --reason 'Ticket 311: mark \
order 1042 as shipped'")
                .exits(4)
                .claims("Two approvals by two people.", &[
                    Out("dual"),
                    Out("peer"),
                    Err("waiting for approval"),
                ])
                .keeps("write", "req-"),
            ),
            Types(
                types("alice", "dbaccess approve {write} --yes")
                    .exits(5)
                    .claims("Exit code 5: nobody approves their own request.", &[Err("is your own")]),
            ),
            Types(
                types("bob", "dbaccess approve {write} --yes")
                    .claims("Half of what it takes.", &[Out("bob@example.com as peer"), Err("still needed")]),
            ),
            Types(
                types("carol", "dbaccess approve {write} --yes --for 20m")
                    .claims("Granted, and narrowed to twenty minutes.", &[
                        Out("narrowed to 20m"),
                        Err("alice@example.com now has access"),
                    ])
                    .keeps("write_grant", "grt-"),
            ),
            Types(
                types("alice", "dbaccess connect prod-orders --grant {write_grant} -- psql -c \"UPDATE orders SET status \
= 'shipped' WHERE id = 1042 RETURNING id, status\"")
                .claims("Written.", &[Out("1042 | shipped"), Out("UPDATE 1")]),
            ),
            Shows("The database has it.", Fact {
                sql: "SELECT status FROM orders WHERE id = 1042",
                is: "shipped",
            }),
        ],
    },
    Scene {
        title: "A session is cut while its statement runs",
        steps: &[
            Starts(
                types("alice", "dbaccess connect prod-orders --grant {write_grant} -- psql -c 'SELECT pg_sleep(600)'")
                .claims("It runs, in PostgreSQL, as her session's role.", &[]),
                Fact {
                    sql: "SELECT count(*) FROM pg_stat_activity
                          WHERE state = 'active' AND usename LIKE 'dbaccess\\_s\\_%' AND query LIKE '%pg_sleep%'",
                    is: "1",
                },
            ),
            Types(
                types("alice", "dbaccess sessions --mine")
                    .claims("From another terminal she sees it.", &[Out("Ticket 311"), Out("open")]),
            ),
            TakesCredential("Somebody reads the session's password file on her machine."),
            Tries { claim: "It opens the gateway, for as long as the session lives.", door: Gateway, opens: true },
            Tries {
                claim: "It does not open the database: that password never leaves the server.",
                door: Database,
                opens: false,
            },
            Types(
                types("dave", "dbaccess login --no-browser")
                    .claims("Dave is in the security team.", &[Err("logged in as dave@example.com")]),
            ),
            Types(
                types("dave", "dbaccess revoke {write_grant} --reason 'her laptop was left on the train'")
                .claims("The grant is revoked, and its session ends now.", &[Err("revoked"), Err("ending")]),
            ),
            Ends(types("alice", "").exits(6).claims(
                "Exit code 6: psql was cut off in the middle of its statement.",
                &[Err("ended"), Err("role dead after")],
            )),
            Shows("The statement is gone from pg_stat_activity.", Fact {
                sql: "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND pid <> pg_backend_pid()",
                is: "0",
            }),
            Shows("The role is gone from pg_roles.", Fact {
                sql: "SELECT count(*) FROM pg_roles WHERE rolname = '{role}'",
                is: "0",
            }),
            Tries { claim: "The gateway does not know the credential any more.", door: Gateway, opens: false },
            Tries { claim: "Nor does the database.", door: Database, opens: false },
            Types(
                types("alice", "dbaccess connect prod-orders --grant {write_grant} -- psql -c 'SELECT 1'")
                .exits(1)
                .claims("The grant opens nothing any more.", &[Err("no live grant")]),
            ),
        ],
    },
];
