import { datasetId } from "../audit/site-log.js";
import { countPatients } from "../data/count-patients.js";
import type { DataSettings } from "../data/data-settings.js";
import type { SiteHome } from "../home.js";
import { LedgerStore } from "./ledger-store.js";
import { PrivacyAccount } from "./privacy-account.js";

/** The account of a home's images. */
export function privacyAccount(home: Pick<SiteHome, "privacy">, data: DataSettings): PrivacyAccount {
  return new PrivacyAccount({
    ledgers: new LedgerStore(home.privacy),
    dataSet: datasetId(data),
    countPatients: () => countPatients(data),
  });
}
