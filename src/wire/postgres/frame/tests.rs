use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const SMALL: Limits = Limits { frame: 1 << 16, whole: 64, head: 32 };

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
}

/// A stream read in chunks that end at the given places, as the caller's loop
/// does it: what is seen, joined where only the chunks made a difference.
fn events(mut scanner: Scanner, stream: &[u8], cuts: &[usize]) -> (Vec<String>, Option<WireError>) {
    let mut seen: Vec<String> = Vec::new();
    let mut bulk: Option<(u8, u64, usize)> = None;
    let mut rest: Option<(u8, usize)> = None;
    let mut covered = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        let end = end.min(stream.len()).max(covered);
        loop {
            let piece = match scanner.next(&stream[covered..end]) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    seen.extend(bulk.map(|bulk| format!("{bulk:?}")));
                    return (seen, Some(error));
                }
            };
            assert!(!piece.bytes.is_empty());
            assert_eq!(piece.bytes, &stream[covered..covered + piece.bytes.len()]);
            covered += piece.bytes.len();
            match piece.what {
                What::Bulk { tag, frames } if bulk.is_some_and(|(other, ..)| other == tag) => {
                    bulk = bulk.map(|(tag, all, len)| (tag, all + frames, len + piece.bytes.len()));
                }
                What::Rest { tag, last } => {
                    let len = rest.map_or(0, |(_, len)| len) + piece.bytes.len();
                    rest = Some((tag, len)).filter(|_| !last);
                    if last {
                        seen.push(format!("rest {tag} {len}"));
                    }
                }
                what => {
                    seen.extend(bulk.take().map(|bulk| format!("{bulk:?}")));
                    match what {
                        What::Bulk { tag, frames } => bulk = Some((tag, frames, piece.bytes.len())),
                        other => seen.push(format!("{other:?}")),
                    }
                }
            }
        }
    }
    seen.extend(bulk.map(|bulk| format!("{bulk:?}")));
    (seen, None)
}

#[test]
fn a_chunk_of_rows_is_one_piece() {
    let rows = frame(b'D', &[0; 40]).repeat(500);
    let stream = [rows.clone(), frame(b'C', b"SELECT 500\0"), frame(b'Z', b"I")].concat();
    let mut scanner = Scanner::backend(SMALL);
    let piece = scanner.next(&stream).unwrap().unwrap();
    assert_eq!((piece.what, piece.bytes), (What::Bulk { tag: b'D', frames: 500 }, &rows[..]));
    let piece = scanner.next(&stream[rows.len()..]).unwrap().unwrap();
    assert_eq!(piece.what, What::Frame { tag: b'C', body: b"SELECT 500\0" });
}

#[test]
fn a_row_limit_is_met_exactly() {
    let rows = frame(b'D', &[0; 40]).repeat(5);
    let mut scanner = Scanner::backend(SMALL);
    let piece = scanner.next_within(&rows[..50], rows_only(2)).unwrap().unwrap();
    assert_eq!((piece.what, piece.bytes.len()), (What::Bulk { tag: b'D', frames: 2 }, 50));
    assert!(!scanner.at_boundary());
    let piece = scanner.next_within(&rows[50..], rows_only(0)).unwrap().unwrap();
    assert_eq!((piece.what, piece.bytes.len()), (What::Bulk { tag: b'D', frames: 0 }, 40));
    assert!(scanner.at_boundary());
    assert_eq!(scanner.next_within(&rows[90..], rows_only(0)), Ok(None));
    assert_eq!(scanner.held_back(&rows[90..]).map(Header::frame_len), Some(45));
    assert_eq!(scanner.held_back(&rows[90..94]), None, "its header is not here");
    let piece = scanner.next_within(&rows[90..], rows_only(9)).unwrap().unwrap();
    assert_eq!(piece.what, What::Bulk { tag: b'D', frames: 3 });
}

fn rows_only(frames: u64) -> Bounds {
    Bounds { frames, ..Bounds::NONE }
}

#[test]
fn a_byte_limit_counts_whole_rows_before_they_begin() {
    let rows = frame(b'D', &[0; 40]).repeat(5);
    let bytes_only = |bytes| Bounds { bytes, ..Bounds::NONE };
    let mut scanner = Scanner::backend(SMALL);
    assert_eq!(scanner.next_within(&rows, bytes_only(44)), Ok(None));
    assert!(scanner.held_back(&rows).is_some());
    let piece = scanner.next_within(&rows[..50], bytes_only(100)).unwrap().unwrap();
    assert_eq!((piece.what, piece.bytes.len()), (What::Bulk { tag: b'D', frames: 2 }, 50));
    assert_eq!(scanner.left(), 40);
    let piece = scanner.next_within(&rows[50..], bytes_only(10)).unwrap().unwrap();
    assert_eq!((piece.what, piece.bytes.len()), (What::Bulk { tag: b'D', frames: 0 }, 40));
    // Only rows and COPY data are held back.
    assert_eq!(scanner.held_back(b"C\0\0\0\x0dSELECT 1\0"), None);
    assert!(scanner.next_within(b"Z\0\0\0\x05I", bytes_only(0)).unwrap().is_some());
}

#[test]
fn a_long_error_gives_its_head_and_passes_on() {
    let error = frame(b'E', &[b'x'; 100]);
    let mut scanner = Scanner::backend(SMALL);
    assert_eq!(scanner.next(&error[..36]), Ok(None));
    let piece = scanner.next(&error[..60]).unwrap().unwrap();
    assert_eq!(piece.what, What::Head { tag: b'E', body: &[b'x'; 32] });
    assert!(!scanner.at_boundary());
    let piece = scanner.next(&error[37..60]).unwrap().unwrap();
    assert_eq!(piece.what, What::Rest { tag: b'E', last: false });
    let piece = scanner.next(&error[60..]).unwrap().unwrap();
    assert_eq!((piece.what, piece.bytes.len()), (What::Rest { tag: b'E', last: true }, 45));
    assert!(scanner.at_boundary());
}

#[test]
fn what_no_peer_may_send_is_refused() {
    let backend = || Scanner::backend(SMALL);
    let frontend = || Scanner::frontend(SMALL);
    for (mut scanner, bytes, error) in [
        (frontend(), &b"Z"[..], "expected a message of a client, but message 'Z' came"),
        (frontend(), b"\x16\x03\x01\0\0", "expected a message of a client, but message 0x16 came"),
        (backend(), b"Q\0\0\0\x04", "expected a message of a server, but message 'Q' came"),
        (backend(), b"Z\0\0\0\x03", "message 'Z' says it is 3 bytes long, but only 4 to 64 are accepted"),
        (backend(), b"D\0\0\0\0", "message 'D' says it is 0 bytes long, but only 4 to 65536 are accepted"),
        (frontend(), b"E\0\0\0\x41", "message 'E' says it is 65 bytes long, but only 4 to 64 are accepted"),
        (
            frontend(),
            b"B\xff\xff\xff\xff",
            "message 'B' says it is 4294967295 bytes long, but only 4 to 65536 are accepted",
        ),
        (frontend(), b"B\0\0\0\x03", "message 'B' says it is 3 bytes long, but only 4 to 65536 are accepted"),
    ] {
        assert_eq!(scanner.next(bytes).unwrap_err().to_string(), error);
    }
    // A text that is too long is delivered in part, to be refused.
    for length in [0x41, 0x42, 0x45, 0xff] {
        let text = [&[b'Q', 0, 0, 0, length][..], &[b'x'; 0xff]].concat();
        let piece = frontend().next(&text).unwrap().unwrap();
        assert!(matches!(piece.what, What::Head { tag: b'Q', .. }), "{piece:?}");
    }
    // Sound rows before a broken header are still delivered.
    let stream = [frame(b'D', b"ab"), b"D\0\0\0\x01".to_vec()].concat();
    let mut scanner = backend();
    assert_eq!(scanner.next(&stream).unwrap().unwrap().bytes.len(), 7);
    assert!(scanner.next(&stream[7..]).is_err());
}

fn stream(tags: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let one = (proptest::sample::select(tags), vec(any::<u8>(), 0..60));
    vec(one, 0..30).prop_map(|frames| frames.iter().flat_map(|(tag, body)| frame(*tag, body)).collect())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(0..2000_usize, 0..40).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #[test]
    fn chunks_make_no_difference(
        server in stream(b"DDDDddTCZE1n2SNVGHc"),
        client in stream(b"QPBEDCSHFdddcfpX"),
        cuts in cuts(),
    ) {
        for (scanner, stream) in [(Scanner::backend(SMALL), server), (Scanner::frontend(SMALL), client)] {
            let whole = events(scanner.clone(), &stream, &[]);
            prop_assert_eq!(&whole.1, &None);
            prop_assert_eq!(&events(scanner.clone(), &stream, &cuts), &whole);
            let every: Vec<usize> = (0..stream.len()).collect();
            prop_assert_eq!(&events(scanner, &stream, &every), &whole);
        }
    }

    #[test]
    fn chunks_make_no_difference_to_nonsense(noise in vec(any::<u8>(), 0..300), good in stream(b"DdEZ"), cuts in cuts()) {
        let stream = [good, noise].concat();
        for scanner in [Scanner::backend(SMALL), Scanner::frontend(SMALL)] {
            prop_assert_eq!(events(scanner.clone(), &stream, &cuts), events(scanner, &stream, &[]));
        }
    }
}
