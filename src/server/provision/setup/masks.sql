-- Masks and conditions as SQL ------------------------------------------------
--
-- A profile says them as data; the expressions are made here, of names and
-- values in quotes and of types that the catalog names. They call functions of
-- pg_catalog only, never fail whatever a column holds, and do not depend on
-- settings that a session may change.

-- A type without its domains: a domain's checks may refuse NULL.
CREATE FUNCTION dbaccess.base_type(INOUT type oid, INOUT modifier integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    domain record;
BEGIN
    LOOP
        SELECT t.typbasetype, t.typtypmod INTO domain FROM pg_type t WHERE t.oid = type AND t.typtype = 'd';
        EXIT WHEN NOT FOUND;
        type := domain.typbasetype;
        modifier := domain.typtypmod;
    END LOOP;
END $$;

-- An expression's value as text, NULL where the text of its type depends on
-- the session (DateStyle, extra_float_digits, bytea_output…).
CREATE FUNCTION dbaccess.text_of(source text, type oid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known pg_type;
BEGIN
    SELECT * INTO known FROM pg_type t WHERE t.oid = type;
    IF known.typtype = 'e' OR type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype,
           '"char"'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'bool'::regtype,
           'uuid'::regtype, 'inet'::regtype, 'cidr'::regtype, 'macaddr'::regtype, 'macaddr8'::regtype,
           'json'::regtype, 'jsonb'::regtype) THEN
        RETURN format('%s::text', source);
    ELSIF known.typtype = 'b' AND known.typcategory <> 'A' AND known.typnamespace <> 'pg_catalog'::regnamespace THEN
        -- Equal whatever the case: citext.
        RETURN format(CASE known.typname WHEN 'citext' THEN 'lower(%s::text)' ELSE '%s::text' END, source);
    ELSIF type = 'numeric'::regtype THEN
        RETURN format('trim_scale(%s)::text', source);
    ELSIF type IN ('date'::regtype, 'timestamp'::regtype) THEN
        RETURN format('CASE WHEN %1$s BETWEEN ''0001-01-01'' AND ''9999-12-31'' THEN to_char(%1$s::timestamp, ''YYYY-MM-DD HH24:MI:SS'') '
                      'WHEN %1$s IS NOT NULL THEN '''' END', source);
    ELSIF type = 'timestamptz'::regtype THEN
        RETURN format('CASE WHEN %1$s BETWEEN ''0001-01-02 UTC'' AND ''9999-12-30 UTC'' '
                      'THEN to_char(%1$s AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS'') WHEN %1$s IS NOT NULL THEN '''' END', source);
    END IF;
    RETURN NULL;
END $$;

-- A mask as an expression over a column; `source` is the column, in quotes.
CREATE FUNCTION dbaccess.mask_expression(mask jsonb, source text, type oid, modifier integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base record := dbaccess.base_type(type, modifier);
    nothing text := format('NULL::%s', format_type(base.type, base.modifier));
BEGIN
    RETURN CASE mask ->> 'mask'
        WHEN 'null' THEN nothing
        WHEN 'partial' THEN dbaccess.partial_mask(mask, source, base.type)
        WHEN 'token' THEN coalesce(dbaccess.token_mask(mask ->> 'domain', source, base.type), 'NULL::text')
        WHEN 'json' THEN coalesce(dbaccess.json_mask(mask -> 'keep', source, base.type), nothing)
    END;
END $$;

-- Never more than half of a value is shown, and nothing of a short one.
CREATE FUNCTION dbaccess.partial_mask(mask jsonb, source text, type oid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text := mask ->> 'kind';
    is_text boolean := (SELECT t.typcategory = 'S' FROM pg_type t WHERE t.oid = type);
    value text := dbaccess.text_of(source, type);
    plain text := format('(%s::text COLLATE "C")', source);
    first integer;
    last integer;
BEGIN
    IF value IS NULL OR type = 'bool'::regtype OR (SELECT t.typtype = 'e' FROM pg_type t WHERE t.oid = type) THEN
        -- The first letter of one of few values is the value.
        RETURN format('CASE WHEN %s IS NOT NULL THEN ''***''::text END', source);
    ELSIF kind IN ('email', 'name') AND NOT is_text THEN
        kind := 'generic';
    END IF;
    first := coalesce((mask ->> 'first')::integer,
        CASE kind WHEN 'email' THEN 6 WHEN 'name' THEN 1 WHEN 'iban' THEN 2 WHEN 'generic' THEN 1 ELSE 0 END);
    last := coalesce((mask ->> 'last')::integer, CASE kind WHEN 'phone' THEN 2 WHEN 'card' THEN 4 WHEN 'iban' THEN 4 ELSE 0 END);
    IF kind = 'email' THEN
        -- What has a space in it is no address, and what follows its last @ no host.
        RETURN format('(CASE WHEN strpos(%1$s, ''@'') > 1 AND strpos(%1$s, '' '') = 0 '
            'THEN left(%1$s, least(%2$s, (strpos(%1$s, ''@'') - 1) / 2)) || ''***@'' || split_part(%1$s, ''@'', -1) '
            'WHEN %3$s IS NOT NULL THEN ''***'' END) COLLATE "default"', plain, first, source);
    ELSIF kind = 'name' THEN
        -- The first and the last word. (A regular expression costs ten times as much.)
        RETURN format('(CASE WHEN strpos(%1$s, '' '') > 0 AND length(%1$s) >= 4 * %2$s '
            'THEN left(%1$s, %2$s) || ''*** '' || left(split_part(%1$s, '' '', -1), %2$s) || ''***'' '
            'WHEN length(%1$s) >= 2 * %2$s THEN left(%1$s, %2$s) || ''***'' '
            'WHEN %3$s IS NOT NULL THEN ''***'' END) COLLATE "default"', plain, first, source);
    END IF;
    RETURN format('CASE WHEN length(%1$s) >= %2$s THEN '
        || CASE first WHEN 0 THEN '' ELSE 'left(%1$s, %3$s) || ' END || '%5$L' || CASE last WHEN 0 THEN '' ELSE ' || right(%1$s, %4$s)' END
        || ' WHEN %6$s IS NOT NULL THEN ''***'' END', value, greatest(2 * (first + last), CASE WHEN kind IN ('phone', 'card', 'iban') THEN 8 ELSE 2 END), first, last,
        CASE kind WHEN 'card' THEN repeat('*', 12) WHEN 'iban' THEN repeat('*', 14) ELSE '***' END, source);
END $$;

-- A keyed hash. The key is read through a subquery, which runs once a
-- statement and with the view owner's rights; in a function or in the view's
-- text everybody could read it. Hashed twice, so that it cannot be extended.
CREATE FUNCTION dbaccess.token_mask(domain text, source text, type oid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text := format('(SELECT k.key FROM dbaccess_secret.token_key k WHERE k.domain = %L)', domain);
    value text := CASE WHEN type NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
                       THEN dbaccess.text_of(source, type) END;
    bytes text := format('convert_to(%s, %L)', value, getdatabaseencoding());
BEGIN
    IF value IS NULL THEN
        SELECT format('%I.%I(%s)', n.nspname, p.proname, source) INTO bytes
        FROM pg_type t JOIN pg_proc p ON p.oid = t.typsend JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE t.oid = type AND n.nspname = 'pg_catalog';
    END IF;
    RETURN format('''tok_'' || left(encode(sha256(%1$s || sha256(%1$s || %2$s)), ''hex''), 24)', key, bytes);
END $$;

-- A JSON document of the kept keys only, of the type it had. One of type json
-- is put together as text: as jsonb, some that are valid would be refused.
CREATE FUNCTION dbaccess.json_mask(keep jsonb, source text, type oid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Escapes that PostgreSQL takes in as json and then cannot read.
    unreadable text := CASE getdatabaseencoding() WHEN 'UTF8' THEN '\\u(0000|[dD][89a-fA-F])' ELSE '\\u' END;
BEGIN
    IF type = 'jsonb'::regtype THEN
        RETURN format('CASE WHEN %s IS NOT NULL THEN %s END', source, dbaccess.json_object(keep, 0, source, true));
    ELSIF type = 'json'::regtype THEN
        RETURN format('CASE WHEN %1$s IS NULL THEN NULL WHEN %1$s::text ~ %2$L THEN ''{}'' ELSE (%3$s)::json END',
            source, unreadable, dbaccess.json_object(keep, 0, source, false));
    END IF;
    RETURN NULL;
END $$;

-- The part of `json_mask` for one object, of the paths that go on below `depth`.
CREATE FUNCTION dbaccess.json_object(keep jsonb, depth integer, source text, is_binary boolean) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member record;
    value text;
    inside text;
    members text[] := '{}';
BEGIN
    FOR member IN SELECT p.path ->> depth AS key, bool_or(jsonb_array_length(p.path) = depth + 1) AS is_whole, jsonb_agg(p.path) AS paths
                  FROM jsonb_array_elements(keep) WITH ORDINALITY AS p (path, place) GROUP BY 1 ORDER BY min(p.place) LOOP
        value := format('(%s -> %L::text)', source, member.key);
        inside := CASE WHEN member.is_whole THEN value ELSE dbaccess.json_object(member.paths, depth + 1, value, is_binary) END;
        members := members || CASE
            WHEN is_binary THEN format('CASE WHEN %s IS NOT NULL THEN jsonb_build_object(%L::text, %s) ELSE ''{}''::jsonb END', value, member.key, inside)
            ELSE format('CASE WHEN %s IS NOT NULL THEN %L || (%s)::text END', value, to_json(member.key) || ': ', inside) END;
    END LOOP;
    RETURN format(CASE WHEN is_binary THEN '(%s)' ELSE '''{'' || concat_ws('','', %s) || ''}''' END,
        array_to_string(members, CASE WHEN is_binary THEN ' || ' ELSE ', ' END));
END $$;

-- How values of a type are compared. Operators outside pg_catalog only as the
-- type's default B-tree has them: to make one of those takes a superuser.
CREATE FUNCTION dbaccess.operator_of(comparison text, type oid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found text;
BEGIN
    IF comparison IN ('=', '<>', '<', '<=', '>', '>=') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a condition may not compare by %L', comparison);
    END IF;
    SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) INTO found
    FROM pg_opclass c
    JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
    JOIN pg_amop a ON a.amopfamily = c.opcfamily AND a.amoplefttype = type AND a.amoprighttype = type
    JOIN pg_operator e ON e.oid = a.amopopr
    JOIN pg_operator o ON o.oid = CASE comparison WHEN '<>' THEN e.oprnegate ELSE e.oid END
    JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE c.opcintype = type AND c.opcdefault
      AND a.amopstrategy = CASE comparison WHEN '<' THEN 1 WHEN '<=' THEN 2 WHEN '>=' THEN 4 WHEN '>' THEN 5 ELSE 3 END;
    RETURN coalesce(found, format('OPERATOR(pg_catalog.%s)', comparison));
END $$;

-- One column that a condition names. Its type must be one whose input runs no
-- code but PostgreSQL's: the values are read with the administrator's rights.
CREATE FUNCTION dbaccess.condition_column(relation oid, "column" text, OUT name text, OUT type oid, OUT type_name text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base oid;
    known pg_type;
BEGIN
    SELECT a.attname, (dbaccess.base_type(a.atttypid, a.atttypmod)).type INTO name, base
    FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = "column" AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = format('column %s of relation %s does not exist', "column", relation::regclass);
    END IF;
    SELECT * INTO known FROM pg_type t WHERE t.oid = base;
    IF NOT (known.typnamespace = 'pg_catalog'::regnamespace OR known.typtype = 'e'
            OR known.typtype = 'b' AND known.typcategory <> 'A') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('a condition may not be on column %s of type %s', "column", base::regtype);
    END IF;
    type := base;
    type_name := format_type(base, -1);
END $$;

-- A condition on rows (core::model::Condition) over `alias`, a row of `relation`.
CREATE FUNCTION dbaccess.condition_sql(condition jsonb, relation oid, alias text, depth integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text := condition ->> 'is';
    own record;
    other record;
    parent oid;
    inner_alias text := 'b' || depth;
    pieces text[] := '{}';
    piece record;
BEGIN
    IF depth > 16 THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'a condition is nested too deeply';
    ELSIF kind IN ('and', 'or') THEN
        FOR piece IN SELECT value FROM jsonb_array_elements(condition -> CASE kind WHEN 'and' THEN 'all' ELSE 'any' END) LOOP
            pieces := pieces || format('(%s)', dbaccess.condition_sql(piece.value, relation, alias, depth + 1));
        END LOOP;
        IF pieces <> '{}' THEN
            RETURN array_to_string(pieces, CASE kind WHEN 'and' THEN ' AND ' ELSE ' OR ' END);
        END IF;
    ELSIF kind = 'compare' THEN
        own := dbaccess.condition_column(relation, condition ->> 'column');
        IF jsonb_typeof(condition -> 'value') = 'string' THEN
            RETURN format('%s.%I %s %L::%s', alias, own.name, dbaccess.operator_of(condition ->> 'operator', own.type),
                condition ->> 'value', own.type_name);
        END IF;
    ELSIF kind = 'in' THEN
        own := dbaccess.condition_column(relation, condition ->> 'column');
        FOR piece IN SELECT value FROM jsonb_array_elements(condition -> 'values') LOOP
            IF jsonb_typeof(piece.value) = 'string' THEN
                pieces := pieces || format('%L::%s', piece.value #>> '{}', own.type_name);
            END IF;
        END LOOP;
        IF pieces = '{}' THEN
            RETURN 'false';
        END IF;
        RETURN format('%s.%I %s ANY (ARRAY[%s])', alias, own.name, dbaccess.operator_of('=', own.type), array_to_string(pieces, ', '));
    ELSIF kind = 'null' THEN
        own := dbaccess.condition_column(relation, condition ->> 'column');
        RETURN format('%s.%I IS %s NULL', alias, own.name, CASE WHEN condition -> 'negated' = 'true' THEN 'NOT' END);
    ELSIF kind = 'through' THEN
        parent := dbaccess.through_table(condition);
        IF parent IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = format('relation %s does not exist, or is no table', condition ->> 'table');
        END IF;
        FOR piece IN SELECT pair.here, pair.there FROM ROWS FROM (
                jsonb_array_elements_text(condition -> 'columns'), jsonb_array_elements_text(condition -> 'references')) AS pair (here, there) LOOP
            own := dbaccess.condition_column(relation, piece.here);
            other := dbaccess.condition_column(parent, piece.there);
            pieces := pieces || format('%s.%I %s %s.%I', inner_alias, other.name,
                CASE WHEN own.type = other.type THEN dbaccess.operator_of('=', own.type) ELSE 'OPERATOR(pg_catalog.=)' END, alias, own.name);
        END LOOP;
        IF pieces <> '{}' THEN
            RETURN format('EXISTS (SELECT FROM %s AS %s WHERE %s AND (%s))', dbaccess.relation_sql(parent), inner_alias,
                array_to_string(pieces, ' AND '), dbaccess.condition_sql(condition -> 'condition', parent, inner_alias, depth + 1));
        END IF;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('not a condition: %s', condition);
END $$;

-- The table that a `through` leads to; NULL where there is none, or only one of
-- the system's or of dbaccess's own, or what is no table: a view would run code
-- of its owner's for the administrator.
CREATE FUNCTION dbaccess.through_table(condition jsonb) RETURNS oid
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(condition ->> 'table')::oid AND c.relkind IN ('r', 'p', 'f')
      AND dbaccess.is_foreign_name(n.nspname::text, c.relname::text)
$$;

-- Refuses a condition that leads to anything else.
CREATE FUNCTION dbaccess.check_condition(condition jsonb, depth integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text := condition ->> 'is';
    piece record;
BEGIN
    IF depth > 16 THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'a condition is nested too deeply';
    ELSIF kind IN ('and', 'or') THEN
        FOR piece IN SELECT value FROM jsonb_array_elements(condition -> CASE kind WHEN 'and' THEN 'all' ELSE 'any' END) LOOP
            PERFORM dbaccess.check_condition(piece.value, depth + 1);
        END LOOP;
    ELSIF kind = 'through' THEN
        IF dbaccess.through_table(condition) IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = CASE WHEN to_regclass(condition ->> 'table') IS NULL THEN '42P01' ELSE '42501' END,
                MESSAGE = format('a condition may not lead to %s', condition ->> 'table');
        END IF;
        PERFORM dbaccess.check_condition(condition -> 'condition', depth + 1);
    END IF;
END $$;

CREATE FUNCTION dbaccess.relation_sql(relation oid) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation
$$;

