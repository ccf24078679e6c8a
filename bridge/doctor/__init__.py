"""The doctor: what the bridge needs of this machine, its radio and its broker, looked at one by one.

Each module has a thin part that gathers facts (`look`), and a pure one that judges them (`judge`).
"""
