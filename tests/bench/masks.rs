//! What masks cost: the same statements on the same table, shown as it is and
//! masked, directly and through the whole path of dbaccess. The database makes
//! the masks, so the direct ratio is theirs; the other one shows that nothing
//! is added on the way.

use super::Plan;
use super::place::{Place, Way};
use super::raw::Raw;
use super::support::env::TestEnv;
use super::support::masked::{open_masked, partial, plan as plan_of, rule};
use super::table::{self, median};
use super::world::{self, Held, World};
use dbaccess::core::model::{Mask, PartialKind, Rule};
use dbaccess::server::provision::Target;
use std::time::Instant;

const TARGET: &str = "masked-orders";
const TABLES: [&str; 2] = ["people", "cards"];
const ROWS: u64 = 1_000_000;

/// The same classification as [`rules`], for the server.
const CLASSIFIED: &str = r#"
"public.people.email" = { mask = "partial", kind = "email", sensitivity = "pii" }
"public.people.phone" = { mask = "partial", kind = "phone", sensitivity = "pii" }
"public.people.card" = { mask = "token", domain = "card", sensitivity = "financial" }
"public.cards.card" = { mask = "token", domain = "card", sensitivity = "financial" }
"public.people.salary" = { mask = "aggregate", min_group = 10, sensitivity = "financial" }
"#;

fn rules() -> [Rule; 5] {
    let token = || Mask::Token { domain: "card".to_owned() };
    [
        rule("people", "email", partial(PartialKind::Email)),
        rule("people", "phone", partial(PartialKind::Phone)),
        rule("people", "card", token()),
        rule("cards", "card", token()),
        rule("people", "salary", Mask::Aggregate { min_group: 10 }),
    ]
}

struct Case {
    name: &'static str,
    sql: &'static str,
    /// How often in one measurement.
    times: u32,
    /// The index that both plans must use.
    index: Option<&'static str>,
}

const CASES: [Case; 6] = [
    Case {
        name: "masked: point lookup",
        sql: "SELECT id, email, phone FROM people WHERE id = 471100",
        times: 500,
        index: Some("people_pkey"),
    },
    Case {
        name: "masked: range of 1,000 rows",
        sql: "SELECT id, email, phone FROM people WHERE id BETWEEN 471100 AND 472099",
        times: 50,
        index: Some("people_pkey"),
    },
    Case {
        name: "masked: ORDER BY … LIMIT 20",
        sql: "SELECT id, email, created_at FROM people ORDER BY created_at DESC LIMIT 20",
        times: 200,
        index: Some("people_created"),
    },
    Case {
        name: "masked: join on tokens",
        sql: "SELECT p.id, c.id FROM cards c JOIN people p USING (card)",
        times: 1,
        index: None,
    },
    Case {
        name: "masked: average of a sealed column",
        sql: "SELECT note, avg(salary) FROM people GROUP BY note",
        times: 1,
        index: None,
    },
    Case {
        name: "masked: a million rows, partial masks",
        sql: "SELECT id, email, phone, note, created_at FROM people",
        times: 1,
        index: None,
    },
];

/// Makes the tables, and gives the configuration of a target that classifies them.
pub async fn prepare(env: &TestEnv) -> String {
    let shop = env.pg.admin("shop").await;
    let sql = format!(
        "SET ROLE shop_owner;
         CREATE TABLE people (id bigint PRIMARY KEY, email text, phone text, card text, salary numeric,
                              note text, created_at timestamptz);
         INSERT INTO people
         SELECT i, 'person.' || i || '@example.com', '+49 30 ' || 10000000 + i, '4929-' || i, 30000 + i % 50000,
                'note ' || i % 100, timestamptz '2026-01-01' + i * interval '1 second'
         FROM generate_series(1, {ROWS}) i;
         CREATE INDEX people_created ON people (created_at);
         CREATE TABLE cards (id bigint PRIMARY KEY, card text);
         INSERT INTO cards SELECT i, '4929-' || i * 10 FROM generate_series(1, {ROWS} / 10) i;
         RESET ROLE;
         GRANT SELECT ON people, cards TO bench"
    );
    shop.batch_execute(&sql).await.expect("tables");
    shop.batch_execute("VACUUM ANALYZE people").await.expect("statistics");
    shop.batch_execute("VACUUM ANALYZE cards").await.expect("statistics");
    format!("{}[targets.{TARGET}.classified]\n{CLASSIFIED}", world::target(env, TARGET))
}

pub async fn run(world: &World, plan: &Plan) {
    let cases: Vec<&Case> = CASES.iter().filter(|case| plan.wants(case.name)).collect();
    if cases.is_empty() {
        return;
    }
    let plain = world.reads(Way::Direct).clone();
    let upstream = world.env.pg.upstream("shop", "dbaccess", super::support::env::GATEWAY_PASSWORD);
    let role = open_masked(&Target::new(upstream).expect("a target"), &TABLES, &rules()).await;
    let masked = Place { user: role.name, password: role.password, ..plain.clone() };
    same_indexes(&cases, &plain, &masked).await;
    let alice = world.env.signed_in("alice").await;
    let sessions = [world::TARGET, TARGET].map(|target| Held::reading(&alice, target, &TABLES, None));
    let ways = [("direct", [plain, masked]), ("dbaccess, whole path", sessions.each_ref().map(Held::place))];

    let columns = ["case", "direct, ms", "masked, of it", "dbaccess, ms", "masked, of it"];
    table::heading("Masks: time, and its ratio to the same without masks", &columns);
    for case in cases {
        let mut cells = vec![case.name.trim_start_matches("masked: ").to_owned()];
        for (name, places) in &ways {
            eprintln!("{}, {name}", case.name);
            let (mut times, mut ratios) = (Vec::new(), Vec::new());
            let mut clients = [Raw::connect(&places[0]).await, Raw::connect(&places[1]).await];
            // The first round only warms up; another one goes first in each.
            for round in 0..=plan.rounds {
                let mut took = [0.0; 2];
                for turn in [round % 2, (round + 1) % 2] {
                    let started = Instant::now();
                    for _ in 0..case.times {
                        clients[turn].rows(case.sql).await;
                    }
                    took[turn] = started.elapsed().as_secs_f64() * 1000.0 / f64::from(case.times);
                }
                if round > 0 {
                    times.push(took[0]);
                    ratios.push(took[1] / took[0]);
                }
            }
            cells.extend([format!("{:.2}", median(&times)), format!("{:.2}", median(&ratios))]);
        }
        table::row(&cells);
    }
}

/// A mask must not take an index away.
async fn same_indexes(cases: &[&Case], plain: &Place, masked: &Place) {
    for place in [plain, masked] {
        let mut config = tokio_postgres::Config::new();
        config.host(&place.host).port(place.port).dbname(&place.database);
        config.user(&place.user).password(&place.password);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        for case in cases {
            let Some(index) = case.index else { continue };
            let nodes = plan_of(&client, case.sql).await;
            assert!(nodes.iter().any(|node| node.ends_with(index)), "{}: {nodes:?}", case.name);
        }
    }
}
