//! R5.2 for warehouses: what `audit` finds as Parquet, as a reader that is not
//! ours reads it.

use crate::support::env::{Setting, TestEnv};
use crate::support::held::{Held, settled_audit, writer};
use crate::support::tools;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// All rows, the types of the columns, and how the first column is packed.
const READ: &str = r#"
import duckdb, json, sys
file = duckdb.read_parquet(sys.argv[1])
rows = file.project("* REPLACE (epoch_us(time) AS time)")
print(json.dumps({
    "rows": [dict(zip(rows.columns, row)) for row in rows.fetchall()],
    "types": dict(zip(file.columns, map(str, file.types))),
    "packed": duckdb.execute("SELECT any_value(compression) FROM parquet_metadata(?)", [sys.argv[1]]).fetchone()[0],
}))
"#;

fn read(file: &Path) -> Value {
    let ran = Command::new(tools::python()).args(["-c", READ]).arg(file).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// What each column of its result has of it; null where it has none.
fn of_result(row: &Value, what: &str) -> Value {
    let columns = row["shape"]["columns"].as_array();
    columns.map_or(Value::Null, |columns| columns.iter().map(|one| one[what].clone()).collect())
}

/// A statement of `audit -o json` as its row should be.
fn flat(row: &Value) -> Value {
    let result = &row["result"];
    let kind = match result {
        Value::Object(kind) => json!(kind.keys().next()),
        other => other.clone(),
    };
    let of_problem = |key: &str| {
        ["error", "refused", "cut"].iter().map(|kind| &result[kind][key]).find(|value| !value.is_null())
    };
    let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
    let facts = &row["facts"];
    json!({
        "seq": row["seq"], "time": at.as_microsecond(),
        "person": row["person"]["email"], "subject": row["person"]["subject"],
        "target": row["target"], "session": row["session"], "grant": row["grant"],
        "connection": row["connection"], "text": row["text"], "parameters": row["parameters"],
        "verbs": facts["verbs"], "reads": facts["reads"], "writes": facts["writes"],
        "columns": facts["columns"], "functions": facts["functions"],
        "names_cut": (!facts.is_null()).then(|| facts["cut"] == true),
        "sensitivity": row.get("sensitivity").cloned().unwrap_or(json!([])),
        "result": kind, "tag": result["ok"]["tag"],
        "sqlstate": of_problem("sqlstate"), "message": of_problem("message"),
        "rows": row["rows"], "bytes": row["bytes"], "duration_us": row["duration_us"],
        "export_sha256": row["export"]["sha256"], "export_bytes": row["export"]["bytes"],
        "export_rows": row["export"]["rows"], "recorded": row["recorded"],
        "text_sealed": row["text_sealed"], "message_sealed": row["message_sealed"],
        "result_columns": of_result(row, "name"), "result_types": of_result(row, "type"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_2_a_warehouse_reads_what_audit_says() {
    let sql = "CREATE TABLE orders (id bigint, status text)";
    let env = TestEnv::with(Setting { databases: vec![("shop2", sql)], ..Setting::default() }).await;
    let alice = writer(&env, "shop2").await;
    let held = Held::open(&alice, "shop2");
    let client = held.client().await;
    // More than a page of the server's.
    for _ in 0..1000 {
        client.simple_query("SELECT 'é'").await.unwrap();
    }
    let note: Option<&str> = None;
    client.query("SELECT $1::text, $2::text FROM orders LIMIT 0", &[&note, &"a"]).await.unwrap();
    client.simple_query("SELECT 1 / 0").await.unwrap_err();
    client.simple_query("CREATE ROLE other").await.unwrap_err();
    client.simple_query("this is no SQL").await.unwrap_err();
    client.simple_query("UPDATE orders SET status = 'paid' WHERE id = 1").await.unwrap();
    drop(client);
    drop(held);
    let mut said: Vec<Value> = settled_audit(&alice).await;
    said.reverse();

    let file = alice.home.join("audit.parquet");
    let path = file.display().to_string();
    let ran = alice.run(&["audit", "--parquet", &path]).ok();
    assert_eq!(ran.out.trim(), path);
    assert!(ran.err.contains(&format!("{} statements", said.len())), "{}", ran.err);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let found = read(&file);
    let rows = found["rows"].as_array().unwrap();
    assert!(rows.len() > 1000);
    assert_eq!(rows.len(), said.len());
    for (row, said) in rows.iter().zip(&said) {
        assert_eq!(row, &flat(said));
    }
    let results: std::collections::BTreeSet<&str> =
        rows.iter().filter_map(|row| row["result"].as_str()).collect();
    assert!(["ok", "error", "refused"].iter().all(|kind| results.contains(kind)), "{results:?}");
    assert!(rows.iter().any(|row| {
        let parameters = row["parameters"].as_array().unwrap();
        parameters.len() == 2 && parameters[0].is_null() && parameters[1].is_string()
    }));
    assert_eq!(found["packed"], "ZSTD");
    for (column, kind) in [
        ("seq", "BIGINT"),
        ("time", "TIMESTAMP WITH TIME ZONE"),
        ("text", "VARCHAR"),
        ("reads", "VARCHAR[]"),
        ("recorded", "BOOLEAN"),
        ("result_types", "VARCHAR[]"),
        ("text_sealed", "BOOLEAN"),
        ("message_sealed", "BOOLEAN"),
    ] {
        assert_eq!(found["types"][column], kind, "{column}");
    }

    // Filters hold; nothing is written over; nothing found is a table without rows.
    let few = ["audit", "--parquet", &path, "--verb", "update"];
    assert!(alice.run(&few).exits(2).err.contains("--force"));
    assert_eq!(read(&file)["rows"].as_array().unwrap().len(), said.len());
    alice.run(&[&few[..], &["--force"]].concat()).ok();
    let found = read(&file);
    let [row] = found["rows"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!(row["writes"], json!(["orders"]));
    alice.run(&["audit", "--parquet", &path, "--verb", "merge", "--force"]).ok();
    assert_eq!(read(&file)["rows"], json!([]));
    let before = std::fs::read_dir(&alice.home).unwrap().count();
    let other = alice.home.join("other.parquet").display().to_string();
    alice.run(&["audit", "--parquet", &other, "--person", "bob@example.com"]).exits(5);
    assert_eq!(std::fs::read_dir(&alice.home).unwrap().count(), before, "a failure leaves nothing");
}
