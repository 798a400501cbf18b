//! Straight at the database: the session's role is all that holds.

use super::{SCOPES, Scope, dsn, fill, run, targets};
use crate::support::pg_server::{MAJORS, PgServer, bin_of};
use dbaccess::core::model::{
    Classification, Comparison, Condition, Objects, Permission, Scope as Resolved, Secret, TableName,
};
use dbaccess::core::profile::{Profile, session_role};
use dbaccess::os;
use dbaccess::server::config::ConfiguredTarget;
use dbaccess::server::provision::{OpenSession, ProvisionError, SessionSettings, Target, apply_setup};
use dbaccess::server::setup;
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) const PASSWORD: &str = "gateway-login-for-tests";

/// The oldest and the newest version: statements, types and statistics differ.
#[tokio::test(flavor = "multi_thread")]
async fn g3_every_database_case_holds_without_a_gateway() {
    for major in [MAJORS[0], MAJORS[MAJORS.len() - 1]] {
        println!("PostgreSQL {major}");
        let pg = PgServer::start(&bin_of(major), &[]).await;
        fill(&pg, "redteam").await;
        let targets = targets("redteam", pg.port(), PASSWORD);
        let mut sessions = BTreeMap::new();
        for scope in &SCOPES {
            let configured = &targets[scope.target];
            let params = setup::params(&configured.upstream).unwrap();
            apply_setup(&pg.admin_upstream("redteam"), &params).await.unwrap();
            sessions.insert(scope.name, open(configured, scope).await);
        }
        run(&pg, "redteam", &sessions, "db").await;
    }
}

/// Opens a session and tells how to connect as its role.
async fn open(configured: &ConfiguredTarget, scope: &Scope) -> String {
    let target = Target::new(configured.upstream.clone()).unwrap();
    let catalog = target.catalog().await.unwrap();
    let classification = Classification::of(&configured.target.classified, &catalog);
    let profile = target.profile(&resolved(scope), &catalog, &classification);
    open_profile(&target, &profile, scope.more.is_empty()).await.unwrap()
}

pub(super) async fn open_profile(
    target: &Target,
    profile: &Profile,
    read_only: bool,
) -> Result<String, ProvisionError> {
    let (role, password) = (session_role(os::random()), Secret::from_random(os::random()));
    let verifier = Secret::new(postgres_protocol::password::scram_sha_256(password.expose().as_bytes()));
    let session = OpenSession {
        role: &role,
        verifier: &verifier,
        until: os::now() + SignedDuration::from_hours(1),
        profile,
        comment: "alice@example.com grt-000000000000",
        settings: SessionSettings {
            application_name: "dbaccess alice@example.com".to_owned(),
            read_only,
            statement_timeout: Duration::from_secs(20),
            lock_timeout: Duration::from_secs(3),
            idle_in_transaction_timeout: Duration::from_secs(60),
            temp_file_limit_mib: 256,
        },
        connection_limit: 8,
    };
    target.open_session(&session).await?;
    let place = target.upstream();
    Ok(dsn(&place.host, place.port, &place.database, &role, password.expose()))
}

/// The scope that such a request comes to.
fn resolved(scope: &Scope) -> Resolved {
    let name = |text: &&str| serde_json::from_value::<TableName>((*text).into()).unwrap();
    let tables: BTreeSet<TableName> = scope.tables.iter().map(name).collect();
    let mut permissions = BTreeSet::from([Permission::Read]);
    if !scope.more.is_empty() {
        permissions.insert(Permission::Write);
    }
    if scope.more.contains(&"--ddl") {
        permissions.insert(Permission::Ddl);
    }
    let condition = |tenant: &str| Condition::Compare {
        column: "tenant_id".to_owned(),
        operator: Comparison::Equal,
        value: tenant.to_owned(),
        type_name: "integer".to_owned(),
    };
    let rows = scope.tenant.into_iter();
    let rows = rows.flat_map(|tenant| tables.iter().map(move |table| (table.clone(), condition(tenant))));
    let unmask = scope.unmask.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let users = TableName::new("public", "users");
    Resolved {
        rows: rows.collect(),
        unmask: if unmask.is_empty() { BTreeMap::new() } else { BTreeMap::from([(users, unmask)]) },
        permissions,
        objects: Objects::Only { schemas: scope.schemas.iter().map(ToString::to_string).collect(), tables },
    }
}
