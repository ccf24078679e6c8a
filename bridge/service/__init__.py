"""Being a service: what systemd is told, what is stuck, and where the log goes."""
