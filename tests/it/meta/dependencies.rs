//! What the dependency tree may not hold. `cargo deny check` says more
//! (deny.toml); this much is checked wherever the tests run.

/// Packages that would bring a second TLS stack, and why each is out: rustls
/// runs on ring here, and a C library would need the target's own build tools.
const BANNED: [&str; 4] = ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"];

#[test]
fn no_second_tls_stack() {
    let found: Vec<_> =
        locked_packages().into_iter().filter(|name| BANNED.contains(&name.as_str())).collect();
    assert!(found.is_empty(), "Cargo.lock holds {found:?}: find who asks with `cargo tree -i`");
}

#[test]
fn every_package_comes_from_the_registry() {
    let lock = lock();
    let foreign: Vec<_> = packages(&lock)
        .filter_map(|package| Some((package.get("name")?, package.get("source")?.as_str()?)))
        .filter(|(_, source)| !source.starts_with("registry+"))
        .collect();
    assert!(foreign.is_empty(), "not from crates.io: {foreign:?}");
}

fn locked_packages() -> Vec<String> {
    packages(&lock()).filter_map(|package| Some(package.get("name")?.as_str()?.to_owned())).collect()
}

fn packages(lock: &toml::Table) -> impl Iterator<Item = &toml::Value> {
    lock.get("package").and_then(toml::Value::as_array).expect("packages in Cargo.lock").iter()
}

fn lock() -> toml::Table {
    include_str!("../../../Cargo.lock").parse().expect("Cargo.lock")
}
