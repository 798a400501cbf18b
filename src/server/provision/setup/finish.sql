-- Who may call what ----------------------------------------------------------

DO $$ BEGIN
    PERFORM dbaccess.check_ddl_owner(owner) FROM unnest(dbaccess.ddl_owners()) AS owner;
END $$;

-- The server's login may call these ten, and nobody else may call any.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dbaccess FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    dbaccess.version(),
    dbaccess.ensure_profile(text, text),
    dbaccess.open_session(text, text, timestamptz, text, text, text, jsonb, integer),
    dbaccess.lock_session(text),
    dbaccess.end_connections(text),
    dbaccess.dispose_owned(text),
    dbaccess.close_session(text),
    dbaccess.drop_profile(text),
    dbaccess.rotate_tokens(text),
    dbaccess.missing_views()
TO :"gateway";
COMMIT;
