"""A plugin of pytest for tests of a mutant: one failure is enough, and none may cost the machine its memory."""

import resource

from hypothesis import Phase, settings

_BYTES = 10 << 30

# An example that fails will do: the least one is not looked for.
settings.register_profile("frugal", phases=[Phase.explicit, Phase.generate])
settings.load_profile("frugal")
# Of a process and of each that it starts. A loop that mutation makes endless may collect without end.
_, most = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (_BYTES if most == resource.RLIM_INFINITY else min(_BYTES, most), most))
