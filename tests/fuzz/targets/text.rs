//! Texts that people and clients write: the configuration, the API's bodies.

use super::{Target, kind, no_seeds};
use dbaccess::proto;
use dbaccess::server::config::{Config, ConfigError, Outside};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// Every problem is told with its place in the text, and what it is.
pub fn config() -> Target {
    fn check(data: &[u8]) -> u64 {
        let text = String::from_utf8_lossy(data);
        let env = |name: &str| (name == "DB_PASSWORD").then(|| "hunter2".to_owned());
        let parse =
            || Config::parse(&text, "server.toml", &Outside { dir: Path::new("/nowhere"), env: &env });
        match parse() {
            Ok(config) => {
                assert!(!format!("{config:?}").contains("hunter2"), "secrets are not shown");
                kind(config.targets.values().map(|target| target.target.classified.len()).collect::<Vec<_>>())
            }
            Err(ConfigError::Problems(problems)) => {
                assert!(!problems.is_empty(), "a refusal has a reason");
                let lines = text.matches('\n').count() + 1;
                for problem in &problems {
                    assert!((1..=lines).contains(&problem.line), "{problem} of {lines} lines");
                    assert!(!problem.message.is_empty(), "{problem:?}");
                    let shown = problem.to_string();
                    assert!(shown.starts_with(&format!("server.toml:{}: ", problem.line)), "{shown}");
                }
                kind(problems.iter().take(4).map(|one| super::shape(&one.message)).collect::<Vec<_>>())
            }
            Err(error) => panic!("a text is no file: {error}"),
        }
    }
    Target { name: "config", dictionary: TOML, seeds, check }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../../docs/server.example.toml").to_vec()]
}

/// What the API takes: read, written and read again it is the same.
pub fn api_bodies() -> Target {
    fn same<T: Serialize + DeserializeOwned>(data: &[u8]) -> Option<&'static str> {
        let read: T = serde_json::from_slice(data).ok()?;
        let written = serde_json::to_string(&read).unwrap();
        let again: T = serde_json::from_str(&written).expect("what is written is read");
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
        Some(std::any::type_name::<T>())
    }
    fn check(data: &[u8]) -> u64 {
        let whole = [
            same::<proto::NewRequest>(data),
            same::<proto::Approve>(data),
            same::<proto::Reason>(data),
            same::<proto::OpenSession>(data),
            same::<proto::Login>(data),
            same::<proto::Renew>(data),
            same::<proto::Logout>(data),
            same::<proto::AuditQuery>(data),
            same::<proto::RequestsQuery>(data),
            same::<proto::SessionsQuery>(data),
            // What the client takes of a server.
            same::<proto::ErrorBody>(data),
            same::<proto::RequestView>(data),
            same::<proto::SessionEvent>(data),
        ];
        let why = serde_json::from_slice::<proto::NewRequest>(data).err();
        kind((whole, why.map(|error| super::shape(&error.to_string()))))
    }
    Target { name: "api_bodies", dictionary: JSON, seeds: no_seeds, check }
}

const TOML: &[&[u8]] = &[
    b"[targets.x]\n",
    b"[targets.x.classified]\n",
    b"[[targets]]\n",
    b"[limits]\n",
    b"[budgets]\n",
    b"[alerts]\n",
    b"[policy]\n",
    b"\"public.t.c\" = \"pii\"\n",
    b"\"*.*.email\" = { mask = \"partial\", kind = \"email\", sensitivity = \"pii\" }\n",
    b"{ mask = \"token\", domain = \"card\", sensitivity = \"financial\" }",
    b"{ mask = \"aggregate\", min_group = 3 }",
    b"{ mask = \"json\", keep = [[\"a\"]] }",
    b"\"@tag\" = \"secret\"\n",
    b"= 1\n",
    b"= -1\n",
    b"= 9223372036854775808\n",
    b"= true\n",
    b"= \"\"\n",
    b"= []\n",
    b"= {}\n",
    b"= 1.5\n",
    b"= 1979-05-27T07:32:00Z\n",
    b"\"\"\"",
    b"'''",
    b"\"",
    b"'",
    b"#",
    b"\n",
    b"\r\n",
    b".",
    b",",
    b"\\u0000",
    b"\\U0010FFFF",
    b"\xc3\xa9",
    b"0x7f",
    b"1h",
    b"24:00",
    b"off",
    b"ddl_owners = [\"o\"]\n",
];

const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"\"target\":",
    b"\"scope\":",
    b"\"tables\":",
    b"\"schemas\":",
    b"\"rows\":",
    b"\"unmask\":",
    b"\"follow\":true",
    b"\"write\":true",
    b"\"ddl\":true",
    b"\"reason\":",
    b"\"duration\":",
    b"\"minutes\":",
    b"\"grant\":",
    b"\"public.orders: id = 7\"",
    b"\xc3\xa9",
];
