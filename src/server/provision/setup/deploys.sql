
-- Deploys ----------------------------------------------------------------------
--
-- PostgreSQL refuses to drop or retype a column that a view shows, and an
-- application's deploy must not fail because of ours. So an event trigger drops
-- the views that a deploy may touch when its statement begins, and builds them
-- again as soon as it has ended, in the deploy's own transaction: a session's
-- statement that comes meanwhile waits for that and then goes on, without a
-- column that is gone. What cannot be built again stays absent: fails closed.
--
-- An event trigger is a superuser's to make. Where the setup ran as somebody
-- else there is none, and `dbaccess target suspend` is what deploys need.

-- The server's login: what it does is no deploy.
CREATE FUNCTION dbaccess.gateway() RETURNS text LANGUAGE sql IMMUTABLE RETURN :'gateway';

-- Our views over relations that a statement may be about, with whether its text
-- names one of those. A statement that makes others (DO, CALL, a function) may
-- be about any. Only of relations that whoever is logged in may change: nobody
-- else's statement makes views go.
CREATE FUNCTION dbaccess.views_before(statement text, tag text)
RETURNS TABLE (view oid, is_named boolean)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE standing AS (
        SELECT c.oid AS view, d.refobjid AS relation
        FROM pg_namespace n
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'v'
        JOIN pg_rewrite r ON r.ev_class = c.oid
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
        WHERE n.nspname ~ '^dbaccess_v_[0-9a-f]{32}_[0-9]+$'
        GROUP BY 1, 2
    ), family AS (
        SELECT s.view, s.relation FROM standing s
        UNION
        SELECT f.view, CASE f.relation WHEN i.inhparent THEN i.inhrelid ELSE i.inhparent END
        FROM family f JOIN pg_inherits i ON f.relation IN (i.inhparent, i.inhrelid)
    ), name AS (
        SELECT f.view, lower(c.relname) AS name FROM family f JOIN pg_class c ON c.oid = f.relation
        UNION
        SELECT f.view, lower(t.typname) FROM family f JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum > 0
        JOIN pg_type t ON t.oid = a.atttypid AND t.typnamespace <> 'pg_catalog'::regnamespace
        WHERE tag ~ 'TYPE|DOMAIN'
    ), mentioned AS (
        SELECT n.view, bool_or(position(n.name IN replace(lower(statement), '""', '"')) > 0) AS is_named FROM name n GROUP BY 1
    )
    SELECT m.view, m.is_named FROM mentioned m
    WHERE (m.is_named OR tag ~ 'SCHEMA|OWNED|EXTENSION'
           OR statement !~* ('\m' || replace(tag, ' ', '\s+') || '\M') OR statement ~* '\m(do|call|select|execute)\M|u&"')
      AND EXISTS (SELECT FROM family f JOIN pg_class c ON c.oid = f.relation
                  WHERE f.view = m.view AND pg_has_role(session_user, c.relowner, 'MEMBER'))
    ORDER BY m.view
$$;

-- Drops one of them; false when somebody is reading it. The wait is so short
-- that of two who wait for each other it is never the deploy that PostgreSQL
-- ends (`deadlock_timeout` is a second).
CREATE FUNCTION dbaccess.drop_view(view oid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    name text := dbaccess.relation_sql(view);
BEGIN
    IF name IS NOT NULL THEN
        EXECUTE format('DROP VIEW %s CASCADE', name);
    END IF;
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN RETURN false;
    WHEN undefined_table OR undefined_object THEN RETURN true;
END $$;

-- Waits until nobody is building views, which cannot be seen before they are
-- committed; false when somebody still is. The error gives the lock back at
-- once: a deploy that takes an hour must not keep new profiles from being made.
CREATE FUNCTION dbaccess.await_builds() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1684169571, 2);
    RAISE EXCEPTION USING ERRCODE = 'DB002';
EXCEPTION
    WHEN lock_not_available THEN RETURN false;
    WHEN SQLSTATE 'DB002' THEN RETURN true;
END $$;

-- A view that the statement names is waited for as long as the statement would
-- wait for the table itself; the others are tried once.
CREATE FUNCTION dbaccess.begin_deploy(statement text, tag text, patience interval) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
    started timestamptz := clock_timestamp();
    found record;
    waiting oid[] := '{}';
    dropped oid[];
BEGIN
    WHILE NOT dbaccess.await_builds() LOOP
        EXIT WHEN clock_timestamp() >= started + least(patience, interval '5s');
    END LOOP;
    FOR found IN SELECT * FROM dbaccess.views_before(statement, tag) LOOP
        IF NOT dbaccess.drop_view(found.view) AND found.is_named THEN
            waiting := waiting || found.view;
        END IF;
    END LOOP;
    WHILE waiting <> '{}' AND clock_timestamp() < started + patience LOOP
        SELECT array_agg(view) FILTER (WHERE dbaccess.drop_view(view)) INTO dropped FROM unnest(waiting) AS view;
        waiting := ARRAY(SELECT view FROM unnest(waiting) AS view WHERE view <> ALL (coalesce(dropped, '{}')));
    END LOOP;
END $$;

-- Builds what is missing or out of date, each view by itself.
CREATE FUNCTION dbaccess.end_deploy() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning SET lock_timeout = '3s'
SET standard_conforming_strings = on SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' AS $$
DECLARE
    profile record;
    stale record;
    turn text;
BEGIN
    FOR profile IN SELECT p.name, p.content FROM dbaccess.profiles p WHERE to_regrole(p.name) IS NOT NULL LOOP
        FOR stale IN SELECT * FROM dbaccess.stale_views(profile.name, profile.content) s WHERE s.base IS NOT NULL LOOP
            BEGIN
                PERFORM dbaccess.build_view(profile.name, dbaccess.owner_of(profile.name),
                                            stale.view_schema, stale.base, stale.view, stale.state);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING 'dbaccess: sessions that are open cannot see %.% any more: %',
                    stale.view ->> 'schema', stale.name, SQLERRM;
                EXECUTE format('DROP VIEW IF EXISTS %I.%I CASCADE', stale.view_schema, stale.name);
            END;
        END LOOP;
        -- Each by itself: what is too much goes, whatever cannot be given.
        FOREACH turn IN ARRAY ARRAY['REVOKE', 'GRANT'] LOOP
            BEGIN
                PERFORM dbaccess.apply_changes(profile.name, profile.content, turn);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING 'dbaccess: the privileges of % are not as they should be: %', profile.name, SQLERRM;
            END;
        END LOOP;
    END LOOP;
END $$;

-- The tables whose views are missing from profiles that have sessions, for doctor.
CREATE FUNCTION dbaccess.missing_views() RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT format('%I.%I', s.view ->> 'schema', s.name)
    FROM dbaccess.profiles p CROSS JOIN LATERAL dbaccess.stale_views(p.name, p.content) s
    WHERE EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                  WHERE m.roleid = to_regrole(p.name) AND r.rolname ~ '^dbaccess_s_')
      AND s.base IS NOT NULL
      AND to_regclass(format('%I.%I', s.view_schema, s.name)) IS NULL
    ORDER BY 1
$$;

-- Whatever happens in here, the deploy goes on; only its own cancellation and
-- time limit end it.
CREATE FUNCTION dbaccess.on_deploy() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    patience interval := CASE current_setting('lock_timeout') WHEN '0' THEN '60s' ELSE current_setting('lock_timeout') END;
BEGIN
    IF session_user = dbaccess.gateway() OR NOT EXISTS (SELECT FROM dbaccess.profiles) THEN
        RETURN;
    ELSIF TG_EVENT = 'ddl_command_start' THEN
        PERFORM dbaccess.begin_deploy(current_query(), TG_TAG, patience);
    ELSIF TG_TAG !~ '^(CREATE|SELECT)' OR EXISTS (
              SELECT FROM pg_event_trigger_ddl_commands() c WHERE c.object_type IN ('table', 'view', 'materialized view')
              AND c.schema_name <> 'pg_temp') THEN
        PERFORM dbaccess.end_deploy();
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'dbaccess: %', SQLERRM;
END $$;

DO $$
DECLARE
    tags text := $tags$ 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER SCHEMA', 'ALTER TYPE',
        'ALTER DOMAIN', 'DROP TABLE', 'DROP FOREIGN TABLE', 'DROP VIEW', 'DROP MATERIALIZED VIEW', 'DROP SCHEMA', 'DROP TYPE',
        'DROP DOMAIN', 'DROP OWNED', 'DROP EXTENSION' $tags$;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        -- What these two do is no deploy either. Only a superuser can set this, so nobody else can claim to be us.
        ALTER FUNCTION dbaccess.begin_deploy(text, text, interval) SET session_replication_role = replica;
        ALTER FUNCTION dbaccess.end_deploy() SET session_replication_role = replica;
        EXECUTE format('CREATE EVENT TRIGGER dbaccess_before_ddl ON ddl_command_start WHEN TAG IN (%s) EXECUTE FUNCTION dbaccess.on_deploy()', tags);
        EXECUTE format('CREATE EVENT TRIGGER dbaccess_after_ddl ON ddl_command_end WHEN TAG IN (%s, %s) EXECUTE FUNCTION dbaccess.on_deploy()',
            tags, $tags$ 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'CREATE MATERIALIZED VIEW' $tags$);
    ELSE
        RAISE WARNING 'deploys are not watched, which takes a superuser: run dbaccess target suspend before one that changes classified tables';
    END IF;
END $$;
