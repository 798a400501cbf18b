//! The credential of a session, taken from its password file as a thief
//! would, and the two doors where it can be tried.

use super::people;
use super::step::Door;
use super::world::{PRODUCTION, World};
use crate::core::model::Secret;
use crate::tls;
use anyhow::{Context as _, Result, bail};
use std::fs;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

#[derive(Debug)]
pub struct Credential {
    pub role: String,
    password: Secret,
}

impl Credential {
    /// From the password file of the one session that `who` has open (PostgreSQL
    /// manual, "The Password File": host, port, database, user, password).
    pub fn of_open_session(world: &World, who: &str) -> Result<Self> {
        let sessions = people::home(world.dir(), who).join("run/dbaccess/sessions");
        let mut entries = fs::read_dir(&sessions).context("There is no session.")?.flatten();
        let file = entries.find_map(|entry| fs::read_to_string(entry.path().join("pgpass")).ok());
        let file = file.context("No session has a password file.")?;
        let fields: Vec<&str> = file.trim_end().splitn(5, ':').collect();
        let [_, _, _, role, password] = fields.as_slice() else {
            bail!("The password file has another form.")
        };
        Ok(Self { role: (*role).to_owned(), password: Secret::new(*password) })
    }
}

/// Whether `door` opens to the credential as it is claimed.
pub async fn check(world: &World, credential: &Credential, door: Door, opens: bool) -> Result<()> {
    let tried = match door {
        Door::Gateway => at_gateway(world, credential).await?,
        Door::Database => {
            world.postgres.connect(PRODUCTION, &credential.role, credential.password.expose()).await
        }
    };
    match (tried, opens) {
        (Ok(_), true) => Ok(()),
        (Ok(_), false) => bail!("It opened."),
        (Err(error), true) => bail!("It did not open: {error}."),
        // Refused by whoever is there, and not because nobody is.
        (Err(error), false) if error.as_db_error().is_some() => Ok(()),
        (Err(error), false) => bail!("Nobody answered: {error}."),
    }
}

async fn at_gateway(world: &World, credential: &Credential) -> Result<Result<Client, tokio_postgres::Error>> {
    let tls = MakeRustlsConnect::new(tls::client_config(Some(&world.around.ca), &[])?);
    let mut config = tokio_postgres::Config::new();
    config
        .host("localhost")
        .port(world.native_port)
        .dbname(PRODUCTION)
        .user(&credential.role)
        .password(credential.password.expose())
        .ssl_mode(tokio_postgres::config::SslMode::Require);
    Ok(config.connect(tls).await.map(|(client, connection)| {
        tokio::spawn(connection);
        client
    }))
}
