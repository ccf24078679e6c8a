"""Keys: of locks, of HTTP's callers, of those who sign commands; and the private files that they are kept in."""
