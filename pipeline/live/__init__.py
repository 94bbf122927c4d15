"""Live operation: bars kept in memory, brought up to date again and again, and computed when they have changed."""
