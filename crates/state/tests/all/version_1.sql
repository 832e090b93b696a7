-- A state as version 1 kept it: three alerts of one rule on two channels, told by the log and not yet by the webhook.
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE admitted(id INTEGER PRIMARY KEY CHECK(id = 1), up_to INTEGER NOT NULL);
INSERT INTO "admitted" VALUES(1,3);
CREATE TABLE alert(
    id INTEGER PRIMARY KEY AUTOINCREMENT, queued INTEGER NOT NULL, rule TEXT NOT NULL, node TEXT NOT NULL,
    kind TEXT NOT NULL, severity TEXT NOT NULL, template TEXT NOT NULL, dry_run INTEGER NOT NULL, muted TEXT,
    body TEXT NOT NULL
);
INSERT INTO "alert" VALUES(1,1768003200000,'everywhere','ip-10-0-0-0.eu-central-1.compute.internal','trigger','warning','',0,NULL,'{"type":"trigger","at":1768003200000,"rule":"everywhere","ruleDescription":"","severity":"warning","node":"ip-10-0-0-0.eu-central-1.compute.internal","template":"","channels":["webhook","log"],"since":1768003200000,"repeats":0,"dryRun":false,"metrics":{},"conditions":[{"test":"Ready is True","seen":{"status":"True"},"trueFor":0,"needed":0,"verdict":"Holds"}],"actions":[{"type":"alert","description":"alert by webhook, log"}]}');
INSERT INTO "alert" VALUES(2,1768003200000,'everywhere','ip-10-0-0-1.eu-central-1.compute.internal','trigger','warning','',0,NULL,'{"type":"trigger","at":1768003200000,"rule":"everywhere","ruleDescription":"","severity":"warning","node":"ip-10-0-0-1.eu-central-1.compute.internal","template":"","channels":["webhook","log"],"since":1768003200000,"repeats":0,"dryRun":false,"metrics":{},"conditions":[{"test":"Ready is True","seen":{"status":"True"},"trueFor":0,"needed":0,"verdict":"Holds"}],"actions":[{"type":"alert","description":"alert by webhook, log"}]}');
INSERT INTO "alert" VALUES(3,1768003200000,'everywhere','ip-10-0-0-2.eu-central-1.compute.internal','trigger','warning','',0,NULL,'{"type":"trigger","at":1768003200000,"rule":"everywhere","ruleDescription":"","severity":"warning","node":"ip-10-0-0-2.eu-central-1.compute.internal","template":"","channels":["webhook","log"],"since":1768003200000,"repeats":0,"dryRun":false,"metrics":{},"conditions":[{"test":"Ready is True","seen":{"status":"True"},"trueFor":0,"needed":0,"verdict":"Holds"}],"actions":[{"type":"alert","description":"alert by webhook, log"}]}');
CREATE TABLE counter(
    name TEXT, labels TEXT, value INTEGER NOT NULL, PRIMARY KEY(name, labels)
) WITHOUT ROWID;
INSERT INTO "counter" VALUES('nodeguardian_alerts_queued_total','{"rule":"everywhere"}',3);
INSERT INTO "counter" VALUES('nodeguardian_transitions_total','{"event":"triggered","rule":"everywhere"}',3);
CREATE TABLE delivery(
    alert INTEGER NOT NULL, channel TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL, last_error TEXT, batch INTEGER, claim TEXT, claimed_until INTEGER,
    settled INTEGER, PRIMARY KEY(alert, channel)
) WITHOUT ROWID;
INSERT INTO "delivery" VALUES(1,'log','done',1,1768003200000,NULL,1,NULL,NULL,1768003800000);
INSERT INTO "delivery" VALUES(1,'webhook','pending',1,1768003805856,'Connection refused (os error 111)',1,NULL,NULL,NULL);
INSERT INTO "delivery" VALUES(2,'log','done',1,1768003200000,NULL,1,NULL,NULL,1768003800000);
INSERT INTO "delivery" VALUES(2,'webhook','pending',1,1768003805856,'Connection refused (os error 111)',1,NULL,NULL,NULL);
INSERT INTO "delivery" VALUES(3,'log','done',1,1768003200000,NULL,1,NULL,NULL,1768003800000);
INSERT INTO "delivery" VALUES(3,'webhook','pending',1,1768003805856,'Connection refused (os error 111)',1,NULL,NULL,NULL);
CREATE TABLE detail(
    rule TEXT PRIMARY KEY, uid TEXT NOT NULL, spec TEXT NOT NULL, priority INTEGER NOT NULL, severity TEXT,
    last_triggered INTEGER, last_recovery INTEGER, status_hash INTEGER, status_written INTEGER
);
INSERT INTO "detail" VALUES('everywhere','rule-uid-everywhere','{"actions": [{"alert": {"channels": ["webhook", "log"]}, "type": "alert"}], "conditions": [{"nodeCondition": "Ready", "status": ["True"], "duration": "0s"}], "monitoring": {"checkInterval": "30s", "cooldownPeriod": "10m"}}',100,'warning',1768003200000,NULL,6718522349201285355,1768003200000);
CREATE TABLE flapping(alert INTEGER PRIMARY KEY);
CREATE TABLE ledger(node TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE memory(
    rule TEXT, node TEXT, score REAL NOT NULL, at INTEGER NOT NULL, calm_at INTEGER, held INTEGER NOT NULL,
    held_alert INTEGER, told TEXT, PRIMARY KEY(rule, node)
) WITHOUT ROWID;
INSERT INTO "memory" VALUES('everywhere','ip-10-0-0-0.eu-central-1.compute.internal',1.0,1768003200000,NULL,0,NULL,'triggered');
INSERT INTO "memory" VALUES('everywhere','ip-10-0-0-1.eu-central-1.compute.internal',1.0,1768003200000,NULL,0,NULL,'triggered');
INSERT INTO "memory" VALUES('everywhere','ip-10-0-0-2.eu-central-1.compute.internal',1.0,1768003200000,NULL,0,NULL,'triggered');
CREATE TABLE note(key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "note" VALUES('alert-manager/cleared','1768003800000');
CREATE TABLE receiver(
    key TEXT PRIMARY KEY, used REAL NOT NULL, at INTEGER NOT NULL, failures INTEGER NOT NULL,
    paused_until INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "receiver" VALUES('webhook-dcda88138ebf6fdb',0.0,0,1,1768003805856);
CREATE TABLE record(rule TEXT, node TEXT, body TEXT NOT NULL, PRIMARY KEY(rule, node)) WITHOUT ROWID;
INSERT INTO "record" VALUES('everywhere','ip-10-0-0-0.eu-central-1.compute.internal','{"uid":"0e858a72-0000-4000-8000-000000000000","phase":"Triggered","triggeredAt":1768003200000,"actedAt":1768003200000,"repeats":0,"admitted":false,"specHash":8820840682957250096,"dryRun":false}');
INSERT INTO "record" VALUES('everywhere','ip-10-0-0-1.eu-central-1.compute.internal','{"uid":"3739f1b9-0000-4000-8000-000000000001","phase":"Triggered","triggeredAt":1768003200000,"actedAt":1768003200000,"repeats":0,"admitted":false,"specHash":8820840682957250096,"dryRun":false}');
INSERT INTO "record" VALUES('everywhere','ip-10-0-0-2.eu-central-1.compute.internal','{"uid":"31819d86-0000-4000-8000-000000000002","phase":"Triggered","triggeredAt":1768003200000,"actedAt":1768003200000,"repeats":0,"admitted":false,"specHash":8820840682957250096,"dryRun":false}');
CREATE TABLE roster(id INTEGER PRIMARY KEY CHECK(id = 1), body BLOB NOT NULL);
INSERT INTO "roster" VALUES(1,X'0300000001000000290069702D31302D302D302D302E65752D63656E7472616C2D312E636F6D707574652E696E7465726E616C240030653835386137322D303030302D343030302D383030302D30303030303030303030303002000000290069702D31302D302D302D312E65752D63656E7472616C2D312E636F6D707574652E696E7465726E616C240033373339663162392D303030302D343030302D383030302D30303030303030303030303103000000290069702D31302D302D302D322E65752D63656E7472616C2D312E636F6D707574652E696E7465726E616C240033313831396438362D303030302D343030302D383030302D303030303030303030303032');
CREATE TABLE rule(
    name TEXT PRIMARY KEY, last_evaluated INTEGER, unknown INTEGER NOT NULL, pending INTEGER NOT NULL,
    spec_hash INTEGER NOT NULL, check_interval INTEGER NOT NULL, jobs INTEGER NOT NULL, held INTEGER NOT NULL, rebuilt INTEGER
) WITHOUT ROWID;
INSERT INTO "rule" VALUES('everywhere',1768003200000,0,0,8820840682957250096,30000,0,3,1768003200000);
CREATE TABLE tally(
    channel TEXT, result TEXT, reason TEXT, value INTEGER NOT NULL, PRIMARY KEY(channel, result, reason)
) WITHOUT ROWID;
INSERT INTO "tally" VALUES('log','delivered','',3);
INSERT INTO "tally" VALUES('webhook','delivered','',0);
INSERT INTO "tally" VALUES('webhook','failed','',3);
CREATE TABLE template(name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE timers(rule TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE INDEX delivery_open ON delivery(state, next_attempt) WHERE state NOT IN ('done', 'skipped');
CREATE INDEX memory_calm ON memory(calm_at) WHERE calm_at IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('alert',3);
COMMIT;
