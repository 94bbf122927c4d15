"""Memory that cannot be had: one line and exit 4, or what a kill leaves where a library ends the process."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from tests.conftest import dump_of
from tests.faults.passes import newest_of, shown, sound

if TYPE_CHECKING:
    from tests.faults.passes import Place

#: How OpenBLAS and the runtime of C++ end a process that lacks memory or threads.
ENDED_BY_A_LIBRARY = (1, -6, -11)


@pytest.mark.parametrize("megabytes", [60, 100, 200, 300, 450, 600, 700, 750, 800])
def test_a_run_without_enough_memory_leaves_the_run_before(megabytes: int, place: Place) -> None:
    before, work, size = dump_of(place.database), place.work.read_bytes(), megabytes * 2**20
    ran = place.run(1, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)))
    assert ran.code in (0, 4, *ENDED_BY_A_LIBRARY), ran.err
    assert "Traceback" not in ran.err
    if ran.code == 0:
        assert set(shown(place.database).values()) == {newest_of(1)}
        return
    if ran.code == 4:
        assert ran.last.startswith("candlemill: "), ran.err
        assert place.strays() == []
    assert sound(place.database)
    assert dump_of(place.database) == before
    assert place.work.read_bytes() == work
    assert place.run(1).code == 0
    assert place.strays() == []
