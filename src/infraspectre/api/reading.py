"""Reads of records in the loop of the server: what is short at once, all else in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from infraspectre.ports import RecordStore

Given = ParamSpec("Given")
Read = TypeVar("Read")


async def soon(
    records: RecordStore, is_short: bool, read: Callable[Given, Read], *given: Given.args, **named: Given.kwargs
) -> Read:
    """Return what a function reads of records: without a thread, which takes as long again, where that is short."""
    if is_short and records.is_local:
        return read(*given, **named)
    return await asyncio.to_thread(read, *given, **named)
