//! An emergency: the glass is broken for an incident, ends with it, and is
//! looked at afterwards by somebody else.

use super::SESSION_ROLES;
use crate::demo::incidents::Happening::{Fails, IsResolved, IsTriggered, Recovers};
use crate::demo::step::Says::{Err, Out};
use crate::demo::step::Step::{Ends, IncidentSystem, Pages, Shows, Starts, Types};
use crate::demo::step::{Fact, Scene, types};

pub const SCENES: &[Scene] = &[
    Scene {
        title: "An incident: Bob is on call, and waits for nobody",
        steps: &[
            Types(
                types(
                    "alice",
                    "dbaccess break-glass prod-orders --incident PD-Q7 --reason 'Orders hang in packed'",
                )
                .exits(5)
                .claims("The incident is not hers, so the glass stays whole for her.", &[Err("not to you")]),
            ),
            Types(
                types(
                    "bob",
                    "dbaccess break-glass prod-orders --incident PD-Q7 \
                     --reason 'Orders hang in packed: release them'",
                )
                .claims("It is open and his: he may write to the service's database, now.", &[
                    Out("break-glass: nobody is waited for"),
                    Err("the glass is broken until"),
                ])
                .keeps("glass", "grt-"),
            ),
            Pages("Security's pager knows.", "bob@example.com broke the glass on prod-orders for PD-Q7", true),
            Types(
                types(
                    "bob",
                    "dbaccess connect prod-orders --grant {glass} -- \
                     psql -c \"UPDATE orders SET status = 'shipped' WHERE status = 'packed'\" \
                     -c 'SELECT email FROM customers WHERE id = 17'",
                )
                .claims("Written; the masks stay on even now.", &[Out("UPDATE "), Out("***@example.com")]),
            ),
            Starts(
                types("bob", "dbaccess connect prod-orders --grant {glass} -- psql -c 'SELECT pg_sleep(600)'")
                    .claims("He is still in there.", &[]),
                Fact {
                    sql: "SELECT count(*) FROM pg_stat_activity
                          WHERE state = 'active' AND usename LIKE 'dbaccess\\_s\\_%' AND query LIKE '%pg_sleep%'",
                    is: "1",
                },
            ),
            IncidentSystem("The incident is resolved, in the incident system.", IsResolved),
            Ends(
                types("bob", "")
                    .exits(6)
                    .claims("Exit code 6: the access has ended with its incident.", &[Err("incident over")]),
            ),
            Pages("The page is resolved, too.", "bob@example.com broke the glass on prod-orders for PD-Q7", false),
            Shows("His roles are gone.", Fact { sql: SESSION_ROLES, is: "0" }),
        ],
    },
    Scene {
        title: "Afterwards: somebody else looks at it, within 48 hours",
        steps: &[
            Types(
                types("dave", "dbaccess review list")
                    .claims("A review is owed.", &[Out("bob@example.com"), Err("1 for you to write")])
                    .keeps("review", "rev-"),
            ),
            Types(
                types("dave", "dbaccess review show {review}")
                    .claims("What was done under it: each statement, what it wrote, what was recorded.", &[
                        Out("UPDATE orders"),
                        Out("release them"),
                    ])
                    .keeps("seen", "ses-"),
            ),
            Types(
                types("dave", "dbaccess recording show {seen}").claims(
                    "The recording has the rows as Bob saw them, compared with the ledger.",
                    &[Out("***@example.com")],
                ),
            ),
            Types(
                types("bob", "dbaccess review write {review} --verdict justified --finding 'I had to'")
                    .exits(5)
                    .claims("Exit code 5: nobody reviews their own.", &[Err("about your own access")]),
            ),
            Types(
                types(
                    "dave",
                    "dbaccess review write {review} --verdict justified \
                     --finding 'One UPDATE, as the incident needed' --action 'add a command for it'",
                )
                .claims("On the ledger, and never changed.", &[Out("justified")]),
            ),
        ],
    },
    Scene {
        title: "An incident while the incident system is down: in, and two people confirm",
        steps: &[
            IncidentSystem("The incident is open again.", IsTriggered),
            IncidentSystem("And nobody can ask: the incident system answers with errors.", Fails),
            Types(
                types(
                    "bob",
                    "dbaccess break-glass prod-orders --incident PD-Q7 --reason 'They hang in packed again'",
                )
                .claims("Nobody waits for it, either: policy lets the owning team in, masked.", &[
                    Err("the incident system could not be asked"),
                    Err("must confirm it"),
                ])
                .keeps("unconfirmed", "req-"),
            ),
            Types(
                types("alice", "dbaccess confirm {unconfirmed} --yes --comment 'I saw the pager'")
                    .claims("One of two; without the other the access ends in an hour.", &[Err("still needed")]),
            ),
            Types(
                types("dave", "dbaccess confirm {unconfirmed} --yes")
                    .claims("There was such an incident: two people say so, neither of them Bob.", &[]),
            ),
            IncidentSystem("The incident system is back.", Recovers),
            Types(
                types("bob", "dbaccess revoke {unconfirmed}")
                    .claims("Bob is done, and ends it himself.", &[Err("revoked")]),
            ),
        ],
    },
];
