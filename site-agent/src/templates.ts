import type { WaySettings } from "./coordinator-proxy.js";
import type { GovernancePins } from "./governance/governance-pins.js";

/** The files that join writes for a new site, with comments; `deploy/config` has the same. */

export const exampleDataPath = "/srv/consilium/images";

export function siteTemplate(dataPath: string = exampleDataPath, way: WaySettings = { proxy: "environment" }): string {
  return `# How the site agent works on this machine. What may run here and what may leave is in policy.yaml.
# 'consilium-agent join' writes this file; an unknown key is an error. Relative paths start at the agent's home.

data:
  # Images in this folder and below it; they never leave it. folder: JPEG, PNG, TIFF, WebP. Others: dicom, dicomweb, slide,
  # volume; docs/data.md has their settings.
  source: folder
  path: ${yamlText(dataPath)}
  # A CSV file with the column 'file'; relative to the folder. Without it every image is taken.
  # labels: labels.csv
  # Only rows with these values.
  # where: { split: train }
  # Memory for decoded images.
  cacheMiB: 1024
  # Short side, in pixels, that images are kept with; without it twice the image size of the run.
  # workingSize: 448

schedule:
  # Local time in which this site accepts new work: a span such as "18:00-06:00", or always.
  hours: always

trainer:
  # Processor threads; 0 takes one per core.
  threads: 0
  # What to train on: cpu, webgpu, cuda or tensorflow; auto takes the first of cuda, webgpu and cpu that works here.
  # 'consilium-agent engine doctor' shows what this machine has.
  device: auto
  # float32, or mixed: products and activations in float16. auto takes mixed where the device gains from it.
  precision: auto

metrics:
  # Prometheus metrics and health. Stays on this machine unless allowRemote is true.
  host: 127.0.0.1
  port: 9465

coordinator:
  # HTTP proxy for connections to the coordinator, such as http://proxy.hospital.example:3128; none; or environment: as
  # the variables grpc_proxy, https_proxy, http_proxy and no_proxy say. TLS goes through it from end to end.
  proxy: ${yamlText(way.proxy)}
  # File with user:password for the proxy, which only the agent's account may read.
  ${credentialsLine(way)}

# Without a valid policy file every run is refused.
policy: policy.yaml

# debug, info, warn, error or silent.
logLevel: info

# Pauses between tries while the coordinator cannot be reached.
reconnect: { initialMs: 1000, maxMs: 15000 }
`;
}

/** @param governance the keys that the site was told of; absent: a person writes them in */
export function policyTemplate(federation: string, governance: GovernancePins = noPins): string {
  return `# What this hospital allows. The agent reads it before each round: a run that asks for more is refused, and the
# researcher is told the line. An unknown line is an error, and without this file nothing runs.
version: 1

# The only federation whose plans are followed.
federation: ${yamlText(federation)}

governance:
  # Public keys of the people who decide, offline, who is a hospital of this federation; ask them for these, not the
  # coordinator's operator. Without keys every plan is refused. Such as [ed25519:9f2c…, ed25519:41d0…]
  keys:${keyList(governance.keys)}
  # How many of them must have signed the roster of hospitals.
  threshold: ${governance.threshold}
  # approve: a person here says yes to each roster with new hospitals, by 'consilium-agent roster approve'. automatic:
  # nobody is asked. Removals count at once either way.
  additions: approve

secagg:
  # Fewest hospitals in a sum that this site's update may enter; the sum is all that anyone sees.
  minCohort: 3
  # Masking must withstand at least this many hospitals that collude with the coordinator.
  # A run with minSites 3 withstands none; from 5 hospitals on, ask for 1 or more.
  maxColluders: 0
  # Attempts at one round to which this site uploads its masked update before it gives the round up.
  maxAttempts: 3

jobs:
  methods: [simclr, byol, mae, dino, ibot, dinov2, gmml, sit, colorme]
  architectures: [vit-nano, vit-tiny, vit-small, vit-base, vit-large, resnet18, resnet50]
  modalities: [dermatology, radiograph, pathology]
  maxRounds: 300
  maxStepsPerRound: 1000
  # Very few steps in a round tell more of single images.
  minStepsPerRound: 20
  maxBatchSize: 512
  maxParameters: 120000000
  # Whose runs may train here, such as [fed://demo/researcher/r1], by the coordinator's word; or everyone.
  researchers: everyone
  # A run is refused while the site has fewer images.
  minLocalSamples: 500
  # Different runs that may ever use this site's images; 'consilium-agent policy check' says how many have.
  maxRunsPerDataset: 3
  # manual: each run waits until a person here grants it, by 'consilium-agent approvals list' and 'approvals grant'.
  # automatic: whatever the other lines allow begins.
  approval: manual

model:
  # The agent works each model out itself, from the run's seed and the rounds' sums, and trains on no other.
  # Largest norm of the change that a round makes to the weights, and largest change of one weight.
  maxUpdateL2: 1000
  maxTensorChange: 5
  # SHA-256 of models that a run may begin with besides its seed's: name one only if you know where it comes from.
  initialDigests: []

egress:
  # Figures that travel masked beside the update; the coordinator sees their sums over all hospitals of a round.
  # terms: how the method's loss is made up, and how well the encoder tells images apart.
  lanes: [weight, loss, steps, clipped, updateNorm, cosine, terms]
  # Whether colour statistics of this hospital's images may travel, masked, for runs of clusters; "allow" also needs
  # clusters among jobs.methods. Cells with fewer images than minCell are left out of what is sent.
  statistics: deny
  minCell: 10
`;
}

const noPins: GovernancePins = { keys: [], threshold: 2 };

const keyList = (keys: readonly string[]): string =>
  keys.length === 0 ? " []" : keys.map((key) => `\n    - ${key}`).join("");

function credentialsLine({ proxyCredentials: path }: WaySettings): string {
  return path === undefined ? "# proxyCredentials: proxy-credentials" : `proxyCredentials: ${yamlText(path)}`;
}

/** Quoted unless YAML reads the plain text as itself. JSON strings are YAML strings. */
function yamlText(text: string): string {
  return /^[A-Za-z/._][A-Za-z0-9/._-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off)$/i.test(text)
    ? text
    : JSON.stringify(text);
}
