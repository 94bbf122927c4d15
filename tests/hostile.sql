-- Stand-ins for whatever pg_catalog has, in the schema public: each writes to the server's log that it ran (PostgreSQL).
DO $$
DECLARE
    one RECORD;
    number INT := 0;
    body CONSTANT TEXT := 'LANGUAGE plpgsql AS $f$ BEGIN RAISE LOG USING MESSAGE = ''ATTACK by %s''; RETURN NULL; END $f$';
    -- Nobody can make functions of these.
    pseudo CONSTANT OID[] := ARRAY(SELECT oid FROM pg_type WHERE typtype = 'p');
BEGIN
    FOR one IN
        SELECT p.proname AS name, oidvectortypes(p.proargtypes) AS arguments, format_type(p.prorettype, NULL) AS returned
        FROM pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset
            AND p.prorettype <> ALL (pseudo) AND NOT p.proargtypes::oid[] && pseudo
    LOOP
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s ' || body, one.name, one.arguments, one.returned, one.name);
    END LOOP;
    FOR one IN
        SELECT o.oprname AS name, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r,
            format_type(o.oprresult, NULL) AS returned
        FROM pg_operator AS o
        WHERE o.oprleft <> 0 AND NOT ARRAY[o.oprleft, o.oprright, o.oprresult] && pseudo
    LOOP
        number := number + 1;
        EXECUTE format('CREATE FUNCTION public.operator_%s(%s, %s) RETURNS %s ' || body, number, one.l, one.r, one.returned,
            one.name);
        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.operator_%s)',
            one.name, one.l, one.r, number);
    END LOOP;
    FOR one IN
        SELECT p.proname AS name, oidvectortypes(p.proargtypes) AS arguments
        FROM pg_proc AS p JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND a.aggkind = 'n' AND p.pronargs > 0
            AND NOT p.proargtypes::oid[] && pseudo
    LOOP
        number := number + 1;
        EXECUTE format('CREATE FUNCTION public.state_%s(text, %s) RETURNS text ' || body, number, one.arguments, one.name);
        EXECUTE format('CREATE AGGREGATE public.%I(%s) (SFUNC = public.state_%s, STYPE = text)', one.name, one.arguments,
            number);
    END LOOP;
    -- format() takes anything, so one that takes just what it is given is preferred.
    EXECUTE format('CREATE FUNCTION public.format(text, bigint, numeric, numeric, numeric, numeric, numeric, numeric,'
        ' double precision, numeric, numeric) RETURNS text ' || body, 'format of candles');
    EXECUTE format('CREATE FUNCTION public.format(text, bigint, numeric, numeric, numeric, numeric, numeric, numeric,'
        ' double precision) RETURNS text ' || body, 'format of metrics');
END $$
