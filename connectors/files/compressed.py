"""Compressed and differently encoded text as plain bytes of UTF-8, streaming."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}


def suffix(path: str) -> str:
    """The ending that says how a file is compressed; '' for none."""
    return next((ending for ending in SUFFIXES if path.endswith(ending)), "")


def opened(raw: BinaryIO, path: str) -> BinaryIO:
    """The file's content, decompressed by its ending."""
    ending = suffix(path)
    if not ending:
        return raw
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, "r"), SUFFIXES[ending]))


class Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8; UnicodeDecodeError at what is none."""

    def __init__(self, raw: BinaryIO, encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._left and not self._ended:
            data = self._raw.read(1 << 16)
            self._ended = not data
            self._left = self._decoder.decode(data, final=self._ended).encode()
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count
