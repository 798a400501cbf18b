-- dbaccess target teardown: undoes `dbaccess target setup`.
--
-- Ends every session, then removes the schemas, the profiles with their views
-- and the roles; the keys of tokens are lost with that. Run
-- it in every database that accepts connections, as for the setup: a role goes
-- with the last database that holds something of it. The role
-- `dbaccess_objects` stays while it owns what sessions left behind.
-- The server's login itself is kept.

-- First and by itself, so that nobody logs in while the rest runs.
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN SELECT rolname FROM pg_roles WHERE rolname ~ '^dbaccess_s_[0-9a-f]+$' AND rolcanlogin LOOP
        EXECUTE format('ALTER ROLE %I NOLOGIN', role);
    END LOOP;
END $$;

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL dbaccess.gateway = :'gateway';
DO $$
DECLARE
    role text;
BEGIN
    -- Waits until each is gone, at most five seconds.
    PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename ~ '^dbaccess_s_[0-9a-f]+$';
    FOR role IN SELECT rolname FROM pg_roles WHERE rolname ~ '^dbaccess_o_[0-9a-f]+$' LOOP
        EXECUTE format('DROP OWNED BY %I CASCADE', role);
    END LOOP;
    FOR role IN SELECT rolname FROM pg_roles WHERE rolname ~ '^dbaccess_[sp]_[0-9a-f]+$' LOOP
        EXECUTE format('REASSIGN OWNED BY %I TO dbaccess_objects', role);
        EXECUTE format('DROP OWNED BY %I', role);
    END LOOP;
    DROP SCHEMA IF EXISTS dbaccess, dbaccess_secret CASCADE;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_setting('dbaccess.gateway')) THEN
        EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM %I', current_database(), current_setting('dbaccess.gateway'));
    END IF;
    FOR role IN SELECT r.rolname FROM pg_roles r WHERE r.rolname ~ '^dbaccess_[spo]_[0-9a-f]+$'
                AND NOT EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid) LOOP
        EXECUTE format('DROP ROLE %I', role);
    END LOOP;
    -- With the last of those go the roles that the other databases' turns needed.
    FOR role IN SELECT r.rolname FROM pg_roles r
                WHERE r.rolname IN ('dbaccess_sessions', 'dbaccess_profiles', 'dbaccess_objects')
                  AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname ~ '^dbaccess_[spo]_[0-9a-f]+$')
                  AND NOT EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid) LOOP
        EXECUTE format('DROP ROLE %I', role);
    END LOOP;
END $$;
COMMIT;
