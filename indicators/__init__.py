"""Technical indicators as pure functions over panels of series: no I/O, no clock, no environment."""
