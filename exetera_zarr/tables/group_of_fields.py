"""Fields in a group of a file that a script opened by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exetera_zarr.fields.container import FieldContainer

if TYPE_CHECKING:
    from exetera_zarr.fields.names import Names
    from exetera_zarr.storage.base import Group
    from exetera_zarr.tables.session import Session

__all__ = ["GroupOfFields"]


class GroupOfFields(FieldContainer):
    """
    Where a session makes fields in a group that belongs to no dataset.

    Parameters
    ----------
    session
        Whose fields they are.
    group
        The group.
    """

    def __init__(self, session: Session, group: Group) -> None:
        super().__init__()
        self._session = session
        self._group = group

    @property
    def group(self) -> Group:
        return self._group

    def _phrase(self) -> str:
        return f"the group {self._group.name!r}"

    def _field_arguments(self) -> dict[str, Any]:
        return {"session": self._session}

    def _default_timestamp(self) -> str:
        return self._session.timestamp

    def keys(self) -> Names:
        return self._field_names()

    def __getitem__(self, name: str) -> Any:
        return self._field(name)
