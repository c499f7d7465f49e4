"""`dataclasses.dataclass` for classes that are imported much more often than made.

The standard decorator compiles half a dozen methods for every class: half a millisecond, while Python itself starts in
fifteen. A reader imports a hundred classes, of which most sessions need a few. Here a class costs a twentieth of that;
the one method that has to be compiled, `__init__`, is when the first instance is made. Type checkers see the standard
decorator, and `replace`, `asdict`, `fields`, subclasses, pickles and copies work as with it.

It knows plain classes of fields with defaults or factories. All others (bases, `__post_init__`, fields left out of
more than `repr`, frozen without slots) it hands on to the standard one. Methods of its classes can not use `super()`,
as those of slotted ones there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError
from dataclasses import field as field
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

_OWN = frozenset({"__init__", "__post_init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"})
"""What a class that defines it is too special for."""


def _dataclass(
    cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, eq: bool = True, **more: bool
) -> Any:
    """As `dataclasses.dataclass`, ValueError and TypeError of a wrong class included."""

    def made(cls: type) -> type:
        if (slots or not frozen) and not more and _is_plain(cls):
            return _remade(cls, frozen, slots, eq)
        return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq, **more)(cls)

    return made if cls is None else made(cls)


def _is_plain(cls: type) -> bool:
    """Whether there is nothing in `cls` but fields and methods."""
    own = cls.__dict__
    types = own.get("__annotations__")
    if cls.__bases__ != (object,) or not types or not _OWN.isdisjoint(own):
        return False
    if any(word in str(kind) for kind in types.values() for word in ("ClassVar", "InitVar", "KW_ONLY")):
        return False
    return all(_is_default(own[name]) for name in types if name in own)


def _is_default(value: object) -> bool:
    if isinstance(value, Field):
        return value.init and value.compare and value.hash is None and value.kw_only is MISSING and not value.metadata
    return value.__class__.__hash__ is not None  # a mutable one is refused by the standard decorator


def _remade(cls: type, frozen: bool, slots: bool, eq: bool) -> type:
    """A class like `cls`, with the methods of a dataclass."""
    names = tuple(cls.__annotations__)
    inside = {name: value for name, value in cls.__dict__.items() if name not in {"__dict__", "__weakref__"}}
    defaults = {name: inside.pop(name) for name in names if name in inside}

    def __init__(self: object, *args: Any, **named: Any) -> None:
        # Two threads may both compile it: the same twice.
        written: Any = _init(new, names, defaults, frozen)
        new.__init__ = written  # type: ignore[misc]
        written(self, *args, **named)

    shown = tuple(name for name in names if not isinstance(given := defaults.get(name), Field) or given.repr)
    inside |= {"__match_args__": names, "__qualname__": cls.__qualname__}
    inside |= {"__init__": __init__, "__repr__": _showing(shown)}
    if slots:
        inside["__slots__"] = names
    if eq:
        inside |= _comparing(names, frozen)
    if frozen:
        inside |= _FROZEN
    inside |= {"__dataclass_fields__": _Fields(cls), "__dataclass_params__": _Params(frozen, eq)}
    new = type(cls)(cls.__name__, cls.__bases__, inside)
    return new


def _init(cls: type, names: tuple[str, ...], defaults: Mapping[str, Any], frozen: bool) -> Callable[..., None]:
    """`__init__`, compiled."""
    scope: dict[str, Any] = {"__name__": cls.__module__, "__tapes_missing": MISSING}
    parameters, lines = ["self"], []
    for name in names:
        value, given = name, f"__tapes_{name}"
        default = defaults.get(name, MISSING)
        if isinstance(default, Field):
            factory, default = default.default_factory, default.default
            if factory is not MISSING:
                scope[given] = factory
                value = f"{given}() if {name} is __tapes_missing else {name}"
                parameters.append(f"{name}=__tapes_missing")
        if value == name and default is not MISSING:
            scope[given] = default
            parameters.append(f"{name}={given}")
        elif value == name:
            parameters.append(name)
        if frozen:  # __setattr__ refuses; a slot's own descriptor is the way around it, and a quick one
            scope[f"__tapes_set_{name}"] = cls.__dict__[name].__set__
            lines.append(f" __tapes_set_{name}(self, {value})")
        else:
            lines.append(f" self.{name} = {value}")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), scope)
    written: Callable[..., None] = scope["__init__"]
    written.__qualname__ = f"{cls.__qualname__}.__init__"
    written.__annotations__ = {**cls.__annotations__, "return": None}
    return written


def _comparing(names: tuple[str, ...], frozen: bool) -> dict[str, Any]:
    key = attrgetter(*names)

    def __eq__(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: object) -> int:
        return hash(key(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


class _Fields:
    """What `replace`, `asdict` and `fields` go by: made when one of them asks."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type) -> Any:
        if "__dataclass_fields__" not in vars(self._cls):
            dataclasses.dataclass(init=False, repr=False, eq=False)(self._cls)
        return vars(self._cls)["__dataclass_fields__"]


class _Params:
    """What the standard decorator asks of a class that it makes a subclass of."""

    def __init__(self, frozen: bool, eq: bool) -> None:
        self._frozen, self._eq = frozen, eq

    def __get__(self, instance: object, owner: type) -> Any:
        bare: type = dataclasses.dataclass(frozen=self._frozen, eq=self._eq)(type("Any", (), {}))
        return vars(bare)["__dataclass_params__"]


def _showing(names: tuple[str, ...]) -> Callable[[object], str]:
    @recursive_repr()
    def __repr__(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _refuse_set(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_del(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__match_args__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


_FROZEN = {"__setattr__": _refuse_set, "__delattr__": _refuse_del, "__getstate__": _state, "__setstate__": _set_state}

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass
