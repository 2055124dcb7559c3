/* A run as it happens: progress, numbers in words, curves and samples.

   The browser asks the server for what it lacks, every second or two and only while it can be seen, so nothing here depends
   on a session or a queue: a reload or a restart of the server finds its way back by itself. The template around this
   script is constant, so Gradio never touches these nodes, and a zoom or a hidden curve survives every update.

   `props.value` is {"shown": a run's id, "runs": [ids whose curves are drawn]}. `server.follow(request)` answers with
   the rows each run has gained; microformer/ui/actions/runs.py describes both. The prelude defines visitor(). */

const POINTS_MOST = 4000; // a curve of a long run is thinned beyond this
const find = (name) => element.querySelector(`[data-part="${name}"]`);
const asked = () => {
  const value = props.value || {};
  return { shown: value.shown ?? null, runs: [...(value.runs ?? [])] };
};

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
let pictured = ""; // and which are in the picture
let samples = { run: null, count: 0 };
let spoken = 0;
let moved = Date.now();
let eager_until = 0;
let busy = false;
let grown = false; // whether there is more than is drawn
let state = null;
let revision = 0;
let updates = 0;
let drawn_points = 0;
let drawn_at = 0;
let drawn_small_at = 0;

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

const draw = (all = true) => {
  all = all || Date.now() - drawn_small_at > 15000;
  drawn_points = points();
  drawn_at = Date.now();
  if (all) drawn_small_at = drawn_at;
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

const tell = (shown) => {
  const view = element.firstElementChild;
  const now = shown ? shown.state : "none";
  if (view.dataset.state !== now) spoken = 0; // what changed is worth saying at once
  view.dataset.state = now;
  view.dataset.score = shown ? shown.words.score_name : "";
  for (const place of element.querySelectorAll("[data-word]")) {
    const text = shown ? (shown.words[place.dataset.word] ?? "") : "";
    if (place.textContent !== text) place.textContent = text;
  }
  const bar = find("bar");
  const share = shown ? shown.fraction : 0;
  bar.style.setProperty("--share", `${100 * share}%`);
  bar.setAttribute("aria-valuenow", Math.round(100 * share));
  const advice = (shown ? shown.advice : []).join("\n");
  const list = find("advice");
  if (list.dataset.said !== advice) {
    list.dataset.said = advice;
    list.replaceChildren(...advice.split("\n").filter(Boolean).map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    }));
  }
};

const show_samples = (shown) => {
  const list = find("samples");
  if (!shown || shown.samples_from === 0) list.replaceChildren();
  for (const sample of shown ? shown.samples : []) {
    const item = document.createElement("li");
    const step = document.createElement("span");
    const prompt = document.createElement("b");
    step.textContent = sample.when;
    prompt.textContent = sample.prompt;
    const text = document.createElement("p");
    text.append(prompt, sample.text);
    item.append(step, text);
    list.prepend(item);
  }
  samples.count = shown ? shown.samples_next : 0;
  find("samples_none").hidden = list.childElementCount > 0;
};

const visible = () => !document.hidden && element.offsetParent !== null;

const pull = async () => {
  if (busy || !visitor() || !visible()) return;
  busy = true;
  try {
    const want = asked();
    const now = [want.shown, ...want.runs].join(" ");
    if (now !== selection) {
      selection = now;
      curves = Object.fromEntries(Object.entries(curves).filter(([id]) => want.runs.includes(id)));
      spoken = 0;
    }
    if (samples.run !== want.shown) samples = { run: want.shown, count: 0 };
    const cursors = Object.fromEntries(want.runs.map((id) => [id, curves[id]?.next ?? 0]));
    const news = await server.follow({ ...want, visitor: visitor(), runs: cursors, samples: samples.count });
    if (news.error) throw new Error(news.error);
    if ([asked().shown, ...asked().runs].join(" ") !== now) return; // another choice was made in the meantime
    let other = pictured !== now || Object.keys(curves).length !== Object.keys(news.runs).length;
    other = other || guess !== (news.shown?.guess ?? null) || state !== news.shown?.state || !find("loss").data;
    other = other || score !== (news.shown?.words.score_name ?? null);
    state = news.shown?.state;
    curves = Object.fromEntries(Object.entries(curves).filter(([id]) => id in news.runs));
    for (const [id, gained] of Object.entries(news.runs)) grown = grow(id, gained) || grown;
    guess = news.shown?.guess ?? null;
    score = news.shown?.words.score_name ?? null;
    tell(news.shown);
    show_samples(news.shown);
    if (other || (grown && worth_drawing())) { draw(other); pictured = now; grown = false; }
    // The lists and buttons around this view say for which run, and for which state of all runs, they were made. When
    // that is not what is shown now (a run came or ended, or two answers overtook each other), they are made again.
    const made = document.querySelector("#train-table [data-made]");
    const outdated = made && made.dataset.made !== `${want.shown ?? ""} ${news.signature}`;
    const numbers_old = news.shown?.state === "running" && Date.now() - moved > 30000; // those of the table
    if (outdated || numbers_old) { moved = Date.now(); trigger("moved"); }
    if (Date.now() - spoken > 15000) { // a screen reader is not to be chattered at
      find("say").textContent = news.say;
      spoken = Date.now();
    }
  } catch (error) {
    find("say").textContent = error.message?.endsWith(".") ? error.message : "Waiting for the server …";
    spoken = 0;
  } finally {
    busy = false;
  }
};

watch("value", () => { find("say").textContent = ""; spoken = 0; eager_until = Date.now() + 10000; pull(); });
new ResizeObserver(() => {
  if (!element.offsetWidth) return;
  for (const chart of CHARTS) if (find(chart.part).data) Plotly.Plots.resize(find(chart.part));
  pull();
}).observe(element);
new MutationObserver(() => find("loss").data && draw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
document.addEventListener("visibilitychange", pull);
window.addEventListener("microformer:visitor", pull);
// Who has just pressed Start waits for the first point, so that is asked for more often; later, less happens in a second.
const eager = () => Date.now() < eager_until && !Number(find("loss").dataset.points || 0);
const rest = () => (eager() ? 200 : points() < 50 ? 1000 : 2000);
const look = () => {
  if (!element.isConnected) return;
  pull();
  setTimeout(look, rest());
};
look();
