use crate::cli::error::CliError;
use crate::cli::generate::{SHELLS, completion_file, completion_script, man_pages};
use std::path::PathBuf;

/// Write the man pages into DIR/man and the completions into DIR/completions.
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    dir: PathBuf,
}

impl ManArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let failed = |error: std::io::Error| {
            CliError::local(format!("cannot write into {}", self.dir.display()), error)
        };
        let (man, completions) = (self.dir.join("man"), self.dir.join("completions"));
        std::fs::create_dir_all(&man).map_err(failed)?;
        std::fs::create_dir_all(&completions).map_err(failed)?;
        for (name, page) in man_pages().map_err(failed)? {
            std::fs::write(man.join(name), page).map_err(failed)?;
        }
        for shell in SHELLS {
            std::fs::write(completions.join(completion_file(shell)), completion_script(shell))
                .map_err(failed)?;
        }
        Ok(())
    }
}
