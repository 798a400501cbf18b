-- dbaccess target setup, version :version. For PostgreSQL 14 to 18.
--
-- What it does: creates a schema `dbaccess` with the eight functions that the
-- dbaccess server calls to make and remove session roles, and lets only the
-- server's login call them. That login needs no other right: neither
-- CREATEROLE nor any privilege on a table. The functions run with the rights
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
END $$;
SET LOCAL check_function_bodies = off;

CREATE FUNCTION dbaccess.version() RETURNS integer LANGUAGE sql IMMUTABLE RETURN :version;

-- Who gets the tables that a session leaves behind. Fixed here, by the
-- administrator: the server cannot hand objects to a role of its choice.
CREATE FUNCTION dbaccess.object_owner() RETURNS text LANGUAGE sql IMMUTABLE RETURN :'object_owner';

-- The oid of one of our roles, NULL when there is none. Refuses every name and
-- every role that is not ours.
CREATE FUNCTION dbaccess.managed_oid(role text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    marker text := CASE WHEN role ~ '^dbaccess_s_[0-9a-f]{16,40}$' THEN 'dbaccess_sessions'
                        WHEN role ~ '^dbaccess_p_[0-9a-f]{32}$' THEN 'dbaccess_profiles' END;
    existing record;
BEGIN
    IF marker IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%L is not a role of dbaccess', role);
    END IF;
    SELECT r.oid, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls AS strong,
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

-- A profile's name is the digest of its content, and the content names its
-- database: so a profile can be neither widened nor carried elsewhere.
CREATE FUNCTION dbaccess.profile_content(profile text, content text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF profile = 'dbaccess_p_' || left(encode(sha256(convert_to(content, 'UTF8')), 'hex'), 32) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('profile %s is not named by its content', profile);
    ELSIF (content::jsonb ->> 'database') = current_database() IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('profile %s is not for database %s', profile, current_database());
    END IF;
    RETURN content::jsonb;
END $$;

-- What must be granted to and revoked from an access role so that it holds
-- exactly its content. Empty when it does: the usual case, and a fast one
-- (pg_shdepend is indexed by role).
CREATE FUNCTION dbaccess.profile_changes(access oid, content jsonb)
RETURNS TABLE (verb text, kind text, schema text, name text, privileges text[])
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH wanted AS (
        SELECT g.kind, g.schema, g.name, p.privilege, true AS is_wanted
        FROM jsonb_to_recordset(content -> 'grants') AS g (kind text, schema text, name text, privileges jsonb)
        CROSS JOIN jsonb_array_elements_text(g.privileges) AS p (privilege)
    ), dependency AS (
        SELECT d.classid, d.objid FROM pg_shdepend d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = access AND d.deptype = 'a' AND d.objsubid = 0
          AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ), held AS (
        SELECT 'database' AS kind, b.datname::text AS schema, b.datname::text AS name,
               a.privilege_type AS privilege, true AS is_held
        FROM dependency d JOIN pg_database b ON d.classid = 'pg_database'::regclass AND b.oid = d.objid
        CROSS JOIN aclexplode(b.datacl) a WHERE a.grantee = access
        UNION ALL
        SELECT 'schema', n.nspname, n.nspname, a.privilege_type, true
        FROM dependency d JOIN pg_namespace n ON d.classid = 'pg_namespace'::regclass AND n.oid = d.objid
        CROSS JOIN aclexplode(n.nspacl) a WHERE a.grantee = access
        UNION ALL
        SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname,
               a.privilege_type, true
        FROM dependency d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN aclexplode(c.relacl) a WHERE a.grantee = access
    )
    SELECT CASE WHEN is_held THEN 'REVOKE' ELSE 'GRANT' END, kind, schema, name, array_agg(privilege)
    FROM wanted FULL JOIN held USING (kind, schema, name, privilege)
    WHERE is_wanted IS NULL OR is_held IS NULL
    GROUP BY 1, 2, 3, 4
$$;

-- Makes an access role hold exactly the privileges of its content. The lock
-- keeps two of them from colliding on one table ("tuple concurrently updated").
CREATE FUNCTION dbaccess.ensure_profile(profile text, content text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    parsed jsonb := dbaccess.profile_content(profile, content);
    access oid;
    change record;
    allowed text[];
BEGIN
    PERFORM pg_advisory_xact_lock(1684169571, 2);
    access := dbaccess.profile_oid(profile);
    IF access IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', profile);
        EXECUTE format('COMMENT ON ROLE %I IS %L', profile, 'dbaccess: privileges in database ' || current_database());
        EXECUTE format('GRANT dbaccess_profiles TO %I', profile);
        access := dbaccess.profile_oid(profile);
    END IF;
    FOR change IN SELECT * FROM dbaccess.profile_changes(access, parsed) LOOP
        allowed := CASE change.kind WHEN 'table' THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
                                    WHEN 'schema' THEN ARRAY['USAGE'] WHEN 'sequence' THEN ARRAY['USAGE']
                                    WHEN 'database' THEN ARRAY['CONNECT'] END;
        IF change.verb = 'GRANT' AND (
               change.privileges <@ allowed IS NOT TRUE
            OR change.kind = 'database' AND change.name <> current_database()
            OR change.kind IN ('schema', 'database') AND change.name <> change.schema
            OR change.kind <> 'database' AND (change.schema ~ '^pg_' OR change.schema IN ('information_schema', 'dbaccess')) IS NOT FALSE
            -- A longer name would be cut and mean another object.
            OR (octet_length(change.schema) <= 63 AND octet_length(change.name) <= 63) IS NOT TRUE) THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a profile may not hold %s on %s %s.%s',
                array_to_string(change.privileges, ', '), change.kind, change.schema, change.name);
        END IF;
        EXECUTE format('%s %s ON %s %s %s %I', change.verb, array_to_string(change.privileges, ', '), change.kind,
            CASE WHEN change.kind IN ('schema', 'database') THEN format('%I', change.name)
                             ELSE format('%I.%I', change.schema, change.name) END,
            CASE change.verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END, profile);
    END LOOP;
    -- GRANT without the right to grant is only a warning.
    SELECT * INTO change FROM dbaccess.profile_changes(access, parsed) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%s cannot %s %s on %s %s.%s: it ran the setup but does not own that',
            current_user, lower(change.verb), array_to_string(change.privileges, ', '), change.kind, change.schema, change.name);
    END IF;
END $$;

-- Makes a session's login role: member of one profile, and nothing else.
-- SQLSTATE DB001 asks the caller to run ensure_profile first: doing it here
-- would need a stronger lock on top of a weaker one, and deadlock.
CREATE FUNCTION dbaccess.open_session(
    role text, verifier text, valid_until timestamptz, profile text, content text,
    comment text, settings jsonb, connection_limit integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    parsed jsonb := dbaccess.profile_content(profile, content);
    -- From 16 on the session may use the profile's privileges but not become it.
    only_inherit text := CASE WHEN current_setting('server_version_num')::int >= 160000
                              THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
    access oid;
    setting record;
BEGIN
    IF dbaccess.session_oid(role) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42710', MESSAGE = format('session role %s exists already', role);
    ELSIF verifier ~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$' IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'not a SCRAM-SHA-256 verifier';
    ELSIF (valid_until > now() AND valid_until <= now() + interval '25 hours') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('valid_until %s is not within the next 25 hours', valid_until),
            HINT = 'Compare the clocks of the dbaccess server and of this database.';
    ELSIF connection_limit BETWEEN 1 AND 1000 IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'connection_limit is not between 1 and 1000';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1684169571, 2);
    access := dbaccess.profile_oid(profile);
    IF access IS NULL OR EXISTS (SELECT FROM dbaccess.profile_changes(access, parsed)) THEN
        RAISE EXCEPTION USING ERRCODE = 'DB001', MESSAGE = format('profile %s is not ready', profile);
    END IF;
    EXECUTE format('CREATE ROLE %I LOGIN INHERIT CONNECTION LIMIT %s VALID UNTIL %L PASSWORD %L',
        role, connection_limit, valid_until, verifier);
    EXECUTE format('COMMENT ON ROLE %I IS %L', role, comment);
    EXECUTE format('GRANT dbaccess_sessions TO %I%s', role, only_inherit);
    EXECUTE format('GRANT %I TO %I%s', profile, role, only_inherit);
    FOR setting IN SELECT key, value FROM jsonb_each_text(settings) LOOP
        IF setting.key <> ALL (ARRAY['application_name', 'default_transaction_read_only', 'statement_timeout',
            'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'temp_file_limit']) THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('setting %s is not dbaccess''s to make', setting.key);
        END IF;
        BEGIN
            EXECUTE format('ALTER ROLE %I SET %I = %L', role, setting.key, setting.value);
        EXCEPTION WHEN insufficient_privilege THEN
            -- temp_file_limit is a superuser's to set: a managed service's
            -- administrator does without it.
            IF setting.key <> 'temp_file_limit' THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- First step of the end: no new connection. Committed before anything else, so
-- that what is terminated next cannot come back. False: there is no such role.
CREATE FUNCTION dbaccess.lock_session(role text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    session oid := dbaccess.session_oid(role);
BEGIN
    IF (SELECT rolcanlogin FROM pg_roles WHERE oid = session) THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', role);
    END IF;
    RETURN session IS NOT NULL;
END $$;

-- Second step: terminates the role's backends, which cancels what they run.
-- Returns how many were still there: call again until that is none.
CREATE FUNCTION dbaccess.end_connections(role text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    session oid := dbaccess.session_oid(role);
BEGIN
    IF session IS NOT NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       AND NOT pg_has_role(current_user, session, 'USAGE') THEN
        EXECUTE format('GRANT %I TO %I', role, current_user);
    END IF;
    RETURN (SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a WHERE a.usesysid = session);
END $$;

-- Third step, in every database where the role left something: gives its
-- objects away and drops its privileges. Ordinary tables go to the configured
-- owner. Whatever carries code (views, functions, triggers, index expressions)
-- goes to `dbaccess_objects`, which has no rights: code runs with the rights of
-- its owner, and a view over a table that the session could not read would
-- begin to work the moment someone stronger owned it.
CREATE FUNCTION dbaccess.dispose_owned(role text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    managed oid := dbaccess.managed_oid(role);
    heir text := dbaccess.object_owner();
    relation record;
BEGIN
    IF managed IS NULL THEN
        RETURN;
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       AND NOT pg_has_role(current_user, managed, 'USAGE') THEN
        EXECUTE format('GRANT %I TO %I', role, current_user);
    END IF;
    IF heir <> 'dbaccess_objects' THEN
        FOR relation IN
            SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relowner = managed AND NOT c.relhasrules
              AND (c.relkind = 'r' OR (c.relkind = 'S' AND NOT EXISTS (
                       SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))))
              AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
              AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
              AND NOT EXISTS (SELECT FROM pg_statistic_ext s WHERE s.stxrelid = c.oid)
              AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
                              AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL))
        LOOP
            EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', relation.nspname, relation.relname, heir);
        END LOOP;
    END IF;
    EXECUTE format('REASSIGN OWNED BY %I TO dbaccess_objects', role);
    EXECUTE format('DROP OWNED BY %I', role);
END $$;

-- Where, besides here, something still depends on a role.
CREATE FUNCTION dbaccess.databases_holding(managed oid) RETURNS text[]
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT b.datname::text), '{}') FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = managed AND b.datname <> current_database()
$$;

-- Last step: drops the role when nothing holds it. Otherwise returns the
-- databases in which dispose_owned is still to be called.
CREATE FUNCTION dbaccess.close_session(role text) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    session oid := dbaccess.session_oid(role);
    elsewhere text[];
BEGIN
    IF session IS NULL THEN
        RETURN '{}';
    ELSIF (SELECT rolcanlogin FROM pg_roles WHERE oid = session)
       OR EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = session) THEN
        RAISE EXCEPTION USING ERRCODE = '55006', MESSAGE = format('session role %s is still connected or may log in', role);
    END IF;
    IF EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = session
               AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) THEN
        PERFORM dbaccess.dispose_owned(role);
    END IF;
    elsewhere := dbaccess.databases_holding(session);
    IF elsewhere = '{}' THEN
        EXECUTE format('DROP ROLE %I', role);
        -- A login that was past its check when NOLOGIN came, and not yet listed.
        PERFORM pg_stat_clear_snapshot();
        PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.usesysid = session;
    END IF;
    RETURN elsewhere;
END $$;

-- Drops a profile that has no sessions; returns as close_session does.
CREATE FUNCTION dbaccess.drop_profile(profile text) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    access oid;
    elsewhere text[];
BEGIN
    PERFORM pg_advisory_xact_lock(1684169571, 2);
    access := dbaccess.profile_oid(profile);
    IF access IS NULL THEN
        RETURN '{}';
    ELSIF EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                  WHERE m.roleid = access AND r.rolname ~ '^dbaccess_s_') THEN
        RAISE EXCEPTION USING ERRCODE = '55006', MESSAGE = format('profile %s has sessions', profile);
    END IF;
    PERFORM dbaccess.dispose_owned(profile);
    elsewhere := dbaccess.databases_holding(access);
    IF elsewhere = '{}' THEN
        EXECUTE format('DROP ROLE %I', profile);
    END IF;
    RETURN elsewhere;
END $$;

-- The server's login may call these eight, and nobody else may call any.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dbaccess FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    dbaccess.version(),
    dbaccess.ensure_profile(text, text),
    dbaccess.open_session(text, text, timestamptz, text, text, text, jsonb, integer),
    dbaccess.lock_session(text),
    dbaccess.end_connections(text),
    dbaccess.dispose_owned(text),
    dbaccess.close_session(text),
    dbaccess.drop_profile(text)
TO :"gateway";
COMMIT;
