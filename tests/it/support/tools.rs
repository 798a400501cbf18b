//! Where the programs are that `tests/run.sh` installs. A missing one fails the
//! test that asks: nothing is skipped in silence.

use std::path::{Path, PathBuf};

/// The directory of what is installed for the tests alone.
pub fn directory() -> PathBuf {
    match std::env::var_os("DBACCESS_TEST_TOOLS") {
        Some(directory) => directory.into(),
        None => repository().join("target/test-tools"),
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Node, for the programs of `tests/` that end in `.mjs`. They find their
/// packages through `DBACCESS_TEST_TOOLS`: see [`environment`].
pub fn node() -> PathBuf {
    must_exist(directory().join("node/node_modules"));
    // Where the system's is too old there is one of the tests' own.
    let own = directory().join("bin/node");
    if own.exists() { own } else { on_path(&["node"]) }
}

/// A Python that has psycopg.
pub fn python() -> PathBuf {
    must_exist(directory().join("python/bin/python3"))
}

/// A Java that runs a source file: `java -cp jdbc_driver() Program.java`.
pub fn java() -> PathBuf {
    on_path(&["java"])
}

/// PostgreSQL's JDBC driver.
pub fn jdbc_driver() -> PathBuf {
    must_exist(directory().join("jdbc/postgresql.jar"))
}

/// The unpacked package of Glewlwyd.
pub fn glewlwyd() -> PathBuf {
    must_exist(directory().join("glewlwyd/usr/bin/glewlwyd"));
    directory().join("glewlwyd")
}

/// rsyslog, which knows where its modules and libraries are.
pub fn rsyslogd() -> PathBuf {
    must_exist(directory().join("rsyslog/rsyslogd"))
}

/// Prometheus' own checker of rules and metrics.
pub fn promtool() -> PathBuf {
    let own = directory().join("promtool/promtool");
    if own.exists() { own } else { on_path(&["promtool"]) }
}

/// Poppler's reader of PDFs.
pub fn pdftotext() -> PathBuf {
    on_path(&["pdftotext"])
}

/// A Chromium without a window.
pub fn browser() -> PathBuf {
    on_path(&["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"])
}

/// One of PostgreSQL's programs (`initdb`, `postgres`, `psql`…), of the newest
/// version installed. Debian keeps them off `PATH`.
pub fn postgres(program: &str) -> PathBuf {
    let version = |directory: &Path| -> Option<u32> { directory.file_name()?.to_str()?.parse().ok() };
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.map(|entry| entry.path()).max_by_key(|directory| version(directory));
    match newest.map(|directory| directory.join("bin").join(program)) {
        Some(path) if path.exists() => path,
        _ => on_path(&[program]),
    }
}

/// What those programs need to know, for `Command::envs`.
pub fn environment() -> [(&'static str, PathBuf); 2] {
    [("DBACCESS_TEST_TOOLS", directory()), ("DBACCESS_TEST_BROWSER", browser())]
}

fn on_path(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| missing(&names.join(" or ")))
}

fn must_exist(path: PathBuf) -> PathBuf {
    if path.exists() { path } else { missing(&path.display().to_string()) }
}

fn missing(what: &str) -> ! {
    panic!("{what} is missing: run tests/run.sh, which installs what the tests need")
}
