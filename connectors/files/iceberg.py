"""Iceberg through PyIceberg: one snapshot; columns by their ids, so that renamed and added ones are right."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from connectors.errors import Error, SourceError
from connectors.files import needs
from connectors.files.ipc import conformed, mapped
from connectors.files.places import literal_path
from connectors.files.table import NONE, Opened, Policies, Spec, Work, changed, made

with needs("Iceberg", "pyiceberg"):
    from pyiceberg.catalog import load_catalog
    from pyiceberg.io.pyarrow import ArrowScan, _read_all_delete_files, schema_to_pyarrow
    from pyiceberg.table import StaticTable

_NUMBER = re.compile(r"^v?(\d+)")


def open_table(spec: Spec, before: Opened | None, work: Work) -> Opened:
    """The table at its current snapshot, or at the declared one."""
    try:
        table = work.waited(lambda: _loaded(spec, work))
        key = (table.metadata_location, spec.reading.snapshot)
        if before is not None and before.key == key:
            return before
        return work.waited(lambda: _Iceberg.of(spec, key, table))
    except Error:
        raise
    except Exception as error:  # PyIceberg raises what its file systems and catalogs do
        raise _fault(spec, error) from None


def _loaded(spec: Spec, work: Work) -> Any:
    if spec.reading.catalog is not None:
        said = spec.place.iceberg_options() | spec.reading.catalog
        return load_catalog(said.pop("name", "default"), **said).load_table(spec.path)
    listed = spec.place.files(f"{literal_path(spec.path)}/metadata/*.metadata.json", spec.max_files, work)
    newest = max(listed, key=lambda file: (_number(file.path), file.modified), default=None)
    if newest is None:
        raise changed(f"table {spec.name}")
    return StaticTable.from_metadata(newest.path, properties=spec.place.iceberg_options())


def _number(path: str) -> int:
    match = _NUMBER.match(path.rpartition("/")[2])
    return int(match[1]) if match else -1


@dataclass(frozen=True, slots=True)
class _Iceberg(Opened):
    table: Any = None
    snapshot: Any = None

    @staticmethod
    def of(spec: Spec, key: Any, table: Any) -> _Iceberg:
        wanted = spec.reading.snapshot
        snapshot = table.current_snapshot() if wanted is None else table.snapshot_by_id(wanted)
        if wanted is not None and snapshot is None:
            raise SourceError(f"table {spec.name} has no snapshot {wanted}", hint="declare another, or none")
        old = snapshot is not None and wanted is not None and snapshot.schema_id is not None
        schema = table.schemas()[snapshot.schema_id] if old else table.schema()
        columns = tuple(
            made(field.name, spec.types.get(field.name) or mapped(field.type), str(field.type), nullable=field.nullable)
            for field in schema_to_pyarrow(schema, include_field_ids=False)
        )
        moment = snapshot.timestamp_ms if snapshot is not None else table.metadata.last_updated_ms
        modified = dt.datetime.fromtimestamp(moment / 1000, dt.UTC)
        return _Iceberg(spec, key, columns, _count(snapshot), modified, table, snapshot)

    def scan(self, names: Sequence[str], work: Work, spared: Policies = NONE) -> Iterator[pa.RecordBatch]:
        if self.snapshot is None:
            return
        try:
            scan = self.table.scan(snapshot_id=self.snapshot.snapshot_id, selected_fields=tuple(names))
            reader = ArrowScan(self.table.metadata, self.table.io, scan.projection(), scan.row_filter)
            for task in work.waited(lambda: list(scan.plan_files())):
                # its public method holds all files' rows at once
                deletes = work.waited(partial(_read_all_delete_files, self.table.io, [task]))
                batches = reader._record_batches_from_scan_tasks_and_deletes([task], deletes)
                for batch in work.each(partial(next, batches, None)):
                    yield conformed(batch, names, self.kinds, self.spec.name, spared)
        except (Error, GeneratorExit):
            raise
        except Exception as error:  # as above
            raise _fault(self.spec, error) from None


def _count(snapshot: Any) -> int | None:
    """The snapshot's own word, which does not count what delete files take away."""
    summary = {} if snapshot is None or snapshot.summary is None else snapshot.summary.additional_properties
    if any(summary.get(f"total-{kind}-deletes", "0") != "0" for kind in ("position", "equality")):
        return None
    return int(summary["total-records"]) if "total-records" in summary else (0 if snapshot is None else None)


def _fault(spec: Spec, error: Exception) -> SourceError:
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    equality = "equality" in told
    return SourceError(
        f"table {spec.name}: " + ("equality deletes are not supported" if equality else "PyIceberg cannot read it"),
        sqlstate="0A000" if equality else "HV000",
        hint="compact the table, so that its deletes are merged"
        if equality
        else "check the path or the catalog, and whether all files of the snapshot are there",
        detail=told,
    )
