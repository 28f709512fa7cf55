"""
Names that completion does not offer, nor the reference have.

They are what the package itself needs of tables and fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = ["IN_DATASETS", "IN_FIELDS", "IN_SESSIONS", "IN_TABLES", "without"]

_IN_CONTAINERS = frozenset(
    [
        *("create_field", "create_group", "gives_way", "group", "make_way"),
        *("refuse_to_lose", "replace_field", "users_of"),
    ]
)
IN_TABLES = _IN_CONTAINERS | {
    *("atomic", "becomes", "copy_rows", "exists", "h5group", "is_view", "leave", "link_companions"),
    *("note", "own_columns", "refuse_ragged", "replaced", "say", "selected", "stood_for"),
    *("to_show",),
}
IN_DATASETS = _IN_CONTAINERS | {"beside", "end_by", "over", "settings", "storage", "undo"}
IN_SESSIONS = frozenset(["open_with", "settings"])
IN_FIELDS = frozenset(
    [
        *("append", "append_masked", "array", "arrays", "as_stored", "blocks", "check_writeable"),
        *("coded", "filler", "in_memory", "leave_table", "rewrite"),
        *("complete", "deliver", "dtype_of_rows", "empty_column", "encoded", "exact"),
        *("extend_companion", "extremes", "face", "flush", "forget_companion", "group"),
        *("mark_codes", "masked_blocks", "masked_rows", "memory_like", "numeric_like"),
        *("of_numbers", "operand", "own_companion", "phrase", "read", "reader", "replace"),
        *("rows_of", "say", "say_present", "set_companion", "settings", "stored"),
        *("stored_value", "take", "take_over", "type_attributes", "type_name"),
        *("with_companion",),
    ]
)


def without(hidden: Container[str], names: Iterable[str]) -> list[str]:
    """The names that are not hidden."""
    return [name for name in names if name not in hidden]
