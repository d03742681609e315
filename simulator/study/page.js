"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

function draw(figure) {
  const choice = figure.querySelector("select");
  const chart = charts[figure.id][choice ? choice.selectedIndex : 0];
  Plotly.react(figure.querySelector(".plot"), chart.data, chart.layout, config);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "600px" });

for (const figure of document.querySelectorAll("figure[id]")) {
  seen.observe(figure);
  const choice = figure.querySelector("select");
  if (choice) choice.addEventListener("change", () => draw(figure));
}
window.addEventListener("beforeprint", () => document.querySelectorAll("figure[id]").forEach(draw));

function order(table, column, ascending) {
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
  };
  const absent = (v) => v === "" || Number.isNaN(v);
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    const less = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return ascending ? less : -less;
  });
  body.append(...rows.map(([, row]) => row));
}

for (const head of document.querySelectorAll("th")) {
  head.querySelector("button").addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    order(head.closest("table"), head.cellIndex, ascending);
  });
}
