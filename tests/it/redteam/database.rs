//! Straight at the database: the session's role is all that holds.

use super::{SCOPES, Scope, fill, run, targets};
use crate::support::env::GATEWAY_PASSWORD;
use crate::support::masked::{Role, open_profile};
use crate::support::pg_server::{PgServer, bin_of};
use dbaccess::core::model::{
    Classification, Comparison, Condition, Objects, Permission, Scope as Resolved, TableName,
};
use dbaccess::server::config::{ConfiguredTarget, Upstream};
use dbaccess::server::provision::{Target, apply_setup};
use dbaccess::server::setup;
use std::collections::{BTreeMap, BTreeSet};

/// An old and the newest version: statements, types and statistics differ. (The
/// cases are written for 15: before, there is no MERGE, and anybody may make
/// tables in `public`.)
#[tokio::test(flavor = "multi_thread")]
async fn g3_every_database_case_holds_without_a_gateway() {
    for major in [15, 18] {
        println!("PostgreSQL {major}");
        let pg = PgServer::start(&bin_of(major), &[]).await;
        fill(&pg, "redteam").await;
        let targets = targets("redteam", pg.port(), GATEWAY_PASSWORD);
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
    let role = open_profile(&target, &profile, scope.more.is_empty()).await.unwrap();
    dsn(target.upstream(), &role)
}

/// How libpq connects as a session's role, straight to its database.
pub(super) fn dsn(place: &Upstream, role: &Role) -> String {
    let place = super::dsn(&place.host, place.port, &place.database, &role.name, &role.password);
    match &role.works_as {
        Some(owner) => format!("{place} options='-c role={owner}'"),
        None => place,
    }
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
