"""What careless hands, files of others and broken streams do to the commands: tests that start many processes."""
