import { describe, expect, it } from "vitest";
import { environmentProxy, parseProxy, proxyAddress } from "./proxy.js";

describe("parseProxy", () => {
  it("reads host, port and credentials", () => {
    expect(parseProxy("http://proxy.example:3128", "it")).toEqual({ host: "proxy.example", port: 3128 });
    expect(parseProxy("http://proxy.example", "it")).toEqual({ host: "proxy.example", port: 80 });
    expect(parseProxy("http://u:p%40ss@[::1]:8080/", "it")).toEqual({ host: "::1", port: 8080, credentials: "u:p@ss" });
    expect(proxyAddress({ host: "::1", port: 8080 })).toBe("[::1]:8080");
  });

  it.each(["https://u:hunter2@proxy.example:443", "proxy.example:3128", "http://u:hunter2%ZZ@p", "http://p/path", ""])(
    "refuses %j, and does not repeat it",
    (text) => {
      const refused = expect.objectContaining({
        code: "config-invalid",
        message: "https_proxy is not the address of an HTTP proxy",
      });
      expect(() => parseProxy(text, "https_proxy")).toThrow(refused);
    },
  );
});

describe("environmentProxy", () => {
  it("takes the most particular variable", () => {
    const environment = { http_proxy: "http://c:1", https_proxy: "http://b:1", grpc_proxy: "http://a:1" };
    expect(environmentProxy(environment, "fl.example")?.host).toBe("a");
    expect(environmentProxy({ ...environment, grpc_proxy: "" }, "fl.example")?.host).toBe("b");
    expect(environmentProxy({ http_proxy: "http://c:1" }, "fl.example")?.host).toBe("c");
    expect(environmentProxy({}, "fl.example")).toBeUndefined();
  });

  it.each([
    ["fl.example", true],
    ["example", true],
    [".example", true],
    ["*.example", true],
    ["*", true],
    ["a.example, fl.example", true],
    ["l.example", false],
    ["example.org", false],
    ["", false],
  ])("leaves out what no_proxy names: %j", (exceptions, left) => {
    const environment = { https_proxy: "http://b:1", no_proxy: exceptions };
    expect(environmentProxy(environment, "fl.example") === undefined).toBe(left);
  });
});
