-- dbaccess target setup, version :version. For PostgreSQL 14 to 18.
--
-- What it does: creates a schema `dbaccess` with the ten functions that the
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
    trusted oid[];
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

    -- What is there already must be an earlier setup's. An administrator of one may
    -- create roles and belongs to `dbaccess_objects`; whoever else made a schema of
    -- that name, or a table in it, would have our functions run code of theirs.
    trusted := ARRAY(SELECT oid FROM pg_roles WHERE rolsuper OR rolname = current_user
                     OR rolcreaterole AND pg_has_role(oid, 'dbaccess_objects', 'MEMBER'));
    SELECT format('%s is owned by %s', what, owner::regrole) INTO stray FROM (
        SELECT format('schema %I', nspname) AS what, nspowner AS owner FROM pg_namespace WHERE nspname IN ('dbaccess', 'dbaccess_secret')
        UNION ALL
        SELECT format('relation %I.%I', n.nspname, c.relname), c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('dbaccess', 'dbaccess_secret')
    ) AS existing WHERE owner <> ALL (trusted) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%s, who is no administrator of dbaccess', stray),
            HINT = 'Find out who made it and what for; drop or rename it, and run the setup again.';
    END IF;

    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'dbaccess') THEN
        EXECUTE 'ALTER SCHEMA dbaccess OWNER TO CURRENT_USER';
        DROP EVENT TRIGGER IF EXISTS dbaccess_before_ddl;
        DROP EVENT TRIGGER IF EXISTS dbaccess_after_ddl;
        -- Dropped, not replaced: a replaced function keeps its former owner.
        FOR stray IN SELECT p.oid::regprocedure::text FROM pg_proc p
                     WHERE p.pronamespace = 'dbaccess'::regnamespace LOOP
            EXECUTE 'DROP ROUTINE ' || stray;
        END LOOP;
    ELSE
        EXECUTE 'CREATE SCHEMA dbaccess';
    END IF;
    EXECUTE 'CREATE SCHEMA IF NOT EXISTS dbaccess_secret';
    EXECUTE 'ALTER SCHEMA dbaccess_secret OWNER TO CURRENT_USER';
    EXECUTE 'CREATE TABLE IF NOT EXISTS dbaccess_secret.token_key (domain text PRIMARY KEY, key bytea NOT NULL, made_at timestamptz NOT NULL DEFAULT now())';
    EXECUTE 'ALTER TABLE dbaccess_secret.token_key OWNER TO CURRENT_USER';
    -- The profiles that have views, with what those are made from. Only the administrator reads it.
    EXECUTE 'CREATE TABLE IF NOT EXISTS dbaccess.profiles (name text PRIMARY KEY, content jsonb NOT NULL)';
    EXECUTE 'ALTER TABLE dbaccess.profiles OWNER TO CURRENT_USER';

    -- Whatever anybody was given, by hand or by default privileges. The owners of
    -- views keep what their profiles give them, which is checked at every opening.
    FOR stray IN
        WITH entry AS (
            SELECT format('SCHEMA %I', n.nspname) AS target, n.nspowner AS owner, a.grantee, a.privilege_type = 'USAGE' AS is_read
            FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a WHERE n.nspname IN ('dbaccess', 'dbaccess_secret')
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner, a.grantee, false
            FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
            WHERE c.oid IN ('dbaccess.profiles'::regclass, 'dbaccess_secret.token_key'::regclass)
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner, a.grantee, a.privilege_type = 'SELECT'
            FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
            WHERE c.oid IN ('dbaccess.profiles'::regclass, 'dbaccess_secret.token_key'::regclass)
        )
        SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', target, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
        FROM entry e WHERE grantee <> owner AND NOT (is_read AND target ~ 'dbaccess_secret' AND EXISTS (
            SELECT FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid
            WHERE r.oid = e.grantee AND r.rolname ~ '^dbaccess_o_[0-9a-f]{32}$' AND m.roleid = 'dbaccess_profiles'::regrole))
    LOOP
        EXECUTE stray;
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA dbaccess TO %I', gateway);

    -- The two tables are plain ones. ALTER TABLE has locked them, so that they stay it.
    SELECT c.oid::regclass INTO stray FROM pg_class c
    WHERE c.oid IN ('dbaccess.profiles'::regclass, 'dbaccess_secret.token_key'::regclass)
      AND (c.relkind <> 'r' OR c.relrowsecurity OR c.relispartition OR c.relpersistence <> 'p'
           OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid)
           OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid)
           OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
           OR EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
           OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype NOT IN ('p', 'n'))
           OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND NOT i.indisprimary)
           OR EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = c.oid AND pg_get_expr(d.adbin, d.adrelid) <> 'now()')
           OR (SELECT string_agg(concat_ws(' ', a.attname, a.atttypid::regtype), ', ' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
              <> CASE c.relname WHEN 'profiles' THEN 'name text, content jsonb'
                                ELSE 'domain text, key bytea, made_at timestamp with time zone' END)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('table %s is not as the setup makes it', stray),
            HINT = 'Find out who gave it triggers, rules, policies, indexes or columns; remove those, and run the setup again.';
    END IF;
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

