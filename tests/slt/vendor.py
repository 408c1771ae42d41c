"""Makes corpus.tar.xz anew: python -m tests.slt.vendor GIT_DIR, of a clone of github.com/gregrahn/sqllogictest.

Of each script that is taken, all statements and every k-th query, until its tables have changed so often that what
follows is more of the same: the results are those of the originals.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

ARCHIVE = Path(__file__).parent / "corpus.tar.xz"
# (scripts, how many of them, queries of each)
TAKEN = (
    (r"test/select[1-3]\.test", 3, 400),
    (r"test/select[45]\.test", 2, 300),
    (r"test/evidence/.*", 12, 1000),
    (r"test/random/expr/.*", 8, 250),
    (r"test/random/groupby/.*", 8, 200),
    (r"test/random/aggregates/.*", 8, 250),
    (r"test/random/select/.*", 8, 250),
    (r"test/index/(between|commute|in|orderby|orderby_nosort|random)/10/.*", 8, 150),
    (r"test/index/(between|commute|in|orderby|orderby_nosort|random)/100/.*", 6, 100),
    (r"test/index/(between|commute|in|orderby|orderby_nosort|random)/1000/.*", 3, 60),
    (r"test/index/(view|delete)/.*", 6, 120),
)
MOST_STATES = 10
MOST_BYTES = 8_000_000  # larger scripts are not in every clone


def thinned(text: str, queries: int) -> str:
    """The script with at most so many of its queries, spread over all of it; nothing in front of a query is lost."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip("\n"))
    asked = [at for at, block in enumerate(blocks) if re.search(r"^query ", block, re.MULTILINE)]
    stride = max(1, -(-len(asked) // queries))
    left_out = set(asked) - set(asked[::stride])
    return "\n\n".join(begun([block for at, block in enumerate(blocks) if at not in left_out])) + "\n"


def begun(blocks: Sequence[str]) -> list[str]:
    """The blocks of the first few states of the tables: a statement behind a query begins another."""
    found: list[str] = []
    states, asking = 1, False
    for block in blocks:
        states += asking and re.search(r"^statement ", block, re.MULTILINE) is not None
        asking = re.search(r"^query ", block, re.MULTILINE) is not None
        if states > MOST_STATES:
            break
        found.append(block)
    return found


def main(clone: str) -> None:
    """Read the clone, write the archive."""

    def git(*command: str) -> bytes:
        return subprocess.run(["git", f"--git-dir={clone}", *command], check=True, capture_output=True).stdout

    sizes = {}
    for line in git("ls-tree", "-r", "-l", "HEAD", "test").decode().splitlines():
        facts, path = line.split("\t")
        size = facts.split()[3]
        if size.isdigit() and int(size) <= MOST_BYTES:
            sizes[path] = int(size)
    with tarfile.open(ARCHIVE, "w:xz", preset=6) as archive:
        for pattern, count, queries in TAKEN:
            fit = sorted(path for path in sizes if re.fullmatch(pattern, path))
            for path in fit[:: max(1, len(fit) // count)][:count]:
                content = thinned(git("show", f"HEAD:{path}").decode(), queries).encode()
                entry = tarfile.TarInfo(path.removeprefix("test/"))
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main(sys.argv[1])
