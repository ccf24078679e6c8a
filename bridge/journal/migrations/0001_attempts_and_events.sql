CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE attempt (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    action_id TEXT NOT NULL UNIQUE,
    attempt_id TEXT NOT NULL UNIQUE,
    lock_id TEXT NOT NULL,
    action TEXT NOT NULL,
    method TEXT NOT NULL,
    custom_id TEXT,
    request_key TEXT,
    packet_key TEXT,
    boot_id TEXT NOT NULL,
    arrived REAL NOT NULL,
    deadline REAL NOT NULL,
    accepted_at REAL NOT NULL,
    dated INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL,
    stage TEXT,
    code TEXT,
    message TEXT,
    changed INTEGER,
    ended_at REAL
) STRICT;

CREATE INDEX attempt_custom ON attempt (custom_id, lock_id, action) WHERE custom_id IS NOT NULL;
CREATE INDEX attempt_request ON attempt (request_key) WHERE request_key IS NOT NULL;
CREATE INDEX attempt_packet ON attempt (packet_key) WHERE packet_key IS NOT NULL;
CREATE INDEX attempt_lock ON attempt (lock_id, seq);
CREATE INDEX attempt_open ON attempt (seq) WHERE state IN ('accepted', 'committed');

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    event_type TEXT NOT NULL,
    lock_id TEXT,
    attempt_id TEXT,
    custom_id TEXT,
    body TEXT NOT NULL,
    created_at REAL NOT NULL,
    dated INTEGER NOT NULL DEFAULT 1,
    sent INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX event_unsent ON event (seq) WHERE sent = 0;
CREATE INDEX event_created ON event (created_at, seq);
