"""Arrays of a draft: the committed chunks, with the draft's changes over them."""

from __future__ import annotations

import itertools
import secrets
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from exetera_zarr.errors import CorruptDataError, ExeteraError
from exetera_zarr.storage import concurrency, keys
from exetera_zarr.storage.base import empty
from exetera_zarr.storage.remote.limits import at_most
from exetera_zarr.storage.system import processors
from exetera_zarr.storage.zarr import zones
from exetera_zarr.storage.zarr.block_cache import Buffer, ReadCache, WriteBack
from exetera_zarr.storage.zarr.chunks.coding import ChunkCodec
from exetera_zarr.storage.zarr.chunks.foreign import decode_foreign
from exetera_zarr.storage.zarr.packs import PackCache
from exetera_zarr.storage.zarr.readahead import Order, ReadAhead
from exetera_zarr.storage.zarr.table_documents import PartOfTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exetera_zarr.storage.base import AnyArray
    from exetera_zarr.storage.stores.base import ObjectStore
    from exetera_zarr.storage.undo import Changeable

__all__ = ["DraftArray", "DraftContext", "StoredArray", "block_of"]

_BYTES_BLOCK = 8 << 20
_LARGEST_CHUNK = 32 << 20
_MANY = 1024
_HEAD = 1 << 16
"""Bytes that a chunk may have besides its elements."""
_LARGE = 1 << 16
"""Elements whose decoding takes longer than having another thread do it."""
_serials = itertools.count()


def block_of(role: str, dtype: np.dtype[Any], row_block: int, *, of_bytes: bool) -> int:
    """
    Elements of a full chunk of a new array.

    Parameters
    ----------
    role
        Role of the array in its field.
    dtype
        Of its elements.
    row_block
        Rows of a block of the table.
    of_bytes
        Whether the elements are the bytes of strings instead of one a row: those are cut by bytes.
    """
    if of_bytes and role == "values":
        return _BYTES_BLOCK
    while row_block > 1 and row_block * dtype.itemsize > _LARGEST_CHUNK:
        row_block //= 2
    return row_block


@dataclass(frozen=True)
class StoredArray:
    """
    An array as a committed version has it.

    Parameters
    ----------
    path
        Of its Zarr node, below the dataset's root.
    dtype
        Of the elements in memory.
    length
        Elements.
    chunk
        Elements of a chunk.
    document
        Its Zarr document.
    native
        Whether the codecs are ours; others are decoded by zarr, and never written.
    """

    path: str
    dtype: np.dtype[Any]
    length: int
    chunk: int
    document: dict[str, Any]
    native: bool = True

    def key(self, block: int) -> str:
        """Key of the object that holds a block."""
        return chunk_key(self.path, self.dtype, block)


def chunk_key(path: str, dtype: np.dtype[Any], block: int) -> str:
    """Key of a chunk's object; a fixed string is a row of bytes in a second dimension."""
    return f"{path}/c/{block}/0" if dtype.kind == "S" else f"{path}/c/{block}"


@dataclass
class DraftContext:
    """What the arrays of one draft share."""

    store: ObjectStore
    uploads: concurrency.Uploads
    write_back: WriteBack
    gone: Callable[[str], Exception]
    """The error to raise where the object of that key is missing."""
    ahead: ReadAhead
    changing: Callable[[Changeable], None]
    """Called with an array that is about to change."""
    read_cache: ReadCache = field(default_factory=ReadCache)
    lock: threading.RLock = field(default_factory=threading.RLock)
    fresh_place: bool = False
    """This process created the dataset and has committed nothing: plain names are unused."""
    epoch: int = 0
    """Grows with every snapshot; what is older belongs to a snapshot, too."""
    generation: int = 0
    """Grows when a version may reach what was written so far: the rest goes to other paths."""
    used: set[str] = field(default_factory=set)
    """Paths that were written and that no version had which this draft was over."""
    settled: set[str] = field(default_factory=set)
    """Those of them that were written by commits, of which some may have failed."""
    arrays: weakref.WeakSet[DraftArray] = field(default_factory=weakref.WeakSet)
    """All that there are, also such as are in no group yet, or in a snapshot."""
    segments: dict[str, set[str]] = field(default_factory=dict)
    """Path segments that tables had before they were renamed here, by the table's id."""

    packs: PackCache = field(default_factory=PackCache)
    sent: dict[str, set[str]] = field(default_factory=dict)
    """Keys that were written and that no version had so far, by the paths of their arrays."""

    def at_once(self, elements: int) -> int:
        """As of `storage.base.Array`."""
        decoding = processors() if elements >= _LARGE else 1
        return max(self.ahead.most, decoding)

    def note(self, path: str, key: str) -> str:
        """Note that an object of an array is going to be written; its key."""
        self.sent.setdefault(path, set()).add(key)
        return key

    def fresh_path(self, prefix: str, role: str) -> str:
        """A node path that no draft has written before."""
        plain = f"{prefix}/{role}"
        path = plain
        while not self.fresh_place or path in self.used:
            path = f"{plain}-{secrets.token_hex(6)}"
            if path not in self.used:
                break
        self.used.add(path)
        return path

    def fresh_pack(self, table: str) -> str:
        """The path of a pack that no draft has written before."""
        path = f"{table}/__pack-{secrets.token_hex(6)}"
        self.used.add(path)
        return path


class DraftArray(PartOfTable):
    """
    One array of a draft.

    A block is in one of three places: changed and decoded (`Buffer`), written by this draft
    (`Upload`), or, where nothing is noted, in the committed array.

    Parameters
    ----------
    context
        Shared by the arrays of the draft.
    prefix
        Node path of the field.
    role
        ``values`` or ``index``.
    dtype
        Of the elements.
    block
        Elements of a full chunk.
    stored
        The committed array that it starts from.
    """

    def __init__(
        self,
        context: DraftContext,
        prefix: str,
        role: str,
        dtype: np.dtype[Any],
        block: int,
        stored: StoredArray | None = None,
    ) -> None:
        self.context = context
        self.serial = next(_serials)
        self.prefix = prefix
        self.role = role
        self.dtype = dtype
        self.block = block
        self.codec = ChunkCodec(role, dtype)
        self.length = stored.length if stored else 0
        self.stored = stored
        self.changes = 0
        self.adopted = False
        """Whether others have written it, so that it is not written again to be joined."""
        self._target: str | None = None
        self._generation = -1
        self._written: dict[int, concurrency.Upload] = {}
        self._settled_at: int | None = None
        self._moved = False
        self._blocks: dict[int, Buffer | concurrency.Upload] = {}
        self._order = Order()
        self._extremes: dict[str, zones.Extremes] = {}
        """Of the chunks that this draft has written, by their keys."""
        self._zones: tuple[str, zones.Zones | None] | None = None
        """Path and zones of the committed array, once somebody has asked."""
        context.arrays.add(self)

    def adopt(self, path: str, extremes: Sequence[zones.Extremes]) -> None:
        """
        Have whole blocks that others have written; of an array without elements.

        Parameters
        ----------
        path
            Where they are: one that nobody has written to before, and that nobody else writes to.
        extremes
            Of each of them.
        """
        assert self.length == 0
        assert self.stored is None
        self.touch()
        self.changes += 1
        self.adopted = True
        self._new_target_at(path)
        for number, known in enumerate(extremes):
            key = self.context.note(path, chunk_key(path, self.dtype, number))
            self._blocks[number] = self._written[number] = concurrency.Upload.made(key)
            self._extremes[key] = known
        self.length = len(extremes) * self.block

    def paths(self) -> set[str]:
        """Paths of what this draft has written of it."""
        blocks = list(self._blocks.values())
        found = {keys.node_of(b.key) for b in blocks if isinstance(b, concurrency.Upload)}
        return found if self._target is None else {*found, self._target}

    def saved(self) -> Callable[[], None]:
        """As of `storage.undo.Changeable`; buffers are shared until a later epoch changes them."""
        twin = DraftArray(self.context, self.prefix, self.role, self.dtype, self.block, self.stored)
        twin.length = self.length
        twin._blocks = dict(self._blocks)
        twin._moved = self._moved
        return partial(self._restore, twin)

    def _restore(self, twin: DraftArray) -> None:
        """Be as when a twin was made, which has kept what was written for this one since."""
        self.changes += 1
        self._target = None  # what is written next must not meet what comes late
        self.length, self.stored, self._moved = twin.length, twin.stored, twin._moved
        self._blocks = dict(twin._blocks)

    @property
    def changed(self) -> bool:
        """Whether it differs from the committed array."""
        stored = self.stored
        return stored is None or self._moved or bool(self._blocks) or self.length != stored.length

    def move(self) -> None:
        """Have the next version at a new path, although nothing was changed."""
        self.touch()
        self._moved = True
        self.changes += 1

    @property
    def blocks(self) -> int:
        """Number of its chunks."""
        return -(-self.length // self.block)

    # -- reading

    def at_once(self, elements: int) -> int:
        """How many arrays are better read at a time; see `storage.base.Array.at_once`."""
        return self.context.at_once(elements)

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Elements ``start`` to ``stop``; see `storage.base.Array.read`."""
        last = (stop - 1) // self.block
        if last - start // self.block > _MANY and last not in self._blocks:
            # A document can claim any length; what is not there ends here, and not in memory.
            self._fetch(self._object(last)[0])
        if out is None:
            out = empty(stop - start, self.dtype)
        concurrency.run(self.jobs(start, stop, out), self.context.store.concurrency)
        return out

    def jobs(self, start: int, stop: int, out: AnyArray) -> list[Callable[[], None]]:
        """What has to be done to have elements ``start`` to ``stop`` in an array."""
        pieces = list(self._pieces(start, stop))
        if pieces and self.context.ahead.most:
            self._expect(pieces[0][0], pieces[-1][0])
        return [partial(self._fill, piece, start, out) for piece in pieces]

    def _expect(self, first: int, last: int) -> None:
        """Have what comes after blocks that are read on its way, where that is read in order."""
        ahead, stored = self.context.ahead, self.stored
        following = self._order.read(first, last, ahead.most)
        if stored is None or not following:
            return
        there = -(-min(stored.length, self.length) // self.block)
        numbers = [n for n in following if n < there and n not in self._blocks]
        size = stored.chunk * self.dtype.itemsize
        ahead.expect(map(stored.key, numbers), size, self._most())

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Block number, and first and last element within the block, of each block touched."""
        for number in range(start // self.block, -(-stop // self.block)):
            base = number * self.block
            yield number, max(start - base, 0), min(stop - base, self.block)

    def _fill(self, piece: tuple[int, int, int], start: int, out: AnyArray) -> None:
        number, low, high = piece
        offset = number * self.block + low - start
        part = out[offset : offset + high - low]
        place = self._blocks.get(number)
        if isinstance(place, Buffer):
            part[...] = place.read(low, high)
            return
        key, chunk = self._object(number)
        native = self._native(number)
        if low == 0 and high == chunk and native:
            self._decode(key, place, part)
            return
        # The draft may write over its own uploads, and never over what a version has.
        known = key, place.serial if isinstance(place, concurrency.Upload) else 0
        decoded = self.context.read_cache.get(known)
        if decoded is None:
            decoded = self._decoded(number)
            self.context.read_cache.put(known, decoded)
        part[...] = decoded[low:high]

    def _object(self, number: int) -> tuple[str, int]:
        """Key of the object that holds a block, and the elements of its chunk."""
        place = self._blocks.get(number)
        if isinstance(place, concurrency.Upload):
            return place.key, self.block
        stored = self.stored
        if stored is None:
            raise CorruptDataError(f"{self.prefix}/{self.role}: block {number} was never written")
        return stored.key(number), stored.chunk

    def _native(self, number: int) -> bool:
        return number in self._blocks or self.stored is None or self.stored.native

    def _decoded(self, number: int) -> AnyArray:
        """A whole chunk in a new array."""
        key, chunk = self._object(number)
        place = self._blocks.get(number)
        if self._native(number):
            decoded = np.empty(chunk, self.dtype)
            self._decode(key, place, decoded)
            return decoded
        assert self.stored is not None
        try:
            return decode_foreign(self.stored.document, self._fetch(key), self.dtype)
        except ExeteraError:
            raise
        except Exception as error:
            raise CorruptDataError(
                f"{self.context.store.url}/{key} cannot be decoded: {error}"
            ) from error

    def _decode(self, key: str, place: Buffer | concurrency.Upload | None, out: AnyArray) -> None:
        encoded = place.encoded if isinstance(place, concurrency.Upload) else None
        if encoded is None and isinstance(place, concurrency.Upload):
            place.wait()
            if place.error is not None and place.encoded is None:
                place.wait_stored()
            encoded = place.encoded
        fetched = encoded or self._fetch(key)
        try:
            self.codec.decode(fetched, out)
        except CorruptDataError as error:
            try:  # it may have been damaged on its way
                self.codec.decode(self._fetch(key, again=True), out)
            except CorruptDataError:
                raise CorruptDataError(f"{self.context.store.url}/{key}: {error}") from error

    def _fetch(self, key: str, *, again: bool = False) -> bytes:
        try:
            with at_most(self._most()):
                return self.context.store.get_again(key) if again else self.context.ahead.get(key)
        except FileNotFoundError as error:
            raise self.context.gone(key) from error

    def _most(self) -> int:
        """Bytes that a chunk can take, also one that cannot be compressed, or is a shard."""
        stored = self.stored
        rows = self.block if stored is None else max(self.block, stored.chunk)
        size = rows * self.dtype.itemsize
        return (2 * size if stored is not None and not stored.native else size) + size // 64 + _HEAD

    def _copy(self, source: str, target: str) -> None:
        try:
            self.context.store.copy(source, target)
        except FileNotFoundError as error:
            raise self.context.gone(source) from error

    def check(self, number: int) -> None:
        """Read a whole chunk from the store and forget it; CorruptDataError if it is damaged."""
        decoded = self._decoded(number)
        said = self.extremes(number * self.block, number * self.block + 1)
        if said is not None:
            found = zones.extremes(decoded[: self._rows(number)])
            if found is None or found[0] < said[0] or found[1] > said[1]:
                raise CorruptDataError(f"its zone has values from {said[0]} to {said[1]} alone")

    # -- zones

    def extremes(self, start: int, stop: int) -> zones.Extremes:
        """Bounds of elements ``start`` to ``stop``; see `storage.base.Array.extremes`."""
        if self.stored is None or start >= stop:
            return None
        first, end = start // self.block, -(-stop // self.block)
        if self._blocks and not self._blocks.keys().isdisjoint(range(first, end)):
            return None
        known = self._stored_zones()
        return None if known is None else known.over(first, end)

    def _stored_zones(self) -> zones.Zones | None:
        """The zones of the committed array; None where it has none that can be read."""
        stored = self._with_zones()
        if stored is None:
            return None
        if self._zones is None or self._zones[0] != stored.path:
            found, chunks = None, -(-stored.length // stored.chunk)
            most = zones.size_of(self.dtype, chunks)
            with suppress(FileNotFoundError, CorruptDataError), at_most(most):
                data = self.context.store.get(zones.zones_key(stored.path))
                found = zones.Zones.decoded(data, self.dtype, chunks)
            self._zones = stored.path, found
        return self._zones[1]

    def check_zones(self) -> None:
        """CorruptDataError where the committed array should have zones that cannot be read."""
        stored = self._with_zones()
        if stored is not None and self._stored_zones() is None:
            key = zones.zones_key(stored.path)
            raise CorruptDataError(
                f"{self.context.store.url}/{key} is missing or damaged, so that comparisons read "
                "all chunks"
            )

    def _with_zones(self) -> StoredArray | None:
        """The committed array, if its document says that it has zones."""
        stored = self.stored
        if stored is None or stored.chunk != self.block:
            return None
        said = stored.document.get("attributes", {}).get("zones")
        return stored if type(said) is int and said == zones.FORMAT else None

    def zoned(self, target: StoredArray) -> bool:
        """Whether that array of a version will have zones."""
        return zones.have_zones(self.role, self.dtype, -(-target.length // target.chunk))

    def settle_zones(self, target: StoredArray) -> None:
        """Write the zones of an array that `settle` has given."""
        key = self.context.note(target.path, zones.zones_key(target.path))
        stored = self._stored_zones()
        each: list[zones.Extremes] = []
        for number in range(self.blocks):
            place = self._blocks.get(number)
            if isinstance(place, concurrency.Upload):
                place.wait_encoded()
                each.append(self._extremes.get(place.key))
            elif isinstance(place, Buffer):
                each.append(zones.extremes(place.read(0, self._rows(number))))
            else:
                each.append(None if stored is None else stored.over(number, number + 1))
        self.context.store.put(key, zones.Zones.of(self.dtype, each).encoded())

    # -- changing

    def append(self, values: AnyArray, *, given: bool = False) -> None:
        """Add elements at the end; whole blocks are uploaded at once, `given` ones beside work."""
        with self.context.lock:
            self.context.changing(self)
            before = self.length
            pending: list[concurrency.Upload] = []
            self.changes += 1
            try:
                self._append(values, pending)
            except BaseException:
                self._shorten(before)
                raise
            finally:
                if not given:
                    for upload in pending:
                        upload.wait_encoded()

    def _append(self, values: AnyArray, pending: list[concurrency.Upload]) -> None:
        position = 0
        while position < len(values):
            number, used = divmod(self.length, self.block)
            count = min(self.block - used, len(values) - position)
            part = values[position : position + count]
            if count == self.block:
                upload = self._send(number, part)
                pending.append(upload)
            else:
                buffer = self._buffer(number, used)
                buffer.extend(used, part, self.block)
                if used + count == self.block:
                    self._send(number, buffer)
                else:
                    self.context.write_back.touch(buffer)
            self.length += count
            position += count

    def _send(self, number: int, source: AnyArray | Buffer) -> concurrency.Upload:
        """Upload a full block."""
        target = self._target
        if target is None or self._spent() or not self._has_landed(number):
            target = self._new_target(self.prefix)
        key = self.context.note(target, chunk_key(target, self.dtype, number))
        block = self.block

        has_zones = zones.have_zones(self.role, self.dtype, zones.LEAST_CHUNKS)

        def encode() -> bytes:
            data = source.read(0, block) if isinstance(source, Buffer) else source
            if has_zones:
                self._extremes[key] = zones.extremes(data)
            return self.codec.encode(data, block)

        upload = self.context.uploads.send(key, encode, block * self.dtype.itemsize)
        self._blocks[number] = self._written[number] = upload
        return upload

    def _spent(self) -> bool:
        """Whether nothing else may be written to the path so far: a version may be that."""
        return self._generation != self.context.generation or self._settled_at is not None

    def _new_target(self, prefix: str) -> str:
        return self._new_target_at(self.context.fresh_path(prefix, self.role))

    def _new_target_at(self, path: str) -> str:
        self._written, self._settled_at = {}, None
        self._generation = self.context.generation
        self.context.used.add(path)
        self._target = path
        return path

    def _shorten(self, length: int) -> None:
        """Undo an append that failed. What it uploads may still arrive, so that path is done."""
        self.length = length
        self._target = None
        for number in [n for n in self._blocks if n >= self.blocks]:
            del self._blocks[number]

    def shorten(self, length: int) -> None:
        """Forget the last elements, of an array that no version has."""
        with self.context.lock:
            self.context.changing(self)
            self.changes += 1
            self._shorten(length)

    @property
    def buffered(self) -> bool:
        """Whether all of it is in memory, or spilled: one block, of which nothing was uploaded."""
        return self.stored is None and all(isinstance(b, Buffer) for b in self._blocks.values())

    def _buffer(self, number: int, used: int) -> Buffer:
        """The block's buffer, decoded from where the block is if it has none of this epoch."""
        place = self._blocks.get(number)
        epoch = self.context.epoch
        if isinstance(place, Buffer):
            if place.epoch == epoch:
                return place
            buffer = Buffer(place.read(0, used).copy(), epoch)
        elif used == 0:
            buffer = Buffer(np.empty(0, self.dtype), epoch)
        else:
            if isinstance(place, concurrency.Upload):
                place.wait()
            buffer = Buffer(self._decoded(number)[:used].copy(), epoch)
        self._blocks[number] = buffer
        return buffer

    def write(self, start: int, values: AnyArray) -> None:
        """Overwrite from `start`, all or nothing; the blocks are encoded once, at commit."""
        with self.context.lock:
            self.context.changing(self)
            self.changes += 1
            pieces = list(self._pieces(start, start + len(values)))
            if len(pieces) == 1:
                number, low, high = pieces[0]
                buffer = self._buffer(number, self._rows(number))
                before = buffer.read(low, high).copy()
                buffer.change(low, values)
                try:
                    self.context.write_back.touch(buffer)
                except BaseException:  # as of a full disk: nothing is written then
                    buffer.change(low, before)
                    raise
                return
            made: dict[int, Buffer | concurrency.Upload] = {}
            for number, low, high in pieces:
                offset = number * self.block + low - start
                made[number] = self._overwritten(number, low, values[offset : offset + high - low])
            self._blocks = {**self._blocks, **made}

    def _rows(self, number: int) -> int:
        """Elements of a block that are in use."""
        return min(self.block, self.length - number * self.block)

    def _overwritten(self, number: int, low: int, values: AnyArray) -> Buffer:
        """A block with other values from `low` on, in a buffer that is in no array yet."""
        rows = self._rows(number)
        data = np.empty(rows, self.dtype)
        if len(values) < rows:
            self._fill((number, 0, rows), number * self.block, data)
        data[low : low + len(values)] = values
        buffer = Buffer(data, self.context.epoch)
        self.context.write_back.touch(buffer)
        return buffer

    # -- committing

    def settle(self, prefix: str) -> tuple[StoredArray, list[Callable[[], None]]]:
        """
        The array as the next version will have it, and what must be done before that is true.

        Parameters
        ----------
        prefix
            Node path that the field has now.

        Returns
        -------
        StoredArray
            Without a document.
        list of callables
            Independent of each other; each may be repeated.
        """
        stored = self.stored
        if stored is not None and not self.changed and stored.path.startswith(f"{prefix}/"):
            return stored, []
        path = self._target
        if path is None or not self._may_settle(path, prefix):
            path = self._new_target(prefix)
        self._settled_at = self.changes
        self.prefix = prefix
        chunk = self.length if 0 < self.length < self.block else self.block
        unchanged = stored is not None and not self._blocks and self.length == stored.length
        if stored is not None and unchanged and stored.native:
            chunk = stored.chunk
        target = StoredArray(path, self.dtype, self.length, chunk, {})
        return target, [
            partial(self._settle_block, number, target) for number in range(self.blocks)
        ]

    def _may_settle(self, path: str, prefix: str) -> bool:
        """Whether the path so far will do: nothing else can arrive there any more."""
        if self._generation != self.context.generation:
            return False
        if not path.startswith(f"{prefix}/{self.role}"):
            return False
        if self._settled_at is not None:
            return self._settled_at == self.changes  # tried before, and unchanged since
        written = self._written.items()
        return all(self._blocks.get(n) is upload or self._has_landed(n) for n, upload in written)

    def _has_landed(self, number: int) -> bool:
        """Whether a block can be written over: a failed request may arrive after the next one."""
        upload = self._written.get(number)
        if upload is None:
            return True
        upload.wait()
        return upload.landed

    def _settle_block(self, number: int, target: StoredArray) -> None:
        key = self.context.note(target.path, target.key(number))
        store = self.context.store
        place = self._blocks.get(number)
        rows = self._rows(number)
        if isinstance(place, concurrency.Upload):
            place.resend(store)
            if rows == self.block:
                if place.key != key:
                    self._copy(place.key, key)
                return
        elif place is None and self._object(number)[1] == target.chunk and self._native(number):
            self._copy(self._object(number)[0], key)
            return
        with self.context.uploads.room(3 * target.chunk * self.dtype.itemsize):
            data = (
                place.read(0, rows) if isinstance(place, Buffer) else self._decoded(number)[:rows]
            )
            store.put(key, self.codec.encode(data, target.chunk))

    def settled(self, stored: StoredArray, changes: int) -> None:
        """
        Take the committed array as the new start.

        Its elements are the same before, after, and between any two of these lines.

        Parameters
        ----------
        stored
            What it is in a version.
        changes
            How often it had been changed when that was written; what came after stays over it.
        """
        self.stored = stored
        if changes == self.changes:
            self._moved = False
            self._blocks = {}
