/* A picture that does not move, drawn by the page's own plotly.js from a figure in JSON.

   `props.value` is {"figure": {"data": […], "layout": {…}}, "words": what it shows, in a sentence} or null. */

const place = element.querySelector('[data-part="figure"]');
const words = element.querySelector('[data-part="words"]');

const draw = () => {
  const value = props.value;
  element.firstElementChild.hidden = !value;
  if (!value || !element.offsetWidth) return;
  const dark = document.body.classList.contains("dark");
  const grid = dark ? "#3f3f46" : "#e4e4e7";
  const given = JSON.parse(JSON.stringify(value.figure)); // a plain copy: props are deep proxies, which Plotly is slow with
  const layout = {
    ...given.layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: dark ? "#e4e4e7" : "#3f3f46", size: 12, family: "system-ui, sans-serif" },
    hoverlabel: { bgcolor: dark ? "#27272a" : "#ffffff" },
    xaxis: { gridcolor: grid, zerolinecolor: grid, fixedrange: true, ...given.layout.xaxis },
    yaxis: { gridcolor: grid, zerolinecolor: grid, fixedrange: true, ...given.layout.yaxis },
  };
  place.style.height = `${layout.height ?? 320}px`;
  place.hidden = !given.data.length;
  place.setAttribute("aria-label", value.words);
  words.textContent = value.words;
  if (place.hidden) return;
  Plotly.react(place, given.data, layout, { displayModeBar: false, responsive: false });
};

watch("value", draw);
new ResizeObserver(() => { if (place.data && !place.hidden && element.offsetWidth) Plotly.Plots.resize(place); else draw(); }).observe(element);
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
draw();
