"""The draft: a dataset's newest version with the uncommitted changes over it."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exetera_zarr.errors import (
    ConflictError,
    CorruptDataError,
    StorageError,
    VersionNotFoundError,
    is_full,
)
from exetera_zarr.storage import concurrency, keys
from exetera_zarr.storage.provenance import NOTHING_SAID
from exetera_zarr.storage.sharing import SharedDraft
from exetera_zarr.storage.zarr import layout
from exetera_zarr.storage.zarr.arrays import DraftContext
from exetera_zarr.storage.zarr.block_cache import WriteBack
from exetera_zarr.storage.zarr.documents import without_collections
from exetera_zarr.storage.zarr.layout import Node
from exetera_zarr.storage.zarr.packs import stored_pack
from exetera_zarr.storage.zarr.readahead import ReadAhead
from exetera_zarr.storage.zarr.settling import Settling
from exetera_zarr.storage.zarr.state import Sent, State
from exetera_zarr.storage.zarr.table_documents import Documents, PartOfTable
from exetera_zarr.storage.zarr.versions import facts, manifests, sweep
from exetera_zarr.storage.zarr.versions.after_commit import Publication
from exetera_zarr.storage.zarr.versions.changes import Manifest, manifest_of
from exetera_zarr.storage.zarr.versions.rebase import appended, differs, rebased
from exetera_zarr.storage.zarr.versions.retention import ORPHAN_AGE, Keep, kept_versions
from exetera_zarr.storage.zarr.versions.rewritten import UNCHANGED, Rewritten
from exetera_zarr.storage.zarr.versions.tags import unset_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from exetera_zarr.storage.provenance import About, Operation, Tag
    from exetera_zarr.storage.stores.base import ObjectStore
    from exetera_zarr.storage.undo import Changeable, Moment
    from exetera_zarr.storage.zarr.packs import StoredPack
    from exetera_zarr.storage.zarr.segments import SettledArray
    from exetera_zarr.storage.zarr.without_rows import WrittenParts

__all__ = ["Draft", "claim"]

_OLD = ORPHAN_AGE - 86_400.0
"""Seconds after which a draft renews what it has uploaded, a day before that may be swept."""
_Settled = list["SettledArray"]


class Draft(SharedDraft):
    """
    A dataset's newest version, and the uncommitted changes over it.

    Parameters
    ----------
    store
        Where it lives.
    version
        The version it starts from.
    cache_limit
        Bytes of changed blocks kept in memory.
    ahead_limit
        Bytes of blocks that are read before they are asked for.
    spill_dir
        Where changed blocks beyond that go.
    created
        Whether this process has just created the dataset.
    writable
        Whether some user may change it.
    """

    def __init__(
        self,
        store: ObjectStore,
        version: manifests.Version,
        *,
        cache_limit: int = 1 << 30,
        ahead_limit: int = 256 << 20,
        spill_dir: str | None = None,
        created: bool = False,
        writable: bool = True,
    ) -> None:
        super().__init__(store.identity, store.url, threading.RLock())
        self.store = store
        self.id = secrets.token_hex(8)
        self.writable = writable
        uploads = concurrency.Uploads(store, min(256 << 20, cache_limit))
        self.context = DraftContext(
            store,
            uploads,
            WriteBack(cache_limit, spill_dir),
            self._gone,
            ReadAhead(store, min(ahead_limit, cache_limit)),
            self.save,
            lock=self.lock,
            fresh_place=created,
        )
        self.renumbered: list[dict[str, str]] = []
        self.said = NOTHING_SAID
        """What versions say of themselves where a commit does not say otherwise."""
        self.written_parts: WrittenParts | None = None
        """What an erasure that is under way has written for the version before."""
        self._publication = Publication(version)
        self._dropped: list[State] = []
        """What was rolled back inside of the transaction that is under way."""
        self._began = clock()
        self._confirmed: Manifest | None = None
        """That of the base, as it was found when the arrays were settled, or written."""
        self._packed: dict[tuple[Any, ...], StoredPack] = {}
        """Packs that commits have written which were not the fastest, by what is in them."""
        self._met = False
        """Whether another writer was faster than the commit that is under way."""
        self._index: tuple[Node, dict[str, tuple[tuple[str, ...], Node]]] | None = None
        self._state = State(version, self._tree(version))

    @property
    def base(self) -> manifests.Version:
        """The committed version that it is over."""
        return self._state.base

    @property
    def root(self) -> Node:
        """The tree as it is now."""
        return self._state.root

    @property
    def dirty(self) -> bool:
        """Whether there is something to commit."""
        return self._state.dirty

    @property
    def keep(self) -> Keep:
        """Which versions are to be kept."""
        return self._state.policy or Keep.of(self.base.facts)

    @property
    def clean(self) -> bool:
        return not self.writable or not (
            self._state.dirty or self._publication.shown is not self._state.base
        )

    # -- changing

    def save(self, part: Changeable) -> None:
        super().save(part)
        if isinstance(part, PartOfTable):
            part.touch()

    def reindex(self) -> None:
        """Note that groups came, went or have other names."""
        self._index = None

    def note(self, path: tuple[str, ...], node: Node) -> None:
        """Note that a group came, of that path. Where that is missed, `find` does without."""
        known = self._index
        if known is not None and known[0] is self._state.root:
            known[1][node.id] = path, node

    def note_gone(self, node: Node) -> None:
        """Note that a group went, with all below."""
        known = self._index
        if known is not None:
            for gone in (node, *(below for _, below in node.walk())):
                known[1].pop(gone.id, None)

    def find(self, node_id: str) -> tuple[tuple[str, ...], Node] | None:
        """The names that lead to a node, and the node; None if none of that id is known."""
        root, known = self._state.root, self._index
        if known is None or known[0] is not root:
            index: dict[str, tuple[tuple[str, ...], Node]] = {}
            for name, node in root.groups.items():
                index[node.id] = (name,), node
                for below, child in node.groups.items():
                    index[child.id] = (name, below), child
            self._index = known = root, index
        return known[1].get(node_id)

    def _tree(self, version: manifests.Version, known: Node | None = None) -> Node:
        """The tree of a version, with what is the same in another one that is not used up."""
        where = f"{self.store.url} version {version.number}"
        with without_collections():
            return layout.tree(version.below, version.attributes, self.context, where, known)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """
        A block in which one user alone changes the tree.

        What raises an error in it has changed nothing; an interruption may come anywhere.
        """
        with self.context.lock:
            before = self._state
            if not before.dirty:
                self._state = replace(before, dirty=True)
            try:
                yield
            except Exception:
                if not before.dirty:
                    self._state = before
                raise

    def start_empty(self) -> None:
        """Drop every table from the draft; the versions before stay."""
        with self.context.lock:
            root = Node(attributes={}, row_block=self.root.row_block)
            self.context.epoch += 1
            self._state = replace(self._state, root=root, dirty=True, emptied=True)

    def rollback(self) -> None:
        """Return to the committed version."""
        with self.context.lock:
            self._resolve()
            base, dropped = self._state.base, self._state
            self.context.epoch += 1
            self._state = State(base, self._tree(base))
            self.context.uploads.forget_failure()
            self.store.forget()
            if self.depth:
                self._dropped.append(dropped)  # which an error may want back
            else:
                self._remove_sent(self._only_in(dropped))
            self.store.forget()
            self._began = clock()

    def _only_in(self, dropped: State) -> set[str]:
        """Paths that were written and that nothing has use for when a state is dropped."""
        mine = {
            id(segment)
            for _, node in dropped.root.walk()
            for array in node.arrays.values()
            for segment in array.segments
        }
        used = [a.paths() for a in list(self.context.arrays) if id(a) not in mine]
        # A manifest that was sent may arrive even now, and then needs what it has for ever.
        for path in [
            stored.path for sent in dropped.sent for array in sent.arrays for stored in array.stored
        ]:
            self.context.settled.discard(path)
            self.context.sent.pop(path, None)
        return self.context.sent.keys() - set().union(*used)

    def _remove_sent(self, paths: set[str]) -> None:
        """Remove what was written to paths that are in no version, as nobody needs it."""
        self.context.settled -= paths
        self._packed.clear()
        if paths:
            self.context.uploads.wait()  # for what would arrive after it was removed
            found = [key for path in paths for key in self.context.sent.pop(path, ())]
            self._publication.remove(self.store, sorted(found))

    def refresh(self) -> int:
        """
        Move to the newest version; changes that were made stay, over that.

        Raises
        ------
        ConflictError
            Another writer changed one of the same tables.
        """
        with self.context.lock:
            self.refuse_within(
                "a refresh inside of a transaction would change what that returns to"
            )
            self._resolve()
            newest = manifests.load(self.store)
            if newest is not None and newest.number > self.base.number:
                self.context.epoch += 1
                if self.dirty:
                    self._go_over(newest, force=False)
                else:
                    self._state = State(newest, self._tree(newest, self.root))
                    self._began = clock()
                    if newest.revealed:
                        self._publication.shown = newest
            return self.base.number

    def snapshot(self) -> tuple[State, Moment]:
        """The state, and the moment that its tree can return to."""
        snapshot = self._state, self.log.mark(self.depth)
        self.context.epoch += 1
        return snapshot

    def restore(self, snapshot: tuple[State, Moment]) -> None:
        """Have the state, and with it the tree, of a snapshot."""
        self._state, moment = snapshot
        self.context.epoch += 1
        self.log.undo(moment)
        self._dropped.clear()
        self.reindex()
        self.context.uploads.forget_failure()

    def drop_snapshot(self, snapshot: tuple[State, Moment]) -> None:
        """Note that nobody returns to a snapshot, but perhaps to one before."""
        self.log.forget(snapshot[1])
        while self._dropped and self.depth == 1:
            self._remove_sent(self._only_in(self._dropped.pop()))

    def retain(self, policy: Keep) -> None:
        """Have the dataset keep versions by a rule, from the next commit on."""
        with self.context.lock:
            self._state = replace(self._state, policy=policy, dirty=True)

    def tell(self, operation: Operation) -> None:
        """Have the next version say what was done."""
        with self.context.lock:
            self._state = replace(self._state, about=self._state.about.done(operation))

    def set_tag(self, name: str, tag: Tag | None) -> None:
        """Have the next version set a tag, or remove it."""
        with self.context.lock:
            tags = {**self._state.tags, name: tag}
            self._state = replace(self._state, tags=tags, dirty=True)

    def forget_tag(self, name: str) -> None:
        """Leave a tag as it is."""
        with self.context.lock:
            tags = {tag: said for tag, said in self._state.tags.items() if tag != name}
            state = replace(self._state, tags=tags)
            self._state = replace(state, dirty=differs(state))

    def return_to(self, version: manifests.Version) -> None:
        """Have what an older version has, and nothing else."""
        with self.context.lock:
            self.context.epoch += 1
            tree = self._tree(version)
            self._state = replace(self._state, root=tree, dirty=True, emptied=True, restoring=True)

    # -- committing

    def move_to(self, version: manifests.Version) -> None:
        """Have what a version has, to make another version of it."""
        self.context.epoch += 1
        self._state = State(version, self._tree(version))

    def settled_documents(self, before: Documents) -> Documents:
        """
        Have all arrays in the store; the documents of what there is.

        Parameters
        ----------
        before
            The documents of the version that it follows.
        """
        settled = self._settle(before, confirms=False)
        stored = {id(one.array): one.stored for one in settled}
        below = layout.documents(self.root, stored, before, self.base.number)
        for array in settled:
            array.settle()
        return below

    def commit_erasure(
        self, about: About, rewritten: Rewritten | None, expire: Keep | None
    ) -> None:
        """
        Commit that something is erased, over no version but the present one.

        Parameters
        ----------
        about
            What the version says of itself.
        rewritten
            Older versions that are without it; None where there are to be none.
        expire
            What is kept of the versions before.
        """
        with self.context.lock:
            dropped = dict.fromkeys(self.base.facts.get("tags", {})) if rewritten is None else {}
            if not (rewritten or dropped or self.dirty or (expire and self._would_expire(expire))):
                return
            self._state = replace(
                self._state,
                about=replace(self._state.about, message=about.message, author=about.author),
                rewritten=rewritten or UNCHANGED,
                tags={**self._state.tags, **dropped},
                dirty=True,
            )
            try:
                self.commit(expire=expire)
            except ConflictError:
                self.rollback()
                raise

    def commit(
        self,
        *,
        force: bool = False,
        expire: Keep | None = None,
        message: str = "",
        author: str = "",
    ) -> int:
        """
        Make the draft a version; see `Storage.commit`.

        Parameters
        ----------
        force
            Whether our tables win over what another writer made of them.
        expire
            What is kept of the versions before, this time; what the dataset says if not given.
        message, author
            What the version says of itself.
        """
        with self.context.lock:
            self.refuse_within("a commit inside of a transaction would make a half of it last")
            if message or author:
                about = self._state.about
                about = replace(
                    about, message=message or about.message, author=author or about.author
                )
                self._state = replace(self._state, about=about, dirty=True)
            try:
                self.committing = threading.current_thread()
                self._resolve()
                if not self.dirty and (expire is None or not self._would_expire(expire)):
                    self._rely_on_nothing()
                    self.repair()
                else:
                    self._commit_and_reveal(force, expire)
            finally:
                self.committing = None
            return self.base.number

    def _commit_and_reveal(self, force: bool, expire: Keep | None) -> None:
        before, settled, version = self._commit(force, expire)
        for array in settled:
            array.settle()
        self._state = State(version, self.root)
        self._rely_on_nothing()
        self._note_packs(version)
        for node in self.root.groups.values():
            documents = version.below.tables[node.segment]
            if not node.is_still(documents):
                node.have_untouched(documents)
        self._note_version(version)
        self._remove_sent(set(self.context.settled))  # by commits that failed before this one
        self._began = clock()
        kept = kept_versions(version.facts)
        last = kept_versions(before.facts)
        expired = last.without(kept)
        if self._publication.show(self.store, version) and expired:
            self._publication.sweep(self.store, expired, version, Rewritten.of(before.facts))

    def _would_expire(self, expire: Keep) -> bool:
        """Whether versions would go by another rule, not counting the newest one."""
        kept = self.base.facts.get("kept", [])
        return bool(kept) and expire.choose(kept[:-1], *kept[-1])[0][0] > kept[0][0]

    def _commit(
        self, force: bool, expire: Keep | None
    ) -> tuple[manifests.Version, _Settled, manifests.Version]:
        """
        Write the manifest, over the version of whoever was faster if that does no harm.

        Returns
        -------
        Version, list of SettledArray, Version
            What it is over, what each array is in it, and the new version.
        """
        self._met = False
        if clock() - self._began > _OLD:
            # A vacuum takes what is old and in no version for the remains of a crash: have all
            # copied, and so be there and young, when it is committed.
            self.context.generation += 1
        before = self._state
        while True:
            try:
                settled = self._settle(self.base.below)
            except (CorruptDataError, VersionNotFoundError) as error:
                if self.base is not before.base:
                    # Forced over a version that does not have what this draft is over, and that is
                    # gone: there is nothing to win with.
                    number, self._state = self.base.number, before
                    raise ConflictError(
                        f"{self.store.url}: version {before.base.number}, which this draft is "
                        f"over, was removed after version {number} was committed, so the draft "
                        f"cannot win: rollback() and refresh() drop it ({error})"
                    ) from error
                # Perhaps what we started from was swept, and then we are too late in any case.
                if manifests.newest(self.store) == self.base.number:
                    raise
                self._meet(force=force)
                continue
            base = self.base
            stored = {id(one.array): one.stored for one in settled}
            below = layout.documents(
                self.root, stored, base.below, base.number + 1, appended(self._state)
            )
            state = replace(self._state, about=self._state.about.filled(self.said))
            said = facts.following(state, below, self.id, expire, clock(), self.store.url)
            version = manifests.Version.made(
                below, said, self.root.attributes, base.below, self.store.url
            )
            # One that erases is over none that may have what is erased.
            over = None if self._state.rewritten is not None else self._confirmed
            found = manifest_of(version, over)
            if self._create(version, found.data, settled):
                self._confirmed = found
                return base, settled, version
            self._met = True
            self._meet(force=force)

    def _create(self, version: manifests.Version, data: bytes, settled: _Settled) -> bool:
        """
        Write the manifest; whether that number was free.

        From before until that is known a version may reach all that was written, so nothing of that
        is written again; and whatever comes in between, the draft knows what it has sent.
        """
        self.context.fresh_place = False
        self.context.generation += 1
        checksum = layout.checksum_of(version.data)
        sent = Sent(checksum, tuple(settled), self._state.about)
        self._state = replace(self._state, sent=(*self._state.sent, sent))
        try:
            created = manifests.create(self.store, version.number, data)
        except StorageError as error:
            if is_full(error):  # so it was not written, and will not arrive
                self._state = replace(self._state, sent=self._state.sent[:-1])
            raise
        if created:
            return True
        self.context.generation -= 1
        return False

    def _resolve(self) -> None:
        """Find out whether a manifest that was sent is a version, and be over that if so."""
        if self._state.sent:
            try:
                following = manifests.read(self.store, self.base.number + 1, self.base)
            except FileNotFoundError:
                return  # it may be still on its way
            self._recognise(following)

    def _recognise(self, following: manifests.Version) -> bool:
        """Be over the version after the base if this draft has made that; whether it has."""
        for sent in self._state.sent:
            if sent.checksum == following.facts["checksum"]:
                self._adopt(following, sent)
                return True
        self._state = replace(self._state, sent=())  # the number is another's, now and for ever
        return False

    def _adopt(self, version: manifests.Version, sent: Sent) -> None:
        """Take a version for the base that has all that the draft had when it was sent."""
        for array in sent.arrays:
            array.settle()
        self._note_packs(version)
        policy = self._state.policy
        if policy == Keep.of(version.facts):
            policy = None
        after = replace(
            self._state,
            base=version,
            emptied=False,
            policy=policy,
            sent=(),
            about=self._state.about.after(sent.about),
            tags=unset_tags(self._state.tags, version.facts),
            restoring=False,
            rewritten=None,
        )
        self._state = replace(after, dirty=differs(after))
        if not self.dirty:
            self._rely_on_nothing()
        self._note_version(version)

    def _rely_on_nothing(self) -> None:
        """Note that no change depends on what the tables have, as all of them are in a version."""
        for node in self.root.groups.values():
            node.relied_on = False

    def _note_packs(self, version: manifests.Version) -> None:
        """Note which packs the tables have in a version."""
        for node in self.root.groups.values():
            table = version.below.tables[node.segment]
            if not node.is_still(table):
                paths = [f"{node.segment}/{name}" for name, _ in table.attributes.get("packs", ())]
                node.packs = [stored_pack(path, table.documents[path]) for path in paths]

    def _note_version(self, version: manifests.Version) -> None:
        """Note that there is a version, which nothing of may be removed."""
        context, below = self.context, version.below
        for paths in (context.used, context.settled):
            paths.difference_update([path for path in paths if path in below])
        for path in [path for path in context.sent if path in below]:
            del context.sent[path]

    def _meet(self, *, force: bool) -> None:
        """Go over the versions that were committed since the one that this draft is over."""
        found = manifests.manifest(self.store, self.base.number + 1)
        following = manifests.version_of(self.store, found, self.base)
        if self._recognise(following):
            return
        newest = manifests.newest(self.store)
        assert newest is not None
        if newest != following.number:
            found = manifests.manifest(self.store, newest)
            following = manifests.version_of(self.store, found, self.base)
        self._go_over(following, force=force)
        self._confirmed = found  # which is looked at once more, and not decoded

    def _go_over(self, newest: manifests.Version, *, force: bool) -> None:
        if self._state.rewritten is not None:
            raise ConflictError(
                f"{self.store.url}: another writer committed version {newest.number} while "
                "something was erased, so that nothing was: erase it again"
            )
        if newest.facts.get("erasure", -1) > self.base.number and self.dirty:
            raise ConflictError(
                f"{self.store.url}: something was erased by version {newest.facts['erasure']}, "
                "after this draft began, and the draft may have it: rollback() and refresh(), and "
                "make the changes again"
            )
        tree = self._tree(newest, self.root)
        merged = rebased(self._state, newest, tree, self.store.url, force=force)
        if merged.renumbered:
            self.renumbered.append(merged.renumbered)
        self.context.fresh_place = False
        self._state = merged.state

    def _settle(self, before: Documents, *, confirms: bool = True) -> _Settled:
        """Have every array of the draft in the store; what each is there that is not as before."""
        self.context.uploads.forget_failure()  # all that failed is sent again now
        settling = Settling(self.context, self._packed, joins=not self._met)
        for node in self.root.groups.values():
            known = before.tables.get(node.segment)
            if known is None or not node.is_still(known):
                settling.table(node.segment, node)
        # Beside the rest, so it takes no time; and first, since nothing else matters without it.
        tasks: list[Callable[[], None]] = [*([self._confirm] if confirms else []), *settling.work]
        concurrency.each(lambda task: task(), tasks, self.store.concurrency)
        try:
            self.store.sync()
        except FileNotFoundError as error:
            raise _removed(f"{error.filename}") from error
        self._packed |= settling.packs
        return settling.arrays

    def _confirm(self) -> None:
        self._confirmed = manifests.confirm(self.store, self.base, self._confirmed)

    def _gone(self, key: str) -> Exception:
        """What a missing chunk means."""
        node = keys.node_of(key)
        if node in self.context.used and node not in self.base.below:
            return _removed(f"{self.store.url}/{key}")
        newest = manifests.newest(self.store)  # without a pool, whose thread this may be
        if newest is not None:
            facts = manifests.manifest(self.store, newest).facts
            if facts.get("erasure", -1) > max(self.base.number, self.base.facts.get("erasure", -1)):
                return VersionNotFoundError(
                    f"{self.store.url}/{key} is gone: something was erased by version "
                    f"{facts['erasure']}, from version {self.base.number} as well; refresh() moves "
                    "to the newest, and who opens a version again has it without that"
                )
            kept = kept_versions(facts)
            if self.base.number not in kept:
                return VersionNotFoundError(
                    f"{self.store.url}/{key} is gone: version {self.base.number} was removed "
                    f"after version {newest} was committed; refresh() moves to that"
                )
        return CorruptDataError(f"{self.store.url}/{key}: the chunk is missing")

    # -- after a commit

    def repair(self) -> None:
        """Reveal the base version, unless other Zarr readers see it already."""
        with self.context.lock:
            if self._publication.shown is not self.base:
                self._publication.show(self.store, self.base)

    def finish(self, patience: float | None = None) -> None:
        self._publication.finish(self.store, patience)

    def release(self) -> None:
        if self.pid == os.getpid():
            self.context.write_back.close()

    def vacuum(self, expire: Keep, orphans_older_than: float, all_of: Collection[str] = ()) -> int:
        """
        Commit, expire versions, reveal everything again, and remove what nothing reaches.

        Parameters
        ----------
        expire
            As of `commit`.
        orphans_older_than
            Seconds; see `sweep.sweep_orphans`.
        all_of
            Names of tables whose orphans are removed whatever their age.

        Returns
        -------
        int
            How many objects were removed that no version had.
        """
        with self.context.lock:
            at_once = self.remains_of(all_of)
            removed = 0
            try:
                self.commit(expire=expire)
            except OSError as error:
                if not is_full(error):
                    raise
                # A commit takes room, which there is once what nobody needs is gone.
                removed = self._make_room(orphans_older_than, at_once)
                self.commit(expire=expire)
            self.finish()
            self._publication.shown = None
            if not self._publication.show(self.store, self.base, quiet=True):
                removed += self._make_room(orphans_older_than, at_once)
                if not self._publication.show(self.store, self.base):
                    raise StorageError(
                        f"{self.store.url} cannot be revealed, so what other Zarr readers may "
                        "still see was not swept"
                    )
            return removed + sweep.sweep_orphans(
                self.store, self.base.facts, orphans_older_than, at_once, self.context.sent
            )

    def _make_room(self, orphans_older_than: float, at_once: Callable[[str], bool]) -> int:
        """Remove what neither a kept version has, nor this draft, nor what other readers see."""
        shown = manifests.shown(self.store)
        if shown is None:  # so it may be any version that other readers see
            return 0
        spared = self.context.sent.keys() | shown.below.keys()
        facts = self.base.facts
        return sweep.sweep_orphans(self.store, facts, orphans_older_than, at_once, spared)

    def remains_of(self, tables: Collection[str]) -> Callable[[str], bool]:
        """Whether a node path is one of some tables, by any name that they were known by."""
        if not tables:
            return _nothing
        self.context.uploads.wait()  # for what was rolled back
        nodes = {self.root.groups[table].id: self.root.groups[table] for table in tables}
        segments = {node.segment for node in nodes.values()}
        segments |= {name for known in nodes for name in self.context.segments.get(known, ())}
        facts = self.base.facts
        for documents in manifests.documents(
            self.store, kept_versions(facts).runs, Rewritten.of(facts)
        ):
            for path, document in documents.items():
                if "/" not in path and document["attributes"].get("id") in nodes:
                    segments.add(path)
        others = {node.segment for node in self.root.groups.values() if node.id not in nodes}

        def is_remains(path: str) -> bool:
            top = path.split("/", 1)[0]
            # Below a name that another table has now, others may be writing that one.
            return top in segments and (top not in others or path in self.context.used)

        return is_remains


def clock() -> float:
    """Seconds since 1970; tests set another one."""
    return time.time()


def _nothing(_: str) -> bool:
    return False


def _removed(what: str) -> ConflictError:
    return ConflictError(
        f"{what} was removed since it was written here, before it was committed: rollback(), and "
        "make the changes again"
    )


def claim(store: ObjectStore, row_block: int | None) -> manifests.Version | None:
    """Create version 0, the empty dataset; None where another process was faster."""
    said = facts.first(secrets.token_hex(8), row_block, clock())
    version = manifests.Version.made(Documents(), said, {}, Documents(), store.url)
    return version if manifests.create(store, 0, version.data) else None
