"""Makes corpus.tar.xz anew: python -m tests.slt.vendor GIT_DIR, of a clone of github.com/gregrahn/sqllogictest.

All statements of each script that is taken, and every k-th of its queries: the results are those of the originals.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
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
MOST_BYTES = 8_000_000  # larger scripts are not in every clone


def thinned(text: str, queries: int) -> str:
    """The script with at most so many of its queries, spread over all of it; nothing in front of a query is lost."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip("\n"))
    asked = [at for at, block in enumerate(blocks) if re.search(r"^query ", block, re.MULTILINE)]
    stride = max(1, -(-len(asked) // queries))
    kept = set(asked[::stride])
    return "\n\n".join(block for at, block in enumerate(blocks) if at in kept or at not in asked) + "\n"


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
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for pattern, count, queries in TAKEN:
            fit = sorted(path for path in sizes if re.fullmatch(pattern, path))
            for path in fit[:: max(1, len(fit) // count)][:count]:
                content = thinned(git("show", f"HEAD:{path}").decode(), queries).encode()
                entry = tarfile.TarInfo(path.removeprefix("test/"))
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main(sys.argv[1])
