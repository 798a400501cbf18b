//! Retention on real files: what is pruned leaves its hashes, at every moment.

use crate::ledger::{segments, verify};
use crate::ledger_index::{append, intent, outcome};
use dbaccess::core::model::SessionId;
use dbaccess::proto::{AuditQuery, CountBy};
use dbaccess::server::journal::{EventQuery, Index, Journal, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

const RULE: &str = "statements = 400d";

/// Sessions 1 (alice's, which goes) and 2 (bob's, which stays), in several segments.
struct World {
    dir: tempfile::TempDir,
    journal: Journal,
    index: Index,
}

fn options() -> Options {
    Options { segment_bytes: 4000, ..Options::default() }
}

fn gone() -> Vec<SessionId> {
    vec![SessionId::from_stored("ses-1abc")]
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), options()).unwrap();
        let index = Index::open(dir.path(), &dir.path().join("index.db")).unwrap();
        for round in 0..8 {
            let text = format!("alice's secret {round}");
            let asked = append(&journal, intent(1, "alice", "shop", &text)).await;
            append(&journal, intent(2, "bob", "shop", &format!("bob's {round}"))).await;
            append(&journal, r#"{"kind":"connection.opened","session":"ses-1abc"}"#.to_owned()).await;
            append(&journal, outcome(1, asked, round)).await;
        }
        let large = append(&journal, intent(1, "alice", "shop", &"large".repeat(500_000))).await;
        append(&journal, outcome(1, large, 1)).await;
        for _ in 0..60 {
            append(&journal, r#"{"kind":"server.started","version":"1","policy":"p"}"#.to_owned()).await;
        }
        index.catch_up(journal.last_written()).await.unwrap();
        Self { dir, journal, index }
    }

    async fn prune(&self) -> u64 {
        let lines = self.index.lines_of(gone()).await.unwrap();
        self.journal.prune(lines, RULE).await.unwrap()
    }

    fn text(&self) -> String {
        let names = segments(self.dir.path()).into_iter();
        names.map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap()).collect()
    }

    fn blobs(&self) -> usize {
        fs::read_dir(self.dir.path().join("blobs")).unwrap().count()
    }

    fn copy_of_segments(&self) -> BTreeMap<String, Vec<u8>> {
        let names = segments(self.dir.path()).into_iter();
        names.map(|name| (name.clone(), fs::read(self.dir.path().join(name)).unwrap())).collect()
    }
}

/// Everything that an index answers, in one value.
async fn answers(index: &Index) -> Value {
    let all = index.statements(&AuditQuery::default()).await.unwrap();
    let query = AuditQuery::default;
    let searched = index.search(AuditQuery { text: Some("s".into()), ..query() }, None).await.unwrap();
    let followed = index.search(AuditQuery { after: Some(0), ..query() }, None).await.unwrap();
    let mut counts = BTreeMap::new();
    for by in
        [CountBy::Person, CountBy::Table, CountBy::Verb, CountBy::Day, CountBy::Session, CountBy::Result]
    {
        let counted = index.counts(query(), by, None).await.unwrap();
        counts.insert(format!("{by:?}"), serde_json::to_value(&counted).unwrap());
    }
    let both = ["ses-1abc", "ses-2abc"].map(SessionId::from_stored).to_vec();
    let used = index.usage(both.clone()).await.unwrap();
    let uses = index.uses(jiff::Timestamp::MIN, jiff::Timestamp::MAX).await.unwrap();
    let events = index.events(&EventQuery { limit: Some(1000), ..EventQuery::default() }).await.unwrap();
    json!({
        "all": all, "searched": searched, "followed": followed, "counts": counts, "used": format!("{used:?}"), "uses": format!("{uses:?}"),
        "events": events.iter().map(|event| (event.seq, &event.kind)).collect::<Vec<_>>(),
        "lines": index.lines_of(both).await.unwrap(),
        "aged": format!("{:?}", index.aged(jiff::Timestamp::MAX, 0, 99, 1000).await.unwrap()),
    })
}

/// As an index that is made from the segments answers.
async fn made_anew(dir: &Path, journal: &Journal) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let index = Index::open(dir, &scratch.path().join("index.db")).unwrap();
    index.catch_up(journal.last_written()).await.unwrap();
    answers(&index).await
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_pruned_statements_are_gone_and_the_ledger_is_whole() {
    let world = World::new().await;
    let (before, blobs) = (verify(world.dir.path()), world.blobs());
    assert_eq!((&before.broken, before.pruned.len(), blobs), (&None, 0, 1));
    assert!(world.text().contains("alice's secret 0"));

    // Nine statements and their outcomes.
    assert_eq!(world.prune().await, 18);
    world.index.forget(gone()).await.unwrap();
    world.index.catch_up(world.journal.last_written()).await.unwrap();
    let text = world.text();
    assert!(!text.contains("alice's") && text.contains("bob's 0") && text.contains("connection.opened"));
    assert_eq!(world.blobs(), 0, "what stood beside the chain goes too");
    // An index that is made anew gives the same answers, before and after a restart.
    let answers = answers(&world.index).await;
    assert_eq!(answers["all"].as_array().unwrap().len(), 8);
    assert_eq!(answers, made_anew(world.dir.path(), &world.journal).await);
    world.journal.close().await.unwrap();
    let report = verify(world.dir.path());
    assert_eq!((report.broken, report.unsigned), (None, 0));
    let missing: u64 = report.pruned.iter().map(|pruned| pruned.lines).sum();
    assert!(missing >= 18 && report.pruned.iter().all(|pruned| pruned.told.is_some()), "{:?}", report.pruned);
    assert_eq!(report.pruned[0].told.as_ref().unwrap().rule, RULE);
    let (journal, _) = Journal::open(world.dir.path(), options()).unwrap();
    assert_eq!(made_anew(world.dir.path(), &journal).await["all"], answers["all"]);
    journal.close().await.unwrap();
    assert_eq!(verify(world.dir.path()).broken, None);
}

/// Each state that a killed server can leave, and the next run.
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_prune_that_was_broken_off_is_brought_to_its_end() {
    let world = World::new().await;
    let whole = world.copy_of_segments();
    assert_eq!(world.prune().await, 18);
    let told = world.text().matches("ledger.pruned").count();

    // Killed before the segments were renamed: they are as they were.
    for pruned in verify(world.dir.path()).pruned {
        fs::write(world.dir.path().join(&pruned.segment), &whole[&pruned.segment]).unwrap();
    }
    fs::write(world.dir.path().join("pruned.new"), b"half a lin").unwrap();
    assert!(world.text().contains("alice's secret 0"));
    assert_eq!(world.prune().await, 18);
    assert!(world.text().matches("ledger.pruned").count() > told, "it is told again");

    // Killed before the index forgot: nothing goes twice, and nothing is told.
    let told = world.text().matches("ledger.pruned").count();
    assert_eq!(world.prune().await, 0);
    assert_eq!(world.text().matches("ledger.pruned").count(), told);
    world.index.forget(gone()).await.unwrap();
    world.index.forget(gone()).await.unwrap();
    world.index.catch_up(world.journal.last_written()).await.unwrap();
    assert_eq!(answers(&world.index).await, made_anew(world.dir.path(), &world.journal).await);
    world.journal.close().await.unwrap();
    assert_eq!(verify(world.dir.path()).broken, None);
}

/// What `ledger verify` says of a copy, and its exit code.
fn verified(dir: &Path) -> (bool, String) {
    let output = std::process::Command::new(crate::support::env::BINARY)
        .args(["ledger", "verify", dir.to_str().unwrap()])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_ledger_verify_names_what_was_pruned_and_what_was_only_made_to_look_so() {
    let world = World::new().await;
    world.prune().await;
    world.journal.close().await.unwrap();
    let dir = world.dir.path();
    let (whole, said) = verified(dir);
    assert!(whole && said.contains("were pruned on") && said.contains(RULE), "{said}");
    let pruned = verify(dir).pruned[0].segment.clone();
    let path = dir.join(&pruned);
    let text = fs::read_to_string(&path).unwrap();

    // Other lines are taken out in the same way, by somebody without the server.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let bobs = lines.iter().find(|line| line.contains("bob's")).unwrap();
    let seq: u64 = bobs["{\"seq\":".len()..].split(',').next().unwrap().parse().unwrap();
    take_out(&path, seq);
    let (whole, said) = verified(dir);
    assert!(!whole && said.contains("no later line that the ledger's key has signed says"), "{said}");

    // The hash that a gap holds of its last line is another.
    let hash = text.find("\"hash\":\"").unwrap() + "\"hash\":\"".len();
    let other = if &text[hash..=hash] == "0" { "1" } else { "0" };
    fs::write(&path, format!("{}{other}{}", &text[..hash], &text[hash + 1..])).unwrap();
    let (whole, said) = verified(dir);
    assert!(!whole && said.contains("was edited or replaced"), "{said}");

    // The whole segment is not there.
    fs::remove_file(&path).unwrap();
    let (whole, said) = verified(dir);
    assert!(!whole && said.contains("a segment before this one is missing"), "{said}");
    fs::write(&path, &text).unwrap();
    assert!(verified(dir).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_many_statements_are_fewer_at_a_time() {
    let world = World::new().await;
    let page = async |after, statements| {
        world.index.aged(jiff::Timestamp::MAX, after, 99, statements).await.unwrap()
    };
    let both = page(0, 1000).await;
    // Bob's last is the first; alice's has an outcome behind it.
    let told: Vec<_> = both.iter().map(|one| (one.session.as_str(), one.statements)).collect();
    assert_eq!(told, [("ses-2abc", 8), ("ses-1abc", 9)]);
    assert_eq!(both[0].last_line, both[0].last);
    assert!(both[1].last_line > both[1].last, "{both:?}");
    assert_eq!(page(0, 9).await, both);
    assert_eq!(page(0, 8).await, both[..1]);
    assert_eq!(page(both[0].last, 1).await, both[1..]);
    world.journal.close().await.unwrap();
}

/// Takes a line out of a segment's file as the server would, without its key.
fn take_out(path: &Path, seq: u64) {
    let text = fs::read(path).unwrap();
    let (gone, mut out) = ([seq], Vec::new());
    let mut pruner = dbaccess::core::ledger::Pruner::new(&gone);
    text.split_inclusive(|byte| *byte == b'\n').for_each(|line| pruner.line(line, &mut out).unwrap());
    assert_eq!(pruner.finish(&mut out).lines, 1);
    fs::write(path, &out).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_what_somebody_has_changed_is_not_written_anew() {
    let world = World::new().await;
    let (dir, whole) = (world.dir.path(), world.copy_of_segments());
    let first = segments(dir)[0].clone();
    let path = dir.join(&first);
    let text = String::from_utf8(whole[&first].clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    type Forge = fn(&Path, &[&str]);
    let table: [(&str, Forge); 4] = [
        ("was edited or replaced", |path, lines| {
            fs::write(path, lines.concat().replacen("bob's", "eve's", 1)).unwrap();
        }),
        ("is missing", |path, lines| fs::write(path, [&lines[..1], &lines[2..]].concat().concat()).unwrap()),
        ("it does not end with a checkpoint", |path, lines| {
            fs::write(path, lines[..lines.len() - 1].concat()).unwrap();
        }),
        ("nothing on the ledger says that they were pruned", |path, _| take_out(path, 2)),
    ];
    let gone = world.index.lines_of(gone()).await.unwrap();
    let of_first: Vec<u64> = gone.into_iter().filter(|seq| *seq < lines.len() as u64).collect();
    for (why, forge) in table {
        forge(&path, &lines);
        let (forged, told) = (fs::read(&path).unwrap(), world.text().matches("ledger.pruned").count());
        let refused = world.journal.prune(of_first.clone(), RULE).await.unwrap_err().to_string();
        assert!(refused.contains(&first) && refused.contains(why), "{why}: {refused}");
        assert_eq!(fs::read(&path).unwrap(), forged, "{why}");
        assert_eq!(world.text().matches("ledger.pruned").count(), told, "{why}");
        fs::write(&path, &text).unwrap();
    }
    // What is whole goes, and what is left of it after that, too.
    assert_eq!(world.journal.prune(of_first[..1].to_vec(), RULE).await.unwrap(), 1);
    assert_eq!(world.prune().await, 17);
    world.journal.close().await.unwrap();
    assert_eq!(verify(dir).broken, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_off_is_found_by_an_index_that_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), options()).unwrap();
    let asked = append(&journal, intent(1, "alice", "shop", "alice's")).await;
    for n in 0..120 {
        if n == 60 {
            append(&journal, outcome(1, asked, 1)).await;
        }
        append(&journal, r#"{"kind":"server.started","version":"1","policy":"p"}"#.to_owned()).await;
    }
    let read = |name: &String| fs::read_to_string(dir.path().join(name)).unwrap();
    let later =
        segments(dir.path()).into_iter().find(|name| read(name).contains("statement.outcome")).unwrap();
    assert!(!read(&later).contains("statement.intent") && Some(&later) != segments(dir.path()).last());
    let made_anew = async || {
        let scratch = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path(), &scratch.path().join("index.db")).unwrap();
        index.catch_up(journal.last_written()).await.unwrap();
        index.lines_of(gone()).await.unwrap()
    };
    let (lines, whole) = (made_anew().await, read(&later));
    assert_eq!(lines.len(), 2);
    fs::write(dir.path().join(&later), whole.replace("statement.outcome", "statement.outcomf")).unwrap();
    journal.prune(lines, RULE).await.unwrap_err();
    fs::write(dir.path().join(&later), whole).unwrap();
    assert_eq!(journal.prune(made_anew().await, RULE).await.unwrap(), 2);
    journal.close().await.unwrap();
    assert_eq!(verify(dir.path()).broken, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_records_beside_the_chain_go_when_their_lines_are_gone_and_not_before() {
    let world = World::new().await;
    let dir = world.dir.path();
    let name = fs::read_dir(dir.join("blobs")).unwrap().next().unwrap().unwrap().file_name();
    let (blob, note, new) = (dir.join("blobs").join(name), dir.join("pruned.blobs"), dir.join("pruned.new"));
    let hash = blob.file_name().unwrap().to_str().unwrap();
    let whole = fs::read(&blob).unwrap();
    world.journal.close().await.unwrap();
    // Killed before the segment is in its place: it names its record.
    fs::write(&new, b"what stays\n").unwrap();
    fs::write(&note, hash).unwrap();
    let (journal, _) = Journal::open(dir, options()).unwrap();
    assert!(blob.exists() && !note.exists());
    let lines = world.index.lines_of(gone()).await.unwrap();
    assert_eq!(journal.prune(lines, RULE).await.unwrap(), 18);
    assert!(!blob.exists() && !note.exists() && !new.exists());
    // Killed after that, before its record is removed.
    fs::write(&blob, whole).unwrap();
    fs::write(&note, hash).unwrap();
    journal.close().await.unwrap();
    let (journal, _) = Journal::open(dir, options()).unwrap();
    assert!(!blob.exists() && !note.exists());
    journal.close().await.unwrap();
}

/// What evidence of all that there is says of the chain.
fn evidence_of(journal: &Journal) -> Value {
    use dbaccess::core::evidence::Period;
    use dbaccess::server::evidence::{Wanted, write};
    let file = tempfile::NamedTempFile::new().unwrap();
    let period = Period { from: jiff::Timestamp::UNIX_EPOCH, until: dbaccess::os::now() };
    let wanted =
        Wanted { framework: dbaccess::core::model::Framework::Pci, period, upto: journal.last_written().0 };
    write(journal.dir(), journal.public_key(), wanted, |manifest| journal.sign(manifest), file.as_file())
        .unwrap();
    let files = crate::evidence::files_of(file.path());
    let html = String::from_utf8_lossy(&files["report.html"]);
    assert!(html.contains("were pruned on") && html.contains(RULE));
    let report: Value = serde_json::from_slice(&files["data/report.json"]).unwrap();
    report["ledger"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_3_a_ledger_whose_older_segments_are_kept_elsewhere_may_begin_with_a_gap() {
    let world = World::new().await;
    let dir = world.dir.path();
    let names = segments(dir);
    let first = dbaccess::core::ledger::first_seq(&names[1]).unwrap();
    assert_eq!(world.journal.prune(vec![first, first + 1], RULE).await.unwrap(), 2);
    fs::remove_file(dir.join(&names[0])).unwrap();
    let proven = evidence_of(&world.journal);
    assert_eq!((&proven["broken"], &proven["first"]), (&Value::Null, &first.into()), "{proven}");
    let pruned = &proven["pruned"][0];
    assert_eq!((&pruned["lines"], &pruned["told"]["rule"]), (&2.into(), &RULE.into()), "{proven}");
    // More of it goes.
    assert_eq!(world.journal.prune(vec![first + 2], RULE).await.unwrap(), 1);
    assert_eq!(evidence_of(&world.journal)["broken"], Value::Null);
    world.journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_a_server_does_not_go_on_with_a_segment_of_which_something_was_taken_out() {
    let world = World::new().await;
    world.journal.close().await.unwrap();
    let last = segments(world.dir.path()).pop().unwrap();
    let path = world.dir.path().join(&last);
    take_out(&path, dbaccess::core::ledger::first_seq(&last).unwrap());
    let forged = fs::read(&path).unwrap();
    let refused = Journal::open(world.dir.path(), options()).err().unwrap().to_string();
    assert!(refused.contains(&last) && refused.contains("were taken out"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), forged);
}

#[tokio::test]
async fn a_segment_is_closed_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let aged = Options { segment_age: Some(Duration::ZERO), ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), aged).unwrap();
    for _ in 0..3 {
        let position = append(&journal, r#"{"kind":"test"}"#.to_owned()).await;
        journal.synced(position).await.unwrap();
    }
    assert!(journal.closed().unwrap() >= 2, "{:?}", segments(dir.path()));
    journal.close().await.unwrap();
    // So is one that an earlier process began.
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    let before = journal.closed().unwrap();
    append(&journal, r#"{"kind":"test"}"#.to_owned()).await;
    journal.close().await.unwrap();
    let aged = Options { segment_age: Some(Duration::ZERO), ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), aged).unwrap();
    let position = append(&journal, r#"{"kind":"test"}"#.to_owned()).await;
    journal.synced(position).await.unwrap();
    crate::support::env::eventually("the old segment is closed", || {
        (journal.closed().unwrap() > before).then_some(())
    })
    .await;
    journal.close().await.unwrap();
    assert_eq!(verify(dir.path()).broken, None);
}
