//! Which server, and whom to trust: flags and environment first, then
//! `client.toml` in the XDG configuration directory.

use super::error::CliError;
use super::paths;
use crate::core::model::ErrorKind;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Options that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Global {
    /// Address of another dbaccess server than the configured one, such as https://dbaccess.example.com
    #[arg(long, global = true, env = "DBACCESS_SERVER", hide_env_values = true, value_name = "URL")]
    pub server: Option<String>,
    /// PEM file with one more certificate authority to trust, in place of the configured one
    #[arg(long, global = true, env = "DBACCESS_CA", hide_env_values = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// The content of `client.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl ClientFile {
    pub fn path() -> Result<PathBuf, CliError> {
        Ok(paths::config_dir()?.join("client.toml"))
    }

    /// The file as it stands; a file that is not there is empty.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CliError::local(format!("cannot read {}", path.display()), error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, CliError> {
        toml::from_str(text).map_err(|error| {
            CliError::usage(format!("{} is not a valid client configuration", path.display()))
                .why(error.to_string())
                .hint("it may hold `server = \"https://…\"` and `ca = \"/path/to/ca.pem\"`")
        })
    }

    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::local(format!("cannot write {}", path.display()), error)
        };
        let text = toml::to_string(self).map_err(|error| failed(&error))?;
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        }
        // Renamed into place, so that a full disk leaves the old file.
        let draft = path.with_extension("toml.new");
        std::fs::write(&draft, text).map_err(|error| failed(&error))?;
        std::fs::rename(&draft, path).map_err(|error| failed(&error))
    }
}

/// A server to talk to, and the certificate authority to trust beside the system's.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub server: Url,
    pub ca: Option<PathBuf>,
}

impl Endpoint {
    pub fn resolve(global: &Global) -> Result<Self, CliError> {
        let file = match (&global.server, &global.ca) {
            (Some(_), Some(_)) => ClientFile::default(),
            _ => ClientFile::read(&ClientFile::path()?)?,
        };
        let server = global.server.clone().or(file.server).ok_or_else(|| {
            CliError::usage("no server is configured")
                .hint("dbaccess config set server https://dbaccess.example.com")
        })?;
        Ok(Self { server: parse_server(&server)?, ca: global.ca.clone().or(file.ca) })
    }
}

/// Reads a server's address. Plain HTTP is for this machine only: a token must
/// not cross a network in the clear.
pub fn parse_server(text: &str) -> Result<Url, CliError> {
    let bad = |why: &str| {
        CliError::new(ErrorKind::Usage, format!("`{text}` is not a server's address"))
            .why(why)
            .hint("write it as https://dbaccess.example.com or https://host:8443")
    };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&with_scheme).map_err(|error| bad(&error.to_string()))?;
    let host = url.host_str().ok_or_else(|| bad("it has no host"))?.trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(bad("http would send your token in the clear; only https is accepted")),
        _ => return Err(bad("expected https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("an address holds no user and no password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("an address has no ? and no #"));
    }
    // `join` replaces the last path segment unless it ends in a slash.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_https_or_on_this_machine() {
        for (text, url) in [
            ("https://db.example", "https://db.example/"),
            ("db.example:8443", "https://db.example:8443/"),
            ("https://db.example/access", "https://db.example/access/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://localhost:8080/", "http://localhost:8080/"),
            ("http://[::1]:80", "http://[::1]/"),
        ] {
            assert_eq!(parse_server(text).unwrap().as_str(), url, "{text}");
        }
        for text in ["http://db.example", "ftp://x", "https://", "https://a:b@c", "https://c/?x", ""] {
            assert_eq!(parse_server(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn a_malformed_file_names_line_and_key() {
        let path = Path::new("/x/client.toml");
        let error = ClientFile::parse("server = \"https://a\"\nsever = 1\n", path).unwrap_err();
        let why = error.why.unwrap();
        assert!(why.contains("line 2") && why.contains("sever") && why.contains("expected"), "{why}");
        assert_eq!(ClientFile::parse("", path).unwrap(), ClientFile::default());
    }
}
