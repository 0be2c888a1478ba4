-- The three roles of bookended, each with the rights that it needs and no more. Run by an
-- administrator, connected to bookended's own database; again after a restore into a new server.
-- The roles have no passwords yet: \password bookended_owner, and so on.
--
--   bookended_owner      `bookended migrate`: owns database, tables and views
--   bookended_processor  `bookended process`: reads and writes rows, changes no table
--   bookended_reader     analysts, Grafana: reads the views, nothing else

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['bookended_owner', 'bookended_processor', 'bookended_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO bookended_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO bookended_processor, bookended_reader', current_database()
    );
    -- A checkpoint goes by way of temporary tables.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO bookended_processor', current_database());
END
$$;

ALTER SCHEMA public OWNER TO bookended_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bookended_processor;
-- `migrate` lets bookended_reader use the schema and read the views.
ALTER DEFAULT PRIVILEGES FOR ROLE bookended_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO bookended_processor;
ALTER DEFAULT PRIVILEGES FOR ROLE bookended_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO bookended_processor;

ALTER ROLE bookended_reader CONNECTION LIMIT 20;
ALTER ROLE bookended_reader SET statement_timeout = '5min';
ALTER ROLE bookended_reader SET idle_in_transaction_session_timeout = '5min';
ALTER ROLE bookended_reader SET default_transaction_read_only = 'on';
ALTER ROLE bookended_reader SET timezone = 'UTC';
