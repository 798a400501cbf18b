//! Conversations in two letters each: `>` from the client, `<` from the server.

use super::*;
use proptest::prelude::*;

#[test]
fn what_is_on_its_way_behind_a_batch_is_known() {
    let mut tracker = Tracker::new(0);
    assert!(tracker.is_quiet() && tracker.is_last_batch());
    tracker.query(['a', 'b']).unwrap();
    assert!(!tracker.is_quiet() && tracker.is_last_batch());
    tracker.send(Sent::Parse).unwrap();
    assert!(!tracker.is_last_batch());
    let mut tracker = Tracker::new(0);
    tracker.send(Sent::Execute('a')).unwrap();
    tracker.send(Sent::Execute('b')).unwrap();
    tracker.send(Sent::Sync).unwrap();
    assert!(tracker.is_last_batch());
    tracker.send(Sent::Sync).unwrap();
    assert!(!tracker.is_last_batch());
}

/// Plays a conversation and tells what the tracker says of it.
fn play(script: &str) -> String {
    let mut tracker = Tracker::new(0);
    let said = script.split_whitespace().filter_map(|step| said(&mut tracker, step));
    said.collect::<Vec<_>>().join(" ")
}

fn said(tracker: &mut Tracker<char>, step: &str) -> Option<String> {
    let (who, what) = step.split_at(1);
    let (message, tokens) = what.split_once(':').unwrap_or((what, ""));
    let token = || tokens.chars().next().unwrap();
    if who == ">" {
        let skipped = match message {
            "Q" => tracker.query(tokens.chars().collect::<Vec<_>>()),
            other => tracker
                .send(match other {
                    "P" => Sent::Parse,
                    "B" => Sent::Bind,
                    "DS" => Sent::DescribeStatement,
                    "DP" => Sent::DescribePortal,
                    "E" => Sent::Execute(token()),
                    "C" => Sent::Close,
                    "S" => Sent::Sync,
                    "F" => Sent::FunctionCall(token()),
                    "c" => Sent::CopyEnd,
                    "X" => Sent::Refused(token()),
                    "XQ" => Sent::RefusedQuery(token()),
                    other => panic!("{other}"),
                })
                .map(|token| token.into_iter().collect()),
        };
        return match skipped {
            Ok(skipped) if skipped.is_empty() => None,
            Ok(skipped) => Some(format!("skip:{}", skipped.into_iter().collect::<String>())),
            Err(error) => Some(format!("[{error}]")),
        };
    }
    let bytes = message.as_bytes();
    if matches!(bytes[0], b'D' | b'd') {
        return Some(match tracker.rows(bytes[0]) {
            Ok(token) => format!("rows:{token}"),
            Err(error) => format!("[{error}]"),
        });
    }
    let body = if bytes[0] == b'C' { b"TAG\0" } else { &bytes[1..] };
    match tracker.receive(bytes[0], body) {
        Err(error) => Some(format!("[{error}]")),
        Ok(Event::Aside | Event::Progress | Event::Described) => None,
        Ok(Event::CopyIn { .. }) => Some("copy".into()),
        Ok(Event::Completed { token, .. }) => Some(format!("done:{token}")),
        Ok(Event::Empty { token }) => Some(format!("empty:{}", token.unwrap_or('-'))),
        Ok(Event::Suspended { token }) => Some(format!("more:{token}")),
        Ok(Event::Returned { token }) => Some(format!("returned:{token}")),
        Ok(Event::Ready { status, spare }) => {
            Some(format!("{}:{}", if spare { "spare" } else { "ready" }, char::from(status.byte())))
        }
        Ok(Event::Failed { token, refused, skipped, .. }) => {
            let skipped: String = skipped.into_iter().collect();
            let skipped = if skipped.is_empty() { skipped } else { format!("/{skipped}") };
            Some(format!("{}:{}{skipped}", if refused { "refused" } else { "fail" }, token.unwrap_or('-')))
        }
    }
}

fn table(rows: &[(&str, &str)]) {
    for (script, expected) in rows {
        assert_eq!(play(script), *expected, "{script}");
    }
}

#[test]
fn simple_queries() {
    table(&[
        (">Q:a <T <D <C <ZI", "rows:a done:a ready:I"),
        (">Q:abc <C <T <D <C <C <ZI", "done:a rows:b done:b done:c ready:I"),
        // An error in the middle: the rest of the text does not run.
        (">Q:abc <C <E <ZI", "done:a fail:b/c ready:I"),
        // A syntax error before anything.
        (">Q:abc <E <ZE", "fail:a/bc ready:E"),
        (">Q: <I <ZI", "empty:- ready:I"),
        (">Q:a <I <ZI", "empty:a ready:I"),
        (">Q: <E <ZI", "fail:- ready:I"),
        // Several Queries in flight, the first fails: the second runs.
        (">Q:ab >Q:cd <E <ZI <C <C <ZI", "fail:a/b ready:I done:c done:d ready:I"),
        (">F:a <V <ZI", "returned:a ready:I"),
        (">F:a >Q:b <E <ZI <C <ZI", "fail:a ready:I done:b ready:I"),
    ]);
}

#[test]
fn the_extended_protocol() {
    table(&[
        (">P >B >DP >E:a >S <1 <2 <T <D <C <ZT", "rows:a done:a ready:T"),
        (">P >DS >S <1 <t <n <ZI", "ready:I"),
        (">P >DS >S <1 <t <T <ZI", "ready:I"),
        (">B >E:a >S <2 <I <ZI", "empty:a ready:I"),
        // A row limit, then more, then Close.
        (">B >E:a >E:b >C >S <2 <D <s <D <s <3 <ZI", "rows:a more:a rows:b more:b ready:I"),
        // An error drops all up to the Sync, known already or not.
        (">P >B >E:a >B >E:b >S <1 <2 <E <ZE", "fail:a/b ready:E"),
        (">P >B >E:a >S <E <ZI", "fail:-/a ready:I"),
        (">P <E >B >E:a >C >S <ZI", "fail:- skip:a ready:I"),
        (">P <E >E:a >S >E:b <ZI <C >S <ZI", "fail:- skip:a ready:I done:b ready:I"),
        // Several Syncs in flight: each error ends at its own.
        (
            ">E:a >S >E:b >E:c >S >E:d >S <C <ZI <E <ZI <C <ZI",
            "done:a ready:I fail:b/c ready:I done:d ready:I",
        ),
        (">S >S >S <ZI <ZI <ZI", "ready:I ready:I ready:I"),
        // A Query or a FunctionCall behind an error without Sync is skipped too,
        // and has no ReadyForQuery (postgres.c, ignore_till_sync).
        (">E:a >Q:bc >F:d >S <E <ZI", "fail:a/bcd ready:I"),
        (">E:a <E >Q:bc >F:d >S <ZI", "fail:a skip:bc skip:d ready:I"),
        // Without Sync between, and no error.
        (">P >B >E:a >Q:b <1 <2 <C <C <ZI", "done:a done:b ready:I"),
        // The commit that Sync does fails: what ran has been told already.
        (">E:a >S >E:b >S <C <E <ZI <C <ZI", "done:a fail:- ready:I done:b ready:I"),
    ]);
}

#[test]
fn asides_answer_nothing() {
    table(&[
        (">E:a <N <A <S >S <N <C <S <ZI <A", "done:a ready:I"),
        ("<N <S", ""),
        // A server that shuts down says so unasked, or in the middle.
        ("<E", "fail:-"),
        (">Q:ab <D <E <E", "rows:a fail:a/b fail:-"),
        (">E:a >S <E <E", "fail:a fail:-"),
    ]);
}

#[test]
fn copies() {
    table(&[
        (">Q:a <H <d <d <c <C <ZI", "rows:a rows:a done:a ready:I"),
        (">E:a >S <H <d <c <C <ZI", "rows:a done:a ready:I"),
        (">Q:a <H <d <E <ZI", "rows:a fail:a ready:I"),
        (">Q:a <G >c <C <ZI", "copy done:a ready:I"),
        // Client and server data in one text, with a statement between.
        (
            ">Q:abcd <G >c <C <T <D <C <H <d <c <C <G >c <C <ZI",
            "copy done:a rows:b done:b rows:c done:c copy done:d ready:I",
        ),
        // The server refuses a line; what the client still sends is ignored.
        (">Q:ab <G <E <ZI >c >Q:c <C <ZI", "copy fail:a/b ready:I done:c ready:I"),
        (">Q:ab <G <E >c <ZI >Q:c <C <ZI", "copy fail:a/b ready:I done:c ready:I"),
        // Data sent before the server has asked for it.
        (">Q:ab >c >c >Q:d <G <C <G <C <ZI <C <ZI", "copy done:a copy done:b ready:I done:d ready:I"),
        (">Q:a >c <E <ZI", "fail:a ready:I"),
        (">Q:a >c >Q:b >c <E <ZI <G <C <ZI", "fail:a ready:I copy done:b ready:I"),
    ]);
}

#[test]
fn a_sync_during_copy_in_is_swallowed() {
    table(&[
        // As libpq does it: Sync behind Execute, and again behind CopyDone.
        (">B >E:a >S <2 <G >c >S <C <ZI", "copy done:a ready:I"),
        (">B >E:a >S >c >S <2 <G <C <ZI", "copy done:a ready:I"),
        (">E:a <G >S >S >c >S <C <ZI", "copy done:a ready:I"),
        // A line is refused after the first Sync was swallowed.
        (">E:a >S <G <E >c >S <ZI >Q:b <C <ZI", "copy fail:a ready:I done:b ready:I"),
        // A trigger refuses before the data is read: the first Sync counts.
        (">E:a >S <G <E <ZI >c >S <ZI >Q:b <C <ZI", "copy fail:a spare:I ready:I done:b ready:I"),
        (">E:a >S >c >S <G <E <ZI <ZI", "copy fail:a ready:I spare:I"),
        (">E:a >S >c >S >E:b >S <G <E <ZI <C <ZI", "copy fail:a ready:I done:b ready:I"),
        (">E:a >S >c >S >E:b >S <G <E <ZI <ZI <C <ZI", "copy fail:a ready:I spare:I done:b ready:I"),
        // It fails before COPY begins: no Sync is swallowed.
        (">E:a >S >c >S <E <ZI <ZI", "fail:a ready:I ready:I"),
        // Whether these run depends on it and cannot be told.
        (
            ">E:a >S <G <E >E:b",
            "copy fail:a [messages were sent past a COPY that failed, and it cannot be known which of them the server runs]",
        ),
        (
            ">E:a >S >c >E:b >S <G <E",
            "copy [messages were sent past a COPY that failed, and it cannot be known which of them the server runs]",
        ),
        // Without such a Sync it can be told.
        (">E:a >c >E:b >S <G <E <ZI", "copy fail:a/b ready:I"),
        (">E:a <G <E >E:b >c >S <ZI", "copy fail:a skip:b ready:I"),
        (">Q:a <G >S <E <ZI <ZI >Q:b <C <ZI", "copy fail:a ready:I spare:I done:b ready:I"),
        (">Q:a <G >S >c <C <ZI", "copy done:a ready:I"),
    ]);
}

#[test]
fn the_error_of_a_refused_statement_is_told() {
    table(&[
        (">XQ:a <E <ZI", "refused:a ready:I"),
        (">P >B >E:a >X:b >E:c >S <1 <2 <C <E <ZI", "done:a refused:b/c ready:I"),
        // Skipped because of an earlier error: the client sees that one only.
        (">P >X:b >S <E <ZI", "fail:-/b ready:I"),
        (">Q:a >XQ:b >Q:c <E <ZI <E <ZE <C <ZE", "fail:a ready:I refused:b ready:E done:c ready:E"),
        // A replacement that does not fail is an error of ours: end it.
        (">X:a <1", "[expected the error of a refused statement, but message '1' came]"),
        (">XQ:a <C", "[expected the error of a refused statement, but message 'C' came]"),
        (">XQ:a <D", "[expected the error of a refused statement, but message 'D' came]"),
    ]);
}

#[test]
fn what_was_not_asked_for_is_refused() {
    table(&[
        ("<ZI", "[expected nothing, for nothing was asked, but message 'Z' came]"),
        ("<C", "[expected nothing, for nothing was asked, but message 'C' came]"),
        (">S <1", "[expected ReadyForQuery, but message '1' came]"),
        (">P <2", "[expected ParseComplete, but message '2' came]"),
        (">DS <T", "[expected ParameterDescription, but message 'T' came]"),
        (">DP <t", "[expected RowDescription or NoData, but message 't' came]"),
        (">Q:a <ZI", "[expected the result of a statement, but message 'Z' came]"),
        (">Q:a <C <C", "done:a [expected ReadyForQuery, but message 'C' came]"),
        (">Q:a <s", "[expected the result of a statement, but message 's' came]"),
        (">Q:a <d", "[expected the result of a statement, but message 'd' came]"),
        (">Q:a <W", "[expected the result of a statement, but message 'W' came]"),
        (">Q:a <c", "[expected the result of a statement, but message 'c' came]"),
        (">E:a <H <D", "[expected the result of Execute, but message 'D' came]"),
        (">F:a <C", "[expected FunctionCallResponse, but message 'C' came]"),
    ]);
}

#[test]
fn g9_the_queue_is_bounded() {
    let mut tracker = Tracker::new(0);
    assert_eq!(tracker.room(), MIN_PENDING);
    for token in 0..MIN_PENDING {
        assert_eq!(tracker.send(Sent::Execute(token)), Ok(None));
    }
    assert_eq!(tracker.room(), 0);
    let full = WireError::TooManyPending { max: MIN_PENDING };
    assert_eq!(tracker.send(Sent::Sync), Err(full.clone()));
    assert_eq!(tracker.query([7]), Err(full));
    assert!(matches!(tracker.receive(b'C', b"SELECT 1\0"), Ok(Event::Completed { token: 0, .. })));
    assert_eq!(tracker.send(Sent::Sync), Ok(None));
}

#[test]
fn a_cut_connection_leaves_what_is_unknown() {
    let mut tracker = Tracker::new(0);
    tracker.query(['a', 'b']).unwrap();
    tracker.send(Sent::Parse).unwrap();
    tracker.send(Sent::Execute('c')).unwrap();
    tracker.send(Sent::Refused('d')).unwrap();
    tracker.receive(b'C', b"UPDATE 1\0").unwrap();
    assert!(!tracker.is_idle());
    assert_eq!(tracker.drain().collect::<String>(), "bcd");
    assert!(tracker.is_idle());
}

proptest! {
    /// Whatever both sides say, every token comes out at most once, and what
    /// has not come out is still there at the end.
    #[test]
    fn no_token_is_lost_or_told_twice(steps in proptest::collection::vec(0..26_usize, 0..80)) {
        let words = [
            ">Q:*", ">Q:**", ">Q:", ">P", ">B", ">DS", ">E:*", ">C", ">S", ">F:*", ">c", ">X:*", ">XQ:*", "<1", "<2",
            "<T", "<n", "<C", "<I", "<s", "<E", "<ZI", "<G", "<H", "<V", "<3",
        ];
        let mut tracker = Tracker::new(0);
        let mut given = String::new();
        let mut told = String::new();
        for step in steps {
            let mut word = words[step].to_owned();
            while word.contains('*') {
                let token = char::from_u32(0x4e00 + u32::try_from(given.chars().count()).unwrap()).unwrap();
                given.push(token);
                word = word.replacen('*', &token.to_string(), 1);
            }
            let Some(said) = said(&mut tracker, &word) else { continue };
            if said.starts_with('[') {
                break;
            }
            told.extend(said.chars().filter(|token| *token >= '\u{4e00}'));
        }
        told.extend(tracker.drain());
        let mut sorted: Vec<char> = told.chars().collect();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(sorted.len(), told.chars().count());
        // Only the token of the very message that was refused may be missing.
        prop_assert!(given.chars().count() - sorted.len() <= 2);
    }
}
