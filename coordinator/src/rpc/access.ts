import type { AccessTable } from "@consilium/shared/rpc/authorisation.js";
import { AdminServiceService } from "@consilium/shared/rpc/gen/admin.js";
import { FederationServiceService } from "@consilium/shared/rpc/gen/federation.js";
import { SecAggServiceService } from "@consilium/shared/rpc/gen/secagg.js";

/** Who may call what on the main port. A method that is not here can be called by no one. */
export const accessTable: AccessTable = {
  [FederationServiceService.attach.path]: ["site"],
  [FederationServiceService.fetchCheckpoint.path]: ["site"],
  [FederationServiceService.fetchResults.path]: ["site"],
  [FederationServiceService.fetchAggregate.path]: ["site"],
  [FederationServiceService.report.path]: ["site"],
  [FederationServiceService.fetchRosters.path]: ["site"],
  [FederationServiceService.renewCertificate.path]: ["site"],
  [SecAggServiceService.exchange.path]: ["site"],
  [SecAggServiceService.upload.path]: ["site"],
  [AdminServiceService.launchRun.path]: ["researcher", "operator"],
  [AdminServiceService.launchRunFrom.path]: ["researcher", "operator"],
  [AdminServiceService.listRuns.path]: ["researcher", "operator"],
  [AdminServiceService.getRun.path]: ["researcher", "operator"],
  [AdminServiceService.stopRun.path]: ["researcher", "operator"],
  [AdminServiceService.resumeRun.path]: ["researcher", "operator"],
  [AdminServiceService.watchRun.path]: ["researcher", "operator"],
  [AdminServiceService.fetchWeights.path]: ["researcher", "operator"],
  [AdminServiceService.listSites.path]: ["researcher", "operator"],
  [AdminServiceService.inviteSite.path]: ["operator"],
  [AdminServiceService.revokeSite.path]: ["operator"],
  [AdminServiceService.publishRoster.path]: ["operator"],
  [AdminServiceService.fetchRoster.path]: ["researcher", "operator"],
};
