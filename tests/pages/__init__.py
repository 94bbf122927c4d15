"""Pages as their readers have them: opened, sorted, filtered and clicked through in a browser."""
