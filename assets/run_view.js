/* A run as it happens: progress, numbers in words, curves and samples.

   The browser asks the server for what it lacks, every second or two and only while it can be seen, so nothing here depends
   on a session or a queue: a reload or a restart of the server finds its way back by itself. The template around this
   script is constant, so Gradio never touches these nodes, and a zoom or a hidden curve survives every update.

   `props.value` is {"shown": a run's id, "runs": [ids whose curves are drawn]}. `server.follow(request)` answers with
   the rows each run has gained; microformer/ui/actions/runs.py describes both. The prelude defines visitor(), and
   run_curves.js the curves and find(). */

const asked = () => {
  const value = props.value || {};
  return { shown: value.shown ?? null, runs: [...(value.runs ?? [])] };
};

let pictured = ""; // which runs are in the picture
let samples = { run: null, count: 0 };
let spoken = null; // when it was last said how the run stands, and when the table was last asked for
let moved = now();
let eager_until = 0;
let busy = false;
let grown = false; // whether there is more than is drawn
let state = null;

const tell = (shown) => {
  const view = element.firstElementChild;
  const state = shown ? shown.state : "none";
  if (view.dataset.state !== state) spoken = null; // what changed is worth saying at once
  view.dataset.state = state;
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
    const choice = [want.shown, ...want.runs].join(" ");
    if (choice !== selection) {
      selection = choice;
      curves = Object.fromEntries(Object.entries(curves).filter(([id]) => want.runs.includes(id)));
      spoken = null;
    }
    if (samples.run !== want.shown) samples = { run: want.shown, count: 0 };
    const cursors = Object.fromEntries(want.runs.map((id) => [id, curves[id]?.next ?? 0]));
    const news = await server.follow({ ...want, visitor: visitor(), runs: cursors, samples: samples.count });
    if (news.error) throw new Error(news.error);
    if ([asked().shown, ...asked().runs].join(" ") !== choice) return; // another choice was made in the meantime
    let other = pictured !== choice || Object.keys(curves).length !== Object.keys(news.runs).length;
    other = other || guess !== (news.shown?.guess ?? null) || state !== news.shown?.state || !find("loss").data;
    other = other || score !== (news.shown?.words.score_name ?? null);
    state = news.shown?.state;
    curves = Object.fromEntries(Object.entries(curves).filter(([id]) => id in news.runs));
    for (const [id, gained] of Object.entries(news.runs)) grown = grow(id, gained) || grown;
    guess = news.shown?.guess ?? null;
    score = news.shown?.words.score_name ?? null;
    tell(news.shown);
    show_samples(news.shown);
    if (other || (grown && worth_drawing())) { draw(other); pictured = choice; grown = false; }
    // The lists and buttons around this view say for which run, and for which state of all runs, they were made. When
    // that is not what is shown now (a run came or ended, or two answers overtook each other), they are made again.
    const made = document.querySelector("#train-table [data-made]");
    const outdated = made && made.dataset.made !== `${want.shown ?? ""} ${news.signature}`;
    const numbers_old = news.shown?.state === "running" && due(moved, 30000); // those of the table
    if (outdated || numbers_old) { moved = now(); trigger("moved"); }
    if (due(spoken, 15000)) { // a screen reader is not to be chattered at
      find("say").textContent = news.say;
      spoken = now();
    }
  } catch (error) {
    find("say").textContent = error.message?.endsWith(".") ? error.message : "Waiting for the server …";
    spoken = null;
  } finally {
    busy = false;
  }
};

// On a phone the run that was just started is a long way below.
const come_into_sight = () => {
  if (visible() && element.getBoundingClientRect().top > 0.6 * innerHeight) element.scrollIntoView({ behavior: "smooth" });
};

watch("value", () => { come_into_sight(); find("say").textContent = ""; spoken = null; eager_until = Date.now() + 10000; pull(); });
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
