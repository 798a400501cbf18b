//! The demo's world: a scratch PostgreSQL with a shop in it, the development
//! identity provider and incident system, the server, and four people, all on
//! one loopback and in temporary directories that nobody else can enter.

use super::identity::{DevIdp, DevPerson, Options};
use super::incidents::{DevIncidents, rest};
use super::people::{self, ON_CALL, PEOPLE, Surroundings};
use super::pki::Pki;
use super::postgres::{Cluster, free_port, newest_bin};
use super::screen::Screen;
use super::site::Site;
use crate::core::model::Secret;
use crate::server::boot::{self, Running};
use crate::server::config::Config;
use crate::server::provision::apply_setup;
use crate::server::{setup, web};
use anyhow::{Context as _, Result};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The databases behind `prod-orders` and `staging-orders`.
pub const PRODUCTION: &str = "orders";
const STAGING: &str = "orders_staging";

pub struct World {
    pub postgres: Cluster,
    pub around: Surroundings,
    pub native_port: u16,
    pub incidents: DevIncidents,
    identity: DevIdp,
    server: Running,
    dir: TempDir,
}

impl World {
    /// Everything, ready for use. Dropping the future leaves nothing behind.
    pub async fn start(port: Option<u16>, screen: &Screen) -> Result<Self> {
        let bin = newest_bin()?;
        let dir = TempDir::with_prefix("dbaccess-demo-").context("cannot make a temporary directory")?;
        log_to(&dir.path().join("server.log"))?;

        let step = screen.progress("a scratch PostgreSQL");
        let postgres = Cluster::start(&bin, &[]).await?;
        step.done();
        let step = screen.progress("a shop in it: 5,000 customers, 20,000 orders and payments");
        open_shop(&postgres).await?;
        step.done();

        let step = screen.progress("an identity provider, for development only");
        let pki = Pki::new(dir.path())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let people = PEOPLE.iter().map(|person| DevPerson::new(person.name, person.groups)).collect();
        // The story answers at once: no command should wait a second to notice.
        let options = Options { interval: Some(0), ..Options::default() };
        let identity = DevIdp::start(listener, pki.server_config(&[b"http/1.1"])?, people, options)?;
        step.done();

        let step = screen.progress("an incident system, for development only, with an incident");
        let token = Secret::from_random(crate::os::random());
        private_file(&dir.path().join("incidents.token"), token.expose())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let incidents = DevIncidents::start(listener, token, ON_CALL)?;
        step.done();

        let step = screen.progress("the dbaccess server");
        let data = dir.path().join("data");
        let native_port = free_port()?;
        let site = Site {
            port: port.map_or_else(free_port, Ok)?,
            native_port: Some(native_port),
            data: &data,
            pki: &pki,
            issuer: identity.issuer(),
            token_lifetime: "1h",
            // A demo at night is a demo too.
            open_hours: true,
        };
        let config = configure(dir.path(), &site, postgres.port(), incidents.url())?;
        for target in config.targets.values() {
            let params = setup::params(&target.upstream)?;
            apply_setup(&postgres.admin_upstream(&target.upstream.database), &params)
                .await
                .context("cannot prepare the database for dbaccess")?;
        }
        let url = config.server.public_url.clone();
        identity.change(|options| options.redirect_uris = vec![format!("{url}{}", web::CALLBACK)]);
        let server = boot::start(config).await?;
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let programs = program.parent().map(Path::to_path_buf).into_iter().chain([bin]).collect();
        let around = Surroundings { url, ca: pki.ca.clone(), programs };
        people::settle(dir.path(), &around)?;
        step.done();
        Ok(Self { postgres, around, native_port, incidents, identity, server, dir })
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn issuer(&self) -> &str {
        self.identity.issuer()
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir().join("data/ledger")
    }

    /// Ends every session, then the servers, and removes all files.
    pub async fn end(self) -> Result<()> {
        let Self { postgres, identity, server, dir, .. } = self;
        let stopped = server.stop().await;
        identity.stop();
        drop(postgres);
        dir.close().context("cannot remove the demo's directory")?;
        stopped
    }
}

async fn open_shop(postgres: &Cluster) -> Result<()> {
    let admin = postgres.admin("postgres").await?;
    admin.batch_execute("CREATE ROLE shop_owner NOLOGIN").await?;
    admin.batch_execute(&format!("CREATE DATABASE {PRODUCTION} OWNER shop_owner")).await?;
    let shop = postgres.admin(PRODUCTION).await?;
    shop.batch_execute(include_str!("shop.sql")).await.context("cannot fill the shop")?;
    drop(shop);
    // Waits for the last connection to its template to be gone.
    admin.batch_execute(&format!("CREATE DATABASE {STAGING} OWNER shop_owner TEMPLATE {PRODUCTION}")).await?;
    Ok(())
}

/// Writes the configuration as a person would, and reads it back as the server does.
fn configure(dir: &Path, site: &Site<'_>, postgres_port: u16, incidents: &str) -> Result<Config> {
    let password = Secret::from_random(crate::os::random());
    private_file(&dir.join("database.password"), password.expose())?;
    let path = dir.join("server.toml");
    private_file(&path, &server_toml(site, postgres_port, incidents))?;
    Ok(Config::load(&path)?)
}

fn server_toml(site: &Site<'_>, postgres_port: u16, incidents: &str) -> String {
    let mut text = site.sections();
    text.push_str(&format!(
        r#"
[roles.auditor]
groups = ["auditors"]

[incidents.pagerduty]
url = "{incidents}"
token_file = "incidents.token"
[incidents.pagerduty.services]
orders = "{service}"
# Nobody waits here for what takes a minute elsewhere.
[break_glass]
poll = "1s"
[notify.pagerduty]
routing_key_file = "incidents.token"
api_url = "{incidents}"
"#,
        service = rest::SERVICE,
    ));
    for (target, environment, database) in
        [("prod-orders", "production", PRODUCTION), ("staging-orders", "staging", STAGING)]
    {
        text.push_str(&format!(
            r#"
[targets.{target}]
host = "127.0.0.1"
port = {postgres_port}
database = "{database}"
user = "dbaccess"
password_file = "database.password"
tls = "off"
environment = "{environment}"
service = "orders"
owners = ["shop"]
object_owner = "shop_owner"
ddl_owners = ["shop_owner"]
[targets.{target}.classified]
# Partly shown, as what it is.
"public.customers.name" = {{ mask = "partial", kind = "name" }}
"public.customers.email" = {{ mask = "partial", kind = "email" }}
# Not shown at all.
"public.customers.birthday" = {{ mask = "null" }}
# The same token for the same card, wherever it is.
"public.payments.card_number" = {{ mask = "token", domain = "card" }}
"public.refunds.card_number" = {{ mask = "token", domain = "card" }}
# Averages and sums of groups, and no single value.
"hr.salaries.salary" = {{ mask = "aggregate", sensitivity = "financial" }}
"#
        ));
    }
    text
}

fn private_file(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// What the server says is for a file here: the screen belongs to the story.
fn log_to(path: &Path) -> Result<()> {
    let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("DBACCESS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // Only a second subscriber in one process fails, and then the first one logs.
    drop(builder.with_writer(Mutex::new(file)).try_init());
    Ok(())
}
