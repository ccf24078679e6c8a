"""SwitchBot's lock protocol without I/O: frames, ciphers, commands, reports, advertisements."""
