"""A plugin of pytest: hypothesis looks for an example that fails, and not for the least one."""

from hypothesis import Phase, settings

settings.register_profile("unshrunk", phases=[Phase.explicit, Phase.generate])
settings.load_profile("unshrunk")
