//! The document as people see it: in a real browser, and in a real PDF reader.

use super::bundle::whole_year;
use crate::support::tools;
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn the_page_fits_a_laptop_and_a_telephone_and_asks_nobody_for_anything() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    std::fs::write(&page, &whole_year().files()["report.html"]).unwrap();
    let mut command = Command::new(tools::node());
    command.arg(tools::repository().join("tests/providers/report.mjs")).arg(&page);
    // For whoever wants to look at the pages: a directory to put pictures into.
    command.args(std::env::var_os("DBACCESS_TEST_SCREENSHOTS"));
    let run = command.envs(tools::environment()).output().unwrap();
    assert!(run.status.success(), "the browser failed: {}", String::from_utf8_lossy(&run.stderr));
    let seen: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&seen["refused"], &seen["requests"], &seen["scripts"]), (&json!([]), &json!([]), &json!(0)));
    assert_eq!((&seen["wide"], &seen["dangling"]), (&json!([]), &json!([])), "{seen}");
    let text = seen["text"].as_str().unwrap();
    for words in [
        "R9.1 Access is approved before it is granted",
        "слишком медленный отчёт за квартал",
        "nobody gave one",
        "hélène@example.com as lead",
        "R9.4.2 Access is reviewed periodically",
        "no access review was started in it",
        "hélène@example.com as security",
    ] {
        assert!(text.contains(words), "{words}");
    }
    assert_eq!(seen["plots"], 3);
}

#[test]
fn the_paper_has_every_page_numbered_and_every_letter() {
    let dir = tempfile::tempdir().unwrap();
    let paper = dir.path().join("report.pdf");
    std::fs::write(&paper, &whole_year().files()["report.pdf"]).unwrap();
    if let Some(kept) = std::env::var_os("DBACCESS_TEST_SCREENSHOTS") {
        std::fs::copy(&paper, std::path::Path::new(&kept).join("report.pdf")).unwrap();
    }
    let run = Command::new(tools::pdftotext()).arg("-layout").arg(&paper).arg("-").output().unwrap();
    assert!(run.status.success() && run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    let pages: Vec<&str> = text.trim_end_matches('\u{c}').split('\u{c}').collect();
    assert!(pages.len() > 5, "{}", pages.len());
    for (number, page) in (1..).zip(&pages) {
        assert!(page.contains(&format!("page {number} of {}", pages.len())), "{page}");
    }
    for words in [
        "Evidence of database access",
        "слишком медленный отчёт",
        "hélène@example.com",
        "Sessions by week",
        "he is back",
    ] {
        assert!(text.contains(words), "{words}");
    }
    // A table's head stands on each page that its rows go on to.
    let heads = pages.iter().filter(|page| page.contains("what would be an exception")).count();
    assert!(heads >= 5, "{heads}");
}
