use crate::cli::ask;
use crate::cli::error::CliError;
use crate::cli::output::{can_ask, note};
use crate::core::model::ErrorKind;
use std::fs::OpenOptions;
use std::io::{ErrorKind as Io, Write as _};
use std::path::{Path, PathBuf};

/// Write a first server configuration, from a short interview.
///
/// Every question has a flag; without a terminal the flags must answer what has
/// no default. Writes server.toml, and extra.cedar where your answers differ
/// from the default policy. Nothing is ever overwritten.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// Where to write
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// How people will reach the server, such as https://dbaccess.example.com:7443
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The identity provider's issuer URL
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The client's id at the identity provider
    #[arg(long, value_name = "ID", default_value = "dbaccess")]
    client_id: String,
    /// The team that owns the first database
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// The identity provider's group whose members are that team
    #[arg(long, value_name = "GROUP")]
    team_group: Option<String>,
    /// The group of team leads
    #[arg(long, value_name = "GROUP")]
    lead_group: Option<String>,
    /// The group of managers
    #[arg(long, value_name = "GROUP")]
    manager_group: Option<String>,
    /// The group of the security team
    #[arg(long, value_name = "GROUP")]
    security_group: Option<String>,
    /// The time zone of business hours, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// When business hours begin, on weekdays
    #[arg(long, value_name = "HH:MM", default_value = "09:00")]
    from: String,
    /// When they end
    #[arg(long, value_name = "HH:MM", default_value = "18:00")]
    to: String,
    /// What the first database will be called
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The host of its PostgreSQL server
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The port of its PostgreSQL server
    #[arg(long, value_name = "PORT", default_value_t = 5432)]
    port: u16,
    /// The database's name there
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Where it stands
    #[arg(long, value_name = "WHERE", value_parser = ["production", "staging", "development"])]
    environment: Option<String>,
    /// The service that it belongs to: incidents of that service can break the glass
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The server's certificate
    #[arg(long, value_name = "FILE", default_value = "/etc/dbaccess/tls.pem")]
    tls_certificate: String,
    /// The certificate's private key
    #[arg(long, value_name = "FILE", default_value = "/etc/dbaccess/tls.key")]
    tls_key: String,
    /// Where the server keeps its state and ledger
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/dbaccess")]
    data_dir: String,
    /// Whether members of the owning team read masked production data at once, in business hours
    #[arg(long, value_name = "YES|NO", value_parser = ["yes", "no"])]
    read_at_once: Option<String>,
    /// Whether production may be written outside business hours, with approval
    #[arg(long, value_name = "YES|NO", value_parser = ["yes", "no"])]
    write_at_night: Option<String>,
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    pub config: PathBuf,
    pub extra: Option<PathBuf>,
    /// What the first database is called.
    target: String,
}

/// The interview's answers.
struct Answers {
    args: InitArgs,
    public_url: String,
    issuer: String,
    team: String,
    team_group: String,
    lead_group: String,
    manager_group: String,
    security_group: String,
    timezone: String,
    target: String,
    host: String,
    database: String,
    environment: String,
    service: Option<String>,
    read_at_once: bool,
    write_at_night: bool,
}

impl InitArgs {
    /// Asks, and writes. `main` then checks that a server would take it.
    pub fn write(self) -> Result<Written, CliError> {
        let (config, extra) = (self.directory.join("server.toml"), self.directory.join("extra.cedar"));
        for path in [&config, &extra] {
            if path.exists() {
                return Err(CliError::new(
                    ErrorKind::Conflict,
                    format!("{} is there already", path.display()),
                )
                .hint("nothing is overwritten: move it away, or say another --directory"));
            }
        }
        let answers = self.ask()?;
        let rules = answers.rules();
        let mut written = Written { config, extra: None, target: answers.target.clone() };
        if let Some(rules) = &rules {
            create(&extra, rules)?;
            written.extra = Some(extra);
        }
        if let Err(error) = create(&written.config, &answers.config(rules.is_some())) {
            written.take_back();
            return Err(error);
        }
        Ok(written)
    }

    fn ask(self) -> Result<Answers, CliError> {
        let text = |given: &Option<String>, prompt: &str, flag: &str| match given {
            Some(given) => Ok(given.clone()),
            None => ask::text(prompt, flag),
        };
        let yes = |given: &Option<String>, prompt: &str, default: bool| match given {
            Some(given) => Ok(given == "yes"),
            None if can_ask() => ask::yes_or_no(prompt, default),
            None => Ok(default),
        };
        let environment = match &self.environment {
            Some(given) => given.clone(),
            None if can_ask() => {
                let choices = ["production", "staging", "development"].map(str::to_owned);
                let chosen = ask::choose("Where does the first database stand?", &choices)?;
                choices.get(chosen).cloned().unwrap_or_default()
            }
            None => "production".to_owned(),
        };
        Ok(Answers {
            public_url: text(
                &self.public_url,
                "How will people reach the server (https://…)",
                "--public-url URL",
            )?,
            issuer: text(&self.issuer, "The identity provider's issuer URL", "--issuer URL")?,
            team: text(&self.team, "The team that owns the first database", "--team NAME")?,
            team_group: text(
                &self.team_group,
                "The group whose members are that team",
                "--team-group GROUP",
            )?,
            lead_group: text(&self.lead_group, "The group of team leads", "--lead-group GROUP")?,
            manager_group: text(&self.manager_group, "The group of managers", "--manager-group GROUP")?,
            security_group: text(
                &self.security_group,
                "The group of the security team",
                "--security-group GROUP",
            )?,
            timezone: text(&self.timezone, "The time zone of business hours", "--timezone ZONE")?,
            target: text(
                &self.target,
                "What the first database is called, such as prod-orders",
                "--target NAME",
            )?,
            host: text(&self.host, "The host of its PostgreSQL server", "--host HOST")?,
            database: text(&self.database, "The database's name there", "--database NAME")?,
            service: self.service.clone(),
            read_at_once: yes(
                &self.read_at_once,
                "May the owning team read masked production data at once, in business hours?",
                true,
            )?,
            write_at_night: yes(
                &self.write_at_night,
                "May production be written outside business hours, with approval?",
                true,
            )?,
            environment,
            args: self,
        })
    }
}

impl Written {
    /// Removes what was written.
    pub fn take_back(&self) {
        for path in [Some(&self.config), self.extra.as_ref()].into_iter().flatten() {
            // It was made by this run; one that is gone already is as well.
            drop(std::fs::remove_file(path));
        }
    }

    /// Says what was written, and what comes next.
    pub fn tell(&self) {
        note(&format!("+ {}", self.config.display()));
        if let Some(extra) = &self.extra {
            note(&format!("+ {}", extra.display()));
        }
        let (target, config) = (&self.target, self.config.display());
        note(&format!(
            "Next: say in it where the database's password is, then\n  dbaccess target setup {target} --config \
             {config}\n  dbaccess target classify {target} --config {config}\n  dbaccess policy check --config \
             {config}\n  dbaccess server --check --config {config}"
        ));
    }
}

/// Never over something else.
fn create(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| match error.kind() {
        Io::AlreadyExists => {
            CliError::new(ErrorKind::Conflict, format!("{} is there already", path.display()))
        }
        _ => CliError::local(format!("{} cannot be written", path.display()), error),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

impl Answers {
    /// The rules in which the answers differ from the default policy.
    fn rules(&self) -> Option<String> {
        let mut text = String::new();
        if !self.read_at_once {
            text.push_str(NOT_AT_ONCE);
        }
        if !self.write_at_night {
            text.push_str(NOT_AT_NIGHT);
        }
        (!text.is_empty()).then(|| format!("// Rules before the default policy. See docs/policy.md.\n{text}"))
    }

    fn config(&self, extra: bool) -> String {
        let Self { args, .. } = self;
        let listen = self.public_url.rsplit_once(':').map_or("", |(_, port)| port.trim_end_matches('/'));
        let listen = listen.parse().unwrap_or(443u16);
        let q = quoted;
        let policy = if extra { "\n[policy]\nextra = [\"extra.cedar\"]\n" } else { "" };
        let service =
            self.service.as_ref().map(|service| format!("service = {}\n", q(service))).unwrap_or_default();
        format!(
            "# The configuration of `dbaccess server`. Every key is in docs/server.example.toml.\n\n\
             [server]\nlisten = \"0.0.0.0:{listen}\"\npublic_url = {}\ndata_dir = {}\n\
             tls_certificate = {}\ntls_key = {}\n\n\
             [identity]\nissuer = {}\nclient_id = {}\n\n\
             [teams.{}]\ngroups = [{}]\n\n\
             # Who may approve.\n[roles.lead]\ngroups = [{}]\n\n[roles.manager]\ngroups = [{}]\n\n\
             [roles.security]\ngroups = [{}]\n\n\
             [business_hours]\ntimezone = {}\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n\
             from = {}\nto = {}\n{policy}\n\
             [targets.{}]\nhost = {}\nport = {}\ndatabase = {}\n\
             # The login that `dbaccess target setup` makes, and where its password is.\nuser = \"dbaccess\"\n\
             # password_file = \"/etc/dbaccess/database.password\"\ntls = \"verify\"\n\
             environment = {}\n{service}owners = [{}]\n",
            q(&self.public_url),
            q(&args.data_dir),
            q(&args.tls_certificate),
            q(&args.tls_key),
            q(&self.issuer),
            q(&args.client_id),
            q(&self.team),
            q(&self.team_group),
            q(&self.lead_group),
            q(&self.manager_group),
            q(&self.security_group),
            q(&self.timezone),
            q(&args.from),
            q(&args.to),
            q(&self.target),
            q(&self.host),
            args.port,
            q(&self.database),
            q(&self.environment),
            q(&self.team),
        )
    }
}

/// A TOML basic string, which also serves as a key (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

const NOT_AT_ONCE: &str = r#"
@id("production-never-at-once")
@title("Nobody is let into production without an approval")
forbid (principal, action == Action::"auto", resource)
when { resource.environment == Environment::"production" };
"#;

const NOT_AT_NIGHT: &str = r#"
@id("no-production-writes-at-night")
@title("Production is written in business hours only")
forbid (principal, action in [Action::"auto", Action::"single", Action::"dual"], resource)
when {
  resource.environment == Environment::"production" &&
  context.permissions.contains(Permission::"write") &&
  !context.business_hours
};
"#;
