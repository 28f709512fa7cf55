"""The behaviour that every back end has, as tests that its author inherits.

Subclass `StorageConformance` in a test module, and give it a fixture ``open_place`` that returns a
function from a mode (and keyword settings) to an open `Storage` at one place, which is empty when
the test starts::

    class TestMine(StorageConformance):
        @pytest.fixture
        def open_place(self, tmp_path):
            return lambda mode, **settings: open_mine(tmp_path / "x", mode, **settings)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from exetera_zarr.errors import (
    DataError,
    DatasetExistsError,
    DatasetNotFoundError,
    NameTakenError,
    ReadOnlyError,
)
from exetera_zarr.storage.base import Array, Capability, Group, Storage

__all__ = ["HOSTILE_NAMES", "NAMES", "StorageConformance"]

Opener = Callable[..., Storage]

NAMES = [
    "height/weight",
    "__id",
    "__exetera__",
    "zarr.json",
    "ZARR.JSON",
    "Age",
    "age",
    "AGE",
    "aGE",
    "возраст",
    "with spaces",
    " lead",
    "trail ",
    "trail.",
    ".hidden",
    "...",
    "a..b",
    "%#?",
    "%41ge",
    "a%2Fb",
    "back\\slash",
    "con",
    "NUL",
    "com1.txt",
    "c",
    "c/0",
    "values",
    "e\u0301",
    "日本",
    "🙂",
    "line\nbreak",
    "\x7f",
    "n" * 255,
    "n" * 256,
    "ж" * 100,
]
HOSTILE_NAMES = ["", ".", "..", "a\0b", "\ud800"]
_DTYPES = ["bool", "int8", "uint16", "int32", "int64", "uint64", "float32", "float64", "S1", "S7"]


def values_of(dtype: str, count: int) -> np.ndarray[Any, Any]:
    """Some values of a type that compress and compare like real ones."""
    numbers = np.random.default_rng(count).integers(0, 100, count)
    if dtype.startswith("S"):
        return np.asarray([b"%d" % n for n in numbers.tolist()], "S7").astype(dtype)
    return numbers.astype(dtype)


class StorageConformance:
    """Tests of the contract in `storage.base`."""

    @pytest.fixture
    def open_place(self) -> Opener:
        """A function from a mode to an open storage; every subclass has its own."""
        raise NotImplementedError

    @pytest.fixture
    def storage(self, open_place: Opener) -> Iterator[Storage]:
        """A new, empty storage whose tables have blocks of four rows."""
        storage = open_place("w", row_block=4)
        yield storage
        storage.close()

    @staticmethod
    def field(parent: Group, name: str, dtype: str = "int32") -> Group:
        """A new group with one empty array, as a field has it."""
        attributes: dict[str, Any] = {"fieldtype": "numeric"}
        if dtype.startswith("S"):
            attributes |= {"fieldtype": "fixedstring", "strlen": int(dtype[1:])}
        group = parent.create_group(name, attributes)
        group.set_array("values", group.new_array("values", dtype))
        return group

    @staticmethod
    def all_of(array: Array) -> list[Any]:
        """Every element, as a list."""
        return list(array.read(0, len(array)).tolist())

    # -- opening

    def test_reading_what_is_not_there_is_an_error(self, open_place: Opener) -> None:
        """Neither reading mode makes a dataset of nothing, and neither leaves one behind."""
        for mode in ("r", "r+", "r"):
            with pytest.raises(DatasetNotFoundError):
                open_place(mode)

    def test_create_only_refuses_a_dataset(self, open_place: Opener) -> None:
        """Mode x makes a dataset once."""
        open_place("x").close()
        with pytest.raises(DatasetExistsError):
            open_place("x")

    def test_append_mode_creates_and_opens(self, open_place: Opener) -> None:
        """Mode a makes a dataset of nothing, and opens the one that is there."""
        first = open_place("a")
        first.root.create_group("t")
        first.close()
        again = open_place("a")
        assert list(again.root.keys()) == ["t"]
        again.close()

    def test_an_empty_dataset_can_be_opened(self, open_place: Opener) -> None:
        """What was created and closed is there, though nothing was put in it."""
        open_place("w").close()
        reader = open_place("r")
        assert list(reader.root.keys()) == []
        reader.close()

    def test_write_mode_starts_empty(self, open_place: Opener) -> None:
        """Mode w shows nothing of what was there before."""
        first = open_place("w")
        self.field(first.root.create_group("t"), "f").array("values").append(values_of("int32", 9))
        first.close()
        second = open_place("w")
        assert list(second.root.keys()) == []
        self.field(second.root.create_group("t"), "f").array("values").append(values_of("int32", 3))
        second.close()
        reader = open_place("r")
        array = reader.root.group("t").group("f").array("values")
        assert self.all_of(array) == values_of("int32", 3).tolist()
        reader.close()

    def test_a_reader_cannot_change_anything(self, open_place: Opener) -> None:
        """Every change through a handle opened for reading is refused."""
        writer = open_place("w")
        self.field(writer.root.create_group("t"), "f").array("values").append(values_of("int32", 3))
        writer.close()
        reader = open_place("r")
        assert not reader.writable
        table = reader.root.group("t")
        array = table.group("f").array("values")
        attempts: list[Callable[[], object]] = [
            lambda: table.create_group("g"),
            lambda: table.delete_group("f"),
            lambda: table.rename_groups({"f": "g"}),
            lambda: table.update_attributes({"a": 1}),
            lambda: array.append(values_of("int32", 1)),
            lambda: array.write(0, values_of("int32", 1)),
            array.clear,
            reader.commit,
            reader.rollback,
            lambda: reader.atomic().__enter__(),
        ]
        for attempt in attempts:
            with pytest.raises(ReadOnlyError):
                attempt()
        reader.close()

    def test_nothing_works_after_close(self, open_place: Opener) -> None:
        """A closed storage says that it is closed; closing it again is nothing."""
        storage = open_place("w")
        table = storage.root.create_group("t")
        array = self.field(table, "f").array("values")
        storage.close()
        storage.close()
        for attempt in (lambda: storage.root.keys(), table.keys, lambda: array.read(0, 0)):
            with pytest.raises(ValueError, match="closed"):
                attempt()

    # -- arrays

    @pytest.mark.parametrize("dtype", _DTYPES)
    @pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 23])
    def test_arrays_are_kept(
        self, open_place: Opener, storage: Storage, dtype: str, count: int
    ) -> None:
        """Any length, short of a block, full or across several, comes back after reopening."""
        expected = values_of(dtype, count)
        array = self.field(storage.root.create_group("t"), "f", dtype).array("values")
        for start in range(0, count, 3):
            array.append(expected[start : start + 3])
        assert array.dtype == expected.dtype
        assert array.read(0, count).tolist() == expected.tolist()
        storage.close()
        reader = open_place("r")
        array = reader.root.group("t").group("f").array("values")
        assert (array.dtype, len(array)) == (expected.dtype, count)
        assert array.read(0, count).tolist() == expected.tolist()
        for start in range(count):
            assert array.read(start, count)[:2].tolist() == expected[start : start + 2].tolist()
        reader.close()

    def test_appending_keeps_no_hold_of_the_values(self, storage: Storage) -> None:
        """The caller may reuse an array as soon as it was appended."""
        array = self.field(storage.root, "f").array("values")
        for count in (4, 3, 40):
            values = values_of("int32", count)
            before = self.all_of(array)
            array.append(values)
            expected = before + values.tolist()
            values[:] = -1
            assert self.all_of(array) == expected

    def test_reading_gives_an_array_of_ones_own(self, storage: Storage) -> None:
        """Changing what was read changes nothing that is stored."""
        array = self.field(storage.root, "f").array("values")
        array.append(values_of("int32", 6))
        array.read(0, 6)[:] = -1
        assert self.all_of(array) == values_of("int32", 6).tolist()

    def test_overwriting_and_appending_over_commits(
        self, open_place: Opener, storage: Storage
    ) -> None:
        """Changes of committed, of uploaded and of buffered blocks are all seen, and kept."""
        array = self.field(storage.root, "f").array("values")
        expected: list[int] = []
        for turn in range(4):
            array.append(np.arange(turn * 10, turn * 10 + 7, dtype="int32"))
            expected += range(turn * 10, turn * 10 + 7)
            array.write(2, np.array([-turn, -turn - 1, -turn - 2], "int32"))
            expected[2:5] = [-turn, -turn - 1, -turn - 2]
            assert self.all_of(array) == expected
            storage.commit()
            array = storage.root.group("f").array("values")
            assert self.all_of(array) == expected
        storage.close()
        reader = open_place("r")
        assert self.all_of(reader.root.group("f").array("values")) == expected
        reader.close()

    def test_clear_and_refill(self, open_place: Opener, storage: Storage) -> None:
        """A cleared array starts anew, before and after a commit."""
        array = self.field(storage.root, "f").array("values")
        for count in (9, 5, 0, 4):
            array.append(values_of("int32", count))
            if count == 5:
                storage.commit()
            array.clear()
            assert len(array) == 0
            array.append(values_of("int32", count))
            assert self.all_of(array) == values_of("int32", count).tolist()
            array.clear()
        array.append(values_of("int32", 6))
        storage.close()
        reader = open_place("r")
        assert self.all_of(reader.root.group("f").array("values")) == values_of("int32", 6).tolist()
        reader.close()

    def test_an_array_takes_the_place_of_another(self, storage: Storage) -> None:
        """A new array is not seen before it is put in place, and may be made from the old one."""
        group = self.field(storage.root, "f")
        group.array("values").append(values_of("int32", 9))
        twin = group.new_array("values", "int32")
        twin.append(group.array("values").read(3, 9))
        assert len(group.array("values")) == 9
        group.set_array("values", twin)
        assert self.all_of(group.array("values")) == values_of("int32", 9)[3:].tolist()

    # -- the tree

    def test_order_and_attributes_are_kept(self, open_place: Opener, storage: Storage) -> None:
        """Children keep the order of their creation, groups their attributes."""
        for name in ("z", "a", "m"):
            table = storage.root.create_group(name, {"note": name, "nested": {"list": [1, None]}})
            for field in ("y", "b", "x"):
                self.field(table, field)
        storage.root.group("a").update_attributes({"note": "changed", "more": 1.5, "gone": 1})
        storage.root.group("a").update_attributes({"gone": None, "never": None})
        storage.close()
        reader = open_place("r")
        assert list(reader.root.keys()) == ["z", "a", "m"]
        assert list(reader.root.group("m").keys()) == ["y", "b", "x"]
        about = reader.root.group("a").attributes
        assert not {"gone", "never"} & about.keys()
        assert (about["note"], about["more"], about["nested"]) == (
            "changed",
            1.5,
            {"list": [1, None]},
        )
        reader.close()

    def test_missing_and_taken_names(self, storage: Storage) -> None:
        """A child that is not there is a KeyError; one that is there cannot be made again."""
        storage.root.create_group("t")
        assert "t" in storage.root
        assert "u" not in storage.root
        with pytest.raises(KeyError):
            storage.root.group("u")
        with pytest.raises(KeyError):
            storage.root.delete_group("u")
        with pytest.raises(NameTakenError):
            storage.root.create_group("t")

    def test_deleting(self, open_place: Opener, storage: Storage) -> None:
        """What was deleted is gone for good, and its name is free."""
        table = storage.root.create_group("t")
        self.field(table, "f").array("values").append(values_of("int32", 9))
        storage.commit()
        table.delete_group("f")
        assert list(table.keys()) == []
        self.field(table, "f", "float64").array("values").append(values_of("float64", 2))
        storage.close()
        reader = open_place("r")
        array = reader.root.group("t").group("f").array("values")
        assert self.all_of(array) == values_of("float64", 2).tolist()
        reader.close()

    @pytest.mark.parametrize("committed", [False, True])
    def test_renaming(self, open_place: Opener, storage: Storage, committed: bool) -> None:
        """Names may swap; order and content stay, whether committed before or not."""
        table = storage.root.create_group("t")
        for number, name in enumerate(("a", "b", "c")):
            self.field(table, name).array("values").append(np.full(9, number, "int32"))
        if committed:
            storage.commit()
        table.rename_groups({"a": "c", "c": "a"})
        storage.root.rename_groups({"t": "T/2"})
        table = storage.root.group("T/2")
        with pytest.raises(NameTakenError):
            table.rename_groups({"a": "b"})
        storage.close()
        reader = open_place("r")
        table = reader.root.group("T/2")
        assert list(table.keys()) == ["c", "b", "a"]
        for number, name in enumerate(("c", "b", "a")):
            assert self.all_of(table.group(name).array("values")) == [number] * 9
        reader.close()

    def test_reordering(self, open_place: Opener, storage: Storage) -> None:
        """Children can be put in another order, which is kept."""
        for name in ("a", "b", "c"):
            self.field(storage.root, name)
        storage.root.reorder(["c", "a", "b"])
        storage.close()
        reader = open_place("r")
        assert list(reader.root.keys()) == ["c", "a", "b"]
        reader.close()

    def test_any_name_can_be_used(self, open_place: Opener, storage: Storage) -> None:
        """Names with separators, signs, letters of any script and case come back as they were."""
        names = [name for name in NAMES if name != "e\u0301"]
        for parent in (storage.root, storage.root.create_group("in a table")):
            for number, name in enumerate(names):
                self.field(parent, name).array("values").append(np.array([number], "int32"))
        storage.close()
        reader = open_place("r")
        for parent in (reader.root, reader.root.group("in a table")):
            assert [name for name in parent if name != "in a table"] == names
            for number, name in enumerate(names):
                assert self.all_of(parent.group(name).array("values")) == [number], name
        reader.close()

    def test_composed_and_decomposed_letters_are_one_name(self, storage: Storage) -> None:
        """A letter with an accent is the same name, however it was typed."""
        storage.root.create_group("e\u0301")
        assert list(storage.root.keys()) == ["\xe9"]
        with pytest.raises(NameTakenError):
            storage.root.create_group("\xe9")

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_impossible_names_are_refused(self, storage: Storage, name: str) -> None:
        """A name that no store could keep is an error, and nothing is made."""
        with pytest.raises(DataError):
            storage.root.create_group(name)
        storage.root.create_group("t")
        with pytest.raises(DataError):
            storage.root.rename_groups({"t": name})
        assert list(storage.root.keys()) == ["t"]

    # -- all or nothing

    @staticmethod
    def _needs(storage: Storage, capability: Capability) -> None:
        if capability not in storage.capabilities:
            pytest.skip(f"this back end has no {capability.value}")

    @pytest.mark.parametrize("committed", [False, True])
    def test_a_failed_block_leaves_nothing(
        self, open_place: Opener, storage: Storage, committed: bool
    ) -> None:
        """An exception inside of atomic() undoes every kind of change."""
        self._needs(storage, Capability.ROLLBACK)
        table = storage.root.create_group("t", {"note": "before"})
        for name, count in (("short", 3), ("full", 8), ("long", 11), ("cleared", 9)):
            self.field(table, name).array("values").append(values_of("int32", count))
        if committed:
            storage.commit()

        def change_all() -> None:
            table.group("short").array("values").append(values_of("int32", 30))
            table.group("full").array("values").write(3, values_of("int32", 5))
            table.group("long").array("values").write(0, values_of("int32", 9))
            table.group("long").array("values").append(values_of("int32", 9))
            table.group("cleared").array("values").clear()
            table.group("cleared").array("values").append(values_of("int32", 20))
            table.update_attributes({"note": "after"})
            self.field(table, "new").array("values").append(values_of("int32", 20))
            table.rename_groups({"short": "Short"})
            table.delete_group("full")
            raise InterruptedError

        for _ in range(2):
            with pytest.raises(InterruptedError), storage.atomic():
                change_all()
            self._check_before(table)
        self._check_before(storage.root.group("t"))
        table.group("cleared").array("values").clear()
        table.group("cleared").array("values").append(values_of("int32", 9))
        storage.close()
        reader = open_place("r")
        self._check_before(reader.root.group("t"))
        reader.close()

    def _check_before(self, table: Group) -> None:
        assert list(table.keys()) == ["short", "full", "long", "cleared"]
        assert table.attributes["note"] == "before"
        for name, count in (("short", 3), ("full", 8), ("long", 11), ("cleared", 9)):
            expected = values_of("int32", count).tolist()
            assert self.all_of(table.group(name).array("values")) == expected

    def test_a_block_that_succeeds_is_kept(self, storage: Storage) -> None:
        """atomic() undoes nothing when no exception leaves it, nor what was before it."""
        self._needs(storage, Capability.ROLLBACK)
        array = self.field(storage.root, "f").array("values")
        array.append(values_of("int32", 3))
        with storage.atomic():
            storage.root.group("f").array("values").append(values_of("int32", 7))
        with pytest.raises(InterruptedError), storage.atomic():
            storage.root.group("f").array("values").append(values_of("int32", 5))
            raise InterruptedError
        expected = values_of("int32", 3).tolist() + values_of("int32", 7).tolist()
        assert self.all_of(storage.root.group("f").array("values")) == expected

    def test_rollback(self, storage: Storage) -> None:
        """Rolling back shows the committed version again."""
        self._needs(storage, Capability.ROLLBACK)
        self.field(storage.root, "f").array("values").append(values_of("int32", 9))
        storage.commit()
        storage.root.group("f").array("values").write(1, values_of("int32", 6))
        self.field(storage.root, "g")
        assert storage.changed
        storage.rollback()
        assert not storage.changed
        assert list(storage.root.keys()) == ["f"]
        expected = values_of("int32", 9).tolist()
        assert self.all_of(storage.root.group("f").array("values")) == expected

    def test_what_was_undone_is_not_there_when_opened_again(
        self, open_place: Opener, storage: Storage
    ) -> None:
        """Neither by a rollback, nor by an exception inside of atomic()."""
        self._needs(storage, Capability.ROLLBACK)
        expected = values_of("int32", 9)
        self.field(storage.root, "f").array("values").append(expected)
        storage.close()
        for by_exception in (True, False):
            writer = open_place("r+")
            array = writer.root.group("f").array("values")
            if by_exception:
                with pytest.raises(InterruptedError), writer.atomic():
                    array.append(values_of("int32", 5))
                    raise InterruptedError
            else:
                array.append(values_of("int32", 5))
                writer.rollback()
            writer.close()
            reader = open_place("r")
            assert self.all_of(reader.root.group("f").array("values")) == expected.tolist()
            reader.close()

    def test_versions_count_up(self, open_place: Opener, storage: Storage) -> None:
        """A commit with changes is a new version, one without is none; history lists them."""
        self._needs(storage, Capability.VERSIONS)
        assert storage.version == 0
        table = storage.root.create_group("t")
        assert storage.commit() == 1
        assert storage.commit() == 1
        self.field(table, "f")
        storage.root.create_group("u")
        assert storage.commit() == 2
        assert [(c.version, c.changed) for c in storage.history()] == [
            (2, ("t", "u")),
            (1, ("t",)),
            (0, ()),
        ]
        storage.close()
        reader = open_place("r")
        assert reader.version == 2
        reader.close()
