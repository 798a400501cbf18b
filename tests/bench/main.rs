//! What dbaccess costs: the same work done directly, through pgbouncer, through
//! a TLS relay that looks at nothing, and through dbaccess with its full
//! record, interleaved in one run. Ratios to direct are what counts.
//!
//! `tests/bench/run.sh [--quick] [CASE…]` installs what it needs and runs it.
//! The tables go to standard output, progress to standard error.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that cannot measure fails loudly, and prints what it measured"
)]

#[expect(dead_code, reason = "the benchmark uses a part of what the tests share")]
#[path = "../it/support/mod.rs"]
mod support;

mod lifecycle;
mod masks;
mod place;
mod raw;
mod records;
mod relay;
mod table;
mod throughput;
mod world;

use std::time::Duration;

/// How long and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One measurement of pgbench.
    pub slice: Duration,
    /// Interleaved rounds; the median of them is shown.
    pub rounds: usize,
    pub first_rows: usize,
    pub revocations: usize,
    pub idle: usize,
    only: Vec<String>,
}

impl Plan {
    fn from_arguments() -> Self {
        let mut arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let quick = arguments.iter().any(|word| word == "--quick");
        arguments.retain(|word| word != "--quick");
        let full = Self {
            slice: Duration::from_secs(3),
            rounds: 7,
            first_rows: 20,
            revocations: 50,
            idle: 500,
            only: arguments,
        };
        if quick {
            Self {
                slice: Duration::from_secs(1),
                rounds: 3,
                first_rows: 5,
                revocations: 5,
                idle: 100,
                ..full
            }
        } else {
            full
        }
    }

    /// Whether a case is asked for: all are where none is named.
    pub fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| case.contains(word.as_str()))
    }
}

fn main() {
    dbaccess::tls::install_provider();
    let plan = Plan::from_arguments();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    runtime.block_on(async {
        let world = world::World::start().await;
        table::print_machine(&world);
        throughput::run(&world, &plan).await;
        masks::run(&world, &plan).await;
        records::run(&world, &plan).await;
        lifecycle::run(&world, &plan).await;
    });
}
