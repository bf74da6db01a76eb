/** Program of the review page, which runs in the expert's browser without anything from outside. */

/** Plain JavaScript: the text of the clusters file from rows of { cell, name, weight, drop }, in the order of cells. */
export const yamlFunction = `
function yamlOf(digest, rows) {
  const clusters = new Map();
  for (const row of rows) if (!clusters.has(row.name)) clusters.set(row.name, row);
  const told = [...clusters.values()].filter((row) => row.drop || row.weight !== 1);
  const lines = told.map((row) => "  " + JSON.stringify(row.name) + ": { weight: " + row.weight + ", drop: " + row.drop + " }");
  return "digest: " + digest + "\\ncells:\\n"
    + rows.map((row) => "  cell-" + row.cell + ": " + JSON.stringify(row.name) + "\\n").join("")
    + (lines.length === 0 ? "clusters: {}\\n" : "clusters:\\n" + lines.join("\\n") + "\\n");
}
`;

const page = `
const cells = [...document.querySelectorAll("[data-cell]")];
const field = (cell, name) => cell.querySelector("[name=" + name + "]");
const output = document.getElementById("yaml");
const message = document.getElementById("message");
const rowOf = (cell) => ({
  cell: Number(cell.dataset.cell),
  name: field(cell, "name").value.trim(),
  weight: Number(field(cell, "weight").value),
  drop: field(cell, "drop").checked,
});
const alike = (cell) => cells.filter((other) => other !== cell && rowOf(other).name === rowOf(cell).name);
function copyValues(from, to) {
  field(to, "weight").value = field(from, "weight").value;
  field(to, "drop").checked = field(from, "drop").checked;
}
function show() {
  const wrong = cells.find((cell) => [...cell.querySelectorAll("input")].some((input) => !input.checkValidity()));
  for (const cell of cells) cell.classList.toggle("dropped", field(cell, "drop").checked);
  const kinds = new Set(cells.map((cell) => rowOf(cell).name)).size;
  message.textContent = wrong === undefined
    ? cells.length + " cells in " + kinds + " clusters"
    : "cell " + wrong.dataset.cell + " has a name or weight that cannot be used";
  output.value = wrong === undefined ? yamlOf(document.body.dataset.digest, cells.map(rowOf)) : "";
}
for (const cell of cells) {
  cell.addEventListener("input", (event) => {
    const others = alike(cell);
    // A cell that joins a cluster takes its values; a value that is changed is changed for the whole cluster.
    if (event.target.name === "name") { if (others.length > 0) copyValues(others[0], cell); }
    else for (const other of others) copyValues(cell, other);
    show();
  });
}
document.getElementById("copy").addEventListener("click", async () => {
  output.select();
  try { await navigator.clipboard.writeText(output.value); } catch { document.execCommand("copy"); }
  message.textContent = "copied";
});
document.getElementById("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([output.value], { type: "application/yaml" }));
  link.download = "clusters.yaml";
  link.click();
  URL.revokeObjectURL(link.href);
});
show();
`;

export const reviewScript = `"use strict";${yamlFunction}${page}`;
