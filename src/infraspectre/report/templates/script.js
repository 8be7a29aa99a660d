"use strict";
(function () {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();
  addEventListener("beforeprint", () => document.querySelectorAll(".incident details").forEach((each) => { each.open = true; }));

  const valueOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  const sort = (table, column, header) => {
    const down = header.getAttribute("aria-sort") !== "descending";
    table.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column)) * (down ? -1 : 1));
    table.tBodies[0].append(...rows);
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("thead th").forEach((header, column) => {
      const toggle = document.createElement("button");
      toggle.type = "button";
      toggle.textContent = header.textContent;
      toggle.addEventListener("click", () => sort(table, column, header));
      header.replaceChildren(toggle);
    });
  });
})();
