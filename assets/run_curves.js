/* The curves of runs: kept as they grow, thinned when they are long, and drawn no more often than can be seen.

   Stands before run_view.js, which fetches the rows and says when to draw. */

const POINTS_MOST = 4000; // a curve of a long run is thinned beyond this
const find = (name) => element.querySelector(`[data-part="${name}"]`);

const CHARTS = [
  { part: "loss", lines: [["loss", "training", 1.2, "solid"], ["val_loss", "validation", 2.4, "solid"]] },
  { part: "score", lines: [["score", "", 2, "solid"]] },
  { part: "lr", lines: [["lr", "", 2, "solid"]] },
  { part: "grad_norm", lines: [["grad_norm", "", 1.2, "solid"]] },
];
const COLUMNS = ["loss", "val_loss", "score", "lr", "grad_norm"];

let curves = {}; // run id -> {name, colour, next, step: [], loss: [], …}
let selection = ""; // which runs are asked for, to notice a change
let score = null; // what the shown run is judged by, in words
let guess = null; // the validation loss of guessing each token from the one before it
let revision = 0;
let updates = 0;
let drawn_points = 0;
let drawn_at = 0;
let drawn_small = null; // when all charts were drawn last, as now() tells it

const theme = () => {
  const dark = document.body.classList.contains("dark");
  return { grid: dark ? "#3f3f46" : "#e4e4e7", ink: dark ? "#e4e4e7" : "#3f3f46", paper: dark ? "#27272a" : "#ffffff" };
};

const layout = (small, filled) => {
  const { grid, ink, paper } = theme();
  const axis = { gridcolor: grid, zerolinecolor: grid, automargin: true };
  // A line to beat: what a table of pairs of tokens, without any model, reaches on the same text.
  const beaten = !small && filled && guess !== null;
  const line = { type: "line", xref: "paper", x0: 0, x1: 1, y0: guess, y1: guess, line: { color: ink, width: 1, dash: "dot" } };
  const words = {
    text: "guessing from the token before", xref: "paper", x: 1, xanchor: "right", y: guess, yanchor: "bottom", showarrow: false,
    font: { size: 11, color: ink },
  };
  return {
    shapes: beaten ? [line] : [],
    annotations: beaten ? [words] : [],
    uirevision: selection.split(" ")[0] || "none",
    datarevision: ++revision,
    autosize: true,
    hovermode: "x unified",
    margin: small ? { l: 44, r: 8, t: 6, b: 30 } : { l: 50, r: 8, t: 10, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: small ? 11 : 12, family: "system-ui, sans-serif" },
    hoverlabel: { bgcolor: paper, font: { color: ink } },
    showlegend: !small,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    xaxis: { ...axis, visible: filled, title: small ? undefined : { text: "step" }, rangemode: "tozero" },
    yaxis: { ...axis, visible: filled, title: small ? undefined : { text: "loss" } },
  };
};

const traces = (chart, small) => {
  const drawn = [];
  for (const curve of Object.values(curves)) {
    if (chart.part === "score" && curve.judged_by !== score) continue; // shares and bits have no axis in common
    for (const [column, kind, width, dash] of chart.lines) {
      const x = [];
      const y = [];
      curve.step.forEach((step, i) => {
        const value = curve[column][i];
        if (value !== null) { x.push(step); y.push(value); }
      });
      if (!x.length) continue;
      const sparse = column === "val_loss" || column === "score";
      drawn.push({
        x, y, type: "scatter", name: kind ? `${curve.name}: ${kind}` : curve.name,
        mode: sparse || x.length < 3 ? "lines+markers" : "lines", marker: { size: small ? 4 : 6 },
        opacity: column === "loss" ? 0.65 : 1, line: { width, dash, color: curve.colour }, marker_color: curve.colour,
      });
    }
  }
  return drawn;
};

const options = {
  displaylogo: false,
  displayModeBar: false,
  responsive: false,
  doubleClick: "reset+autosize",
};

// A curve of a hundred points with one more looks the same, and drawing takes time from the training: so it is drawn
// again when it has grown by a twentieth, or after a while. The small ones may wait longer.
const points = () => Object.values(curves).reduce((sum, curve) => sum + curve.step.length, 0);
const worth_drawing = () => points() - drawn_points >= drawn_points / 20 || Date.now() - drawn_at > 10000;
// What else tells of the run keeps up with its first steps, and then comes every so many milliseconds.
const now = () => ({ at: Date.now(), points: points() });
const due = (last, after) => last === null || Date.now() - last.at > after || points() > 2 * last.points;

const draw = (all = true) => {
  all = all || due(drawn_small, 15000);
  drawn_points = points();
  drawn_at = Date.now();
  if (all) drawn_small = now();
  for (const chart of CHARTS) {
    const place = find(chart.part);
    const small = chart.part !== "loss";
    if (!place || place._dragging || (small && !all)) continue; // drawing in mid-drag makes a pan jump
    const drawn = traces(chart, small);
    Plotly.react(place, drawn, layout(small, drawn.length > 0), options);
    place.dataset.points = Math.max(0, ...drawn.map((trace) => trace.x.length));
  }
  find("loss").dataset.updates = ++updates;
};

const thin = (curve) => {
  if (curve.step.length <= POINTS_MOST) return;
  const last = curve.step.length - 1;
  const kept = curve.step.map((_, i) => i % 2 === 0 || i === last || curve.val_loss[i] !== null);
  for (const column of ["step", ...COLUMNS]) curve[column] = curve[column].filter((_, i) => kept[i]);
};

const grow = (id, news) => {
  let curve = curves[id];
  if (!curve || news.again) {
    curve = curves[id] = { step: [], ...Object.fromEntries(COLUMNS.map((column) => [column, []])) };
  }
  // A resume does some steps again: the file was cut back in the meantime, so read all of it with the next question.
  if (curve.step.length && news.rows.step[0] <= curve.step[curve.step.length - 1]) { delete curves[id]; return false; }
  const renamed = curve.name !== news.name || curve.colour !== news.colour;
  Object.assign(curve, { name: news.name, colour: news.colour, judged_by: news.judged_by, next: news.next });
  curve.step.push(...news.rows.step);
  for (const column of COLUMNS) curve[column].push(...news.rows[column]);
  thin(curve);
  return renamed || news.again || news.rows.step.length > 0;
};
