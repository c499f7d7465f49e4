"""Files of one kind (an agent's, a dialect's) of which a run needs one or two: each is imported when it is asked for.

To import all of them costs a command more than its work: `tapes show` reads a session of one agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module


class Family[T]:
    """The members by name, in the order given; `openai-chat` is in the file openai_chat.py. Each is made once."""

    def __init__(self, package: str, classes: dict[str, str]) -> None:
        self._package = package
        self._classes = classes
        self._made: dict[str, T] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Known without importing any."""
        return tuple(self._classes)

    def __getitem__(self, name: str) -> T:
        """KeyError for a name that is not here."""
        made = self._made.get(name)
        if made is None:
            wanted = self._classes[name]
            module = import_module(f"{self._package}.{name.replace('-', '_')}")
            made = self._made[name] = getattr(module, wanted)()
        return made

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[T]:
        """The members, each imported when it is come to."""
        return map(self.__getitem__, self._classes)

    def __len__(self) -> int:
        return len(self._classes)
