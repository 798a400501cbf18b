//! Asking for access: what policy says, what people see, how it ends.

use crate::support::api::events;
use crate::support::env::{Ran, Setting, TestEnv, TestPerson};
use serde_json::Value;
use std::collections::BTreeSet;

impl TestPerson<'_> {
    /// Asks, and returns the request and the exit code.
    pub fn ask(&self, args: &[&str]) -> (Value, i32) {
        let words = [&["request", "prod-orders", "--reason", "INC-7", "--output", "json"], args].concat();
        let ran = self.run(&words);
        (ran.json(), ran.code)
    }

    /// Asks for something that waits, and returns its id.
    pub fn ask_and_wait_for_approval(&self, args: &[&str]) -> String {
        let (view, code) = self.ask(args);
        assert_eq!(code, 4, "{view}");
        id(&view)
    }
}

pub fn id(view: &Value) -> String {
    view["request"]["id"].as_str().unwrap().to_owned()
}

#[track_caller]
pub fn says(ran: &Ran, words: &[&str]) {
    let shown = format!("{}{}", ran.out, ran.err);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(shown.contains(word), "`{word}` is not in: {}{}", ran.out, ran.err);
    }
}

impl TestEnv {
    /// Waits until the server's catalog has a table, or has it no more.
    pub async fn until_listed(&self, table: &str, there: bool, person: &TestPerson<'_>) {
        let looked = || {
            // Asking for what is not there makes the server look again.
            person.run(&["request", "prod-orders", "-t", "nothing", "--reason", "x"]).exits(1);
            let target = person.run(&["targets", "prod-orders", "-o", "json"]).ok().json();
            let mut tables = target["tables"].as_array().unwrap().iter();
            (tables.any(|listed| listed["name"] == table) == there).then_some(())
        };
        self.eventually("the catalog is read again", looked).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_1_r4_2_r4_3_r4_5_every_tier_with_its_rule_and_its_evidence() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let bob = env.signed_in("bob").await;
    let carol = env.signed_in("carol").await;

    // R4.1: read-only, unclassified, the own team, business hours.
    let auto = alice.run(&["request", "--table", "orders", "--reason", "INC-1", "--for", "30m"]).ok();
    says(&auto, &["auto: no approval needed", "(auto-read)", "granted: dbaccess connect prod-orders"]);

    // R4.2: personal data, one approval by a lead or security.
    let id = alice.ask_and_wait_for_approval(&["--table", "payments", "--unmask", "card_number"]);
    for person in [&alice, &carol] {
        let shown = person.run(&["show", &id]).ok();
        says(
            &shown,
            &["(single-read-pii)", "pii: public.payments.card_number", "needs lead or security", "INC-7"],
        );
    }
    says(&carol.run(&["show", &id]), &["you can approve as lead"]);
    let refused = bob.run(&["approve", &id, "--yes"]).exits(1);
    says(&refused, &["no request begins with"]);
    let approved = carol.run(&["approve", &id, "--yes", "--comment", "go ahead"]).ok();
    says(&approved, &["carol@example.com as lead", "go ahead", "alice@example.com now has access"]);

    // R4.3: writing on production takes a peer and somebody answerable: two people.
    let (view, _) = alice.ask(&["--table", "orders", "--write", "--for", "1h"]);
    assert_eq!(view["request"]["decision"]["tier"], "dual");
    assert_eq!(view["request"]["scope"]["permissions"], serde_json::json!(["read", "write"]), "R3.5");
    let dual = self::id(&view);
    says(&carol.run(&["requests"]).ok(), &["(you)", "1 for you to decide"]);
    says(&carol.run(&["show", &dual]), &["can approve as lead or manager or peer"]);
    let first = carol.run(&["approve", &dual, "--yes"]).ok();
    says(&first, &["still needed: peer"]);
    let again = carol.run(&["approve", &dual, "--yes"]).exits(1);
    says(&again, &["you approved request", "the other approval must be another person's"]);
    // No id has an `o`.
    says(
        &alice.run(&["connect", "prod-orders", "--grant", "grt-o", "--", "true"]).exits(1),
        &["no live grant"],
    );
    bob.run(&["approve", &dual[..10], "--yes"]).ok();
    let late = carol.run(&["deny", &dual, "--reason", "no"]).exits(1);
    says(&late, &["was already granted by carol@example.com and bob@example.com"]);

    // R4.5: who, when, which rule, what was asked, what was granted.
    let created = events(&env, "request.created", 1, |body| body["request"]["id"] == dual).await;
    let [created] = created.as_slice() else { panic!("{created:?}") };
    assert_eq!(created["request"]["person"]["email"], "alice@example.com");
    assert_eq!(created["request"]["decision"]["rules"][0]["id"], "dual-write-production");
    assert_eq!(created["request"]["decision"]["policy"].as_str().unwrap().len(), 64);
    assert_eq!(
        created["request"]["scope"]["objects"]["only"]["tables"],
        serde_json::json!(["public.orders"])
    );
    let approved = events(&env, "request.approved", 2, |body| body["request"] == dual).await;
    let who: Vec<_> = approved
        .iter()
        .map(|a| (a["approval"]["by"]["email"].as_str(), a["approval"]["role"].as_str()))
        .collect();
    assert_eq!(who, [(Some("carol@example.com"), Some("lead")), (Some("bob@example.com"), Some("peer"))]);
    assert!(approved.iter().all(|a| a["approval"]["at"].is_string()));
    let issued = events(&env, "grant.issued", 1, |body| body["grant"]["request"] == dual).await;
    let [issued] = issued.as_slice() else { panic!("{issued:?}") };
    assert_eq!(issued["grant"]["path"], "write");
    assert_eq!(issued["grant"]["person"]["email"], "alice@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_nobody_approves_their_own_whatever_their_roles() {
    let env = TestEnv::start().await;
    let carol = env.signed_in("carol").await;
    for asked in [&["--table", "payments", "--unmask", "card_number"][..], &["--table", "orders", "--write"]]
    {
        let id = carol.ask_and_wait_for_approval(asked);
        says(
            &carol.run(&["approve", &id, "--yes"]).exits(5),
            &["is your own: somebody else must approve it"],
        );
        says(&carol.run(&["deny", &id, "--reason", "x"]).exits(5), &["somebody else must deny it"]);
        let path = format!("/v1/requests/{id}/approve");
        let answered = carol.api().post(&path, serde_json::json!({})).await.is(403);
        assert_eq!(answered["kind"], "denied");
        let shown = carol.run(&["show", &id, "--output", "json"]).ok().json();
        assert_eq!(shown["request"]["approvals"], serde_json::json!([]));
        assert_eq!(shown["you_fill"], serde_json::json!([]));
    }
    assert!(events(&env, "request.approved", 0, |_| true).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_approvers_narrow_and_never_widen() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let bob = env.signed_in("bob").await;
    let carol = env.signed_in("carol").await;
    let id =
        alice.ask_and_wait_for_approval(&["-t", "orders", "-t", "stock.items", "--write", "--for", "2h"]);
    says(
        &bob.run(&["approve", &id, "--yes", "--for", "3h"]).exits(2),
        &["3h is longer than the 2h asked for"],
    );
    says(&bob.run(&["approve", &id, "--yes", "-t", "customers"]).exits(2), &["public.customers is outside"]);
    says(&bob.run(&["approve", &id, "--yes", "-t", "order"]).exits(1), &["did you mean", "orders"]);
    let first = bob.run(&["approve", &id, "--yes", "-t", "orders", "-t", "items", "--for", "1h"]).ok();
    says(&first, &["narrowed to public.orders, stock.items", "narrowed to 1h"]);
    let second =
        carol.run(&["approve", &id, "--yes", "-t", "items", "--for", "90m", "-o", "json"]).ok().json();
    let grant = &second["grant"];
    assert_eq!(grant["scope"]["objects"]["only"]["tables"], serde_json::json!(["stock.items"]));
    let time = |key: &str| grant[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("until").duration_since(time("from")).as_secs(), 3600, "the shorter of 1h and 90m");
    let asked = &second["request"]["scope"]["objects"]["only"]["tables"];
    assert_eq!(asked, &serde_json::json!(["public.orders", "stock.items"]), "what was asked stays on record");
    says(&alice.run(&["show", &id]).ok(), &["granted read+write stock.items"]);
    // The database holds to it.
    let run = |sql| alice.run(&["exec", "prod-orders", sql]);
    run("UPDATE stock.items SET quantity = 1 WHERE sku = 'sku1'").ok();
    // For programs: the rows of what is a query, and how many of what is none.
    let both = "UPDATE stock.items SET quantity = 2 WHERE sku = 'sku1'; SELECT quantity FROM stock.items WHERE sku = 'sku1'";
    let shown = alice.run(&["exec", "prod-orders", both, "-o", "json"]).ok().out;
    assert_eq!(shown, "{\"rows_affected\":1}\n[\n  {\"quantity\": \"2\"}\n]\n");
    let refused = run("UPDATE orders SET total = 0");
    assert_ne!(refused.code, 0, "{}", refused.out);

    // A table that was dropped since the request cannot be narrowed to.
    let id = alice.ask_and_wait_for_approval(&["-t", "stock.items", "-t", "customers", "--write"]);
    env.pg.admin("shop").await.batch_execute("DROP TABLE stock.items").await.unwrap();
    env.until_listed("stock.items", false, &alice).await;
    says(&carol.run(&["approve", &id, "--yes", "-t", "stock.items"]).exits(1), &["no table stock.items"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_denied_cancelled_and_expire() {
    let extra = "[policy]\nrequest_expiry = \"8s\"\n".to_owned();
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let alice = env.signed_in("alice").await;
    let bob = env.signed_in("bob").await;
    let carol = env.signed_in("carol").await;
    let unmasked = ["request", "prod-orders", "-t", "payments", "--unmask", "card_number"];
    let wait = || alice.spawn(&[&unmasked[..], &["--reason", "INC-2", "--wait"]].concat());
    let waiting = async || {
        let find = || {
            let views = alice.run(&["requests", "--mine", "-o", "json"]).json();
            views.as_array()?.first().map(id)
        };
        env.eventually("the request waits", find).await
    };
    let end = |child: std::process::Child| Ran::from(child.wait_with_output().unwrap());

    let asking = wait();
    let request = waiting().await;
    says(&carol.run(&["deny", &request, "--reason", "use the replica"]).ok(), &["denied req-"]);
    let denied = end(asking).exits(5);
    says(&denied, &["the request was denied", "use the replica"]);
    assert!(!denied.err.contains('\x1b'), "no spinner off a terminal: {}", denied.err);
    let by = &events(&env, "request.denied", 1, |body| body["request"] == request).await[0];
    assert_eq!(
        (&by["by"]["person"]["email"], &by["reason"]),
        (&"carol@example.com".into(), &"use the replica".into())
    );

    let asking = wait();
    let request = waiting().await;
    says(&carol.run(&["cancel", &request]).exits(5), &["only alice@example.com, who asked, can cancel"]);
    says(&bob.run(&["cancel", &request]).exits(1), &["no request begins with"]);
    alice.run(&["cancel", &request, "--reason", "found it"]).ok();
    says(&end(asking).exits(6), &["the request was cancelled", "found it"]);
    says(
        &carol.run(&["approve", &request, "--yes"]).exits(1),
        &["was already cancelled by alice@example.com"],
    );
    assert_eq!(events(&env, "request.cancelled", 1, |body| body["request"] == request).await.len(), 1);

    let asking = wait();
    let request = waiting().await;
    says(&end(asking).exits(6), &["lapsed before it was approved"]);
    says(&carol.run(&["approve", &request, "--yes"]).exits(1), &["already expired", "ask again"]);
    assert_eq!(events(&env, "request.expired", 1, |body| body["request"] == request).await.len(), 1);

    // Granted while it waits.
    let asking = wait();
    let request = waiting().await;
    carol.run(&["approve", &request, "--yes"]).ok();
    let granted = end(asking).ok();
    says(&granted, &["granted: dbaccess connect prod-orders"]);
    assert!(granted.out.starts_with(&request), "the result is on stdout: {}", granted.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_is_for_the_requester_and_who_answers_for_it() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let others: Vec<TestPerson<'_>> = {
        let mut people = Vec::new();
        for name in ["bob", "carol", "dave", "erin"] {
            people.push(env.signed_in(name).await);
        }
        people
    };
    let [bob, carol, dave, erin] = others.as_slice() else { unreachable!() };
    let grant = |table| {
        let (view, code) = alice.ask(&["--table", table]);
        assert_eq!(code, 0, "{view}");
        (id(&view), view["grant"]["id"].as_str().unwrap().to_owned())
    };
    let (request, first) = grant("orders");
    for stranger in [bob, erin] {
        for named in [&request, &first] {
            says(&stranger.run(&["revoke", named]).exits(1), &["no grant, session or request begins with"]);
        }
    }
    alice.run(&["revoke", &first, "--reason", "done"]).ok();
    says(&alice.run(&["revoke", &request]).exits(1), &["was already revoked by alice@example.com"]);
    for (person, email) in [(carol, "carol@example.com"), (dave, "dave@example.com")] {
        let (request, grant) = grant("orders");
        // By the request's id, and by the grant's without its kind.
        let named = if email.starts_with('c') { request } else { grant[4..].to_uppercase() };
        person.run(&["revoke", &named]).ok();
        let revoked = events(&env, "grant.revoked", 1, |body| body["grant"] == grant).await;
        assert_eq!(
            revoked.iter().map(|body| body["by"]["email"].as_str().unwrap()).collect::<Vec<_>>(),
            [email]
        );
    }
    let used = alice.run(&["connect", "prod-orders", "--", "true"]);
    says(&used.exits(5), &["you hold no grant on prod-orders"]);

    // A waiting request has nothing to revoke.
    let waiting = alice.ask_and_wait_for_approval(&["--table", "payments", "--unmask", "card_number"]);
    says(&alice.run(&["revoke", &waiting]).exits(1), &["was never granted", "dbaccess cancel"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_1_r3_2_r3_3_scopes_of_each_level() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let erin = env.signed_in("erin").await;
    let (view, code) = alice.ask(&["--schema", "stock"]);
    assert_eq!(
        (code, &view["request"]["scope"]["objects"]["only"]["schemas"]),
        (0, &serde_json::json!(["stock"]))
    );
    let ran = alice.run(&["exec", "prod-orders", "SELECT count(*) FROM stock.items", "-o", "csv"]).ok();
    assert!(ran.out.contains("50"), "{}", ran.out);
    // The whole database only to write or to migrate; the denial says what to ask for instead.
    let denied = alice.run(&["request", "prod-orders", "--database", "--reason", "x"]).exits(5);
    says(
        &denied,
        &["no-reading-whole-database", "to read, ask for --schema or --table", "auto for single tables"],
    );
    let (view, code) = alice.ask(&["--database", "--write"]);
    assert_eq!((code, &view["request"]["scope"]["objects"]), (4, &"database".into()));
    assert_eq!(view["request"]["decision"]["rules"][0]["id"], "dual-whole-database");
    let (view, code) = alice.ask(&["-t", "orders", "-t", "stock.items"]);
    assert_eq!(code, 0);
    let tables: BTreeSet<&str> = view["request"]["scope"]["objects"]["only"]["tables"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(tables, BTreeSet::from(["public.orders", "stock.items"]));
    // A guest's whole database is denied by policy, and the rule is named.
    let denied = erin.run(&["request", "prod-orders", "--database", "--reason", "x"]).exits(5);
    says(&denied, &["no-whole-database-for-guests"]);
    let (_, code) = erin.ask(&["--table", "orders"]);
    assert_eq!(code, 4, "a guest's read needs one approval");
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_5_a_partition_of_a_classified_table_is_classified_too() {
    let env = TestEnv::start().await;
    let tables = "
        SET ROLE shop_owner;
        DROP TABLE payments;
        CREATE TABLE payments (id bigint, card_number text) PARTITION BY RANGE (id);
        CREATE TABLE payments_2025 PARTITION OF payments DEFAULT PARTITION BY RANGE (id);
        CREATE TABLE stock.payments_2025_01 PARTITION OF payments_2025 DEFAULT;
        CREATE TABLE contacts (email text);
        ALTER TABLE customers INHERIT contacts";
    env.pg.admin("shop").await.batch_execute(tables).await.unwrap();
    let alice = env.signed_in("alice").await;
    for (table, name) in [
        ("payments_2025", "public.payments_2025.card_number"),
        ("stock.payments_2025_01", "stock.payments_2025_01.card_number"),
        ("contacts", "public.contacts.email"),
    ] {
        let (view, code) = alice.ask(&["--table", table]);
        assert_eq!((code, &view["request"]["decision"]["tier"]), (0, &"auto".into()), "{view}");
        assert_eq!(view["masked"], serde_json::json!([format!("{name}: null")]));
        let column = name.rsplit('.').next().unwrap();
        let (view, code) = alice.ask(&["--table", table, "--unmask", column]);
        assert_eq!((code, &view["request"]["decision"]["tier"]), (4, &"single".into()), "{view}");
        assert_eq!(view["sensitive"], serde_json::json!([format!("pii: {name}")]));
    }
    let target = alice.run(&["targets", "prod-orders", "-o", "json"]).ok().json();
    let mut listed = target["tables"].as_array().unwrap().iter();
    let partition = listed.find(|table| table["name"] == "stock.payments_2025_01").unwrap();
    assert_eq!(partition["columns"][1]["sensitivity"], "pii", "{partition}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_5_what_stays_masked_is_granted_at_once_and_what_is_raw_is_approved() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let carol = env.signed_in("carol").await;
    let describe = |args: &[&str]| {
        let words = [&["targets", "describe", "prod-orders", "payments", "-o", "json"], args].concat();
        alice.run(&words).ok().json()[0]["columns"][2].take()
    };
    let masked = alice.run(&["request", "prod-orders", "-t", "payments", "--reason", "INC-8"]).ok();
    says(
        &masked,
        &["masked public.payments.card_number: null", "1 classified column stays masked", "(auto-read)"],
    );
    let card = describe(&[]);
    assert_eq!((&card["mask"], &card["you_see"]), (&"null".into(), &"null".into()), "{card}");
    assert_eq!(card["raw_under"], serde_json::json!([]));

    let id = alice.ask_and_wait_for_approval(&["-t", "payments", "--unmask", "payments.card_number"]);
    let shown = carol.run(&["show", &id]).ok();
    says(
        &shown,
        &[
            "scope read public.payments; raw card_number",
            "raw pii: public.payments.card_number",
            "raw pii columns",
        ],
    );
    carol.run(&["approve", &id, "--yes"]).ok();
    let card = describe(&[]);
    assert_eq!((&card["mask"], &card["you_see"]), (&"null".into(), &"raw".into()), "{card}");
    // Of the two grants on the table, the one that shows it.
    let raw = alice.run(&["show", &id, "-o", "json"]).ok().json()["grant"]["id"].take();
    assert_eq!(card["raw_under"], serde_json::json!([raw]));
    let table = alice.run(&["targets", "describe", "prod-orders", "payments"]).ok();
    says(&table, &["YOU SEE", "card_number text null, pii raw under grt-"]);

    for (args, words) in [
        (&["-t", "payments", "--unmask", "card_nmber"][..], "did you mean card_number?"),
        (&["-t", "payments", "--unmask", "amount"], "amount is not masked anyway"),
        (&["--schema", "public", "--unmask", "emial"], "did you mean email?"),
    ] {
        let refused = alice.run(&[&["request", "prod-orders", "--reason", "x"], args].concat());
        assert_ne!(refused.code, 0);
        says(&refused, &[words]);
    }
    says(
        &alice.run(&["targets", "describe", "prod-orders", "paymnts"]).exits(1),
        &["did you mean", "payments"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_4_rows_are_asked_for_shown_and_narrowed() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let bob = env.signed_in("bob").await;
    let row = ["--row", "customers: id = 17"];
    let (view, code) = alice.ask(&row);
    assert_eq!((code, &view["request"]["decision"]["rules"][0]["id"]), (0, &"auto-read".into()), "{view}");
    assert_eq!(
        view["request"]["scope"]["rows"],
        serde_json::json!({"public.customers":
            {"is": "compare", "column": "id", "operator": "=", "value": "17", "type_name": "bigint"}})
    );
    let described = alice.run(&["targets", "describe", "prod-orders", "customers"]).ok();
    says(&described, &["of public.customers, a grant of yours shows rows where id = 17"]);

    let id = alice.ask_and_wait_for_approval(&[
        "--row",
        "orders: status in ('new','paid')",
        "-t",
        "customers",
        "--write",
    ]);
    says(
        &bob.run(&["show", &id]).ok(),
        &["read+write public.customers, public.orders where status IN ('new', 'paid')"],
    );
    let narrowed = bob.run(&["approve", &id, "--yes", "-t", "orders", "-o", "json"]).ok().json();
    assert_eq!(
        narrowed["request"]["approvals"][0]["narrowing"]["tables"],
        serde_json::json!(["public.orders"])
    );
    let carol = env.signed_in("carol").await;
    let granted = carol.run(&["approve", &id, "--yes", "-o", "json"]).ok().json();
    assert_eq!(granted["grant"]["scope"]["rows"]["public.orders"]["is"], "in", "{granted}");

    for (args, words) in [
        (&["--row", "customers: id = 17abc"][..], "not SQL"),
        (&["--row", "customers: id = '17abc'"], "expected a whole number"),
        (&["--row", "customers: lower(name) = 'x'"], "a function is not allowed"),
        (&["--row", "customers: email = 'x'"], "public.customers.email is masked"),
        (&["--row", "custmers: id = 1"], "did you mean customers?"),
        (&["--row", "id = 1"], "write TABLE: CONDITION"),
        (&["-t", "orders", "--follow"], "--follow needs a condition"),
        (&["--schema", "public", "--ddl", "--row", "customers: id = 1"], "cannot go with --ddl"),
        (&["-t", "orders", "--ddl"], "asked for by schema"),
    ] {
        let refused = alice.run(&[&["request", "prod-orders", "--reason", "x"], args].concat());
        assert!(matches!(refused.code, 1 | 2), "{refused:?}");
        says(&refused, &[words]);
    }
    let many: Vec<String> = (0..60).map(|n| format!("customers: id = {n}")).collect();
    let mut words = vec!["request", "prod-orders", "--reason", "x"];
    many.iter().for_each(|text| words.extend(["--row", text]));
    says(&alice.run(&words).exits(2), &["at most 50 row conditions"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_3_r7_2_migrations_and_exports_take_two_approvals() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let bob = env.signed_in("bob").await;
    let (view, code) = alice.ask(&["--schema", "public", "--ddl"]);
    let request = &view["request"];
    assert_eq!((code, &request["path"]), (4, &"migration".into()), "{view}");
    assert_eq!(request["decision"]["rules"][0]["id"], "dual-schema-change");
    assert_eq!(request["scope"]["permissions"], serde_json::json!(["read", "write", "ddl"]));
    // Its owner sees everything, so that is what is asked for.
    let raw = "pii: public.customers.email, public.payments.card_number";
    assert_eq!((&view["sensitive"], &view["masked"]), (&serde_json::json!([raw]), &serde_json::json!([])));
    let whole = bob.run(&["approve", &id(&view), "--yes", "-t", "orders"]).exits(2);
    says(&whole, &["schema changes cannot be narrowed to tables"]);
    bob.run(&["approve", &id(&view), "--yes", "--for", "10m"]).ok();

    let (view, code) = alice.ask(&["-t", "orders", "--export"]);
    assert_eq!((code, &view["request"]["decision"]["rules"][0]["id"]), (4, &"dual-export".into()), "{view}");
    assert_eq!(view["request"]["path"], "read-only");
}
