"""Recursions, windows and bar arithmetic shared by the indicators: arrays in, arrays out, over all series at once."""
