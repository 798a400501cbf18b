//! The setup: what it gives the server's login, what its functions refuse, and
//! what doctor says of a target.

use super::*;
use crate::support::pg_server::{MAJORS, bin_of, give_to_server_user};
use dbaccess::core::model::{Classification, ErrorKind};
use dbaccess::core::profile::quote_literal;
use dbaccess::proto::FindingLevel;
use dbaccess::server::config::UpstreamTls;
use dbaccess::server::provision::{SETUP_VERSION, apply_teardown, setup_sql};
use sha2::{Digest as _, Sha256};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

on_every_version! {
    the_servers_login_can_call_the_functions_and_nothing_else
    the_functions_refuse_what_is_not_theirs
    a_missing_setup_is_said_and_applying_it_again_is_harmless
    a_setup_adopts_nothing_that_an_application_made
    a_teardown_leaves_nothing
    doctor_names_what_is_lax_and_how_to_end_it
    an_administrator_works_through_the_same_functions
    the_catalog_is_readable_without_privileges
    opening_and_closing_take_milliseconds
}

async fn the_servers_login_can_call_the_functions_and_nothing_else(shop: &mut Shop) {
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    for sql in [
        "SELECT * FROM orders",
        "CREATE ROLE x",
        "ALTER ROLE postgres NOLOGIN",
        "SELECT dbaccess.managed_oid('x')",
        "SELECT dbaccess.session_oid('x')",
        "SELECT dbaccess.profile_changes('x', '{}')",
        "SELECT dbaccess.object_owner()",
        "CREATE FUNCTION dbaccess.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION dbaccess.version()",
        "GRANT dbaccess_sessions TO dbaccess_gateway",
        "SET ROLE dbaccess_objects",
    ] {
        assert_eq!(sqlstate(&gateway, sql).await.as_deref(), Some("42501"), "{sql}");
    }
    let callable = "SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'dbaccess'::regnamespace
                    AND has_function_privilege(oid, 'EXECUTE')";
    assert_eq!(
        value(&gateway, callable).await.as_deref(),
        Some(
            "close_session dispose_owned drop_profile end_connections ensure_profile extend_session lock_session missing_views open_session rotate_tokens version"
        )
    );
    let careless = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'dbaccess'::regnamespace AND prosecdef
                    AND proconfig @> '{\"search_path=pg_catalog, pg_temp\"}' IS NOT TRUE";
    assert_eq!(value(&shop.admin, careless).await.as_deref(), Some("0"));
    // Nobody else may call them.
    run(&shop.admin, "DROP ROLE IF EXISTS somebody; CREATE ROLE somebody LOGIN PASSWORD 'x'").await;
    let somebody = shop.server.connect(&shop.database, "somebody", "x").await.unwrap();
    assert_eq!(sqlstate(&somebody, "SELECT dbaccess.version()").await.as_deref(), Some("42501"));
}

/// A profile whose name is right for its content, whatever that says.
pub(super) fn forged(content: &str) -> (String, String) {
    let digest: String = Sha256::digest(content).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    (format!("dbaccess_p_{digest}"), content.to_owned())
}

async fn the_functions_refuse_what_is_not_theirs(shop: &mut Shop) {
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    let fakes = "CREATE ROLE dbaccess_s_0123456789abcdef LOGIN; CREATE ROLE dbaccess_s_fedcba9876543210 LOGIN SUPERUSER;
                 GRANT dbaccess_sessions TO dbaccess_s_fedcba9876543210;
                 CREATE ROLE dbaccess_p_00000000000000000000000000000000";
    run(&shop.admin, fakes).await;
    let roles = [
        "postgres",
        GATEWAY,
        "dbaccess_sessions",
        "dbaccess_objects",
        "dbaccess_s_0123456789abcdef",
        "dbaccess_s_fedcba9876543210",
        "dbaccess_p_00000000000000000000000000000000",
        "DBACCESS_S_0123456789abcdef",
        "dbaccess_s_0123456789abcdeg",
        "dbaccess_s_\"; DROP TABLE orders; --",
        "dbaccess_s_0123456789abcdef\n",
        "",
    ];
    let functions = ["lock_session", "end_connections", "dispose_owned", "close_session", "drop_profile"];
    for function in functions {
        for argument in roles.iter().map(|role| quote_literal(role)).chain(["NULL".to_owned()]) {
            let sql = format!("SELECT dbaccess.{function}({argument})");
            assert_eq!(sqlstate(&gateway, &sql).await.as_deref(), Some("42501"), "{sql}");
        }
    }
    for argument in roles.iter().map(|role| quote_literal(role)).chain(["NULL".to_owned()]) {
        let sql = format!("SELECT dbaccess.extend_session({argument}, now() + interval '1 hour')");
        assert_eq!(sqlstate(&gateway, &sql).await.as_deref(), Some("42501"), "{sql}");
    }
    assert_eq!(
        value(&shop.admin, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'postgres'").await.as_deref(),
        Some("t")
    );

    // Profiles: only what a session may hold, only here, only under its own name.
    let database = &shop.database;
    let content = |grant: &str| format!(r#"{{"database":"{database}","grants":[{grant}]}}"#);
    let table = |schema: &str, name: &str, privilege: &str| {
        content(&format!(
            r#"{{"kind":"table","schema":"{schema}","name":"{name}","privileges":["{privilege}"]}}"#
        ))
    };
    let long = "x".repeat(64);
    let refused = [
        table("pg_catalog", "pg_authid", "SELECT"),
        table("information_schema", "sql_features", "SELECT"),
        table("dbaccess", "x", "SELECT"),
        table("pg_toast", "x", "SELECT"),
        table("public", "orders", "TRUNCATE"),
        table("public", "orders", "TRIGGER"),
        table("public", "orders", "REFERENCES"),
        table("public", "orders", "ALL"),
        table("public", "orders", "SELECT ON TABLE public.payments TO PUBLIC; --"),
        table("public", &long, "SELECT"),
        content(r#"{"kind":"schema","schema":"public","name":"public","privileges":["CREATE"]}"#),
        content(r#"{"kind":"schema","schema":"public","name":"pg_catalog","privileges":["USAGE"]}"#),
        content(r#"{"kind":"sequence","schema":"public","name":"orders_id_seq","privileges":["UPDATE"]}"#),
        content(r#"{"kind":"database","schema":"postgres","name":"postgres","privileges":["CONNECT"]}"#),
        content(&format!(
            r#"{{"kind":"database","schema":"{database}","name":"{database}","privileges":["CREATE"]}}"#
        )),
        content(r#"{"kind":"function","schema":"public","name":"f","privileges":["EXECUTE"]}"#),
        content(
            r#"{"kind":"ROLE postgres TO mallory; --","schema":"public","name":"f","privileges":["EXECUTE"]}"#,
        ),
        content(r#"{"kind":null,"schema":null,"name":null,"privileges":["SELECT"]}"#),
        r#"{"database":"postgres","grants":[]}"#.to_owned(),
        r#"{"grants":[]}"#.to_owned(),
    ];
    for content in &refused {
        let (name, content) = forged(content);
        let sql = format!("SELECT dbaccess.ensure_profile('{name}', {})", quote_literal(&content));
        assert_eq!(sqlstate(&gateway, &sql).await.as_deref(), Some("42501"), "{sql}");
    }
    let (name, good) = forged(&table("public", "orders", "SELECT"));
    let (other, _) = forged(&table("public", "payments", "SELECT"));
    let widened = format!("SELECT dbaccess.ensure_profile('{other}', {})", quote_literal(&good));
    assert_eq!(sqlstate(&gateway, &widened).await.as_deref(), Some("42501"));
    run(&gateway, &format!("SELECT dbaccess.ensure_profile('{name}', {})", quote_literal(&good))).await;

    // Sessions: a right name, a verifier, a near end, our settings, a managed profile.
    let role = session_role([7; 16]);
    let scram = verifier("x").expose().to_owned();
    let open = |role: &str, verifier: &str, until: &str, profile: &str, settings: &str, limit: i32| {
        format!(
            "SELECT dbaccess.open_session({}, {}, {until}, {}, {}, 'c', {}, {limit})",
            quote_literal(role),
            quote_literal(verifier),
            quote_literal(profile),
            quote_literal(&good),
            quote_literal(settings)
        )
    };
    let hour = "now() + interval '1 hour'";
    let cases = [
        (open("postgres", &scram, hour, &name, "{}", 1), "42501"),
        (open(&name, &scram, hour, &name, "{}", 1), "42501"),
        (open("dbaccess_s_0123456789abcdef", &scram, hour, &name, "{}", 1), "42501"),
        (open("dbaccess_s_short", &scram, hour, &name, "{}", 1), "42501"),
        (open(&role, "hunter2", hour, &name, "{}", 1), "22023"),
        (open(&role, "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", hour, &name, "{}", 1), "22023"),
        (open(&role, "SCRAM-SHA-256$x' SUPERUSER", hour, &name, "{}", 1), "22023"),
        (open(&role, &scram, "now() - interval '1 second'", &name, "{}", 1), "22023"),
        (open(&role, &scram, "now() + interval '26 hours'", &name, "{}", 1), "22023"),
        (open(&role, &scram, "'infinity'", &name, "{}", 1), "22023"),
        (open(&role, &scram, "NULL", &name, "{}", 1), "22023"),
        (open(&role, &scram, hour, &name, "{}", -1), "22023"),
        (open(&role, &scram, hour, &name, r#"{"role":"postgres"}"#, 1), "42501"),
        (open(&role, &scram, hour, &name, r#"{"session_preload_libraries":"x"}"#, 1), "42501"),
        (open(&role, &scram, hour, &name, r#"{"session_authorization":"postgres"}"#, 1), "42501"),
        (open(&role, &scram, hour, "postgres", "{}", 1), "42501"),
        (open(&role, &scram, hour, "dbaccess_p_00000000000000000000000000000000", "{}", 1), "42501"),
        (open(&role, &scram, hour, &other, "{}", 1), "42501"),
    ];
    for (sql, expected) in &cases {
        assert_eq!(sqlstate(&gateway, sql).await.as_deref(), Some(*expected), "{sql}");
        assert!(!role_exists(&shop.admin, &role).await, "{sql}");
    }
    let good_call = open(&role, &scram, hour, &name, r#"{"lock_timeout":"1s"}"#, 1);
    assert_eq!(sqlstate(&gateway, &good_call).await, None);
    assert_eq!(sqlstate(&gateway, &good_call).await.as_deref(), Some("42710"));
    let in_use = format!("SELECT dbaccess.drop_profile('{name}')");
    assert_eq!(sqlstate(&gateway, &in_use).await.as_deref(), Some("55006"));
    let memberships = format!(
        "SELECT string_agg(r.rolname, ' ' ORDER BY r.rolname) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = '{role}'::regrole"
    );
    assert_eq!(value(&shop.admin, &memberships).await, Some(format!("{name} dbaccess_sessions")));
}

async fn a_missing_setup_is_said_and_applying_it_again_is_harmless(shop: &mut Shop) {
    let profile = shop.profile(&tables(&["orders"])).await;
    let alice = shop.session_with(&profile, true).await.expect("it opens");
    let admin = shop.server.admin_upstream(&shop.database);
    let databases = apply_setup(&admin, &params(None)).await.expect("the setup applies again");
    assert!(databases.iter().any(|name| name == "template1"), "{databases:?}");
    assert!(shop.target.close_session(&alice.role).await.expect("it ends").existed);

    let future = setup_sql(&params(None)).replace(&format!("RETURN {SETUP_VERSION};"), "RETURN 9999;");
    run(&shop.admin, &future).await;
    let error = shop.session_with(&profile, true).await.err().expect("another version");
    assert!(error.to_string().contains("dbaccess target setup"), "{error}");
    run(&shop.admin, "DROP SCHEMA dbaccess CASCADE").await;
    let error = shop.session_with(&profile, true).await.err().expect("no setup");
    assert!(error.to_string().contains("dbaccess target setup"), "{error}");
    let mut wrong = shop.target.upstream().clone();
    wrong.password = Some(Secret::new("wrong"));
    let error = Target::new(wrong).unwrap().catalog().await.expect_err("the password is wrong");
    assert!(matches!(error, ProvisionError::Refused { .. }), "{error}");
    let mut down = shop.target.upstream().clone();
    down.port = 1;
    let error = Target::new(down).unwrap().catalog().await.expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}

async fn a_setup_adopts_nothing_that_an_application_made(shop: &mut Shop) {
    let upstream = shop.server.admin_upstream(&shop.database);
    // What is the administrator's own, but was changed.
    for (change, back) in [
        (
            "CREATE FUNCTION public.steal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER steal BEFORE INSERT ON dbaccess_secret.token_key FOR EACH ROW EXECUTE FUNCTION public.steal()",
            "DROP TRIGGER steal ON dbaccess_secret.token_key",
        ),
        (
            "CREATE RULE steal AS ON INSERT TO dbaccess.profiles DO ALSO NOTHING",
            "DROP RULE steal ON dbaccess.profiles",
        ),
        (
            "CREATE POLICY steal ON dbaccess.profiles USING (true)",
            "DROP POLICY steal ON dbaccess.profiles",
        ),
        (
            "DROP ROLE IF EXISTS shop_app; CREATE ROLE shop_app; GRANT CREATE ON SCHEMA dbaccess_secret TO shop_app;
             ALTER TABLE dbaccess_secret.token_key OWNER TO shop_app",
            "ALTER TABLE dbaccess_secret.token_key OWNER TO CURRENT_USER",
        ),
    ] {
        run(&shop.admin, change).await;
        assert!(apply_setup(&upstream, &params(None)).await.is_err(), "{change}");
        run(&shop.admin, back).await;
    }
    run(&shop.admin, "GRANT CREATE ON SCHEMA dbaccess TO PUBLIC; GRANT SELECT (key) ON dbaccess_secret.token_key TO shop_app").await;
    apply_setup(&upstream, &params(None)).await.expect("it is as it was");
    let open = "SELECT (SELECT string_agg(nspacl::text, ' ') FROM pg_namespace WHERE nspname IN ('dbaccess', 'dbaccess_secret'))
                    || coalesce((SELECT string_agg(attacl::text, ' ') FROM pg_attribute WHERE attrelid = 'dbaccess_secret.token_key'::regclass), '')";
    let open = value(&shop.admin, open).await.unwrap();
    assert!(!open.contains("shop_app") && !open.contains("{=") && !open.contains(",="), "{open}");
    // A schema that was there before dbaccess.
    let other = format!("{}_other", shop.database);
    run(&shop.admin, &format!("CREATE DATABASE {other} TEMPLATE template0")).await;
    let admin = shop.server.admin(&other).await;
    for schema in ["dbaccess", "dbaccess_secret"] {
        run(&admin, &format!("CREATE SCHEMA {schema} AUTHORIZATION shop_app")).await;
        let refused =
            apply_setup(&shop.server.admin_upstream(&other), &params(None)).await.expect_err("it is refused");
        assert!(format!("{refused:?}").contains("shop_app"), "{refused:?}");
        run(&admin, &format!("DROP SCHEMA {schema}")).await;
    }
    apply_setup(&shop.server.admin_upstream(&other), &params(None)).await.expect("it applies");
    run(&shop.admin, "DROP OWNED BY shop_app; DROP ROLE shop_app").await;
}

async fn a_teardown_leaves_nothing(shop: &mut Shop) {
    let alice = shop.session(&tables(&["orders"])).await;
    let client = shop.connect(&alice).await;
    let admin = shop.server.admin_upstream(&shop.database);
    apply_teardown(&admin, &params(None)).await.expect("the teardown applies");
    apply_teardown(&admin, &params(None)).await.expect("the teardown applies again");
    assert!(client.simple_query("SELECT 1").await.is_err());
    let left = "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname ~ '^dbaccess'";
    assert_eq!(value(&shop.admin, left).await.as_deref(), Some(GATEWAY));
}

async fn doctor_names_what_is_lax_and_how_to_end_it(shop: &mut Shop) {
    let level = |findings: &[dbaccess::proto::Finding], check: &str| {
        findings.iter().find(|finding| finding.check == check).map(|finding| finding.level)
    };
    run(&shop.admin, "GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    run(&shop.admin, "CREATE FUNCTION lend() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'").await;
    let other = format!("{}_new", shop.database);
    run(&shop.admin, &format!("CREATE DATABASE {other} TEMPLATE template0")).await;
    let found = shop.target.findings().await;
    for check in ["public_create", "public_connect", "definer_functions"] {
        assert_eq!(level(&found, check), Some(FindingLevel::Warning), "{check}: {found:#?}");
    }
    for check in ["version", "clock", "login", "orphans"] {
        assert_eq!(level(&found, check), Some(FindingLevel::Ok), "{check}: {found:#?}");
    }
    let setup = found.iter().find(|finding| finding.check == "setup").expect("a finding");
    assert!(setup.level == FindingLevel::Problem && setup.message.contains(&other), "{setup:?}");

    // The remedies, run as they stand, are the cure.
    apply_setup(&shop.server.admin_upstream(&shop.database), &params(None)).await.expect("the setup applies");
    for check in ["public_create", "public_connect", "definer_functions"] {
        let finding = found.iter().find(|finding| finding.check == check).expect("a finding");
        run(&shop.admin, finding.remedy.as_deref().expect("a remedy")).await;
    }
    let cured = shop.target.findings().await;
    for check in ["setup", "public_create", "public_connect", "definer_functions"] {
        assert_eq!(level(&cured, check), Some(FindingLevel::Ok), "{check}: {cured:#?}");
    }
    run(&shop.admin, "GRANT CONNECT, TEMPORARY ON DATABASE postgres, template1 TO PUBLIC").await;

    let mut trial = shop.server.admin_upstream(&shop.database);
    trial.object_owner = None;
    let found = Target::new(trial).unwrap().findings().await;
    assert_eq!(level(&found, "login"), Some(FindingLevel::Warning));
    assert_eq!(level(&found, "pg_hba"), Some(FindingLevel::Warning), "the scratch cluster trusts its socket");
    let mut down = shop.target.upstream().clone();
    down.port = 1;
    let found = Target::new(down).unwrap().findings().await;
    assert!(found.len() == 1 && level(&found, "reachable") == Some(FindingLevel::Problem), "{found:?}");
}

async fn an_administrator_works_through_the_same_functions(shop: &mut Shop) {
    shop.target = Target::new(shop.server.admin_upstream(&shop.database)).unwrap();
    let alice = shop.session(&tables(&["orders"])).await;
    assert_eq!(sqlstate(&shop.connect(&alice).await, "SELECT * FROM orders").await, None);
    assert!(shop.target.close_session(&alice.role).await.expect("it ends").existed);
}

async fn the_catalog_is_readable_without_privileges(shop: &mut Shop) {
    let catalog = shop.target.catalog().await.expect("it is readable");
    let shown: Vec<String> = catalog
        .relations
        .iter()
        .map(|r| format!("{} {:?} {} {}", r.name, r.kind, r.columns.len(), r.sequences.len()))
        .collect();
    assert_eq!(
        shown,
        [
            "hr.people Table 1 0",
            "hr.salaries Table 2 0",
            "public.daily MaterializedView 1 0",
            "public.events PartitionedTable 2 0",
            "public.events_2026 Table 2 0",
            "public.order_totals View 2 0",
            "public.orders Table 3 1",
            "public.payments Table 2 1",
        ]
    );
    assert_eq!(catalog.schemas, ["Odd \"Schéma\"", "hr", "public"]);
    let orders = catalog.relations.iter().find(|r| r.name.name == "orders").unwrap();
    let total = &orders.columns[2];
    assert_eq!(
        (total.name.as_str(), total.type_name.as_str(), orders.owner.as_str()),
        ("total", "numeric", "postgres")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_target_is_verified_and_a_stranger_refused() {
    let files = tempfile::TempDir::new_in("/tmp").unwrap();
    give_to_server_user(files.path());
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        give_to_server_user(&path);
        path
    };
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let ca = write("server.crt", &issued.cert.pem());
    let key = write("server.key", &issued.signing_key.serialize_pem());
    let other_ca = write("other.crt", &stranger.cert.pem());
    let tls = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", ca.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    let server = PgServer::start(&bin_of(18), &tls.each_ref().map(String::as_str)).await;
    let encrypted = |ca| {
        let tls = UpstreamTls::Verify { ca: Some(ca) };
        Target::new(dbaccess::server::config::Upstream { tls, ..server.admin_upstream("postgres") }).unwrap()
    };
    encrypted(ca).catalog().await.expect("the certificate is the one we trust");
    let error = encrypted(other_ca).catalog().await.expect_err("a stranger's certificate");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("certificate"), "{error}");
    let plain = PgServer::start(&bin_of(18), &[]).await;
    let tls = UpstreamTls::Verify { ca: None };
    let down = dbaccess::server::config::Upstream { tls, ..plain.admin_upstream("postgres") };
    let error = Target::new(down).unwrap().catalog().await.expect_err("no downgrade");
    assert!(error.to_string().contains("TLS"), "{error}");
}

/// As on a managed service, where nobody is a superuser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_need_not_be_a_superuser() {
    for major in MAJORS {
        let server = PgServer::start(&bin_of(major), &[]).await;
        let admin = server.admin("postgres").await;
        run(&admin, "CREATE ROLE dba LOGIN CREATEROLE PASSWORD 'dba'").await;
        run(&admin, "CREATE DATABASE shop OWNER dba").await;
        run(&admin, "GRANT CREATE ON DATABASE postgres, template1 TO dba").await;
        let admin = server.admin("shop").await;
        run(&admin, "GRANT CREATE ON SCHEMA public TO PUBLIC").await;
        let dba = server.connect("shop", "dba", "dba").await.unwrap();
        run(&dba, include_str!("shop.sql")).await;
        apply_setup(&server.upstream("shop", "dba", "dba"), &params(None)).await.expect("the setup applies");

        let target = Target::new(server.upstream("shop", GATEWAY, GATEWAY_PASSWORD)).unwrap();
        let catalog = target.catalog().await.expect("the catalog is readable");
        let asked =
            writing(tables(&["orders"])).resolve(&catalog, &Classification::default()).expect("it exists");
        let profile = target.profile(&asked, &catalog, &Classification::default());
        let (role, scram) = (session_role(os::random()), verifier("x"));
        let session = OpenSession {
            role: &role,
            verifier: &scram,
            until: os::now() + SignedDuration::from_hours(1),
            profile: &profile,
            comment: "alice",
            settings: SessionSettings::careful("alice", false, STATEMENT_TIMEOUT),
            connection_limit: 2,
        };
        if major == 14 {
            // Its schema `public` is the superuser's.
            let error = target.open_session(&session).await.expect_err("not dba's to grant").to_string();
            assert!(error.contains("dba cannot grant USAGE on schema public"), "{error}");
            run(&admin, "ALTER SCHEMA public OWNER TO dba").await;
        }
        target.open_session(&session).await.unwrap_or_else(|error| panic!("{major}: {error}"));
        let client = server.connect("shop", &role, "x").await.expect("the session's role logs in");
        run(&client, "DELETE FROM orders; CREATE TABLE left_here (a int)").await;
        assert_eq!(sqlstate(&client, "SELECT * FROM payments").await.as_deref(), Some("42501"));
        let closed = target.close_session(&role).await.unwrap_or_else(|error| panic!("{major}: {error}"));
        assert_eq!(closed.terminated, 1);
        assert!(target.is_role_gone(&role).await.unwrap());
        target.drop_profile(profile.name()).await.unwrap_or_else(|error| panic!("{major}: {error}"));
        apply_teardown(&server.upstream("shop", "dba", "dba"), &params(None))
            .await
            .expect("the teardown applies");
    }
}

/// A scope of a whole large database: the check of each opening stays cheap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_of_thousands_of_tables_opens_fast_once_it_is_ready() {
    let shop = Shop::open(18).await;
    run(&shop.admin, "DO $$ BEGIN FOR n IN 1..2000 LOOP EXECUTE format('CREATE TABLE hr.t%s (a int)', n); END LOOP; END $$").await;
    let profile = shop.profile(&AskedScope::default()).await;
    let mut took = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        shop.session_with(&profile, true).await.expect("it opens");
        took.push(started.elapsed());
    }
    println!("2000 tables: cold {:?}, then {:?}", took[0], &took[1..]);
    assert!(took[1..].iter().all(|took| *took < Duration::from_secs(1)), "{took:?}");
    shop.clear().await;
}

/// Prints its figures (`--nocapture`); the bounds only catch a collapse.
async fn opening_and_closing_take_milliseconds(shop: &mut Shop) {
    let profile = shop.profile(&tables(&["orders"])).await;
    let started = Instant::now();
    let first = shop.session_with(&profile, true).await.expect("it opens");
    let cold = started.elapsed();
    shop.target.close_session(&first.role).await.expect("it ends");
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let person = Person { role: session_role(os::random()), password: "x".to_owned() };
        let scram = verifier("x");
        let session = OpenSession {
            role: &person.role,
            verifier: &scram,
            until: shop.until,
            profile: &profile,
            comment: "",
            settings: SessionSettings::careful("x", true, STATEMENT_TIMEOUT),
            connection_limit: 8,
        };
        let started = Instant::now();
        shop.target.open_session(&session).await.expect("it opens");
        opened.push(started.elapsed());
        let client = shop.connect(&person).await;
        let running = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await });
        let ended = shop.target.close_session(&person.role).await.expect("it ends");
        closed.push(ended.took());
        drop(running.await);
    }
    opened.sort();
    closed.sort();
    println!(
        "open: cold {cold:?}, median {:?}, worst {:?}; close with a connection: median {:?}, worst {:?}",
        opened[20], opened[39], closed[20], closed[39]
    );
    assert!(opened[20] < Duration::from_millis(200) && closed[39] < Duration::from_secs(1));
}
