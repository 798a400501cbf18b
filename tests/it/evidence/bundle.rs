//! A year's bundle: what it finds, and what its check finds in it.

use super::year;
use dbaccess::cli::bundle::{Checked, check};
use dbaccess::core::evidence::{Manifest, Period};
use dbaccess::core::ledger::{Detached, PublicKey};
use dbaccess::core::model::Framework;
use dbaccess::server::evidence::{Wanted, write};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The files of a bundle by name.
type Files = BTreeMap<String, Vec<u8>>;

pub struct Made {
    dir: TempDir,
    pub exceptions: u64,
}

impl Made {
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("bundle.zip")
    }

    pub fn files(&self) -> Files {
        files_of(&self.path())
    }
}

pub fn files_of(bundle: &Path) -> Files {
    let mut zip = ZipArchive::new(File::open(bundle).unwrap()).unwrap();
    let mut files = Files::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let (name, mut bytes) = (file.name().unwrap().into_owned(), Vec::new());
        file.read_to_end(&mut bytes).unwrap();
        files.insert(name, bytes);
    }
    files
}

/// The bundle of the whole year, made once for all tests.
pub fn whole_year() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| make(Framework::All, [year::begin(), year::end()], u64::MAX))
}

/// A bundle of its first quarter, as it would have been made a little later.
fn small() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| make(Framework::All, [year::begin(), "2026-04-01T00:00:00Z".parse().unwrap()], 2600))
}

fn make(framework: Framework, [from, until]: [jiff::Timestamp; 2], upto: u64) -> Made {
    let (ledger, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let upto = year::write(ledger.path()).min(upto);
    let wanted = Wanted { framework, period: Period { from, until }, upto };
    let file = File::create(dir.path().join("bundle.zip")).unwrap();
    let sign = |manifest: &[u8]| Detached::sign(manifest, &year::signing_key());
    let made = write(ledger.path(), year::public_key(), wanted, sign, &file).unwrap();
    Made { dir, exceptions: made.exceptions }
}

fn zip(files: &Files, path: &Path) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn checked(files: &Files, key: Option<PublicKey>) -> Checked {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.zip");
    zip(files, &path);
    check(&path, key).unwrap()
}

fn text(files: &Files, name: &str) -> String {
    String::from_utf8(files[name].clone()).unwrap()
}

#[test]
fn r9_1_r9_2_r9_3_r9_4_r9_5_a_seeded_year_shows_its_accesses_and_what_was_wrong_with_them() {
    let made = whole_year();
    let files = made.files();
    insta::assert_snapshot!("controls", text(&files, "data/controls.csv").replace("\r\n", "\n"));
    insta::assert_snapshot!("exceptions", text(&files, "data/exceptions.csv").replace("\r\n", "\n"));
    let report: serde_json::Value = serde_json::from_slice(&files["data/report.json"]).unwrap();
    insta::assert_snapshot!("campaigns", text(&files, "data/campaigns.csv").replace("\r\n", "\n"));
    insta::assert_snapshot!("decisions", text(&files, "data/decisions.csv").replace("\r\n", "\n"));
    insta::assert_snapshot!("totals", serde_json::to_string_pretty(&report["totals"]).unwrap());
    insta::assert_snapshot!("access", serde_json::to_string_pretty(&report["accesses"][5]).unwrap());
    assert_eq!(report["totals"]["exceptions"], made.exceptions);
    // How it looks is for eyes; what it says is in the data.
    let manifest = Manifest::parse(&files["manifest.json"]).unwrap();
    let hashes = manifest.files.iter().filter(|(name, _)| !name.starts_with("report."));
    let hashes: Vec<String> = hashes.map(|(name, facts)| format!("{} {name}", &facts.sha256[..16])).collect();
    insta::assert_snapshot!("manifest", hashes.join("\n"));
}

#[test]
fn b4_the_same_ledger_makes_the_same_bundle_and_a_part_of_it_the_same_evidence() {
    let again = make(Framework::All, [year::begin(), year::end()], u64::MAX);
    assert!(
        fs::read(whole_year().path()).unwrap() == fs::read(again.path()).unwrap(),
        "it is not reproducible"
    );

    // A quarter needs not the whole ledger, and finds in its part what the whole finds.
    let quarter = ["2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"].map(|text| text.parse().unwrap());
    let quarter = make(Framework::Soc2, quarter, u64::MAX);
    let files = quarter.files();
    let manifest = Manifest::parse(&files["manifest.json"]).unwrap();
    assert!(manifest.ledger.first > 1 || manifest.segments().len() > 1, "{manifest:?}");
    let found = checked(&files, Some(year::public_key()));
    assert_eq!((found.problems, found.notes), (vec![], vec![]));
    let all = text(&whole_year().files(), "data/exceptions.csv");
    let (part, inside) = (text(&files, "data/exceptions.csv"), |line: &&str| {
        let at = line.split(',').find(|cell| cell.starts_with("2026-"));
        at.is_some_and(|at| ("2026-07".."2026-10").contains(&at))
    });
    assert_eq!(
        part.lines().filter(inside).collect::<Vec<_>>(),
        all.lines().filter(inside).collect::<Vec<_>>()
    );
    assert!(part.lines().count() > 1, "{part}");
}

#[test]
fn b4_a_bundle_is_as_it_was_made_until_a_byte_is_changed() {
    let files = small().files();
    let whole = checked(&files, None);
    assert_eq!((whole.problems, whole.notes), (vec![], vec![]));
    assert_eq!((whole.key, whole.exceptions), (Some(year::public_key()), small().exceptions));

    // Changes the byte in the middle of a line, and gives the line's text.
    let change = |name: &str, line: usize| {
        let mut files = files.clone();
        let bytes = files.get_mut(name).unwrap();
        let start =
            bytes.split_inclusive(|byte| *byte == b'\n').take(line - 1).map(<[u8]>::len).sum::<usize>();
        let length = bytes[start..].iter().position(|byte| *byte == b'\n').unwrap();
        let at = start + length / 2;
        bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
        files
    };
    let manifest = Manifest::parse(&files["manifest.json"]).unwrap();
    let segments: Vec<String> = manifest.segments().iter().map(|name| format!("ledger/{name}")).collect();
    let last = segments.last().unwrap();
    let lines_of_last = files[last].iter().filter(|byte| **byte == b'\n').count();
    let table = [
        ("data/accesses.csv", 3),
        ("data/approvals.csv", 2),
        ("data/campaigns.csv", 2),
        ("data/controls.csv", 4),
        ("data/decisions.csv", 9),
        ("data/exceptions.csv", 2),
        ("data/report.json", 100),
        ("data/sessions.csv", 50),
        ("report.html", 20),
        (&segments[0], 1),
        (&segments[0], 1000),
        (&segments[1], 1),
        (last, lines_of_last - 1),
        (last, lines_of_last),
        ("ledger/signing.pub", 1),
    ];
    for (name, line) in table {
        let found = checked(&change(name, line), Some(year::public_key())).problems;
        let places: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line)).collect();
        assert_eq!(places, [(name, Some(line as u64))], "{name}:{line}: {found:?}");
    }
    for name in ["manifest.json", "manifest.sig"] {
        let found = checked(&change(name, 2), None).problems;
        assert!(
            found.iter().all(|one| one.file.starts_with("manifest.")) && !found.is_empty(),
            "{name}: {found:?}"
        );
    }
    let blob = files.keys().find(|name| name.starts_with("ledger/blobs/")).unwrap();
    let mut touched = files.clone();
    touched.get_mut(blob).unwrap()[100] ^= 1;
    let found = checked(&touched, None).problems;
    assert_eq!(found.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(), [blob], "{found:?}");
    let mut touched = files.clone();
    touched.get_mut("report.pdf").unwrap()[5000] ^= 1;
    let found = checked(&touched, None).problems;
    assert_eq!(found[0].to_string(), "report.pdf: byte 5001 is not as it was made");
}

#[test]
fn b4_what_is_missing_added_or_forged_is_named() {
    let files = small().files();
    let places = |files: &Files, key: Option<PublicKey>| {
        let found = checked(files, key).problems;
        assert!(!found.is_empty());
        found.iter().map(|one| format!("{}: {}", one.file, one.what)).collect::<Vec<_>>()
    };
    let mut fewer = files.clone();
    fewer.remove("data/sessions.csv");
    assert_eq!(places(&fewer, None), ["data/sessions.csv: it is missing"]);
    let mut more = files.clone();
    more.insert("data/more.csv".into(), b"x".to_vec());
    assert_eq!(places(&more, None), ["data/more.csv: it was added: the manifest does not name it"]);

    // Who changes a line and signs everything anew has another key: of the checkpoints, or altogether.
    let forger = SigningKey::from_bytes(&[9; 32]);
    let mut forged = files.clone();
    let csv = text(&files, "data/exceptions.csv");
    let kept: String = csv.split_inclusive('\n').take(2).collect();
    forged.insert("data/exceptions.csv".into(), kept.into_bytes());
    let mut manifest = Manifest::parse(&files["manifest.json"]).unwrap();
    let bytes = &forged["data/exceptions.csv"];
    let facts = manifest.files.get_mut("data/exceptions.csv").unwrap();
    (facts.bytes, facts.sha256) = (bytes.len() as u64, dbaccess::core::ledger::Hash::of(bytes).to_string());
    let manifest = manifest.to_json();
    forged.insert("manifest.sig".into(), Detached::sign(manifest.as_bytes(), &forger).to_text().into_bytes());
    forged.insert("manifest.json".into(), manifest.into_bytes());
    let said = places(&forged, None).join("\n");
    assert!(said.contains("is signed by another key"), "{said}");
    let said = places(&forged, Some(year::public_key())).join("\n");
    assert!(said.contains("manifest.sig: it is signed by another key"), "{said}");
    assert!(
        said.contains("data/exceptions.csv: it does not follow from the ledger: the file ends here"),
        "{said}"
    );

    // A bit of the ZIP file itself.
    let mut raw = fs::read(small().path()).unwrap();
    raw[20_000] ^= 0x10;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.zip");
    fs::write(&path, raw).unwrap();
    let found = check(&path, None).unwrap().problems;
    assert!(found[0].file.starts_with("ledger/ledger-") && found[0].line.is_some(), "{found:?}");
    // A file of a name that is there already: some programs show the one, some the other.
    let (one, mut two) = (dir.path().join("one.zip"), fs::read(small().path()).unwrap());
    zip(&Files::from([("report.html".into(), b"another".to_vec())]), &one);
    let hidden = fs::read(&one).unwrap();
    two.splice(0..0, hidden);
    fs::write(&path, two).unwrap();
    let found = check(&path, None).unwrap().problems;
    assert!(found[0].what.contains("bytes between its files"), "{found:?}");
    fs::write(&path, "not a bundle").unwrap();
    assert!(check(&path, None).is_err());
}
