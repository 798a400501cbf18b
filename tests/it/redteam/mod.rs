//! The database half of the red team: its schema, and sessions of its scopes,
//! made as the server makes them. Used directly against the database (G3).

use crate::provision::{GATEWAY, GATEWAY_PASSWORD, params, run, sqlstate, value, verifier};
use crate::support::pg_server::PgServer;
use dbaccess::core::model::{
    Classification, Classified, Comparison, Condition, Mask, Objects, Partial, PartialKind, Permission, Rule,
    SchemaOwner, Scope, Secret, Selector, Sensitivity, TableName,
};
use dbaccess::core::profile::{Profile, session_role};
use dbaccess::os;
use dbaccess::server::provision::{
    OpenSession, STATEMENT_TIMEOUT, SessionSettings, SetupParams, Target, apply_setup,
};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::MutexGuard;
use tokio_postgres::Client;

/// The scopes that the corpus speaks of.
pub const SCOPES: [&str; 5] = ["ro_masked", "rw_masked", "ro_row", "agg_only", "ddl_shop"];

/// A database with the red team's schema, set up for dbaccess.
pub struct Range {
    pub server: MutexGuard<'static, PgServer>,
    pub database: String,
    pub admin: Client,
    target: Target,
}

/// One session's role, to be used directly.
pub struct Attacker {
    pub role: String,
    pub password: Secret,
    pub profile: Profile,
}

impl Range {
    pub async fn open(major: u32) -> Self {
        let server = PgServer::exclusive(major).await;
        let database = format!("range_{:x}", u64::from_be_bytes(os::random::<8>()));
        let admin = server.admin("postgres").await;
        run(&admin, &format!("CREATE DATABASE {database}")).await;
        let admin = server.admin(&database).await;
        // As PostgreSQL 15 and later have it.
        run(&admin, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
        run(&admin, include_str!("schema.sql")).await;
        let params = SetupParams { ddl_owners: vec!["shop_owner".to_owned()], ..params(None) };
        apply_setup(&server.admin_upstream(&database), &params).await.expect("the setup applies");
        let target = Target::new(server.upstream(&database, GATEWAY, GATEWAY_PASSWORD)).unwrap();
        Self { server, database, admin, target }
    }

    /// A session of one of [`SCOPES`].
    pub async fn session(&self, scope: &str) -> Attacker {
        let (scope, rules) = asked(scope);
        let mut catalog = self.target.catalog().await.expect("the catalog is readable");
        let owners = "SELECT nspname::text, nspowner::regrole::text FROM pg_namespace";
        let owner = |row: &tokio_postgres::Row| SchemaOwner { schema: row.get(0), owner: row.get(1) };
        catalog.owners = self.admin.query(owners, &[]).await.unwrap().iter().map(owner).collect();
        let classification = Classification::of(&rules, &catalog);
        let profile = self.target.profile(&scope, &catalog, &classification);
        let (role, password) = (session_role(os::random()), Secret::from_random(os::random()));
        let session = OpenSession {
            role: &role,
            verifier: &verifier(password.expose()),
            until: os::now() + SignedDuration::from_hours(1),
            profile: &profile,
            comment: "red team",
            settings: SessionSettings::careful(
                "dbaccess red team",
                !scope.writes() && !scope.changes_schema(),
                STATEMENT_TIMEOUT,
            ),
            connection_limit: 8,
        };
        self.target.open_session(&session).await.expect("the session opens");
        Attacker { role, password, profile }
    }

    /// A libpq connection string that uses a session's role directly, as the
    /// gateway would.
    pub fn dsn(&self, attacker: &Attacker) -> String {
        let owner = attacker.profile.views().become_role.as_deref();
        let options = owner.map(|owner| format!(" options='-c role={owner}'")).unwrap_or_default();
        format!(
            "host=127.0.0.1 port={} dbname={} user={} password={}{options}",
            self.server.port(),
            self.database,
            attacker.role,
            attacker.password.expose()
        )
    }

    pub async fn connect(&self, attacker: &Attacker) -> Client {
        let config: tokio_postgres::Config = self.dsn(attacker).parse().unwrap();
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("it connects");
        tokio::spawn(connection);
        client
    }

    /// Leaves the cluster as it was found.
    pub async fn clear(self) {
        for role in self.target.managed_roles().await.unwrap() {
            self.target.close_session(&role.name).await.expect("it ends");
        }
        for profile in self.target.managed_profiles().await.unwrap() {
            self.target.drop_profile(&profile.name).await.expect("it goes");
        }
        let admin = self.server.admin("postgres").await;
        run(&admin, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

const WEIRD: &str = "Weird \"Täble\" ☃";
const LONG: &str = "a_table_name_that_is_exactly_sixty_three_bytes_long_0123456789a";

/// A scope of the corpus as a grant has it, with the classification that its
/// masks come from.
pub fn asked(scope: &str) -> (Scope, Vec<Rule>) {
    let partial = |kind| Mask::Partial(Partial { kind, first: None, last: None });
    let email = || partial(PartialKind::Email);
    let card = || Mask::Token { domain: "card".to_owned() };
    let aggregate = || Mask::Aggregate { min_group: 10 };
    let users = |profile: Mask, salary: Mask| {
        vec![
            ("users", "email", email()),
            ("users", "email_lc", email()),
            ("users", "phone", partial(PartialKind::Phone)),
            ("users", "ssn", Mask::Null),
            ("users", "salary", salary),
            ("users", "profile", profile),
        ]
    };
    let prefs = || Mask::Json { keep: vec![vec!["prefs".to_owned()]] };
    let masked = || {
        [
            users(prefs(), Mask::Null),
            vec![("payments", "card_number", card()), ("orders", "card_number", card())],
        ]
        .concat()
    };
    let plain: [(&str, &str); 2] = [("shop", "products"), ("shop", "stock")];
    let public = |tables: &[&'static str]| tables.iter().map(|table| ("public", *table)).collect::<Vec<_>>();
    let (tables, permissions, masks) = match scope {
        "ro_masked" => {
            let more = vec![
                ("events", "ip", Mask::Null),
                ("events", "payload", Mask::Null),
                ("people", "passport", Mask::Null),
                ("people_vip", "home_address", Mask::Null),
                (WEIRD, "e.mail", email()),
                (LONG, "secret", Mask::Null),
            ];
            let tables = [
                "users",
                "payments",
                "orders",
                "events",
                "events_2024",
                "events_2025",
                "people",
                "people_vip",
                WEIRD,
                LONG,
            ];
            ([public(&tables), plain.to_vec()].concat(), vec![Permission::Read], [masked(), more].concat())
        }
        "rw_masked" => (
            [public(&["users", "payments", "orders"]), plain.to_vec()].concat(),
            vec![Permission::Read, Permission::Write],
            masked(),
        ),
        "ro_row" => (
            public(&["users", "orders", "payments", "tickets"]),
            vec![Permission::Read],
            vec![
                ("users", "ssn", Mask::Null),
                ("users", "salary", Mask::Null),
                ("orders", "card_number", Mask::Null),
                ("payments", "card_number", Mask::Null),
            ],
        ),
        "agg_only" => (
            public(&["users", "payments"]),
            vec![Permission::Read],
            [
                users(Mask::Null, aggregate()),
                vec![("payments", "amount", aggregate()), ("payments", "card_number", Mask::Null)],
            ]
            .concat(),
        ),
        "ddl_shop" => (plain.to_vec(), vec![Permission::Read, Permission::Ddl], Vec::new()),
        other => panic!("the corpus has no scope {other}"),
    };
    let tables: BTreeSet<TableName> =
        tables.into_iter().map(|(schema, table)| TableName::new(schema, table)).collect();
    let objects = Objects::Only { schemas: BTreeSet::new(), tables: tables.clone() };
    let tenant = Condition::Compare {
        column: "tenant_id".to_owned(),
        operator: Comparison::Equal,
        value: "7".to_owned(),
        type_name: "integer".to_owned(),
    };
    let rows: BTreeMap<TableName, Condition> = match scope {
        "ro_row" => tables.into_iter().map(|table| (table, tenant.clone())).collect(),
        _ => BTreeMap::new(),
    };
    let rule = |(table, column, mask): (&str, &str, Mask)| Rule {
        selector: Selector::Column { table: TableName::new("public", table), column: column.to_owned() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask },
    };
    let scope = Scope { rows, ..Scope::new(objects, permissions.into_iter().collect()) };
    (scope, masks.into_iter().map(rule).collect())
}

/// Each scope opens, shows what it should and hides its canaries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_the_red_teams_scopes_hold_in_the_database() {
    let range = Range::open(18).await;
    for scope in SCOPES {
        let attacker = range.session(scope).await;
        let client = range.connect(&attacker).await;
        for sql in
            ["SELECT * FROM public.users", "SELECT * FROM public.audit_secrets", "TABLE public.tickets"]
        {
            assert_eq!(sqlstate(&client, sql).await.as_deref(), Some("42501"), "{scope}: {sql}");
        }
        match scope {
            "ddl_shop" => run(&client, "CREATE TABLE shop.fresh (id int); DROP TABLE shop.fresh").await,
            "ro_row" => {
                assert_eq!(value(&client, "SELECT count(*) FROM users").await.as_deref(), Some("40"));
                assert_eq!(value(&client, "SELECT count(*) FROM tickets").await.as_deref(), Some("5"));
            }
            _ => {
                let canaries = "SELECT count(*) FROM users u WHERE u::text ~ 'qzx|8675|-7[0-9]-55|PIIADDR'";
                assert_eq!(value(&client, canaries).await.as_deref(), Some("0"), "{scope}");
                assert_eq!(value(&client, "SELECT count(email) FROM users").await.as_deref(), Some("80"));
            }
        }
    }
    range.clear().await;
}
