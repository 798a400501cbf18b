//! The state's schema, by numbered steps. A step that shipped never changes.
//! Bodies are JSON of the model's types; what is searched has its own column.
//! Times are microseconds since the epoch.

use super::StoreError;
use rusqlite::Connection;

const STEPS: &[&str] = &[
    "
    CREATE TABLE person (
        subject TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE token (
        hash BLOB PRIMARY KEY,
        subject TEXT NOT NULL REFERENCES person,
        expires_at INTEGER NOT NULL,
        -- After expiry a token still proves who may renew, until here.
        renewable_until INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX token_renewable ON token (renewable_until);
    CREATE TABLE request (
        id TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX request_waiting ON request (expires_at) WHERE state = 'waiting';
    CREATE INDEX request_recent ON request (created_at);
    CREATE TABLE access_grant (
        id TEXT PRIMARY KEY,
        request TEXT NOT NULL REFERENCES request,
        subject TEXT NOT NULL,
        until INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX grant_by_person ON access_grant (subject, until);
    CREATE INDEX grant_by_request ON access_grant (request);
    CREATE TABLE session (
        id TEXT PRIMARY KEY,
        grant_id TEXT NOT NULL REFERENCES access_grant,
        subject TEXT NOT NULL,
        state TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX session_alive ON session (id) WHERE state <> 'dead';
    CREATE INDEX session_by_grant ON session (grant_id);
    CREATE INDEX session_recent ON session (opened_at);
    -- What the ledger must still be told. AUTOINCREMENT: an id is never reused,
    -- so a record that reached the ledger before a crash is known again by it.
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
",
    "
    -- ID tokens that were exchanged, by SHA-256, until they expire: each is good once.
    CREATE TABLE spent_id_token (
        hash BLOB PRIMARY KEY,
        until INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX spent_id_token_until ON spent_id_token (until);
    CREATE INDEX request_by_person ON request (subject, created_at);
",
    "
    -- Alerts that the webhook has not taken yet.
    CREATE TABLE alert (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        body TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX alert_due ON alert (next_at);
",
    "
    -- Targets that are suspended for a deploy.
    CREATE TABLE suspension (
        target TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;
",
    "
    -- What the channels have not taken yet: a row for each channel.
    CREATE TABLE notice (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        notice TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX notice_due ON notice (channel, next_at);
    INSERT INTO notice (id, channel, at, event, notice, attempts, next_at)
        SELECT id, 'webhook', at, body,
            '{\"kind\":\"alert.bulk_read\",\"urgency\":\"high\",\"title\":\"a bulk read\",\"facts\":[]}',
            attempts, next_at
        FROM alert;
    -- The webhook has seen the ids so far.
    DELETE FROM sqlite_sequence WHERE name = 'notice';
    INSERT INTO sqlite_sequence (name, seq) SELECT 'notice', seq FROM sqlite_sequence WHERE name = 'alert';
    DROP TABLE alert;
",
    "
    -- Reviews of break-glass grants, one a grant.
    CREATE TABLE review (
        id TEXT PRIMARY KEY,
        grant_id TEXT NOT NULL UNIQUE REFERENCES access_grant,
        subject TEXT NOT NULL,
        due_at INTEGER NOT NULL,
        written INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX review_waiting ON review (due_at) WHERE written = 0;
    CREATE INDEX review_recent ON review (due_at);
    CREATE INDEX grant_break_glass ON access_grant (id) WHERE body ->> '$.path' = 'break-glass';
",
    "
    -- The policies that decided, so that a decision's hash can be found again.
    CREATE TABLE policy (
        hash TEXT PRIMARY KEY,
        first_at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    -- When the identity provider last said who somebody is.
    ALTER TABLE person ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX person_seen ON person (seen_at);
    CREATE INDEX session_by_person ON session (subject, opened_at);
    CREATE TABLE delegation (
        id TEXT PRIMARY KEY,
        until INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX delegation_until ON delegation (until);
    CREATE TABLE absence (
        subject TEXT PRIMARY KEY,
        until INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    -- Requests of which people will be told again, and of what they were told.
    CREATE TABLE reminder (
        request TEXT PRIMARY KEY REFERENCES request,
        next_at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX reminder_next ON reminder (next_at);
    INSERT INTO reminder (request, next_at, body)
        SELECT id, created_at, '{\"reminders\":0,\"escalated\":false}' FROM request WHERE state = 'waiting';
",
    "
    -- A copy for one person, where a channel has them; how often the other end
    -- has refused it for what it is.
    ALTER TABLE notice ADD COLUMN recipient TEXT;
    ALTER TABLE notice ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX person_email ON person (lower(json_extract(body, '$.email')));
    -- Messages in Slack that others belong below, and that have buttons while they are open.
    CREATE TABLE slack_message (
        channel TEXT NOT NULL,
        ts TEXT NOT NULL,
        thread TEXT NOT NULL,
        at INTEGER NOT NULL,
        notice TEXT NOT NULL,
        open INTEGER NOT NULL,
        PRIMARY KEY (channel, ts)
    ) STRICT;
    CREATE INDEX slack_message_thread ON slack_message (thread, at);
",
    "
    -- Uses of the emergency path, one a grant.
    CREATE TABLE break_glass (
        grant_id TEXT PRIMARY KEY REFERENCES access_grant,
        subject TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        live INTEGER NOT NULL,
        -- A confirmation is due, or overdue.
        unconfirmed INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX break_glass_live ON break_glass (opened_at) WHERE live OR unconfirmed;
    CREATE INDEX break_glass_by_person ON break_glass (subject, opened_at);
",
    "
    -- What goes before the others of its channel, and is given up after them.
    ALTER TABLE notice ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
    UPDATE notice SET first = notice ->> '$.urgency' = 'high' OR channel = 'pagerduty';
    DROP INDEX notice_due;
    CREATE INDEX notice_due ON notice (channel, first, id);
",
    "
    -- Access review campaigns, and what they took from whom until it is given back.
    CREATE TABLE campaign (
        id TEXT PRIMARY KEY,
        started_at INTEGER NOT NULL,
        signed INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX campaign_open ON campaign (started_at) WHERE signed = 0;
    CREATE TABLE bar (
        subject TEXT NOT NULL,
        target TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (subject, target)
    ) STRICT;
    CREATE INDEX grant_until ON access_grant (until);
",
    "
    -- What each campaign took stands by itself: one does not give back what another took.
    ALTER TABLE bar RENAME TO bar_before;
    CREATE TABLE bar (
        subject TEXT NOT NULL,
        target TEXT NOT NULL,
        campaign TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (subject, target, campaign)
    ) STRICT;
    INSERT INTO bar (subject, target, campaign, body)
        SELECT subject, target, body ->> '$.campaign', body FROM bar_before;
    DROP TABLE bar_before;
",
    "
    -- Legal holds: what retention must not take out.
    CREATE TABLE hold (
        id TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        released INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
",
    "
    -- A line is decided by itself: not every line is written again for that.
    CREATE TABLE campaign_line (
        campaign TEXT NOT NULL REFERENCES campaign,
        line INTEGER NOT NULL,
        decided INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (campaign, line)
    ) STRICT;
    INSERT INTO campaign_line (campaign, line, decided, body)
        SELECT c.id, l.value ->> '$.line', l.value ->> '$.decision' IS NOT NULL, l.value
        FROM campaign c, json_each(c.body, '$.lines') l;
    UPDATE campaign SET body = json_set(body, '$.lines', json_array_length(body, '$.lines'), '$.undecided',
        (SELECT count(*) FROM campaign_line l WHERE l.campaign = campaign.id AND NOT l.decided));
    -- The quarter that the schedule started it for: each has one.
    ALTER TABLE campaign ADD COLUMN scheduled TEXT;
    CREATE UNIQUE INDEX campaign_scheduled ON campaign (scheduled);
",
    "
    -- Originals of redacted statements that auditors asked for.
    CREATE TABLE unseal (
        id TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        -- Nothing can be done with it from then on.
        live_until INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX unseal_recent ON unseal (asked_at);
    CREATE INDEX unseal_live ON unseal (live_until);
    -- Which halves of the key texts were sealed with.
    CREATE TABLE unseal_key (mark TEXT PRIMARY KEY) STRICT;
",
];

pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (number, step) in (1i64..).zip(STEPS).skip_while(|(number, _)| *number <= found) {
        let tx = connection.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}
