"""Pairing a lock: find it, make it trust a new key, prove that the key works, keep it; and taking that back.

A key that its owner brings takes the place of a new one.

Rules:
1. A key is kept once the lock has answered over it. Whatever goes wrong before leaves an earlier key as it was.
2. What the lock was made to trust and is not kept, it is asked to forget; where it does not, the person is told. A key
   that was brought is not ours to have forgotten.
3. Each step is told as a sentence for whoever stands at the door. No key and no PIN is in any of them.
"""

from bridge.pairing.key_import import brought
from bridge.pairing.pairing import Pairing, not_in_use
from bridge.pairing.steps import NotPaired, Paired, Stage, Step
from bridge.pairing.subjects import Subject, request, subject

__all__ = [
    "NotPaired",
    "Paired",
    "Pairing",
    "Stage",
    "Step",
    "Subject",
    "brought",
    "not_in_use",
    "request",
    "subject",
]
