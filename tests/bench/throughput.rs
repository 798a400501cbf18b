//! How much gets through: pgbench, large results, new connections.

use super::Plan;
use super::place::{Place, WAYS, Way};
use super::raw::Raw;
use super::table::{self, median};
use super::world::{ACCOUNTS, SCALE, World};
use std::collections::BTreeMap;
use std::time::Instant;

type Figures = BTreeMap<Way, Vec<f64>>;

pub struct Case {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    clients: u32,
    writes: bool,
}

pub const CASES: &[Case] = &[
    Case { name: "select, simple, 1 client", arguments: &["-S", "-M", "simple"], clients: 1, writes: false },
    Case {
        name: "select, extended, 1 client",
        arguments: &["-S", "-M", "extended"],
        clients: 1,
        writes: false,
    },
    Case {
        name: "select, prepared, 1 client",
        arguments: &["-S", "-M", "prepared"],
        clients: 1,
        writes: false,
    },
    Case {
        name: "select, simple, 16 clients",
        arguments: &["-S", "-M", "simple"],
        clients: 16,
        writes: false,
    },
    Case {
        name: "select, extended, 16 clients",
        arguments: &["-S", "-M", "extended"],
        clients: 16,
        writes: false,
    },
    Case {
        name: "select, prepared, 16 clients",
        arguments: &["-S", "-M", "prepared"],
        clients: 16,
        writes: false,
    },
    Case { name: "TPC-B, simple, 8 clients", arguments: &["-b", "tpcb-like"], clients: 8, writes: true },
    Case { name: "connect and select 1, 2 clients", arguments: &["-C", "-f"], clients: 2, writes: false },
];

pub async fn run(world: &World, plan: &Plan) {
    let cases: Vec<&Case> = CASES.iter().filter(|case| plan.wants(case.name)).collect();
    let mut throughput: Vec<Figures> = cases.iter().map(|_| Figures::new()).collect();
    let mut latency = throughput.clone();
    for round in 1..=plan.rounds {
        for (index, case) in cases.iter().enumerate() {
            eprintln!("round {round} of {}: {}", plan.rounds, case.name);
            // Another way goes first in each round: no place in line is always its.
            for turn in 0..WAYS.len() {
                let way = WAYS[(turn + round) % WAYS.len()];
                let place = if case.writes { world.writes(way) } else { world.reads(way) };
                let (tps, middle) = pgbench(world, place, case, plan);
                throughput[index].entry(way).or_default().push(tps);
                latency[index].entry(way).or_default().push(middle);
            }
        }
    }
    if !cases.is_empty() {
        print_ratios("Throughput, as a ratio to direct", &cases, &throughput, "transactions/s");
        print_latency(&cases, &latency);
    }
    if plan.wants("million") {
        million_rows(world, plan).await;
    }
}

fn print_ratios(title: &str, cases: &[&Case], figures: &[Figures], unit: &str) {
    let direct = format!("direct, {unit}");
    let mut columns = vec!["case", direct.as_str()];
    columns.extend(WAYS[1..].iter().map(|way| way.name()));
    table::heading(title, &columns);
    for (case, figures) in cases.iter().zip(figures) {
        let mut cells = vec![case.name.to_owned(), format!("{:.0}", median(&figures[&Way::Direct]))];
        cells.extend(WAYS[1..].iter().map(|way| format!("{:.2}", ratio(figures, *way))));
        table::row(&cells);
    }
}

/// The median of the rounds' own ratios: what the machine did meanwhile hits both.
fn ratio(figures: &Figures, way: Way) -> f64 {
    let rounds = figures[&way].iter().zip(&figures[&Way::Direct]);
    median(&rounds.map(|(figure, direct)| figure / direct).collect::<Vec<_>>())
}

fn print_latency(cases: &[&Case], latency: &[Figures]) {
    let single: Vec<_> = cases.iter().zip(latency).filter(|(case, _)| case.clients == 1).collect();
    if single.is_empty() {
        return;
    }
    let mut columns = vec!["case", "direct, µs"];
    columns.extend(WAYS[1..].iter().map(|way| way.name()));
    columns.push("one hop's addition to the raw relay's");
    table::heading("Median latency of one client, added to direct, µs", &columns);
    for (case, figures) in single {
        let direct = median(&figures[&Way::Direct]);
        let added = |way| {
            let rounds = figures[&way].iter().zip(&figures[&Way::Direct]);
            median(&rounds.map(|(figure, direct)| figure - direct).collect::<Vec<_>>())
        };
        let mut cells = vec![case.name.to_owned(), format!("{direct:.0}")];
        cells.extend(WAYS[1..].iter().map(|way| format!("{:+.0}", added(*way))));
        cells.push(format!("{:.2}", added(Way::Native) / added(Way::Relay)));
        table::row(&cells);
    }
}

/// Transactions a second without connecting, and the median latency in µs.
pub fn pgbench(world: &World, place: &Place, case: &Case, plan: &Plan) -> (f64, f64) {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let clients = case.clients.to_string();
    let log = scratch.path().join("log").display().to_string();
    let mut command = place.command(&world.bin.join("pgbench").display().to_string());
    command.args(["-n", "-c", &clients, "-j", if case.clients > 1 { "2" } else { "1" }]);
    command.args(["-T", &plan.slice.as_secs().to_string(), "-s", &SCALE.to_string()]);
    command.args(case.arguments);
    if case.arguments.contains(&"-f") {
        let script = scratch.path().join("select-1.sql");
        std::fs::write(&script, "SELECT 1;\n").expect("a scratch file");
        command.arg(script);
    }
    if case.clients == 1 {
        command.args(["-l", &format!("--log-prefix={log}")]);
    }
    let output = command.output().expect("pgbench starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}{}", case.name, String::from_utf8_lossy(&output.stderr));
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let files = scratch.path().read_dir().expect("a directory").flatten();
    let logged = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("log"));
    let mut latencies = Vec::new();
    for entry in logged {
        let text = std::fs::read_to_string(entry.path()).expect("a log");
        // client, transaction, time (PostgreSQL manual, pgbench, "Per-Transaction Logging").
        latencies.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok()));
    }
    (tps.unwrap_or_else(|| panic!("no throughput in {said}")), median(&latencies))
}

async fn million_rows(world: &World, plan: &Plan) {
    eprintln!("{ACCOUNTS} rows, {} rounds", plan.rounds);
    let mut clients = BTreeMap::new();
    for way in WAYS {
        clients.insert(way, Raw::connect(world.reads(way)).await);
    }
    let mut speed = Figures::new();
    for round in 0..=plan.rounds {
        for turn in 0..WAYS.len() {
            let way = WAYS[(turn + round) % WAYS.len()];
            let client = clients.get_mut(&way).expect("connected");
            let started = Instant::now();
            assert_eq!(client.rows("SELECT * FROM pgbench_accounts").await, ACCOUNTS);
            // The first round only warms up.
            if round > 0 {
                speed.entry(way).or_default().push(1.0 / started.elapsed().as_secs_f64());
            }
        }
    }
    let case = Case { name: "a million rows, one client", arguments: &[], clients: 0, writes: false };
    print_ratios("A large result, as a ratio to direct's speed", &[&case], &[speed.clone()], "results/s");
    let seconds: Vec<String> =
        WAYS.iter().map(|way| format!("{} {:.2} s", way.name(), 1.0 / median(&speed[way]))).collect();
    println!("\nMedian time: {}.", seconds.join(", "));
}
