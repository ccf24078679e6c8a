"""A virtual Yale lock: the wire skin over a virtual lock."""

from drivers.yale.virtual.twin import YaleTwin

__all__ = ["YaleTwin"]
