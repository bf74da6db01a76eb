import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";
const program = ["/usr/sbin/Orthanc", "/usr/bin/Orthanc"].find((path) => existsSync(path));

export const hasOrthanc = program !== undefined && existsSync(plugin);

/** A real archive, with its data in a folder of its own. */
export class TestOrthanc {
  readonly port: number;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  static async create(): Promise<TestOrthanc> {
    const folder = await mkdtemp(join(tmpdir(), "orthanc-"));
    const [port, dicomPort] = [await freePort(), await freePort()];
    const configuration = {
      StorageDirectory: folder,
      IndexDirectory: folder,
      HttpPort: port,
      DicomPort: dicomPort,
      RemoteAccessAllowed: false,
      AuthenticationEnabled: true,
      RegisteredUsers: { site: "secret" },
      Plugins: [plugin],
      DicomWeb: { Enable: true, Root: "/dicom-web/" },
    };
    await writeFile(join(folder, "orthanc.json"), JSON.stringify(configuration));
    return new TestOrthanc(folder, port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/dicom-web`;
  }

  get authorization(): string {
    return `Basic ${Buffer.from("site:secret").toString("base64")}`;
  }

  async start(): Promise<void> {
    this.#process = spawn(program!, [join(this.#folder, "orthanc.json")], { stdio: "ignore" });
    for (let tries = 0; tries < 150; tries++) {
      const answer = await this.#request("system").catch(() => undefined);
      if (answer?.ok) return;
      await sleep(200);
    }
    throw new Error("Orthanc does not start");
  }

  async upload(path: string): Promise<void> {
    const answer = await this.#request("instances", { method: "POST", body: await readFile(path) });
    if (!answer.ok) throw new Error(`Orthanc refuses an object: ${answer.status}`);
  }

  #request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: this.authorization };
    return fetch(`http://127.0.0.1:${this.port}/${path}`, { ...init, headers });
  }

  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    running.kill("SIGKILL");
    await once(running, "exit");
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
