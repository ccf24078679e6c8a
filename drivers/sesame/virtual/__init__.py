"""A virtual Sesame."""

from drivers.sesame.virtual.twin import SesameTwin

__all__ = ["SesameTwin"]
