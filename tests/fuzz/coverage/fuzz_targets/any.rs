//! Any target of the suite, named by `DBACCESS_FUZZ_TARGET`.

#![no_main]

#[path = "../../targets/mod.rs"]
mod targets;

use std::sync::LazyLock;
use targets::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("DBACCESS_FUZZ_TARGET").expect("DBACCESS_FUZZ_TARGET names a target");
    let all = targets::all();
    all.into_iter().find(|target| target.name == name).expect("a target of tests/fuzz/targets")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (TARGET.check)(data);
});
