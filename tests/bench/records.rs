//! What it costs to keep more of a session, or less of it in the open: the same
//! reading on one hop, in a session like most, in one that is recorded and
//! sealed to an auditor, and in one whose texts are redacted on the ledger.

use super::Plan;
use super::place::Way;
use super::raw::Raw;
use super::support::env::TestEnv;
use super::table::{self, median};
use super::throughput::{CASES, Case, pgbench};
use super::world::{self, ACCOUNTS, Held, TABLES, World};
use dbaccess::core::recording::AuditorSecret;
use std::time::Instant;

const TARGET: &str = "recorded-orders";
const MILLION: &str = "a million rows, one client";

const RULE: &str = r#"
@id("recorded")
@title("Recorded")
@longest("8h")
@recording("on")
permit (principal, action == Action::"auto", resource == Target::"recorded-orders");
"#;

/// The configuration of a target whose sessions are recorded.
pub fn prepare(env: &TestEnv) -> String {
    let rule = env.dir.path().join("recorded.cedar");
    std::fs::write(&rule, RULE).expect("a rule");
    format!("[policy]\nextra = [\"{}\"]\n{}{}", rule.display(), sealing(), world::target(env, TARGET))
}

fn sealing() -> String {
    format!("[recording]\nauditor_key = \"{}\"\n", AuditorSecret::from_random([7; 32]).public())
}

pub async fn run(world: &World, plan: &Plan) {
    let wanted = |name: &str| plan.wants(&format!("recorded, redacted: {name}"));
    let selects = CASES.iter().filter(|case| case.arguments.contains(&"-S") && wanted(case.name));
    let selects: Vec<&Case> = selects.collect();
    if selects.is_empty() && !wanted(MILLION) {
        return;
    }
    // A server redacts the texts of all its sessions or of none.
    eprintln!("starting a server that redacts, and filling its {ACCOUNTS} accounts");
    let redacting = world::serve(&format!("[audit]\ntext = \"redacted\"\n{}", sealing())).await;
    world::fill(&redacting, &world.bin).await;
    let (alice, redacted_alice) = (world.env.signed_in("alice").await, redacting.signed_in("alice").await);
    let recorded = Held::reading(&alice, TARGET, &TABLES, Some("--native"));
    let redacted = Held::reading(&redacted_alice, world::TARGET, &TABLES, Some("--native"));
    let places = [world.reads(Way::Native).clone(), recorded.place(), redacted.place()];
    let mut clients = Vec::new();
    for place in &places {
        let mut client = Raw::connect(place).await;
        assert_eq!(client.rows("SELECT 'a value'").await, 1);
        clients.push(client);
    }
    let files = world.env.dir.path().join("data/recordings").read_dir().expect("recordings").count();
    assert_eq!(files, 1, "one session is recorded, and no other");
    assert!(!redacting.ledger_text().contains("a value"), "the texts are redacted");

    let columns = ["case", "as most are, results/s", "recorded and sealed", "texts redacted"];
    table::heading("Records: speed on one hop, as a ratio to a session like most", &columns);
    for case in selects {
        let mut speeds = Vec::new();
        for round in 1..=plan.rounds {
            eprintln!("round {round} of {}: recorded, redacted: {}", plan.rounds, case.name);
            let mut speed = [0.0; 3];
            for way in turns(round) {
                speed[way] = pgbench(world, &places[way], case, plan).0;
            }
            speeds.push(speed);
        }
        print(case.name, &speeds);
    }
    if wanted(MILLION) {
        let mut speeds = Vec::new();
        for round in 0..=plan.rounds {
            eprintln!("round {round} of {}: recorded, redacted: {MILLION}", plan.rounds);
            let mut speed = [0.0; 3];
            for way in turns(round) {
                let started = Instant::now();
                assert_eq!(clients[way].rows("SELECT * FROM pgbench_accounts").await, ACCOUNTS);
                speed[way] = 1.0 / started.elapsed().as_secs_f64();
            }
            // The first round only warms up.
            speeds.extend(Some(speed).filter(|_| round > 0));
        }
        print(MILLION, &speeds);
    }
}

/// Another way goes first in each round.
fn turns(round: usize) -> [usize; 3] {
    [0, 1, 2].map(|turn| (turn + round) % 3)
}

fn print(name: &str, speeds: &[[f64; 3]]) {
    let of = |figure: fn(&[f64; 3]) -> f64| median(&speeds.iter().map(figure).collect::<Vec<_>>());
    table::row(&[
        name.to_owned(),
        format!("{:.1}", of(|speed| speed[0])),
        format!("{:.2}", of(|speed| speed[1] / speed[0])),
        format!("{:.2}", of(|speed| speed[2] / speed[0])),
    ]);
}
