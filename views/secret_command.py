"""A secret that a program tells: run without a shell, for some seconds, and nothing of what it says is ever shown."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.errors import ConfigError
from connectors.surroundings import harmless

TIMEOUT = 10.0  # seconds
LONGEST = 64 << 10  # bytes


def told(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What the program writes to its standard output, without the last newline; it runs in `folder`.

    ConfigError names the program, and neither its arguments nor what it said.
    """
    program = command[0]
    path = str(folder / program) if "/" in program else program
    try:
        process = subprocess.Popen(  # noqa: S603  (the project's owner wrote it, as a list: no shell reads it)
            [path, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=harmless(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no program"
        raise ConfigError(
            f'cannot run "{program}" for a secret: {reason}', hint="write {command: [program, argument, ...]}"
        ) from None
    with process:
        output = _read(process, program)
    if process.returncode:
        raise ConfigError(
            f'"{program}", which is to tell a secret, failed with exit code {process.returncode}',
            hint="what it said is not shown, as it may hold the secret: run it by hand as the same user",
        )
    try:
        return output.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f'"{program}", which is to tell a secret, wrote what is not UTF-8 text') from None


def _read(process: subprocess.Popen[bytes], program: str) -> bytes:
    end, output, stream = time.monotonic() + TIMEOUT, b"", process.stdout
    assert stream is not None  # noqa: S101  (for the type checker)
    why = f"did not end within {TIMEOUT:g} s"
    while (left := end - time.monotonic()) > 0:
        if not select.select([stream], [], [], left)[0]:
            break
        piece = os.read(stream.fileno(), LONGEST)
        output += piece
        if len(output) > LONGEST:
            why = f"wrote more than {LONGEST >> 10} kB"
            break
        if not piece:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(left, 0.1))
                return output
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    raise ConfigError(f'"{program}", which is to tell a secret, {why}', hint="run it by hand as the same user")
