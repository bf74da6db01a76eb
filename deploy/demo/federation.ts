import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runMethodNames } from "@consilium/shared/config/method-config.js";
import { resnetNames, vitNames } from "@consilium/shared/config/model-config.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { Council } from "./council.js";
import { commands, Daemon, freePorts, mustRun, until } from "./processes.js";

/** One hospital of a federation on this machine. */
export interface HospitalSetup {
  readonly id: string;
  /** The `data:` mapping of its site.yaml. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Members that replace those of the generous policy below. */
  readonly policy?: Readonly<Record<string, unknown>>;
  /** The `coordinator:` mapping of its site.yaml, which it also joins with. */
  readonly coordinator?: { readonly proxy: string; readonly proxyCredentials: string };
}

export interface FederationSetup {
  readonly directory: string;
  readonly hospitals: readonly HospitalSetup[];
  readonly threadsPerSite: number;
  readonly minCohort?: number;
  /** Whether people at the hospitals approve additions to the roster; automatic unless it is given. */
  readonly additions?: "approve" | "automatic";
  readonly onStep?: (text: string) => void;
  /** By which the coordinator is reached; localhost unless it is given. */
  readonly host?: string;
  readonly coordinatorEnvironment?: Readonly<Record<string, string>>;
}

/** A coordinator and its hospitals as separate processes on loopback, with a certificate authority of their own. */
export class LocalFederation {
  readonly #setup: FederationSetup;
  readonly #agents = new Map<string, Daemon>();
  #coordinator: Daemon | undefined;
  #council: Council | undefined;
  #ports = { main: 0, enrol: 0, metrics: 0 };
  readonly agentMetricsPorts = new Map<string, number>();

  constructor(setup: FederationSetup) {
    this.#setup = setup;
  }

  get hospitals(): readonly HospitalSetup[] {
    return this.#setup.hospitals;
  }

  get coordinatorHome(): string {
    return join(this.#setup.directory, "coordinator");
  }

  get coordinatorMetricsPort(): number {
    return this.#ports.metrics;
  }

  get coordinatorPid(): number | undefined {
    return this.#coordinator?.child.pid;
  }

  get mainPort(): number {
    return this.#ports.main;
  }

  agent(id: string): Daemon | undefined {
    return this.#agents.get(id);
  }

  agentHome(id: string): string {
    return join(this.#setup.directory, id);
  }

  /** `consilium …` with the operator's credentials. */
  consilium(...args: string[]): Promise<string> {
    return mustRun(commands.consilium, [...args, "--profile", this.profile]);
  }

  get profile(): string {
    return join(this.coordinatorHome, "credentials", "operator");
  }

  async start(): Promise<void> {
    await this.initialise();
    await this.startCoordinator(this.#setup.coordinatorEnvironment);
    for (const hospital of this.#setup.hospitals) await this.join(hospital);
    await this.admit(...this.#setup.hospitals.map(({ id }) => id));
    for (const { id } of this.#setup.hospitals) this.startAgent(id);
  }

  async initialise(): Promise<void> {
    mkdirSync(join(this.#setup.directory, "logs"), { recursive: true });
    const [main, enrol, metrics, ...agents] = await freePorts(3 + this.#setup.hospitals.length);
    this.#ports = { main: main!, enrol: enrol!, metrics: metrics! };
    for (const [index, { id }] of this.#setup.hospitals.entries()) this.agentMetricsPorts.set(id, agents[index]!);
    this.#say("governance: three holders make a key each; two of them decide who is a hospital");
    const floors = { minCohort: 2, maxColluders: 0 };
    this.#council = await Council.found(join(this.#setup.directory, "governance"), "demo", floors);
    this.#say("coordinator: certificate authority, certificates, keys");
    const ports = ["--port", String(main), "--enrol-port", String(enrol), "--metrics-port", String(metrics)];
    await mustRun(commands.consilium, [
      ...["coordinator", "init", "--home", this.coordinatorHome, "--federation", "demo"],
      ...["--host", this.#setup.host ?? "localhost"],
      ...ports,
    ]);
  }

  async startCoordinator(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const daemon = this.spawnCoordinator(environment);
    await until("coordinator ready", 30_000, async () => {
      if (!daemon.running) throw new Error("the coordinator ended");
      const reply = await fetch(`http://127.0.0.1:${this.#ports.metrics}/healthz`);
      return reply.ok ? true : undefined;
    });
  }

  /** Starts the process and does not wait until it serves. */
  spawnCoordinator(environment: Readonly<Record<string, string>>): Daemon {
    this.#coordinator = new Daemon(commands.consilium, ["coordinator", "serve", "--home", this.coordinatorHome], {
      logPath: join(this.#setup.directory, "logs", "coordinator.log"),
      environment,
    });
    return this.#coordinator;
  }

  /** Invites a hospital, lets its agent join, and writes its configuration and policy. */
  async join(hospital: HospitalSetup): Promise<void> {
    this.#say(`${hospital.id}: invited, joins with keys made at the site`);
    const invitation = JSON.parse(await this.consilium("site", "invite", hospital.id, "--json")) as { token: string };
    const home = this.agentHome(hospital.id);
    const { proxy, proxyCredentials } = hospital.coordinator ?? {};
    const way = proxy === undefined ? [] : ["--proxy", proxy, "--proxy-credentials", proxyCredentials!];
    await mustRun(commands.agent, ["join", invitation.token, "--home", home, ...way]);
    writeFileSync(join(home, "site.yaml"), JSON.stringify(this.#siteConfig(hospital), null, 2));
    writeFileSync(join(home, "policy.yaml"), JSON.stringify(this.#policy(hospital), null, 2));
  }

  /** The people who hold governance keys, offline. */
  get council(): Council {
    if (this.#council === undefined) throw new Error("the federation is not initialised");
    return this.#council;
  }

  /** Puts hospitals that have joined on the roster and publishes it. */
  async admit(...ids: string[]): Promise<void> {
    const keyOf = async (id: string) =>
      (await IdentityKey.load(join(this.agentHome(id), "identity/identity-key.pem"))).publicKey;
    const keys = await Promise.all(ids.map(async (id): Promise<[string, Uint8Array]> => [id, await keyOf(id)]));
    this.#say(`governance: ${ids.join(", ")} are put on the roster, which two of three holders sign`);
    await this.council.admit(Object.fromEntries(keys));
    await this.publishRoster();
    if (this.#setup.additions === "approve") await this.#approveRoster();
  }

  /** What a person does at each hospital: fetches the roster, looks at it, and says yes to this version. */
  async #approveRoster(): Promise<void> {
    for (const { id } of this.#setup.hospitals) {
      const home = ["--home", this.agentHome(id)];
      const text = await mustRun(commands.agent, ["roster", "fetch", ...home, "--json"]);
      const fetched = JSON.parse(text) as { waiting: number };
      this.#say(`${id}: a person looks at the roster's sites and keys, and approves version ${fetched.waiting}`);
      await mustRun(commands.agent, ["roster", "approve", String(fetched.waiting), ...home]);
    }
  }

  async publishRoster(): Promise<void> {
    await this.consilium("roster", "publish", this.council.rosterFile);
  }

  startAgent(id: string, environment: Readonly<Record<string, string>> = {}): Daemon {
    const daemon = new Daemon(commands.agent, ["run", "--home", this.agentHome(id)], {
      logPath: join(this.#setup.directory, "logs", `${id}.log`),
      environment,
    });
    this.#agents.set(id, daemon);
    return daemon;
  }

  /** As the system does when it stops a service. @returns the exit code */
  stopCoordinator(): Promise<number | null> {
    return this.#coordinator?.stop() ?? Promise.resolve(null);
  }

  async killCoordinator(): Promise<void> {
    await this.#coordinator?.kill();
  }

  coordinatorEnded(): Promise<number | null> {
    return this.#coordinator?.ended() ?? Promise.resolve(null);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()));
    await this.#coordinator?.stop();
  }

  // JSON is YAML, so the files need no templates.
  #siteConfig({ id, data, coordinator }: HospitalSetup): unknown {
    return {
      ...(coordinator === undefined ? {} : { coordinator }),
      data: { source: "folder", ...data },
      trainer: { threads: this.#setup.threadsPerSite },
      metrics: { port: this.agentMetricsPorts.get(id) },
      reconnect: { initialMs: 200, maxMs: 2000 },
    };
  }

  #policy({ policy }: HospitalSetup): unknown {
    const generous = {
      version: 1,
      federation: "demo",
      governance: this.council.policy(this.#setup.additions ?? "automatic"),
      secagg: { minCohort: this.#setup.minCohort ?? 3, maxColluders: 0 },
      jobs: {
        methods: [...runMethodNames],
        architectures: [...vitNames, ...resnetNames],
        modalities: ["dermatology", "radiograph", "pathology"],
        maxRounds: 1000,
        maxStepsPerRound: 1000,
        maxBatchSize: 1024,
        maxParameters: 100_000_000,
        // A demonstration has few images, takes few steps, runs again and again, and has nobody who could grant a run.
        minLocalSamples: 8,
        minStepsPerRound: 1,
        maxRunsPerDataset: 1000,
        approval: "automatic",
      },
      egress: {
        lanes: ["weight", "loss", "steps", "clipped", "updateNorm", "cosine", "terms"],
        statistics: "allow",
        minCell: 2,
      },
    };
    return { ...generous, ...policy };
  }

  #say(text: string): void {
    this.#setup.onStep?.(text);
  }
}
