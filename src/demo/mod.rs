//! Everything on one loopback, in temporary directories, to try and to test:
//! never for real use.
//!
//! ```text
//!  run ── world     scratch PostgreSQL, identity provider, incident system, server, people's homes
//!      ── runner    plays the story (data: story, in the words of step) and checks it
//!           └─ process      the real commands, each as its person
//!           └─ credential, evidence   what thieves and auditors do
//!      ── farewell  how to go on by hand
//! ```
//!
//! It decides nothing about access: the server does, as it would anywhere.
//! Called by `main`; the tests use its parts.

mod credential;
mod evidence;
pub mod identity;
pub mod incidents;
mod people;
pub mod pki;
pub mod postgres;
mod process;
mod runner;
mod screen;
pub mod site;
mod step;
mod story;
mod world;

use crate::cli::DemoArgs;
use anyhow::{Result, bail};
use people::{ON_CALL, PEOPLE};
use runner::Outcome;
use screen::Screen;
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use world::World;

/// `dbaccess demo`. Nothing is left of it when this returns, or when the
/// process is told to end.
///
/// # Errors
/// What could not be started, how many claims of the story did not hold, or
/// that a signal ended it before its end.
pub async fn run(args: &DemoArgs) -> Result<()> {
    let mut signals = Signals::new()?;
    let screen = Screen::new();
    let started = Instant::now();
    screen.line("dbaccess demo: everything on this machine, nothing kept. Setting up:");
    let world = tokio::select! {
        world = World::start(args.port, &screen) => world?,
        name = signals.next() => bail!("{name} came before it was ready"),
    };
    screen.line(&format!("Ready after {:.1} s.", started.elapsed().as_secs_f64()));
    let lived = tokio::select! {
        outcome = live(args, &world, &screen) => outcome,
        name = signals.next() => {
            screen.line("");
            Err(anyhow::anyhow!("{name} came before the story's end"))
        }
    };
    let lived = match lived {
        Ok(outcome) if !args.once => {
            farewell(&world, &screen);
            signals.next().await;
            screen.line("");
            Ok(outcome)
        }
        lived => lived,
    };
    let step = screen.progress("everything stopped and wiped");
    let ended = world.end().await;
    if ended.is_ok() {
        step.done();
    }
    let outcome = lived?;
    ended?;
    if !outcome.failed.is_empty() {
        bail!("{} of the story's claims did not hold: {}", outcome.failed.len(), outcome.failed.join(" "));
    }
    Ok(())
}

async fn live(args: &DemoArgs, world: &World, screen: &Screen) -> Result<Outcome> {
    if args.no_story {
        return Ok(Outcome::default());
    }
    let started = Instant::now();
    let outcome = runner::play(story::STORY, world, screen).await;
    let all = outcome.held + outcome.failed.len();
    screen.line("");
    let took = started.elapsed().as_secs_f64();
    match outcome.failed.len() {
        0 => screen.held(&format!("All {all} claims of the story held ({took:.1} s).")),
        failed => {
            screen.failed(&format!("{failed} of {all} claims of the story did not hold ({took:.1} s)."))
        }
    }
    Ok(outcome)
}

/// How to go on by hand.
fn farewell(world: &World, screen: &Screen) {
    let dir = world.dir().display();
    screen.line("\nIt is yours now, until Ctrl-C. In other terminals, be each person:\n");
    for person in PEOPLE {
        screen.line(&format!("  source {dir}/{}.env", person.name));
        screen.line(&format!("      # {}", person.about));
    }
    screen.line(&format!(
        "\nThen: dbaccess targets, dbaccess request, dbaccess connect prod-orders… Who is not signed in yet \
         runs dbaccess login, and may choose anybody at the identity provider, {}.\n",
        world.issuer()
    ));
    screen.line(&format!(
        "For break-glass, {ON_CALL} has the incident PD-Q7. It is resolved, opened again and out of reach at {}. \
         A migration to ask for is in everybody's directory, {dir}/NAME/V42__add_index.sql.\n",
        world.incidents.site()
    ));
    screen.line(&format!("The server's configuration: {dir}/server.toml; its log: {dir}/server.log"));
}

/// What ends the demo.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Cancel-safe.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}
