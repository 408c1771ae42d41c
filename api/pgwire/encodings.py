"""Client encodings other than UTF-8: names of Python's codecs, and text columns in them."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import QueryError

ENCODINGS = {
    "UTF8": "utf-8",
    "SQL_ASCII": "utf-8",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "ISO_8859_5": "iso8859-5",
    "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "EUC_JP": "euc_jp",
    "EUC_KR": "euc_kr",
    "EUC_CN": "gb2312",
    "SJIS": "shift_jis",
    "UHC": "cp949",
    **{f"WIN{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
}


def codec(settings: Mapping[str, str]) -> str:
    """Python's name of the session's client_encoding."""
    name = settings.get("client_encoding", "UTF8")
    return ENCODINGS.get(name.upper(), name)


def known(settings: Mapping[str, str]) -> bool:
    """Whether text can be written in the session's encoding here."""
    return settings.get("client_encoding", "UTF8").upper() in ENCODINGS


def transcoded(words: pa.Array, settings: Mapping[str, str]) -> pa.Array:
    """Text in the session's encoding; QueryError (22P05) for a character that it does not have."""
    name = codec(settings)
    if (
        name == "utf-8"
        or not pa.types.is_string(words.type)
        or pc.all(pc.string_is_ascii(words)).as_py() in (True, None)
    ):
        return words
    return pa.array(
        [None if word is None else _encoded(word, name, settings) for word in words.to_pylist()], pa.binary()
    )


def _encoded(word: str, name: str, settings: Mapping[str, str]) -> bytes:
    try:
        return word.encode(name)
    except UnicodeEncodeError as error:
        sequence = " ".join(f"0x{byte:02x}" for byte in word[error.start].encode())
        raise QueryError(
            f'character with byte sequence {sequence} in encoding "UTF8" has no equivalent in encoding '
            f'"{settings["client_encoding"]}"',
            sqlstate="22P05",
        ) from None
