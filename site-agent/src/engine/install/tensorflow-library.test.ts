import { describe, expect, it } from "vitest";
import { findLibrary, findNodeHeaders } from "./tensorflow-library.js";

const having =
  (...paths: string[]) =>
  (path: string) =>
    paths.includes(path);
const wheel = ["include/tensorflow/c/eager/c_api.h", "libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
const within = (directory: string, files: readonly string[]) => files.map((file) => `${directory}/${file}`);

describe("a folder of TensorFlow", () => {
  it.each(["/v/tensorflow", "/v"])("is found in a Python package, given as %s", (directory) => {
    expect(findLibrary(directory, having(...within("/v/tensorflow", wheel)))).toEqual({
      include: "/v/tensorflow/include",
      libraries: "/v/tensorflow",
      files: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"],
    });
  });

  it("may be the library for C", () => {
    const files = [wheel[0]!, "lib/libtensorflow.so.2", "lib/libtensorflow_framework.so.2"];
    expect(findLibrary("/c", having(...within("/c", files)))).toMatchObject({ libraries: "/c/lib" });
  });

  it.each([
    [[], "/v: is no folder of TensorFlow, include/tensorflow/c/eager/c_api.h is not there"],
    [wheel.slice(0, 1), "libtensorflow_cc.so.2 is not there"],
    [wheel.slice(0, 2), "libtensorflow_framework.so.2 is not there"],
  ])("is refused when it holds only %j", (files, message) => {
    const find = () => findLibrary("/v", having(...within("/v", files)));
    expect(find).toThrow(message);
    expect(find).toThrow(
      expect.objectContaining({ code: "config-invalid", remedy: expect.stringContaining("python3") }),
    );
  });
});

describe("Node's headers", () => {
  it("are taken from the first place that has them", () => {
    expect(findNodeHeaders(["/a", "/b", "/c"], having("/b/node_api.h", "/c/node_api.h"))).toBe("/b");
  });

  it("are asked for when no place has them", () => {
    const find = () => findNodeHeaders(["/a", "/b"], having());
    expect(find).toThrow("the headers of Node are in none of /a, /b");
    expect(find).toThrow(expect.objectContaining({ remedy: expect.stringContaining("libnode-dev") }));
  });
});
