"""A plugin of pytest for tests of a mutant: one failure is enough, and none may cost the machine its memory."""

import os
import resource
from typing import Any

from hypothesis import Phase, settings

from tests.mutations.plan import CONCERNED

_BYTES = 10 << 30

# An example that fails will do: the least one is not looked for.
settings.register_profile("frugal", phases=[Phase.explicit, Phase.generate])
settings.load_profile("frugal")
# Of a process and of each that it starts. A loop that mutation makes endless may collect without end.
_, most = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (_BYTES if most == resource.RLIM_INFINITY else min(_BYTES, most), most))


def pytest_collection_modifyitems(items: list[Any], config: Any) -> None:
    """Leave out what is asked of indicators that the mutant does not concern."""
    concerned = os.environ.get(CONCERNED, "").split()
    if not concerned:
        return
    from candlemill.indicators.registry import INDICATORS

    others = set(INDICATORS).difference(concerned)
    kept = [item for item in items if not (hasattr(item, "callspec") and item.callspec.id.split("-")[0] in others)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
