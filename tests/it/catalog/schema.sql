-- What a catalog can hold, as little of it as possible.
CREATE SCHEMA catalog;
CREATE SCHEMA dbaccess_secret;
CREATE TABLE dbaccess_secret.keys (key text);
CREATE SCHEMA dbaccess_v_0123456789abcdef0123456789abcdef_0;
CREATE VIEW dbaccess_v_0123456789abcdef0123456789abcdef_0.users AS SELECT 1 AS id;

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY,
    tenant int,
    email text,
    note text,
    email_lc text GENERATED ALWAYS AS (lower(email)) STORED,
    "both" text GENERATED ALWAYS AS (email || note) STORED,
    gone text,
    PRIMARY KEY (tenant, id));
ALTER TABLE users DROP COLUMN gone, ENABLE ROW LEVEL SECURITY;
COMMENT ON COLUMN users.email IS 'Where we write to. @pii';
INSERT INTO users (tenant, email, note) VALUES (1, 'a@x', ''), (1, 'b@x', ''), (2, 'c@x', '');
ANALYZE users;

CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    who bigint,
    whose int,
    FOREIGN KEY (who, whose) REFERENCES users (id, tenant));

CREATE TABLE root (at date) PARTITION BY RANGE (at);
CREATE TABLE branch PARTITION OF root FOR VALUES FROM ('2020-01-01') TO ('2030-01-01') PARTITION BY RANGE (at);
CREATE TABLE leaf PARTITION OF branch FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');

CREATE FUNCTION peek(bigint) RETURNS text LANGUAGE sql SECURITY DEFINER
    AS 'SELECT email FROM users WHERE id = $1';
CREATE FUNCTION standard(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN lower(t);
CREATE PROCEDURE procedure() LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE FUNCTION gathered(text) RETURNS text LANGUAGE sql SECURITY DEFINER
    AS 'SELECT $1 || max(email) FROM users';
CREATE AGGREGATE gather(text) (SFUNC = textcat, STYPE = text, FINALFUNC = gathered);
CREATE OPERATOR ## (RIGHTARG = bigint, FUNCTION = peek);
CREATE TYPE uid AS (id bigint);
CREATE FUNCTION uid_text(uid) RETURNS text LANGUAGE sql SECURITY DEFINER
    AS 'SELECT email FROM users WHERE id = ($1).id';
CREATE CAST (uid AS text) WITH FUNCTION uid_text(uid);
CREATE FUNCTION uuid_number(uuid) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT max(id) FROM users';
CREATE CAST (uuid AS bigint) WITH FUNCTION uuid_number(uuid);

CREATE VIEW plain AS
    SELECT email AS contact, id AS "x :ressortgroupref 0 :resorigtbl 1 :resorigcol 1 :resno 1"
    FROM users WHERE note <> '';
CREATE VIEW computed AS SELECT id, upper(email) AS hidden FROM users;
CREATE VIEW nested AS SELECT email FROM (SELECT email FROM users) AS inner_query;
CREATE VIEW whole AS SELECT id, to_json(u) FROM users u;
CREATE VIEW above AS SELECT contact FROM plain;
CREATE VIEW counted AS SELECT count(*) FROM users;
CREATE VIEW calling AS SELECT peek(id) FROM orders;
CREATE VIEW operating AS SELECT ## id AS found FROM orders;
CREATE VIEW casting AS SELECT ROW(id)::uid::text AS found FROM orders;
CREATE VIEW gathering AS SELECT gather('x') AS found FROM orders;
CREATE MATERIALIZED VIEW catalog.kept AS SELECT email FROM users WITH NO DATA;
