//! A copy of the ledger as an auditor gets one, and what a forger does to it.

use super::people;
use super::world::World;
use crate::core::ledger::order_segments;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Copies segments, records beside the chain, and the public key to `~/ledger`.
pub fn copy_ledger(world: &World, who: &str) -> Result<()> {
    let copy = directory(world, who);
    copy_files(&world.ledger(), &copy)?;
    copy_files(&world.ledger().join("blobs"), &copy.join("blobs"))
}

/// Changes one letter of the last statement's text.
pub fn tamper(world: &World, who: &str) -> Result<()> {
    let copy = directory(world, who);
    let names = fs::read_dir(&copy)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for name in order_segments(names).into_iter().rev() {
        let path = copy.join(name);
        let text = fs::read_to_string(&path)?;
        if let Some((before, after)) = text.rsplit_once("pg_sleep") {
            fs::write(&path, format!("{before}pg_sheep{after}"))?;
            return Ok(());
        }
    }
    None.context("The copy has no such statement.")
}

fn directory(world: &World, who: &str) -> PathBuf {
    people::home(world.dir(), who).join("ledger")
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // The signing key stays where it is.
        let wanted = name.to_str().is_some_and(|name| name != "signing.key" && name != "lock");
        if wanted && entry.file_type()?.is_file() {
            let mut bytes = fs::read(entry.path())?;
            if name.to_str().is_some_and(|name| name.ends_with(".jsonl")) {
                // A line that is being written is not a line yet.
                bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
            }
            fs::write(to.join(name), bytes)?;
        }
    }
    Ok(())
}
