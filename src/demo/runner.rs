//! Carries the story out, step by step, and checks what each claims: exit
//! codes, what was printed, facts in the database. A claim that does not hold
//! is told, and the story goes on, so that all of them are seen in one run.

use super::credential::{self, Credential};
use super::evidence;
use super::process::{Ended, Process};
use super::screen::Screen;
use super::step::{Fact, Keep, Says, Scene, Step, Typed};
use super::world::{PRODUCTION, World};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_postgres::SimpleQueryMessage;

/// How long a fact may take to become true.
const LIMIT: Duration = Duration::from_secs(20);

/// How the story went.
#[derive(Debug, Default)]
pub struct Outcome {
    pub held: usize,
    /// The claims that did not.
    pub failed: Vec<String>,
}

/// Plays the scenes in order. Dropping the future ends what runs.
pub async fn play(story: &[&[Scene]], world: &World, screen: &Screen) -> Outcome {
    let mut runner = Runner { world, screen, kept: BTreeMap::new(), credential: None, running: None };
    let mut outcome = Outcome::default();
    for (index, scene) in story.iter().copied().flatten().enumerate() {
        screen.scene(&format!("{}. {}", index + 1, scene.title));
        for step in scene.steps {
            let claim = step.claim();
            match runner.step(step).await {
                Ok(()) => {
                    screen.held(claim);
                    outcome.held += 1;
                }
                Err(error) => {
                    screen.failed(&format!("Not so: {claim} {error:#}"));
                    outcome.failed.push(claim.to_owned());
                }
            }
        }
    }
    outcome
}

struct Runner<'a> {
    world: &'a World,
    screen: &'a Screen,
    kept: BTreeMap<&'static str, String>,
    credential: Option<Credential>,
    running: Option<Process>,
}

impl Step {
    fn claim(&self) -> &'static str {
        match self {
            Self::Types(typed) | Self::Starts(typed, _) | Self::Ends(typed) => typed.claim,
            Self::Tries { claim, .. } => claim,
            Self::Shows(claim, _)
            | Self::TakesCredential(claim)
            | Self::IncidentSystem(claim, _)
            | Self::Pages(claim, ..)
            | Self::CopiesLedger(claim)
            | Self::TampersWithCopy(claim) => claim,
        }
    }
}

impl Runner<'_> {
    async fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Types(typed) => {
                let process = self.start(typed)?;
                let ended = process.finish(self.world, self.screen).await?;
                self.judge(typed, &ended)
            }
            Step::Starts(typed, fact) => {
                self.running = Some(self.start(typed)?);
                self.holds(fact).await
            }
            Step::Ends(typed) => {
                let process = self.running.take().context("nothing is running")?;
                self.screen.told(&format!("What {}'s command says meanwhile:", typed.who));
                let ended = process.finish(self.world, self.screen).await?;
                self.judge(typed, &ended)
            }
            Step::Shows(_, fact) => self.holds(fact).await,
            Step::TakesCredential(_) => {
                let taken = Credential::of_open_session(self.world, "alice")?;
                self.kept.insert("role", taken.role.clone());
                self.credential = Some(taken);
                Ok(())
            }
            Step::Tries { door, opens, .. } => {
                let credential = self.credential.as_ref().context("nobody has a credential")?;
                credential::check(self.world, credential, *door, *opens).await
            }
            Step::IncidentSystem(_, happening) => {
                self.world.incidents.happens(*happening);
                Ok(())
            }
            Step::Pages(_, summary, open) => {
                let found = || self.world.incidents.pages().iter().any(|page| page.is(summary, *open));
                eventually(async || Ok(if found() { Ok(()) } else { Err("The pager does not.".to_owned()) }))
                    .await
            }
            Step::CopiesLedger(_) => evidence::copy_ledger(self.world, "dave"),
            Step::TampersWithCopy(_) => evidence::tamper(self.world, "dave"),
        }
    }

    fn start(&self, typed: &Typed) -> Result<Process> {
        let words = typed.words().iter().map(|word| self.filled(word)).collect::<Result<Vec<_>>>()?;
        self.screen.typed(typed.who, &words);
        Process::start(self.world, self.screen, typed.who, &words)
    }

    /// Whether the command did what its step claims.
    fn judge(&mut self, typed: &Typed, ended: &Ended) -> Result<()> {
        if let Some(Keep { name, prefix }) = typed.keeps {
            let found = ended.out.split([' ', ',', '\n']).find(|word| word.starts_with(prefix));
            let found = found.with_context(|| format!("It printed nothing that starts with `{prefix}`."))?;
            self.kept.insert(name, found.to_owned());
        }
        ensure!(ended.code == typed.exit, "Its exit code is {}, expected {}.", ended.code, typed.exit);
        for says in typed.says {
            match says {
                Says::Out(text) => ensure!(ended.out.contains(text), "It did not print `{text}`."),
                Says::Err(text) => ensure!(ended.err.contains(text), "It did not say `{text}`."),
                Says::Nothing(text) => {
                    let said = ended.out.contains(text) || ended.err.contains(text);
                    ensure!(!said, "It said `{text}`.");
                }
            }
        }
        Ok(())
    }

    async fn holds(&self, fact: &Fact) -> Result<()> {
        let admin = self.world.postgres.admin(PRODUCTION).await?;
        let sql = self.filled(fact.sql)?;
        eventually(async || {
            let answer = admin.simple_query(&sql).await?;
            let value = answer.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
                _ => None,
            });
            Ok(match value {
                Some(value) if value == fact.is => Ok(()),
                value => Err(format!("The database says {}.", value.as_deref().unwrap_or("nothing"))),
            })
        })
        .await
    }

    /// The text with what was kept in place of each `{name}`.
    fn filled(&self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').context("a name without its end")?;
            let value = self.kept.get(name).with_context(|| format!("There is no {name} to name."))?;
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// Asks until it is so; what was said last is the error.
async fn eventually(ask: impl AsyncFn() -> Result<Result<(), String>>) -> Result<()> {
    let started = Instant::now();
    loop {
        match ask().await? {
            Ok(()) => return Ok(()),
            Err(why) if started.elapsed() > LIMIT => bail!(why),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
