// Figures, sorting, filters and structures. Everything works from files, without a request to any network.
(function () {
  "use strict";
  var root = document.documentElement;

  function colour(name) { return getComputedStyle(root).getPropertyValue(name).trim(); }

  function drawn(figure) {
    var layout = JSON.parse(JSON.stringify(figure.layout));
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { color: colour("--text"), family: "system-ui, sans-serif", size: 13 };
    layout.hoverlabel = { bgcolor: colour("--raised"), font: { color: colour("--text") } };
    ["xaxis", "yaxis"].forEach(function (axis) {
      layout[axis] = Object.assign({ gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line") }, layout[axis]);
    });
    return layout;
  }

  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));
  var options = { responsive: true, displaylogo: false, displayModeBar: false };

  function draw(element) {
    var figure = JSON.parse(document.getElementById(element.dataset.figure).textContent);
    return Plotly.react(element, figure.data, drawn(figure), options);
  }

  function visible(element) { return element.offsetParent !== null; }

  if (window.Plotly) plots.filter(visible).forEach(draw);

  // Theme
  var button = document.getElementById("theme");
  button.addEventListener("click", function () {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { /* not kept then */ }
    if (window.Plotly) plots.filter(visible).forEach(draw);
    viewers.forEach(function (viewer) { viewer.setBackgroundColor(colour("--raised")); viewer.render(); });
  });

  // Menus close when another opens, on Escape, and on a click elsewhere.
  var menus = Array.prototype.slice.call(document.querySelectorAll(".menu"));
  document.addEventListener("click", function (event) {
    menus.forEach(function (menu) { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") menus.forEach(function (menu) { menu.open = false; });
  });

  // Tables sort by the heading that is clicked; missing values stay at the end.
  document.querySelectorAll("table.scores").forEach(function (table) {
    var heads = Array.prototype.slice.call(table.querySelectorAll("thead th"));
    heads.forEach(function (head, column) {
      var trigger = head.querySelector("button");
      if (!trigger) return;
      trigger.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var numeric = trigger.dataset.sort === "number";
        var body = table.tBodies[0];
        var rows = Array.prototype.slice.call(body.rows).map(function (row, place) {
          var cell = row.cells[column];
          var value = numeric ? parseFloat(cell.dataset.value) : cell.textContent.trim().toLowerCase();
          return { row: row, value: value, place: place };
        });
        rows.sort(function (a, b) {
          if (numeric) {
            if (isNaN(a.value) || isNaN(b.value)) return (isNaN(a.value) ? 1 : 0) - (isNaN(b.value) ? 1 : 0) || a.place - b.place;
            return (down ? b.value - a.value : a.value - b.value) || a.place - b.place;
          }
          return (down ? b.value.localeCompare(a.value) : a.value.localeCompare(b.value)) || a.place - b.place;
        });
        rows.forEach(function (item) { body.appendChild(item.row); });
      });
    });
  });

  // One task at a time.
  document.querySelectorAll("[data-filter]").forEach(function (chip) {
    chip.addEventListener("click", function () {
      document.querySelectorAll("[data-filter]").forEach(function (other) { other.setAttribute("aria-pressed", String(other === chip)); });
      document.querySelectorAll("#leaderboard tbody tr").forEach(function (row) {
        row.hidden = chip.dataset.filter !== "" && row.dataset.task !== chip.dataset.filter;
      });
    });
  });

  // One model at a time.
  document.querySelectorAll("select[data-shows]").forEach(function (select) {
    select.addEventListener("change", function () {
      document.querySelectorAll('[data-group="' + select.dataset.shows + '"]').forEach(function (part) {
        part.hidden = part.dataset.index !== select.value;
        if (!part.hidden) part.querySelectorAll(".plot").forEach(draw);
      });
    });
  });

  // Structures
  var viewers = [];
  var ELEMENTS = { 1: "H", 6: "C", 7: "N", 8: "O", 9: "F", 10: "Ne", 15: "P", 16: "S", 17: "Cl" };

  function arrow(viewer, from, vector, scale, paint) {
    var length = Math.hypot(vector[0], vector[1], vector[2]) * scale;
    if (length < 0.05) return;
    viewer.addArrow({
      start: { x: from[0], y: from[1], z: from[2] },
      end: { x: from[0] + scale * vector[0], y: from[1] + scale * vector[1], z: from[2] + scale * vector[2] },
      radius: 0.05, radiusRatio: 2.2, mid: 0.75, color: paint
    });
  }

  document.querySelectorAll(".viewer button").forEach(function (open) {
    open.addEventListener("click", function () {
      var box = open.parentElement;
      var frame = JSON.parse(document.getElementById(box.dataset.frame).textContent);
      box.textContent = "";
      var viewer = $3Dmol.createViewer(box, { backgroundColor: colour("--raised"), disableFog: true });
      var lines = [String(frame.numbers.length), ""];
      frame.numbers.forEach(function (z, k) { lines.push((ELEMENTS[z] || "X") + " " + frame.positions[k].join(" ")); });
      viewer.addModel(lines.join("\n"), "xyz");
      viewer.setStyle({}, { stick: { radius: 0.1 }, sphere: { scale: 0.2 } });
      frame.numbers.forEach(function (z, k) {
        var label = frame.label[k], predicted = frame.prediction[k];
        arrow(viewer, frame.positions[k], label, frame.scale, "#8b95a5");
        arrow(viewer, frame.positions[k], predicted, frame.scale, "#0072B2");
        arrow(viewer, frame.positions[k], [predicted[0] - label[0], predicted[1] - label[1], predicted[2] - label[2]], frame.scale, "#D55E00");
      });
      viewer.zoomTo();
      viewer.render();
      box.dataset.shown = "yes";
      viewers.push(viewer);
    });
  });
})();
