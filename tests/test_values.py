"""Classes of `tapes.values` are dataclasses to whoever looks."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import pickle
import typing

import pytest

from tapes.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Point:
    """A value."""

    x: int
    y: int = 2
    marks: list[str] = field(default_factory=list)
    word: str = field(default="w")

    def sum(self) -> int:
        return self.x + self.y


@dataclass(slots=True)
class Counter:
    n: int = 0


@dataclass
class Open:
    n: int
    hidden: str = field(default="", repr=False)

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.n


@dataclass(frozen=True, slots=True, eq=False)
class Handle:
    name: str


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


@dataclass(frozen=True, slots=True)
class Placed(Point):
    z: int = 3


@dataclass(slots=True)
class Squared:
    side: int
    area: int = field(init=False)
    unit: typing.ClassVar[str] = "m"

    def __post_init__(self) -> None:
        self.area = self.side**2


def test_fields_are_given_in_order_by_name_or_left_to_their_defaults() -> None:
    assert (Point(1).y, Point(1, 5).y, Point(y=6, x=1).y, Point(1).word, Point(1).sum()) == (2, 5, 6, "w", 3)
    first, second = Point(1), Point(1)
    first.marks.append("a")
    assert second.marks == []


def test_a_wrong_call_names_the_class() -> None:
    for wrong in ({}, {"x": 1, "z": 2}):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
            Point(**wrong)  # type: ignore[arg-type]


def test_a_frozen_value_can_not_be_changed_and_an_open_one_can() -> None:
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert not hasattr(point, "__dict__")
    counter = Counter()
    counter.n += 1
    assert counter == Counter(1)
    with pytest.raises(AttributeError):
        counter.other = 1  # type: ignore[attr-defined]


def test_a_class_without_slots_takes_more_than_its_fields() -> None:
    one = Open(3, "x")
    assert (one.double, vars(one)) == (6, {"n": 3, "hidden": "x", "double": 6})
    assert repr(one) == "Open(n=3)"
    assert one == Open(3, "x") != Open(3) and dataclasses.replace(one, n=4).double == 8


def test_values_are_equal_by_class_and_fields_and_hash_alike() -> None:
    @dataclass(frozen=True, slots=True)
    class Other:
        x: int
        y: int

    @dataclass(frozen=True, slots=True)
    class Same:
        x: int
        y: int

    assert Other(1, 2) == Other(1, 2) != Other(1, 3)
    assert Other(1, 2) != Same(1, 2)  # type: ignore[comparison-overlap]
    assert len({Other(1, 2), Other(1, 2), Other(2, 1)}) == 2
    with pytest.raises(TypeError):
        hash(Point(1))  # of its list
    with pytest.raises(TypeError):
        hash(Counter())
    assert Handle("a") != Handle("a") and len({Handle("a"), Handle("a")}) == 2


def test_the_standard_functions_know_it() -> None:
    point = Point(1)
    assert dataclasses.is_dataclass(Point)
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y", "marks", "word"]
    assert dataclasses.replace(point, y=7) == Point(1, 7)
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "marks": [], "word": "w"}
    assert repr(point) == "Point(x=1, y=2, marks=[], word='w')"
    assert list(inspect.signature(Point).parameters) == ["x", "y", "marks", "word"]
    match point:
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_copies_and_pickles_are_equal_to_it() -> None:
    for value in (Point(1, 3, ["a"]), Counter(4), Open(5)):
        assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value
        assert pickle.loads(pickle.dumps(value)) is not value


def test_what_is_no_plain_class_of_fields_is_a_standard_dataclass() -> None:
    assert Placed(1) == Placed(1, 2, [], "w", 3) != Point(1) and isinstance(Placed(1), Point)
    assert repr(Placed(1)) == "Placed(x=1, y=2, marks=[], word='w', z=3)"
    assert (Squared(3).area, Squared.unit, Nothing() == Nothing()) == (9, "m", True)
    with pytest.raises(TypeError, match="frozen"):

        @dataclass(slots=True)
        class Changing(Point):  # type: ignore[misc]
            n: int = 0

    with pytest.raises(ValueError, match="mutable default"):

        @dataclass(slots=True)
        class Shared:
            names: list[str] = []  # noqa: RUF012
