-- Profiles -------------------------------------------------------------------

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

-- What must be granted to and revoked from a profile's roles so that they hold
-- exactly its content. Empty when they do: the usual case, and a fast one
-- (pg_shdepend is indexed by role).
CREATE FUNCTION dbaccess.profile_changes(profile text, content jsonb)
RETURNS TABLE (verb text, grantee text, kind text, schema text, name text, columns text[], privileges text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH asked AS (
        SELECT profile AS grantee, g.kind, g.schema, g.name, NULL::text AS "column", p.privilege, true AS is_wanted
        FROM jsonb_to_recordset(content -> 'grants') AS g (kind text, schema text, name text, privileges jsonb)
        CROSS JOIN jsonb_array_elements_text(g.privileges) AS p (privilege)
        WHERE p.privilege <> 'REFERENCES'
        UNION ALL
        SELECT v.*, true FROM dbaccess.view_privileges(profile, content) v WHERE content ? 'views'
    ), wanted AS (
        -- What is gone is not to be had, and keeps nothing else from being given.
        SELECT k.* FROM asked k
        WHERE k.kind = 'database' OR k.kind = 'schema' AND EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = k.name)
           OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = k.schema AND c.relname = k.name AND (c.relkind = 'S') = (k.kind = 'sequence')
                        AND (k."column" IS NULL OR EXISTS (SELECT FROM pg_attribute t
                             WHERE t.attrelid = c.oid AND t.attname = k."column" AND t.attnum > 0 AND NOT t.attisdropped)))
    ), dependency AS (
        SELECT r.rolname::text AS grantee, r.oid AS role, d.classid, d.objid, d.objsubid
        FROM pg_roles r JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'a'
        WHERE r.rolname IN (profile, dbaccess.owner_of(profile))
          AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ), held AS (
        SELECT d.grantee, 'database' AS kind, b.datname::text AS schema, b.datname::text AS name, NULL::text AS "column",
               a.privilege_type AS privilege, true AS is_held
        FROM dependency d JOIN pg_database b ON d.classid = 'pg_database'::regclass AND b.oid = d.objid
        CROSS JOIN aclexplode(b.datacl) a WHERE a.grantee = d.role
        UNION ALL
        SELECT d.grantee, 'schema', n.nspname, n.nspname, NULL, a.privilege_type, true
        FROM dependency d JOIN pg_namespace n ON d.classid = 'pg_namespace'::regclass AND n.oid = d.objid
        CROSS JOIN aclexplode(n.nspacl) a WHERE a.grantee = d.role
        UNION ALL
        SELECT d.grantee, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname, NULL,
               a.privilege_type, true
        FROM dependency d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND d.objsubid = 0
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN aclexplode(c.relacl) a WHERE a.grantee = d.role
        UNION ALL
        SELECT d.grantee, 'table', n.nspname, c.relname, t.attname, a.privilege_type, true
        FROM dependency d JOIN pg_attribute t ON d.classid = 'pg_class'::regclass AND t.attrelid = d.objid AND t.attnum = d.objsubid
        JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN aclexplode(t.attacl) a WHERE d.objsubid <> 0 AND a.grantee = d.role
    ), difference AS (
        SELECT CASE WHEN is_held THEN 'REVOKE' ELSE 'GRANT' END AS verb, grantee, kind, schema, name, privilege,
               array_agg("column" ORDER BY "column") FILTER (WHERE "column" <> '') AS columns
        FROM (SELECT w.grantee, w.kind, w.schema, w.name, coalesce(w."column", '') AS "column", w.privilege, w.is_wanted FROM wanted w) w
        FULL JOIN (SELECT h.grantee, h.kind, h.schema, h.name, coalesce(h."column", '') AS "column", h.privilege, h.is_held FROM held h) h
            USING (grantee, kind, schema, name, "column", privilege)
        WHERE is_wanted IS NULL OR is_held IS NULL
        GROUP BY 1, 2, 3, 4, 5, 6, "column" = ''
    )
    SELECT d.verb, d.grantee, d.kind, d.schema, d.name, d.columns, array_agg(d.privilege) FROM difference d GROUP BY 1, 2, 3, 4, 5, 6;
END $$;

-- A table or sequence of a profile's grants that is gone: what no session opens with.
CREATE FUNCTION dbaccess.missing_table(content jsonb) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', g.schema, g.name) FROM jsonb_to_recordset(content -> 'grants') AS g (kind text, schema text, name text)
    WHERE g.kind IN ('table', 'sequence') AND to_regclass(format('%I.%I', g.schema, g.name)) IS NULL LIMIT 1
$$;

-- Whether everything of a profile is there and as its content says.
CREATE FUNCTION dbaccess.is_ready(profile text, content jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF dbaccess.profile_oid(profile) IS NULL THEN
        RETURN false;
    ELSIF content ? 'views' AND (
           dbaccess.managed_oid(dbaccess.owner_of(profile)) IS NULL
        OR EXISTS (SELECT FROM dbaccess.stale_views(profile, content))
        OR dbaccess.passes_row_security(profile, content)
           <> (SELECT r.rolbypassrls FROM pg_roles r WHERE r.rolname = dbaccess.owner_of(profile))) THEN
        RETURN false;
    END IF;
    RETURN dbaccess.missing_table(content) IS NULL AND NOT EXISTS (SELECT FROM dbaccess.profile_changes(profile, content));
END $$;

-- Grants or revokes (`turn`) until a profile's roles hold what they should.
-- What is too much first, and what is missing then: to revoke a privilege on a
-- table takes it from the columns as well.
CREATE FUNCTION dbaccess.apply_changes(profile text, content jsonb, turn text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change record;
BEGIN
    FOR change IN SELECT c.*, array_to_string(c.privileges, ', ') AS what,
                         (SELECT string_agg(quote_ident(n), ', ' ORDER BY n) FROM unnest(c.columns) AS n) AS names
                  FROM dbaccess.profile_changes(profile, content) c WHERE c.verb = turn LOOP
        EXECUTE format('%s %s ON %s %s %s %I', change.verb,
            CASE WHEN change.names IS NULL THEN change.what
                 ELSE (SELECT string_agg(format('%s (%s)', p, change.names), ', ') FROM unnest(change.privileges) AS p) END,
            change.kind,
            CASE WHEN change.kind IN ('schema', 'database') THEN format('%I', change.name)
                             ELSE format('%I.%I', change.schema, change.name) END,
            CASE change.verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END, change.grantee);
    END LOOP;
END $$;

-- Makes a profile's roles and views what its content says. The lock keeps two
-- of them from colliding on one table ("tuple concurrently updated"). The
-- settings are what names and values in expressions are read under.
CREATE FUNCTION dbaccess.ensure_profile(profile text, content text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
SET jit = off
SET standard_conforming_strings = on SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' AS $$
DECLARE
    parsed jsonb := dbaccess.profile_content(profile, content);
    change record;
BEGIN
    PERFORM dbaccess.check_content(parsed);
    IF dbaccess.missing_table(parsed) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = format('relation %s does not exist', dbaccess.missing_table(parsed));
    END IF;
    PERFORM pg_advisory_xact_lock(1684169571, 2);
    IF dbaccess.profile_oid(profile) IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', profile);
        EXECUTE format('COMMENT ON ROLE %I IS %L', profile, 'dbaccess: privileges in database ' || current_database());
        EXECUTE format('GRANT dbaccess_profiles TO %I', profile);
    END IF;
    IF parsed ? 'views' THEN
        PERFORM dbaccess.build_views(profile, parsed);
        INSERT INTO dbaccess.profiles (name, content) VALUES (profile, parsed) ON CONFLICT DO NOTHING;
    END IF;
    PERFORM dbaccess.apply_changes(profile, parsed, 'REVOKE');
    PERFORM dbaccess.apply_changes(profile, parsed, 'GRANT');
    -- GRANT without the right to grant is only a warning.
    SELECT * INTO change FROM dbaccess.profile_changes(profile, parsed) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('%s cannot %s %s on %s %s.%s: it ran the setup but does not own that',
            current_user, lower(change.verb), array_to_string(change.privileges, ', '), change.kind, change.schema, change.name);
    ELSIF NOT dbaccess.is_ready(profile, parsed) THEN
        RAISE EXCEPTION USING ERRCODE = '55006', MESSAGE = format('the tables of profile %s are being changed', profile);
    END IF;
END $$;

-- Drops a profile that has no sessions, views and all; returns as
-- close_session does.
CREATE FUNCTION dbaccess.drop_profile(profile text) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    owner text := dbaccess.owner_of(profile);
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
        IF dbaccess.managed_oid(owner) IS NOT NULL THEN
            PERFORM dbaccess.dispose_owned(owner);
            EXECUTE format('DROP ROLE %I', owner);
        END IF;
        EXECUTE format('DROP ROLE %I', profile);
        DELETE FROM dbaccess.profiles p WHERE p.name = profile;
    END IF;
    RETURN elsewhere;
END $$;

