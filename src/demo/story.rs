//! The story: what four people do with two databases in a minute, and what
//! must be true after each step.

use super::step::Door::{Database, Gateway};
use super::step::Says::{Err, Nothing, Out};
use super::step::Step::{CopiesLedger, Ends, Shows, Starts, TakesCredential, TampersWithCopy, Tries, Types};
use super::step::{Fact, Scene, types};

/// Session roles that exist in the cluster.
const SESSION_ROLES: &str = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'dbaccess\\_s\\_%'";

pub const STORY: &[Scene] = &[
    Scene {
        title: "1. Alice signs in: a code on the terminal, the rest in her browser",
        steps: &[
            Types(types("alice", &["dbaccess", "login", "--no-browser"]).claims(
                "Signed in by the identity provider; dbaccess has no passwords of people.",
                &[Err("logged in as alice@example.com")],
            )),
            Types(types("alice", &["dbaccess", "targets"]).claims(
                "Two databases to ask for, and access to neither.",
                &[Out("prod-orders"), Out("staging-orders")],
            )),
        ],
    },
    Scene {
        title: "2. Orders hold nothing sensitive: policy lets the team read them at once",
        steps: &[
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "request",
                        "prod-orders",
                        "--table",
                        "orders",
                        "--reason",
                        "Ticket 311: order 1042 never arrived",
                    ],
                )
                .claims("Granted in a moment, by a rule that the answer names.", &[
                    Out("granted"),
                    Out("(auto-read)"),
                ]),
            ),
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--",
                        "psql",
                        "-c",
                        "SELECT id, status, current_user FROM orders WHERE id = 1042",
                    ],
                )
                .claims(
                    "Her own psql, as a database role of this session alone, which ended with it.",
                    &[Out("packed"), Out("dbaccess_s_"), Out("(1 row)"), Err("role dead after")],
                ),
            ),
            Shows("pg_roles has no session role any more.", Fact { sql: SESSION_ROLES, is: "0" }),
        ],
    },
    Scene {
        title: "3. What the grant does not cover",
        steps: &[
            Types(
                types(
                    "alice",
                    &["dbaccess", "connect", "prod-orders", "--", "psql", "-c", "SELECT * FROM customers"],
                )
                .exits(1)
                .claims(
                    "Refused by PostgreSQL itself: the role has no privilege there.",
                    &[Err("permission denied for table customers")],
                ),
            ),
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--",
                        "psql",
                        "-c",
                        "UPDATE orders SET status = 'shipped' WHERE id = 1042",
                    ],
                )
                .exits(1)
                .claims("Refused by the gateway, with the command that asks for more.", &[
                    Err("needs write access"),
                    Err("--write"),
                ]),
            ),
        ],
    },
    Scene {
        title: "4. Payments hold card numbers: masked, they are for the team",
        steps: &[
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "request",
                        "prod-orders",
                        "--table",
                        "payments",
                        "--table",
                        "refunds",
                        "--for",
                        "30m",
                        "--reason",
                        "Ticket 311: was order 1042 paid?",
                    ],
                )
                .claims("Granted in a moment: what is classified stays masked.", &[
                    Out("payments.card_number: token (card)"),
                    Out("(auto-read)"),
                ])
                .keeps("masked_grant", "grt-"),
            ),
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--grant",
                        "{masked_grant}",
                        "--",
                        "psql",
                        "-c",
                        "SELECT order_id, card_number, amount FROM payments WHERE order_id = 1042",
                    ],
                )
                .claims("It was paid, by a card that only has a token for her.", &[
                    Out("1042 | tok_"),
                    Out("(1 row)"),
                    Nothing("4000 00"),
                ]),
            ),
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--grant",
                        "{masked_grant}",
                        "--",
                        "psql",
                        "-Atc",
                        "SELECT count(*) FROM refunds JOIN payments USING (card_number)",
                    ],
                )
                .claims("The same card has the same token in every table, so joins still match.", &[Out("800")]),
            ),
            Types(
                types("alice", &["dbaccess", "targets", "describe", "prod-orders", "payments"])
                    .claims("She may know beforehand what she would see.", &[Out("token (card)"), Out("raw")]),
            ),
        ],
    },
    Scene {
        title: "5. The card's own number: somebody answerable must agree",
        steps: &[
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "request",
                        "prod-orders",
                        "--table",
                        "payments",
                        "--unmask",
                        "card_number",
                        "--for",
                        "30m",
                        "--reason",
                        "Ticket 311: the bank asks which card paid order 1042",
                    ],
                )
                .exits(4)
                .claims("Exit code 4: it waits for a lead or security.", &[
                    Out("pii: public.payments.card_number"),
                    Err("waiting for approval"),
                ])
                .keeps("raw", "req-"),
            ),
            Types(
                types("carol", &["dbaccess", "login", "--no-browser"])
                    .claims("Carol leads the team.", &[Err("logged in as carol@example.com")]),
            ),
            Types(types("carol", &["dbaccess", "requests"]).claims("She sees what waits for her.", &[
                Out("Ticket 311: the bank"),
                Err("1 for you to decide"),
            ])),
            Types(
                types(
                    "carol",
                    &["dbaccess", "approve", "{raw}", "--yes", "--comment", "only order 1042, please"],
                )
                .claims("One approval was needed, and given.", &[Err("alice@example.com now has access")])
                .keeps("raw_grant", "grt-"),
            ),
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--grant",
                        "{raw_grant}",
                        "--",
                        "psql",
                        "-c",
                        "SELECT order_id, card_number FROM payments WHERE order_id = 1042",
                    ],
                )
                .claims("The card's number, as it is.", &[Out("1042 | 4000 0042 7294 3546")]),
            ),
        ],
    },
    Scene {
        title: "6. Support for one customer: their rows, and nobody else's",
        steps: &[
            Types(
                types(
                    "bob",
                    &["dbaccess", "login", "--no-browser"],
                )
                .claims("Bob is a colleague of Alice.", &[Err("logged in as bob@example.com")]),
            ),
            Types(
                types(
                    "bob",
                    &[
                        "dbaccess",
                        "request",
                        "prod-orders",
                        "--row",
                        "customers: id = 17",
                        "--table",
                        "orders",
                        "--follow",
                        "--for",
                        "30m",
                        "--reason",
                        "Ticket 340: customer 17 misses an order",
                    ],
                )
                .claims("The orders follow their customer, by the foreign key.", &[
                    Out("public.customers where id = 17"),
                    Out("customer_id -> public.customers"),
                    Out("(auto-read)"),
                ]),
            ),
            Types(
                types(
                    "bob",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--",
                        "psql",
                        "-c",
                        "SELECT name, email, birthday FROM customers",
                        "-c",
                        "SELECT count(*), min(customer_id), max(customer_id) FROM orders",
                    ],
                )
                .claims("Without a WHERE: the database knows no other customer for him.", &[
                    Out("***@example.com"),
                    Out("(1 row)"),
                    Out("4 |  17 |  17"),
                ]),
            ),
        ],
    },
    Scene {
        title: "7. Salaries: averages, and no single one",
        steps: &[
            Types(
                types(
                    "carol",
                    &[
                        "dbaccess",
                        "request",
                        "prod-orders",
                        "--table",
                        "hr.salaries",
                        "--for",
                        "30m",
                        "--reason",
                        "Budget for next year",
                    ],
                )
                .claims("Granted in a moment: it stays masked.", &[
                    Out("aggregate (groups of 10 and more)"),
                    Out("(auto-read)"),
                ]),
            ),
            Types(
                types(
                    "carol",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--",
                        "psql",
                        "-c",
                        "SELECT team, count(salary), avg(salary) FROM hr.salaries GROUP BY team ORDER BY team",
                        "-c",
                        "SELECT 'plausible: ' || bool_and(pay BETWEEN 40000 AND 80000) \
                         FROM (SELECT avg(salary) AS pay FROM hr.salaries GROUP BY team) AS teams",
                    ],
                )
                .claims("What a team earns, with a little noise.", &[
                    Out("shop"),
                    Out("(3 rows)"),
                    Out("plausible: true"),
                ]),
            ),
        ],
    },
    Scene {
        title: "8. Writing on production: a peer and a lead, and nobody for themselves",
        steps: &[
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "request",
                        "prod-orders",
                        "--table",
                        "orders",
                        "--write",
                        "--for",
                        "1h",
                        "--reason",
                        "Ticket 311: mark order 1042 as shipped",
                    ],
                )
                .exits(4)
                .claims("Two approvals by two people.", &[
                    Out("dual"),
                    Out("peer"),
                    Err("waiting for approval"),
                ])
                .keeps("write", "req-"),
            ),
            Types(
                types("alice", &["dbaccess", "approve", "{write}", "--yes"])
                    .exits(5)
                    .claims("Exit code 5: nobody approves their own request.", &[Err("is your own")]),
            ),
            Types(
                types("bob", &["dbaccess", "approve", "{write}", "--yes"])
                    .claims("Half of what it takes.", &[Out("bob@example.com as peer"), Err("still needed")]),
            ),
            Types(
                types("carol", &["dbaccess", "approve", "{write}", "--yes", "--for", "20m"])
                    .claims("Granted, and narrowed to twenty minutes.", &[
                        Out("narrowed to 20m"),
                        Err("alice@example.com now has access"),
                    ])
                    .keeps("write_grant", "grt-"),
            ),
            Types(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--grant",
                        "{write_grant}",
                        "--",
                        "psql",
                        "-c",
                        "UPDATE orders SET status = 'shipped' WHERE id = 1042 RETURNING id, status",
                    ],
                )
                .claims("Written.", &[Out("1042 | shipped"), Out("UPDATE 1")]),
            ),
            Shows("The database has it.", Fact {
                sql: "SELECT status FROM orders WHERE id = 1042",
                is: "shipped",
            }),
        ],
    },
    Scene {
        title: "9. A session is cut while its statement runs",
        steps: &[
            Starts(
                types(
                    "alice",
                    &[
                        "dbaccess",
                        "connect",
                        "prod-orders",
                        "--grant",
                        "{write_grant}",
                        "--",
                        "psql",
                        "-c",
                        "SELECT pg_sleep(600)",
                    ],
                )
                .claims("It runs, in PostgreSQL, as her session's role.", &[]),
                Fact {
                    sql: "SELECT count(*) FROM pg_stat_activity
                          WHERE state = 'active' AND usename LIKE 'dbaccess\\_s\\_%' AND query LIKE '%pg_sleep%'",
                    is: "1",
                },
            ),
            Types(
                types("alice", &["dbaccess", "sessions", "--mine"])
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
                types("dave", &["dbaccess", "login", "--no-browser"])
                    .claims("Dave is in the security team.", &[Err("logged in as dave@example.com")]),
            ),
            Types(
                types(
                    "dave",
                    &["dbaccess", "revoke", "{write_grant}", "--reason", "her laptop was left on the train"],
                )
                .claims("The grant is revoked, and its session ends now.", &[Err("revoked"), Err("ending")]),
            ),
            Ends(types("alice", &[]).exits(6).claims(
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
                types(
                    "alice",
                    &["dbaccess", "connect", "prod-orders", "--grant", "{write_grant}", "--", "psql", "-c", "SELECT 1"],
                )
                .exits(1)
                .claims("The grant opens nothing any more.", &[Err("no live grant")]),
            ),
        ],
    },
    Scene {
        title: "10. The record",
        steps: &[
            Types(types("alice", &["dbaccess", "audit"]).claims(
                "Every statement, with how it ended: done, refused, cut.",
                &[Out("UPDATE 1"), Out("pg_sleep"), Out("refused")],
            )),
            Types(
                types("bob", &["dbaccess", "audit", "--person", "alice@example.com"])
                    .exits(5)
                    .claims("Exit code 5: what others ran is for security and auditors.", &[Nothing("UPDATE")]),
            ),
            Types(
                types("dave", &["dbaccess", "audit", "--person", "alice@example.com", "--limit", "3"])
                    .claims("Dave may see it.", &[Out("pg_sleep")]),
            ),
            CopiesLedger("Dave takes a copy of the ledger, and of the key that signs it."),
            Types(
                types("dave", &["dbaccess", "ledger", "verify", "ledger", "--key", "ledger/signing.pub"])
                    .claims("No line was changed, removed or added. No server was asked.", &[Nothing("error")]),
            ),
            TampersWithCopy("Somebody changes one letter in the copy."),
            Types(
                types("dave", &["dbaccess", "ledger", "verify", "ledger", "--key", "ledger/signing.pub"])
                    .exits(1)
                    .claims("It shows.", &[Err("the ledger is broken")]),
            ),
            Shows("And in the database nothing is left of all these sessions.", Fact {
                sql: SESSION_ROLES,
                is: "0",
            }),
        ],
    },
];
