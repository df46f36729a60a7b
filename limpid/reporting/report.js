(function () {
  "use strict";
  var island = document.getElementById("figures");
  if (!island || !window.Plotly) return;
  var figures = JSON.parse(island.textContent);

  /* Under a key that ends in "color" or "colorscale", the text "@role" is the colour --role of the scheme in force. */
  function coloured(value, style, key) {
    if (typeof value === "string") {
      var role = /color(scale)?$/.test(key) && /^@[a-z]+$/.test(value);
      return role ? style.getPropertyValue("--" + value.slice(1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map(function (entry) { return coloured(entry, style, key); });
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (name) { copy[name] = coloured(value[name], style, name); });
      return copy;
    }
    return value;
  }

  /* Only what works offline; plotly's default bar has a button that offers to upload the figure. */
  var options = {
    responsive: true, displaylogo: false, displayModeBar: "hover", showTips: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]
  };
  function draw() {
    var style = getComputedStyle(document.documentElement);
    Object.keys(figures).forEach(function (name) {
      var place = document.getElementById("figure-" + name);
      if (!place) return;
      var figure = coloured(figures[name], style, "");
      window.Plotly.react(place, figure.data, figure.layout, options);
    });
  }
  draw();
  ["(prefers-color-scheme: dark)", "print"].forEach(function (query) {
    window.matchMedia(query).addEventListener("change", draw);
  });
})();
