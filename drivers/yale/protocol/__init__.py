"""Yale's and August's Bluetooth protocol without any I/O.

The vendor has published none of it. Sources: the open documentation of what August locks exchange with their app, and
what the client library `yalexs_ble` (7.2) does; each module is checked against that library in the tests.
"""
