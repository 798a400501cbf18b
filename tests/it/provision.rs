//! Provisioning on real servers, each test on every supported version: the
//! session role is used directly, without any gateway, because the database is
//! the boundary (G3).

mod ddl;
mod deploys;
mod ending;
mod masks;
mod scope;
mod sealed;
mod setup;
mod views;

use crate::support::pg_server::PgServer;
use dbaccess::core::model::{
    AskedScope, Classification, Classified, Mask, Rule, SchemaOwner, Scope, Secret, Selector, Sensitivity,
    TableName,
};
use dbaccess::core::profile::{Profile, session_role};
use dbaccess::os;
use dbaccess::server::provision::{
    OpenSession, ProvisionError, STATEMENT_TIMEOUT, SessionSettings, SetupParams, Target, apply_setup,
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::MutexGuard;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Makes of each scenario one test a version.
macro_rules! on_every_version {
    (@version $module:ident $major:literal $($scenario:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                let mut shop = crate::provision::Shop::open($major).await;
                super::$scenario(&mut shop).await;
                shop.clear().await;
            })+
        }
    };
    ($($scenario:ident)+) => {
        on_every_version!(@version pg14 14 $($scenario)+);
        on_every_version!(@version pg15 15 $($scenario)+);
        on_every_version!(@version pg16 16 $($scenario)+);
        on_every_version!(@version pg17 17 $($scenario)+);
        on_every_version!(@version pg18 18 $($scenario)+);
    };
}
use on_every_version;

pub(crate) const GATEWAY: &str = "dbaccess_gateway";
pub(crate) const GATEWAY_PASSWORD: &str = "gateway-password";

/// A target with a small shop in it, set up for dbaccess.
struct Shop {
    server: MutexGuard<'static, PgServer>,
    database: String,
    target: Target,
    admin: Client,
    until: Timestamp,
}

/// What a scenario asks of a session, in words.
struct Person {
    role: String,
    password: String,
}

impl Shop {
    async fn open(major: u32) -> Self {
        let server = PgServer::exclusive(major).await;
        let database = format!("shop_{:x}", u64::from_be_bytes(os::random::<8>()));
        let admin = server.admin("postgres").await;
        run(&admin, &format!("CREATE DATABASE {database}")).await;
        let admin = server.admin(&database).await;
        run(&admin, include_str!("provision/shop.sql")).await;
        apply_setup(&server.admin_upstream(&database), &params(None)).await.expect("the setup applies");
        let target = Target::new(server.upstream(&database, GATEWAY, GATEWAY_PASSWORD)).unwrap();
        let until = os::now() + SignedDuration::from_hours(1);
        Self { server, database, target, admin, until }
    }

    /// Leaves the cluster to the next scenario as it was found.
    async fn clear(self) {
        let admin = self.server.admin("postgres").await;
        let ours =
            format!("SELECT string_agg(datname, ' ') FROM pg_database WHERE datname ~ '^{}'", self.database);
        for database in value(&admin, &ours).await.unwrap_or_default().split(' ') {
            run(&admin, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
        }
        // What a failed scenario left in its database stays there, for a look.
        let roles = "SELECT string_agg(rolname, ', ') FROM pg_roles r WHERE rolname ~ '^dbaccess_[spo]_'
                     AND NOT EXISTS (SELECT FROM pg_shdepend d WHERE d.refobjid = r.oid)";
        if let Some(roles) = value(&admin, roles).await {
            run(&admin, &format!("DROP ROLE {roles}")).await;
        }
    }

    async fn profile(&self, asked: &AskedScope) -> Profile {
        let catalog = self.target.catalog().await.expect("the catalog is readable");
        self.target.profile(
            &asked.resolve(&catalog).expect("it exists"),
            &catalog,
            &Classification::default(),
        )
    }

    /// The profile of a scope where columns are classified: `table.column` in
    /// `public`, or `schema.table.column`.
    async fn scoped_profile(&self, scope: &Scope, masks: &[(&str, Mask)]) -> Profile {
        let named = |(name, mask): &(&str, Mask)| {
            let parts: Vec<&str> = name.split('.').collect();
            let table = match parts.as_slice() {
                [table, _] => TableName::new("public", *table),
                [schema, table, _] => TableName::new(*schema, *table),
                _ => panic!("{name} is no column"),
            };
            ((table, (*parts.last().unwrap()).to_owned()), mask.clone())
        };
        self.profile_of(scope, masks.iter().map(named).collect()).await
    }

    async fn profile_of(&self, scope: &Scope, masks: Vec<((TableName, String), Mask)>) -> Profile {
        let mut catalog = self.target.catalog().await.expect("the catalog is readable");
        let owners = "SELECT nspname::text, nspowner::regrole::text FROM pg_namespace";
        let owner = |row: &tokio_postgres::Row| SchemaOwner { schema: row.get(0), owner: row.get(1) };
        catalog.owners = self.admin.query(owners, &[]).await.unwrap().iter().map(owner).collect();
        let rule = |((table, column), mask)| Rule {
            selector: Selector::Column { table, column },
            classified: Classified { sensitivity: Sensitivity::Pii, mask },
        };
        let rules: Vec<Rule> = masks.into_iter().map(rule).collect();
        self.target.profile(scope, &catalog, &Classification::of(&rules, &catalog))
    }

    async fn masked_profile(&self, asked: &AskedScope, masks: &[(&str, Mask)]) -> Profile {
        let catalog = self.target.catalog().await.expect("the catalog is readable");
        self.scoped_profile(&asked.resolve(&catalog).expect("it exists"), masks).await
    }

    async fn masked(&self, asked: &AskedScope, masks: &[(&str, Mask)]) -> Person {
        let profile = self.masked_profile(asked, masks).await;
        self.session_with(&profile, !asked.write).await.expect("the session opens")
    }

    async fn scoped(&self, scope: &Scope, masks: &[(&str, Mask)], read_only: bool) -> Person {
        let profile = self.scoped_profile(scope, masks).await;
        self.session_with(&profile, read_only).await.unwrap_or_else(|error| panic!("{scope:?}: {error}"))
    }

    async fn session(&self, asked: &AskedScope) -> Person {
        self.session_with(&self.profile(asked).await, !asked.write).await.expect("the session opens")
    }

    async fn session_with(&self, profile: &Profile, read_only: bool) -> Result<Person, ProvisionError> {
        let person = Person {
            role: session_role(os::random()),
            password: Secret::from_random(os::random()).expose().to_owned(),
        };
        let verifier = verifier(&person.password);
        let session = OpenSession {
            role: &person.role,
            verifier: &verifier,
            until: self.until,
            profile,
            comment: "alice@example.com grt-000000000000",
            settings: SessionSettings::careful("dbaccess alice@example.com", read_only, STATEMENT_TIMEOUT),
            connection_limit: 8,
        };
        self.target.open_session(&session).await.map(|()| person)
    }

    /// A direct connection to the target's database as the session's role.
    async fn connect(&self, person: &Person) -> Client {
        self.connect_to(&self.database, person).await
    }

    /// As the gateway connects a session that changes a schema.
    async fn connect_as(&self, person: &Person, owner: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.server.port())
            .dbname(&self.database)
            .user(&person.role)
            .password(&person.password)
            .options(format!("-c role={owner}"));
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("it connects");
        tokio::spawn(connection);
        client
    }

    async fn connect_to(&self, database: &str, person: &Person) -> Client {
        self.server
            .connect(database, &person.role, &person.password)
            .await
            .expect("the session's role logs in")
    }
}

pub(crate) fn params(object_owner: Option<&str>) -> SetupParams {
    SetupParams {
        gateway_login: GATEWAY.to_owned(),
        gateway_verifier: Some(verifier(GATEWAY_PASSWORD)),
        object_owner: object_owner.map(ToOwned::to_owned),
        ddl_owners: Vec::new(),
    }
}

pub(crate) fn verifier(password: &str) -> Secret {
    Secret::new(postgres_protocol::password::scram_sha_256(password.as_bytes()))
}

fn tables(names: &[&str]) -> AskedScope {
    AskedScope { tables: names.iter().map(ToString::to_string).collect(), ..AskedScope::default() }
}

fn writing(asked: AskedScope) -> AskedScope {
    AskedScope { write: true, ..asked }
}

pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The SQLSTATE that a statement ends with; `None` when it passes.
pub(crate) async fn sqlstate(client: &Client, sql: &str) -> Option<String> {
    client.batch_execute(sql).await.err().map(|error| match error.code() {
        Some(code) => code.code().to_owned(),
        None => panic!("{sql}: {error:?}"),
    })
}

/// The first value of the first row.
pub(crate) async fn value(client: &Client, sql: &str) -> Option<String> {
    let rows = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
        _ => None,
    })
}

async fn role_exists(client: &Client, role: &str) -> bool {
    value(client, &format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'")).await.as_deref()
        == Some("1")
}
