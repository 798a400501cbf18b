-- dbaccess target setup, version :version. For PostgreSQL 14 to 18.
--
-- What it does: creates a schema `dbaccess` with the nine functions that the
-- dbaccess server calls to make and remove session roles and the views that
-- mask and filter for them, and lets only the server's login call them. That
-- login needs no other right: neither CREATEROLE nor any privilege on a table.
-- A second schema, `dbaccess_secret`, holds the keys of tokens. The functions run with the rights
-- of whoever runs this script (SECURITY DEFINER): an administrator who may
-- create roles and grant on the tables that people are to be let into.
--
-- Run it in every database that accepts connections, template1 included (a
-- session role that connects elsewhere may leave objects there, and databases
-- made later are copies of template1). Running it again upgrades it:
--
--   psql -AtXc 'SELECT datname FROM pg_database WHERE datallowconn' |
--   while IFS= read -r db; do
--       PGDATABASE=$db psql -X -v ON_ERROR_STOP=1 -f setup.sql </dev/null
--   done
--
-- The server's login is made without a password when it is missing; set one
-- with \password, which sends a SCRAM verifier and not the password.

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL dbaccess.gateway = :'gateway';
SET LOCAL dbaccess.verifier = :'verifier';
SET LOCAL dbaccess.object_owner = :'object_owner';
SET LOCAL dbaccess.ddl_owners = :'ddl_owners';

-- The roles that the functions lean on. Belonging to `dbaccess_sessions` or
-- `dbaccess_profiles` marks a role as ours; nothing unmarked is ever touched.
-- `dbaccess_objects` has no rights at all and inherits what must not be owned
-- by anyone who has some (see dispose_owned).
DO $$
DECLARE
    gateway text := current_setting('dbaccess.gateway');
    verifier text := current_setting('dbaccess.verifier');
    wanted text;
    stray text;
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'dbaccess needs PostgreSQL 14 or newer';
    END IF;
    PERFORM pg_advisory_xact_lock(1684169571, 1);
    FOREACH wanted IN ARRAY ARRAY['dbaccess_sessions', 'dbaccess_profiles', 'dbaccess_objects'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        ELSIF EXISTS (SELECT FROM pg_roles WHERE rolname = wanted
                      AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolreplication OR rolbypassrls)) THEN
            RAISE EXCEPTION 'role % exists and has rights: it must have none', wanted;
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = gateway) THEN
        EXECUTE format('CREATE ROLE %I LOGIN', gateway);
    END IF;
    IF verifier <> '' THEN
        EXECUTE format('ALTER ROLE %I PASSWORD %L', gateway, verifier);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_setting('dbaccess.object_owner')) THEN
        RAISE EXCEPTION 'object_owner % does not exist', current_setting('dbaccess.object_owner');
    ELSIF (SELECT rolsuper FROM pg_roles WHERE rolname = current_setting('dbaccess.object_owner')) THEN
        -- Whoever owns an object decides with whose rights its code runs.
        RAISE EXCEPTION 'object_owner % is a superuser: name the role that owns the application''s tables',
            current_setting('dbaccess.object_owner');
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), gateway);
    -- An administrator who is no superuser may give objects only to roles that it belongs to.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT dbaccess_objects TO %I', current_user);
    END IF;

    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'dbaccess') THEN
        EXECUTE 'ALTER SCHEMA dbaccess OWNER TO CURRENT_USER';
        DROP EVENT TRIGGER IF EXISTS dbaccess_before_ddl;
        DROP EVENT TRIGGER IF EXISTS dbaccess_after_ddl;
        -- Dropped, not replaced: a replaced function keeps its former owner.
        FOR stray IN SELECT p.oid::regprocedure::text FROM pg_proc p
                     WHERE p.pronamespace = 'dbaccess'::regnamespace LOOP
            EXECUTE 'DROP FUNCTION ' || stray;
        END LOOP;
    ELSE
        EXECUTE 'CREATE SCHEMA dbaccess';
    END IF;
    EXECUTE 'REVOKE ALL ON SCHEMA dbaccess FROM PUBLIC';
    EXECUTE format('GRANT USAGE ON SCHEMA dbaccess TO %I', gateway);

    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'dbaccess_secret') THEN
        EXECUTE 'CREATE SCHEMA dbaccess_secret';
        EXECUTE 'CREATE TABLE dbaccess_secret.token_key (domain text PRIMARY KEY, key bytea NOT NULL, made_at timestamptz NOT NULL DEFAULT now())';
    END IF;
    EXECUTE 'ALTER SCHEMA dbaccess_secret OWNER TO CURRENT_USER';
    EXECUTE 'ALTER TABLE dbaccess_secret.token_key OWNER TO CURRENT_USER';
    -- Whatever default privileges would have given somebody.
    FOR stray IN SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
                 FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
                 WHERE c.oid = 'dbaccess_secret.token_key'::regclass AND a.grantee <> c.relowner LOOP
        EXECUTE 'REVOKE ALL ON dbaccess_secret.token_key FROM ' || stray;
    END LOOP;
END $$;
SET LOCAL check_function_bodies = off;

CREATE FUNCTION dbaccess.version() RETURNS integer LANGUAGE sql IMMUTABLE RETURN :version;

-- Who gets the tables that a session leaves behind. Fixed here, by the
-- administrator: the server cannot hand objects to a role of its choice.
CREATE FUNCTION dbaccess.object_owner() RETURNS text LANGUAGE sql IMMUTABLE RETURN :'object_owner';

-- The owners of schemas that a session may work as when its scope is to change
-- the schema. Fixed here too.
CREATE FUNCTION dbaccess.ddl_owners() RETURNS text[] LANGUAGE sql IMMUTABLE RETURN :'ddl_owners'::text[];

-- The oid of one of our roles, NULL when there is none. Refuses every name and
-- every role that is not ours.
CREATE FUNCTION dbaccess.managed_oid(role text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    marker text := CASE WHEN role ~ '^dbaccess_s_[0-9a-f]{16,40}$' THEN 'dbaccess_sessions'
                        WHEN role ~ '^dbaccess_[po]_[0-9a-f]{32}$' THEN 'dbaccess_profiles' END;
    existing record;
BEGIN
    IF marker IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%L is not a role of dbaccess', role);
    END IF;
    SELECT r.oid, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
                  OR r.rolbypassrls AND NOT starts_with(role, 'dbaccess_o_') AS strong,
           EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                   WHERE m.member = r.oid AND g.rolname = marker) AS marked
      INTO existing FROM pg_roles r WHERE r.rolname = role::name;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF existing.strong OR NOT existing.marked THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('role %s was not made by dbaccess', role);
    END IF;
    RETURN existing.oid;
END $$;

CREATE FUNCTION dbaccess.session_oid(role text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF starts_with(role, 'dbaccess_s_') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%L is not a session role', role);
    END IF;
    RETURN dbaccess.managed_oid(role);
END $$;

CREATE FUNCTION dbaccess.profile_oid(role text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF starts_with(role, 'dbaccess_p_') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%L is not a profile', role);
    END IF;
    RETURN dbaccess.managed_oid(role);
END $$;

-- Whoever is no superuser needs a role's rights to end its connections and to
-- give its objects away. On a standby nothing is granted: it came with the role.
CREATE FUNCTION dbaccess.join_role(managed oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF managed IS NOT NULL AND NOT pg_is_in_recovery() AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       AND NOT pg_has_role(current_user, managed, 'USAGE') THEN
        EXECUTE format('GRANT %s TO %I', managed::regrole, current_user);
    END IF;
END $$;

-- Whether a session may work as an owner of schemas: one that the administrator
-- named, which can do no more than own. Refused otherwise.
CREATE FUNCTION dbaccess.check_ddl_owner(owner text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    strong text;
BEGIN
    IF owner = ANY (dbaccess.ddl_owners()) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('no session may work as %s', owner),
            HINT = 'Name it in ddl_owners of the target, and run the setup again.';
    END IF;
    IF to_regrole(quote_ident(owner)) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('role %s of ddl_owners does not exist', owner);
    END IF;
    WITH RECURSIVE held AS (
        SELECT r.oid FROM pg_roles r WHERE r.rolname = owner
        UNION
        SELECT m.roleid FROM held h JOIN pg_auth_members m ON m.member = h.oid
    ) SELECT r.rolname INTO strong FROM held h JOIN pg_roles r USING (oid)
      WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
         OR r.rolname ~ '^(pg|dbaccess)_' OR r.rolname <> ALL (dbaccess.ddl_owners()) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('no session may work as %s: it has the rights of %s', owner, strong),
            HINT = 'ddl_owners are roles that own schemas, and belong to no other role but such.';
    END IF;
END $$;

