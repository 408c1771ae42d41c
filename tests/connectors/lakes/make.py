"""Makes lakes.zip: `python -m tests.connectors.lakes.make` writes tables by Trino's connectors into a local S3 server.

The archive holds the objects of the bucket and `expected.json`: what Trino read of each table afterwards.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import obstore

from tests import s3_server, trino_server

ARCHIVE = Path(__file__).parent / "lakes.zip"
_S3 = """
    "fs.native-s3.enabled" = 'true', "s3.endpoint" = '{endpoint}', "s3.region" = 'us-east-1',
    "s3.path-style-access" = 'true', "s3.aws-access-key" = '{key}', "s3.aws-secret-key" = '{secret}',
    "hive.metastore.catalog.dir" = 's3://lake/{name}'
"""
_MORE = {
    "delta_lake": ", \"delta.enable-non-concurrent-writes\" = 'true', \"hive.metastore\" = 'file'",
    "iceberg": ", \"iceberg.catalog.type\" = 'TESTING_FILE_METASTORE'",
}
_ROWS = "SELECT n, 'name ' || cast(n AS varchar), cast(n AS decimal(12,2)) / 4 FROM unnest(sequence({}, {})) t(n)"
_STRANGE = "('a/b c', 1), ('ü%20=+', 2), (NULL, 3), ('', 4), ('x:y''z\"#?&', 5), ('__HIVE_DEFAULT_PARTITION__x', 6)"

DELTA = {
    "vectors": (
        "CREATE TABLE {} (id bigint, name varchar, price decimal(12,2)) WITH (deletion_vectors_enabled = true)",
        "INSERT INTO {} " + _ROWS.format(1, 200),
        "INSERT INTO {} " + _ROWS.format(201, 220),
        "DELETE FROM {} WHERE id % 3 = 0 AND id <= 200",
        "UPDATE {} SET name = 'renamed' WHERE id = 7",
    ),
    "named": (
        "CREATE TABLE {} (id bigint, \"a b\" varchar, gone integer, p varchar)"
        " WITH (column_mapping_mode = 'name', partitioned_by = ARRAY['p'])",
        "INSERT INTO {} VALUES (1, 'x', 10, 'one'), (2, 'y', 20, NULL)",
        "ALTER TABLE {} DROP COLUMN gone",
        'ALTER TABLE {} RENAME COLUMN "a b" TO text',
        "ALTER TABLE {} ADD COLUMN gone varchar",
        "INSERT INTO {} (id, text, p, gone) VALUES (3, 'z', 'one', 'new')",
    ),
    "numbered": (
        "CREATE TABLE {} (id bigint, old varchar)"
        " WITH (column_mapping_mode = 'id', deletion_vectors_enabled = true)",
        "INSERT INTO {} VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "ALTER TABLE {} RENAME COLUMN old TO new",
        "DELETE FROM {} WHERE id = 2",
    ),
    "parted": (
        "CREATE TABLE {} (v bigint, p varchar) WITH (partitioned_by = ARRAY['p'])",
        "INSERT INTO {} (p, v) VALUES " + _STRANGE.replace("ü", "u"),  # its Delta writer takes ASCII alone
    ),
    "days": (
        "CREATE TABLE {} (v bigint, d date, m decimal(10,3), f boolean, t timestamp(3) with time zone)"
        " WITH (partitioned_by = ARRAY['d', 'm', 'f'], checkpoint_interval = 2)",
        "INSERT INTO {} VALUES (1, date '2024-02-29', 1.500, true, timestamp '2024-03-31 01:30:00.123 UTC')",
        "INSERT INTO {} VALUES (2, NULL, NULL, NULL, NULL)",
        "INSERT INTO {} VALUES (3, date '0001-01-01', -0.001, false, timestamp '1969-12-31 23:59:59.999 UTC')",
    ),
}  # fmt: skip
ICEBERG = {
    "positions": (
        "CREATE TABLE {} (id bigint, name varchar, price decimal(12,2))",
        "INSERT INTO {} " + _ROWS.format(1, 200),
        "INSERT INTO {} " + _ROWS.format(201, 220),
        "DELETE FROM {} WHERE id % 3 = 0 AND id <= 200",
        "UPDATE {} SET name = 'renamed' WHERE id = 7",
        "DELETE FROM {} WHERE id IN (8, 210)",
    ),
    "evolved": (
        "CREATE TABLE {} (id integer, old varchar, gone integer, r real, m decimal(6,2), s row(a integer))"
        " WITH (partitioning = ARRAY['bucket(old, 4)'])",
        "INSERT INTO {} VALUES (1, 'x', 10, 0.1, 1.25, row(1)), (2, NULL, 20, NULL, NULL, NULL)",
        "ALTER TABLE {} DROP COLUMN gone",
        "ALTER TABLE {} RENAME COLUMN old TO new",
        "ALTER TABLE {} ADD COLUMN gone varchar",
        "ALTER TABLE {} ALTER COLUMN id SET DATA TYPE bigint",
        "ALTER TABLE {} ALTER COLUMN r SET DATA TYPE double",
        "ALTER TABLE {} ALTER COLUMN m SET DATA TYPE decimal(20,2)",
        "ALTER TABLE {} SET PROPERTIES partitioning = ARRAY['id']",
        "INSERT INTO {} (id, new, r, m, s, gone) VALUES (5000000000, 'z', 1e300, 123456789012345678.99, row(2), 'new')",
        "DELETE FROM {} WHERE new = 'x' AND id = 2",
    ),
    "parted": (
        "CREATE TABLE {} (p varchar, v bigint) WITH (partitioning = ARRAY['p'])",
        "INSERT INTO {} VALUES " + _STRANGE,
        "DELETE FROM {} WHERE v = 2 AND p <> 'none'",
    ),
}


class _Lenient(s3_server.S3Server):
    """One that does not mind the headers of AWS's newest client."""

    def command(self) -> list[str]:
        command, file = super().command(), self.folder / "s3proxy.conf"
        file.write_text(f"{file.read_text()}s3proxy.ignore-unknown-headers=true\n")
        return command


def main() -> None:
    """Writes the archive."""
    trino_server.PLUGINS = (*trino_server.PLUGINS, "iceberg", "delta-lake")
    expected: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        s3 = _Lenient("s3", Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(s3.remove)
        s3.create()
        s3.start()
        trino = stack.enter_context(trino_server.running())
        stack.callback(lambda: _archived(s3, expected))
        for connector, tables in (("delta_lake", DELTA), ("iceberg", ICEBERG)):
            with _catalog(trino, s3, connector):
                expected[connector] = dict(_made(trino, connector, tables))


@contextlib.contextmanager
def _catalog(trino: trino_server.TrinoServer, s3: s3_server.S3Server, connector: str) -> Iterator[None]:
    said = _S3.format(endpoint=s3.endpoint, key=s3_server.KEY, secret=s3_server.SECRET, name=connector)
    trino.run(
        f"CREATE CATALOG {connector} USING {connector} WITH ({said}{_MORE[connector]})",
        f"CREATE SCHEMA {connector}.t",
    )
    yield


def _made(
    trino: trino_server.TrinoServer, connector: str, tables: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Any]]:
    for name, statements in tables.items():
        table = f"{connector}.t.{name}"
        print(table, flush=True)
        trino.run(*(statement.format(table) for statement in statements))
        with contextlib.closing(trino.admin()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table}")
            rows = cursor.fetchall()
            yield name, {"columns": [column[0] for column in cursor.description], "rows": sorted(rows, key=str)}


def _archived(s3: s3_server.S3Server, expected: Mapping[str, Any]) -> None:
    store = s3.store()
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("expected.json", json.dumps(expected, default=str, ensure_ascii=False, indent=1))
        for page in obstore.list(store):
            for meta in page:
                if "/.trino" in meta["path"]:
                    continue
                archive.writestr(meta["path"], bytes(obstore.get(store, meta["path"]).bytes()))
    print(ARCHIVE, ARCHIVE.stat().st_size)


if __name__ == "__main__":
    main()
