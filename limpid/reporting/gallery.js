(function () {
  "use strict";
  var table = JSON.parse(document.getElementById("table").textContent);
  var bar = document.getElementById("bar");
  if (!bar) return;
  var place = {};
  table.columns.forEach(function (name, i) { place[name] = i; });
  var saved = true, shown = "";
  var cards = {};
  document.querySelectorAll(".suspect").forEach(function (card) { cards[card.dataset.number] = card; });

  function asked(i) { return table.rows[i][place.action]; }

  function choose(i, action) {
    if (asked(i) === action) return;
    table.rows[i][place.action] = action;
    saved = false;
    if (cards[i]) paint(i);
  }

  function paint(i) {
    var card = cards[i], action = asked(i);
    card.dataset.action = action;
    card.querySelectorAll(".choice button").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.dataset.action === action));
    });
    var select = card.querySelector(".choice select");
    if (select) {
      var known = Array.prototype.some.call(select.options, function (option) { return option.value === action; });
      select.value = known && action.indexOf("relabel:") === 0 ? action : "";
    }
  }

  function tally() {
    var counts = { drop: 0, relabel: 0 };
    table.rows.forEach(function (row) {
      var action = row[place.action].split(":")[0];
      if (action in counts) counts[action] += 1;
    });
    document.getElementById("tally").textContent = counts.drop + counts.relabel === 0 ? "Nothing is changed yet."
      : counts.relabel + " to relabel, " + counts.drop + " to drop" + (saved ? "" : ", not downloaded yet");
  }

  function add(choice, i, action, text) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.dataset.action = action;
    button.addEventListener("click", function () { choose(i, action); tally(); });
    choice.appendChild(button);
  }

  Object.keys(cards).forEach(function (i) {
    var row = table.rows[i], choice = cards[i].querySelector(".choice");
    add(choice, i, "keep", "keep");
    add(choice, i, "drop", "drop");
    var suggested = row[place.suggested];
    if (suggested && row[place.suggested_action].indexOf("relabel:") === 0) {
      add(choice, i, "relabel:" + suggested, "it is " + suggested);
    }
    var offered = choice.children.length - 2;
    if (table.classes.length > 1 + offered) {
      var select = document.createElement("select");
      select.setAttribute("aria-label", "another class");
      select.appendChild(new Option(offered ? "other …" : "it is …", ""));
      table.classes.forEach(function (name) {
        if (name !== row[place.given] && !(offered && name === suggested)) select.appendChild(new Option(name, "relabel:" + name));
      });
      select.addEventListener("change", function () { choose(i, select.value || "keep"); tally(); });
      choice.appendChild(select);
    }
    choice.hidden = false;
    paint(i);
  });

  function show(kind) {
    shown = kind;
    document.querySelectorAll(".kinds button").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    });
    document.querySelectorAll("section.kind").forEach(function (section) {
      section.hidden = kind !== "" && section.dataset.kind !== kind;
    });
  }
  document.querySelectorAll(".kinds button").forEach(function (button) {
    button.addEventListener("click", function () { show(button.dataset.kind); });
  });

  function each(deed) {
    table.rows.forEach(function (row, i) { if (!shown || row[place.kind] === shown) deed(i, row); });
    tally();
  }
  document.getElementById("accept").addEventListener("click", function () {
    each(function (i, row) { choose(i, row[place.suggested_action]); });
  });
  document.getElementById("reset").addEventListener("click", function () {
    each(function (i) { choose(i, "keep"); });
  });

  /* A spreadsheet runs cells that begin so; numbers are left as they are. */
  function cell(text) {
    if (/^[=+\-@\t\r]/.test(text) && (text.trim() === "" || isNaN(Number(text)))) text = "'" + text;
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }
  document.getElementById("save").addEventListener("click", function () {
    var lines = [table.columns].concat(table.rows).map(function (row) { return row.map(cell).join(","); });
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    link.download = "corrections.csv";
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
    saved = true;
    tally();
  });
  window.addEventListener("beforeunload", function (event) { if (!saved) event.preventDefault(); });
  bar.hidden = false;
  tally();
})();
