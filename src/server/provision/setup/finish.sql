-- Who may call what ----------------------------------------------------------

DO $$ BEGIN
    PERFORM dbaccess.check_ddl_owner(owner) FROM unnest(dbaccess.ddl_owners()) AS owner;
    -- A function that somebody put beside ours meanwhile could be called in place of one.
    IF EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'dbaccess'::regnamespace AND proowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)) THEN
        RAISE EXCEPTION 'somebody made functions in schema dbaccess while the setup ran: run it again';
    END IF;
END $$;

-- The server's login may call these eleven, and nobody else may call any.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dbaccess FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    dbaccess.version(),
    dbaccess.ensure_profile(text, text),
    dbaccess.open_session(text, text, timestamptz, text, text, text, jsonb, integer),
    dbaccess.extend_session(text, timestamptz),
    dbaccess.lock_session(text),
    dbaccess.end_connections(text),
    dbaccess.dispose_owned(text),
    dbaccess.close_session(text),
    dbaccess.drop_profile(text),
    dbaccess.rotate_tokens(text),
    dbaccess.missing_views()
TO :"gateway";
COMMIT;
