(function () {
  "use strict";

  /* Numbers by value, words by letter; what is empty comes last either way. */
  function compare(one, other, sign) {
    if (one === "" || other === "") return one === other ? 0 : one === "" ? 1 : -1;
    var a = Number(one), b = Number(other);
    if (!isNaN(a) && !isNaN(b)) return sign * (a - b);
    return sign * one.localeCompare(other);
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    var headings = Array.from(table.tHead.rows[0].cells), body = table.tBodies[0];
    headings.forEach(function (heading, column) {
      heading.addEventListener("click", function () {
        var down = heading.getAttribute("aria-sort") !== "ascending";
        headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
        heading.setAttribute("aria-sort", down ? "ascending" : "descending");
        Array.from(body.rows).map(function (row) { return [row.cells[column].dataset.order, row]; })
          .sort(function (a, b) { return compare(a[0], b[0], down ? 1 : -1); })
          .forEach(function (pair) { body.appendChild(pair[1]); });
      });
    });
  });

  document.querySelectorAll("button.copy").forEach(function (button) {
    var text = document.getElementById(button.dataset.copy);
    button.addEventListener("click", function () {
      var said = button.textContent;
      function done() {
        button.textContent = "copied";
        setTimeout(function () { button.textContent = said; }, 1500);
      }
      function mark() {
        var range = document.createRange();
        range.selectNodeContents(text);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        if (document.execCommand("copy")) done();
      }
      if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(done, mark);
      else mark();
    });
  });
})();
