//! Reading: at once where policy lets it, with masks, and raw with an approval.

use super::SESSION_ROLES;
use crate::demo::step::Says::{Err, Nothing, Out};
use crate::demo::step::Step::{Shows, Types};
use crate::demo::step::{Fact, Scene, types};

pub const SCENES: &[Scene] = &[
    Scene {
        title: "Alice signs in: a code on the terminal, the rest in her browser",
        steps: &[
            Types(types("alice", "dbaccess login --no-browser").claims(
                "Signed in by the identity provider; dbaccess has no passwords of people.",
                &[Err("logged in as alice@example.com")],
            )),
            Types(types("alice", "dbaccess targets").claims(
                "Two databases to ask for, and access to neither.",
                &[Out("prod-orders"), Out("staging-orders")],
            )),
        ],
    },
    Scene {
        title: "Orders hold nothing sensitive: policy lets the team read them at once",
        steps: &[
            Types(
                types("alice", "dbaccess request prod-orders --table orders --reason 'Ticket 311: order 1042 never \
arrived'")
                .claims("Granted in a moment, by a rule that the answer names.", &[
                    Out("granted"),
                    Out("(auto-read)"),
                ]),
            ),
            Types(
                types("alice", "dbaccess connect prod-orders -- psql -c 'SELECT id, status, current_user FROM orders \
WHERE id = 1042'")
                .claims(
                    "Her own psql, as a database role of this session alone, which ended with it.",
                    &[Out("packed"), Out("dbaccess_s_"), Out("(1 row)"), Err("role dead after")],
                ),
            ),
            Shows("pg_roles has no session role any more.", Fact { sql: SESSION_ROLES, is: "0" }),
        ],
    },
    Scene {
        title: "What the grant does not cover",
        steps: &[
            Types(
                types("alice", "dbaccess connect prod-orders -- psql -c 'SELECT * FROM customers'")
                .exits(1)
                .claims(
                    "Refused by PostgreSQL itself: the role has no privilege there.",
                    &[Err("permission denied for table customers")],
                ),
            ),
            Types(
                types("alice", "dbaccess connect prod-orders -- psql -c \"UPDATE orders SET status = 'shipped' WHERE id \
= 1042\"")
                .exits(1)
                .claims("Refused by the gateway, with the command that asks for more.", &[
                    Err("needs write access"),
                    Err("--write"),
                ]),
            ),
        ],
    },
    Scene {
        title: "Payments hold card numbers: masked, they are for the team",
        steps: &[
            Types(
                types("alice", "dbaccess request prod-orders --table payments --table refunds --for 30m --reason 'Ticket \
311: was order 1042 paid?'")
                .claims("Granted in a moment: what is classified stays masked.", &[
                    Out("payments.card_number: token (card)"),
                    Out("(auto-read)"),
                ])
                .keeps("masked_grant", "grt-"),
            ),
            Types(
                types("alice", "dbaccess connect prod-orders --grant {masked_grant} -- psql -c 'SELECT order_id, \
card_number, amount FROM payments WHERE order_id = 1042'")
                .claims("It was paid, by a card that only has a token for her.", &[
                    Out("1042 | tok_"),
                    Out("(1 row)"),
                    Nothing("4000 00"),
                ]),
            ),
            Types(
                types("alice", "dbaccess connect prod-orders --grant {masked_grant} -- psql -Atc 'SELECT count(*) FROM \
refunds JOIN payments USING (card_number)'")
                .claims("The same card has the same token in every table, so joins still match.", &[Out("800")]),
            ),
            Types(
                types("alice", "dbaccess targets describe prod-orders payments")
                    .claims("She may know beforehand what she would see.", &[Out("token (card)"), Out("raw")]),
            ),
        ],
    },
    Scene {
        title: "The card's own number: somebody answerable must agree",
        steps: &[
            Types(
                types("alice", "dbaccess request prod-orders --table payments --unmask card_number --for 30m --reason \
'Ticket 311: the bank asks which card paid order 1042'")
                .exits(4)
                .claims("Exit code 4: it waits for a lead or security.", &[
                    Out("pii: public.payments.card_number"),
                    Err("waiting for approval"),
                ])
                .keeps("raw", "req-"),
            ),
            Types(
                types("carol", "dbaccess login --no-browser")
                    .claims("Carol leads the team.", &[Err("logged in as carol@example.com")]),
            ),
            Types(types("carol", "dbaccess requests").claims("She sees what waits for her.", &[
                Out("Ticket 311: the bank"),
                Err("1 for you to decide"),
            ])),
            Types(
                types("carol", "dbaccess approve {raw} --yes --comment 'only order 1042, please'")
                .claims("One approval was needed, and given.", &[Err("alice@example.com now has access")])
                .keeps("raw_grant", "grt-"),
            ),
            Types(
                types("alice", "dbaccess connect prod-orders --grant {raw_grant} -- psql -c 'SELECT order_id, \
card_number FROM payments WHERE order_id = 1042'")
                .claims("The card's number, as it is.", &[Out("1042 | 4000 0042 7294 3546")]),
            ),
        ],
    },
];
