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
INSERT INTO "cases" VALUES('http://URL','e4b06ce6-0741-47a8-bce4-2c8218072e8c','{"uuid":"e4b06ce6-0741-47a8-bce4-2c8218072e8c","key":1,"machine":101,"name":"web-01","policy":"on-failure","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":1,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','08d6af57-da71-4448-96c8-da1964b2d2bc','{"uuid":"08d6af57-da71-4448-96c8-da1964b2d2bc","key":2,"machine":102,"name":"test-01","policy":"on-failure","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":1,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','9a15a311-eb5a-49f9-95ae-305b83acfb7e','{"uuid":"9a15a311-eb5a-49f9-95ae-305b83acfb7e","key":7,"machine":107,"name":"web-04","policy":"on-failure","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":1,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','ba6cac4a-e82d-4fef-9c7d-498a8f76dc87','{"uuid":"ba6cac4a-e82d-4fef-9c7d-498a8f76dc87","key":8,"machine":108,"name":"db-02","policy":"on-failure","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":1,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','aefba2ae-d515-4664-8039-d142c1e6415a','{"uuid":"aefba2ae-d515-4664-8039-d142c1e6415a","key":9,"machine":109,"name":"db-03","policy":"on-failure","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":2,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','c47addc9-2d9b-4f22-98a5-0636452fac9a','{"uuid":"c47addc9-2d9b-4f22-98a5-0636452fac9a","key":10,"machine":110,"name":"app-02","policy":"no","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":2,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','70d07eba-b73b-4062-a4d4-ad86235a63d5','{"uuid":"70d07eba-b73b-4062-a4d4-ad86235a63d5","key":11,"machine":111,"name":"build-01","policy":"no","state":"healthy","since":0.3409008860035101,"observed":"up","word":"running","former_names":[],"node":1,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":null,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','7c240d49-69d4-45dd-8135-5c53f0e642f4','{"uuid":"7c240d49-69d4-45dd-8135-5c53f0e642f4","key":3,"machine":103,"name":"web-02","policy":"on-failure","state":"baseline","since":0.3409008860035101,"observed":"down","word":"stopped","former_names":[],"node":null,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":0.8408469210044132,"started":1788007284,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":56,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','843fdda7-b1ee-4aff-8c3d-5506a17a4340','{"uuid":"843fdda7-b1ee-4aff-8c3d-5506a17a4340","key":4,"machine":104,"name":"web-03","policy":"on-failure","state":"baseline","since":0.3409008860035101,"observed":"hibernated","word":"hibernated","former_names":[],"node":null,"up_at":null,"up_clock":null,"log_from":null,"log_up":null,"log_down":null,"trouble_at":null,"started":1793122505,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":["hibernated"],"max_gap_seconds":0.0,"missing":0,"diagnosis":null,"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','b9b81635-10b8-4e22-bc11-654988534206','{"uuid":"b9b81635-10b8-4e22-bc11-654988534206","key":5,"machine":105,"name":"app-01","policy":"on-failure","state":"stopped","since":5.3410993209981825,"observed":"stopping","word":"stopping","former_names":[],"node":1,"up_at":4.841400183002406,"up_clock":1795983352,"log_from":{"machine_logs":7,"logs":11},"log_up":{"machine_logs":7,"logs":15},"log_down":null,"trouble_at":null,"started":1787879392,"lost_at":null,"lost_clock":null,"losses":[],"times_observed":0,"hung_at":null,"words_since_up":["stopping"],"max_gap_seconds":7,"missing":0,"diagnosis":{"kind":"stopped","cause":"stopped_by_person","detail":"“VM action ''poweroff'' sent” by anna at 20:15:48 UTC (machine_logs row 8)","template":"VM action ''poweroff'' sent"},"attempts":0,"retry_at":null,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":null,"undone":[]}');
INSERT INTO "cases" VALUES('http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba','{"uuid":"e8c2d219-8afd-4973-b863-3958ce75f4ba","key":6,"machine":106,"name":"db-01","policy":"on-failure","state":"quarantined","since":13.946404495000024,"observed":"down","word":"stopped","former_names":[],"node":2,"up_at":11.341811037003936,"up_clock":1795983365,"log_from":{"machine_logs":7,"logs":11},"log_up":{"machine_logs":8,"logs":16},"log_down":{"machine_logs":10,"logs":18},"trouble_at":11.840693718004331,"started":1795983351,"lost_at":11.840693718004331,"lost_clock":1795983365,"losses":[5.3410993209981825,11.840693718004331],"times_observed":34,"hung_at":null,"words_since_up":[],"max_gap_seconds":0.4988826810003957,"missing":0,"diagnosis":{"kind":"crashed","cause":"crashed","detail":"it went down without a stop request","template":""},"attempts":1,"retry_at":63.00020056554102,"ladder_step":0,"killed_position":null,"killed_at":null,"kill_unanswered":false,"cleared_at":0.0,"question":null,"helped_at":8.928215685999021,"undone":[]}');
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
INSERT INTO "changes" VALUES(1,'http://URL','e4b06ce6-0741-47a8-bce4-2c8218072e8c',1,'web-01',4.84205398999620229005e-01,'2026-11-29T20:15:43.669611+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(2,'http://URL','08d6af57-da71-4448-96c8-da1964b2d2bc',2,'test-01',4.84205398999620229005e-01,'2026-11-29T20:15:43.669615+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(3,'http://URL','7c240d49-69d4-45dd-8135-5c53f0e642f4',3,'web-02',4.84205398999620229005e-01,'2026-11-29T20:15:43.669617+00:00',NULL,NULL,NULL,NULL,NULL,'baseline','stopped','');
INSERT INTO "changes" VALUES(4,'http://URL','843fdda7-b1ee-4aff-8c3d-5506a17a4340',4,'web-03',4.84205398999620229005e-01,'2026-11-29T20:15:43.669618+00:00',NULL,NULL,NULL,NULL,NULL,'baseline','hibernated','');
INSERT INTO "changes" VALUES(5,'http://URL','b9b81635-10b8-4e22-bc11-654988534206',5,'app-01',4.84205398999620229005e-01,'2026-11-29T20:15:43.669620+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(6,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',4.84205398999620229005e-01,'2026-11-29T20:15:43.669621+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(7,'http://URL','9a15a311-eb5a-49f9-95ae-305b83acfb7e',7,'web-04',4.84205398999620229005e-01,'2026-11-29T20:15:43.669623+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(8,'http://URL','ba6cac4a-e82d-4fef-9c7d-498a8f76dc87',8,'db-02',4.84205398999620229005e-01,'2026-11-29T20:15:43.669626+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(9,'http://URL','aefba2ae-d515-4664-8039-d142c1e6415a',9,'db-03',4.84205398999620229005e-01,'2026-11-29T20:15:43.669628+00:00',NULL,NULL,NULL,NULL,NULL,'healthy','running','');
INSERT INTO "changes" VALUES(10,'http://URL','b9b81635-10b8-4e22-bc11-654988534206',5,'app-01',5.59453660700091859325e+00,'2026-11-29T20:15:48.779941+00:00','stopped','stopped_by_person','“VM action ''poweroff'' sent” by anna at 20:15:48 UTC (machine_logs row 8)','VM action ''poweroff'' sent','healthy','stopped','stopping','');
INSERT INTO "changes" VALUES(11,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',5.59453660700091859325e+00,'2026-11-29T20:15:48.779945+00:00','pending','not_long_enough','down for 0 s in 1 poll; 2 s and 2 polls are needed','','healthy','suspect','stopped','');
INSERT INTO "changes" VALUES(12,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',8.05259097499947529286e+00,'2026-11-29T20:15:51.237990+00:00','crashed','crashed','it went down without a stop request','','suspect','verifying','stopped','');
INSERT INTO "changes" VALUES(13,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',8.92854549600451719015e+00,'2026-11-29T20:15:52.113944+00:00',NULL,NULL,NULL,NULL,'verifying','probation','running','');
INSERT INTO "changes" VALUES(14,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',1.19499470950031536629e+01,'2026-11-29T20:15:55.135348+00:00','pending','not_long_enough','down for 0 s in 1 poll; 2 s and 2 polls are needed','','probation','suspect','stopped','');
INSERT INTO "changes" VALUES(15,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',1.39469514070005971005e+01,'2026-11-29T20:15:57.132349+00:00','crashed','crashed','it went down without a stop request','','suspect','quarantined','stopped','');
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
INSERT INTO "commands" VALUES(1,'http://URL','teach','anna','the inventory tool',2.0402747257001465186e+01,'2026-11-29T20:16:03.588137+00:00',NULL,NULL,'the site''s own tool looked at {vm}','harmless',NULL);
INSERT INTO "commands" VALUES(2,'http://URL','disarm','anna','upgrade of vergewatch',2.15640479080029763277e+01,'2026-11-29T20:16:04.749439+00:00',NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "decisions" VALUES(1,'http://URL','b9b81635-10b8-4e22-bc11-654988534206',5,'app-01',5.58868816400354262441e+00,'2026-11-29T20:15:48.774075+00:00','stopped','stopped_by_person','“VM action ''poweroff'' sent” by anna at 20:15:48 UTC (machine_logs row 8)','VM action ''poweroff'' sent','stopped','poweron','crashed','enforce','[{"guard":"enrolled","passed":true,"detail":"policy on-failure: tag recovery/auto","fix":"","budgets":[]},{"guard":"armed","passed":true,"detail":"recovery is armed","fix":"","budgets":[]},{"guard":"not_paused","passed":true,"detail":"no pause is in force","fix":"","budgets":[]},{"guard":"no_rival","passed":true,"detail":"no action of another instance was seen","fix":"","budgets":[]},{"guard":"journal_writable","passed":true,"detail":"the journal is writable","fix":"","budgets":[]},{"guard":"inventory_fresh","passed":true,"detail":"the inventory is 0 s old (limit: 30 s)","fix":"","budgets":[]},{"guard":"inventory_stable","passed":true,"detail":"the last inventories are valid","fix":"","budgets":[]},{"guard":"no_platform_update","passed":true,"detail":"no update is known to be in progress","fix":"","budgets":[]},{"guard":"warmed_up","passed":true,"detail":"5 s and 11 valid inventories since its start; 2 s and 2 valid inventories are required","fix":"","budgets":[]},{"guard":"crashed","passed":false,"detail":"stopped, stopped_by_person: “VM action ''poweroff'' sent” by anna at 20:15:48 UTC (machine_logs row 8)","fix":"start the VM","budgets":[]},{"guard":"crash_recent","passed":true,"detail":"the VM went down 0 s ago (limit: 1 d)","fix":"","budgets":[]},{"guard":"no_open_action","passed":true,"detail":"no action on this VM is open","fix":"","budgets":[]},{"guard":"within_restart_budget","passed":true,"detail":"0 of 1 in 1 h, 0 of 6 in 1 d, 0 of 10 in 7 d","fix":"","budgets":[{"used":0,"limit":1,"seconds":3600.0},{"used":0,"limit":6,"seconds":86400.0},{"used":0,"limit":10,"seconds":604800.0}]},{"guard":"backoff_elapsed","passed":true,"detail":"0 attempts so far, no backoff left","fix":"","budgets":[]},{"guard":"outside_maintenance_window","passed":true,"detail":"no maintenance window is active","fix":"","budgets":[]},{"guard":"not_silenced","passed":true,"detail":"no silence matches the VM","fix":"","budgets":[]},{"guard":"node_stable","passed":true,"detail":"no other VM on its node failed recently","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":true,"detail":"the circuit breaker is closed","fix":"","budgets":[]},{"guard":"capacity_available","passed":true,"detail":"0 refusals for lack of resources in 10 min","fix":"","budgets":[]},{"guard":"storage_available","passed":true,"detail":"no storage tier of its cluster is known to be impaired","fix":"","budgets":[]},{"guard":"memory_available","passed":true,"detail":"its cluster is not known to lack memory","fix":"","budgets":[]},{"guard":"devices_present","passed":true,"detail":"no device that it requires is known to be missing","fix":"","budgets":[]},{"guard":"below_concurrency_limit","passed":true,"detail":"0 of 2 concurrent actions","fix":"","budgets":[]},{"guard":"within_rate_limit","passed":true,"detail":"0 of 10 in 10 min, 0 of 30 in 1 d","fix":"","budgets":[]},{"guard":"dependencies_up","passed":true,"detail":"no dependency is down","fix":"","budgets":[]},{"guard":"action_allowed","passed":true,"detail":"poweron is allowed","fix":"","budgets":[]},{"guard":"write_access","passed":true,"detail":"the credential is not known to be read-only","fix":"","budgets":[]},{"guard":"down_confirmed","passed":true,"detail":"recovery.confirm has no query for it","fix":"","budgets":[]},{"guard":"mode_permits","passed":true,"detail":"the mode is enforce","fix":"","budgets":[]}]');
INSERT INTO "decisions" VALUES(2,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',5.59379192100459476932e+00,'2026-11-29T20:15:48.779180+00:00','pending','not_long_enough','down for 0 s in 1 poll; 2 s and 2 polls are needed','','suspect','poweron','crashed','enforce','[{"guard":"enrolled","passed":true,"detail":"policy on-failure: tag recovery/auto","fix":"","budgets":[]},{"guard":"armed","passed":true,"detail":"recovery is armed","fix":"","budgets":[]},{"guard":"not_paused","passed":true,"detail":"no pause is in force","fix":"","budgets":[]},{"guard":"no_rival","passed":true,"detail":"no action of another instance was seen","fix":"","budgets":[]},{"guard":"journal_writable","passed":true,"detail":"the journal is writable","fix":"","budgets":[]},{"guard":"inventory_fresh","passed":true,"detail":"the inventory is 0 s old (limit: 30 s)","fix":"","budgets":[]},{"guard":"inventory_stable","passed":true,"detail":"the last inventories are valid","fix":"","budgets":[]},{"guard":"no_platform_update","passed":true,"detail":"no update is known to be in progress","fix":"","budgets":[]},{"guard":"warmed_up","passed":true,"detail":"5 s and 11 valid inventories since its start; 2 s and 2 valid inventories are required","fix":"","budgets":[]},{"guard":"crashed","passed":false,"detail":"pending, not_long_enough: down for 0 s in 1 poll; 2 s and 2 polls are needed","fix":"wait for the diagnosis","budgets":[]},{"guard":"crash_recent","passed":true,"detail":"the VM went down 0 s ago (limit: 1 d)","fix":"","budgets":[]},{"guard":"no_open_action","passed":true,"detail":"no action on this VM is open","fix":"","budgets":[]},{"guard":"within_restart_budget","passed":true,"detail":"0 of 1 in 1 h, 0 of 6 in 1 d, 0 of 10 in 7 d","fix":"","budgets":[{"used":0,"limit":1,"seconds":3600.0},{"used":0,"limit":6,"seconds":86400.0},{"used":0,"limit":10,"seconds":604800.0}]},{"guard":"backoff_elapsed","passed":true,"detail":"0 attempts so far, no backoff left","fix":"","budgets":[]},{"guard":"outside_maintenance_window","passed":true,"detail":"no maintenance window is active","fix":"","budgets":[]},{"guard":"not_silenced","passed":true,"detail":"no silence matches the VM","fix":"","budgets":[]},{"guard":"node_stable","passed":true,"detail":"no other VM on its node failed recently","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":true,"detail":"the circuit breaker is closed","fix":"","budgets":[]},{"guard":"capacity_available","passed":true,"detail":"0 refusals for lack of resources in 10 min","fix":"","budgets":[]},{"guard":"storage_available","passed":true,"detail":"no storage tier of its cluster is known to be impaired","fix":"","budgets":[]},{"guard":"memory_available","passed":true,"detail":"its cluster is not known to lack memory","fix":"","budgets":[]},{"guard":"devices_present","passed":true,"detail":"no device that it requires is known to be missing","fix":"","budgets":[]},{"guard":"below_concurrency_limit","passed":true,"detail":"0 of 2 concurrent actions","fix":"","budgets":[]},{"guard":"within_rate_limit","passed":true,"detail":"0 of 10 in 10 min, 0 of 30 in 1 d","fix":"","budgets":[]},{"guard":"dependencies_up","passed":true,"detail":"no dependency is down","fix":"","budgets":[]},{"guard":"action_allowed","passed":true,"detail":"poweron is allowed","fix":"","budgets":[]},{"guard":"write_access","passed":true,"detail":"the credential is not known to be read-only","fix":"","budgets":[]},{"guard":"down_confirmed","passed":true,"detail":"recovery.confirm has no query for it","fix":"","budgets":[]},{"guard":"mode_permits","passed":true,"detail":"the mode is enforce","fix":"","budgets":[]}]');
INSERT INTO "decisions" VALUES(3,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',7.9836686570051824674e+00,'2026-11-29T20:15:51.169057+00:00','crashed','crashed','it went down without a stop request','','held','poweron',NULL,'enforce','[{"guard":"enrolled","passed":true,"detail":"policy on-failure: tag recovery/auto","fix":"","budgets":[]},{"guard":"armed","passed":true,"detail":"recovery is armed","fix":"","budgets":[]},{"guard":"not_paused","passed":true,"detail":"no pause is in force","fix":"","budgets":[]},{"guard":"no_rival","passed":true,"detail":"no action of another instance was seen","fix":"","budgets":[]},{"guard":"journal_writable","passed":true,"detail":"the journal is writable","fix":"","budgets":[]},{"guard":"inventory_fresh","passed":true,"detail":"the inventory is 0 s old (limit: 30 s)","fix":"","budgets":[]},{"guard":"inventory_stable","passed":true,"detail":"the last inventories are valid","fix":"","budgets":[]},{"guard":"no_platform_update","passed":true,"detail":"no update is known to be in progress","fix":"","budgets":[]},{"guard":"warmed_up","passed":true,"detail":"7 s and 16 valid inventories since its start; 2 s and 2 valid inventories are required","fix":"","budgets":[]},{"guard":"crashed","passed":true,"detail":"crashed: it went down without a stop request","fix":"","budgets":[]},{"guard":"crash_recent","passed":true,"detail":"the VM went down 5 s ago (limit: 1 d)","fix":"","budgets":[]},{"guard":"no_open_action","passed":true,"detail":"no action on this VM is open","fix":"","budgets":[]},{"guard":"within_restart_budget","passed":true,"detail":"0 of 1 in 1 h, 0 of 6 in 1 d, 0 of 10 in 7 d","fix":"","budgets":[{"used":0,"limit":1,"seconds":3600.0},{"used":0,"limit":6,"seconds":86400.0},{"used":0,"limit":10,"seconds":604800.0}]},{"guard":"backoff_elapsed","passed":true,"detail":"0 attempts so far, no backoff left","fix":"","budgets":[]},{"guard":"outside_maintenance_window","passed":true,"detail":"no maintenance window is active","fix":"","budgets":[]},{"guard":"not_silenced","passed":true,"detail":"no silence matches the VM","fix":"","budgets":[]},{"guard":"node_stable","passed":true,"detail":"no other VM on its node failed recently","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":true,"detail":"the circuit breaker is closed","fix":"","budgets":[]},{"guard":"capacity_available","passed":true,"detail":"0 refusals for lack of resources in 10 min","fix":"","budgets":[]},{"guard":"storage_available","passed":true,"detail":"no storage tier of its cluster is known to be impaired","fix":"","budgets":[]},{"guard":"memory_available","passed":true,"detail":"its cluster is not known to lack memory","fix":"","budgets":[]},{"guard":"devices_present","passed":true,"detail":"no device that it requires is known to be missing","fix":"","budgets":[]},{"guard":"below_concurrency_limit","passed":true,"detail":"0 of 2 concurrent actions","fix":"","budgets":[]},{"guard":"within_rate_limit","passed":true,"detail":"0 of 10 in 10 min, 0 of 30 in 1 d","fix":"","budgets":[]},{"guard":"dependencies_up","passed":true,"detail":"no dependency is down","fix":"","budgets":[]},{"guard":"action_allowed","passed":true,"detail":"poweron is allowed","fix":"","budgets":[]},{"guard":"write_access","passed":true,"detail":"the credential is not known to be read-only","fix":"","budgets":[]},{"guard":"down_confirmed","passed":true,"detail":"recovery.confirm has no query for it","fix":"","budgets":[]},{"guard":"mode_permits","passed":true,"detail":"the mode is enforce","fix":"","budgets":[]}]');
INSERT INTO "decisions" VALUES(4,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',1.19432410689987591469e+01,'2026-11-29T20:15:55.128628+00:00','pending','not_long_enough','down for 0 s in 1 poll; 2 s and 2 polls are needed','','suspect','poweron','crashed','enforce','[{"guard":"enrolled","passed":true,"detail":"policy on-failure: tag recovery/auto","fix":"","budgets":[]},{"guard":"armed","passed":true,"detail":"recovery is armed","fix":"","budgets":[]},{"guard":"not_paused","passed":true,"detail":"no pause is in force","fix":"","budgets":[]},{"guard":"no_rival","passed":true,"detail":"no action of another instance was seen","fix":"","budgets":[]},{"guard":"journal_writable","passed":true,"detail":"the journal is writable","fix":"","budgets":[]},{"guard":"inventory_fresh","passed":true,"detail":"the inventory is 0 s old (limit: 30 s)","fix":"","budgets":[]},{"guard":"inventory_stable","passed":true,"detail":"the last inventories are valid","fix":"","budgets":[]},{"guard":"no_platform_update","passed":true,"detail":"no update is known to be in progress","fix":"","budgets":[]},{"guard":"warmed_up","passed":true,"detail":"11 s and 24 valid inventories since its start; 2 s and 2 valid inventories are required","fix":"","budgets":[]},{"guard":"crashed","passed":false,"detail":"pending, not_long_enough: down for 0 s in 1 poll; 2 s and 2 polls are needed","fix":"wait for the diagnosis","budgets":[]},{"guard":"crash_recent","passed":true,"detail":"the VM went down 0 s ago (limit: 1 d)","fix":"","budgets":[]},{"guard":"no_open_action","passed":true,"detail":"no action on this VM is open","fix":"","budgets":[]},{"guard":"within_restart_budget","passed":false,"detail":"1 of 1 in 1 h, 1 of 6 in 1 d, 1 of 10 in 7 d","fix":"vergewatch recovery clear db-01 --reason ...","budgets":[{"used":1,"limit":1,"seconds":3600.0},{"used":1,"limit":6,"seconds":86400.0},{"used":1,"limit":10,"seconds":604800.0}]},{"guard":"backoff_elapsed","passed":false,"detail":"52 s left of the backoff after attempt 1","fix":"wait 52 s","budgets":[]},{"guard":"outside_maintenance_window","passed":true,"detail":"no maintenance window is active","fix":"","budgets":[]},{"guard":"not_silenced","passed":true,"detail":"no silence matches the VM","fix":"","budgets":[]},{"guard":"node_stable","passed":true,"detail":"no other VM on its node failed recently","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":true,"detail":"the circuit breaker is closed","fix":"","budgets":[]},{"guard":"capacity_available","passed":true,"detail":"0 refusals for lack of resources in 10 min","fix":"","budgets":[]},{"guard":"storage_available","passed":true,"detail":"no storage tier of its cluster is known to be impaired","fix":"","budgets":[]},{"guard":"memory_available","passed":true,"detail":"its cluster is not known to lack memory","fix":"","budgets":[]},{"guard":"devices_present","passed":true,"detail":"no device that it requires is known to be missing","fix":"","budgets":[]},{"guard":"below_concurrency_limit","passed":true,"detail":"0 of 2 concurrent actions","fix":"","budgets":[]},{"guard":"within_rate_limit","passed":true,"detail":"1 of 10 in 10 min, 1 of 30 in 1 d","fix":"","budgets":[]},{"guard":"dependencies_up","passed":true,"detail":"no dependency is down","fix":"","budgets":[]},{"guard":"action_allowed","passed":true,"detail":"poweron is allowed","fix":"","budgets":[]},{"guard":"write_access","passed":true,"detail":"the credential is not known to be read-only","fix":"","budgets":[]},{"guard":"down_confirmed","passed":true,"detail":"recovery.confirm has no query for it","fix":"","budgets":[]},{"guard":"mode_permits","passed":true,"detail":"the mode is enforce","fix":"","budgets":[]}]');
INSERT INTO "decisions" VALUES(5,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01',1.39464044950000243261e+01,'2026-11-29T20:15:57.131792+00:00','crashed','crashed','it went down without a stop request','','held','poweron','within_restart_budget','enforce','[{"guard":"enrolled","passed":true,"detail":"policy on-failure: tag recovery/auto","fix":"","budgets":[]},{"guard":"armed","passed":true,"detail":"recovery is armed","fix":"","budgets":[]},{"guard":"not_paused","passed":true,"detail":"no pause is in force","fix":"","budgets":[]},{"guard":"no_rival","passed":true,"detail":"no action of another instance was seen","fix":"","budgets":[]},{"guard":"journal_writable","passed":true,"detail":"the journal is writable","fix":"","budgets":[]},{"guard":"inventory_fresh","passed":true,"detail":"the inventory is 0 s old (limit: 30 s)","fix":"","budgets":[]},{"guard":"inventory_stable","passed":true,"detail":"the last inventories are valid","fix":"","budgets":[]},{"guard":"no_platform_update","passed":true,"detail":"no update is known to be in progress","fix":"","budgets":[]},{"guard":"warmed_up","passed":true,"detail":"13 s and 28 valid inventories since its start; 2 s and 2 valid inventories are required","fix":"","budgets":[]},{"guard":"crashed","passed":true,"detail":"crashed: it went down without a stop request","fix":"","budgets":[]},{"guard":"crash_recent","passed":true,"detail":"the VM went down 3 s ago (limit: 1 d)","fix":"","budgets":[]},{"guard":"no_open_action","passed":true,"detail":"no action on this VM is open","fix":"","budgets":[]},{"guard":"within_restart_budget","passed":false,"detail":"1 of 1 in 1 h, 1 of 6 in 1 d, 1 of 10 in 7 d","fix":"vergewatch recovery clear db-01 --reason ...","budgets":[{"used":1,"limit":1,"seconds":3600.0},{"used":1,"limit":6,"seconds":86400.0},{"used":1,"limit":10,"seconds":604800.0}]},{"guard":"backoff_elapsed","passed":false,"detail":"50 s left of the backoff after attempt 1","fix":"wait 50 s","budgets":[]},{"guard":"outside_maintenance_window","passed":true,"detail":"no maintenance window is active","fix":"","budgets":[]},{"guard":"not_silenced","passed":true,"detail":"no silence matches the VM","fix":"","budgets":[]},{"guard":"node_stable","passed":true,"detail":"no other VM on its node failed recently","fix":"","budgets":[]},{"guard":"circuit_breaker_closed","passed":true,"detail":"the circuit breaker is closed","fix":"","budgets":[]},{"guard":"capacity_available","passed":true,"detail":"0 refusals for lack of resources in 10 min","fix":"","budgets":[]},{"guard":"storage_available","passed":true,"detail":"no storage tier of its cluster is known to be impaired","fix":"","budgets":[]},{"guard":"memory_available","passed":true,"detail":"its cluster is not known to lack memory","fix":"","budgets":[]},{"guard":"devices_present","passed":true,"detail":"no device that it requires is known to be missing","fix":"","budgets":[]},{"guard":"below_concurrency_limit","passed":true,"detail":"0 of 2 concurrent actions","fix":"","budgets":[]},{"guard":"within_rate_limit","passed":true,"detail":"1 of 10 in 10 min, 1 of 30 in 1 d","fix":"","budgets":[]},{"guard":"dependencies_up","passed":true,"detail":"no dependency is down","fix":"","budgets":[]},{"guard":"action_allowed","passed":true,"detail":"poweron is allowed","fix":"","budgets":[]},{"guard":"write_access","passed":true,"detail":"the credential is not known to be read-only","fix":"","budgets":[]},{"guard":"down_confirmed","passed":true,"detail":"recovery.confirm has no query for it","fix":"","budgets":[]},{"guard":"mode_permits","passed":true,"detail":"the mode is enforce","fix":"","budgets":[]}]');
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
INSERT INTO "history_facts" VALUES(1,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','1','[101,"web-01","e4b06ce6-0741-47a8-bce4-2c8218072e8c",true,2147483648,1,null,"","last_state",false,false,["environment/test","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(2,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','1','[true,true,"running","online",1,1795879469]');
INSERT INTO "history_facts" VALUES(3,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','2','[102,"test-01","08d6af57-da71-4448-96c8-da1964b2d2bc",true,1073741824,1,null,"","last_state",false,false,["environment/production","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(4,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','2','[true,true,"running","online",1,1789122946]');
INSERT INTO "history_facts" VALUES(5,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','3','[103,"web-02","7c240d49-69d4-45dd-8135-5c53f0e642f4",true,4294967296,1,null,"","last_state",false,false,["environment/production","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(6,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','3','[false,false,"stopped","offline",null,1788007284]');
INSERT INTO "history_facts" VALUES(7,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','4','[104,"web-03","843fdda7-b1ee-4aff-8c3d-5506a17a4340",true,8589934592,1,null,"","last_state",false,false,["environment/staging","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(8,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','4','[false,false,"hibernated","offline",null,1793122505]');
INSERT INTO "history_facts" VALUES(9,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','5','[105,"app-01","b9b81635-10b8-4e22-bc11-654988534206",true,17179869184,1,null,"","last_state",false,false,["environment/production","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(10,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','5','[true,true,"running","online",1,1787879392]');
INSERT INTO "history_facts" VALUES(11,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','6','[106,"db-01","e8c2d219-8afd-4973-b863-3958ce75f4ba",true,17179869184,1,null,"","last_state",false,true,["environment/production","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(12,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','6','[true,true,"running","online",2,1787146521]');
INSERT INTO "history_facts" VALUES(13,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','7','[107,"web-04","9a15a311-eb5a-49f9-95ae-305b83acfb7e",true,2147483648,1,null,"","last_state",false,false,["environment/production","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(14,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','7','[true,true,"running","online",1,1791953158]');
INSERT INTO "history_facts" VALUES(15,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','8','[108,"db-02","ba6cac4a-e82d-4fef-9c7d-498a8f76dc87",true,34359738368,1,null,"","last_state",false,false,["environment/test","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(16,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','8','[true,true,"running","online",1,1790965859]');
INSERT INTO "history_facts" VALUES(17,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','9','[109,"db-03","aefba2ae-d515-4664-8039-d142c1e6415a",true,17179869184,1,null,"","last_state",false,false,["environment/production","recovery/auto"]]');
INSERT INTO "history_facts" VALUES(18,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','9','[true,true,"running","online",2,1794442498]');
INSERT INTO "history_facts" VALUES(19,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','10','[110,"app-02","c47addc9-2d9b-4f22-98a5-0636452fac9a",true,17179869184,1,null,"","power_on",false,false,["environment/production"]]');
INSERT INTO "history_facts" VALUES(20,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','10','[true,true,"running","online",2,1787542440]');
INSERT INTO "history_facts" VALUES(21,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','11','[111,"build-01","70d07eba-b73b-4062-a4d4-ad86235a63d5",true,17179869184,1,null,"","last_state",false,false,["environment/staging"]]');
INSERT INTO "history_facts" VALUES(22,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','11','[true,true,"running","online",1,1794661603]');
INSERT INTO "history_facts" VALUES(23,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'vm','12','[119,"nas-service","334c76b8-e42b-4627-b84d-a68248a3ff76",true,8589934592,1,null,"","last_state",true,false,[]]');
INSERT INTO "history_facts" VALUES(24,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'status','12','[true,true,"running","online",2,1785879073]');
INSERT INTO "history_facts" VALUES(25,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'node','1','["node1",1,112,false,[true,true,"running","online",1,1788584054]]');
INSERT INTO "history_facts" VALUES(26,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'node','2','["node2",1,113,false,[true,true,"running","online",2,1792399620]]');
INSERT INTO "history_facts" VALUES(27,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'cluster','1','"production"');
INSERT INTO "history_facts" VALUES(28,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'platform','','{"update":"","tiers":[{"cluster":1,"tier":0,"status":"online","repairs":0},{"cluster":1,"tier":1,"status":"online","repairs":0}],"free_memory_bytes":{"1":380373041152},"missing_devices":{}}');
INSERT INTO "history_facts" VALUES(29,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,'system','','["","",""]');
INSERT INTO "history_facts" VALUES(30,'http://URL',5.34109932099818252027e+00,1.79598334852648806574e+09,'status','5','[true,true,"stopping","warning",1,1787879392]');
INSERT INTO "history_facts" VALUES(31,'http://URL',5.34109932099818252027e+00,1.79598334852648806574e+09,'status','6','[false,false,"stopped","offline",null,1787146521]');
INSERT INTO "history_facts" VALUES(32,'http://URL',5.34109932099818252027e+00,1.79598334852648806574e+09,'platform','','{"update":"","tiers":[{"cluster":1,"tier":0,"status":"online","repairs":0},{"cluster":1,"tier":1,"status":"online","repairs":0}],"free_memory_bytes":{"1":397552910336},"missing_devices":{}}');
INSERT INTO "history_facts" VALUES(33,'http://URL',8.34432562100119,1.79598335152971506122e+09,'status','6','[false,false,"initializing","warning",2,1787146521]');
INSERT INTO "history_facts" VALUES(34,'http://URL',8.84104259100422495976e+00,1.7959833520264310837e+09,'status','6','[true,true,"running","online",2,1795983351]');
INSERT INTO "history_facts" VALUES(35,'http://URL',9.34582342400244669988e+00,1.79598335253121304515e+09,'platform','','{"update":"","tiers":[{"cluster":1,"tier":0,"status":"online","repairs":0},{"cluster":1,"tier":1,"status":"online","repairs":0}],"free_memory_bytes":{"1":380373041152},"missing_devices":{}}');
INSERT INTO "history_facts" VALUES(36,'http://URL',1.18406937180043314583e+01,1.79598335502608203884e+09,'status','6','[false,false,"stopped","offline",null,1795983351]');
INSERT INTO "history_facts" VALUES(37,'http://URL',1.33458389369989163244e+01,1.79598335653122806549e+09,'platform','','{"update":"","tiers":[{"cluster":1,"tier":0,"status":"online","repairs":0},{"cluster":1,"tier":1,"status":"online","repairs":0}],"free_memory_bytes":{"1":397552910336},"missing_devices":{}}');
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
INSERT INTO "history_polls" VALUES(1,'http://URL',3.40900886003510095179e-01,1.79598334352628898622e+09,1.15372252999804913997e-01,2.21624549958505667746e-02,0.5,0.0,1795983339.0,'',1,'[[-629.5431532099974, 7, 11], [0.45684679000260076, 7, 15]]','',1,NULL);
INSERT INTO "history_polls" VALUES(2,'http://URL',8.40846921004413161426e-01,1.79598334402623510362e+09,7.72891609958605840802e-02,2.53292659981525503098e-02,0.5,NULL,1795983339.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(3,'http://URL',1.341567256000416819e+00,1.79598334452695608141e+09,2.16483561001950874924e-01,2.42282309991423971951e-02,0.5,NULL,1795983339.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(4,'http://URL',1.84070648300257744267e+00,1.79598334502609491346e+09,7.34925829965504817664e-02,2.24029309974866919219e-02,0.5,NULL,1795983339.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(5,'http://URL',2.34137088400166248902e+00,1.79598334552675890918e+09,1.20732529998349491506e-01,2.25593639988801442086e-02,0.5,NULL,1795983339.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(6,'http://URL',2.84118606500123860314e+00,1.79598334602657508851e+09,7.3729996001929976046e-02,2.22534790009376592934e-02,0.5,NULL,1795983339.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(7,'http://URL',3.34128901299845892935e+00,1.79598334652667808528e+09,2.13953685000888071954e-01,2.28596690067206509411e-02,0.5,NULL,1795983346.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(8,'http://URL',3.84128761000465601682e+00,1.79598334702667689326e+09,7.267244599643163383e-02,2.23430229962104931473e-02,0.5,NULL,1795983346.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(9,'http://URL',4.34187135699903592467e+00,1795983347.52726,1.29315804006182588636e-01,2.43981340026948601007e-02,0.5,NULL,1795983351.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(10,'http://URL',4.84140018300240626558e+00,1.79598334802678894989e+09,7.40685889977612532675e-02,2.50550389973795972764e-02,0.5,NULL,1795983352.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(11,'http://URL',5.34109932099818252027e+00,1.79598334852648806574e+09,2.22781746000691782683e-01,2.26352360041346400976e-02,0.5,NULL,1795983353.0,'',1,'[[5.564834021999559, 8, 16]]','',1,NULL);
INSERT INTO "history_polls" VALUES(12,'http://URL',5.84150874400074826553e+00,1.79598334902689790726e+09,7.7086023004085291177e-02,2.33083749990328215062e-02,0.5,NULL,1795983354.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(13,'http://URL',6.34183462700457312166e+00,1.79598334952722311018e+09,1.206325120001565665e-01,2.45845559984445571899e-02,0.5,NULL,1795983355.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(14,'http://URL',6.84096454000246,1.79598335002635288242e+09,7.1255852999456692487e-02,0.022263284001383,0.5,NULL,1795983355.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(15,'http://URL',7.34107848400162765756e+00,1.79598335052646708486e+09,2.24940066997078247368e-01,2.54019440035335719585e-02,0.5,NULL,1795983357.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(16,'http://URL',7.84129678300087107345e+00,1.79598335102668595314e+09,6.86404349980875849723e-02,2.27861710009165108203e-02,0.5,NULL,1795983358.0,'',1,'[[7.910277984003187, 8, 16], [7.9437527140034945, 8, 16]]','',1,'[0.2900820913140283]');
INSERT INTO "history_polls" VALUES(17,'http://URL',8.34432562100119,1.79598335152971506122e+09,1.18754183000419288873e-01,2.675174800242530182e-02,0.5,NULL,1795983359.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(18,'http://URL',8.84104259100422495976e+00,1.7959833520264310837e+09,8.49102759966626763343e-02,2.91889769941917620599e-02,0.5,NULL,1795983361.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(19,'http://URL',9.34582342400244669988e+00,1.79598335253121304515e+09,2.20119990000966936349e-01,0.0225083179975627,0.5,NULL,1795983361.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(20,'http://URL',9.84115456700237700715e+00,1.79598335302654409408e+09,7.84851659991545602679e-02,2.19650310027645900845e-02,0.5,NULL,1795983361.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(21,'http://URL',1.0341825378003704827e+01,1.79598335352721500401e+09,1.20140580998850055038e-01,2.54763539996929466724e-02,0.5,NULL,1795983363.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(22,'http://URL',1.08417955289987730791e+01,1.7959833540271849632e+09,7.64214720038580708205e-02,2.91644600001745857298e-02,0.5,NULL,1795983363.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(23,'http://URL',1.13418110370039357801e+01,1795983354.5272,2.24132176001148764044e-01,2.90534249943448230624e-02,0.5,NULL,1795983365.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(24,'http://URL',1.18406937180043314583e+01,1.79598335502608203884e+09,0.0749980689943186,0.0335154499989585,0.5,NULL,1795983365.0,'',1,'[[11.916083948999585, 10, 18]]','',1,NULL);
INSERT INTO "history_polls" VALUES(25,'http://URL',1.23409561130029032938e+01,1.79598335552634501459e+09,1.29061009996803477406e-01,2.62284109994652681052e-02,0.5,NULL,1795983367.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(26,'http://URL',1.28412893970016739331e+01,1.79598335602667808527e+09,7.27767610005685128271e-02,2.61755929968785494565e-02,0.5,NULL,1795983367.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(27,'http://URL',1.33458389369989163244e+01,1.79598335653122806549e+09,2.18523820003611035645e-01,2.51864140009274706244e-02,0.5,NULL,1795983367.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(28,'http://URL',1.38409087719992385245e+01,1.79598335702629804608e+09,7.70824290011660195887e-02,2.59807980037294328212e-02,0.5,NULL,1795983368.0,'',1,'[[13.918325437000021, 10, 18]]','',1,NULL);
INSERT INTO "history_polls" VALUES(29,'http://URL',1.43415318469997146166e+01,1.7959833575269210338e+09,1.17197838000720366835e-01,2.55364539989386685192e-02,0.5,NULL,1795983368.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(30,'http://URL',1.4840872036998916883e+01,1.79598335802626109126e+09,8.12581339996540918946e-02,3.03247230040142312645e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(31,'http://URL',1.53458303439983865246e+01,1.79598335853121900563e+09,2.22084676999656949192e-01,2.56581240028026513755e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(32,'http://URL',1.58408246270046220165e+01,1.7959833590262138844e+09,7.71757119946414604783e-02,2.6227709997328929603e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(33,'http://URL',1.63538284590031253169e+01,1.79598335953921699531e+09,1.28125281000393442809e-01,3.35549180017551407217e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(34,'http://URL',1.68407614030002150684e+01,1795983360.02615,0.0733546280025621,2.63968209983431734144e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(35,'http://URL',1.73408325630007311701e+01,1.79598336052622103691e+09,2.25165210998966358602e-01,2.21845670021139085292e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(36,'http://URL',1.78407731400002376176e+01,1.79598336102616190903e+09,0.0772417400003178,2.19399940033326856791e-02,0.5,NULL,1795983369.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(37,'http://URL',1.83418116370012285187e+01,1795983361.5272,1.17913494999811518937e-01,2.2249513000133447349e-02,0.5,NULL,1795983376.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(38,'http://URL',1.88458245400033774785e+01,1.7959833620312130451e+09,7.18829129982623271644e-02,2.26921599969500675797e-02,0.5,NULL,1795983376.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(39,'http://URL',1.93409448599995812401e+01,1.79598336252633309362e+09,2.10877407000225502997e-01,2.52619259990751743316e-02,0.5,NULL,1795983381.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(40,'http://URL',1.98417983920007827691e+01,1.795983363027187109e+09,8.48392699990654364228e-02,2.538755199930164963e-02,0.5,NULL,1795983382.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(41,'http://URL',2.03458149400030379187e+01,1.79598336353120398515e+09,1.29696718999184668064e-01,2.5417847995413467288e-02,0.5,NULL,1795983383.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(42,'http://URL',2.08425692259988863956e+01,1.79598336402795791624e+09,7.92870069999480620026e-02,2.22515269997529685497e-02,0.5,NULL,1795983384.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(43,'http://URL',2.13458044340004562391e+01,1.7959833645311920643e+09,2.19811472001310903578e-01,2.90803460011375136673e-02,0.5,NULL,1795983385.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(44,'http://URL',2.18412432370023452672e+01,1.79598336502663111693e+09,7.66256759961834177374e-02,2.21966149983927607536e-02,0.5,NULL,1795983385.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(45,'http://URL',2.23458060370030580092e+01,1.79598336553119397162e+09,1.21357857999100815504e-01,2.20036280006752349436e-02,0.5,NULL,1795983387.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(46,'http://URL',2.28458116300025722007e+01,1795983366.0312,7.28720719998818822205e-02,2.21865400017122738063e-02,0.5,NULL,1795983388.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(47,'http://URL',2.33458065070008160537e+01,1.79598336653119492528e+09,2.17674749997968319803e-01,2.19293280024430714547e-02,0.5,NULL,1795983389.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(48,'http://URL',2.38415155010006856177e+01,1.79598336702690410614e+09,0.072396736999508,2.53352950021508149802e-02,0.5,NULL,1795983391.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(49,'http://URL',2.43423932900041108942e+01,1.79598336752778196334e+09,1.30443527996249031275e-01,2.86142429977189749479e-02,0.5,NULL,1795983391.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(50,'http://URL',2.48458258610044140373e+01,1.79598336803121399877e+09,6.78976169947418384253e-02,2.19819560006726533174e-02,0.5,NULL,1795983391.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(51,'http://URL',2.53458133570020436317e+01,1.79598336853120207779e+09,2.28142991996719501912e-01,2.91000849974807351827e-02,0.5,NULL,1795983393.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(52,'http://URL',2.58439522289991145957e+01,1.7959833690293409824e+09,7.09237000046414323151e-02,2.72827560038422234356e-02,0.5,NULL,1795983393.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(53,'http://URL',2.6341435668000485748e+01,1.79598336952682399746e+09,1.21760836998873855918e-01,2.96935750011471100151e-02,0.5,NULL,1795983393.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(54,'http://URL',2.68498190190002787862e+01,1.79598337003520703309e+09,8.05751689986209385097e-02,2.36484310007654130458e-02,0.5,NULL,1795983393.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(55,'http://URL',2.73458440320027875705e+01,1.79598337053123307226e+09,2.28168289999302942305e-01,2.5806384997849818319e-02,0.5,NULL,1795983395.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(56,'http://URL',2.78409029510003165337e+01,1.79598337102629208566e+09,0.077117957000155,2.7604495000559836626e-02,0.5,NULL,1795983395.0,'',1,NULL,'',1,NULL);
INSERT INTO "history_polls" VALUES(57,'http://URL',2.83414246210013516247e+01,1.79598337152681303023e+09,1.2863579399709124118e-01,2.8692970001429785043e-02,0.5,NULL,1795983395.0,'',1,NULL,'',1,NULL);
CREATE TABLE history_rows (
	id INTEGER NOT NULL, 
	system TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	row_json TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "history_rows" VALUES(1,'http://URL',1.79598334852648806574e+09,'{"table":"logs","key":14,"at":1795983341.367341,"text":"Tag ''never'' removed from ''app-01''","user":"anna","level":"audit","machine":null,"object_type":"vm","object_name":"app-01","read_at":0.4568288326263428}');
INSERT INTO "history_rows" VALUES(2,'http://URL',1.79598334852648806574e+09,'{"table":"logs","key":15,"at":1795983341.367359,"text":"Tag ''auto'' assigned to ''app-01''","user":"anna","level":"audit","machine":null,"object_type":"vm","object_name":"app-01","read_at":0.4568467140197754}');
INSERT INTO "history_rows" VALUES(3,'http://URL',1.79598334852648806574e+09,'{"table":"logs","key":13,"at":1795983341.367322,"text":"Tag ''auto'' assigned to ''db-01''","user":"anna","level":"audit","machine":null,"object_type":"vm","object_name":"db-01","read_at":0.45680975914001465}');
INSERT INTO "history_rows" VALUES(4,'http://URL',1.79598334852648806574e+09,'{"table":"machine_logs","key":8,"at":1795983348.240056,"text":"VM action ''poweroff'' sent","user":"anna","level":"audit","machine":105,"object_type":"","object_name":"","read_at":5.564834021999559}');
INSERT INTO "history_rows" VALUES(5,'http://URL',1.79598334852648806574e+09,'{"table":"logs","key":16,"at":1795983348.240056,"text":"VM action ''poweroff'' sent","user":"anna","level":"audit","machine":null,"object_type":"vm","object_name":"app-01","read_at":5.564834021999559}');
INSERT INTO "history_rows" VALUES(6,'http://URL',1.79598335502608203884e+09,'{"table":"machine_logs","key":9,"at":1795983351.233026,"text":"VM action ''poweron'' sent","user":"vergewatch","level":"audit","machine":106,"object_type":"","object_name":"","read_at":11.916083948999585}');
INSERT INTO "history_rows" VALUES(7,'http://URL',1.79598335502608203884e+09,'{"table":"machine_logs","key":10,"at":1795983351.753026,"text":"VM ''db-01'' powered on","user":"system","level":"message","machine":106,"object_type":"","object_name":"","read_at":11.916083948999585}');
INSERT INTO "history_rows" VALUES(8,'http://URL',1.79598335502608203884e+09,'{"table":"logs","key":17,"at":1795983351.233026,"text":"VM action ''poweron'' sent","user":"vergewatch","level":"audit","machine":null,"object_type":"vm","object_name":"db-01","read_at":11.916083948999585}');
INSERT INTO "history_rows" VALUES(9,'http://URL',1.79598335502608203884e+09,'{"table":"logs","key":18,"at":1795983351.753026,"text":"VM ''db-01'' powered on","user":"system","level":"message","machine":null,"object_type":"vm","object_name":"db-01","read_at":11.916083948999585}');
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
INSERT INTO "intents" VALUES(1,'http://URL','e8c2d219-8afd-4973-b863-3958ce75f4ba',6,'db-01','poweron',3,8.03437956600100733339e+00,'2026-11-29T20:15:51.219770+00:00',8.03823037400434259325e+00,'{"machine_logs": 8, "logs": 16}',1.28038230374004342588e+02,'accepted','the VM is up','confirmed','2026-11-29T20:15:52.111638+00:00',0,NULL);
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
CREATE TABLE systems (
	system TEXT NOT NULL, 
	watched FLOAT NOT NULL, 
	time VARCHAR(32) NOT NULL, 
	clock FLOAT, 
	log_positions JSON NOT NULL, 
	PRIMARY KEY (system)
);
INSERT INTO "systems" VALUES('http://URL',2.84706455539999296888e+01,'2026-11-29T20:16:11.526813+00:00',1795983395.0,'[{"read_at": -629.5431532099974, "position": {"machine_logs": 7, "logs": 11}}, {"read_at": 0.45684679000260076, "position": {"machine_logs": 7, "logs": 15}}, {"read_at": 5.564834021999559, "position": {"machine_logs": 8, "logs": 16}}, {"read_at": 7.910277984003187, "position": {"machine_logs": 8, "logs": 16}}, {"read_at": 7.9437527140034945, "position": {"machine_logs": 8, "logs": 16}}, {"read_at": 11.916083948999585, "position": {"machine_logs": 10, "logs": 18}}, {"read_at": 13.918325437000021, "position": {"machine_logs": 10, "logs": 18}}]');
CREATE INDEX changes_by_system ON changes (system, id);
CREATE INDEX changes_by_time ON changes (time);
CREATE INDEX changes_by_vm ON changes (system, uuid, id);
CREATE INDEX decisions_by_time ON decisions (time);
CREATE INDEX decisions_by_system ON decisions (system, id);
CREATE INDEX decisions_by_vm ON decisions (system, uuid, id);
CREATE INDEX history_facts_by_key ON history_facts (system, kind, "key", id);
CREATE INDEX commands_by_system ON commands (system, id);
CREATE INDEX intents_by_vm ON intents (system, uuid, id);
CREATE INDEX intents_by_decision ON intents (decision);
CREATE INDEX intents_by_sent_at ON intents (system, sent_at);
CREATE UNIQUE INDEX one_open_intent ON intents (system, uuid) WHERE outcome IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('changes',15);
INSERT INTO "sqlite_sequence" VALUES('decisions',5);
INSERT INTO "sqlite_sequence" VALUES('intents',1);
INSERT INTO "sqlite_sequence" VALUES('commands',2);
COMMIT;
