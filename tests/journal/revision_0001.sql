BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE cases (
	system TEXT NOT NULL,
	uuid TEXT NOT NULL,
	case_json TEXT NOT NULL,
	PRIMARY KEY (system, uuid)
);
INSERT INTO "cases" VALUES('north','5c2f-web','{"uuid":"5c2f-web","key":17,"machine":23,"name":"web-1 „Straße“","policy":"on-failure","state":"quarantined","since":1000.125,"observed":"down","word":"stopped","former_names":["web-0"],"node":2,"up_at":900.5,"up_clock":1700000000.1,"log_from":{"machine_logs":1,"logs":2},"log_up":{"machine_logs":3,"logs":4},"log_down":{"machine_logs":5,"logs":6},"trouble_at":930.25,"started":1700000030.2,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":4,"hung_at":800.0,"words_since_up":["stopping","stopped"],"max_gap_seconds":12.5,"missing":1,"diagnosis":{"kind":"crashed","cause":"crashed","detail":"no stop in 600 s of log","template":""},"attempts":3,"retry_at":1100.5,"ladder_step":1,"killed_position":{"machine_logs":7,"logs":1099511627776},"killed_at":1000.5,"kill_unanswered":true,"cleared_at":10.0,"question":null,"helped_at":null,"undone":[]}');
CREATE TABLE changes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	system TEXT NOT NULL,
	uuid TEXT NOT NULL,
	vm_key BIGINT NOT NULL,
	name TEXT NOT NULL,
	at FLOAT NOT NULL,
	time VARCHAR(32) NOT NULL,
	kind TEXT,
	cause TEXT,
	detail TEXT,
	template TEXT,
	"before" TEXT,
	"after" TEXT,
	word TEXT NOT NULL,
	started_by TEXT NOT NULL
);
INSERT INTO "changes" VALUES(1,'north','5c2f-web',17,'web-1',1000.125,'2026-01-01T00:00:00.000000+00:00','crashed','crashed','no stop in 600 s of log','','held','quarantined','stopped','');
CREATE TABLE commands (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	system TEXT NOT NULL,
	kind TEXT NOT NULL,
	owner TEXT NOT NULL,
	reason TEXT NOT NULL,
	at FLOAT NOT NULL,
	time VARCHAR(32) NOT NULL,
	until FLOAT,
	uuid TEXT,
	template TEXT,
	means TEXT,
	question INTEGER
);
INSERT INTO "commands" VALUES(1,'north','pause','ada','we move the rack',1001.5,'2026-01-01T01:00:00.000000+00:00',4601.5,'5c2f-web','VM ''<name>'' „geparkt“ <n>','stop',NULL);
CREATE TABLE decisions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	system TEXT NOT NULL,
	uuid TEXT NOT NULL,
	vm_key BIGINT NOT NULL,
	name TEXT NOT NULL,
	at FLOAT NOT NULL,
	time VARCHAR(32) NOT NULL,
	kind TEXT NOT NULL,
	cause TEXT NOT NULL,
	detail TEXT NOT NULL,
	template TEXT NOT NULL,
	state TEXT NOT NULL,
	action TEXT,
	failed_guard TEXT,
	mode TEXT NOT NULL,
	guard_results TEXT NOT NULL
);
INSERT INTO "decisions" VALUES(1,'north','5c2f-web',17,'web-1',1000.125,'2026-01-01T00:00:00.000001+00:00','crashed','hung','log row 815','VM <name> hung','held','poweron','circuit_breaker_closed','enforce','[{"guard":"armed","passed":true,"detail":"armed","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":false,"detail":"9 of 20 are down","fix":"wait until fewer are","budgets":[]}]');
INSERT INTO "decisions" VALUES(2,'north','5c2f-web',17,'web-1',1000.125,'2026-01-01T00:00:00.000001+00:00','crashed','hung','log row 815','VM <name> hung','held','poweron','circuit_breaker_closed','enforce','[{"guard":"armed","passed":true,"detail":"armed","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":false,"detail":"9 of 20 are down","fix":"wait until fewer are","budgets":[]}]');
CREATE TABLE history_facts (
	id INTEGER NOT NULL,
	system TEXT NOT NULL,
	at FLOAT NOT NULL,
	time FLOAT NOT NULL,
	kind TEXT NOT NULL,
	"key" TEXT NOT NULL,
	value TEXT,
	PRIMARY KEY (id)
);
INSERT INTO "history_facts" VALUES(1,'north',0.0,1767225600.0,'status','17','["a"]');
CREATE TABLE history_polls (
	id INTEGER NOT NULL,
	system TEXT NOT NULL,
	at FLOAT NOT NULL,
	time FLOAT NOT NULL,
	lag_seconds FLOAT NOT NULL,
	took_seconds FLOAT NOT NULL,
	every_seconds FLOAT NOT NULL,
	began FLOAT,
	clock FLOAT,
	problem TEXT NOT NULL,
	tags_read BOOLEAN NOT NULL,
	log_positions JSON,
	log_problem TEXT NOT NULL,
	log_complete BOOLEAN NOT NULL,
	random_numbers JSON,
	PRIMARY KEY (id)
);
INSERT INTO "history_polls" VALUES(1,'north',0.0,1767225600.0,0.0,1.0,30.0,NULL,NULL,'',1,NULL,'',1,NULL);
CREATE TABLE history_rows (
	id INTEGER NOT NULL,
	system TEXT NOT NULL,
	time FLOAT NOT NULL,
	row_json TEXT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "history_rows" VALUES(1,'north',1767225600.0,'{"table":"machine_logs","key":1,"at":1767225600.0,"text":"x","user":"","level":"","machine":23,"object_type":"","object_name":"","unreadable":[],"read_at":1.0}');
CREATE TABLE intents (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	system TEXT NOT NULL,
	uuid TEXT NOT NULL,
	vm_key BIGINT NOT NULL,
	name TEXT NOT NULL,
	action TEXT NOT NULL,
	decision INTEGER NOT NULL,
	prepared_at FLOAT NOT NULL,
	prepared_time VARCHAR(32) NOT NULL,
	sent_at FLOAT,
	sent_position JSON,
	deadline FLOAT NOT NULL,
	reply TEXT,
	detail TEXT NOT NULL,
	outcome TEXT,
	closed_time VARCHAR(32),
	extended BOOLEAN NOT NULL,
	time_to_service_seconds FLOAT,
	FOREIGN KEY(decision) REFERENCES decisions (id)
);
INSERT INTO "intents" VALUES(1,'north','5c2f-web',17,'web-1','poweron',2,1000.25,'2026-01-01T00:00:00.000000+00:00',1000.5,'{"machine_logs": 7, "logs": 1099511627776}',1240.25,'accepted','task 99','confirmed','2026-01-01T00:00:00.000000+00:00',1,NULL);
INSERT INTO "intents" VALUES(2,'north','5c2f-web',17,'web-1','poweron',2,1000.25,'2026-01-01T00:00:00.000000+00:00',NULL,NULL,1120.25,NULL,'',NULL,NULL,0,NULL);
CREATE TABLE log_templates (
	system TEXT NOT NULL,
	template TEXT NOT NULL,
	example TEXT NOT NULL,
	sightings JSON NOT NULL,
	marks INTEGER NOT NULL,
	last_mark TEXT NOT NULL,
	blocked INTEGER NOT NULL,
	PRIMARY KEY (system, template)
);
INSERT INTO "log_templates" VALUES('north','Task ''<name>'' ran on ''<name>''','Task ''Hourly'' ran on ''web-1''','{"system": {"times": 7, "first_at": 100.5, "last_at": 90000.25}, "many": {"times": 1, "first_at": 300.0, "last_at": 300.0}}',1,'web-1 at 2026-11-29 10:00:00 UTC (unknown: logs_unclear)',3);
CREATE TABLE systems (
	system TEXT NOT NULL,
	watched FLOAT NOT NULL,
	time VARCHAR(32) NOT NULL,
	clock FLOAT,
	log_positions JSON NOT NULL,
	PRIMARY KEY (system)
);
INSERT INTO "systems" VALUES('north',1000.0,'2026-01-01T00:00:00.000000+00:00',1700000000.75,'[]');
CREATE INDEX changes_by_vm ON changes (system, uuid, id);
CREATE INDEX changes_by_system ON changes (system, id);
CREATE INDEX changes_by_time ON changes (time);
CREATE INDEX decisions_by_vm ON decisions (system, uuid, id);
CREATE INDEX decisions_by_time ON decisions (time);
CREATE INDEX decisions_by_system ON decisions (system, id);
CREATE INDEX history_facts_by_key ON history_facts (system, kind, "key", id);
CREATE INDEX commands_by_system ON commands (system, id);
CREATE INDEX intents_by_decision ON intents (decision);
CREATE INDEX intents_by_sent_at ON intents (system, sent_at);
CREATE INDEX intents_by_vm ON intents (system, uuid, id);
CREATE UNIQUE INDEX one_open_intent ON intents (system, uuid) WHERE outcome IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('changes',1);
INSERT INTO "sqlite_sequence" VALUES('decisions',2);
INSERT INTO "sqlite_sequence" VALUES('intents',2);
INSERT INTO "sqlite_sequence" VALUES('commands',1);
COMMIT;
