//! What a mask costs the planner: nothing, where no masked column is asked by.
//! The figures are in docs/performance.md.

use crate::support::env::GATEWAY_PASSWORD;
use crate::support::masked::{open_masked, partial, plan, rule};
use crate::support::pg_server::{PgServer, bin_of};
use dbaccess::core::model::{Mask, PartialKind};
use dbaccess::server::provision::{Target, apply_setup};
use dbaccess::server::setup;

const SQL: &str = "
    CREATE TABLE people (id bigint PRIMARY KEY, email text, card text, salary numeric, created_at timestamptz);
    CREATE INDEX people_created ON people (created_at);
    CREATE INDEX people_card ON people (card);
    CREATE TABLE payments (id bigint PRIMARY KEY, person bigint, card text);
    CREATE INDEX payments_person ON payments (person);
    INSERT INTO people SELECT i, 'p' || i || '@example.com', 'card' || i, i, timestamptz '2026-01-01' + i * interval '1 minute'
    FROM generate_series(1, 20000) i;
    INSERT INTO payments SELECT i, i, 'card' || i FROM generate_series(1, 20000) i;
    ANALYZE people, payments;";

#[tokio::test(flavor = "multi_thread")]
async fn masks_keep_plans() {
    for major in [14, 18] {
        let pg = PgServer::start(&bin_of(major), &[]).await;
        pg.admin("postgres").await.batch_execute("CREATE DATABASE shop").await.unwrap();
        let admin = pg.admin("shop").await;
        admin.batch_execute(SQL).await.unwrap();
        let upstream = pg.upstream("shop", "dbaccess", GATEWAY_PASSWORD);
        let params = setup::params(&upstream).unwrap();
        apply_setup(&pg.admin_upstream("shop"), &params).await.unwrap();
        let target = Target::new(upstream).unwrap();
        let token = || Mask::Token { domain: "card".to_owned() };
        let rules = [
            rule("people", "email", partial(PartialKind::Email)),
            rule("people", "card", token()),
            rule("people", "salary", Mask::Null),
            rule("payments", "card", token()),
        ];
        let role = open_masked(&target, &["people", "payments"], &rules).await;
        let session = pg.connect("shop", &role.name, &role.password).await.unwrap();
        for sql in [
            "SELECT * FROM people WHERE id = 4711",
            "SELECT id, email, card FROM people WHERE id BETWEEN 100 AND 120",
            "SELECT email, card FROM people ORDER BY created_at DESC LIMIT 20",
            "SELECT p.email, y.card FROM people p JOIN payments y ON y.person = p.id WHERE p.id = 4711",
            "SELECT count(*) FROM people WHERE created_at > '2026-01-14' AND salary IS NULL",
        ] {
            let (plain, masked) = (plan(&admin, sql).await, plan(&session, sql).await);
            // The token's key is read once, in a plan of its own.
            let indexes = |nodes: &[String]| {
                let used = nodes.iter().filter(|node| node.contains("Index"));
                used.filter_map(|node| Some(node.rsplit_once(' ')?.1.to_owned())).collect::<Vec<_>>()
            };
            let (of_table, of_view) = (indexes(&plain), indexes(&masked));
            assert!(
                of_table.iter().all(|node| of_view.contains(node)),
                "PostgreSQL {major}, {sql}: {plain:?} became {masked:?}"
            );
            assert!(!of_table.is_empty(), "{sql}: {plain:?}");
            let scans = masked.iter().filter(|node| *node == "Seq Scan").count();
            assert!(scans <= usize::from(sql.contains("card") || sql.contains('*')), "{sql}: {masked:?}");
        }
    }
}
