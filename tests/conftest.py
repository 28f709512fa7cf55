"""What every test can ask for."""

from __future__ import annotations

import gc
import os
import platform
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings

from exetera_zarr.faces import NATIVE
from exetera_zarr.storage import OpenOptions
from support import servers
from support.servers import GCSServer, S3Server, Server

# Read when gcsfs is imported: it asks of every bucket what no emulator answers.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("quick", parent=settings.get_profile("ci"), max_examples=10)
settings.register_profile("nightly", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

BACKENDS = {
    "local": (),
    "memory": (),
    "s3": (pytest.mark.s3,),
    "seaweedfs": (pytest.mark.s3,),
    "gcs": (pytest.mark.gcs,),
    "hdf5": (),
}
"""The places that the `place` fixture knows, and the markers of tests there."""
USUAL = ("local", "memory", "s3")
# What a back end does, rather than what is done with it: the rest is tested on HDF5 files by
# `--backends hdf5`, and on real servers by `--backends seaweedfs,gcs`, for the sake of the suite's
# time.
TOO = {
    "compat.test_older_scripts": ("hdf5",),
    "compat.test_programs": ("hdf5",),
    "conversion.test_converting": ("hdf5",),
    "storage.test_conformance": ("seaweedfs", "gcs"),
    "storage.test_store": ("seaweedfs", "gcs"),
    "tables.test_codebook": ("hdf5",),
    "tables.test_machine": ("hdf5",),
    "tables.test_tables": ("hdf5",),
    "tables.test_verbs": ("hdf5",),
}
# What `--quick` leaves out, besides all that needs a server: rooms, modules and single tests whose
# heart is in others. Most are crashes at each of many calls, other processes, and long histories.
NOT_QUICK = (
    "cli.test_command",
    "cloud",
    "cluster",
    "compat.test_import_paths",
    "compat.test_older_scripts",
    "compat.test_programs",
    "on_dask",
    "conversion.test_converting.test_a_move_within_a_store_that_fails_leaves_nothing",
    "engine.test_aggregate.test_both_ways_give_the_same",
    "engine.test_long_strings.test_they_are_grouped_as_keys_and_as_values",
    "engine.test_model",
    "engine.test_sort_and_join.test_a_join_in_little_memory_goes_through_files",
    "engine.test_sort_and_join.test_join_by_duckdb_gives_the_same_pairs",
    "engine.test_sort_and_join.test_join_pairs_what_dictionaries_pair",
    "engine.test_sort_and_join.test_the_ways_agree_beyond_their_thresholds",
    "io.test_import_hostile",
    "io.test_strangers_files",
    "journal.test_journal.test_each_snapshot_is_there_as_of_its_moment",
    "notebooks",
    "storage.test_damage",
    "storage.test_draft.test_any_history_of_changes",
    "storage.test_ending",
    "storage.test_hdf5.test_a_commit_that_fails_at_any_point_can_be_undone_or_tried_again",
    "storage.test_hdf5.test_flipped_bytes_are_an_error_or_harmless",
    "storage.test_hdf5_sizes",
    "storage.test_fuzzing",
    "storage.test_hdf5_strangers",
    "storage.test_readahead.test_any_order_of_reads_and_changes_is_right",
    "storage.test_requests",
    "storage.test_strangers",
    "storage.test_zones.test_comparisons_are_those_of_the_values",
    "tables.test_difference.test_tables_by_key",
    "tables.test_join_functions.test_indices_are_those_of_dictionaries",
    "tables.test_machine",
    "tables.test_memory",
    "tables.test_missing.test_merges",
    "tables.test_verbs.test_a_store_that_fails_leaves_all_or_nothing",
    "tables.test_verbs.test_a_stream_that_breaks_off_leaves_nothing",
    "tables.test_verbs.test_an_append_asks_for_the_same_whatever_is_there",
    "tables.test_verbs.test_rows_as_they_were_make_no_version",
    "test_benchmarks",
    "test_systems",
    "test_texts.test_the_command",
    "versions.test_appends.test_an_append_that_fails_at_any_call",
    "versions.test_erasing",
    "versions.test_faults",
    "versions.test_full_disk",
    "versions.test_interruptions",
    "versions.test_kills",
    "versions.test_manifests",
    "versions.test_power_loss",
    "versions.test_processes",
    "versions.test_protocol_model",
    "versions.test_releases.test_any_history_of_changes_restorations_tags_and_expiry",
    "versions.test_revealing",
    "versions.test_schedules",
    "versions.test_writers",
)

# Rooms and tests in which a case of many runs on one back end, and each back end has its turn: what
# is done with tables and fields knows nothing of where they are. `-m slow` runs all other pairs.
BY_TURNS = (
    "compat",
    "fields",
    "io",
    "journal",
    "on_dask",
    "storage.test_conformance.test_arrays_are_kept",
    "tables",
)
# Tests of so many requests that a server in Python takes most of the suite's time for them. On
# local disks and in memory they are part of it; `-m slow` runs them on servers, where `cloud` has
# tests of the same kinds in fewer requests.
MANY_REQUESTS = (
    "compat.test_programs.test_a_program_makes_the_tables_that_exetera_makes",
    "conversion.test_converting.test_there_and_back",
    "tables.test_codebook.test_every_operation_keeps_it",
    "tables.test_verbs.test_a_stream_that_breaks_off_leaves_nothing",
    "tables.test_verbs.test_rows_as_they_were_make_no_version",
    "versions.test_appends.test_a_column_that_has_left_a_pack_keeps_out_of_the_joined_one",
    "versions.test_appends.test_a_verb_that_fails_at_any_call",
    "versions.test_appends.test_an_append_that_fails_at_any_call",
    "versions.test_erasing.test_a_draft_from_before_cannot_bring_somebody_back",
    "versions.test_erasing.test_a_field_is_erased_from_all_versions",
    "versions.test_erasing.test_a_person_is_erased_and_every_release_stays",
    "versions.test_erasing.test_rows_choose_whose_rows_go",
    "versions.test_erasing.test_somebody_else_commits_meanwhile",
    "versions.test_writers.test_any_verbs_of_three_writers",
)
SLOWEST = 3600
"""Seconds that a slow test may take; pyproject.toml says it of the others."""
_PLACES = ("place", "table", "exetera_table", "away")
"""Fixtures whose parameter is a back end."""


@dataclass(frozen=True)
class Place:
    """Where a test may put datasets: `place.url("study.zarr")`, and what opening one needs."""

    backend: str
    prefix: str
    storage_options: dict[str, Any] = field(default_factory=dict)

    def url(self, name: str) -> str:
        if self.backend == "hdf5":
            name = name.replace(".zarr", ".hdf5")
        return f"{self.prefix}/{name}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends",
        help=f"comma-separated places that the `place` fixture runs over, of {', '.join(BACKENDS)}",
    )
    parser.addoption(
        "--quick",
        action="store_true",
        help="the heart of the suite: local, few examples, without servers and other processes",
    )
    parser.addoption(
        "--screenshots", help="a folder to which the tests in a browser write what they see"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        settings.load_profile("quick")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    take_turns(items)
    if config.getoption("--backends") is None:
        spare_servers(items)
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(SLOWEST))
    # The longest tests come first, so that processes which share them end at about the same time.
    items.sort(key=lambda item: not is_one_of(item, ("versions", "storage.test_ending")))
    if not config.getoption("--quick"):
        return
    left_out = [item for item in items if not is_quick(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if is_quick(item)]


def spare_servers(items: list[pytest.Item]) -> None:
    """
    Mark as slow what a server in Python takes long for, and local disks and memory prove as well.

    Of the rooms that know nothing of where tables are, every fourth test goes to the server.
    """
    count = 0
    for item in items:
        if item.get_closest_marker("s3") is None:
            continue
        by_turns = is_one_of(item, BY_TURNS) and not item.get_closest_marker("slow")
        count += by_turns
        if is_one_of(item, MANY_REQUESTS) or (by_turns and count % 4):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: no search for garbage goes through them again."""
    gc.collect()
    gc.freeze()


def is_quick(item: pytest.Item) -> bool:
    """Whether a test is part of the heart of the suite."""
    on_a_server = any(item.get_closest_marker(name) for name in ("s3", "gcs"))
    return not on_a_server and not is_one_of(item, NOT_QUICK)


def is_one_of(item: pytest.Item, names: tuple[str, ...]) -> bool:
    """Whether a test, its module or its room is among those names."""
    path = item.path.relative_to(Path(__file__).parent).with_suffix("")
    name = ".".join([*path.parts, item.name.partition("[")[0], ""])
    return any(name.startswith(f"{each}.") for each in names)


def take_turns(items: list[pytest.Item]) -> None:
    """
    Mark as slow what `BY_TURNS` leaves to other back ends.

    The back end of a case is that of the sum of the numbers of its parameters, so that each value
    of each of them meets each back end where there are enough values of the others.
    """
    functions: dict[object, dict[str, list[pytest.Item]]] = {}
    for item in items:
        spec = getattr(item, "callspec", None)
        fixture = next((name for name in _PLACES if spec and name in spec.params), None)
        if spec is not None and fixture is not None and is_one_of(item, BY_TURNS):
            places = functions.setdefault((item.path, item.nodeid.partition("[")[0]), {})
            places.setdefault(spec.params[fixture], []).append(item)
    for places in functions.values():
        # On each back end they are the same ones, in the same order.
        cases = [[parameters_of(item) for item in there] for there in places.values()]
        if len(cases[0]) < len(places) or any(case != cases[0] for case in cases):
            continue
        turns = [sum(numbers) for numbers in numbered(cases[0])]
        if len({turn % len(places) for turn in turns}) < len(places):
            turns = list(range(len(turns)))
        for number, there in enumerate(places.values()):
            for turn, item in zip(turns, there, strict=True):
                if turn % len(places) != number:
                    item.add_marker(pytest.mark.slow)


def parameters_of(item: pytest.Item) -> list[int]:
    """Which objects the parameters of a test are, but for its back end."""
    given = item.callspec.params  # type: ignore[attr-defined]
    return [id(given[name]) for name in sorted(given) if name not in _PLACES]


def numbered(cases: list[list[int]]) -> Iterator[list[int]]:
    """For each case the numbers of its parameters, among all that there are in their place."""
    numbers: dict[tuple[int, int], int] = {}
    counts: Counter[int] = Counter()
    for case in cases:
        for key in enumerate(case):
            if key not in numbers:
                numbers[key] = counts[key[0]]
                counts[key[0]] += 1
        yield [numbers[key] for key in enumerate(case)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" not in metafunc.fixturenames:
        return
    option = metafunc.config.getoption("--backends")
    if option is None:
        module = metafunc.module.__name__.removeprefix("tests.")
        chosen = (
            ["local"] if metafunc.config.getoption("--quick") else [*USUAL, *TOO.get(module, ())]
        )
    else:
        chosen = [name.strip() for name in option.split(",")]
    if unknown := set(chosen) - set(BACKENDS):
        raise pytest.UsageError(
            f"unknown back ends {sorted(unknown)}; there are {', '.join(BACKENDS)}"
        )
    if metafunc.definition.get_closest_marker("zarr"):
        chosen = [name for name in chosen if name != "hdf5"]
    metafunc.parametrize(
        "place", [pytest.param(name, marks=BACKENDS[name]) for name in chosen], indirect=True
    )


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that lives as long as the test session."""
    with servers.s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """An S3 server that is made for use, as long as the test session."""
    only_on_linux()
    with servers.seaweedfs_server() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GCSServer]:
    """A server of Google Cloud Storage's interface, as long as the test session."""
    only_on_linux()
    with servers.gcs_server() as server:
        yield server


def only_on_linux() -> None:
    """Their packages are there for no other system; on this one they have to be installed."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("its package is for Linux on x86-64 alone")


@pytest.fixture
def shared_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in ExeTera's face: mode 'r' shows what the process has not committed."""
    defaults = cast("dict[str, Any]", OpenOptions.__init__.__kwdefaults__)
    monkeypatch.setitem(defaults, "shared_reads", True)
    monkeypatch.setattr("exetera_zarr.tables.session.NATIVE", replace(NATIVE, shares_reads=True))


@pytest.fixture
def s3_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that moto takes; none of the machine's own is ever used."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


def bucket_of(backend: str, server: Server) -> Place:
    """A bucket of its own."""
    return Place(backend, server.make_bucket(f"test-{uuid.uuid4().hex}"), server.storage_options)


@pytest.fixture
def s3_place(s3_server: S3Server, s3_environment: None) -> Place:
    """A bucket of its own on the test session's S3 server."""
    pytest.importorskip("s3fs")
    place = bucket_of("s3", s3_server)
    s3_server.requests.clear()
    return place


@pytest.fixture(scope="session")
def seaweedfs_bucket(seaweedfs_server: S3Server) -> Place:
    """One for all tests: half a second is spent, and room on disk set apart, for each."""
    return bucket_of("seaweedfs", seaweedfs_server)


@pytest.fixture
def seaweedfs_place(seaweedfs_bucket: Place, s3_environment: None) -> Place:
    """A folder of its own on the test session's SeaweedFS, which checks credentials."""
    return replace(seaweedfs_bucket, prefix=f"{seaweedfs_bucket.prefix}/{uuid.uuid4().hex}")


@pytest.fixture
def gcs_place(gcs_server: GCSServer) -> Place:
    """A bucket of its own on the test session's server of Google Cloud Storage's interface."""
    return bucket_of("gcs", gcs_server)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place on each back end that the run chose."""
    match request.param:
        case "local":
            return Place("local", str(tmp_path))
        case "memory":
            return Place("memory", f"memory://{uuid.uuid4().hex}")
        case "hdf5":
            pytest.importorskip("h5py")
            return Place("hdf5", str(tmp_path))
        case backend:
            found: Place = request.getfixturevalue(f"{backend}_place")
            return found
