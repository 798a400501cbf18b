//! The example parses, and every mistake is told with file, line, key and what
//! was expected.

use super::*;
use crate::core::model::{Environment, Identity, Role, Selector, Sensitivity, TableName};
use std::collections::BTreeSet;

const EXAMPLE: &str = include_str!("../../../docs/server.example.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    let env = |name: &str| (name == "DB_PASSWORD").then(|| "hunter2".to_owned());
    Config::parse(text, "server.toml", &Outside { dir: Path::new("/nowhere"), env: &env })
}

fn problems(text: &str) -> Vec<String> {
    match parse(text).unwrap_err() {
        ConfigError::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        error => vec![error.to_string()],
    }
}

#[test]
fn the_example_is_a_configuration() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.server.public_url, "https://dbaccess.example.com:7443");
    assert_eq!(config.request_expiry, Duration::from_secs(86_400));
    assert_eq!(config.limits.statement_bytes, 16_777_216);
    assert_eq!(config.identity.scopes.len(), 5);
    assert_eq!(config.approvals, Approvals::default(), "the example shows the defaults");
    assert!(config.business_hours.contains("2026-11-23T08:00:00Z".parse().unwrap()));
    let orders = &config.targets["prod-orders"];
    assert_eq!(orders.upstream.tls, UpstreamTls::Verify { ca: None });
    assert_eq!(orders.target.environment, Environment::Production);
    assert_eq!(
        orders
            .target
            .classified
            .iter()
            .find(|rule| {
                rule.selector
                    == Selector::Column {
                        table: TableName::new("public", "payments"),
                        column: "card_number".into(),
                    }
            })
            .map(|rule| rule.classified.sensitivity),
        Some(Sensitivity::Financial)
    );
}

#[test]
fn a_standby_knows_where_it_can_be_written() {
    let text = EXAMPLE
        .replace("# primary_host = ", "primary_host = ")
        .replace("# primary_port = 5432", "primary_port = 5433");
    let standby = &parse(&text).unwrap().targets["prod-orders"].upstream;
    assert_eq!((standby.host.as_str(), standby.port), ("orders-db.internal", 5432));
    let primary = standby.writable();
    assert_eq!((primary.host.as_str(), primary.port), ("orders-primary.internal", 5433));
    assert_eq!((primary.primary, &primary.database), (None, &standby.database));
    // Plain text to the primary needs to be allowed as well.
    let local = text.replace("\"orders-db.internal\"", "\"localhost\"").replace("\"verify\"", "\"off\"");
    assert!(problems(&local)[0].contains("plain text"), "{:?}", problems(&local));
}

#[test]
fn nothing_is_pruned_unless_it_is_said_and_recordings_go_with_their_statements() {
    let day = Duration::from_secs(86_400);
    let section = |keys: &str| EXAMPLE.replace("[retention]\n", &format!("[retention]\n{keys}\n"));
    assert_eq!(parse(EXAMPLE).unwrap().retention, Retention::default());
    for (keys, statements, recordings) in [
        ("statements = \"400d\"", Some(400 * day), Some(400 * day)),
        ("statements = \"400d\"\nrecordings = \"90d\"", Some(400 * day), Some(90 * day)),
        ("recordings = \"90d\"", None, Some(90 * day)),
    ] {
        assert_eq!(parse(&section(keys)).unwrap().retention, Retention { statements, recordings }, "{keys}");
    }
    let longer = problems(&section("statements = \"90d\"\nrecordings = \"400d\""));
    assert!(longer[0].contains("recordings are kept longer than statements"), "{longer:?}");
    let wrong = problems(&section("statements = \"for ever\""));
    assert!(wrong[0].contains("expected a length of time"), "{wrong:?}");
}

#[test]
fn groups_become_teams_and_roles() {
    let identity = Identity {
        subject: "1".into(),
        email: "alice@example.com".into(),
        name: None,
        groups: ["eng-billing", "eng-leads", "choir"].map(str::to_owned).into(),
    };
    let person = parse(EXAMPLE).unwrap().directory.person(&identity);
    assert_eq!(person.teams, BTreeSet::from(["payments".to_owned()]));
    assert_eq!(person.roles, BTreeSet::from([Role::new("lead")]));
}

/// The example with one change → exactly one problem.
#[test]
fn bad_configurations_are_told_with_line_key_and_expectation() {
    let cases = [
        (
            "[recording]",
            "[audit]\ntext = \"redacted\"\n[recording]",
            "audit.text: the originals of redacted texts are sealed to an auditor: give [recording] auditor_key",
        ),
        (
            "[recording]",
            "[audit]\ntext = \"no\"\n[recording]",
            "audit.text: expected \"whole\" or \"redacted\", found `no`",
        ),
        ("listen = \"0.0.0.0:7443\"", "listen = \"7443\"", "server.listen: expected an address with a port"),
        (
            "listen = \"0.0.0.0:7443\"",
            "listen = 7443",
            "server.listen: expected an address with a port such as 0.0.0.0:7443 or [::1]:7443, found integer",
        ),
        (
            "listen = \"0.0.0.0:7443\"",
            "lisen = \"0.0.0.0:7443\"\nlisten = \"0.0.0.0:7443\"",
            "server.lisen: unknown key: did you mean listen?",
        ),
        ("data_dir = \"/var/lib/dbaccess\"", "", "server.data_dir: missing: expected a directory"),
        ("public_url = \"https://", "public_url = \"http://", "server.public_url: expected an https URL"),
        ("issuer = \"https://login", "issuer = \"login", "identity.issuer: expected an https URL"),
        (
            "client_id = \"dbaccess\"",
            "client_id = \"dbaccess\"\nclient_secret = \"x\"",
            "identity.client_secret: a secret does not belong in this file: use client_secret_file or client_secret_env",
        ),
        (
            "client_id = \"dbaccess\"",
            "client_id = \"dbaccess\"\nclient_secret_env = \"NOT_SET\"",
            "identity.client_secret_env: the environment variable NOT_SET is not set",
        ),
        (
            "[approvals]",
            "[approvals]\nescalate_to = [\"directors\"]",
            "approvals.escalate_to: no role directors: expected one that has a table [roles.NAME]",
        ),
        (
            "fresh = \"15m\"",
            "fresh = \"30d\"",
            "approvals.fresh: expected a length of time such as 15m, at most 7d",
        ),
        ("reminders = 4", "reminders = 11", "approvals.reminders: expected a whole number from 0 to 10"),
        (
            "client_id = \"dbaccess\"",
            "client_id = \"dbaccess\"\nleeway = \"60\"",
            "identity.leeway: expected a length of time",
        ),
        ("groups = [\"eng-shop\"]", "groups = []", "teams.shop.groups: empty: expected a list"),
        (
            "groups = [\"eng-shop\"]",
            "groups = [1]",
            "teams.shop.groups: expected a list of the identity provider's groups, found integer in the list",
        ),
        ("[roles.admin]", "[roles.peer]", "roles: peer is not a role to give"),
        ("\"Europe/Berlin\"", "\"Europe/Berlln\"", "business_hours.timezone: expected a time zone"),
        (
            "\"mon\", ",
            "\"moon\", ",
            "business_hours.days: expected a list of days such as [\"mon\", \"tue\"], found `moon`",
        ),
        ("from = \"09:00\"", "from = \"9 am\"", "business_hours.from: expected a time of day"),
        (
            "request_expiry = \"24h\"",
            "request_expiry = \"24h\"\nfiles = [\"gone.cedar\"]",
            "policy.files: cannot read /nowhere/gone.cedar",
        ),
        ("port = 5432", "port = 70000", "targets.prod-orders.port: expected a whole number from 1 to 65535"),
        (
            "user = \"dbaccess\"",
            "user = \"dbaccess\"\npassword_file = \"gone\"",
            "targets.prod-orders.password_file: cannot read /nowhere/gone",
        ),
        (
            "tls = \"verify\"",
            "tls = \"off\"",
            "targets.prod-orders.tls: passwords and rows would cross the network in plain text",
        ),
        (
            "tls = \"verify\"",
            "tls = \"prefer\"",
            "targets.prod-orders.tls: expected \"verify\" or \"off\", found `prefer`",
        ),
        (
            "environment = \"production\"",
            "environment = \"prod\"",
            "targets.prod-orders.environment: expected production, staging or development, found `prod`",
        ),
        (
            "owners = [\"shop\"]",
            "owners = [\"shpo\"]",
            "targets.prod-orders.owners: there is no table [teams.shpo]: did you mean shop?",
        ),
        (
            "\"public.customers.email\" = \"pii\"",
            "\"public.customers.email\" = \"private\"",
            "targets.prod-orders.classified.public.customers.email: expected pii, financial, health or secret, or \
             a mask: null, partial, token, aggregate or json, found `private`",
        ),
        (
            "\"public.customers.email\"",
            "\"customers.email\"",
            "targets.prod-orders.classified: `customers.email` is not a column",
        ),
        (
            "[targets.prod-orders.classified]",
            "[targets.\"prod orders\"]\nhost = \"h\"\ndatabase = \"d\"\nuser = \"u\"\nenvironment = \"staging\"\n[targets.prod-orders.classified]",
            "targets.prod orders: expected a name",
        ),
        (
            "# statement_bytes = 16777216",
            "statement_bytes = 0",
            "limits.statement_bytes: expected a whole number",
        ),
        (
            "# functions = [\"public.format_money\"]",
            "functions = [\"format_money(numeric)\"]",
            "targets.prod-orders.functions: expected \"schema.name\", or \"schema.*\" for all of a schema, without \
             arguments; found `format_money(numeric)`",
        ),
        (
            "# primary_port = 5432",
            "primary_port = 5433",
            "targets.prod-orders.primary_port: there is no primary_host that it could belong to",
        ),
        (
            "# primary_host = \"orders-primary.internal\"",
            "primary_host = \"orders-db.internal\"",
            "targets.prod-orders.primary_host: expected the server that this standby follows, found the target itself",
        ),
        ("[metrics]", "[metric]", "metric: unknown key: did you mean metrics?"),
        ("[server]", "[server", "unclosed table, expected `]`"),
    ];
    for (from, to, expected) in cases {
        assert!(EXAMPLE.contains(from), "{from}");
        let text = EXAMPLE.replacen(from, to, 1);
        let found = problems(&text);
        let (place, message) = found[0].split_once(": ").unwrap();
        assert!(message.contains(expected), "{to}\ngave {found:?}");
        // The line is the changed one, or its section's.
        let line: usize = place.rsplit(':').next().unwrap().parse().unwrap();
        let at = text.lines().nth(line - 1).unwrap();
        let near = to.lines().any(|changed| at.contains(changed)) || at.starts_with('[');
        assert!(near, "{to}\npoints to line {line}: {at}");
        assert!(found.len() <= 2, "{found:?}");
    }
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_text() {
    let text = EXAMPLE
        .replace("0.0.0.0:7443\"", "here\"")
        .replace("\"18:00\"", "\"6 pm\"")
        .replace("environment = \"production\"", "enviroment = \"production\"");
    let found = problems(&text);
    let keys: Vec<&str> = found.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        keys,
        [
            "server.listen",
            "business_hours.to",
            "targets.prod-orders.environment",
            "targets.prod-orders.enviroment"
        ]
    );
    assert!(found[0].starts_with("server.toml:8: server.listen: expected an address"), "{}", found[0]);
    let empty = problems("");
    let missing = empty.iter().filter(|line| line.contains("missing: expected")).count();
    assert_eq!((missing, empty.len()), (4, 7), "{empty:?}");
}

#[test]
fn plain_text_is_for_this_machine() {
    for (host, extra, fine) in [
        ("127.0.0.1", "", true),
        ("::1", "", true),
        ("localhost", "", true),
        ("/run/postgresql", "", true),
        ("10.0.0.1", "", false),
        ("localhost.example.com", "", false),
        ("10.0.0.1", "allow_plaintext = true", true),
    ] {
        let text = EXAMPLE
            .replace("orders-db.internal", host)
            .replace("tls = \"verify\"", &format!("tls = \"off\"\n{extra}"));
        assert_eq!(parse(&text).is_ok(), fine, "{host}");
    }
}

#[cfg(unix)]
#[test]
fn g8_a_secret_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "hunter2\n").unwrap();
    let text = EXAMPLE.replace("user = \"dbaccess\"", "user = \"dbaccess\"\npassword_file = \"password\"");
    let parse = |credentials: Option<String>| {
        let env = move |name: &str| credentials.clone().filter(|_| name == "CREDENTIALS_DIRECTORY");
        Config::parse(&text, "server.toml", &Outside { dir: dir.path(), env: &env })
    };
    for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let result = parse(None);
        assert_eq!(result.is_ok(), fine, "{mode:o}");
        match result {
            Ok(config) => {
                let password = config.targets["prod-orders"].upstream.password.as_ref().unwrap();
                assert_eq!(password.expose(), "hunter2");
                assert!(!format!("{config:?}").contains("hunter2"));
            }
            Err(error) => assert!(error.to_string().contains("chmod 600"), "{error}"),
        }
    }
    let credentials = dir.path().display().to_string();
    assert!(parse(Some(credentials)).is_ok());
}

#[test]
fn a_password_can_come_from_the_environment() {
    let text = EXAMPLE.replace("user = \"dbaccess\"", "user = \"dbaccess\"\npassword_env = \"DB_PASSWORD\"");
    let config = parse(&text).unwrap();
    assert_eq!(config.targets["prod-orders"].upstream.password.as_ref().unwrap().expose(), "hunter2");
}

#[test]
fn own_rules_come_before_the_default_ones() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "@id(\"own\") @title(\"Own\") @longest(\"1h\")\npermit (principal, action == Action::\"auto\", resource);";
    std::fs::write(dir.path().join("extra.cedar"), rule).unwrap();
    std::fs::write(
        dir.path().join("bad.cedar"),
        "\npermit (principal, action == Action::\"auto\", resource);",
    )
    .unwrap();
    let parse = |line: &str| {
        let text = EXAMPLE.replace("request_expiry", &format!("{line}\nrequest_expiry"));
        Config::parse(&text, "server.toml", &Outside { dir: dir.path(), env: &|_| None })
    };
    let default = parse("").unwrap().policy;
    assert_ne!(parse("extra = [\"extra.cedar\"]").unwrap().policy.hash(), default.hash());
    assert!(parse("files = [\"extra.cedar\"]").unwrap().policy.roles().is_empty());
    let error = parse("files = [\"bad.cedar\"]").unwrap_err().to_string();
    assert!(error.contains("bad.cedar:2: a rule has no @id"), "{error}");
}

#[test]
fn r4_3_an_approval_that_nobody_could_give_is_told() {
    let found = problems(
        &EXAMPLE.replace("[roles.security]", "[roles.guard]").replace("[roles.manager]", "[roles.boss]"),
    );
    assert_eq!(
        found,
        ["server.toml:1: roles: policy asks for approval by manager or security (dual-schema-change, \
          dual-export, dual-sensitive, dual-whole-database, break-glass-unconfirmed): expected a table [roles.NAME] for one of them"]
    );
}

#[test]
fn r7_1_budgets_take_sizes_and_keep_what_is_left_out() {
    let text = EXAMPLE
        .replace("[budgets.auto]", "[budgets.auto]\nstatement_rows = 10\nstatement_bytes = \"2 MiB\"")
        .replace("[alerts]", "[budgets.export]\nsession_rows = 7\n[budgets.dual]\nsession_bytes = \"unlimited\"\n[alerts]\nwebhook = \"http://localhost:1/x\"\nbulk_share = \"20%\"");
    let config = parse(&text).unwrap();
    let Budgets { auto, dual, export, .. } = config.budgets;
    assert_eq!((auto.statement_rows, auto.statement_bytes, auto.session_rows), (10, 2 << 20, 500_000));
    assert_eq!((dual.session_bytes, dual.statement_rows), (u64::MAX, 500_000));
    assert_eq!((export.session_rows, export.statement_rows), (7, u64::MAX));
    assert_eq!((config.alerts.bulk.share_percent, config.alerts.bulk.rows), (20, 10_000));
    assert_eq!(config.limits.statement_timeout, Duration::from_secs(30));
    for (from, to, expected) in [
        (
            "[budgets.auto]",
            "[budgets.auto]\nstatement_rows = 0",
            "budgets.auto.statement_rows: expected a number from 1, a size",
        ),
        (
            "[budgets.auto]",
            "[budgets.auto]\nstatement_bytes = \"9MB\"",
            "budgets.auto.statement_bytes: expected a number from 1",
        ),
        ("[budgets.auto]", "[budgets.audo]", "budgets.audo: unknown key: did you mean auto?"),
        ("[alerts]", "[alerts]\nwebhook = \"http://example.com\"", "alerts.webhook: expected an https URL"),
        ("[alerts]", "[alerts]\nbulk_share = \"101%\"", "alerts.bulk_share: expected a share of a table"),
        (
            "[limits]",
            "[limits]\nstatement_timeout = \"2h\"",
            "limits.statement_timeout: expected a length of time such as 30s, at most 1h",
        ),
    ] {
        let found = problems(&EXAMPLE.replace(from, to));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn r8_1_incident_systems_are_named_with_their_services() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "hush\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = |more: &str| format!("{EXAMPLE}\n{more}");
    let file = format!("token_file = \"{}\"", token.display());
    let key = file.replace("token_file", "key_file");
    let good = format!(
        "[incidents.pagerduty]\n{file}\nurl = \"http://127.0.0.1:9/\"\n[incidents.pagerduty.services]\norders = \"P1\"\n\
         [incidents.opsgenie]\n{key}\nregion = \"eu\"\n[incidents.opsgenie.services]\norders = [\"a-1\", \"b-2\"]\n\
         [incidents.opsgenie.schedules]\norders = \"s-1\"\n"
    );
    let config = parse(&text(&good)).unwrap();
    let (pagerduty, opsgenie) = (config.incidents.pagerduty.unwrap(), config.incidents.opsgenie.unwrap());
    assert_eq!((pagerduty.url.as_str(), pagerduty.token.expose()), ("http://127.0.0.1:9", "hush"));
    assert_eq!(opsgenie.url, "https://api.eu.opsgenie.com");
    assert_eq!(opsgenie.services["orders"], BTreeSet::from(["a-1".to_owned(), "b-2".to_owned()]));
    assert!(opsgenie.schedules["orders"].contains("s-1"));
    let default = parse(EXAMPLE).unwrap();
    assert!(default.incidents.pagerduty.is_none() && default.incidents.opsgenie.is_none());
    assert_eq!(default.break_glass.rules.window, Duration::from_secs(1800));
    for (wrong, expected) in [
        ("[incidents.pagerduty]\n".to_owned(), "expected token_file or token_env"),
        (format!("[incidents.pagerduty]\n{file}\nurl = \"http://example.com\""), "expected an https URL"),
        (
            format!("[incidents.pagerduty]\n{file}\n[incidents.pagerduty.services]\no = \"../x\""),
            "letters, digits and dashes",
        ),
        (
            format!("[incidents.pagerduty]\n{file}\n[incidents.pagerduty.schedules]\no = \"x\""),
            "escalation policy",
        ),
        (format!("[incidents.opsgenie]\n{key}\nregion = \"mars\""), "expected \"us\" or \"eu\""),
        (format!("[incidents.pagerdut]\n{file}"), "did you mean pagerduty?"),
    ] {
        let found = problems(&text(&wrong));
        assert!(found.len() == 1 && found[0].contains(expected), "{wrong}: {found:?}");
    }
    let found = problems(&EXAMPLE.replace("[break_glass]", "[break_glass]\nwindow = \"2h\""));
    assert!(found.len() == 1 && found[0].contains("from 5s to 1h"), "{found:?}");
}

#[test]
fn r9_4_access_reviews_start_by_themselves_where_it_is_said() {
    assert_eq!(parse(EXAMPLE).unwrap().reviews, Reviews::default());
    assert!(!Reviews::default().every_quarter);
    let with = |text: &str| EXAMPLE.replace("[reviews]", &format!("[reviews]\n{text}"));
    let config = parse(&with("campaign_every = \"quarter\"\ncampaign_due = \"10d\"")).unwrap();
    assert!(config.reviews.every_quarter);
    assert_eq!(config.reviews.campaign_due, Duration::from_secs(10 * 86_400));
    for (wrong, expected) in [
        ("campaign_every = \"month\"", "\"quarter\" or \"never\""),
        ("campaign_due = \"0s\"", "a length of time"),
        ("campaign_evry = \"quarter\"", "did you mean campaign_every?"),
    ] {
        let found = problems(&with(wrong));
        assert!(found.len() == 1 && found[0].contains(expected), "{wrong}: {found:?}");
    }
}

/// The channels, with this in place of the pager's table.
fn notified(pager: &str) -> String {
    format!(
        "{EXAMPLE}\n[notify.slack]\ntoken_env = \"DB_PASSWORD\"\nsigning_secret_env = \"DB_PASSWORD\"\n\
         channel = \"C1\"\ndecide = \"slack\"\n\
         [notify.mail]\nhost = \"smtp.example.com\"\nfrom = \"dbaccess <dbaccess@example.com>\"\n\
         user = \"dbaccess\"\npassword_env = \"DB_PASSWORD\"\nto = [\"security@example.com\"]\n\
         [notify.pagerduty]\n{pager}"
    )
}

#[test]
fn channels_are_configured_with_what_they_usually_take() {
    let Notify { slack, mail, pagerduty } =
        parse(&notified("routing_key_env = \"DB_PASSWORD\"")).unwrap().notify;
    let (slack, mail, pagerduty) = (slack.unwrap(), mail.unwrap(), pagerduty.unwrap());
    assert_eq!((slack.takes.urgency, pagerduty.takes.urgency), (Urgency::Normal, Urgency::High));
    let day = Duration::from_secs(86_400);
    assert_eq!(slack.decide, SlackDecides::Slack { signed_in_within: day });
    assert_eq!(
        (slack.url.as_str(), pagerduty.url.as_str()),
        ("https://slack.com/api", "https://events.pagerduty.com")
    );
    assert_eq!(
        (mail.port, mail.tls, mail.from.email.to_string()),
        (587, MailTls::StartTls, "dbaccess@example.com".to_owned())
    );
    let none = parse(EXAMPLE).unwrap().notify;
    assert!(none.slack.is_none() && none.mail.is_none() && none.pagerduty.is_none());
}

#[test]
fn mistakes_about_channels_are_told() {
    let key = "routing_key_env = \"DB_PASSWORD\"\n";
    let pager = |more: &str| notified(&format!("{key}{more}"));
    let cases = [
        (notified(""), "routing_key_file or routing_key_env is missing"),
        (notified("routing_key = \"r0uting\""), "a secret does not belong in this file"),
        (pager("urgency = \"huge\""), "expected normal or high"),
        (pager("kinds = [\"request.wating\"]"), "`request.wating` is no kind of notice"),
        (pager("api_url = \"http://events.example.com\""), "expected an https URL"),
        (pager("").replace("decide = \"slack\"", "decide = \"anybody\""), "expected link or slack"),
        (
            pager("").replace("signing_secret_env = \"DB_PASSWORD\"\n", ""),
            "decide = \"slack\" needs signing_secret",
        ),
        (
            pager("").replace("decide = \"slack\"", "signed_in_within = \"1h\""),
            "signed_in_within is of use only with",
        ),
        (pager("").replace("channel = \"C1\"\n", ""), "notify.slack.channel: missing"),
        (pager("").replace("\"security@example.com\"", "\"security\""), "expected an address"),
        (
            pager("").replace("dbaccess <dbaccess@example.com>", "dbaccess\\r\\nBcc: x@y.z"),
            "expected a sender",
        ),
        (
            pager("").replace("host = \"smtp.example.com\"", "host = \"smtp.example.com\"\ntls = \"off\""),
            "of this machine",
        ),
        (
            pager("").replace(
                "user = \"dbaccess\"\npassword_env = \"DB_PASSWORD\"\nto",
                "user = \"dbaccess\"\nto",
            ),
            "user and password go together",
        ),
        (
            EXAMPLE
                .replace("client_id = \"dbaccess\"", "client_id = \"dbaccess\"\nweb_client_id = \"pages\""),
            "web_client_id is of use only with web_sign_in",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}
