//! One warm connection to one database of a target, as the server's login.
//!
//! Calls are single statements, each its own transaction, so that many tasks
//! share the connection (they pipeline) and a dropped future leaves nothing
//! half done: the statement it sent completes or rolls back by itself.

use super::error::{Failure, ProvisionError, chain};
use crate::server::config::{Upstream, UpstreamTls};
use crate::tls;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The server gives up a statement after [`STATEMENT_LIMIT`]; past this the
/// network must have swallowed it.
const CALL_LIMIT: Duration = Duration::from_secs(20);
const STATEMENT_LIMIT: &str = "15s";
/// How often a collision on a catalog row is tried again before it is an error.
const ATTEMPTS: usize = 8;

pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) struct Control {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    address: String,
    user: String,
    database: String,
    warm: Mutex<Option<Arc<Client>>>,
}

impl Control {
    /// For `database` of the upstream's cluster. Connects on first use.
    pub(super) fn new(upstream: &Upstream, database: &str) -> Result<Self, ProvisionError> {
        let mut config = Config::new();
        config
            .host(&upstream.host)
            .port(upstream.port)
            .dbname(database)
            .user(&upstream.user)
            .application_name("dbaccess control")
            .connect_timeout(CONNECT_LIMIT)
            .tcp_user_timeout(CALL_LIMIT)
            .keepalives_idle(Duration::from_secs(30));
        if let Some(password) = &upstream.password {
            config.password(password.expose());
        }
        let tls = match &upstream.tls {
            UpstreamTls::Off => {
                config.ssl_mode(tokio_postgres::config::SslMode::Disable);
                None
            }
            UpstreamTls::Verify { ca } => {
                config.ssl_mode(tokio_postgres::config::SslMode::Require);
                Some(MakeRustlsConnect::new(tls::client_config(ca.as_deref(), &[])?))
            }
        };
        Ok(Self {
            config,
            tls,
            address: format!("{}:{}", upstream.host, upstream.port),
            user: upstream.user.clone(),
            database: database.to_owned(),
            warm: Mutex::new(None),
        })
    }

    /// The same, where nothing can be written, whatever is called.
    pub(super) fn read_only(upstream: &Upstream, database: &str) -> Result<Self, ProvisionError> {
        let mut control = Self::new(upstream, database)?;
        control.config.options("-c default_transaction_read_only=on");
        Ok(control)
    }

    /// Calls one statement once: what a lost connection means is the caller's to say.
    pub(super) async fn call_once(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Result<Vec<Row>, Failure>, ProvisionError> {
        let mut attempts = 0;
        loop {
            let client = self.client().await?;
            let answer = match tokio::time::timeout(CALL_LIMIT, client.query_typed(sql, parameters)).await {
                Ok(answer) => answer.map_err(|error| Failure::of(&error)),
                Err(_) => Err(Failure::Lost(format!("no answer within {} s", CALL_LIMIT.as_secs()))),
            };
            attempts += 1;
            match answer {
                Err(Failure::Collided(_)) if attempts < ATTEMPTS => {}
                Err(Failure::Lost(why)) => {
                    self.forget(&client).await;
                    return Ok(Err(Failure::Lost(why)));
                }
                other => return Ok(other),
            }
        }
    }

    /// Calls an idempotent statement: a connection found dead is replaced and
    /// the statement sent again, once.
    pub(super) async fn call(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ProvisionError> {
        let answer = match self.call_once(sql, parameters).await? {
            Err(Failure::Lost(_)) => self.call_once(sql, parameters).await?,
            other => other,
        };
        answer.map_err(|failure| self.error(failure))
    }

    /// Runs a script of several statements with its own transaction control.
    pub(super) async fn run_script(&self, script: &str) -> Result<(), ProvisionError> {
        let client = self.client().await?;
        client.batch_execute(script).await.map_err(|error| self.error(Failure::of(&error)))
    }

    pub(super) fn error(&self, failure: Failure) -> ProvisionError {
        failure.into_error(&self.address, &self.database)
    }

    async fn client(&self) -> Result<Arc<Client>, ProvisionError> {
        let mut warm = self.warm.lock().await;
        if let Some(client) = warm.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(self.connect().await?);
        *warm = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn forget(&self, dead: &Arc<Client>) {
        let mut warm = self.warm.lock().await;
        if warm.as_ref().is_some_and(|client| Arc::ptr_eq(client, dead)) {
            *warm = None;
        }
    }

    async fn connect(&self) -> Result<Client, ProvisionError> {
        let connecting = async {
            let client = match &self.tls {
                None => self.config.connect(NoTls).await.map(|(client, io)| run(client, io)),
                Some(tls) => self.config.connect(tls.clone()).await.map(|(client, io)| run(client, io)),
            }?;
            let limits = format!(
                "SET statement_timeout = '{STATEMENT_LIMIT}'; SET lock_timeout = '5s'; \
                 SET client_min_messages = 'error'; SET search_path = pg_catalog, pg_temp"
            );
            client.batch_execute(&limits).await?;
            Ok::<_, tokio_postgres::Error>(client)
        };
        let address = || self.address.clone();
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(match Failure::of(&error) {
                Failure::Sql(_, why) => {
                    ProvisionError::Refused { address: address(), user: self.user.clone(), why }
                }
                _ => ProvisionError::Unreachable { address: address(), why: chain(&error) },
            }),
            Err(_) => Err(ProvisionError::Unreachable {
                address: address(),
                why: format!("no answer within {} s", CONNECT_LIMIT.as_secs()),
            }),
        }
    }
}

/// Drives a connection in its own task, which ends with the client.
fn run<C>(client: Client, connection: C) -> Client
where
    C: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // The call that was under way reports it; an idle one is replaced.
            tracing::debug!(%error, "control connection ended");
        }
    });
    client
}
