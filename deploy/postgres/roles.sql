-- Two roles for one database: each service makes its own tables, and can write no others.
--
--   psql -v auth_password=... -v websock_password=... -d chat_db -f roles.sql
--
-- Run it as a superuser before the services first start, and again once auth-svc has made its
-- tables: only then there is something for websock-svc to read. It may be run any number of times.
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['auth_svc', 'websock_svc']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE auth_svc PASSWORD :'auth_password';
ALTER ROLE websock_svc PASSWORD :'websock_password';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO auth_svc, websock_svc;

-- What each service has done to the schema. The table is nobody's of the two.
CREATE TABLE IF NOT EXISTS migrations(name TEXT PRIMARY KEY);
GRANT SELECT, INSERT ON migrations TO auth_svc, websock_svc;

-- Pods look for the names of receivers, and for nothing else of an account.
DO $$
BEGIN
    IF to_regclass('public.users') IS NOT NULL THEN
        GRANT SELECT (username, username_key) ON users TO websock_svc;
    END IF;
END
$$;
