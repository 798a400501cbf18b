//! A migration: reviewed as a script, and run as it was reviewed.

use crate::demo::step::Says::{Err, Out};
use crate::demo::step::Step::{Shows, Types};
use crate::demo::step::{Fact, Scene, types};

pub const SCENES: &[Scene] = &[Scene {
    title: "A migration: colleagues review the script, and what runs is what they read",
    steps: &[
        Types(
            types(
                "bob",
                "dbaccess request prod-orders --migrate V42__add_index.sql \
                 --reason 'CHG-42: find orders by status'",
            )
            .exits(4)
            .claims(
                "The script goes with the request, and what it does to a busy database beside it.",
                &[Err("takes ACCESS EXCLUSIVE on public.orders"), Out("dual"), Err("waiting for approval")],
            )
            .keeps("change", "req-"),
        ),
        Types(types("alice", "dbaccess approve {change} --yes").claims(
            "She is shown the script, too, and her approval is of exactly this one.",
            &[Err("CREATE INDEX CONCURRENTLY"), Err("still needed")],
        )),
        Types(
            types("carol", "dbaccess approve {change} --yes")
                .claims("A peer and a manager have read it.", &[Err("bob@example.com now has access")])
                .keeps("change_grant", "grt-"),
        ),
        Types(
            types(
                "bob",
                "dbaccess connect prod-orders --grant {change_grant} -- psql -c 'DROP TABLE public.refunds'",
            )
            .exits(1)
            .claims("Under that grant nothing passes but the script.", &[Err("ERROR")]),
        ),
        Types(types("bob", "dbaccess migrate {change}").claims(
            "Run as the tables' owner, in the fewest pieces that PostgreSQL allows.",
            &[Err("role dead after")],
        )),
        Shows(
            "The index is there, and valid.",
            Fact {
                sql: "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('public.orders_status')",
                is: "t",
            },
        ),
        Types(
            types("bob", "dbaccess audit compare {change}")
                .claims("Did it run the approved script? Statement by statement.", &[Out("ran")]),
        ),
    ],
}];
