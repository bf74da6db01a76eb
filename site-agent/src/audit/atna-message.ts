import type { AuditAction, AuditEntry, AuditOutcome } from "./audit-entry.js";

/** Whose log it is. */
export interface AuditSource {
  readonly siteId: string;
  readonly federation: string;
}

type Code = readonly [code: string, text: string];

const activity: Code = ["110100", "Application Activity"];
const logUsed: Code = ["110101", "Audit Log Used"];
const instancesAccessed: Code = ["110103", "DICOM Instances Accessed"];
const exported: Code = ["110106", "Export"];
const imported: Code = ["110107", "Import"];
const alert: Code = ["110113", "Security Alert"];
const authentication: Code = ["110114", "User Authentication"];

interface Mapping {
  readonly id: Code;
  /** Create, read, update, delete, execute. */
  readonly does: "C" | "R" | "U" | "D" | "E";
}

const does = (id: Code, action: Mapping["does"]): Mapping => ({ id, does: action });

/** Event ids of DICOM PS3.16 CID 400. */
const mappings: Readonly<Record<AuditAction, Mapping>> = {
  "agent.started": does(activity, "E"),
  "agent.stopped": does(activity, "E"),
  "command.run": does(authentication, "E"),
  "identity.rotated": does(alert, "U"),
  "plan.received": does(imported, "C"),
  "plan.accepted": does(activity, "E"),
  "plan.refused": does(alert, "E"),
  "directive.rejected": does(alert, "E"),
  "model.received": does(imported, "C"),
  "data.opened": does(instancesAccessed, "R"),
  "message.rejected": does(alert, "E"),
  "attack.suspected": does(alert, "E"),
  "privacy.charged": does(activity, "E"),
  "attempt.ended": does(activity, "E"),
  "message.released": does(exported, "R"),
  "update.uploaded": does(exported, "R"),
  "traffic.counted": does(exported, "R"),
  "egress.stopped": does(alert, "E"),
  "policy.changed": does(alert, "E"),
  "roster.pinned": does(alert, "U"),
  "roster.waiting": does(imported, "C"),
  "roster.refused": does(alert, "E"),
  "certificate.requested": does(authentication, "E"),
  "certificate.stored": does(authentication, "E"),
  "certificate.used": does(authentication, "E"),
  "model.exported": does(exported, "R"),
  "log.read": does(logUsed, "R"),
  "log.checkpoint": does(logUsed, "U"),
  "log.rotated": does(logUsed, "U"),
  "log.retired": does(logUsed, "U"),
  "log.recovered": does(alert, "E"),
  "log.shortened": does(alert, "E"),
  "log.witnessed": does(logUsed, "U"),
};

/** 0 success, 4 minor failure, 8 serious failure (PS3.15 A.5.1). */
const indicators: Readonly<Record<AuditOutcome, string>> = { success: "0", refused: "4", failure: "8" };

const roles = {
  application: ["110150", "Application"],
  launcher: ["110151", "Application Launcher"],
  destination: ["110152", "Destination Role ID"],
  source: ["110153", "Source Role ID"],
} as const satisfies Record<string, Code>;

/** Whether a collector should see the entry as a warning. */
export function isWarning({ action, outcome }: AuditEntry): boolean {
  return outcome !== "success" || mappings[action].id === alert;
}

/** An entry as one AuditMessage of DICOM PS3.15 A.5 (IHE ITI-20), without an XML declaration or line breaks. */
export function atnaMessage(entry: AuditEntry, source: AuditSource): string {
  return element("AuditMessage", {}, [
    eventIdentification(entry),
    ...participants(entry),
    element("AuditSourceIdentification", { AuditEnterpriseSiteID: source.federation, AuditSourceID: source.siteId }, [
      // 4: application server.
      element("AuditSourceTypeCode", { code: "4" }),
    ]),
    objectIdentification(entry),
  ]);
}

function eventIdentification({ action, outcome, reason, ts }: AuditEntry): string {
  const { id, does: code } = mappings[action];
  const attributes = { EventActionCode: code, EventDateTime: ts, EventOutcomeIndicator: indicators[outcome] };
  return element("EventIdentification", attributes, [
    coded("EventID", id),
    ...typeCode(action),
    ...(reason === "" ? [] : [`<EventOutcomeDescription>${escaped(reason)}</EventOutcomeDescription>`]),
  ]);
}

/** DICOM's own type where it has one, and always our action. */
function typeCode(action: AuditAction): string[] {
  const known: Partial<Record<AuditAction, Code>> = {
    "agent.started": ["110120", "Application Start"],
    "agent.stopped": ["110121", "Application Stop"],
    "policy.changed": ["110131", "Software Configuration"],
    "certificate.used": ["110126", "Node Authentication"],
  };
  const code = known[action];
  return [
    ...(code === undefined ? [] : [coded("EventTypeCode", code)]),
    coded("EventTypeCode", [action, action], "consilium"),
  ];
}

/** Who sent and who received, where something moved; else who acted. */
function participants({ action, actor }: AuditEntry): string[] {
  const { id } = mappings[action];
  const sends = id === exported;
  if (action !== "model.exported" && (sends || id === imported)) {
    return [
      participant("agent", true, sends ? roles.source : roles.destination),
      participant("coordinator", false, sends ? roles.destination : roles.source),
    ];
  }
  if (actor === "agent") return [participant(actor, true, roles.application)];
  return [participant(actor, true, roles.launcher), participant("agent", false, roles.application)];
}

function participant(userId: string, isRequestor: boolean, role: Code): string {
  return element("ActiveParticipant", { UserID: userId, UserIsRequestor: String(isRequestor) }, [
    coded("RoleIDCode", role),
  ]);
}

/** What the entry is about: a system object (type 2) that is a security resource or a job, with the entry's fields as details. */
function objectIdentification(entry: AuditEntry): string {
  const { seq, corrId, hash, object } = entry;
  const details = Object.entries({ ...object, corrId, seq, hash }).map(([type, value]) =>
    element("ParticipantObjectDetail", { type, value: Buffer.from(String(value)).toString("base64") }),
  );
  const attributes = {
    ParticipantObjectID: "run" in object && object.run !== undefined ? object.run : "audit-log",
    ParticipantObjectTypeCode: "2",
    ParticipantObjectTypeCodeRole: "run" in object ? "20" : "13",
  };
  return element("ParticipantObjectIdentification", attributes, [
    coded("ParticipantObjectIDTypeCode", "run" in object ? ["run", "Run"] : ["log", "Audit log"], "consilium"),
    `<ParticipantObjectName>${escaped(entry.action)}</ParticipantObjectName>`,
    ...details,
  ]);
}

function coded(name: string, [code, text]: Code, system = "DCM"): string {
  return element(name, { "csd-code": code, codeSystemName: system, originalText: text });
}

function element(name: string, attributes: Readonly<Record<string, string>>, children: readonly string[] = []): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  const open = `<${name}${written.join("")}`;
  return children.length === 0 ? `${open}/>` : `${open}>${children.join("")}</${name}>`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!);
}
