-- The first step: records, what they speak of, and what there can be only one of. WRITER and READER stand for the roles.

-- Of a million sequences each, by number and not by month: so the key is unique over all parts, a look-up reads one of them, the
-- chain lies in them in its order, and no job's clock decides where a record is. A part is a stretch of the chain.
CREATE TABLE honeycrate.record (
    sequence bigint PRIMARY KEY,
    -- UUIDv7, one for all records of an append: by it a job that lost its connection knows whether they arrived.
    append uuid NOT NULL,
    line text NOT NULL
) PARTITION BY RANGE (sequence);

CREATE TABLE honeycrate.mention (
    key text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (key, sequence)
);

CREATE TABLE honeycrate.only_one (
    key text COLLATE "C" PRIMARY KEY,
    sequence bigint NOT NULL
);

-- The triggers keep honest programs from changing the past; the chain shows who did it nevertheless.
CREATE FUNCTION honeycrate.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a ledger only grows';
END $$;

CREATE FUNCTION honeycrate.follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first bigint; last bigint; number bigint;
BEGIN
    SELECT min(sequence), max(sequence), count(*) INTO first, last, number FROM added;
    IF number > 0 AND (
        last - first + 1 <> number
        OR first <> 1 + coalesce((SELECT sequence FROM honeycrate.record WHERE sequence < first ORDER BY sequence DESC LIMIT 1), 0)
    ) THEN
        RAISE EXCEPTION 'a record follows the last one';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER follows AFTER INSERT ON honeycrate.record
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION honeycrate.follows();
-- For each row, so that each part has it; for each statement, so that the error does not depend on there being a row.
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON honeycrate.record FOR EACH ROW EXECUTE FUNCTION honeycrate.refuse();
CREATE TRIGGER remains BEFORE UPDATE OR DELETE OR TRUNCATE ON honeycrate.record FOR EACH STATEMENT EXECUTE FUNCTION honeycrate.refuse();
CREATE TRIGGER remains BEFORE UPDATE OR DELETE OR TRUNCATE ON honeycrate.mention FOR EACH STATEMENT EXECUTE FUNCTION honeycrate.refuse();
CREATE TRIGGER remains BEFORE UPDATE OR DELETE OR TRUNCATE ON honeycrate.only_one FOR EACH STATEMENT EXECUTE FUNCTION honeycrate.refuse();

-- Makes the part that a sequence belongs to, if it is the next one. Runs with its owner's rights, so that nobody else needs them.
CREATE FUNCTION honeycrate.make_room(wanted bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    size constant bigint := 1000000;
    part constant bigint := (wanted - 1) / size;
    name constant text := 'record_' || part;
    head bigint;
BEGIN
    IF to_regclass('honeycrate.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT coalesce(max(sequence), 0) INTO head FROM honeycrate.record;
    IF wanted < 1 OR part > head / size + 1 THEN
        RAISE EXCEPTION 'a record follows the last one';
    END IF;
    -- Made apart and then attached: readers need not wait for it.
    EXECUTE format('CREATE TABLE honeycrate.%I (LIKE honeycrate.record INCLUDING ALL)', name);
    EXECUTE format(
        'ALTER TABLE honeycrate.record ATTACH PARTITION honeycrate.%I FOR VALUES FROM (%s) TO (%s)', name, part * size + 1, (part + 1) * size + 1);
    EXECUTE format(
        'CREATE TRIGGER remains BEFORE UPDATE OR DELETE OR TRUNCATE ON honeycrate.%I FOR EACH STATEMENT EXECUTE FUNCTION honeycrate.refuse()', name);
END $$;

SELECT honeycrate.make_room(1);

-- A writer adds whatever it likes. A reader, which is a decoy or a watch, adds what became of tokens and nothing that makes one.
REVOKE ALL ON FUNCTION honeycrate.make_room(bigint) FROM PUBLIC;
GRANT USAGE ON SCHEMA honeycrate TO WRITER, READER;
GRANT EXECUTE ON FUNCTION honeycrate.make_room(bigint) TO WRITER, READER;
GRANT SELECT ON honeycrate.step TO WRITER, READER;
GRANT SELECT, INSERT ON honeycrate.record, honeycrate.mention, honeycrate.only_one TO WRITER, READER;
ALTER TABLE honeycrate.record ENABLE ROW LEVEL SECURITY;
ALTER TABLE honeycrate.mention ENABLE ROW LEVEL SECURITY;
ALTER TABLE honeycrate.only_one ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON honeycrate.record FOR SELECT TO WRITER, READER USING (true);
CREATE POLICY see ON honeycrate.mention FOR SELECT TO WRITER, READER USING (true);
CREATE POLICY see ON honeycrate.only_one FOR SELECT TO WRITER, READER USING (true);
CREATE POLICY write ON honeycrate.record FOR INSERT TO WRITER WITH CHECK (true);
CREATE POLICY write ON honeycrate.mention FOR INSERT TO WRITER WITH CHECK (true);
CREATE POLICY write ON honeycrate.only_one FOR INSERT TO WRITER WITH CHECK (true);
CREATE POLICY tell ON honeycrate.record FOR INSERT TO READER WITH CHECK (line::json ->> 'event' IN ('triggered', 'drill-begun', 'drill-ended'));
CREATE POLICY tell ON honeycrate.mention FOR INSERT TO READER WITH CHECK (split_part(key, '/', 1) IN ('token', 'trigger', 'drill'));
CREATE POLICY tell ON honeycrate.only_one FOR INSERT TO READER WITH CHECK (split_part(key, '/', 1) = 'trigger');
