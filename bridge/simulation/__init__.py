"""Virtual locks operated by virtual people, for whoever tries out an application."""
