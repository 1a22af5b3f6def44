"use strict";
(function () {
  function value(row, column) {
    var key = row.children[column].dataset.key;
    if (key === undefined) key = row.children[column].textContent.trim();
    if (key === "") return null;
    var number = Number(key);
    return Number.isNaN(number) ? key : number;
  }
  function compare(one, other) {
    if (typeof one === "number" && typeof other === "number") return one - other;
    if (typeof one === typeof other) return one.localeCompare(other, "en", { numeric: true });
    return typeof one === "number" ? -1 : 1;
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      head.querySelector("button").addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var rows = Array.from(table.tBodies[0].rows).map(function (row) { return [value(row, column), row]; });
        rows.sort(function (a, b) {
          if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null);
          return down ? compare(b[0], a[0]) : compare(a[0], b[0]);
        });
        rows.forEach(function (pair) { table.tBodies[0].appendChild(pair[1]); });
      });
    });
  });

  var root = document.documentElement, button = document.getElementById("theme"), themes = ["auto", "light", "dark"];
  function current() { return root.dataset.theme || "auto"; }
  function show() { button.textContent = "theme: " + current(); }
  button.addEventListener("click", function () {
    var next = themes[(themes.indexOf(current()) + 1) % themes.length];
    if (next === "auto") delete root.dataset.theme; else root.dataset.theme = next;
    try {
      if (next === "auto") localStorage.removeItem("theme"); else localStorage.setItem("theme", next);
    } catch (error) { /* a page from a file may not remember */ }
    show();
  });
  show();

  var contents = document.getElementById("contents"), wide = window.matchMedia("(min-width: 64rem)");
  function fold() { contents.open = wide.matches; }
  wide.addEventListener("change", fold);
  fold();
  if ("IntersectionObserver" in window) {
    var links = {};
    contents.querySelectorAll("a").forEach(function (link) { links[link.hash.slice(1)] = link; });
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        Object.values(links).forEach(function (link) { link.removeAttribute("aria-current"); });
        links[entry.target.id].setAttribute("aria-current", "true");
      });
    }, { rootMargin: "-10% 0px -80% 0px" });
    document.querySelectorAll("main > section[id]").forEach(function (section) {
      if (links[section.id]) watcher.observe(section);
    });
  }
})();
