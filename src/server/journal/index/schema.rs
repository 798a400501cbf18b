//! The tables of the index. Searches walk `statements`, which is narrow: ten
//! million of them are read in a second or two even where no index helps. What
//! is wide stands beside it, and what many statements share is there once.
//!
//! ```text
//! requests ─► grants ─► sessions ─┐            shapes ─► shape_names
//!                          │      ├─ statements ─┘         (verbs and tables)
//!                   session_teams │      └─ texts
//! ```

/// Changes with the schema: an index of another version is made anew.
pub(super) const VERSION: u32 = 9;

/// Times are microseconds since 1970, days are days since then; `teams`,
/// `unmasked`, `facts`, `result`, `result_shape`, `parameters` and `export` are JSON.
/// `sensitivity` and `outcome` are what [`super::codes`] says.
pub(super) const SCHEMA: &str = "
    BEGIN;
    CREATE TABLE progress (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        segment INTEGER NOT NULL, \"offset\" INTEGER NOT NULL, next INTEGER NOT NULL, prev TEXT NOT NULL
    ) STRICT;

    -- What was asked for and granted, as far as statements are searched by it.
    CREATE TABLE requests (request TEXT PRIMARY KEY, facts TEXT, incident TEXT) STRICT, WITHOUT ROWID;
    CREATE TABLE grants (
        grant_id TEXT PRIMARY KEY, environment TEXT NOT NULL, teams TEXT NOT NULL, incident TEXT,
        unmasked TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- `environment` and `unmasked` are NULL where the grant is not on record.
    -- `prepared`: of the statements that it gave names to, once there is one.
    -- `statements` is how many there are, here and of shapes: searches go by it.
    CREATE TABLE sessions (
        no INTEGER PRIMARY KEY, session TEXT NOT NULL UNIQUE, grant_id TEXT NOT NULL,
        subject TEXT NOT NULL, email TEXT NOT NULL COLLATE NOCASE, target TEXT NOT NULL,
        environment TEXT, incident TEXT, unmasked TEXT, prepared INTEGER, statements INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE session_teams (
        team TEXT NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (team, session)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX session_teams_session ON session_teams (session);

    -- A class and the facts: what statements that differ only in their values share.
    CREATE TABLE shapes (
        no INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, class TEXT NOT NULL, facts TEXT,
        statements INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE shape_names (
        kind TEXT NOT NULL, name TEXT NOT NULL, schema TEXT NOT NULL, shape INTEGER NOT NULL,
        PRIMARY KEY (kind, name, schema, shape)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX shape_names_shape ON shape_names (shape, kind);

    CREATE TABLE statements (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, session INTEGER NOT NULL, shape INTEGER NOT NULL,
        sensitivity INTEGER NOT NULL, outcome INTEGER NOT NULL DEFAULT 0, export INTEGER NOT NULL DEFAULT 0,
        rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, duration_us INTEGER
    ) STRICT;
    CREATE INDEX statements_session ON statements (session, seq);
    CREATE INDEX statements_shape ON statements (shape, seq);
    -- A small part of all, each; the terms stand in queries letter by letter.
    CREATE INDEX statements_sensitive ON statements (seq, sensitivity, session, shape, at, outcome, rows)
        WHERE sensitivity > 0;
    CREATE INDEX statements_large ON statements (seq) WHERE (rows >= 100 OR export = 1);
    CREATE INDEX statements_stopped ON statements (seq) WHERE outcome > 1;
    -- `sealed` and `sealed_result`: what the text, and the result, leave out.
    CREATE TABLE texts (
        seq INTEGER PRIMARY KEY, connection TEXT NOT NULL, text TEXT NOT NULL, parameters TEXT NOT NULL,
        result TEXT, result_shape TEXT, export TEXT, sealed TEXT, sealed_result TEXT,
        -- The line of its outcome: the way back from `outcomes`.
        ended INTEGER
    ) STRICT;
    -- Where it stands that a statement ended: whoever follows goes by it.
    CREATE TABLE outcomes (seq INTEGER PRIMARY KEY, statement INTEGER NOT NULL) STRICT;
    -- Where a day's statements stand: clocks are set back, so time alone does not tell.
    CREATE TABLE days (day INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;

    CREATE TABLE events (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_kind ON events (kind, seq);
    CREATE INDEX events_recording ON events (body ->> '$.session', seq)
        WHERE kind IN ('recording.started', 'recording.chunk', 'recording.ended');
    -- What the statements of each session used: a row a session.
    CREATE TABLE usage (
        session TEXT PRIMARY KEY, first INTEGER NOT NULL, first_at INTEGER NOT NULL, used TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 9;
    COMMIT;";
