"""What the server tells of its work: a line for each query, spans at a real OTLP receiver, metrics; never a value."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import queue
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from api import logs
from tests.sources import wait_for
from tests.test_serve import served

pytestmark = pytest.mark.slow

SECRET = "a secret that was asked for"
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


class Receiver:
    """Takes OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in asked.resource_spans:
                    for scope in resource.scope_spans:
                        receiver.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def folder(tmp_path: Path, receiver: Receiver) -> Path:
    from api import sample

    place = tmp_path / "sample"
    sample.create(place)
    file = place / "vdw.yml"
    text = file.read_text().replace("8080", "0").replace("5433", "0")
    file.write_text(f"{text}\ntelemetry: {{traces: '{receiver.url}'}}\n")
    return place


def asked(said: list[str]) -> tuple[str, str]:
    """Where it serves: SQL and HTTP."""
    sql = next(line.split('"')[1] for line in said if "psql" in line)
    return sql, next(line.split()[-1] for line in said if "GraphQL" in line).removesuffix("/graphql")


def test_lines_spans_and_metrics(folder: Path, receiver: Receiver) -> None:
    with served(folder) as (process, said):
        dsn, url = asked(said)
        with psycopg.connect(dsn, autocommit=True) as connection:
            for _ in range(2):
                connection.execute("SELECT count(*) FROM crm.customers WHERE full_name <> %s", (SECRET,)).fetchall()
            connection.execute(f"SELECT full_name FROM crm.customers WHERE full_name <> '{SECRET}' LIMIT 2").fetchall()
            with contextlib.suppress(psycopg.Error):
                connection.execute("SELECT 1 / (customer_id - customer_id) FROM crm.customers").fetchall()
        body = json.dumps({"sql": "SELECT customer_id FROM crm.customers"}).encode()
        headers = {"Content-Type": "application/json", "traceparent": TRACE}
        urllib.request.urlopen(urllib.request.Request(f"{url}/query", body, headers)).read()
        metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
        process.terminate()
        assert process.stderr is not None
        text = process.stderr.read()
        process.wait()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [line["outcome"] for line in lines] == ["ok", "ok", "ok", "22012", "ok"]
    assert [line["protocol"] for line in lines] == ["sql"] * 4 + ["http"]
    assert [line["freshness"] for line in lines[:2]] == ["live", "cache"]
    assert lines[0]["fingerprint"] == lines[1]["fingerprint"] != lines[2]["fingerprint"]
    assert lines[0]["sources"][0]["source"] == "shop"
    assert all(line["ms"] > 0 and line["views"] for line in lines)
    assert SECRET not in text
    check_spans(receiver, len(lines))
    assert 'vdw_queries_total{outcome="22012",protocol="sql"} 1.0' in metrics
    assert "vdw_source_statement_seconds_bucket" in metrics
    assert SECRET not in metrics


def check_spans(receiver: Receiver, queries: int) -> None:
    """A span for each query, statements below theirs."""
    wait_for(lambda: sum(span.name == "query" for span in receiver.spans) >= queries)
    roots = {span.span_id: span for span in receiver.spans if span.name == "query"}
    below = [span for span in receiver.spans if span.name != "query" and span.parent_span_id]
    assert len(roots) == queries
    assert below
    for span in below:
        root = roots[span.parent_span_id]
        assert span.trace_id == root.trace_id
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= root.end_time_unix_nano
    assert any(root.trace_id.hex() == TRACE.split("-")[1] for root in roots.values()), "the caller's trace goes on"
    assert SECRET not in str(receiver.spans)


def test_a_log_that_nobody_reads_neither_waits_nor_grows() -> None:
    lines: queue.Queue[logging.LogRecord] = queue.Queue(2)
    log = logging.Logger("own")
    log.addHandler(logs.Feeding(lines))
    for number in range(5):
        log.info("%d", number)
    first = [lines.get_nowait().getMessage() for _ in range(2)]
    log.info("later")
    assert first == ["0", "1"]
    assert [lines.get_nowait().getMessage() for _ in range(2)] == ['{"event":"dropped","lines":3}', "later"]
