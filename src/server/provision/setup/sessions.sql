-- Sessions -------------------------------------------------------------------

-- Makes a session's login role: member of one profile, and nothing else.
-- SQLSTATE DB001 asks the caller to run ensure_profile first: doing it here
-- would need a stronger lock on top of a weaker one, and deadlock.
CREATE FUNCTION dbaccess.open_session(
    role text, verifier text, valid_until timestamptz, profile text, content text,
    comment text, settings jsonb, connection_limit integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' SET jit = off AS $$
DECLARE
    parsed jsonb := dbaccess.profile_content(profile, content);
    -- From 16 on the session may use the profile's privileges but not become it.
    is_precise boolean := current_setting('server_version_num')::int >= 160000;
    only_inherit text := CASE WHEN is_precise THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
    becomes text := parsed ->> 'become';
    path text := dbaccess.search_path_of(profile, parsed);
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
    IF NOT dbaccess.is_ready(profile, parsed) THEN
        RAISE EXCEPTION USING ERRCODE = 'DB001', MESSAGE = format('profile %s is not ready', profile);
    END IF;
    EXECUTE format('CREATE ROLE %I LOGIN %s CONNECTION LIMIT %s VALID UNTIL %L PASSWORD %L', role,
        -- Before 16 a role inherits from all or none of those that it belongs to.
        CASE WHEN becomes IS NULL OR is_precise THEN 'INHERIT' ELSE 'NOINHERIT' END, connection_limit, valid_until, verifier);
    EXECUTE format('COMMENT ON ROLE %I IS %L', role, comment);
    EXECUTE format('GRANT dbaccess_sessions TO %I%s', role, only_inherit);
    -- Now, so that it is on a standby before the role's first connection.
    PERFORM dbaccess.join_role(dbaccess.session_oid(role));
    EXECUTE format('GRANT %I TO %I%s', profile, role, only_inherit);
    IF becomes IS NOT NULL THEN
        -- The session works as the owner, so that what it makes is the owner's.
        -- It connects with `role` among its parameters: to make that the role's
        -- own setting is not allowed in a SECURITY DEFINER function.
        PERFORM dbaccess.check_ddl_owner(becomes);
        EXECUTE format('GRANT %I TO %I%s', becomes, role, CASE WHEN is_precise THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END);
        IF NOT is_precise THEN
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
        END IF;
    ELSIF path IS NOT NULL THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %s', role, current_database(), path);
    END IF;
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

-- The database's own search path with each schema's views before it, so that a
-- table's bare name is its view's. NULL where there are none.
CREATE FUNCTION dbaccess.search_path_of(profile text, content jsonb) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH part AS (
        SELECT p.place, trim(p.part[1]) AS part
        FROM regexp_matches((SELECT reset_val FROM pg_settings WHERE name = 'search_path'), '("(?:[^"]|"")*"|[^",]+)', 'g')
            WITH ORDINALITY AS p (part, place)
    ), schema AS (
        SELECT place, CASE WHEN starts_with(part, '"') THEN replace(substr(part, 2, length(part) - 2), '""', '"') ELSE lower(part) END AS name
        FROM part WHERE part <> ''
    ), views AS (
        SELECT v.name, v.place, quote_ident('dbaccess_v_' || right(profile, 32) || '_' || (v.place - 1)) AS schema
        FROM jsonb_array_elements_text(content -> 'schemas') WITH ORDINALITY AS v (name, place)
    )
    -- Sealed columns' avg, sum and count are found by the path alone: after it
    -- come the other schemas that have some.
    SELECT string_agg(concat_ws(', ', v.schema, quote_ident(s.name)), ', ' ORDER BY s.place) || coalesce((
        SELECT string_agg(', ' || v.schema, '' ORDER BY v.place) FROM views v
        WHERE v.name NOT IN (SELECT s.name FROM schema s) AND jsonb_path_exists(content,
            '$.views[*] ? (@.schema == $name && @.columns[*].mask.mask == "aggregate")', jsonb_build_object('name', v.name))), '')
    FROM schema s LEFT JOIN views v ON v.name = s.name
    -- Nothing is named after a session role.
    WHERE s.name <> '$user' AND content ? 'schemas'
$$;

-- Moves the end of a session's credential. Only of a session that may still log
-- in, so that it gives nothing back to one that is being ended, and never far:
-- what is renewed is renewed again. False: there is no such session.
CREATE FUNCTION dbaccess.extend_session(role text, valid_until timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    session oid := dbaccess.session_oid(role);
BEGIN
    IF (valid_until > now() AND valid_until <= now() + interval '8 hours') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('valid_until %s is not within the next 8 hours', valid_until),
            HINT = 'Compare the clocks of the dbaccess server and of this database.';
    END IF;
    IF (SELECT rolcanlogin FROM pg_roles WHERE oid = session) IS NOT TRUE THEN
        RETURN false;
    END IF;
    EXECUTE format('ALTER ROLE %I VALID UNTIL %L', role, valid_until);
    RETURN true;
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
-- Returns how many were still there: call again until that is none. Runs on a
-- standby too.
CREATE FUNCTION dbaccess.end_connections(role text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    session oid := dbaccess.session_oid(role);
BEGIN
    PERFORM dbaccess.join_role(session);
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
    PERFORM dbaccess.join_role(managed);
    IF starts_with(role, 'dbaccess_o_') THEN
        -- Views and what is built on them have no other owner.
        EXECUTE format('DROP OWNED BY %I CASCADE', role);
        RETURN;
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

