-- Aggregate columns ----------------------------------------------------------

-- The expression of a view's column whose values are sealed.
CREATE FUNCTION dbaccess.seal_column(profile text, view_schema text, view jsonb, "column" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sealed record;
BEGIN
    SELECT (dbaccess.base_type(a.atttypid, a.atttypmod)).* INTO sealed FROM pg_attribute a
    WHERE a.attrelid = format('%I.%I', view ->> 'schema', view ->> 'name')::regclass AND a.attname = "column" AND NOT a.attisdropped;
    RETURN format('NULL::%s', format_type(sealed.type, sealed.modifier));
END $$;

