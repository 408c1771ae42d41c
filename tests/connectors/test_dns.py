"""A host name that leads elsewhere later, or to several addresses, is followed: in a child with its own hosts file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PostgresServer, running

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.deep]
NAME = "db.example.test"
CHILD = f"""
import json, sys, time
from pathlib import Path
from connectors.conformance.asking import ask
from connectors.registry import connect
options, hosts = json.loads(sys.argv[1]), Path("/etc/hosts")
def lead(*addresses):
    hosts.write_text("".join(one + " {NAME}\\n" for one in addresses))
def who():
    asked = [ask(crm, "SELECT n FROM public.w", small=small).column(0)[0].as_py() for small in (True, False)]
    assert asked[0] == asked[1], asked
    return asked[0]
lead("127.0.0.1")
crm = connect("postgresql", "crm", {{**options, "host": "{NAME}", "tls": {{"mode": "disable"}}}})
crm._leases._max_idle = 0.5  # for minutes
told = [who()]
lead("127.0.0.2")
time.sleep(1)
told.append(who())
crm._leases.clear()
lead("127.0.0.3", "127.0.0.1")  # nobody is at the first
told.append(who())
crm.close()
print(json.dumps(told))
"""


def test_a_name_is_followed(tmp_path: Path) -> None:
    with running("postgresql") as first, running("postgresql") as second:
        assert isinstance(second, PostgresServer)
        second.stop()
        second.host, second.port = "127.0.0.2", first.port
        second.start()
        for number, server in enumerate((first, second), 1):
            server.run(f"CREATE TABLE w AS SELECT {number}::bigint AS n", database=server.database)
        hosts = tmp_path / "hosts"
        hosts.touch()
        inner = f'mount --bind {hosts} /etc/hosts && exec "$0" -c "$1" "$2"'
        command = ["unshare", "-m", "sh", "-c", inner, sys.executable, CHILD, json.dumps(first.options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if "Operation not permitted" in done.stderr:
        pytest.skip("a hosts file of one's own needs the right to mount: run it as root")
    assert done.stdout.strip() == "[1, 2, 1]", done.stderr
