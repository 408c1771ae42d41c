"""SQL names as GraphQL names: camelCase fields, PascalCase types, every collision resolved the same way each time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_WORD = re.compile(r"[0-9A-Za-z]+")


def camel(name: str) -> str:
    """The name as a field's name.

    >>> camel("customer_id"), camel("Total Amount"), camel("2nd_owner"), camel("größe")
    ('customerId', 'totalAmount', '_2ndOwner', 'grosse')
    """
    words = _words(name)
    text = words[0][:1].lower() + words[0][1:] + "".join(_capital(word) for word in words[1:])
    return f"_{text}" if text[0].isdigit() else text


def pascal(name: str) -> str:
    """The name as a type's name.

    >>> pascal("crm_customer_360")
    'CrmCustomer360'
    """
    text = "".join(_capital(word) for word in _words(name))
    return f"_{text}" if text[0].isdigit() else text


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    found = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return found or ["x" + name.encode("utf-8").hex()]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


class Names:
    """Hands out names, each once; who comes second gets `name2`, `name3` ... and is noted in `notes`."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self.notes: list[str] = []

    def take(self, wanted: str, what: str) -> str:
        """`wanted`, or the first free name that begins like it; `what` names the thing in the note."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}{number}"
        self._taken.add(name)
        if name != wanted:
            self.notes.append(f'{what} is named "{name}" in GraphQL: "{wanted}" is taken')
        return name
