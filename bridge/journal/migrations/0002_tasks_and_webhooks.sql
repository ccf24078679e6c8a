ALTER TABLE attempt ADD COLUMN setting TEXT;

ALTER TABLE event ADD COLUMN posted INTEGER NOT NULL DEFAULT 1;

CREATE INDEX event_unposted ON event (lock_id, seq) WHERE posted = 0;
