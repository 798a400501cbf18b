-- Views ----------------------------------------------------------------------
--
-- Every profile with masked or filtered relations has an owner role of its own,
-- which owns a schema of views for each schema of such relations. It may read
-- exactly the columns that its views need; a column whose mask is null is not
-- among them. The access role may use the views and not the relations.

-- Whether a name is somebody's table: not the system's, not dbaccess's own, and
-- not longer than a name can be (it would be cut, and mean another).
CREATE FUNCTION dbaccess.is_foreign_name(schema text, name text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(schema !~ '^pg_' AND schema !~ '^dbaccess(_secret|_v_[0-9a-f]{32}_[0-9]+)?$' AND schema <> 'information_schema'
                    AND octet_length(schema) BETWEEN 1 AND 63 AND octet_length(name) BETWEEN 1 AND 63, false)
$$;

-- Refuses what a profile may not say, whoever says it.
CREATE FUNCTION dbaccess.check_content(content jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    granted record;
    wanted record;
    shown record;
    viewed text[] := ARRAY(SELECT concat_ws('.', quote_ident(v ->> 'schema'), quote_ident(v ->> 'name')) FROM jsonb_array_elements(content -> 'views') AS v);
BEGIN
    FOR granted IN SELECT * FROM jsonb_to_recordset(content -> 'grants') AS g (kind text, schema text, name text, privileges jsonb) LOOP
        IF (granted.privileges <@ CASE granted.kind
                WHEN 'table' THEN CASE WHEN concat_ws('.', quote_ident(granted.schema), quote_ident(granted.name)) = ANY (viewed)
                                       THEN '["REFERENCES"]'::jsonb ELSE '["SELECT", "INSERT", "UPDATE", "DELETE"]' END
                WHEN 'schema' THEN '["USAGE"]' WHEN 'sequence' THEN '["USAGE"]' WHEN 'database' THEN '["CONNECT"]' END
            AND jsonb_typeof(granted.privileges) = 'array'
            AND CASE granted.kind WHEN 'database' THEN granted.schema = granted.name AND granted.name = current_database()
                                  WHEN 'schema' THEN granted.schema = granted.name AND dbaccess.is_foreign_name(granted.schema, granted.name)
                                  ELSE dbaccess.is_foreign_name(granted.schema, granted.name) END) IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a profile may not hold %s on %s %s.%s',
                granted.privileges, granted.kind, granted.schema, granted.name);
        END IF;
    END LOOP;
    FOR wanted IN SELECT v.view, v.view ->> 'schema' AS schema, v.view ->> 'name' AS name, count(*) OVER same AS times
                  FROM jsonb_array_elements(content -> 'views') AS v (view)
                  WINDOW same AS (PARTITION BY v.view ->> 'schema', v.view ->> 'name') LOOP
        IF (dbaccess.is_foreign_name(wanted.schema, wanted.name) AND wanted.times = 1 AND content -> 'schemas' ? wanted.schema
            AND jsonb_typeof(wanted.view -> 'columns') = 'array') IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a profile may not have a view of %s.%s', wanted.schema, wanted.name);
        ELSIF wanted.view ? 'rows' THEN
            -- INSERT … ON CONFLICT DO UPDATE would find rows that the condition hides.
            IF wanted.view -> 'insert' NOT IN ('[]', 'null') THEN
                RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a profile may not insert into %s.%s, of which it has some rows only',
                    wanted.schema, wanted.name);
            END IF;
            PERFORM dbaccess.check_condition(wanted.view -> 'rows', 1);
        END IF;
        FOR shown IN SELECT c.name, c.mask, c.mask ->> 'mask' AS kind, count(*) OVER (PARTITION BY c.name) AS times
                     FROM jsonb_to_recordset(wanted.view -> 'columns') AS c (name text, mask jsonb) LOOP
            IF (octet_length(shown.name) BETWEEN 1 AND 63 AND shown.times = 1
                AND (shown.mask IS NULL OR dbaccess.is_mask(shown.mask))
                -- What is masked is not written: a chosen value would show what its mask looks like.
                AND (shown.mask IS NULL OR NOT coalesce(wanted.view -> 'insert' ? shown.name, false)
                                       AND NOT coalesce(wanted.view -> 'update' ? shown.name, false))) IS NOT TRUE THEN
                RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('column %s of %s.%s may not be shown as %s',
                    shown.name, wanted.schema, wanted.name, shown.mask);
            END IF;
        END LOOP;
    END LOOP;
    IF (SELECT count(DISTINCT s) <> count(*) FROM jsonb_array_elements_text(content -> 'schemas') AS s) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'a profile names a schema twice';
    END IF;
END $$;

-- Whether a mask is one that `mask_expression` or `seal_column` knows, its numbers in bounds.
CREATE FUNCTION dbaccess.is_mask(mask jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(CASE mask ->> 'mask'
        WHEN 'null' THEN true
        WHEN 'partial' THEN mask ->> 'kind' IN ('email', 'phone', 'card', 'iban', 'name', 'generic')
            AND coalesce(mask ->> 'first', '0') ~ '^[0-9]{1,2}$' AND coalesce(mask ->> 'last', '0') ~ '^[0-9]{1,2}$'
        WHEN 'token' THEN jsonb_typeof(mask -> 'domain') = 'string' AND length(mask ->> 'domain') BETWEEN 1 AND 200
        -- Paths of one to eight keys, a hundred of them at most.
        WHEN 'json' THEN jsonb_array_length(mask -> 'keep') BETWEEN 1 AND 100
            AND NOT jsonb_path_exists(mask, 'strict $.keep[*] ? (@.type() != "array" || @.size() < 1 || @.size() > 8)')
            AND NOT jsonb_path_exists(mask, 'strict $.keep[*][*] ? (@.type() != "string")')
        WHEN 'aggregate' THEN mask ->> 'min_group' ~ '^[1-9][0-9]{0,8}$'
    END, false)
$$;

-- All of a relation that a view of it depends on.
CREATE FUNCTION dbaccess.relation_state(relation oid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT format('%s %s %s', c.oid, c.relrowsecurity,
                   (SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ' ' ORDER BY a.attnum)
                    FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped))
            FROM pg_class c WHERE c.oid = relation);
END $$;

-- The views that a profile is to have. `base` is NULL where the relation is
-- gone. `state` is a digest of all that a view is made of besides the profile
-- itself; it is the view's comment, so that one which was made of something
-- else is noticed: a table renamed and replaced, a column renamed.
CREATE FUNCTION dbaccess.profile_views(profile text, content jsonb)
RETURNS TABLE (view_schema text, base oid, name text, view jsonb, state text)
LANGUAGE plpgsql ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'dbaccess_v_' || right(profile, 32) || '_' || (s.place - 1), b.base, w.view ->> 'name', w.view,
           'dbaccess: ' || left(encode(sha256(convert_to(concat_ws(' ', dbaccess.version(), dbaccess.relation_state(b.base),
               (SELECT string_agg(dbaccess.relation_state(dbaccess.through_table(condition)), ' ')
                FROM jsonb_path_query(w.view -> 'rows', 'strict $.** ? (@.type() == "object" && @.is == "through")') AS condition)), 'UTF8')), 'hex'), 32)
    FROM jsonb_array_elements(content -> 'views') AS w (view)
    JOIN jsonb_array_elements_text(content -> 'schemas') WITH ORDINALITY AS s (schema, place) ON s.schema = w.view ->> 'schema'
    CROSS JOIN LATERAL (SELECT to_regclass(format('%I.%I', w.view ->> 'schema', w.view ->> 'name'))::oid) AS b (base);
END $$;

-- Those of them that are missing or made of something else.
CREATE FUNCTION dbaccess.stale_views(profile text, content jsonb)
RETURNS TABLE (view_schema text, base oid, name text, view jsonb, state text)
LANGUAGE plpgsql ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT v.* FROM dbaccess.profile_views(profile, content) v
    WHERE v.base IS NULL OR NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = v.view_schema::name AND c.relname = v.name::name AND c.relkind = 'v'
          AND c.relowner = to_regrole(dbaccess.owner_of(profile)) AND obj_description(c.oid, 'pg_class') = v.state);
END $$;

CREATE FUNCTION dbaccess.owner_of(profile text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT 'dbaccess_o_' || right(profile, 32) $$;

-- Whether the owner's views go past row security: where a table has that and
-- the profile a condition of its own for it. Every table's own policies count
-- otherwise, so that both in one profile cannot be.
CREATE FUNCTION dbaccess.passes_row_security(profile text, content jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kinds boolean[];
    uncovered text;
BEGIN
    SELECT array_agg(DISTINCT v.view ? 'rows'), min(v.base::regclass::text) FILTER (WHERE NOT v.view ? 'rows') INTO kinds, uncovered
    FROM dbaccess.profile_views(profile, content) v JOIN pg_class c ON c.oid = v.base WHERE c.relrowsecurity;
    IF cardinality(kinds) = 2 THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('table %s has row security, and the scope has no condition for it as it has for another such table', uncovered),
            HINT = 'Ask for rows of both, or for one of them at a time.';
    END IF;
    RETURN coalesce(true = ANY (kinds), false);
END $$;

-- Whether a session of a profile can make a table, or has one. To have a foreign
-- key checked is to run code as the owner of the table that it leads to: casts
-- and operators of the table that it comes from.
CREATE FUNCTION dbaccess.may_create(profile text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN (profile, 'dbaccess_sessions') AND (
                       has_database_privilege(r.oid, current_database(), 'CREATE')
                       OR EXISTS (SELECT FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp_'
                                  AND has_schema_privilege(r.oid, n.oid, 'CREATE'))))
        OR EXISTS (SELECT FROM pg_roles r JOIN pg_auth_members m ON m.roleid = r.oid
                   JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = m.member AND d.deptype = 'o'
                        AND d.classid = 'pg_class'::regclass AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                   JOIN pg_class c ON c.oid = d.objid AND c.relpersistence <> 't'
                   WHERE r.rolname = profile)
$$;

-- What the two roles of a profile are to hold on views and on what those read.
CREATE FUNCTION dbaccess.view_privileges(profile text, content jsonb)
RETURNS TABLE (grantee text, kind text, schema text, name text, "column" text, privilege text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    owner text := dbaccess.owner_of(profile);
    may_create boolean := dbaccess.may_create(profile);
BEGIN
    RETURN QUERY
    WITH RECURSIVE built AS MATERIALIZED (
        SELECT v.view_schema, v.base, n.nspname::text AS schema, v.name, v.view,
               (v.view ->> 'schema', v.name) IN (SELECT g.schema, g.name FROM jsonb_to_recordset(content -> 'grants')
                   AS g (schema text, name text, privileges jsonb) WHERE g.privileges ? 'REFERENCES') AND NOT may_create AS is_listed,
               jsonb_path_exists(v.view, '$.columns[*].mask ? (@.mask == "aggregate")') AS is_sealed
        FROM dbaccess.profile_views(profile, content) v JOIN pg_class c ON c.oid = v.base JOIN pg_namespace n ON n.oid = c.relnamespace
    ), shown AS MATERIALIZED (
        SELECT b.view_schema, b.schema, b.name, b.is_listed, a.attname::text AS "column", s.mask ->> 'mask' AS mask,
               coalesce(b.view -> 'insert' ? s.name, false) AS inserts, coalesce(b.view -> 'update' ? s.name, false) AS updates
        FROM built b CROSS JOIN LATERAL jsonb_to_recordset(b.view -> 'columns') AS s (name text, mask jsonb)
        JOIN pg_attribute a ON a.attrelid = b.base AND a.attname = s.name::name AND a.attnum > 0 AND NOT a.attisdropped
    ), part AS (
        SELECT b.base AS relation, b.view -> 'rows' AS condition, b.is_sealed FROM built b WHERE b.view ? 'rows'
        UNION ALL
        SELECT CASE p.condition ->> 'is' WHEN 'through' THEN dbaccess.through_table(p.condition) ELSE p.relation END, i.condition, p.is_sealed
        FROM part p CROSS JOIN LATERAL jsonb_array_elements(
            coalesce(p.condition -> 'all', p.condition -> 'any', jsonb_build_array(p.condition -> 'condition'))) AS i (condition)
        WHERE p.condition ->> 'is' IN ('and', 'or', 'through')
    ), asked AS (
        SELECT p.relation, p.condition ->> 'column' AS "column" FROM part p WHERE p.condition ? 'column'
        UNION
        SELECT p.relation, jsonb_array_elements_text(p.condition -> 'columns') FROM part p WHERE p.condition ->> 'is' = 'through'
        UNION
        SELECT dbaccess.through_table(p.condition), jsonb_array_elements_text(p.condition -> 'references')
        FROM part p WHERE p.condition ->> 'is' = 'through'
    )
    SELECT profile, 'schema', b.view_schema, b.view_schema, NULL, 'USAGE' FROM built b
    UNION
    SELECT r.grantee, 'table', r.schema, b.name, NULL, r.privilege
    FROM built b CROSS JOIN LATERAL (VALUES (profile, b.view_schema, 'SELECT'), (profile, b.view_schema, 'DELETE'), (owner, b.schema, 'DELETE'))
        AS r (grantee, schema, privilege)
    WHERE r.privilege = 'SELECT' OR b.view -> 'delete' = 'true'
    UNION
    SELECT r.grantee, 'table', r.schema, s.name, s."column", r.privilege
    FROM shown s CROSS JOIN LATERAL (VALUES
        (owner, s.schema, 'SELECT', s.mask IS DISTINCT FROM 'null'), (owner, s.schema, 'INSERT', s.inserts), (owner, s.schema, 'UPDATE', s.updates),
        (profile, s.view_schema, 'INSERT', s.inserts), (profile, s.view_schema, 'UPDATE', s.updates),
        -- Not of a masked column: a foreign key to a unique one would answer guesses.
        (profile, s.schema, 'REFERENCES', s.mask IS NULL AND s.is_listed)) AS r (grantee, schema, privilege, holds)
    WHERE r.holds
    UNION
    SELECT owner, 'table', n.nspname::text, c.relname::text, a."column", 'SELECT'
    FROM asked a JOIN pg_class c ON c.oid = a.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION
    SELECT owner, 'table', 'dbaccess_secret', 'token_key', k.name, 'SELECT'
    FROM (VALUES ('domain'), ('key')) AS k (name) WHERE EXISTS (SELECT FROM shown s WHERE s.mask IN ('token', 'aggregate'))
    UNION
    -- Views name what they read once and for all, the functions of sealed columns each time.
    SELECT owner, 'schema', b.schema, b.schema, NULL, 'USAGE' FROM built b WHERE b.is_sealed
    UNION
    SELECT owner, 'schema', n.nspname::text, n.nspname::text, NULL, 'USAGE'
    FROM part p JOIN pg_class c ON c.oid = p.relation JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.is_sealed
    UNION
    SELECT owner, 'schema', 'dbaccess_secret', 'dbaccess_secret', NULL, 'USAGE' WHERE EXISTS (SELECT FROM shown s WHERE s.mask = 'aggregate');
END $$;

-- Makes the owner, the schemas and the views of a profile as they should be.
CREATE FUNCTION dbaccess.build_views(profile text, content jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner text := dbaccess.owner_of(profile);
    owner_oid oid := dbaccess.managed_oid(owner);
    passes boolean := dbaccess.passes_row_security(profile, content);
    schema record;
    stale record;
BEGIN
    IF owner_oid IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', owner);
        EXECUTE format('COMMENT ON ROLE %I IS %L', owner, 'dbaccess: owns the views of ' || profile);
        EXECUTE format('GRANT dbaccess_profiles TO %I', owner);
        owner_oid := dbaccess.managed_oid(owner);
    END IF;
    PERFORM dbaccess.join_role(owner_oid);
    IF (SELECT r.rolbypassrls FROM pg_roles r WHERE r.oid = owner_oid) <> passes THEN
        BEGIN
            EXECUTE format('ALTER ROLE %I %s', owner, CASE WHEN passes THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION USING ERRCODE = '42501',
                MESSAGE = format('a scope of rows of a table with row security needs a role with BYPASSRLS, which %s may not make', current_user),
                HINT = 'Run the setup as a superuser, or, from PostgreSQL 16 on, as a role that has BYPASSRLS itself.';
        END;
    END IF;
    FOR schema IN SELECT DISTINCT v.view_schema AS name, n.nspowner FROM dbaccess.profile_views(profile, content) v
                  LEFT JOIN pg_namespace n ON n.nspname = v.view_schema LOOP
        IF schema.nspowner IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', schema.name, owner);
            EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', schema.name);
        ELSIF schema.nspowner <> owner_oid THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('schema %s was not made by dbaccess', schema.name);
        END IF;
    END LOOP;
    FOR stale IN SELECT * FROM dbaccess.stale_views(profile, content) LOOP
        PERFORM dbaccess.build_view(profile, owner, stale.view_schema, stale.base, stale.view, stale.state);
    END LOOP;
END $$;

CREATE FUNCTION dbaccess.build_view(profile text, owner text, view_schema text, base oid, view jsonb, state text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := view ->> 'name';
    kind "char" := (SELECT c.relkind FROM pg_class c WHERE c.oid = base);
    shown record;
    expression text;
    expressions text[] := '{}';
    filter text := '';
BEGIN
    IF base IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = format('relation %s.%s does not exist', view ->> 'schema', name);
    ELSIF kind NOT IN ('r', 'p', 'v', 'm', 'f') OR kind NOT IN ('r', 'p') AND view ?| ARRAY['insert', 'update', 'delete'] THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a profile may not have such a view of %s.%s', view ->> 'schema', name);
    END IF;
    EXECUTE format('DROP VIEW IF EXISTS %I.%I CASCADE', view_schema, name);
    FOR shown IN SELECT c.name, c.mask, a.atttypid, a.atttypmod
                 FROM ROWS FROM (jsonb_to_recordset(view -> 'columns') AS (name text, mask jsonb)) WITH ORDINALITY AS c (name, mask, place)
                 JOIN pg_attribute a ON a.attrelid = base AND a.attname = c.name::name AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY c.place LOOP
        expression := CASE WHEN shown.mask IS NULL THEN format('b.%I', shown.name)
            WHEN shown.mask ->> 'mask' = 'aggregate' THEN dbaccess.seal_column(profile, view_schema, view, shown.name)
            ELSE dbaccess.mask_expression(shown.mask, format('b.%I', shown.name), shown.atttypid, shown.atttypmod) END;
        IF expression IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('column %s of %s.%s may not be shown as %s',
                shown.name, view ->> 'schema', name, shown.mask);
        ELSIF shown.mask ->> 'mask' = 'token' THEN
            PERFORM dbaccess.ensure_token_key(shown.mask ->> 'domain');
        END IF;
        expressions := expressions || format('%s AS %I', expression, shown.name);
    END LOOP;
    IF view ? 'rows' THEN
        filter := format(' WHERE %s', dbaccess.condition_sql(view -> 'rows', base, 'b', 1))
            || CASE WHEN kind IN ('r', 'p') THEN ' WITH CASCADED CHECK OPTION' ELSE '' END;
    END IF;
    EXECUTE format('CREATE VIEW %I.%I %s AS SELECT %s FROM %I.%I AS b%s', view_schema, name,
        CASE WHEN view ? 'rows' THEN 'WITH (security_barrier)' END, array_to_string(expressions, ', '), view ->> 'schema', name, filter);
    EXECUTE format('COMMENT ON VIEW %I.%I IS %L', view_schema, name, state);
    EXECUTE format('REVOKE ALL ON %I.%I FROM PUBLIC', view_schema, name);
    EXECUTE format('ALTER VIEW %I.%I OWNER TO %I', view_schema, name, owner);
END $$;

-- One key a domain, of 244 random bits. It never leaves the database.
CREATE FUNCTION dbaccess.ensure_token_key(domain text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO dbaccess_secret.token_key (domain, key) VALUES (domain, dbaccess.new_key()) ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION dbaccess.new_key() RETURNS bytea
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;

-- Gives a domain, or all of them, a new key: tokens seen until now say nothing
-- about those seen from now on. Returns how many domains that were.
CREATE FUNCTION dbaccess.rotate_tokens(domain text) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
    WITH rotated AS (
        UPDATE dbaccess_secret.token_key k SET key = dbaccess.new_key(), made_at = now()
        WHERE k.domain = rotate_tokens.domain OR rotate_tokens.domain IS NULL RETURNING 1
    ) SELECT count(*)::integer FROM rotated
$$;

