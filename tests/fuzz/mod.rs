//! Fuzzing of everything that reads bytes from outside. Each target is one
//! function over bytes ([`targets`]) that panics where a property does not hold
//! and says what kind of answer it got; the loop here mutates what it has, and
//! keeps an input whose kind of answer is new. That stands in for coverage, on
//! stable Rust and within `cargo test`; `tests/fuzz/README.md` shows long runs
//! and runs guided by real coverage over the same functions and inputs.

mod mutate;
pub mod targets;

use mutate::Random;
use std::cell::Cell;
use std::collections::HashSet;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};
use targets::Target;

/// What the suite spends on one target.
const SECONDS: u64 = 3;
/// An input that takes longer is a finding, even on a machine that is busy.
const SLOW: Duration = Duration::from_secs(10);
/// Inputs that are kept beside the corpus.
const MOST_KEPT: usize = 20_000;

thread_local! {
    /// Whether panics of this thread are expected by the hundred.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

fn stay_quiet_where_asked() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
}

macro_rules! fuzz {
    ($($target:ident)+) => {
        $(#[test]
        fn $target() {
            fuzz(&targets::$target());
        })+

        /// A corpus that no target reads is a mistake, and a target that no test runs.
        #[test]
        fn every_corpus_has_a_target_and_every_target_a_test() {
            let known = targets::all().map(|target| target.name);
            assert_eq!(known, [$(stringify!($target)),+]);
            for entry in std::fs::read_dir(corpus("")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(known.contains(&name.as_str()), "tests/fuzz/corpus/{name} belongs to no target");
            }
        }
    };
}

fuzz! {
    wire_frontend
    wire_backend
    wire_tracker
    startup_packet
    scram
    sql
    rows
    config
    names
    api_bodies
    ledger_lines
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number")))
}

fn fuzz(target: &Target) {
    stay_quiet_where_asked();
    let seed = number("DBACCESS_FUZZ_SEED", 1);
    let length = Duration::from_secs(number("DBACCESS_FUZZ_SECONDS", SECONDS));
    let mut run = Run::new(target, seed);
    let started = Instant::now();
    // The corpus, whole, whatever the time: these are tests like any other.
    for input in run.pool.clone() {
        let kind = run.check(&input);
        run.seen.insert(kind);
    }
    let mut random = Random::new(seed);
    while started.elapsed() < length {
        let input = mutate::input(&mut random, &run.pool, target.dictionary);
        let kind = run.check(&input);
        if run.seen.insert(kind) && run.pool.len() < MOST_KEPT {
            run.keep(&input);
        }
    }
    println!("{}: {} inputs, {} kinds of answer, seed {seed}", target.name, run.done, run.seen.len());
    std::fs::remove_file(&run.current).unwrap();
}

struct Run<'t> {
    target: &'t Target,
    seed: u64,
    pool: Vec<Vec<u8>>,
    seen: HashSet<u64>,
    done: u64,
    /// Holds the input that is being tried: what it was, were the process to die of it.
    current: PathBuf,
    file: std::fs::File,
    /// Where inputs with new kinds of answer go.
    kept: PathBuf,
}

impl<'t> Run<'t> {
    fn new(target: &'t Target, seed: u64) -> Self {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
        let kept = place.join(target.name);
        std::fs::create_dir_all(&kept).unwrap();
        let current = place.join(format!("{}.current", target.name));
        let file = std::fs::File::create(&current).unwrap();
        let directory = corpus(target.name);
        let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let mut pool: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        pool.extend((target.seeds)());
        Self { target, seed, pool, seen: HashSet::new(), done: 0, current, file, kept }
    }

    /// The kind of answer to one input.
    fn check(&mut self, input: &[u8]) -> u64 {
        use std::os::unix::fs::FileExt as _;
        self.file.write_all_at(input, 0).unwrap();
        self.file.set_len(input.len() as u64).unwrap();
        self.done += 1;
        let started = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| (self.target.check)(input)));
        match answer {
            Ok(kind) if started.elapsed() < SLOW => kind,
            Ok(_) => self.fail(input, "it took too long"),
            Err(why) => {
                let why = why.downcast_ref::<String>().cloned();
                let small = self.smaller(input);
                self.fail(&small, &why.unwrap_or_else(|| "it panicked".to_owned()))
            }
        }
    }

    /// Takes away what is not needed to fail.
    fn smaller(&self, input: &[u8]) -> Vec<u8> {
        let fails = |input: &[u8]| {
            QUIET.set(true);
            let failed = catch_unwind(AssertUnwindSafe(|| (self.target.check)(input))).is_err();
            QUIET.set(false);
            failed
        };
        let mut small = input.to_vec();
        let mut step = small.len() / 2;
        while step > 0 {
            let mut at = 0;
            while at < small.len() {
                let without = [&small[..at], &small[(at + step).min(small.len())..]].concat();
                if fails(&without) {
                    small = without;
                } else {
                    at += step;
                }
            }
            step /= 2;
        }
        small
    }

    fn fail(&self, input: &[u8], why: &str) -> ! {
        let file = self.current.with_extension("failed");
        std::fs::write(&file, input).unwrap();
        panic!(
            "{}: {why}\nseed {}, input {} of it; {} bytes, also in {}, to be fixed and added to {}:\n{}",
            self.target.name,
            self.seed,
            self.done,
            input.len(),
            file.display(),
            corpus(self.target.name).display(),
            input.escape_ascii(),
        );
    }

    fn keep(&mut self, input: &[u8]) {
        let hash =
            sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), input));
        let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        std::fs::File::create(self.kept.join(name)).and_then(|mut file| file.write_all(input)).unwrap();
        self.pool.push(input.to_vec());
    }
}
