use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{note, result};
use crate::cli::settings::{ClientFile, parse_server};
use std::path::PathBuf;

/// Show or change which server is used, and whom to trust.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Show the settings in force, or one of them
    Get { key: Option<Key> },
    /// Set one; an empty value removes it
    Set { key: Key, value: String },
    /// Show where the file is
    Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Key {
    /// Address of the server
    Server,
    /// PEM file of a certificate authority
    Ca,
}

impl ConfigArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let path = ClientFile::path()?;
        match self.command.unwrap_or(ConfigCommand::Get { key: None }) {
            ConfigCommand::Path => result(&format!("{}\n", path.display())),
            ConfigCommand::Get { key } => {
                let file = ClientFile::read(&path)?;
                let server = context.global.server.clone().or(file.server);
                let ca = context.global.ca.clone().or(file.ca).map(|ca| ca.display().to_string());
                match key {
                    Some(Key::Server) => result(&server.map(|text| format!("{text}\n")).unwrap_or_default()),
                    Some(Key::Ca) => result(&ca.map(|text| format!("{text}\n")).unwrap_or_default()),
                    None => {
                        let shown = |value: Option<String>| value.unwrap_or_else(|| "(not set)".to_owned());
                        result(&format!("server = {}\nca = {}\n", shown(server), shown(ca)))
                    }
                }
            }
            ConfigCommand::Set { key, value } => {
                let mut file = ClientFile::read(&path)?;
                match key {
                    Key::Server if value.is_empty() => file.server = None,
                    Key::Server => {
                        let url = parse_server(&value)?;
                        file.server = Some(url.as_str().trim_end_matches('/').to_owned());
                    }
                    Key::Ca if value.is_empty() => file.ca = None,
                    Key::Ca => file.ca = Some(checked_ca(&value)?),
                }
                file.write(&path)?;
                note(&format!("written to {}", path.display()));
                Ok(())
            }
        }
    }
}

/// A file of certificates, as an absolute path: the setting must not depend on
/// where the next command is run.
fn checked_ca(value: &str) -> Result<PathBuf, CliError> {
    let path = std::path::absolute(value)
        .map_err(|error| CliError::usage(format!("`{value}` is not a path")).why(error.to_string()))?;
    crate::tls::read_certificates(&path)
        .map_err(|error| CliError::usage(format!("`{value}` cannot be trusted")).why(error.to_string()))?;
    Ok(path)
}
