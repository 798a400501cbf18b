
-- Aggregate columns ----------------------------------------------------------
--
-- R6.3. A view shows a sealed reference in place of
-- the value: a composite of the row's primary key, of a type that only its own
-- `avg`, `sum` and `count` take. Those read the values themselves, as the
-- profile's owner role, and answer for `min_group` different rows or more.
--
-- What an answer tells of one row:
--   * A row counts once, however often its reference comes, and a reference
--     that somebody forged counts only within the profile's row condition.
--   * Every value is first varied by up to a tenth, by a secret that is the
--     row's own: so no number of questions leads to an exact value.
--   * The answer is then varied by up to one row's whole influence on it, by a
--     secret of that set of rows: asking again, in another order or through
--     another profile gives the same answer, and two sets that differ by one
--     row do not tell that row.
--   * Digits that this makes meaningless are left out.
-- What is left: many answers about overlapping sets tell values roughly, which
-- is what the budget of answers is for.

-- What the final functions of one sealed column do, as SQL: `answer` is an
-- expression over n (rows), noisy (their sum) and one_row (one row's influence).
-- All of it is one statement whose only parameter is the references: whatever a
-- session makes the server print of plans, no value is in them.
CREATE FUNCTION dbaccess.sealed_answer(source text, among text, value text, key text, name text, min_group integer, answer text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN format($sql$
    WITH secret AS MATERIALIZED (
        SELECT k.key, ('x' || left(encode(sha256(k.key || convert_to(%1$L, 'UTF8')), 'hex'), 16))::bit(64)::bigint AS seed
        FROM dbaccess_secret.token_key k WHERE k.domain = ''
    ), picked AS (
        SELECT %2$s AS value, hashtextextended(%3$s COLLATE "C", (SELECT seed FROM secret)) AS hash
        FROM %4$s AS b WHERE %5$s
    ), varied AS (
        SELECT hash, value * (1 + (hash >> 32) * 0.000000000046566) AS value
        FROM picked WHERE value NOT IN ('NaN', 'Infinity', '-Infinity')
    ), told AS (
        SELECT count(*) AS n, sum(hash) AS hash, greatest(max(value), 0) - least(min(value), 0) AS one_row, sum(value) AS total
        FROM varied
    ), answer AS (
        SELECT n, one_row, total + one_row * (2 * ('x' || left(encode(sha256(key || sha256(key || convert_to(
                   concat_ws('.', %1$L, n, told.hash), 'UTF8'))), 'hex'), 12))::bit(48)::bigint / 281474976710656.0 - 1) AS noisy
        FROM told, secret WHERE n >= %6$s
    ) SELECT %7$s FROM answer
$sql$, name, value, key, source, among, min_group, answer);

-- Seals one column of one view of a profile; returns the expression that the
-- view has in its place. `view` is the view as the profile's content has it. A
-- column whose rows have no name that the view shows is only ever NULL.
CREATE FUNCTION dbaccess.seal_column(profile text, view_schema text, view jsonb, "column" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner text := dbaccess.owner_of(profile);
    base oid := format('%I.%I', view ->> 'schema', view ->> 'name')::regclass::oid;
    keys text[] := ARRAY(SELECT jsonb_array_elements_text(view -> 'key'));
    min_group integer;
    sealed record;
    keyed record;
    type text;
    kind text;
    answer record;
    body text;
    stem text;
    few bigint;
    -- Nothing that a session sets may change how a key reads, or its secret would change with it. And
    -- no policy of the table's owner runs as the owner of the views: such a table has no answers.
    pinned text := 'SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET datestyle = ''ISO, YMD'' SET timezone = ''UTC'' '
        'SET row_security = off SET intervalstyle = ''postgres'' SET extra_float_digits = 1 SET bytea_output = ''hex'' SET lc_monetary = '
        || quote_literal(current_setting('lc_monetary')) || ' SET enable_nestloop = on';
BEGIN
    -- A domain is aggregated as what it is made of.
    SELECT a.attnum, t.type, t.modifier INTO STRICT sealed
        FROM pg_attribute a CROSS JOIN LATERAL dbaccess.base_type(a.atttypid, a.atttypmod) t
        WHERE a.attrelid = base AND a.attname = "column"::name AND a.attnum > 0 AND NOT a.attisdropped;
    SELECT greatest((c ->> 'min_group')::int, 2) INTO min_group
        FROM jsonb_array_elements(view -> 'columns') v, LATERAL (SELECT v -> 'mask') m (c) WHERE v ->> 'name' = "column";
    stem := format('sealed_%s_%s', base, sealed.attnum);
    type := format('%I.%I', view_schema, stem);
    EXECUTE format('DROP TYPE IF EXISTS %s CASCADE', type);

    -- The primary key's columns, as k1, k2… and how its index compares them.
    SELECT array_agg(a.attname::text) AS names,
           string_agg(format('b.%I', a.attname), ', ' ORDER BY k.place) AS qualified,
           string_agg(format('k%s', k.place), ', ' ORDER BY k.place) AS places,
           string_agg(format('k%s %s%s', k.place, format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN
                   (SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l
                    JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) ELSE '' END),
               ', ' ORDER BY k.place) AS fields,
           string_agg(format('b.%1$I OPERATOR(%2$I.%3$s) s.k%4$s', a.attname, o.nspname, o.oprname, k.place),
               ' AND ' ORDER BY k.place) AS same
      INTO keyed
      FROM pg_index i
      CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k (attnum, opclass, place)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      JOIN pg_type t ON t.oid = a.atttypid
      JOIN pg_opclass c ON c.oid = k.opclass
      JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amopmethod = 403 AND m.amopstrategy = 3
                    AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
      JOIN LATERAL (SELECT n.nspname, p.oprname FROM pg_operator p JOIN pg_namespace n ON n.oid = p.oprnamespace
                    WHERE p.oid = m.amopopr) o ON true
      WHERE i.indrelid = base AND i.indisprimary AND k.place <= i.indnkeyatts;
    IF (keyed.names @> keys AND keyed.names <@ keys) IS NOT TRUE
       OR EXISTS (SELECT FROM jsonb_array_elements(view -> 'columns') v WHERE v ->> 'name' = ANY (keys) AND v ? 'mask') THEN
        RETURN format('NULL::%s', format_type(sealed.type, sealed.modifier));
    END IF;
    EXECUTE format('CREATE TYPE %s AS (%s)', type, keyed.fields);

    kind := sealed.type::regtype;
    WITH RECURSIVE tree AS (
        SELECT base AS relid
        UNION
        SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid
    ) SELECT greatest(sum(c.reltuples) / 40, 1000) INTO few FROM tree JOIN pg_class c ON c.oid = tree.relid;
    FOR answer IN
        SELECT w.name, w.returns, CASE w.name WHEN 'count' THEN 'n'
            ELSE format(CASE kind WHEN 'interval' THEN 'justify_hours(make_interval(secs => (%s)::float8))' ELSE '(%s)::' || w.returns END,
                 format('CASE WHEN one_row = 0 THEN 0 ELSE round(noisy%1$s, 2 - floor(log(one_row%1$s))::int) END',
                        CASE w.name WHEN 'avg' THEN ' / n' ELSE '' END)) END AS expression
        FROM (VALUES ('count', 'bigint'),
                     ('avg', CASE WHEN kind IN ('smallint', 'integer', 'bigint', 'numeric') THEN 'numeric'
                                  WHEN kind IN ('real', 'double precision') THEN 'float8'
                                  WHEN kind = 'interval' THEN 'interval' END),
                     ('sum', CASE WHEN kind IN ('smallint', 'integer') THEN 'bigint'
                                  WHEN kind IN ('bigint', 'numeric') THEN 'numeric'
                                  WHEN kind IN ('real', 'double precision', 'money', 'interval') THEN kind END)
             ) AS w (name, returns)
        WHERE w.returns IS NOT NULL
    LOOP
        body := dbaccess.sealed_answer(
            dbaccess.relation_sql(base),
            format('EXISTS (SELECT FROM unnest($1) AS s (%s) WHERE %s) AND b.%I IS NOT NULL', keyed.places, keyed.same, "column")
                || CASE WHEN view ? 'rows' THEN format(' AND (%s)', dbaccess.condition_sql(view -> 'rows', base, 'b', 1)) ELSE '' END,
            CASE WHEN answer.name = 'count' OR kind IS NULL THEN '1::numeric'
                 WHEN kind = 'interval' THEN format('extract(epoch FROM b.%I)::numeric', "column")
                 ELSE format('b.%I::numeric', "column") END,
            CASE cardinality(keys) WHEN 1 THEN format('concat(%s)', keyed.qualified) ELSE format('ROW(%s)::text', keyed.qualified) END,
            format('%s.%I', dbaccess.relation_sql(base), "column"),
            min_group,
            answer.expression);
        EXECUTE format('CREATE FUNCTION %I.%I(%s[]) RETURNS %s LANGUAGE plpgsql STABLE SECURITY DEFINER %s AS %L',
            view_schema, stem || '_' || answer.name, type, answer.returns, pinned, format($body$
#variable_conflict use_column
DECLARE
    result %1$s;
BEGIN
    -- Few rows are looked up, many are found by reading the table through. The planner
    -- cannot know how many there are, and its guess made a million take five times as long.
    IF cardinality($1) < %3$s THEN
        SELECT * INTO result FROM (%2$s) AS a;
    ELSE
        PERFORM set_config('enable_nestloop', 'off', true);
        SELECT * INTO result FROM (%2$s) AS a;
    END IF;
    RETURN result;
END $body$, answer.returns, body, few));
        EXECUTE format('REVOKE ALL ON FUNCTION %I.%I(%s[]) FROM PUBLIC', view_schema, stem || '_' || answer.name, type);
        -- `read_write` is untrue and wanted: such an aggregate cannot be a window function, whose
        -- frames that grow by a row would be a way to tell rows apart.
        EXECUTE format('CREATE AGGREGATE %I.%I(%s) (sfunc = array_append, stype = %s[], initcond = ''{}'', '
            'finalfunc = %I.%I, finalfunc_modify = read_write)',
            view_schema, answer.name, type, type, view_schema, stem || '_' || answer.name);
        EXECUTE format('ALTER FUNCTION %I.%I(%s[]) OWNER TO %I', view_schema, stem || '_' || answer.name, type, owner);
        EXECUTE format('ALTER AGGREGATE %I.%I(%s) OWNER TO %I', view_schema, answer.name, type, owner);
    END LOOP;
    EXECUTE format('ALTER TYPE %s OWNER TO %I', type, owner);
    -- A domain that no token can have. Its key is the owner's to read: see `view_privileges`.
    PERFORM dbaccess.ensure_token_key('');
    RETURN format('CASE WHEN b.%I IS NOT NULL THEN ROW(%s)::%s END', "column", keyed.qualified, type);
END $$;
