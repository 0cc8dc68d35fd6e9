// Figures, sorting, filters, tooltips and structures. Everything works from files, without a request to any network.
(function () {
  "use strict";
  var root = document.documentElement;
  function all(selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); }
  function colour(name) { return getComputedStyle(root).getPropertyValue(name).trim(); }
  function press(button, on) { button.setAttribute("aria-pressed", String(on)); }
  function pressed(button) { return button.getAttribute("aria-pressed") === "true"; }

  // What is shown stands in the address after #, so that it can be shared: state(key) reads it, keep(key, value) writes it.
  function words() { return new URLSearchParams(location.hash.slice(1)); }
  function state(key) { return words().get(key); }
  function list(key) { return (state(key) || "").split(",").filter(Boolean); }
  function keep(key, value) {
    var kept = new URLSearchParams();
    words().forEach(function (text, name) { if (text && name !== key) kept.set(name, text); });
    if (value) kept.set(key, value);
    var text = kept.toString().replace(/%2C/g, ",");
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  }

  // Tooltips, by mouse, keyboard or touch.
  var tip = document.getElementById("tip");
  function explain(event) {
    var target = event.target.closest && event.target.closest("[data-tip]");
    tip.hidden = !target || event.type === "focusout";
    if (tip.hidden) return;
    tip.textContent = target.dataset.tip;
    target.setAttribute("aria-describedby", "tip");
    var box = target.getBoundingClientRect();
    var below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (below ? box.bottom + 6 : box.top - tip.offsetHeight - 6) + "px";
  }
  ["mouseover", "focusin", "focusout"].forEach(function (name) { document.addEventListener(name, explain); });
  document.addEventListener("keydown", function (event) { if (event.key === "Escape") tip.hidden = true; });
  document.addEventListener("scroll", function () { tip.hidden = true; }, true);

  // Figures: those of the models (or tasks) that are chosen, once for all figures of a page.
  var plots = all(".plot"), chosen = null;
  function drawn(figure, width) {
    var layout = JSON.parse(JSON.stringify(figure.layout));
    layout.paper_bgcolor = layout.plot_bgcolor = colour("--ground");
    layout.showlegend = false;
    layout.font = { color: colour("--text"), family: "system-ui, sans-serif", size: 12 };
    layout.hoverlabel = { bgcolor: colour("--raised"), font: { color: colour("--text") } };
    layout.title.font = { size: 12 };
    ["xaxis", "yaxis"].forEach(function (axis) {
      if (layout[axis].title) layout[axis].title.font = { size: 12 };
      Object.assign(layout[axis], { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line") });
    });
    var data = figure.data.filter(function (trace) { return !trace.meta || !chosen || chosen.indexOf(trace.meta) >= 0; });
    data.forEach(function (trace) { if (trace.type === "bar" && trace.error_y) trace.error_y.color = colour("--text"); });
    if (layout.xaxis.type === "category") {  // words that do not fit next to each other are turned
      var labels = [].concat.apply([], data.map(function (trace) { return trace.x; }));
      var longest = Math.max.apply(null, labels.map(function (label) { return String(label).length; }));
      if (7.5 * longest * new Set(labels).size > width - 60) {
        layout.xaxis.tickangle = -90;
        layout.xaxis.title.standoff = 8;
      }
    }
    return { data: data, layout: layout, config: { responsive: true, displaylogo: false, displayModeBar: false } };
  }
  function draw(element) {
    if (!window.Plotly || element.offsetParent === null) return;
    var figure = JSON.parse(document.getElementById(element.dataset.figure).textContent);
    var now = drawn(figure, element.clientWidth);
    Plotly.react(element, now.data, now.layout, now.config);
    if (element.parentElement.querySelector(".png")) return;
    var save = document.createElement("button");
    save.type = "button"; save.className = "png"; save.textContent = "PNG";
    save.setAttribute("aria-label", "Download this figure as PNG");
    save.addEventListener("click", function () {
      var picture = drawn(figure, 900);
      picture.layout.showlegend = true;
      picture.layout.title.x = 0.01;
      var name = (document.title.split(" · ")[0] + "-" + element.dataset.figure).replace(/[^\w.-]+/g, "-");
      Plotly.downloadImage(picture, { format: "png", width: 900, height: 500, scale: 2, filename: name });
    });
    element.parentElement.appendChild(save);
  }
  function drawAll() { plots.forEach(draw); }

  var series = document.querySelector(".series");
  function choose() {
    if (!series) return;
    var buttons = all("[data-series]", series), key = series.dataset.key, asked = list(key);
    var names = buttons.map(function (button) { return button.dataset.series; });
    chosen = state(key) === "all" ? names : asked.filter(function (name) { return names.indexOf(name) >= 0; });
    if (!chosen.length) chosen = series.dataset.shown.split(",");
    buttons.forEach(function (button) { press(button, chosen.indexOf(button.dataset.series) >= 0); });
    all("[data-all]", series).forEach(function (button) { press(button, chosen.length === names.length); });
  }
  if (series) series.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) return;
    press(button, !pressed(button));
    if ("all" in button.dataset) keep(series.dataset.key, pressed(button) ? "all" : "");
    else keep(series.dataset.key, all("[data-series][aria-pressed=true]", series).map(function (on) { return on.dataset.series; }).join(","));
    choose();
    drawAll();
  });

  // One model's predictions at a time.
  var select = document.querySelector("select[data-shows]");
  function show() {
    if (!select) return;
    if (state("predictions")) select.value = state("predictions");
    if (select.selectedIndex < 0) select.selectedIndex = 0;
    all('[data-group="' + select.dataset.shows + '"]').forEach(function (part) {
      part.hidden = part.dataset.index !== select.value;
      if (!part.hidden) all(".plot", part).forEach(draw);
    });
  }
  if (select) select.addEventListener("change", function () { keep("predictions", select.value); show(); });

  // Tables sort by the heading that is clicked; missing values stay at the end.
  function sortTable() {
    var key = state("sort"), down = key && key[0] === "-";
    all("table.scores").forEach(function (table) {
      var heads = all("thead th", table);
      heads.forEach(function (head, column) {
        var trigger = head.querySelector("button");
        head.removeAttribute("aria-sort");
        if (!trigger || !key || trigger.dataset.key !== key.slice(down ? 1 : 0)) return;
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var numeric = trigger.dataset.sort === "number", sign = down ? -1 : 1;
        var rows = all("tbody tr", table).map(function (row) {
          var cell = row.cells[column], number = cell.dataset[table.dataset.metric];
          return { row: row, value: numeric ? parseFloat(number === undefined ? cell.dataset.value : number) : cell.textContent.trim().toLowerCase() };
        });
        rows.sort(function (a, b) {
          if (!numeric) return sign * a.value.localeCompare(b.value);
          if (isNaN(a.value) || isNaN(b.value)) return isNaN(a.value) - isNaN(b.value);
          return sign * (a.value - b.value);
        });
        rows.forEach(function (item) { table.tBodies[0].appendChild(item.row); });
      });
    });
  }
  all("thead button[data-key]").forEach(function (trigger) {
    trigger.addEventListener("click", function () {
      keep("sort", state("sort") === trigger.dataset.key ? "-" + trigger.dataset.key : trigger.dataset.key);
      sortTable();
    });
  });

  // The leaderboard: kinds, search, and which number is large.
  var board = document.getElementById("leaderboard"), search = document.getElementById("search");
  function filter() {
    if (!board) return;
    var kinds = list("kind"), text = (state("q") || "").toLowerCase(), metric = state("metric") || "ood", shown = 0;
    all("[data-kind]", document.querySelector(".controls")).forEach(function (chip) { press(chip, kinds.indexOf(chip.dataset.kind) >= 0); });
    all("[data-metric]", document.querySelector(".controls")).forEach(function (chip) { press(chip, chip.dataset.metric === metric); });
    if (search.value.toLowerCase() !== text) search.value = text;
    board.dataset.metric = metric;
    all("tbody tr", board).forEach(function (row) {
      row.hidden = (kinds.length && kinds.indexOf(row.dataset.kind) < 0) || row.cells[0].textContent.toLowerCase().indexOf(text) < 0;
      shown += row.hidden ? 0 : 1;
    });
    document.getElementById("none").hidden = shown > 0;
  }
  if (board) {
    search.addEventListener("input", function () { keep("q", search.value.trim()); filter(); });
    document.querySelector(".controls").addEventListener("click", function (event) {
      var chip = event.target.closest("button");
      if (!chip) return;
      if (chip.dataset.metric) keep("metric", chip.dataset.metric === "ood" ? "" : chip.dataset.metric);
      else {
        press(chip, !pressed(chip));
        keep("kind", all("[data-kind][aria-pressed=true]", chip.parentElement).map(function (on) { return on.dataset.kind; }).join(","));
      }
      filter();
      sortTable();
    });
  }

  function apply() { choose(); filter(); sortTable(); show(); drawAll(); }
  addEventListener("hashchange", apply);
  apply();

  // Structures: a picture until its button is pressed; the viewer is loaded then.
  var viewers = [], ELEMENTS = { 1: "H", 6: "C", 7: "N", 8: "O", 9: "F", 10: "Ne", 15: "P", 16: "S", 17: "Cl" };
  function arrow(viewer, from, vector, scale, paint) {
    if (Math.hypot(vector[0], vector[1], vector[2]) * scale < 0.05) return;
    viewer.addArrow({
      start: { x: from[0], y: from[1], z: from[2] },
      end: { x: from[0] + scale * vector[0], y: from[1] + scale * vector[1], z: from[2] + scale * vector[2] },
      radius: 0.05, radiusRatio: 2.2, mid: 0.75, color: paint
    });
  }
  function open3d(box) {
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
  }
  var library = null;
  all(".viewer button").forEach(function (open) {
    open.addEventListener("click", function () {
      open.textContent = "loading";
      library = library || new Promise(function (done, failed) {
        var script = document.createElement("script");
        script.src = "assets/3Dmol-min.js"; script.onload = done; script.onerror = failed;
        document.head.appendChild(script);
      });
      library.then(function () { open3d(open.parentElement); });
    });
  });

  // Theme
  document.getElementById("theme").addEventListener("click", function () {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { /* not kept then */ }
    drawAll();
    viewers.forEach(function (viewer) { viewer.setBackgroundColor(colour("--raised")); viewer.render(); });
  });
})();
